//! What the renewal needs of the rooms below, in a few calls; the authority answers them, and in tests a register made of rows.

use std::future::Future;

use ca::{Authority, CaError, Part, Renewing};
use policy::{Actor, Timestamp};
use serde_json::json;
use store::{ActorStamp, Credential, DueFilter, Filter, Kind, Order, Record, Renewer, State, StoreError};

use crate::summary::Summary;

/// The lease as the register has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// The version of its record.
    pub(crate) version: u64,
    /// Which node has it.
    pub(crate) node: u16,
    /// Until when.
    pub(crate) until: Timestamp,
}

/// Which certificates are due: from where on, and how many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    /// At this moment.
    pub(crate) now: Timestamp,
    /// Ending at this moment or later.
    pub(crate) ends_after: Timestamp,
    /// After this one: when it was due, and its operation.
    pub(crate) after: Option<(Timestamp, u64)>,
    /// At most so many.
    pub(crate) limit: usize,
}

/// Where a reading of what is to be replaced before its time goes on: which part, and the cursor in its list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct MarkedAt {
    pub(crate) part: usize,
    pub(crate) cursor: Option<String>,
    /// There is no more.
    pub(crate) is_end: bool,
}

/// One certificate as it stands now, and as the log knows it: no row decides here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) summary: Summary,
    /// From when on it is to be renewed: by its life, or before that because its CA ended or a drill marks it.
    pub(crate) due: Timestamp,
    /// It has a signed successor that says so.
    pub(crate) is_renewed: bool,
}

/// The desk at which renewals are asked for.
pub(crate) trait Desk: Clone + Send + Sync + 'static {
    /// The time.
    fn now(&self) -> Timestamp;

    /// Which node of the register this is.
    fn node(&self) -> u16;

    /// Certificates that are due for renewal and have no successor that says so, the longest due first, each with since when.
    fn due(&self, asked: Asked) -> impl Future<Output = Result<Vec<(Timestamp, Summary)>, StoreError>> + Send;

    /// Certificates that the server renews, of which the CA ended or a drill has come: from there on, and where to go on. A list: what
    /// it lacks proves nothing.
    fn marked(
        &self,
        at: MarkedAt,
        limit: usize,
    ) -> impl Future<Output = Result<(Vec<(Timestamp, Summary)>, MarkedAt), StoreError>> + Send;

    /// What is to be replaced before its time, by issuer, profile and owner: as it stands in memory.
    fn marks(&self) -> Vec<Part>;

    /// From when to when nobody was there before this run.
    fn away(&self) -> (Timestamp, Timestamp);

    /// One certificate, by the operation that made it.
    fn find(&self, operation: u64) -> impl Future<Output = Result<Option<Found>, StoreError>> + Send;

    /// Certificates that might have taken its place without saying so. A list: what it lacks proves nothing.
    fn candidates(&self, of: &Summary) -> impl Future<Output = Result<Vec<Summary>, StoreError>> + Send;

    /// Renews it, for the same key.
    fn renew(&self, serial_hex: &str) -> impl Future<Output = Result<Summary, CaError>> + Send;

    /// Who renews.
    fn lease(&self) -> impl Future<Output = Result<Option<Held>, StoreError>> + Send;

    /// Takes the lease from its version `expect` on, until then; false: another node was faster.
    fn take_lease(&self, expect: u64, until: Timestamp) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

impl Desk for Authority {
    fn now(&self) -> Timestamp {
        self.world().now()
    }

    fn node(&self) -> u16 {
        self.instance().get()
    }

    async fn due(&self, asked: Asked) -> Result<Vec<(Timestamp, Summary)>, StoreError> {
        let Asked { now, ends_after, after, limit } = asked;
        let due = self.ledger().due(DueFilter { until: now, ends_after, after, limit }).await?;
        Ok(due.iter().filter_map(|due| Some((due.at, Summary::of(&due.credential)?))).collect())
    }

    async fn marked(&self, at: MarkedAt, limit: usize) -> Result<(Vec<(Timestamp, Summary)>, MarkedAt), StoreError> {
        let (parts, now) = (Authority::marked(self), Desk::now(self));
        let Some(part) = parts.get(at.part) else { return Ok((Vec::new(), MarkedAt { is_end: true, ..at })) };
        let filter = Filter {
            issuer: Some(part.issuer.clone()),
            profile: part.profile.clone(),
            owner: part.owner.as_ref().map(ToString::to_string),
            renewer: Some(Renewer::Server),
            state: Some(State::Issued),
            replaced: Some(false),
            not_after_after: Some(now),
            order: Order::Expiry,
            after_cursor: at.cursor,
            limit,
            ..certificates()
        };
        let page = self.ledger().list(filter).await?;
        let due = |credential: &Credential| {
            let renewal = self.renewal(&Renewing::of(credential)?);
            let has_come = renewal.why.is_some() && renewal.from <= now;
            Summary::of(credential).filter(|_| has_come).map(|summary| (renewal.from, summary))
        };
        let found = page.items.iter().filter_map(due).collect();
        let on = match page.next {
            Some(cursor) => MarkedAt { cursor: Some(cursor), ..at },
            None => MarkedAt { part: at.part + 1, cursor: None, is_end: at.part + 1 >= parts.len() },
        };
        Ok((found, on))
    }

    fn marks(&self) -> Vec<Part> {
        Authority::marked(self)
    }

    fn away(&self) -> (Timestamp, Timestamp) {
        self.ledger().away()
    }

    async fn find(&self, operation: u64) -> Result<Option<Found>, StoreError> {
        let Some(credential) = self.ledger().credential_by_operation(operation).await? else { return Ok(None) };
        let is_renewed = self.ledger().renewed(&credential).is_some();
        let renewal = Renewing::of(&credential).map(|renewing| self.renewal(&renewing));
        Ok(Summary::of(&credential).map(|summary| {
            let due = renewal.map_or(summary.renew_at(), |renewal| renewal.from.min(summary.renew_at()));
            Found { summary, due, is_renewed }
        }))
    }

    async fn candidates(&self, of: &Summary) -> Result<Vec<Summary>, StoreError> {
        let same_key = Filter { key_hash: Some(of.key_hash), limit: PAGE_ROWS, ..certificates() };
        let mut rows = self.ledger().list(same_key).await?.items;
        if let Some(name) = of.names.first() {
            let same_name = Filter {
                name: Some(name.clone()),
                owner: of.owner.as_ref().map(ToString::to_string),
                limit: PAGE_ROWS,
                ..certificates()
            };
            rows.extend(self.ledger().list(same_name).await?.items);
        }
        Ok(rows.iter().filter_map(Summary::of).collect())
    }

    async fn renew(&self, serial_hex: &str) -> Result<Summary, CaError> {
        let issued = Authority::renew(self, &system(), serial_hex, None).await?;
        Summary::of(&issued).ok_or_else(|| CaError::Internal(format!("the successor of {serial_hex} has no validity")))
    }

    async fn lease(&self) -> Result<Option<Held>, StoreError> {
        let Some(record) = self.ledger().record_get(LEASE, LEASE).await? else { return Ok(None) };
        let node = record.body.get("node").and_then(|node| node.as_u64()).and_then(|node| u16::try_from(node).ok());
        let broken = || StoreError::Corrupt("the lease of the renewal cannot be read".to_owned());
        let until = record.expires.ok_or_else(broken)?;
        Ok(Some(Held { version: record.version, node: node.ok_or_else(broken)?, until }))
    }

    async fn take_lease(&self, expect: u64, until: Timestamp) -> Result<bool, StoreError> {
        let lease = Record {
            kind: LEASE,
            id: LEASE.to_owned(),
            owner: None,
            lookup: None,
            expires: Some(until),
            body: json!({ "node": self.node() }),
            actor: ActorStamp::from(&system()),
            expect: Some(expect),
        };
        match self.ledger().record(vec![lease]).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn system() -> Actor {
    Actor::system("renewal")
}

fn certificates() -> Filter {
    Filter { kind: Some(Kind::Certificate), order: Order::Newest, ..Filter::default() }
}

/// The kind and the id of the record that says who renews.
const LEASE: &str = "renewal-lease";
/// A successor is among the newest of its name or key, so one page has it.
const PAGE_ROWS: usize = 100;
