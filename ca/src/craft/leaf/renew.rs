//! Successors of certificates: the same names, owner, profile and lifetime, a new serial.

use policy::{Action, Actor, Resource};
use store::{Attested, Credential, Issued, State};
use x509_parser::prelude::{FromDer, TbsCertificate};

use crate::craft::leaf::certify::Certifier;
use crate::craft::leaf::details::successor_details;
use crate::craft::leaf::draft::{LeafRequest, Subject, Title};
use crate::craft::leaf::registered::{registered, renewed_names};
use crate::craft::leaf::request::only_these;
use crate::encode::Dn;
use crate::error::CaError;
use crate::intake::{Csr, SubjectKey};
use crate::profiles::Profile;

impl Certifier {
    /// Issues the successor of a certificate: same names, owner, profile and lifetime; a new serial. Without a CSR, the same key.
    pub(crate) async fn renew(&self, actor: &Actor, serial_hex: &str, csr: Option<Csr>) -> Result<Issued, CaError> {
        let old = registered(&self.office, serial_hex).await?;
        if old.imported.is_some() {
            let resource = Resource::certificate(old.owner.clone(), &old.profile, renewed_names(&old)?);
            self.office.gate.authorize(actor, Action::RenewCertificate, resource).await?;
            return Err(CaError::Conflict(format!(
                "certificate {} was signed elsewhere, under rules that are not known here; ask for a new one under a profile",
                old.serial_hex()
            )));
        }
        let profile = self.office.profile(&old.profile)?;
        let resource = Resource::certificate(old.owner.clone(), profile.name(), renewed_names(&old)?);
        // First: what is compared below tells of the certificate.
        let grant = self.office.gate.authorize(actor, Action::RenewCertificate, resource.clone()).await?;
        if let Some(csr) = &csr {
            only_these(csr.alternative_names(), &resource.names)?;
            self.may_change_key(actor, &old, &profile, csr).await?;
        }
        let (key, subject) = key_and_subject(&old).await?;
        if csr.as_ref().is_some_and(|csr| csr.key_hash() != key.hash()) {
            // A renewal keeps a certificate alive; one with another key hands its names to whoever holds that key, which is
            // issuance, and takes the right to it.
            self.office.gate.authorize(actor, Action::IssueCertificate, resource).await?;
        }
        renewable(&old)?;
        let lifetime = old.validity.and_then(|v| u64::try_from(v.secs()).ok());
        let title = csr.as_ref().map(Title::of).unwrap_or_default();
        let leaf = LeafRequest {
            key: csr.map_or(Ok(key), |csr| Ok::<_, CaError>(csr.into_key()))?,
            subject: Subject::Again(subject, title),
            // A profile whose bounds have moved gives its own default instead of the old lifetime.
            lifetime: lifetime.filter(|secs| profile.lifetime_secs(Some(*secs)).is_ok()).into(),
            details: successor_details(&old),
            renews: old.renewal(),
            approved: Vec::new(),
        };
        self.issue_leaf(grant, profile, leaf).await
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
        match (&old.owner, profile.signs_code()) {
            (Some(owner), true) => self.authorize_identity(actor, owner, csr).await,
            (None, true) => Err(CaError::bad("csr", "this certificate has no owner; ask for a new one")),
            (_, false) => Ok(()),
        }
    }
}

fn renewable(old: &Attested<Credential>) -> Result<(), CaError> {
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
async fn key_and_subject(old: &Attested<Credential>) -> Result<(SubjectKey, Dn), CaError> {
    let broken = |e: String| CaError::Internal(format!("certificate {} of the register: {e}", old.serial_hex()));
    let (_, tbs) = TbsCertificate::from_der(&old.tbs).map_err(|e| broken(e.to_string()))?;
    let key =
        SubjectKey::receive(tbs.public_key().raw.to_vec()).await.map_err(|e| CaError::bad("key", e.to_string()))?;
    let subject = Dn::from_der(tbs.subject().as_raw()).map_err(|e| broken(e.to_string()))?;
    Ok((key, subject))
}
