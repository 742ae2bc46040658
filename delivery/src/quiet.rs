//! That nothing of this process reaches a disk by the system's hand: core dumps, swap, debuggers.

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// How quiet this process is now. What the system refused is said, and is no reason not to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// Neither core dumps nor a look by other programs of this user (PR_SET_DUMPABLE).
    pub undumped: bool,
    /// Its memory is never swapped out.
    pub locked: bool,
}

impl Quiet {
    /// What is left open, as sentences.
    pub fn open(&self) -> Vec<&'static str> {
        let dumped = (!self.undumped).then_some("a core dump of this process may be written");
        let swapped = (!self.locked).then_some(
            "memory may be swapped out: it is locked where the limit of locked memory is unlimited (ulimit -l)",
        );
        dumped.into_iter().chain(swapped).collect()
    }
}

/// Call it before the first value is in memory.
///
/// The soft limit of core dumps becomes 0 and is inherited: a program that was given secrets leaves no core either, unless it raises
/// the limit itself. Memory is locked only where the limit is unlimited or does not count (CAP_IPC_LOCK): under a small one, every
/// later allocation could fail.
pub fn be_quiet() -> Quiet {
    let maximum = getrlimit(Resource::Core).maximum;
    let no_core = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum });
    let no_look = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    Quiet { undumped: no_core.is_ok() && no_look.is_ok(), locked: locks() }
}

fn locks() -> bool {
    let unlimited = getrlimit(Resource::Memlock).current.is_none();
    // Pages are locked as they are touched: what is only reserved, such as stacks, costs nothing.
    let all = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    (unlimited || may_lock()) && mlockall(all).is_ok()
}

/// Whether the limit does not count: capability 14 of the effective set (capabilities(7)).
fn may_lock() -> bool {
    const CAP_IPC_LOCK: u32 = 14;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let set = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    set >> CAP_IPC_LOCK & 1 == 1
}
