//! The login of a second factor, as this user has it: kept between commands for its time alone, and asked for at the terminal.
//!
//! It lies in `$XDG_RUNTIME_DIR/chancery`, which is memory and ends with the session, else beside the user's client file, mode 0600. It
//! is worth nothing without the token for which it was proved. Never does: take a code from the command line.

use std::io::{self, Read};
use std::path::PathBuf;

use policy::Secret;
use zeroize::Zeroizing;

use crate::client::{ClientFile, variable};
use crate::failure::{Exit, Failure, OrFail};
use crate::files;
use crate::terminal::Terminal;

/// The header by which a login goes with its token.
pub const HEADER: &str = "chancery-second-factor";
/// The field of a problem by which a server says that a code does not count.
pub const CODE: &str = "code";
/// What the server calls a refusal that a second factor mends.
pub const PROBLEM: &str = "urn:chancery:problem:second-factor";
/// A code on one line.
const CODE_BYTES_MAX: u64 = 256;
/// A login is under 100 bytes.
const LOGIN_BYTES_MAX: u64 = 4096;
/// What a token begins with, and where its id, the public half, stands in it.
const TOKEN_BEGINS: &str = "chy_";
const ID_CHARS: usize = 16;
const PROMPT: &str = "Code of your second factor (or one from paper): ";

/// Where the login of a token is kept.
pub struct Kept(PathBuf);

impl Kept {
    /// That of a token; none where the token has no id, or this user no folder.
    pub fn of(token: &str) -> Option<Kept> {
        let id = token.strip_prefix(TOKEN_BEGINS)?.get(..ID_CHARS)?;
        if !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let of_session = variable("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute() && dir.is_dir());
        let folder = match of_session {
            Some(dir) => dir.join("chancery"),
            None => ClientFile::default_path()?.with_file_name("logins"),
        };
        Some(Kept(folder.join(id)))
    }

    /// The login, where one is kept. One that ended proves nothing, and costs nothing.
    pub fn read(&self) -> Option<Secret<String>> {
        let bytes = self.0.is_file().then(|| files::secret(&self.0, LOGIN_BYTES_MAX).ok()).flatten()?;
        let text = std::str::from_utf8(&bytes).ok()?.trim();
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| Secret::new(text.to_owned()))
    }

    /// Keeps it.
    pub fn write(&self, login: &str) -> Result<(), Failure> {
        if let Some(folder) = self.0.parent() {
            files::private_folder(folder)?;
        }
        files::write(&self.0, login.as_bytes(), files::SECRET)
    }

    /// Keeps none any more.
    pub fn forget(&self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A code: typed at the terminal where somebody sits there, else a line of standard input.
pub fn code() -> Result<Zeroizing<String>, Failure> {
    match Terminal::open() {
        Some(terminal) => terminal.unseen(PROMPT),
        None => piped(),
    }
}

/// A code for a command that goes on afterwards: standard input may be its own.
pub fn asked() -> Option<Result<Zeroizing<String>, Failure>> {
    Terminal::open().map(|terminal| terminal.unseen(PROMPT))
}

fn piped() -> Result<Zeroizing<String>, Failure> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(CODE_BYTES_MAX as usize));
    io::stdin().lock().take(CODE_BYTES_MAX).read_to_end(&mut bytes).or_fail("standard input cannot be read")?;
    match std::str::from_utf8(&bytes).map(str::trim) {
        Ok(text) if !text.is_empty() => Ok(Zeroizing::new(text.to_owned())),
        Ok(_) | Err(_) => Err(Failure::new(Exit::Usage, "there is no code on standard input")
            .help("at a terminal it is asked for; elsewhere pipe it in, never on the command line")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_kept_by_the_public_half_of_its_token_alone() {
        for none in ["", "chy_", "chy_../../../../etc/passwd_x", "chf_0123456789abcdef_x", "chy_0123456789ab"] {
            assert!(Kept::of(none).is_none(), "{none}");
        }
        let kept = Kept::of("chy_0123456789abcdef_SECRET");
        assert!(kept.is_none_or(|kept| kept.0.ends_with("0123456789abcdef")));
    }
}
