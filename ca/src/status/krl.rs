//! The key revocation list of the SSH CAs (OpenSSH PROTOCOL.krl), for `RevokedKeys` of sshd: which of their certificates count no more.
//!
//! It is not signed, as OpenSSH has no word for that any more: whoever fetches it does so over TLS, or believes the way. It is made from
//! the fold of the log, not from rows, and is the same bytes on each node while nothing is revoked. What ended by itself more than a day
//! ago is left out: no sshd takes that, whatever its clock says.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use policy::Timestamp;
use store::{Ledger, RELEASED, RevokedRow};

use crate::craft::Office;
use crate::craft::ssh::register_serial_tail;
use crate::encode::Wire;
use crate::issuers::Signer;

/// Where the newest list stands, made anew when something was revoked, or a day has passed.
pub(crate) struct KrlShelf {
    office: Office,
    held: Mutex<Option<Held>>,
}

struct Held {
    key: Key,
    list: Bytes,
}

/// What a list depends on: how much is revoked of each CA, and the day.
type Key = (Vec<(String, u64)>, i64);

/// A CA by its name and its key's blob.
type Ca = (String, Vec<u8>);

impl KrlShelf {
    pub(crate) fn new(office: Office) -> KrlShelf {
        KrlShelf { office, held: Mutex::default() }
    }

    /// The newest list.
    pub(crate) fn newest(&self) -> Bytes {
        let (all, ledger) = (self.cas(), &self.office.ledger);
        let now = ledger.cautious_time();
        let counts = all.iter().map(|(name, _)| (name.clone(), count(ledger, name))).collect();
        let key: Key = (counts, now.unix().div_euclid(DAY_SECS));
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = held.as_ref().filter(|held| held.key == key) {
            return held.list.clone();
        }
        let sections = all.iter().map(|(name, blob)| (blob.as_slice(), ledger.revocations(name).rows));
        let list = Bytes::from(encode(sections.collect(), key.0.iter().map(|(_, count)| count).sum(), key.1));
        *held = Some(Held { key, list: list.clone() });
        list
    }

    /// All there ever were: what a retired one signed is revoked as everything else.
    fn cas(&self) -> Vec<Ca> {
        let there = self.office.issuers.read();
        let all = there.issuers().flat_map(|(_, issuer)| &issuer.generations);
        let ssh = all.filter_map(|generation| match &generation.signer {
            Signer::Ssh(ca) => Some((ca.standing.name.to_string(), ca.blob.clone())),
            _ => None,
        });
        ssh.collect()
    }
}

fn count(ledger: &Ledger, issuer: &str) -> u64 {
    ledger.revocations_in(issuer, 0..0).covers.revocations()
}

/// The list: `day` decides what is old enough to be left out, and `version` grows with each revocation.
fn encode(of: Vec<(&[u8], Vec<RevokedRow>)>, version: u64, day: i64) -> Vec<u8> {
    let begins = Timestamp::from_unix(day.saturating_sub(1).saturating_mul(DAY_SECS));
    let newest = of.iter().flat_map(|(_, rows)| rows).map(|row| row.revoked_at).max();
    let generated = newest.map_or(0, |at| u64::try_from(at.unix()).unwrap_or_default());
    let head = Wire::default().u64(MAGIC).u32(FORMAT).u64(version).u64(generated).u64(0).string([]).string(COMMENT);
    let sections = of.into_iter().filter_map(|(blob, rows)| {
        let serials = serials(&rows, begins);
        // "Certificate revocation sections": one for each CA's key, here with the serials alone.
        let list = serials.iter().fold(Wire::default(), |wire, serial| wire.u64(*serial));
        let section = Wire::default().string(blob).string([]).raw(&[SERIAL_LIST]).string(list.0);
        (!serials.is_empty()).then_some(section.0)
    });
    sections.fold(head, |wire, section| wire.raw(&[CERTIFICATES]).string(section)).0
}

/// In their order, each once.
fn serials(rows: &[RevokedRow], begins: Timestamp) -> Vec<u64> {
    let counts = |row: &&RevokedRow| {
        !row.changes && row.reason != RELEASED && row.not_after.is_none_or(|not_after| not_after >= begins)
    };
    let mut all: Vec<u64> = rows.iter().filter(counts).filter_map(|row| register_serial_tail(&row.serial)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

const DAY_SECS: i64 = 86_400;
/// "SSHKRL\n\0".
const MAGIC: u64 = 0x5353_484b_524c_0a00;
const FORMAT: u32 = 1;
const COMMENT: &str = "chancery";
/// KRL_SECTION_CERTIFICATES.
const CERTIFICATES: u8 = 1;
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

    #[test]
    fn a_list_has_what_is_revoked_or_held_and_neither_what_was_released_nor_what_ended_long_ago() {
        let live = DAY_SECS * 101;
        let raised = RevokedRow { changes: true, ..row(4, 1, live) };
        let rows = [
            row(9, 0, live),
            row(2, HOLD, live),
            row(3, RELEASED, live),
            raised,
            row(5, 0, DAY_SECS * 99 - 1),
            row(9, 0, live),
        ];
        let begins = Timestamp::from_unix(DAY_SECS * 99);
        assert_eq!(serials(&rows, begins), [2, 9]);
    }

    #[test]
    fn a_list_is_the_same_bytes_until_something_is_revoked() {
        let list = |rows: Vec<RevokedRow>, version| encode(vec![(b"a key".as_slice(), rows)], version, 100);
        let one = || vec![row(9, 0, DAY_SECS * 101)];
        assert_eq!(list(one(), 1), list(one(), 1));
        assert_ne!(list(one(), 1), list(vec![], 0));
        // Without entries it is a list all the same: sshd refuses everybody where the file is none.
        assert_eq!(list(vec![], 0).get(..8), Some(&b"SSHKRL\n\0"[..]));
    }
}
