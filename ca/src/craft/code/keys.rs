//! Code-signing keys: they live in the token, each with an owner and a certificate.

use std::sync::Arc;

use hsm::{HsmError, Key, KeyKind, Pool};
use policy::{Action, Actor, Instance, Owner, Resource};
use serde_json::json;
use store::{ActorStamp, Filter, Issued, Kind, Record, RecordFilter, State};
use tokio::sync::Mutex;

use crate::craft::code::request::CodeKeyRequest;
use crate::craft::leaf::{Certifier, LeafRequest, Lifetime, Subject, Title, is_approved};
use crate::craft::office::Office;
use crate::encode::Dn;
use crate::error::CaError;
use crate::intake::SubjectKey;
use crate::listed::Listed;

/// Who makes code-signing keys and signs with them.
#[derive(Clone)]
pub(crate) struct CodeSigner {
    pub(crate) office: Office,
    pub(crate) certifier: Certifier,
    pub(crate) pool: Pool,
    instance: Instance,
    /// Held by whoever makes a key: they are made seldom, and each label once.
    making: Arc<Mutex<()>>,
}

impl CodeSigner {
    pub(crate) fn new(office: Office, certifier: Certifier, pool: Pool, instance: Instance) -> CodeSigner {
        CodeSigner { office, certifier, pool, instance, making: Arc::default() }
    }

    /// Makes a code-signing key in the token and its certificate. Run again after a crash, it continues.
    pub(crate) async fn create_code_key(&self, actor: &Actor, request: CodeKeyRequest) -> Result<Issued, CaError> {
        // Of several at once the first makes the key and the others find it made.
        let _making = self.making.lock().await;
        let CodeKeyRequest { label, owner, kind, subject } = request;
        // The alphabet of owners is the alphabet of labels; `code:` keeps them apart from the authority's own keys.
        Owner::parse(&label).map_err(|e| CaError::bad("label", e.why().to_owned()))?;
        let profile = self.office.profile(PROFILE)?;
        profile.check_key(kind).map_err(|e| CaError::bad("algorithm", e))?;
        is_approved(&profile, &[])?;
        let subject = subject.unwrap_or_else(|| label.clone());
        // What the certificate would refuse later is refused before a key is made that nobody can use.
        Dn::common_name(&subject).map_err(|e| CaError::bad("subject", e.to_string()))?;
        let grant = self
            .office
            .gate
            .authorize(actor, Action::CreateKey, Resource::code_key(Some(owner.clone()), &label))
            .await?;
        self.office.gate.check_owner(&owner)?;
        let resumed = self.claim_label(actor, &label, &owner).await?;
        let key = self.code_key_of_token(&label, kind, resumed).await?;
        self.office.ledger.record_key(&key, "code", ActorStamp::from(actor)).await?;
        let leaf = LeafRequest {
            key: SubjectKey::from_token(&key),
            subject: Subject::ByProfile(Title::named(subject)),
            lifetime: Lifetime::ByProfile,
            details: json!({ "key": label, "renew": false }),
            renews: None,
            approved: Vec::new(),
        };
        self.certifier.issue_leaf(grant, profile, leaf).await
    }

    /// Reserves a label for its owner and this node; `true` if an earlier attempt got so far but no certificate. What another node
    /// began is left to it for [`CLAIM_SECS`]; of two that claim at once the register takes one.
    async fn claim_label(&self, actor: &Actor, label: &str, owner: &Owner) -> Result<bool, CaError> {
        let taken = || CaError::Conflict(format!("a code-signing key `{label}` exists already"));
        let there = self.office.ledger.record_get(RECORD, label).await?;
        if let Some(record) = &there {
            let unfinished = match self.pool.find(&token_label(label)).await {
                Ok(key) => self.newest_certificate(&key).await?.is_none(),
                Err(HsmError::NotFound { .. }) => true,
                Err(e) => return Err(e.into()),
            };
            if !unfinished || record.owner.as_deref() != Some(owner.as_str()) {
                return Err(taken());
            }
            let ours = record.body.get(NODE).and_then(serde_json::Value::as_u64) == Some(self.instance.get().into());
            let is_over = self.office.checks.clock.now().await?.is_due(record.at, CLAIM_SECS);
            if !ours && !is_over {
                let why = format!("another node is making the code-signing key `{label}`; look in a minute");
                return Err(CaError::Conflict(why));
            }
        }
        let record = Record {
            kind: RECORD,
            id: label.to_owned(),
            owner: Some(owner.to_string()),
            lookup: None,
            expires: None,
            body: json!({ "token_label": token_label(label), NODE: self.instance.get() }),
            actor: ActorStamp::from(actor),
            expect: Some(there.as_ref().map_or(0, |record| record.version)),
        };
        self.office.ledger.record(vec![record]).await?;
        Ok(there.is_some())
    }

    async fn code_key_of_token(&self, label: &str, kind: KeyKind, resumed: bool) -> Result<Key, CaError> {
        let token_label = token_label(label);
        if resumed {
            match self.pool.find(&token_label).await {
                Ok(key) if key.kind() == kind => return Ok(key),
                Ok(key) => {
                    let made = key.kind();
                    let why = format!(
                        "the key `{label}` was made before and is {made}, not {kind}; say so, or take another name"
                    );
                    return Err(CaError::Conflict(why));
                }
                Err(HsmError::NotFound { .. }) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(self.pool.generate(&token_label, kind).await?)
    }

    /// The code-signing keys: label, owner, and the newest certificate of each. One that somebody altered signs nothing, nor one with such
    /// a certificate.
    pub(crate) async fn code_keys(&self) -> Result<Listed<(String, Owner, Issued)>, CaError> {
        let filter = RecordFilter { limit: LIST_MAX, ..RecordFilter::default() };
        let page = Listed::of(self.office.ledger.record_page(RECORD, filter).await?, LIST_MAX);
        let mut found = Listed { items: Vec::new(), next: None, altered: page.altered };
        for record in page.items {
            let Some(owner) = record.owner.as_deref().and_then(|o| Owner::parse(o).ok()) else { continue };
            let key = match self.pool.key(&token_label(&record.id)).await {
                Ok(key) => key,
                Err(HsmError::NotFound { .. }) => continue,
                Err(e) => return Err(e.into()),
            };
            match self.newest_certificate(&key).await {
                Ok(Some(certificate)) => found.items.push((record.id.clone(), owner, certificate)),
                Ok(None) => {}
                Err(CaError::Altered(_)) => found.altered = found.altered.saturating_add(1),
                Err(other) => return Err(other),
            }
        }
        Ok(found)
    }

    /// The newest certificate of a key that may be signed with: attested to be of this key and for code, and not revoked.
    pub(crate) async fn newest_certificate(&self, key: &Key) -> Result<Option<Issued>, CaError> {
        let filter = Filter {
            kind: Some(Kind::Certificate),
            state: Some(State::Issued),
            profile: Some(PROFILE.to_owned()),
            key_hash: Some(key.fingerprint()),
            ..Filter::default()
        };
        let newest = self.office.ledger.newest(filter).await?;
        Ok(newest.and_then(|found| found.into_inner().live().ok()))
    }
}

pub(crate) fn token_label(label: &str) -> String {
    format!("code:{label}")
}

const PROFILE: &str = "code-signing";
pub(crate) const RECORD: &str = "code-key";
/// Of a key's record: the node that makes it.
const NODE: &str = "node";
/// A key is made within seconds; a node that died over it is not waited for longer.
const CLAIM_SECS: i64 = 60;
/// One page of keys; nobody has more release keys than this.
const LIST_MAX: usize = 1000;
