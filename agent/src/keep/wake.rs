//! What has the agent look before its time.
//!
//! Today that is SIGUSR1 (`systemctl kill -s USR1`, a deployment that just wrote a secret). A server's stream of changes has its place here:
//! whoever listens to it calls [`Waker::wake`], and all secrets are looked at.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Wakes whoever waits.
pub(crate) struct Waker(watch::Sender<u64>);

/// Waits to be woken.
#[derive(Clone)]
pub(crate) struct Sleeper(watch::Receiver<u64>);

impl Waker {
    /// A pair.
    pub fn new() -> (Self, Sleeper) {
        let (waker, sleeper) = watch::channel(0);
        (Self(waker), Sleeper(sleeper))
    }

    /// All look now.
    pub fn wake(&self) {
        self.0.send_modify(|times| *times = times.wrapping_add(1));
    }

    /// Wakes all at each SIGUSR1, for ever.
    pub async fn listen(&self) {
        match signal(SignalKind::user_defined1()) {
            Ok(mut signals) => {
                while signals.recv().await.is_some() {
                    tracing::info!("all secrets are looked at now");
                    self.wake();
                }
            }
            Err(error) => tracing::warn!(%error, "SIGUSR1 cannot be heard: secrets are looked at in their time alone"),
        }
        std::future::pending().await
    }
}

impl Sleeper {
    /// Until somebody wakes it; what was before counts as slept through.
    pub async fn woken(&mut self) {
        self.0.mark_unchanged();
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
