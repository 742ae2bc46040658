//! What is trusted no longer.

use policy::Timestamp;

use super::bounds::{SERIAL_BYTES_MAX, bounded_tail, check_actor, check_label};
use super::timed::{Timed, timed};
use crate::forms::leaf::{Event, Tail};
use crate::forms::projection::{Card, Pile};
use crate::forms::row::row_digest;
use crate::forms::schema::REVOCATION;
use crate::nouns::credential::Credential;
use crate::nouns::entry::{
    ActorStamp, Entry, GrantStamp, Import, ImportedEnd, Lost, LostRevocation, RELEASED, Revocation,
};
use crate::nouns::error::StoreError;
use crate::sql::Value;
use crate::truth::{Change, Revoked, Word};

/// A revocation's row and leaf.
#[derive(Clone, Debug)]
pub(crate) struct RevocationRow {
    /// What ends; none where the register does not hold it, and the revocation is an operation of its own.
    pub operation: Option<u64>,
    /// When it is due for renewal by the server, and its end: where it is released it is due again.
    pub due: Option<(i64, i64)>,
    pub at: Timestamp,
    actor: ActorStamp,
    grant: GrantStamp,
    tail: Tail,
    issuer: String,
    /// As the fold will hold it with the time it was made with, but for its leaf.
    revoked: Revoked,
    digest: [u8; 32],
}

impl RevocationRow {
    /// `of` is the credential that ends.
    pub fn new(revocation: Revocation, of: &Credential, at: Timestamp) -> Result<RevocationRow, StoreError> {
        let operation = revocation.operation;
        let row = RevocationRow::made(Some(operation), named(revocation, of), at)?;
        let card = Card::of_credential(of);
        Ok(RevocationRow { due: card.due.zip(card.not_after), ..row })
    }

    /// Of a credential that the register does not hold; `before` is the operation of what was said of it before.
    pub fn lost(revocation: LostRevocation, before: Option<u64>, at: Timestamp) -> Result<RevocationRow, StoreError> {
        if revocation.of.serial.is_empty() || revocation.of.serial.len() > SERIAL_BYTES_MAX {
            return Err(StoreError::Invalid(format!("a serial has 1 to {SERIAL_BYTES_MAX} bytes")));
        }
        check_label("issuer", &revocation.of.issuer)?;
        RevocationRow::made(before, revocation, at)
    }

    /// Of a certificate that is taken in with it: its operation is known once that has its leaf.
    pub fn imported(import: &Import, end: ImportedEnd, at: Timestamp) -> Result<RevocationRow, StoreError> {
        let ImportedEnd { reason, at: since, invalid, shard } = end;
        if reason == RELEASED {
            return Err(StoreError::Invalid("what is released is not revoked".into()));
        }
        let Entry { kind, serial, issuer, key_hash, validity, actor, grant, .. } = &import.entry;
        let of = Lost {
            kind: *kind,
            serial: serial.clone(),
            issuer: issuer.clone(),
            key_hash: *key_hash,
            not_after: validity.map(|validity| validity.not_after()),
        };
        let (actor, grant) = (actor.clone(), grant.clone());
        RevocationRow::made(None, LostRevocation { of, reason, at: since, invalid, shard, actor, grant }, at)
    }

    /// The same of an operation that has its leaf.
    pub fn of_operation(&self, operation: u64) -> RevocationRow {
        RevocationRow { operation: Some(operation), ..self.clone() }
    }

    fn made(operation: Option<u64>, revocation: LostRevocation, at: Timestamp) -> Result<RevocationRow, StoreError> {
        let LostRevocation { of, reason, at: since, invalid, shard, actor, grant } = revocation;
        // RFC 5280 section 5.3.1: 0 to 10, 7 is not used.
        if reason > 10 || reason == 7 {
            return Err(StoreError::Invalid(format!("{reason} is no CRLReason")));
        }
        check_actor(&actor)?;
        check_label("action", &grant.action)?;
        check_label("rule", &grant.rule)?;
        let tail = Tail::new(Event::Revoke, of.kind.as_str(), at);
        let revoked = Revoked {
            operation: operation.unwrap_or(0),
            kind: of.kind,
            serial: of.serial,
            not_after: of.not_after,
            key_hash: of.key_hash,
            shard,
            first: Word { leaf: 0, reason, since, invalid },
            later: Vec::new(),
        };
        let digest = [0; 32];
        let mut row =
            RevocationRow { operation, due: None, at, actor, grant, tail, issuer: of.issuer, revoked, digest };
        row.digest = row_digest(&REVOCATION, row.values(at));
        row.write_tail();
        bounded_tail(&row.tail)?;
        Ok(row)
    }

    fn write_tail(&mut self) {
        let RevocationRow { actor, grant, tail, issuer, revoked, digest, .. } = self;
        tail.actor(actor);
        tail.grant(grant);
        tail.hex("serial", &revoked.serial);
        tail.text("issuer", issuer);
        if let Some(shard) = revoked.shard {
            tail.text("shard", &shard.to_string());
        }
        tail.hex("subject", &revoked.key_hash);
        tail.text("outcome", if revoked.first.ends() { "revoked" } else { "released" });
        tail.number("reason", revoked.first.reason.into());
        tail.time("since", revoked.first.since);
        if let Some(invalid) = revoked.first.invalid {
            tail.time("invalid", invalid);
        }
        if let Some(until) = revoked.not_after {
            tail.time("until", until);
        }
        tail.hex("row", digest);
    }

    /// The operation that it is of: its own leaf's where the register does not hold what ends.
    pub fn operation_at(&self, leaf: u64) -> u64 {
        self.operation.unwrap_or(leaf)
    }

    /// The issuer and the serial of what ends.
    pub fn names(&self) -> (&str, &[u8]) {
        (&self.issuer, &self.revoked.serial)
    }

    /// What it says, as the fold will hold it at this leaf.
    pub fn revoked(&self, leaf: u64) -> Revoked {
        let first = Word { leaf, ..self.revoked.first };
        Revoked { operation: self.operation_at(leaf), first, ..self.revoked.clone() }
    }

    /// Whether what was on hold counts again.
    pub fn releases(&self) -> bool {
        !self.revoked.first.ends()
    }

    /// The pile of what it ends.
    pub fn pile(&self) -> Pile {
        Pile::of_end(self.revoked.first.reason)
    }

    /// What its leaf changes, with its number.
    pub fn change(&self, leaf: u64) -> Change {
        Change::Revoked { issuer: self.issuer.clone(), revoked: Box::new(self.revoked(leaf)) }
    }

    fn digest(&self, at: Timestamp) -> [u8; 32] {
        match at == self.at {
            true => self.digest,
            false => row_digest(&REVOCATION, self.values(at)),
        }
    }

    /// The columns after `leaf` and `op`, with the time the row is given.
    pub fn values(&self, at: Timestamp) -> [Value<'_>; 10] {
        let RevocationRow { revoked, actor, grant, .. } = self;
        [
            Value::Int(at.unix()),
            Value::Int(revoked.first.since.unix()),
            Value::Int(revoked.first.reason.into()),
            revoked.first.invalid.map_or(Value::Null, |at| Value::Int(at.unix())),
            Value::Text(&actor.id),
            Value::Text(&actor.proof),
            Value::Text(&actor.proof_id),
            Value::Text(&grant.action),
            Value::Text(&grant.rule),
            Value::Blob(&grant.policy_hash),
        ]
    }
}

/// A revocation that says of its credential all there is to say.
fn named(revocation: Revocation, of: &Credential) -> LostRevocation {
    let Revocation { operation: _, reason, at, invalid, shard, actor, grant } = revocation;
    let of = Lost {
        kind: of.kind,
        serial: of.serial.clone(),
        issuer: of.issuer.clone(),
        key_hash: of.key_hash,
        not_after: of.validity.map(|validity| validity.not_after()),
    };
    LostRevocation { of, reason, at, invalid, shard, actor, grant }
}

timed!(RevocationRow, RevocationRow::digest);
