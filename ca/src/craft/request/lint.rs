//! What a request's bytes say against it.

use std::sync::Arc;

use der::{Decode, Encode};
use policy::Grant;
use store::Entry;
use x509_parser::certification_request::X509CertificationRequestInfo;
use x509_parser::prelude::FromDer;

use crate::craft::lints::whole;
use crate::craft::request::lints::*;
use crate::drafting::Craft;
use crate::encode::Dn;
use crate::issuers::{Issuing, Standing};
use crate::lint::Findings;

/// What a request is held against.
pub(crate) struct Asked {
    pub(crate) standing: Standing,
    pub(crate) subject: Dn,
    pub(crate) spki: Vec<u8>,
}

impl Craft for Asked {
    fn lint(&self, _: &Grant, entry: &Entry, f: &mut Findings) {
        let Some(bytes) = whole(&entry.message, f) else { return };
        let Some((rest, read)) = f.read(&REQUEST_IS_READ, "x509-parser", X509CertificationRequestInfo::from_der(bytes))
        else {
            return;
        };
        let Some(also) = f.read(&REQUEST_IS_READ, "x509-cert", x509_cert::request::CertReqInfo::from_der(bytes)) else {
            return;
        };
        f.hold(&REQUEST_ENDS, rest.is_empty());
        f.hold(&REQUEST_SUBJECT_IS_PLANNED, read.subject.as_raw() == self.subject.as_der());
        let one_key = read.subject_pki.raw == self.spki && also.public_key.to_der().is_ok_and(|der| der == self.spki);
        f.hold(&REQUEST_KEY_IS_THE_GENERATIONS, one_key);
        f.hold(&REQUEST_SIGNS_ITSELF, entry.key.spki_der() == self.spki);
        f.hold(&REQUEST_ASKS_FOR_EXTENSIONS, also.attributes.len() == 1);
    }

    fn issuer(&self) -> Option<&Arc<Issuing>> {
        None
    }

    fn standing(&self) -> Option<&Standing> {
        Some(&self.standing)
    }
}
