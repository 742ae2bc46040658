//! What a person asks of a rotation.

use policy::Timestamp;

use super::next::Step;
use super::outcome::Outcome;
use super::record::{Credential, Rotation, Stage, Way};
use super::settings::{Plan, Settings, SettingsError};

/// What was asked cannot be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// A rotation is under way.
    #[error("a rotation is under way: let it end first")]
    UnderWay,
    /// The one before is too near.
    #[error("the distance between two rotations is not over until {}: clients may still have the old credential", moment(*until))]
    TooSoon {
        /// Until when, in seconds since 1970.
        until: u64,
    },
    /// It waits for a person.
    #[error("the rotation halted: do what its trouble says, then resume")]
    Halted,
    /// It does not wait for anybody.
    #[error("the rotation did not halt, and waits for no target: there is nothing to resume")]
    NotHalted,
    /// No version before is there.
    #[error("there is no previous credential that could be used again")]
    NothingBefore,
    /// The settings would not do what they say.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

/// As it is written for people.
fn moment(at: u64) -> Timestamp {
    Timestamp::from_unix(i64::try_from(at).unwrap_or(i64::MAX))
}

impl Rotation {
    /// Asks for a rotation now: no window is waited for, the distance is.
    ///
    /// # Errors
    /// [`NotNow`].
    pub fn ask(&mut self, now: u64) -> Result<(), NotNow> {
        match &self.stage {
            _ if self.is_halted => Err(NotNow::Halted),
            Stage::Resting if now < self.earliest() => Err(NotNow::TooSoon { until: self.earliest() }),
            Stage::Resting => {
                self.is_asked = true;
                self.not_before = 0;
                Ok(())
            }
            Stage::Made(_) | Stage::Set(_) | Stage::Proven(_) | Stage::Overlap(_) | Stage::Checked(_) => {
                Err(NotNow::UnderWay)
            }
            Stage::Retired(_) | Stage::Back(_) | Stage::Returned(_) | Stage::Discarding(_) => Err(NotNow::UnderWay),
        }
    }

    /// Asks for a rotation now, since what is in use leaked: neither a window nor the distance is waited for, and whoever still has the
    /// credential before has it no longer than until the new one is in use. What is under way ends first, without waiting either.
    ///
    /// # Errors
    /// [`NotNow::Halted`].
    pub fn ask_leaked(&mut self) -> Result<(), NotNow> {
        if self.is_halted {
            return Err(NotNow::Halted);
        }
        // A new credential that nobody was handed yet is the one that takes its place.
        let is_new = self.way == Way::Forth && matches!(self.stage, Stage::Made(_) | Stage::Set(_) | Stage::Proven(_));
        self.is_leaked_again = !is_new && self.stage != Stage::Resting;
        self.is_leaked = true;
        self.is_asked = true;
        self.not_before = 0;
        Ok(())
    }

    /// Asks for the credential before, while it is still there: tested by a login, then promoted; what was current is taken away after
    /// an overlap of its own. Of a single user it is set again first.
    ///
    /// # Errors
    /// [`NotNow`].
    pub fn ask_back(&mut self) -> Result<(), NotNow> {
        let stage = match (&self.stage, &self.settings.plan) {
            _ if self.is_halted => return Err(NotNow::Halted),
            (Stage::Overlap(old), _) => Stage::Set(old.clone()),
            (Stage::Resting, Plan::Single { .. }) => Stage::Made(self.previous.take().ok_or(NotNow::NothingBefore)?),
            (Stage::Resting, Plan::Pair { .. } | Plan::Keys { .. }) => return Err(NotNow::NothingBefore),
            (Stage::Made(_) | Stage::Set(_) | Stage::Proven(_) | Stage::Checked(_), _) => return Err(NotNow::UnderWay),
            (Stage::Retired(_) | Stage::Back(_) | Stage::Returned(_) | Stage::Discarding(_), _) => {
                return Err(NotNow::UnderWay);
            }
        };
        self.is_asked = true;
        self.way = Way::AskedBack;
        self.tried.sets = 0;
        self.enter(stage);
        Ok(())
    }

    /// Goes on where it halted: a person read the trouble and did what it says. What was begun is ended, one way or the other; what had
    /// been discarded is begun again. What waits for a target that was away is tried at once, and counts as a try.
    ///
    /// # Errors
    /// [`NotNow::NotHalted`].
    pub fn resume(&mut self) -> Result<(), NotNow> {
        if !self.is_halted {
            // Never what was refused: that may lock an account.
            if self.tried.last.is_none() {
                return Err(NotNow::NotHalted);
            }
            self.not_before = 0;
            return Ok(());
        }
        self.is_halted = false;
        self.trouble = None;
        let is_doubtful = self.tried.is_doubtful;
        self.enter(self.stage.clone());
        self.tried.is_doubtful = is_doubtful;
        self.is_asked = true;
        Ok(())
    }

    /// Whether what is under way was set nowhere: its version is made, and no try of it may have changed anything.
    fn is_unset(&self) -> bool {
        matches!(self.stage, Stage::Made(_)) && self.tried.sets == 0 && !self.tried.is_doubtful
    }

    /// Lets go of a new version that was set nowhere, so that it rests; whether it did. What was asked for, or leaked, is begun anew by
    /// the settings that hold then; a way back that was asked for is not.
    pub fn let_go(&mut self) -> bool {
        let Stage::Made(pending) = self.stage.clone() else { return false };
        if !self.is_unset() {
            return false;
        }
        let (is_asked, is_leaked) = (self.is_asked && self.way == Way::Forth, self.is_leaked);
        if self.way == Way::AskedBack {
            self.previous = Some(pending);
        }
        self.rest();
        self.is_leaked |= is_leaked;
        self.is_asked |= is_asked || self.is_leaked;
        true
    }

    /// Ends it, where it rests, halted, or was set nowhere: nobody takes up what was under way, so no version is pending, and what was being
    /// taken away is `previous` no more. A credential that was in use before and still stands is. Answers the one beside the current one
    /// that may be let in at the target all the same.
    ///
    /// # Errors
    /// [`NotNow::UnderWay`], and nothing is changed.
    pub fn end(&mut self) -> Result<Option<Credential>, NotNow> {
        if self.let_go() {
            self.is_halted = false;
            return Ok(None);
        }
        let left = match self.stage.clone() {
            Stage::Resting => None,
            _ if !self.is_halted => return Err(NotNow::UnderWay),
            Stage::Made(other) | Stage::Set(other) | Stage::Proven(other) => Some(self.left_behind(other)),
            Stage::Back(other) | Stage::Returned(other) | Stage::Discarding(other) => Some(self.left_behind(other)),
            Stage::Overlap(old) => {
                self.previous = Some(old.clone());
                Some(old)
            }
            // It may be taken away already: nobody goes back to it without a look.
            Stage::Checked(old) | Stage::Retired(old) => Some(old),
        };
        self.is_halted = false;
        self.rest();
        Ok(left)
    }

    /// What was pending goes without a label where it was never in use, and is what was in use before where it was.
    fn left_behind(&mut self, other: Credential) -> Credential {
        if self.way != Way::Forth {
            self.previous = Some(other.clone());
        }
        other
    }

    /// Other settings, between two rotations, or while what is under way was set nowhere: that is let go of ([`Rotation::let_go`]).
    ///
    /// # Errors
    /// [`NotNow::UnderWay`], [`NotNow::Settings`].
    pub fn change(&mut self, settings: Settings) -> Result<(), NotNow> {
        settings.check()?;
        match &self.stage {
            _ if !settings.plan.has(&self.current.user) => Err(NotNow::Settings(SettingsError::NotOfThePlan)),
            Stage::Resting => {
                self.settings = settings;
                Ok(())
            }
            Stage::Made(_) if self.is_unset() => {
                self.let_go();
                self.settings = settings;
                Ok(())
            }
            Stage::Made(_) | Stage::Set(_) | Stage::Proven(_) | Stage::Overlap(_) | Stage::Checked(_) => {
                Err(NotNow::UnderWay)
            }
            Stage::Retired(_) | Stage::Back(_) | Stage::Returned(_) | Stage::Discarding(_) => Err(NotNow::UnderWay),
        }
    }

    /// What would be done from now on if everything succeeds, and when, until it rests again: a dry run, which changes
    /// nothing. The number of the version that would be made is a guess.
    pub fn rehearse(&self, now: u64) -> Vec<(u64, Step)> {
        let (mut rotation, mut at, mut steps) = (self.clone(), now, Vec::new());
        while steps.len() < REHEARSED_MAX {
            let step = rotation.next(at);
            let outcome = match (&step, &rotation.stage) {
                (Step::Rest { until: Some(until) }, Stage::Resting) if !steps.is_empty() || *until <= at => break,
                (Step::Rest { until: Some(until) }, _) => {
                    at = *until;
                    continue;
                }
                (Step::Rest { until: None } | Step::Halt, _) => break,
                (Step::Make { .. }, _) if !steps.is_empty() && !rotation.is_leaked => break,
                (Step::Make { .. }, _) => Outcome::Made(self.current.version.saturating_add(1)),
                (Step::Test { .. }, Stage::Retired(_)) => Outcome::Refused(String::new()),
                (Step::Set { .. } | Step::Test { .. } | Step::Promote { .. }, _) => Outcome::Done,
                (Step::Retire { .. } | Step::Discard { .. } | Step::GiveUp, _) => Outcome::Done,
            };
            rotation.intend(&step);
            if rotation.outcome(&step, outcome, at).is_err() {
                break;
            }
            steps.push((at, step));
        }
        steps
    }
}

/// The longest rotation has eight steps.
const REHEARSED_MAX: usize = 16;
