//! What a CA certificate's bytes say against it: it is held to its plan, and to the CA above it.

use std::sync::Arc;

use policy::{Grant, Timestamp};
use store::Entry;
use x509_cert::ext::Extension;
use x509_parser::prelude::ParsedExtension;

use crate::craft::x509::{CA_USAGE, Common, both, common, has, issued_by, same};
use crate::drafting::{Craft, Findings};
use crate::intake::SubjectKey;
use crate::issuers::Issuing;

/// What a CA certificate is held against.
pub(crate) struct Ca {
    /// Without one, a root.
    pub(crate) issuer: Option<Arc<Issuing>>,
    pub(crate) key: SubjectKey,
    pub(crate) path_len: u8,
    /// As planned, byte for byte.
    pub(crate) extensions: Vec<Extension>,
    pub(crate) now: Timestamp,
}

impl Craft for Ca {
    fn lint(&self, _: &Grant, entry: &Entry, f: &mut Findings) {
        let Some(tbs) = f.whole(&entry.message) else { return };
        let Some((read, also)) = both(tbs, f) else { return };
        common(&read, &also, &Common { entry, key: &self.key, now: self.now }, f);
        match &self.issuer {
            Some(issuer) => {
                issued_by(&read, issuer, f);
                // RFC 5280 section 4.2.1.9: the path below this one is part of the path below its issuer.
                f.hold(
                    issuer.path_len.is_none_or(|n| u32::from(self.path_len) < n),
                    "its issuer allows no such path below it",
                );
            }
            None => {
                f.hold(
                    read.issuer().as_raw() == read.subject().as_raw(),
                    "a root that does not name itself as its issuer",
                );
                f.hold(entry.key.fingerprint() == self.key.hash(), "a root that another key signs");
            }
        }
        f.hold(read.subject().iter().next().is_some(), "a CA without a subject");
        for extension in read.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(constraints) => {
                    f.hold(extension.critical && constraints.ca, "basicConstraints is not critical CA:TRUE");
                    f.hold(
                        constraints.path_len_constraint == Some(u32::from(self.path_len)),
                        "another path length than planned",
                    );
                }
                ParsedExtension::KeyUsage(usage) => {
                    f.hold(extension.critical && usage.flags == CA_USAGE, "its key usage is not a CA's");
                }
                ParsedExtension::ExtendedKeyUsage(purposes) => {
                    f.hold(!extension.critical && !purposes.any, "an EKU for any purpose")
                }
                // RFC 5280 section 4.2.1.10: "Conforming CAs MUST mark this extension as critical".
                ParsedExtension::NameConstraints(_) => f.hold(extension.critical, "name constraints that are not critical"),
                ParsedExtension::CertificatePolicies(_)
                | ParsedExtension::SubjectKeyIdentifier(_)
                | ParsedExtension::AuthorityKeyIdentifier(_)
                | ParsedExtension::CRLDistributionPoints(_)
                | ParsedExtension::AuthorityInfoAccess(_) => {
                    f.hold(!extension.critical, "a pointer or policy is marked critical")
                }
                _ => f.add(format!("an extension {} that no CA profile has", extension.oid)),
            }
        }
        let planned = read.extensions().len() == self.extensions.len()
            && read.extensions().iter().zip(&self.extensions).all(|(there, planned)| same(there, planned));
        f.hold(planned, "its extensions are not, byte for byte, those that were planned");
        f.hold(has(&read, |e| matches!(e, ParsedExtension::BasicConstraints(_))), "no basicConstraints");
        f.hold(has(&read, |e| matches!(e, ParsedExtension::KeyUsage(_))), "no key usage");
    }

    fn issuer(&self) -> Option<&Arc<Issuing>> {
        self.issuer.as_ref()
    }
}
