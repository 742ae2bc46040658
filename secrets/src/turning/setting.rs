//! How a rotation is set up, or changed: judged, tried by a login, written down.
//!
//! What is current is taken for what logs in. Whether it does is asked of the target first: a rotation of a password that never was the
//! one in use would take it for the old one and go back to it, where something fails. Nothing changes at the target.

use policy::Grant;

use super::base::{Rotations, not_now, unfit};
use super::place::{At, DRIVERS, Errand, Line, Login, Pinned, Place, Product, Targets};
use super::record::{Body, Turning};
use crate::error::SecretError;
use crate::kinds::{Fields, Kind};
use crate::nouns::{Label, SecretPath};
use crate::rotation::{Credential, Outcome, Rotation, Settings, Step};
use crate::vault::{Current, Secret, Version};

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
    /// Nobody tries whether what is current logs in: the target is away, or does not have it yet.
    pub is_unchecked: bool,
}

/// What setting a rotation up comes to.
enum Settled {
    /// It is as it was asked for: nothing is written.
    AsItIs(Turning),
    /// It is another from now on; and whether a login was tried.
    Anew(Turning, bool),
}

impl Rotations {
    /// Sets up a rotation of a secret, or changes one that rests or was set nowhere yet. What is current is what is in use from now on:
    /// where the place is new, the target is asked whether it logs in. The same settings at the same place change nothing, whatever is
    /// under way: who declares what there is to be says so again and again.
    ///
    /// # Errors
    /// [`SecretError::Invalid`], which says what to change; [`SecretError::Away`]: the target does not say whether it logs in;
    /// [`SecretError::Conflict`]: one is under way.
    pub async fn set(
        &self,
        grant: Grant,
        path: &SecretPath,
        wish: TurningWish,
        targets: &impl Targets,
    ) -> Result<Turning, SecretError> {
        match self.settled(&grant, path, wish, targets).await? {
            Settled::AsItIs(turning) => Ok(turning),
            Settled::Anew(turning, _) => {
                self.write(&grant, &turning).await?;
                self.there(path).await
            }
        }
    }

    /// What would be set up, judged and tried as if it were, and not written; and whether it was tried.
    ///
    /// # Errors
    /// As [`Rotations::set`].
    pub async fn set_dry(
        &self,
        grant: Grant,
        path: &SecretPath,
        wish: TurningWish,
        targets: &impl Targets,
    ) -> Result<(Turning, bool), SecretError> {
        Ok(match self.settled(&grant, path, wish, targets).await? {
            Settled::AsItIs(turning) => (turning, false),
            Settled::Anew(turning, is_tried) => (turning, is_tried),
        })
    }

    async fn settled(
        &self,
        grant: &Grant,
        path: &SecretPath,
        wish: TurningWish,
        targets: &impl Targets,
    ) -> Result<Settled, SecretError> {
        let there = self.last(path).await?;
        // What can be judged without it is judged before anything is opened.
        self.is_settled(&self.vault.there(path).await?, &wish).await?;
        let current = self.vault.current(grant, path).await?;
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
        let known = there.as_ref().filter(|turning| !turning.body.ended && turning.body.at == at);
        let is_same =
            |turning: &&Turning| turning.owner == current.owner && *turning.rotation().settings() == wish.settings;
        if let Some(same) = known.filter(is_same) {
            return Ok(Settled::AsItIs(same.clone()));
        }
        let is_known = known.is_some();
        let rotation = match there {
            Some(Turning { body: Body { mut rotation, ended: false, .. }, .. }) => {
                rotation.change(wish.settings).map_err(|error| not_now(path, error))?;
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
        // A key is brought to its hosts by the rotation itself: before that nobody can say that it logs in.
        let is_tried = !is_known && !wish.is_unchecked && at.product != Product::Ssh;
        if is_tried {
            self.logs_in(path, &at, &current, targets).await?;
        }
        let body = Body { rotation, at, claim: None, ended: false, leaked };
        let turning = Turning { path: path.clone(), owner: current.owner, version, body, changed: None };
        Ok(Settled::Anew(turning, is_tried))
    }

    /// Whether what is current logs in where it is said to.
    async fn logs_in(
        &self,
        path: &SecretPath,
        at: &At,
        current: &Current,
        targets: &impl Targets,
    ) -> Result<(), SecretError> {
        let none = |field: &str| {
            SecretError::invalid("secret", format!("its current version has no text in the field `{field}`"))
        };
        let user = current.fields.text("username").ok_or_else(|| none("username"))?.to_owned();
        let password = current.fields.text("password").ok_or_else(|| none("password"))?.to_owned();
        let credential = Credential { version: current.number, user: user.clone() };
        // The log has grown by what was opened: no two of them have one name.
        let operation = format!("{path}:login:{}", self.vault.ledger().head().size);
        let errand = Errand { at, path, owner: &current.owner, operation };
        let login = Login { user: user.clone(), secret: policy::Secret::new(password) };
        let outcome = targets.act(&errand, &Step::Test { credential }, None, &login).await;
        let (number, place) = (current.number, at.described());
        let because = |said: &str| if said.is_empty() { String::new() } else { format!(": {said}") };
        match outcome {
            Outcome::Refused(said) => Err(SecretError::invalid(
                "login",
                format!(
                    "version {number} of {path} does not log in as {user} at {place}{}. Write the password that does \
                     (chancery secret put {path}), or say where it does; where the first rotation is to set it, say that it is \
                     unchecked (--unchecked). Nothing was set up",
                    because(&said)
                ),
            )),
            Outcome::Away(said) | Outcome::Unknown(said) => Err(SecretError::Away(format!(
                "{place} did not say whether version {number} of {path} logs in as {user}{}. Set the rotation up when it answers, \
                 or say that it is unchecked (--unchecked). Nothing was set up",
                because(&said)
            ))),
            // Of a test there is nothing else to say.
            Outcome::Done | Outcome::Made(_) => Ok(()),
        }
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
            () if wish.place.product.is_none() && !has("engine") => {
                Err(SecretError::invalid("driver", format!("the secret has no field `engine`: {DRIVERS}")))
            }
            () if !has("username") => Err(SecretError::invalid(
                "secret",
                "it has no field `username`: write one, since a rotation says whose password it is",
            )),
            () => Ok(()),
        }
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
    let Place { product, host, port, database, account_host } = wish.place.clone();
    let product = product.or_else(|| Product::of(&field("engine")?).filter(|product| !product.is_outside()));
    let is_outside = product.is_some_and(Product::is_outside);
    let of_fields = |name: &str| field(name).filter(|_| !is_outside);
    let place = Place {
        product,
        host: host.or_else(|| of_fields("host")),
        port: port.or_else(|| of_fields("port")?.parse().ok()).filter(|_| !is_outside),
        database: database.or_else(|| of_fields("database")).filter(|_| !is_outside),
        account_host,
    };
    place.at(wish.admin.as_ref(), wish.line.clone())
}

/// More windows are a calendar.
pub const WINDOWS_MAX: usize = 16;
