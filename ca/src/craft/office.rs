//! What every craft works with, and the one way from its drafts to the page.

use std::sync::Arc;

use store::{Credential, Issued, Ledger};

use crate::checks::{Checked, Checks};
use crate::drafting::{Craft, Draft, Linted, Serials};
use crate::error::CaError;
use crate::gate::Gate;
use crate::issuers::Registry;
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
