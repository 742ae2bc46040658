//! Every statement that was asked, so that a test can explain them all; and how many group commits there were.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

static STATEMENTS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

pub(crate) fn note_statement(sql: &str) {
    STATEMENTS.lock().unwrap_or_else(PoisonError::into_inner).insert(sql.to_owned());
}

/// Takes every statement that a connection of this process parsed since the last time.
pub fn take_statements() -> BTreeSet<String> {
    std::mem::take(&mut *STATEMENTS.lock().unwrap_or_else(PoisonError::into_inner))
}

static COMMITS: AtomicU64 = AtomicU64::new(0);

pub(crate) fn note_commit() {
    COMMITS.fetch_add(1, Ordering::Relaxed);
}

/// How many group commits this process made.
pub fn commits() -> u64 {
    COMMITS.load(Ordering::Relaxed)
}
