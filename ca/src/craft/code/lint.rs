//! What a code signature's message says against it.
//!
//! A bare signature is over the caller's digest and nothing else; a CMS signature is over attributes that must name that
//! digest, the signer's certificate and a time that is now. They are read back by the cms crate, which did not make them.

use std::sync::Arc;

use cms::signed_data::SignedAttributes;
use der::asn1::OctetStringRef;
use der::{Decode, Encode};
use hsm::Message;
use policy::{Grant, Timestamp};
use store::Entry;
use x509_cert::time::Time;

use crate::craft::code::cms::{
    CONTENT_TYPE, DATA, MESSAGE_DIGEST, SIGNING_CERTIFICATE_V2, SIGNING_TIME, signing_certificate,
};
use crate::craft::code::lints::*;
use crate::craft::code::request::CodeFormat;
use crate::drafting::Craft;
use crate::issuers::Issuing;
use crate::lint::Findings;

/// What a code signature is held against.
pub(crate) struct Code {
    pub(crate) issuer: Arc<Issuing>,
    pub(crate) format: CodeFormat,
    pub(crate) digest: [u8; 32],
    pub(crate) certificate_der: Vec<u8>,
    pub(crate) now: Timestamp,
}

impl Craft for Code {
    fn lint(&self, _: &Grant, entry: &Entry, f: &mut Findings) {
        match (self.format, &entry.message) {
            (CodeFormat::Raw, Message::Sha256(signed)) => f.hold(&CODE_DIGEST, *signed == self.digest),
            (CodeFormat::Cms, Message::Whole(attributes)) => {
                signed_attributes(attributes, &self.digest, &self.certificate_der, self.now, f)
            }
            (CodeFormat::Raw, Message::Whole(_))
            | (CodeFormat::Cms, Message::Sha256(_))
            | (CodeFormat::Raw | CodeFormat::Cms, Message::Batch(_)) => f.add(&CODE_FORMAT),
        }
    }

    /// The CA of the signing certificate. That one itself is looked at when the request is heard.
    fn issuer(&self) -> Option<&Arc<Issuing>> {
        Some(&self.issuer)
    }
}

fn signed_attributes(der: &[u8], digest: &[u8; 32], certificate_der: &[u8], now: Timestamp, f: &mut Findings) {
    let Some(attributes) = f.read(&CODE_READABLE, "cms", SignedAttributes::from_der(der)) else { return };
    // RFC 5652 section 5.4: what is signed is "the complete DER encoding of the SignedAttrs value".
    f.hold(&CODE_DER, attributes.to_der().is_ok_and(|again| again == der));
    f.hold(&CODE_FOUR, attributes.len() == 4);
    for attribute in attributes.iter() {
        let mut values = attribute.values.iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            f.add(&CODE_ONE_VALUE);
            continue;
        };
        let right = match attribute.oid {
            CONTENT_TYPE => value.decode_as::<der::asn1::ObjectIdentifier>() == Ok(DATA),
            MESSAGE_DIGEST => value.decode_as::<&OctetStringRef>().is_ok_and(|d| d.as_bytes() == digest),
            SIGNING_TIME => value
                .to_der()
                .and_then(|der| Time::from_der(&der))
                .is_ok_and(|t| t.to_unix_duration().as_secs() == now.unix().unsigned_abs()),
            SIGNING_CERTIFICATE_V2 => {
                value.to_der().is_ok_and(|der| signing_certificate(certificate_der).is_ok_and(|wanted| wanted == der))
            }
            _ => false,
        };
        if !right {
            f.add_with(&CODE_ATTRIBUTE, attribute.oid.to_string());
        }
    }
}
