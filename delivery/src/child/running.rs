//! A program that runs.
//!
//! Where it has our terminal or pipes it is our child, in our own process group: pipelines, job control and `nohup` are then what they
//! are without us. Where it has a pseudo terminal it needs a session, and where it is to end with us a process that learns of our end,
//! and where it may begin anew one to which whatever it leaves behind comes: then an usher stands between (`usher.rs`).

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustix::process::{Pid, Signal, getpid, kill_process};
use rustix::stdio::{stderr, stdout};
use rustix::termios::isatty;

use super::ended::{Change, look};
use super::program::find;
use super::pump::{Kind, Live, Pump};
use super::signals::Arrived;
use super::terminal::{Terminal, has_terminal, pseudo, resize};
use super::usher::{END_IT, KILL_IT, Usher};
use crate::error::{DeliveryError, Doing};
use crate::places::Stand;
use crate::plan::{OnChange, Plan, Printing};

/// It runs, or is stopped, or has ended and was not looked at yet.
pub struct Running {
    pid: Pid,
    has_usher: bool,
    reaps: bool,
    pseudo: Option<OwnedFd>,
    /// Dropped before the terminal, which they write to.
    outputs: Vec<Pump>,
    input: Option<Pump>,
    terminal: Option<Terminal>,
}

impl Running {
    /// Starts the program of a plan among these places.
    ///
    /// # Errors
    /// It is not there, or the system refuses.
    pub fn start(plan: &Plan, stand: &Stand, live: &Arc<Live>, helper: &[OsString]) -> Result<Running, DeliveryError> {
        let file = find(&plan.program, stand.environment().get(OsStr::new("PATH")).map(OsString::as_os_str))?;
        let wants_terminal = plan.printing == Printing::Masked && has_terminal();
        let begins_anew = matches!(plan.on_change, OnChange::Restart { .. });
        let has_usher = wants_terminal || plan.ends_with_us || begins_anew;
        let usher = Usher { wants_terminal, ends_with_us: plan.ends_with_us, begins_anew, parent: getpid() };
        let mut command = match has_usher {
            true => usher.command(helper, &file, &plan.program),
            false => {
                let mut command = Command::new(&file);
                command.arg0(&plan.program);
                command
            }
        };
        command.args(&plan.arguments).env_clear().envs(stand.environment());
        let reaps = plan.reaps || getpid() == Pid::INIT;
        let mut running = Running {
            pid: Pid::INIT,
            has_usher,
            reaps,
            pseudo: None,
            outputs: Vec::new(),
            input: None,
            terminal: None,
        };
        match (plan.printing, wants_terminal) {
            (Printing::Inherited, _) => {}
            (Printing::Masked, true) => running.give_terminal(&mut command, live)?,
            (Printing::Masked, false) => running.give_pipes(&mut command, live)?,
        }
        if let Some(input) = stand.input()? {
            command.stdin(input);
            running.input = None;
        }
        // Handed over before it prints: who answers its first question is heard.
        running.resume();
        running.pid = stand.inherited(|| spawn(&mut command, &file))?;
        // Its ends of pipes and terminal are its alone now.
        drop(command);
        Ok(running)
    }

    fn give_terminal(&mut self, command: &mut Command, live: &Arc<Live>) -> Result<(), DeliveryError> {
        const DOING: &str = "a pseudo terminal";
        self.terminal = Terminal::ours();
        let (ours, theirs) = pseudo(self.terminal.as_ref())?;
        if self.terminal.is_some() {
            command.stdin(theirs.try_clone().doing(DOING)?);
            self.input = Some(Pump::typed(ours.try_clone().doing(DOING)?)?);
        }
        match isatty(stderr()) {
            true => command.stderr(theirs.try_clone().doing(DOING)?),
            false => command.stderr(self.pipe(stderr, live)?),
        };
        self.outputs.push(Pump::out(ours.try_clone().doing(DOING)?, Kind::Terminal, stdout, live.clone())?);
        self.pseudo = Some(ours);
        command.stdout(theirs);
        Ok(())
    }

    fn give_pipes(&mut self, command: &mut Command, live: &Arc<Live>) -> Result<(), DeliveryError> {
        command.stdout(self.pipe(stdout, live)?);
        command.stderr(self.pipe(stderr, live)?);
        Ok(())
    }

    fn pipe(&mut self, sink: fn() -> BorrowedFd<'static>, live: &Arc<Live>) -> Result<Stdio, DeliveryError> {
        let (ours, theirs) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).doing("a pipe")?;
        self.outputs.push(Pump::out(ours, Kind::Pipe, sink, live.clone())?);
        Ok(theirs.into())
    }

    /// Passes a signal on, unless the program has had it from the terminal as we have.
    pub fn pass(&self, arrived: Arrived) {
        let had_it = arrived.by_kernel && self.pseudo.is_none();
        if !had_it && arrived.signal != KILL_IT {
            self.send(arrived.signal);
        }
    }

    /// Sends it a signal. Until we have looked at its end its number is nobody else's.
    pub fn send(&self, signal: Signal) {
        let _ = kill_process(self.pid, signal);
    }

    /// Asks it to end, because it is to begin anew: what it leaves behind ends with it.
    pub fn end(&self) {
        self.send(if self.has_usher { END_IT } else { Signal::TERM });
        // One that is stopped would not see it.
        self.send(Signal::CONT);
    }

    /// Ends it without asking it, and where it is to begin anew what it leaves behind too.
    pub fn kill(&self) {
        self.send(if self.has_usher { KILL_IT } else { Signal::KILL });
    }

    /// What happened to it since.
    pub fn look(&self) -> Option<Change> {
        look(self.pid, self.reaps)
    }

    /// Whether an usher stands between.
    pub fn has_usher(&self) -> bool {
        self.has_usher
    }

    /// It has ended: carries out what it wrote, and gives our terminal back.
    pub fn finish(&mut self) {
        self.outputs.clear();
        self.input = None;
        self.terminal = None;
        self.pseudo = None;
    }

    /// Our terminal has another size.
    pub fn resize(&self, arrived: Arrived) {
        match &self.pseudo {
            Some(pseudo) => resize(&pseudo.as_fd()),
            None => self.pass(arrived),
        }
    }

    /// We are to stop: the terminal is the shell's again.
    pub fn pause(&mut self) {
        if let (Some(input), Some(terminal)) = (&self.input, &mut self.terminal) {
            input.may_read(false);
            terminal.restore();
        }
    }

    /// We go on, perhaps in the foreground.
    pub fn resume(&mut self) {
        if let (Some(input), Some(terminal)) = (&self.input, &mut self.terminal) {
            let is_handed = terminal.hand();
            input.may_read(is_handed);
        }
        if let Some(pseudo) = &self.pseudo {
            resize(&pseudo.as_fd());
        }
    }
}

fn spawn(command: &mut Command, file: &std::path::Path) -> Result<Pid, DeliveryError> {
    match command.spawn() {
        Ok(child) => {
            // Not waited for through this: `look` also sees stops, and children that others left.
            let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            pid.ok_or(rustix::io::Errno::SRCH).doing("a process number")
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !file.exists() => {
            Err(DeliveryError::NotFound(file.to_owned()))
        }
        Err(source) => Err(DeliveryError::NotExecutable { path: file.to_owned(), source }),
    }
}
