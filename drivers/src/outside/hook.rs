//! A hook behind a URL, named in the server's configuration: what to do is posted to it as JSON, and it answers as JSON.
//!
//! Who asks is proved by a signature over the whole request (HMAC-SHA256 with a secret of both, in the three headers of Standard
//! Webhooks), by a client certificate, or both. Who answers is proved by its certificate. Redirects are not followed: a URL that
//! somebody else chose would get the credential.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use policy::{Secret, World};
use reqwest::StatusCode;
use ring::hmac;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use secrets::rotation::Others;
use zeroize::Zeroizing;

use super::message::{ANSWER_BYTES_MAX, About, Asked, answered, message, of, sane_admin};
use crate::driver::{Driver, Fault, Login, sane};

/// What the configuration says of a hook.
#[derive(Debug)]
pub struct HookWish {
    /// Where it is; https.
    pub url: String,
    /// The roots of its certificate (PEM).
    pub roots: String,
    /// What both sign with: `whsec_` and base64, or the bytes themselves.
    pub secret: Option<Secret<String>>,
    /// The certificate that is shown to it, with its chain, and the key (PEM).
    pub identity: Option<(String, Secret<String>)>,
    /// How long an answer may take; no longer than [`super::TIME_MAX`].
    pub time: Duration,
}

/// A hook that is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    /// Another scheme, or no URL.
    #[error("a hook's url is https://...: passwords go there")]
    Url,
    /// No roots.
    #[error("its roots cannot be read: give the PEM file of who issued its certificate")]
    Roots,
    /// Neither a secret nor a certificate.
    #[error("anybody could ask it for the same: give a secret_file (HMAC), or a certificate and its key")]
    Nobody,
    /// A short secret.
    #[error("its secret is shorter than {SECRET_BYTES_MIN} bytes: `openssl rand -base64 32` draws one")]
    Short,
    /// A certificate that does not go with its key.
    #[error("the certificate and the key that are shown to it cannot be used together")]
    Identity,
}

/// `[rotation.http.NAME]`, ready to be used. Cheap to clone.
#[derive(Clone)]
pub struct Hook {
    url: reqwest::Url,
    client: reqwest::Client,
    key: Option<hmac::Key>,
}

impl Hook {
    /// Of what the configuration says.
    ///
    /// # Errors
    /// [`HookError`], which says what to change.
    pub fn new(wish: HookWish) -> Result<Hook, HookError> {
        let HookWish { url, roots, secret, identity, time } = wish;
        let url = reqwest::Url::parse(&url).map_err(|_| HookError::Url)?;
        if url.scheme() != "https" || !url.username().is_empty() || url.password().is_some() {
            return Err(HookError::Url);
        }
        if secret.is_none() && identity.is_none() {
            return Err(HookError::Nobody);
        }
        let key = secret.map(|secret| key(&secret)).transpose()?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(config(&roots, identity)?)
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(time)
            // A step is rare, and a connection that lies about may be dead.
            .pool_max_idle_per_host(0)
            .user_agent("chancery-rotation")
            .build();
        Ok(Hook { url, client: client.map_err(|_| HookError::Identity)?, key })
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hook({})", self.url)
    }
}

/// A hook, for one step of one rotation.
#[derive(Clone, Debug)]
pub struct Http {
    hook: Hook,
    about: About,
    world: World,
}

impl Http {
    /// Of a hook; `path` is the secret's, `operation` names what was intended.
    pub fn new(hook: Hook, path: &str, operation: &str, world: World) -> Http {
        Http { hook, about: About { path: path.to_owned(), operation: operation.to_owned() }, world }
    }

    async fn ask(
        &self,
        asked: Asked,
        admin: Option<Login<'_>>,
        login: Login<'_>,
        others: Option<Others>,
    ) -> Result<(), Fault> {
        sane(login, secrets::rotation::USER_BYTES_MAX)?;
        sane_admin(admin)?;
        let body = message(&self.about, asked, admin, login, others)?;
        of(asked, self.post(&body).await)
    }

    async fn post(&self, body: &[u8]) -> Result<(), Fault> {
        let Hook { url, client, key } = &self.hook;
        let operation = &self.about.operation;
        let mut request = client
            .post(url.clone())
            .header("content-type", "application/json")
            .header("idempotency-key", operation)
            .header("webhook-id", operation);
        if let Some(key) = key {
            let at = self.world.now().unix();
            request = request
                .header("webhook-timestamp", at)
                .header("webhook-signature", format!("v1,{}", signature(key, operation, at, body)));
        }
        // What the library keeps of the body is not wiped.
        let answer = request.body(body.to_vec()).send().await.map_err(|error| match error.is_connect() {
            true => Fault::away(words(&error)),
            false => Fault::unknown(words(&error)),
        })?;
        let status = answer.status();
        let heard = read(answer).await;
        match status {
            StatusCode::OK => answered(&heard?),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
                Err(Fault::away(format!("the hook answered {status}")))
            }
            StatusCode::SERVICE_UNAVAILABLE => Err(Fault::away(format!("the hook answered {status}"))),
            status if status.is_redirection() => {
                Err(Fault::refused(format!("the hook answered {status}: it is not followed elsewhere")))
            }
            status if status.is_client_error() => Err(Fault::refused(format!("the hook answered {status}"))),
            status => Err(Fault::unknown(format!("the hook answered {status}"))),
        }
    }
}

impl Driver for Http {
    async fn set(&self, admin: Login<'_>, to: Login<'_>, others: Others) -> Result<(), Fault> {
        self.ask(Asked::Set, Some(admin), to, Some(others)).await
    }

    async fn test(&self, login: Login<'_>) -> Result<(), Fault> {
        self.ask(Asked::Test, None, login, None).await
    }

    async fn retire(&self, admin: Login<'_>, gone: Login<'_>, others: Others) -> Result<(), Fault> {
        self.ask(Asked::Retire, Some(admin), gone, Some(others)).await
    }
}

/// Of `id.timestamp.body`, as Standard Webhooks has it.
fn signature(key: &hmac::Key, id: &str, at: i64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(key);
    context.update(format!("{id}.{at}.").as_bytes());
    context.update(body);
    STANDARD.encode(context.sign())
}

async fn read(mut answer: reqwest::Response) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(ANSWER_BYTES_MAX));
    while let Some(chunk) = answer.chunk().await.map_err(|error| Fault::unknown(words(&error)))? {
        if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Fault::unknown(format!("the hook's answer is longer than {ANSWER_BYTES_MAX} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn key(secret: &Secret<String>) -> Result<hmac::Key, HookError> {
    let text = secret.expose().trim();
    let bytes = match text.strip_prefix("whsec_") {
        Some(coded) => Zeroizing::new(STANDARD.decode(coded).map_err(|_| HookError::Short)?),
        None => Zeroizing::new(text.as_bytes().to_vec()),
    };
    match bytes.len() < SECRET_BYTES_MIN {
        true => Err(HookError::Short),
        false => Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes)),
    }
}

pub(super) fn config(roots: &str, identity: Option<(String, Secret<String>)>) -> Result<ClientConfig, HookError> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(roots.as_bytes()) {
        store.add(certificate.map_err(|_| HookError::Roots)?).map_err(|_| HookError::Roots)?;
    }
    if store.is_empty() {
        return Err(HookError::Roots);
    }
    let config = ClientConfig::builder_with_provider(std::sync::Arc::new(tls::provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| HookError::Roots)?
        .with_root_certificates(store);
    let Some((chain, key)) = identity else { return Ok(config.with_no_client_auth()) };
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<Vec<_>, _>>();
    let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes());
    let (chain, key) = (chain.map_err(|_| HookError::Identity)?, key.map_err(|_| HookError::Identity)?);
    config.with_client_auth_cert(chain, key).map_err(|_| HookError::Identity)
}

/// An error with its causes, and without the URL.
pub(super) fn words(error: &reqwest::Error) -> String {
    let mut said = String::from("no answer");
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        said.push_str(&format!(": {next}"));
        cause = next.source();
    }
    said
}

/// A key of HMAC-SHA256 is as long as its output at least (RFC 2104 section 3), less for texts that people type.
pub(crate) const SECRET_BYTES_MIN: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification.
    #[test]
    fn what_is_signed_is_what_standard_webhooks_verifies() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
        let said = signature(
            &key(&secret).unwrap(),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(said, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        for short in ["", "whsec_", "whsec_AAAA", "whsec_%%%", "0123456789"] {
            assert_eq!(key(&Secret::new(short.to_owned())).err(), Some(HookError::Short), "{short}");
        }
    }

    #[test]
    fn a_hook_is_https_and_knows_who_asks() {
        let wish = |url: &str, secret: Option<&str>| HookWish {
            url: url.to_owned(),
            roots: String::new(),
            secret: secret.map(|text| Secret::new(text.to_owned())),
            identity: None,
            time: Duration::from_secs(1),
        };
        let long = Some("0123456789012345678901234567890123");
        for url in ["http://hook.test/", "https://me:word@hook.test/", "ftp://hook.test", "hook.test", ""] {
            assert_eq!(Hook::new(wish(url, long)).err(), Some(HookError::Url), "{url}");
        }
        assert_eq!(Hook::new(wish("https://hook.test/", None)).err(), Some(HookError::Nobody));
        assert_eq!(Hook::new(wish("https://hook.test/", Some("short"))).err(), Some(HookError::Short));
        assert_eq!(Hook::new(wish("https://hook.test/", long)).err(), Some(HookError::Roots));
    }
}
