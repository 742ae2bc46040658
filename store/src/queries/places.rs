//! Which places a filter means.

use crate::forms::projection::Pile;
use crate::nouns::credential::{Filter, State};
use crate::nouns::error::StoreError;
use crate::nouns::renewer::Renewer;
use crate::sql::{Sql, Value};

/// A filter by what all credentials of a place have in common.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted<'a> {
    kind: Option<&'a str>,
    profile: Option<&'a str>,
    issuer: Option<&'a str>,
    owner: Option<&'a str>,
    certificates: bool,
    renewer: Option<Renewer>,
    ssh: Option<bool>,
    renewed: Option<bool>,
}

impl<'a> Wanted<'a> {
    /// Of places `p`; its eight parameters are the first of their statement. One text whatever the filter: there are few places,
    /// and they are walked.
    pub const CONDITION: &'static str = "p.kind = COALESCE($1, p.kind) AND p.profile = COALESCE($2, p.profile) \
        AND (p.issuer = COALESCE($3, p.issuer) OR SUBSTR(p.issuer, 1, LENGTH(CAST($3 AS TEXT)) + 1) = CAST($3 AS TEXT) || '/') AND COALESCE(p.owner, '') = COALESCE($4, p.owner, '') \
        AND (CAST($5 AS BIGINT) = 0 OR p.kind NOT IN ('crl', 'code-signature', 'ca-request', 'ocsp-batch')) \
        AND p.renewer = COALESCE($6, p.renewer) \
        AND COALESCE(CAST($7 AS BIGINT), -1) <> CASE WHEN p.kind IN ('ssh-user', 'ssh-host') THEN 0 ELSE 1 END \
        AND COALESCE(CAST($8 AS BIGINT), -1) <> CASE WHEN p.renewer > 0 THEN 0 ELSE 1 END";
    /// Parameters of [`Wanted::CONDITION`].
    pub const PARAMS: usize = 8;

    pub fn of(filter: &'a Filter) -> Wanted<'a> {
        Wanted {
            kind: filter.kind.map(|kind| kind.as_str()),
            profile: filter.profile.as_deref(),
            issuer: filter.issuer.as_deref(),
            owner: filter.owner.as_deref(),
            certificates: filter.certificates,
            renewer: filter.renewer,
            ssh: filter.ssh,
            renewed: filter.renewed,
        }
    }

    pub fn params(&self) -> Vec<Value<'a>> {
        let words = [self.kind, self.profile, self.issuer, self.owner];
        let words = words.map(|word| word.map_or(Value::Null, Value::Text));
        let renewer = self.renewer.map_or(Value::Null, |renewer| Value::Int(renewer.number()));
        let [ssh, renewed] = [self.ssh, self.renewed].map(|is| is.map_or(Value::Null, |is| Value::Int(is.into())));
        words.into_iter().chain([Value::Int(self.certificates.into()), renewer, ssh, renewed]).collect()
    }
}

/// Some of a place's operations: what a list is merged from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stack {
    pub place: i64,
    pub pile: Pile,
}

/// The stacks that may hold what matches; empty ones are left out.
pub(super) fn stacks(sql: &mut dyn Sql, filter: &Filter) -> Result<Vec<Stack>, StoreError> {
    let text = format!(
        "SELECT p.id, p.intended + p.issued, p.failed, p.revoked, p.replaced FROM place p WHERE {} ORDER BY p.id",
        Wanted::CONDITION
    );
    let mut stacks = Vec::new();
    for mut row in sql.query(&text, &Wanted::of(filter).params())? {
        let place = row.int()?;
        let [live, failed, revoked, replaced] = [row.int()?, row.int()?, row.int()?, row.int()?];
        for pile in Pile::ALL {
            let count = match pile {
                Pile::Live => live,
                Pile::Failed => failed,
                Pile::Revoked | Pile::Held => revoked,
                Pile::Replaced => replaced,
            };
            if count > 0 && may_hold(pile, filter) {
                stacks.push(Stack { place, pile });
            }
        }
    }
    Ok(stacks)
}

pub(super) fn may_hold(pile: Pile, filter: &Filter) -> bool {
    let by_state = match filter.state {
        None => true,
        Some(State::Intended) => pile == Pile::Live,
        Some(State::Issued) => matches!(pile, Pile::Live | Pile::Replaced),
        Some(State::Failed) => pile == Pile::Failed,
        Some(State::Revoked) => pile.is_ended(),
    };
    by_state
        && filter.held.is_none_or(|held| held == (pile == Pile::Held))
        && filter.replaced.is_none_or(|replaced| replaced == (pile == Pile::Replaced))
}
