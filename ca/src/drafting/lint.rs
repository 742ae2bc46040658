//! The lint: what a draft's own bytes say against it.
//!
//! Nothing here trusts the builder: the bytes are parsed back by parsers that did not make them, and held against the
//! grant, the profile and the issuer. A [`Linted`] owns the very buffer that was read, and only this file makes one.
//!
//! Answers profile drift (TURKTRUST 2011), one second too many (Let's Encrypt 2021), a name checked N times instead of N
//! names checked once (Let's Encrypt 2020): the set of names in the bytes must be the set that was granted.

use std::sync::Arc;

use store::{ActorStamp, Entry, Kind, RefusalEntry};

use crate::drafting::craft::Craft;
use crate::drafting::draft::Draft;
use crate::error::LintFailure;
use crate::issuers::{Issuing, Standing};
use crate::lint::{Finding, Findings, Severity};

/// A draft whose bytes were read back and found right. The only thing that can be checked for the issuance page.
pub(crate) struct Linted {
    entry: Entry,
    issuer: Option<Arc<Issuing>>,
    standing: Option<Standing>,
    needed_secs: i64,
    tells: bool,
}

impl Linted {
    /// The ledger's entry, with the linted bytes in it.
    pub(crate) fn into_entry(self) -> Entry {
        self.entry
    }

    /// Who asked.
    pub(crate) fn actor(&self) -> &ActorStamp {
        &self.entry.actor
    }

    /// What kind of entry it is.
    pub(crate) fn kind(&self) -> Kind {
        self.entry.kind
    }

    /// Whether it tells of revocations, or is made for what does.
    pub(crate) fn tells(&self) -> bool {
        self.tells
    }

    /// The key that it certifies, or that signs it.
    pub(crate) fn key_hash(&self) -> &[u8; 32] {
        &self.entry.key_hash
    }

    /// How the generation stood, whose key signs.
    pub(crate) fn standing(&self) -> Option<&Standing> {
        self.standing.as_ref()
    }

    /// The CA under whose certificate it is signed, and how long that must last yet.
    pub(crate) fn issuer(&self) -> Option<(&Issuing, i64)> {
        self.issuer.as_deref().map(|issuer| (issuer, self.needed_secs))
    }
}

impl<C: Craft> Draft<C> {
    /// Reads the draft back and holds it against what was granted. Who gets a failure has [`Refusals::refuse`](crate::gate::Refusals)
    /// write its leaf.
    pub(crate) fn lint(self) -> Result<Linted, LintFailure> {
        let mut findings = Findings::default();
        self.craft.lint(&self.grant, &self.entry, &mut findings);
        findings.0.retain(|finding| finding.lint.severity > Severity::Notice);
        match findings.0.is_empty() {
            true => {
                let (issuer, standing) = (self.craft.issuer().cloned(), self.craft.standing().cloned());
                let (needed_secs, tells) = (self.craft.needed_secs(), self.craft.tells());
                Ok(Linted { entry: self.entry, issuer, standing, needed_secs, tells })
            }
            false => {
                let leaf = Box::new(leaf(&self.entry, &findings.0));
                let actor = Box::new(self.grant.actor().clone());
                Err(LintFailure { findings: findings.0, leaf, actor })
            }
        }
    }
}

/// A failed lint is a refusal by the worst of what it found.
fn leaf(entry: &Entry, findings: &[Finding]) -> RefusalEntry {
    let worst = findings.iter().rev().max_by_key(|finding| finding.lint.severity);
    let mut target = vec![format!("{} of {}, profile {}", entry.kind, entry.issuer, entry.profile)];
    target.extend(entry.owner.iter().map(|owner| format!("owner {owner}")));
    target.extend(entry.names.iter().take(SHOWN_MAX).cloned());
    RefusalEntry {
        actor: entry.actor.clone(),
        action: entry.grant.action.clone(),
        target: target.join(", "),
        rule: worst.map(|finding| finding.lint.name.to_owned()),
        missing: LintFailure::in_words(findings.get(..SHOWN_MAX).unwrap_or(findings)),
        policy_hash: entry.grant.policy_hash,
    }
}

/// Enough to know what it was about.
const SHOWN_MAX: usize = 10;
