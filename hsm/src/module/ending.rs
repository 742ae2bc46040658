//! The end of the process: nobody is inside a module any more when the module's own clean-up runs.
//!
//! A process that exits runs the clean-up of its libraries while its other threads go on. A session thread that is inside
//! SoftHSM at that moment, closing a session for instance, works on memory that is being freed: the process dies of a
//! signal, and what was a success is no success for whoever reads the exit code.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::raw;
use crate::lock::locked;

/// How long an exit waits for calls that are under way. A token that answers nothing must not keep a process alive.
const EXIT_WAIT: Duration = Duration::from_secs(5);

/// Waits until nobody is inside any module, and lets nobody in again: what [`expect`] was given.
static SHUT_GATES: OnceLock<fn()> = OnceLock::new();

/// To be called after a module was loaded and initialised, so that this comes before its clean-up and before that of the
/// libraries under it.
pub(crate) fn expect(shut_gates: fn()) {
    SHUT_GATES.get_or_init(|| shut_gates);
    if !raw::at_exit(shut) {
        tracing::warn!("no place to register for the end of the process; an exit under load may end in a crash");
    }
}

/// Threads that were told to end and may not have ended yet. What a module's libraries keep per thread is given back as the
/// thread ends, and that must not meet the clean-up of the process either.
static LEFT: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

/// Keeps a thread that is about to end in mind until it has.
pub(crate) fn leave_behind(thread: JoinHandle<()>) {
    let mut left = locked(&LEFT);
    left.retain(|thread| !thread.is_finished());
    left.push(thread);
}

/// Shuts every gate for good. On a thread of its own, since a gate has no wait with a bound; the thread never ends, so that
/// nothing of it is cleaned up beside the rest.
extern "C" fn shut() {
    // Registered once for each module, and enough once.
    static BEGUN: AtomicBool = AtomicBool::new(false);
    if BEGUN.swap(true, Ordering::AcqRel) {
        return;
    }
    let (done, shut) = mpsc::channel();
    let spawned = thread::Builder::new().name("hsm-exit".into()).spawn(move || {
        let left = std::mem::take(&mut *locked(&LEFT));
        for thread in left {
            // A panic of the thread was its own.
            let _ = thread.join();
        }
        if let Some(shut_gates) = SHUT_GATES.get() {
            shut_gates();
        }
        // An error means that nobody waits any more.
        let _ = done.send(());
        loop {
            thread::park();
        }
    });
    if spawned.is_ok() {
        // An error means that a call is still under way: the process ends all the same.
        let _ = shut.recv_timeout(EXIT_WAIT);
    }
}
