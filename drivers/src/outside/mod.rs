//! Targets that somebody else's program knows: one of this host, or one behind a URL. Which there are stands in the server's
//! configuration, and nobody names another.

mod exec;
mod hook;
mod message;
mod oauth;

pub use exec::{Exec, Program};
pub use hook::{Hook, HookError, HookWish, Http};
pub use message::{ANSWER_BYTES_MAX, TIME_MAX};
pub(crate) use oauth::{ask as ask_endpoint, check as check_endpoint};

use std::collections::BTreeMap;
use std::fmt;

use policy::Owner;

/// What the configuration has, by name.
#[derive(Default)]
pub struct Outside {
    /// `[rotation.exec.NAME]`.
    pub programs: BTreeMap<String, Served<Program>>,
    /// `[rotation.http.NAME]`.
    pub hooks: BTreeMap<String, Served<Hook>>,
}

/// A program or a hook, and whose secrets it exchanges: whoever writes secrets of another owner has it set nobody's password.
#[derive(Clone, Debug)]
pub struct Served<T> {
    /// What it is.
    pub what: T,
    /// Whose secrets; of none, nobody's.
    pub owners: Vec<Owner>,
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (programs, hooks) = (self.programs.keys(), self.hooks.keys());
        write!(f, "Outside({:?}, {:?})", programs.collect::<Vec<_>>(), hooks.collect::<Vec<_>>())
    }
}
