//! Keys, made on the host that uses them. They never leave it: what is sent is a certificate request.
//!
//! A new key for every certificate is the default: a stolen key is then worth one lifetime. `reuse_key` is for
//! services that pin a public key (DANE TLSA, RFC 7671 section 5.1).

use policy::{Name, Secret};
use rcgen::{
    CertificateParams, DistinguishedName, KeyPair, OtherNameValue, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
    PKCS_ED25519, SanType, SignatureAlgorithm,
};
use serde::{Deserialize, Serialize};

use crate::error::AgentError;

/// The kinds of key the agent makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum KeyKind {
    P256,
    P384,
    Ed25519,
}

impl KeyKind {
    /// The plan's word for a kind.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "p256" => Some(Self::P256),
            "p384" => Some(Self::P384),
            "ed25519" => Some(Self::Ed25519),
            _ => None,
        }
    }

    fn algorithm(self) -> &'static SignatureAlgorithm {
        match self {
            Self::P256 => &PKCS_ECDSA_P256_SHA256,
            Self::P384 => &PKCS_ECDSA_P384_SHA384,
            Self::Ed25519 => &PKCS_ED25519,
        }
    }
}

/// A private key in use. No `Debug`: it has nothing to say.
pub(crate) struct HostKey(KeyPair);

impl HostKey {
    /// A new key of this kind.
    pub fn make(kind: KeyKind) -> Result<Self, AgentError> {
        KeyPair::generate_for(kind.algorithm()).map(Self).map_err(|e| AgentError::Key(format!("cannot be made: {e}")))
    }

    /// The key in a PEM file, if it is of this kind.
    pub fn reuse(pem: &str, kind: KeyKind) -> Option<Self> {
        let pair = KeyPair::from_pem(pem).ok()?;
        (pair.algorithm() == kind.algorithm()).then_some(Self(pair))
    }

    /// PKCS#8 PEM.
    pub fn pem(&self) -> Secret<String> {
        Secret::new(self.0.serialize_pem())
    }

    /// A request for these names; the subject stays empty, as the names are the identity (RFC 5280 section 4.2.1.6).
    pub fn request(&self, names: &[Name]) -> Result<Request, AgentError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = names.iter().map(alternative).collect::<Result<_, _>>()?;
        let unfit = |e: rcgen::Error| AgentError::Key(format!("no request can be made: {e}"));
        let request = params.serialize_request(&self.0).map_err(unfit)?;
        Ok(Request { der: request.der().to_vec(), pem: request.pem().map_err(unfit)? })
    }
}

/// A certificate request (PKCS#10).
pub(crate) struct Request {
    pub der: Vec<u8>,
    pub pem: String,
}

fn alternative(name: &Name) -> Result<SanType, AgentError> {
    let ascii = |text: &str| text.try_into().map_err(|_| AgentError::Key(format!("{text:?} is not ASCII")));
    Ok(match name {
        Name::Dns(name) => SanType::DnsName(ascii(name.as_str())?),
        Name::Ip(ip) => SanType::IpAddress(*ip),
        Name::Email(mailbox) => SanType::Rfc822Name(ascii(mailbox)?),
        Name::Uri(uri) => SanType::URI(ascii(uri)?),
        Name::Upn(upn) => SanType::OtherName((UPN.to_vec(), OtherNameValue::Utf8String(upn.clone()))),
    })
}

/// szOID_NT_PRINCIPAL_NAME.
const UPN: [u64; 10] = [1, 3, 6, 1, 4, 1, 311, 20, 2, 3];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_asks_for_exactly_the_names_and_nothing_else() {
        for kind in [KeyKind::P256, KeyKind::P384, KeyKind::Ed25519] {
            let key = HostKey::make(kind).unwrap();
            let names = ["www.example.internal", "ip:10.0.0.1"].map(|n| Name::parse(n).unwrap());
            let request = key.request(&names).unwrap();
            let parsed = rcgen::CertificateSigningRequestParams::from_pem(&request.pem).unwrap();
            assert_eq!(parsed.params.subject_alt_names.len(), 2, "{kind:?}");
            assert_eq!(parsed.params.distinguished_name.iter().count(), 0);
        }
    }

    #[test]
    fn a_key_of_another_kind_is_not_reused() {
        let pem = HostKey::make(KeyKind::P256).unwrap().pem();
        assert!(HostKey::reuse(pem.expose(), KeyKind::P256).is_some());
        assert!(HostKey::reuse(pem.expose(), KeyKind::P384).is_none());
        assert!(HostKey::reuse("not a key", KeyKind::P256).is_none());
    }
}
