//! A caller of a server's REST API, who keeps a connection and counts the time of each answer.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use serde_json::Value;

use crate::door::Door;
use crate::error::CompareError;
use crate::house::House;

/// A caller with a token.
pub(crate) struct Rest {
    door: Door,
    pub(crate) token: String,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
    pub(crate) took: Duration,
}

impl Rest {
    /// The house's administrator.
    pub(crate) fn new(house: &House) -> Result<Rest, CompareError> {
        Ok(Rest::at(house.door()?, house.token()?))
    }

    /// Whoever has this token, at any server.
    pub(crate) fn at(door: Door, token: String) -> Rest {
        Rest { door, token, connection: None }
    }

    pub(crate) async fn json(&mut self, path: &str) -> Result<Value, CompareError> {
        self.good(Method::GET, path, None).await.map(|(json, _)| json)
    }

    /// An answer to a wish; another than a good one is an error.
    pub(crate) async fn post(&mut self, path: &str, wish: &Value) -> Result<(Value, Duration), CompareError> {
        self.good(Method::POST, path, Some(wish)).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Result<Answer, CompareError> {
        let request = self.with_token(Method::GET, path).body(Full::default());
        self.ask(request.map_err(|e| failed(path, &e))?).await
    }

    /// Sends JSON; what is answered is the caller's to judge.
    pub(crate) async fn tell(&mut self, method: Method, path: &str, wish: Bytes) -> Result<Answer, CompareError> {
        let request = self.with_token(method, path).header("content-type", "application/json").body(Full::new(wish));
        self.ask(request.map_err(|e| failed(path, &e))?).await
    }

    async fn good(
        &mut self,
        method: Method,
        path: &str,
        wish: Option<&Value>,
    ) -> Result<(Value, Duration), CompareError> {
        let body = wish.map_or_else(Bytes::new, |wish| Bytes::from(wish.to_string()));
        let Answer { status, body, took } = self.tell(method, path, body).await?;
        match (status.is_success(), serde_json::from_slice(&body)) {
            (true, Ok(json)) => Ok((json, took)),
            (_, _) => Err(failed(path, &format!("status {status}: {}", String::from_utf8_lossy(&body)))),
        }
    }

    pub(crate) async fn ask(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, CompareError> {
        let path = request.uri().to_string();
        let began = Instant::now();
        let answer = self.send(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|e| failed(&path, &e))?;
        Ok(Answer { status, body: body.to_bytes(), took: began.elapsed() })
    }

    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, CompareError> {
        let path = request.uri().to_string();
        if self.connection.as_ref().is_none_or(SendRequest::is_closed) {
            self.connection = Some(self.door.connect().await.map_err(|e| failed(&path, &e))?);
        }
        let Some(connection) = &mut self.connection else { return Err(failed(&path, &"no connection")) };
        connection.ready().await.map_err(|e| failed(&path, &e))?;
        connection.send_request(request).await.map_err(|e| failed(&path, &e))
    }

    /// The next request opens a connection of its own: an answer on this one is not waited for any more.
    pub(crate) fn hang_up(&mut self) {
        self.connection = None;
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(path).header("host", self.door.address())
    }

    pub(crate) fn with_token(&self, method: Method, path: &str) -> http::request::Builder {
        self.request(method, path).header("authorization", format!("Bearer {}", self.token))
    }
}

fn failed(path: &str, why: &dyn std::fmt::Display) -> CompareError {
    CompareError::Failed(format!("{path}: {why}"))
}
