//! Our terminal, and the pseudo terminal of the program.

use std::os::fd::{AsFd, OwnedFd};

use rustix::process::getpgrp;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::stdio::{stdin, stdout};
use rustix::termios::{
    OptionalActions, OutputModes, Termios, isatty, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr, tcsetwinsize,
};

use crate::error::{DeliveryError, Doing};

/// Our terminal, handed through: what is typed goes to the program's as it is, and means there what it means there.
pub struct Terminal {
    before: Termios,
    is_handed: bool,
}

impl Terminal {
    /// Standard input's, if it is one.
    pub fn ours() -> Option<Terminal> {
        let before = tcgetattr(stdin()).ok()?;
        Some(Terminal { before, is_handed: false })
    }

    /// Hands it through, unless we are in the background: then it is somebody else's. Whether it is.
    pub fn hand(&mut self) -> bool {
        if !self.is_handed && is_foreground() {
            let mut raw = self.before.clone();
            raw.make_raw();
            self.is_handed = tcsetattr(stdin(), OptionalActions::Drain, &raw).is_ok();
        }
        self.is_handed
    }

    /// As it was.
    pub fn restore(&mut self) {
        if self.is_handed && is_foreground() {
            let _ = tcsetattr(stdin(), OptionalActions::Drain, &self.before);
        }
        self.is_handed = false;
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.restore();
    }
}

fn is_foreground() -> bool {
    tcgetpgrp(stdin()).is_ok_and(|group| group == getpgrp())
}

/// Whether standard output is a terminal.
pub fn has_terminal() -> bool {
    isatty(stdout())
}

/// A new pseudo terminal, ours and the program's side, as large and as set as our own.
pub fn pseudo(model: Option<&Terminal>) -> Result<(OwnedFd, OwnedFd), DeliveryError> {
    const DOING: &str = "a pseudo terminal";
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = openpt(flags).doing(DOING)?;
    grantpt(&ours).doing(DOING)?;
    unlockpt(&ours).doing(DOING)?;
    let theirs = ioctl_tiocgptpeer(&ours, flags).doing(DOING)?;
    let mut modes = match model {
        Some(terminal) => terminal.before.clone(),
        None => tcgetattr(&theirs).doing(DOING)?,
    };
    if model.is_none() {
        // Nothing is typed there, and our own terminal ends lines itself.
        modes.output_modes.remove(OutputModes::OPOST);
    }
    tcsetattr(&theirs, OptionalActions::Now, &modes).doing(DOING)?;
    resize(&ours);
    Ok((ours, theirs))
}

/// Makes it as large as ours; the system tells the program.
pub fn resize(pseudo: &impl AsFd) {
    if let Ok(size) = tcgetwinsize(stdout()) {
        let _ = tcsetwinsize(pseudo, size);
    }
}
