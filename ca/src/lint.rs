//! The lint: what a draft's own bytes say against it.
//!
//! Nothing here trusts the builder: the bytes are parsed back by parsers that did not make them, and held against the
//! grant, the profile and the issuer. A [`Linted`] owns the very buffer that was read, and only this file makes one.
//!
//! Answers profile drift (TURKTRUST 2011), one second too many (Let's Encrypt 2021), a name checked N times instead of N
//! names checked once (Let's Encrypt 2020): the set of names in the bytes must be the set that was granted.

use std::fmt::Display;

use hsm::Message;
use store::{Entry, Kind};

use crate::draft::{Draft, Expect};
use crate::{lint_code, lint_crl, lint_ssh, lint_x509};

/// A draft whose bytes were read back and found right. The only thing the issuance page takes.
pub(crate) struct Linted {
    entry: Entry,
}

impl Linted {
    /// The ledger's entry, with the linted bytes in it.
    pub(crate) fn into_entry(self) -> Entry {
        self.entry
    }

    /// What kind of entry it is.
    pub(crate) fn kind(&self) -> Kind {
        self.entry.kind
    }

    /// The key that it certifies, or that signs it.
    pub(crate) fn key_hash(&self) -> &[u8; 32] {
        &self.entry.key_hash
    }

    /// The page's own tests need something to issue, right or not.
    #[cfg(test)]
    pub(crate) fn for_tests(entry: Entry) -> Linted {
        Linted { entry }
    }
}

/// What a draft's own bytes say against it: each finding in words. A failed lint is our bug or an attack, never a
/// caller's typing mistake, so it is logged as an error too.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the draft failed its lint: {}", findings.join("; "))]
pub struct LintFailure {
    /// Each finding.
    pub findings: Vec<String>,
}

impl Draft {
    /// Reads the draft back and holds it against what was granted.
    pub(crate) fn lint(self) -> Result<Linted, LintFailure> {
        let mut findings = Findings::default();
        let entry = &self.entry;
        match (&self.expect, &entry.message) {
            (Expect::Leaf { issuer, profile, key, now }, Message::Whole(tbs)) => {
                let names = &self.grant.resource().names;
                lint_x509::leaf(tbs, &lint_x509::Leaf { entry, issuer, profile, key, names, now: *now }, &mut findings);
            }
            (Expect::Ca { issuer, key, path_len, now }, Message::Whole(tbs)) => {
                let expect = lint_x509::Ca { entry, issuer: issuer.as_deref(), key, path_len: *path_len, now: *now };
                lint_x509::ca(tbs, &expect, &mut findings);
            }
            (Expect::Ssh { ca, profile, key, now }, Message::Whole(body)) => {
                let principals = &self.grant.resource().principals;
                lint_ssh::certificate(
                    body,
                    &lint_ssh::Ssh { entry, ca, profile, key, principals, now: *now },
                    &mut findings,
                );
            }
            (Expect::Code { format, digest, certificate_der, now }, message) => {
                lint_code::signature(message, *format, digest, certificate_der, *now, &mut findings);
            }
            (Expect::Crl { issuer, number, revoked, now }, Message::Whole(tbs)) => {
                let expect = lint_crl::Crl { entry, issuer, number: *number, revoked: *revoked, now: *now };
                lint_crl::crl(tbs, &expect, &mut findings);
            }
            (Expect::Leaf { .. } | Expect::Ca { .. } | Expect::Ssh { .. } | Expect::Crl { .. }, Message::Sha256(_)) => {
                findings.add("only code is signed by its digest");
            }
        }
        match findings.0.is_empty() {
            true => Ok(Linted { entry: self.entry }),
            false => {
                tracing::error!(findings = ?findings.0, profile = %self.entry.profile, "a draft failed its lint");
                Err(LintFailure { findings: findings.0 })
            }
        }
    }
}

/// Findings, in the order they were made.
#[derive(Default)]
pub(crate) struct Findings(pub(crate) Vec<String>);

impl Findings {
    pub(crate) fn add(&mut self, finding: impl Into<String>) {
        self.0.push(finding.into());
    }

    /// Adds a finding unless something holds.
    pub(crate) fn hold(&mut self, holds: bool, otherwise: &str) {
        if !holds {
            self.add(otherwise);
        }
    }

    /// What was read, or a finding that it could not be.
    pub(crate) fn read<T, E: Display>(&mut self, what: &str, read: Result<T, E>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(e) => {
                self.add(format!("{what}: {e}"));
                None
            }
        }
    }
}
