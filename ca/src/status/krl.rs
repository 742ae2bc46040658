//! The key revocation list of the SSH CAs (OpenSSH PROTOCOL.krl), for `RevokedKeys` of sshd: which of their certificates count no more.
//! Of a CA that is revoked itself its key stands there: with that ends whatever it signed, what nobody here knows of too.
//!
//! It is not signed, as OpenSSH has no word for that any more: whoever fetches it does so over TLS, or believes the way. It is made from
//! the fold of the log, not from rows, and is the same bytes on each node while nothing is revoked. What ended by itself more than a day
//! ago is left out: no sshd takes that, whatever its clock says.
//!
//! Anybody may fetch it, so it costs a copy of a pointer: it is made once for each revocation and each day, from what the one before was
//! made of and what was revoked since. All revocations are read once, for the first list of a process.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use policy::Timestamp;
use store::{Ledger, RELEASED, RevokedRow};

use crate::craft::Office;
use crate::craft::ssh::register_serial_tail;
use crate::encode::Wire;

/// Where the newest list stands, made anew when something was revoked, or a day has passed.
pub(crate) struct KrlShelf {
    office: Office,
    held: Mutex<Option<Held>>,
    /// One at a time makes the next.
    roll: Mutex<Roll>,
}

struct Held {
    key: Key,
    list: Bytes,
}

/// What a list depends on: how much is revoked of each CA, since when it is revoked itself, and the day.
type Key = (Vec<(String, u64, Option<Timestamp>)>, i64);

/// A CA by its name and its key's blob; since when it is revoked itself.
struct Ca {
    name: String,
    blob: Vec<u8>,
    revoked: Option<Timestamp>,
}

/// From what lists are made: it goes on from the one before.
#[derive(Default)]
struct Roll {
    day: i64,
    of: HashMap<String, Told>,
}

/// What is revoked of one CA, as far as it was read. The log of a running node only grows, and so does this.
#[derive(Default)]
struct Told {
    rows: usize,
    /// By its operation: its serial, and when it ends by itself.
    listed: BTreeMap<u64, (u64, Option<Timestamp>)>,
    /// When the newest of all was revoked, those that are not listed too.
    newest: Option<Timestamp>,
}

impl KrlShelf {
    pub(crate) fn new(office: Office) -> KrlShelf {
        KrlShelf { office, held: Mutex::default(), roll: Mutex::default() }
    }

    /// The newest list.
    pub(crate) fn newest(&self) -> Bytes {
        let all = self.cas();
        if let Some(list) = self.fresh(&all) {
            return list;
        }
        let mut roll = locked(&self.roll);
        // Whoever was here before may have made it.
        if let Some(list) = self.fresh(&all) {
            return list;
        }
        let day = self.day();
        roll.turn(day);
        for ca in &all {
            roll.of.entry(ca.name.clone()).or_default().follow(&self.office.ledger, &ca.name, begins(day));
        }
        let key: Key = (all.iter().map(|ca| (ca.name.clone(), roll.told(&ca.name), ca.revoked)).collect(), day);
        let sections = all.iter().filter_map(|ca| Some((ca.blob.as_slice(), roll.of.get(&ca.name)?)));
        let ended: Vec<(&[u8], Timestamp)> =
            all.iter().filter_map(|ca| Some((ca.blob.as_slice(), ca.revoked?))).collect();
        let list = Bytes::from(encode(sections.collect(), &ended, number(&key)));
        *locked(&self.held) = Some(Held { key, list: list.clone() });
        list
    }

    /// The one that is held, where nothing was revoked since it was made, on the same day.
    fn fresh(&self, all: &[Ca]) -> Option<Bytes> {
        let of = |ca: &Ca| (ca.name.clone(), count(&self.office.ledger, &ca.name), ca.revoked);
        let counts = all.iter().map(of).collect();
        let key: Key = (counts, self.day());
        locked(&self.held).as_ref().filter(|held| held.key == key).map(|held| held.list.clone())
    }

    fn day(&self) -> i64 {
        self.office.ledger.cautious_time().unix().div_euclid(DAY_SECS)
    }

    /// All there ever were, whether their tokens answer or are lost: what a retired one signed is revoked as everything else.
    fn cas(&self) -> Vec<Ca> {
        let there = self.office.issuers.read();
        let ssh = there.generations().filter_map(|generation| {
            let revoked = generation.record.revoked.as_ref().map(|revoked| revoked.at);
            Some(Ca { name: generation.name.to_string(), blob: generation.ssh_key()?, revoked })
        });
        ssh.collect()
    }
}

impl Roll {
    /// Another day has come: what has ended is left out. Where the clock went back, all is read again, as that may count again.
    fn turn(&mut self, day: i64) {
        if day < self.day {
            self.of.clear();
        }
        if day > self.day {
            self.of.values_mut().for_each(|told| told.sweep(begins(day)));
        }
        self.day = day;
    }

    fn told(&self, name: &str) -> u64 {
        self.of.get(name).map_or(0, |told| u64::try_from(told.rows).unwrap_or(u64::MAX))
    }
}

impl Told {
    /// Reads what was revoked since, some at a time: the fold is not held for long.
    fn follow(&mut self, ledger: &Ledger, issuer: &str, begins: Timestamp) {
        loop {
            let some = ledger.revocations_in(issuer, self.rows..self.rows.saturating_add(ROWS));
            if some.rows.is_empty() {
                return;
            }
            self.add(&some.rows, begins);
        }
    }

    /// Each row says how it is now, whether it is the first of its operation or changes what an earlier one said.
    fn add(&mut self, rows: &[RevokedRow], begins: Timestamp) {
        for row in rows {
            self.newest = self.newest.max(Some(row.revoked_at));
            let counts = row.reason != RELEASED && is_live(row.not_after, begins);
            match register_serial_tail(&row.serial).filter(|_| counts) {
                Some(serial) => self.listed.insert(row.operation, (serial, row.not_after)),
                None => self.listed.remove(&row.operation),
            };
        }
        self.rows = self.rows.saturating_add(rows.len());
    }

    fn sweep(&mut self, begins: Timestamp) {
        self.listed.retain(|_, (_, not_after)| is_live(*not_after, begins));
    }

    /// In their order, each once.
    fn serials(&self) -> Vec<u64> {
        let mut all: Vec<u64> = self.listed.values().map(|(serial, _)| *serial).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn count(ledger: &Ledger, issuer: &str) -> u64 {
    ledger.revocations_in(issuer, 0..0).covers.revocations()
}

/// What ended before is left out on this day.
fn begins(day: i64) -> Timestamp {
    Timestamp::from_unix(day.saturating_sub(1).saturating_mul(DAY_SECS))
}

fn is_live(not_after: Option<Timestamp>, begins: Timestamp) -> bool {
    not_after.is_none_or(|not_after| not_after >= begins)
}

/// The list's number: it grows with each revocation, that of a CA among them. Nothing that is revoked is ever less of it.
fn number(key: &Key) -> u64 {
    key.0.iter().fold(0, |sum: u64, (_, count, revoked)| {
        sum.saturating_add(*count).saturating_add(u64::from(revoked.is_some()))
    })
}

/// The list, with the keys of the CAs that are revoked themselves, each since when.
fn encode(of: Vec<(&[u8], &Told)>, ended: &[(&[u8], Timestamp)], version: u64) -> Vec<u8> {
    let newest = of.iter().filter_map(|(_, told)| told.newest).chain(ended.iter().map(|(_, at)| *at)).max();
    let generated = newest.map_or(0, |at| u64::try_from(at.unix()).unwrap_or_default());
    let head = Wire::default().u64(MAGIC).u32(FORMAT).u64(version).u64(generated).u64(0).string([]).string(COMMENT);
    let sections = of.into_iter().filter_map(|(blob, told)| {
        let serials = told.serials();
        // "Certificate revocation sections": one for each CA's key, here with the serials alone.
        let list = serials.iter().fold(Wire::default(), |wire, serial| wire.u64(*serial));
        let section = Wire::default().string(blob).string([]).raw(&[SERIAL_LIST]).string(list.0);
        (!serials.is_empty()).then_some(section.0)
    });
    let list = sections.fold(head, |wire, section| wire.raw(&[CERTIFICATES]).string(section));
    // "Explicit key sections": sshd and ssh refuse a key that stands here, and every certificate that it signed. One without a key is none.
    let keys = ended.iter().fold(Wire::default(), |wire, (blob, _)| wire.string(blob));
    match ended.is_empty() {
        true => list.0,
        false => list.raw(&[EXPLICIT_KEYS]).string(keys.0).0,
    }
}

const DAY_SECS: i64 = 86_400;
/// So many revocations are read at once.
const ROWS: usize = 4_096;
/// "SSHKRL\n\0".
const MAGIC: u64 = 0x5353_484b_524c_0a00;
const FORMAT: u32 = 1;
const COMMENT: &str = "chancery";
/// KRL_SECTION_CERTIFICATES.
const CERTIFICATES: u8 = 1;
/// KRL_SECTION_EXPLICIT_KEY.
const EXPLICIT_KEYS: u8 = 2;
/// KRL_SECTION_CERT_SERIAL_LIST.
const SERIAL_LIST: u8 = 0x20;

#[cfg(test)]
mod tests {
    use store::{HOLD, Kind};

    use super::*;

    fn row(tail: u64, reason: u8, not_after: i64) -> RevokedRow {
        RevokedRow {
            operation: tail,
            kind: Kind::SshUser,
            serial: [[7; 8], tail.to_be_bytes()].concat(),
            revoked_at: Timestamp::from_unix(DAY_SECS * 100),
            reason,
            invalid: None,
            not_after: Some(Timestamp::from_unix(not_after)),
            changes: false,
        }
    }

    fn told(parts: &[&[RevokedRow]]) -> Told {
        let mut told = Told::default();
        parts.iter().for_each(|rows| told.add(rows, Timestamp::from_unix(DAY_SECS * 99)));
        told
    }

    #[test]
    fn a_list_has_what_is_revoked_or_held_and_neither_what_was_released_nor_what_ended_long_ago() {
        let live = DAY_SECS * 101;
        let raised = RevokedRow { changes: true, ..row(4, 1, live) };
        let rows = [
            row(9, 0, live),
            row(2, HOLD, live),
            row(3, RELEASED, live),
            row(4, 1, live),
            raised,
            row(5, 0, DAY_SECS * 99 - 1),
        ];
        assert_eq!(told(&[&rows]).serials(), [2, 4, 9]);
        let mut later = told(&[&rows, &[row(6, 0, DAY_SECS * 103)]]);
        later.sweep(Timestamp::from_unix(live + 1));
        assert_eq!(later.serials(), [6], "what has ended since is left out");
    }

    #[test]
    fn what_is_said_later_of_what_is_listed_takes_it_off_or_puts_it_back() {
        let live = DAY_SECS * 101;
        let changed = |reason| RevokedRow { changes: true, ..row(2, reason, live) };
        let held = [row(9, 0, live), row(2, HOLD, live)];
        assert_eq!(told(&[&held]).serials(), [2, 9]);
        let released = told(&[&held, &[changed(RELEASED)]]);
        assert_eq!((released.serials(), released.rows), (vec![9], 3));
        assert_eq!(told(&[&held, &[changed(RELEASED)], &[changed(0)]]).serials(), [2, 9]);
    }

    #[test]
    fn a_list_that_goes_on_is_the_same_bytes_as_one_that_is_made_of_all() {
        let list = |parts: &[&[RevokedRow]], version| encode(vec![(b"a key".as_slice(), &told(parts))], &[], version);
        let (one, more) = ([row(9, 0, DAY_SECS * 101)], [row(2, 0, DAY_SECS * 101), row(7, 0, DAY_SECS * 101)]);
        let whole = [&one[..], &more[..]].concat();
        assert_eq!(list(&[&one, &more], 3), list(&[&whole], 3));
        assert_ne!(list(&[&one], 1), list(&[], 0));
        // Without entries it is a list all the same: sshd refuses everybody where the file is none.
        assert_eq!(list(&[], 0).get(..8), Some(&b"SSHKRL\n\0"[..]));
    }

    #[test]
    fn a_ca_that_is_revoked_stands_there_by_its_key_for_ever_and_the_list_is_a_newer_one() {
        let key = |first, revoked: Option<i64>| -> Key {
            let of =
                |name: &str, count, revoked: Option<i64>| (name.to_owned(), count, revoked.map(Timestamp::from_unix));
            (vec![of("ssh-host/1", 2, None), of("ssh-user/1", first, revoked)], 100)
        };
        assert_eq!((number(&key(3, None)), number(&key(3, Some(7))), number(&key(4, Some(7)))), (5, 6, 7));
        assert_ne!(key(3, None), key(3, Some(7)), "it is made anew");
        let at = DAY_SECS * 102;
        let both = [(b"user".as_slice(), Timestamp::from_unix(at)), (b"host".as_slice(), Timestamp::from_unix(at - 9))];
        // A serial of long ago has left the list; the keys have not.
        let mut told = told(&[&[row(9, 0, DAY_SECS * 101)]]);
        told.sweep(Timestamp::from_unix(DAY_SECS * 500));
        let list = encode(vec![(b"user".as_slice(), &told)], &both, 6);
        let whole = Wire::default().u64(MAGIC).u32(1).u64(6).u64(u64::try_from(at).unwrap()).u64(0).string([]);
        let keys = Wire::default().string("user").string("host").0;
        assert_eq!(list, whole.string("chancery").raw(&[2]).string(keys).0);
    }

    #[test]
    fn a_day_that_comes_again_is_read_anew() {
        let mut roll = Roll::default();
        roll.turn(100);
        roll.of.insert("ssh-user/1".to_owned(), told(&[&[row(9, 0, DAY_SECS * 101)]]));
        roll.turn(101);
        assert_eq!(roll.told("ssh-user/1"), 1);
        roll.turn(100);
        assert_eq!(roll.told("ssh-user/1"), 0);
    }
}
