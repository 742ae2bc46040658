//! What a certificate's bytes say against it, read by two parsers that did not make them.
//!
//! x509-parser is the reader that decides; x509-cert reads the same bytes, and wherever the two disagree, that is a
//! finding: what two parsers read differently, two relying parties will.

use std::collections::BTreeSet;

use der::{Decode, Encode};
use policy::{Name, Timestamp, Validity};
use spki::ObjectIdentifier;
use store::Entry;
use x509_cert::ext::Extension;
use x509_parser::extensions::{GeneralName, KeyUsage};
use x509_parser::prelude::{FromDer, ParsedExtension, TbsCertificate, X509Extension, X509Version};

use crate::draft::BACKDATE_SECS_MAX;
use crate::encode::algorithm::identifier;
use crate::encode::san;
use crate::encode::x509::key_identifier;
use crate::intake::SubjectKey;
use crate::issuer::Issuing;
use crate::lint::Findings;
use crate::profile::{Profile, Rules, SubjectPolicy, X509Rules};

/// What an end-entity certificate is held against.
pub(crate) struct Leaf<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) issuer: &'a Issuing,
    pub(crate) profile: &'a Profile,
    pub(crate) key: &'a SubjectKey,
    /// What was granted.
    pub(crate) names: &'a [Name],
    pub(crate) now: Timestamp,
}

/// What a CA certificate is held against.
pub(crate) struct Ca<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) issuer: Option<&'a Issuing>,
    pub(crate) key: &'a SubjectKey,
    pub(crate) path_len: u8,
    pub(crate) now: Timestamp,
}

/// Lints the TBS of an end-entity certificate.
pub(crate) fn leaf(tbs: &[u8], expect: &Leaf<'_>, f: &mut Findings) {
    let Some((read, also)) = both(tbs, f) else { return };
    common(&read, &also, &Common { entry: expect.entry, key: expect.key, now: expect.now }, f);
    issued_by(&read, expect.issuer, f);
    let Rules::X509(rules) = &expect.profile.rules else {
        return f.add("the profile makes no X.509 certificates");
    };
    f.hold(
        validity_of(&read).is_some_and(|v| v.secs() <= expect.profile.max_validity_secs),
        "it is valid for longer than its profile allows",
    );
    f.hold(expect.profile.check_key(expect.key.kind()).is_ok(), "its key is of a kind that its profile does not allow");
    f.hold(expect.key.hash() != expect.issuer.key.fingerprint(), "its key is its issuer's");
    leaf_extensions(read.extensions(), rules, f);
    names(&read, &also, expect.names, f);
    subject(&read, rules, expect.names, f);
}

/// Lints the TBS of a CA certificate.
pub(crate) fn ca(tbs: &[u8], expect: &Ca<'_>, f: &mut Findings) {
    let Some((read, also)) = both(tbs, f) else { return };
    common(&read, &also, &Common { entry: expect.entry, key: expect.key, now: expect.now }, f);
    match expect.issuer {
        Some(issuer) => {
            issued_by(&read, issuer, f);
            // RFC 5280 section 4.2.1.9: the path below this one is part of the path below its issuer.
            f.hold(
                issuer.path_len.is_none_or(|n| u32::from(expect.path_len) < n),
                "its issuer allows no such path below it",
            );
        }
        None => {
            f.hold(read.issuer().as_raw() == read.subject().as_raw(), "a root that does not name itself as its issuer");
            f.hold(expect.entry.key.fingerprint() == expect.key.hash(), "a root that another key signs");
        }
    }
    f.hold(read.subject().iter().next().is_some(), "a CA without a subject");
    for extension in read.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(constraints) => {
                f.hold(extension.critical && constraints.ca, "basicConstraints is not critical CA:TRUE");
                f.hold(
                    constraints.path_len_constraint == Some(u32::from(expect.path_len)),
                    "another path length than planned",
                );
            }
            ParsedExtension::KeyUsage(usage) => {
                f.hold(extension.critical && usage.flags == CA_USAGE, "its key usage is not a CA's");
            }
            ParsedExtension::ExtendedKeyUsage(purposes) => {
                f.hold(!extension.critical && !purposes.any, "an EKU for any purpose")
            }
            ParsedExtension::SubjectKeyIdentifier(_)
            | ParsedExtension::AuthorityKeyIdentifier(_)
            | ParsedExtension::CRLDistributionPoints(_)
            | ParsedExtension::AuthorityInfoAccess(_) => f.hold(!extension.critical, "a pointer is marked critical"),
            _ => f.add(format!("an extension {} that no CA profile has", extension.oid)),
        }
    }
    f.hold(has(&read, |e| matches!(e, ParsedExtension::BasicConstraints(_))), "no basicConstraints");
    f.hold(has(&read, |e| matches!(e, ParsedExtension::KeyUsage(_))), "no key usage");
}

struct Common<'a> {
    entry: &'a Entry,
    key: &'a SubjectKey,
    now: Timestamp,
}

fn both<'a>(tbs: &'a [u8], f: &mut Findings) -> Option<(TbsCertificate<'a>, x509_cert::TbsCertificate)> {
    let (rest, read) = f.read("x509-parser", TbsCertificate::from_der(tbs))?;
    f.hold(rest.is_empty(), "bytes follow the certificate");
    let also = f.read("x509-cert", x509_cert::TbsCertificate::from_der(tbs))?;
    Some((read, also))
}

/// What holds for every certificate, and that both parsers read the same.
fn common(read: &TbsCertificate<'_>, also: &x509_cert::TbsCertificate, expect: &Common<'_>, f: &mut Findings) {
    f.hold(
        read.version() == X509Version::V3 && also.version() == x509_cert::certificate::Version::V3,
        "it is not of version 3",
    );

    let serial = read.raw_serial();
    f.hold(serial == also.serial_number().as_bytes(), "two parsers read two serials");
    f.hold(serial == expect.entry.serial, "its serial is not the ledger's");
    // Invariant 9; RFC 5280 section 4.1.2.2: positive, at most 20 octets. 63 bits were once an incident of their own (2019).
    f.hold(
        serial.len() == 16 && serial.first().is_some_and(|b| (1..0x80).contains(b)),
        "its serial is not 16 positive bytes",
    );

    let algorithm = identifier(expect.entry.key.algorithm());
    f.hold(
        also.signature().to_der().is_ok_and(|der| der == algorithm),
        "its signature algorithm is not its issuer's key's",
    );
    f.hold(
        read.signature.oid().as_bytes() == also.signature().oid.as_bytes(),
        "two parsers read two signature algorithms",
    );

    f.hold(name_agrees(read.issuer().as_raw(), also.issuer()), "two parsers read two issuers");
    f.hold(name_agrees(read.subject().as_raw(), also.subject()), "two parsers read two subjects");
    f.hold(read.public_key().raw == expect.key.spki_der(), "its key is not the one whose strength was checked");
    f.hold(
        also.subject_public_key_info().to_der().is_ok_and(|der| der == read.public_key().raw),
        "two parsers read two keys",
    );

    validity(read, also, expect, f);
    extensions_agree(read.extensions(), also.extensions().map_or(&[][..], |e| e), f);

    let identifier = key_identifier(expect.key.spki_der());
    let has_identifier = has(
        read,
        |e| matches!(e, ParsedExtension::SubjectKeyIdentifier(id) if Some(id.0) == identifier.as_ref().map(|i| &i[..])),
    );
    f.hold(has_identifier, "its subject key identifier is not its key's");
}

fn validity(read: &TbsCertificate<'_>, also: &x509_cert::TbsCertificate, expect: &Common<'_>, f: &mut Findings) {
    let Some(validity) = validity_of(read) else { return f.add("it ends before it begins") };
    let unix = |time: &x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).ok();
    let agree = unix(&also.validity().not_before) == Some(validity.not_before().unix())
        && unix(&also.validity().not_after) == Some(validity.not_after().unix());
    f.hold(agree, "two parsers read two validities");
    f.hold(Some(validity) == expect.entry.validity, "its validity is not the ledger's");
    f.hold(validity.contains(expect.now), "it is not valid now");
    f.hold(expect.now.since(validity.not_before()) <= BACKDATE_SECS_MAX, "it is backdated by more than a minute");
}

fn issued_by(read: &TbsCertificate<'_>, issuer: &Issuing, f: &mut Findings) {
    f.hold(read.issuer().as_raw() == issuer.subject.as_der(), "its issuer is not, byte for byte, its issuer's subject");
    let within = validity_of(read)
        .is_some_and(|v| issuer.validity.contains(v.not_before()) && issuer.validity.contains(v.not_after()));
    f.hold(within, "it is valid when its issuer is not");
    let names_issuer = has(read, |e| {
        matches!(e, ParsedExtension::AuthorityKeyIdentifier(aki)
            if aki.key_identifier.as_ref().is_some_and(|id| id.0 == issuer.key_identifier))
    });
    f.hold(names_issuer, "its authority key identifier is not its issuer's subject key identifier");
    f.hold(has(read, |e| matches!(e, ParsedExtension::CRLDistributionPoints(_))), "it points to no CRL");
    f.hold(has(read, |e| matches!(e, ParsedExtension::AuthorityInfoAccess(_))), "it points to no issuer certificate");
}

fn leaf_extensions(extensions: &[X509Extension<'_>], rules: &X509Rules, f: &mut Findings) {
    for extension in extensions {
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(constraints) => {
                f.hold(!constraints.ca, "a leaf that is a CA");
                f.hold(extension.critical, "basicConstraints is not critical");
            }
            ParsedExtension::KeyUsage(usage) => {
                f.hold(usage.flags & CA_USAGE == 0, "a leaf with the key usage of a CA");
                f.hold(extension.critical, "keyUsage is not critical");
            }
            ParsedExtension::ExtendedKeyUsage(purposes) => f.hold(!purposes.any, "an EKU for any purpose"),
            ParsedExtension::SubjectAlternativeName(san) => f.hold(!san.general_names.is_empty(), "an empty SAN"),
            ParsedExtension::SubjectKeyIdentifier(_)
            | ParsedExtension::AuthorityKeyIdentifier(_)
            | ParsedExtension::CRLDistributionPoints(_)
            | ParsedExtension::AuthorityInfoAccess(_) => f.hold(!extension.critical, "a pointer is marked critical"),
            _ => f.add(format!("an extension {} that no profile has", extension.oid)),
        }
    }
    // basicConstraints, keyUsage and EKU are, byte for byte, the profile's, and none of them is missing.
    for wanted in &rules.extensions {
        let found =
            extensions.iter().filter(|e| e.oid.as_bytes() == wanted.extn_id.as_bytes() && same(e, wanted)).count();
        f.hold(found == 1, "basicConstraints, keyUsage or extendedKeyUsage is not the profile's");
    }
}

/// The set of names in the bytes is the set that was granted, as either parser reads it.
fn names(read: &TbsCertificate<'_>, also: &x509_cert::TbsCertificate, granted: &[Name], f: &mut Findings) {
    let granted: BTreeSet<&Name> = granted.iter().collect();
    let mut found = Vec::new();
    let mut critical = false;
    for extension in read.extensions() {
        if let ParsedExtension::SubjectAlternativeName(san) = extension.parsed_extension() {
            critical = extension.critical;
            found.extend(san.general_names.iter().map(name_of));
        }
    }
    let Some(found) = f.read("SAN", found.into_iter().collect::<Result<Vec<_>, _>>()) else { return };
    f.hold(
        found.len() == granted.len() && found.iter().collect::<BTreeSet<_>>() == granted,
        "its names are not those that were granted",
    );
    let second = also.get_extension::<x509_cert::ext::pkix::SubjectAltName>();
    let Some(second) = f.read("SAN", second) else { return };
    let second = second.map_or(Vec::new(), |(_, san)| san.0.iter().map(san::decode).collect());
    let Some(second) = f.read("SAN", second.into_iter().collect::<Result<Vec<Name>, String>>()) else { return };
    f.hold(second == found, "two parsers read two sets of names");
    let empty_subject = read.subject().iter().next().is_none();
    f.hold(
        granted.is_empty() || critical == empty_subject,
        "the SAN is critical although there is a subject, or not although there is none",
    );
}

/// A common name that a profile takes from the names is one of them.
fn subject(read: &TbsCertificate<'_>, rules: &X509Rules, granted: &[Name], f: &mut Findings) {
    let parts = read.subject().iter().flat_map(|rdn| rdn.iter()).count();
    match rules.subject {
        SubjectPolicy::Empty => f.hold(parts == 0, "a subject where the profile wants none"),
        SubjectPolicy::Given => f.hold(parts > 0, "no subject"),
        SubjectPolicy::FirstName => {
            let ours = read.subject().iter_common_name().all(|cn| {
                cn.as_str().is_ok_and(|cn| granted.iter().any(|n| matches!(n, Name::Dns(dns) if dns.as_str() == cn)))
            });
            f.hold(ours && parts <= 1, "a subject that is not one of its names");
        }
    }
}

fn name_of(name: &GeneralName<'_>) -> Result<Name, String> {
    let text = match name {
        GeneralName::DNSName(text) => format!("dns:{text}"),
        GeneralName::RFC822Name(text) => format!("email:{text}"),
        GeneralName::URI(text) => format!("uri:{text}"),
        GeneralName::IPAddress(octets) => match octets.len() {
            4 => <[u8; 4]>::try_from(*octets).map(|o| format!("ip:{}", std::net::IpAddr::from(o))),
            _ => <[u8; 16]>::try_from(*octets).map(|o| format!("ip:{}", std::net::IpAddr::from(o))),
        }
        .map_err(|_| "an IP address of odd length".to_owned())?,
        other => return Err(format!("a name of another kind: {other:?}")),
    };
    Name::parse(&text).map_err(|e| e.to_string())
}

fn name_agrees(raw: &[u8], also: &x509_cert::name::Name) -> bool {
    x509_cert::name::Name::from_der(raw).is_ok_and(|name| name == *also)
}

fn extensions_agree(read: &[X509Extension<'_>], also: &[Extension], f: &mut Findings) {
    let agree = read.len() == also.len()
        && read.iter().zip(also).all(|(a, b)| a.oid.as_bytes() == b.extn_id.as_bytes() && same(a, b));
    f.hold(agree, "two parsers read two sets of extensions");
    for (i, extension) in read.iter().enumerate() {
        // RFC 5280 section 4.2: "A certificate MUST NOT include more than one instance of a particular extension."
        f.hold(!read.iter().take(i).any(|e| e.oid == extension.oid), "an extension stands in it twice");
        f.hold(
            !matches!(extension.parsed_extension(), ParsedExtension::ParseError { .. }),
            "an extension cannot be read",
        );
        f.hold(
            !(extension.critical && extension.oid.as_bytes() == CERTIFICATE_POLICIES.as_bytes()),
            "critical policies, which webpki refuses",
        );
    }
}

fn same(a: &X509Extension<'_>, b: &Extension) -> bool {
    a.critical == b.critical && a.value == b.extn_value.as_bytes()
}

fn has(read: &TbsCertificate<'_>, what: impl Fn(&ParsedExtension<'_>) -> bool) -> bool {
    read.extensions().iter().any(|e| what(e.parsed_extension()))
}

fn validity_of(read: &TbsCertificate<'_>) -> Option<Validity> {
    let not_before = Timestamp::from_unix(read.validity().not_before.timestamp());
    let not_after = Timestamp::from_unix(read.validity().not_after.timestamp());
    Validity::new(not_before, not_after).ok()
}

/// keyCertSign and cRLSign, as x509-parser numbers them (bit 5 and bit 6).
const CA_USAGE: u16 = KeyUsage { flags: 1 << 5 | 1 << 6 }.flags;
const CERTIFICATE_POLICIES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32");
