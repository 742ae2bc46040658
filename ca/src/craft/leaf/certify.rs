//! Certificates for those who bring a CSR.

use std::sync::Arc;

use policy::{Action, Actor, Grant, Owner, Resource};
use store::{ActorStamp, Issued};

use crate::craft::leaf::details::details;
use crate::craft::leaf::draft::{LeafRequest, Subject, Under, draft};
use crate::craft::leaf::request::{CertifyRequest, names};
use crate::craft::office::Office;
use crate::error::CaError;
use crate::intake::Csr;
use crate::issuers::labels::CODE;
use crate::profiles::Profile;

/// Who issues certificates of end entities.
#[derive(Clone)]
pub(crate) struct Certifier {
    pub(crate) office: Office,
}

impl Certifier {
    /// Issues a certificate.
    pub(crate) async fn certify(&self, actor: &Actor, request: CertifyRequest) -> Result<Issued, CaError> {
        let profile = self.office.profile(&request.profile)?;
        let names = names(&profile, &request.csr, request.names)?;
        if profile.issuer == CODE {
            self.authorize_identity(actor, &request.owner, &request.csr).await?;
        }
        let resource = Resource::certificate(Some(request.owner), profile.name(), names).with_proven(request.proven);
        let grant = self.office.gate.authorize(actor, Action::IssueCertificate, resource).await?;
        let leaf = LeafRequest {
            subject: Subject::ByProfile(request.csr.common_name().map(str::to_owned)),
            key: request.csr.into_key(),
            lifetime: request.lifetime,
            details: details(actor, &profile, request.renew),
            renews: None,
        };
        self.issue_leaf(grant, profile, leaf).await
    }

    /// A certificate of the code CA for a key of the caller's is a new signing identity, wherever that key lives: it takes the
    /// right to make one.
    pub(crate) async fn authorize_identity(&self, actor: &Actor, owner: &Owner, csr: &Csr) -> Result<(), CaError> {
        let resource = Resource::code_key(Some(owner.clone()), csr.common_name().unwrap_or_default());
        self.office.gate.authorize(actor, Action::CreateKey, resource).await.map(|_| ())
    }

    /// Drafts, lints and issues an end-entity certificate under a grant.
    pub(crate) async fn issue_leaf(
        &self,
        grant: Grant,
        profile: Arc<Profile>,
        request: LeafRequest,
    ) -> Result<Issued, CaError> {
        let issuer = self.office.hierarchy.issuing(&profile.issuer)?;
        let asks = ActorStamp::from(grant.actor());
        let now = self.office.checks.clock.now_for(&asks, &issuer, profile.min_validity_secs).await?;
        let under = Under { issuer, profile, serial: self.office.serials.next(), now };
        self.office.issue(draft(grant, under, request)?).await
    }
}
