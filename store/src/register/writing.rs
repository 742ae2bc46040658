//! What the writer is asked for.

use std::collections::HashSet;
use std::sync::Arc;

use hsm::Message;
use policy::Timestamp;

use super::base::{Register, blocking};
use crate::attest::{self, Attested};
use crate::clock::{self};
use crate::nouns::access::AccessEntry;
use crate::nouns::beside::Beside;
use crate::nouns::credential::Credential;
use crate::nouns::entry::{Entry, Import, LostRevocation, RefusalEntry, Revocation};
use crate::nouns::error::StoreError;
use crate::nouns::record::Record;
use crate::queries;
use crate::reader::Lane;
use crate::rows::{
    AccessRow, ConclusionRow, ImportRow, IntentRow, Op, Outcome, RecordRow, RevocationRow, refusal_tail,
};
use crate::sql::Sql;
use crate::truth::Revoked;
use crate::truth::{RecordKey, record_key};
use crate::writer::Reply;

/// So much is hashed on an async thread: well under a tenth of a millisecond.
const HASHED_BYTES_MAX: usize = 65_536;

/// Records of one call: one ACME order and all its authorizations.
const RECORDS_MAX: usize = 256;

/// Certificates that are taken in at once: others wait behind a transaction of so many for some milliseconds.
const IMPORTS_MAX: usize = 256;

impl Register {
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

    /// `signer`: the fingerprint of the key that signed, which must be the one intended; of a batch, with how many it signed.
    pub(crate) async fn conclude(
        &self,
        operation: u64,
        signer: Option<([u8; 32], Option<u64>)>,
        outcome: Outcome,
    ) -> Result<Credential, StoreError> {
        let intended = match self.pending.take(operation) {
            Some((at, row)) => queries::intended(operation, at, &row),
            None => self.read_intended(operation).await?,
        };
        let signed = signer.and_then(|(_, signed)| signed);
        if signer.is_some_and(|(signer, _)| signer != intended.signing_key_hash) {
            return Err(StoreError::Invalid(format!("operation {operation} was intended for another key")));
        }
        let row =
            ConclusionRow::new((operation, intended.kind.as_str(), &intended.serial), outcome, signed, self.now());
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

    /// Certificates that another program signed: rows are made off the async threads, a transaction takes them all.
    pub(crate) async fn import(&self, imports: Vec<Import>) -> Result<u64, StoreError> {
        if imports.is_empty() || imports.len() > IMPORTS_MAX {
            return Err(StoreError::Invalid(format!("1 to {IMPORTS_MAX} certificates are taken in at once")));
        }
        let now = self.now();
        let make = move || imports.into_iter().map(|import| ImportRow::new(import, now)).collect::<Result<Vec<_>, _>>();
        self.write_for_index(Op::Import(Arc::new(blocking(make).await?))).await
    }

    pub(crate) async fn refuse(&self, refusal: &RefusalEntry) -> Result<u64, StoreError> {
        let now = self.now();
        self.write_for_index(Op::Refuse(now, Arc::new(refusal_tail(refusal, now)?))).await
    }

    /// Writes the leaf of an access; answers its index.
    pub(crate) async fn access(&self, entry: &AccessEntry) -> Result<u64, StoreError> {
        let row = Arc::new(AccessRow::new(entry, self.now())?);
        self.write_for_index(Op::Access(Arc::clone(&row))).await
    }

    /// `withdraws`: each takes a right away, and is written whatever the clock shows.
    pub(crate) async fn record(&self, records: Vec<Record>, withdraws: bool) -> Result<Vec<u64>, StoreError> {
        let records = records.into_iter().map(|record| (record, Beside::Nothing)).collect();
        self.record_beside(records, withdraws).await
    }

    /// The same with what becomes of the bytes beside each.
    pub(crate) async fn record_beside(
        &self,
        records: Vec<(Record, Beside)>,
        withdraws: bool,
    ) -> Result<Vec<u64>, StoreError> {
        if records.is_empty() || records.len() > RECORDS_MAX {
            return Err(StoreError::Invalid(format!("1 to {RECORDS_MAX} records at once")));
        }
        if records.iter().any(|(record, _)| record.kind == clock::KIND) {
            return Err(StoreError::Invalid("the time is set by itself".into()));
        }
        let now = self.now();
        let row = |(record, beside)| RecordRow::with(record, beside, now).map(|row| row.withdrawing(withdraws));
        let rows = records.into_iter().map(row).collect::<Result<Vec<_>, _>>()?;
        match self.writer.write(Op::Record(Arc::new(rows))).await? {
            Reply::Versions(versions) => Ok(versions),
            other => Err(StoreError::Corrupt(format!("the writer answered {other:?}"))),
        }
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

    pub(crate) async fn revoke(&self, revocation: Revocation) -> Result<u64, StoreError> {
        let operation = revocation.operation;
        let there = self.credential(operation).await?;
        let there = there.ok_or_else(|| StoreError::NotFound(format!("operation {operation}")))?;
        // Where it was revoked before and only the reason changes, the first date stays.
        let since = |there: &Revoked| there.since(revocation.reason, revocation.at);
        let at = self.node.fold(|fold, _| fold.revocation(operation).map(since)).unwrap_or(revocation.at);
        let row = RevocationRow::new(Revocation { at, ..revocation }, &there, self.now())?;
        self.write_for_index(Op::Revoke(Arc::new(row))).await
    }

    /// Revokes what the register does not hold.
    pub(crate) async fn revoke_lost(&self, mut revocation: LostRevocation) -> Result<u64, StoreError> {
        let (of, reason) = (&revocation.of, revocation.reason);
        let before = self.node.fold(|fold, _| {
            let there = fold.revocation_of(&of.issuer, &of.serial)?;
            Some((there.operation, there.since(reason, revocation.at)))
        });
        revocation.at = before.map_or(revocation.at, |(_, since)| since);
        let row = RevocationRow::lost(revocation, before.map(|(operation, _)| operation), self.now())?;
        self.write_for_index(Op::Revoke(Arc::new(row))).await
    }
}
