//! What is to be done now.

use super::record::{Credential, Rotation, Stage};
use super::settings::Plan;

/// What is to be done. Those that change or ask the target are taken down before ([`Rotation::intend`]); the others are done by writing
/// the record with the labels that follow from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing, until then; or until somebody asks.
    Rest {
        /// When to look again.
        until: Option<u64>,
    },
    /// Make a new version for this user, labelled `pending`, in the transaction that writes the record.
    Make {
        /// Whose it will be.
        user: String,
    },
    /// Set this version's secret at the target. Done twice it is done once.
    Set {
        /// Whose, and which version's.
        credential: Credential,
        /// What becomes of the user's other credentials.
        others: Others,
    },
    /// Log in with this version's secret, and do nothing else.
    Test {
        /// Whose, and which version's.
        credential: Credential,
    },
    /// The label `current` moves to this version, and `previous` to the one that was current.
    Promote {
        /// Which.
        credential: Credential,
    },
    /// Take this version's secret away at the target. Done twice it is done once.
    Retire {
        /// Whose, and which version's.
        credential: Credential,
        /// What becomes of the user's other credentials.
        others: Others,
    },
    /// The label `pending` goes.
    Discard {
        /// From which version.
        credential: Credential,
    },
    /// What was tried to its bound is given up: the rotation turns back, or halts with an alarm.
    GiveUp,
    /// Nothing, until a person has done what the trouble says, and resumes.
    Halt,
}

/// What becomes of a user's other credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// There are none: a user has one password.
    Replaced,
    /// They stay as they are.
    Kept,
}

impl Rotation {
    /// What is to be done now. It is asked again after each outcome, and after each start of the process; what was under way when one
    /// broke off is part of the answer.
    pub fn next(&self, now: u64) -> Step {
        if self.is_halted {
            return Step::Halt;
        }
        let others = match &self.settings.plan {
            Plan::Single { .. } | Plan::Pair { .. } => Others::Replaced,
            Plan::Keys { .. } => Others::Kept,
        };
        let step = match &self.stage {
            Stage::Resting => return self.begin(now),
            Stage::Proven(pending) => return Step::Promote { credential: pending.clone() },
            Stage::Discarding(pending) => return Step::Discard { credential: pending.clone() },
            // Whether an earlier set happened shows a login with what it set: if not, it is set again, which does no harm to what did.
            Stage::Made(pending) if self.tried.is_doubtful => Step::Test { credential: pending.clone() },
            Stage::Made(pending) => Step::Set { credential: pending.clone(), others },
            Stage::Set(pending) => Step::Test { credential: pending.clone() },
            Stage::Overlap(_) | Stage::Returned(_) => Step::Test { credential: self.current.clone() },
            Stage::Checked(old) => Step::Retire { credential: old.clone(), others },
            Stage::Retired(old) => Step::Test { credential: old.clone() },
            // The current one is set again where the pending one took its place; where it stands elsewhere, that is taken away.
            Stage::Back(pending) => match &self.settings.plan {
                Plan::Single { .. } => Step::Set { credential: self.current.clone(), others },
                Plan::Pair { .. } | Plan::Keys { .. } => Step::Retire { credential: pending.clone(), others },
            },
        };
        if self.is_spent(&step) {
            return Step::GiveUp;
        }
        match self.opens(now) {
            at if at > now => Step::Rest { until: Some(at) },
            _ => step,
        }
    }

    /// Whether the step was tried to its bound.
    fn is_spent(&self, step: &Step) -> bool {
        let tries = self.settings.bounds.tries;
        match step {
            Step::Set { .. } | Step::Retire { .. } => self.is_away() || self.tried.acts >= tries,
            Step::Test { .. } => self.is_away() || self.tried.tests >= tries,
            Step::Rest { .. } | Step::Make { .. } | Step::Promote { .. } | Step::Discard { .. } => false,
            Step::GiveUp | Step::Halt => false,
        }
    }

    /// When the step of this stage may be done: windows hold up what begins something, never what ends it.
    fn opens(&self, now: u64) -> u64 {
        let windows = |at: u64| if self.is_asked { at } else { self.settings.schedule.opens(at) };
        let at = self.not_before.max(now);
        match &self.stage {
            Stage::Made(_) if self.tried.sets == 0 => windows(at),
            Stage::Overlap(_) if self.is_leaked => at,
            Stage::Overlap(_) => windows(at.max(self.since.saturating_add(self.settings.overlap_secs))),
            Stage::Made(_) | Stage::Set(_) | Stage::Checked(_) | Stage::Retired(_) => at,
            Stage::Resting | Stage::Proven(_) | Stage::Back(_) | Stage::Returned(_) | Stage::Discarding(_) => at,
        }
    }

    /// Whether a rotation begins.
    fn begin(&self, now: u64) -> Step {
        let schedule = &self.settings.schedule;
        let due = if self.is_asked { Some(now) } else { schedule.due(&self.name, self.since) };
        let Some(due) = due else { return Step::Rest { until: None } };
        // vault#18738: whatever asks, the user that clients still have is not touched before its overlap is over.
        let at = due.max(self.earliest()).max(self.not_before).max(now);
        match if self.is_asked { at } else { schedule.opens(at) } {
            at if at > now => Step::Rest { until: Some(at) },
            _ => Step::Make { user: self.settings.plan.next_user(&self.current.user).to_owned() },
        }
    }

    /// When the next rotation may begin at the earliest: nothing is to be kept apart from what was there when it was set up, and what
    /// leaked is not kept.
    pub(super) fn earliest(&self) -> u64 {
        let promoted = self.promoted.filter(|_| !self.is_leaked);
        promoted.map_or(0, |at| at.saturating_add(self.settings.distance_secs))
    }
}
