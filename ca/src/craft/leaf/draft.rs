//! Drafts of end-entity certificates under a profile.

use std::sync::Arc;

use const_oid::db::rfc5280;
use der::Encode;
use hsm::Message;
use policy::{Grant, Name, Serial, Timestamp, Validity};
use serde_json::Value;
use store::{Kind, Renews};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralNames;

use crate::craft::leaf::lint::Leaf;
use crate::craft::leaf::request::Lifetime;
use crate::craft::x509::subject_key_identifier;
use crate::drafting::{Draft, Facts, ProfileStamp, until, validity};
use crate::encode::certificate::CertificateParts;
use crate::encode::x509::extension;
use crate::encode::{Dn, DnError, san};
use crate::error::DraftError;
use crate::intake::SubjectKey;
use crate::issuers::Issuing;
use crate::profiles::{Profile, Rules, SubjectPolicy, X509Rules};

/// A granted request for an end-entity certificate. Its names are the grant's.
pub(crate) struct LeafRequest {
    pub(crate) key: SubjectKey,
    pub(crate) subject: Subject,
    pub(crate) lifetime: Lifetime,
    pub(crate) details: Value,
    /// The certificate that it succeeds.
    pub(crate) renews: Option<Renews>,
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
pub(crate) fn draft(grant: Grant, under: Under, request: LeafRequest) -> Result<Draft<Leaf>, DraftError> {
    let Under { issuer, profile, serial, now } = under;
    let Rules::X509(rules) = &profile.rules else {
        return Err(DraftError::new("profile", format!("{} makes no X.509 certificates", profile.name)));
    };
    profile.check_key(request.key.kind()).map_err(|e| DraftError::new("key", e))?;
    fits(&profile, &issuer)?;
    if request.key.hash() == issuer.key.fingerprint() {
        return Err(DraftError::new("key", "it is the key of the CA itself"));
    }
    let names = allowed_names(&grant.resource().names, &profile, rules)?;
    let subject = subject(&grant, rules, &issuer, &names, request.subject)?;
    let validity = lifetime(&profile, now, request.lifetime, issuer.validity)?;
    let parts = CertificateParts {
        serial: serial.as_bytes(),
        algorithm: issuer.key.algorithm(),
        issuer: issuer.subject.as_der(),
        validity,
        subject: subject.as_der(),
        spki: request.key.spki_der(),
        extensions: leaf_extensions(
            rules,
            issuer.pointers(serial.as_bytes()),
            &request.key,
            &names,
            subject.is_empty(),
        )?,
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
        covers: None,
        renews: request.renews,
        details: request.details,
    };
    Ok(Draft::new(grant, facts, Leaf { issuer, profile, key: request.key, now }))
}

/// Refuses a CA that is not for what the profile makes: the root signs CAs alone, and a CA's own EKU makes a leaf with another one
/// worthless.
pub(crate) fn fits(profile: &Profile, issuer: &Issuing) -> Result<(), DraftError> {
    let (name, ca) = (&profile.name, &issuer.label);
    if !issuer.leaves {
        return Err(DraftError::new(
            "profile",
            format!("CA `{ca}` of profile {name} signs CAs alone; name another issuer in it"),
        ));
    }
    match &issuer.purposes {
        Some(purposes) if profile.purposes().iter().any(|purpose| !purposes.contains(purpose)) => {
            let why = format!("CA `{ca}` is not for all of the purposes of profile {name}; name another issuer in it");
            Err(DraftError::new("profile", why))
        }
        Some(_) | None => Ok(()),
    }
}

/// From when to when a certificate of this profile holds.
pub(crate) fn lifetime(
    profile: &Profile,
    now: Timestamp,
    wanted: Lifetime,
    issuer: Validity,
) -> Result<Validity, DraftError> {
    let asked = match wanted {
        Lifetime::ByProfile => None,
        Lifetime::Secs(secs) => Some(secs),
        Lifetime::Until(end) => {
            let validity = until(now, end, profile.max_validity_secs, issuer)?;
            return match validity.secs() < profile.min_validity_secs {
                true => Err(DraftError::new(
                    "validity",
                    format!(
                        "it would end at {end}; profile {} has {} s at least",
                        profile.name, profile.min_validity_secs
                    ),
                )),
                false => Ok(validity),
            };
        }
    };
    let secs = profile.lifetime_secs(asked).map_err(|e| DraftError::new("validity", e))?;
    validity(now, secs, Some(issuer))
}

/// The names, each once, in their order, if the profile allows each.
pub(crate) fn allowed_names(asked: &[Name], profile: &Profile, rules: &X509Rules) -> Result<Vec<Name>, DraftError> {
    let mut names: Vec<Name> = Vec::with_capacity(asked.len());
    for name in asked {
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
    pointers: &[Extension],
    key: &SubjectKey,
    names: &[Name],
    subject_is_empty: bool,
) -> Result<Vec<Extension>, DraftError> {
    let mut all = Vec::with_capacity(8);
    all.extend_from_slice(rules.extensions.for_key(key.kind()));
    all.push(subject_key_identifier(key)?);
    all.extend_from_slice(pointers);
    if !names.is_empty() {
        let general = names.iter().map(san::encode).collect::<Result<GeneralNames, _>>()?;
        // RFC 5280 section 4.2.1.6: "If the subject field contains an empty sequence, then the issuing CA MUST include a
        // subjectAltName extension that is marked as critical. When including the subjectAltName extension in a
        // certificate that has a non-empty subject distinguished name, conforming CAs SHOULD mark [it] as non-critical."
        all.push(extension(rfc5280::ID_CE_SUBJECT_ALT_NAME, subject_is_empty, &general.to_der()?)?);
    }
    Ok(all)
}

/// RFC 5280 appendix A: ub-common-name.
const COMMON_NAME_MAX: usize = 64;
