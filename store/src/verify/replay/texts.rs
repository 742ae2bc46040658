//! The texts behind the hashes: a policy or a profile that decided something can be read for ever.
//!
//! A register without any such text is one whose service keeps none (a test's, a bench's); from the first text on, of each
//! kind, every hash in the log has its own at or below the leaf that names it.

use std::collections::{BTreeMap, HashSet};

use super::line::Line;
use crate::leaf::Event;
use crate::texts::TextKind;
use crate::verify::report::Report;

/// Hashes named without a text are listed up to this; a register has few policies and profiles.
const MISSING_MAX: usize = 1_000;

/// The texts recorded so far, and the hashes that were named before theirs.
#[derive(Default)]
pub(super) struct Texts {
    recorded: HashSet<(TextKind, String)>,
    /// With the first leaf that names it.
    missing: BTreeMap<(TextKind, String), u64>,
    unreadable: bool,
}

impl Texts {
    pub fn judge(&mut self, line: &Line<'_>) {
        let policy = line.leaf.grant.as_ref().map(|grant| (TextKind::Policy, &grant.policy));
        let profile = line.leaf.profile.as_ref().map(|profile| (TextKind::Profile, &profile.hash));
        for (kind, hash) in [policy, profile].into_iter().flatten() {
            let named = (kind, hash.clone());
            if !self.unreadable && !self.recorded.contains(&named) && self.missing.len() < MISSING_MAX {
                self.missing.entry(named).or_insert(line.index);
            }
        }
    }

    pub fn learn(&mut self, line: &Line<'_>) {
        let (Event::Record, Some(id)) = (line.leaf.event, &line.leaf.id) else { return };
        if let Some(kind) = TextKind::of_record(&line.leaf.kind) {
            self.recorded.insert((kind, id.clone()));
        }
    }

    pub fn unreadable(&mut self) {
        self.unreadable = true;
    }

    pub fn end(self, report: &mut Report) {
        let kept: HashSet<TextKind> = self.recorded.iter().map(|(kind, _)| *kind).collect();
        for ((kind, hash), leaf) in self.missing.into_iter().filter(|((kind, _), _)| kept.contains(kind)) {
            let says = format!("no {} of {hash} is recorded below it", kind.as_str());
            report.find("text", format!("leaf idx={leaf} column bytes"), says);
        }
    }
}
