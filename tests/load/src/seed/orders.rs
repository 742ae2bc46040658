//! Finished ACME orders: an account's record and the hold on its key, then for each order the versions of its record and of its
//! authorization's that the server writes from newOrder to the certificate. Bodies as the ACME room has them.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use policy::World;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use store::{ActorStamp, Record};

use super::{SeedError, stamp};
use crate::fleet::host_name;

const OWNER: &str = "acme";
const DOMAIN: &str = "acme.example.internal";
/// How long orders and authorizations hold, seconds.
const LIFE_SECS: i64 = 8 * 3_600;

/// An account, and its private key, which nobody keeps unless asked to.
pub(super) struct Account {
    id: String,
    pkcs8: Vec<u8>,
    key: Value,
    thumbprint: String,
    created: String,
}

pub(super) fn accounts(count: u64, world: &World) -> Result<Vec<Account>, SeedError> {
    let random = SystemRandom::new();
    (0..count)
        .map(|_| {
            let refused = |e: &dyn std::fmt::Display| SeedError::Make(e.to_string());
            let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|e| refused(&e))?;
            let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).map_err(|e| refused(&e))?;
            let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
            let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
            // RFC 7638 section 3: the members in this order, without white space.
            let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
            Ok(Account {
                id: fresh_id(world),
                pkcs8: pkcs8.as_ref().to_vec(),
                key: json!({ "crv": "P-256", "kty": "EC", "x": x, "y": y }),
                thumbprint: URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes())),
                created: world.now().rfc3339(),
            })
        })
        .collect()
}

/// Writes the keys down for a client: a list of `{"id", "pkcs8"}`.
pub(super) fn keep_keys(accounts: &[Account], path: &Path) -> Result<(), SeedError> {
    let kept: Vec<Value> = accounts.iter().map(|a| json!({ "id": a.id, "pkcs8": STANDARD.encode(&a.pkcs8) })).collect();
    std::fs::write(path, Value::from(kept).to_string()).map_err(|e| SeedError::Make(format!("{}: {e}", path.display())))
}

impl Account {
    /// The account and the hold on its key, in one call.
    pub(super) fn opening(&self) -> Vec<Record> {
        let body = json!({
            "id": self.id, "status": "valid", "key": self.key, "contact": ["mailto:ops@example.internal"],
            "agreed": true, "created": self.created,
        });
        let holder = json!({ "thumbprint": self.thumbprint, "account": self.id });
        vec![
            self.record("acme-account", &self.id, Some(self.thumbprint.clone()), None, body),
            self.record("acme-key", &self.thumbprint, Some(self.id.clone()), None, holder),
        ]
    }

    fn record(
        &self,
        kind: &'static str,
        id: &str,
        lookup: Option<String>,
        expires: Option<policy::Timestamp>,
        body: Value,
    ) -> Record {
        let owner = Some(OWNER.to_owned());
        Record { kind, id: id.to_owned(), owner, lookup, expires, body, actor: self.actor(), expect: None }
    }

    fn actor(&self) -> ActorStamp {
        stamp(&format!("acme:{}", self.id), "acme-key", &self.thumbprint)
    }
}

/// The calls of one order for one name by http-01, in their order.
pub(super) fn finished(account: &Account, profile: &str, number: u64, world: &World) -> Vec<Vec<Record>> {
    let now = world.now();
    let expires = now.plus_secs(LIFE_SECS);
    let (order_id, authz_id) = (fresh_id(world), fresh_id(world));
    let name = host_name(number as u32, DOMAIN);
    let (at, ends, tokens) = (now.rfc3339(), expires.rfc3339(), [fresh_token(world), fresh_token(world)]);

    let authz = |status: &str, challenge: &str| {
        let mut http01 = json!({ "kind": "http-01", "token": tokens[0], "status": challenge });
        if let Some(http01) = http01.as_object_mut().filter(|_| challenge != "pending") {
            http01.insert("began".into(), json!(at));
            if challenge == "valid" {
                http01.insert("validated".into(), json!(at));
            }
        }
        let body = json!({
            "id": authz_id, "account": account.id, "order": order_id,
            "identifier": { "type": "dns", "value": name }, "status": status, "expires": ends,
            "challenges": [http01, { "kind": "dns-01", "token": tokens[1], "status": "pending" }],
        });
        let lookup = Some(format!("{} dns:{name}", account.id));
        account.record("acme-authz", &authz_id, lookup, Some(expires), body)
    };
    let csr = hex::encode(digest(&SHA256, name.as_bytes()));
    let key = hex::encode(digest(&SHA256, csr.as_bytes()));
    let order = |status: &str| {
        let mut body = json!({
            "id": order_id, "account": account.id, "status": status,
            "identifiers": [{ "type": "dns", "value": name }], "authzs": [authz_id],
            "profile": profile, "created": at, "expires": ends,
        });
        if let Some(body) = body.as_object_mut() {
            if matches!(status, "processing" | "valid") {
                body.insert("finalized".into(), json!({ "csr": csr, "key": key, "at": at }));
            }
            if status == "valid" {
                body.insert("serial".into(), json!(format!("0101{}", &key[..28])));
            }
        }
        account.record("acme-order", &order_id, Some(account.id.clone()), Some(expires), body)
    };
    vec![
        vec![authz("pending", "pending"), order("pending")],
        vec![authz("pending", "processing")],
        vec![authz("valid", "valid")],
        vec![order("ready")],
        vec![order("processing")],
        vec![order("valid")],
    ]
}

/// As the server names its objects: inverted time, then 96 random bits.
fn fresh_id(world: &World) -> String {
    let now = u32::try_from(world.now().unix().max(0)).unwrap_or(u32::MAX);
    let mut random = [0; 12];
    world.fill(&mut random);
    format!("{:08x}{}", u32::MAX - now, hex::encode(random))
}

fn fresh_token(world: &World) -> String {
    let mut random = [0; 32];
    world.fill(&mut random);
    URL_SAFE_NO_PAD.encode(random)
}
