//! The record of a rotation: what is in use, what is under way, and how often what was tried.

use serde::{Deserialize, Serialize};

use super::settings::{Plan, Settings, SettingsError};
use super::trouble::Trouble;

/// A version of the secret, and whose password it is at the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// The version's number.
    pub version: u64,
    /// The user.
    pub user: String,
}

/// One rotation, from its settings to what is under way: a record of the register. It holds numbers of versions and names of users, and
/// nothing that is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// The secret's path: it says whose jitter it is.
    pub(super) name: String,
    pub(super) settings: Settings,
    pub(super) stage: Stage,
    /// What is handed out.
    pub(super) current: Credential,
    /// What was in use before, of a single user: it can be set again.
    pub(super) previous: Option<Credential>,
    /// Since when the current one is in use.
    pub(super) since: u64,
    /// When the current one was promoted; none where the rotation found it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) promoted: Option<u64>,
    /// Begun by a word, not by the schedule: no window is waited for.
    pub(super) is_asked: bool,
    /// What is in use leaked: neither the distance nor an overlap is waited for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_leaked: bool,
    /// It leaked while something was under way: once that has ended, another begins at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_leaked_again: bool,
    pub(super) way: Way,
    pub(super) tried: Tried,
    /// Nothing is done before.
    pub(super) not_before: u64,
    /// Nothing is done until somebody has read the trouble.
    pub(super) is_halted: bool,
    pub(super) trouble: Option<Trouble>,
}

/// How far it has come, and the credential that this is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Stage {
    /// Nothing is under way.
    Resting,
    /// The pending version is made; it is to be set at the target, or it may have been.
    Made(Credential),
    /// It is set; a login has to show it.
    Set(Credential),
    /// It logs in; it is to be promoted.
    Proven(Credential),
    /// The old credential logs in beside the promoted one.
    Overlap(Credential),
    /// The promoted one still logs in; the old one is to be taken away.
    Checked(Credential),
    /// The old one is taken away; a login has to fail.
    Retired(Credential),
    /// The pending one failed; what it changed at the target is to be undone.
    Back(Credential),
    /// That is undone; a login with the current one has to show it.
    Returned(Credential),
    /// The pending version is to be discarded.
    Discarding(Credential),
}

/// Where a rotation leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Way {
    /// To a new version.
    Forth,
    /// To the version before, since somebody asked.
    AskedBack,
    /// To the version before, since the promoted one stopped logging in.
    FellBack,
}

/// What was tried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tried {
    /// Changes at the target, in this stage.
    pub(super) acts: u32,
    /// Logins, in this stage.
    pub(super) tests: u32,
    /// Times that the target did not answer, in this stage.
    pub(super) away: u32,
    /// What the target refused last, in this stage.
    pub(super) said: Option<String>,
    /// What the last try said that is tried again: nothing was answered, or not by all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last: Option<String>,
    /// How many sets of the pending version are not known to have changed nothing, in this rotation.
    pub(super) sets: u32,
    /// How the last set ended is not known.
    pub(super) is_doubtful: bool,
}

impl Rotation {
    /// Of a credential that is in use since a moment.
    ///
    /// # Errors
    /// [`SettingsError`]; [`SettingsError::NotOfThePlan`] where the credential is no user's of it.
    pub fn new(name: &str, settings: Settings, current: Credential, since: u64) -> Result<Rotation, SettingsError> {
        settings.check()?;
        if !settings.plan.has(&current.user) {
            return Err(SettingsError::NotOfThePlan);
        }
        Ok(Rotation {
            name: name.to_owned(),
            settings,
            stage: Stage::Resting,
            current,
            previous: None,
            since,
            promoted: None,
            is_asked: false,
            is_leaked: false,
            is_leaked_again: false,
            way: Way::Forth,
            tried: Tried::default(),
            not_before: 0,
            is_halted: false,
            trouble: None,
        })
    }

    /// The same behind another rotation of the same secret, which ended: the distance counts from what that promoted.
    pub(crate) fn behind(self, before: &Rotation) -> Rotation {
        Rotation { promoted: before.promoted, ..self }
    }

    /// Whether what is in use leaked, and is exchanged without waiting.
    pub fn is_leaked(&self) -> bool {
        self.is_leaked
    }

    /// What stands under the label `current`.
    pub fn current(&self) -> &Credential {
        &self.current
    }

    /// What stands under the label `pending`.
    pub fn pending(&self) -> Option<&Credential> {
        match &self.stage {
            Stage::Made(c) | Stage::Set(c) | Stage::Proven(c) => Some(c),
            Stage::Back(c) | Stage::Returned(c) | Stage::Discarding(c) => Some(c),
            Stage::Resting | Stage::Overlap(_) | Stage::Checked(_) | Stage::Retired(_) => None,
        }
    }

    /// What stands under the label `previous`.
    pub fn previous(&self) -> Option<&Credential> {
        match &self.stage {
            Stage::Overlap(c) | Stage::Checked(c) | Stage::Retired(c) => Some(c),
            Stage::Resting | Stage::Made(_) | Stage::Set(_) | Stage::Proven(_) => self.previous.as_ref(),
            Stage::Back(_) | Stage::Returned(_) | Stage::Discarding(_) => self.previous.as_ref(),
        }
    }

    /// What is to log in at targets that ask for it themselves: what is handed out, what is being set there, and what was handed out
    /// before, until it is taken away. A pending one counts from its first set on, whatever came of that; while the way back is gone it
    /// counts no more.
    pub fn in_force(&self) -> Vec<&Credential> {
        let beside = match &self.stage {
            Stage::Made(pending) => {
                let is_begun = self.tried.acts > 0 || self.tried.away > 0 || self.tried.sets > 0;
                Some(pending).filter(|_| is_begun || self.tried.is_doubtful)
            }
            Stage::Set(other) | Stage::Proven(other) | Stage::Overlap(other) => Some(other),
            Stage::Resting | Stage::Checked(_) | Stage::Retired(_) => None,
            Stage::Back(_) | Stage::Returned(_) | Stage::Discarding(_) => None,
        };
        std::iter::once(&self.current).chain(beside).collect()
    }

    /// What went wrong last, until a rotation succeeds.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// Whether it waits for a person.
    pub fn is_halted(&self) -> bool {
        self.is_halted
    }

    /// Whether what is handed out may not log in for a moment: of a single user, from the set until the promotion or the way back.
    pub fn is_between(&self) -> bool {
        let is_single = matches!(self.settings.plan, Plan::Single { .. });
        is_single && self.tried.sets > 0 && !matches!(self.stage, Stage::Resting | Stage::Discarding(_))
    }

    /// Whether the pending version may have been set at the target.
    pub(crate) fn may_be_set(&self) -> bool {
        self.pending().is_some() && (self.tried.sets > 0 || self.tried.is_doubtful)
    }

    /// Whether nothing is under way.
    pub fn is_resting(&self) -> bool {
        matches!(self.stage, Stage::Resting)
    }

    /// How far it has come, in a word.
    pub fn state(&self) -> &'static str {
        match &self.stage {
            Stage::Resting => "resting",
            Stage::Made(_) => "made",
            Stage::Set(_) => "set",
            Stage::Proven(_) => "proven",
            Stage::Overlap(_) => "overlap",
            Stage::Checked(_) => "checked",
            Stage::Retired(_) => "retired",
            Stage::Back(_) => "back",
            Stage::Returned(_) => "returned",
            Stage::Discarding(_) => "discarding",
        }
    }

    /// How often the target did not answer, in this stage.
    pub fn times_away(&self) -> u32 {
        self.tried.away
    }

    /// What the last try said of a step that is tried again. Where it halted, the trouble says it.
    pub fn last_try(&self) -> Option<&str> {
        let last = self.tried.last.as_deref().or(self.tried.said.as_deref());
        last.filter(|said| !said.is_empty() && !self.is_halted)
    }

    /// Whether what it tried did not succeed and is being undone: how that ends is not known yet.
    pub fn is_turning_back(&self) -> bool {
        match &self.stage {
            Stage::Back(_) | Stage::Returned(_) | Stage::Discarding(_) => true,
            Stage::Set(_) | Stage::Proven(_) => self.way == Way::FellBack,
            Stage::Resting | Stage::Made(_) | Stage::Overlap(_) | Stage::Checked(_) | Stage::Retired(_) => false,
        }
    }

    /// Since when the current credential is in use, in seconds since 1970.
    pub fn since(&self) -> u64 {
        self.since
    }

    /// By how many seconds the credential in use is older at `now` than its period allows; none where it is not, or there is no period.
    pub fn overdue_secs(&self, now: u64) -> Option<u64> {
        let until = self.since.saturating_add(self.settings.schedule.period_secs?);
        now.checked_sub(until).filter(|late| *late > 0)
    }

    /// How it is done.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn is_away(&self) -> bool {
        self.tried.away >= self.settings.bounds.away
    }
}
