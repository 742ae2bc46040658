//! A certificate from Chancery's REST API: one POST of a request, proven by a client certificate, or by a token
//! before there is one, or when that one was revoked. And how one stands (revoked, to be replaced before its time): one GET.

use std::path::Path;

use policy::{Timestamp, World};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, RequestBuilder, StatusCode};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};

use super::http::{Answer, Identity, client, read_answer, read_pem, read_secret, retry_after, unreachable};
use super::standing::Standing;
use crate::credential::{Leaf, Request, key_matches};
use crate::error::{AgentError, bounded};
use crate::plan::{Chancery, ClientFiles};

/// What is posted.
#[derive(Serialize)]
struct Order<'a> {
    profile: &'a str,
    csr: &'a str,
    owner: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    validity_secs: Option<u64>,
    /// The serial of the one in service: by its names alone the server cannot always tell that this one takes its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<&'a str>,
}

/// The one field of the answer that is used; everything else is read from the certificate itself.
#[derive(Deserialize)]
struct Certificate {
    chain: String,
}

/// How a certificate stands.
#[derive(Deserialize)]
struct Stands {
    state: String,
    /// Why it is to be replaced before its time.
    #[serde(default)]
    replace: Option<String>,
    /// From when on.
    #[serde(default)]
    renew_at: Option<Timestamp>,
}

impl Stands {
    fn at(&self, now: Timestamp) -> Standing {
        let has_come = self.renew_at.is_none_or(|at| at <= now);
        match (self.state.as_str(), self.replace.as_deref()) {
            ("revoked", _) => Standing::Revoked,
            (_, Some("issuer-ended")) => Standing::Due("its CA is revoked or compromised"),
            (_, Some(_)) if has_come => Standing::Due("its server wants it replaced now"),
            (_, Some(_) | None) => Standing::Good,
        }
    }
}

/// RFC 9457, with Chancery's `missing`.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Problem {
    title: String,
    detail: String,
    missing: String,
    field: String,
}

/// How the agent proves who it is.
enum Proof {
    Certificate(Identity),
    Token(HeaderValue),
}

/// The PEM chain for `request`, which takes the place of `replaces`.
pub(crate) async fn fetch(
    world: &World,
    source: &Chancery,
    request: &Request,
    replaces: Option<&Leaf>,
) -> Result<String, AgentError> {
    let order = Order {
        profile: &source.profile,
        csr: &request.pem,
        owner: &source.owner,
        validity_secs: source.validity_secs,
        replaces: replaces.map(|leaf| leaf.serial.as_str()),
    };
    // Posted once: an answer that was lost may have been a certificate. Trying again is the schedule's business.
    let post = async |order: &Order<'_>| {
        ask(world, source, |client| client.post(format!("{}/api/v1/certificates", source.url)).json(order)).await
    };
    let mut answer = post(&order).await?;
    // What is in service is of another server, was another owner's, or is not this caller's to replace: nothing was signed, and
    // a certificate that replaces nothing is better than none.
    let may_not = answer.status == StatusCode::FORBIDDEN || problem_of(&answer).field == "replaces";
    if order.replaces.is_some() && answer.status.is_client_error() && may_not {
        answer = post(&Order { replaces: None, ..order }).await?;
    }
    if !answer.status.is_success() {
        return Err(problem(&source.url, &answer, world.now()));
    }
    serde_json::from_slice::<Certificate>(&answer.body).map(|certificate| certificate.chain).map_err(|e| {
        AgentError::Unreachable { who: source.url.clone(), why: format!("the answer is not a certificate: {e}") }
    })
}

/// How a certificate stands. One that the server does not know, as it was put back to before it, is good.
pub(crate) async fn stands(world: &World, source: &Chancery, leaf: &Leaf) -> Result<Standing, AgentError> {
    let get = |client: &Client| client.get(format!("{}/api/v1/certificates/{}?pem=false", source.url, leaf.serial));
    let answer = ask(world, source, get).await?;
    match answer.status {
        StatusCode::NOT_FOUND => Ok(Standing::Good),
        status if status.is_success() => serde_json::from_slice::<Stands>(&answer.body)
            .map(|stands| stands.at(world.now()))
            .map_err(|e| AgentError::Unreachable { who: source.url.clone(), why: format!("the answer is none: {e}") }),
        _ => Err(problem(&source.url, &answer, world.now())),
    }
}

/// Asks once with the best proof there is. A client certificate that is refused with 401 (it was revoked, or the server lost
/// sight of it) is followed by the token, where there is one: nothing was done for it.
async fn ask(
    world: &World,
    source: &Chancery,
    build: impl Fn(&Client) -> RequestBuilder,
) -> Result<Answer, AgentError> {
    let send = async |identity: Option<Identity>, token: Option<HeaderValue>| {
        let mut request = build(&client(world, &source.ca_file, identity)?);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, token);
        }
        let response = request.send().await.map_err(|e| unreachable(&source.url, &e.without_url()))?;
        read_answer(&source.url, response).await
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

/// The client certificate while it is valid; else the token, which is read only then.
fn proof(source: &Chancery, now: Timestamp) -> Result<Proof, AgentError> {
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
        Some(path) => Err(no_credential(source, format!("{none}, and {} is not there", path.display()))),
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

fn problem_of(answer: &Answer) -> Problem {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

fn problem(who: &str, answer: &Answer, now: Timestamp) -> AgentError {
    let problem = problem_of(answer);
    let said = [problem.title, problem.detail, problem.missing];
    let said = said.iter().filter(|s| !s.is_empty()).cloned().collect::<Vec<_>>();
    let why = bounded(&format!("{} {}", answer.status, said.join("; ")), 600);
    let who = who.to_owned();
    match answer.status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            AgentError::Busy { who, retry_after_secs: retry_after(&answer.headers, now).unwrap_or(0), why }
        }
        status if status.is_client_error() => AgentError::Refused { who, why },
        _ => AgentError::Unreachable { who, why },
    }
}

fn no_credential(source: &Chancery, why: String) -> AgentError {
    AgentError::NoCredential { who: source.url.clone(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_a_certificate_replaced_at_once_or_when_its_moment_has_come() {
        let now = Timestamp::from_unix(1_800_000_000);
        for (state, replace, at, stands) in [
            ("issued", "null", 0, Standing::Good),
            ("issued", "null", -5, Standing::Good),
            ("issued", "\"drill\"", 0, Standing::Due("its server wants it replaced now")),
            ("issued", "\"drill\"", 1, Standing::Good),
            ("issued", "\"issuer-ended\"", 0, Standing::Due("its CA is revoked or compromised")),
            ("revoked", "\"revoked\"", -5, Standing::Revoked),
        ] {
            let at = now.plus_secs(at);
            let text = format!("{{\"state\": \"{state}\", \"replace\": {replace}, \"renew_at\": \"{at}\"}}");
            assert_eq!(serde_json::from_str::<Stands>(&text).unwrap().at(now), stands, "{text}");
        }
        // Of a server that says less.
        assert_eq!(serde_json::from_str::<Stands>("{\"state\": \"issued\"}").unwrap().at(now), Standing::Good);
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
