//! Certificates of a fleet: each with a name, a key and a serial of its own, and a life between a day and three months.

use std::ops::Range;

use hsm::{Key, KeyKind, Message};
use policy::{Owner, Serial, Validity, World};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use store::testing::{Made, Seed, Seeder};
use store::{ActorStamp, Entry, GrantStamp, Kind};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::config::Config;
use super::tbs::{Subject, Template, spki};
use super::{SeedError, Wish, stamp};
use crate::fleet::host_name;

const ISSUER: &str = "tls/1";
const PROFILE: &str = "tls-server";
const OWNER: &str = "default";
const DOMAIN: &str = "example.internal";
/// What `chancery init` files the administrator's token under.
const TOKENS: &str = "api-token";
/// CRLReason superseded (RFC 5280 section 5.3.1).
const SUPERSEDED: u8 = 4;
const DAY_SECS: i64 = 86_400;
/// The profile's longest life.
const LIFE_DAYS_MAX: u32 = 90;
/// How long ago the oldest of the aged ones began: a month longer than the longest life.
const SINCE_SECS_MAX: u32 = 120 * 86_400;

/// Makes and signs.
pub(super) struct Maker {
    template: Template,
    pair: EcdsaKeyPair,
    key: Key,
    profile_hash: [u8; 32],
    policy_hash: [u8; 32],
    actor: ActorStamp,
    /// Whose they are, in turn.
    owners: Vec<Owner>,
    instance: policy::Instance,
    world: World,
    random: SystemRandom,
}

/// So many owners, at least the one that a demo has.
fn owners_of(many: u64) -> Result<Vec<Owner>, SeedError> {
    let others = (1..many).map(|number| format!("team{number}"));
    let names = std::iter::once(OWNER.to_owned()).chain(others);
    names.map(|name| Owner::parse(&name).map_err(|e| SeedError::Make(e.to_string()))).collect()
}

impl Maker {
    /// Makes the key, records it, and learns from the register whose certificates it makes.
    pub(super) fn new(
        seeder: &mut Seeder,
        config: &Config,
        owners: u64,
        world: World,
        made: &mut Made,
    ) -> Result<Maker, SeedError> {
        let lacking = |what: &str| SeedError::Config(format!("the register has no {what}: run `chancery init` first"));
        let authorities = seeder.authorities()?;
        let labelled = |label: &serde_json::Value| label.as_str() == Some(ISSUER);
        let authority = authorities.into_iter().find(|ca| ca.details.get("generation").is_some_and(labelled));
        let authority = authority.ok_or_else(|| lacking("CA for TLS"))?;
        let der = authority.x509_der().ok_or_else(|| lacking("certificate of the CA for TLS"))?;
        let (_, certificate) = X509Certificate::from_der(&der).map_err(|e| SeedError::Make(e.to_string()))?;
        let token = seeder.records(TOKENS)?.into_iter().next().ok_or_else(|| lacking("administrator's token"))?;
        let name = token.body.get("name").and_then(serde_json::Value::as_str).unwrap_or("admin");
        let actor = stamp(&format!("token:{name}"), "token", &token.id);

        let random = SystemRandom::new();
        let refused = |what: &dyn std::fmt::Display| SeedError::Make(what.to_string());
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).map_err(|e| refused(&e))?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random);
        let pair = pair.map_err(|e| refused(&e))?;
        let point = pair.public_key().as_ref();
        let spki = spki(point);
        let label = format!("seed-{}", &hex::encode(digest(&SHA256, &spki).as_ref())[..8]);
        let key = hsm::testing::outside_key(&label, KeyKind::P256, spki);
        *made += seeder.record_key(&key, stamp("system:seed", "system", ""))?;
        Ok(Maker {
            template: Template::new(certificate.subject().as_raw(), point, config.public_http(), ISSUER),
            pair,
            key,
            profile_hash: config.profile_hash(PROFILE)?,
            policy_hash: authority.grant.policy_hash,
            actor,
            owners: owners_of(owners)?,
            instance: config.instance()?,
            world,
            random,
        })
    }

    pub(super) fn profile(&self) -> &'static str {
        PROFILE
    }

    pub(super) fn key_fingerprint(&self) -> String {
        self.key.fingerprint_hex()
    }

    /// The certificates of these numbers, all of one moment, so that times in the log do not go back.
    pub(super) fn batch(&self, numbers: Range<u64>, wish: &Wish) -> Result<Vec<Seed>, SeedError> {
        let now = self.world.now();
        numbers.map(|number| self.seed(number, now, wish)).collect()
    }

    fn seed(&self, number: u64, now: policy::Timestamp, wish: &Wish) -> Result<Seed, SeedError> {
        let refused = |_| SeedError::Make("no key".into());
        let is_aged = spread(number, wish.aged, wish.certificates);
        let named = if is_aged && number % 5 == 4 { number - 1 } else { number };
        let name = host_name(named as u32, DOMAIN);
        let owner = usize::try_from(named).ok().and_then(|named| self.owners.get(named % self.owners.len().max(1)));
        let serial = Serial::generate(&self.world, self.instance);
        let mut days = [0; 4];
        self.world.fill(&mut days);
        let days = 1 + u32::from_be_bytes(days) % LIFE_DAYS_MAX;
        let mut since = [0; 4];
        self.world.fill(&mut since);
        let since = if is_aged { i64::from(u32::from_be_bytes(since) % SINCE_SECS_MAX) } else { 0 };
        let validity = Validity::starting(now.plus_secs(-since), i64::from(days) * DAY_SECS);
        let subject_key = EphemeralPrivateKey::generate(&ECDH_P256, &self.random).map_err(refused)?;
        let point = subject_key.compute_public_key().map_err(refused)?;
        let (point, serial) = (point.as_ref(), serial.as_bytes());
        let tbs = self.template.encode(&Subject { serial, name: &name, validity, point });
        let signature = self.pair.sign(&self.random, &tbs).map_err(refused)?.as_ref().to_vec();
        let mut key_hash = [0; 32];
        key_hash.copy_from_slice(digest(&SHA256, &spki(point)).as_ref());
        let entry = Entry {
            kind: Kind::Certificate,
            actor: self.actor.clone(),
            grant: self.grant("issue-certificate"),
            profile: PROFILE.into(),
            profile_hash: self.profile_hash,
            key: self.key.clone(),
            message: Message::from(tbs),
            serial: serial.to_vec(),
            issuer: ISSUER.into(),
            owner: owner.cloned(),
            subject: format!("CN={name}"),
            names: vec![format!("dns:{name}")],
            key_hash,
            validity: Some(validity),
            covers: None,
            renews: None,
            details: match is_aged && number % 7 == 3 {
                true => serde_json::json!({ "renew": false, "agent": true }),
                false => serde_json::json!({ "renew": spread(number, wish.renewing, wish.certificates) }),
            },
        };
        let revoked = spread(number, wish.revoked, wish.certificates);
        Ok(Seed::new(entry, signature, revoked.then(|| (SUPERSEDED, self.grant("revoke-certificate"))), now)?)
    }

    fn grant(&self, action: &str) -> GrantStamp {
        GrantStamp { action: action.into(), rule: "administrator".into(), policy_hash: self.policy_hash }
    }
}

/// Whether the number is one of `some` that are spread evenly over `all`.
fn spread(number: u64, some: u64, all: u64) -> bool {
    let before = |n: u64| u128::from(n) * u128::from(some.min(all)) / u128::from(all.max(1));
    before(number + 1) > before(number)
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn as_many_are_chosen_as_asked_for_and_evenly() {
        for (some, all) in [(0, 10), (3, 10), (10, 10), (99, 10), (100_000, 1_000_000)] {
            assert_eq!((0..all).filter(|n| spread(*n, some, all)).count() as u64, some.min(all));
        }
        assert_eq!((0..500).filter(|n| spread(*n, 100, 1_000)).count(), 50);
    }
}
