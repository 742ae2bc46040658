//! The session threads and the healer of one pool, the queue before them, and how they end.
//!
//! What is asked of them stands in `errand` and `signing`; what they do, in `worker`.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use super::pace::Pace;
use super::worker::Job;
use crate::heal::Shared;
use crate::module::ending;

/// How long [`Crew::shut_down`] waits for calls under way.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(5);

/// How often a thread is looked at that is about to end.
const JOIN_PAUSE: Duration = Duration::from_millis(1);

/// One pool's threads and what it shares with them.
pub(super) struct Crew {
    pub(super) shared: Arc<Shared>,
    pub(super) jobs: Sender<Job>,
    pub(super) pace: Pace,
    /// Disconnected once every session thread has ended.
    pub(super) all_home: Receiver<()>,
    /// The session threads and the healer.
    pub(super) threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Crew {
    /// Has everyone end, and waits for it with a bound.
    pub(super) fn shut_down(&self) {
        self.shared.standing.close();
        for _ in 0..self.shared.config.sessions {
            // An error means that they have all gone, or that the token has not let go of one: neither is ours to mend.
            let _ = self.jobs.send_timeout(Job::Stop, SHUTDOWN_WAIT);
        }
        let _ = self.all_home.recv_timeout(SHUTDOWN_WAIT);
        self.join();
    }

    /// How long a caller waits at most.
    pub(super) fn deadline(&self) -> Duration {
        self.shared.config.deadline
    }

    /// Waits for the threads themselves to be gone, not just for their work. What the module's libraries keep per thread is
    /// given back as the thread ends; a process that exits meanwhile cleans the same up a second time, under its feet.
    /// A thread that is still in a call after the wait is left behind.
    fn join(&self) {
        let give_up = Instant::now() + SHUTDOWN_WAIT;
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            while !thread.is_finished() && Instant::now() < give_up {
                thread::sleep(JOIN_PAUSE);
            }
            match thread.is_finished() {
                // A panic of the thread was its own.
                true => drop(thread.join()),
                false => ending::leave_behind(thread),
            }
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.shared.standing.close();
        // They end by themselves, now that there is no sender left.
        let threads = self.threads.get_mut().unwrap_or_else(PoisonError::into_inner);
        threads.drain(..).for_each(ending::leave_behind);
    }
}
