//! The ledger's face: async calls that hand work to the writer and reader threads and wait for the disk.
//!
//! `intend` and `conclude` are the two ends of the custody line: an [`Intent`] exists only after its row and leaf are
//! durable, an [`Issued`] only after its signature is. No lock is held across an await.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use hsm::{Intent, Key, Message, Mint, NotSigned, Pool, Signature};
use policy::{SerialText, Timestamp, World};
use tokio::task::JoinSet;

use crate::attest::{self, Attested};
use crate::clock::word::{RESUMPTION, Word};
use crate::derived::rebuild::Rebuilt;
use crate::export::{self, Exported};
use crate::forms::keys;
use crate::forms::texts::{self, NO_POLICY, TextKind};
use crate::log::{self, Head, LogKey, TILE_WIDTH};
use crate::nouns::condition::Condition;
use crate::nouns::credential::{Counts, Credential, Crl, Due, DueFilter, Filter, Issued, Kin, Outlook, Page};
use crate::nouns::database::Database;
use crate::nouns::entry::{self, ActorStamp, Entry, GrantStamp, LostRevocation, RefusalEntry, Revocation};
use crate::nouns::error::StoreError;
use crate::nouns::held::Held;
use crate::nouns::record::{Record, RecordFilter, StoredRecord};
use crate::nouns::renewer::Class;
use crate::queries;
use crate::reader::Lane;
use crate::register::meeting;
use crate::register::{LogConfig, Opening, RESUMED_RECORDS_MAX, Register, Resumed, SignedHead};
use crate::rows::Outcome;
use crate::sql::Sql;
use crate::truth::{self, Anchor, Before, Integrity, Revocations, Revoked, TileAt};
use crate::verify::AuditState;

/// No log is ever this long; a larger number is a mistake of the caller's.
const PROOF_SIZE_MAX: u64 = 1 << 62;

/// Records of one page, as many as a page has.
const RECORDS: usize = 1_000;

/// CRLs that may take each other's place while the newest is read.
const NEWER_CRLS_MAX: usize = 8;
const RETRY_AFTER_SECS: u32 = 1;

/// What an operator at the machine does when a node goes on: no policy is asked.
const AGAIN: &str = "revoke-certificate";
const OPERATOR: &str = "operator";
/// Revocations that are written side by side.
const REVOKED_AT_ONCE: usize = 256;

/// A handle on the register. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ledger {
    inner: Arc<Inner>,
    /// In which lane rows are looked up by their keys.
    lane: Lane,
}

#[derive(Debug)]
struct Inner {
    mint: Mint,
    register: Register,
}

impl Ledger {
    /// Makes a register where there is none, or opens the one there is: for `init`. The same as [`Ledger::open`] otherwise.
    pub async fn found(
        database: Database,
        (pool, mint): (&Pool, Mint),
        log: LogConfig,
        world: World,
    ) -> Result<Ledger, StoreError> {
        let (register, _) = Register::open(database, pool, log, world, Opening::Found).await?;
        Ok(Ledger { inner: Arc::new(Inner { mint, register }), lane: Lane::Request })
    }

    /// Opens the register and starts the threads; makes nothing: a register that is missing is missing. Takes the token's mint: from here on
    /// nothing is signed that is not written down. The pool opens the head key, which the token alone can.
    pub async fn open(
        database: Database,
        (pool, mint): (&Pool, Mint),
        log: LogConfig,
        world: World,
    ) -> Result<Ledger, StoreError> {
        let (register, _) = Register::open(database, pool, log, world, Opening::Serve).await?;
        Ok(Ledger { inner: Arc::new(Inner { mint, register }), lane: Lane::Request })
    }

    /// Why this node would not start on this register, which is what [`Ledger::resume`] is for; none where it would.
    pub async fn refused_start(
        database: Database,
        pool: &Pool,
        log: LogConfig,
        world: World,
    ) -> Result<Option<String>, StoreError> {
        match Register::open(database, pool, log, world, Opening::Serve).await {
            Ok((register, _)) => {
                // Joining blocks, and a panic of a thread was its own.
                let _ = tokio::task::spawn_blocking(move || register.stop()).await;
                Ok(None)
            }
            Err(StoreError::Held(why)) => Ok(Some(why)),
            Err(other) => Err(other),
        }
    }

    /// Derives every projection anew from the rows, beside no service of this node, and ends: what lists, searches and counts are
    /// answered from, and the renewal ask. No leaf says so. Refused where the register is held. `pages` hears how many pages of a
    /// thousand rows were looked at.
    pub async fn rebuild(
        database: Database,
        pool: &Pool,
        log: LogConfig,
        world: World,
        pages: impl FnMut(u64) + Send + 'static,
    ) -> Result<Rebuilt, StoreError> {
        let (register, _) = Register::open(database.clone(), pool, log, world, Opening::Alone).await?;
        let rebuilt = register.rebuild(database, pages).await;
        // Joining blocks, and a panic of a thread was its own.
        let _ = tokio::task::spawn_blocking(move || register.stop()).await;
        rebuilt
    }

    /// Opens a register that this node had stopped at, and goes on from what it holds: an operator's decision, whose reason
    /// becomes a leaf. The register's head must be one that a node with this token sealed; sizes that the history before may
    /// have signed are never signed again. Every node that stopped is told by itself.
    pub async fn resume(
        database: Database,
        (pool, mint): (&Pool, Mint),
        log: LogConfig,
        world: World,
        (actor, reason): (ActorStamp, &str),
    ) -> Result<(Ledger, Resumed), StoreError> {
        if reason.trim().is_empty() || log.state.is_none() {
            return Err(StoreError::Invalid(
                "going on takes a reason, and the folder that says where this node was".into(),
            ));
        }
        if let Some(c) = policy::hidden(reason) {
            let code = c.escape_unicode();
            return Err(StoreError::Invalid(format!("the reason: printable characters alone, and there is a {code}")));
        }
        let (register, resumed) = Register::open(database, pool, log, world, Opening::Resume).await?;
        let ledger = Ledger { inner: Arc::new(Inner { mint, register }), lane: Lane::Request };
        match ledger.go_on(resumed, actor, reason).await {
            Ok(resumed) => Ok((ledger, resumed)),
            Err(error) => {
                ledger.close().await;
                Err(error)
            }
        }
    }

    /// Writes why, then again what the register lost of the revoked, and then lets the folder and the token go on: whatever breaks off
    /// before, the same command goes on with it.
    async fn go_on(
        &self,
        resumed: Option<(Before, Anchor)>,
        actor: ActorStamp,
        reason: &str,
    ) -> Result<Resumed, StoreError> {
        let (before, anchor) = resumed.ok_or_else(|| StoreError::Invalid("this node keeps no folder".into()))?;
        if before.head.size == 0 {
            let says =
                "the register is empty: put back one that a node of ours left, or begin anew with `chancery init`";
            return Err(StoreError::Invalid(says.into()));
        }
        let head = |head: Head| serde_json::json!({ "size": head.size, "root": hex::encode(head.root) });
        let record = Record {
            kind: RESUMPTION,
            id: format!("{}-{}", before.head.size, hex::encode(&before.head.root[..8])),
            owner: None,
            lookup: None,
            expires: None,
            body: serde_json::json!({ "reason": reason, "at": head(before.head), "known": before.known.map(head) }),
            actor: actor.clone(),
            expect: None,
        };
        // It takes nothing from anybody, and an operator is there: no clock holds it back.
        self.withdraw(vec![record]).await?;
        let Before { head, known, lost } = before;
        let revoked_again = lost.revoked.len() as u64;
        self.revoke_again(lost.revoked, head.size, &actor).await?;
        let older = self.register().named(lost.records, RESUMED_RECORDS_MAX).await?;
        self.register().go_on(anchor).await?;
        Ok(Resumed { head, known, revoked_again, older })
    }

    /// Writes revocations of another history again, as they were: what was told of the revoked is never taken back. A credential that
    /// the register holds is revoked, one that it lost is by its serial.
    async fn revoke_again(
        &self,
        lost: Vec<(String, Revoked)>,
        size: u64,
        actor: &ActorStamp,
    ) -> Result<(), StoreError> {
        let mut under_way = JoinSet::new();
        for (issuer, revoked) in lost {
            if under_way.len() >= REVOKED_AT_ONCE {
                joined(under_way.join_next().await)?;
            }
            let (ledger, actor) = (self.clone(), actor.clone());
            under_way.spawn(async move { ledger.revoke_one_again(issuer, revoked, size, actor).await });
        }
        while let Some(done) = under_way.join_next().await {
            joined(Some(done))?;
        }
        Ok(())
    }

    async fn revoke_one_again(
        &self,
        issuer: String,
        revoked: Revoked,
        size: u64,
        actor: ActorStamp,
    ) -> Result<(), StoreError> {
        let grant = GrantStamp { action: AGAIN.into(), rule: OPERATOR.into(), policy_hash: NO_POLICY };
        let (operation, reason, at) = (revoked.operation, revoked.reason, revoked.revoked_at);
        if operation < size
            && let Some(there) = self.credential_by_operation(operation).await?
            && (there.serial.as_slice(), there.issuer.as_str()) == (revoked.serial.as_slice(), issuer.as_str())
        {
            return self.revoke(Revocation { operation, reason, at, actor, grant }).await.map(drop);
        }
        let Revoked { kind, serial, key_hash, not_after, .. } = revoked;
        let of = entry::Lost { kind, serial, issuer, key_hash, not_after };
        self.revoke_lost(LostRevocation { of, reason, at, actor, grant }).await.map(drop)
    }

    /// A handle for whoever finds out who a caller is: its look-ups by key (`record_get`, `credential`) wait neither for
    /// requests nor for reports.
    pub fn for_authentication(&self) -> Ledger {
        Ledger { inner: Arc::clone(&self.inner), lane: Lane::Authentication }
    }

    /// Keeps the newest checkpoint in the token, writes what is queued, ends the threads and writes the fold down, within about three
    /// seconds whatever the database does. Every other handle answers `Closed` afterwards.
    pub async fn close(self) {
        let inner = self.inner;
        inner.register.note_in_token().await;
        // Joining blocks, and a panic of a thread was its own.
        let _ = tokio::task::spawn_blocking(move || inner.register.stop()).await;
    }

    /// Writes the intent's row and leaf, and gives the right to one signature. Durable on return.
    pub async fn intend(&self, entry: Entry) -> Result<Intent, StoreError> {
        let row = self.register().prepare(entry).await?;
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
        credential.signed().map_err(|_| StoreError::Corrupt(format!("operation {operation} lost its signature")))
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

    /// From when to when nobody was there: from the newest time of the log as this node found it to when that was.
    pub fn away(&self) -> (Timestamp, Timestamp) {
        self.register().away()
    }

    /// Tells the ledger what a witness's clock shows now.
    pub fn hear_time(&self, witness: &str, shows: Timestamp) {
        self.register().clock().hear(witness, shows);
    }

    /// What the clock of the database's server shows; none where the database is a file of this host.
    pub async fn database_time(&self) -> Result<Option<Timestamp>, StoreError> {
        self.register().ask(Lane::Request, |sql| Ok(sql.server_time()?.map(Timestamp::from_unix))).await
    }

    /// Whether a write would come through now: a disk may be full although nobody has met it yet.
    pub async fn would_write(&self) -> Result<(), StoreError> {
        self.register().probe().await
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

    /// Records a text whose SHA-256 leaves name, once. Call it before the first leaf that names it: `verify` finds hashes that
    /// cannot be read.
    pub async fn record_text(&self, kind: TextKind, text: &str, actor: &ActorStamp) -> Result<(), StoreError> {
        let first = truth::record_key(kind.as_str(), &texts::id(&texts::hash(text), 0));
        if self.register().node.record(&first).1.is_some() {
            return Ok(());
        }
        match self.record(texts::records(kind, text, actor)?).await {
            // Another node was faster; the parts of a text are written together.
            Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// The text behind a hash, each part of it attested; none where it was not recorded.
    pub async fn text(&self, kind: TextKind, hash: &[u8; 32]) -> Result<Option<String>, StoreError> {
        let (mut whole, mut part, mut parts) = (String::new(), 0, 1);
        let corrupt = |id: &str| StoreError::Corrupt(format!("{} {id} is not the text of its hash", kind.as_str()));
        while part < parts {
            let id = texts::id(hash, part);
            let Some(record) = self.record_get(kind.as_str(), &id).await? else { return Ok(None) };
            let (all, text) = texts::part(&record.body).ok_or_else(|| corrupt(&id))?;
            whole.push_str(text);
            (part, parts) = (part + 1, all);
        }
        match texts::hash(&whole) == *hash {
            true => Ok(Some(whole)),
            false => Err(corrupt(&texts::id(hash, 0))),
        }
    }

    /// Revokes an operation's credential, whether its conclusion is known or not; answers the leaf's index.
    pub async fn revoke(&self, revocation: Revocation) -> Result<u64, StoreError> {
        self.register().revoke(revocation).await
    }

    /// Revokes what a CA of ours signed and the register does not hold; answers the leaf's index. `Conflict`: it is revoked already.
    pub async fn revoke_lost(&self, revocation: LostRevocation) -> Result<u64, StoreError> {
        self.register().revoke_lost(revocation).await
    }

    /// The right to sign the log's head, where it moved since the last checkpoint.
    pub async fn intend_checkpoint(&self, log_key: &Key) -> Result<Option<Intent>, StoreError> {
        let key = LogKey::new(self.origin(), log_key.algorithm(), log_key.spki_der())?;
        let Some((operation, text)) = self.register().intend_checkpoint(&key).await? else { return Ok(None) };
        Ok(Some(self.inner.mint.intent(operation, log_key, Message::from(text.into_bytes()))))
    }

    /// Stores a signed checkpoint; answers the note.
    pub async fn conclude_checkpoint(&self, signature: Signature) -> Result<String, StoreError> {
        let key = signature.key();
        let log_key = LogKey::new(self.origin(), key.algorithm(), key.spki_der())?;
        self.register().conclude_checkpoint(signature.operation(), &log_key, signature.bytes()).await
    }

    /// The credential with this serial, attested, the serial too.
    pub async fn credential(&self, serial_hex: &str) -> Result<Option<Attested<Credential>>, StoreError> {
        // What is not hexadecimal is no serial of ours.
        let Ok(serial) = hex::decode(serial_hex) else { return Ok(None) };
        if serial.is_empty() {
            return Ok(None);
        }
        let node = Arc::clone(&self.register().node);
        self.register().ask(self.lane, move |sql| attest::by_serial(&node, sql, &serial)).await
    }

    /// What a serial as somebody wrote it may mean, attested, `most` of them at most. A whole one is better asked for by
    /// [`credential`](Ledger::credential), which looks for it in the log too.
    pub async fn credentials_meant(
        &self,
        text: SerialText,
        most: usize,
    ) -> Result<Vec<Attested<Credential>>, StoreError> {
        let node = Arc::clone(&self.register().node);
        self.register().ask(self.lane, move |sql| attest::by_text(&node, sql, &text, most)).await
    }

    /// The credential of this operation, attested.
    pub async fn credential_by_operation(&self, operation: u64) -> Result<Option<Attested<Credential>>, StoreError> {
        self.register().credential(operation).await
    }

    /// Credentials that match, page by page. For eyes: whoever decides by one asks for what is [`matching`](Ledger::matching), or by
    /// its serial or operation.
    pub async fn list(&self, filter: Filter) -> Result<Page<Credential>, StoreError> {
        let mut page = self.register().ask(Lane::Report, move |sql| queries::list(sql, &filter)).await?;
        // A reason that was raised stands in the fold; the row keeps the first one.
        self.register().node.fold(|fold, _| {
            for credential in page.items.iter_mut().filter(|credential| credential.reason.is_some()) {
                credential.reason = fold.revocation(credential.operation).map(Revoked::reason).or(credential.reason);
            }
        });
        Ok(page)
    }

    /// How many match, from counters: by kind, owner, profile, issuer and state alone. Order, cursor and limit play no part.
    pub async fn count(&self, filter: Filter) -> Result<u64, StoreError> {
        self.register().ask(Lane::Report, move |sql| queries::count(sql, &filter)).await
    }

    /// Intents from before `older_than` that nobody concluded or revoked, oldest first; each that is asked for is read.
    pub async fn unconcluded(&self, older_than: Timestamp, most: usize) -> Result<Vec<Credential>, StoreError> {
        self.register().unconcluded(older_than, most).await
    }

    /// How many there are, from the fold.
    pub fn unconcluded_total(&self, older_than: Timestamp) -> u64 {
        self.register().node.fold(|fold, _| fold.unconcluded(older_than).count() as u64)
    }

    /// Certificates that are due for renewal by the server, the longest due first. What was renewed is due no more.
    pub async fn due(&self, filter: DueFilter) -> Result<Vec<Due>, StoreError> {
        self.register().ask(Lane::Report, move |sql| queries::due(sql, &filter)).await
    }

    /// What of an owner's certificates, or of all, ends in each hour, has ended, and waits for somebody: of one class.
    pub async fn outlook(&self, owner: Option<&str>, class: Class, now: Timestamp) -> Result<Outlook, StoreError> {
        let owner = owner.map(str::to_owned);
        self.register().ask(Lane::Report, move |sql| queries::outlook(sql, owner.as_deref(), class, now)).await
    }

    /// The leaves that speak of an operation: its intent, what came of it, its revocation. For eyes.
    pub async fn history(&self, operation: u64) -> Result<Vec<u64>, StoreError> {
        self.register().ask(Lane::Request, move |sql| queries::history(sql, operation)).await
    }

    /// Which certificates stand before and after those of these operations. For eyes, as a [`list`](Ledger::list) is.
    pub async fn kin(&self, operations: Vec<u64>) -> Result<HashMap<u64, Kin>, StoreError> {
        self.register().ask(Lane::Report, move |sql| queries::kin(sql, &operations)).await
    }

    /// Everything revoked of an issuer, expired or not, and what a CRL of it covers. From the fold, not the database.
    pub fn revocations(&self, issuer: &str) -> Revocations {
        self.register().node.revocations(issuer, 0..usize::MAX)
    }

    /// The same, with rows of a part alone: what was revoked since, or some of many at a time.
    pub fn revocations_in(&self, issuer: &str, part: Range<usize>) -> Revocations {
        self.register().node.revocations(issuer, part)
    }

    /// Whether something was revoked because this key (SHA-256 of its SubjectPublicKeyInfo) is compromised.
    pub fn is_compromised(&self, key_hash: &[u8; 32]) -> bool {
        self.register().node.fold(|fold, _| fold.is_compromised(key_hash))
    }

    /// Takes in what other nodes appended; an error says that the log is not an extension of what this node knows. Call it
    /// every second: a register that was cut is then noticed although nobody writes.
    pub async fn follow(&self) -> Result<(), StoreError> {
        self.register().follow().await
    }

    /// Holds this node's tree against what other nodes with this token signed, by the token's own memory: two nodes that were led onto
    /// two registers stop. Call it every few seconds, from a task of its own.
    pub async fn meet(&self) -> Result<(), StoreError> {
        meeting::meet(self.register()).await
    }

    /// Raises an alarm about something that the register should hold and does not, as somebody outside this room knows: a
    /// certificate that our own CA signed and that has no row was taken away, or signed behind our back.
    pub fn missing(&self, place: &str, says: &str) {
        self.register().node.alarm(place, says);
    }

    /// One step of the service's own audit: new leaves and their rows, and a tile of old ones (docs/LIMITS.md). What it finds
    /// is an alarm ([`Ledger::integrity`]). Call it every second, from a task of its own.
    pub async fn audit_step(&self) -> Result<AuditState, StoreError> {
        self.register().audit_step().await
    }

    /// How far the service's own audit is.
    pub fn audited(&self) -> AuditState {
        self.register().audited()
    }

    /// Why nothing is written any more, as this node knows it; none when all is well.
    pub fn held(&self) -> Option<String> {
        self.register().held()
    }

    /// How the register is, as this node knows it.
    pub fn integrity(&self) -> Integrity {
        self.register().integrity()
    }

    /// What keeps the register from its work, as its threads met it last, without a question to the database.
    pub fn condition(&self) -> Condition {
        self.register().condition()
    }

    /// The newest signed CRL of an issuer with its bytes, attested.
    pub async fn newest_crl(&self, issuer: &str) -> Result<Option<Attested<Crl>>, StoreError> {
        for _ in 0..NEWER_CRLS_MAX {
            let Some(operation) = self.newest_crl_operation(issuer) else { return Ok(None) };
            let node = Arc::clone(&self.register().node);
            let crl = self.register().ask(Lane::Request, move |sql| attest::crl(&node, sql, operation)).await?;
            if crl.is_some() {
                return Ok(crl);
            }
        }
        Err(StoreError::Busy { retry_after_secs: RETRY_AFTER_SECS })
    }

    /// Which operation made the newest signed CRL of an issuer, as this node knows it, without a question to the database.
    pub fn newest_crl_operation(&self, issuer: &str) -> Option<u64> {
        self.register().node.fold(|fold, _| fold.newest_crl(issuer))
    }

    /// Credentials that match, each attested and each by what it is itself. What the list leaves out is not noticed: nothing may
    /// be decided by what it lacks.
    pub async fn matching(&self, filter: Filter) -> Result<Vec<Attested<Credential>>, StoreError> {
        let node = Arc::clone(&self.register().node);
        self.register().ask(Lane::Request, move |sql| attest::matching(&node, sql, &filter)).await
    }

    /// The first of those.
    pub async fn newest(&self, filter: Filter) -> Result<Option<Attested<Credential>>, StoreError> {
        Ok(self.matching(Filter { limit: 1, ..filter }).await?.into_iter().next())
    }

    /// The newest signed successor of a certificate, from the fold; of one that ended more than
    /// [`RENEWED_KNOWN_SECS`](crate::RENEWED_KNOWN_SECS) ago it says nothing.
    pub fn renewed(&self, certificate: &Attested<Credential>) -> Option<u64> {
        let of = certificate.renewal()?;
        self.register().node.fold(|fold, _| fold.renewed(of))
    }

    /// Whether what an operation made is revoked, from the fold.
    pub fn is_revoked(&self, operation: u64) -> bool {
        self.register().node.fold(|fold, _| fold.revocation(operation).is_some())
    }

    /// The present version of a record, attested.
    pub async fn record_get(&self, kind: &str, id: &str) -> Result<Option<Attested<StoredRecord>>, StoreError> {
        let (kind, id, node) = (kind.to_owned(), id.to_owned(), Arc::clone(&self.register().node));
        self.register().ask(self.lane, move |sql| attest::record(&node, sql, &kind, &id)).await
    }

    /// The present version of a record as this node knows it, without a question to the database; 0 where there is none.
    /// What was read with this version is still so.
    pub fn record_version(&self, kind: &str, id: &str) -> u64 {
        let key = truth::record_key(kind, id);
        self.register().node.fold(|fold, _| fold.version(&key))
    }

    /// Present versions of a kind that match, by id, each attested and each by what it is itself.
    pub async fn record_list(
        &self,
        kind: &str,
        filter: RecordFilter,
    ) -> Result<Vec<Attested<StoredRecord>>, StoreError> {
        let (kind, node) = (kind.to_owned(), Arc::clone(&self.register().node));
        self.register().ask(Lane::Request, move |sql| attest::records(&node, sql, &kind, &filter)).await
    }

    /// All present versions of a kind of which there are few, page by page.
    pub async fn record_all(&self, kind: &str) -> Result<Vec<Attested<StoredRecord>>, StoreError> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let filter = RecordFilter { limit: RECORDS, after: after.take(), ..RecordFilter::default() };
            let page = self.record_list(kind, filter).await?;
            let full = page.len() == RECORDS;
            after = page.last().filter(|_| full).map(|last| last.id.clone());
            all.extend(page);
            if after.is_none() {
                return Ok(all);
            }
        }
    }

    /// How much there is, from counters.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        self.register().ask(Lane::Report, queries::counts).await
    }

    /// The log's head as this node knows it.
    pub fn head(&self) -> Head {
        self.register().node.head()
    }

    /// The newest head that this node signed or saw signed since it started, without a question to the database.
    pub fn signed_head(&self) -> Option<SignedHead> {
        self.register().signed().clone()
    }

    /// The newest checkpoint, a signed note: the one in memory; before there is one, the register's.
    pub async fn checkpoint(&self) -> Result<Option<String>, StoreError> {
        match self.signed_head() {
            Some(head) => Ok(Some(head.note.as_ref().to_owned())),
            None => self.register().ask(Lane::Request, |sql| Ok(queries::checkpoint(sql)?.map(|(_, note)| note))).await,
        }
    }

    /// A tile of hashes, `width` of them (256 is a full tile); none where the log does not reach. From memory where it is
    /// unfinished or was read lately; else the database's, if the tree in memory proves it. What lies just beyond the end is looked for
    /// once: another node may have signed it.
    pub async fn tile(&self, level: u8, n: u64, width: u16) -> Result<Option<Bytes>, StoreError> {
        if !(1..=TILE_WIDTH).contains(&width) {
            return Ok(None);
        }
        let node = Arc::clone(&self.register().node);
        let mut at = truth::tile_at(&node, level, n, width);
        if matches!(at, TileAt::Nowhere)
            && let Some(leaves) = log::leaves_under(level, n, width)
            && self.register().follow_for(leaves).await?
        {
            at = truth::tile_at(&node, level, n, width);
        }
        match at {
            TileAt::Memory(bytes) => Ok(Some(bytes)),
            TileAt::Nowhere => Ok(None),
            TileAt::Database => {
                self.register().ask(Lane::Request, move |sql| truth::tile(&node, sql, level, n, width)).await.map(Some)
            }
        }
    }

    /// A bundle of leaves, `width` of them (256 is a full one); none where the log does not reach.
    pub async fn entries(&self, n: u64, width: u16) -> Result<Option<Vec<u8>>, StoreError> {
        self.register().ask(Lane::Request, move |sql| log::entries(sql, n, width)).await
    }

    /// Leaves with their indexes, at most 1000 from the range's start.
    pub async fn leaves(&self, range: Range<u64>) -> Result<Vec<(u64, String)>, StoreError> {
        self.register().ask(Lane::Request, move |sql| queries::leaves(sql, range.start, range.end)).await
    }

    /// The operator's word that a leaf stands for; none where it is another leaf. Both are proved by the tree in memory.
    pub async fn word(&self, index: u64) -> Result<Option<Word>, StoreError> {
        let node = Arc::clone(&self.register().node);
        self.register().ask(Lane::Request, move |sql| attest::word(&node, sql, index)).await
    }

    /// What an operator put into force, where a leaf stands for that; none where it is another leaf. Proved as [`Ledger::word`] is.
    pub async fn setting(&self, index: u64) -> Result<Option<StoredRecord>, StoreError> {
        let node = Arc::clone(&self.register().node);
        self.register().ask(Lane::Request, move |sql| attest::setting(&node, sql, index)).await
    }

    /// How many leaves the register has, whatever this node knows of it: while it is held, what there is to read.
    pub async fn size_there(&self) -> Result<u64, StoreError> {
        self.register().ask(Lane::Request, |sql| Ok(queries::head(sql)?.size)).await
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
        self.register().ask(Lane::Request, proof).await
    }

    /// Writes the log and its rows, up to the newest checkpoint, into a new folder that [`verify`](fn@crate::verify) reads
    /// without a database. LEAF.md has its layout.
    pub async fn export(&self, dir: &Path) -> Result<Exported, StoreError> {
        let dir = dir.to_owned();
        self.register().ask(Lane::Report, move |sql| export::export(sql, &dir)).await
    }

    /// For benches: writes the conclusion of an intent with a made-up signature, as `conclude` would write a real one.
    #[cfg(feature = "testing")]
    pub async fn conclude_unsigned(&self, intent: Intent, signature: Vec<u8>) -> Result<Issued, StoreError> {
        let signer = Some(intent.key().fingerprint());
        let credential = self.register().conclude(intent.operation(), signer, Outcome::Issued(signature)).await?;
        credential.signed().map_err(|_| StoreError::Closed)
    }

    /// For tests: a question that reads for as long as it is let, in the lane of reports.
    #[cfg(feature = "testing")]
    pub async fn read_without_end(&self) -> Result<(), StoreError> {
        let text = "WITH RECURSIVE n (i) AS (SELECT size FROM head UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n";
        self.register().ask(Lane::Report, |sql| Ok(sql.query(text, &[]).map(drop)?)).await
    }

    /// For tests: how many reports wait for a thread.
    #[cfg(feature = "testing")]
    pub fn waiting_reports(&self) -> usize {
        self.register().waiting(Lane::Report)
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        &self.register().node.origin
    }

    /// The C2SP verifier key string of the log key.
    pub fn verifier_key(&self, log_key: &Key) -> Result<String, StoreError> {
        log::verifier_key(self.origin(), log_key.algorithm(), log_key.spki_der())
    }

    fn register(&self) -> &Register {
        &self.inner.register
    }
}

fn joined(done: Option<Result<Result<(), StoreError>, tokio::task::JoinError>>) -> Result<(), StoreError> {
    match done {
        None => Ok(()),
        Some(Ok(done)) => done,
        Some(Err(error)) => Err(StoreError::Unavailable(format!("a revocation's task ended: {error}"))),
    }
}
