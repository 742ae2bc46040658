//! What people say of a rotation: its settings, its word, its end.

use policy::Grant;
use store::RecordFilter;

use super::place::{At, Line, Pinned, Place, Product, Targets};
use super::record::{Body, Leaked, ROTATION, Turning};
use crate::due;
use crate::error::SecretError;
use crate::kinds::{Fields, Kind};
use crate::nouns::{Label, SecretPath};
use crate::rotation::{Credential, NotNow, Rotation, Settings, SettingsError};
use crate::vault::{Beside, Secret, Vault, Version};

/// Rotations of the register. Cheap to clone.
#[derive(Clone)]
pub struct Rotations {
    pub(super) vault: Vault,
    pub(super) node: u16,
}

/// What is due.
#[derive(Debug)]
pub struct Due {
    /// Those of which something is.
    pub found: Vec<Turning>,
    /// When the next of the others is.
    pub next: Option<u64>,
}

/// What is said of a rotation when it is set up, or changed.
#[derive(Clone, Debug)]
pub struct TurningWish {
    /// How it is done.
    pub settings: Settings,
    /// Where it is; what is left out is as the secret's fields say.
    pub place: Place,
    /// The secret of who sets passwords there; none where a program or a hook has its own.
    pub admin: Option<SecretPath>,
    /// How it is spoken to.
    pub line: Line,
}

impl Rotations {
    /// Of the secrets of this vault, as this node of the register does them.
    pub fn new(vault: Vault, node: u16) -> Rotations {
        Rotations { vault, node }
    }

    /// The rotation of a secret; none where there is none, or it ended.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn look(&self, path: &SecretPath) -> Result<Option<Turning>, SecretError> {
        Ok(self.last(path).await?.filter(|turning| !turning.body.ended))
    }

    /// Those of which something is due, as the register has it, the first due first: a page of at most so many, beginning after the
    /// last of the page before. What is found may have to wait all the same: [`Rotations::due`] says until when.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn due_by(&self, now: u64, limit: usize) -> Result<Due, SecretError> {
        let (mut found, mut next) = (Vec::new(), None);
        for is_troubled in [false, true] {
            let mut after = None;
            while found.len() < limit {
                let page = self.found(due::by(is_troubled, now, after.take(), PAGE_MAX.min(limit))).await?;
                let is_full = page.len() == PAGE_MAX.min(limit);
                after = page.last().filter(|_| is_full).and_then(|(_, key)| key.clone());
                found.extend(page.into_iter().map(|(turning, _)| turning));
                if after.is_none() {
                    break;
                }
            }
            let first = self.found(due::next(is_troubled, now)).await?.pop();
            let at = first.and_then(|(_, key)| due::time_of(&key.unwrap_or_default()));
            next = [next, at].into_iter().flatten().min();
        }
        Ok(Due { found, next })
    }

    /// Those that somebody should look at, at most so many.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn troubled(&self, limit: usize) -> Result<Vec<Turning>, SecretError> {
        Ok(self.found(due::troubled(limit)).await?.into_iter().map(|(turning, _)| turning).collect())
    }

    /// A page of all that were set up and did not end, by path, and where the next begins. For eyes.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn list(
        &self,
        after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<Turning>, Option<String>), SecretError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let page = self.found(RecordFilter { after, limit, ..RecordFilter::default() }).await?;
        let last = page.last().filter(|_| page.len() == limit).map(|(turning, _)| turning.path.as_str().to_owned());
        let standing = page.into_iter().map(|(turning, _)| turning).filter(|turning| !turning.body.ended);
        Ok((standing.collect(), last))
    }

    async fn found(&self, filter: RecordFilter) -> Result<Vec<(Turning, Option<String>)>, SecretError> {
        let page = self.vault.ledger().record_list(ROTATION, filter).await?;
        let each = page.into_iter().map(|record| {
            let record = record.into_inner();
            let key = record.lookup.clone();
            Ok((Turning::of(record)?, key))
        });
        each.collect()
    }

    /// Sets up a rotation of a secret, or changes one that rests. What is current is what is in use from now on.
    ///
    /// # Errors
    /// [`SecretError::Invalid`], which says what to change; [`SecretError::Conflict`]: one is under way.
    pub async fn set(
        &self,
        grant: Grant,
        path: &SecretPath,
        wish: TurningWish,
        targets: &impl Targets,
    ) -> Result<Turning, SecretError> {
        let there = self.last(path).await?;
        // What can be judged without it is judged before anything is opened.
        self.is_settled(&self.vault.there(path).await?, &wish).await?;
        let current = self.vault.current(&grant, path).await?;
        is_exchangeable(current.kind, current.expires.is_some())?;
        let mut at = place(&wish, &current.fields)?;
        is_of_its_kind(&at, current.kind, &current.fields)?;
        if let Some(admin) = &wish.admin {
            at.pinned = Some(Pinned::of(&self.vault.there(admin).await?));
        }
        targets.check(&at, &current.owner, &wish.settings).map_err(|why| SecretError::invalid("target", why))?;
        let user = current.fields.text("username").unwrap_or_default().to_owned();
        let version = there.as_ref().map_or(0, |turning| turning.version);
        let leaked = there.as_ref().and_then(|turning| turning.body.leaked.clone());
        let rotation = match there {
            Some(Turning { body: Body { mut rotation, ended: false, .. }, .. }) => {
                rotation.change(wish.settings).map_err(not_now)?;
                rotation
            }
            ended => {
                let since = u64::try_from(current.at.unix()).unwrap_or_default();
                let credential = Credential { version: current.number, user };
                let new = Rotation::new(path.as_str(), wish.settings, credential, since).map_err(unfit)?;
                match &ended {
                    Some(before) => new.behind(&before.body.rotation),
                    None => new,
                }
            }
        };
        let body = Body { rotation, at, claim: None, ended: false, leaked };
        let turning = Turning { path: path.clone(), owner: current.owner, version, body, changed: None };
        self.write(&grant, &turning).await?;
        self.there(path).await
    }

    /// Ends a rotation that rests or halted: the secret is written by hand again, and nothing is asked of the target any more.
    ///
    /// # Errors
    /// [`SecretError::Conflict`]: it is under way.
    pub async fn end(&self, grant: Grant, path: &SecretPath) -> Result<(), SecretError> {
        let mut turning = self.there(path).await?;
        let rotation = turning.rotation();
        if !rotation.is_resting() && !rotation.is_halted() {
            return Err(not_now(NotNow::UnderWay));
        }
        let now = self.seconds().await?;
        turning.body.ended = true;
        turning.body.claim = None;
        let beside = Beside { grant: &grant, path, is_rotated: false };
        self.vault.relabel(beside, None, turning.record(&grant, now)?).await
    }

    /// Asks for a rotation now.
    ///
    /// # Errors
    /// [`SecretError::Conflict`]: one is under way, halted, or the one before is too near.
    pub async fn ask(&self, grant: Grant, path: &SecretPath) -> Result<Turning, SecretError> {
        let now = self.seconds().await?;
        self.say(&grant, path, |rotation| rotation.ask(now)).await
    }

    /// Asks for a rotation now, since what is in use leaked: neither distance, window nor overlap is waited for, and the reason stands in
    /// the record that says so.
    ///
    /// # Errors
    /// [`SecretError::Conflict`]: it halted; [`SecretError::Invalid`]: no reason.
    pub async fn ask_leaked(&self, grant: Grant, path: &SecretPath, reason: &str) -> Result<Turning, SecretError> {
        if !is_reason(reason) {
            let why = format!("say in a line of 1 to {REASON_CHARS_MAX} characters what leaked, and how it is known");
            return Err(SecretError::invalid("reason", why));
        }
        let leaked = Leaked { by: grant.actor().id.clone(), at: self.seconds().await?, reason: reason.to_owned() };
        let word = |body: &mut Body| {
            body.leaked = Some(leaked.clone());
            body.rotation.ask_leaked()
        };
        self.say_of(&grant, path, word).await
    }

    /// Asks for the credential before, while it is there.
    ///
    /// # Errors
    /// [`SecretError::Conflict`]: there is none, or something is under way.
    pub async fn ask_back(&self, grant: Grant, path: &SecretPath) -> Result<Turning, SecretError> {
        self.say(&grant, path, Rotation::ask_back).await
    }

    /// Goes on where it halted: somebody did what the trouble says.
    ///
    /// # Errors
    /// [`SecretError::Conflict`]: it did not halt.
    pub async fn resume(&self, grant: Grant, path: &SecretPath) -> Result<Turning, SecretError> {
        self.say(&grant, path, Rotation::resume).await
    }

    async fn say(
        &self,
        grant: &Grant,
        path: &SecretPath,
        word: impl Fn(&mut Rotation) -> Result<(), NotNow>,
    ) -> Result<Turning, SecretError> {
        self.say_of(grant, path, |body| word(&mut body.rotation)).await
    }

    async fn say_of(
        &self,
        grant: &Grant,
        path: &SecretPath,
        word: impl Fn(&mut Body) -> Result<(), NotNow>,
    ) -> Result<Turning, SecretError> {
        let mut last = None;
        for _ in 0..TRIES_MAX {
            let mut turning = self.there(path).await?;
            word(&mut turning.body).map_err(not_now)?;
            turning.body.claim = None;
            match self.write(grant, &turning).await {
                Ok(()) => return self.there(path).await,
                Err(SecretError::Conflict(why)) => last = Some(why),
                Err(other) => return Err(other),
            }
        }
        Err(SecretError::Conflict(last.unwrap_or_else(|| format!("{path} changes all the time: try again"))))
    }

    /// Whether settings do what they say with a secret, as far as that is known without opening it.
    async fn is_settled(&self, secret: &Secret, wish: &TurningWish) -> Result<(), SecretError> {
        wish.settings.check().map_err(unfit)?;
        if wish.settings.schedule.windows.len() > WINDOWS_MAX {
            return Err(SecretError::invalid("windows", format!("at most {WINDOWS_MAX}")));
        }
        is_exchangeable(secret.kind(), secret.ends().is_some())?;
        let now = self.vault.now().await?;
        let is_current = |version: &Version| version.labels.iter().any(|label| label == Label::CURRENT);
        let current = secret.versions(now).into_iter().find(is_current);
        let has = |name: &str| current.as_ref().is_none_or(|version| version.fields.iter().any(|field| field == name));
        match () {
            () if wish.place.product.is_none() && !has("engine") => Err(SecretError::invalid(
                "driver",
                format!("the secret has no field `engine`: {}", super::place::DRIVERS),
            )),
            () if !has("username") => Err(SecretError::invalid(
                "secret",
                "it has no field `username`: write one, since a rotation says whose password it is",
            )),
            () => Ok(()),
        }
    }

    /// Writes the record, and the labels that follow from it.
    pub(super) async fn write(&self, grant: &Grant, turning: &Turning) -> Result<(), SecretError> {
        let beside = Beside { grant, path: &turning.path, is_rotated: true };
        let record = turning.record(grant, self.seconds().await?)?;
        self.vault.relabel(beside, Some(turning.labels()), record).await
    }

    pub(super) async fn there(&self, path: &SecretPath) -> Result<Turning, SecretError> {
        let none = || SecretError::NotFound(format!("no rotation of {path} is set up"));
        self.look(path).await?.ok_or_else(none)
    }

    /// The time, in seconds since 1970, if it can be believed.
    pub(super) async fn seconds(&self) -> Result<u64, SecretError> {
        Ok(u64::try_from(self.vault.now().await?.unix()).unwrap_or_default())
    }

    async fn last(&self, path: &SecretPath) -> Result<Option<Turning>, SecretError> {
        let record = self.vault.ledger().record_get(ROTATION, path.as_str()).await?;
        record.map(|record| Turning::of(record.into_inner())).transpose()
    }
}

/// What has a user and a password, and no end of its own.
fn is_exchangeable(kind: Kind, has_end: bool) -> Result<(), SecretError> {
    let has_login = match kind {
        Kind::DatabasePassword | Kind::DatabaseConnection | Kind::CacheConnection => true,
        Kind::ServiceAccount | Kind::QueueConnection => true,
        Kind::Generic | Kind::ApiKey | Kind::OauthClient => false,
        Kind::OauthToken | Kind::JwtSigningKey | Kind::WebhookSecret | Kind::ObjectStorageConnection => false,
        // On hosts, through their agents.
        Kind::SshKey => true,
        Kind::CertificateBundle | Kind::TotpSeed | Kind::Note | Kind::File => false,
    };
    match (has_login, has_end) {
        (true, false) => Ok(()),
        (true, true) => Err(SecretError::invalid(
            "secret",
            "its current version has an end of its own: write one without, since a rotation may go back to it",
        )),
        (false, _) => Err(SecretError::invalid(
            "secret",
            format!(
                "a {kind} is not exchanged by a driver: {} are",
                "database-password, service-account, ssh-key and the connections to databases, caches and queues"
            ),
        )),
    }
}

/// Whether what is exchanged is what the driver exchanges.
fn is_of_its_kind(at: &At, kind: Kind, fields: &Fields) -> Result<(), SecretError> {
    let has_passphrase = fields.text("passphrase").is_some();
    match (at.product == Product::Ssh, kind == Kind::SshKey) {
        (true, true) if has_passphrase => Err(SecretError::invalid(
            "secret",
            "its key lies under a passphrase, which the next one would not: write one without (`--remove passphrase`)",
        )),
        (true, true) | (false, false) => Ok(()),
        (true, false) => Err(SecretError::invalid("driver", format!("ssh exchanges keys, and this is a {kind}"))),
        (false, true) => {
            Err(SecretError::invalid("driver", format!("keys on hosts are exchanged by ssh, not by {}", at.product)))
        }
    }
}

/// Where it is. The name of a program or a hook is said, and never taken from a field: whoever writes that would choose among them.
fn place(wish: &TurningWish, fields: &Fields) -> Result<At, SecretError> {
    let field = |name: &str| fields.text(name).map(str::to_owned);
    let Place { product, host, port, database } = wish.place.clone();
    let product = product.or_else(|| Product::of(&field("engine")?).filter(|product| !product.is_outside()));
    let is_outside = product.is_some_and(Product::is_outside);
    let of_fields = |name: &str| field(name).filter(|_| !is_outside);
    let place = Place {
        product,
        host: host.or_else(|| of_fields("host")),
        port: port.or_else(|| of_fields("port")?.parse().ok()).filter(|_| !is_outside),
        database: database.or_else(|| of_fields("database")).filter(|_| !is_outside),
    };
    place.at(wish.admin.as_ref(), wish.line.clone())
}

pub(super) fn not_now(error: NotNow) -> SecretError {
    match error {
        NotNow::Settings(error) => unfit(error),
        other => SecretError::Conflict(other.to_string()),
    }
}

fn unfit(error: SettingsError) -> SecretError {
    SecretError::invalid("settings", error.to_string())
}

/// Whether a text says why something is done: a line, of people.
pub fn is_reason(text: &str) -> bool {
    let chars = text.chars().count();
    (1..=REASON_CHARS_MAX).contains(&chars) && !text.trim().is_empty() && !text.contains(char::is_control)
}

/// The longest reason that somebody gives.
pub const REASON_CHARS_MAX: usize = 200;
/// More windows are a calendar.
pub const WINDOWS_MAX: usize = 16;
/// Tries upon what others change all the time; then the caller is told to come back.
const TRIES_MAX: usize = 8;
const PAGE_MAX: usize = 1_000;
