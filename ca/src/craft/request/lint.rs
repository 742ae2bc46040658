//! What a request's bytes say against it.

use std::sync::Arc;

use der::{Decode, Encode};
use policy::Grant;
use store::Entry;
use x509_parser::certification_request::X509CertificationRequestInfo;
use x509_parser::prelude::FromDer;

use crate::drafting::{Craft, Findings};
use crate::encode::Dn;
use crate::issuers::{Issuing, Standing};

/// What a request is held against.
pub(crate) struct Asked {
    pub(crate) standing: Standing,
    pub(crate) subject: Dn,
    pub(crate) spki: Vec<u8>,
}

impl Craft for Asked {
    fn lint(&self, _: &Grant, entry: &Entry, f: &mut Findings) {
        let Some(bytes) = f.whole(&entry.message) else { return };
        let Some((rest, read)) = f.read("x509-parser", X509CertificationRequestInfo::from_der(bytes)) else { return };
        let Some(also) = f.read("x509-cert", x509_cert::request::CertReqInfo::from_der(bytes)) else { return };
        f.hold(rest.is_empty(), "bytes follow the request");
        f.hold(read.subject.as_raw() == self.subject.as_der(), "its subject is not the planned one");
        f.hold(read.subject_pki.raw == self.spki, "its key is not the generation's");
        f.hold(entry.key.spki_der() == self.spki, "another key signs it");
        f.hold(also.public_key.to_der().is_ok_and(|der| der == self.spki), "two parsers read two keys");
        f.hold(also.attributes.len() == 1, "it asks for something else than extensions");
    }

    fn issuer(&self) -> Option<&Arc<Issuing>> {
        None
    }

    fn standing(&self) -> Option<&Standing> {
        Some(&self.standing)
    }
}
