//! The bytes of CRLs before they are signed.
//!
//! Put together here and not by a library's builder: those copy the wrong key identifier or write an empty list where RFC
//! 5280 wants none. Nothing here decides anything.

use der::asn1::{Any, UintRef};
use der::{AnyRef, Decode, Encode, Sequence};
use hsm::Algorithm;
use policy::{Timestamp, Validity};
use x509_cert::ext::Extension;
use x509_cert::time::Time;

use crate::encode::algorithm::identifier;
use crate::encode::x509::time;

/// What a TBSCertList is made of.
pub(crate) struct CrlParts<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) issuer: &'a [u8],
    pub(crate) validity: Validity,
    pub(crate) revoked: Vec<RevokedEntry>,
    pub(crate) extensions: Vec<Extension>,
}

/// One line of a CRL.
pub(crate) struct RevokedEntry {
    pub(crate) serial: Vec<u8>,
    pub(crate) at: Timestamp,
    pub(crate) extensions: Option<Vec<Extension>>,
}

impl CrlParts<'_> {
    /// The TBSCertList (RFC 5280 section 5.1), DER.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, der::Error> {
        let revoked = self.revoked.iter().map(Revoked::new).collect::<Result<Vec<_>, _>>()?;
        TbsCertList {
            version: V2,
            signature: AnyRef::from_der(identifier(self.algorithm))?,
            issuer: AnyRef::from_der(self.issuer)?,
            this_update: time(self.validity.not_before())?,
            next_update: time(self.validity.not_after())?,
            // Section 5.1.2.6: "When there are no revoked certificates, the revoked certificates list MUST be absent."
            revoked: if revoked.is_empty() { None } else { Some(revoked) },
            extensions: self.extensions.clone(),
        }
        .to_der()
    }
}

#[derive(Sequence)]
struct TbsCertList<'a> {
    version: u8,
    signature: AnyRef<'a>,
    issuer: AnyRef<'a>,
    this_update: Time,
    next_update: Time,
    revoked: Option<Vec<Revoked>>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

#[derive(Sequence)]
struct Revoked {
    serial: Any,
    at: Time,
    extensions: Option<Vec<Extension>>,
}

impl Revoked {
    fn new(entry: &RevokedEntry) -> Result<Revoked, der::Error> {
        let serial = Any::encode_from(&UintRef::new(&entry.serial)?)?;
        Ok(Revoked { serial, at: time(entry.at)?, extensions: entry.extensions.clone() })
    }
}

const V2: u8 = 1;
