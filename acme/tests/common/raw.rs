//! An ACME client without manners: it signs whatever a test wants and shows the whole answer.

use axum::Router;
use axum::body::Body;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, Method, Request, StatusCode};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::Ca;

/// A P-256 key that signs requests to one server.
pub struct Raw {
    app: Router,
    base: String,
    key: EcdsaKeyPair,
    pub kid: Option<String>,
}

/// An answer.
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The last part of the problem's type, and proof that it is one.
    pub fn problem(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", String::from_utf8_lossy(&self.body));
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
        problem["type"].as_str().unwrap().strip_prefix("urn:ietf:params:acme:error:").unwrap().to_owned()
    }

    pub fn header(&self, name: &str) -> String {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    }
}

pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Raw {
    /// With a key of its own and no account yet.
    pub fn new(ca: &Ca) -> Self {
        let rng = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng).unwrap();
        Self::with_pkcs8(ca, pkcs8.as_ref())
    }

    /// With this key.
    pub fn with_pkcs8(ca: &Ca, pkcs8: &[u8]) -> Self {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &SystemRandom::new()).unwrap();
        Self { app: ca.app.clone(), base: format!("{}/acme", ca.external_url), key, kid: None }
    }

    /// With an account.
    pub async fn registered(ca: &Ca) -> Self {
        let mut raw = Self::new(ca);
        let reply = raw.post("/new-account", &json!({})).await;
        assert_eq!(reply.status, StatusCode::CREATED);
        raw.kid = Some(reply.header("location"));
        raw
    }

    pub fn url(&self, path: &str) -> String {
        if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) }
    }

    pub fn jwk(&self) -> Value {
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
        json!({"kty": "EC", "crv": "P-256", "x": b64(x), "y": b64(y)})
    }

    pub fn thumbprint(&self) -> String {
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, b64(x), b64(y));
        b64(ring::digest::digest(&ring::digest::SHA256, canonical.as_bytes()))
    }

    /// A header as it should be.
    pub async fn header(&self, path: &str) -> Value {
        let mut header = json!({"alg": "ES256", "nonce": self.nonce().await, "url": self.url(path)});
        match &self.kid {
            Some(kid) => header["kid"] = json!(kid),
            None => header["jwk"] = self.jwk(),
        }
        header
    }

    pub fn sign(&self, header: &Value, payload: &[u8]) -> Value {
        let (protected, payload) = (b64(header.to_string()), b64(payload));
        let signature = self.key.sign(&SystemRandom::new(), format!("{protected}.{payload}").as_bytes()).unwrap();
        json!({"protected": protected, "payload": payload, "signature": b64(signature)})
    }

    pub async fn nonce(&self) -> String {
        self.request(Method::HEAD, "/new-nonce", None, Vec::new()).await.header("replay-nonce")
    }

    /// A request as it should be.
    pub async fn post(&self, path: &str, payload: &Value) -> Reply {
        let header = self.header(path).await;
        self.send(path, &self.sign(&header, payload.to_string().as_bytes())).await
    }

    /// POST-as-GET.
    pub async fn read(&self, path: &str) -> Reply {
        let header = self.header(path).await;
        self.send(path, &self.sign(&header, b"")).await
    }

    /// An order for these hosts whose http-01 challenges are all met: the order's URL and body.
    pub async fn ready_order(&self, ca: &Ca, names: &[&str]) -> (String, Value) {
        ca.host(names);
        let identifiers: Vec<Value> = names.iter().map(|name| json!({"type": "dns", "value": name})).collect();
        self.ready(ca, &json!({ "identifiers": identifiers })).await
    }

    /// This order, whose hosts are there, made ready by http-01.
    pub async fn ready(&self, ca: &Ca, asked: &Value) -> (String, Value) {
        let placed = self.post("/new-order", asked).await;
        assert_eq!(placed.status, StatusCode::CREATED, "{}", placed.json());
        let (url, mut order) = (placed.header("location"), placed.json());
        for authz in order["authorizations"].as_array().unwrap().clone() {
            let authz = self.read(authz.as_str().unwrap()).await.json();
            if authz["status"] == "valid" {
                continue;
            }
            let challenge = authz["challenges"].as_array().unwrap().iter().find(|c| c["type"] == "http-01").unwrap();
            let token = challenge["token"].as_str().unwrap();
            ca.web.put(token, &format!("{token}.{}", self.thumbprint()));
            self.post(challenge["url"].as_str().unwrap(), &json!({})).await;
        }
        while order["status"] == "pending" {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            order = self.read(&url).await.json();
        }
        assert_eq!(order["status"], "ready", "{order}");
        (url, order)
    }

    /// Sends a signed message.
    pub async fn send(&self, path: &str, message: &Value) -> Reply {
        self.request(Method::POST, path, Some("application/jose+json"), message.to_string().into_bytes()).await
    }

    /// Sends anything.
    pub async fn request(&self, method: Method, path: &str, content_type: Option<&str>, body: Vec<u8>) -> Reply {
        let mut request = Request::builder().method(method).uri(self.url(path));
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let response = self.app.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1024 * 1024).await.unwrap().to_vec();
        Reply { status: parts.status, headers: parts.headers, body }
    }
}
