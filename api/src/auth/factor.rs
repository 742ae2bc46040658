//! What the register keeps of a second factor: a record of kind `second-factor` for each token that has one, by the token's id.
//!
//! The seed lies sealed under a name of its own for each enrolment, so that none takes another's place.

use std::collections::{BTreeMap, BTreeSet};

use policy::{Actor, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{ActorStamp, Ledger, Record, StoreError};

/// The record kind of second factors.
pub(crate) const FACTOR: &str = "second-factor";

/// How far one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FactorState {
    /// A seed was shown, and no code of it came back yet: it proves nothing.
    Pending,
    /// It counts.
    Active,
    /// It was taken away.
    Removed,
}

impl FactorState {
    /// The stable word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Removed => "removed",
        }
    }
}

/// The record's body: one version of the format, closed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Factor {
    /// How far it is.
    pub(crate) state: FactorState,
    /// Which enrolment: 16 hex digits, part of the name of the sealed seed.
    pub(crate) enrolment: String,
    /// Since when it is so.
    pub(crate) since: Timestamp,
    /// The period of the last code that counted: neither it nor one before it counts again.
    pub(crate) last_step: Option<u64>,
    /// Wrong codes since the last right one.
    pub(crate) misses: u32,
    /// When the last of them was.
    pub(crate) missed_at: Option<Timestamp>,
    /// SHA-256 of each recovery code that was not used yet, hex.
    pub(crate) codes: BTreeSet<String>,
    /// Why somebody else took it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

impl Factor {
    /// A new one, whose seed was not shown to work yet.
    pub(crate) fn pending(enrolment: String, since: Timestamp) -> Self {
        let (state, codes) = (FactorState::Pending, BTreeSet::new());
        Self { state, enrolment, since, last_step: None, misses: 0, missed_at: None, codes, reason: None }
    }

    /// The same, taken away.
    pub(crate) fn removed(&self, since: Timestamp, reason: Option<String>) -> Self {
        let state = FactorState::Removed;
        Self { state, since, reason, codes: BTreeSet::new(), ..self.clone() }
    }

    /// Whether it counts.
    pub(crate) fn is_active(&self) -> bool {
        self.state == FactorState::Active
    }

    /// Under which name the seed is sealed.
    pub(crate) fn sealed(&self, token: &str) -> String {
        sealed_name(token, &self.enrolment)
    }

    fn read(body: &Value) -> Result<Self, StoreError> {
        let wrong = |error: serde_json::Error| StoreError::Corrupt(format!("a second factor: {error}"));
        Self::deserialize(body).map_err(wrong)
    }

    /// As a record, in place of the version that was seen.
    ///
    /// # Errors
    /// None that is met: numbers and words are JSON.
    pub(crate) fn record(&self, token: &str, actor: &Actor, expect: u64) -> Result<Record, StoreError> {
        Ok(Record {
            kind: FACTOR,
            id: token.to_owned(),
            owner: None,
            lookup: None,
            expires: None,
            body: serde_json::to_value(self).map_err(|error| StoreError::Invalid(error.to_string()))?,
            actor: ActorStamp::from(actor),
            expect: Some(expect),
        })
    }
}

fn sealed_name(token: &str, enrolment: &str) -> String {
    format!("{FACTOR}/{token}/{enrolment}")
}

/// That of a token, with the version of its record.
pub(crate) async fn factor_of(ledger: &Ledger, token: &str) -> Result<(Option<Factor>, u64), StoreError> {
    match ledger.record_get(FACTOR, token).await? {
        Some(there) => Ok((Some(Factor::read(&there.body)?), there.version)),
        None => Ok((None, 0)),
    }
}

/// All there are, by token; none of one that somebody altered, which proves nothing and takes no other off a list.
pub(crate) async fn factors(ledger: &Ledger) -> Result<BTreeMap<String, Option<Factor>>, StoreError> {
    let all = ledger.record_each(FACTOR).await?;
    Ok(all.into_iter().map(|(id, there)| (id, there.ok().and_then(|there| Factor::read(&there.body).ok()))).collect())
}
