//! SSH certificates: the CA, the draft, and what a caller gets.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hsm::{Algorithm, Key, Message};
use policy::{Action, Actor, Grant, MAX_PRINCIPALS, Owner, Principal, Resource, Serial, Timestamp};
use serde_json::json;
use store::{Issued, Kind};

use crate::Authority;
use crate::draft::{Draft, DraftError, Expect, Facts, ProfileStamp, validity};
use crate::error::CaError;
use crate::profile::{Profile, Rules};
use crate::ssh_key;
use crate::ssh_wire::{Body, SshKey, Wire, ca_blob, signature_blob, split_string};
use crate::subject_key::sha256;

/// A request for an SSH certificate.
#[derive(Clone, Debug)]
pub struct SshRequest {
    /// Whose it is.
    pub owner: Owner,
    /// The subject's public key, one OpenSSH line.
    pub public_key: String,
    /// Whom it may log in as, or which host it is.
    pub principals: Vec<Principal>,
    /// What sshd logs before the actor's id, which stands in brackets after it; default: the id alone.
    pub key_id: Option<String>,
    /// Lifetime; default: the profile's.
    pub validity_secs: Option<u64>,
}

/// An issued SSH certificate.
#[derive(Clone, Debug)]
pub struct SshIssued {
    /// The register's row.
    pub issued: Issued,
    /// The certificate as one OpenSSH line, for `KEY-cert.pub`.
    pub certificate: String,
}

/// A key of the token that signs SSH certificates. There is no certificate of an SSH CA: its key is all.
pub(crate) struct SshCa {
    pub(crate) key: Key,
    pub(crate) blob: Vec<u8>,
    /// `ecdsa-sha2-nistp256 AAAA... label`, for `TrustedUserCAKeys` and `@cert-authority`.
    pub(crate) line: String,
    /// A signature blob of the right form that is no signature, for parsers that take only whole certificates.
    pub(crate) empty_signature: Vec<u8>,
}

impl SshCa {
    pub(crate) fn new(label: &str, key: Key) -> Result<SshCa, CaError> {
        let unfit =
            || CaError::Internal(format!("key `{label}` is of kind {}, which signs no SSH certificates", key.kind()));
        let blob = ca_blob(&key).ok_or_else(unfit)?;
        let (name, _) = split_string(&blob).ok_or_else(unfit)?;
        let one = Wire::default().mpint(&[1]).mpint(&[1]).0;
        let empty = match key.algorithm() {
            Algorithm::Ed25519 => vec![0; 64],
            Algorithm::EcdsaP256Sha256 | Algorithm::EcdsaP384Sha384 | Algorithm::RsaPkcs1Sha256 => one,
        };
        let empty_signature = Wire::default().string(name).string(empty).0;
        let line = format!("{} {} chancery-{label}", String::from_utf8_lossy(name), STANDARD.encode(&blob));
        Ok(SshCa { blob, line, empty_signature, key })
    }
}

/// A granted request for an SSH certificate. Its principals are the grant's.
pub(crate) struct SshFacts {
    pub(crate) key: SshKey,
    pub(crate) key_id: String,
    pub(crate) validity_secs: Option<u64>,
    pub(crate) nonce: [u8; 32],
}

/// Under what an SSH certificate is drafted.
pub(crate) struct Under {
    pub(crate) ca: Arc<SshCa>,
    pub(crate) profile: Arc<Profile>,
    pub(crate) serial: Serial,
    pub(crate) now: Timestamp,
}

/// Drafts an SSH certificate.
pub(crate) fn draft(grant: Grant, under: Under, request: SshFacts) -> Result<Draft, DraftError> {
    let Under { ca, profile, serial, now } = under;
    let (kind, cert_type, rules) = match &profile.rules {
        Rules::SshUser(rules) => (Kind::SshUser, 1, rules),
        Rules::SshHost(rules) => (Kind::SshHost, 2, rules),
        Rules::X509(_) => {
            return Err(DraftError::new("profile", format!("{} makes no SSH certificates", profile.name)));
        }
    };
    profile.check_key(request.key.kind).map_err(|e| DraftError::new("public_key", e))?;
    check_key_id(&request.key_id)?;
    let principals = principals(&grant)?;
    let secs = profile.lifetime_secs(request.validity_secs).map_err(|e| DraftError::new("validity", e))?;
    let validity = validity(now, secs, None)?;
    let seconds =
        |at: Timestamp| u64::try_from(at.unix()).map_err(|_| DraftError::new("validity", "it begins before 1970"));
    let body = Body {
        nonce: request.nonce,
        serial: register_serial_tail(serial.as_bytes()).unwrap_or_default(),
        cert_type,
        key_id: &request.key_id,
        principals: principals.iter().map(|p| p.as_str()).collect(),
        valid_after: seconds(validity.not_before())?,
        valid_before: seconds(validity.not_after().plus_secs(1))?,
        critical_options: &rules.critical_options,
        extensions: &rules.extensions,
    };
    let blob = Wire::default().string(&request.key.algorithm).raw(&request.key.fields).0;
    let facts = Facts {
        kind,
        profile: ProfileStamp::from(&*profile),
        key: ca.key.clone(),
        message: Message::from(body.encode(&request.key, &ca.blob)),
        serial: serial.as_bytes().to_vec(),
        issuer: profile.issuer.clone(),
        owner: grant.resource().owner.clone(),
        names: principals.iter().map(|p| p.to_string()).collect(),
        key_hash: sha256(&blob),
        validity: Some(validity),
        details: json!({}),
        subject: request.key_id,
    };
    Ok(Draft::new(grant, facts, Expect::Ssh { ca, profile, key: request.key, now }))
}

/// Principals, each once, in their order.
fn each_once(mut principals: Vec<Principal>) -> Vec<Principal> {
    let mut seen = BTreeSet::new();
    principals.retain(|principal| seen.insert(principal.clone()));
    principals
}

/// The grant's principals: at least one, each once.
fn principals(grant: &Grant) -> Result<Vec<Principal>, DraftError> {
    let principals = each_once(grant.resource().principals.clone());
    match principals.len() {
        // PROTOCOL.certkeys: "As a special case, a zero-length 'valid principals' field means the certificate is valid
        // for any principal of the specified type." Never that.
        0 => Err(DraftError::new(
            "principals",
            "there is none; a certificate without principals would be valid for every one",
        )),
        1..=MAX_PRINCIPALS => Ok(principals),
        many => Err(DraftError::new("principals", format!("{many} principals; {MAX_PRINCIPALS} is the most"))),
    }
}

fn check_key_id(key_id: &str) -> Result<(), DraftError> {
    match (1..=KEY_ID_MAX).contains(&key_id.len()) && key_id.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
        true => Ok(()),
        false => Err(DraftError::new(
            "key_id",
            format!("1 to {KEY_ID_MAX} printable ASCII characters: sshd writes it into its log"),
        )),
    }
}

/// An SSH serial has 64 bits: the last eight bytes, all random, of the register's serial.
pub(crate) fn register_serial_tail(serial: &[u8]) -> Option<u64> {
    serial.last_chunk().map(|tail| u64::from_be_bytes(*tail))
}

/// The signed certificate as an OpenSSH line.
fn line(issued: &Issued, key_id: &str) -> Option<String> {
    let signature = signature_blob(issued.algorithm, issued.signature())?;
    let certificate = Wire::default().raw(&issued.tbs).string(signature).0;
    let (name, _) = split_string(&certificate)?;
    Some(format!("{} {} {key_id}", std::str::from_utf8(name).ok()?, STANDARD.encode(&certificate)))
}

impl Authority {
    /// Issues an SSH user certificate (profile `ssh-user`).
    pub async fn sign_ssh_user(&self, actor: &Actor, request: SshRequest) -> Result<SshIssued, CaError> {
        self.sign_ssh(actor, Action::SignSshUser, &self.inner.ssh_user, request).await
    }

    /// Issues an SSH host certificate (profile `ssh-host`).
    pub async fn sign_ssh_host(&self, actor: &Actor, request: SshRequest) -> Result<SshIssued, CaError> {
        self.sign_ssh(actor, Action::SignSshHost, &self.inner.ssh_host, request).await
    }

    async fn sign_ssh(
        &self,
        actor: &Actor,
        action: Action,
        ca: &Arc<SshCa>,
        request: SshRequest,
    ) -> Result<SshIssued, CaError> {
        let profile = self.profile(if action == Action::SignSshUser { "ssh-user" } else { "ssh-host" })?;
        let key = ssh_key::parse(&request.public_key).map_err(|e| CaError::bad("public_key", e))?;
        let resource = Resource::ssh(Some(request.owner), each_once(request.principals), profile.name());
        let grant = self.authorize(actor, action, resource).await?;
        let mut nonce = [0; 32];
        self.world().fill(&mut nonce);
        // sshd logs the key id as who logged in: nobody chooses it whole, or an insider would log in as somebody else.
        let key_id = match request.key_id {
            Some(given) => {
                check_key_id(&given)?;
                format!("{given} ({})", actor.id)
            }
            None => actor.id.clone(),
        };
        let under = Under { ca: ca.clone(), profile, serial: self.new_serial(), now: self.inner.clock.now().await? };
        let facts = SshFacts { key, key_id: key_id.clone(), validity_secs: request.validity_secs, nonce };
        let issued = self.issue(draft(grant, under, facts)?.lint()?).await?;
        let certificate = line(&issued, &key_id);
        let certificate = certificate
            .ok_or_else(|| CaError::Internal("a signed SSH certificate cannot be put together".to_owned()))?;
        Ok(SshIssued { issued, certificate })
    }

    /// The OpenSSH line of an SSH certificate of the register.
    pub fn ssh_certificate(&self, issued: &Issued) -> Option<String> {
        match issued.kind {
            Kind::SshUser | Kind::SshHost => line(issued, &issued.subject),
            Kind::CaCertificate | Kind::Certificate | Kind::CodeSignature | Kind::Crl => None,
        }
    }

    /// The SSH user CA's public key, one OpenSSH line.
    pub fn ssh_user_ca(&self) -> String {
        self.inner.ssh_user.line.clone()
    }

    /// The SSH host CA's public key, one OpenSSH line.
    pub fn ssh_host_ca(&self) -> String {
        self.inner.ssh_host.line.clone()
    }
}

/// OpenSSH takes more, log lines do not.
const KEY_ID_MAX: usize = 128;
