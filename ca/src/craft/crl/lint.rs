//! What a CRL's bytes say against it, read by two parsers that did not make them.
//!
//! They read the exact bytes but for the entries that they have read before: those are compared with what they were then, byte
//! for byte, and cut out. So each entry was read by both when it was new, everything else each time, and the cost of a lint is
//! that of what is new. The first lint after a start reads all.

use std::borrow::Cow;
use std::sync::Arc;

use const_oid::db::rfc5280;
use der::asn1::UintRef;
use der::{AnyRef, Decode, Encode, Tag};
use policy::{Grant, Timestamp, Validity};
use store::{Entry, Shard};
use x509_parser::extensions::{DistributionPointName, IssuingDistributionPoint};
use x509_parser::oid_registry::OID_X509_EXT_ISSUER_DISTRIBUTION_POINT;
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension};
use x509_parser::revocation_list::TbsCertList;

use crate::craft::crl::lints::*;
use crate::craft::crl::listed::Listed;
use crate::craft::lints::whole;
use crate::drafting::Craft;
use crate::encode::tlv;
use crate::error::DraftError;
use crate::issuers::{Issuing, freshest};
use crate::lint::Findings;
use crate::lint::certificate::same;
use crate::lint::crl::{self, CRL_ALONE, CRL_READABLE};

/// What a CRL is held against.
pub(crate) struct Crl {
    pub(crate) issuer: Arc<Issuing>,
    /// Of which part it tells; none: of everything.
    pub(super) shard: Option<Shard>,
    /// Of a delta CRL, the number of what it rests on.
    pub(super) base: Option<u64>,
    pub(crate) number: u64,
    /// What a lint has passed before.
    pub(super) before: Arc<Listed>,
    /// How many come to it.
    pub(crate) added: usize,
    pub(crate) now: Timestamp,
}

impl Craft for Crl {
    fn lint(&self, _: &Grant, entry: &Entry, f: &mut Findings) {
        let Some(tbs) = whole(&entry.message, f) else { return };
        let Some(cut) = f.read(&CRL_BEGINS_AS_BEFORE, "the list", self.cut(tbs)) else { return };
        let tbs = cut.as_ref();
        let Some((rest, read)) = f.read(&CRL_READABLE, "x509-parser", TbsCertList::from_der(tbs)) else { return };
        let Some(also) = f.read(
            &CRL_READABLE,
            "x509-cert",
            x509_cert::crl::TbsCertList::<x509_cert::certificate::Rfc5280>::from_der(tbs),
        ) else {
            return;
        };
        f.hold(&CRL_ALONE, rest.is_empty());
        crl::tbs(&read, &also, f);
        f.hold(
            &CRL_ALGORITHM,
            also.signature.to_der().is_ok_and(|der| der == self.issuer.key.algorithm().identifier()),
        );
        f.hold(&CRL_ISSUER, read.issuer.as_raw() == self.issuer.subject.as_der());

        let this_update = Timestamp::from_unix(read.this_update.timestamp());
        let next_update = read.next_update.map(|t| Timestamp::from_unix(t.timestamp()));
        let validity = next_update.and_then(|next| Validity::new(this_update, next).ok());
        f.hold(&CRL_UPDATES, validity.is_some() && validity == entry.validity);
        f.hold(&CRL_IS_CURRENT, validity.is_some_and(|v| v.contains(self.now)));

        let listed = also.revoked_certificates.as_ref().map_or(0, Vec::len);
        f.hold(&CRL_LISTS_ALL, read.revoked_certificates.len() == self.added && listed == self.added);

        let mut numbered = false;
        let mut names_issuer = false;
        let mut scopes = Vec::new();
        let (mut bases, mut places) = (Vec::new(), Vec::new());
        for extension in read.extensions() {
            let is_scope = extension.oid == OID_X509_EXT_ISSUER_DISTRIBUTION_POINT;
            let is_base = extension.oid.as_bytes() == rfc5280::ID_CE_DELTA_CRL_INDICATOR.as_bytes();
            f.hold(&CRL_NOT_CRITICAL, is_scope || is_base || !extension.critical);
            match extension.parsed_extension() {
                ParsedExtension::IssuingDistributionPoint(scope) => {
                    scopes.push(extension.critical && self.is_ours(scope))
                }
                ParsedExtension::CRLNumber(number) => numbered = *number == self.number.into(),
                ParsedExtension::AuthorityKeyIdentifier(aki) => {
                    names_issuer = aki.key_identifier.as_ref().is_some_and(|id| id.0 == self.issuer.key_identifier);
                }
                _ if is_base => bases.push((extension.critical, extension.value)),
                _ if extension.oid.as_bytes() == rfc5280::ID_CE_FRESHEST_CRL.as_bytes() => places.push(extension),
                _ => f.add_with(&CRL_EXTENSIONS_KNOWN, extension.oid.to_string()),
            }
        }
        let wanted = self.base.map(|base| UintRef::new(&base.to_be_bytes()).and_then(|base| base.to_der()));
        let wanted = wanted.transpose().ok().flatten();
        f.hold(&CRL_BASE, bases == wanted.iter().map(|base| (true, base.as_slice())).collect::<Vec<_>>());
        let place = self.issuer.delta_url(self.shard).filter(|_| self.base.is_none());
        let place = place.as_deref().map(freshest).transpose().ok().flatten();
        f.hold(&CRL_FRESHEST, places.len() == place.iter().len() && places.iter().zip(&place).all(|(a, b)| same(a, b)));
        f.hold(&CRL_NUMBER, numbered);
        f.hold(&CRL_ISSUER_KEY, names_issuer);
        f.hold(&CRL_SCOPE, scopes == vec![true; usize::from(self.shard.is_some())]);
    }

    fn issuer(&self) -> Option<&Arc<Issuing>> {
        Some(&self.issuer)
    }

    fn tells(&self) -> bool {
        true
    }
}

impl Crl {
    /// Whether a scope is that of this part: its URL alone, without any other bound.
    fn is_ours(&self, scope: &IssuingDistributionPoint<'_>) -> bool {
        let bounds = [
            scope.only_contains_user_certs,
            scope.only_contains_ca_certs,
            scope.indirect_crl,
            scope.only_contains_attribute_certs,
            scope.only_some_reasons.is_some(),
        ];
        let names = match &scope.distribution_point {
            Some(DistributionPointName::FullName(names)) => names.as_slice(),
            Some(DistributionPointName::NameRelativeToCRLIssuer(_)) | None => &[],
        };
        let url = self.shard.map(|shard| self.issuer.crl_url(shard));
        matches!((names, url), ([GeneralName::URI(there)], Some(url)) if *there == url) && bounds == [false; 5]
    }

    /// The TBSCertList without the entries that were linted before, which must stand first and be the same bytes.
    fn cut<'a>(&self, tbs: &'a [u8]) -> Result<Cow<'a, [u8]>, DraftError> {
        if self.before.count == 0 {
            return Ok(Cow::Borrowed(tbs));
        }
        let misplaced = || DraftError::new("list", "it does not begin with what was listed before");
        let parts = tlv::parts_of_sequence(tbs)?;
        let [head @ .., list, extensions] = parts.as_slice() else { return Err(misplaced()) };
        // Version, signature, issuer, thisUpdate, nextUpdate; then the list, as there is one.
        if head.len() != HEAD_PARTS {
            return Err(misplaced());
        }
        let list = AnyRef::from_der(list)?;
        list.header().tag().assert_eq(Tag::Sequence)?;
        let added = list.value().strip_prefix(self.before.entries.as_slice()).ok_or_else(misplaced)?;
        let added = if added.is_empty() { Vec::new() } else { tlv::sequence(&[added])? };
        let rest = [added.as_slice(), extensions];
        let parts: Vec<&[u8]> = head.iter().chain(&rest).copied().filter(|part| !part.is_empty()).collect();
        Ok(Cow::Owned(tlv::sequence(&parts)?))
    }
}

const HEAD_PARTS: usize = 5;
