//! Signals that come in, and from whom.
//!
//! The terminal sends its signals to the whole foreground group: a program in our group has had them, and would take a second interrupt
//! for impatience. Those that somebody sent to us alone it has not had. Which is which the kernel says (si_code, sigaction(2)).

use std::thread::{self, JoinHandle};

use rustix::process::Signal;
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::backend::Handle;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::low_level::siginfo::Cause;

use crate::error::{DeliveryError, Doing};

/// A signal that came in.
#[derive(Clone, Copy, Debug)]
pub struct Arrived {
    /// Which.
    pub signal: Signal,
    /// Whether the kernel sent it, on behalf of the terminal.
    pub by_kernel: bool,
    /// The process that sent it.
    pub sender: Option<i32>,
}

/// Listens until it goes.
pub struct Listening {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Listening {
    /// Tells each signal that comes from now on, and these too. What was ignored when we began stays so, for the program too: that is
    /// `nohup`.
    pub fn begin(also: &[Signal], tell: impl Fn(Arrived) + Send + 'static) -> Result<Listening, DeliveryError> {
        let ignored = ignored();
        let ours = PASSED.iter().filter(|signal| ignored >> (signal.as_raw() - 1) & 1 == 0).chain(NEEDED).chain(also);
        let mut signals =
            SignalsInfo::<WithOrigin>::new(ours.map(|signal| signal.as_raw())).doing("listening for signals")?;
        let handle = signals.handle();
        let listen = move || {
            for origin in &mut signals {
                let Some(signal) = Signal::from_named_raw(origin.signal) else { continue };
                let by_kernel = matches!(origin.cause, Cause::Kernel);
                tell(Arrived { signal, by_kernel, sender: origin.process.map(|process| process.pid) });
            }
        };
        let thread = thread::Builder::new().name("signals".to_owned()).spawn(listen).doing("listening for signals")?;
        Ok(Listening { handle, thread: Some(thread) })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The set of ignored signals, one bit each from 1 on (proc(5), SigIgn).
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    set.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0)
}

/// What is passed on to the program.
const PASSED: &[Signal] = &[
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::USR1,
    Signal::USR2,
    Signal::ALARM,
    Signal::VTALARM,
    Signal::PROF,
    Signal::TERM,
    Signal::TSTP,
    Signal::IO,
    Signal::POWER,
    Signal::STKFLT,
];
/// What we need ourselves.
const NEEDED: &[Signal] = &[Signal::CHILD, Signal::CONT, Signal::WINCH];
