//! Orders whose issuer is gone: a process that ended between two steps of the page (`issue.rs`), found by the next reader.
//!
//! Only the register is asked, and nothing is signed or written here: the caller writes down what came of it.

use std::collections::BTreeSet;

use store::{Filter, Kind, State};

use crate::gate::{AcmeState, actor_id};
use crate::objects::{Identifier, Order, store_problem};
use crate::wire::{ErrorKind, Problem};

/// How many certificates for the same key are looked at in a recovery.
const RECOVERY_LOOKBACK: usize = 100;

/// What became of an order whose issuer is gone. The register knows: an issued certificate makes it valid; an intent without a
/// conclusion is never treated as "not signed", but the client can only order anew. What the register does not show proves nothing:
/// the order ends, nothing is said of what was signed, and what was stands in the log.
pub async fn recover(state: &AcmeState, order: &Order) -> Result<Order, Problem> {
    let Some(finalized) = &order.finalized else { return concluded(order, Err(interrupted(None))) };
    let key_hash = hex_digest(&finalized.key);
    let filter = Filter { kind: Some(Kind::Certificate), key_hash, limit: RECOVERY_LOOKBACK, ..Filter::default() };
    let found = state.authority().ledger().matching(filter).await.map_err(|error| store_problem(&error))?;
    let names: BTreeSet<String> = order.identifiers.iter().map(Identifier::to_string).collect();
    let ours = found.into_iter().filter(|credential| {
        credential.actor.id == actor_id(&order.account)
            && credential.intended_at >= finalized.at
            && credential.names.iter().cloned().collect::<BTreeSet<_>>() == names
    });
    let mut unknown = None;
    for credential in ours {
        match credential.state {
            State::Issued => return concluded(order, Ok(credential.serial_hex())),
            State::Revoked if credential.signature.is_some() => return concluded(order, Ok(credential.serial_hex())),
            State::Revoked | State::Intended => unknown = Some(credential.operation),
            State::Failed => {}
        }
    }
    concluded(order, Err(interrupted(unknown)))
}

fn concluded(order: &Order, outcome: Result<String, Problem>) -> Result<Order, Problem> {
    order.conclude(outcome).map_err(|refused| Problem::new(ErrorKind::ServerInternal, refused.to_string()))
}

pub(super) fn interrupted(operation: Option<u64>) -> Problem {
    let detail = match operation {
        None => "issuance was interrupted, and no certificate of this order was found: place a new order".to_owned(),
        Some(operation) => unknown_outcome(operation),
    };
    Problem::new(ErrorKind::ServerInternal, detail)
}

pub(super) fn unknown_outcome(operation: u64) -> String {
    format!("the outcome of operation {operation} is unknown; the CA counts it as issued: place a new order")
}

fn hex_digest(text: &str) -> Option<[u8; 32]> {
    let byte = |at: usize| {
        u8::from_str_radix(text.get(at.saturating_mul(2)..at.saturating_mul(2).saturating_add(2))?, 16).ok()
    };
    let bytes = (0..32).map(byte).collect::<Option<Vec<u8>>>()?;
    bytes.try_into().ok()
}
