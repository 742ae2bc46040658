//! Drafts of our own CAs' certificates.

use std::sync::Arc;

use const_oid::db::rfc5280;
use der::Encode;
use der::flagset::FlagSet;
use hsm::{Key, Message};
use policy::{Grant, Serial, Timestamp};
use serde_json::Value;
use store::Kind;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages};

use crate::craft::ca::lint::Ca;
use crate::craft::x509::subject_key_named;
use crate::drafting::{Draft, Facts, ProfileStamp, validity};
use crate::encode::certificate::CertificateParts;
use crate::encode::x509::extension;
use crate::error::DraftError;
use crate::intake::SubjectKey;
use crate::issuers::plan::CaPlan;
use crate::issuers::{GenerationName, Issuing};

/// For which CA a certificate is drafted.
pub(crate) struct CaRequest<'a> {
    pub(crate) plan: &'a CaPlan,
    /// Which generation of its issuer: the subject follows from it.
    pub(crate) number: u32,
    /// The key that is certified.
    pub(crate) subject_key: SubjectKey,
    /// What that is called in certificates that it has; none is what is computed of it.
    pub(crate) named: Option<Vec<u8>>,
    /// What the register is to know beside the bytes.
    pub(crate) details: Value,
}

/// Who signs it.
pub(crate) enum SignedBy<'a> {
    /// A root: its own key, under the name of its generation.
    Itself(&'a Key, &'a GenerationName),
    /// A CA above it.
    Ca(Arc<Issuing>),
}

/// Drafts the certificate of a CA.
pub(crate) fn draft(
    grant: Grant,
    request: CaRequest<'_>,
    by: SignedBy<'_>,
    serial: Serial,
    now: Timestamp,
) -> Result<Draft<Ca>, DraftError> {
    let CaRequest { plan, number, subject_key: key, named, details } = request;
    let subject = plan.subject_of(number)?;
    let (signer, issuer_dn, label, issuer) = match &by {
        SignedBy::Ca(issuer) => (&issuer.key, &issuer.subject, issuer.label.clone(), Some(Arc::clone(issuer))),
        SignedBy::Itself(own, name) => (*own, &subject, name.to_string(), None),
    };
    let validity = validity(now, plan.validity_secs, issuer.as_ref().map(|i| i.validity))?;
    let pointers = issuer.as_deref().map(|issuer| issuer.pointers(serial.as_bytes()));
    let extensions = ca_extensions(plan, subject_key_named(&key, named.as_deref())?, pointers)?;
    let parts = CertificateParts {
        serial: serial.as_bytes(),
        algorithm: signer.algorithm(),
        issuer: issuer_dn.as_der(),
        validity,
        subject: subject.as_der(),
        spki: key.spki_der(),
        extensions: extensions.clone(),
    };
    let facts = Facts {
        kind: Kind::CaCertificate,
        profile: ca_profile(issuer.is_none()),
        key: signer.clone(),
        message: Message::from(parts.encode()?),
        serial: serial.as_bytes().to_vec(),
        issuer: label,
        owner: None,
        subject: subject.to_string(),
        names: Vec::new(),
        key_hash: key.hash(),
        validity: Some(validity),
        covers: None,
        renews: None,
        details,
    };
    Ok(Draft::new(grant, facts, Ca { issuer, key, named, path_len: plan.path_len, extensions, now }))
}

fn ca_extensions(
    plan: &CaPlan,
    key_named: Extension,
    pointers: Option<&[Extension]>,
) -> Result<Vec<Extension>, DraftError> {
    let constraints = BasicConstraints { ca: true, path_len_constraint: Some(plan.path_len) };
    let usage = KeyUsage(FlagSet::from(KeyUsages::KeyCertSign) | KeyUsages::CRLSign);
    let mut all = vec![
        extension(rfc5280::ID_CE_BASIC_CONSTRAINTS, true, &constraints.to_der()?)?,
        extension(rfc5280::ID_CE_KEY_USAGE, true, &usage.to_der()?)?,
        key_named,
    ];
    if !plan.purposes.is_empty() {
        let purposes = ExtendedKeyUsage(plan.purposes()?).to_der()?;
        all.push(extension(rfc5280::ID_CE_EXT_KEY_USAGE, false, &purposes)?);
    }
    all.extend(plan.extensions()?);
    all.extend_from_slice(pointers.unwrap_or_default());
    Ok(all)
}

/// The CA profiles are not files: whoever could edit them could make a leaf into a CA.
fn ca_profile(root: bool) -> ProfileStamp {
    match root {
        true => ProfileStamp::built_in("ca-root", TEXT_ROOT),
        false => ProfileStamp::built_in("ca-issuing", TEXT_ISSUING),
    }
}

/// What its CAs are, for whoever reads the log.
const TEXT_ROOT: &str =
    "ca-root v2: CA, keyCertSign, cRLSign, pathlen, self-signed; EKU, name constraints and policies as planned";
const TEXT_ISSUING: &str =
    "ca-issuing v2: CA, keyCertSign, cRLSign, pathlen; EKU, name constraints and policies as planned";
pub(crate) const TEXTS: [&str; 2] = [TEXT_ROOT, TEXT_ISSUING];
