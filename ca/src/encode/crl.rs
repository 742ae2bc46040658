//! The bytes of CRLs before they are signed.
//!
//! Put together here and not by a library's builder: those copy the wrong key identifier, write an empty list where RFC 5280
//! wants none, and encode every entry again for every CRL. Nothing here decides anything.

use der::asn1::{Any, UintRef};
use der::{Encode, Header, Length, Sequence, Tag};
use hsm::Algorithm;
use policy::{Timestamp, Validity};
use x509_cert::ext::Extension;
use x509_cert::time::Time;

use crate::encode::tlv;
use crate::encode::x509::time;

/// What a TBSCertList is made of.
pub(crate) struct CrlParts<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) issuer: &'a [u8],
    pub(crate) validity: Validity,
    /// Encoded entries; one list, in this order.
    pub(crate) revoked: [&'a [u8]; 2],
    pub(crate) extensions: Vec<Extension>,
}

impl CrlParts<'_> {
    /// The TBSCertList (RFC 5280 section 5.1), DER: each entry is copied once.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, der::Error> {
        let [this_update, next_update] = [self.validity.not_before(), self.validity.not_after()];
        let head = [
            V2.to_der()?.as_slice(),
            self.algorithm.identifier(),
            self.issuer,
            &time(this_update)?.to_der()?,
            &time(next_update)?.to_der()?,
        ]
        .concat();
        let listed: usize = self.revoked.iter().map(|entries| entries.len()).sum();
        // Section 5.1.2.6: "When there are no revoked certificates, the revoked certificates list MUST be absent."
        let list = if listed == 0 { Vec::new() } else { sequence_of(listed)? };
        let extensions = tlv::context(0, &self.extensions.to_der()?)?;
        let content = head.len() + list.len() + listed + extensions.len();
        let outer = sequence_of(content)?;
        let mut der = Vec::with_capacity(outer.len() + content);
        for part in [outer.as_slice(), &head, &list].into_iter().chain(self.revoked).chain([extensions.as_slice()]) {
            der.extend_from_slice(part);
        }
        Ok(der)
    }
}

/// Tag and length of a SEQUENCE of so many bytes.
fn sequence_of(content: usize) -> Result<Vec<u8>, der::Error> {
    Header::new(Tag::Sequence, Length::try_from(content)?).to_der()
}

/// One line of a CRL, appended to others.
pub(crate) fn append_entry(
    into: &mut Vec<u8>,
    serial: &[u8],
    at: Timestamp,
    extensions: Option<Vec<Extension>>,
) -> Result<(), der::Error> {
    let serial = Any::encode_from(&UintRef::new(serial)?)?;
    Revoked { serial, at: time(at)?, extensions }.encode_to_vec(into).map(drop)
}

#[derive(Sequence)]
struct Revoked {
    serial: Any,
    at: Time,
    extensions: Option<Vec<Extension>>,
}

const V2: u8 = 1;
