//! What hosts ask, and what they say.

use std::sync::Arc;

use futures_util::lock::Mutex;
use policy::{Action, Grant, Owner};
use store::{Record, RecordFilter};

use super::report::{HostReport, REPORT, REPORT_SILENT_SECS, REPORTS_MAX};
use crate::error::SecretError;
use crate::kinds::{Kind, ssh_fingerprint};
use crate::nouns::{Label, SecretPath};
use crate::page::{Page, of_one, taken};
use crate::turning::Rotations;
use crate::vault::{Secret, Standing, Vault};

/// SSH keys on hosts. Cheap to clone.
#[derive(Clone)]
pub struct HostKeys {
    vault: Vault,
    rotations: Rotations,
    /// Held by whoever brings a host more, from counting to writing: they come seldom, and two at once would both find the last place.
    coming: Arc<Mutex<()>>,
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
        HostKeys { vault, rotations, coming: Arc::default() }
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

    /// Takes down what a host says that it has. The same again writes nothing for a week. Where there is no room the host
    /// that was silent for longest is forgotten, in the same transaction.
    ///
    /// # Errors
    /// [`SecretError::Invalid`], [`SecretError::Conflict`]: too many hosts, of which none is silent; or it said something else at the same
    /// time.
    pub async fn report(
        &self,
        grant: Grant,
        (path, owner): (&SecretPath, &Owner),
        (host, mut fingerprints): (&str, Vec<String>),
    ) -> Result<HostReport, SecretError> {
        Vault::is_for(&grant, Action::ListSecrets, path, owner)?;
        fingerprints.sort();
        fingerprints.dedup();
        let now = u64::try_from(self.vault.now().await?.unix()).unwrap_or_default();
        let host = host.to_ascii_lowercase();
        let id = HostReport::id(path, &host);
        // Before it is looked at: what another writes meanwhile is not written over.
        let version = self.vault.ledger().record_version(REPORT, &id);
        let mut report = HostReport { host, fingerprints, since: now, at: now, version };
        report.check()?;
        let (mut records, mut _coming) = (Vec::new(), None);
        match of_one(self.standing(&id).await)? {
            Some(Some(there)) if there.fingerprints == report.fingerprints => {
                if !there.is_due(now) {
                    return Ok(there);
                }
                (report.since, report.version) = (there.since.min(now), there.version);
            }
            Some(Some(there)) => report.version = there.version,
            // What somebody altered has its alarm, and says nothing: what the host says now takes its place.
            None => {}
            Some(None) => {
                _coming = Some(self.coming.lock().await);
                records.extend(self.room((path, owner), &grant, now).await?);
            }
        }
        records.push(report.record((path, owner), &grant)?);
        self.vault.ledger().record(records).await?;
        Ok(report)
    }

    /// Forgets what a host said: it is gone for good, or somebody altered it. One whose agent runs says it again within an hour.
    ///
    /// # Errors
    /// [`SecretError::NotFound`]: none of that name; [`SecretError::Conflict`]: it spoke at the same time.
    pub async fn forget(
        &self,
        grant: Grant,
        (path, owner): (&SecretPath, &Owner),
        host: &str,
    ) -> Result<(), SecretError> {
        Vault::is_for(&grant, Action::WriteSecret, path, owner)?;
        let host = host.to_ascii_lowercase();
        let id = HostReport::id(path, &host);
        let version = self.vault.ledger().record_version(REPORT, &id);
        let there = match of_one(self.standing(&id).await)? {
            Some(Some(there)) => there,
            // What it said nobody knows.
            None if version > 0 => HostReport { host, fingerprints: Vec::new(), since: 0, at: 0, version },
            None | Some(None) => {
                let why = format!(
                    "no host of that name reports keys of {path}: `chancery secret hosts {path}` shows which do"
                );
                return Err(SecretError::NotFound(why));
            }
        };
        self.vault.ledger().record(vec![there.forgotten((path, owner), &grant)?]).await?;
        Ok(())
    }

    /// What hosts say that they have of a secret's keys, by host, all on one page.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn reports(&self, path: &SecretPath) -> Result<Page<HostReport>, SecretError> {
        let filter =
            RecordFilter { lookup: Some(path.as_str().to_owned()), limit: PAGE_MAX, ..RecordFilter::default() };
        // Each for itself: one that somebody altered holds no rotation up; its host says it again.
        let mut found = Page::new();
        for listed in self.vault.ledger().record_page(REPORT, filter).await? {
            let report = found.believed(taken(listed.record, HostReport::of));
            found.items.extend(report.flatten());
        }
        Ok(found)
    }

    /// The report of a host, by its record's id; none where there is none, or it is forgotten.
    async fn standing(&self, id: &str) -> Result<Option<HostReport>, SecretError> {
        let record = self.vault.ledger().record_get(REPORT, id).await?;
        let report = record.map(|record| HostReport::of(record.into_inner())).transpose()?;
        Ok(report.flatten())
    }

    /// Makes room for one host more: what has the one forgotten that was silent for longest, and nothing where there is room.
    async fn room(
        &self,
        (path, owner): (&SecretPath, &Owner),
        grant: &Grant,
        now: u64,
    ) -> Result<Option<Record>, SecretError> {
        let page = self.reports(path).await?;
        // Each that somebody altered stands in its place until its host speaks.
        let altered = usize::try_from(page.altered).unwrap_or(usize::MAX);
        if page.items.len().saturating_add(altered) < REPORTS_MAX {
            return Ok(None);
        }
        let silent = page.items.iter().filter(|report| report.is_silent(now)).min_by_key(|report| report.at);
        let Some(silent) = silent else {
            let days = REPORT_SILENT_SECS / 86_400;
            return Err(SecretError::Conflict(format!(
                "{REPORTS_MAX} hosts report keys of {path} already, and none of them was silent for {days} days: forget one that is gone \
                 (`chancery secret hosts {path} --forget HOST`)"
            )));
        };
        silent.forgotten((path, owner), grant).map(Some)
    }
}

/// More than may stand: where hosts came at several nodes at the same moment all are shown.
const PAGE_MAX: usize = 1_000;
