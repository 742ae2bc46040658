//! What is trusted no longer.

use policy::Timestamp;

use super::bounds::{SERIAL_BYTES_MAX, bounded_tail, check_actor, check_label};
use super::timed::{Timed, timed};
use crate::forms::leaf::{Event, Tail};
use crate::forms::row::row_digest;
use crate::forms::schema::REVOCATION;
use crate::nouns::credential::Credential;
use crate::nouns::entry::{ActorStamp, GrantStamp, Lost, LostRevocation, Revocation};
use crate::nouns::error::StoreError;
use crate::sql::Value;
use crate::truth::{Change, Revoked};

/// A revocation's row and leaf.
#[derive(Debug)]
pub(crate) struct RevocationRow {
    /// What ends; none where the register does not hold it, and the revocation is an operation of its own.
    pub operation: Option<u64>,
    pub at: Timestamp,
    actor: ActorStamp,
    grant: GrantStamp,
    tail: Tail,
    issuer: String,
    /// As the fold will hold it with the time it was made with, but for its leaf.
    revoked: Revoked,
}

impl RevocationRow {
    /// `of` is the credential that ends.
    pub fn new(revocation: Revocation, of: &Credential, at: Timestamp) -> Result<RevocationRow, StoreError> {
        let operation = revocation.operation;
        RevocationRow::made(Some(operation), named(revocation, of), at)
    }

    /// Raises the reason of a credential that ended before: an operation of its own, since each is revoked once.
    pub fn raising(revocation: Revocation, of: &Credential, at: Timestamp) -> Result<RevocationRow, StoreError> {
        RevocationRow::made(None, named(revocation, of), at)
    }

    /// Of a credential that the register does not hold.
    pub fn lost(revocation: LostRevocation, at: Timestamp) -> Result<RevocationRow, StoreError> {
        if revocation.of.serial.is_empty() || revocation.of.serial.len() > SERIAL_BYTES_MAX {
            return Err(StoreError::Invalid(format!("a serial has 1 to {SERIAL_BYTES_MAX} bytes")));
        }
        check_label("issuer", &revocation.of.issuer)?;
        RevocationRow::made(None, revocation, at)
    }

    fn made(operation: Option<u64>, revocation: LostRevocation, at: Timestamp) -> Result<RevocationRow, StoreError> {
        let LostRevocation { of, reason, at: revoked_at, actor, grant } = revocation;
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
            leaf: 0,
            kind: of.kind,
            serial: of.serial,
            revoked_at,
            reason,
            not_after: of.not_after,
            key_hash: of.key_hash,
            row: [0; 32],
            raised: None,
            raises: None,
        };
        let mut row = RevocationRow { operation, at, actor, grant, tail, issuer: of.issuer, revoked };
        row.revoked.row = row_digest(&REVOCATION, row.values(at));
        row.write_tail();
        bounded_tail(&row.tail)?;
        Ok(row)
    }

    fn write_tail(&mut self) {
        let RevocationRow { actor, grant, tail, issuer, revoked, .. } = self;
        tail.actor(actor);
        tail.grant(grant);
        tail.hex("serial", &revoked.serial);
        tail.text("issuer", issuer);
        tail.hex("subject", &revoked.key_hash);
        tail.text("outcome", "revoked");
        tail.number("reason", revoked.reason.into());
        tail.time("since", revoked.revoked_at);
        if let Some(until) = revoked.not_after {
            tail.time("until", until);
        }
        tail.hex("row", &revoked.row);
    }

    /// The operation that it is of: its own leaf's where the register does not hold what ends.
    pub fn operation_at(&self, leaf: u64) -> u64 {
        self.operation.unwrap_or(leaf)
    }

    /// The issuer and the serial of what ends.
    pub fn names(&self) -> (&str, &[u8]) {
        (&self.issuer, &self.revoked.serial)
    }

    /// What it says, as the fold holds it.
    pub fn revoked(&self) -> &Revoked {
        &self.revoked
    }

    /// What its leaf changes, with its number and the time it is given.
    pub fn change(&self, leaf: u64, at: Timestamp) -> Change {
        let operation = self.operation_at(leaf);
        let revoked = Box::new(Revoked { operation, leaf, row: self.digest(at), ..self.revoked.clone() });
        Change::Revoked { issuer: self.issuer.clone(), revoked }
    }

    fn digest(&self, at: Timestamp) -> [u8; 32] {
        match at == self.at {
            true => self.revoked.row,
            false => row_digest(&REVOCATION, self.values(at)),
        }
    }

    /// The columns after `leaf` and `op`, with the time the row is given.
    pub fn values(&self, at: Timestamp) -> [Value<'_>; 9] {
        let RevocationRow { revoked, actor, grant, .. } = self;
        [
            Value::Int(at.unix()),
            Value::Int(revoked.revoked_at.unix()),
            Value::Int(revoked.reason.into()),
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
    let Revocation { operation: _, reason, at, actor, grant } = revocation;
    let of = Lost {
        kind: of.kind,
        serial: of.serial.clone(),
        issuer: of.issuer.clone(),
        key_hash: of.key_hash,
        not_after: of.validity.map(|validity| validity.not_after()),
    };
    LostRevocation { of, reason, at, actor, grant }
}

timed!(RevocationRow, RevocationRow::digest);
