//! Certificates for those who bring a CSR, and their successors.

use std::collections::BTreeSet;
use std::sync::Arc;

use policy::{Action, Actor, Grant, Name, Owner, Resource};
use serde_json::{Value, json};
use store::{Credential, Issued, Kind, State};
use x509_parser::prelude::{FromDer, TbsCertificate};

use crate::draft_x509::{LeafRequest, Subject, Under, leaf};
use crate::error::CaError;
use crate::hierarchy::CODE;
use crate::profile::{Profile, Rules, SubjectPolicy};
use crate::subject_key::SubjectKey;
use crate::{Authority, Csr, Dn};

/// The profile whose certificates log in to the API.
pub const LOGIN_PROFILE: &str = "tls-client";

/// A request for a certificate.
#[derive(Clone, Debug)]
pub struct CertifyRequest {
    /// Profile: `tls-server`, `tls-client` ...
    pub profile: String,
    /// Whose it is.
    pub owner: Owner,
    /// The key and its proof of possession.
    pub csr: Csr,
    /// The names; `None`: those the CSR asks for. The CSR may ask for fewer, never for others.
    pub names: Option<Vec<Name>>,
    /// Names whose control ACME proved.
    pub proven: BTreeSet<Name>,
    /// Lifetime; default: the profile's.
    pub validity_secs: Option<u64>,
    /// Whether the server renews it by itself.
    pub renew: bool,
}

impl Authority {
    /// Issues a certificate.
    pub async fn certify(&self, actor: &Actor, request: CertifyRequest) -> Result<Issued, CaError> {
        let profile = self.profile(&request.profile)?;
        let names = names(&profile, &request.csr, request.names)?;
        if profile.issuer == CODE {
            self.authorize_identity(actor, &request.owner, &request.csr).await?;
        }
        let resource = Resource::certificate(Some(request.owner), profile.name(), names).with_proven(request.proven);
        let grant = self.authorize(actor, Action::IssueCertificate, resource).await?;
        let leaf = LeafRequest {
            subject: Subject::ByProfile(request.csr.common_name().map(str::to_owned)),
            key: request.csr.into_key(),
            validity_secs: request.validity_secs,
            details: details(actor, &profile, request.renew),
        };
        self.issue_leaf(grant, profile, leaf).await
    }

    /// Issues the successor of a certificate: same names, owner, profile and lifetime; a new serial. Without a CSR, the same key.
    pub async fn renew(&self, actor: &Actor, serial_hex: &str, csr: Option<Csr>) -> Result<Issued, CaError> {
        let old = self.certificate(serial_hex).await?;
        let profile = self.profile(&old.profile)?;
        let names = old.names.iter().map(|n| Name::parse(n)).collect::<Result<Vec<_>, _>>();
        let names = names.map_err(|e| CaError::Internal(format!("certificate {serial_hex}: {e}")))?;
        if let Some(csr) = &csr {
            only_these(csr.alternative_names(), &names)?;
            self.may_change_key(actor, &old, &profile, csr).await?;
        }
        let resource = Resource::certificate(old.owner.clone(), profile.name(), names);
        let (key, subject) = key_and_subject(&old)?;
        if csr.as_ref().is_some_and(|csr| csr.key_hash() != key.hash()) {
            // A renewal keeps a certificate alive; one with another key hands its names to whoever holds that key, which is
            // issuance, and takes the right to it.
            self.authorize(actor, Action::IssueCertificate, resource.clone()).await?;
        }
        let grant = self.authorize(actor, Action::RenewCertificate, resource).await?;
        renewable(&old)?;
        let lifetime = old.validity.and_then(|v| u64::try_from(v.secs()).ok());
        let leaf = LeafRequest {
            key: csr.map_or(Ok(key), |csr| Ok::<_, CaError>(csr.into_key()))?,
            subject: Subject::Exactly(subject),
            // A profile whose bounds have moved gives its own default instead of the old lifetime.
            validity_secs: lifetime.filter(|secs| profile.lifetime_secs(Some(*secs)).is_ok()),
            details: successor_details(&old),
        };
        self.issue_leaf(grant, profile, leaf).await
    }

    /// A certificate of the code CA for a key of the caller's is a new signing identity, wherever that key lives: it takes the
    /// right to make one.
    async fn authorize_identity(&self, actor: &Actor, owner: &Owner, csr: &Csr) -> Result<(), CaError> {
        let resource = Resource::code_key(Some(owner.clone()), csr.common_name().unwrap_or_default());
        self.authorize(actor, Action::CreateKey, resource).await.map(|_| ())
    }

    /// Whether a renewal may put another key in place of the old one.
    async fn may_change_key(
        &self,
        actor: &Actor,
        old: &Credential,
        profile: &Profile,
        csr: &Csr,
    ) -> Result<(), CaError> {
        if old.details.get("key").is_some() {
            return Err(CaError::bad("csr", "the key of this certificate lives in the token; renew it without a CSR"));
        }
        match (&old.owner, profile.issuer == CODE) {
            (Some(owner), true) => self.authorize_identity(actor, owner, csr).await,
            (None, true) => Err(CaError::bad("csr", "this certificate has no owner; ask for a new one")),
            (_, false) => Ok(()),
        }
    }

    /// Drafts, lints and issues an end-entity certificate under a grant.
    pub(crate) async fn issue_leaf(
        &self,
        grant: Grant,
        profile: Arc<Profile>,
        request: LeafRequest,
    ) -> Result<Issued, CaError> {
        let issuer = self.issuing(&profile.issuer)?;
        let now = self.inner.clock.now_for(&issuer, profile.min_validity_secs).await?;
        let under = Under { issuer, profile, serial: self.new_serial(), now };
        self.issue(leaf(grant, under, request)?.lint()?).await
    }

    /// An end-entity certificate of the register.
    pub(crate) async fn certificate(&self, serial_hex: &str) -> Result<Credential, CaError> {
        let missing = || CaError::NotFound(format!("certificate {serial_hex}"));
        let found = self.ledger().credential(serial_hex).await?.ok_or_else(missing)?;
        if found.kind == Kind::Certificate { Ok(found) } else { Err(missing()) }
    }
}

/// The names to certify: those given, which must cover what the CSR asks for, or those of the CSR.
fn names(profile: &Profile, csr: &Csr, given: Option<Vec<Name>>) -> Result<Vec<Name>, CaError> {
    // Where the common name is given freely, it is a title and never a name.
    let titled = matches!(&profile.rules, Rules::X509(rules) if rules.subject == SubjectPolicy::Given);
    match given {
        None if titled => Ok(csr.alternative_names().to_vec()),
        None => Ok(csr.names().to_vec()),
        Some(names) => only_these(csr.alternative_names(), &names).map(|()| names),
    }
}

fn only_these(asked: &[Name], given: &[Name]) -> Result<(), CaError> {
    match asked.iter().find(|name| !given.contains(name)) {
        None => Ok(()),
        Some(other) => {
            Err(CaError::bad("names", format!("the CSR asks for {other}, which is not among the names of the request")))
        }
    }
}

fn renewable(old: &Credential) -> Result<(), CaError> {
    let serial = old.serial_hex();
    match old.state {
        State::Issued => Ok(()),
        State::Revoked => Err(CaError::Conflict(format!("certificate {serial} is revoked; ask for a new one"))),
        State::Intended | State::Failed => {
            Err(CaError::Conflict(format!("certificate {serial} was never released; ask for a new one")))
        }
    }
}

/// Key and subject of a certificate, from its own bytes. Possession of the key was proven when it was first certified.
fn key_and_subject(old: &Credential) -> Result<(SubjectKey, Dn), CaError> {
    let broken = |e: String| CaError::Internal(format!("certificate {} of the register: {e}", old.serial_hex()));
    let (_, tbs) = TbsCertificate::from_der(&old.tbs).map_err(|e| broken(e.to_string()))?;
    let key = SubjectKey::from_spki(tbs.public_key().raw).map_err(|e| CaError::bad("key", e.to_string()))?;
    let subject = Dn::from_der(tbs.subject().as_raw()).map_err(|e| broken(e.to_string()))?;
    Ok((key, subject))
}

/// What is known of a certificate beside its bytes. A login keeps to the scopes of the token it was asked for with: a token
/// that may do one thing must not make itself a login that may do more.
fn details(actor: &Actor, profile: &Profile, renew: bool) -> Value {
    let mut details = json!({ "renew": renew });
    if let (Some(scopes), true, Some(map)) = (&actor.scopes, profile.name() == LOGIN_PROFILE, details.as_object_mut()) {
        map.insert(SCOPES.to_owned(), json!(scopes));
    }
    details
}

/// Of a login's details: the actions it is limited to.
const SCOPES: &str = "scopes";

/// The actions that a login is limited to; `Ok(None)`: no limit. An error: the register says something that is no action.
pub fn login_scopes(credential: &Credential) -> Result<Option<BTreeSet<Action>>, serde_json::Error> {
    credential.details.get(SCOPES).map(|scopes| serde_json::from_value(scopes.clone())).transpose()
}

fn successor_details(old: &Credential) -> Value {
    let mut details =
        json!({ "renew": old.details.get("renew").cloned().unwrap_or(Value::Bool(false)), "renews": old.serial_hex() });
    for kept in ["key", SCOPES] {
        if let (Some(value), Some(map)) = (old.details.get(kept), details.as_object_mut()) {
            map.insert(kept.to_owned(), value.clone());
        }
    }
    details
}
