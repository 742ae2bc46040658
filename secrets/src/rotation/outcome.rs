//! What came of a step.
//!
//! What a crash means at each place: before [`Rotation::intend`] is durable, nothing happened. After it, and before the outcome is,
//! the change may have happened: a set is tried out by a login, everything else is done again. After the outcome, it is known.

use super::next::Step;
use super::record::{Credential, Rotation, Stage, Tried, Way};
use super::settings::Plan;
use super::trouble::{Trouble, Why, brief};

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The pending version was made, under this number.
    Made(u64),
    /// It is done; of a login: it is let in.
    Done,
    /// The target answered, and did not do it; of a login: it is not let in. What it said; never a secret.
    Refused(String),
    /// The target was not reached, and nothing happened.
    Away(String),
    /// The target was reached and did not answer: it may have happened.
    Unknown(String),
}

/// An outcome of a step that the rotation is not at: two processes work on one rotation, or one works on a record that is not the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rotation is at another step: read its record again")]
pub struct Mismatch;

impl Rotation {
    /// Takes down that a step is about to be done. The record is durable before the target is asked: so tries are counted over crashes,
    /// and what may have happened is known.
    pub fn intend(&mut self, step: &Step) {
        match step {
            Step::Set { .. } | Step::Retire { .. } => {
                self.tried.acts = self.tried.acts.saturating_add(1);
                if matches!(self.stage, Stage::Made(_)) {
                    self.tried.is_doubtful = true;
                    self.tried.sets = self.tried.sets.saturating_add(1);
                }
            }
            Step::Test { .. } => self.tried.tests = self.tried.tests.saturating_add(1),
            Step::Rest { .. } | Step::Make { .. } | Step::Promote { .. } | Step::Discard { .. } => {}
            Step::GiveUp | Step::Halt => {}
        }
    }

    /// Takes down what came of a step.
    ///
    /// # Errors
    /// [`Mismatch`], and nothing is changed.
    pub fn outcome(&mut self, step: &Step, outcome: Outcome, now: u64) -> Result<(), Mismatch> {
        match (self.stage.clone(), step, outcome) {
            (Stage::Resting, Step::Make { user }, Outcome::Made(version)) => {
                self.way = Way::Forth;
                self.tried.sets = 0;
                self.enter(Stage::Made(Credential { version, user: user.clone() }));
            }
            (_, Step::GiveUp, Outcome::Done) => self.give_up(now),
            (Stage::Proven(pending), Step::Promote { .. }, Outcome::Done) => self.promote(pending, now),
            (Stage::Discarding(pending), Step::Discard { .. }, Outcome::Done) => self.discard(pending, now),
            (Stage::Made(pending), Step::Set { .. }, outcome) => self.was_set(pending, outcome, now),
            (Stage::Checked(old), Step::Retire { .. }, outcome) => {
                self.changed(outcome, Stage::Retired(old), Why::NotRetired, now)
            }
            (Stage::Back(pending), Step::Set { .. } | Step::Retire { .. }, outcome) => {
                self.changed(outcome, Stage::Returned(pending), Why::NotReturned, now);
            }
            (stage, Step::Test { .. }, outcome) => return self.tested(stage, outcome, now),
            (_, Step::Rest { .. } | Step::Halt, _) => return Err(Mismatch),
            (_, Step::Make { .. } | Step::Set { .. } | Step::Promote { .. }, _) => return Err(Mismatch),
            (_, Step::Retire { .. } | Step::Discard { .. } | Step::GiveUp, _) => return Err(Mismatch),
        }
        Ok(())
    }

    fn was_set(&mut self, pending: Credential, outcome: Outcome, now: u64) {
        match outcome {
            Outcome::Done | Outcome::Made(_) => self.enter(Stage::Set(pending)),
            // Refused once is refused: whoever tries a wrong password of an administrator again locks him out.
            Outcome::Refused(said) => {
                self.was_not_set();
                self.was_refused(said);
                self.fail(Why::SetRefused, pending, now);
            }
            Outcome::Away(said) => {
                self.was_not_set();
                self.was_not_done(&said, now);
            }
            Outcome::Unknown(said) => {
                self.tried.last = Some(brief(&said));
                self.pause(self.tried.acts, now);
            }
        }
    }

    fn was_not_set(&mut self) {
        self.tried.is_doubtful = false;
        self.tried.sets = self.tried.sets.saturating_sub(1);
    }

    /// A change that does no harm when it is done again.
    fn changed(&mut self, outcome: Outcome, then: Stage, refused: Why, now: u64) {
        match outcome {
            Outcome::Done | Outcome::Made(_) => self.enter(then),
            Outcome::Refused(said) => {
                self.was_refused(said);
                self.halt(refused, now);
            }
            Outcome::Away(said) => self.was_not_done(&said, now),
            Outcome::Unknown(said) => {
                self.tried.last = Some(brief(&said));
                self.pause(self.tried.acts, now);
            }
        }
    }

    fn was_not_done(&mut self, said: &str, now: u64) {
        self.tried.acts = self.tried.acts.saturating_sub(1);
        self.was_away(said, now);
    }

    /// It answered: what an earlier try said of its silence is over.
    fn was_refused(&mut self, said: String) {
        self.tried.last = None;
        self.tried.said = Some(said);
    }

    fn tested(&mut self, stage: Stage, outcome: Outcome, now: u64) -> Result<(), Mismatch> {
        let is_in = match outcome {
            Outcome::Done => true,
            Outcome::Refused(said) => {
                self.was_refused(said);
                false
            }
            Outcome::Away(said) | Outcome::Unknown(said) => {
                self.tried.tests = self.tried.tests.saturating_sub(1);
                self.was_away(&said, now);
                return Ok(());
            }
            Outcome::Made(_) => return Err(Mismatch),
        };
        match (stage, is_in) {
            (Stage::Made(pending) | Stage::Set(pending), true) => self.enter(Stage::Proven(pending)),
            (Stage::Overlap(old), true) => self.enter(Stage::Checked(old)),
            (Stage::Returned(pending), true) => self.enter(Stage::Discarding(pending)),
            // Here nobody is to be let in.
            (Stage::Retired(_), false) => self.rest(),
            // The set did not happen: it is done again.
            (Stage::Made(_), false) => {
                self.tried.is_doubtful = false;
                self.pause(self.tried.tests, now);
            }
            (Stage::Set(_) | Stage::Overlap(_) | Stage::Returned(_), false) => self.pause(self.tried.tests, now),
            (Stage::Retired(_), true) => {
                self.tried.last = Some("the credential before is still let in".to_owned());
                self.pause(self.tried.tests, now);
            }
            (Stage::Resting | Stage::Proven(_) | Stage::Checked(_) | Stage::Back(_) | Stage::Discarding(_), _) => {
                return Err(Mismatch);
            }
        }
        Ok(())
    }

    fn promote(&mut self, pending: Credential, now: u64) {
        let old = std::mem::replace(&mut self.current, pending);
        self.since = now;
        self.promoted = Some(now);
        self.tried.sets = 0;
        if self.way != Way::FellBack {
            self.trouble = None;
        }
        match &self.settings.plan {
            Plan::Single { .. } => {
                self.previous = Some(old);
                self.rest();
            }
            Plan::Pair { .. } | Plan::Keys { .. } => self.enter(Stage::Overlap(old)),
        }
    }

    /// The pending version goes. A target that was away is tried again by itself; what a person must read waits for him.
    fn discard(&mut self, pending: Credential, now: u64) {
        if self.way == Way::AskedBack {
            self.previous = Some(pending);
        }
        let why = self.trouble.as_ref().map(|trouble| trouble.why);
        let is_away = why == Some(Why::Away);
        // What leaked is exchanged as soon as that can be.
        let is_leaked = self.is_leaked;
        let is_asked = is_leaked || self.is_asked && is_away;
        self.rest();
        (self.is_asked, self.is_leaked) = (is_asked, is_leaked);
        // None: it was read, and whoever read it let this go on.
        self.is_halted = why.is_some() && !is_away;
        self.not_before = now.saturating_add(FAILED_PAUSE_SECS);
    }

    /// A step was tried to its bound.
    fn give_up(&mut self, now: u64) {
        match (self.stage.clone(), self.is_away()) {
            (Stage::Made(_) | Stage::Set(_), true) if self.tried.sets > 0 || self.way == Way::FellBack => {
                self.halt(Why::Unknown, now);
            }
            (Stage::Made(pending) | Stage::Set(pending), true) => self.fail(Why::Away, pending, now),
            (Stage::Made(pending) | Stage::Set(pending), false) => self.fail(Why::NoLogin, pending, now),
            // The promoted credential is refused, and the one before it is still there: automatic return to `previous`, once.
            (Stage::Overlap(old), false) if self.tried.said.is_some() && self.way != Way::FellBack => {
                self.note(Why::Returned, now);
                self.way = Way::FellBack;
                self.enter(Stage::Set(old));
            }
            (Stage::Overlap(_), false) if self.tried.said.is_some() => self.halt(Why::NothingLogsIn, now),
            (Stage::Overlap(_) | Stage::Checked(_), _) => self.halt(Why::NotRetired, now),
            (Stage::Retired(old), _) => {
                self.halt(Why::NotRetired, now);
                self.stage = Stage::Checked(old);
            }
            (Stage::Back(_), true) => self.halt(Why::Unknown, now),
            (Stage::Back(_), false) => self.halt(Why::NotReturned, now),
            (Stage::Returned(pending), is_away) => {
                self.halt(if is_away { Why::Unknown } else { Why::NothingLogsIn }, now);
                self.stage = Stage::Back(pending);
            }
            (Stage::Resting | Stage::Proven(_) | Stage::Discarding(_), _) => {}
        }
    }

    /// Turns back: what may have been changed is undone first.
    fn fail(&mut self, why: Why, pending: Credential, now: u64) {
        match (self.way, self.tried.sets) {
            (Way::FellBack, _) => self.halt(Why::NothingLogsIn, now),
            (Way::AskedBack, 0) => {
                self.note(Why::NotBack, now);
                self.way = Way::Forth;
                match &self.settings.plan {
                    Plan::Single { .. } => {
                        self.previous = Some(pending);
                        self.rest();
                    }
                    Plan::Pair { .. } | Plan::Keys { .. } => self.enter(Stage::Overlap(pending)),
                }
            }
            (Way::Forth, 0) => {
                self.note(why, now);
                self.enter(Stage::Discarding(pending));
            }
            (Way::Forth | Way::AskedBack, _) => {
                self.note(why, now);
                self.enter(Stage::Back(pending));
            }
        }
    }

    fn halt(&mut self, why: Why, now: u64) {
        self.note(why, now);
        self.is_halted = true;
    }

    fn note(&mut self, why: Why, now: u64) {
        let said = self.tried.last.as_deref().or(self.tried.said.as_deref()).unwrap_or_default();
        self.trouble = Some(Trouble::new(why, now, said));
    }

    fn was_away(&mut self, said: &str, now: u64) {
        self.tried.last = Some(brief(said));
        self.tried.away = self.tried.away.saturating_add(1);
        self.pause(self.tried.away, now);
    }

    fn pause(&mut self, tries: u32, now: u64) {
        self.not_before = now.saturating_add(self.settings.bounds.pause(tries));
    }

    pub(super) fn rest(&mut self) {
        self.is_leaked = std::mem::take(&mut self.is_leaked_again);
        self.is_asked = self.is_leaked;
        self.way = Way::Forth;
        self.tried.sets = 0;
        self.enter(Stage::Resting);
    }

    pub(super) fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.tried = Tried { sets: self.tried.sets, ..Tried::default() };
        self.not_before = 0;
    }
}

/// How long a rotation that failed, while the target was away, is not begun again.
pub const FAILED_PAUSE_SECS: u64 = 3_600;
