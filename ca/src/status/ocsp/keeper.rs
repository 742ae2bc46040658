//! The keeper of a responder: finds this node's, or makes one, and puts a new one in its place in good time.
//!
//! Each node has its own key, made in the token when the first question comes. Half-way through a certificate's two weeks there is
//! a new key with a new one; what the old one signed goes on as it is until it ends, as each response carries its responder.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hsm::{HsmError, Key, KeyKind, Pool};
use policy::{Action, Actor, Grant, Instance, Resource, ResourceKind, Timestamp};
use serde_json::json;
use store::{ActorStamp, Attested, Credential, Filter, Kind, State};

use crate::craft::Office;
use crate::craft::ocsp::{PROFILE, RESPONDER_SECS, Responder, draft_responder};
use crate::error::CaError;
use crate::issuers::Issuing;

/// Who makes and finds the responders of one issuer.
pub(super) struct Keeper {
    pub(super) office: Office,
    pool: Pool,
    pub(super) instance: Instance,
    /// A key that was made and has no certificate yet: what failed after it does not make another.
    spare: Mutex<Option<Key>>,
}

impl Keeper {
    pub(super) fn new(office: Office, pool: Pool, instance: Instance) -> Keeper {
        Keeper { office, pool, instance, spare: Mutex::default() }
    }

    /// This node's responder for an issuer: the newest that the register and the token have, or a new one.
    pub(super) async fn responder(&self, issuer: &Arc<Issuing>, now: Timestamp) -> Result<Arc<Responder>, CaError> {
        match self.there(issuer, now).await? {
            Some(responder) => Ok(responder),
            None => self.make(issuer).await,
        }
    }

    /// Whether it may answer now.
    pub(super) fn is_usable(&self, responder: &Responder, now: Timestamp) -> bool {
        let ledger = &self.office.ledger;
        let left = responder.validity.not_after().since(now);
        let least = if lasts_as_its_issuer(responder) { 1 } else { LEFT_SECS_MIN };
        left >= least
            && responder.validity.not_before() <= now
            && !ledger.is_revoked(responder.operation)
            && !self.office.checks.is_compromised(&responder.key.fingerprint())
    }

    /// Whether a new one is to be made although this one may answer yet.
    pub(super) fn is_due(&self, responder: &Responder, now: Timestamp) -> bool {
        responder.validity.not_after().since(now) < RESPONDER_SECS / 2 && !lasts_as_its_issuer(responder)
    }

    async fn there(&self, issuer: &Arc<Issuing>, now: Timestamp) -> Result<Option<Arc<Responder>>, CaError> {
        let filter = Filter {
            kind: Some(Kind::Certificate),
            profile: Some(PROFILE.to_owned()),
            issuer: Some(issuer.label.clone()),
            state: Some(State::Issued),
            not_after_after: Some(now),
            limit: LOOKED_AT_MAX,
            ..Filter::default()
        };
        for found in self.office.ledger.matching(filter).await? {
            if let Some(responder) = self.of_this_node(issuer, &found).await?
                && self.is_usable(&responder, now)
            {
                return Ok(Some(Arc::new(responder)));
            }
        }
        Ok(None)
    }

    async fn of_this_node(
        &self,
        issuer: &Arc<Issuing>,
        found: &Attested<Credential>,
    ) -> Result<Option<Responder>, CaError> {
        let ours = found.details.get(NODE).and_then(serde_json::Value::as_u64) == Some(self.instance.get().into());
        let label = found.details.get(KEY).and_then(serde_json::Value::as_str);
        let (true, Some(label), Some(validity), Some(der)) = (ours, label, found.validity, found.x509_der()) else {
            return Ok(None);
        };
        let key = match self.pool.key(label).await {
            Ok(key) if key.fingerprint() == found.key_hash => key,
            Ok(_) | Err(HsmError::NotFound { .. }) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        Responder::new(issuer, key, (found.operation, der, validity)).map(Some)
    }

    /// Makes a key and its certificate. A crash in between leaves a key that nothing speaks for. No key is made where its certificate
    /// would be refused.
    pub(super) async fn make(&self, issuer: &Arc<Issuing>) -> Result<Arc<Responder>, CaError> {
        let office = &self.office;
        if let Some(why) = office.checks.dead(issuer) {
            return Err(CaError::Conflict(why));
        }
        let grant = grant(office)?;
        let asks = ActorStamp::from(grant.actor());
        let now = office.checks.clock.now_for(&asks, issuer, 1).await?;
        let serial = office.serials.next();
        let spare = self.spare().take();
        let key = match spare {
            Some(key) => key,
            None => self.key(issuer, &serial.hex()).await?,
        };
        *self.spare() = Some(key.clone());
        office.ledger.record_key(&key, PROFILE, asks).await?;
        let details = json!({ KEY: key.label(), NODE: self.instance.get() });
        let issued = office.issue(draft_responder(grant, issuer, &key, serial, (now, details))?).await?;
        self.spare().take();
        let validity = issued.validity.ok_or_else(|| CaError::Internal("a certificate has a validity".to_owned()))?;
        tracing::info!(issuer = %issuer.label, until = %validity.not_after(), key = key.label(), "a new OCSP responder");
        Ok(Arc::new(Responder::new(issuer, key, (issued.operation, issued.x509_der(), validity))?))
    }

    fn spare(&self) -> MutexGuard<'_, Option<Key>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn key(&self, issuer: &Issuing, serial: &str) -> Result<Key, CaError> {
        let label = format!("{}{KEYS}{serial}", issuer.name().label());
        Ok(self.pool.generate(&label, kind_for(issuer.key.kind())).await?)
    }
}

/// Whoever can verify what the issuer signs can verify what its responder does, and it is no weaker link: a key of the issuer's own
/// kind. RSA with PKCS#1 where the issuer signs by PSS, which fewer verify; and of no more than 3072 bits, since a token may take a
/// minute for a longer one and responses would be as large as their certificates.
fn kind_for(issuer: KeyKind) -> KeyKind {
    match issuer {
        KeyKind::Rsa2048 | KeyKind::Rsa2048Pss => KeyKind::Rsa2048,
        KeyKind::Rsa3072 | KeyKind::Rsa3072Pss | KeyKind::Rsa4096 | KeyKind::Rsa4096Pss => KeyKind::Rsa3072,
        KeyKind::P256 | KeyKind::P384 | KeyKind::P521 | KeyKind::Ed25519 => issuer,
        KeyKind::MlDsa44 | KeyKind::MlDsa65 | KeyKind::MlDsa87 => issuer,
    }
}

/// Nothing that is made now would last longer.
fn lasts_as_its_issuer(responder: &Responder) -> bool {
    responder.validity.not_after() >= responder.issuer.validity.not_after()
}

/// For what the service does by itself to answer.
pub(super) fn grant(office: &Office) -> Result<Grant, CaError> {
    let authority = Resource::plain(ResourceKind::Authority);
    office.gate.decide_own(&Actor::system("ocsp"), Action::ManageAuthority, &authority)
}

/// Of a responder's certificate: the label of its key in the token, and the node that has it.
const KEY: &str = "key";
const NODE: &str = "node";
/// Between the issuer and a serial in the label of a responder's key.
pub(super) const KEYS: &str = "-ocsp-";
/// One with less left is not begun with.
const LEFT_SECS_MIN: i64 = 3_600;
/// Two weeks of several nodes' responders.
const LOOKED_AT_MAX: usize = 64;
