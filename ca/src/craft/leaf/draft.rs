//! Drafts of end-entity certificates under a profile.

use std::sync::Arc;

use const_oid::db::{rfc5280, rfc5912};
use der::{Decode, Encode};
use hsm::Message;
use policy::{Grant, Name, Owner, Serial, Timestamp, Validity};
use serde_json::Value;
use store::{Kind, Renews};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::AuthorityInfoAccessSyntax;
use x509_cert::ext::pkix::name::GeneralNames;

use crate::craft::leaf::lint::Leaf;
use crate::craft::leaf::request::Lifetime;
use crate::craft::x509::subject_key_identifier;
use crate::drafting::{Draft, Facts, ProfileStamp, backdated, until};
use crate::encode::certificate::CertificateParts;
use crate::encode::x509::extension;
use crate::encode::{Dn, DnError, san};
use crate::error::DraftError;
use crate::intake::{Csr, SubjectKey};
use crate::issuers::Issuing;
use crate::profiles::{Filling, Profile, Rules, SubjectPolicy, X509Rules};

/// A granted request for an end-entity certificate. Its names are the grant's.
pub(crate) struct LeafRequest {
    pub(crate) key: SubjectKey,
    pub(crate) subject: Subject,
    pub(crate) lifetime: Lifetime,
    pub(crate) details: Value,
    /// The certificate that it succeeds.
    pub(crate) renews: Option<Renews>,
    /// Who approved it.
    pub(crate) approved: Vec<String>,
}

/// Whom a certificate is for.
pub(crate) enum Subject {
    /// As the profile says.
    ByProfile(Title),
    /// The subject of the certificate it renews; filled anew, with what was brought, where the profile's template has changed.
    Again(Dn, Title),
}

/// What a request brings for profiles that take a common name or organizations.
#[derive(Default)]
pub(crate) struct Title {
    pub(crate) common_name: Option<String>,
    pub(crate) organizations: Vec<String>,
}

impl Title {
    /// What a CSR brings.
    pub(crate) fn of(csr: &Csr) -> Title {
        Title { common_name: csr.common_name().map(str::to_owned), organizations: csr.organizations().to_vec() }
    }

    /// A common name alone.
    pub(crate) fn named(common_name: impl Into<String>) -> Title {
        Title { common_name: Some(common_name.into()), organizations: Vec::new() }
    }
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
    let subject = subject(grant.resource().owner.as_ref(), rules, &issuer, &names, request.subject)?;
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
            &issuer.pointers_as(serial.as_bytes(), &rules.pointers)?,
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
/// worthless. And a server that must staple needs something to staple.
pub(crate) fn fits(profile: &Profile, issuer: &Issuing) -> Result<(), DraftError> {
    let (name, ca) = (&profile.name, &issuer.label);
    let refused = |why: String| Err(DraftError::new("profile", why));
    if !issuer.leaves {
        return refused(format!("CA `{ca}` of profile {name} signs CAs alone; name another issuer in it"));
    }
    if issuer.purposes.as_ref().is_some_and(|own| profile.purposes().iter().any(|purpose| !own.contains(purpose))) {
        return refused(format!(
            "CA `{ca}` is not for all of the purposes of profile {name}; name another issuer in it"
        ));
    }
    if let Rules::X509(rules) = &profile.rules
        && issuer.form.shards > 1
        && !rules.pointers.tells_parts_apart()
    {
        return refused(format!(
            "crl_urls: CA `{ca}` has {} parts, each with a CRL of its own; write {{shard}} into each address",
            issuer.form.shards
        ));
    }
    let staples = matches!(&profile.rules, Rules::X509(rules) if rules.must_staple);
    match staples && !names_a_responder(issuer.pointers.iter().flatten()) {
        true => {
            refused(format!("must_staple: CA `{ca}` names no OCSP responder that a server could staple an answer of"))
        }
        false => Ok(()),
    }
}

fn names_a_responder<'a>(pointers: impl Iterator<Item = &'a Extension>) -> bool {
    let access = pointers.filter(|e| e.extn_id == rfc5280::ID_PE_AUTHORITY_INFO_ACCESS);
    let read = access.filter_map(|e| AuthorityInfoAccessSyntax::from_der(e.extn_value.as_bytes()).ok());
    read.flat_map(|access| access.0).any(|access| access.access_method == rfc5912::ID_AD_OCSP)
}

/// From when to when a certificate of this profile holds.
pub(crate) fn lifetime(
    profile: &Profile,
    now: Timestamp,
    wanted: Lifetime,
    issuer: Validity,
) -> Result<Validity, DraftError> {
    let refused = |why: String| DraftError::new("validity", why);
    let (backdate_secs, ends) = (profile.backdate_secs(), profile.ends());
    let within = match ends {
        Some(end) if end < now.plus_secs(profile.min_validity_secs - 1) => {
            return Err(refused(format!(
                "profile {} ends at {end}, and has {} s at least",
                profile.name, profile.min_validity_secs
            )));
        }
        Some(end) if end < issuer.not_after() => {
            Validity::new(issuer.not_before(), end).map_err(|e| refused(e.to_string()))?
        }
        Some(_) | None => issuer,
    };
    let asked = match wanted {
        Lifetime::ByProfile => None,
        Lifetime::Secs(secs) => Some(secs),
        Lifetime::Until(end) => {
            if let Some(last) = ends.filter(|last| end > *last) {
                return Err(refused(format!(
                    "it would end at {end}, after profile {}, which ends at {last}",
                    profile.name
                )));
            }
            let validity = until(now, end, (profile.max_validity_secs, backdate_secs), issuer)?;
            return match validity.secs() < profile.min_validity_secs {
                true => Err(refused(format!(
                    "it would end at {end}; profile {} has {} s at least",
                    profile.name, profile.min_validity_secs
                ))),
                false => Ok(validity),
            };
        }
    };
    let secs = profile.lifetime_secs(asked).map_err(refused)?;
    backdated(now, secs, backdate_secs, Some(within))
}

/// The names, each once, in their order, if the profile allows each and all of them together.
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
    rules.check_names(&names).map_err(|why| DraftError::new("names", why))?;
    Ok(names)
}

/// Whom a certificate for these names is for.
pub(crate) fn subject(
    owner: Option<&Owner>,
    rules: &X509Rules,
    issuer: &Issuing,
    names: &[Name],
    wanted: Subject,
) -> Result<Dn, DraftError> {
    let refused = |e: DnError| DraftError::new("subject", e.to_string());
    let title = match wanted {
        Subject::ByProfile(title) => title,
        Subject::Again(dn, title) => match &rules.subject {
            SubjectPolicy::Template(template) => {
                let found = dn.attributes().map_err(refused)?;
                if template.has_made(&found, (owner.map(Owner::as_str), names), &rules.organizations) {
                    return Ok(dn);
                }
                title
            }
            SubjectPolicy::Empty | SubjectPolicy::FirstName | SubjectPolicy::Given => return Ok(dn),
        },
    };
    match &rules.subject {
        SubjectPolicy::Empty => Ok(Dn::empty()),
        SubjectPolicy::FirstName => {
            let fitting = || names.iter().filter_map(common_name);
            // A wildcard is a poor title, so it is one only where there is nothing else.
            let fits = fitting().find(|cn| !cn.starts_with("*.")).or_else(|| fitting().next());
            fits.map_or(Ok(Dn::empty()), |cn| Dn::common_name(cn).map_err(refused))
        }
        SubjectPolicy::Given => {
            let cn = title.common_name.ok_or_else(|| DraftError::new("subject", "this profile needs a common name"))?;
            let owner = owner.ok_or_else(|| DraftError::new("owner", "this profile needs one"))?;
            // The owner stands in the subject, so that no freely given name passes for somebody else's.
            let base = issuer.subject.without_last();
            base.and("OU", owner.as_str()).and_then(|dn| dn.and("CN", &cn)).map_err(refused)
        }
        SubjectPolicy::Template(template) => {
            let organizations: &[String] = match template.takes_organizations() {
                true => &title.organizations,
                false => &[],
            };
            if let Some(other) = organizations.iter().find(|o| !rules.organizations.contains(o)) {
                let other = policy::shown(other);
                return Err(DraftError::new(
                    "subject",
                    format!("organization `{other}` is none that the profile allows"),
                ));
            }
            let owner = owner.map(Owner::as_str);
            let with = Filling { owner, names, common_name: title.common_name.as_deref(), organizations };
            template.fill(&with).map_err(|why| DraftError::new("subject", why))
        }
    }
}

/// A DNS name as a common name, where it fits.
fn common_name(name: &Name) -> Option<&str> {
    match name {
        Name::Dns(dns) if dns.as_str().len() <= COMMON_NAME_MAX => Some(dns.as_str()),
        Name::Dns(_) | Name::Ip(_) | Name::Email(_) | Name::Uri(_) | Name::Upn(_) => None,
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
