//! A certificate before it is signed, in words: what its extensions say as people read them.

use const_oid::db::DB;
use spki::ObjectIdentifier;
use x509_cert::ext::Extension;
use x509_parser::extensions::{DistributionPointName, GeneralName, KeyUsage};
use x509_parser::prelude::{FromDer, ParsedExtension, TbsCertificate, X509Extension};

use crate::profiles::{TLS_FEATURE, purpose_in_words};

/// An extension in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its name, or its object identifier.
    pub name: String,
    /// Whether it is critical.
    pub critical: bool,
    /// What it says; the hexadecimal digits of its value where nobody here reads it.
    pub says: String,
}

/// The extensions of a TBSCertificate, in their order; none of what is none.
pub(crate) fn extensions(tbs: &[u8]) -> Vec<(ObjectIdentifier, Told)> {
    let Ok((_, read)) = TbsCertificate::from_der(tbs) else { return Vec::new() };
    read.extensions().iter().filter_map(told).collect()
}

/// One that a profile encoded.
pub(crate) fn extension(encoded: &Extension) -> Option<(ObjectIdentifier, Told)> {
    use der::Encode;
    let der = encoded.to_der().ok()?;
    let (_, read) = X509Extension::from_der(&der).ok()?;
    told(&read)
}

fn told(extension: &X509Extension<'_>) -> Option<(ObjectIdentifier, Told)> {
    let oid = ObjectIdentifier::from_bytes(extension.oid.as_bytes()).ok()?;
    let name = match oid {
        TLS_FEATURE => "tlsfeature".to_owned(),
        // `id-ce-keyUsage`, without what all of them have.
        oid => DB.by_oid(&oid).map_or_else(|| oid.to_string(), |name| bare(name).to_owned()),
    };
    Some((oid, Told { name, critical: extension.critical, says: says(oid, extension) }))
}

fn bare(name: &str) -> &str {
    name.strip_prefix("id-ce-").or_else(|| name.strip_prefix("id-pe-")).unwrap_or(name)
}

fn says(oid: ObjectIdentifier, extension: &X509Extension<'_>) -> String {
    match extension.parsed_extension() {
        ParsedExtension::BasicConstraints(constraints) if !constraints.ca => "no CA".to_owned(),
        ParsedExtension::BasicConstraints(_) => "a CA".to_owned(),
        ParsedExtension::KeyUsage(usage) => usages(usage).join(", "),
        ParsedExtension::ExtendedKeyUsage(_) => purposes(extension.value),
        ParsedExtension::SubjectAlternativeName(san) => list(&san.general_names),
        ParsedExtension::SubjectKeyIdentifier(id) => hex::encode(id.0),
        ParsedExtension::AuthorityKeyIdentifier(id) => {
            id.key_identifier.as_ref().map_or(String::new(), |id| hex::encode(id.0))
        }
        ParsedExtension::CRLDistributionPoints(points) => {
            let names = points.points.iter().filter_map(|point| match &point.distribution_point {
                Some(DistributionPointName::FullName(names)) => Some(list(names)),
                Some(DistributionPointName::NameRelativeToCRLIssuer(_)) | None => None,
            });
            names.collect::<Vec<_>>().join(", ")
        }
        ParsedExtension::AuthorityInfoAccess(access) => {
            let of =
                |oid: &[u8]| ObjectIdentifier::from_bytes(oid).ok().and_then(|oid| DB.by_oid(&oid)).unwrap_or("access");
            let one = |a: &x509_parser::extensions::AccessDescription<'_>| {
                format!(
                    "{} {}",
                    of(a.access_method.as_bytes()).trim_start_matches("id-ad-"),
                    general(&a.access_location)
                )
            };
            access.accessdescs.iter().map(one).collect::<Vec<_>>().join(", ")
        }
        ParsedExtension::CertificatePolicies(policies) => {
            policies.iter().map(|policy| policy.policy_id.to_string()).collect::<Vec<_>>().join(", ")
        }
        _ if oid == TLS_FEATURE => "status_request (must staple)".to_owned(),
        _ => hex::encode(extension.value),
    }
}

fn usages(usage: &KeyUsage) -> Vec<&'static str> {
    let all = [
        (usage.digital_signature(), "digital-signature"),
        (usage.non_repudiation(), "content-commitment"),
        (usage.key_encipherment(), "key-encipherment"),
        (usage.data_encipherment(), "data-encipherment"),
        (usage.key_agreement(), "key-agreement"),
        (usage.key_cert_sign(), "key-cert-sign"),
        (usage.crl_sign(), "crl-sign"),
    ];
    all.into_iter().filter(|(has, _)| *has).map(|(_, word)| word).collect()
}

fn purposes(value: &[u8]) -> String {
    use der::Decode;
    let read = x509_cert::ext::pkix::ExtendedKeyUsage::from_der(value);
    let words = read.map(|all| all.0.into_iter().map(purpose_in_words).collect::<Vec<_>>());
    words.map_or_else(|_| hex::encode(value), |words| words.join(", "))
}

fn list(names: &[GeneralName<'_>]) -> String {
    names.iter().map(general).collect::<Vec<_>>().join(", ")
}

fn general(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::URI(uri) => (*uri).to_owned(),
        other => super::lint::name_of(other).map_or_else(|why| why, |name| name.to_string()),
    }
}
