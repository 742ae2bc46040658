//! A token endpoint, and who asks there.

use std::future::Future;

use policy::Secret;
use serde::{Deserialize, Serialize};

use crate::error::SecretError;
use crate::rotation::Outcome;
use crate::turning::ROOTS_BYTES_MAX;

/// Where tokens come from. It is written down when a refresh is set up, by one who may read the client's secret: whoever changes the fields of a
/// secret sends that nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Its URL: https, or http within this host.
    pub url: String,
    /// The roots of its certificate (PEM); none: those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roots: Option<String>,
    /// The client proves itself in the body, which RFC 6749 section 2.3.1 advises against, and not by HTTP Basic.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub post: bool,
}

/// Who asks.
#[derive(Debug)]
pub struct ClientLogin {
    /// How the authorization server calls the client.
    pub id: String,
    /// With what it proves itself.
    pub secret: Secret<String>,
}

/// What is asked for.
#[derive(Debug)]
pub struct Asked {
    /// The refresh token; none: by the client's own credentials.
    pub refresh_token: Option<Secret<String>>,
    /// The scopes, with blanks between; none: those that were granted, or the server's own.
    pub scope: Option<String>,
}

/// What came back (RFC 6749 section 5.1).
#[derive(Debug)]
pub struct Tokens {
    /// The token that is shown to the API.
    pub access_token: Secret<String>,
    /// Another refresh token, which takes the place of the one before.
    pub refresh_token: Option<Secret<String>>,
    /// `Bearer`, nearly everywhere.
    pub token_type: String,
    /// How long the access token holds from now on, in seconds, where the server says so.
    pub expires_in: Option<u64>,
}

/// Who asks token endpoints. Each call ends within two minutes: another node waits no longer for its outcome.
pub trait Endpoints {
    /// Whether that can be asked at all; otherwise why not.
    ///
    /// # Errors
    /// In a sentence.
    fn fits(&self, at: &Endpoint) -> Result<(), String>;

    /// Asks. What was refused is [`Outcome::Refused`]; [`Outcome::Away`] alone means that no token was used.
    fn ask(
        &self,
        at: &Endpoint,
        client: &ClientLogin,
        asked: &Asked,
    ) -> impl Future<Output = Result<Tokens, Outcome>> + Send;
}

impl Endpoint {
    pub(super) fn check(&self) -> Result<(), SecretError> {
        if self.url.is_empty() || self.url.len() > URL_BYTES_MAX || self.url.contains(char::is_control) {
            return Err(SecretError::invalid("url", format!("1 to {URL_BYTES_MAX} bytes on one line")));
        }
        if self.roots.as_ref().is_some_and(|roots| roots.len() > ROOTS_BYTES_MAX) {
            return Err(SecretError::invalid("roots", format!("at most {ROOTS_BYTES_MAX} bytes")));
        }
        Ok(())
    }
}

/// The longest URL of a token endpoint.
pub const URL_BYTES_MAX: usize = 1_024;
