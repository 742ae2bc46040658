//! Extensions in words.

use x509_parser::extensions::{
    CRLDistributionPoints, DistributionPointName, ExtendedKeyUsage, GeneralName, KeyUsage, NameConstraints,
    ParsedExtension, X509Extension,
};

use x509_parser::prelude::FromDer;

use super::described::{Extension, colons};
use super::{life, names, oids, tlv};

/// What an extension says.
pub fn described(extension: &X509Extension<'_>) -> Extension {
    let oid = extension.oid.to_id_string();
    let says = words(extension.parsed_extension(), &oid, extension.value);
    Extension { name: oids::named(&oid), critical: extension.critical, says }
}

fn words(parsed: &ParsedExtension<'_>, oid: &str, value: &[u8]) -> String {
    match parsed {
        ParsedExtension::AuthorityKeyIdentifier(id) => {
            let key = id.key_identifier.as_ref().map(|key| colons(key.0));
            let serial = id.authority_cert_serial.map(|serial| format!("serial {}", hex::encode(serial)));
            let issuer = id.authority_cert_issuer.as_deref().map(|issuer| names::all(issuer).join(", "));
            [key, issuer, serial].into_iter().flatten().collect::<Vec<_>>().join(", ")
        }
        ParsedExtension::SubjectKeyIdentifier(id) => colons(id.0),
        ParsedExtension::KeyUsage(usage) => key_usage(*usage),
        ParsedExtension::ExtendedKeyUsage(usage) => purposes(usage).join(", "),
        ParsedExtension::BasicConstraints(basic) => match (basic.ca, basic.path_len_constraint) {
            (false, _) => "not a CA".to_owned(),
            (true, None) => "a CA".to_owned(),
            (true, Some(0)) => "a CA, with no CA below it".to_owned(),
            (true, Some(most)) => format!("a CA, with at most {most} CA(s) below it"),
        },
        ParsedExtension::SubjectAlternativeName(san) => names::all(&san.general_names).join(", "),
        ParsedExtension::IssuerAlternativeName(ian) => names::all(&ian.general_names).join(", "),
        ParsedExtension::NameConstraints(constraints) => constrained(constraints),
        ParsedExtension::CertificatePolicies(policies) => {
            policies.iter().map(|policy| oids::named(&policy.policy_id.to_id_string())).collect::<Vec<_>>().join(", ")
        }
        ParsedExtension::PolicyMappings(mappings) => format!("{} mapping(s)", mappings.mappings.len()),
        ParsedExtension::PolicyConstraints(c) => {
            let explicit = c.require_explicit_policy.map(|n| format!("a policy is needed after {n} certificate(s)"));
            let mapping = c.inhibit_policy_mapping.map(|n| format!("none is mapped after {n}"));
            [explicit, mapping].into_iter().flatten().collect::<Vec<_>>().join(", ")
        }
        ParsedExtension::InhibitAnyPolicy(inhibit) => format!("after {} certificate(s)", inhibit.skip_certs),
        ParsedExtension::CRLDistributionPoints(points) => distribution(points),
        ParsedExtension::AuthorityInfoAccess(access) => {
            let shown =
                access.accessdescs.iter().map(|one| located(&one.access_method.to_id_string(), &one.access_location));
            shown.collect::<Vec<_>>().join(", ")
        }
        ParsedExtension::SubjectInfoAccess(access) => {
            let shown =
                access.accessdescs.iter().map(|one| located(&one.access_method.to_id_string(), &one.access_location));
            shown.collect::<Vec<_>>().join(", ")
        }
        ParsedExtension::IssuingDistributionPoint(idp) => {
            let only = [
                (idp.only_contains_user_certs, "end entities alone"),
                (idp.only_contains_ca_certs, "CAs alone"),
                (idp.only_contains_attribute_certs, "attribute certificates alone"),
                (idp.only_some_reasons.is_some(), "some reasons alone"),
                (idp.indirect_crl, "of other issuers too"),
            ];
            let at = idp.distribution_point.as_ref().map(point);
            let only = only.into_iter().filter(|(is, _)| *is).map(|(_, says)| says.to_owned());
            at.into_iter().chain(only).collect::<Vec<_>>().join(", ")
        }
        ParsedExtension::CRLNumber(number) => number.to_string(),
        ParsedExtension::ReasonCode(reason) => oids::reason(reason.0).to_owned(),
        ParsedExtension::InvalidityDate(date) => life::written(life::moment(date)),
        ParsedExtension::SCT(timestamps) => format!("of {} log(s)", timestamps.len()),
        ParsedExtension::NsCertComment(text) => (*text).to_owned(),
        ParsedExtension::NSCertType(kind) => kind.to_string(),
        ParsedExtension::ParseError { .. } => format!("UNREADABLE: {}", octets(value)),
        ParsedExtension::UnsupportedExtension { .. } | ParsedExtension::Unparsed => unparsed(oid, value),
    }
}

fn distribution(points: &CRLDistributionPoints<'_>) -> String {
    points.iter().filter_map(|at| at.distribution_point.as_ref()).map(point).collect::<Vec<_>>().join(", ")
}

/// Extensions that the parser leaves to others.
fn unparsed(oid: &str, value: &[u8]) -> String {
    match oid {
        TLS_FEATURE if value == MUST_STAPLE => "must staple: the server has to bring an OCSP response".to_owned(),
        OCSP_NO_CHECK => "not asked about".to_owned(),
        FRESHEST_CRL => match CRLDistributionPoints::from_der(value) {
            Ok((_, points)) => distribution(&points),
            Err(_) => octets(value),
        },
        DELTA_CRL => number(value).unwrap_or_else(|| octets(value)),
        _ => octets(value),
    }
}

/// A small INTEGER.
fn number(value: &[u8]) -> Option<String> {
    let (element, _) = tlv::first(value).filter(|(element, _)| element.tag == tlv::INTEGER)?;
    let bytes: [u8; 16] = {
        let mut wide = [0; 16];
        let start = 16_usize.checked_sub(element.content.len())?;
        wide.get_mut(start..)?.copy_from_slice(element.content);
        wide
    };
    Some(u128::from_be_bytes(bytes).to_string())
}

/// The first octets of something that nobody here reads.
fn octets(value: &[u8]) -> String {
    match value.get(..SHOWN_MAX) {
        Some(some) if value.len() > SHOWN_MAX => format!("{}... ({} octets)", hex::encode(some), value.len()),
        _ => hex::encode(value),
    }
}

fn located(method: &str, location: &GeneralName<'_>) -> String {
    format!("{}: {}", oids::named(method), place(location))
}

fn point(point: &DistributionPointName<'_>) -> String {
    match point {
        DistributionPointName::FullName(full) => full.iter().map(place).collect::<Vec<_>>().join(", "),
        DistributionPointName::NameRelativeToCRLIssuer(_) => "a name relative to the issuer's".to_owned(),
    }
}

/// A URL without its kind before it.
fn place(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::URI(uri) => (*uri).to_owned(),
        other => names::general(other),
    }
}

fn key_usage(usage: KeyUsage) -> String {
    let uses = [
        (usage.digital_signature(), "signs"),
        (usage.non_repudiation(), "signs for good"),
        (usage.key_encipherment(), "enciphers keys"),
        (usage.data_encipherment(), "enciphers data"),
        (usage.key_agreement(), "agrees on keys"),
        (usage.key_cert_sign(), "signs certificates"),
        (usage.crl_sign(), "signs CRLs"),
        (usage.encipher_only(), "to encipher alone"),
        (usage.decipher_only(), "to decipher alone"),
    ];
    uses.into_iter().filter(|(is, _)| *is).map(|(_, says)| says).collect::<Vec<_>>().join(", ")
}

fn purposes(usage: &ExtendedKeyUsage<'_>) -> Vec<String> {
    let known = [
        (usage.any, "anything"),
        (usage.server_auth, "TLS server"),
        (usage.client_auth, "TLS client"),
        (usage.code_signing, "code signing"),
        (usage.email_protection, "e-mail"),
        (usage.time_stamping, "timestamps"),
        (usage.ocsp_signing, "OCSP responses"),
    ];
    let known = known.into_iter().filter(|(is, _)| *is).map(|(_, says)| says.to_owned());
    known.chain(usage.other.iter().map(|oid| oids::named(&oid.to_id_string()))).collect()
}

fn constrained(constraints: &NameConstraints<'_>) -> String {
    let shown = |word: &str, trees: &Option<Vec<_>>| {
        let trees =
            trees.as_deref().filter(|trees: &&[x509_parser::extensions::GeneralSubtree<'_>]| !trees.is_empty())?;
        let bases: Vec<_> = trees.iter().map(|tree| names::general(&tree.base)).collect();
        Some(format!("{word} {}", bases.join(", ")))
    };
    let permitted = shown("only", &constraints.permitted_subtrees);
    let excluded = shown("never", &constraints.excluded_subtrees);
    [permitted, excluded].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// Octets of an unknown value that are shown.
const SHOWN_MAX: usize = 32;
const TLS_FEATURE: &str = "1.3.6.1.5.5.7.1.24";
/// RFC 7633: the one feature `status_request` (5).
const MUST_STAPLE: &[u8] = &[0x30, 0x03, 0x02, 0x01, 0x05];
const OCSP_NO_CHECK: &str = "1.3.6.1.5.5.7.48.1.5";
const DELTA_CRL: &str = "2.5.29.27";
const FRESHEST_CRL: &str = "2.5.29.46";
