//! What a CA certificate's bytes say against it: it is held to its plan, and to the CA above it.

use std::sync::Arc;

use const_oid::db::rfc5280;
use policy::{Grant, Timestamp};
use store::Entry;
use x509_cert::ext::Extension;
use x509_parser::prelude::ParsedExtension;

use crate::craft::ca::lints::*;
use crate::craft::lints::whole;
use crate::craft::x509::{CA_USAGE, Common, both, common, has, issued_by};
use crate::drafting::{BACKDATE_SECS_MAX, Craft};
use crate::intake::SubjectKey;
use crate::issuers::{Issuing, Pointers};
use crate::lint::certificate::same;
use crate::lint::{self, Findings};

/// What a CA certificate is held against.
pub(crate) struct Ca {
    /// Without one, a root.
    pub(crate) issuer: Option<Arc<Issuing>>,
    pub(crate) key: SubjectKey,
    /// What the key is called already.
    pub(crate) named: Option<Vec<u8>>,
    pub(crate) path_len: u8,
    /// As planned, byte for byte.
    pub(crate) extensions: Vec<Extension>,
    pub(crate) now: Timestamp,
}

impl Craft for Ca {
    fn lint(&self, _: &Grant, entry: &Entry, f: &mut Findings) {
        let Some(tbs) = whole(&entry.message, f) else { return };
        let Some((read, also)) = both(tbs, f) else { return };
        let named = self.named.as_deref();
        let expect = Common { entry, key: &self.key, named, now: self.now, backdate_secs: BACKDATE_SECS_MAX };
        common(&read, &also, &expect, f);
        match &self.issuer {
            Some(issuer) => {
                issued_by(&read, issuer, &Pointers::default(), f);
                // RFC 5280 section 4.2.1.9: the path below this one is part of the path below its issuer.
                for above in issuer.chains.first().into_iter().flatten() {
                    let own = above.constraints.as_ref();
                    if let Some(outside) = own.and_then(|own| lint::within::outside(own, also.subject(), &[])) {
                        f.add_with(&CA_NAME_WITHIN, format!("{outside} by {}", above.subject));
                    }
                }
                f.hold(&CA_PATH_FITS, issuer.path_len.is_none_or(|n| u32::from(self.path_len) < n));
            }
            None => {
                f.hold(&ROOT_NAMES_ITSELF, read.issuer().as_raw() == read.subject().as_raw());
                f.hold(&ROOT_SIGNS_ITSELF, entry.key.fingerprint() == self.key.hash());
            }
        }
        for extension in read.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(constraints) => {
                    f.hold(&CA_IS_CA, extension.critical && constraints.ca);
                    f.hold(&CA_PATH_IS_PLANNED, constraints.path_len_constraint == Some(u32::from(self.path_len)));
                }
                ParsedExtension::KeyUsage(usage) => {
                    f.hold(&CA_USAGE_IS_A_CAS, extension.critical && usage.flags == CA_USAGE);
                }
                ParsedExtension::ExtendedKeyUsage(_) => f.hold(&CA_PURPOSES_NOT_CRITICAL, !extension.critical),
                ParsedExtension::NameConstraints(_)
                | ParsedExtension::CertificatePolicies(_)
                | ParsedExtension::SubjectKeyIdentifier(_)
                | ParsedExtension::AuthorityKeyIdentifier(_)
                | ParsedExtension::CRLDistributionPoints(_)
                | ParsedExtension::AuthorityInfoAccess(_) => {}
                _ if extension.oid.as_bytes() == rfc5280::ID_CE_FRESHEST_CRL.as_bytes() => {}
                _ => f.add_with(&CA_EXTENSIONS_KNOWN, extension.oid.to_string()),
            }
        }
        let planned = read.extensions().len() == self.extensions.len()
            && read.extensions().iter().zip(&self.extensions).all(|(there, planned)| same(there, planned));
        f.hold(&CA_EXTENSIONS_ARE_PLANNED, planned);
        f.hold(&CA_HAS_CONSTRAINTS, has(&read, |e| matches!(e, ParsedExtension::BasicConstraints(_))));
        f.hold(&CA_HAS_USAGE, has(&read, |e| matches!(e, ParsedExtension::KeyUsage(_))));
    }

    fn issuer(&self) -> Option<&Arc<Issuing>> {
        self.issuer.as_ref()
    }
}
