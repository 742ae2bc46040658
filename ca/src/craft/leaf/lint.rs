//! What an end-entity certificate's bytes say against it.

use std::collections::BTreeSet;
use std::sync::Arc;

use hsm::{Family, KeyKind};
use policy::{Grant, Name, Timestamp, Validity};
use store::Entry;
use x509_parser::extensions::{GeneralName, KeyUsage};
use x509_parser::prelude::{ParsedExtension, TbsCertificate, X509Extension};

use crate::craft::x509::{CA_USAGE, Common, both, common, issued_by, same, validity_of};
use crate::drafting::{Craft, Findings, SKEW_SECS};
use crate::encode::san;
use crate::intake::SubjectKey;
use crate::issuers::Issuing;
use crate::profiles::{Profile, Rules, SubjectPolicy, X509Rules};

/// What an end-entity certificate is held against.
pub(crate) struct Leaf {
    pub(crate) issuer: Arc<Issuing>,
    pub(crate) profile: Arc<Profile>,
    pub(crate) key: SubjectKey,
    pub(crate) now: Timestamp,
}

impl Craft for Leaf {
    fn lint(&self, grant: &Grant, entry: &Entry, f: &mut Findings) {
        let Some(tbs) = f.whole(&entry.message) else { return };
        let granted = &grant.resource().names;
        let Some((read, also)) = both(tbs, f) else { return };
        common(&read, &also, &Common { entry, key: &self.key, now: self.now }, f);
        issued_by(&read, &self.issuer, f);
        let Rules::X509(rules) = &self.profile.rules else {
            return f.add("the profile makes no X.509 certificates");
        };
        // What was asked for by its end is as long as the profile allows, counted from the asker's clock.
        let spare = |v: Validity| if v.not_before() == self.now { SKEW_SECS } else { 0 };
        f.hold(
            validity_of(&read).is_some_and(|v| v.secs() <= self.profile.max_validity_secs.saturating_add(spare(v))),
            "it is valid for longer than its profile allows",
        );
        f.hold(self.profile.check_key(self.key.kind()).is_ok(), "its key is of a kind that its profile does not allow");
        f.hold(self.key.hash() != self.issuer.key.fingerprint(), "its key is its issuer's");
        leaf_extensions(read.extensions(), rules, self.key.kind(), f);
        names(&read, &also, granted, f);
        subject(&read, rules, granted, f);
    }

    fn issuer(&self) -> Option<&Arc<Issuing>> {
        Some(&self.issuer)
    }

    fn needed_secs(&self) -> i64 {
        self.profile.min_validity_secs
    }
}

fn leaf_extensions(extensions: &[X509Extension<'_>], rules: &X509Rules, key: KeyKind, f: &mut Findings) {
    for extension in extensions {
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(constraints) => {
                f.hold(!constraints.ca, "a leaf that is a CA");
                f.hold(extension.critical, "basicConstraints is not critical");
            }
            ParsedExtension::KeyUsage(usage) => {
                f.hold(usage.flags & CA_USAGE == 0, "a leaf with the key usage of a CA");
                f.hold(extension.critical, "keyUsage is not critical");
                key_usage(usage, extensions, key, f);
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
    for wanted in rules.extensions.for_key(key) {
        let found =
            extensions.iter().filter(|e| e.oid.as_bytes() == wanted.extn_id.as_bytes() && same(e, wanted)).count();
        f.hold(found == 1, "basicConstraints, keyUsage or extendedKeyUsage is not the profile's");
    }
}

/// A key is said to do what its kind can do and nothing else, whatever the profile says.
fn key_usage(usage: &KeyUsage, extensions: &[X509Extension<'_>], key: KeyKind, f: &mut Findings) {
    let enciphers = usage.key_encipherment() || usage.data_encipherment();
    match key.family() {
        Family::Rsa => {
            let serves = extensions.iter().any(
                |e| matches!(e.parsed_extension(), ParsedExtension::ExtendedKeyUsage(purposes) if purposes.server_auth),
            );
            f.hold(!usage.key_agreement(), "key agreement for an RSA key");
            f.hold(!serves || usage.key_encipherment(), "an RSA server without key encipherment, which NSS refuses");
        }
        Family::Curve => f.hold(!enciphers, "encipherment for a key of a curve (RFC 8813)"),
        Family::Edwards => {
            f.hold(!enciphers && !usage.key_agreement(), "encipherment or agreement for an Ed25519 key (RFC 9295)");
        }
        Family::Lattice => {
            f.hold(!enciphers && !usage.key_agreement(), "encipherment or agreement for an ML-DSA key (RFC 9881)");
        }
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
