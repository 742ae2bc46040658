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
    serial: Option<Arc<str>>,
}

impl Peer {
    /// A peer on the plain listener.
    pub(crate) fn plain(address: SocketAddr) -> Self {
        Self { address, serial: None }
    }

    /// A peer over TLS. The verifier has already built the chain to our own CA; here only the serial is read.
    pub(crate) fn over_tls(address: SocketAddr, certificates: Option<&[CertificateDer<'_>]>) -> Self {
        let serial = certificates.and_then(<[_]>::first).and_then(|leaf| serial_hex(leaf));
        Self { address, serial }
    }

    /// The address with its port, as axum's `ConnectInfo` has it.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address, for rate limits and logs.
    pub(crate) fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// The serial of the proven client certificate, in hex.
    pub(crate) fn serial(&self) -> Option<&str> {
        self.serial.as_deref()
    }
}

fn serial_hex(der: &[u8]) -> Option<Arc<str>> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    Some(Arc::from(hex::encode(certificate.raw_serial())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_does_not_parse_proves_nobody() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        assert!(Peer::over_tls(address, Some(&[CertificateDer::from(vec![0x30, 0x80])])).serial().is_none());
        assert!(Peer::over_tls(address, Some(&[])).serial().is_none());
    }
}
