//! Extensions of any certificate (RFC 5280 section 4.2).

use std::collections::BTreeSet;

use x509_parser::extensions::{
    CRLDistributionPoints, DistributionPointName, ExtendedKeyUsage, GeneralName, KeyUsage, NameConstraints,
    SubjectAlternativeName,
};
use x509_parser::prelude::{FromDer, ParsedExtension, TbsCertificate, X509Extension};

use crate::lint::findings::Findings;
use crate::lint::named::lints;
use crate::lint::names;
use crate::lint::usage::{self, Family};

lints! { EXTENSIONS;
    EXTENSION_ONCE Error "extensions-stand-once"
        "an extension stands in it twice" ["RFC 5280 4.2", "CPS 7.1.2"]
    EXTENSION_READABLE Error "extensions-are-readable"
        "an extension cannot be read" ["RFC 5280 4.2", "CPS 7.1.2"]
    EXTENSION_CRITICAL_KNOWN Notice "critical-extensions-are-known"
        "a critical extension that few will know" ["RFC 5280 4.2", "CPS 7.1.2"]
    POINTERS_NOT_CRITICAL Error "pointers-are-not-critical"
        "a pointer to a key, an issuer or its services is marked critical"
        ["RFC 5280 4.2.1.1", "RFC 5280 4.2.1.2", "RFC 5280 4.2.2.1", "RFC 5280 4.2.2.2", "CPS 7.1.2"]
    POINTS_NOT_CRITICAL Warning "distribution-points-are-not-critical"
        "its CRL distribution points are marked critical" ["RFC 5280 4.2.1.13", "BR 7.1.2.11.2", "CPS 7.1.2"]
    CONSTRAINTS_CRITICAL Error "constraints-are-critical"
        "constraints on names or policies that are not critical bind nobody"
        ["RFC 5280 4.2.1.10", "RFC 5280 4.2.1.11", "RFC 5280 4.2.1.14", "CPS 7.1.5"]
    CONSTRAINTS_OF_CAS Error "constraints-are-of-cas"
        "constraints on names or policies, and it is no CA" ["RFC 5280 4.2.1.10", "CPS 7.1.5"]
    CONSTRAINTS_FULL Error "constraints-constrain"
        "constraints that name nothing" ["RFC 5280 4.2.1.10", "RFC 5280 4.2.1.11", "CPS 7.1.5"]
    POLICIES_ONCE Error "policies-stand-once"
        "a policy stands in it twice" ["RFC 5280 4.2.1.4", "CPS 7.1.6"]
    POLICIES_NOT_CRITICAL Warning "policies-are-not-critical"
        "critical policies, which webpki refuses" ["BR 7.1.2.7.9", "CPS 7.1.6"]
    PATH_ONLY_OF_CAS Error "path-length-is-a-cas"
        "a path length, and it is no CA that signs certificates" ["RFC 5280 4.2.1.9", "CPS 7.1.2"]
    CA_CONSTRAINTS_CRITICAL Error "ca-basic-constraints-are-critical"
        "a CA whose basicConstraints is not critical" ["RFC 5280 4.2.1.9", "BR 7.1.2.10.4", "CPS 7.1.2"]
    SIGNER_IS_CA Error "only-a-ca-signs-certificates"
        "the key usage to sign certificates, and it is no CA" ["RFC 5280 4.2.1.3", "RFC 5280 4.2.1.9", "CPS 6.1.7"]
    CA_SIGNS Error "a-ca-signs-certificates"
        "a CA without the key usage to sign certificates" ["RFC 5280 4.2.1.3", "BR 7.1.2.10.7", "CPS 6.1.7"]
    CA_KEY_NAMED Error "ca-key-is-named"
        "a CA without subject key identifier" ["RFC 5280 4.2.1.2", "BR 7.1.2.11.4", "CPS 7.1.2"]
    ISSUER_KEY_NAMED Error "issuer-key-is-named"
        "no authority key identifier names the key that signs it" ["RFC 5280 4.2.1.1", "BR 7.1.2.11.1", "CPS 7.1.2"]
    CA_NAMED Error "ca-is-named"
        "a CA without a subject" ["RFC 5280 4.1.2.6", "BR 7.1.2.10.2", "CPS 7.1.4"]
    PURPOSES_NOT_EMPTY Error "purposes-are-not-empty"
        "an extended key usage for nothing" ["RFC 5280 4.2.1.12", "CPS 6.1.7"]
    PURPOSES_NAMED Warning "purposes-are-named"
        "an extended key usage for any purpose" ["RFC 5280 4.2.1.12", "BR 7.1.2.7.10", "CPS 6.1.7"]
    SAN_NOT_EMPTY Error "san-is-not-empty"
        "an empty subjectAltName" ["RFC 5280 4.2.1.6", "BR 7.1.2.7.12", "CPS 7.1.4"]
    NAMES_SOMEBODY Error "it-names-somebody"
        "neither a subject nor a critical subjectAltName" ["RFC 5280 4.1.2.6", "RFC 5280 4.2.1.6", "CPS 7.1.4"]
    SAN_NOT_CRITICAL Warning "san-is-critical-without-subject-alone"
        "the subjectAltName is critical although there is a subject" ["RFC 5280 4.2.1.6", "BR 7.1.2.7.12", "CPS 7.1.4"]
    SERVER_NAMED Warning "server-has-a-name"
        "a server without a DNS name, an IP address or a SPIFFE ID: clients will not know it" ["RFC 9525 6.2", "BR 7.1.2.7.12", "CPS 7.1.4"]
    SERVER_COMMON_NAME Notice "server-common-name-is-one-of-its-names"
        "a server whose common name is none of its names" ["BR 7.1.4.3", "CPS 7.1.4"]
    SERVER_SHORT Notice "server-holds-825-days-at-most"
        "a server for more than 825 days: Apple's clients refuse it, of private CAs too" ["Apple HT210176", "CPS 6.3.2"]
    POINTS_POINT Error "distribution-points-point"
        "a distribution point that names neither a place nor an issuer" ["RFC 5280 4.2.1.13", "CPS 7.1.2"]
    PLACES_HTTP Warning "places-are-plain-http"
        "a CRL or an issuer's certificate is fetched from elsewhere than plain HTTP" ["RFC 5280 8", "BR 7.1.2.11.2", "CPS 7.1.2"]
    REVOCATION_SEEN Notice "revocation-can-be-seen"
        "it names neither a CRL nor an OCSP responder" ["RFC 5280 4.2.1.13", "RFC 5280 4.2.2.1", "CPS 4.9.9"]
}

/// What is decided by several extensions together.
struct Seen<'a> {
    is_ca: bool,
    usage: Option<&'a KeyUsage>,
    purposes: Option<&'a ExtendedKeyUsage<'a>>,
    names: Option<(bool, &'a SubjectAlternativeName<'a>)>,
    has_subject: bool,
    is_self_issued: bool,
}

/// All of a certificate's.
pub(crate) fn of_certificate(read: &TbsCertificate<'_>, f: &mut Findings) {
    in_themselves(read.extensions(), f);
    let parsed = || read.extensions().iter().map(X509Extension::parsed_extension);
    let seen = Seen {
        is_ca: parsed().any(|e| matches!(e, ParsedExtension::BasicConstraints(constraints) if constraints.ca)),
        usage: parsed().find_map(|e| match e {
            ParsedExtension::KeyUsage(usage) => Some(usage),
            _ => None,
        }),
        purposes: parsed().find_map(|e| match e {
            ParsedExtension::ExtendedKeyUsage(purposes) => Some(purposes),
            _ => None,
        }),
        names: read.extensions().iter().find_map(|e| match e.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => Some((e.critical, names)),
            _ => None,
        }),
        has_subject: read.subject().iter().next().is_some(),
        is_self_issued: read.issuer().as_raw() == read.subject().as_raw(),
    };
    for extension in read.extensions() {
        one(extension, &seen, f);
    }
    together(read, &seen, f);
}

/// What holds of extensions of whatever they extend.
pub(crate) fn in_themselves(extensions: &[X509Extension<'_>], f: &mut Findings) {
    let mut oids = BTreeSet::new();
    for extension in extensions {
        // RFC 5280 section 4.2: "A certificate MUST NOT include more than one instance of a particular extension."
        if !oids.insert(extension.oid.as_bytes()) {
            f.add_with(&EXTENSION_ONCE, extension.oid.to_string());
        }
        match extension.parsed_extension() {
            ParsedExtension::ParseError { error } => {
                f.add_with(&EXTENSION_READABLE, format!("{}: {error}", extension.oid));
            }
            ParsedExtension::UnsupportedExtension { .. } if extension.critical => {
                f.add_with(&EXTENSION_CRITICAL_KNOWN, extension.oid.to_string());
            }
            _ => {}
        }
    }
}

fn one(extension: &X509Extension<'_>, seen: &Seen<'_>, f: &mut Findings) {
    let critical = extension.critical;
    match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(_)
        | ParsedExtension::SubjectKeyIdentifier(_)
        | ParsedExtension::SubjectInfoAccess(_) => f.hold(&POINTERS_NOT_CRITICAL, !critical),
        ParsedExtension::AuthorityInfoAccess(access) => {
            f.hold(&POINTERS_NOT_CRITICAL, !critical);
            f.hold(&PLACES_HTTP, access.iter().all(|access| is_plain(&access.access_location)));
        }
        ParsedExtension::CRLDistributionPoints(points) => {
            f.hold(&POINTS_NOT_CRITICAL, !critical);
            distribution(points, f);
        }
        // Section 4.2.1.15: "The extension MUST be marked as non-critical by conforming CAs", and has the form of distribution points.
        _ if extension.oid.as_bytes() == FRESHEST => {
            f.hold(&POINTS_NOT_CRITICAL, !critical);
            if let Some((_, points)) =
                f.read(&EXTENSION_READABLE, "freshestCRL", CRLDistributionPoints::from_der(extension.value))
            {
                distribution(&points, f);
            }
        }
        ParsedExtension::BasicConstraints(constraints) => {
            f.hold(&CA_CONSTRAINTS_CRITICAL, critical || !constraints.ca);
            let signs = seen.usage.is_none_or(KeyUsage::key_cert_sign);
            f.hold(&PATH_ONLY_OF_CAS, constraints.path_len_constraint.is_none() || (constraints.ca && signs));
        }
        ParsedExtension::KeyUsage(usage) => usage::alone(usage, critical, f),
        ParsedExtension::ExtendedKeyUsage(purposes) => {
            f.hold(&PURPOSES_NOT_EMPTY, !is_for_nothing(purposes));
            f.hold(&PURPOSES_NAMED, !purposes.any);
        }
        ParsedExtension::SubjectAlternativeName(found) => {
            f.hold(&SAN_NOT_EMPTY, !found.general_names.is_empty());
            f.hold(&SAN_NOT_CRITICAL, !critical || !seen.has_subject);
            names::alternative(&found.general_names, f);
        }
        ParsedExtension::CertificatePolicies(policies) => {
            let oids: BTreeSet<_> = policies.iter().map(|policy| policy.policy_id.as_bytes()).collect();
            f.hold(&POLICIES_ONCE, oids.len() == policies.len());
            f.hold(&POLICIES_NOT_CRITICAL, !critical);
        }
        ParsedExtension::NameConstraints(constraints) => {
            f.hold(&CONSTRAINTS_CRITICAL, critical);
            f.hold(&CONSTRAINTS_OF_CAS, seen.is_ca);
            f.hold(&CONSTRAINTS_FULL, constrains(constraints));
        }
        ParsedExtension::PolicyConstraints(constraints) => {
            f.hold(&CONSTRAINTS_CRITICAL, critical);
            f.hold(&CONSTRAINTS_OF_CAS, seen.is_ca);
            let says = constraints.require_explicit_policy.is_some() || constraints.inhibit_policy_mapping.is_some();
            f.hold(&CONSTRAINTS_FULL, says);
        }
        ParsedExtension::InhibitAnyPolicy(_) => {
            f.hold(&CONSTRAINTS_CRITICAL, critical);
            f.hold(&CONSTRAINTS_OF_CAS, seen.is_ca);
        }
        ParsedExtension::UnsupportedExtension { .. }
        | ParsedExtension::ParseError { .. }
        | ParsedExtension::PolicyMappings(_)
        | ParsedExtension::IssuerAlternativeName(_)
        | ParsedExtension::NSCertType(_)
        | ParsedExtension::NsCertComment(_)
        | ParsedExtension::IssuingDistributionPoint(_)
        | ParsedExtension::CRLNumber(_)
        | ParsedExtension::ReasonCode(_)
        | ParsedExtension::InvalidityDate(_)
        | ParsedExtension::SCT(_)
        | ParsedExtension::Unparsed => {}
    }
}

fn together(read: &TbsCertificate<'_>, seen: &Seen<'_>, f: &mut Findings) {
    let has = |what: fn(&ParsedExtension<'_>) -> bool| read.extensions().iter().any(|e| what(e.parsed_extension()));
    if let Some(usage) = seen.usage {
        f.hold(&SIGNER_IS_CA, seen.is_ca || !usage.key_cert_sign());
        let family = Family::of(read.public_key().algorithm.oid().as_bytes());
        let serves = !seen.is_ca && seen.purposes.is_some_and(|purposes| purposes.server_auth);
        usage::by_key(usage, serves, family, f);
    }
    if seen.is_ca {
        f.hold(&CA_SIGNS, seen.usage.is_some_and(KeyUsage::key_cert_sign));
        f.hold(&CA_KEY_NAMED, has(|e| matches!(e, ParsedExtension::SubjectKeyIdentifier(_))));
        f.hold(&CA_NAMED, seen.has_subject);
    } else {
        f.hold(&NAMES_SOMEBODY, seen.has_subject || seen.names.is_some_and(|(critical, _)| critical));
        let answers = has(|e| {
            matches!(e, ParsedExtension::CRLDistributionPoints(_))
                || matches!(e, ParsedExtension::AuthorityInfoAccess(access)
                    if access.iter().any(|access| access.access_method.as_bytes() == OCSP))
        });
        // RFC 6960 section 4.2.2.2.1: nobody asks of a responder whose certificate says so.
        let is_not_asked_of = read.extensions().iter().any(|e| e.oid.as_bytes() == NO_CHECK);
        f.hold(&REVOCATION_SEEN, answers || is_not_asked_of);
        if seen.purposes.is_some_and(|purposes| purposes.server_auth) {
            server(read, seen, f);
        }
    }
    let names_issuer =
        has(|e| matches!(e, ParsedExtension::AuthorityKeyIdentifier(aki) if aki.key_identifier.is_some()));
    f.hold(&ISSUER_KEY_NAMED, seen.is_self_issued || names_issuer);
}

fn server(read: &TbsCertificate<'_>, seen: &Seen<'_>, f: &mut Findings) {
    let names = seen.names.map_or(&[][..], |(_, names)| &names.general_names);
    // Workloads are known by a SPIFFE ID alone (X509-SVID section 5.2).
    let is_known = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(_) | GeneralName::IPAddress(_) => true,
        GeneralName::URI(uri) => uri.starts_with("spiffe://"),
        _ => false,
    };
    f.hold(&SERVER_NAMED, names.iter().any(is_known));
    let is_one = |cn: &str| {
        names.iter().any(|name| match name {
            GeneralName::DNSName(dns) => dns.eq_ignore_ascii_case(cn),
            GeneralName::IPAddress(octets) => cn.parse().is_ok_and(|ip| is_address(ip, octets)),
            _ => false,
        })
    };
    f.hold(&SERVER_COMMON_NAME, read.subject().iter_common_name().all(|cn| cn.as_str().is_ok_and(is_one)));
    let secs = read.validity().not_after.timestamp().saturating_sub(read.validity().not_before.timestamp());
    f.hold(&SERVER_SHORT, secs <= 825 * 86_400);
}

fn is_address(ip: std::net::IpAddr, octets: &[u8]) -> bool {
    match ip {
        std::net::IpAddr::V4(ip) => ip.octets() == octets,
        std::net::IpAddr::V6(ip) => ip.octets() == octets,
    }
}

/// RFC 5280 section 4.2.1.13: "a DistributionPoint MUST NOT consist of only the reasons field; either distributionPoint or
/// cRLIssuer MUST be present."
fn distribution(points: &CRLDistributionPoints<'_>, f: &mut Findings) {
    for point in &points.points {
        f.hold(&POINTS_POINT, point.distribution_point.is_some() || point.crl_issuer.is_some());
        if let Some(DistributionPointName::FullName(names)) = &point.distribution_point {
            f.hold(&PLACES_HTTP, names.iter().any(is_plain));
        }
    }
}

/// Fetched without TLS, which would have to be verified with what is fetched; LDAP is left alone.
fn is_plain(name: &GeneralName<'_>) -> bool {
    match name {
        GeneralName::URI(uri) => uri.starts_with("http://") || uri.starts_with("ldap:"),
        _ => true,
    }
}

fn is_for_nothing(purposes: &ExtendedKeyUsage<'_>) -> bool {
    let ExtendedKeyUsage {
        any,
        server_auth,
        client_auth,
        code_signing,
        email_protection,
        time_stamping,
        ocsp_signing,
        other,
    } = purposes;
    let named = [any, server_auth, client_auth, code_signing, email_protection, time_stamping, ocsp_signing];
    other.is_empty() && !named.into_iter().any(|has| *has)
}

fn constrains(constraints: &NameConstraints<'_>) -> bool {
    let [permitted, excluded] = [&constraints.permitted_subtrees, &constraints.excluded_subtrees];
    permitted.as_ref().is_some_and(|list| !list.is_empty()) || excluded.as_ref().is_some_and(|list| !list.is_empty())
}

/// id-pkix-ocsp-nocheck.
const NO_CHECK: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 5];
/// id-ce-freshestCRL.
const FRESHEST: &[u8] = &[0x55, 0x1d, 0x2e];
/// id-ad-ocsp.
const OCSP: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1];
