//! The replay: one leaf after the other, each judged before it is learnt from.

use std::collections::BTreeSet;

use super::actors::Actors;
use super::crls::Crls;
use super::line::Line;
use super::texts::Texts;
use crate::forms::leaf::Event;
use crate::truth::{Change, Fold};
use crate::verify::report::Report;

/// What all leaves so far amount to.
#[derive(Default)]
pub(in crate::verify) struct Replay {
    fold: Fold,
    crls: Crls,
    actors: Actors,
    texts: Texts,
}

impl Replay {
    /// Replays one leaf.
    pub fn line(&mut self, line: &Line<'_>, report: &mut Report) {
        self.actors.judge(line, report);
        self.texts.judge(line);
        match Change::of(line.leaf) {
            Ok(change) => self.fold_in(line, change, report),
            Err(why) => report.find("leaf", line.place(), format!("cannot be folded: {why}")),
        }
        if line.leaf.event == Event::Intend {
            self.crls.judge(line, &self.fold, report);
        }
        self.actors.learn(line, report);
        self.texts.learn(line, report);
    }

    /// A leaf that cannot be read was found already; what it changed cannot be known, so what rests on it is not judged.
    pub fn unreadable(&mut self) {
        self.actors.unreadable();
        self.texts.unreadable();
    }

    fn fold_in(&mut self, line: &Line<'_>, change: Change, report: &mut Report) {
        let (what, place) = match &change {
            Change::Intended { crl: Some(_), .. } => ("crl", line.place()),
            Change::Intended { crl: None, .. } => ("intent", line.place()),
            Change::Settled { .. } => ("conclusion", format!("conclusion leaf={}", line.index)),
            Change::Revoked { issuer, revoked } => {
                if self.fold.may_revoke(issuer, revoked).is_ok() {
                    let part = revoked.shard.map(|shard| shard.series(issuer));
                    for series in part.iter().chain([issuer]) {
                        self.crls.revoked(series, line.index, line.hash);
                    }
                }
                ("revocation", format!("revocation leaf={}", line.index))
            }
            Change::Recorded { .. } => ("record", format!("record leaf={}", line.index)),
            Change::Accessed { .. } => ("leaf", line.place()),
            Change::Nothing => return,
        };
        let overruled = match &change {
            Change::Recorded { key, digest, under, .. } => Some((*key, *digest, *under)),
            Change::Intended { .. } | Change::Settled { .. } | Change::Revoked { .. } => None,
            Change::Accessed { .. } | Change::Nothing => None,
        };
        if let Err(why) = self.fold.apply(line.index, line.hash, change) {
            report.find(what, place, why);
            if let Some((key, digest, under)) = overruled {
                self.fold.overrule(key, line.index, digest, under);
            }
        }
    }

    /// Whether an operation waits for its conclusion.
    pub fn is_open(&self, op: u64) -> bool {
        self.fold.is_open(op)
    }

    /// The CRLs whose bytes must be there.
    pub fn kept(&self) -> BTreeSet<u64> {
        self.fold.kept()
    }

    /// Operations that never got a conclusion, and what only the whole log can tell.
    pub fn end(self, report: &mut Report) -> Vec<u64> {
        self.texts.end(report);
        self.fold.waiting().collect()
    }
}
