//! One question to a Chancery server, proven by a client certificate, or by a token before there is one, or when that one was revoked.

use std::path::Path;

use policy::{Timestamp, World};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, RequestBuilder, StatusCode};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::http::{Answer, Identity, client, read_answer, read_pem, read_secret, retry_after, unreachable};
use crate::credential::{Leaf, key_matches};
use crate::error::{AgentError, bounded};
use crate::plan::{ClientFiles, Server};

/// RFC 9457, with Chancery's `missing`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Problem {
    pub r#type: String,
    title: String,
    detail: String,
    missing: String,
    pub field: String,
}

impl Problem {
    /// All that it says, and nothing twice: the detail of a refusal ends with what is missing.
    fn words(self) -> String {
        let missing = if self.detail.contains(&self.missing) { String::new() } else { self.missing };
        let said = [self.title, self.detail, missing];
        said.into_iter().filter(|said| !said.is_empty()).collect::<Vec<_>>().join("; ")
    }
}

/// How the agent proves who it is.
enum Proof {
    Certificate(Identity),
    Token(HeaderValue),
}

/// Asks once with the best proof there is. A client certificate that is refused with 401 (it was revoked, or the server lost
/// sight of it) is followed by the token, where there is one: nothing was done for it.
pub(super) async fn ask(
    world: &World,
    source: &Server,
    bytes_max: usize,
    build: impl Fn(&Client) -> RequestBuilder,
) -> Result<Answer, AgentError> {
    let send = async |identity: Option<Identity>, token: Option<HeaderValue>| {
        let mut request = build(&client(world, &source.ca_file, identity)?);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, token);
        }
        let response = request.send().await.map_err(|e| unreachable(&source.url, &e.without_url()))?;
        read_answer(&source.url, response, bytes_max).await
    };
    match proof(source, world.now())? {
        Proof::Token(token) => send(None, Some(token)).await,
        Proof::Certificate(identity) => {
            let answer = send(Some(identity), None).await?;
            match source.token_file.as_deref().filter(|path| path.exists()) {
                Some(path) if answer.status == StatusCode::UNAUTHORIZED => send(None, Some(token(path)?)).await,
                Some(_) | None => Ok(answer),
            }
        }
    }
}

/// A digest of what proves who asks now; nobody has it without that.
pub(super) fn caller(source: &Server, now: Timestamp) -> Result<Zeroizing<[u8; 32]>, AgentError> {
    Ok(match proof(source, now)? {
        Proof::Certificate(identity) => delivery::cache::identity([identity.key.secret_der()]),
        Proof::Token(token) => delivery::cache::identity([token.as_bytes()]),
    })
}

/// The client certificate while it is valid; else the token, which is read only then.
fn proof(source: &Server, now: Timestamp) -> Result<Proof, AgentError> {
    let mut none = "no client certificate is configured".to_owned();
    if let Some(files) = &source.client {
        // Twice: between reading the certificate and reading the key, both may have been renewed.
        for _ in 0..2 {
            match identity(files, now)? {
                Ok(identity) => return Ok(Proof::Certificate(identity)),
                Err(why) => none = why,
            }
        }
    }
    match &source.token_file {
        Some(path) if path.exists() => token(path).map(Proof::Token),
        Some(path) => {
            let made = "an administrator makes one with `chancery token create` (docs/AGENT.md)";
            Err(no_credential(source, format!("{none}, and {} is not there: {made}", path.display())))
        }
        None => Err(no_credential(source, none)),
    }
}

/// The client certificate, or why it cannot be used now. A key that others may read is an error, not a reason.
fn identity(files: &ClientFiles, now: Timestamp) -> Result<Result<Identity, String>, AgentError> {
    let cert = files.cert.display();
    if !files.cert.exists() || !files.key.exists() {
        return Ok(Err(format!("{cert} or its key is not there yet")));
    }
    let pem = read_pem(&files.cert).map_err(|e| AgentError::disk(&files.cert, "the file cannot be read", e))?;
    let key = read_secret(&files.key)?;
    let leaf = match Leaf::first_of(&pem) {
        Ok(leaf) if leaf.expired(now) => {
            return Ok(Err(format!("{cert} expired at {}", leaf.not_after)));
        }
        Ok(leaf) => leaf,
        Err(why) => return Ok(Err(format!("{cert}: {why}"))),
    };
    if !key_matches(key.expose(), &leaf) {
        return Ok(Err(format!("{cert} is for another key")));
    }
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>();
    let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes());
    Ok(match (chain, key) {
        (Ok(chain), Ok(key)) => Ok(Identity { chain, key }),
        (Err(e), _) | (_, Err(e)) => Err(format!("{cert}: {e}")),
    })
}

fn token(path: &Path) -> Result<HeaderValue, AgentError> {
    let secret = read_secret(path)?;
    let bearer = policy::Secret::new(format!("Bearer {}", secret.expose().trim()));
    let mut value = HeaderValue::from_str(bearer.expose())
        .map_err(|_| AgentError::Content { path: path.to_owned(), why: "not a token".to_owned() })?;
    // Kept out of every Debug and out of HTTP/2's header table.
    value.set_sensitive(true);
    Ok(value)
}

pub(super) fn problem_of(answer: &Answer) -> Problem {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

pub(super) fn problem(who: &str, answer: &Answer, now: Timestamp) -> AgentError {
    let why = bounded(&format!("{} {}", answer.status, problem_of(answer).words()), 600);
    let who = who.to_owned();
    match answer.status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            AgentError::Busy { who, retry_after_secs: retry_after(&answer.headers, now).unwrap_or(0), why }
        }
        status if status.is_client_error() => AgentError::Refused { who, why },
        _ => AgentError::Unreachable { who, why },
    }
}

fn no_credential(source: &Server, why: String) -> AgentError {
    AgentError::NoCredential { who: source.url.clone(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_once() {
        let words = |detail: &str, missing: &str| {
            let text = |text: &str| text.to_owned();
            Problem { title: text("Refused"), detail: text(detail), missing: text(missing), ..Problem::default() }
                .words()
        };
        let role = "the role admin or auditor (it has issuer)";
        let detail = format!("token:ci may not read-audit: {role}");
        assert_eq!(words(&detail, role), format!("Refused; {detail}"));
        assert_eq!(words("not allowed", role), format!("Refused; not allowed; {role}"));
        assert_eq!(words("not allowed", ""), "Refused; not allowed");
        assert_eq!(words("", ""), "Refused");
    }

    #[test]
    fn a_token_in_a_header_does_not_print_itself() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "chy_canary\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let value = token(&path).unwrap();
        assert_eq!(value.as_bytes(), b"Bearer chy_canary");
        assert!(!format!("{value:?}").contains("canary"));
    }
}
