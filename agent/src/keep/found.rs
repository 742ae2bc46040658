//! What a pass over a file of secrets found, and the status that follows. Pure.

use std::time::Duration;

use delivery::cache::Moment;
use policy::{Timestamp, World};

use super::pace::Pace;
use crate::deploy::Note;
use crate::error::AgentError;
use crate::look::{Lack, SecretState, SecretStatus};
use crate::plan::SecretFile;

/// What is so after a pass.
pub(super) struct Found {
    pub ended: Result<Done, AgentError>,
    pub note: Option<Note>,
    /// Whether the file is there.
    pub is_there: bool,
    pub now: Option<Moment>,
}

/// How a pass ended well.
pub(super) struct Done {
    /// Why the server gave nothing; none where it answered.
    away: Option<String>,
    /// Whether the file was written.
    is_new: bool,
}

impl Done {
    /// What stands there is what the server has.
    pub fn live(is_new: bool) -> Self {
        Self { away: None, is_new }
    }

    /// The server is away, and what it gave before may be used.
    pub fn cached(is_new: bool, because: String) -> Self {
        Self { away: Some(because), is_new }
    }
}

impl Found {
    /// The status that comes after `before`, and how long to wait.
    pub fn settle(self, before: SecretStatus, plan: &SecretFile, world: &World) -> (SecretStatus, Duration) {
        let Found { ended, note, is_there, now } = self;
        let at = world.now();
        let mut status = SecretStatus { in_place: is_there, file: plan.file.path.clone(), ..before };
        let mut asked_secs = 0;
        match ended {
            Ok(Done { away: None, is_new }) => {
                status.changes += u64::from(is_new);
                status.last_answer = Some(at);
                (status.state, status.last_error, status.lack) = (SecretState::Ok, None, None);
            }
            Ok(Done { away, is_new }) => {
                status.changes += u64::from(is_new);
                (status.state, status.last_error, status.lack) = (SecretState::Cached, away, Some(Lack::Away));
            }
            // Not a failure of anything; the next run goes on.
            Err(AgentError::Stopped) => return (status, Duration::ZERO),
            Err(error) => {
                if let AgentError::Busy { retry_after_secs, .. } = &error {
                    asked_secs = *retry_after_secs;
                }
                let state =
                    if matches!(error, AgentError::Over { .. }) { SecretState::Ended } else { SecretState::Failed };
                (status.state, status.last_error, status.lack) = (state, Some(error.chain()), Some(lack(&error)));
            }
        }
        match &status.last_error {
            Some(why) => {
                tracing::warn!(secret = plan.name, state = ?status.state, error = why, "not as it should be");
                status.failures = status.failures.saturating_add(1);
            }
            None => status.failures = 0,
        }
        let known = note.as_ref().zip(now.as_ref());
        let left_ms = known.and_then(|(note, now)| note.left_ms(now, plan.max_age_secs));
        let refresh_ms = known.and_then(|(note, now)| note.refresh_ms(now, plan.max_age_secs));
        status.versions = note.iter().flat_map(|note| note.versions.iter().cloned()).collect();
        status.read = known.and_then(|(note, now)| now.ms_since(&note.at)).map(|ago| shifted(at, ago, -1));
        status.good_until = left_ms.map(|left| shifted(at, left, 1));
        // While nobody answers it ends in its time; otherwise it is asked for again before that.
        let due = if status.state == SecretState::Ok { refresh_ms } else { left_ms };
        let due = due.map(Duration::from_millis);
        let pause = Pace { poll: plan.poll, failures: status.failures, asked_secs, due }.pause(world);
        status.next_look = Some(shifted(at, u64::try_from(pause.as_millis()).unwrap_or(u64::MAX), 1));
        (status, pause)
    }
}

/// What is lacking, for whoever branches on it.
pub(super) fn lack(error: &AgentError) -> Lack {
    match error {
        mistake if mistake.is_mistake() => Lack::Here,
        AgentError::Over { is_refused: true, .. } | AgentError::Refused { .. } | AgentError::Absent(_) => Lack::Refused,
        AgentError::Over { .. } | AgentError::Busy { .. } | AgentError::Unreachable { .. } => Lack::Away,
        _ => Lack::Here,
    }
}

fn shifted(at: Timestamp, ms: u64, sign: i64) -> Timestamp {
    at.plus_secs(sign * i64::try_from(ms / 1_000).unwrap_or(i64::MAX))
}
