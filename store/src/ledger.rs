//! The ledger's face: async calls that hand work to the writer and reader threads and wait for the disk.
//!
//! `intend` and `conclude` are the two ends of the custody line: an [`Intent`] exists only after its row and leaf are
//! durable, an [`Issued`] only after its signature is. No lock is held across an await.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use hsm::{Intent, Key, Message, Mint, NotSigned, Signature};
use policy::{Timestamp, World};

use crate::credential::{Counts, Credential, Filter, Issued, Page, RevokedRow};
use crate::database::Database;
use crate::entry::{ActorStamp, Entry, Kind, RefusalEntry, Revocation};
use crate::error::StoreError;
use crate::log::{self, Head, LogKey};
use crate::pending::Pending;
use crate::prepare::{ConclusionRow, IntentRow, Op, Outcome, RecordRow, RevocationRow, refusal_tail};
use crate::queries;
use crate::reader::ReaderHandle;
use crate::record::{Record, RecordFilter, StoredRecord};
use crate::sql::Sql;
use crate::writer::{Reply, WriterHandle};
use crate::{export, keys};

/// How the log is known outside.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// The checkpoint's origin line and the log key's name: a schema-less URL without spaces or `+`.
    pub origin: String,
}

/// Operations of checkpoints have this bit and the log's size; those of the ledger are leaf indexes, far below it.
const CHECKPOINT_BIT: u64 = 1 << 63;
/// Checkpoints are signed one at a time; what was never concluded is dropped.
const CHECKPOINTS_UNDER_WAY: usize = 16;
/// Records of one call: one ACME order and all its authorizations.
const RECORDS_MAX: usize = 256;
/// Leaves that one read answers.
const PROOF_SIZE_MAX: u64 = 1 << 62;

/// A handle on the register. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ledger {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    mint: Mint,
    core: Core,
}

/// The ledger without the right to make intents: everything but the custody line's first step.
#[derive(Debug)]
pub(crate) struct Core {
    writer: WriterHandle,
    readers: ReaderHandle,
    threads: Mutex<Vec<JoinHandle<()>>>,
    pending: Arc<Pending>,
    checkpoints: Mutex<BTreeMap<u64, String>>,
    origin: String,
    world: World,
}

impl Ledger {
    /// Opens the register, makes or migrates its schema, and starts the threads. Takes the token's mint: from here on
    /// nothing is signed that is not written down.
    pub async fn open(database: Database, mint: Mint, log: LogConfig, world: World) -> Result<Ledger, StoreError> {
        let core = Core::open(database, log, world).await?;
        Ok(Ledger { inner: Arc::new(Inner { mint, core }) })
    }

    /// Writes what is queued and ends the threads. Every other handle answers `Closed` afterwards.
    pub async fn close(self) {
        let inner = self.inner;
        // Joining blocks, and a panic of a thread was its own.
        let _ = tokio::task::spawn_blocking(move || inner.core.stop()).await;
    }

    /// Writes the intent's row and leaf, and gives the right to one signature. Durable on return.
    pub async fn intend(&self, entry: Entry) -> Result<Intent, StoreError> {
        let row = Arc::new(IntentRow::new(entry, self.core().now())?);
        // A crash before the answer: the intent is durable or it is not, and nothing is signed either way.
        let operation = self.core().intend(Arc::clone(&row)).await?;
        // A crash from here to `conclude`: an intent without a conclusion, which counts as issued and raises an alarm.
        Ok(self.inner.mint.intent(operation, &row.entry.key, row.entry.message.clone()))
    }

    /// Writes the signature. Durable on return. On `Unavailable` and `Unknown` the ledger keeps the signature and
    /// goes on trying.
    pub async fn conclude(&self, signature: Signature) -> Result<Issued, StoreError> {
        let (operation, signer) = (signature.operation(), signature.key().fingerprint());
        let bytes = signature.bytes().to_vec();
        let credential = self.core().conclude(operation, Some(signer), Outcome::Issued(bytes)).await?;
        credential.issued().map_err(|_| StoreError::Corrupt(format!("operation {operation} lost its signature")))
    }

    /// Writes that certainly nothing was signed. Durable on return.
    pub async fn fail(&self, not_signed: NotSigned) -> Result<(), StoreError> {
        let outcome = Outcome::Failed(not_signed.reason().to_owned());
        self.core().conclude(not_signed.operation(), None, outcome).await.map(drop)
    }

    /// Writes the leaf of a refused request; answers its index.
    pub async fn refuse(&self, refusal: RefusalEntry) -> Result<u64, StoreError> {
        self.core().refuse(&refusal).await
    }

    /// Writes new versions of records, all or none; answers them in order ([`StoredRecord::version`]).
    pub async fn record(&self, records: Vec<Record>) -> Result<Vec<u64>, StoreError> {
        self.core().record(records).await
    }

    /// Records a key of the token, once: kind `key`, id = its fingerprint, lookup = its label. Call it for every key that
    /// signs, the log key with purpose `log`: `verify` checks signatures against these records. Answers the version.
    pub async fn record_key(&self, key: &Key, purpose: &str, actor: ActorStamp) -> Result<u64, StoreError> {
        let id = key.fingerprint_hex();
        if let Some(there) = self.record_get(keys::KIND, &id).await? {
            return Ok(there.version);
        }
        let record = keys::record(key.label(), key.algorithm(), key.spki_der(), purpose, actor);
        match self.record(vec![record]).await {
            Ok(versions) => versions.first().copied().ok_or(StoreError::Closed),
            // Another node was faster.
            Err(StoreError::Conflict(why)) => {
                self.record_get(keys::KIND, &id).await?.map(|r| r.version).ok_or(StoreError::Conflict(why))
            }
            Err(other) => Err(other),
        }
    }

    /// Revokes an operation's credential, whether its conclusion is known or not; answers the leaf's index.
    pub async fn revoke(&self, revocation: Revocation) -> Result<u64, StoreError> {
        self.core().revoke(revocation).await
    }

    /// The right to sign the log's head, where it moved since the last checkpoint.
    pub async fn intend_checkpoint(&self, log_key: &Key) -> Result<Option<Intent>, StoreError> {
        let Some((operation, text)) = self.core().intend_checkpoint().await? else { return Ok(None) };
        Ok(Some(self.inner.mint.intent(operation, log_key, Message::from(text.into_bytes()))))
    }

    /// Stores a signed checkpoint; answers the note.
    pub async fn conclude_checkpoint(&self, signature: Signature) -> Result<String, StoreError> {
        let key = signature.key();
        let log_key = LogKey::new(self.origin(), key.algorithm(), key.spki_der())?;
        self.core().conclude_checkpoint(signature.operation(), &log_key, signature.bytes()).await
    }

    /// The credential with this serial.
    pub async fn credential(&self, serial_hex: &str) -> Result<Option<Credential>, StoreError> {
        // What is not hexadecimal is no serial of ours.
        let Ok(serial) = hex::decode(serial_hex) else { return Ok(None) };
        if serial.is_empty() {
            return Ok(None);
        }
        self.core().ask(move |sql| queries::by_serial(sql, &serial)).await
    }

    /// The credential of this operation.
    pub async fn credential_by_operation(&self, operation: u64) -> Result<Option<Credential>, StoreError> {
        self.core().ask(move |sql| queries::by_operation(sql, operation)).await
    }

    /// Credentials that match, page by page.
    pub async fn list(&self, filter: Filter) -> Result<Page<Credential>, StoreError> {
        self.core().ask(move |sql| queries::list(sql, &filter)).await
    }

    /// How many match; order, cursor and limit play no part.
    pub async fn count(&self, filter: Filter) -> Result<u64, StoreError> {
        self.core().ask(move |sql| queries::count(sql, &filter)).await
    }

    /// Intents from before `older_than` that nobody concluded or revoked, oldest first, at most 1000.
    pub async fn unconcluded(&self, older_than: Timestamp) -> Result<Vec<Credential>, StoreError> {
        self.core().ask(move |sql| queries::unconcluded(sql, older_than)).await
    }

    /// Everything revoked of an issuer, expired or not.
    pub async fn revoked(&self, issuer: &str) -> Result<Vec<RevokedRow>, StoreError> {
        let issuer = issuer.to_owned();
        self.core().ask(move |sql| queries::revoked(sql, &issuer)).await
    }

    /// The newest signed credential of a kind and issuer (the current CRL).
    pub async fn latest(&self, kind: Kind, issuer: &str) -> Result<Option<Credential>, StoreError> {
        let issuer = issuer.to_owned();
        self.core().ask(move |sql| queries::latest(sql, kind, &issuer)).await
    }

    /// The present version of a record.
    pub async fn record_get(&self, kind: &str, id: &str) -> Result<Option<StoredRecord>, StoreError> {
        let (kind, id) = (kind.to_owned(), id.to_owned());
        self.core().ask(move |sql| queries::record_get(sql, &kind, &id)).await
    }

    /// Present versions of a kind that match, by id.
    pub async fn record_list(&self, kind: &str, filter: RecordFilter) -> Result<Vec<StoredRecord>, StoreError> {
        let kind = kind.to_owned();
        self.core().ask(move |sql| queries::record_list(sql, &kind, &filter)).await
    }

    /// How much there is. Reads every operation: for a gauge, not for a request.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        self.core().ask(queries::counts).await
    }

    /// The log's head as committed.
    pub async fn head(&self) -> Result<Head, StoreError> {
        self.core().ask(queries::head).await
    }

    /// The newest checkpoint, a signed note.
    pub async fn checkpoint(&self) -> Result<Option<String>, StoreError> {
        self.core().ask(|sql| Ok(queries::checkpoint(sql)?.map(|(_, note)| note))).await
    }

    /// A tile of hashes, `width` of them (256 is a full tile); none where the log does not reach.
    pub async fn tile(&self, level: u8, n: u64, width: u16) -> Result<Option<Vec<u8>>, StoreError> {
        self.core().ask(move |sql| log::tile(sql, level, n, width)).await
    }

    /// A bundle of leaves, `width` of them (256 is a full one); none where the log does not reach.
    pub async fn entries(&self, n: u64, width: u16) -> Result<Option<Vec<u8>>, StoreError> {
        self.core().ask(move |sql| log::entries(sql, n, width)).await
    }

    /// Leaves with their indexes, at most 1000 from the range's start.
    pub async fn leaves(&self, range: Range<u64>) -> Result<Vec<(u64, String)>, StoreError> {
        self.core().ask(move |sql| queries::leaves(sql, range.start, range.end)).await
    }

    /// RFC 6962 audit path of a leaf in the tree of `size` leaves; none where `index < size <= head` does not hold.
    pub async fn inclusion_proof(&self, index: u64, size: u64) -> Result<Option<Vec<[u8; 32]>>, StoreError> {
        if index >= size || size > PROOF_SIZE_MAX {
            return Ok(None);
        }
        let proof = move |sql: &mut dyn Sql| {
            if size > queries::head(sql)?.size {
                return Ok(None);
            }
            log::inclusion_proof(sql, index, size).map(Some)
        };
        self.core().ask(proof).await
    }

    /// Writes the log and its rows, up to the newest checkpoint, into a new folder that [`verify`](fn@crate::verify) reads
    /// without a database. EXPORT.md has its layout.
    pub async fn export(&self, dir: &Path) -> Result<(), StoreError> {
        let dir = dir.to_owned();
        self.core().ask(move |sql| export::export(sql, &dir)).await
    }

    /// For benches: writes the conclusion of an intent with a made-up signature, as `conclude` would write a real one.
    #[cfg(feature = "testing")]
    pub async fn conclude_unsigned(&self, intent: Intent, signature: Vec<u8>) -> Result<Issued, StoreError> {
        let signer = Some(intent.key().fingerprint());
        let credential = self.core().conclude(intent.operation(), signer, Outcome::Issued(signature)).await?;
        credential.issued().map_err(|_| StoreError::Closed)
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        &self.core().origin
    }

    /// The C2SP verifier key string of the log key.
    pub fn verifier_key(&self, log_key: &Key) -> Result<String, StoreError> {
        log::verifier_key(self.origin(), log_key.algorithm(), log_key.spki_der())
    }

    fn core(&self) -> &Core {
        &self.inner.core
    }
}

impl Core {
    pub(crate) async fn open(database: Database, log: LogConfig, world: World) -> Result<Core, StoreError> {
        log::check_origin(&log.origin)?;
        let pending = Arc::new(Pending::default());
        let for_writer = Arc::clone(&pending);
        let start = move || -> Result<_, StoreError> {
            let (writer, thread) = WriterHandle::start(database.clone(), for_writer)?;
            let (readers, mut threads) = ReaderHandle::start(&database)?;
            threads.push(thread);
            Ok((writer, readers, threads))
        };
        let started = tokio::task::spawn_blocking(start).await;
        let (writer, readers, threads) = started.map_err(|e| StoreError::Unavailable(e.to_string()))??;
        let (threads, checkpoints) = (Mutex::new(threads), Mutex::default());
        Ok(Core { writer, readers, threads, pending, checkpoints, origin: log.origin, world })
    }

    pub(crate) fn stop(&self) {
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        if threads.is_empty() {
            return;
        }
        self.writer.stop();
        self.readers.stop();
        for thread in threads {
            let _ = thread.join();
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.world.now()
    }

    async fn ask<T, F>(&self, question: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut dyn Sql) -> Result<T, StoreError> + Send + 'static,
    {
        self.readers.ask(question).await
    }

    async fn write_for_index(&self, op: Op) -> Result<u64, StoreError> {
        match self.writer.write(op).await? {
            Reply::Index(index) => Ok(index),
            other => Err(StoreError::Corrupt(format!("the writer answered {other:?}"))),
        }
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
            Some(row) => queries::intended(operation, &row),
            None => self.read_intended(operation).await?,
        };
        if signer.is_some_and(|signer| signer != intended.signing_key_hash) {
            return Err(StoreError::Invalid(format!("operation {operation} was intended for another key")));
        }
        let row = ConclusionRow::new(operation, intended.kind.as_str(), &intended.serial, outcome, self.now());
        let row = Arc::new(row);
        match self.writer.write_surely(Op::Conclude(Arc::clone(&row))).await? {
            Reply::Index(_) => {}
            other => return Err(StoreError::Corrupt(format!("the writer answered {other:?}"))),
        }
        Ok(queries::concluded(intended, &row))
    }

    /// The intent of an operation that is no longer in memory.
    async fn read_intended(&self, operation: u64) -> Result<Credential, StoreError> {
        let there = self.ask(move |sql| queries::by_operation(sql, operation)).await?;
        let there = there.ok_or_else(|| StoreError::NotFound(format!("operation {operation}")))?;
        match there.concluded_at {
            Some(_) => Err(StoreError::Conflict(format!("operation {operation} is concluded already"))),
            None => Ok(there),
        }
    }

    pub(crate) async fn refuse(&self, refusal: &RefusalEntry) -> Result<u64, StoreError> {
        let tail = refusal_tail(refusal, self.now())?;
        self.write_for_index(Op::Refuse(Arc::new(tail))).await
    }

    pub(crate) async fn record(&self, records: Vec<Record>) -> Result<Vec<u64>, StoreError> {
        if records.is_empty() || records.len() > RECORDS_MAX {
            return Err(StoreError::Invalid(format!("1 to {RECORDS_MAX} records at once")));
        }
        let now = self.now();
        let rows = records.into_iter().map(|record| RecordRow::new(record, now)).collect::<Result<Vec<_>, _>>()?;
        match self.writer.write(Op::Record(Arc::new(rows))).await? {
            Reply::Versions(versions) => Ok(versions),
            other => Err(StoreError::Corrupt(format!("the writer answered {other:?}"))),
        }
    }

    pub(crate) async fn revoke(&self, revocation: Revocation) -> Result<u64, StoreError> {
        let operation = revocation.operation;
        let there = self.ask(move |sql| queries::by_operation(sql, operation)).await?;
        let there = there.ok_or_else(|| StoreError::NotFound(format!("operation {operation}")))?;
        let row = RevocationRow::new(revocation, there.kind.as_str(), &there.serial, self.now())?;
        self.write_for_index(Op::Revoke(Arc::new(row))).await
    }

    /// The operation and the text of the next checkpoint.
    pub(crate) async fn intend_checkpoint(&self) -> Result<Option<(u64, String)>, StoreError> {
        let (head, before) = self.ask(|sql| Ok((queries::head(sql)?, queries::checkpoint(sql)?))).await?;
        let signed = before.as_ref().map_or(0, |(size, _)| *size);
        if head.size == signed {
            return Ok(None);
        }
        if let Some((size, note)) = before {
            self.still_extends(head.size, size, &note).await?;
        }
        let text = log::checkpoint_text(&self.origin, head.size, &head.root);
        let operation = CHECKPOINT_BIT | head.size;
        let mut under_way = self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.insert(operation, text.clone());
        if under_way.len() > CHECKPOINTS_UNDER_WAY {
            under_way.pop_first();
        }
        Ok(Some((operation, text)))
    }

    /// "A log MUST not sign any checkpoint which is inconsistent with any checkpoint it previously signed."
    async fn still_extends(&self, head: u64, size: u64, note: &str) -> Result<(), StoreError> {
        let signed = log::Checkpoint::parse(note).map_err(StoreError::Corrupt)?;
        if size != signed.size || size > head {
            return Err(StoreError::Corrupt(format!(
                "the log has {head} leaves, its newest checkpoint {}",
                signed.size
            )));
        }
        if self.ask(move |sql| log::root_at(sql, size)).await? != signed.root {
            return Err(StoreError::Corrupt(format!("the log does not extend its checkpoint of {size} leaves")));
        }
        Ok(())
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
        let reply = self.writer.write(Op::Checkpoint(size, note.into())).await?;
        let Reply::Note(ours) = reply else {
            return Err(StoreError::Corrupt(format!("the writer answered {reply:?}")));
        };
        // Another node's note for the same head may have come first, and stands.
        Ok(self.ask(move |sql| queries::checkpoint_of(sql, size)).await?.unwrap_or(ours))
    }
}

#[cfg(test)]
mod tests {
    use hsm::KeyKind;
    use hsm::testing::TestToken;
    use policy::{Timestamp, World};

    use super::*;
    use crate::entry::GrantStamp;

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
            let core = Core::open(database, LogConfig { origin: "o".into() }, world).await.unwrap();
            let row = Arc::new(IntentRow::new(entry(&key), core.now()).unwrap());
            let op = core.intend(row).await.unwrap();
            let signed = |byte| Outcome::Issued(vec![byte]);
            let foreign = core.conclude(op, Some([9; 32]), signed(1)).await;
            assert!(matches!(foreign, Err(StoreError::Invalid(_))), "{foreign:?}");
            // In memory the intent was taken; the register still has it.
            core.conclude(op, Some(key.fingerprint()), signed(1)).await.unwrap();
            let again = core.conclude(op, Some(key.fingerprint()), signed(2)).await;
            assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
            // Past the reader's look, the register's own index refuses.
            let row = ConclusionRow::new(op, "certificate", &[1], signed(2), core.now());
            let forced = core.writer.write(Op::Conclude(Arc::new(row))).await;
            assert!(matches!(forced, Err(StoreError::Conflict(_))), "{forced:?}");
            let unknown = core.conclude(op + 1, None, Outcome::Failed("no".into())).await;
            assert!(matches!(unknown, Err(StoreError::NotFound(_))), "{unknown:?}");
            core.stop();
        });
    }
}
