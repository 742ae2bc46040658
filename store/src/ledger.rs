//! The ledger's face: async calls that hand work to the writer and reader threads and wait for the disk.
//!
//! `intend` and `conclude` are the two ends of the custody line: an [`Intent`] exists only after its row and leaf are
//! durable, an [`Issued`] only after its signature is. No lock is held across an await.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use hsm::{Intent, Key, Message, Mint, NotSigned, Signature};
use policy::{Timestamp, World};

use crate::clock::Held;
use crate::credential::{Counts, Credential, Filter, Issued, Page, RevokedKey, RevokedRow};
use crate::database::Database;
use crate::entry::{ActorStamp, Entry, Kind, RefusalEntry, Revocation};
use crate::error::StoreError;
use crate::export::{self, Exported};
use crate::keys;
use crate::log::{self, Head, LogKey};
use crate::prepare::{IntentRow, Outcome};
use crate::queries;
use crate::record::{Record, RecordFilter, StoredRecord};
use crate::register::Register;
use crate::sql::Sql;

/// How the log is known outside.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// The checkpoint's origin line and the log key's name: a schema-less URL without spaces or `+`.
    pub origin: String,
}

/// No log is ever this long; a larger number is a mistake of the caller's.
const PROOF_SIZE_MAX: u64 = 1 << 62;

/// A handle on the register. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ledger {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    mint: Mint,
    register: Register,
}

impl Ledger {
    /// Opens the register, makes or migrates its schema, and starts the threads. Takes the token's mint: from here on
    /// nothing is signed that is not written down.
    pub async fn open(database: Database, mint: Mint, log: LogConfig, world: World) -> Result<Ledger, StoreError> {
        let register = Register::open(database, log, world).await?;
        Ok(Ledger { inner: Arc::new(Inner { mint, register }) })
    }

    /// Writes what is queued and ends the threads. Every other handle answers `Closed` afterwards.
    pub async fn close(self) {
        let inner = self.inner;
        // Joining blocks, and a panic of a thread was its own.
        let _ = tokio::task::spawn_blocking(move || inner.register.stop()).await;
    }

    /// Writes the intent's row and leaf, and gives the right to one signature. Durable on return.
    pub async fn intend(&self, entry: Entry) -> Result<Intent, StoreError> {
        let row = Arc::new(IntentRow::new(entry, self.register().now())?);
        // A crash before the answer: the intent is durable or it is not, and nothing is signed either way.
        let operation = self.register().intend(Arc::clone(&row)).await?;
        // A crash from here to `conclude`: an intent without a conclusion, which counts as issued and raises an alarm.
        Ok(self.inner.mint.intent(operation, &row.entry.key, row.entry.message.clone()))
    }

    /// Writes the signature. Durable on return. On `Unavailable` and `Unknown` the ledger keeps the signature and
    /// goes on trying.
    pub async fn conclude(&self, signature: Signature) -> Result<Issued, StoreError> {
        let (operation, signer) = (signature.operation(), signature.key().fingerprint());
        let bytes = signature.bytes().to_vec();
        let credential = self.register().conclude(operation, Some(signer), Outcome::Issued(bytes)).await?;
        credential.issued().map_err(|_| StoreError::Corrupt(format!("operation {operation} lost its signature")))
    }

    /// Writes that certainly nothing was signed. Durable on return.
    pub async fn fail(&self, not_signed: NotSigned) -> Result<(), StoreError> {
        let outcome = Outcome::Failed(not_signed.reason().to_owned());
        self.register().conclude(not_signed.operation(), None, outcome).await.map(drop)
    }

    /// Writes the leaf of a refused request; answers its index.
    pub async fn refuse(&self, refusal: RefusalEntry) -> Result<u64, StoreError> {
        self.register().refuse(&refusal).await
    }

    /// Writes new versions of records, all or none; answers them in order ([`StoredRecord::version`]).
    pub async fn record(&self, records: Vec<Record>) -> Result<Vec<u64>, StoreError> {
        self.register().record(records, false).await
    }

    /// The same for versions that take a right away (a token revoked, an account closed): no clock holds them back.
    pub async fn withdraw(&self, records: Vec<Record>) -> Result<Vec<u64>, StoreError> {
        self.register().record(records, true).await
    }

    /// The time, if it can be believed; nothing begins that does not ask. What is written is judged again under the head's lock.
    pub async fn time(&self) -> Result<Timestamp, StoreError> {
        self.register().time().await
    }

    /// Why nothing begins, as far as this node knows without asking.
    pub fn time_held(&self) -> Option<Held> {
        self.register().clock().now().err()
    }

    /// The time, never later than what can be believed: for what tells of revocations.
    pub fn cautious_time(&self) -> Timestamp {
        self.register().clock().cautious_now()
    }

    /// The greatest time of the log since an operator's last word, as this node last saw it.
    pub fn time_in_force(&self) -> Timestamp {
        self.register().clock().in_force()
    }

    /// Tells the ledger what a witness's clock shows now.
    pub fn hear_time(&self, witness: &str, shows: Timestamp) {
        self.register().clock().hear(witness, shows);
    }

    /// What the clock of the database's server shows; none where the database is a file of this host.
    pub async fn database_time(&self) -> Result<Option<Timestamp>, StoreError> {
        self.register().ask(|sql| Ok(sql.server_time()?.map(Timestamp::from_unix))).await
    }

    /// An operator's word that this node's clock is right, whatever the log says: a leaf, by which every node goes on. Answers
    /// the time that was in force and the one that is. Refused where a witness contradicts the clock.
    pub async fn set_time(&self, actor: ActorStamp, reason: &str) -> Result<(Timestamp, Timestamp), StoreError> {
        self.register().set_time(actor, reason).await
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
        self.register().revoke(revocation).await
    }

    /// The right to sign the log's head, where it moved since the last checkpoint.
    pub async fn intend_checkpoint(&self, log_key: &Key) -> Result<Option<Intent>, StoreError> {
        let Some((operation, text)) = self.register().intend_checkpoint().await? else { return Ok(None) };
        Ok(Some(self.inner.mint.intent(operation, log_key, Message::from(text.into_bytes()))))
    }

    /// Stores a signed checkpoint; answers the note.
    pub async fn conclude_checkpoint(&self, signature: Signature) -> Result<String, StoreError> {
        let key = signature.key();
        let log_key = LogKey::new(self.origin(), key.algorithm(), key.spki_der())?;
        self.register().conclude_checkpoint(signature.operation(), &log_key, signature.bytes()).await
    }

    /// The credential with this serial.
    pub async fn credential(&self, serial_hex: &str) -> Result<Option<Credential>, StoreError> {
        // What is not hexadecimal is no serial of ours.
        let Ok(serial) = hex::decode(serial_hex) else { return Ok(None) };
        if serial.is_empty() {
            return Ok(None);
        }
        self.register().ask(move |sql| queries::by_serial(sql, &serial)).await
    }

    /// The credential of this operation.
    pub async fn credential_by_operation(&self, operation: u64) -> Result<Option<Credential>, StoreError> {
        self.register().ask(move |sql| queries::by_operation(sql, operation)).await
    }

    /// Credentials that match, page by page.
    pub async fn list(&self, filter: Filter) -> Result<Page<Credential>, StoreError> {
        self.register().ask(move |sql| queries::list(sql, &filter)).await
    }

    /// How many match; order, cursor and limit play no part.
    pub async fn count(&self, filter: Filter) -> Result<u64, StoreError> {
        self.register().ask(move |sql| queries::count(sql, &filter)).await
    }

    /// Intents from before `older_than` that nobody concluded or revoked, oldest first, at most 1000.
    pub async fn unconcluded(&self, older_than: Timestamp) -> Result<Vec<Credential>, StoreError> {
        self.register().unconcluded(older_than).await
    }

    /// Everything revoked of an issuer, expired or not.
    pub async fn revoked(&self, issuer: &str) -> Result<Vec<RevokedRow>, StoreError> {
        let issuer = issuer.to_owned();
        self.register().ask(move |sql| queries::revoked(sql, &issuer)).await
    }

    /// The keys of what was revoked, in order, at most 1000 from a leaf on.
    pub async fn revoked_keys(&self, from_leaf: u64) -> Result<Vec<RevokedKey>, StoreError> {
        self.register().ask(move |sql| queries::revoked_keys(sql, from_leaf)).await
    }

    /// The newest signed credential of a kind and issuer (the current CRL).
    pub async fn latest(&self, kind: Kind, issuer: &str) -> Result<Option<Credential>, StoreError> {
        let issuer = issuer.to_owned();
        self.register().ask(move |sql| queries::latest(sql, kind, &issuer)).await
    }

    /// The present version of a record.
    pub async fn record_get(&self, kind: &str, id: &str) -> Result<Option<StoredRecord>, StoreError> {
        let (kind, id) = (kind.to_owned(), id.to_owned());
        self.register().ask(move |sql| queries::record_get(sql, &kind, &id)).await
    }

    /// Present versions of a kind that match, by id.
    pub async fn record_list(&self, kind: &str, filter: RecordFilter) -> Result<Vec<StoredRecord>, StoreError> {
        let kind = kind.to_owned();
        self.register().ask(move |sql| queries::record_list(sql, &kind, &filter)).await
    }

    /// How much there is. Reads every operation: for a gauge, not for a request.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        self.register().ask(queries::counts).await
    }

    /// The log's head as committed.
    pub async fn head(&self) -> Result<Head, StoreError> {
        self.register().ask(queries::head).await
    }

    /// The newest checkpoint, a signed note.
    pub async fn checkpoint(&self) -> Result<Option<String>, StoreError> {
        self.register().ask(|sql| Ok(queries::checkpoint(sql)?.map(|(_, note)| note))).await
    }

    /// A tile of hashes, `width` of them (256 is a full tile); none where the log does not reach.
    pub async fn tile(&self, level: u8, n: u64, width: u16) -> Result<Option<Vec<u8>>, StoreError> {
        self.register().ask(move |sql| log::tile(sql, level, n, width)).await
    }

    /// A bundle of leaves, `width` of them (256 is a full one); none where the log does not reach.
    pub async fn entries(&self, n: u64, width: u16) -> Result<Option<Vec<u8>>, StoreError> {
        self.register().ask(move |sql| log::entries(sql, n, width)).await
    }

    /// Leaves with their indexes, at most 1000 from the range's start.
    pub async fn leaves(&self, range: Range<u64>) -> Result<Vec<(u64, String)>, StoreError> {
        self.register().ask(move |sql| queries::leaves(sql, range.start, range.end)).await
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
        self.register().ask(proof).await
    }

    /// Writes the log and its rows, up to the newest checkpoint, into a new folder that [`verify`](fn@crate::verify) reads
    /// without a database. LEAF.md has its layout.
    pub async fn export(&self, dir: &Path) -> Result<Exported, StoreError> {
        let dir = dir.to_owned();
        self.register().ask(move |sql| export::export(sql, &dir)).await
    }

    /// For benches: writes the conclusion of an intent with a made-up signature, as `conclude` would write a real one.
    #[cfg(feature = "testing")]
    pub async fn conclude_unsigned(&self, intent: Intent, signature: Vec<u8>) -> Result<Issued, StoreError> {
        let signer = Some(intent.key().fingerprint());
        let credential = self.register().conclude(intent.operation(), signer, Outcome::Issued(signature)).await?;
        credential.issued().map_err(|_| StoreError::Closed)
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        &self.register().origin
    }

    /// The C2SP verifier key string of the log key.
    pub fn verifier_key(&self, log_key: &Key) -> Result<String, StoreError> {
        log::verifier_key(self.origin(), log_key.algorithm(), log_key.spki_der())
    }

    fn register(&self) -> &Register {
        &self.inner.register
    }
}
