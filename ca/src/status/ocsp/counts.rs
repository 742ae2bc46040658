//! What was asked and what came of it, for whoever watches.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use policy::{Serial, Timestamp};

/// How the responders are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OcspState {
    /// Each responder at work: whose certificates it answers for, and the end of its own.
    pub responders: Vec<(String, Timestamp)>,
    /// Responses in memory.
    pub kept: u64,
    /// Answers from memory.
    pub answered: u64,
    /// Responses signed.
    pub signed: u64,
    /// Answers that somebody had too many of: given without their nonce, or told to come later.
    pub limited: u64,
    /// What is no request, and what is none of ours to say.
    pub refused: u64,
    /// Told to come later: the token or the register is away.
    pub later: u64,
    /// Certificates that the register does not hold, with serials that nobody here makes.
    pub strangers: u64,
    /// Certificates that the register does not hold, with serials that this node might have made.
    pub alarms: u64,
    /// The last of those, and when it was asked for.
    pub last_alarm: Option<(Serial, Timestamp)>,
}

/// Counted since the start.
#[derive(Default)]
pub(crate) struct Counts {
    answered: AtomicU64,
    signed: AtomicU64,
    limited: AtomicU64,
    refused: AtomicU64,
    later: AtomicU64,
    strangers: AtomicU64,
    alarms: AtomicU64,
    last: Mutex<Option<(Serial, Timestamp)>>,
}

impl Counts {
    pub(crate) fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn signed(&self, count: usize) {
        self.signed.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn limited(&self) {
        self.limited.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn later(&self) {
        self.later.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stranger(&self) {
        self.strangers.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an alarm; whether the log is to say so: once a minute.
    pub(crate) fn alarm(&self, serial: Serial, now: Timestamp) -> bool {
        self.alarms.fetch_add(1, Ordering::Relaxed);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_told = last.is_none_or(|(_, at)| now.is_due(at, TOLD_SECS));
        if is_told {
            *last = Some((serial, now));
        }
        is_told
    }

    pub(crate) fn state(&self, responders: Vec<(String, Timestamp)>, kept: u64) -> OcspState {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        OcspState {
            responders,
            kept,
            answered: read(&self.answered),
            signed: read(&self.signed),
            limited: read(&self.limited),
            refused: read(&self.refused),
            later: read(&self.later),
            strangers: read(&self.strangers),
            alarms: read(&self.alarms),
            last_alarm: *self.last.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

/// A stranger who makes serials up does not fill the log.
const TOLD_SECS: i64 = 60;
