//! The record of a refresh, as the register has it, and what follows from it.

use policy::{Grant, Owner, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Record, StoreError, StoredRecord};

use super::endpoint::Endpoint;
use crate::due;
use crate::error::SecretError;
use crate::nouns::SecretPath;
use crate::rotation::{SAID_CHARS_MAX, is_ahead};

/// The kind of the record; its id is the token's path.
pub(super) const REFRESH: &str = "refresh";

/// By which grant new tokens are got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// By the refresh token (RFC 6749 section 6), which is used once.
    RefreshToken,
    /// By the client's own credentials (RFC 6749 section 4.4), as often as one likes.
    ClientCredentials,
}

impl Way {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Way::RefreshToken => "refresh-token",
            Way::ClientCredentials => "client-credentials",
        }
    }
}

/// Why nothing is asked any more until somebody has looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Halt {
    /// The endpoint answered that it gives no token.
    Refused,
    /// It was asked, and its answer did not come, or came and was not kept: the refresh token may be used up.
    Unanswered,
}

impl Halt {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Halt::Refused => "refused",
            Halt::Unanswered => "unanswered",
        }
    }
}

/// A refresh of a token, attested by the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Refresh {
    pub(super) path: SecretPath,
    pub(super) owner: Owner,
    /// The version of its record; 0: there is none yet.
    pub(super) version: u64,
    pub(super) body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    pub at: Endpoint,
    /// The path of the `oauth-client`.
    pub client: String,
    pub way: Way,
    /// So many seconds before its end a token is refreshed.
    pub ahead_secs: u64,
    /// When it is asked next, in seconds since 1970.
    pub due: u64,
    /// When the last token came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refreshed: Option<u64>,
    /// Somebody asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asking: Option<Asking>,
    /// How often it was asked in vain since the last answer.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tries: u32,
    /// What the endpoint said last, where it gave no token; never a secret.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub said: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted: Option<Halt>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
}

/// That a node asks, and until when no other takes it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asking {
    pub node: u16,
    pub until: u64,
}

impl Asking {
    /// Until when no other node takes it up, in seconds since 1970; none where that is over. So is one that a clock wrote down which was
    /// ahead: no node asks for so long.
    pub fn held(self, now: u64) -> Option<u64> {
        let until = self.until.saturating_add(SKEW_SECS);
        (now < until && !is_ahead(until, now.saturating_add(ASKING_SECS + SKEW_SECS))).then_some(until)
    }
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Body {
    /// It was asked, and nobody knows what came of it: the process ended in between.
    pub fn broke_off(&mut self, now: u64) {
        self.asking = None;
        self.unknown("the service ended between the question and the answer", now);
    }

    /// The answer did not come. A client's own credentials are no worse for being shown twice.
    pub fn unknown(&mut self, said: &str, now: u64) {
        match self.way {
            Way::RefreshToken => self.halt(Halt::Unanswered, said),
            Way::ClientCredentials => self.away(said, now),
        }
    }

    /// No token was used: it is asked again, later and later.
    pub fn away(&mut self, said: &str, now: u64) {
        self.asking = None;
        self.tries = self.tries.saturating_add(1);
        self.said = brief(said);
        self.due = now.saturating_add(pause(self.tries));
    }

    pub fn halt(&mut self, why: Halt, said: &str) {
        self.asking = None;
        self.tries = self.tries.saturating_add(1);
        self.said = brief(said);
        self.halted = Some(why);
    }

    /// Somebody has looked: it is asked as if it had never halted.
    pub fn goes_on(&mut self, now: u64) {
        self.asking = None;
        self.halted = None;
        self.tries = 0;
        self.said = String::new();
        self.due = now;
    }

    /// What a clock wrote that was ahead: the token ends earlier than it says, or a pause is longer than any. Then it is asked at `now`.
    /// Whether it was so.
    pub fn put_right(&mut self, now: u64) -> bool {
        let is_late = self.tries > 0 && is_ahead(self.due.saturating_sub(PAUSE_SECS_MAX), now);
        let was_ahead = is_late || self.refreshed.is_some_and(|at| is_ahead(at, now));
        if was_ahead {
            self.refreshed = self.refreshed.map(|at| at.min(now));
            self.due = now;
        }
        was_ahead
    }

    /// There is a token that holds until then.
    pub fn holds_until(&mut self, end: u64, now: u64) {
        self.asking = None;
        self.tries = 0;
        self.said = String::new();
        // A token that is shorter than the time before its end is asked for when half of it is over.
        let half = now.saturating_add(end.saturating_sub(now) / 2);
        self.due = end.saturating_sub(self.ahead_secs).max(half).max(now.saturating_add(REST_SECS_MIN));
    }
}

impl Refresh {
    pub(super) fn of(record: StoredRecord) -> Result<Refresh, SecretError> {
        let corrupt = |why: String| SecretError::Store(StoreError::Corrupt(format!("refresh {}: {why}", record.id)));
        let body: Body = serde_json::from_value(record.body).map_err(|e| corrupt(e.to_string()))?;
        let path: SecretPath = record.id.parse().map_err(|e| corrupt(format!("{e}")))?;
        let owner = record.owner.as_deref().ok_or("no owner".to_owned());
        let owner = owner.and_then(|owner| Owner::parse(owner).map_err(|e| e.to_string())).map_err(corrupt)?;
        Ok(Refresh { path, owner, version: record.version, body })
    }

    /// Of which token.
    pub fn path(&self) -> &SecretPath {
        &self.path
    }

    /// Whose that is.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Where it is asked.
    pub fn at(&self) -> &Endpoint {
        &self.body.at
    }

    /// As which client: the path of the secret.
    pub fn client(&self) -> &str {
        &self.body.client
    }

    /// By which grant.
    pub fn way(&self) -> Way {
        self.body.way
    }

    /// So many seconds before its end.
    pub fn ahead_secs(&self) -> u64 {
        self.body.ahead_secs
    }

    /// Why nothing is asked, where somebody has to look first.
    pub fn halted(&self) -> Option<Halt> {
        self.body.halted
    }

    /// How often it was asked in vain, and what was said last.
    pub fn trouble(&self) -> Option<(u32, &str)> {
        (self.body.tries > 0).then_some((self.body.tries, self.body.said.as_str()))
    }

    /// When the last token came; none where none did yet.
    pub fn refreshed(&self) -> Option<u64> {
        self.body.refreshed
    }

    /// When it is asked next; none where somebody has to look first.
    pub fn due(&self) -> Option<u64> {
        match (self.body.asking, self.body.halted) {
            (_, Some(_)) => None,
            (Some(asking), None) => Some(asking.until),
            (None, None) => Some(self.body.due),
        }
    }

    pub(super) fn record(&self, grant: &Grant) -> Result<Record, SecretError> {
        let is_troubled = self.body.tries > 0;
        let body = serde_json::to_value(&self.body).map_err(|e| SecretError::invalid("refresh", e.to_string()))?;
        // Whoever asks is looked for at once after a start.
        let due = if self.body.asking.is_some() { Some(0) } else { self.due() };
        Ok(Record {
            kind: REFRESH,
            id: self.path.as_str().to_owned(),
            owner: Some(self.owner.as_str().to_owned()),
            lookup: (!self.body.ended).then(|| due::key(is_troubled, due, self.path.as_str())),
            expires: None::<Timestamp>,
            body,
            actor: grant.actor().into(),
            expect: Some(self.version),
        })
    }
}

/// After so many tries in vain.
fn pause(tries: u32) -> u64 {
    let doubled = 1_u64.checked_shl(tries.saturating_sub(1)).unwrap_or(u64::MAX);
    PAUSE_SECS.saturating_mul(doubled).min(PAUSE_SECS_MAX)
}

fn brief(said: &str) -> String {
    said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SAID_CHARS_MAX).collect()
}

/// Longer than asking and keeping take together.
pub(super) const ASKING_SECS: u64 = 180;
/// Two nodes' clocks agree within this.
const SKEW_SECS: u64 = 30;
/// No endpoint is asked for one token more often, however short its tokens are.
const REST_SECS_MIN: u64 = 1;
const PAUSE_SECS: u64 = 5;
const PAUSE_SECS_MAX: u64 = 600;

#[cfg(test)]
mod tests {
    use super::*;

    fn body(way: Way) -> Body {
        let at = Endpoint { url: "https://a.test/token".to_owned(), roots: None, post: false };
        let client = "prod/client".to_owned();
        let asking = Some(Asking { node: 1, until: 120 });
        Body {
            at,
            client,
            way,
            ahead_secs: 600,
            due: 0,
            refreshed: None,
            asking,
            tries: 0,
            said: String::new(),
            halted: None,
            ended: false,
        }
    }

    #[test]
    fn a_refresh_token_that_may_be_used_up_is_not_shown_again_by_itself() {
        let mut once = body(Way::RefreshToken);
        once.broke_off(1_000);
        assert_eq!((once.halted, once.asking), (Some(Halt::Unanswered), None));
        let mut often = body(Way::ClientCredentials);
        often.broke_off(1_000);
        assert_eq!((often.halted, often.due, often.tries), (None, 1_005, 1));
        let mut away = body(Way::RefreshToken);
        let pauses: Vec<u64> = (0..9)
            .map(|_| {
                away.away("a\nb", 1_000);
                away.due - 1_000
            })
            .collect();
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 600, 600]);
        assert_eq!((away.said.as_str(), away.halted), ("a b", None));
    }

    #[test]
    fn a_token_that_came_by_a_clock_that_was_ahead_is_asked_for_again() {
        let mut body = body(Way::RefreshToken);
        (body.refreshed, body.due) = (Some(1_000), 4_000);
        assert!(!body.put_right(1_000) && !body.put_right(701), "clocks that are kept differ so much");
        assert!(body.put_right(699));
        assert_eq!((body.refreshed, body.due), (Some(699), 699));
        assert!(!body.put_right(699), "once");
        let mut away = self::body(Way::RefreshToken);
        away.away("away", 100_000);
        assert!(!away.put_right(100_000) && away.put_right(1_000));
        assert_eq!(away.due, 1_000);
    }

    #[test]
    fn whoever_asks_is_waited_for_and_not_where_his_clock_was_ahead() {
        let now = 1_800_000_000;
        for (until, held) in [
            (now + ASKING_SECS, Some(now + ASKING_SECS + 30)),
            (now - 29, Some(now + 1)),
            (now - 30, None),
            (now + ASKING_SECS + 300, Some(now + ASKING_SECS + 330)),
            (now + ASKING_SECS + 301, None),
            (now + 3 * 86_400, None),
        ] {
            assert_eq!(Asking { node: 2, until }.held(now), held, "{until}");
        }
    }

    #[test]
    fn a_token_is_refreshed_before_its_end_and_a_short_one_at_its_half() {
        for (end, due) in
            [(4_600, 4_000), (1_601, 1_300), (1_100, 1_050), (1_000, 1_001), (0, 1_001), (u64::MAX, u64::MAX - 600)]
        {
            let mut body = body(Way::RefreshToken);
            body.tries = 3;
            body.holds_until(end, 1_000);
            assert_eq!((body.due, body.tries, body.asking), (due, 0, None), "{end}");
        }
    }
}
