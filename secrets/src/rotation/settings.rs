//! How a credential is exchanged: the plan, its times, its bounds.

use serde::{Deserialize, Serialize};

use super::schedule::Schedule;

/// Who is exchanged, and what holds meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Plan {
    /// One user with one password, replaced where it is. Between the set and the promotion, seconds as a rule, the store still hands
    /// out the old one, which does not log in: clients read again and try again.
    Single {
        /// The user.
        user: String,
    },
    /// Two users in turn. The one in use is never touched: the other is set, tested and promoted, and the first is taken its password
    /// when the overlap is over.
    Pair {
        /// The two users, with the same rights.
        users: [String; 2],
    },
    /// One user with several credentials at once (Redis passwords, SSH keys, API keys): the new one is added, the old one is removed
    /// when the overlap is over.
    Keys {
        /// The user.
        user: String,
    },
}

impl Plan {
    /// Whose credential the next one is, when this user's is in use.
    pub fn next_user(&self, current: &str) -> &str {
        match self {
            Plan::Single { user } | Plan::Keys { user } => user,
            Plan::Pair { users: [one, other] } if one == current => other,
            Plan::Pair { users: [one, _] } => one,
        }
    }

    /// Whether a user is one of it.
    pub fn has(&self, user: &str) -> bool {
        match self {
            Plan::Single { user: one } | Plan::Keys { user: one } => one == user,
            Plan::Pair { users } => users.iter().any(|one| one == user),
        }
    }
}

/// How often what does not succeed is tried, and how soon again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bounds {
    /// How often a step is done in all before it is given up: 1 to [`TRIES_MAX`]. It is the number of wrong logins too, so it stays
    /// below what locks an account.
    pub tries: u32,
    /// How often a step is tried while the target does not answer: 1 to [`AWAY_MAX`].
    pub away: u32,
    /// The pause after the first try, in seconds; doubled with each.
    pub pause_secs: u64,
    /// The longest pause, in seconds.
    pub pause_secs_max: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        // Twenty tries within an hour each: a target may be away from Friday evening until Saturday noon.
        Bounds { tries: 3, away: 20, pause_secs: 5, pause_secs_max: 3_600 }
    }
}

impl Bounds {
    /// The pause after so many tries.
    pub fn pause(&self, tries: u32) -> u64 {
        let doubled = 1u64.checked_shl(tries.saturating_sub(1)).unwrap_or(u64::MAX);
        self.pause_secs.saturating_mul(doubled).min(self.pause_secs_max)
    }
}

/// All that an operator says of a rotation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Who is exchanged, and what holds meanwhile.
    pub plan: Plan,
    /// How long the old credential logs in beside the new one, in seconds: longer than the longest time that a client keeps what it has
    /// read. A single user has none.
    #[serde(default)]
    pub overlap_secs: u64,
    /// How much time lies between a promotion and the next rotation at least, in seconds, on demand too; never less than the overlap.
    #[serde(default)]
    pub distance_secs: u64,
    /// Tries and pauses.
    #[serde(default)]
    pub bounds: Bounds,
    /// When it begins by itself.
    #[serde(default)]
    pub schedule: Schedule,
}

/// Settings that would not do what they say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A pair of one.
    #[error("the two users of a pair are the same: one would be exchanged while it is in use")]
    OneUser,
    /// A user without a name, or with one that no target takes.
    #[error("a user's name has 1 to {USER_BYTES_MAX} bytes and no control characters")]
    User,
    /// What is in use is none of theirs.
    #[error(
        "the current version's `username` is no user of the plan: name him with --user, or write a version with the name and the \
         password of one that is named"
    )]
    NotOfThePlan,
    /// vault#18738: both users were exchanged within seconds.
    #[error(
        "the distance between two rotations is shorter than the overlap: the user that clients still have would be exchanged"
    )]
    Distance,
    /// A pair or keys without an overlap.
    #[error(
        "a pair of users, or several keys, need an overlap: without one nobody has the time to read the new credential; leave it out, \
         and it is an hour"
    )]
    Overlap,
    /// A single user with one.
    #[error("a single user has no overlap: its old password ends when the new one is set; take a pair of users")]
    NoOverlap,
    /// Too many tries, or none.
    #[error("a step is tried 1 to {TRIES_MAX} times, and 1 to {AWAY_MAX} times while the target does not answer")]
    Tries,
    /// A period that the overlap fills.
    #[error("the period is shorter than the distance between two rotations")]
    Period,
}

impl Settings {
    /// Whether they do what they say.
    ///
    /// # Errors
    /// [`SettingsError`], which says what to change.
    pub fn check(&self) -> Result<(), SettingsError> {
        let has_overlap = match &self.plan {
            Plan::Single { .. } => false,
            Plan::Pair { users: [one, other] } if one == other => return Err(SettingsError::OneUser),
            Plan::Pair { .. } | Plan::Keys { .. } => true,
        };
        let users: &[&String] = match &self.plan {
            Plan::Single { user } | Plan::Keys { user } => &[user],
            Plan::Pair { users: [one, other] } => &[one, other],
        };
        let is_name =
            |user: &&String| (1..=USER_BYTES_MAX).contains(&user.len()) && !user.chars().any(char::is_control);
        let Bounds { tries, away, .. } = self.bounds;
        match () {
            () if !users.iter().all(is_name) => Err(SettingsError::User),
            () if has_overlap && self.overlap_secs == 0 => Err(SettingsError::Overlap),
            () if !has_overlap && self.overlap_secs > 0 => Err(SettingsError::NoOverlap),
            () if self.distance_secs < self.overlap_secs => Err(SettingsError::Distance),
            () if self.schedule.period_secs.is_some_and(|period| period < self.distance_secs) => {
                Err(SettingsError::Period)
            }
            () if !(1..=TRIES_MAX).contains(&tries) || !(1..=AWAY_MAX).contains(&away) => Err(SettingsError::Tries),
            () => Ok(()),
        }
    }
}

/// The longest name of a user.
pub const USER_BYTES_MAX: usize = 512;
/// The most tries of a step: directories lock an account after five or more.
pub const TRIES_MAX: u32 = 4;
/// The most tries of a step while the target is away.
pub const AWAY_MAX: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> Settings {
        let plan = Plan::Pair { users: ["app-a".to_owned(), "app-b".to_owned()] };
        let schedule = Schedule { period_secs: Some(86_400), ..Schedule::default() };
        Settings { plan, overlap_secs: 3_600, distance_secs: 3_600, bounds: Bounds::default(), schedule }
    }

    #[test]
    fn settings_that_would_exchange_what_is_in_use_are_refused() {
        let named = |user: &str| Settings { plan: Plan::Keys { user: user.to_owned() }, ..pair() };
        let single = Plan::Single { user: "app".to_owned() };
        let tries = |tries, away| Settings { bounds: Bounds { tries, away, ..Bounds::default() }, ..pair() };
        let same = Plan::Pair { users: ["app".to_owned(), "app".to_owned()] };
        let brief = Schedule { period_secs: Some(60), ..Schedule::default() };
        let cases = [
            (pair(), None),
            (Settings { plan: same, ..pair() }, Some(SettingsError::OneUser)),
            (named(""), Some(SettingsError::User)),
            (named("a\0"), Some(SettingsError::User)),
            (named(&"u".repeat(USER_BYTES_MAX + 1)), Some(SettingsError::User)),
            (named(&"u".repeat(USER_BYTES_MAX)), None),
            (Settings { distance_secs: 3_599, ..pair() }, Some(SettingsError::Distance)),
            (Settings { overlap_secs: 0, ..pair() }, Some(SettingsError::Overlap)),
            (Settings { plan: single.clone(), ..pair() }, Some(SettingsError::NoOverlap)),
            (Settings { plan: single, overlap_secs: 0, ..pair() }, None),
            (Settings { schedule: brief, ..pair() }, Some(SettingsError::Period)),
            (tries(0, 1), Some(SettingsError::Tries)),
            (tries(TRIES_MAX + 1, 1), Some(SettingsError::Tries)),
            (tries(TRIES_MAX, AWAY_MAX), None),
            (tries(1, AWAY_MAX + 1), Some(SettingsError::Tries)),
        ];
        for (settings, refused) in cases {
            assert_eq!(settings.check().err(), refused, "{settings:?}");
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let bounds = Bounds::default();
        let pauses: Vec<u64> = [1, 2, 3, 10, 11, 64, 65, u32::MAX].map(|tries| bounds.pause(tries)).to_vec();
        assert_eq!(pauses, [5, 10, 20, 2_560, 3_600, 3_600, 3_600, 3_600]);
    }
}
