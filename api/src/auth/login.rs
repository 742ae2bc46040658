//! What a second factor was proved for: a *login*, a record of kind `login` whose text is worth something beside its own token alone.
//!
//! The text is `chf_ID_SECRET`, sent in the header `Chancery-Second-Factor`. Of the secret the register holds the SHA-256 alone. It ends
//! by itself, and with the enrolment that proved it.

use policy::{Actor, Method, SecondFactor, Timestamp};
use serde::{Deserialize, Serialize};
use store::{ActorStamp, Record, StoreError};

use super::factor::Factor;

/// The record kind of logins.
pub(crate) const LOGIN: &str = "login";
/// What the text of every login begins with, so that secret scanners find a leaked one.
pub(crate) const LOGIN_PREFIX: &str = "chf_";
/// The header that carries it.
pub(crate) const LOGIN_HEADER: &str = "chancery-second-factor";

/// The record's body: one version of the format, closed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    /// The token beside which it counts.
    pub(crate) token: String,
    /// Of which enrolment the code was.
    pub(crate) enrolment: String,
    /// By what it was proved.
    pub(crate) method: Method,
    /// SHA-256 of the secret, hex.
    pub(crate) sha256: String,
    /// When it was proved.
    pub(crate) at: Timestamp,
    /// Until when it counts.
    pub(crate) expires: Timestamp,
}

impl Login {
    /// As a record of its own.
    ///
    /// # Errors
    /// None that is met: words are JSON.
    pub(crate) fn record(&self, id: &str, actor: &Actor) -> Result<Record, StoreError> {
        Ok(Record {
            kind: LOGIN,
            id: id.to_owned(),
            owner: None,
            lookup: Some(self.token.clone()),
            expires: Some(self.expires),
            body: serde_json::to_value(self).map_err(|error| StoreError::Invalid(error.to_string()))?,
            actor: ActorStamp::from(actor),
            expect: Some(0),
        })
    }
}

/// A login as far as a request needs it.
pub(super) struct KnownLogin {
    versions: (u64, u64),
    login: Login,
    /// Whether its enrolment still counted.
    counts: bool,
}

impl KnownLogin {
    /// A login that was read as this version of its record, beside its factor as that version of its own.
    pub(super) fn new(versions: (u64, u64), login: Login, factor: Option<&Factor>) -> Self {
        let counts = factor.is_some_and(|factor| factor.is_active() && factor.enrolment == login.enrolment);
        Self { versions, login, counts }
    }

    /// The token beside which it counts.
    pub(super) fn token(&self) -> &str {
        &self.login.token
    }

    /// Whether both records have these versions still.
    pub(super) fn is_of(&self, versions: (u64, u64)) -> bool {
        self.versions == versions
    }

    /// Whether this is its secret; in constant time.
    pub(super) fn has(&self, secret: &str) -> bool {
        let found = ring::digest::digest(&ring::digest::SHA256, secret.as_bytes());
        let mut sha256 = [0_u8; 32];
        let decoded = hex::decode_to_slice(&self.login.sha256, &mut sha256).is_ok();
        policy::Secret::new(sha256).matches(found.as_ref()) && decoded
    }

    /// What it proves beside a token, now; none where it is another's, over, of an enrolment that was taken away, or of a clock that was ahead.
    pub(super) fn proves(&self, token: &str, now: Timestamp) -> Option<SecondFactor> {
        let counts = self.counts && self.login.token == token && now < self.login.expires;
        let age_secs = now.elapsed_since(self.login.at).and_then(|secs| u64::try_from(secs).ok())?;
        counts.then_some(SecondFactor { method: self.login.method, age_secs })
    }
}

#[cfg(test)]
mod tests {
    use super::super::factor::FactorState;
    use super::*;

    #[test]
    fn a_login_counts_beside_its_token_for_its_time_and_with_its_enrolment() {
        let at = Timestamp::from_unix(1_000);
        let login = Login {
            token: "a".into(),
            enrolment: "e".into(),
            method: Method::Totp,
            sha256: hex::encode(ring::digest::digest(&ring::digest::SHA256, b"s")),
            at,
            expires: at.plus_secs(900),
        };
        let factor = Factor { state: FactorState::Active, ..Factor::pending("e".into(), at) };
        let known = KnownLogin::new((1, 2), login.clone(), Some(&factor));
        assert!(known.has("s") && !known.has("t") && known.is_of((1, 2)) && !known.is_of((1, 3)));
        let proved = known.proves("a", at.plus_secs(60)).expect("proved");
        assert_eq!((proved.method, proved.age_secs), (Method::Totp, 60));
        assert!(known.proves("b", at).is_none(), "beside another token");
        assert!(known.proves("a", at.plus_secs(900)).is_none(), "over");
        assert!(known.proves("a", at.plus_secs(-900)).is_none(), "a clock was ahead, and was put back");
        let other = Factor { enrolment: "f".into(), ..factor.clone() };
        for ended in [Some(&other), Some(&factor.removed(at, None)), None] {
            assert!(KnownLogin::new((1, 2), login.clone(), ended).proves("a", at).is_none());
        }
    }
}
