//! A token endpoint of OAuth 2 (RFC 6749): new tokens for a refresh token (section 6), or for the client's own credentials (section 4.4).
//!
//! https alone, but within this host. Redirects are not followed, and nothing is asked twice: a refresh token that was shown may be used up,
//! so all that is not known to have come to nothing is said to be unknown.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use policy::Secret;
use reqwest::StatusCode;
use secrets::{Asked, ClientLogin, Endpoint, Tokens};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::hook::{config, words};
use crate::driver::Fault;

/// Asks an endpoint once.
///
/// # Errors
/// [`Fault::Refused`]: it answered that it gives no token (RFC 6749 section 5.2). [`Fault::Away`]: it was not reached, or said that it
/// cannot now. [`Fault::Unknown`]: it was asked, and what it answered is no answer.
pub(crate) async fn ask(at: &Endpoint, client: &ClientLogin, asked: &Asked) -> Result<Tokens, Fault> {
    let (url, http) = ready(at).map_err(Fault::away)?;
    let mut form = Zeroizing::new(String::with_capacity(FORM_BYTES));
    match &asked.refresh_token {
        Some(token) => {
            form.push_str("grant_type=refresh_token");
            field(&mut form, "refresh_token", token.expose());
        }
        None => form.push_str("grant_type=client_credentials"),
    }
    if let Some(scope) = &asked.scope {
        field(&mut form, "scope", scope);
    }
    let mut request = http.post(url).header("accept", "application/json");
    match at.post {
        true => {
            field(&mut form, "client_id", &client.id);
            field(&mut form, "client_secret", client.secret.expose());
        }
        false => request = request.header("authorization", basic(client)),
    }
    // What the library keeps of the body is not wiped.
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form.as_bytes().to_vec());
    let answer = request.send().await.map_err(|error| match error.is_connect() {
        true => Fault::away(words(&error)),
        false => Fault::unknown(words(&error)),
    })?;
    let status = answer.status();
    let body = read(answer).await?;
    match status {
        StatusCode::OK => tokens(&body).ok_or_else(|| Fault::unknown("the answer has no token in it")),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            Err(Fault::away(format!("the endpoint answered {status}")))
        }
        status if status.is_redirection() => {
            Err(Fault::refused(format!("the endpoint answered {status}: it is not followed elsewhere")))
        }
        status if status.is_client_error() => Err(Fault::refused(refusal(status, &body))),
        status => Err(Fault::unknown(format!("the endpoint answered {status}"))),
    }
}

/// Whether it can be asked at all; its host and port.
pub(crate) fn check(at: &Endpoint) -> Result<(String, u16), String> {
    let url = address(at)?;
    at.roots.as_deref().map_or(Ok(()), |roots| config(roots, None).map(drop).map_err(|_| ROOTS.to_owned()))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    Ok((host, url.port_or_known_default().unwrap_or_default()))
}

fn address(at: &Endpoint) -> Result<reqwest::Url, String> {
    let url = reqwest::Url::parse(&at.url).map_err(|_| "a token endpoint is a URL, https://...".to_owned())?;
    let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let is_safe = url.scheme() == "https" || url.scheme() == "http" && is_here;
    if !is_safe || !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("a token endpoint is https://..., without a name, a password or a #: secrets go there".to_owned());
    }
    Ok(url)
}

/// Its roots are those that were said, or the system's, which the process's provider verifies.
fn ready(at: &Endpoint) -> Result<(reqwest::Url, reqwest::Client), String> {
    let mut http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_MAX)
        .timeout(ANSWER_MAX)
        .pool_max_idle_per_host(0)
        .user_agent("chancery-refresh");
    if let Some(roots) = &at.roots {
        http = http.tls_backend_preconfigured(config(roots, None).map_err(|_| ROOTS.to_owned())?);
    }
    Ok((address(at)?, http.build().map_err(|error| words(&error))?))
}

const ROOTS: &str = "its roots cannot be read: give the PEM file of who issued its certificate";

/// `application/x-www-form-urlencoded`, as RFC 6749 appendix B has it.
fn field(form: &mut String, name: &str, value: &str) {
    form.push('&');
    form.push_str(name);
    form.push('=');
    encode(form, value);
}

fn encode(to: &mut String, value: &str) {
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => to.push(char::from(byte)),
            b' ' => to.push('+'),
            other => {
                to.push('%');
                for half in [other >> 4, other & 15] {
                    to.push(char::from_digit(u32::from(half), 16).unwrap_or('0').to_ascii_uppercase());
                }
            }
        }
    }
}

/// The client's name and secret, each encoded as a form is first (RFC 6749 section 2.3.1).
fn basic(client: &ClientLogin) -> String {
    let mut pair = Zeroizing::new(String::with_capacity(FORM_BYTES));
    encode(&mut pair, &client.id);
    pair.push(':');
    encode(&mut pair, client.secret.expose());
    format!("Basic {}", STANDARD.encode(pair.as_bytes()))
}

async fn read(mut answer: reqwest::Response) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(FORM_BYTES));
    while let Some(chunk) = answer.chunk().await.map_err(|error| Fault::unknown(words(&error)))? {
        if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Fault::unknown(format!("the answer is longer than {ANSWER_BYTES_MAX} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// RFC 6749 section 5.1. Some servers write the number as a text.
#[derive(Deserialize)]
struct Answer {
    access_token: Secret<String>,
    #[serde(default)]
    refresh_token: Option<Secret<String>>,
    #[serde(default)]
    token_type: Option<String>,
    #[serde(default)]
    expires_in: Option<serde_json::Value>,
}

fn tokens(body: &[u8]) -> Option<Tokens> {
    let Answer { access_token, refresh_token, token_type, expires_in } = serde_json::from_slice(body).ok()?;
    let is_token = |text: &str| !text.is_empty() && text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
    let expires_in = expires_in.and_then(|number| match number {
        serde_json::Value::String(text) => text.parse().ok(),
        number => number.as_u64().or_else(|| number.as_f64().map(|number| number.max(0.0) as u64)),
    });
    is_token(access_token.expose()).then(|| Tokens {
        access_token,
        refresh_token: refresh_token.filter(|token| is_token(token.expose())),
        token_type: token_type.filter(|text| is_token(text)).unwrap_or_else(|| "Bearer".to_owned()),
        expires_in,
    })
}

/// RFC 6749 section 5.2: a word of a few, and perhaps a sentence; no other part of the answer is told.
fn refusal(status: StatusCode, body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refused {
        error: String,
    }
    let word = serde_json::from_slice::<Refused>(body).ok().map(|refused| refused.error);
    let word = word.filter(|word| word.len() <= 64 && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
    match word {
        Some(word) => format!("the endpoint answered {status}: {word}"),
        None => format!("the endpoint answered {status}"),
    }
}

/// An endpoint that does not take a connection in this time is away.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// And one that does not answer in this is not known to have done anything.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Tokens of some kibibytes, in JSON.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// A form, and a usual answer.
const FORM_BYTES: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_by_tls_or_stay_within_this_host() {
        let at = |url: &str| Endpoint { url: url.to_owned(), roots: None, post: false };
        for good in ["http://127.0.0.1:8080/token", "http://localhost/token", "http://[::1]:1/token?tenant=a"] {
            assert!(check(&at(good)).is_ok(), "{good}");
        }
        let bad = ["http://idp.test/token", "http://127.0.0.2/", "https://me:word@idp.test/", "https://idp.test/#a"];
        for bad in bad.into_iter().chain(["ftp://127.0.0.1/", "", "idp.test", "http://localhost.idp.test/"]) {
            assert!(check(&at(bad)).is_err(), "{bad}");
        }
        let roots = Some("none".to_owned());
        assert!(check(&Endpoint { roots, ..at("https://idp.test/") }).is_err());
    }

    /// The example of RFC 6749 section 2.3.1, and characters that both encodings know.
    #[test]
    fn a_client_is_written_as_the_rfc_has_it() {
        let client = |id: &str, secret: &str| ClientLogin { id: id.to_owned(), secret: Secret::new(secret.to_owned()) };
        assert_eq!(
            basic(&client("s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw")),
            "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3"
        );
        let mut form = String::new();
        field(&mut form, "a", " %&+\u{a3}\u{20ac}");
        assert_eq!(form, "&a=+%25%26%2B%C2%A3%E2%82%AC");
    }

    #[test]
    fn what_has_no_token_in_it_is_no_answer() {
        let read = |text: &str| tokens(text.as_bytes());
        let whole =
            read(r#"{"access_token":"a","token_type":"example","expires_in":3600,"refresh_token":"b","x":1}"#).unwrap();
        assert_eq!((whole.expires_in, whole.token_type.as_str()), (Some(3_600), "example"));
        assert_eq!(whole.refresh_token.unwrap().expose(), "b");
        let brief = read(r#"{"access_token":"a","expires_in":"60"}"#).unwrap();
        assert_eq!(
            (brief.expires_in, brief.token_type.as_str(), brief.refresh_token.is_none()),
            (Some(60), "Bearer", true)
        );
        for bad in
            ["", "[]", "{}", r#"{"access_token":""}"#, r#"{"access_token":"a\nb"}"#, r#"{"access_token":1}"#, "<html>"]
        {
            assert!(read(bad).is_none(), "{bad}");
        }
        assert_eq!(
            refusal(StatusCode::BAD_REQUEST, br#"{"error":"invalid_grant"}"#),
            "the endpoint answered 400 Bad Request: invalid_grant"
        );
        assert_eq!(
            refusal(StatusCode::BAD_REQUEST, br#"{"error":"Bearer hunter2"}"#),
            "the endpoint answered 400 Bad Request"
        );
    }
}
