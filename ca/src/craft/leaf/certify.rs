//! Certificates for those who bring a CSR.

use std::collections::BTreeSet;
use std::sync::Arc;

use policy::{Action, Actor, Grant, Name, Owner, Resource};
use store::{ActorStamp, Attested, Credential, Issued, State};

use crate::craft::leaf::details::{approved_by, details, in_place_of, told_family};
use crate::craft::leaf::draft::{LeafRequest, Subject, Title, Under, draft};
use crate::craft::leaf::once;
use crate::craft::leaf::registered::{registered, renewed_names};
use crate::craft::leaf::request::{CertifyRequest, names};
use crate::craft::office::Office;
use crate::error::CaError;
use crate::intake::Csr;
use crate::issuers::Issuing;
use crate::profiles::{Profile, Rules};

/// Who issues certificates of end entities.
#[derive(Clone)]
pub(crate) struct Certifier {
    pub(crate) office: Office,
}

impl Certifier {
    /// Issues a certificate.
    pub(crate) async fn certify(&self, actor: &Actor, request: CertifyRequest) -> Result<Issued, CaError> {
        self.certify_with(actor, request, None).await
    }

    /// Issues what others approved: by the name of the request, and who they are.
    pub(crate) async fn certify_approved(
        &self,
        actor: &Actor,
        request: CertifyRequest,
        approved: (&str, Vec<String>),
    ) -> Result<Issued, CaError> {
        self.certify_with(actor, request, Some(approved)).await
    }

    /// The names that a request comes to, for whoever may have a certificate for them.
    pub(crate) async fn authorized_names(&self, actor: &Actor, request: &CertifyRequest) -> Result<Vec<Name>, CaError> {
        Ok(self.authorized(actor, request).await?.resource().names.clone())
    }

    async fn authorized(&self, actor: &Actor, request: &CertifyRequest) -> Result<Grant, CaError> {
        let profile = self.office.profile(&request.profile)?;
        let names = names(&profile, &request.csr, request.names.clone())?;
        if profile.signs_code() {
            self.authorize_identity(actor, &request.owner, &request.csr).await?;
        }
        let owner = Some(request.owner.clone());
        let resource = Resource::certificate(owner, profile.name(), names).with_proven(request.proven.clone());
        self.office.gate.authorize(actor, Action::IssueCertificate, resource).await
    }

    async fn certify_with(
        &self,
        actor: &Actor,
        request: CertifyRequest,
        approved: Option<(&str, Vec<String>)>,
    ) -> Result<Issued, CaError> {
        let profile = self.office.profile(&request.profile)?;
        let grant = self.authorized(actor, &request).await?;
        if request.renew && profile.wants_new_keys() {
            let why =
                format!("profile {} wants a new key for each certificate, and the server has none", profile.name());
            return Err(CaError::bad("renew", why));
        }
        let mut details = details(actor, &profile, request.renew, request.csr.left_out());
        let replaced = match &request.replaces {
            Some(serial) => self.replaced(actor, serial, grant.resource()).await?,
            None => None,
        };
        if let Some(old) = &replaced {
            in_place_of(&mut details, old);
        }
        let by = approved.map(|(id, by)| approved_by(&mut details, id, by)).unwrap_or_default();
        let leaf = LeafRequest {
            approved: by,
            subject: Subject::ByProfile(Title::of(&request.csr)),
            details,
            key: request.csr.into_key(),
            lifetime: request.lifetime,
            renews: replaced.and_then(|old| old.renewal()),
        };
        self.issue_leaf(grant, profile, leaf).await
    }

    /// The certificate that one for this resource takes the place of, where the register would not see it by itself. Who may
    /// renew it may say so.
    async fn replaced(
        &self,
        actor: &Actor,
        serial: &str,
        new: &Resource,
    ) -> Result<Option<Attested<Credential>>, CaError> {
        let refused = |why: &str| CaError::bad("replaces", format!("certificate {serial} {why}"));
        // Whose another's is, and that it is there, is not told.
        let old = match registered(&self.office, serial).await {
            Ok(old) if old.owner == new.owner => old,
            Ok(_) | Err(CaError::NotFound(_)) => return Err(refused("is none of this owner's")),
            Err(error) => return Err(error),
        };
        if !matches!(old.state, State::Issued | State::Revoked) {
            return Err(refused("was never released"));
        }
        let names = renewed_names(&old)?;
        if is_seen(&old, &names, new) {
            return Ok(None);
        }
        let resource = Resource::certificate(old.owner.clone(), &old.profile, names);
        self.office.gate.authorize(actor, Action::RenewCertificate, resource).await?;
        Ok(Some(old))
    }

    /// A certificate of the code CA for a key of the caller's is a new signing identity, wherever that key lives: it takes the
    /// right to make one.
    pub(crate) async fn authorize_identity(&self, actor: &Actor, owner: &Owner, csr: &Csr) -> Result<(), CaError> {
        let resource = Resource::code_key(Some(owner.clone()), csr.common_name().unwrap_or_default());
        self.office.gate.authorize(actor, Action::CreateKey, resource).await?;
        self.office.gate.check_owner(owner)
    }

    /// Drafts, lints and issues an end-entity certificate under a grant.
    pub(crate) async fn issue_leaf(
        &self,
        grant: Grant,
        profile: Arc<Profile>,
        request: LeafRequest,
    ) -> Result<Issued, CaError> {
        is_approved(&profile, &request.approved)?;
        let issuer = self.issuer_of(&profile).await?;
        let asks = ActorStamp::from(grant.actor());
        let now = self.office.checks.clock.now_for(&asks, &issuer, profile.min_validity_secs).await?;
        let (actor, key) = (grant.actor().clone(), request.key.clone());
        let once = profile.wants_new_keys();
        let under = Under { issuer, profile, serial: self.office.serials.next(), now };
        let draft = draft(grant, under, request)?;
        if !once {
            return self.office.issue(draft).await;
        }
        let claim = once::claim(&self.office, &actor, &key).await?;
        match self.office.issue(draft).await {
            Ok(issued) => Ok(issued),
            Err(error) => Err(claim.unless_signed(&self.office, error).await),
        }
    }

    /// Who issues under a profile now: its issuer, or the fallback while that one is revoked or has ended.
    pub(crate) async fn issuer_of(&self, profile: &Profile) -> Result<Arc<Issuing>, CaError> {
        let first = self.office.issuers.issuing(&profile.issuer).await;
        let Rules::X509(rules) = &profile.rules else { return first };
        let Some(fallback) = &rules.fallback_issuer else { return first };
        let stopped = |issuer: &Issuing| {
            let checks = &self.office.checks;
            checks.ended(issuer).or_else(|| checks.clock.outside_for(issuer, profile.min_validity_secs))
        };
        let why = match &first {
            Ok(issuer) => stopped(issuer),
            Err(error) => Some(error.to_string()),
        };
        let Some(why) = why else { return first };
        match self.office.issuers.issuing(fallback).await {
            Ok(second) if stopped(&second).is_none() => {
                tracing::warn!(profile = profile.name(), %why, "its fallback issuer `{fallback}` issues");
                Ok(second)
            }
            Ok(_) | Err(_) => first,
        }
    }
}

/// That as many have approved as the profile wants: whatever way a certificate under it is asked for.
pub(crate) fn is_approved(profile: &Profile, approved: &[String]) -> Result<(), CaError> {
    let needs = profile.approvals();
    let others: BTreeSet<&String> = approved.iter().collect();
    match others.len() >= usize::from(needs) {
        true => Ok(()),
        false => Err(CaError::Conflict(format!(
            "each certificate of profile {} waits until {needs} others have approved it: ask for it at \
             POST /api/v1/certificates or with `chancery issue`, and collect it when they have",
            profile.name()
        ))),
    }
}

/// Whether the register sees by itself that one for this resource takes the place of an old one: by owner, profile and names.
fn is_seen(old: &Credential, names: &[Name], new: &Resource) -> bool {
    let names: BTreeSet<&Name> = names.iter().collect();
    !told_family(old) && new.profile.as_ref() == Some(&old.profile) && names == new.names.iter().collect()
}
