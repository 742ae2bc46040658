//! What a response says, and the bytes that say it.

use policy::Timestamp;

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
    /// When its certificate ends, where the register has one.
    pub(crate) ends: Option<Timestamp>,
}

impl Said {
    /// Until when it holds: never past the end of its certificate, beyond which Caddy for one takes none and staples nothing. Of one
    /// that has ended it holds as long as of any.
    pub(crate) fn until(&self, times: Times) -> Timestamp {
        match self.ends {
            Some(ends) if ends > times.produced => times.next_update.min(ends),
            Some(_) | None => times.next_update,
        }
    }
}

impl Wanted {
    /// The very bytes that are signed.
    pub(crate) fn data(&self, responder: &Responder, times: Times) -> Result<Vec<u8>, der::Error> {
        let singles: Vec<Single<'_>> = self
            .said
            .iter()
            .map(|said| Single {
                issuer: responder.id(said.hash),
                serial: &said.serial,
                status: said.status,
                next_update: said.until(times),
            })
            .collect();
        response_data(&responder.key_hash, times, &singles, self.nonce.as_deref())
    }
}

/// How long a response holds: an outage of the token of a day is bridged, and a certificate that is revoked is believed for no
/// longer where an attacker answers in our place.
pub(crate) const RESPONSE_SECS: i64 = 36 * 3_600;
