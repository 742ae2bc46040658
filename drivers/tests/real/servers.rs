//! Servers of a test's own: in a temporary folder, on a free loopback port, as a user without rights.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server on a busy machine takes seconds; this means it never will.
const START_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// A running server. Ended by its process id on drop.
pub struct Server {
    home: tempfile::TempDir,
    pub port: u16,
    child: Option<Child>,
    /// What ends it.
    pub signal: &'static str,
}

impl Server {
    /// A folder for it, which is its user's own.
    pub fn home() -> Server {
        let home = tempfile::Builder::new().prefix("chancery-driver-").tempdir().expect("a temporary folder");
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).expect("its mode");
        give(home.path());
        Server { home, port: free_port(), child: None, signal: "-INT" }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A file of its own.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("a file of the server's");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
        give(&path);
        path
    }

    /// A folder that was made for it.
    pub fn own(&self, folder: &Path) {
        give(folder);
    }

    /// Runs a program to its end, as the server's user.
    pub fn run(&self, command: &mut Command) {
        let output = plain(command, self.home.path()).output().expect("the program runs");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts it; what it says stands in the file `log`.
    pub fn start(&mut self, command: &mut Command) {
        let log = fs::File::create(self.path("log")).expect("a log");
        let err = log.try_clone().expect("the log twice");
        let child = plain(command, self.home.path()).stdout(log).stderr(err).spawn().expect("the server is installed");
        self.child = Some(child);
        let give_up = Instant::now() + START_MAX;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(ended.is_none() && Instant::now() < give_up, "{command:?} did not start: {}", self.log());
            std::thread::sleep(POLL);
        }
    }

    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("log")).unwrap_or_default()).into_owned()
    }

    /// Every file below its folder that holds these bytes.
    pub fn files_with(&self, bytes: &[u8]) -> Vec<PathBuf> {
        let (mut found, mut folders) = (Vec::new(), vec![self.home.path().to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let kind = entry.file_type().expect("a kind of file");
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if kind.is_file() {
                    let text = fs::read(entry.path()).unwrap_or_default();
                    if text.windows(bytes.len()).any(|window| window == bytes) {
                        found.push(entry.path());
                    }
                }
            }
        }
        found
    }

    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let _ = Command::new("kill").args([self.signal, &child.id().to_string()]).status();
        let _ = child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|probe| probe.local_addr()).expect("a free port").port()
}

/// Root runs servers as `nobody`; anyone else as themselves.
fn other_user() -> Option<(u32, u32)> {
    let id = |args: &[&str]| -> Option<u32> {
        String::from_utf8(Command::new("id").args(args).output().ok()?.stdout).ok()?.trim().parse().ok()
    };
    (id(&["-u"])? == 0).then_some((id(&["-u", "nobody"])?, id(&["-g", "nobody"])?))
}

fn give(path: &Path) {
    if let Some((uid, gid)) = other_user() {
        chown(path, Some(uid), Some(gid)).expect("it is the server's");
    }
}

fn plain<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    if let Some((uid, gid)) = other_user() {
        command.uid(uid).gid(gid);
    }
    // Two servers that begin at one moment give their temporary tables the same names.
    command.stdin(Stdio::null()).current_dir(home).env("HOME", home).env("TMPDIR", home)
}
