//! Two nodes that share a token and were led onto two registers, each of which looks whole, stop.
//!
//! They meet in the token, outside the database. What it has is part of the tree of each, or they are apart. Whoever notices first
//! stops, and leaves the head it has there: the other may be further and have only its own checkpoints in the token.

use std::sync::Arc;

use crate::log::Head;
use crate::nouns::error::StoreError;
use crate::reader::Lane;
use crate::register::Register;
use crate::truth::{self, Apart, TokenNote};

const ANOTHER: &str = "the token has a head of another register";

/// A head in the token, beside this node's tree.
enum Theirs {
    Part,
    Other,
    /// Of more leaves than the register that this node sees.
    Further,
}

/// Holds this node's tree against what other nodes with the token have.
pub(crate) async fn meet(register: &Register) -> Result<(), StoreError> {
    let Some(note) = register.token_note() else { return Ok(()) };
    if note.apart() == Apart::No
        && let Some(why) = compare(register, note).await?
    {
        register.node.hold(why);
        note.noticed();
    }
    // A crash before the others are told: this node is held, and they go on until they meet a checkpoint of its history.
    if note.apart() == Apart::Noticed {
        tell(register, note).await?;
    }
    Ok(register.node.not_held()?)
}

/// Why this node and another are apart, if they are.
async fn compare(register: &Register, note: &TokenNote) -> Result<Option<String>, StoreError> {
    // The token first: a head in it was durable before it was written, so the register that is read afterwards has it.
    let heads = note.unmet().await?;
    register.follow().await?;
    let mut reached = true;
    for theirs in heads {
        match beside(register, theirs).await? {
            Theirs::Part => note.agreed(theirs),
            Theirs::Other => return Ok(Some(format!("{ANOTHER}: other leaves, the first {} of them", theirs.size))),
            Theirs::Further => {
                reached = false;
                if note.reached(false, register.node.gone_by()) {
                    let (theirs, ours) = (theirs.size, register.node.head().size);
                    return Ok(Some(format!("{ANOTHER}: of {theirs} leaves, and this one ends at {ours}")));
                }
            }
        }
    }
    if reached {
        note.reached(true, register.node.gone_by());
    }
    Ok(None)
}

async fn beside(register: &Register, theirs: Head) -> Result<Theirs, StoreError> {
    if theirs.size > register.node.head().size {
        return Ok(Theirs::Further);
    }
    let node = Arc::clone(&register.node);
    match register.ask(Lane::Request, move |sql| truth::root_at(&node, sql, theirs.size)).await? {
        Ok(root) if root == theirs.root => Ok(Theirs::Part),
        Ok(_) => Ok(Theirs::Other),
        Err(why) => {
            register.node.alarm("log", &why);
            Err(StoreError::Altered(why))
        }
    }
}

/// Leaves this node's head in the token, in the place of one of its own history if there is one.
async fn tell(register: &Register, note: &TokenNote) -> Result<(), StoreError> {
    let mut ours = Vec::new();
    for there in note.heads_apart().await? {
        if matches!(beside(register, there).await, Ok(Theirs::Part)) {
            ours.push(there);
        }
    }
    note.tell(&register.node.head(), ours).await;
    Ok(())
}
