//! Which time a leaf is given, and whether a node's clock can be believed enough to be asked for one.
//!
//! Times in the log never go back (LEAF.md): each leaf has the time that its node's clock showed, or the time in force where that
//! is later. The time in force is the greatest of all leaves so far; it stands in the head row, and a writer judges by it under
//! the head's lock. So one leaf from the future would hold everybody up; the way back is a record of kind `clock`, an
//! operator's word, whose own time is in force from then on.
//!
//! A clock is not believed that stands behind the time in force, that went further ahead than time went by, or that witnesses
//! (the database's clock, peers) contradict. Then nothing begins: no intent, no record. What must not wait goes on: conclusions
//! of what was signed, refusals, revocations, what takes a right away, and the CRLs that tell of it.
//!
//! Trusted for: no time of a leaf before another's. Whoever controls a witness can stop issuance, or make a wrong clock believed.

mod knowledge;
pub(crate) mod word;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use policy::{Timestamp, World};
use serde_json::json;

use knowledge::{Knowledge, Look, Standing};

use crate::forms::leaf::{BEFORE_ALL, Event, Leaf};
use crate::nouns::entry::{ActorStamp, Kind, is_the_server};
use crate::nouns::held::{Held, Witness};
use crate::nouns::record::Record;
use crate::rows::Op;
use crate::truth::Node;

/// The record kind of an operator's word.
pub(crate) const KIND: &str = "clock";
/// Its one record: every version is another word.
pub(crate) const ID: &str = "log";

/// A register that was not written to for longer is worth a word at the start.
const AWAY_SECS: i64 = 7 * 86_400;

/// The time in force after a leaf, for whoever reads the log; what a writer gives is never refused here.
pub(crate) fn in_force_after(before: Timestamp, leaf: &Leaf) -> Result<Timestamp, String> {
    let at = Timestamp::parse_rfc3339(&leaf.time).map_err(|e| e.to_string())?;
    if is_word(leaf) {
        return Ok(at);
    }
    if at < before {
        return Err(format!("its time {at} lies before {before}, which was in force"));
    }
    Ok(at)
}

/// Whether a leaf is an operator's word about the time.
pub(crate) fn is_word(leaf: &Leaf) -> bool {
    leaf.event == Event::Record && leaf.kind == KIND
}

/// An operator's word: the time in force is `to` from now on, whatever was before.
pub(crate) fn word(from: Timestamp, to: Timestamp, reason: &str, actor: ActorStamp, version: u64) -> Record {
    Record {
        kind: KIND,
        id: ID.to_owned(),
        owner: None,
        lookup: None,
        expires: None,
        body: json!({ "from": from.to_string(), "to": to.to_string(), "reason": reason }),
        actor,
        expect: Some(version),
    }
}

fn standing(op: &Op) -> Standing {
    match op {
        Op::Intend(row) => match row.entry.kind {
            // Their time is the cautious one; a revocation that nobody is told of is none.
            Kind::Crl | Kind::OcspBatch => Standing::Goes,
            Kind::Certificate if is_the_server(&row.entry.actor) => Standing::Goes,
            Kind::CaCertificate
            | Kind::Certificate
            | Kind::SshUser
            | Kind::SshHost
            | Kind::CodeSignature
            | Kind::CaRequest => Standing::Waits,
        },
        Op::Record(rows) => match rows.first() {
            Some(word) if word.record.kind == KIND => Standing::Word(word.at),
            Some(row) if row.withdraws => Standing::Goes,
            Some(_) | None => Standing::Waits,
        },
        Op::Import(_) => Standing::Waits,
        Op::Conclude(_) | Op::Refuse(..) | Op::Access(_) | Op::Revoke(_) | Op::Checkpoint(..) => Standing::Goes,
    }
}

/// A node's clocks and what it knows of them; one for the writer and everyone who asks.
#[derive(Debug)]
pub(crate) struct Clock {
    world: World,
    knowledge: Mutex<Knowledge>,
    /// Whether the log of the service said last that nothing is issued: said once, not with every batch.
    said_held: AtomicBool,
}

impl Clock {
    pub fn new(world: World) -> Clock {
        let knowledge = Mutex::new(Knowledge::new(look(&world), BEFORE_ALL));
        Clock { world, knowledge, said_held: AtomicBool::new(false) }
    }

    fn knowledge(&self) -> MutexGuard<'_, Knowledge> {
        self.knowledge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the clock on the wall shows, believed or not.
    pub fn shows(&self) -> Timestamp {
        self.world.now()
    }

    /// Begins with the time in force. A clock far ahead of it may be right: a service may have been off for a year.
    pub fn begin(&self, node: &Node) {
        self.learn(node);
        let (shows, in_force) = (self.shows(), self.in_force());
        if in_force > BEFORE_ALL && shows.since(in_force) > AWAY_SECS {
            tracing::warn!(%shows, newest = %in_force, "nothing was written for long, or the clock is ahead");
        }
    }

    /// Takes over the time in force by the newest sealed head that the node followed. The node is asked under the lock: of two
    /// threads that learn, the later one never learns the older time, which would look like an operator's word.
    pub fn learn(&self, node: &Node) {
        let mut knowledge = self.knowledge();
        knowledge.learn(self.world.gone_by(), Timestamp::from_unix(node.time()));
    }

    /// The time in force, as far as this node knows.
    pub fn in_force(&self) -> Timestamp {
        self.knowledge().in_force
    }

    /// A witness shows this time now.
    pub fn hear(&self, by: &str, time: Timestamp) {
        self.knowledge().hear(self.world.gone_by(), by, time);
    }

    /// The time, if it can be believed.
    pub fn now(&self) -> Result<Timestamp, Held> {
        let (look, mut knowledge) = (look(&self.world), self.knowledge());
        knowledge.judge(look)?;
        knowledge.believed(look);
        Ok(look.wall)
    }

    /// The time, never later than what can be believed.
    pub fn cautious_now(&self) -> Timestamp {
        self.now().unwrap_or_else(|held| held.cautious())
    }

    /// The time by which things end: what the clock shows where it is believed, and where it is not, what can be. Never less than the time
    /// in force then: a clock that was set back opens nothing again, and one that was set ahead ends nothing early.
    pub fn believed_now(&self) -> Timestamp {
        self.believed_or(Knowledge::in_spite_of)
    }

    /// The time that has surely come: by it is done what cannot be undone. A log from the future ends nothing.
    pub fn certain_now(&self) -> Timestamp {
        self.believed_or(Knowledge::surely)
    }

    fn believed_or(&self, in_spite: fn(&Knowledge, &Held, Duration) -> Timestamp) -> Timestamp {
        let (look, mut knowledge) = (look(&self.world), self.knowledge());
        match knowledge.judge(look) {
            Ok(()) => {
                knowledge.believed(look);
                look.wall
            }
            Err(held) => in_spite(&knowledge, &held, look.gone_by),
        }
    }

    /// Whether another than the log and the time gone by contradicts the clock: then an operator is mistaken too.
    pub fn contradicted(&self) -> Option<Held> {
        self.now().err().filter(|held| matches!(held.by, Witness::Other(_)))
    }

    /// Begins to give times to a batch, under the head's lock.
    pub fn stamp(&self, node: &Node) -> Stamp {
        self.learn(node);
        let held = self.now().err();
        if self.said_held.swap(held.is_some(), Ordering::Relaxed) != held.is_some() {
            match held {
                Some(held) => {
                    tracing::error!(name: "edge", why = %held, "the clock is not believed: nothing is issued");
                }
                None => tracing::info!("the clock is believed again"),
            }
        }
        Stamp { look: look(&self.world), knowledge: self.knowledge().clone() }
    }
}

fn look(world: &World) -> Look {
    Look { wall: world.now(), gone_by: world.gone_by() }
}

/// Gives times to the operations of a batch, each judged after the ones before it.
#[derive(Debug)]
pub(crate) struct Stamp {
    look: Look,
    knowledge: Knowledge,
}

impl Stamp {
    /// The time of an operation's leaves, or why it has to wait.
    pub fn time_for(&self, op: &Op) -> Result<Timestamp, Held> {
        self.knowledge.time_for(self.look, standing(op), op.asked())
    }

    /// The operation was taken: its time is in force.
    pub fn took(&mut self, time: Timestamp) {
        self.knowledge.learn(self.look.gone_by, time);
    }

    /// The time in force after all that was taken.
    pub fn in_force(&self) -> Timestamp {
        self.knowledge.in_force
    }
}
