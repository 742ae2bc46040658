//! The editor: a program of the user's choice, which has the terminal while it runs.

use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::client::variable;
use crate::failure::{Exit, Failure, OrFail};

/// How it ended, if not with a failure.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// As it should.
    Left,
    /// By a signal that was not ours.
    Crashed,
}

/// A program and its words.
pub(super) struct Editor {
    program: OsString,
    words: Vec<OsString>,
}

impl Editor {
    /// `$VISUAL`, `$EDITOR` or vi. A path with spaces is one word where such a file is there.
    pub(super) fn chosen() -> Editor {
        let said = variable("VISUAL").or_else(|| variable("EDITOR")).unwrap_or_else(|| "vi".into());
        let split = match said.to_str() {
            Some(text) if !Path::new(text).is_file() => text.split_whitespace().map(OsString::from).collect(),
            Some(_) | None => vec![said.clone()],
        };
        let mut words = split.into_iter();
        let program = words.next().unwrap_or_else(|| "vi".into());
        let words: Vec<OsString> = words.collect();
        let name = Path::new(&program).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let own = of_its_own(&name).iter().map(OsString::from);
        Editor { words: words.into_iter().chain(own).collect(), program }
    }

    /// Has it work on a file. An interrupt from the terminal is the editor's affair; what ends us ends it first.
    pub(super) async fn run(&self, file: &Path, folder: &Path) -> Result<Outcome, Failure> {
        let on = |kind: SignalKind| signal(kind).or_fail("cannot listen to signals");
        let (mut end, mut hangup) = (on(SignalKind::terminate())?, on(SignalKind::hangup())?);
        // Listened to, so that they end nobody but who takes them.
        let _ours = (on(SignalKind::interrupt())?, on(SignalKind::quit())?);
        let mut command = Command::new(&self.program);
        command.args(&self.words).arg(file);
        // What it keeps for a while it keeps there; what reads every secret is none of its.
        command.env("TMPDIR", folder).env_remove("CHANCERY_TOKEN");
        let name = self.program.to_string_lossy().into_owned();
        let started = command.spawn().or_fail(format!("the editor {name} does not start"));
        let mut child = started.map_err(|failure| failure.help("name one: EDITOR=nano chancery secret edit ..."))?;
        let (status, told) = tokio::select! {
            status = child.wait() => (status, false),
            _ = end.recv() => (pass(&mut child, Signal::TERM).await, true),
            _ = hangup.recv() => (pass(&mut child, Signal::HUP).await, true),
        };
        let status = status.or_fail("the editor's end is not known")?;
        match (told, status.code(), status.signal()) {
            (true, _, _) => Err(Failure::new(Exit::Failed, "ended by a signal, and nothing was written")),
            (false, Some(0), _) => Ok(Outcome::Left),
            (false, Some(code), _) => {
                Err(Failure::new(Exit::Failed, format!("{name} ended with {code}, and nothing was written")))
            }
            (false, None, _) => Ok(Outcome::Crashed),
        }
    }
}

async fn pass(child: &mut Child, with: Signal) -> io::Result<std::process::ExitStatus> {
    if let Some(pid) = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) {
        // It may have ended meanwhile.
        let _ = kill_process(pid, with);
    }
    child.wait().await
}

/// What keeps an editor from writing copies, swap files, undo files and histories anywhere else.
fn of_its_own(name: &str) -> &'static [&'static str] {
    match name {
        "vi" | "vim" | "vim.basic" | "vim.tiny" | "vim.nox" | "nvim" | "gvim" | "view" => {
            &["-n", "-i", "NONE", "--cmd", VIM_EARLY, "-c", VIM_LATE]
        }
        // Restricted: no backup files, and no other file is written.
        "nano" | "rnano" => &["--restricted"],
        "emacs" => &["--eval", EMACS],
        _ => &[],
    }
}

const VIM_EARLY: &str = "set nomodeline noswapfile";
/// After the user's own settings.
const VIM_LATE: &str = "set nobackup nowritebackup noundofile noswapfile nomodeline";
const EMACS: &str = "(setq make-backup-files nil auto-save-default nil create-lockfiles nil backup-inhibited t)";

/// Whether a person wants it opened again after a crash; where nobody is asked, no.
pub(super) fn asks_again() -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Ok(false);
    }
    crate::output::say("chancery: the editor crashed. What it saved is still there; open it again? [Y/n]");
    let _ = io::stderr().flush();
    let mut line = Vec::new();
    let read = io::stdin().lock().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
    let read = read.or_fail("the terminal cannot be read")?;
    Ok(read > 0 && !line.to_ascii_lowercase().starts_with(b"n"))
}

/// A word is enough.
const LINE_BYTES_MAX: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editors_that_are_known_keep_nothing_elsewhere() {
        assert!(of_its_own("vim").contains(&"NONE") && of_its_own("nvim").contains(&"-n"));
        assert_eq!(of_its_own("nano"), ["--restricted"]);
        assert!(of_its_own("ed").is_empty());
    }
}
