//! Where a target is, and how it is spoken to: by TLS, or plainly where nobody listens.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;

use crate::allowed::Allowed;
use crate::driver::Fault;
use crate::stream::Stream;

/// Where a target is, and how it is spoken to.
#[derive(Clone, Debug)]
pub struct Host {
    name: String,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
    /// For a library that makes its own configuration.
    roots_pem: String,
    /// At which addresses it is dialled.
    allowed: Allowed,
}

/// A host that is not spoken to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Plainly, to another host.
    #[error(
        "{0} is another host: passwords go there by TLS; give the roots of its certificate, or say that it is to be plain"
    )]
    Plain(String),
    /// No roots.
    #[error("the roots of the target's certificate cannot be read: give them as PEM")]
    Roots,
    /// No name.
    #[error("{0} is no name of a host")]
    Name(String),
}

impl Host {
    /// By TLS, to a certificate for this name below these roots (PEM).
    ///
    /// # Errors
    /// [`HostError::Roots`], [`HostError::Name`].
    pub fn tls(name: &str, port: u16, roots_pem: &str) -> Result<Host, HostError> {
        let found = CertificateDer::pem_slice_iter(roots_pem.as_bytes());
        let certificates = found.collect::<Result<Vec<_>, _>>().map_err(|_| HostError::Roots)?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots.add(certificate).map_err(|_| HostError::Roots)?;
        }
        if roots.is_empty() {
            return Err(HostError::Roots);
        }
        ServerName::try_from(name).map_err(|_| HostError::Name(name.to_owned()))?;
        let config = ClientConfig::builder_with_provider(Arc::new(tls::provider()))
            .with_safe_default_protocol_versions()
            .map_err(|_| HostError::Roots)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (name, roots_pem) = (name.to_owned(), roots_pem.to_owned());
        Ok(Host { name, port, tls: Some(Arc::new(config)), roots_pem, allowed: Allowed::default() })
    }

    /// Plainly, to this host.
    ///
    /// # Errors
    /// [`HostError::Plain`] where it is another.
    pub fn here(name: &str, port: u16) -> Result<Host, HostError> {
        let is_here = name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        is_here.then(|| Host::plain_by_word(name, port)).ok_or_else(|| HostError::Plain(name.to_owned()))
    }

    /// Plainly, wherever it is: whoever is on the way reads the passwords of administrators. Somebody has to have said so.
    pub fn plain_by_word(name: &str, port: u16) -> Host {
        Host { name: name.to_owned(), port, tls: None, roots_pem: String::new(), allowed: Allowed::default() }
    }

    /// The same, dialled at those addresses alone.
    pub fn within(self, allowed: Allowed) -> Host {
        Host { allowed, ..self }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn roots_pem(&self) -> &str {
        &self.roots_pem
    }

    pub(crate) fn config(&self) -> Option<&Arc<ClientConfig>> {
        self.tls.as_ref()
    }

    /// Where it is dialled. What its name leads to is looked at here, and not asked for again.
    pub(crate) async fn addresses(&self) -> Result<Vec<SocketAddr>, Fault> {
        let found = tokio::net::lookup_host((self.name.as_str(), self.port)).await.map_err(Fault::away)?;
        let found: Vec<SocketAddr> = found.filter(|at| self.allowed.may(&self.name, at.ip(), self.port)).collect();
        match found.is_empty() {
            true => Err(Fault::away(format!("{} is at no address that may be dialled", self.name))),
            false => Ok(found),
        }
    }

    /// A connection, before any TLS.
    pub(crate) async fn dial(&self) -> Result<TcpStream, Fault> {
        let addresses = self.addresses().await?;
        let stream = TcpStream::connect(addresses.as_slice()).await.map_err(Fault::away)?;
        stream.set_nodelay(true).map_err(Fault::away)?;
        Ok(stream)
    }

    /// A connection that is TLS from its first byte, where it is TLS.
    pub(crate) async fn dial_through(&self) -> Result<Stream, Fault> {
        let plain = self.dial().await?;
        let Some(config) = &self.tls else { return Ok(Stream::Plain(plain)) };
        let name = ServerName::try_from(self.name.clone()).map_err(Fault::refused)?;
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
        // A certificate that is not believed says nothing of the password: it is away, not refused.
        connector.connect(name, plain).await.map(|stream| Stream::Tls(Box::new(stream))).map_err(Fault::away)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_spoken_plainly_to_another_host_unless_somebody_says_so() {
        for here in ["127.0.0.1", "127.9.9.9", "::1", "localhost"] {
            assert!(Host::here(here, 1).is_ok(), "{here}");
        }
        for other in ["10.0.0.1", "0.0.0.0", "db.example.org", "localhost.example.org", ""] {
            assert_eq!(Host::here(other, 1).err(), Some(HostError::Plain(other.to_owned())));
        }
        assert!(Host::plain_by_word("db.example.org", 1).config().is_none());
        for roots in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert_eq!(Host::tls("db.example.org", 1, roots).err(), Some(HostError::Roots));
        }
    }
}
