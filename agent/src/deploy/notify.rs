//! A service is told that its file is another: by a command, or by a signal to the process whose number stands in a file.
//!
//! Threat: whoever writes that file could have root signal any process. So it is a process of the file's own owner, unless that is root,
//! or the agent's user; and it is held by a descriptor while it is looked at, since numbers come again.

use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal as Number, geteuid, pidfd_open, pidfd_send_signal};

use super::reload::{Telling, run_told};
use crate::disk::{open_file, owner_of_process};
use crate::error::AgentError;
use crate::plan::{NEW_FILE, OnChange, Reload, Signal};

/// Tells it.
pub(crate) async fn tell(how: &OnChange) -> Result<(), AgentError> {
    match how {
        OnChange::Nothing => Ok(()),
        OnChange::Reload(reload) => run_told(reload, Telling::Nothing).await,
        OnChange::Signal(signal) => send(signal),
    }
}

/// Has the new file judged, before it takes the place of the old one.
pub(crate) async fn judge(check: &Reload, new_file: &Path) -> Result<(), AgentError> {
    let path = new_file.to_string_lossy();
    let args = check.args.iter().map(|word| word.replace(NEW_FILE, &path)).collect();
    let check = Reload { args, ..check.clone() };
    run_told(&check, Telling::Nothing).await.map_err(|error| match error {
        AgentError::Reload(why) => {
            AgentError::Check(format!("the new file is refused, and the one before stays: {why}"))
        }
        other => other,
    })
}

fn send(signal: &Signal) -> Result<(), AgentError> {
    let path = signal.pid_file.as_path();
    let failed = |why: String| AgentError::Reload(format!("{}: {why}", path.display()));
    let of_file = |e: std::io::Error| AgentError::disk(path, "the file cannot be read", e);
    let file = match open_file(path) {
        // Nobody is there yet: whoever begins now reads the new file.
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(of_file)?,
    };
    let writer = file.metadata().map_err(of_file)?.uid();
    let mut text = String::new();
    file.take(PID_BYTES_MAX).read_to_string(&mut text).map_err(of_file)?;
    // What stands there is not repeated: it may be another file's content. Below 2 is nobody, a group, or init.
    let number = text.trim().parse::<i32>().ok().filter(|number| *number > 1);
    let pid = number.and_then(Pid::from_raw).ok_or_else(|| failed("no process's number stands there".to_owned()))?;
    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        // It ended, and left its number behind.
        Err(Errno::SRCH) => return Ok(()),
        opened => opened.map_err(|e| failed(format!("process {pid:?}: {e}")))?,
    };
    let runs_as = owner_of_process(pid.as_raw_nonzero().get()).map_err(|e| failed(format!("process {pid:?}: {e}")))?;
    if writer != 0 && writer != geteuid().as_raw() && writer != runs_as {
        return Err(failed(format!("user {writer} wrote it, and the process is user {runs_as}'s")));
    }
    let number = Number::from_named_raw(signal.number).ok_or_else(|| failed("there is no such signal".to_owned()))?;
    pidfd_send_signal(process, number).map_err(|e| failed(format!("{} is refused: {e}", signal.name)))
}

/// A number and a line break.
const PID_BYTES_MAX: u64 = 32;

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn signal(folder: &Path, text: &str) -> Signal {
        let pid_file = folder.join("pid");
        std::fs::write(&pid_file, text).unwrap();
        Signal { name: "HUP".to_owned(), number: 1, pid_file }
    }

    #[test]
    fn a_signal_goes_to_the_process_whose_number_stands_there() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
        send(&signal(folder.path(), &format!("{}\n", child.id()))).unwrap();
        use std::os::unix::process::ExitStatusExt;
        assert_eq!(child.wait().unwrap().signal(), Some(1));
    }

    #[test]
    fn what_is_no_number_of_a_process_is_refused_and_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "canary", "0", "1", "-7", "99999999999"] {
            let refused = send(&signal(folder.path(), text)).unwrap_err().to_string();
            assert!(refused.contains("no process's number") && !refused.contains("canary"), "{text}: {refused}");
        }
    }
}
