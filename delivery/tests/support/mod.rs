//! A parent that runs, with what it prints, and what the system shows of it.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;

/// Values that nobody prints by chance.
pub const FIRST: &str = "canary-7f3a9c51-first";
pub const SECOND: &str = "canary-b2804e6d-second";
pub const NEWER: &str = "canary-5ed1f077-newer";

/// A parent in a process group of its own.
pub struct Parent {
    child: Child,
    out: BufReader<ChildStdout>,
    err: Option<ChildStderr>,
    pub home: Home,
}

/// Where its values are written, and a runtime folder of its own in memory.
pub struct Home {
    values: TempDir,
    runtime: TempDir,
}

impl Home {
    pub fn new(values: &[&str]) -> Home {
        let home = Home { values: TempDir::new().unwrap(), runtime: TempDir::new_in("/dev/shm").unwrap() };
        home.write(values);
        home
    }

    pub fn write(&self, values: &[&str]) {
        fs::write(self.values_file(), values.join("\n")).unwrap();
    }

    pub fn values_file(&self) -> PathBuf {
        self.values.path().join("values")
    }

    pub fn runtime(&self) -> &Path {
        self.runtime.path()
    }

    /// New values, which the parent reads when it sees the mark.
    pub fn change(&self, values: &[&str]) {
        self.write(values);
        fs::write(self.values.path().join("change"), "").unwrap();
    }

    /// The names of what lies in the runtime folder.
    pub fn left(&self) -> Vec<String> {
        let names = fs::read_dir(self.runtime()).unwrap();
        names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }

    pub fn command(&self, plan: &[&str], program: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chancery-delivery-parent"));
        command.args(plan).arg("--").args(program);
        command.env("VALUES", self.values_file()).env("XDG_RUNTIME_DIR", self.runtime());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        command
    }
}

impl Parent {
    pub fn start(values: &[&str], plan: &[&str], program: &[&str]) -> Parent {
        let home = Home::new(values);
        let command = home.command(plan, program);
        Parent::of(command, home)
    }

    pub fn of(mut command: Command, home: Home) -> Parent {
        let mut child = command.spawn().unwrap();
        let (out, err) = (BufReader::new(child.stdout.take().unwrap()), child.stderr.take());
        Parent { child, out, err, home }
    }

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub fn send(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    pub fn send_to_group(&self, signal: Signal) {
        kill_process_group(self.pid(), signal).unwrap();
    }

    /// Waits for its end: how it ended, the rest of what it printed, and its errors.
    pub fn end(mut self) -> (ExitStatus, String, String, Home) {
        let mut err = String::new();
        let mut stderr = self.err.take().unwrap();
        let reader = std::thread::spawn(move || stderr.read_to_string(&mut err).map(|_| err));
        let mut out = String::new();
        self.out.read_to_string(&mut out).unwrap();
        let status = self.child.wait().unwrap();
        (status, out, reader.join().unwrap().unwrap(), self.home)
    }
}

/// Runs to the end: exit status, standard output, standard error.
pub fn ran(values: &[&str], plan: &[&str], program: &[&str]) -> (ExitStatus, String, String) {
    let (status, out, err, home) = Parent::start(values, plan, program).end();
    assert_eq!(home.left(), Vec::<String>::new(), "nothing is left in memory");
    (status, out, err)
}

pub fn sh(values: &[&str], plan: &[&str], script: &str) -> (ExitStatus, String, String) {
    ran(values, plan, &["/bin/sh", "-c", script])
}

pub fn is_killed_by(status: ExitStatus, signal: Signal) -> bool {
    status.signal() == Some(signal.as_raw())
}

/// Tries until it is so; what never becomes so fails after half a minute.
pub fn until(mut is_so: impl FnMut() -> bool) {
    const TRIES_MAX: u32 = 6_000;
    for _ in 0..TRIES_MAX {
        if is_so() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    panic!("it never became so");
}

/// Whether a process is there and no zombie.
pub fn lives(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z') && !line.contains('X'))
}

/// The processes that were started by this one.
pub fn children(pid: &str) -> Vec<String> {
    let parent =
        |status: &str| status.lines().find_map(|line| line.strip_prefix("PPid:")).map(|pid| pid.trim().to_owned());
    let all = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    all.filter(|entry| {
        let status = fs::read_to_string(format!("/proc/{entry}/status")).unwrap_or_default();
        parent(&status).is_some_and(|found| found == pid)
    })
    .collect()
}

/// What of a process holds these bytes: its environment and its command line.
pub fn tells(pid: &str, value: &str) -> bool {
    ["environ", "cmdline"].iter().any(|file| {
        let bytes = fs::read(Path::new("/proc").join(pid).join(file)).unwrap_or_default();
        bytes.windows(value.len()).any(|part| part == OsStr::new(value).as_encoded_bytes())
    })
}
