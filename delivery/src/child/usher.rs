//! The usher: the process between us and a program that has a pseudo terminal, that is to end with us, or that may begin anew.
//!
//! A controlling terminal and a signal at the parent's death are things that a process can only ask for itself, between its fork and its
//! exec; there, nothing but unsafe code runs. So a process of our own program asks for them, starts the program, and then is to it what
//! we are to the usher: it passes signals on, stops when it stops, and ends as it ended. It is given none of the values but the
//! environment that it hands on.
//!
//! Of a program that may begin anew it takes in all that descends from it: it has no other children, so nobody else's is among them. When
//! the program is ended for that, they end too, within the same grace; at any other end they are left alone, as a shell leaves them.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::process::{
    DumpableBehavior, Pid, Signal, getpid, getppid, ioctl_tiocsctty, kill_process, kill_process_group,
    set_child_subreaper, set_dumpable_behavior, set_parent_process_death_signal, setsid,
};
use rustix::stdio::stdout;
use rustix::termios::{tcgetpgrp, tcsetpgrp};

use super::ended::{Change, Ended, look};
use super::left::Left;
use super::signals::{Arrived, Listening};
use crate::error::{DeliveryError, Doing};
use crate::plan::ORPHAN_GRACE;

/// The word by which the program is called as usher.
pub const USHER: &str = "usher";

/// From us to the usher: end it with KILL, which cannot be passed on. No Linux machine sends this one.
pub const KILL_IT: Signal = Signal::STKFLT;
/// From us to the usher: the program is to begin anew, so it is asked to end, and so is what it leaves behind. An usher that does not listen
/// yet is ended by it, and has started nothing; the system sends it to who used up his time on a processor, which an usher does not.
pub const END_IT: Signal = Signal::XCPU;

/// What an usher is told.
pub struct Usher {
    /// Standard output is a pseudo terminal: a session of its own, with that terminal.
    pub wants_terminal: bool,
    /// The program is ended when the parent is gone.
    pub ends_with_us: bool,
    /// Whatever descends from the program comes to the usher, and ends with it when it begins anew.
    pub begins_anew: bool,
    /// Whose usher it is.
    pub parent: Pid,
}

impl Usher {
    /// The command that starts it, to which the program's arguments are added.
    pub fn command(&self, helper: &[OsString], file: &Path, name: &OsStr) -> Command {
        let mut command = Command::new("/proc/self/exe");
        let word = |is: bool, word: &'static str| if is { word } else { NO };
        command.args(helper).arg(USHER).arg(word(self.wants_terminal, TERMINAL)).arg(word(self.ends_with_us, BOUND));
        command.arg(word(self.begins_anew, ANEW)).arg(self.parent.as_raw_nonzero().to_string()).arg(file).arg(name);
        command
    }

    fn begin(&self) -> Result<(), DeliveryError> {
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        if self.wants_terminal {
            setsid().doing("a session")?;
            ioctl_tiocsctty(stdout()).doing("a controlling terminal")?;
        }
        if self.ends_with_us {
            set_parent_process_death_signal(Some(Signal::TERM)).doing("a signal at the parent's death")?;
        }
        if self.begins_anew {
            set_child_subreaper(Some(getpid())).doing("taking in what the program leaves behind")?;
        }
        Ok(())
    }

    fn is_orphan(&self) -> bool {
        self.ends_with_us && getppid() != Some(self.parent)
    }
}

/// The usher's whole life, from its words on. It ends as the program ends.
pub fn usher(words: &[OsString]) -> Result<Ended, DeliveryError> {
    let [terminal, bound, anew, parent, file, name, arguments @ ..] = words else {
        return Err(rustix::io::Errno::INVAL).doing("an usher without its words");
    };
    let parent = parent.to_str().and_then(|text| text.parse().ok()).and_then(Pid::from_raw);
    let parent = parent.ok_or(rustix::io::Errno::INVAL).doing("an usher without a parent")?;
    let (wants_terminal, ends_with_us, begins_anew) = (terminal == TERMINAL, bound == BOUND, anew == ANEW);
    let usher = Usher { wants_terminal, ends_with_us, begins_anew, parent };
    usher.begin()?;
    let (tell, arrived) = mpsc::channel();
    let _listening = Listening::begin(&[END_IT], move |signal| {
        let _ = tell.send(signal);
    })?;
    if usher.is_orphan() {
        return Ok(Ended::Killed(Signal::TERM.as_raw()));
    }
    let file = PathBuf::from(file);
    let mut command = Command::new(&file);
    command.arg0(name).args(arguments);
    if usher.wants_terminal {
        command.process_group(0);
    }
    let child = command.spawn().map_err(|source| DeliveryError::NotExecutable { path: file, source })?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).unwrap_or(Pid::INIT);
    if usher.wants_terminal {
        let _ = tcsetpgrp(stdout(), pid);
    }
    Ok(Ushered { usher, pid, is_restart: false, is_forced: false }.watch(&arrived))
}

struct Ushered {
    usher: Usher,
    pid: Pid,
    /// Whether it is ended because it is to begin anew.
    is_restart: bool,
    /// Whether its time to end is over.
    is_forced: bool,
}

impl Ushered {
    fn watch(&mut self, arrived: &mpsc::Receiver<Arrived>) -> Ended {
        let mut kill_at: Option<Instant> = None;
        loop {
            let next = match kill_at {
                Some(at) => arrived.recv_timeout(at.saturating_duration_since(Instant::now())),
                None => arrived.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match next {
                Ok(Arrived { signal: Signal::CHILD, .. }) => {
                    while let Some(change) = look(self.pid, self.usher.begins_anew) {
                        match change {
                            Change::Ended(ended) => {
                                if self.is_restart {
                                    self.end_the_rest(arrived);
                                }
                                return ended;
                            }
                            Change::Stopped(by) => self.follow(by),
                        }
                    }
                }
                Ok(Arrived { signal: KILL_IT, sender, .. }) => {
                    if self.is_parent(sender) {
                        self.is_forced = true;
                        self.send(Signal::KILL);
                    }
                }
                Ok(Arrived { signal: END_IT, sender, .. }) => {
                    if self.is_parent(sender) {
                        self.is_restart = true;
                        self.send(Signal::TERM);
                        self.send(Signal::CONT);
                    }
                }
                Ok(Arrived { signal, by_kernel, .. }) => {
                    if ENDS.contains(&signal) {
                        self.is_restart = false;
                    }
                    if signal == Signal::TERM && self.usher.is_orphan() {
                        kill_at = kill_at.or(Some(Instant::now() + ORPHAN_GRACE));
                    }
                    // In the parent's group the program has had what the terminal sent.
                    if self.usher.wants_terminal || !by_kernel {
                        self.send(signal);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    kill_at = None;
                    self.send(Signal::KILL);
                }
                Err(RecvTimeoutError::Disconnected) => self.send(Signal::KILL),
            }
        }
    }

    /// Ends what the program left behind: until nobody is, it takes too long after it was forced, or somebody ends us, who wants no new
    /// program. The parent says when time is over; without one nothing begins anew.
    fn end_the_rest(&mut self, arrived: &mpsc::Receiver<Arrived>) {
        let (mut left, mut give_up) = (Left::default(), None);
        while left.end(self.is_forced) && getppid() == Some(self.usher.parent) {
            if self.is_forced && *give_up.get_or_insert_with(|| Instant::now() + FORCED_MAX) <= Instant::now() {
                return;
            }
            match arrived.recv_timeout(LOOK_EVERY) {
                Ok(Arrived { signal: KILL_IT, sender, .. }) if self.is_parent(sender) => self.is_forced = true,
                Ok(Arrived { signal, .. }) if ENDS.contains(&signal) => return,
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn is_parent(&self, sender: Option<i32>) -> bool {
        sender == Some(self.usher.parent.as_raw_nonzero().get())
    }

    /// What concerns the job goes to all of it, the rest to the program alone.
    fn send(&self, signal: Signal) {
        let is_for_all = [Signal::CONT, Signal::TSTP, Signal::KILL, Signal::HUP].contains(&signal);
        let _ = match self.usher.wants_terminal && is_for_all {
            true => kill_process_group(self.pid, signal),
            false => kill_process(self.pid, signal),
        };
    }

    /// A stop that job control asked for is ours too, and so is seen by the parent. One that somebody sent to the program alone is not.
    fn follow(&self, by: i32) {
        let is_job = by == Signal::TSTP.as_raw();
        let is_terminal = [Signal::TTIN.as_raw(), Signal::TTOU.as_raw()].contains(&by);
        // It asked the terminal before it was given it.
        let too_early =
            is_terminal && self.usher.wants_terminal && tcgetpgrp(stdout()).is_ok_and(|group| group == self.pid);
        if too_early {
            // Somebody who suspends it just then is heard: what stops it waits behind this stop, and going on takes that away.
            let is_suspended = waits(self.pid, Signal::TSTP);
            self.send(Signal::CONT);
            if is_suspended {
                self.send(Signal::TSTP);
            }
        } else if is_job || is_terminal {
            let _ = kill_process(getpid(), Signal::STOP);
        }
    }
}

/// Whether this signal waits for a process, or for a thread of it, as /proc tells (proc_pid_status(5)).
fn waits(pid: Pid, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap_or_default();
    let sets = status.lines().filter_map(|line| line.strip_prefix("SigPnd:").or(line.strip_prefix("ShdPnd:")));
    let has = |set: &str| u64::from_str_radix(set.trim(), 16).is_ok_and(|set| set >> (signal.as_raw() - 1) & 1 == 1);
    sets.into_iter().any(has)
}

const TERMINAL: &str = "terminal";
const BOUND: &str = "bound";
const ANEW: &str = "anew";
const NO: &str = "no";

/// By which somebody ends us: then nothing begins anew.
pub const ENDS: [Signal; 4] = [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT];
/// Who loses his parent comes without a word.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long those that were killed are waited for: one that the system holds (a disk that does not answer) is left, and the program begins.
const FORCED_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_waits_behind_a_stop_is_seen() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::STOP).unwrap();
        while look(pid, false) != Some(Change::Stopped(Signal::STOP.as_raw())) {
            std::thread::yield_now();
        }
        assert!(!waits(pid, Signal::TSTP));
        kill_process(pid, Signal::TSTP).unwrap();
        assert!(waits(pid, Signal::TSTP) && !waits(pid, Signal::INT));
        kill_process(pid, Signal::CONT).unwrap();
        assert!(!waits(pid, Signal::TSTP), "going on takes it away");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
