//! The walk that wraps what is sealed to the recovery key: who asks for it, and what became of it. Copies share it.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::notice::Sentences;

/// What somebody asked for, what went wrong, and what is told of it.
#[derive(Clone, Default)]
pub(crate) struct Wrapping {
    inner: Arc<Inner>,
    alarms: Sentences,
}

#[derive(Default)]
struct Inner {
    asked: Notify,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_asked: bool,
    trouble: Option<String>,
}

impl Wrapping {
    /// Somebody asks for a walk over everything.
    pub(crate) fn ask(&self) {
        let mut state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.is_asked, state.trouble) = (true, None);
        drop(state);
        self.inner.asked.notify_one();
    }

    /// Waits until somebody asks.
    pub(crate) async fn heard(&self) {
        self.inner.asked.notified().await;
    }

    /// Whether a walk was asked for that has not come to its end.
    pub(crate) fn is_asked(&self) -> bool {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner).is_asked
    }

    /// A walk ended: well, or not, and then why. One that did not is tried again, whoever asked for it.
    pub(crate) fn ended(&self, trouble: Option<String>) {
        let mut state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_asked &= trouble.is_some();
        state.trouble = trouble;
    }

    /// Why the last one did not come to its end.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner).trouble.clone()
    }

    /// What somebody should look at.
    pub(crate) fn alarms(&self) -> &Sentences {
        &self.alarms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_stays_asked_for_until_it_is_done() {
        let wrapping = Wrapping::default();
        assert!(!wrapping.is_asked());
        wrapping.ask();
        wrapping.ended(Some("the token is away".to_owned()));
        assert!(wrapping.is_asked());
        assert_eq!(wrapping.trouble().as_deref(), Some("the token is away"));
        wrapping.ended(None);
        assert_eq!((wrapping.is_asked(), wrapping.trouble()), (false, None));
    }
}
