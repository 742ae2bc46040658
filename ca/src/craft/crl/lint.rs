//! What a CRL's bytes say against it, read by two parsers that did not make them.
//!
//! They read the exact bytes but for the entries that they have read before: those are compared with what they were then, byte
//! for byte, and cut out. So each entry was read by both when it was new, everything else each time, and the cost of a lint is
//! that of what is new. The first lint after a start reads all.

use std::borrow::Cow;
use std::sync::Arc;

use der::{AnyRef, Decode, Encode, Tag};
use policy::{Grant, Timestamp, Validity};
use store::Entry;
use x509_parser::prelude::{FromDer, ParsedExtension};
use x509_parser::revocation_list::TbsCertList;

use crate::craft::crl::lints::*;
use crate::craft::crl::listed::Listed;
use crate::craft::lints::whole;
use crate::drafting::Craft;
use crate::encode::tlv;
use crate::error::DraftError;
use crate::issuers::Issuing;
use crate::lint::Findings;
use crate::lint::crl::{self, CRL_ALONE, CRL_READABLE};

/// What a CRL is held against.
pub(crate) struct Crl {
    pub(crate) issuer: Arc<Issuing>,
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
        for extension in read.extensions() {
            f.hold(&CRL_NOT_CRITICAL, !extension.critical);
            match extension.parsed_extension() {
                ParsedExtension::CRLNumber(number) => numbered = *number == self.number.into(),
                ParsedExtension::AuthorityKeyIdentifier(aki) => {
                    names_issuer = aki.key_identifier.as_ref().is_some_and(|id| id.0 == self.issuer.key_identifier);
                }
                _ => f.add_with(&CRL_EXTENSIONS_KNOWN, extension.oid.to_string()),
            }
        }
        f.hold(&CRL_NUMBER, numbered);
        f.hold(&CRL_ISSUER_KEY, names_issuer);
    }

    fn issuer(&self) -> Option<&Arc<Issuing>> {
        Some(&self.issuer)
    }

    fn tells(&self) -> bool {
        true
    }
}

impl Crl {
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
