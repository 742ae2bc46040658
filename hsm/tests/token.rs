//! The token as other rooms see it: SoftHSM2 for real, and openssl as the judge of what it signs.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use hsm::testing::{SOFTHSM_MODULE, TestToken};
use hsm::{Algorithm, Health, HsmError, KeyKind, Message, PinSource, SignError, TokenSelector, verify};
use ring::digest::{SHA256, digest};

fn run(program: &str, arguments: &[&str]) -> (bool, String) {
    let done = Command::new(program).args(arguments).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    let said = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// Whether openssl takes the signature.
fn openssl_agrees(kind: KeyKind, spki: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    for (name, content) in [("key", spki), ("message", message), ("signature", signature)] {
        std::fs::write(path(name), content).unwrap();
    }
    let (key, message, signature) = (path("key"), path("message"), path("signature"));
    let digest: &[&str] = match kind {
        KeyKind::P384 => &["-digest", "sha384"],
        KeyKind::P521 => &["-digest", "sha512"],
        KeyKind::Ed25519 => &[],
        kind if kind.pss() == Some(kind) => {
            &["-digest", "sha256", "-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:32"]
        }
        _ => &["-digest", "sha256"],
    };
    let common = [
        "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", &key, "-rawin", "-in", &message, "-sigfile",
        &signature,
    ];
    run("openssl", &[&common, digest].concat()).0
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_key_signs_and_openssl_agrees() {
    let (pool, mint) = hsm::open(TestToken::new("kinds").config()).unwrap();
    // RSA-4096 takes SoftHSM many seconds; 3072 walks the same path.
    let kinds = [
        KeyKind::P256,
        KeyKind::P384,
        KeyKind::P521,
        KeyKind::Rsa2048,
        KeyKind::Rsa3072,
        KeyKind::Rsa2048Pss,
        KeyKind::Ed25519,
    ];
    for kind in kinds {
        let key = pool.generate(kind.as_str(), kind).await.unwrap();
        assert_eq!((key.kind(), key.label()), (kind, kind.as_str()));
        for operation in 0..20 {
            let text = format!("operation {operation} of {kind}");
            let message = Message::from(text.clone().into_bytes());
            let signature = pool.sign(mint.intent(operation, &key, message.clone())).await.unwrap();
            assert_eq!((signature.operation(), signature.algorithm()), (operation, kind.algorithm()));
            verify(kind.algorithm(), key.spki_der(), &message, signature.bytes()).unwrap();
            if operation == 0 {
                assert!(openssl_agrees(kind, key.spki_der(), text.as_bytes(), signature.bytes()), "{kind}");
                assert!(!openssl_agrees(kind, key.spki_der(), b"another message", signature.bytes()), "{kind}");
            }
        }
        let found = pool.find(kind.as_str()).await.unwrap();
        assert_eq!((found.fingerprint(), found.id(), found.kind()), (key.fingerprint(), key.id(), kind));
    }
    assert_eq!(pool.keys().await.unwrap().len(), kinds.len());
    assert_eq!(pool.health(), Health::Ready);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_signed_message_by_message_and_each_signature_verified() {
    let (pool, mint) = hsm::open(TestToken::new("batch").config()).unwrap();
    let messages: Vec<Vec<u8>> = (0..hsm::BATCH_MAX).map(|n| format!("message {n}").into_bytes()).collect();
    for kind in [KeyKind::P256, KeyKind::Rsa2048, KeyKind::Ed25519] {
        let key = pool.generate(kind.as_str(), kind).await.unwrap();
        let batch = hsm::Batch::new(messages.clone()).unwrap();
        assert_eq!(*batch.root(), hsm::merkle_root(messages.iter().map(Vec::as_slice)));
        let signature = pool.sign(mint.intent(3, &key, Message::Batch(batch))).await.unwrap();
        assert_eq!((signature.operation(), signature.bytes()), (3, &[][..]));
        let made = signature.of_batch().unwrap();
        assert_eq!(made.len(), messages.len());
        for (message, signature) in messages.iter().zip(made) {
            verify(kind.algorithm(), key.spki_der(), &Message::from(message.clone()), signature).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_made_by_the_caller_signs_like_its_message() {
    let (pool, mint) = hsm::open(TestToken::new("digest").config()).unwrap();
    let whole = Message::from(b"a large file".to_vec());
    let hashed = Message::Sha256(digest(&SHA256, b"a large file").as_ref().try_into().unwrap());
    for kind in [KeyKind::P256, KeyKind::Rsa2048, KeyKind::Rsa2048Pss] {
        let key = pool.generate(kind.as_str(), kind).await.unwrap();
        let signature = pool.sign(mint.intent(1, &key, hashed.clone())).await.unwrap();
        for message in [&whole, &hashed] {
            verify(kind.algorithm(), key.spki_der(), message, signature.bytes()).unwrap();
        }
    }
    for kind in [KeyKind::P384, KeyKind::P521, KeyKind::Ed25519] {
        let key = pool.generate(kind.as_str(), kind).await.unwrap();
        match pool.sign(mint.intent(7, &key, hashed.clone())).await {
            Err(SignError::Refused(not_signed)) => assert_eq!(not_signed.operation(), 7),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(pool.health(), Health::Ready, "a refusal is no trouble with the token");
}

/// The token holds a key of PSS to it; one that it holds to nothing is used for PSS by its holder's word.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_pss_signs_nothing_else() {
    let token = TestToken::new("pss");
    let (pool, mint) = hsm::open(token.config()).unwrap();
    let bound = pool.generate("bound", KeyKind::Rsa2048Pss).await.unwrap();
    assert_eq!((bound.kind(), bound.algorithm()), (KeyKind::Rsa2048Pss, Algorithm::RsaPssSha256));
    let common = ["--module", SOFTHSM_MODULE, "--token-label", token.label(), "--login", "--pin", token.pin()];
    let input = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(input.path(), [7; 32]).unwrap();
    let file = input.path().to_str().unwrap();
    let sign = ["--sign", "--label", "bound", "--input-file", file, "--output-file", "/dev/null", "--mechanism"];
    let with = |mechanism: &[&str]| run("pkcs11-tool", &[&common[..], &sign, mechanism].concat());
    let pss = with(&["RSA-PKCS-PSS", "--hash-algorithm", "SHA256"]);
    assert!(pss.0, "{}", pss.1);
    for other in ["RSA-PKCS", "SHA256-RSA-PKCS"] {
        let refused = with(&[other]);
        assert!(!refused.0 && refused.1.contains("CKR_MECHANISM_INVALID"), "{other}: {}", refused.1);
    }

    let free = pool.generate("free", KeyKind::Rsa2048).await.unwrap();
    let told = free.as_pss().unwrap();
    assert_eq!((told.kind(), told.fingerprint()), (KeyKind::Rsa2048Pss, free.fingerprint()));
    let message = Message::from(b"m".to_vec());
    for (operation, key) in [(1, &free), (2, &told), (3, &bound)] {
        let signature = pool.sign(mint.intent(operation, key, message.clone())).await.unwrap();
        for algorithm in [Algorithm::RsaPkcs1Sha256, Algorithm::RsaPssSha256] {
            let taken = verify(algorithm, key.spki_der(), &message, signature.bytes()).is_ok();
            assert_eq!(taken, algorithm == key.algorithm(), "{operation} {algorithm}");
        }
    }
    assert!(pool.generate("curve", KeyKind::P256).await.unwrap().as_pss().is_none());
    // SoftHSM has no ML-DSA, and says so before anything is made.
    assert!(matches!(pool.generate("pq", KeyKind::MlDsa65).await, Err(HsmError::Unsupported(_))));
    assert!(matches!(pool.find("pq").await, Err(HsmError::NotFound { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_names_one_key() {
    let (pool, _mint) = hsm::open(TestToken::new("labels").config()).unwrap();
    pool.generate("root", KeyKind::P256).await.unwrap();
    assert!(matches!(pool.generate("root", KeyKind::P256).await, Err(HsmError::Exists { .. })));
    assert!(matches!(pool.generate_sealing(None, "root").await, Err(HsmError::Exists { .. })));
    assert!(matches!(pool.find("toor").await, Err(HsmError::NotFound { .. })));
    for label in ["", " a", "a\nb", "ü", &"x".repeat(65)] {
        assert!(matches!(pool.generate(label, KeyKind::P256).await, Err(HsmError::Config { .. })), "{label:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_once_found_needs_no_token_to_be_known() {
    let token = TestToken::new("known");
    let (maker, _) = hsm::open(token.config()).unwrap();
    let made = maker.generate("k", KeyKind::P256).await.unwrap();
    let (pool, _) = hsm::open(token.config()).unwrap();
    assert_eq!(pool.key("k").await.unwrap().fingerprint(), made.fingerprint(), "found in the token");
    assert!(matches!(pool.key("other").await, Err(HsmError::NotFound { .. })));
    pool.shutdown();
    assert_eq!(pool.key("k").await.unwrap().fingerprint(), made.fingerprint(), "remembered");
    assert!(matches!(pool.key("other").await, Err(HsmError::Unavailable { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_of_another_pool_is_refused_as_not_signed() {
    let (here, mint_here) = hsm::open(TestToken::new("here").config()).unwrap();
    let (there, mint_there) = hsm::open(TestToken::new("there").config()).unwrap();
    let key = here.generate("k", KeyKind::P256).await.unwrap();
    let foreign_key = there.generate("k", KeyKind::P256).await.unwrap();
    let message = Message::from(b"m".to_vec());
    for intent in [mint_there.intent(1, &key, message.clone()), mint_here.intent(2, &foreign_key, message)] {
        assert!(matches!(here.sign(intent).await, Err(SignError::Refused(_))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealing_key_is_known_again_by_its_touchstone_and_another_of_its_label_neither_seals_nor_ends() {
    let (pool, mint) = hsm::open(TestToken::new("touchstone").config()).unwrap();
    pool.generate_sealing(None, "seal").await.unwrap();
    let key = hsm::SealingKey::known("seal", &[], pool.touchstone(None, "seal").await.unwrap());
    let sealed = pool.seal(&key, b"hunter2", b"row 7").await.unwrap();
    assert_eq!(pool.unseal(&key, &sealed, b"row 7").await.unwrap(), b"hunter2");
    for _ in 0..2 {
        // One that is gone is no error.
        pool.destroy(mint.farewell_to_seal(&key)).await.unwrap();
    }
    assert!(!pool.has_sealing(None, "seal").await.unwrap());
    pool.generate_sealing(None, "seal").await.unwrap();
    pool.generate_sealing(None, "other").await.unwrap();
    let other = hsm::SealingKey::known("other", &[], pool.touchstone(None, "seal").await.unwrap());
    for wrong in [&key, &other] {
        let sealed = pool.seal(wrong, b"hunter2", b"row 7").await;
        assert!(matches!(sealed, Err(HsmError::Unfit { .. })), "nobody could open it again: {sealed:?}");
        let destroyed = pool.destroy(mint.farewell_to_seal(wrong)).await;
        assert!(matches!(destroyed, Err(HsmError::Unfit { .. })), "it is somebody else's: {destroyed:?}");
    }
    assert!(pool.has_sealing(None, "seal").await.unwrap() && pool.has_sealing(None, "other").await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sealed_opens_only_where_it_belongs() {
    let (pool, _mint) = hsm::open(TestToken::new("seal").config()).unwrap();
    assert!(!pool.has_sealing(None, "seal").await.unwrap());
    pool.generate_sealing(None, "seal").await.unwrap();
    pool.generate_sealing(None, "other").await.unwrap();
    assert!(pool.has_sealing(None, "seal").await.unwrap());
    let sealed = pool.seal(&hsm::SealingKey::named("seal"), b"hunter2", b"row 7").await.unwrap();
    assert_ne!(
        sealed,
        pool.seal(&hsm::SealingKey::named("seal"), b"hunter2", b"row 7").await.unwrap(),
        "one IV was used twice"
    );
    assert_eq!(pool.unseal(&hsm::SealingKey::named("seal"), &sealed, b"row 7").await.unwrap(), b"hunter2");
    for position in 0..sealed.len() {
        let mut flipped = sealed.clone();
        flipped[position] ^= 1;
        assert!(
            matches!(pool.unseal(&hsm::SealingKey::named("seal"), &flipped, b"row 7").await, Err(HsmError::Sealed(_))),
            "byte {position}"
        );
    }
    for (label, sealed, aad) in [
        ("seal", &sealed[..], &b"row 8"[..]),
        ("other", &sealed, b"row 7"),
        ("seal", &sealed[..sealed.len() - 1], b"row 7"),
        ("seal", &[], b"row 7"),
        ("seal", &[1; 28], b"row 7"),
    ] {
        assert!(matches!(pool.unseal(&hsm::SealingKey::named(label), sealed, aad).await, Err(HsmError::Sealed(_))));
    }
    assert!(matches!(
        pool.unseal(&hsm::SealingKey::named("none"), &sealed, b"row 7").await,
        Err(HsmError::NotFound { .. })
    ));
    for plain in [&[][..], &[7; 65_536]] {
        let sealed = pool.seal(&hsm::SealingKey::named("seal"), plain, b"").await.unwrap();
        assert_eq!(pool.unseal(&hsm::SealingKey::named("seal"), &sealed, b"").await.unwrap(), plain);
    }
    assert!(pool.seal(&hsm::SealingKey::named("seal"), &[7; 65_537], b"").await.is_err());
    assert_eq!(pool.health(), Health::Ready, "wrong input is no trouble with the token");
    assert_eq!(pool.describe().await.unwrap().sealing.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn random_bytes_come_and_have_a_bound() {
    let (pool, _mint) = hsm::open(TestToken::new("random").config()).unwrap();
    let (one, two) = (pool.random(32).await.unwrap(), pool.random(32).await.unwrap());
    assert_eq!(one.len(), 32);
    assert_ne!(one, two);
    assert!(pool.random(1 << 20).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_describes_itself() {
    let token = TestToken::new("doctor");
    let (pool, _mint) = hsm::open(token.config()).unwrap();
    pool.generate("root", KeyKind::P256).await.unwrap();
    let told = pool.describe().await.unwrap();
    assert_eq!((told.label.as_str(), told.serial.as_str()), (token.label(), token.serial()));
    assert!(told.manufacturer.contains("SoftHSM") && told.library_version.starts_with("2."), "{told:?}");
    assert!(told.mechanisms.iter().any(|m| m == "CKM_ECDSA"), "{told:?}");
    assert!(told.flags.iter().any(|f| f == "login-required") && !told.pin_trouble(), "{told:?}");
    assert_eq!(told.keys[0].label(), "root");
    assert_eq!(pool.self_test().await.unwrap(), Algorithm::EcdsaP256Sha256);
    assert_eq!(pool.keys().await.unwrap().len(), 1, "the self-test left its key behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_found_by_label_serial_or_uri_and_never_guessed() {
    let token = TestToken::new("select");
    let mut config = token.config();
    for (selector, found) in [
        (TokenSelector::Serial(token.serial().into()), true),
        (TokenSelector::Uri(format!("pkcs11:token={};manufacturer=SoftHSM%20project", token.label())), true),
        (TokenSelector::Uri(format!("pkcs11:token={};serial=00", token.label())), false),
        (TokenSelector::Label("select".into()), false),
    ] {
        config.token = selector.clone();
        match (hsm::open(config.clone()), found) {
            (Ok((pool, _)), true) => pool.shutdown(),
            (Err(HsmError::Token(why)), false) => assert!(why.contains(token.serial()), "{why}"),
            (other, _) => panic!("{selector:?}: {other:?}"),
        }
    }
    config.module = "/nonexistent.so".into();
    assert!(matches!(hsm::open(config.clone()), Err(HsmError::Module { .. })));
    config.module = "/etc/passwd".into();
    assert!(matches!(hsm::open(config), Err(HsmError::Module { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pin_comes_from_a_uri_too() {
    let token = TestToken::new("uri");
    let mut config = token.config();
    config.pin = PinSource::Env("CHANCERY_NO_SUCH_PIN".into());
    assert!(matches!(hsm::open(config.clone()), Err(HsmError::Config { .. })));
    let pin = token.pin_file();
    config.module = Path::new("/nonexistent.so").into();
    config.token = TokenSelector::Uri(format!(
        "pkcs11:token={}?module-path={SOFTHSM_MODULE}&pin-source=file:{}",
        token.label(),
        pin.display()
    ));
    assert!(hsm::open(config).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_was_shut_down_says_so_at_once() {
    let token = TestToken::new("closed");
    let (pool, mint) = hsm::open(token.config()).unwrap();
    let key = pool.generate("k", KeyKind::P256).await.unwrap();
    pool.shutdown();
    let outcome = pool.sign(mint.intent(1, &key, b"m".to_vec().into())).await;
    assert!(matches!(outcome, Err(SignError::Unavailable { .. })), "{outcome:?}");
    assert!(pool.find("k").await.is_err());
    let (again, _mint) = hsm::open(token.config()).unwrap();
    assert_eq!(again.find("k").await.unwrap().fingerprint(), key.fingerprint());
}

#[test]
fn a_key_is_known_by_stable_names() {
    for kind in KeyKind::ALL {
        assert_eq!(kind.as_str().parse(), Ok(kind));
    }
    for algorithm in Algorithm::ALL {
        assert_eq!(algorithm.as_str().parse(), Ok(algorithm));
    }
    assert!("rsa1024".parse::<KeyKind>().is_err());
}

/// Eight make a key each, look for it and sign with it, while one more signs with a key that was there before. SoftHSM's
/// object store, left alone, answers some of them with a general error, or ends the process.
#[tokio::test(flavor = "multi_thread")]
async fn keys_made_side_by_side_are_all_made() {
    let (pool, mint) = hsm::open(TestToken::new("crowd").config()).unwrap();
    let old = pool.generate("old", KeyKind::P256).await.unwrap();
    let mint = Arc::new(mint);
    for round in 0..3 {
        let mut crowd: Vec<_> = (0..8)
            .map(|maker| {
                let (pool, mint) = (pool.clone(), mint.clone());
                tokio::spawn(async move {
                    let label = format!("crowd-{round}-{maker}");
                    let key = pool.generate(&label, KeyKind::P256).await.map_err(|e| format!("making {label}: {e}"))?;
                    let found = pool.find(&label).await.map_err(|e| format!("finding {label}: {e}"))?;
                    assert_eq!(found.fingerprint(), key.fingerprint());
                    let signed = pool.sign(mint.intent(maker, &key, b"m".to_vec().into())).await;
                    signed.map(|_| ()).map_err(|e| format!("signing with {label}: {e}"))
                })
            })
            .collect();
        let (pool_of_old, mint, old) = (pool.clone(), mint.clone(), old.clone());
        crowd.push(tokio::spawn(async move {
            for operation in 100..400 {
                let signed = pool_of_old.sign(mint.intent(operation, &old, b"m".to_vec().into())).await;
                signed.map_err(|e| format!("signing with the old key: {e}"))?;
            }
            Ok(())
        }));
        for one in crowd {
            assert_eq!((one.await.unwrap(), pool.health()), (Ok(()), Health::Ready));
        }
    }
    assert_eq!(pool.keys().await.unwrap().len(), 25);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_is_found_again_and_never_goes_back() {
    let token = TestToken::new("notes");
    let rank = |value: &[u8]| std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let (pool, _mint) = hsm::open(token.config()).unwrap();
    let (another, _other_mint) = hsm::open(token.config()).unwrap();
    assert!(pool.notes("ca.example/log").await.unwrap().is_empty());
    for (at, n, written) in
        [(&pool, 5, true), (&another, 7, true), (&pool, 6, false), (&another, 7, false), (&pool, 8, true)]
    {
        let kept = at.keep_note("ca.example/log", format!("{n}").into_bytes(), rank).await.unwrap();
        assert_eq!(kept, written, "{n}");
    }
    pool.keep_note("ca.example/another", b"99".to_vec(), rank).await.unwrap();
    pool.shutdown();
    let (pool, _mint) = hsm::open(token.config()).unwrap();
    for at in [&pool, &another] {
        let mut notes = at.notes("ca.example/log").await.unwrap();
        notes.sort();
        assert_eq!(notes, [b"7".to_vec(), b"8".to_vec()]);
    }
    pool.forget_notes("ca.example/log").await.unwrap();
    assert!(another.notes("ca.example/log").await.unwrap().is_empty());
    assert_eq!(another.notes("ca.example/another").await.unwrap(), [b"99".to_vec()]);
    for refused in [vec![0; 5_000], Vec::new()] {
        let label = if refused.is_empty() { "" } else { "l" };
        assert!(matches!(pool.keep_note(label, refused, rank).await, Err(HsmError::Unsupported(_))));
    }
}

/// What the service does all day: it signs, and now and then keeps a note. Keys are looked for meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn notes_are_kept_beside_signatures_and_searches() {
    let (pool, mint) = hsm::open(TestToken::new("noting").config()).unwrap();
    let (key, mint) = (pool.generate("k", KeyKind::P256).await.unwrap(), Arc::new(mint));
    let noting = {
        let pool = pool.clone();
        tokio::spawn(async move {
            for n in 1..200_u8 {
                pool.keep_note("log", vec![n], |value| value[0].into()).await.map_err(|e| format!("note {n}: {e}"))?;
            }
            Ok::<(), String>(())
        })
    };
    let mut signed = 0;
    while !noting.is_finished() || signed < 100 {
        pool.sign(mint.intent(signed, &key, b"m".to_vec().into())).await.unwrap();
        assert_eq!(pool.find("k").await.unwrap().fingerprint(), key.fingerprint());
        signed += 1;
    }
    assert_eq!((noting.await.unwrap(), pool.health()), (Ok(()), Health::Ready));
    assert!(pool.notes("log").await.unwrap().contains(&vec![199]));
}
