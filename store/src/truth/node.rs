//! A running node: the tree and the fold it believes, and how it follows the register.
//!
//! Following takes only what extends the tree in memory under a sealed head. A register that is shorter, or has another tree
//! at the same size, is a divergence: from then on nothing is written until an operator says how to go on (invariant 12).
//!
//! Lock order: `state` is held for moments, never across a statement.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use policy::World;
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::alarm::{Alarms, Integrity};
use super::anchor::Anchor;
use super::change::Change;
use super::change::RecordKey;
use super::fold::{Fold, Lost, Revocations, Version};
use super::image;
use super::key::HeadKey;
use super::read_hours::ReadHours;
use super::tiles::Tiles;
use crate::forms::leaf::Leaf;
use crate::log::{Hash, Head, Tree, leaf_hash};
use crate::nouns::error::StoreError;
use crate::sql::{Sql, SqlError, Value};

/// Leaves read at once: about a megabyte.
const PAGE: u64 = 1_024;
/// A new image of the fold is written when so many leaves came since the last, and one for every four entries it has:
/// reading them again takes well under a second, and writing costs a small part of what appending did.
const IMAGE_LEAVES_MIN: u64 = 50_000;
/// After a revocation it is written too, at the next checkpoint, but not more than this each second: 100,000 revocations are 15 MB, and
/// a minute.
const IMAGE_BYTES_SEC: usize = 256 << 10;

/// Why the register could not be followed.
#[derive(Debug)]
pub(crate) enum Divergence {
    /// The database did not answer.
    Sql(SqlError),
    /// What it answered is not what this node knows to be so.
    Held(String),
}

impl From<SqlError> for Divergence {
    fn from(error: SqlError) -> Divergence {
        Divergence::Sql(error)
    }
}

impl From<Divergence> for StoreError {
    fn from(divergence: Divergence) -> StoreError {
        match divergence {
            Divergence::Sql(error) => error.into(),
            Divergence::Held(why) => StoreError::Held(why),
        }
    }
}

/// The head row.
struct HeadRow {
    size: u64,
    edge: Vec<u8>,
    time: i64,
    seal: Vec<u8>,
}

#[derive(Debug, Default)]
struct State {
    tree: Tree,
    fold: Fold,
    time: i64,
    /// How large the log was when the fold was last written down.
    imaged: u64,
}

/// When the fold was written down last, and how much that was.
#[derive(Debug, Default)]
struct Imaged {
    at: Duration,
    bytes: usize,
    revoked: usize,
}

/// What a node knew before it went on from another head.
#[derive(Debug)]
pub(crate) struct Before {
    /// The register's head, which is the node's from now on.
    pub head: Head,
    /// The newest head this node knew.
    pub known: Option<Head>,
    /// What that history says and the register does not.
    pub lost: Lost,
}

/// What a running node believes.
#[derive(Debug)]
pub(crate) struct Node {
    pub origin: String,
    key: HeadKey,
    /// None where nothing is kept outside the database, and while an operator's word to go on is not written yet.
    anchor: OnceLock<Anchor>,
    world: World,
    state: RwLock<State>,
    imaged: Mutex<Imaged>,
    held: Mutex<Option<String>>,
    alarms: Mutex<Alarms>,
    pub(super) tiles: Mutex<Tiles>,
    read: Mutex<ReadHours>,
    /// One more than the newest leaf of a secret's record that came since this node began; 0: none did.
    secrets: watch::Sender<u64>,
}

impl Node {
    /// A key that all nodes of the register have ([`HeadKey::derived`]).
    pub fn key_for(&self, purpose: &str) -> Zeroizing<Hash> {
        self.key.derived(purpose)
    }

    /// Reads the register from the newest image, or from its beginning. Refuses one that is behind what this node saw, or what
    /// a node with this token signed.
    pub fn load(
        sql: &mut dyn Sql,
        origin: &str,
        key: HeadKey,
        (anchor, in_token): (Option<Anchor>, Option<Head>),
        world: World,
    ) -> Result<Node, StoreError> {
        if let Some(why) = anchor.as_ref().map(Anchor::held).transpose()?.flatten() {
            return Err(StoreError::Held(why));
        }
        let image = anchor.as_ref().and_then(Anchor::image);
        let start = image.and_then(|bytes| image::read(&key, origin, &bytes));
        let mut state = start.map_or_else(State::default, |(tree, fold, time)| {
            let imaged = tree.size();
            State { tree, fold, time, imaged }
        });
        let noted = anchor.as_ref().map(Anchor::newest).transpose()?.flatten();
        let known: Vec<Head> = [noted, in_token].into_iter().flatten().collect();
        load_state(sql, origin, &key, &mut state, &known)?;
        if anchor.is_some() && noted.is_none() && state.tree.size() > 0 {
            tracing::warn!(
                leaves = state.tree.size(),
                in_token = in_token.map(|head| head.size),
                "THE FOLDER [log] state IS EMPTY AND THE REGISTER IS NOT: right at a new node's first start; else somebody took away \
                 what this node knew, and `chancery audit verify --checkpoint` with a kept one tells whether the register was put back"
            );
        }
        let node = Node::new(origin, key, world, state);
        if let Some(anchor) = anchor {
            node.keep_in(anchor);
            node.note_head();
            // From here on the file has its blocks, and a power loss leaves an older line and not an empty one.
            node.anchor.get().map_or(Ok(()), Anchor::flush)?;
        }
        Ok(node)
    }

    fn new(origin: &str, key: HeadKey, world: World, state: State) -> Node {
        Node {
            origin: origin.to_owned(),
            key,
            anchor: OnceLock::new(),
            world,
            state: RwLock::new(state),
            imaged: Mutex::default(),
            held: Mutex::default(),
            alarms: Mutex::default(),
            tiles: Mutex::default(),
            read: Mutex::default(),
            secrets: watch::Sender::new(0),
        }
    }

    fn keep_in(&self, anchor: Anchor) {
        // A node has one folder, given once.
        let _ = self.anchor.set(anchor);
    }

    /// Reads the register for a node that is to go on at its head, which a node with the token must have sealed. Answers the node
    /// and what this node knew before. The folder stays as it is, but for the sizes that are signed no more, until [`Node::go_on`].
    pub fn resume(
        sql: &mut dyn Sql,
        origin: &str,
        key: HeadKey,
        (anchor, in_token): (&Anchor, Option<Head>),
        world: World,
    ) -> Result<(Node, Before), StoreError> {
        let known = [anchor.newest_readable(), in_token].into_iter().flatten().max_by_key(|head| head.size);
        let mut state = State::default();
        load_state(sql, origin, &key, &mut state, &[])?;
        let head = Head { size: state.tree.size(), root: state.tree.root() };
        anchor.burn(known.map_or(0, |known| known.size))?;
        let knew = anchor.image().and_then(|bytes| image::read(&key, origin, &bytes)).map(|(_, fold, _)| fold);
        let before = Before { head, known, lost: knew.map_or_else(Lost::default, |knew| knew.lost_in(&state.fold)) };
        Ok((Node::new(origin, key, world, state), before))
    }

    /// The operator's word is durable: the folder begins again at this node's head.
    pub fn go_on(&self, anchor: Anchor) -> Result<(), StoreError> {
        anchor.begin_at(&self.head())?;
        self.keep_in(anchor);
        Ok(())
    }

    /// The size up to which no checkpoint is signed.
    pub fn burned(&self) -> Result<u64, StoreError> {
        self.anchor.get().map_or(Ok(0), Anchor::burned)
    }

    /// How long this node is there, by the clock that nobody sets.
    pub fn gone_by(&self) -> Duration {
        self.world.gone_by()
    }

    /// Takes what others appended. In a transaction that holds the head's lock the log cannot move meanwhile.
    pub fn follow(&self, sql: &mut dyn Sql, lock: bool) -> Result<(), Divergence> {
        self.not_held()?;
        // The tree first: the head that is read afterwards is at least as new.
        let (mut tree, known_time) = self.read(|state| (state.tree.clone(), state.time));
        let head = read_head(sql, lock)?;
        let from = tree.size();
        if head.size < from {
            return Err(self.hold(format!("the register has {} leaves, this node knows {from}", head.size)));
        }
        let mut leaves = Vec::new();
        while tree.size() < head.size {
            for (hash, change) in read_leaves(sql, tree.size(), head.size).map_err(|e| self.hold_unless_sql(e))? {
                tree.append(hash, &mut Vec::new());
                leaves.push((hash, change));
            }
        }
        let fits = tree.edge().concat() == head.edge
            && (head.size == from && head.time == known_time
                || self.key.sealed(&self.origin, head.size, &tree.root(), head.time, &head.seal)
                || head.size == 0);
        if !fits {
            // Another thread may have published meanwhile what this one read half of; then the look is repeated.
            if self.read(|state| state.tree.size()) != from {
                return self.follow(sql, lock);
            }
            let what = if head.size == from { "another tree" } else { "leaves that no node with the token sealed" };
            return Err(self.hold(format!("the register has {what} at {} leaves", head.size)));
        }
        self.publish(from, tree, leaves, head.time)
    }

    /// Makes a batch that is durable, or leaves that were read, part of what this node believes.
    pub fn publish(&self, from: u64, tree: Tree, leaves: Vec<(Hash, Change)>, time: i64) -> Result<(), Divergence> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have read these leaves from the register before their writer came here.
        let skip = state.tree.size().saturating_sub(from);
        if state.tree.size() < from || tree.size() < state.tree.size() {
            return Ok(());
        }
        let mut secrets = 0;
        for (index, (hash, change)) in (from..).zip(leaves).skip(usize::try_from(skip).unwrap_or(usize::MAX)) {
            if matches!(change, Change::Recorded { secret: true, .. }) {
                secrets = index + 1;
            }
            if let Err(why) = state.fold.apply(index, &hash, change) {
                drop(state);
                return Err(self.hold(format!("the register's log says what cannot be: {why}")));
            }
        }
        state.tree = tree;
        state.time = time;
        drop(state);
        self.note_head();
        self.secrets.send_if_modified(|newest| {
            let is_newer = secrets > *newest;
            *newest = secrets.max(*newest);
            is_newer
        });
        Ok(())
    }

    /// Who waits for secrets that change sees here one more than the newest leaf of a record of one.
    pub fn secrets(&self) -> watch::Receiver<u64> {
        self.secrets.subscribe()
    }

    /// Whether what somebody reads in this hour changes nothing in the register any more: it has an earlier reading of that hour.
    pub fn has_read(&self, key: &RecordKey, hour: i64) -> bool {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).has(key, hour)
    }

    /// Readings of these hours are durable.
    pub fn note_read(&self, read: Vec<(RecordKey, i64)>) {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).note(read);
    }

    /// The seal of a head that is about to be written.
    pub fn seal(&self, tree: &Tree, time: i64) -> Hash {
        self.key.seal_head(&self.origin, tree.size(), &tree.root(), time)
    }

    /// The tree, to append to.
    pub fn tree(&self) -> Tree {
        self.read(|state| state.tree.clone())
    }

    /// The time in force, by the newest head it followed.
    pub fn time(&self) -> i64 {
        self.read(|state| state.time)
    }

    /// The head as this node knows it.
    pub fn head(&self) -> Head {
        self.read(|state| Head { size: state.tree.size(), root: state.tree.root() })
    }

    /// How many leaves are folded, and the present version of a record.
    pub fn record(&self, key: &RecordKey) -> (u64, Option<Version>) {
        self.read(|state| (state.tree.size(), state.fold.record(key)))
    }

    /// What is revoked of an issuer; rows of that part alone.
    pub fn revocations(&self, issuer: &str, part: Range<usize>) -> Revocations {
        self.read(|state| state.fold.revocations(issuer, state.tree.size(), part))
    }

    /// Asks the fold, and how many leaves it is of.
    pub fn fold<T>(&self, ask: impl FnOnce(&Fold, u64) -> T) -> T {
        self.read(|state| ask(&state.fold, state.tree.size()))
    }

    /// A hash of an unfinished tile: the part of the tree that no tile in the database has to be believed for. None where
    /// the tile is finished.
    pub fn unfinished(&self, level: u8, index: u64) -> Result<Option<Hash>, String> {
        self.read(|state| {
            let hashes = state.tree.size().checked_shr(8 * u32::from(level)).unwrap_or(0);
            let first = hashes - hashes % 256;
            let Some(at) = index.checked_sub(first) else { return Ok(None) };
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            let hash = state.tree.partial(level).get(at).copied();
            hash.map(Some).ok_or_else(|| format!("the log does not reach hash {index} of level {level}"))
        })
    }

    /// Writes the fold down beside the head if much came since, or a revocation, or if `now`: a register that is put back later is told
    /// of every revocation again that the image has.
    pub fn write_image(&self, now: bool) -> Result<(), StoreError> {
        let Some(anchor) = self.anchor.get() else { return Ok(()) };
        let image = {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            let since = state.tree.size() - state.imaged;
            let worth = IMAGE_LEAVES_MIN.max((state.fold.records.len() + state.fold.revoked.len()) as u64 / 4);
            let revoked = state.fold.revoked.len();
            if since == 0 || !now && since < worth && !self.is_image_due(revoked) {
                return Ok(());
            }
            let bytes = image::write(&self.key, &self.origin, &state.tree, &state.fold, state.time)?;
            (bytes, state.tree.size(), revoked)
        };
        anchor.note_image(&image.0)?;
        self.state.write().unwrap_or_else(PoisonError::into_inner).imaged = image.1;
        let imaged = Imaged { at: self.gone_by(), bytes: image.0.len(), revoked: image.2 };
        *self.imaged.lock().unwrap_or_else(PoisonError::into_inner) = imaged;
        Ok(())
    }

    /// A revocation came since, and writing all of it down again costs little beside the time that went by.
    fn is_image_due(&self, revoked: usize) -> bool {
        let imaged = self.imaged.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = Duration::from_secs((imaged.bytes / IMAGE_BYTES_SEC) as u64);
        imaged.revoked != revoked && self.gone_by().saturating_sub(imaged.at) >= rest
    }

    /// Keeps a signed checkpoint outside the database.
    pub fn note_checkpoint(&self, note: &str) -> Result<(), StoreError> {
        self.anchor.get().map_or(Ok(()), |anchor| anchor.note_checkpoint(note))
    }

    /// Whether it writes at all.
    pub fn not_held(&self) -> Result<(), Divergence> {
        match self.locked_held().as_ref() {
            Some(why) => Err(Divergence::Held(why.clone())),
            None => Ok(()),
        }
    }

    /// Stops writing, for good; the first reason stays.
    pub fn hold(&self, why: String) -> Divergence {
        let mut held = self.locked_held();
        if held.is_none() {
            tracing::error!(%why, "the register is not an extension of what this node knows: nothing is written any more");
            if let Some(anchor) = self.anchor.get() {
                anchor.note_held(&why);
            }
            self.alarm("log", &why);
        }
        Divergence::Held(held.get_or_insert(why).clone())
    }

    fn hold_unless_sql(&self, divergence: Divergence) -> Divergence {
        match divergence {
            Divergence::Held(why) => self.hold(why),
            sql @ Divergence::Sql(_) => sql,
        }
    }

    /// Raises an alarm about a row.
    pub fn alarm(&self, place: &str, says: &str) {
        let mut alarms = self.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        alarms.raise(self.world.now(), place.to_owned(), says.to_owned());
    }

    /// How the register is.
    pub fn integrity(&self) -> Integrity {
        let (alarms, alarms_total) = self.alarms.lock().unwrap_or_else(PoisonError::into_inner).list();
        Integrity { held: self.locked_held().clone(), alarms, alarms_total }
    }

    fn note_head(&self) {
        if let Some(anchor) = self.anchor.get() {
            anchor.note_head(&self.head());
        }
    }

    fn locked_held(&self) -> MutexGuard<'_, Option<String>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, ask: impl FnOnce(&State) -> T) -> T {
        ask(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Brings the state from an image, or from nothing, to the register's head, and holds it against every head that is known.
fn load_state(
    sql: &mut dyn Sql,
    origin: &str,
    key: &HeadKey,
    state: &mut State,
    known: &[Head],
) -> Result<(), StoreError> {
    let head = read_head(sql, false)?;
    let behind = |size: u64, known: u64| {
        StoreError::Held(format!(
            "the register has {size} leaves, and this node saw {known}: it was put back, cut or exchanged"
        ))
    };
    let not_ours = || StoreError::Held("the register's log is not the one this node saw".to_owned());
    if let Some(known) = known.iter().map(|known| known.size).max().filter(|known| *known > head.size) {
        return Err(behind(head.size, known));
    }
    if state.tree.size() > head.size {
        return Err(behind(head.size, state.tree.size()));
    }
    let differs = |tree: &Tree| known.iter().any(|known| known.size == tree.size() && known.root != tree.root());
    while state.tree.size() < head.size {
        for (hash, change) in read_leaves(sql, state.tree.size(), head.size)? {
            if differs(&state.tree) {
                return Err(not_ours());
            }
            let index = state.tree.size();
            state.fold.apply(index, &hash, change).map_err(StoreError::Held)?;
            state.tree.append(hash, &mut Vec::new());
        }
    }
    if differs(&state.tree) {
        return Err(not_ours());
    }
    let root = state.tree.root();
    let sealed = head.size == 0 || key.sealed(origin, head.size, &root, head.time, &head.seal);
    if state.tree.edge().concat() != head.edge || !sealed {
        return Err(StoreError::Held(
            "the register's head was not sealed by a node with this token and this log's name".to_owned(),
        ));
    }
    state.time = head.time;
    Ok(())
}

fn read_head(sql: &mut dyn Sql, lock: bool) -> Result<HeadRow, SqlError> {
    let text = "SELECT size, edge, time, seal FROM head WHERE id = $1";
    let rows = if lock { sql.query_and_lock(text, &[Value::Int(1)])? } else { sql.query(text, &[Value::Int(1)])? };
    let row = rows.into_iter().next().and_then(|mut row| {
        Some(HeadRow { size: row.index().ok()?, edge: row.blob().ok()?, time: row.int().ok()?, seal: row.blob().ok()? })
    });
    row.ok_or_else(|| SqlError::Corrupt("the head row is missing or malformed".into()))
}

/// A page of leaves from `from` on. One that is missing or is none of ours is a divergence.
pub(super) fn read_leaves(sql: &mut dyn Sql, from: u64, to: u64) -> Result<Vec<(Hash, Change)>, Divergence> {
    let to = to.min(from + PAGE);
    let range = [Value::index(from), Value::index(to)];
    let rows = sql.query("SELECT idx, bytes FROM leaf WHERE idx >= $1 AND idx < $2 ORDER BY idx", &range)?;
    if rows.len() as u64 != to - from {
        return Err(Divergence::Held(format!("of the register's leaves {from} to {to} some are missing")));
    }
    let mut leaves = Vec::with_capacity(rows.len());
    for (index, mut row) in (from..).zip(rows) {
        let wrong = |why: &dyn std::fmt::Display| Divergence::Held(format!("leaf {index} is none of ours: {why}"));
        let there = row.index().map_err(|e| wrong(&e))?;
        let bytes = row.blob().map_err(|e| wrong(&e))?;
        let leaf = Leaf::parse(&bytes).map_err(|e| wrong(&e))?;
        if leaf.i != index || there != index {
            return Err(wrong(&"it says another index"));
        }
        leaves.push((leaf_hash(&bytes), Change::of(&leaf).map_err(|e| wrong(&e))?));
    }
    Ok(leaves)
}
