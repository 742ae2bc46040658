//! What readers ask of credentials and records.

use std::collections::HashMap;
use std::sync::Arc;

use policy::{SerialText, Timestamp};

use super::base::Ledger;
use crate::attest::{self, Attested, EachRecord, ListedRecord};
use crate::clock::word::Word;
use crate::forms::texts::{self, TextKind};
use crate::nouns::batch::{Found, Sought};
use crate::nouns::credential::{Counts, Credential, Crl, Due, DueFilter, Filter, Holding, Kin, Outlook, Page};
use crate::nouns::error::StoreError;
use crate::nouns::place::RecordPlace;
use crate::nouns::record::{RecordFilter, StoredRecord};
use crate::nouns::renewer::Class;
use crate::queries;
use crate::reader::Lane;
use crate::sql::Sql;

/// Records of one page, as many as a page has.
const RECORDS: usize = 1_000;

/// CRLs that may take each other's place while the newest is read.
const NEWER_CRLS_MAX: usize = 8;

const RETRY_AFTER_SECS: u32 = 1;

impl Ledger {
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

    /// The credential with this serial under the key of this label, attested: two CAs may give one serial each.
    pub async fn credential_of_key(
        &self,
        serial_hex: &str,
        key_label: &str,
    ) -> Result<Option<Attested<Credential>>, StoreError> {
        Ok(self.credentials_of(serial_hex).await?.into_iter().find(|found| found.signing_key == key_label))
    }

    /// All credentials with this serial, of whatever CA, attested; the newest first.
    pub async fn credentials_of(&self, serial_hex: &str) -> Result<Vec<Attested<Credential>>, StoreError> {
        let Some(serial) = hex::decode(serial_hex).ok().filter(|serial| !serial.is_empty()) else {
            return Ok(Vec::new());
        };
        let node = Arc::clone(&self.register().node);
        self.register().ask(self.lane, move |sql| attest::all_by_serial(&node, sql, &serial)).await
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
        self.register().ask(Lane::Report, move |sql| queries::list(sql, &filter)).await
    }

    /// How many match, from counters: by kind, owner, profile, issuer and state alone. Order, cursor and limit play no part.
    pub async fn count(&self, filter: Filter) -> Result<u64, StoreError> {
        self.register().ask(Lane::Report, move |sql| queries::count(sql, &filter)).await
    }

    /// How much there is, from counters.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        self.register().ask(Lane::Report, queries::counts).await
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

    /// How many hold from the first moment on, and how many of those that did from the second on have a successor, by owner: of operations
    /// before `below`. The filter says kind, issuer, profile, owner; nothing else of it plays a part.
    pub async fn holding(&self, filter: Filter, below: u64, from: [Timestamp; 2]) -> Result<Vec<Holding>, StoreError> {
        self.register().ask(Lane::Report, move |sql| queries::holding(sql, &filter, below, from)).await
    }

    /// The leaves that speak of an operation: its intent, what came of it, its revocation. For eyes.
    pub async fn history(&self, operation: u64) -> Result<Vec<u64>, StoreError> {
        self.register().ask(Lane::Request, move |sql| queries::history(sql, operation)).await
    }

    /// Which certificates stand before and after those of these operations. For eyes, as a [`list`](Ledger::list) is.
    pub async fn kin(&self, operations: Vec<u64>) -> Result<HashMap<u64, Kin>, StoreError> {
        self.register().ask(Lane::Report, move |sql| queries::kin(sql, &operations)).await
    }

    /// The newest signed CRL of a series with its bytes, attested; of a name with [`DELTA`](crate::DELTA) the newest delta.
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

    /// Which operation made the newest signed CRL of a series, or its newest delta, as this node knows it, without a question to the database.
    pub fn newest_crl_operation(&self, issuer: &str) -> Option<u64> {
        self.register().node.fold(|fold, _| fold.newest_crl(issuer))
    }

    /// The first page of credentials that match, each attested and each by what it is itself. What the list leaves out is not noticed:
    /// nothing may be decided by what it lacks.
    pub async fn matching(&self, filter: Filter) -> Result<Vec<Attested<Credential>>, StoreError> {
        Ok(self.matching_page(filter).await?.items)
    }

    /// The same, and where the next page begins: for whoever has to see all of them.
    pub async fn matching_page(&self, filter: Filter) -> Result<Page<Attested<Credential>>, StoreError> {
        let node = Arc::clone(&self.register().node);
        self.register().ask(Lane::Request, move |sql| attest::matching(&node, sql, &filter)).await
    }

    /// The first of those.
    pub async fn newest(&self, filter: Filter) -> Result<Option<Attested<Credential>>, StoreError> {
        Ok(self.matching(Filter { limit: 1, ..filter }).await?.into_iter().next())
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

    /// The present version of a record, attested.
    pub async fn record_get(&self, kind: &str, id: &str) -> Result<Option<Attested<StoredRecord>>, StoreError> {
        let (kind, id, node) = (kind.to_owned(), id.to_owned(), Arc::clone(&self.register().node));
        self.register().ask(self.lane, move |sql| attest::record(&node, sql, &kind, &id)).await
    }

    /// The present version of a record as this node knows it, without a question to the database; 0 where there is none.
    /// What was read with this version is still so.
    pub fn record_version(&self, kind: &str, id: &str) -> u64 {
        self.version_at(RecordPlace::of(kind, id))
    }

    /// The same by a place that is at hand.
    pub fn version_at(&self, place: RecordPlace) -> u64 {
        self.register().node.fold(|fold, _| fold.version(&place.0))
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

    /// A page of the same, each for itself: one that somebody altered is refused where it stands, with an alarm, and keeps no other back.
    /// Where as many come as were asked for there may be more, behind the last of them.
    pub async fn record_page(&self, kind: &str, filter: RecordFilter) -> Result<Vec<ListedRecord>, StoreError> {
        let (kind, node) = (kind.to_owned(), Arc::clone(&self.register().node));
        self.register().ask(Lane::Request, move |sql| attest::records_page(&node, sql, &kind, &filter)).await
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

    /// The same, each for itself, by id: one that somebody altered is refused where it stands, with an alarm, and keeps no other back.
    pub async fn record_each(&self, kind: &str) -> Result<EachRecord, StoreError> {
        let (mut all, mut after) = (EachRecord::new(), String::new());
        loop {
            let (kind, node, from) = (kind.to_owned(), Arc::clone(&self.register().node), after.clone());
            let ask = move |sql: &mut dyn Sql| attest::records_each(&node, sql, &kind, &from);
            let page = self.register().ask(Lane::Request, ask).await?;
            match page.last() {
                // Ids come in their order; whoever wrote others into the rows ends the list.
                Some((last, _)) if *last > after => after.clone_from(last),
                Some(_) | None => return Ok(all.into_iter().chain(page).collect()),
            }
            all.extend(page);
        }
    }

    /// Which batch of OCSP responses has this one, with the path to the root in that batch's leaf. Proved by the tree in memory: what was
    /// altered or taken away is an error, and no answer that there is none.
    pub async fn batch_with(&self, sought: Sought) -> Result<Found, StoreError> {
        let node = Arc::clone(&self.register().node);
        self.register().ask(Lane::Request, move |sql| attest::batch_with(&node, sql, &sought)).await
    }

    /// What an operator put into force, where a leaf stands for that; none where it is another leaf. Proved as [`Ledger::word`] is.
    pub async fn setting(&self, index: u64) -> Result<Option<StoredRecord>, StoreError> {
        let node = Arc::clone(&self.register().node);
        self.register().ask(Lane::Request, move |sql| attest::setting(&node, sql, index)).await
    }

    /// The operator's word that a leaf stands for; none where it is another leaf. Both are proved by the tree in memory.
    pub async fn word(&self, index: u64) -> Result<Option<Word>, StoreError> {
        let node = Arc::clone(&self.register().node);
        self.register().ask(Lane::Request, move |sql| attest::word(&node, sql, index)).await
    }
}
