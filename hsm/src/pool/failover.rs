//! A signature as its caller sees it: of the first token of its key that is well, or of the next, within one deadline.
//!
//! Each token that is asked has its share of the time: with two, the first has half. What a token testifies not to have signed is
//! asked of the next. So is what it has not answered: the next signs the very same bytes with the very same key, so that whatever
//! the first may have made says nothing that is not recorded, and one signature is released. Where no token answers, the outcome
//! is unknown if that of one of them is.

use std::sync::Arc;
use std::time::Instant;

use super::facade::Pool;
use super::token::Token;
use crate::custody::{Intent, Key, Message, NotSigned, SignError, Signature};
use crate::heal::{Health, RETRY_AFTER_HEALING_SECS};

impl Pool {
    /// Signs, and verifies before it answers; of the key's tokens, the first that can.
    ///
    /// The intent is consumed whatever comes of it; a retry is a new intent. `Unknown` means that a signature may exist.
    pub async fn sign(&self, intent: Intent) -> Result<Signature, SignError> {
        let operation = intent.operation();
        if let Err(why) = self.admit(&intent) {
            return Err(SignError::Refused(NotSigned::testify(operation, why)));
        }
        let intent = Arc::new(intent);
        let homes: Vec<&Token> = self.homes(intent.key()).collect();
        let mut asked: Vec<&Token> = homes.iter().copied().filter(|token| token.health() == Health::Ready).collect();
        // Where there is a choice, one that had no time a moment ago is asked last.
        asked.sort_by_key(|token| token.crew.shared.standing.is_passed_over());
        if asked.is_empty() {
            asked = homes;
        }
        let until = Instant::now() + asked.iter().map(|token| token.crew.deadline()).max().unwrap_or_default();
        let mut said = Said { operation, names: self.tokens().len() > 1, ..Said::default() };
        for (place, token) in asked.iter().enumerate() {
            let waiting = u32::try_from(asked.len() - place).unwrap_or(u32::MAX);
            let window = until.saturating_duration_since(Instant::now()) / waiting;
            match token.sign(&intent, window).await {
                Ok(signature) => return Ok(signature),
                Err(error) => said.hear(token, error, waiting > 1),
            }
        }
        Err(said.outcome())
    }

    /// For benches: signs one intent after the other on one session's thread, each verified; answers how many were signed.
    #[cfg(feature = "testing")]
    pub async fn sign_in_a_row(&self, intents: Vec<Intent>) -> Result<usize, crate::error::HsmError> {
        self.first().crew.sign_in_a_row(intents).await
    }

    /// How the tokens of a key are: ready, if one of them is.
    pub fn health_of(&self, key: &Key) -> Health {
        self.together(self.homes(key))
    }

    /// What can be said without a token.
    fn admit(&self, intent: &Intent) -> Result<(), String> {
        if intent.home() != self.number() {
            return Err("the intent was made for another pool".into());
        }
        if let Message::Batch(batch) = intent.message()
            && !batch.holds()
        {
            return Err("the root of its batch is not that of its messages".into());
        }
        match self.homes(intent.key()).next() {
            Some(_) => Ok(()),
            None => Err(format!("none of its tokens is configured here: {}", intent.key().homes().join(", "))),
        }
    }
}

/// What the tokens said that did not sign.
#[derive(Default)]
struct Said {
    operation: u64,
    /// Whether there are several tokens, so that one says which.
    names: bool,
    reasons: Vec<String>,
    is_unknown: bool,
    retry_after_secs: Option<u32>,
}

impl Said {
    fn hear(&mut self, token: &Token, error: SignError, is_next: bool) {
        let why = match error {
            SignError::Refused(not_signed) => not_signed.reason().to_owned(),
            SignError::Unavailable { not_signed, retry_after_secs } => {
                self.retry_after_secs =
                    Some(self.retry_after_secs.map_or(retry_after_secs, |before| before.min(retry_after_secs)));
                not_signed.reason().to_owned()
            }
            SignError::Unknown { why, .. } => {
                self.is_unknown = true;
                why
            }
        };
        if is_next {
            let unknown = self.is_unknown;
            tracing::warn!(
                token = token.name(),
                operation = self.operation,
                why,
                unknown,
                "a token did not sign; the next is asked"
            );
        }
        self.reasons.push(if self.names { format!("{}: {why}", token.name()) } else { why });
    }

    fn outcome(self) -> SignError {
        let (operation, why) = (self.operation, self.reasons.join("; "));
        match (self.is_unknown, self.retry_after_secs) {
            (true, _) => SignError::Unknown { operation, why },
            (false, Some(retry_after_secs)) => {
                SignError::Unavailable { not_signed: NotSigned::testify(operation, why), retry_after_secs }
            }
            (false, None) if self.reasons.is_empty() => SignError::Unavailable {
                not_signed: NotSigned::testify(operation, "no token was asked".into()),
                retry_after_secs: RETRY_AFTER_HEALING_SECS,
            },
            (false, None) => SignError::Refused(NotSigned::testify(operation, why)),
        }
    }
}
