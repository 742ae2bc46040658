//! What hosts ask, and what they say.

use policy::{Action, Grant, Owner};
use store::RecordFilter;

use super::report::{HostReport, REPORT, REPORTS_MAX};
use crate::error::SecretError;
use crate::kinds::{Kind, ssh_fingerprint};
use crate::nouns::{Label, SecretPath};
use crate::page::all_taken;
use crate::turning::Rotations;
use crate::vault::{Secret, Standing, Vault};

/// SSH keys on hosts. Cheap to clone.
#[derive(Clone)]
pub struct HostKeys {
    vault: Vault,
    rotations: Rotations,
}

/// A public key that hosts are to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKey {
    /// Of which version.
    pub version: u64,
    /// Its line, without a comment.
    pub line: String,
    /// Its fingerprint, as `ssh-keygen -l` writes it.
    pub fingerprint: String,
}

/// The public keys of a secret that hosts are to have now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysInForce {
    /// They are replaced as a whole; what is not here any more is taken away. None: the secret is out of use.
    pub keys: Vec<HostKey>,
    /// Whose keys they are, as a rotation says; none where none is set up.
    pub account: Option<String>,
}

impl HostKeys {
    /// Of the secrets of this vault, and what their rotations say of them.
    pub fn new(vault: Vault, rotations: Rotations) -> HostKeys {
        HostKeys { vault, rotations }
    }

    /// The public keys that hosts are to have of a secret: of the version that is current, of the one that is to be, and of the one before
    /// for as long as a rotation has it overlap. Nothing is opened.
    ///
    /// # Errors
    /// [`SecretError::Invalid`]: it is no SSH key, or a version is from before public keys were written down.
    pub async fn in_force(&self, secret: &Secret) -> Result<KeysInForce, SecretError> {
        if secret.kind() != Kind::SshKey {
            let why = format!("{} is a {}: hosts have public keys of a {}", secret.path(), secret.kind(), Kind::SshKey);
            return Err(SecretError::invalid("kind", why));
        }
        let rotation = self.rotations.look(secret.path()).await?;
        let account = rotation.as_ref().map(|turning| turning.rotation().current().user.clone());
        let numbers: Vec<u64> = match &rotation {
            Some(turning) => turning.rotation().in_force().iter().map(|credential| credential.version).collect(),
            None => {
                let labels = [Label::CURRENT, Label::PENDING];
                labels.iter().filter_map(|label| secret.labels().get(*label).copied()).collect()
            }
        };
        let now = self.vault.now().await?;
        let mut keys: Vec<HostKey> = Vec::new();
        if secret.is_gone() || secret.deleted().is_some() {
            return Ok(KeysInForce { keys, account });
        }
        for version in secret.versions(now).into_iter().filter(|version| numbers.contains(&version.number)) {
            if !matches!(version.standing, Standing::Enabled | Standing::Early) {
                continue;
            }
            let none = || {
                let (number, path) = (version.number, secret.path());
                let why =
                    format!("version {number} of {path} is from before public keys were written down: write it again");
                SecretError::invalid("secret", why)
            };
            let line = secret.public_line(version.number).ok_or_else(none)?.to_owned();
            let fingerprint = ssh_fingerprint(&line).ok_or_else(none)?;
            keys.push(HostKey { version: version.number, line, fingerprint });
        }
        Ok(KeysInForce { keys, account })
    }

    /// Takes down what a host says that it has. The same again writes nothing.
    ///
    /// # Errors
    /// [`SecretError::Invalid`], [`SecretError::Conflict`]: too many hosts; or it said something else at the same time.
    pub async fn report(
        &self,
        grant: Grant,
        (path, owner): (&SecretPath, &Owner),
        (host, mut fingerprints): (&str, Vec<String>),
    ) -> Result<HostReport, SecretError> {
        Vault::is_for(&grant, Action::ListSecrets, path, owner)?;
        fingerprints.sort();
        fingerprints.dedup();
        let at = u64::try_from(self.vault.now().await?.unix()).unwrap_or_default();
        let report = HostReport { host: host.to_ascii_lowercase(), fingerprints, at };
        report.check()?;
        let there = self.vault.ledger().record_get(REPORT, &HostReport::id(path, &report.host)).await?;
        let there = there.map(|record| HostReport::of(record.into_inner())).transpose()?;
        if let Some((same, _)) = there.as_ref().filter(|(there, _)| there.fingerprints == report.fingerprints) {
            return Ok(same.clone());
        }
        let is_full = there.is_none() && self.reports(path).await?.len() >= REPORTS_MAX;
        if is_full {
            return Err(SecretError::Conflict(format!("{REPORTS_MAX} hosts report keys of {path} already")));
        }
        let expect = there.map_or(0, |(_, version)| version);
        self.vault.ledger().record(vec![report.record((path, owner), &grant, expect)?]).await?;
        Ok(report)
    }

    /// What hosts say that they have of a secret's keys, by host.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn reports(&self, path: &SecretPath) -> Result<Vec<HostReport>, SecretError> {
        let filter =
            RecordFilter { lookup: Some(path.as_str().to_owned()), limit: REPORTS_MAX, ..RecordFilter::default() };
        // Each for itself: one that somebody altered holds no rotation up; its host says it again.
        let page = self.vault.ledger().record_page(REPORT, filter).await?;
        Ok(all_taken(page, |record| HostReport::of(record).map(|(report, _)| report)))
    }
}
