//! How fast a token signs, measured: by passing keys of sessions, one for each session thread, so that no lasting key signs
//! without an intent.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::errand::Again;
use super::token::Token;
use crate::custody::Algorithm;
use crate::error::HsmError;
use crate::keys::making;
use crate::module::Inside;
use crate::session::Desk;

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// With what kind of signature.
    pub algorithm: Algorithm,
    /// How many sessions signed side by side.
    pub sessions: usize,
    /// How many signatures there were.
    pub signatures: usize,
    /// How many a second, of all sessions together.
    pub per_second: f64,
    /// Half of them took no longer.
    pub median: Duration,
    /// Of a hundred, ninety-nine.
    pub p99: Duration,
}

impl Token {
    /// Has every session sign for so long, with passing keys that end with their sessions, and measures; each signature is
    /// verified. For `chancery doctor`: whoever else wants a signature meanwhile waits.
    pub async fn measure(&self, span: Duration) -> Result<Measured, HsmError> {
        let sessions = self.crew.shared.config.sessions;
        let mut running = JoinSet::new();
        for _ in 0..sessions {
            let mut turn = Some(self.crew.shared.turns.make().await);
            let crew = std::sync::Arc::clone(&self.crew);
            let act = move |inside: &Inside<'_>, desk: &mut Desk| {
                let passing = match turn.take() {
                    Some(turn) => making::passing(inside, &turn, desk)?,
                    None => return Err(HsmError::Failed("it was begun twice".into()).into()),
                };
                let (mut took, began) = (Vec::new(), Instant::now());
                while began.elapsed() < span || took.is_empty() {
                    let before = Instant::now();
                    let raw = passing.sign(inside, desk)?;
                    took.push(before.elapsed());
                    passing.verify(raw)?;
                }
                Ok((passing.algorithm(), took, began.elapsed()))
            };
            let deadline = crew.deadline() + span;
            running.spawn(async move { crew.ask(Again::Never, deadline, act).await });
        }
        let (mut took, mut per_second, mut algorithm) = (Vec::new(), 0.0, None);
        for measured in running.join_all().await {
            let (by, of_one, elapsed) = measured?;
            #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 signatures")]
            let count = of_one.len() as f64;
            per_second += count / elapsed.as_secs_f64();
            took.extend(of_one);
            algorithm = Some(by);
        }
        took.sort_unstable();
        let at = |share: usize| took.get((took.len() * share / 100).min(took.len().saturating_sub(1))).copied();
        let (Some(algorithm), Some(median), Some(p99)) = (algorithm, at(50), at(99)) else {
            return Err(HsmError::Failed("nothing was measured".into()));
        };
        Ok(Measured { algorithm, sessions, signatures: took.len(), per_second, median, p99 })
    }
}
