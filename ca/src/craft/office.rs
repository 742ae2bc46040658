//! What every craft works with, and the one way from its drafts to the page.

use std::sync::Arc;

use store::{Credential, Issued, Ledger};

use crate::checks::{Checked, Checks};
use crate::drafting::{Craft, Draft, Linted, Serials};
use crate::error::CaError;
use crate::gate::Gate;
use crate::issuers::Registry;
use crate::issuers::record::{ROSTER, ROSTER_ID};
use crate::profiles::Profile;
use crate::registrar::Registrar;

/// The parts of an authority that a craft needs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Office {
    pub(crate) gate: Gate,
    pub(crate) ledger: Ledger,
    pub(crate) issuers: Registry,
    pub(crate) serials: Serials,
    pub(crate) checks: Arc<Checks>,
    pub(crate) registrar: Registrar,
}

impl Office {
    /// Draft, Linted, Checked, Issued.
    pub(crate) async fn issue<C: Craft>(&self, draft: Draft<C>) -> Result<Issued, CaError> {
        match draft.lint() {
            Ok(linted) => self.issue_linted(linted).await,
            Err(failure) => Err(self.gate.refuse(failure).await),
        }
    }

    /// Linted, Checked, Issued: for what is drafted and linted off the async threads.
    pub(crate) async fn issue_linted(&self, linted: Linted) -> Result<Issued, CaError> {
        let checked = Checked::new(linted, &self.checks).await?;
        self.registrar.issue(checked).await
    }

    /// Does what signs under an issuer, and does it anew where it was told "not now" and issuers changed meanwhile: what was drafted
    /// under one as it was before is signed by nobody, and whoever asked has no part in that.
    pub(crate) async fn across_changes<T, F>(&self, act: impl Fn() -> F) -> Result<T, CaError>
    where
        F: Future<Output = Result<T, CaError>>,
    {
        across_changes(|| self.ledger.record_version(ROSTER, ROSTER_ID), act).await
    }

    /// A certificate and its intermediates, PEM, without the root, by the way that its profile prefers.
    pub(crate) fn chain_pem(&self, credential: &Credential) -> String {
        let profile = self.gate.rules().profile(&credential.profile);
        self.issuers.read().chain_pem(credential, profile.as_ref().and_then(|profile| profile.chain()))
    }

    /// Every chain from it to a root, PEM, each without its root; the one of [`Self::chain_pem`] first.
    pub(crate) fn chains_pem(&self, credential: &Credential) -> Vec<String> {
        let profile = self.gate.rules().profile(&credential.profile);
        self.issuers.read().chains_pem(credential, profile.as_ref().and_then(|profile| profile.chain()))
    }

    /// A profile by its name.
    pub(crate) fn profile(&self, name: &str) -> Result<Arc<Profile>, CaError> {
        self.gate.rules().profile(name).ok_or_else(|| CaError::bad("profile", format!("there is no profile `{name}`")))
    }
}

async fn across_changes<T, F>(version: impl Fn() -> u64, act: impl Fn() -> F) -> Result<T, CaError>
where
    F: Future<Output = Result<T, CaError>>,
{
    for _ in 1..TRIES_MAX {
        let before = version();
        match act().await {
            // Nothing was signed: only such an answer is this one.
            Err(CaError::Unavailable { .. }) if version() != before => {}
            answer => return answer,
        }
    }
    act().await
}

/// Changes of issuers that one request outlasts: one rotation is four.
const TRIES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// What an act says.
    type Say = fn() -> Result<u8, CaError>;

    /// Acts that say these, one after the other, and after each of which issuers have another version or the same; how often was asked,
    /// and what came of it.
    async fn asked(says: &[(Say, bool)]) -> (usize, Result<u8, CaError>) {
        let (version, times) = (Cell::new(1), Cell::new(0));
        let act = || {
            let (say, changes) = says.get(times.get()).or(says.last()).unwrap();
            times.set(times.get() + 1);
            version.set(version.get() + u64::from(*changes));
            std::future::ready(say())
        };
        let answer = across_changes(|| version.get(), act).await;
        (times.get(), answer)
    }

    #[tokio::test]
    async fn who_met_a_change_of_issuers_is_served_and_nobody_is_asked_twice_for_another_reason() {
        let not_now: Say = || Err(CaError::unavailable(1, "issuer `tls` was changed at this moment"));
        let unknown: Say = || Err(CaError::Unknown { operation: 7, why: "the token did not answer".into() });
        let (times, answer) = asked(&[(not_now, true), (not_now, true), (|| Ok(7), true)]).await;
        assert_eq!((times, answer.unwrap()), (3, 7));
        let (times, answer) = asked(&[(not_now, false), (|| Ok(7), false)]).await;
        assert!(times == 1 && matches!(answer, Err(CaError::Unavailable { .. })), "nothing changed: {answer:?}");
        let (times, answer) = asked(&[(unknown, true), (|| Ok(7), false)]).await;
        assert!(times == 1 && matches!(answer, Err(CaError::Unknown { .. })), "it may be signed: {answer:?}");
        let (times, answer) = asked(&[(not_now, true)]).await;
        assert!(times == TRIES_MAX && matches!(answer, Err(CaError::Unavailable { .. })), "no end: {times}");
    }
}
