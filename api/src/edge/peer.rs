//! Who is on the other end of a connection, as far as the transport knows: an address and, over TLS, the client
//! certificate that the handshake proved. A request carries its [`Peer`] as an extension.
//!
//! A peer is no actor: `auth` asks the register about the certificate on each request.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;

/// The other end of a connection. Cheap to clone: one per request.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    address: SocketAddr,
    certificate: Option<Arc<Shown>>,
}

/// A client certificate that the handshake proved.
#[derive(Debug)]
pub(crate) struct Shown {
    serial: String,
    der: Vec<u8>,
}

impl Shown {
    fn read(der: &[u8]) -> Option<Shown> {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
        Some(Shown { serial: hex::encode(certificate.raw_serial()), der: der.to_vec() })
    }

    /// Its serial, hex: where the register may have it.
    pub(crate) fn serial(&self) -> &str {
        &self.serial
    }

    /// Its bytes, which say that it is the one.
    pub(crate) fn der(&self) -> &[u8] {
        &self.der
    }
}

impl Peer {
    /// A peer on the plain listener.
    pub(crate) fn plain(address: SocketAddr) -> Self {
        Self { address, certificate: None }
    }

    /// A peer over TLS. The verifier has already built the chain to our own CA.
    pub(crate) fn over_tls(address: SocketAddr, certificates: Option<&[CertificateDer<'_>]>) -> Self {
        let certificate = certificates.and_then(<[_]>::first).and_then(|leaf| Shown::read(leaf));
        Self { address, certificate: certificate.map(Arc::new) }
    }

    /// The address with its port, as axum's `ConnectInfo` has it.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address, for rate limits and logs.
    pub(crate) fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// The proven client certificate.
    pub(crate) fn certificate(&self) -> Option<&Shown> {
        self.certificate.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_does_not_parse_proves_nobody() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        assert!(Peer::over_tls(address, Some(&[CertificateDer::from(vec![0x30, 0x80])])).certificate().is_none());
        assert!(Peer::over_tls(address, Some(&[])).certificate().is_none());
    }
}
