//! Transit keys over a real register and a real token: each batch is one leaf that was there before, and what no longer may be used is not.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chancery_secrets::keyring::{InUse, KeyWish, Request, Settings, TransitKey, TransitKeys};
use chancery_secrets::recovery::{Gathering, Plan, Split};
use chancery_secrets::transit::{Act, Encrypt, KeyKind, KeyName, Mode, Sealed, Sign, TransitError, Verify};
use chancery_secrets::{LostRegister, SecretError};
use policy::{Action, Grant, Resource, Role};
use ring::rand::SystemRandom;
use store::{Database, StoreError};
use support::*;

struct Ring {
    house: House,
    keys: TransitKeys,
}

const HOUR: Duration = Duration::from_secs(3_600);

fn name(text: &str) -> KeyName {
    text.parse().unwrap()
}

impl Ring {
    async fn open(database: &Database) -> Ring {
        Ring::of(House::open(database).await, HOUR)
    }

    fn of(house: House, lease: Duration) -> Ring {
        let keys = TransitKeys::new(house.vault.clone(), lease);
        Ring { house, keys }
    }

    fn grant(&self, action: Action, on: &str) -> Grant {
        let on = Resource::transit_key(Some(owner("web")), on);
        self.house.policies.decide(&admin(), action, &on).unwrap()
    }

    async fn create(&self, on: &str, kind: KeyKind, mode: Mode) -> TransitKey {
        let wish = KeyWish { kind, mode, rotate_days: 0 };
        let grant = self.grant(Action::ManageTransitKeys, on);
        self.keys.create(grant, &name(on), &owner("web"), wish).await.unwrap()
    }

    async fn rotate(&self, on: &str) -> TransitKey {
        self.keys.rotate(self.grant(Action::ManageTransitKeys, on), &name(on)).await.unwrap()
    }

    async fn configure(&self, on: &str, settings: Settings) -> Result<TransitKey, SecretError> {
        self.keys.configure(self.grant(Action::ManageTransitKeys, on), &name(on), settings).await
    }

    async fn begin(&self, on: &str, act: Act, items: usize, versions: &[u32]) -> Result<InUse, SecretError> {
        let request = Request { act, items, versions: versions.iter().copied().collect() };
        self.keys.begin(&self.grant(act.action(), on), &name(on), &request).await
    }

    async fn seal(&self, on: &str, plain: &str) -> String {
        let used = self.begin(on, Act::Encrypt, 1, &[]).await.unwrap();
        let item = Encrypt { plain: plain.as_bytes(), context: None, associated: b"" };
        used.key().unwrap().encrypt(None, &[item], &mut SystemRandom::new()).unwrap().into_each().remove(0).unwrap()
    }

    async fn unseal(&self, on: &str, text: &str) -> Result<String, SecretError> {
        let used = self.begin(on, Act::Decrypt, 1, &[1]).await?;
        let item = Sealed { text, context: None, associated: b"" };
        let plain = used.key()?.decrypt(&[item])?.remove(0)?;
        Ok(String::from_utf8(plain.to_vec()).unwrap())
    }

    async fn is_clean(&self, database: &Database) {
        let report = self.house.audited(database).await;
        assert!(report.findings.is_empty(), "{:?}", report.findings);
    }
}

#[test]
fn a_batch_is_one_leaf_that_says_who_did_what_with_which_versions_of_which_key() {
    on_both(|database| async move {
        let ring = Ring::open(&database).await;
        let made = ring.create("pay", KeyKind::Aes256Gcm, Mode::Plain).await;
        assert_eq!((made.newest(), made.owner().as_str(), made.is_deletable()), (1, "web", false));
        let text = ring.seal("pay", "4111 1111").await;
        ring.rotate("pay").await;
        let before = ring.house.leaves();
        let used = ring.begin("pay", Act::Decrypt, 7, &[1, 2, 9]).await.unwrap();
        assert_eq!((used.leaf(), ring.house.leaves()), (before, before + 1));
        let leaf = ring.house.last_leaves(1).await.remove(0);
        assert_eq!((&leaf["event"], &leaf["grant"]["action"]), (&"access".into(), &"transit-decrypt".into()));
        assert_eq!((&leaf["actor"]["id"], &leaf["outcome"]), (&"system:test".into(), &"opened".into()));
        assert_eq!(leaf["opened"][0]["id"], "transit:pay@1.2");
        assert_eq!(leaf["used"], serde_json::json!({"act": "decrypt", "items": 7, "versions": [1, 2]}));
        // A second batch asks no token, and is a leaf all the same.
        assert_eq!(ring.unseal("pay", &text).await.unwrap(), "4111 1111");
        let leaf = ring.house.last_leaves(1).await.remove(0);
        assert_eq!((ring.house.leaves(), &leaf["outcome"]), (before + 2, &"leased".into()));
        ring.begin("pay", Act::Encrypt, 1, &[]).await.unwrap();
        assert_eq!(ring.house.last_leaves(1).await[0]["used"]["versions"], serde_json::json!([2]), "the newest");
        // What cannot come to anything is not written down.
        let size = ring.house.leaves();
        for wrong in [ring.begin("pay", Act::Sign, 1, &[]).await, ring.begin("pay", Act::Encrypt, 0, &[]).await] {
            assert!(matches!(wrong.err(), Some(SecretError::Transit(_))));
        }
        assert!(matches!(ring.begin("pay", Act::Encrypt, 1_001, &[]).await.err(), Some(SecretError::Transit(_))));
        assert!(matches!(ring.begin("none", Act::Encrypt, 1, &[]).await.err(), Some(SecretError::NotFound(_))));
        assert_eq!(ring.house.leaves(), size);
        let house = ring.house.reopened(&database).await;
        house.seal_under(&[1]).await;
        let ring = Ring::of(house, HOUR);
        assert_eq!(ring.unseal("pay", &text).await.unwrap(), "4111 1111", "after another start");
        ring.is_clean(&database).await;
    });
}

#[test]
fn a_grant_is_for_one_act_on_one_key_of_one_owner() {
    on_sqlite(|database| async move {
        let ring = Ring::open(&database).await;
        ring.create("pay", KeyKind::Aes256Gcm, Mode::Plain).await;
        ring.create("other", KeyKind::Aes256Gcm, Mode::Plain).await;
        let request = |act| Request { act, items: 1, versions: BTreeSet::new() };
        for grant in [
            ring.grant(Action::TransitDecrypt, "pay"),
            ring.grant(Action::TransitEncrypt, "other"),
            ring.house
                .policies
                .decide(&admin(), Action::TransitEncrypt, &Resource::transit_key(Some(owner("db")), "pay"))
                .unwrap(),
        ] {
            let size = ring.house.leaves();
            let refused = ring.keys.begin(&grant, &name("pay"), &request(Act::Encrypt)).await;
            assert!(matches!(refused.err(), Some(SecretError::Conflict(_))));
            assert_eq!(ring.house.leaves(), size);
        }
        let sealing = ring.grant(Action::TransitEncrypt, "pay");
        assert!(ring.keys.rotate(sealing, &name("pay")).await.is_err());
        // And the shipped roles: one that encrypts opens nothing, one that manages computes nothing.
        let may = |role, action| {
            let actor = someone("token:x", &[role], &["web"]);
            let on = Resource::transit_key(Some(owner("web")), "pay");
            ring.house.policies.decide(&actor, action, &on).is_ok()
        };
        assert!(
            may(Role::TransitEncrypter, Action::TransitEncrypt) && !may(Role::TransitEncrypter, Action::TransitDecrypt)
        );
        assert!(
            may(Role::TransitManager, Action::ManageTransitKeys) && !may(Role::TransitManager, Action::TransitEncrypt)
        );
        assert!(may(Role::TransitUser, Action::TransitDecrypt) && !may(Role::TransitUser, Action::ManageTransitKeys));
        for role in [Role::TransitEncrypter, Role::TransitManager, Role::TransitUser, Role::Auditor, Role::SecretReader]
        {
            assert!(!may(role, Action::DestroyTransitKey), "{role}");
        }
    });
}

#[test]
fn a_keys_life_its_versions_their_bounds_and_its_end() {
    on_both(|database| async move {
        let ring = Ring::open(&database).await;
        ring.create("pay", KeyKind::Aes256Gcm, Mode::Plain).await;
        let again = KeyWish { kind: KeyKind::Ed25519, mode: Mode::Plain, rotate_days: 0 };
        let (grant, pay) = (ring.grant(Action::ManageTransitKeys, "pay"), name("pay"));
        let twice = ring.keys.create(grant, &pay, &owner("web"), again).await;
        assert!(matches!(twice, Err(SecretError::Conflict(_))));
        let old = ring.seal("pay", "old").await;
        ring.rotate("pay").await;
        let key = ring.rotate("pay").await;
        assert_eq!((key.oldest(), key.newest()), (1, 3));
        let new = ring.seal("pay", "new").await;
        assert!(old.starts_with("chy:v1:") && new.starts_with("chy:v3:"));
        assert!(ring.house.ledger.value("transit:pay@1.2").await.unwrap().is_none(), "what it lay in before is gone");

        let wrong = Settings { min_decrypt: Some(4), ..Settings::default() };
        assert!(matches!(ring.configure("pay", wrong).await, Err(SecretError::Transit(_))));
        let wrong = Settings { min_decrypt: Some(3), min_encrypt: Some(2), ..Settings::default() };
        assert!(matches!(ring.configure("pay", wrong).await, Err(SecretError::Transit(_))));
        // Used a moment ago, and retired at once.
        let raised = Settings { min_decrypt: Some(2), ..Settings::default() };
        let key = ring.configure("pay", raised).await.unwrap();
        assert_eq!((key.terms().min_decrypt, key.terms().min_encrypt), (2, 2));
        let retired = ring.unseal("pay", &old).await;
        let is_retired = |found: &Result<String, SecretError>| {
            matches!(found, Err(SecretError::Transit(TransitError::Retired { version: 1, least: 2 })))
        };
        assert!(is_retired(&retired), "{retired:?}");
        let lowered = Settings { min_decrypt: Some(1), min_encrypt: Some(1), ..Settings::default() };
        ring.configure("pay", lowered).await.unwrap();
        assert_eq!(ring.unseal("pay", &old).await.unwrap(), "old");
        let nothing = ring.keys.trim(ring.grant(Action::DestroyTransitKey, "pay"), &name("pay")).await;
        assert!(matches!(&nothing, Err(SecretError::Invalid { what: "min_decrypt", .. })), "{nothing:?}");
        ring.configure("pay", raised).await.unwrap();
        let key = ring.keys.trim(ring.grant(Action::DestroyTransitKey, "pay"), &name("pay")).await.unwrap();
        assert_eq!((key.oldest(), key.newest()), (2, 3));
        assert!(ring.configure("pay", lowered).await.is_err(), "that is for good");
        assert_eq!(ring.unseal("pay", &new).await.unwrap(), "new");

        let destroy = || ring.keys.destroy(ring.grant(Action::DestroyTransitKey, "pay"), &pay);
        let kept = destroy().await;
        assert!(matches!(&kept, Err(SecretError::Conflict(why)) if why.contains("deletable")), "{kept:?}");
        ring.configure("pay", Settings { deletable: Some(true), ..Settings::default() }).await.unwrap();
        destroy().await.unwrap();
        assert!(ring.keys.look(&pay).await.unwrap().is_none());
        assert!(matches!(ring.unseal("pay", &new).await, Err(SecretError::NotFound(_))));
        assert!(ring.house.ledger.value(&key_value(&key)).await.unwrap().is_none());
        // Its name is free, and another key opens nothing of it.
        ring.create("pay", KeyKind::Aes256Gcm, Mode::Plain).await;
        let other = ring.unseal("pay", &new.replacen("chy:v3:", "chy:v1:", 1)).await;
        assert!(matches!(other, Err(SecretError::Transit(TransitError::Forged))), "{other:?}");
        assert!(ring.house.last_leaves(1).await[0]["opened"][0]["id"].as_str().unwrap().starts_with("transit:pay@2."));
        ring.is_clean(&database).await;
    });
}

/// Three rotations and one trimming were before.
fn key_value(key: &TransitKey) -> String {
    format!("transit:{}@1.4", key.name())
}

#[test]
fn public_halves_are_shown_without_opening_and_verify_what_was_signed() {
    on_sqlite(|database| async move {
        let ring = Ring::open(&database).await;
        for (on, kind) in [("ed", KeyKind::Ed25519), ("ec", KeyKind::EcdsaP256)] {
            ring.create(on, kind, Mode::Plain).await;
            let key = ring.rotate(on).await;
            let size = ring.house.leaves();
            let used = ring.begin(on, Act::Sign, 1, &[]).await.unwrap();
            let message = Sign { message: b"release", context: None };
            let text = used.key().unwrap().sign(None, &[message]).unwrap().into_each().remove(0).unwrap();
            let key = ring.keys.look(key.name()).await.unwrap().unwrap();
            let versions = key.versions();
            assert_eq!((versions.len(), versions[0].number, ring.house.leaves()), (2, 2, size + 1));
            assert_ne!(versions[0].public, versions[1].public);
            let pem = versions[0].public.clone().unwrap();
            let (_, der) = pem_rfc7468::decode_vec(pem.as_bytes()).unwrap();
            let signature = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, &text[7..]).unwrap();
            let is_good = match kind {
                KeyKind::Ed25519 => {
                    ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, &der[der.len() - 32..])
                        .verify(b"release", &signature)
                }
                _ => ring::signature::UnparsedPublicKey::new(
                    &ring::signature::ECDSA_P256_SHA256_ASN1,
                    &der[der.len() - 65..],
                )
                .verify(b"release", &signature),
            };
            assert!(is_good.is_ok(), "{on}");
            let used = ring.begin(on, Act::Verify, 1, &[2]).await.unwrap();
            let item = Verify { message: b"release", context: None, text: &text };
            assert_eq!(used.key().unwrap().verify(&[item]).unwrap(), [Ok(true)]);
        }
        ring.create("mac", KeyKind::HmacSha256, Mode::Plain).await;
        assert_eq!(ring.keys.look(&name("mac")).await.unwrap().unwrap().versions()[0].public, None);
        let page = ring.keys.list(None, None, 2, |_, _| true).await.unwrap();
        assert_eq!(page.items.iter().map(|key| key.name().as_str()).collect::<Vec<_>>(), ["ec", "ed"]);
        let rest = ring.keys.list(Some(&owner("web")), page.next, 2, |_, _| true).await.unwrap();
        assert_eq!((rest.items.len(), rest.items[0].name().as_str(), rest.next), (1, "mac", None));
        assert!(ring.keys.list(Some(&owner("db")), None, 9, |_, _| true).await.unwrap().items.is_empty());
        assert!(ring.keys.list(None, None, 9, |_, name| name.as_str() != "mac").await.unwrap().items.len() == 2);
    });
}

#[test]
fn as_many_rotations_at_once_are_as_many_versions_and_nobody_is_lost_between_them() {
    on_both(|database| async move {
        let ring = Arc::new(Ring::open(&database).await);
        ring.create("pay", KeyKind::Aes256Gcm, Mode::Plain).await;
        let text = ring.seal("pay", "all along").await;
        let rotating = (0..4).map(|_| {
            let ring = Arc::clone(&ring);
            async move { ring.keys.rotate(ring.grant(Action::ManageTransitKeys, "pay"), &name("pay")).await }
        });
        let using = (0..16).map(|_| {
            let (ring, text) = (Arc::clone(&ring), text.clone());
            async move { ring.unseal("pay", &text).await }
        });
        let (rotated, used) =
            tokio::join!(futures_util::future::join_all(rotating), futures_util::future::join_all(using));
        let done = rotated.iter().filter(|one| one.is_ok()).count();
        assert!(done >= 1 && rotated.iter().all(|one| matches!(one, Ok(_) | Err(SecretError::Conflict(_)))));
        for one in used {
            assert!(
                matches!(&one, Ok(plain) if plain == "all along") || matches!(&one, Err(SecretError::Conflict(_))),
                "{one:?}"
            );
        }
        let key = ring.keys.look(&name("pay")).await.unwrap().unwrap();
        assert_eq!(key.newest() as usize, 1 + done, "each that was told so");
        assert_eq!(ring.unseal("pay", &text).await.unwrap(), "all along");
        ring.is_clean(&database).await;
    });
}

#[test]
fn it_is_rotated_by_itself_when_its_time_has_come_and_not_before() {
    on_sqlite(|database| async move {
        let ring = Ring::open(&database).await;
        let wish = KeyWish { kind: KeyKind::Aes256Gcm, mode: Mode::Derived, rotate_days: 30 };
        let create = |on: &str, wish| {
            let (grant, on) = (ring.grant(Action::ManageTransitKeys, on), name(on));
            let ring = &ring;
            async move { ring.keys.create(grant, &on, &owner("web"), wish).await }
        };
        create("monthly", wish).await.unwrap();
        create("never", KeyWish { rotate_days: 0, ..wish }).await.unwrap();
        let too_long = create("ages", KeyWish { rotate_days: 3_651, ..wish }).await;
        assert!(matches!(too_long, Err(SecretError::Invalid { what: "rotate_days", .. })));
        let rotating = ring.keys.rotating().await.unwrap();
        assert_eq!(rotating.iter().map(|key| key.name().as_str()).collect::<Vec<_>>(), ["monthly"]);
        let monthly = name("monthly");
        let due = || ring.keys.rotate_due(ring.grant(Action::ManageTransitKeys, "monthly"), &monthly);
        assert!(due().await.unwrap().is_none());
        ring.house.world.advance(30 * 86_400 - 1);
        assert!(due().await.unwrap().is_none());
        ring.house.world.advance(1);
        assert_eq!(due().await.unwrap().unwrap().newest(), 2);
        assert!(due().await.unwrap().is_none(), "once");
        // A version that a clock made which was a year ahead holds up none, once an operator's word put the time right.
        ring.house.world.advance(365 * 86_400);
        assert_eq!(due().await.unwrap().unwrap().newest(), 3);
        ring.house.world.jump(-365 * 86_400);
        ring.house.ledger.set_time(stamp(), "the host came up a year ahead").await.unwrap();
        assert_eq!(due().await.unwrap().unwrap().newest(), 4);
        assert!(due().await.unwrap().is_none(), "once");
        ring.configure("monthly", Settings { rotate_days: Some(0), ..Settings::default() }).await.unwrap();
        assert!(ring.keys.rotating().await.unwrap().is_empty());
    });
}

#[test]
fn the_sealing_keys_rotation_takes_them_along_and_shares_bring_them_back() {
    on_both(|database| async move {
        let ring = Ring::open(&database).await;
        ring.create("early", KeyKind::Aes256Gcm, Mode::Plain).await;
        let early = ring.seal("early", "before the ceremony").await;
        let mut split = Split::make(Plan::first("ca.example/log", 2, 3).unwrap(), &SystemRandom::new()).unwrap();
        let papers: Vec<String> = (1..=3).map(|n| split.show(n).unwrap().expose().to_owned()).collect();
        for (number, paper) in (1..).zip(&papers) {
            split.confirm(number, paper).unwrap();
        }
        let public = split.release().unwrap();
        ring.house.vault.take_recovery_key(&ring.house.managing(), &public).await.unwrap();
        ring.create("late", KeyKind::Aes256Gcm, Mode::Plain).await;
        let late = ring.seal("late", "after it").await;
        assert!(ring.house.keys().await["transit:late@1.1"].wrapped().is_some(), "as it is written");
        let walked = ring.house.vault.wrap_all(&ring.house.managing()).await.unwrap();
        assert_eq!((walked.done, walked.before, walked.left), (2, 1, 0), "{walked:?}");

        // In memory or not: what was sealed anew is another version, and is opened again.
        ring.house.seal_under(&[1, 2]).await;
        assert_eq!(ring.house.ledger.rewrap(&stamp()).await.unwrap().left, 0);
        assert_eq!(ring.unseal("early", &early).await.unwrap(), "before the ceremony");
        assert_eq!(ring.house.last_leaves(1).await[0]["outcome"], "opened");
        ring.is_clean(&database).await;

        let world = ring.house.lost().await;
        let lost = LostRegister::of(database.clone(), "ca.example/log").await.unwrap();
        let mut gathering = Gathering::of(lost.key().clone());
        gathering.take(&papers[2]).unwrap();
        gathering.take(&papers[0]).unwrap();
        let private = gathering.join().unwrap();
        let head_key = lost.open(&private).unwrap();
        let house = House::recovered(&database, world, (head_key.to_seal(), 3)).await.unwrap();
        let ring = Ring::of(house, HOUR);
        let sealed = ring.unseal("late", &late).await;
        assert!(matches!(sealed, Err(SecretError::Store(StoreError::Token(_)))), "{sealed:?}");
        let walked = ring.house.vault.restore_all(&ring.house.managing(), &private).await.unwrap();
        assert_eq!((walked.done, walked.left), (2, 0), "{walked:?}");
        assert_eq!(ring.unseal("late", &late).await.unwrap(), "after it");
        assert_eq!(ring.unseal("early", &early).await.unwrap(), "before the ceremony");
    });
}

#[test]
fn without_its_sealing_key_nothing_is_computed_and_nothing_written_down() {
    on_sqlite(|database| async move {
        let house = House::leasing(&database, Duration::ZERO).await;
        let ring = Ring::of(house, Duration::ZERO);
        ring.create("pay", KeyKind::Aes256Gcm, Mode::Plain).await;
        ring.seal("pay", "x").await;
        assert_eq!(ring.house.last_leaves(1).await[0]["outcome"], "opened");
        ring.seal("pay", "y").await;
        assert_eq!(ring.house.last_leaves(1).await[0]["outcome"], "opened", "nothing is kept without a lease");
        ring.house.seal_under(&[7]).await;
        let size = ring.house.leaves();
        let away = ring.begin("pay", Act::Encrypt, 1, &[]).await;
        assert!(matches!(away.err(), Some(SecretError::Store(StoreError::Token(_)))));
        assert_eq!(ring.house.leaves(), size);
    });
}
