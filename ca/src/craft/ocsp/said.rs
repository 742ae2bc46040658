//! What a response says, and the bytes that say it.

use crate::craft::ocsp::responder::Responder;
use crate::encode::ocsp::{IdHash, Single, Status, Times, response_data};

/// One response: what it says of each certificate, and the nonce it repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) said: Vec<Said>,
    pub(crate) nonce: Option<Vec<u8>>,
}

/// What is said of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) hash: IdHash,
    pub(crate) serial: Vec<u8>,
    pub(crate) status: Status,
}

impl Wanted {
    /// The very bytes that are signed.
    pub(crate) fn data(&self, responder: &Responder, times: Times) -> Result<Vec<u8>, der::Error> {
        let singles: Vec<Single<'_>> = self
            .said
            .iter()
            .map(|said| Single { issuer: responder.id(said.hash), serial: &said.serial, status: said.status })
            .collect();
        response_data(&responder.key_hash, times, &singles, self.nonce.as_deref())
    }
}

/// How long a response holds: an outage of the token of a day is bridged, and a certificate that is revoked is believed for no
/// longer where an attacker answers in our place.
pub(crate) const RESPONSE_SECS: i64 = 36 * 3_600;
