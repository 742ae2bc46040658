//! Whether an end-entity certificate's bytes are what its profile's own words allow: names, subject, end, purposes.

use const_oid::db::{rfc5280, rfc5912};
use der::Decode;
use policy::{Grant, Name, Owner};
use spki::ObjectIdentifier;
use x509_cert::ext::pkix::ExtendedKeyUsage;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{ParsedExtension, TbsCertificate};

use crate::craft::leaf::profiled_lints::*;
use crate::craft::x509::{has, validity_of};
use crate::issuers::Issuing;
use crate::lint::Findings;
use crate::lint::certificate::same;
use crate::profiles::{Profile, SubjectPolicy, TLS_FEATURE, X509Rules};

/// Holds it. `names` are those of the bytes.
pub(crate) fn lint(
    read: &TbsCertificate<'_>,
    (profile, rules): (&Profile, &X509Rules),
    issuer: &Issuing,
    grant: &Grant,
    f: &mut Findings,
) {
    let bare = issuer.label.split('/').next();
    let named = bare == Some(&profile.issuer) || bare.is_some() && bare == rules.fallback_issuer.as_deref();
    f.hold(&LEAF_ISSUER_IS_THE_PROFILES, named);
    let in_time = |end| validity_of(read).is_some_and(|validity| validity.not_after() <= end);
    f.hold(&LEAF_ENDS_WITH_ITS_PROFILE, rules.ends.is_none_or(in_time));
    // The names of the bytes are the granted ones, which another lint holds.
    let names = &grant.resource().names;
    if let Some(why) =
        names.iter().find(|name| !rules.allows(name)).map(Name::to_string).or(rules.check_names(names).err())
    {
        f.add_with(&LEAF_NAMES_ARE_ALLOWED, why);
    }
    f.hold(&LEAF_ONE_SPIFFE_ID, has_one_spiffe_id(read));
    if let SubjectPolicy::Template(template) = &rules.subject {
        let of = (grant.resource().owner.as_ref().map(Owner::as_str), names.as_slice());
        let made = attributes(read).is_some_and(|found| template.has_made(&found, of, &rules.organizations));
        f.hold(&LEAF_SUBJECT_FITS, made);
    }
    purposes(read, issuer, f);
    pointers(read, rules, issuer, f);
    let responder = |e: &ParsedExtension<'_>| match e {
        ParsedExtension::AuthorityInfoAccess(access) => {
            access.accessdescs.iter().any(|a| a.access_method.as_bytes() == rfc5912::ID_AD_OCSP.as_bytes())
        }
        _ => false,
    };
    let staples = read.extensions().iter().any(|e| e.oid.as_bytes() == TLS_FEATURE.as_bytes());
    f.hold(&LEAF_STAPLES_SOMETHING, !staples || has(read, responder));
}

/// X509-SVID section 2: "An X.509 SVID MUST contain exactly one URI SAN".
fn has_one_spiffe_id(read: &TbsCertificate<'_>) -> bool {
    let mut uris = Vec::new();
    for extension in read.extensions() {
        if let ParsedExtension::SubjectAlternativeName(san) = extension.parsed_extension() {
            uris.extend(san.general_names.iter().filter_map(|name| match name {
                GeneralName::URI(uri) => Some(*uri),
                _ => None,
            }));
        }
    }
    uris.len() <= 1 || !uris.iter().any(|uri| uri.starts_with("spiffe:"))
}

/// The attributes of the subject, if each is text and an RDN of its own.
fn attributes(read: &TbsCertificate<'_>) -> Option<Vec<(ObjectIdentifier, String)>> {
    let mut found = Vec::new();
    for rdn in read.subject().iter() {
        let mut attributes = rdn.iter();
        let (one, None) = (attributes.next()?, attributes.next()) else { return None };
        let oid = ObjectIdentifier::from_bytes(one.attr_type().as_bytes()).ok()?;
        found.push((oid, one.as_str().ok()?.to_owned()));
    }
    Some(found)
}

/// Byte for byte, and none where the profile names none.
fn pointers(read: &TbsCertificate<'_>, rules: &X509Rules, issuer: &Issuing, f: &mut Findings) {
    let points =
        [rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS, rfc5280::ID_CE_FRESHEST_CRL, rfc5280::ID_PE_AUTHORITY_INFO_ACCESS];
    let found = read.extensions().iter().filter(|e| points.iter().any(|oid| e.oid.as_bytes() == oid.as_bytes()));
    let found: Vec<_> = found.collect();
    let wanted = issuer.pointers_as(read.raw_serial(), &rules.pointers);
    let wanted = wanted.as_deref().unwrap_or_default();
    let wanted: Vec<_> = wanted.iter().filter(|e| points.contains(&e.extn_id)).collect();
    let all = found.len() == wanted.len() && wanted.iter().all(|wanted| found.iter().any(|e| same(e, wanted)));
    f.hold(&LEAF_POINTS_AS_ITS_PROFILE, all);
}

fn purposes(read: &TbsCertificate<'_>, issuer: &Issuing, f: &mut Findings) {
    let of_purpose =
        |e: &&x509_parser::prelude::X509Extension<'_>| e.oid.as_bytes() == rfc5280::ID_CE_EXT_KEY_USAGE.as_bytes();
    let Some(extension) = read.extensions().iter().find(of_purpose) else { return };
    let Ok(ExtendedKeyUsage(all)) = ExtendedKeyUsage::from_der(extension.value) else { return };
    let stamps = all.contains(&rfc5280::ID_KP_TIME_STAMPING);
    f.hold(&LEAF_TIME_STAMPING_ALONE, !stamps || extension.critical && all.len() == 1);
    let covered = issuer.purposes.as_ref().is_none_or(|own| all.iter().all(|purpose| own.contains(purpose)));
    f.hold(&LEAF_PURPOSES_ARE_ITS_ISSUERS, covered);
}
