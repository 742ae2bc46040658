//! One ACME client: an account, a connection, and one order after the other (RFC 8555 section 7.4).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use super::message::{Account, failed};
use super::responder::Responder;
use crate::door::Door;
use crate::error::CompareError;

/// How often a check that is under way is asked after: about as long as it takes, so that hardly any is asked after twice.
const PAUSE: Duration = Duration::from_millis(20);
/// A check that takes longer than this has failed.
const PAUSES_MAX: usize = 500;

/// A name and its request, made before the time is taken.
pub(super) struct Wanted {
    name: String,
    csr: String,
}

impl Wanted {
    pub(super) fn new(name: &str) -> Result<Wanted, CompareError> {
        let make = || CertificateParams::new(vec![name.to_owned()])?.serialize_request(&KeyPair::generate()?);
        let csr = make().map_err(|e| failed("a request", &e))?;
        Ok(Wanted { name: name.to_owned(), csr: URL_SAFE_NO_PAD.encode(csr.der()) })
    }
}

pub(super) struct Caller {
    door: Door,
    base: String,
    account: Account,
    connection: SendRequest<Full<Bytes>>,
    nonce: String,
    requests: u64,
}

impl Caller {
    pub(super) async fn open(door: Door, base: String, account: Account) -> Result<Caller, CompareError> {
        let connection = door.connect().await.map_err(|e| failed("a connection", &e))?;
        let mut caller = Caller { door, base, account, connection, nonce: String::new(), requests: 0 };
        let request = Request::head("/acme/new-nonce").header("host", caller.door.address());
        caller.send(request.body(Full::default()).map_err(|e| failed("new-nonce", &e))?).await?;
        caller.requests = 0;
        Ok(caller)
    }

    /// How many requests it made.
    pub(super) fn requests(&self) -> u64 {
        self.requests
    }

    /// From the order to the certificate.
    pub(super) async fn order(&mut self, wanted: &Wanted, responder: &Responder) -> Result<(), CompareError> {
        let identifiers = json!({ "identifiers": [{ "type": "dns", "value": wanted.name }] }).to_string();
        let new_order = format!("{}/new-order", self.base);
        let order = self.json(&new_order, &identifiers).await?;
        let authz_url = text(&order, "/authorizations/0")?;
        let authz = self.json(authz_url, "").await?;
        let challenges = authz.get("challenges").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let http01 = challenges.iter().find(|challenge| challenge.get("type") == Some(&json!("http-01")));
        let http01 = http01.ok_or_else(|| failed(&wanted.name, &"no http-01"))?;
        let (url, token) = (text(http01, "/url")?, text(http01, "/token")?);
        responder.expect(token, self.account.thumbprint());
        self.json(url, "{}").await?;
        self.proven(authz_url).await?;
        responder.forget(token);
        let csr = json!({ "csr": wanted.csr }).to_string();
        let order = self.json(text(&order, "/finalize")?, &csr).await?;
        let chain = self.post(text(&order, "/certificate")?, "").await?;
        match chain.starts_with(b"-----BEGIN CERTIFICATE-----") {
            true => Ok(()),
            false => Err(failed(&wanted.name, &"no certificate")),
        }
    }

    async fn proven(&mut self, authz_url: &str) -> Result<(), CompareError> {
        for _ in 0..PAUSES_MAX {
            tokio::time::sleep(PAUSE).await;
            let authz = self.json(authz_url, "").await?;
            match text(&authz, "/status")? {
                "pending" => {}
                "valid" => return Ok(()),
                _ => return Err(failed(authz_url, &authz)),
            }
        }
        Err(failed(authz_url, &"not proven in time"))
    }

    async fn json(&mut self, url: &str, payload: &str) -> Result<Value, CompareError> {
        let body = self.post(url, payload).await?;
        serde_json::from_slice(&body).map_err(|e| failed(url, &e))
    }

    async fn post(&mut self, url: &str, payload: &str) -> Result<Bytes, CompareError> {
        let message = self.account.message(&self.base, url, &self.nonce, payload)?;
        let path = url.strip_prefix(&self.base).ok_or_else(|| failed(url, &"not a URL of this server"))?;
        let request = Request::post(format!("/acme{path}"))
            .header("host", self.door.address())
            .header("content-type", "application/jose+json")
            .body(Full::new(Bytes::from(message)))
            .map_err(|e| failed(url, &e))?;
        let (status, body) = self.send(request).await?;
        match status.is_success() {
            true => Ok(body),
            false => Err(failed(url, &format!("{status}: {}", String::from_utf8_lossy(&body)))),
        }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), CompareError> {
        self.requests += 1;
        self.connection.ready().await.map_err(|e| failed("the connection", &e))?;
        let answer = self.connection.send_request(request).await.map_err(|e| failed("the connection", &e))?;
        self.nonce = nonce(answer.headers())?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|e| failed("an answer", &e))?;
        Ok((status, body.to_bytes()))
    }
}

/// RFC 8555 section 6.5.1: every answer brings the next one.
fn nonce(headers: &HeaderMap) -> Result<String, CompareError> {
    let nonce = headers.get("replay-nonce").and_then(|value| value.to_str().ok());
    nonce.map(str::to_owned).ok_or_else(|| failed("an answer", &"no Replay-Nonce"))
}

fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str, CompareError> {
    value.pointer(pointer).and_then(Value::as_str).ok_or_else(|| failed(pointer, value))
}
