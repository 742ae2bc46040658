//! What the process asks of the system before it does anything else: that nobody reads its memory, and that what it writes is its
//! own.
//!
//! A server holds the PIN, the key of its own TLS and tokens in clear for moments. A core dump would write them to a disk, and a
//! debugger of the same user would read them. Where the system refuses, the program goes on: it is no worse off than before.

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit, umask};

/// No core dump, and no other program of this user looks into this one.
pub fn close_memory() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core dumps stay possible");
    }
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "debuggers of the same user stay possible");
    }
}

/// How many files this process may open. It is left as it is: a token's module may still use select(2), which knows 1,024.
pub fn files() -> usize {
    getrlimit(Resource::Nofile).current.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX)
}

/// Files made from now on are for this user alone, whatever mode they are made with.
pub fn own_files() {
    umask(Mode::RWXG | Mode::RWXO);
}
