//! Values on their way in: typed unseen, from standard input, or from a file; never from the command line.
//!
//! A terminal that shows nothing shows everything again however the command ends: also by a signal, which the shell would not mend.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::Path;
use std::sync::{Mutex, Once, PoisonError};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use super::super::files;
use crate::failure::{Exit, Failure, OrFail};

/// What a version may hold.
const VALUE_BYTES_MAX: u64 = secrets::VALUE_BYTES_MAX as u64;

/// Whether somebody types there.
pub(in crate::cmd) fn is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// Asks for a value on the terminal, twice, without showing it.
pub(super) fn asked(field: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let once = unseen(&format!("{field}: "))?;
    let again = unseen(&format!("{field}, once more: "))?;
    match once == again {
        true => Ok(once),
        false => Err(Failure::new(Exit::Usage, "the two were not the same, and nothing was written")),
    }
}

/// All of standard input. Of one line the newline at its end is the shell's, and so is a mark of Windows at its beginning; several lines,
/// as a key has, stay as they are.
pub(super) fn piped() -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut bytes = Zeroizing::new(Vec::new());
    io::stdin().lock().take(VALUE_BYTES_MAX + 2).read_to_end(&mut bytes).or_fail("standard input cannot be read")?;
    let bytes = one_line(bytes);
    match bytes.len() as u64 > VALUE_BYTES_MAX {
        true => Err(Failure::new(Exit::Usage, format!("a secret has at most {VALUE_BYTES_MAX} bytes"))),
        false => Ok(bytes),
    }
}

fn one_line(mut bytes: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    let length = bytes.len();
    if bytes.iter().take(length.saturating_sub(1)).any(|byte| *byte == b'\n') || bytes.last() != Some(&b'\n') {
        return bytes;
    }
    bytes.pop();
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    if bytes.starts_with(MARK) {
        bytes.drain(..MARK.len());
    }
    bytes
}

/// A file, byte for byte.
pub(super) fn file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    files::read(path, VALUE_BYTES_MAX).map(Zeroizing::new)
}

/// A line of the terminal while it shows nothing.
pub(in crate::cmd) fn unseen(prompt: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let quiet = Quiet::new()?;
    let mut err = io::stderr().lock();
    // Nobody sees the prompt where it cannot be written; he is asked all the same.
    let _ = write!(err, "{prompt}").and_then(|()| err.flush());
    let mut line = Zeroizing::new(Vec::with_capacity(LINE_BYTES));
    let read = io::stdin().lock().take(LINE_BYTES as u64).read_until(b'\n', &mut line);
    drop(quiet);
    let _ = writeln!(err);
    read.or_fail("the terminal cannot be read")?;
    match line.pop() {
        Some(b'\n') if !line.is_empty() => Ok(line),
        Some(b'\n') | None => Err(Failure::new(Exit::Usage, "nothing was typed, and nothing was written")),
        Some(_) => Err(Failure::new(Exit::Usage, "the line did not end: give what is longer by a file or a pipe")),
    }
}

/// A terminal that does not show what is typed, until it is dropped.
struct Quiet;

/// How the terminal was before it was quiet; none while it is not.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// As it was.
fn restored() {
    if let Some(before) = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take() {
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &before);
    }
}

/// From now on a signal that ends this command gives the terminal back first; then it ends it, as a shell's script has to see.
fn guarded() {
    static GUARDED: Once = Once::new();
    GUARDED.call_once(|| {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let ends = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
        for kind in ends {
            let Ok(mut told) = signal(kind) else { continue };
            runtime.spawn(async move {
                if told.recv().await.is_some() {
                    restored();
                    delivery::Ended::Killed(kind.as_raw_value()).leave();
                }
            });
        }
    });
}

impl Quiet {
    fn new() -> Result<Self, Failure> {
        guarded();
        let before = tcgetattr(io::stdin()).or_fail("the terminal does not say how it is set")?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet).or_fail("the terminal shows what is typed")?;
        Ok(Self)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        restored();
    }
}

/// The longest line that a terminal gives.
const LINE_BYTES: usize = 4_096;
/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_line_what_the_shell_puts_around_it_goes_and_several_stay() {
        let taken =
            |text: &str| String::from_utf8(one_line(Zeroizing::new(text.as_bytes().to_vec())).to_vec()).unwrap();
        for (text, kept) in [
            ("value\n", "value"),
            ("value", "value"),
            ("value\r\n", "value"),
            ("\u{feff}value\n", "value"),
            ("\n", ""),
            ("", ""),
            ("-----BEGIN X-----\nAAAA\n-----END X-----\n", "-----BEGIN X-----\nAAAA\n-----END X-----\n"),
            ("two\r\nlines\r\n", "two\r\nlines\r\n"),
        ] {
            assert_eq!(taken(text), kept, "{text:?}");
        }
    }
}
