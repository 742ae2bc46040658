//! A key that signs SSH certificates, and how clients are told to believe it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hsm::{Algorithm, Key};

use crate::encode::ssh::ca_blob;
use crate::encode::{Wire, split_string};
use crate::error::CaError;
use crate::issuers::record::IssuerRole;
use crate::issuers::standing::Standing;

/// A key of the token that signs SSH certificates. There is no certificate of an SSH CA: its key is all.
pub(crate) struct SshCa {
    pub(crate) standing: Standing,
    pub(crate) key: Key,
    pub(crate) blob: Vec<u8>,
    /// `ecdsa-sha2-nistp256 AAAA... label`, for `TrustedUserCAKeys` and `@cert-authority`.
    pub(crate) line: String,
    /// A signature blob of the right form that is no signature, for parsers that take only whole certificates.
    pub(crate) empty_signature: Vec<u8>,
}

impl SshCa {
    pub(crate) fn new(standing: Standing, key: Key) -> Result<SshCa, CaError> {
        let unfit = || {
            let (label, kind) = (key.label(), key.kind());
            CaError::Internal(format!("key `{label}` is of kind {kind}, which signs no SSH certificates"))
        };
        let blob = ca_blob(&key).ok_or_else(unfit)?;
        let (name, _) = split_string(&blob).ok_or_else(unfit)?;
        let one = Wire::default().mpint(&[1]).mpint(&[1]).0;
        let empty = match key.algorithm() {
            Algorithm::Ed25519 => vec![0; 64],
            _ => one,
        };
        let empty_signature = Wire::default().string(name).string(empty).0;
        let line = format!("{} {} chancery-{}", String::from_utf8_lossy(name), STANDARD.encode(&blob), key.label());
        Ok(SshCa { standing, blob, line, empty_signature, key })
    }
}

/// The public key of a generation as SSH writes it, in hexadecimal, for its record; none where it is no SSH CA.
pub(crate) fn public_half(role: IssuerRole, key: &Key) -> Option<String> {
    match role {
        IssuerRole::SshUser | IssuerRole::SshHost => ca_blob(key).map(hex::encode),
        IssuerRole::X509 | IssuerRole::Log | IssuerRole::Seal => None,
    }
}
