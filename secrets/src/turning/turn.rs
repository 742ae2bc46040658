//! A turn of a rotation: step after step, until it waits for a time, a person or nothing.
//!
//! What a crash means at each place stands in `rotation/outcome.rs`; here is where the record is written.

use policy::{Action, Grant, Secret};

use super::base::Rotations;
use super::place::{Errand, Login, Targets, Warrants};
use super::record::{Claim, ROTATION, Turning};
use crate::error::SecretError;
use crate::kinds::{Fields, Kind, Patch};
use crate::nouns::{FieldName, SecretPath, Which};
use crate::rotation::{Credential, Outcome, Step, is_ahead};
use crate::vault::{Beside, Used};

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing is to be done before then, in seconds since 1970; or before somebody asks.
    Rests(Option<u64>),
    /// Nothing, until a person has done what the trouble says.
    Halted,
    /// A step was done; there is more.
    GoesOn,
}

impl Rotations {
    /// When something is to be done next, as far as its record says; `now` where it is now.
    pub fn due(&self, turning: &Turning, now: u64) -> Option<u64> {
        if let Some(until) = self.claimed(turning, now) {
            return Some(until);
        }
        turning.due(now)
    }

    /// Does what is to be done now, until there is nothing more.
    ///
    /// # Errors
    /// [`SecretError`]: a credential cannot be opened, policy refuses, the register is away. Nothing was asked of the target that its
    /// record does not say; the next turn goes on from there.
    pub async fn turn(
        &self,
        path: &SecretPath,
        warrants: &impl Warrants,
        targets: &impl Targets,
    ) -> Result<Turn, SecretError> {
        for _ in 0..STEPS_MAX {
            match self.step(path, warrants, targets).await? {
                Turn::GoesOn => {}
                ended @ (Turn::Rests(_) | Turn::Halted) => return Ok(ended),
            }
        }
        Ok(Turn::GoesOn)
    }

    /// Does one step.
    ///
    /// # Errors
    /// As [`Rotations::turn`].
    pub async fn step(
        &self,
        path: &SecretPath,
        warrants: &impl Warrants,
        targets: &impl Targets,
    ) -> Result<Turn, SecretError> {
        let turning = self.there(path).await?;
        let now = self.seconds().await?;
        if let Some(until) = self.claimed(&turning, now) {
            return Ok(Turn::Rests(Some(until)));
        }
        let step = turning.rotation().next(now);
        let outcome = match &step {
            Step::Rest { until } => return Ok(Turn::Rests(*until)),
            Step::Halt => return Ok(Turn::Halted),
            Step::Make { user } => {
                self.make(turning, &step, user, warrants).await?;
                return Ok(Turn::GoesOn);
            }
            Step::Set { credential, .. } | Step::Retire { credential, .. } => {
                return self.outside(turning, &step, credential, true, (warrants, targets)).await;
            }
            Step::Test { credential } => {
                return self.outside(turning, &step, credential, false, (warrants, targets)).await;
            }
            Step::Promote { .. } | Step::Discard { .. } | Step::GiveUp => Outcome::Done,
        };
        let grant = warrants.warrant(Action::WriteSecret, path, turning.owner()).await?;
        self.conclude(turning, &step, outcome, &grant).await?;
        Ok(Turn::GoesOn)
    }

    /// Another node is at a step of it until then.
    fn claimed(&self, turning: &Turning, now: u64) -> Option<u64> {
        let claim = turning.body.claim.filter(|claim| claim.node != self.node)?;
        let until = claim.until.saturating_add(SKEW_SECS);
        // One that a clock took which was ahead is over.
        (now < until && !is_ahead(until, now.saturating_add(CLAIM_SECS + SKEW_SECS))).then_some(until)
    }

    /// The new version, and the record that says so, in one transaction.
    async fn make(
        &self,
        mut turning: Turning,
        step: &Step,
        user: &str,
        warrants: &impl Warrants,
    ) -> Result<(), SecretError> {
        let grant = warrants.warrant(Action::WriteSecret, &turning.path, &turning.owner).await?;
        let now = self.seconds().await?;
        let (path, owner) = (turning.path.clone(), turning.owner.clone());
        let patch = Patch::new().set("username".parse::<FieldName>()?, user.as_bytes().to_vec());
        let beside = Beside { grant: &grant, path: &path, is_rotated: true };
        let made = self.vault.make(beside, &owner, patch, |number| {
            taken_down(&mut turning, step, Outcome::Made(number), now)?;
            turning.record(&grant, now)
        });
        made.await
    }

    /// Asks the target: the credentials are opened, then the step is intended, then done, then its outcome is written.
    async fn outside(
        &self,
        mut turning: Turning,
        step: &Step,
        credential: &Credential,
        is_change: bool,
        (warrants, targets): (&impl Warrants, &impl Targets),
    ) -> Result<Turn, SecretError> {
        let grant = warrants.warrant(Action::WriteSecret, &turning.path, &turning.owner).await?;
        let (login, admin) = self.logins(&turning, credential, is_change, warrants).await?;
        turning.body.rotation.intend(step);
        turning.body.claim = Some(Claim { node: self.node, until: self.seconds().await?.saturating_add(CLAIM_SECS) });
        self.write(&grant, &turning).await?;
        let entry = self.vault.ledger().record_version(ROTATION, turning.path.as_str());
        let operation = format!("{}:{entry}", turning.path);
        let errand = Errand { at: turning.at(), path: &turning.path, owner: &turning.owner, operation };
        let outcome = targets.act(&errand, step, admin.as_ref(), &login).await;
        // What was intended has another version now, which nobody else has written upon; or somebody has, and this outcome is none.
        let intended = self.there(&turning.path).await?;
        if intended.body != turning.body {
            return Err(moved(&turning.path));
        }
        self.conclude(intended, step, outcome, &grant).await?;
        Ok(Turn::GoesOn)
    }

    /// Takes down what came of a step, with the labels that follow from it.
    async fn conclude(
        &self,
        mut turning: Turning,
        step: &Step,
        outcome: Outcome,
        grant: &Grant,
    ) -> Result<(), SecretError> {
        let now = self.seconds().await?;
        taken_down(&mut turning, step, outcome, now)?;
        self.write(grant, &turning).await
    }

    /// What a step logs in with, opened by whoever may write it: that is no reading.
    async fn logins(
        &self,
        turning: &Turning,
        credential: &Credential,
        is_change: bool,
        warrants: &impl Warrants,
    ) -> Result<(Login, Option<Login>), SecretError> {
        let number = std::num::NonZeroU64::new(credential.version);
        let which = number.map(Which::Version).ok_or_else(|| moved(&turning.path))?;
        let grant = warrants.warrant(Action::WriteSecret, &turning.path, &turning.owner).await?;
        let opened = self.vault.used(&grant, &turning.path, &which).await?;
        let login = Login { user: credential.user.clone(), secret: password(&opened)? };
        let Some(admin) = turning.at().admin.as_ref().filter(|_| is_change) else { return Ok((login, None)) };
        let path: SecretPath = admin.parse()?;
        let there = self.vault.there(&path).await?;
        turning.at().is_of(&there)?;
        let grant = warrants.warrant(Action::WriteSecret, &path, there.owner()).await?;
        let opened = self.vault.used(&grant, &path, &Which::default()).await?;
        // Another life may have begun since.
        turning.at().is_of(&opened.secret)?;
        Ok((login, Some(login_of(&opened)?)))
    }
}

fn taken_down(turning: &mut Turning, step: &Step, outcome: Outcome, now: u64) -> Result<(), SecretError> {
    turning.body.claim = None;
    turning.body.rotation.outcome(step, outcome, now).map_err(|_| moved(&turning.path))
}

/// Whoever logs in with what was opened.
pub(crate) fn login_of(opened: &Used) -> Result<Login, SecretError> {
    Ok(Login { user: text(&opened.fields, "username", opened)?.to_owned(), secret: password(opened)? })
}

fn password(opened: &Used) -> Result<Secret<String>, SecretError> {
    let name = if opened.secret.kind() == Kind::SshKey { "private_key" } else { "password" };
    Ok(Secret::new(text(&opened.fields, name, opened)?.to_owned()))
}

fn text<'a>(fields: &'a Fields, name: &'static str, opened: &Used) -> Result<&'a str, SecretError> {
    let why = || format!("version {} of {} has no text in the field `{name}`", opened.number, opened.secret.path());
    fields.text(name).ok_or_else(|| SecretError::NotFound(why()))
}

fn moved(path: &SecretPath) -> SecretError {
    SecretError::Conflict(format!("the rotation of {path} moved meanwhile: it is looked at again"))
}

/// The longest rotation has eight steps; what goes on longer lets others have their turn.
const STEPS_MAX: usize = 16;
/// Longer than any step of a driver takes.
const CLAIM_SECS: u64 = 120;
/// Two nodes' clocks agree within this.
const SKEW_SECS: u64 = 30;
