//! Whether a certificate of any CA was revoked, by the CRL that it points to: the one question that every CA answers.
//!
//! Fetched over plain HTTP, as CRLs are (RFC 5280 section 8), and believed only once the signature of the certificate's own issuer
//! on it holds. Whoever answers in the CA's place can keep a revocation back, as can whoever cuts the line; he can revoke nothing.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use x509_parser::extensions::DistributionPointName;
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;

use super::http::unreachable;
use crate::error::AgentError;

/// Whether the first certificate of a chain (PEM) is on its issuer's CRL; `false` where it points to none, or its issuer is not there.
pub(crate) async fn revoked(chain: &[u8]) -> Result<bool, AgentError> {
    let chain: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(chain).filter_map(Result::ok).collect();
    let (Some(leaf), Some(issuer)) = (chain.first(), chain.get(1)) else { return Ok(false) };
    let unfit = |e: x509_parser::nom::Err<x509_parser::error::X509Error>| AgentError::Unfit(e.to_string());
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(unfit)?;
    let (_, issuer) = X509Certificate::from_der(issuer).map_err(unfit)?;
    let Some(url) = points_to(&leaf) else { return Ok(false) };
    let bytes = get(&url).await?;
    let refused = |why: String| AgentError::Unreachable { who: url.clone(), why };
    let (_, crl) = CertificateRevocationList::from_der(&bytes).map_err(|e| refused(format!("no CRL: {e}")))?;
    let is_issuers =
        crl.issuer().as_raw() == leaf.issuer().as_raw() && leaf.issuer().as_raw() == issuer.subject().as_raw();
    let key = issuer.public_key();
    if !is_issuers || (crl.verify_signature(key).is_err() && !tls::is_signed(&bytes, key.raw)) {
        return Err(refused("the CRL is not the issuer's".to_owned()));
    }
    Ok(crl.iter_revoked_certificates().any(|entry| entry.raw_serial() == leaf.raw_serial()))
}

/// The first HTTP address among its distribution points.
fn points_to(leaf: &X509Certificate<'_>) -> Option<String> {
    let points = leaf.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::CRLDistributionPoints(points) => Some(points),
        _ => None,
    })?;
    let names = points.iter().filter_map(|point| match &point.distribution_point {
        Some(DistributionPointName::FullName(names)) => Some(names),
        Some(DistributionPointName::NameRelativeToCRLIssuer(_)) | None => None,
    });
    names.flatten().find_map(|name| match name {
        GeneralName::URI(uri) if uri.starts_with("http://") => Some((*uri).to_owned()),
        _ => None,
    })
}

async fn get(url: &str) -> Result<Vec<u8>, AgentError> {
    let failed = |why: String| AgentError::Unreachable { who: url.to_owned(), why };
    // No TLS is spoken, but the client wants to know how it would be.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| failed(e.to_string()))?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let client = Client::builder()
        .tls_backend_preconfigured(config)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .build()
        .map_err(|e| failed(e.to_string()))?;
    let mut response = client.get(url).send().await.map_err(|e| unreachable(url, &e.without_url()))?;
    if !response.status().is_success() {
        return Err(failed(response.status().to_string()));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| unreachable(url, &e.without_url()))? {
        if bytes.len() + chunk.len() > CRL_BYTES_MAX {
            return Err(failed(format!("the CRL is larger than {CRL_BYTES_MAX} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// 300,000 entries; a host does not fetch more than that each hour to learn of one certificate.
const CRL_BYTES_MAX: usize = 16 << 20;
const TIMEOUT: Duration = Duration::from_secs(30);
