//! A drill as the register keeps it, and what it marks. Pure.

use std::collections::BTreeMap;

use policy::{Owner, Timestamp};
use ring::digest;
use serde::{Deserialize, Serialize};

use super::renewing::Renewing;
use crate::error::CaError;

/// What a drill marks: what an issuer made, of a profile, of an owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// A generation (`tls/1`), or all of an issuer (`tls`).
    pub issuer: String,
    /// Of this profile alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Of this owner alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
}

/// A drill that is wished for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDrill {
    /// What it marks.
    pub part: Part,
    /// In how many seconds all of it is to be replaced.
    pub window_secs: i64,
    /// Why, for whoever reads the log.
    pub reason: String,
    /// Where people read about it (`explanationURL`).
    pub url: Option<String>,
}

/// A drill. It marks from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drill {
    /// What it is called.
    pub id: String,
    /// What it marks.
    pub part: Part,
    /// When it began.
    pub begun: Timestamp,
    /// What it marks is to be replaced in so many seconds.
    pub window_secs: i64,
    /// It marks certificates of operations before this one: what was made since is a successor already.
    pub below: u64,
    /// Why.
    pub reason: String,
    /// Where people read about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When somebody ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// What held when it began, by owner (`...`: of all beyond the first 500): how many, and how many of others
    /// had a successor by then.
    pub held: BTreeMap<String, [u64; 2]>,
}

impl Drill {
    /// Whether it marks a certificate.
    pub fn marks(&self, renewing: &Renewing) -> bool {
        let Part { issuer, profile, owner } = &self.part;
        let of_issuer = renewing
            .issuer
            .strip_prefix(issuer.as_str())
            .is_some_and(|rest| rest.is_empty() || (rest.starts_with('/') && !issuer.contains('/')));
        // What is nobody's is the service's own, as an OCSP responder's, which lives for weeks and follows its CA by itself.
        of_issuer
            && renewing.owner.is_some()
            && renewing.operation < self.below
            && profile.as_ref().is_none_or(|profile| *profile == renewing.profile)
            && owner.as_ref().is_none_or(|owner| Some(owner) == renewing.owner.as_ref())
    }

    /// When a certificate that it marks is to be replaced: spread over its window by the serial, so that a fleet does not come at once.
    pub fn moment(&self, serial: &[u8]) -> Timestamp {
        self.begun.plus_secs(spread(serial, self.window_secs))
    }
}

impl NewDrill {
    /// Refuses what nobody can mean.
    pub(crate) fn check(&self) -> Result<(), CaError> {
        if !(0..=WINDOW_SECS_MAX).contains(&self.window_secs) {
            return Err(CaError::bad("window", format!("0 to {WINDOW_SECS_MAX} seconds")));
        }
        let reason = self.reason.trim();
        if reason.is_empty() || reason.len() > REASON_BYTES_MAX || policy::hidden(reason).is_some() {
            let says = format!("1 to {REASON_BYTES_MAX} printable bytes for whoever reads the log");
            return Err(CaError::bad("reason", says));
        }
        let fits = |url: &String| {
            let web = url.starts_with("https://") || url.starts_with("http://");
            web && url.len() <= URL_BYTES_MAX && url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"')
        };
        match self.url.as_ref().is_none_or(fits) {
            true => Ok(()),
            false => Err(CaError::bad("url", format!("an http or https URL of at most {URL_BYTES_MAX} characters"))),
        }
    }
}

/// A number below `span` that follows from a serial: the same on every node, however often it is asked for.
fn spread(serial: &[u8], span: i64) -> i64 {
    let mut text = b"chancery drill 1\n".to_vec();
    text.extend_from_slice(serial);
    let hash = digest::digest(&digest::SHA256, &text);
    let number = hash.as_ref().iter().take(8).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    let span = u64::try_from(span).unwrap_or(0).max(1);
    i64::try_from(number % span).unwrap_or(0)
}

/// A quarter: longer is no event.
const WINDOW_SECS_MAX: i64 = 92 * 86_400;
/// A sentence.
const REASON_BYTES_MAX: usize = 500;
/// It goes into every answer about a certificate that is marked.
const URL_BYTES_MAX: usize = 500;
