//! One keep-alive connection to one server, with a token and a session.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use super::pages::{By, Page};
use crate::error::CompareError;
use crate::house::House;
use crate::rest::{Answer, Rest};

/// An answer that takes longer is given up, and counted as having taken so long.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Revocations are public within seconds; longer means never.
const PUBLIC_MAX: Duration = Duration::from_secs(60);
const WATCH: Duration = Duration::from_millis(50);

pub(super) struct Asker {
    pub(super) rest: Rest,
    cookie: String,
}

impl Asker {
    pub(super) async fn new(house: &House) -> Result<Asker, CompareError> {
        let failed = |e: &dyn std::fmt::Display| CompareError::Failed(format!("/login: {e}"));
        let mut rest = Rest::new(house)?;
        let form = Full::new(Bytes::from(format!("token={}", rest.token)));
        let request = rest.request(Method::POST, "/login").header("content-type", "application/x-www-form-urlencoded");
        let answer = rest.send(request.body(form).map_err(|e| failed(&e))?).await?;
        let cookie = answer.headers().get("set-cookie").and_then(|value| value.to_str().ok());
        let cookie = cookie.and_then(|value| value.split(';').next()).map(str::to_owned);
        let cookie = cookie.ok_or_else(|| failed(&"no session"))?;
        answer.into_body().collect().await.map_err(|e| failed(&e))?;
        Ok(Asker { rest, cookie })
    }

    pub(super) async fn get(&mut self, page: &Page) -> Result<(StatusCode, Duration), CompareError> {
        let request = match page.by {
            By::Token => self.rest.with_token(Method::GET, &page.path),
            By::Session => self.rest.request(Method::GET, &page.path).header("cookie", &self.cookie),
        };
        let request = request.body(Full::default()).map_err(|e| CompareError::Failed(e.to_string()))?;
        match tokio::time::timeout(ANSWER_MAX, self.rest.ask(request)).await {
            Ok(answer) => answer.map(|Answer { status, took, .. }| (status, took)),
            Err(_) => {
                eprintln!("{}: no answer in {} s", page.path, ANSWER_MAX.as_secs());
                self.rest.hang_up();
                Ok((StatusCode::OK, ANSWER_MAX))
            }
        }
    }

    /// How long a revocation took.
    pub(super) async fn revoke(&mut self, serial: &str) -> Result<Duration, CompareError> {
        let path = format!("/api/v1/certificates/{serial}/revoke");
        Ok(self.rest.post(&path, &json!({ "reason": "superseded" })).await?.1)
    }

    /// How long it takes until the public's CRL lists all of these.
    pub(super) async fn listed(&mut self, serials: &[String]) -> Result<Duration, CompareError> {
        let wanted: Vec<Vec<u8>> = serials.iter().filter_map(|serial| hex::decode(serial).ok()).collect();
        let began = Instant::now();
        while began.elapsed() < PUBLIC_MAX {
            let crl = self.rest.get(CRL).await?.body;
            // New entries stand at the end.
            let tail = crl.slice(crl.len().saturating_sub(wanted.len() * 200)..);
            if wanted.iter().all(|serial| tail.windows(serial.len()).any(|window| window == serial)) {
                return Ok(began.elapsed());
            }
            tokio::time::sleep(WATCH).await;
        }
        Err(CompareError::Failed("revocations are not published".into()))
    }

    /// How many rows a list of certificates shows; of nothing else.
    pub(super) async fn rows(&mut self, page: &Page) -> Result<Option<usize>, CompareError> {
        if !page.path.starts_with("/api/v1/certificates?") {
            return Ok(None);
        }
        Ok(self.rest.json(&page.path).await?.get("items").and_then(Value::as_array).map(Vec::len))
    }
}

/// How many entries the public's CRL has.
pub(super) async fn entries(rest: &mut Rest) -> Result<usize, CompareError> {
    let crl = rest.get(CRL).await?.body;
    let read = x509_parser::parse_x509_crl(&crl).map_err(|e| CompareError::Failed(format!("the CRL: {e}")))?;
    Ok(read.1.iter_revoked_certificates().count())
}

/// That of the issuer under which registers are seeded.
const CRL: &str = "/crl/tls/1/0.crl";
