//! Where certificates point to: the CRL that would tell of them, the OCSP responder, their issuer's certificate.
//!
//! An issuer has a place of its own for each; a profile says which of them its certificates name, and adds an operator's. Places of
//! one kind of thing stand in one list: a distribution point with several names is one CRL at several places (RFC 5280 section
//! 4.2.1.13), so that a part's issuingDistributionPoint, which has the issuer's own, fits whatever else stands beside it.

use const_oid::db::{rfc5280, rfc5912};
use der::Encode;
use der::asn1::Ia5String;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{AccessDescription, AuthorityInfoAccessSyntax, CrlDistributionPoints};

use crate::encode::x509::{authority_key_identifier, extension};
use crate::issuers::name::GenerationName;

/// What a profile's certificates name. `None`: nothing of this kind; else the issuer's own place, and these beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pointers {
    pub(crate) crl: Option<Vec<String>>,
    pub(crate) ocsp: Option<Vec<String>>,
    pub(crate) issuer: Option<Vec<String>>,
}

impl Default for Pointers {
    /// The issuer's own, one of each.
    fn default() -> Self {
        Pointers { crl: Some(Vec::new()), ocsp: Some(Vec::new()), issuer: Some(Vec::new()) }
    }
}

impl Pointers {
    /// Whether each part of an issuer with several has a CRL of its own at every place.
    pub(crate) fn tells_parts_apart(&self) -> bool {
        self.crl.iter().flatten().all(|place| place.contains(SHARD))
    }
}

/// The places of one issuer, of one part of it.
pub(super) struct Places<'a> {
    pub(super) name: &'a GenerationName,
    pub(super) shard: u16,
    pub(super) crl: &'a str,
    /// Where its deltas are, if it has any.
    pub(super) delta: Option<&'a str>,
    pub(super) ocsp: &'a str,
    pub(super) issuer: &'a str,
}

/// authorityKeyIdentifier, cRLDistributionPoints, freshestCRL, authorityInfoAccess.
pub(super) fn encode(
    key_identifier: &[u8],
    places: &Places<'_>,
    wanted: &Pointers,
) -> Result<Vec<Extension>, der::Error> {
    let of = |own: &str, more: &Option<Vec<String>>| {
        let more = more.as_ref().map(|more| more.iter().map(|place| places.fill(place)));
        let all = more.map(|more| std::iter::once(own.to_owned()).chain(more).collect::<Vec<_>>());
        all.unwrap_or_default().iter().map(|place| uri(place)).collect::<Result<Vec<_>, _>>()
    };
    let mut all = vec![authority_key_identifier(key_identifier)?];
    let crls = of(places.crl, &wanted.crl)?;
    if !crls.is_empty() {
        all.push(extension(rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS, false, &point(crls)?)?);
        all.extend(places.delta.map(freshest).transpose()?);
    }
    let at = |access_method| move |access_location| AccessDescription { access_method, access_location };
    let mut access: Vec<_> = of(places.ocsp, &wanted.ocsp)?.into_iter().map(at(rfc5912::ID_AD_OCSP)).collect();
    access.extend(of(places.issuer, &wanted.issuer)?.into_iter().map(at(rfc5912::ID_AD_CA_ISSUERS)));
    if !access.is_empty() {
        let access = AuthorityInfoAccessSyntax(access).to_der()?;
        all.push(extension(rfc5280::ID_PE_AUTHORITY_INFO_ACCESS, false, &access)?);
    }
    Ok(all)
}

/// One distribution point with these names.
fn point(names: Vec<GeneralName>) -> Result<Vec<u8>, der::Error> {
    let distribution_point = Some(DistributionPointName::FullName(names));
    CrlDistributionPoints(vec![DistributionPoint { distribution_point, reasons: None, crl_issuer: None }]).to_der()
}

/// freshestCRL of a certificate (RFC 5280 section 4.2.1.15) or of a complete CRL (section 5.2.6), which both have to leave it
/// not critical: where the deltas of that CRL are. The issuer's own place alone: a mirror of an operator's has no deltas.
pub(crate) fn freshest(place: &str) -> Result<Extension, der::Error> {
    extension(rfc5280::ID_CE_FRESHEST_CRL, false, &point(vec![uri(place)?])?)
}

impl Places<'_> {
    /// An operator's place, of this issuer, generation and part.
    fn fill(&self, place: &str) -> String {
        place
            .replace(ISSUER, self.name.issuer())
            .replace(GENERATION, &self.name.number().to_string())
            .replace(SHARD, &self.shard.to_string())
    }
}

/// A URI as a name.
pub(crate) fn uri(text: &str) -> Result<GeneralName, der::Error> {
    Ok(GeneralName::UniformResourceIdentifier(Ia5String::new(text)?))
}

/// Why this is no place that a profile may name.
pub(crate) fn check_place(place: &str) -> Result<(), String> {
    let bare = [ISSUER, GENERATION, SHARD].iter().fold(place.to_owned(), |text, word| text.replace(word, "0"));
    if place.len() > PLACE_BYTES_MAX {
        return Err(format!("a place of more than {PLACE_BYTES_MAX} bytes"));
    }
    // RFC 5280 section 8: a place that is reached by TLS asks for what it is to tell.
    let host = bare.strip_prefix("http://").filter(|rest| !rest.is_empty() && !rest.starts_with('/'));
    let plain = bare.bytes().all(|b| b.is_ascii_graphic() && !b"{}<>\"\\^`|".contains(&b));
    match host.is_some() && plain {
        true => Ok(()),
        false => Err(format!(
            "`{place}` is no plain http address; write \"http://crl.example.internal/{{issuer}}/{{generation}}/{{shard}}.crl\""
        )),
    }
}

const ISSUER: &str = "{issuer}";
const GENERATION: &str = "{generation}";
const SHARD: &str = "{shard}";
/// Each certificate carries it.
const PLACE_BYTES_MAX: usize = 256;
