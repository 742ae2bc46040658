//! What of a certificate its renewal follows from.

use policy::{Owner, Validity};
use store::{Credential, Kind};

/// A certificate of an end entity, as far as its renewal needs it. All of it stands in the certificate's intent and never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewing {
    /// The operation that made it.
    pub operation: u64,
    /// Its serial.
    pub serial: Vec<u8>,
    /// The generation that issued it.
    pub issuer: String,
    /// Its profile.
    pub profile: String,
    /// Whose it is.
    pub owner: Option<Owner>,
    /// From when to when it holds.
    pub validity: Validity,
}

impl Renewing {
    /// None of what is no certificate of an end entity.
    pub fn of(credential: &Credential) -> Option<Renewing> {
        Some(Renewing {
            operation: credential.operation,
            serial: credential.serial.clone(),
            issuer: credential.issuer.clone(),
            profile: credential.profile.clone(),
            owner: credential.owner.clone(),
            validity: credential.validity.filter(|_| credential.kind == Kind::Certificate)?,
        })
    }
}
