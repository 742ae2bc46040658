//! Code signing: keys that live in the token, signatures over a file's digest.
//!
//! The file never comes here, only its SHA-256. A bare signature is over that digest; a CMS one is over attributes that
//! name it (see `cms`).

use hsm::{HsmError, Key, KeyKind, Message};
use policy::{Action, Actor, Owner, Resource, Timestamp};
use serde_json::json;
use store::{ActorStamp, Credential, Filter, Issued, Kind, Record, RecordFilter, State};

use crate::cms::{Signer, signed_attributes, signed_data};
use crate::draft::{Draft, DraftError, Expect, Facts, ProfileStamp};
use crate::draft_x509::{LeafRequest, Subject};
use crate::error::CaError;
use crate::hierarchy::CODE;
use crate::subject_key::{SubjectKey, sha256};
use crate::{Authority, Dn};

/// How a code signature is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeFormat {
    /// The bare signature over the file (`openssl dgst -verify`).
    Raw,
    /// A detached CMS SignedData, DER (`openssl cms -verify`).
    Cms,
}

impl CodeFormat {
    /// The stable name: `raw`, `cms`.
    pub fn as_str(self) -> &'static str {
        match self {
            CodeFormat::Raw => "raw",
            CodeFormat::Cms => "cms",
        }
    }
}

impl std::str::FromStr for CodeFormat {
    type Err = CaError;
    fn from_str(s: &str) -> Result<CodeFormat, CaError> {
        match s {
            "raw" => Ok(CodeFormat::Raw),
            "cms" => Ok(CodeFormat::Cms),
            _ => Err(CaError::bad("format", format!("`{s}` is not a format; say raw or cms"))),
        }
    }
}

/// A request for a code-signing key and its certificate.
#[derive(Clone, Debug)]
pub struct CodeKeyRequest {
    /// The key's name: `[a-z0-9][a-z0-9._-]{0,62}`.
    pub label: String,
    /// Whose it is.
    pub owner: Owner,
    /// P-256 or RSA.
    pub kind: KeyKind,
    /// The certificate's common name; default: the label.
    pub subject: Option<String>,
}

/// A request for a code signature.
#[derive(Clone, Debug)]
pub struct CodeRequest {
    /// The key's name.
    pub key: String,
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
    /// How to pack it.
    pub format: CodeFormat,
    /// The file's name, for the register.
    pub file_name: Option<String>,
}

/// A code signature.
#[derive(Clone, Debug)]
pub struct CodeSignature {
    /// The register's row.
    pub issued: Issued,
    /// The signature in the format asked for.
    pub bytes: Vec<u8>,
    /// The signer's certificate and intermediates, PEM.
    pub chain_pem: String,
}

impl Authority {
    /// Makes a code-signing key in the token and its certificate. Run again after a crash, it continues.
    pub async fn create_code_key(&self, actor: &Actor, request: CodeKeyRequest) -> Result<Issued, CaError> {
        let CodeKeyRequest { label, owner, kind, subject } = request;
        // The alphabet of owners is the alphabet of labels; `code:` keeps them apart from the authority's own keys.
        Owner::parse(&label).map_err(|e| CaError::bad("label", e.why().to_owned()))?;
        let profile = self.profile(PROFILE)?;
        profile.check_key(kind).map_err(|e| CaError::bad("algorithm", e))?;
        let subject = subject.unwrap_or_else(|| label.clone());
        // What the certificate would refuse later is refused before a key is made that nobody can use.
        Dn::common_name(&subject).map_err(|e| CaError::bad("subject", e.to_string()))?;
        let grant = self.authorize(actor, Action::CreateKey, Resource::code_key(Some(owner.clone()), &label)).await?;
        let resumed = self.claim_label(actor, &label, &owner).await?;
        let key = self.code_key_of_token(&label, kind, resumed).await?;
        self.ledger().record_key(&key, "code", ActorStamp::from(actor)).await?;
        let leaf = LeafRequest {
            key: SubjectKey::from_token(&key),
            subject: Subject::ByProfile(Some(subject)),
            validity_secs: None,
            details: json!({ "key": label, "renew": false }),
        };
        self.issue_leaf(grant, profile, leaf).await
    }

    /// Reserves a label for its owner; `true` if an earlier attempt got so far but no certificate.
    async fn claim_label(&self, actor: &Actor, label: &str, owner: &Owner) -> Result<bool, CaError> {
        let taken = || CaError::Conflict(format!("a code-signing key `{label}` exists already"));
        if let Some(record) = self.ledger().record_get(RECORD, label).await? {
            let unfinished = match self.pool().find(&token_label(label)).await {
                Ok(key) => self.newest_certificate(&key).await?.is_none(),
                Err(HsmError::NotFound { .. }) => true,
                Err(e) => return Err(e.into()),
            };
            return if unfinished && record.owner.as_deref() == Some(owner.as_str()) { Ok(true) } else { Err(taken()) };
        }
        let record = Record {
            kind: RECORD,
            id: label.to_owned(),
            owner: Some(owner.to_string()),
            lookup: None,
            expires: None,
            body: json!({ "token_label": token_label(label) }),
            actor: ActorStamp::from(actor),
            expect: Some(0),
        };
        self.ledger().record(vec![record]).await?;
        Ok(false)
    }

    async fn code_key_of_token(&self, label: &str, kind: KeyKind, resumed: bool) -> Result<Key, CaError> {
        let token_label = token_label(label);
        if resumed {
            match self.pool().find(&token_label).await {
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
        Ok(self.pool().generate(&token_label, kind).await?)
    }

    /// The code-signing keys: label, owner, and the newest certificate of each.
    pub async fn code_keys(&self) -> Result<Vec<(String, Owner, Issued)>, CaError> {
        let mut found = Vec::new();
        for record in
            self.ledger().record_list(RECORD, RecordFilter { limit: LIST_MAX, ..RecordFilter::default() }).await?
        {
            let Some(owner) = record.owner.as_deref().and_then(|o| Owner::parse(o).ok()) else { continue };
            let key = match self.pool().key(&token_label(&record.id)).await {
                Ok(key) => key,
                Err(HsmError::NotFound { .. }) => continue,
                Err(e) => return Err(e.into()),
            };
            if let Some(certificate) = self.newest_certificate(&key).await? {
                found.push((record.id, owner, certificate));
            }
        }
        Ok(found)
    }

    /// Signs a file's digest with a code-signing key.
    pub async fn sign_code(&self, actor: &Actor, request: CodeRequest) -> Result<CodeSignature, CaError> {
        check_file_name(request.file_name.as_deref())?;
        let unknown = || CaError::NotFound(format!("code-signing key `{}`", request.key));
        let record = self.ledger().record_get(RECORD, &request.key).await?.ok_or_else(unknown)?;
        let owner = record.owner.as_deref().and_then(|o| Owner::parse(o).ok()).ok_or_else(unknown)?;
        let grant =
            self.authorize(actor, Action::SignCode, Resource::code_key(Some(owner.clone()), &request.key)).await?;
        let key = self.pool().key(&token_label(&request.key)).await?;
        let certificate = self.newest_certificate(&key).await?.ok_or_else(unknown)?;
        let now = self.inner.clock.now().await?;
        if !certificate.validity.is_some_and(|v| v.contains(now)) {
            return Err(CaError::bad("key", format!("the certificate of `{}` has expired; renew it", request.key)));
        }
        let certificate_der = certificate.x509_der();
        let attributes = signed_attributes(&request.sha256, now, &certificate_der).map_err(DraftError::from)?;
        let message = match request.format {
            CodeFormat::Raw => Message::Sha256(request.sha256),
            CodeFormat::Cms => Message::from(attributes.clone()),
        };
        let facts = Facts {
            kind: Kind::CodeSignature,
            profile: signature_profile(request.format),
            message,
            serial: self.new_serial().as_bytes().to_vec(),
            issuer: key.label().to_owned(),
            owner: Some(owner),
            subject: certificate.subject.clone(),
            names: Vec::new(),
            key_hash: key.fingerprint(),
            validity: None,
            details: json!({
                "certificate": certificate.serial_hex(),
                "file_name": request.file_name,
                "format": request.format.as_str(),
                "sha256": hex::encode(request.sha256),
            }),
            key: key.clone(),
        };
        let expect = Expect::Code {
            format: request.format,
            digest: request.sha256,
            certificate_der: certificate_der.clone(),
            now,
        };
        let issued = self.issue(Draft::new(grant, facts, expect).lint()?).await?;
        let bytes = match request.format {
            CodeFormat::Raw => issued.signature().to_vec(),
            CodeFormat::Cms => self.pack(&attributes, &issued, &certificate, &certificate_der)?,
        };
        Ok(CodeSignature { issued, bytes, chain_pem: self.chain_pem(&certificate) })
    }

    fn pack(
        &self,
        attributes: &[u8],
        issued: &Issued,
        certificate: &Issued,
        certificate_der: &[u8],
    ) -> Result<Vec<u8>, CaError> {
        let issuer = self.issuing(CODE)?;
        let signer = Signer {
            issuer: issuer.subject.as_der(),
            serial: &certificate.serial,
            algorithm: issued.algorithm,
            certificates: vec![certificate_der, &issuer.certificate_der],
        };
        Ok(signed_data(attributes, issued.signature(), signer).map_err(DraftError::from)?)
    }

    async fn newest_certificate(&self, key: &Key) -> Result<Option<Issued>, CaError> {
        let filter = Filter {
            kind: Some(Kind::Certificate),
            state: Some(State::Issued),
            issuer: Some(CODE.to_owned()),
            key_hash: Some(key.fingerprint()),
            limit: 1,
            ..Filter::default()
        };
        let page = self.ledger().list(filter).await?;
        Ok(page.items.into_iter().next().and_then(|c: Credential| c.issued().ok()))
    }
}

fn token_label(label: &str) -> String {
    format!("code:{label}")
}

fn check_file_name(name: Option<&str>) -> Result<(), CaError> {
    match name {
        Some(name) if name.is_empty() || name.len() > FILE_NAME_MAX || name.chars().any(char::is_control) => {
            Err(CaError::bad("file_name", format!("1 to {FILE_NAME_MAX} bytes without control characters")))
        }
        Some(_) | None => Ok(()),
    }
}

/// Code signatures have no file of bounds: what they are is this text.
fn signature_profile(format: CodeFormat) -> ProfileStamp {
    let text = match format {
        CodeFormat::Raw => "code-raw v1: signature over SHA-256 of the file",
        CodeFormat::Cms => {
            "code-cms v1: detached SignedData; contentType, messageDigest, signingTime, signingCertificateV2"
        }
    };
    ProfileStamp { name: format!("code-{}", format.as_str()), hash: sha256(text.as_bytes()) }
}

/// When a signature was made, for callers that print it.
impl CodeSignature {
    /// When the register concluded it.
    pub fn signed_at(&self) -> Option<Timestamp> {
        self.issued.concluded_at
    }
}

const PROFILE: &str = "code-signing";
const RECORD: &str = "code-key";
/// One page of keys; nobody has more release keys than this.
const LIST_MAX: usize = 1000;
/// What file systems allow.
const FILE_NAME_MAX: usize = 255;
