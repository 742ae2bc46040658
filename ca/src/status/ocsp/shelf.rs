//! The shelf: responses that were made before, in memory, in the little that differs from one to the next.
//!
//! Of a response only its signature, its status and whose batch it is of are kept; everything else is put together again for each
//! reader, byte for byte as it was signed. A response takes 80 bytes and its signature, with a P-256 key at most 300 with what a
//! table of them leaves free; its batch another 100, and of its responder all share one. What nobody asked for in a day goes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use policy::Timestamp;

use crate::craft::ocsp::{Responder, Said, Wanted};
use crate::encode::ocsp::{IdHash, Status, Times, response};

/// Responses of one issuer that are kept: 150 MB, whatever its key. Signatures of other keys than P-256's are longer, and so fewer
/// responses are kept.
pub(crate) const RESPONSES_MAX: usize = 500_000;
const SIGNATURES_BYTES_MAX: usize = RESPONSES_MAX * 72;
/// What nobody asked for in so long goes.
const UNASKED_SECS: u32 = 86_400;
/// From this age on a response that is asked for is made anew, long before its end.
const REFRESH_SECS: i64 = 12 * 3_600;
/// What should have been made anew and was not is tried again after this.
const NUDGED_SECS: u32 = 60;
/// A table is locked for those of its own alone.
const TABLES: usize = 32;
/// RFC 5280 section 4.1.2.2.
const SERIAL_BYTES_MAX: usize = 20;

/// Which certificate, by which hash of its issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    hash: IdHash,
    len: u8,
    serial: [u8; SERIAL_BYTES_MAX],
}

impl Key {
    pub(crate) fn new(hash: IdHash, serial: &[u8]) -> Option<Key> {
        let mut bytes = [0; SERIAL_BYTES_MAX];
        bytes.get_mut(..serial.len())?.copy_from_slice(serial);
        Some(Key { hash, len: u8::try_from(serial.len()).ok()?, serial: bytes })
    }

    pub(crate) fn hash(&self) -> IdHash {
        self.hash
    }

    pub(crate) fn serial(&self) -> &[u8] {
        self.serial.get(..self.len.into()).unwrap_or_default()
    }

    fn table(&self) -> usize {
        // Nine bytes of a serial of ours are random.
        usize::from(self.serial().last().copied().unwrap_or_default()) % TABLES
    }
}

/// What the responses of a batch have in common.
pub(crate) struct Made {
    pub(crate) responder: Arc<Responder>,
    pub(crate) times: Times,
}

struct Kept {
    of: Arc<Made>,
    /// What made the certificate: by it the log knows whether it was revoked since.
    operation: u64,
    revoked_at: i64,
    /// Seconds after the start of the service.
    asked: AtomicU32,
    signature: Box<[u8]>,
    /// 11 is none: it is good.
    reason: u8,
    /// Seconds after it was made until which it holds.
    lasts: u32,
    /// When somebody was told last to have it made anew; 0: nobody was.
    nudged: AtomicU32,
}

/// No CRLReason.
const GOOD: u8 = 11;

impl Kept {
    /// Whether whoever reads now has it made anew: one in a minute, should it not come.
    fn is_nudged(&self, second: u32) -> bool {
        let last = self.nudged.load(Ordering::Relaxed);
        let is_time = last == 0 || second.saturating_sub(last) >= NUDGED_SECS;
        is_time && self.nudged.compare_exchange(last, second.max(1), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn status(&self) -> Status {
        match self.reason {
            GOOD => Status::Good,
            reason => Status::Revoked { at: Timestamp::from_unix(self.revoked_at), reason },
        }
    }

    fn until(&self) -> Timestamp {
        self.of.times.produced.plus_secs(self.lasts.into())
    }
}

/// A response as a reader gets it.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) der: Bytes,
    pub(crate) times: Times,
    /// It is time to make it anew; told to one reader in a minute.
    pub(crate) is_aged: bool,
}

/// The responses of one issuer.
pub(crate) struct Shelf {
    tables: [RwLock<HashMap<Key, Kept>>; TABLES],
}

impl Default for Shelf {
    fn default() -> Shelf {
        Shelf { tables: std::array::from_fn(|_| RwLock::default()) }
    }
}

impl Shelf {
    /// The response for a certificate, if it holds at `now` and says what the log says; `revoked` answers what that is.
    pub(crate) fn get(
        &self,
        key: &Key,
        (now, second): (Timestamp, u32),
        revoked: impl FnOnce(u64) -> Option<(Timestamp, u8)>,
    ) -> Option<Given> {
        let table = self.tables.get(key.table())?.read().unwrap_or_else(PoisonError::into_inner);
        let kept = table.get(key)?;
        let times = Times { next_update: kept.until(), ..kept.of.times };
        let status = kept.status();
        let is_so = match revoked(kept.operation) {
            None => status == Status::Good,
            Some((at, reason)) => status == Status::Revoked { at, reason },
        };
        if !is_so || now >= times.next_update || now < times.this_update {
            return None;
        }
        kept.asked.store(second, Ordering::Relaxed);
        // The end that it was signed with, whether that was its certificate's or that of all of its batch.
        let ends = Some(times.next_update);
        let said = Said { hash: key.hash(), serial: key.serial().to_vec(), status, ends };
        let der = assembled(&kept.of, &alone(said), &kept.signature)?;
        let is_aged = now.since(times.produced) >= REFRESH_SECS && kept.is_nudged(second);
        Some(Given { der, times, is_aged })
    }

    /// Keeps a response, and gives it. One that cannot be kept is given all the same.
    pub(crate) fn put(
        &self,
        (key, said, operation): (Key, &Said, Option<u64>),
        of: &Arc<Made>,
        signature: &[u8],
        second: u32,
    ) -> Option<Given> {
        let der = assembled(of, &alone(said.clone()), signature)?;
        let times = Times { next_update: said.until(of.times), ..of.times };
        let given = Given { der, times, is_aged: false };
        let (reason, revoked_at) = match said.status {
            Status::Good => (GOOD, 0),
            Status::Revoked { at, reason } => (reason, at.unix()),
            // Whoever asks for what is not there is not helped by a place in memory.
            Status::Unknown => return Some(given),
        };
        let lasts = u32::try_from(times.next_update.since(times.produced)).unwrap_or_default();
        let Some(operation) = operation else { return Some(given) };
        let kept = Kept {
            of: of.clone(),
            operation,
            revoked_at,
            asked: AtomicU32::new(second),
            signature: signature.into(),
            reason,
            lasts,
            nudged: AtomicU32::new(0),
        };
        let Some(table) = self.tables.get(key.table()) else { return Some(given) };
        let mut table = table.write().unwrap_or_else(PoisonError::into_inner);
        let most = places(signature.len());
        if table.len() >= most && !table.contains_key(&key) {
            make_room(&mut table);
        }
        if table.len() < most || table.contains_key(&key) {
            table.insert(key, kept);
        }
        Some(given)
    }

    /// Drops what has ended and what nobody asked for in a day.
    pub(crate) fn sweep(&self, now: Timestamp, second: u32) {
        for table in &self.tables {
            let mut table = table.write().unwrap_or_else(PoisonError::into_inner);
            table.retain(|_, kept| {
                let unasked = second.saturating_sub(kept.asked.load(Ordering::Relaxed));
                now < kept.until() && unasked < UNASKED_SECS
            });
            if table.capacity() > table.len().saturating_mul(4) {
                table.shrink_to_fit();
            }
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.tables.iter().map(|table| table.read().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }
}

/// So many responses with signatures of this length has a table.
fn places(signature_bytes: usize) -> usize {
    (SIGNATURES_BYTES_MAX / signature_bytes.max(1)).min(RESPONSES_MAX) / TABLES
}

/// An eighth goes: what was not asked for the longest. So that each new one pays for looking at eight.
fn make_room(table: &mut HashMap<Key, Kept>) {
    let mut asked: Vec<u32> = table.values().map(|kept| kept.asked.load(Ordering::Relaxed)).collect();
    let eighth = asked.len() / 8;
    let (_, oldest, _) = asked.select_nth_unstable(eighth);
    let (oldest, mut goes) = (*oldest, eighth + 1);
    table.retain(|_, kept| {
        let stays = goes == 0 || kept.asked.load(Ordering::Relaxed) > oldest;
        goes -= usize::from(!stays);
        stays
    });
}

fn alone(said: Said) -> Wanted {
    Wanted { said: vec![said], nonce: None }
}

/// A response put together from what was signed and what signed it.
pub(crate) fn assembled(of: &Made, wanted: &Wanted, signature: &[u8]) -> Option<Bytes> {
    let data = wanted.data(&of.responder, of.times).ok()?;
    let der = response(&data, of.responder.key.algorithm(), signature, &of.responder.certificate).ok()?;
    Some(Bytes::from(der))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_takes_no_more_than_is_said() {
        assert!(size_of::<(Key, Kept)>() <= 80, "{}", size_of::<(Key, Kept)>());
        assert_eq!(places(72) * TABLES, RESPONSES_MAX);
        // RSA-3072 and ML-DSA-87.
        assert_eq!((places(384) * TABLES, places(4_627) * TABLES), (93_728, 7_776));
        assert!(size_of::<Made>() <= 64, "{}", size_of::<Made>());
    }

    #[test]
    fn a_key_is_its_serial_and_nothing_more() {
        let key = |serial: &[u8]| Key::new(IdHash::Sha1, serial);
        assert_eq!(key(&[1; 16]).unwrap().serial(), [1; 16]);
        assert_ne!(key(&[1]), key(&[1, 0]));
        assert_ne!(key(&[1]), Key::new(IdHash::Sha256, &[1]));
        assert!(key(&[1; 20]).is_some() && key(&[1; 21]).is_none());
    }
}
