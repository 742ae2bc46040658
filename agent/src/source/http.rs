//! The one way out: HTTPS by ring, trusting the CAs of one file and nothing else, never through a proxy, never
//! following a redirect, bounded in time and in bytes.
//!
//! Threat: whoever answers in the server's place. He must hold a key that a CA of `ca_file` vouches for.

use std::error::Error;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use policy::{Secret, Timestamp, World, is_exposed};
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use rustix::process::geteuid;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};
use zeroize::Zeroizing;

use crate::disk::open_file;
use crate::error::{AgentError, bounded};

/// A client certificate and its key, as shown to a server.
pub(crate) struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

/// What a server answered, read to its end.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Wiped when it goes: it may hold values of secrets.
    pub body: Zeroizing<Vec<u8>>,
}

/// The World's clock, for whoever judges a certificate's time.
#[derive(Debug)]
struct Clock(World);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let secs = u64::try_from(self.0.now().unix()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(secs)))
    }
}

/// A client that trusts the CAs in `ca_file`, and shows `identity` if there is one.
pub(crate) fn client(world: &World, ca_file: &Path, identity: Option<Identity>) -> Result<Client, AgentError> {
    let content = |why: String| AgentError::Content { path: ca_file.to_owned(), why };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(read_roots(ca_file)?);
    let provider = Arc::new(tls::provider());
    let config = ClientConfig::builder_with_details(provider, Arc::new(Clock(world.clone())))
        .with_safe_default_protocol_versions()
        .map_err(|e| content(e.to_string()))?
        .with_root_certificates(roots);
    let config = match identity {
        None => config.with_no_client_auth(),
        Some(Identity { chain, key }) => config
            .with_client_auth_cert(chain, key)
            .map_err(|e| AgentError::Key(format!("the client certificate cannot be used: {e}")))?,
    };
    Client::builder()
        .tls_backend_preconfigured(config)
        .https_only(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ANSWER_TIMEOUT)
        .user_agent(concat!("chancery-agent/", env!("CARGO_PKG_VERSION")))
        // Who says nothing takes any coding (RFC 9110 section 12.5.3).
        .default_headers(HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]))
        .build()
        .map_err(|e| content(causes(&e)))
}

/// The certificates of a CA bundle.
pub(crate) fn read_roots(path: &Path) -> Result<Vec<CertificateDer<'static>>, AgentError> {
    let pem = read_pem(path).map_err(|e| AgentError::disk(path, "the CA file cannot be read", e))?;
    let roots: Vec<_> = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect();
    match roots.is_empty() {
        true => Err(AgentError::Content { path: path.to_owned(), why: "no certificate in it".to_owned() }),
        false => Ok(roots),
    }
}

/// A file of certificates.
pub(crate) fn read_pem(path: &Path) -> io::Result<Vec<u8>> {
    let mut pem = Vec::new();
    open_file(path)?.take(PEM_BYTES_MAX).read_to_end(&mut pem)?;
    Ok(pem)
}

/// Reads a file that holds a secret; refuses one that others may read.
pub(crate) fn read_secret(path: &Path) -> Result<Secret<String>, AgentError> {
    let failed = |e| AgentError::disk(path, "the file cannot be read", e);
    let mut file = open_file(path).map_err(failed)?;
    // Asked of the open file, so that what was checked is what is read.
    let found = file.metadata().map_err(failed)?;
    let mode = found.mode() & 0o7777;
    if is_exposed(found.uid(), mode, geteuid().as_raw()) {
        return Err(AgentError::Exposed { path: path.to_owned(), mode, want: "600" });
    }
    let mut text = String::new();
    file.by_ref().take(SECRET_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(Secret::new(text))
}

/// Reads an answer to its end, or to the bound.
pub(crate) async fn read_answer(who: &str, mut response: Response, bytes_max: usize) -> Result<Answer, AgentError> {
    let status = response.status();
    let headers = response.headers().clone();
    // Room for all of it at once: a vector that grows leaves copies of what it held.
    let said = response.content_length().and_then(|bytes| usize::try_from(bytes).ok());
    let mut body = Zeroizing::new(Vec::with_capacity(said.unwrap_or_default().min(bytes_max)));
    while let Some(chunk) = response.chunk().await.map_err(|e| unreachable(who, &e))? {
        if body.len() + chunk.len() > bytes_max {
            let why = format!("the answer is larger than {} KiB", bytes_max >> 10);
            return Err(AgentError::Unreachable { who: who.to_owned(), why });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, body })
}

/// No answer, or none of the server: TLS says which.
pub(crate) fn unreachable(who: &str, error: &(dyn Error + 'static)) -> AgentError {
    let (who, why) = (who.to_owned(), bounded(&causes(error), 600));
    match is_of_tls(error) {
        true => AgentError::Distrusted { who, why },
        false => AgentError::Unreachable { who, why },
    }
}

/// Whether an error of TLS is below it, which errors of I/O do not show as their source.
fn is_of_tls(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if error.is::<rustls::Error>() || inner.is_some_and(|inner| is_of_tls(inner)) {
            return true;
        }
        next = error.source();
    }
    false
}

/// How many seconds from `now` the server asks to wait (RFC 9110 section 10.2.3): a number, or a date.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<u64> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    value.parse().ok().or_else(|| {
        let date: SystemTime = httpdate::parse_http_date(value).ok()?;
        let secs = date.duration_since(UNIX_EPOCH).ok()?.as_secs();
        let secs = i64::try_from(secs).ok()?;
        Some(u64::try_from(Timestamp::from_unix(secs).since(now)).unwrap_or(0))
    })
}

/// An error with its causes; reqwest's own text stops at "error sending request".
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// A server on the same continent answers a TCP connect in a fraction of it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Signing with a busy HSM behind a bounded queue takes seconds, not half a minute.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// A bundle of many roots is a few hundred KiB.
const PEM_BYTES_MAX: u64 = 4 << 20;
/// Tokens and keys are below 10 KiB.
const SECRET_BYTES_MAX: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_that_others_may_read_is_refused_with_the_command_that_helps() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "chy_canary").unwrap();
        for (mode, fine) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            match read_secret(&path) {
                Ok(secret) => assert!(fine && secret.expose() == "chy_canary"),
                Err(e) => {
                    let text = e.to_string();
                    assert!(!fine && text.contains("chmod 600") && !text.contains("canary"), "{text}");
                }
            }
        }
    }

    /// Whoever can put a FIFO there would have the agent wait for good, with all its certificates.
    #[test]
    fn nobody_is_waited_for_at_the_other_end_of_a_fifo() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        assert!(read_secret(&path).is_err() && read_roots(&path).is_err());
        assert!(read_pem(Path::new("/dev/zero")).is_err());
    }

    #[test]
    fn both_forms_of_retry_after_are_read() {
        let now = Timestamp::parse_rfc3339("2026-08-21T09:00:00Z").unwrap();
        for (text, secs) in [
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("Fri, 21 Aug 2026 09:02:00 GMT", Some(120)),
            ("Fri, 21 Aug 2026 08:00:00 GMT", Some(0)),
            ("-3", None),
            ("soon", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            assert_eq!(retry_after(&headers, now), secs, "{text:?}");
        }
    }
}
