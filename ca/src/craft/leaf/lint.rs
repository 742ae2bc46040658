//! What an end-entity certificate's bytes say against it.

use std::collections::BTreeSet;
use std::sync::Arc;

use const_oid::db::rfc5280;
use der::asn1::Utf8StringRef;
use der::{AnyRef, Decode, Tag, TagNumber};
use hsm::KeyKind;
use policy::{Grant, Name, Timestamp, Validity};
use store::Entry;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{ParsedExtension, TbsCertificate, X509Extension};

use crate::craft::leaf::lints::*;
use crate::craft::leaf::profiled;
use crate::craft::lints::whole;
use crate::craft::x509::{CA_USAGE, Common, both, common, issued_by, validity_of};
use crate::drafting::{Craft, SKEW_SECS};
use crate::encode::san;
use crate::intake::SubjectKey;
use crate::issuers::Issuing;
use crate::lint::certificate::same;
use crate::lint::{self, Findings};
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
        let Some(tbs) = whole(&entry.message, f) else { return };
        let granted = &grant.resource().names;
        let Some((read, also)) = both(tbs, f) else { return };
        let backdate_secs = self.profile.backdate_secs();
        common(&read, &also, &Common { entry, key: &self.key, named: None, now: self.now, backdate_secs }, f);
        let Rules::X509(rules) = &self.profile.rules else {
            return f.add(&LEAF_PROFILE_IS_X509);
        };
        issued_by(&read, &self.issuer, &rules.pointers, f);
        // What was asked for by its end is as long as the profile allows, counted from the asker's clock.
        let spare = |v: Validity| if v.not_before() == self.now { SKEW_SECS } else { 0 };
        f.hold(
            &LEAF_IS_SHORT,
            validity_of(&read).is_some_and(|v| v.secs() <= self.profile.max_validity_secs.saturating_add(spare(v))),
        );
        f.hold(&LEAF_KEY_IS_ALLOWED, self.profile.check_key(self.key.kind()).is_ok());
        f.hold(&LEAF_KEY_IS_ITS_OWN, self.key.hash() != self.issuer.key.fingerprint());
        profiled::lint(&read, (&self.profile, rules), &self.issuer, grant, f);
        leaf_extensions(read.extensions(), rules, self.key.kind(), f);
        names(&read, &also, granted, f);
        constraints(&also, &self.issuer, f);
        lint::names::parts("subject", also.subject(), f);
        lint::names::distinguished("subject", read.subject(), f);
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
                f.hold(&LEAF_IS_NO_CA, !constraints.ca);
                f.hold(&LEAF_CONSTRAINTS_CRITICAL, extension.critical);
            }
            ParsedExtension::KeyUsage(usage) => f.hold(&LEAF_SIGNS_NO_CERTIFICATES, usage.flags & CA_USAGE == 0),
            ParsedExtension::ExtendedKeyUsage(_)
            | ParsedExtension::SubjectAlternativeName(_)
            | ParsedExtension::SubjectKeyIdentifier(_)
            | ParsedExtension::AuthorityKeyIdentifier(_)
            | ParsedExtension::CRLDistributionPoints(_)
            | ParsedExtension::AuthorityInfoAccess(_) => {}
            // As every pointer: as its issuer has it, byte for byte.
            _ if extension.oid.as_bytes() == rfc5280::ID_CE_FRESHEST_CRL.as_bytes() => {}
            // Policies, must-staple, and what a profile writes out: as the profile has it.
            _ if rules.extensions.for_key(key).iter().any(|wanted| same(extension, wanted)) => {}
            _ => f.add_with(&LEAF_EXTENSIONS_KNOWN, extension.oid.to_string()),
        }
    }
    // What the profile says is there, byte for byte, and nothing of it is missing.
    for wanted in rules.extensions.for_key(key) {
        let found = extensions.iter().filter(|e| same(e, wanted)).count();
        f.hold(&LEAF_EXTENSIONS_ARE_THE_PROFILES, found == 1);
    }
}

/// The set of names in the bytes is the set that was granted, as either parser reads it.
fn names(read: &TbsCertificate<'_>, also: &x509_cert::TbsCertificate, granted: &[Name], f: &mut Findings) {
    let granted: BTreeSet<&Name> = granted.iter().collect();
    let mut found = Vec::new();
    for extension in read.extensions() {
        if let ParsedExtension::SubjectAlternativeName(san) = extension.parsed_extension() {
            found.extend(san.general_names.iter().map(name_of));
        }
    }
    let Some(found) = f.read(&LEAF_NAMES_READABLE, "SAN", found.into_iter().collect::<Result<Vec<_>, _>>()) else {
        return;
    };
    f.hold(&LEAF_NAMES_ARE_GRANTED, found.len() == granted.len() && found.iter().collect::<BTreeSet<_>>() == granted);
    let second = also.get_extension::<x509_cert::ext::pkix::SubjectAltName>();
    let Some(second) = f.read(&LEAF_NAMES_READABLE, "SAN", second) else { return };
    let second = second.map_or(Vec::new(), |(_, san)| san.0.iter().map(san::decode).collect());
    let Some(second) = f.read(&LEAF_NAMES_READABLE, "SAN", second.into_iter().collect::<Result<Vec<Name>, String>>())
    else {
        return;
    };
    f.hold(&LEAF_ONE_READING_OF_NAMES, second == found);
}

/// Each CA of the chain that is handed out may certify these names: a certificate that nobody believes helps nobody.
fn constraints(also: &x509_cert::TbsCertificate, issuer: &Issuing, f: &mut Findings) {
    let san = also.get_extension::<x509_cert::ext::pkix::SubjectAltName>().ok().flatten();
    let names = san.map_or(Vec::new(), |(_, san)| san.0);
    for above in issuer.chains.first().into_iter().flatten() {
        let outside = above.constraints.as_ref().and_then(|own| lint::within::outside(own, also.subject(), &names));
        if let Some(outside) = outside {
            f.add_with(&LEAF_NAMES_WITHIN, format!("{outside} by {}", above.subject));
        }
    }
}

/// A common name that a profile takes from the names is one of them.
fn subject(read: &TbsCertificate<'_>, rules: &X509Rules, granted: &[Name], f: &mut Findings) {
    let parts = read.subject().iter().flat_map(|rdn| rdn.iter()).count();
    match &rules.subject {
        SubjectPolicy::Empty => f.hold(&LEAF_SUBJECT_EMPTY, parts == 0),
        SubjectPolicy::Given => f.hold(&LEAF_SUBJECT_GIVEN, parts > 0),
        // `profiled` holds it.
        SubjectPolicy::Template(_) => {}
        SubjectPolicy::FirstName => {
            let ours = read.subject().iter_common_name().all(|cn| {
                cn.as_str().is_ok_and(|cn| granted.iter().any(|n| matches!(n, Name::Dns(dns) if dns.as_str() == cn)))
            });
            f.hold(&LEAF_SUBJECT_IS_A_NAME, ours && parts <= 1);
        }
    }
}

pub(crate) fn name_of(name: &GeneralName<'_>) -> Result<Name, String> {
    let text = match name {
        GeneralName::DNSName(text) => format!("dns:{text}"),
        GeneralName::RFC822Name(text) => format!("email:{text}"),
        GeneralName::URI(text) => format!("uri:{text}"),
        GeneralName::OtherName(kind, value) if kind.as_bytes() == san::USER_PRINCIPAL_NAME.as_bytes() => {
            format!("upn:{}", principal_name(value)?)
        }
        GeneralName::IPAddress(octets) => match octets.len() {
            4 => <[u8; 4]>::try_from(*octets).map(|o| format!("ip:{}", std::net::IpAddr::from(o))),
            _ => <[u8; 16]>::try_from(*octets).map(|o| format!("ip:{}", std::net::IpAddr::from(o))),
        }
        .map_err(|_| "an IP address of odd length".to_owned())?,
        other => return Err(format!("a name of another kind: {other:?}")),
    };
    Name::parse(&text).map_err(|e| e.to_string())
}

/// The text of a user principal name: `[0]` around a UTF8String.
fn principal_name(value: &[u8]) -> Result<String, String> {
    let odd = |_| "a user principal name that is no UTF8String".to_owned();
    let explicit = AnyRef::from_der(value).map_err(odd)?;
    let tag = Tag::ContextSpecific { constructed: true, number: TagNumber(0) };
    explicit.header().tag().assert_eq(tag).map_err(odd)?;
    Ok(Utf8StringRef::from_der(explicit.value()).map_err(odd)?.as_str().to_owned())
}
