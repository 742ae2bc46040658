//! The texts behind the hashes: a policy or a profile that decided something can be read for ever.
//!
//! A register without any such text is one whose service keeps none (a test's, a bench's); from the first text on, of each
//! kind, every hash in the log has its own below the leaf that names it, and each text hashes to its name.

use std::collections::{BTreeMap, HashMap, HashSet};

use ring::digest::{Context, SHA256};

use super::line::Line;
use crate::forms::leaf::Event;
use crate::forms::schema::RECORD;
use crate::forms::texts::{NO_POLICY, TextKind, parse_id, part};
use crate::sql::Cell;
use crate::verify::report::Report;
use crate::verify::rows::cell;

/// Hashes named without a text are listed up to this; a register has few policies and profiles.
const MISSING_MAX: usize = 1_000;

/// The texts recorded so far, and the hashes that were named before theirs.
#[derive(Default)]
pub(super) struct Texts {
    recorded: HashSet<(TextKind, String)>,
    /// Of which the first parts were read.
    begun: HashMap<(TextKind, String), Begun>,
    /// With the first leaf that names it.
    missing: BTreeMap<(TextKind, String), u64>,
    /// Kinds of which there is any.
    kept: HashSet<TextKind>,
    unreadable: bool,
}

/// A text of which some parts were read.
struct Begun {
    hash: Context,
    next: u64,
}

impl Texts {
    pub fn judge(&mut self, line: &Line<'_>) {
        let by_operator = line.leaf.actor.as_ref().is_some_and(|actor| actor.proof == "system");
        let policy = line.leaf.grant.as_ref().map(|grant| (TextKind::Policy, &grant.policy));
        let policy = policy.filter(|(_, hash)| !by_operator || **hash != hex::encode(NO_POLICY));
        let profile = line.leaf.profile.as_ref().map(|profile| (TextKind::Profile, &profile.hash));
        for (kind, hash) in [policy, profile].into_iter().flatten() {
            let named = (kind, hash.clone());
            if !self.unreadable && !self.recorded.contains(&named) && self.missing.len() < MISSING_MAX {
                self.missing.entry(named).or_insert(line.index);
            }
        }
    }

    pub fn learn(&mut self, line: &Line<'_>, report: &mut Report) {
        let (Event::Record, Some(id)) = (line.leaf.event, &line.leaf.id) else { return };
        let Some(kind) = TextKind::of_record(&line.leaf.kind) else { return };
        self.kept.insert(kind);
        let name = parse_id(id).map(|(hash, part)| ((kind, hash.to_owned()), part));
        let Some(row) = line.row else {
            // Found already: what is missing is the row, not the care to record it.
            self.recorded.extend(name.map(|(name, _)| name));
            return;
        };
        let body = match cell(&RECORD, row, "body") {
            Some(Cell::Text(body)) => serde_json::from_str(body).unwrap_or_default(),
            _ => serde_json::Value::Null,
        };
        let read = name.zip(part(&body)).map(|((name, at), (parts, text))| self.part(name, at, parts, text));
        let wrong = match read {
            Some(Ok(())) => return,
            Some(Err(why)) => why,
            None => "is no part of a text",
        };
        report.find(
            "text",
            format!("record leaf={} column body", line.index),
            format!("{} {id} {wrong}", kind.as_str()),
        );
    }

    /// One part more. The last one completes a text, if it hashes to its name.
    fn part(&mut self, name: (TextKind, String), at: u64, parts: u64, text: &str) -> Result<(), &'static str> {
        let begun = match at {
            0 => Some(Begun { hash: Context::new(&SHA256), next: 0 }),
            _ => self.begun.remove(&name).filter(|begun| begun.next == at),
        };
        let Some(mut begun) = begun else { return Err("does not follow the part before it") };
        begun.hash.update(text.as_bytes());
        begun.next += 1;
        if begun.next < parts {
            self.begun.insert(name, begun);
            return Ok(());
        }
        match hex::encode(begun.hash.finish()) == name.1 {
            true => {
                self.recorded.insert(name);
                Ok(())
            }
            false => Err("is not the text of its hash"),
        }
    }

    pub fn unreadable(&mut self) {
        self.unreadable = true;
    }

    pub fn end(self, report: &mut Report) {
        for ((kind, hash), leaf) in self.missing.into_iter().filter(|((kind, _), _)| self.kept.contains(kind)) {
            let says = format!("no {} of {hash} is recorded below it", kind.as_str());
            report.find("text", format!("leaf idx={leaf} column bytes"), says);
        }
    }
}
