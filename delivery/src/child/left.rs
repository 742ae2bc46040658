//! What a program leaves behind: those that descend from it and lost their parents. They come to the usher, which asked for them
//! (PR_SET_CHILD_SUBREAPER, prctl(2)).
//!
//! Where the program began anew beside them, they would keep its port, its lock and its old secret. Only children of our own are sent
//! signals: until we have waited for one, its number is nobody else's. Who is below a child comes to us when that is gone, so each is asked
//! once his parent has had his time.

use std::collections::HashSet;

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, wait};

/// Those that were left behind, while they are being ended.
#[derive(Default)]
pub struct Left {
    asked: HashSet<Pid>,
}

impl Left {
    /// Waits for those that have ended, and asks each other one to (TERM, once), or forces it (KILL). Whether anybody is left.
    pub fn end(&mut self, is_forced: bool) -> bool {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, _))) => {
                    self.asked.remove(&pid);
                }
                Err(rustix::io::Errno::INTR) => {}
                Ok(None) => break,
                // There is no child.
                Err(_) => return false,
            }
        }
        for child in children() {
            if is_forced {
                let _ = kill_process(child, Signal::KILL);
            } else if self.asked.insert(child) {
                let _ = kill_process(child, Signal::TERM);
                // One that is stopped would not see it.
                let _ = kill_process(child, Signal::CONT);
            }
        }
        true
    }
}

/// Our children: none where /proc does not show them.
fn children() -> Vec<Pid> {
    let ours = getpid();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let all = entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
    all.filter(|pid| parent(*pid) == Some(ours)).collect()
}

fn parent(pid: Pid) -> Option<Pid> {
    let stat = std::fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    parent_in(&String::from_utf8_lossy(&stat))
}

/// The second field after the name, which stands in brackets and may have some of its own (proc_pid_stat(5)).
fn parent_in(stat: &str) -> Option<Pid> {
    let (_, fields) = stat.rsplit_once(')')?;
    Pid::from_raw(fields.split_ascii_whitespace().nth(1)?.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_read_whatever_the_program_is_called() {
        let parent = |stat: &str| parent_in(stat).map(|pid| pid.as_raw_nonzero().get());
        assert_eq!(parent("71 (sh) S 70 71 71 0 -1"), Some(70));
        assert_eq!(parent("71 (a) S 1 (b) R 70 71"), Some(70));
        // Its parent is in another namespace, or there is none.
        assert_eq!(parent("1 (init) S 0 1 1"), None);
        assert_eq!(parent(""), None);
    }
}
