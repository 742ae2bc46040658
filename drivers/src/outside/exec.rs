//! A program of this host, named in the server's configuration: it reads what to do as one line of JSON on its standard input, and
//! answers as JSON on its standard output.
//!
//! Nothing secret stands in its arguments or its environment, which others on the host may read. It runs with an environment of two
//! variables, in a process group of its own, which ends with it: nothing that it started outlives its answer or its time.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use secrets::rotation::Others;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::message::{ANSWER_BYTES_MAX, About, Asked, answered, message, of, sane_admin};
use crate::driver::{Driver, Fault, Login, sane};

/// `[rotation.exec.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The program, by its whole path, and its arguments.
    pub command: Vec<String>,
    /// How long it may take; no longer than [`super::TIME_MAX`].
    pub time: Duration,
}

/// A program, for one step of one rotation.
#[derive(Clone, Debug)]
pub struct Exec {
    program: Program,
    about: About,
}

impl Exec {
    /// Of a program; `path` is the secret's, `operation` names what was intended.
    pub fn new(program: Program, path: &str, operation: &str) -> Exec {
        Exec { program, about: About { path: path.to_owned(), operation: operation.to_owned() } }
    }

    async fn ask(
        &self,
        asked: Asked,
        admin: Option<Login<'_>>,
        login: Login<'_>,
        others: Option<Others>,
    ) -> Result<(), Fault> {
        sane(login, secrets::rotation::USER_BYTES_MAX)?;
        sane_admin(admin)?;
        let message = message(&self.about, asked, admin, login, others)?;
        let until = Instant::now() + self.program.time;
        let mut child = self.begin()?;
        // From here on it may have happened.
        let heard = tokio::time::timeout_at(until, talk(&mut child, &message)).await;
        let ended = end(child, until).await;
        let done = match heard {
            Err(_) => Err(Fault::unknown(format!("the program did not end within {} s", self.program.time.as_secs()))),
            Ok(Err(fault)) => Err(fault),
            Ok(Ok(_)) if !ended => Err(Fault::unknown("the program failed: its exit code is not 0")),
            Ok(Ok(answer)) => answered(&answer),
        };
        of(asked, done)
    }

    fn begin(&self) -> Result<Child, Fault> {
        let Some((program, arguments)) = self.program.command.split_first() else {
            return Err(Fault::away("the configuration names no program"));
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LANG", "C.UTF-8")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What it says there may repeat what it was told.
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true);
        command.spawn().map_err(|error| Fault::away(format!("{program}: {error}")))
    }
}

impl Driver for Exec {
    async fn set(&self, admin: Login<'_>, to: Login<'_>, others: Others) -> Result<(), Fault> {
        self.ask(Asked::Set, Some(admin), to, Some(others)).await
    }

    async fn test(&self, login: Login<'_>) -> Result<(), Fault> {
        self.ask(Asked::Test, None, login, None).await
    }

    async fn retire(&self, admin: Login<'_>, gone: Login<'_>, others: Others) -> Result<(), Fault> {
        self.ask(Asked::Retire, Some(admin), gone, Some(others)).await
    }
}

/// Tells it, and hears its answer to the end, or to the bound.
async fn talk(child: &mut Child, message: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let (Some(mut input), Some(output)) = (input, output) else { return Err(Fault::away("the program has no pipes")) };
    let tell = async {
        // One that answers without having read everything has answered.
        let _ = input.write_all(message).await;
        drop(input);
    };
    let mut answer = Zeroizing::new(Vec::with_capacity(ANSWER_BYTES_MAX + 1));
    let mut output = output.take(ANSWER_BYTES_MAX as u64 + 1);
    let ((), heard) = tokio::join!(tell, output.read_to_end(&mut answer));
    heard.map_err(Fault::unknown)?;
    match answer.len() > ANSWER_BYTES_MAX {
        true => Err(Fault::unknown(format!("the program's answer is longer than {ANSWER_BYTES_MAX} bytes"))),
        false => Ok(answer),
    }
}

/// Waits for its end, and ends whatever is left of its group while its number is its own still. Whether it said that all is well.
async fn end(mut child: Child, until: Instant) -> bool {
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(group) = group {
        let looks = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        while Instant::now() < until && matches!(waitid(WaitId::Pid(group), looks), Ok(None)) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let _ = kill_process_group(group, Signal::KILL);
    }
    child.wait().await.is_ok_and(|status| status.success())
}

const LOOK_EVERY: Duration = Duration::from_millis(5);
