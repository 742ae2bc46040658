//! Drafts of X.509 certificates: end entities under a profile, and the CA certificates of the hierarchy.

use std::sync::Arc;

use const_oid::db::rfc5280;
use der::Encode;
use der::asn1::OctetString;
use der::flagset::FlagSet;
use hsm::{Key, Message};
use policy::{Grant, Name, Serial, Timestamp};
use serde_json::{Value, json};
use spki::ObjectIdentifier;
use store::Kind;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralNames;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages};

use crate::draft::{Draft, DraftError, Expect, Facts, ProfileStamp, validity};
use crate::encode::certificate::CertificateParts;
use crate::encode::x509::{extension, key_identifier};
use crate::encode::{Dn, DnError, san, sha256};
use crate::intake::SubjectKey;
use crate::issuer::Issuing;
use crate::profile::{Profile, Rules, SubjectPolicy, X509Rules};

/// A granted request for an end-entity certificate. Its names are the grant's.
pub(crate) struct LeafRequest {
    pub(crate) key: SubjectKey,
    pub(crate) subject: Subject,
    pub(crate) validity_secs: Option<u64>,
    pub(crate) details: Value,
}

/// Whom a certificate is for.
pub(crate) enum Subject {
    /// As the profile says; the text is for profiles that take a given common name.
    ByProfile(Option<String>),
    /// The subject of the certificate it renews.
    Exactly(Dn),
}

/// Under what a draft is made.
pub(crate) struct Under {
    pub(crate) issuer: Arc<Issuing>,
    pub(crate) profile: Arc<Profile>,
    pub(crate) serial: Serial,
    pub(crate) now: Timestamp,
}

/// Drafts an end-entity certificate.
pub(crate) fn leaf(grant: Grant, under: Under, request: LeafRequest) -> Result<Draft, DraftError> {
    let Under { issuer, profile, serial, now } = under;
    let Rules::X509(rules) = &profile.rules else {
        return Err(DraftError::new("profile", format!("{} makes no X.509 certificates", profile.name)));
    };
    profile.check_key(request.key.kind()).map_err(|e| DraftError::new("key", e))?;
    if request.key.hash() == issuer.key.fingerprint() {
        return Err(DraftError::new("key", "it is the key of the CA itself"));
    }
    let names = allowed_names(&grant, &profile, rules)?;
    let subject = subject(&grant, rules, &issuer, &names, request.subject)?;
    let secs = profile.lifetime_secs(request.validity_secs).map_err(|e| DraftError::new("validity", e))?;
    let validity = validity(now, secs, Some(issuer.validity))?;
    let parts = CertificateParts {
        serial: serial.as_bytes(),
        algorithm: issuer.key.algorithm(),
        issuer: issuer.subject.as_der(),
        validity,
        subject: subject.as_der(),
        spki: request.key.spki_der(),
        extensions: leaf_extensions(rules, &issuer, &request.key, &names, subject.is_empty())?,
    };
    let facts = Facts {
        kind: Kind::Certificate,
        profile: ProfileStamp::from(&*profile),
        key: issuer.key.clone(),
        message: Message::from(parts.encode()?),
        serial: serial.as_bytes().to_vec(),
        issuer: issuer.label.clone(),
        owner: grant.resource().owner.clone(),
        subject: subject.to_string(),
        names: names.iter().map(|n| n.to_string()).collect(),
        key_hash: request.key.hash(),
        validity: Some(validity),
        details: request.details,
    };
    Ok(Draft::new(grant, facts, Expect::Leaf { issuer, profile, key: request.key, now }))
}

/// The grant's names, each once, in their order, if the profile allows each.
fn allowed_names(grant: &Grant, profile: &Profile, rules: &X509Rules) -> Result<Vec<Name>, DraftError> {
    let mut names: Vec<Name> = Vec::with_capacity(grant.resource().names.len());
    for name in &grant.resource().names {
        if !rules.allows(name) {
            return Err(DraftError::new("names", format!("profile {} does not allow {name}", profile.name)));
        }
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    match names.len() {
        0 if rules.subject != SubjectPolicy::Given => Err(DraftError::new("names", "there is none; name at least one")),
        0..=policy::MAX_NAMES => Ok(names),
        many => Err(DraftError::new("names", format!("{many} names; {} is the most", policy::MAX_NAMES))),
    }
}

fn subject(
    grant: &Grant,
    rules: &X509Rules,
    issuer: &Issuing,
    names: &[Name],
    wanted: Subject,
) -> Result<Dn, DraftError> {
    let given = match wanted {
        Subject::Exactly(dn) => return Ok(dn),
        Subject::ByProfile(given) => given,
    };
    let refused = |e: DnError| DraftError::new("subject", e.to_string());
    match rules.subject {
        SubjectPolicy::Empty => Ok(Dn::empty()),
        SubjectPolicy::FirstName => {
            let fitting = || names.iter().filter_map(common_name);
            // A wildcard is a poor title, so it is one only where there is nothing else.
            let fits = fitting().find(|cn| !cn.starts_with("*.")).or_else(|| fitting().next());
            fits.map_or(Ok(Dn::empty()), |cn| Dn::common_name(cn).map_err(refused))
        }
        SubjectPolicy::Given => {
            let cn = given.ok_or_else(|| DraftError::new("subject", "this profile needs a common name"))?;
            let owner =
                grant.resource().owner.as_ref().ok_or_else(|| DraftError::new("owner", "this profile needs one"))?;
            // The owner stands in the subject, so that no freely given name passes for somebody else's.
            let base = issuer.subject.without_last();
            base.and("OU", owner.as_str()).and_then(|dn| dn.and("CN", &cn)).map_err(refused)
        }
    }
}

/// A DNS name as a common name, where it fits.
fn common_name(name: &Name) -> Option<&str> {
    match name {
        Name::Dns(dns) if dns.as_str().len() <= COMMON_NAME_MAX => Some(dns.as_str()),
        Name::Dns(_) | Name::Ip(_) | Name::Email(_) | Name::Uri(_) => None,
    }
}

fn leaf_extensions(
    rules: &X509Rules,
    issuer: &Issuing,
    key: &SubjectKey,
    names: &[Name],
    subject_is_empty: bool,
) -> Result<Vec<Extension>, DraftError> {
    let mut all = Vec::with_capacity(8);
    all.extend_from_slice(&rules.extensions);
    all.push(subject_key_identifier(key)?);
    all.extend_from_slice(&issuer.pointers);
    if !names.is_empty() {
        let general = names.iter().map(san::encode).collect::<Result<GeneralNames, _>>()?;
        // RFC 5280 section 4.2.1.6: "If the subject field contains an empty sequence, then the issuing CA MUST include a
        // subjectAltName extension that is marked as critical. When including the subjectAltName extension in a
        // certificate that has a non-empty subject distinguished name, conforming CAs SHOULD mark [it] as non-critical."
        all.push(extension(rfc5280::ID_CE_SUBJECT_ALT_NAME, subject_is_empty, &general.to_der()?)?);
    }
    Ok(all)
}

fn subject_key_identifier(key: &SubjectKey) -> Result<Extension, DraftError> {
    let id = key_identifier(key.spki_der()).ok_or_else(|| DraftError::new("key", "it has odd bits"))?;
    Ok(extension(rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER, false, &OctetString::new(id)?.to_der()?)?)
}

/// A CA certificate of the hierarchy.
pub(crate) struct CaPlan {
    pub(crate) label: &'static str,
    pub(crate) subject: Dn,
    pub(crate) validity_secs: i64,
    pub(crate) path_len: u8,
    /// Purposes its leaves can have; none for a root.
    pub(crate) purposes: Vec<ObjectIdentifier>,
}

/// Drafts the certificate of one of our own CAs; without an issuer, a root.
pub(crate) fn ca(
    grant: Grant,
    plan: CaPlan,
    key: &Key,
    issuer: Option<Arc<Issuing>>,
    serial: Serial,
    now: Timestamp,
) -> Result<Draft, DraftError> {
    let subject_key = SubjectKey::from_token(key);
    let (signer, issuer_dn) = match &issuer {
        Some(issuer) => (&issuer.key, &issuer.subject),
        None => (key, &plan.subject),
    };
    let validity = validity(now, plan.validity_secs, issuer.as_ref().map(|i| i.validity))?;
    let parts = CertificateParts {
        serial: serial.as_bytes(),
        algorithm: signer.algorithm(),
        issuer: issuer_dn.as_der(),
        validity,
        subject: plan.subject.as_der(),
        spki: key.spki_der(),
        extensions: ca_extensions(&plan, &subject_key, issuer.as_deref())?,
    };
    let facts = Facts {
        kind: Kind::CaCertificate,
        profile: ca_profile(issuer.is_none()),
        key: signer.clone(),
        message: Message::from(parts.encode()?),
        serial: serial.as_bytes().to_vec(),
        issuer: issuer.as_ref().map_or(plan.label, |i| i.label.as_str()).to_owned(),
        owner: None,
        subject: plan.subject.to_string(),
        names: Vec::new(),
        key_hash: key.fingerprint(),
        validity: Some(validity),
        details: json!({ "label": plan.label }),
    };
    Ok(Draft::new(grant, facts, Expect::Ca { issuer, key: subject_key, path_len: plan.path_len, now }))
}

fn ca_extensions(plan: &CaPlan, key: &SubjectKey, issuer: Option<&Issuing>) -> Result<Vec<Extension>, DraftError> {
    let constraints = BasicConstraints { ca: true, path_len_constraint: Some(plan.path_len) };
    let usage = KeyUsage(FlagSet::from(KeyUsages::KeyCertSign) | KeyUsages::CRLSign);
    let mut all = vec![
        extension(rfc5280::ID_CE_BASIC_CONSTRAINTS, true, &constraints.to_der()?)?,
        extension(rfc5280::ID_CE_KEY_USAGE, true, &usage.to_der()?)?,
        subject_key_identifier(key)?,
    ];
    if !plan.purposes.is_empty() {
        let purposes = ExtendedKeyUsage(plan.purposes.clone()).to_der()?;
        all.push(extension(rfc5280::ID_CE_EXT_KEY_USAGE, false, &purposes)?);
    }
    if let Some(issuer) = issuer {
        all.extend_from_slice(&issuer.pointers);
    }
    Ok(all)
}

/// The CA profiles are not files: whoever could edit them could make a leaf into a CA. Their hash is that of this text.
fn ca_profile(root: bool) -> ProfileStamp {
    let (name, text) = match root {
        true => ("ca-root", "ca-root v1: CA, keyCertSign, cRLSign, pathlen, no EKU, self-signed"),
        false => ("ca-issuing", "ca-issuing v1: CA, keyCertSign, cRLSign, pathlen, EKU"),
    };
    ProfileStamp { name: name.to_owned(), hash: sha256(text.as_bytes()) }
}

/// RFC 5280 appendix A: ub-common-name.
const COMMON_NAME_MAX: usize = 64;
