//! A certificate that is shown because the register does not hold it: what it proves by itself.
//!
//! A register that was put back lost what came after its backup; what was signed then lives on with those who hold it. Whoever shows
//! such a certificate has it revoked: our signature on it is the proof that we made it.

use policy::{Action, Name, Resource, ResourceKind, Timestamp};
use ring::digest::{SHA256, digest};
use store::{Kind, Lost};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::encode::pem;
use crate::error::CaError;
use crate::issuers::{Hierarchy, is_signed};

/// A certificate that one of our CAs signed.
pub(super) struct Shown {
    pub(super) lost: Lost,
    pub(super) der: Vec<u8>,
    names: Vec<Name>,
}

impl Shown {
    /// Reads it, PEM or DER, and verifies that a CA of ours signed it.
    pub(super) fn read(bytes: &[u8], hierarchy: &Hierarchy) -> Result<Shown, CaError> {
        let unreadable = |why: String| CaError::bad("certificate", format!("it is no X.509 certificate: {why}"));
        let der = match bytes.first() {
            Some(0x30) => bytes.to_vec(),
            Some(_) | None => pem::decode(bytes, &["CERTIFICATE"]).map_err(unreadable)?,
        };
        let (rest, certificate) = X509Certificate::from_der(&der).map_err(|e| unreadable(e.to_string()))?;
        if !rest.is_empty() {
            return Err(unreadable("bytes follow it".into()));
        }
        let ours = hierarchy.generations().filter(|generation| !generation.record.elsewhere).find(|generation| {
            generation
                .certificates
                .iter()
                .any(|ca| certificate.issuer().as_raw() == ca.subject.as_der() && is_signed(&der, &ca.spki))
        });
        let ours = ours.ok_or_else(|| CaError::bad("certificate", "no CA of this authority signed it".to_owned()))?;
        let key_hash = digest(&SHA256, certificate.public_key().raw).as_ref().try_into();
        let lost = Lost {
            kind: if certificate.is_ca() { Kind::CaCertificate } else { Kind::Certificate },
            serial: certificate.raw_serial().to_vec(),
            issuer: ours.name.to_string(),
            key_hash: key_hash.map_err(|_| CaError::Internal("SHA-256 has 32 bytes".into()))?,
            not_after: Some(Timestamp::from_unix(certificate.validity().not_after.timestamp())),
        };
        let names = names(&certificate);
        Ok(Shown { lost, names, der })
    }

    /// The subject of a CA's certificate; none of another's.
    pub(super) fn ca_subject(&self) -> Option<String> {
        let (_, certificate) = X509Certificate::from_der(&self.der).ok()?;
        (self.lost.kind == Kind::CaCertificate).then(|| certificate.subject().to_string())
    }

    /// What revoking it is, to policy: whose it was is not known any more.
    pub(super) fn act(&self) -> (Action, Resource) {
        match self.lost.kind {
            Kind::CaCertificate => (Action::ManageAuthority, Resource::plain(ResourceKind::Authority)),
            Kind::Certificate
            | Kind::SshUser
            | Kind::SshHost
            | Kind::CodeSignature
            | Kind::Crl
            | Kind::CaRequest
            | Kind::OcspBatch => (Action::RevokeCertificate, Resource::certificate(None, "", self.names.clone())),
        }
    }
}

/// The names that policy can judge.
fn names(certificate: &X509Certificate<'_>) -> Vec<Name> {
    let san = certificate.subject_alternative_name().ok().flatten();
    let listed = san.iter().flat_map(|san| &san.value.general_names);
    let dns = listed.filter_map(|name| match name {
        GeneralName::DNSName(name) => Name::parse(&format!("dns:{name}")).ok(),
        _ => None,
    });
    dns.collect()
}
