//! Who begins and ends drills, and says how far they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::{Action, Actor, Grant, Resource, ResourceKind, Timestamp};
use store::{ActorStamp, Filter, Holding, Kind, Record, RecordFilter, StoreError};
use tokio::sync::Mutex;

use super::board::{Board, KIND, ROSTER, Roster, broken};
use super::drill::{Drill, NewDrill, Part};
use super::renewal::{Renewal, Why};
use super::renewing::Renewing;
use crate::craft::Office;
use crate::error::CaError;
use crate::listed::Listed;
use crate::view;

/// Who keeps them.
pub(crate) struct Drills {
    office: Office,
    board: Arc<Board>,
    /// One change at a time: they are few.
    changing: Mutex<()>,
}

/// How far one part is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Held when the drill began.
    pub held: u64,
    /// Of those: have a successor.
    pub replaced: u64,
    /// Of those: hold yet, and nothing took their place.
    pub left: u64,
}

/// How far a drill is. What neither has a successor nor is left was revoked, or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrillProgress {
    /// The drill.
    pub drill: Drill,
    /// All of it.
    pub all: Share,
    /// By owner.
    pub owners: BTreeMap<String, Share>,
}

impl Drills {
    pub(crate) async fn open(office: Office) -> Result<Drills, CaError> {
        let board = Arc::new(Board::open(office.ledger.clone()).await?);
        Ok(Drills { office, board, changing: Mutex::default() })
    }

    /// Takes in what other nodes began and ended.
    pub(crate) async fn follow(&self) -> Result<(), CaError> {
        self.board.fresh().await.map(drop)
    }

    /// Looks again for what somebody altered and somebody may have put right.
    pub(crate) async fn look_again(&self) -> Result<(), CaError> {
        self.board.look_again().await
    }

    /// When a certificate is to be renewed: from memory.
    pub(crate) fn renewal(&self, renewing: &Renewing, now: Timestamp) -> Renewal {
        match () {
            () if self.office.ledger.is_revoked(renewing.operation) => Renewal::at_once(now, Why::Revoked),
            () if view::is_dead(&self.office, &renewing.issuer) => Renewal::at_once(now, Why::IssuerEnded),
            () => Renewal::of(renewing, &self.board.read().drills),
        }
    }

    /// What is to be replaced before its time, of everything: by issuer, profile and owner.
    pub(crate) fn marked(&self) -> Vec<Part> {
        let dead = view::dead(&self.office).into_iter().map(|issuer| Part { issuer, profile: None, owner: None });
        let open = self.board.read();
        let mut parts: Vec<Part> = dead.chain(open.drills.iter().map(|drill| drill.part.clone())).collect();
        parts.dedup();
        parts
    }

    /// Begins one; without anything written where it is only to be said what it would mark.
    pub(crate) async fn begin(&self, actor: &Actor, new: NewDrill, dry: bool) -> Result<DrillProgress, CaError> {
        self.may(actor).await?;
        new.check()?;
        self.office.issuers.read().check_named(&new.part.issuer)?;
        let _changing = self.changing.lock().await;
        let (mut roster, expect) = self.board.roster().await?;
        let now = self.office.ledger.time().await?;
        let below = self.office.ledger.head().size;
        let held = held(&self.count(&new.part, below, [now, now]).await?);
        let id = format!("drill-{:08x}-{below:x}", now.unix());
        let NewDrill { part, window_secs, reason, url } = new;
        let drill = Drill {
            id,
            part,
            begun: now,
            window_secs,
            below,
            reason: reason.trim().to_owned(),
            url,
            ended: None,
            held,
        };
        if !dry {
            if roster.open.len() >= OPEN_MAX {
                return Err(CaError::Conflict(format!("{OPEN_MAX} drills are open, the most: end one first")));
            }
            roster.open.push(drill.id.clone());
            self.write(actor, (&roster, expect), (&drill, 0)).await?;
        }
        self.progress_of(drill, now).await
    }

    /// Ends one: what it marks is renewed by its life again.
    pub(crate) async fn end(&self, actor: &Actor, id: &str) -> Result<DrillProgress, CaError> {
        self.may(actor).await?;
        let _changing = self.changing.lock().await;
        let (mut roster, expect) = self.board.roster().await?;
        let (mut drill, version) = self.board.drill(id).await?;
        let now = self.office.ledger.time().await?;
        if drill.ended.is_none() {
            drill.ended = Some(now);
            roster.open.retain(|open| *open != drill.id);
            self.write(actor, (&roster, expect), (&drill, version)).await?;
        }
        self.progress_of(drill, now).await
    }

    /// How far one is.
    pub(crate) async fn progress(&self, id: &str) -> Result<DrillProgress, CaError> {
        let (drill, _) = self.board.drill(id).await?;
        self.progress_of(drill, self.office.ledger.time().await?).await
    }

    /// A page of them, ended ones too, after one by its id. One that somebody altered takes no other off the list.
    pub(crate) async fn list(&self, after: Option<String>) -> Result<Listed<Drill>, CaError> {
        let filter = RecordFilter { after, limit: PAGE, ..RecordFilter::default() };
        let Listed { items, next, altered } = Listed::of(self.office.ledger.record_page(KIND, filter).await?, PAGE);
        let read = |stored: store::Attested<store::StoredRecord>| {
            serde_json::from_value(stored.body.clone()).map_err(|e| broken(&stored.id, &e))
        };
        let items = items.into_iter().map(read).collect::<Result<Vec<Drill>, CaError>>()?;
        Ok(Listed { items, next, altered })
    }

    async fn progress_of(&self, drill: Drill, now: Timestamp) -> Result<DrillProgress, CaError> {
        // What is left holds now; what was replaced held when it began.
        let counted = held(&self.count(&drill.part, drill.below, [now, drill.begun]).await?);
        let (mut all, mut owners) = (Share::default(), BTreeMap::new());
        for (owner, [held, before]) in &drill.held {
            let [left, replaced] = counted.get(owner).copied().unwrap_or_default();
            let share = Share {
                held: *held,
                // Of those that end after its beginning: fewer can only be revoked since.
                replaced: replaced.saturating_sub(*before).min(*held),
                left: left.min(*held),
            };
            all.held += share.held;
            all.replaced += share.replaced;
            all.left += share.left;
            if share.held > 0 {
                owners.insert(owner.clone(), share);
            }
        }
        Ok(DrillProgress { drill, all, owners })
    }

    async fn count(&self, part: &Part, below: u64, from: [Timestamp; 2]) -> Result<Vec<Holding>, StoreError> {
        let filter = Filter {
            kind: Some(Kind::Certificate),
            issuer: Some(part.issuer.clone()),
            profile: part.profile.clone(),
            owner: part.owner.as_ref().map(ToString::to_string),
            ..Filter::default()
        };
        self.office.ledger.holding(filter, below, from).await
    }

    async fn write(
        &self,
        actor: &Actor,
        (roster, expect): (&Roster, u64),
        (drill, version): (&Drill, u64),
    ) -> Result<(), CaError> {
        let record = |kind, id: &str, body: Result<serde_json::Value, _>, expect| {
            Ok::<_, CaError>(Record {
                kind,
                id: id.to_owned(),
                owner: None,
                lookup: None,
                expires: None,
                body: body.map_err(|e| broken(id, &e))?,
                actor: ActorStamp::from(actor),
                expect: Some(expect),
            })
        };
        let written = self.office.ledger.record(vec![
            record(KIND, &drill.id, serde_json::to_value(drill), version)?,
            record(ROSTER, ROSTER, serde_json::to_value(roster), expect)?,
        ]);
        match written.await {
            Ok(_) => self.board.fresh().await.map(drop),
            Err(StoreError::Conflict(_)) => {
                Err(CaError::unavailable(WRITE_RETRY_SECS, "drills are being changed at this moment"))
            }
            Err(other) => Err(other.into()),
        }
    }

    async fn may(&self, actor: &Actor) -> Result<Grant, CaError> {
        self.office.gate.authorize(actor, Action::ManageAuthority, Resource::plain(ResourceKind::Authority)).await
    }
}

/// By owner; of very many those beyond the first 500 together.
fn held(counts: &[Holding]) -> BTreeMap<String, [u64; 2]> {
    let mut held: BTreeMap<String, [u64; 2]> = BTreeMap::new();
    for Holding { owner, live, replaced } in counts {
        let Some(name) = owner.as_deref() else { continue };
        let name = if held.len() < OWNERS_MAX || held.contains_key(name) { name } else { "..." };
        let sum = held.entry(name.to_owned()).or_default();
        sum[0] += live;
        sum[1] += replaced;
    }
    held
}

/// Rows of a page.
const PAGE: usize = 100;
/// Each costs every question about a certificate a comparison.
const OPEN_MAX: usize = 16;
/// Owners that a record of 64 KiB holds with their counts.
const OWNERS_MAX: usize = 500;
const WRITE_RETRY_SECS: u32 = 1;
