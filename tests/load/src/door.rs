//! The way to one server: a TLS connection that speaks HTTP/1.1 and is kept.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::client::LoadError;

/// One server, by its address, its name and its roots. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Door {
    address: String,
    name: ServerName<'static>,
    connector: TlsConnector,
}

impl Door {
    pub(crate) fn new(address: &str, server_name: &str, roots_pem: &[u8]) -> Result<Door, LoadError> {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(roots_pem) {
            let certificate = certificate.map_err(|e| LoadError::Roots(e.to_string()))?;
            roots.add(certificate).map_err(|e| LoadError::Roots(e.to_string()))?;
        }
        let mut tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name = ServerName::try_from(server_name.to_owned()).map_err(|e| LoadError::Name(e.to_string()))?;
        Ok(Door { address: address.to_owned(), name, connector: TlsConnector::from(Arc::new(tls)) })
    }

    /// `HOST:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let tcp = TcpStream::connect(&self.address).await.map_err(|_| "cannot connect".to_owned())?;
        tcp.set_nodelay(true).map_err(|e| e.to_string())?;
        let tls = self.connector.connect(self.name.clone(), tcp).await.map_err(|e| format!("tls: {e}"))?;
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(tls)).await.map_err(|e| e.to_string())?;
        tokio::spawn(connection);
        Ok(sender)
    }
}
