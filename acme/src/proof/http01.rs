//! http-01 (RFC 8555 section 8.3): fetch a small file from the host and compare it with the key authorization.
//!
//! An HTTP client of our own over hyper, because a validator wants what clients hide: which address it connects to ([`Reach`]),
//! which ports, how many redirects, how many bytes. It never sends anything but GET, never a cookie or credential, and never
//! repeats to the ACME client what it read: a refused answer is described by its size, so that http-01 is no way to read pages
//! inside the network.
//!
//! HTTPS is spoken where a redirect leads there, without judging the certificate: getting a good one is what the client is here
//! for (RFC 8555 section 8.3).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use policy::DnsName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, ParseError, Url};

use super::any_tls;
use super::reach::Reach;
use super::resolve::{Addresses, Resolver};
use crate::limits::VALIDATION_TIMEOUT;
use crate::objects::Identifier;
use crate::wire::{ErrorKind, Problem};

/// One TCP connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// "Redirects SHOULD be followed": this many.
const REDIRECTS_MAX: usize = 10;
/// A key authorization is below 100 bytes.
const BODY_BYTES_MAX: usize = 8 * 1024;
/// Status line and header fields of an answer.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const USER_AGENT: HeaderValue = HeaderValue::from_static("chancery-acme (http-01 validation)");

/// How http-01 reaches hosts.
pub struct Http01 {
    resolver: Arc<Resolver>,
    reach: Reach,
    /// Port of the first request; HTTP redirects may also lead to 80.
    http_port: u16,
    /// HTTPS redirects may lead to this port and 443.
    https_port: u16,
    tls: TlsConnector,
}

/// Where the next request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    https: bool,
    host: Identifier,
    port: u16,
    path: String,
}

impl Http01 {
    /// With these ports (80 and 443 outside of tests).
    pub fn new(resolver: Arc<Resolver>, reach: Reach, http_port: u16, https_port: u16) -> Result<Self, rustls::Error> {
        let tls = TlsConnector::from(Arc::new(any_tls::client()?));
        Ok(Self { resolver, reach, http_port, https_port, tls })
    }

    /// Whether the host serves `expected` under this token.
    pub async fn check(&self, identifier: &Identifier, token: &str, expected: &str) -> Result<(), Problem> {
        let mut target = Target {
            https: false,
            host: identifier.clone(),
            port: self.http_port,
            path: format!("/.well-known/acme-challenge/{token}"),
        };
        for _ in 0..=REDIRECTS_MAX {
            let response = self.get(&target).await?;
            match response.status() {
                StatusCode::OK => return compare(&target, response, expected).await,
                status if is_redirect(status) => target = self.follow(&target, &response)?,
                status => {
                    return Err(Problem::unauthorized(format!("{target} answered {status}")));
                }
            }
        }
        Err(Problem::new(ErrorKind::Connection, format!("more than {REDIRECTS_MAX} redirects, the last to {target}")))
    }

    async fn get(&self, target: &Target) -> Result<Response<Incoming>, Problem> {
        let stream = self.connect(target).await?;
        if !target.https {
            return request(target, stream).await;
        }
        let name = match &target.host {
            Identifier::Dns(name) => rustls::pki_types::ServerName::try_from(name.as_str().to_owned())
                .map_err(|_| Problem::new(ErrorKind::Tls, format!("{name} cannot be a TLS server name")))?,
            Identifier::Ip(ip) => rustls::pki_types::ServerName::IpAddress((*ip).into()),
        };
        let stream = self.tls.connect(name, stream).await;
        let stream =
            stream.map_err(|error| Problem::new(ErrorKind::Tls, format!("TLS with {target} failed: {error}")))?;
        request(target, stream).await
    }

    /// The first address that answers, of whichever family is known first. Every address is judged, not only the first: DNS may mix
    /// good and bad ones.
    async fn connect(&self, target: &Target) -> Result<TcpStream, Problem> {
        let mut addresses = match &target.host {
            Identifier::Ip(ip) => Addresses::known(vec![*ip]),
            Identifier::Dns(name) => self.resolver.addresses(name.as_str()).await,
        };
        let mut tried = Vec::new();
        while let Some(some) = addresses.next().await {
            for ip in some {
                match self.connect_to(ip, target.port).await {
                    Ok(stream) => return Ok(stream),
                    Err(why) => tried.push(format!("{ip}: {why}")),
                }
            }
        }
        match addresses.failure() {
            Some(failure) if tried.is_empty() => Err(Problem::new(ErrorKind::Dns, failure.to_string())),
            Some(_) | None => {
                Err(Problem::new(ErrorKind::Connection, format!("no connection to {target} ({})", tried.join("; "))))
            }
        }
    }

    async fn connect_to(&self, ip: IpAddr, port: u16) -> Result<TcpStream, String> {
        self.reach.check(ip).map_err(|why| format!("refused by this CA, because {why}; see allow_networks"))?;
        match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(SocketAddr::new(ip, port))).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer in {} s", CONNECT_TIMEOUT.as_secs())),
        }
    }

    fn follow(&self, from: &Target, response: &Response<Incoming>) -> Result<Target, Problem> {
        let location = response.headers().get(header::LOCATION).map(|value| uri_of(value.as_bytes()));
        let location = location.ok_or_else(|| Problem::unauthorized(format!("{from} redirects without a Location")))?;
        let target = parse_location(from, &location).map_err(|why| {
            Problem::new(ErrorKind::Connection, format!("{from} redirects to a place that is not followed: {why}"))
        })?;
        let allowed = if target.https { [443, self.https_port] } else { [80, self.http_port] };
        if !allowed.contains(&target.port) {
            return Err(Problem::new(
                ErrorKind::Connection,
                format!("{from} redirects to a port that is not followed: {}", target.port),
            ));
        }
        Ok(target)
    }
}

fn is_redirect(status: StatusCode) -> bool {
    [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::SEE_OTHER,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ]
    .contains(&status)
}

/// A Location as a URI may have it: some hosts write the bytes of their names as they are.
fn uri_of(location: &[u8]) -> String {
    let written = location.iter().map(|&byte| match byte.is_ascii() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    written.collect()
}

/// A reference of any kind, resolved against where it was found (RFC 9110 section 10.2.2), if it leads to an http(s) URL.
fn parse_location(from: &Target, location: &str) -> Result<Target, &'static str> {
    if location.is_empty() {
        return Err("it is empty");
    }
    let url = Url::parse(&from.to_string()).and_then(|base| base.join(location)).map_err(|error| match error {
        ParseError::InvalidPort => "its port is no number",
        _ => "it is no URL",
    })?;
    let https = match url.scheme() {
        "http" => false,
        "https" => true,
        _ => return Err("it is neither http nor https"),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it carries credentials");
    }
    let host = match url.host().ok_or("it has no host")? {
        Host::Ipv4(ip) => Identifier::Ip(ip.into()),
        Host::Ipv6(ip) => Identifier::Ip(ip.into()),
        // A dot at the end is the root's: the name is the same without it.
        Host::Domain(name) => DnsName::parse(name.strip_suffix('.').unwrap_or(name))
            .ok()
            .filter(|name| !name.is_wildcard())
            .map(Identifier::Dns)
            .ok_or("its host is no host name")?,
    };
    let port = url.port_or_known_default().ok_or("it has no port")?;
    let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    Ok(Target { https, host, port, path })
}

async fn request<S>(target: &Target, stream: S) -> Result<Response<Incoming>, Problem>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: &dyn std::fmt::Display| {
        Problem::new(ErrorKind::Connection, format!("{target} does not speak HTTP/1.1 as expected: {error}"))
    };
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        // Hosts answer with what RFC 9112 forbids; of their fields only Location is read, and nothing follows on this connection.
        .allow_spaces_after_header_name_in_responses(true)
        .ignore_invalid_headers_in_responses(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(&error))?;
    // Ends when the response is read or dropped; the limit is for a host that keeps neither promise.
    tokio::spawn(tokio::time::timeout(VALIDATION_TIMEOUT, connection));
    let request = Request::get(target.path.as_str())
        .header(header::HOST, target.host_header())
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, "*/*")
        // Who says nothing takes any coding (RFC 9110 section 12.5.3).
        .header(header::ACCEPT_ENCODING, "identity")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| broken(&error))?;
    sender.send_request(request).await.map_err(|error| broken(&error))
}

/// "The server SHOULD ignore whitespace characters at the end of the body"; everything else counts.
async fn compare(target: &Target, response: Response<Incoming>, expected: &str) -> Result<(), Problem> {
    let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await.map_err(|error| {
        let kind = match error.downcast_ref::<http_body_util::LengthLimitError>() {
            Some(_) => ErrorKind::IncorrectResponse,
            None => ErrorKind::Connection,
        };
        Problem::new(kind, format!("the answer of {target} could not be read to its end: {error}"))
    })?;
    let body = body.to_bytes();
    if body.trim_ascii_end() == expected.as_bytes() {
        return Ok(());
    }
    Err(Problem::new(
        ErrorKind::IncorrectResponse,
        format!("{target} answered {} bytes that are not the key authorization of this account and token", body.len()),
    ))
}

impl Target {
    fn host_header(&self) -> String {
        let host = match &self.host {
            Identifier::Dns(name) => name.as_str().to_owned(),
            Identifier::Ip(IpAddr::V4(ip)) => ip.to_string(),
            Identifier::Ip(IpAddr::V6(ip)) => format!("[{ip}]"),
        };
        match (self.https, self.port) {
            (false, 80) | (true, 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.host_header(), self.path)
    }
}

#[cfg(test)]
#[path = "http01_tests.rs"]
mod tests;
