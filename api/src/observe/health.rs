//! How the service is: whether it would issue now, what somebody should look at, and what a scrape reads.

use std::sync::Arc;
use std::time::Duration;

use ca::{Authority, TokenHealth as Health};
use lifecycle::RenewalWatch;
use policy::{Grant, World};
use serde::Serialize;
use store::{Ledger, StoreError};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::forecast::Surveyor;
use super::metrics::{Own, Readings};

/// Alarms told one by one; the rest is a number.
const ALARMS_MAX: usize = 20;

/// For saying whether we are ready: whoever probes waits a few seconds at most, and a register that takes longer issues nothing
/// in time either.
const READY_MAX: Duration = Duration::from_secs(2);

/// Whether something would be issued now.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Readiness {
    hsm: bool,
    register: bool,
}

impl Readiness {
    /// Both rooms answer.
    pub(crate) fn is_ready(self) -> bool {
        self.hsm && self.register
    }
}

/// The HSM.
#[derive(Serialize, ToSchema)]
pub(crate) struct HsmStatus {
    /// `ready`, `healing`, `locked`.
    pub(crate) state: &'static str,
    /// What was seen.
    pub(crate) why: Option<String>,
}

impl HsmStatus {
    /// The token's health in words.
    pub(crate) fn of(health: Health) -> Self {
        match health {
            Health::Ready => Self { state: "ready", why: None },
            Health::Healing { why } => Self { state: "healing", why: Some(why) },
            Health::Locked { why } => Self { state: "locked", why: Some(why) },
        }
    }
}

/// Looks after the rooms below.
pub(crate) struct Lookout {
    authority: Authority,
    ledger: Ledger,
    world: World,
    renewals: RenewalWatch,
    surveyor: Arc<Surveyor>,
    /// One probe asks the register at a time: behind a frozen database they would fill the readers' queue.
    probe: Arc<Semaphore>,
}

impl Lookout {
    /// A lookout over these rooms.
    pub(crate) fn new(
        authority: Authority,
        ledger: Ledger,
        world: World,
        renewals: RenewalWatch,
        surveyor: Arc<Surveyor>,
    ) -> Self {
        Self { authority, ledger, world, renewals, surveyor, probe: Arc::new(Semaphore::new(1)) }
    }

    /// Asks the rooms below. One that does not answer in time is not ready.
    pub(crate) async fn readiness(&self) -> Readiness {
        let health = self.authority.health();
        Readiness {
            hsm: health.token == Health::Ready && health.held.is_none(),
            register: timeout(READY_MAX, self.register_answers()).await.unwrap_or(false),
        }
    }

    async fn register_answers(&self) -> bool {
        let Ok(turn) = Arc::clone(&self.probe).acquire_owned().await else { return false };
        let ledger = self.ledger.clone();
        // In a task of its own: the turn lasts until the register answers, not until the probe has given up.
        let asked = tokio::spawn(async move {
            let _turn = turn;
            ledger.follow().await.is_ok()
        });
        asked.await.unwrap_or(false)
    }

    /// What somebody should look at, in sentences.
    pub(crate) async fn alarms(&self, _grant: &Grant) -> Result<Vec<String>, StoreError> {
        let health = self.authority.health();
        let mut alarms: Vec<String> = match health.token {
            Health::Ready => Vec::new(),
            Health::Healing { why } => vec![format!("The HSM does not answer and is being brought back: {why}.")],
            Health::Locked { why } => {
                vec![format!("The HSM refused the PIN ({why}); it is not tried again before a restart.")]
            }
        };
        alarms.extend(health.held.map(|why| format!("Nothing is issued: {why}.")));
        alarms.extend(health.ended.into_iter().map(|why| format!("{why}.")));
        let integrity = self.ledger.integrity();
        alarms.extend(integrity.held.map(|why| format!("Nothing is written: {why}.")));
        alarms.extend(integrity.alarms.iter().rev().take(ALARMS_MAX).map(|alarm| {
            format!(
                "The register was altered: {}: {} (met {} times since {}).",
                alarm.place, alarm.says, alarm.times, alarm.at
            )
        }));
        let found = lifecycle::alarms(&self.ledger, self.world.now(), &self.renewals, ALARMS_MAX).await?;
        alarms.extend(found.first.iter().map(ToString::to_string));
        if found.total > ALARMS_MAX as u64 {
            alarms.push(format!("There are {} more alarms.", found.total - ALARMS_MAX as u64));
        }
        Ok(alarms)
    }

    /// What a scrape reads although the register is away.
    pub(crate) fn own(&self) -> Own {
        let integrity = self.ledger.integrity();
        Own { audited: self.ledger.audited(), alarms: integrity.alarms_total, held: integrity.held.is_some() }
    }

    /// What a scrape reads.
    pub(crate) async fn readings(&self, grant: &Grant) -> Result<Readings, StoreError> {
        let counts = self.ledger.counts().await?;
        let survey = self.surveyor.survey(grant, None).await?;
        Ok(Readings {
            hsm_ready: self.authority.health().token == Health::Ready,
            log_size: counts.leaves,
            unconcluded: counts.intended,
            states: vec![
                ("intended", counts.intended),
                ("issued", counts.issued),
                ("failed", counts.failed),
                ("revoked", counts.revoked),
            ],
            expiring: survey.buckets.iter().map(|(bucket, expiring)| (bucket.as_str(), expiring.count)).collect(),
        })
    }
}
