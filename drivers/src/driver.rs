//! What each driver can do, and how it says what came of it.

use std::future::Future;

use policy::{Secret, Timestamp};
use secrets::rotation::Others;

/// A user and what he logs in with.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    /// His name, as the target has it.
    pub user: &'a str,
    /// What he logs in with.
    pub secret: &'a Secret<String>,
}

/// Sets, tests and takes away one user's credential at one target.
pub trait Driver {
    /// Sets a user's secret. Done twice it is done once.
    ///
    /// # Errors
    /// [`Fault`].
    fn set(&self, admin: Login<'_>, to: Login<'_>, others: Others) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Logs in, and does nothing else.
    ///
    /// # Errors
    /// [`Fault::Refused`] alone means that the login is not let in.
    fn test(&self, login: Login<'_>) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Takes a user's secret away, so that he is not let in with it. Done twice it is done once.
    ///
    /// # Errors
    /// [`Fault`].
    fn retire(
        &self,
        admin: Login<'_>,
        gone: Login<'_>,
        others: Others,
    ) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// A user that lives for a while.
#[derive(Clone, Copy, Debug)]
pub struct Lease<'a> {
    /// His name, which nobody had before, and his secret; who is renewed or revoked needs none.
    pub login: Login<'a>,
    /// What he may do: the role, or the user, whose rights he gets.
    pub like: &'a str,
    /// Until when, where the target ends him by itself; where it does not, he lives until he is revoked.
    pub until: Timestamp,
}

/// Makes users that live for a while.
pub trait Dynamic {
    /// Makes a user.
    ///
    /// # Errors
    /// [`Fault`]; what may have been made is revoked by its name.
    fn create(&self, admin: Login<'_>, lease: Lease<'_>) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Lets him live longer.
    ///
    /// # Errors
    /// [`Fault`].
    fn renew(&self, admin: Login<'_>, lease: Lease<'_>) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Ends a user: his sessions, and then himself. One who is not there is ended.
    ///
    /// # Errors
    /// [`Fault`].
    fn revoke(&self, admin: Login<'_>, lease: Lease<'_>) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// What came of it, if it is not done. The words are the target's or ours, as they were said: a target repeats what it was sent. What is
/// told to anybody else goes through `sent`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The target answered, and did not do it; to try again is of no use, and may lock somebody out.
    #[error("refused: {0}")]
    Refused(String),
    /// The target was not reached, or said that it cannot now. Nothing happened.
    #[error("away: {0}")]
    Away(String),
    /// The target was asked, and its answer did not come. It may have happened.
    #[error("not known: {0}")]
    Unknown(String),
}

impl Fault {
    /// The target answered, and did not do it.
    pub(crate) fn refused(said: impl ToString) -> Fault {
        Fault::Refused(said.to_string())
    }

    /// The target was not reached.
    pub(crate) fn away(said: impl ToString) -> Fault {
        Fault::Away(said.to_string())
    }

    /// The answer did not come.
    pub(crate) fn unknown(said: impl ToString) -> Fault {
        Fault::Unknown(said.to_string())
    }

    /// Where it was.
    pub(crate) fn within(self, place: &str) -> Fault {
        let said = |said: &str| format!("{place}: {said}");
        match self {
            Fault::Refused(why) => Fault::Refused(said(&why)),
            Fault::Away(why) => Fault::Away(said(&why)),
            Fault::Unknown(why) => Fault::Unknown(said(&why)),
        }
    }

    /// Of what follows something that was done: not all of it happened, and some of it did.
    pub(crate) fn after_acting(self) -> Fault {
        match self {
            Fault::Refused(said) | Fault::Away(said) => Fault::Unknown(format!("not all of it was done: {said}")),
            Fault::Unknown(_) => self,
        }
    }

    /// Of a connection that could not be made ready: whatever went wrong, nothing happened.
    pub(crate) fn before_acting(self) -> Fault {
        match self {
            Fault::Unknown(said) => Fault::Away(said),
            Fault::Refused(_) | Fault::Away(_) => self,
        }
    }
}

/// Names and secrets that no target is sent.
///
/// # Errors
/// [`Fault::Refused`]: an empty secret (RFC 4513 section 5.1.2: an LDAP server lets in whoever brings none), control characters: a NUL ends a
/// text in C, and the end of a line is the next command wherever a protocol has lines.
pub(crate) fn sane(login: Login<'_>, user_bytes_max: usize) -> Result<(), Fault> {
    named(login.user, user_bytes_max)?;
    let secret = login.secret.expose();
    match () {
        () if secret.is_empty() || secret.len() > SECRET_BYTES_MAX => {
            Err(Fault::refused(format!("a password has 1 to {SECRET_BYTES_MAX} bytes")))
        }
        () if secret.chars().any(char::is_control) => Err(Fault::refused("a password has no control characters")),
        () => Ok(()),
    }
}

/// Names alone, of whoever needs no secret here.
///
/// # Errors
/// [`Fault::Refused`].
pub(crate) fn named(user: &str, user_bytes_max: usize) -> Result<(), Fault> {
    match () {
        () if user.is_empty() || user.len() > user_bytes_max => {
            Err(Fault::refused(format!("a user's name has 1 to {user_bytes_max} bytes at this target")))
        }
        () if user.chars().any(char::is_control) => Err(Fault::refused("a user's name has no control characters")),
        () => Ok(()),
    }
}

/// The longest password: PostgreSQL's clients take no longer one.
pub(crate) const SECRET_BYTES_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_ends_a_line_or_a_text_is_sent() {
        let is_sent = |user: &str, secret: &str| {
            let secret = Secret::new(secret.to_owned());
            sane(Login { user, secret: &secret }, 63)
        };
        assert_eq!(is_sent("app", "p\u{e4}ss w\"ord'"), Ok(()));
        for bad in ["a\0", "x\r\nset k 0 0 1\r\nA\r\n", "a\nb", "a\tb", "\u{1b}[2J", "\u{85}"] {
            assert!(matches!(is_sent("app", bad), Err(Fault::Refused(_))), "{bad:?}");
            assert!(matches!(is_sent(bad, "secret"), Err(Fault::Refused(_))), "{bad:?}");
        }
    }

    #[test]
    fn what_follows_something_that_was_done_is_never_nothing() {
        for fault in [Fault::refused("no"), Fault::away("gone"), Fault::unknown("late")] {
            assert!(matches!(fault.after_acting(), Fault::Unknown(_)));
        }
    }
}
