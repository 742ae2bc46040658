//! What the ledger does but for making intents: prepare, hand to the writer, ask the readers.

pub(crate) mod meeting;

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hsm::{Message, Pool};
use policy::{Timestamp, World};

use crate::attest::{self, Attested};
use crate::clock::{self, Clock};
use crate::derived::rebuild::{Rebuilt, rebuild};
use crate::forms::schema::{is_migrated, migrate};
use crate::log::{self, Checkpoint, Head, LogKey};
use crate::nouns::condition::{Condition, Conditions};
use crate::nouns::credential::Credential;
use crate::nouns::database::Database;
use crate::nouns::entry::{ActorStamp, Entry, LostRevocation, RefusalEntry, Revocation};
use crate::nouns::error::StoreError;
use crate::nouns::held::{Held, Witness};
use crate::nouns::record::Record;
use crate::queries;
use crate::reader::{Follower, Lane, ReaderHandle};
use crate::rows::{ConclusionRow, IntentRow, Op, Outcome, RecordRow, RevocationRow, refusal_tail};
use crate::sql::{Sql, Use, Value, connect, make, own_sessions};
use crate::truth::{self, Anchor, Before, Divergence, Integrity, Node, RecordKey, TokenNote, record_key};
use crate::verify::{self, AuditState, NEW_TILES, Patrol};
use crate::writer::pending::Pending;
use crate::writer::{Reply, WriterHandle};

/// Operations of checkpoints have this bit and the log's size; those of the ledger are leaf indexes, far below it.
const CHECKPOINT_BIT: u64 = 1 << 63;
/// Checkpoints are signed one at a time; what was never concluded is dropped.
const CHECKPOINTS_UNDER_WAY: usize = 16;
/// So much is hashed on an async thread: well under a tenth of a millisecond.
const HASHED_BYTES_MAX: usize = 65_536;
/// What the threads have to end in: a database that is frozen holds them for as long as it likes, and what was not answered by then
/// was not promised.
const STOP_MAX: Duration = Duration::from_secs(2);
const STOP_POLL: Duration = Duration::from_millis(5);
/// What the token has to keep the last checkpoint in.
const LAST_NOTE_MAX: Duration = Duration::from_secs(1);
/// A node that was killed a moment ago has its number until the server notices.
const CLAIM_MAX: Duration = Duration::from_secs(3);
const CLAIM_PAUSE: Duration = Duration::from_millis(100);
/// Records of one call: one ACME order and all its authorizations.
const RECORDS_MAX: usize = 256;

/// How the log is known outside.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// The checkpoint's origin line and the log key's name: a schema-less URL without spaces or `+`.
    pub origin: String,
    /// A folder of this node alone, outside the database: the newest head it saw, by which a register that was put back is
    /// noticed, and an image of the fold, which a start goes on from. The newest signed checkpoint is kept in the token too.
    /// Without a folder none of it is kept.
    pub state: Option<PathBuf>,
    /// This node's number, where it is to have it alone: a second node with the same one is refused. Its serials begin with it.
    pub instance: Option<u16>,
}

/// From where a node that had stopped goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// The register's head, which is the node's from now on.
    pub head: Head,
    /// The newest head this node knew. Leaves of it that the register lacks are lost.
    pub known: Option<Head>,
    /// Revocations that the register lost and this node knew: they were written again.
    pub revoked_again: u64,
    /// Records of which this node knew another version, as kind and id, the first [`RESUMED_RECORDS_MAX`]: whoever ended a token or an
    /// account since has to do it again.
    pub older: Vec<(String, String)>,
}

/// Records that are named to an operator.
pub const RESUMED_RECORDS_MAX: usize = 1_000;

/// A signed head of the log, as it is published.
#[derive(Clone, Debug)]
pub struct SignedHead {
    /// How many leaves it is of.
    pub size: u64,
    /// The checkpoint, a signed note.
    pub note: Arc<str>,
    /// Since when this node has it.
    pub since: Timestamp,
}

/// What a register is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// To serve.
    Serve,
    /// To serve; what is missing is made.
    Found,
    /// For an operator's work on a register that this node knows, beside no service of this node.
    Alone,
    /// To go on from a head that this node did not know.
    Resume,
}

/// The ledger without the right to make intents: everything but the custody line's first step.
#[derive(Debug)]
pub(crate) struct Register {
    writer: WriterHandle,
    readers: ReaderHandle,
    threads: Mutex<Vec<JoinHandle<()>>>,
    pending: Arc<Pending>,
    checkpoints: Mutex<BTreeMap<u64, String>>,
    /// The newest checkpoint that this node signed, or saw signed by the log key.
    signed: RwLock<Option<SignedHead>>,
    /// None where the node keeps nothing outside the database.
    token_note: Option<TokenNote>,
    pub node: Arc<Node>,
    patrol: Patrol,
    follower: Follower,
    clock: Arc<Clock>,
    conditions: Arc<Conditions>,
    /// When somebody wrote last before this node opened the register, and when that was.
    away: (Timestamp, Timestamp),
}

/// Takes this node's number, or says who has it.
fn claimed(sql: &mut dyn Sql, number: u16) -> Result<(), StoreError> {
    let give_up = Instant::now() + CLAIM_MAX;
    while let Some(who) = sql.claim(number)? {
        if Instant::now() >= give_up {
            return Err(StoreError::Taken { instance: number, who });
        }
        std::thread::sleep(CLAIM_PAUSE);
    }
    Ok(())
}

impl Register {
    pub(crate) async fn open(
        database: Database,
        pool: &Pool,
        log: LogConfig,
        world: World,
        opening: Opening,
    ) -> Result<(Register, Option<(Before, Anchor)>), StoreError> {
        log::check_origin(&log.origin)?;
        // A connection lives and ends off the async threads: PostgreSQL's brings a runtime of its own.
        let (known, origin) = (database.clone(), log.origin.clone());
        let sealed = blocking(move || {
            if opening == Opening::Found {
                make(&known)?;
            }
            own_sessions(&known, Use::Write)?;
            let mut sql = connect(&known, Use::Write)?;
            match opening {
                Opening::Found => migrate(sql.as_mut())?,
                Opening::Serve | Opening::Alone | Opening::Resume => is_migrated(sql.as_mut())?,
            }
            named_alike(sql.as_mut(), &origin)?;
            truth::read_sealed(sql.as_mut())
        })
        .await?;
        let (key, made) = truth::open_key(pool, &log.origin, sealed.clone()).await?;
        // Before the head is read: what another node signs meanwhile must not look like something that was taken away.
        let token_note = log.state.as_ref().map(|_| TokenNote::new(pool, &log.origin));
        let in_token = match &token_note {
            Some(note) => note.newest().await?,
            None => None,
        };
        let pending = Arc::new(Pending::default());
        let clock = Arc::new(Clock::new(world.clone()));
        let (for_writer, writers_clock) = (Arc::clone(&pending), Arc::clone(&clock));
        let conditions = Arc::new(Conditions::default());
        let for_threads = Arc::clone(&conditions);
        let (writer, readers, threads, node, resumed, away) = blocking(move || {
            let mut sql = connect(&database, Use::Write)?;
            if sealed.is_none() {
                keep_key(sql.as_mut(), &made)?;
            }
            let open = match opening {
                Opening::Serve | Opening::Found => Anchor::open,
                Opening::Alone | Opening::Resume => Anchor::open_alone,
            };
            let anchor = log.state.as_deref().map(open).transpose()?;
            if let Some(number) = log.instance {
                claimed(sql.as_mut(), number)?;
            }
            let (node, resumed) = match anchor {
                Some(anchor) if opening == Opening::Resume => {
                    let (node, before) = Node::resume(sql.as_mut(), &log.origin, key, (&anchor, in_token), world)?;
                    (node, Some((before, anchor)))
                }
                anchor @ (Some(_) | None) => {
                    let node = Node::load(sql.as_mut(), &log.origin, key, (anchor, in_token), world)?;
                    truth::last_leaves(&node, sql.as_mut())?;
                    (node, None)
                }
            };
            let node = Arc::new(node);
            writers_clock.begin(&node);
            let away = (writers_clock.in_force(), writers_clock.shows());
            let (readers, mut threads) = ReaderHandle::start(&database, &for_threads)?;
            let (writer, thread) = WriterHandle::start(
                database,
                sql,
                Arc::clone(&node),
                for_writer,
                writers_clock,
                for_threads,
                log.instance,
            )?;
            threads.push(thread);
            Ok((writer, readers, threads, node, resumed, away))
        })
        .await?;
        let register = Register {
            writer,
            readers,
            threads: Mutex::new(threads),
            pending,
            checkpoints: Mutex::default(),
            signed: RwLock::default(),
            token_note,
            node,
            patrol: Patrol::default(),
            follower: Follower::default(),
            clock,
            conditions,
            away,
        };
        Ok((register, resumed))
    }

    /// The leaf that says why is durable: now the token and the folder let go of the history that is given up. Whatever breaks off
    /// leaves one of them, and with it a start that is refused until the same command is given again.
    pub(crate) async fn go_on(&self, anchor: Anchor) -> Result<(), StoreError> {
        if let Some(note) = &self.token_note {
            note.forget().await?;
        }
        let node = Arc::clone(&self.node);
        blocking(move || node.go_on(anchor)).await
    }

    /// Where nodes meet; none where nothing is kept outside the database.
    pub(crate) fn token_note(&self) -> Option<&TokenNote> {
        self.token_note.as_ref()
    }

    /// Keeps the newest signed checkpoint in the token: the node ends. One that is held does not: its register may be the wrong one.
    pub(crate) async fn note_in_token(&self) {
        let signed = self.signed().clone();
        if let (Some(note), Some(signed), Ok(())) = (&self.token_note, signed, self.node.not_held()) {
            let kept = tokio::time::timeout(LAST_NOTE_MAX, note.keep_at_once(signed.size, &signed.note)).await;
            if kept.is_err() {
                tracing::warn!("the token did not keep the last checkpoint in time");
            }
        }
    }

    pub(crate) fn stop(&self) {
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        if threads.is_empty() {
            return;
        }
        let until = Instant::now() + STOP_MAX;
        self.readers.stop();
        self.writer.stop(until);
        for thread in threads {
            while !thread.is_finished() && Instant::now() < until {
                std::thread::sleep(STOP_POLL);
            }
            match thread.is_finished() {
                // A panic of a thread was its own.
                true => drop(thread.join()),
                false => {
                    tracing::warn!(thread = thread.thread().name(), "the database holds a thread, which is left behind")
                }
            }
        }
        if let Err(error) = self.node.write_image(true) {
            tracing::warn!(%error, "the fold was not written down: the next start reads more of the log");
        }
    }

    /// Derives the projections anew, over a connection of its own.
    pub(crate) async fn rebuild(
        &self,
        database: Database,
        mut pages: impl FnMut(u64) + Send + 'static,
    ) -> Result<Rebuilt, StoreError> {
        let node = Arc::clone(&self.node);
        blocking(move || rebuild(connect(&database, Use::Write)?.as_mut(), &node, &mut pages)).await
    }

    /// Follows what other nodes appended, and notices a log that was cut or exchanged although nobody writes. Done every second
    /// for the checkpoints: a node that writes nothing hears of an operator's word here.
    pub(crate) async fn follow(&self) -> Result<(), StoreError> {
        let node = Arc::clone(&self.node);
        self.ask(Lane::Request, move |sql| Ok(node.follow(sql, false)?)).await?;
        self.clock.learn(&self.node);
        Ok(())
    }

    /// Follows for a reader who asks for a log of so many leaves. Whether it is worth a second look.
    pub(crate) async fn follow_for(&self, leaves: u64) -> Result<bool, StoreError> {
        self.follower.look(leaves, self.node.head().size, self.follow()).await
    }

    /// One step of the service's own audit: what came since the last, up to a bound, and a tile of what is old.
    pub(crate) async fn audit_step(&self) -> Result<AuditState, StoreError> {
        self.follow().await?;
        for _ in 0..NEW_TILES {
            let Some(range) = self.patrol.next_new(self.node.head().size) else { break };
            let findings = self.look(range.clone()).await?;
            self.patrol.seen_new(range.end, findings);
        }
        if let Some(range) = self.patrol.next_old(self.node.head().size, self.now()) {
            let findings = self.look(range.clone()).await?;
            self.patrol.seen_old(range, findings);
        }
        Ok(self.patrol.state())
    }

    async fn look(&self, range: Range<u64>) -> Result<u64, StoreError> {
        let node = Arc::clone(&self.node);
        let findings = self.ask(Lane::Report, move |sql| verify::look(&node, sql, range.clone())).await?;
        Ok(findings.len() as u64)
    }

    /// How far the service's own audit is.
    pub(crate) fn audited(&self) -> AuditState {
        self.patrol.state()
    }

    /// Why nothing is written any more.
    pub(crate) fn held(&self) -> Option<String> {
        match self.node.not_held() {
            Err(Divergence::Held(why)) => Some(why),
            Ok(()) | Err(Divergence::Sql(_)) => None,
        }
    }

    /// How the register is.
    pub(crate) fn integrity(&self) -> Integrity {
        self.node.integrity()
    }

    /// Whether a write would come through now.
    pub(crate) async fn probe(&self) -> Result<(), StoreError> {
        self.writer.probe().await
    }

    /// What keeps it from its work.
    pub(crate) fn condition(&self) -> Condition {
        self.conditions.now()
    }

    /// An operation, attested.
    pub(crate) async fn credential(&self, operation: u64) -> Result<Option<Attested<Credential>>, StoreError> {
        let node = Arc::clone(&self.node);
        self.ask(Lane::Request, move |sql| attest::credential(&node, sql, operation)).await
    }

    /// What this node's clock shows. Whether that becomes a row's time the writer says.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.shows()
    }

    pub(crate) fn away(&self) -> (Timestamp, Timestamp) {
        self.away
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The time, if it can be believed. Where the log is said to be ahead it is asked again: another node may have written an
    /// operator's word since.
    pub(crate) async fn time(&self) -> Result<Timestamp, StoreError> {
        if let Err(Held { by: Witness::Log, .. }) = self.clock.now() {
            self.follow().await?;
        }
        Ok(self.clock.now()?)
    }

    /// Writes an operator's word that this node's clock is right; answers it as (what was in force, what is now).
    pub(crate) async fn set_time(&self, actor: ActorStamp, reason: &str) -> Result<(Timestamp, Timestamp), StoreError> {
        self.follow().await?;
        if let Some(held) = self.clock.contradicted() {
            return Err(held.into());
        }
        let before = self.node.fold(|fold, _| fold.version(&record_key(clock::KIND, clock::ID)));
        let (from, to) = (self.clock.in_force(), self.clock.shows());
        let word = clock::word(from, to, reason, actor, before);
        let row = RecordRow::new(word, to)?;
        match self.writer.write(Op::Record(Arc::new(vec![row]))).await? {
            Reply::Versions(_) => Ok((from, to)),
            other => Err(StoreError::Corrupt(format!("the writer answered {other:?}"))),
        }
    }

    #[cfg(feature = "testing")]
    pub(crate) fn waiting(&self, lane: Lane) -> usize {
        self.readers.waiting(lane)
    }

    pub(crate) async fn ask<T, F>(&self, lane: Lane, question: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut dyn Sql) -> Result<T, StoreError> + Send + 'static,
    {
        match self.readers.ask(lane, question).await {
            Err(StoreError::Altered(says)) => Err(self.cause(says).await),
            answer => answer,
        }
    }

    /// A row that is not what the log says may be one of many, of a register that was put back or cut: then that is the cause.
    async fn cause(&self, says: String) -> StoreError {
        let node = Arc::clone(&self.node);
        match self.readers.ask(Lane::Request, move |sql| Ok(node.follow(sql, false)?)).await {
            Err(held @ StoreError::Held(_)) => held,
            Ok(()) | Err(_) => StoreError::Altered(says),
        }
    }

    async fn write_for_index(&self, op: Op) -> Result<u64, StoreError> {
        match self.writer.write(op).await? {
            Reply::Leaf(index, _) => Ok(index),
            other => Err(StoreError::Corrupt(format!("the writer answered {other:?}"))),
        }
    }

    /// An intent's row. One with much to hash is made off the async threads.
    pub(crate) async fn prepare(&self, entry: Entry) -> Result<Arc<IntentRow>, StoreError> {
        let is_large = matches!(&entry.message, Message::Whole(bytes) if bytes.len() > HASHED_BYTES_MAX);
        let now = self.now();
        let make = move || Ok(Arc::new(IntentRow::new(entry, now)?));
        if is_large { blocking(make).await } else { make() }
    }

    pub(crate) async fn intend(&self, row: Arc<IntentRow>) -> Result<u64, StoreError> {
        self.write_for_index(Op::Intend(row)).await
    }

    /// `signer`: the fingerprint of the key that signed, which must be the one intended.
    pub(crate) async fn conclude(
        &self,
        operation: u64,
        signer: Option<[u8; 32]>,
        outcome: Outcome,
    ) -> Result<Credential, StoreError> {
        let intended = match self.pending.take(operation) {
            Some((at, row)) => queries::intended(operation, at, &row),
            None => self.read_intended(operation).await?,
        };
        if signer.is_some_and(|signer| signer != intended.signing_key_hash) {
            return Err(StoreError::Invalid(format!("operation {operation} was intended for another key")));
        }
        let row = ConclusionRow::new(operation, intended.kind.as_str(), &intended.serial, outcome, self.now());
        let row = Arc::new(row);
        match self.writer.write_surely(Op::Conclude(Arc::clone(&row))).await? {
            Reply::Leaf(_, at) => Ok(queries::concluded(intended, at, &row)),
            other => Err(StoreError::Corrupt(format!("the writer answered {other:?}"))),
        }
    }

    /// The intent of an operation that is no longer in memory.
    async fn read_intended(&self, operation: u64) -> Result<Credential, StoreError> {
        let there = self.credential(operation).await?;
        let there = there.ok_or_else(|| StoreError::NotFound(format!("operation {operation}")))?;
        match there.concluded_at {
            Some(_) => Err(StoreError::Conflict(format!("operation {operation} is concluded already"))),
            None => Ok(there.into_inner()),
        }
    }

    /// Intents that nobody concluded or revoked. The fold knows them.
    pub(crate) async fn unconcluded(&self, older_than: Timestamp, most: usize) -> Result<Vec<Credential>, StoreError> {
        let operations: Vec<u64> = self.node.fold(|fold, _| fold.unconcluded(older_than).take(most).collect());
        let node = Arc::clone(&self.node);
        let look = move |sql: &mut dyn Sql| {
            let mut found = Vec::with_capacity(operations.len());
            for operation in &operations {
                found.extend(attest::credential(&node, sql, *operation)?.map(Attested::into_inner));
            }
            Ok(found)
        };
        self.ask(Lane::Report, look).await
    }

    pub(crate) async fn refuse(&self, refusal: &RefusalEntry) -> Result<u64, StoreError> {
        let now = self.now();
        self.write_for_index(Op::Refuse(now, Arc::new(refusal_tail(refusal, now)?))).await
    }

    /// `withdraws`: each takes a right away, and is written whatever the clock shows.
    pub(crate) async fn record(&self, records: Vec<Record>, withdraws: bool) -> Result<Vec<u64>, StoreError> {
        if records.is_empty() || records.len() > RECORDS_MAX {
            return Err(StoreError::Invalid(format!("1 to {RECORDS_MAX} records at once")));
        }
        if records.iter().any(|record| record.kind == clock::KIND) {
            return Err(StoreError::Invalid("the time is set by itself".into()));
        }
        let now = self.now();
        let rows = records.into_iter().map(|record| RecordRow::new(record, now).map(|row| row.withdrawing(withdraws)));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        match self.writer.write(Op::Record(Arc::new(rows))).await? {
            Reply::Versions(versions) => Ok(versions),
            other => Err(StoreError::Corrupt(format!("the writer answered {other:?}"))),
        }
    }

    pub(crate) async fn revoke(&self, revocation: Revocation) -> Result<u64, StoreError> {
        let operation = revocation.operation;
        let there = self.credential(operation).await?;
        let there = there.ok_or_else(|| StoreError::NotFound(format!("operation {operation}")))?;
        let raised = self.node.fold(|fold, _| {
            let found = fold.revocation(operation).filter(|found| found.may_be_raised_to(revocation.reason));
            found.map(|found| found.revoked_at)
        });
        let row = match raised {
            // It was revoked then, for whatever reason that was given: only the reason is raised.
            Some(at) => RevocationRow::raising(Revocation { at, ..revocation }, &there, self.now())?,
            None => RevocationRow::new(revocation, &there, self.now())?,
        };
        self.write_for_index(Op::Revoke(Arc::new(row))).await
    }

    /// The present records among these, as kind and id.
    pub(crate) async fn named(
        &self,
        keys: HashSet<RecordKey>,
        most: usize,
    ) -> Result<Vec<(String, String)>, StoreError> {
        self.ask(Lane::Report, move |sql| {
            let mut named = Vec::new();
            queries::each_present(sql, &mut |kind, id| {
                if named.len() < most && keys.contains(&record_key(kind, id)) {
                    named.push((kind.to_owned(), id.to_owned()));
                }
            })?;
            Ok(named)
        })
        .await
    }

    /// Revokes what the register does not hold.
    pub(crate) async fn revoke_lost(&self, mut revocation: LostRevocation) -> Result<u64, StoreError> {
        let (of, reason) = (&revocation.of, revocation.reason);
        let raised = self.node.fold(|fold, _| {
            let found = fold.revocation_of(&of.issuer, &of.serial).filter(|found| found.may_be_raised_to(reason));
            found.map(|found| found.revoked_at)
        });
        revocation.at = raised.unwrap_or(revocation.at);
        let row = RevocationRow::lost(revocation, self.now())?;
        self.write_for_index(Op::Revoke(Arc::new(row))).await
    }

    /// The operation and the text of the next checkpoint; none where the head is signed.
    ///
    /// "A log MUST NOT sign any checkpoint which is inconsistent with any checkpoint it previously signed": what is signed is
    /// the tree in memory, which only grows.
    pub(crate) async fn intend_checkpoint(&self, key: &LogKey) -> Result<Option<(u64, String)>, StoreError> {
        self.node.not_held()?;
        self.follow().await?;
        let signed = self.signed().clone();
        if let (Some(note), Some(signed)) = (&self.token_note, &signed) {
            note.keep(signed.size, &signed.note, self.now()).await;
        }
        let head = self.node.head();
        let newest = signed.map_or(0, |signed| signed.size);
        if head.size == newest
            || head.size <= self.node.burned()?
            || self.another_signed(head.size, head.root, key).await?
        {
            return Ok(None);
        }
        let text = log::checkpoint_text(&self.node.origin, head.size, &head.root);
        let operation = CHECKPOINT_BIT | head.size;
        let mut under_way = self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.insert(operation, text.clone());
        if under_way.len() > CHECKPOINTS_UNDER_WAY {
            under_way.pop_first();
        }
        Ok(Some((operation, text)))
    }

    /// Another node may have signed this head: a row that is none of theirs is signed over.
    async fn another_signed(&self, size: u64, root: [u8; 32], key: &LogKey) -> Result<bool, StoreError> {
        let Some(note) = self.ask(Lane::Request, move |sql| queries::checkpoint_of(sql, size)).await? else {
            return Ok(false);
        };
        let there = Checkpoint::parse(&note).ok();
        let good = there.filter(|there| there.size == size && there.root == root && key.verify(there).is_ok());
        match good {
            Some(checkpoint) => {
                self.keep_signed(checkpoint, &note)?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    pub(crate) async fn conclude_checkpoint(
        &self,
        operation: u64,
        key: &LogKey,
        signature: &[u8],
    ) -> Result<String, StoreError> {
        let text = self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner).remove(&operation);
        let text = text.ok_or_else(|| StoreError::NotFound("no such checkpoint is under way".into()))?;
        let size = operation & !CHECKPOINT_BIT;
        let note = log::sign_note(&text, key, signature);
        match self.writer.write(Op::Checkpoint(size, note.clone().into())).await? {
            Reply::Note(_) => {}
            other => return Err(StoreError::Corrupt(format!("the writer answered {other:?}"))),
        }
        self.keep_signed(Checkpoint::parse(&note).map_err(StoreError::Corrupt)?, &note)?;
        let node = Arc::clone(&self.node);
        blocking(move || node.write_image(false)).await?;
        Ok(note)
    }

    /// The newest one is kept in memory, for the public, and outside the database.
    fn keep_signed(&self, checkpoint: Checkpoint, note: &str) -> Result<(), StoreError> {
        let mut signed = self.signed.write().unwrap_or_else(PoisonError::into_inner);
        if signed.as_ref().is_none_or(|there| there.size < checkpoint.size) {
            *signed = Some(SignedHead { size: checkpoint.size, note: note.into(), since: self.now() });
            drop(signed);
            self.node.note_checkpoint(note)?;
        }
        Ok(())
    }

    pub(crate) fn signed(&self) -> std::sync::RwLockReadGuard<'_, Option<SignedHead>> {
        self.signed.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Heads signed under two names can be verified under neither, and a signed head cannot be taken back.
fn named_alike(sql: &mut dyn Sql, ours: &str) -> Result<(), StoreError> {
    let named = queries::checkpoint(sql)?.and_then(|(_, note)| Checkpoint::parse(&note).ok());
    match named.map(|newest| newest.origin).filter(|origin| origin != ours) {
        Some(origin) => Err(StoreError::Invalid(format!(
            "this register's log is `{origin}`, the configuration says `{ours}`: a log keeps its name for ever; put it back"
        ))),
        None => Ok(()),
    }
}

/// Writes the sealed head key into an empty register; another node that did so first has the last word.
fn keep_key(sql: &mut dyn Sql, sealed: &[u8]) -> Result<(), StoreError> {
    let text = "UPDATE head SET sealed_key = $1 WHERE id = $2 AND size = $3 AND sealed_key IS NULL";
    match sql.execute(text, &[Value::Blob(sealed), Value::Int(1), Value::Int(0)])? {
        1 => Ok(()),
        _ => Err(StoreError::Held(
            "the register's sealed head key is gone, or another node has just made one: start again, or look for who \
             writes this database"
                .into(),
        )),
    }
}

/// Work that waits for the disk, off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| StoreError::Unavailable(e.to_string()))?
}

#[cfg(test)]
mod tests {
    use hsm::testing::TestToken;
    use hsm::{Key, KeyKind};

    use super::*;
    use crate::nouns::entry::{ActorStamp, GrantStamp, Kind};

    fn entry(key: &Key) -> Entry {
        let actor = ActorStamp { id: "a".into(), proof: "system".into(), proof_id: String::new() };
        Entry {
            kind: Kind::Certificate,
            actor,
            grant: GrantStamp { action: "x".into(), rule: "y".into(), policy_hash: [0; 32] },
            profile: "p".into(),
            profile_hash: [0; 32],
            key: key.clone(),
            message: Message::from(b"message".to_vec()),
            serial: vec![1],
            issuer: "tls".into(),
            owner: None,
            subject: String::new(),
            names: Vec::new(),
            key_hash: [0; 32],
            validity: None,
            covers: None,
            renews: None,
            details: serde_json::Value::Null,
        }
    }

    #[test]
    fn an_operation_is_concluded_once_and_by_its_own_key() {
        let (dir, token) = (tempfile::tempdir().unwrap(), TestToken::new("ledger"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (pool, _mint) = hsm::open(token.config()).unwrap();
            let key = pool.generate("k", KeyKind::P256).await.unwrap();
            let database = Database::Sqlite(dir.path().join("r.db"));
            let world = World::fixed(Timestamp::from_unix(1), 1);
            let log = LogConfig { origin: "o".into(), state: None, instance: None };
            let (register, _) = Register::open(database, &pool, log, world, Opening::Found).await.unwrap();
            let row = Arc::new(IntentRow::new(entry(&key), register.now()).unwrap());
            let op = register.intend(row).await.unwrap();
            let signed = |byte| Outcome::Issued(vec![byte]);
            let foreign = register.conclude(op, Some([9; 32]), signed(1)).await;
            assert!(matches!(foreign, Err(StoreError::Invalid(_))), "{foreign:?}");
            // In memory the intent was taken; the register still has it.
            register.conclude(op, Some(key.fingerprint()), signed(1)).await.unwrap();
            let again = register.conclude(op, Some(key.fingerprint()), signed(2)).await;
            assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
            // Past the reader's look, the register's own index refuses.
            let row = ConclusionRow::new(op, "certificate", &[1], signed(2), register.now());
            let forced = register.writer.write(Op::Conclude(Arc::new(row))).await;
            assert!(matches!(forced, Err(StoreError::Conflict(_))), "{forced:?}");
            let unknown = register.conclude(op + 1, None, Outcome::Failed("no".into())).await;
            assert!(matches!(unknown, Err(StoreError::NotFound(_))), "{unknown:?}");
            register.stop();
        });
    }
}
