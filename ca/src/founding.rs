//! How the keys and CAs of an authority come to be.
//!
//! A root that signs two issuing CAs, one for TLS and one for code, each limited by pathlen and EKU to what it is for; two
//! SSH CA keys; a key for the log's heads and one for sealing. All keys are made in the token; the CA certificates walk the
//! same page as every other signature.
//!
//! Making it can be interrupted anywhere and run again: a record in the register says that it has begun, so keys found in
//! the token afterwards are known to be ours. Without that record, a key under one of our labels belongs to somebody else, and
//! nothing is made: two registers over one key would each be half the truth.

use std::sync::Arc;

use const_oid::db::rfc5280;
use hsm::{HsmError, Key, KeyKind};
use policy::{Action, Actor, Grant, Resource, ResourceKind, Serial};
use serde_json::json;
use spki::ObjectIdentifier;
use store::{ActorStamp, Record};

use crate::checks::{Checked, Checks};
use crate::craft::ca::{self, CaPlan};
use crate::encode::{Dn, DnError};
use crate::error::CaError;
use crate::issuers::labels::{CODE, LOG, ROOT, SEAL, SSH_HOST, SSH_USER, TLS};
use crate::issuers::{Issuing, newest_certificate};
use crate::parts::Parts;
use crate::registrar::Registrar;
use crate::texts;

/// How a new authority is to be.
#[derive(Clone, Debug)]
pub struct CreateConfig {
    /// What its CAs are called: `O=` of their subjects, and the beginning of their common names.
    pub organization: String,
    /// A distinguished name to put in place of `O=organization`, as in `/DC=com/DC=example/O=Example+OU=PKI`.
    pub base: Option<Dn>,
    /// The root's key; P-384 by default.
    pub root: KeyKind,
    /// The issuing CAs' keys; P-256 by default.
    pub issuing: KeyKind,
    /// The SSH CAs' keys: P-256 (default), P-384, P-521 or Ed25519.
    pub ssh: KeyKind,
}

impl CreateConfig {
    /// The defaults, for an organization.
    pub fn new(organization: impl Into<String>) -> CreateConfig {
        CreateConfig {
            organization: organization.into(),
            base: None,
            root: KeyKind::P384,
            issuing: KeyKind::P256,
            ssh: KeyKind::P256,
        }
    }

    fn check(&self) -> Result<(), CaError> {
        if self.organization.is_empty() || self.organization.len() > ORGANIZATION_MAX {
            return Err(CaError::bad("organization", format!("1 to {ORGANIZATION_MAX} bytes")));
        }
        match self.ssh {
            KeyKind::P256 | KeyKind::P384 | KeyKind::P521 | KeyKind::Ed25519 => Ok(()),
            _ => Err(CaError::bad("ssh", "an SSH CA key is P-256, P-384, P-521 or Ed25519")),
        }
    }

    fn subject(&self, role: &str) -> Result<Dn, CaError> {
        let refused = |e: DnError| CaError::bad("organization", e.to_string());
        let base = self.base.clone().map_or_else(|| Dn::organization(&self.organization), Ok).map_err(refused)?;
        base.and("CN", &format!("{} {role}", self.organization)).map_err(refused)
    }
}

/// Makes what is not there yet.
pub(crate) async fn create(parts: &Parts, config: &CreateConfig) -> Result<(), CaError> {
    config.check()?;
    begin(parts, config).await?;
    texts::record(parts).await?;
    let root = key(parts, ROOT, &[config.root]).await?;
    let tls = key(parts, TLS, &[config.issuing]).await?;
    let code = key(parts, CODE, &[config.issuing]).await?;
    key(parts, SSH_USER, &[config.ssh]).await?;
    key(parts, SSH_HOST, &[config.ssh]).await?;
    // The log's heads are Ed25519 notes where the token can; every C2SP client reads those.
    key(parts, LOG, &[KeyKind::Ed25519, KeyKind::P256]).await?;
    if !parts.pool.has_sealing(SEAL).await? {
        parts.pool.generate_sealing(SEAL).await?;
    }

    let root = certify(parts, plan(config, ROOT)?, root, None).await?;
    certify(parts, plan(config, TLS)?, tls, Some(root.clone())).await?;
    certify(parts, plan(config, CODE)?, code, Some(root)).await?;
    Ok(())
}

/// Notes in the register that keys under our labels are ours from now on.
async fn begin(parts: &Parts, config: &CreateConfig) -> Result<(), CaError> {
    if parts.ledger.record_get(RECORD, RECORD).await?.is_some() {
        return Ok(());
    }
    for label in [ROOT, TLS, CODE, SSH_USER, SSH_HOST, LOG] {
        match parts.pool.find(label).await {
            Err(HsmError::NotFound { .. }) => {}
            Ok(_) | Err(HsmError::Unfit { .. }) => return Err(taken(label)),
            Err(e) => return Err(e.into()),
        }
    }
    if parts.pool.has_sealing(SEAL).await? {
        return Err(taken(SEAL));
    }
    let record = Record {
        kind: RECORD,
        id: RECORD.to_owned(),
        owner: None,
        lookup: None,
        expires: None,
        body: json!({ "organization": config.organization }),
        actor: ActorStamp::from(&init()),
        expect: Some(0),
    };
    parts.ledger.record(vec![record]).await?;
    Ok(())
}

fn taken(label: &str) -> CaError {
    CaError::Conflict(format!(
        "the token already holds a key `{label}`, and this register did not make it; use a fresh token, or the register that did"
    ))
}

/// Finds a key of ours, or makes it of the first kind that the token can.
async fn key(parts: &Parts, label: &str, kinds: &[KeyKind]) -> Result<Key, CaError> {
    let mut found = parts.pool.find(label).await;
    for kind in kinds {
        match found {
            Err(HsmError::NotFound { .. } | HsmError::Unsupported(_)) => {
                found = parts.pool.generate(label, *kind).await
            }
            Ok(_) | Err(_) => break,
        }
    }
    let key = found?;
    parts.ledger.record_key(&key, label, ActorStamp::from(&init())).await?;
    Ok(key)
}

fn plan(config: &CreateConfig, label: &'static str) -> Result<CaPlan, CaError> {
    let (role, validity_secs, path_len, purposes): (_, _, _, Vec<ObjectIdentifier>) = match label {
        TLS => ("TLS CA", ISSUING_SECS, 0, vec![rfc5280::ID_KP_SERVER_AUTH, rfc5280::ID_KP_CLIENT_AUTH]),
        CODE => ("Code CA", ISSUING_SECS, 0, vec![rfc5280::ID_KP_CODE_SIGNING]),
        _ => ("Root CA", ROOT_SECS, 1, Vec::new()),
    };
    Ok(CaPlan { label, subject: config.subject(role)?, validity_secs, path_len, purposes })
}

/// Finds the certificate of one of our CAs, or issues it.
async fn certify(parts: &Parts, plan: CaPlan, key: Key, issuer: Option<Arc<Issuing>>) -> Result<Arc<Issuing>, CaError> {
    let label = plan.label;
    let certificate = match newest_certificate(&parts.ledger, label, &key).await?.filter(|there| there.is_live) {
        Some(there) => there.into(),
        None => {
            let checks = Checks::new(parts.world.clone(), &parts.ledger);
            let registrar = Registrar::new(parts.ledger.clone(), parts.pool.clone());
            let serial = Serial::generate(&parts.world, parts.instance);
            let now = checks.clock.now().await?;
            let draft = ca::draft(grant(parts)?, plan, &key, issuer.clone(), serial, now)?;
            let issued = registrar.issue(Checked::new(draft.lint()?, &checks).await?).await?;
            (issued.operation, issued.x509_der())
        }
    };
    Ok(Arc::new(Issuing::new(label, key, certificate, issuer.as_deref(), &parts.urls)?))
}

fn grant(parts: &Parts) -> Result<Grant, CaError> {
    Ok(parts.policies.decide(&init(), Action::ManageAuthority, &Resource::plain(ResourceKind::Authority))?)
}

fn init() -> Actor {
    Actor::system("init")
}

const RECORD: &str = "authority";
/// Leaves room in a common name of 64 for ` Code CA`.
const ORGANIZATION_MAX: usize = 48;
/// Ten years, and half of that below it: an issuing CA is replaced while its root still has years.
const ROOT_SECS: i64 = 10 * 365 * 86_400;
const ISSUING_SECS: i64 = 5 * 365 * 86_400;
