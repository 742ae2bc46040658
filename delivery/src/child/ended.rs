//! How the program ended, and that we end the same way.

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, wait, waitpid};

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code.
    Exited(u8),
    /// By a signal of this number.
    Killed(i32),
}

impl Ended {
    /// The exit code that shells show for it: 128 and the signal's number, where there was one.
    pub fn exit_code(self) -> u8 {
        match self {
            Ended::Exited(code) => code,
            Ended::Killed(number) => u8::try_from(number).ok().and_then(|n| n.checked_add(128)).unwrap_or(u8::MAX),
        }
    }

    /// Ends this process the same way: by the same signal, so that a shell or a service manager sees what happened. Call it last.
    pub fn leave(self) -> ! {
        if let Ended::Killed(number) = self {
            let is_kill = number == Signal::KILL.as_raw();
            let _ = match is_kill {
                true => kill_process(getpid(), Signal::KILL).map_err(Into::into),
                // Back to what the signal does by itself, then the signal.
                false => signal_hook::low_level::emulate_default_handler(number),
            };
        }
        std::process::exit(i32::from(self.exit_code()))
    }
}

/// What happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was stopped by this signal, and can go on.
    Stopped(i32),
    /// It is no more.
    Ended(Ended),
}

/// The next thing that happened to a child, if any. With `reaps`, children that others left to us are waited for too.
pub fn look(child: Pid, reaps: bool) -> Option<Change> {
    let options = WaitOptions::NOHANG | WaitOptions::UNTRACED;
    loop {
        let found = match reaps {
            true => wait(options),
            false => waitpid(Some(child), options),
        };
        match found {
            Ok(Some((pid, status))) if pid == child => return change(status),
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) => return None,
            // Somebody else waited for it: how it ended cannot be known any more.
            Err(_) => return Some(Change::Ended(Ended::Exited(UNKNOWN))),
        }
    }
}

fn change(status: WaitStatus) -> Option<Change> {
    let exited = status.exit_status().map(|code| Change::Ended(Ended::Exited(u8::try_from(code).unwrap_or(UNKNOWN))));
    let killed = || status.terminating_signal().map(|number| Change::Ended(Ended::Killed(number)));
    let stopped = || status.stopping_signal().map(Change::Stopped);
    exited.or_else(killed).or_else(stopped)
}

/// As `env` and `timeout` say that they failed themselves.
const UNKNOWN: u8 = 125;
