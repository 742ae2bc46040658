//! What is typed at the terminal itself, whatever standard input is, while the terminal shows nothing.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure, OrFail};

/// The terminal that this process belongs to (POSIX 10.1).
const TERMINAL: &str = "/dev/tty";
/// The longest line that a terminal gives.
const LINE_BYTES: usize = 4_096;

/// Somebody to ask.
pub struct Terminal(File);

impl Terminal {
    /// The terminal, where somebody sits at it: what is asked is read where errors are read.
    pub fn open() -> Option<Terminal> {
        let is_read = io::stderr().is_terminal();
        let open = || OpenOptions::new().read(true).write(true).open(TERMINAL).ok();
        is_read.then(open).flatten().map(Terminal)
    }

    /// A line, typed unseen.
    pub fn unseen(&self, prompt: &str) -> Result<Zeroizing<String>, Failure> {
        // Files are read and written by reference: the terminal stays quiet meanwhile.
        let mut terminal = &self.0;
        let quiet = Quiet::new(terminal)?;
        let told = write!(terminal, "{prompt}").and_then(|()| terminal.flush());
        let mut line = Zeroizing::new(Vec::with_capacity(LINE_BYTES));
        let mut byte = [0_u8; 1];
        let read = loop {
            match terminal.read(&mut byte) {
                Ok(0) => break Ok(()),
                Ok(_) if byte == *b"\n" => break Ok(()),
                Ok(_) if line.len() < LINE_BYTES => line.extend_from_slice(&byte),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        drop(quiet);
        // Nobody sees the prompt, or the end of his line, where it cannot be written; he is asked all the same.
        let _ = told.and_then(|()| writeln!(terminal));
        read.or_fail("the terminal cannot be read")?;
        let text = std::str::from_utf8(&line).map(|text| Zeroizing::new(text.trim().to_owned()));
        match text {
            Ok(text) if !text.is_empty() => Ok(text),
            Ok(_) | Err(_) => Err(Failure::new(Exit::Usage, "nothing was typed")),
        }
    }
}

/// A terminal that does not show what is typed, until it is dropped.
struct Quiet<'a>(&'a File, Termios);

impl<'a> Quiet<'a> {
    fn new(terminal: &'a File) -> Result<Self, Failure> {
        let before = tcgetattr(terminal).or_fail("the terminal does not say how it is set")?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(terminal, OptionalActions::Flush, &quiet).or_fail("the terminal shows what is typed")?;
        Ok(Self(terminal, before))
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.0, OptionalActions::Flush, &self.1);
    }
}
