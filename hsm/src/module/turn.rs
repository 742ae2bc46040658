//! Who looks through a token's objects, and who makes some: many may look at once, one alone may make.
//!
//! SoftHSM does not bear a search while an object is made (decisions/005). The functions that search or make take a
//! [`Turn`], so that none is called without one. Signing with a handle that was looked up before needs none and never waits
//! here.
//!
//! A key can take a token half a minute. Callers who search or make therefore wait for their turn before a session thread has
//! their job, and the turn goes with the job. A session thread never waits for one: where it is to sign or seal with a key
//! that it has not looked up ([`Sought::Unseen`]), the job goes back to its caller, who comes again with a turn.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use cryptoki::object::ObjectHandle;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use super::fault::Fault;

/// How long the healer waits for its turn, which has a thread of its own.
const HEALER_WAIT: Duration = Duration::from_secs(1);

/// How often it asks meanwhile.
const PAUSE: Duration = Duration::from_millis(2);

/// One token's turns.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<RwLock<()>>);

/// A turn, until it is dropped. Never asked for by whoever has one.
pub(crate) enum Turn {
    /// To search, and to read the attributes of what was found.
    Search(#[expect(dead_code, reason = "held, not read")] OwnedRwLockReadGuard<()>),
    /// To make objects, and to search before and after.
    Make(#[expect(dead_code, reason = "held, not read")] OwnedRwLockWriteGuard<()>),
}

impl Turns {
    /// A turn to search.
    pub(crate) async fn search(&self) -> Turn {
        Turn::Search(self.0.clone().read_owned().await)
    }

    /// The turn to make objects.
    pub(crate) async fn make(&self) -> Turn {
        Turn::Make(self.0.clone().write_owned().await)
    }

    /// A turn to search, for the healer.
    pub(crate) fn search_while_healing(&self) -> Result<Turn, Fault> {
        let give_up = Instant::now() + HEALER_WAIT;
        loop {
            match self.0.clone().try_read_owned() {
                Ok(turn) => return Ok(Turn::Search(turn)),
                Err(_) if Instant::now() >= give_up => return Err(Fault::Refused("it is making a key".into())),
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }
}

/// What a desk knows of a key, or finds where it may look.
pub(crate) enum Sought {
    /// Where it is.
    Found(ObjectHandle),
    /// The token does not show it.
    Absent,
    /// What the token shows under its label and id is another key.
    Another,
    /// The desk has not looked for it yet, and may not look without a turn.
    Unseen,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn many_search_and_one_makes() {
        let turns = Turns::default();
        let searching = (turns.search().await, turns.search_while_healing().unwrap());
        assert!(tokio::time::timeout(PAUSE, turns.make()).await.is_err(), "somebody searches");
        drop(searching);
        let making = turns.make().await;
        assert!(turns.search_while_healing().is_err(), "somebody makes");
        assert!(tokio::time::timeout(PAUSE, turns.make()).await.is_err(), "one alone makes");
        drop(making);
        assert!(turns.search_while_healing().is_ok());
    }
}
