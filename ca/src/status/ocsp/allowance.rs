//! What a stranger may cost: answers that are made for one alone take from what its address has, and from what all have together.
//!
//! A bucket for each address, one for all, and one for all who ask for what there is not: strangers who make serials up take nothing from
//! those who ask for certificates. Whoever waits has them full again; whoever is not heard of is not remembered.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use policy::{World, network};

/// What is asked for, by what it costs us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cost {
    /// A certificate that is asked for the first time: a look into the register, and a signature that others will share.
    First,
    /// A signature that nobody else can use: with a nonce, or of several certificates.
    Alone,
    /// Of a certificate that there is not: a search of the log as well.
    Unknown,
}

impl Cost {
    fn takes(self) -> u32 {
        match self {
            Cost::First => 1,
            Cost::Alone => 4,
            Cost::Unknown => 10,
        }
    }

    /// Whether a quarter of what there is at most is left alone: whoever asks for too much of his own is still answered with what is
    /// everybody's.
    fn leaves(self, bucket: Bucket) -> u32 {
        match self {
            Cost::First | Cost::Unknown => 0,
            Cost::Alone => bucket.most / 4,
        }
    }
}

/// What an address has, at most, and gets back in a second.
const OF_ONE: Bucket = Bucket { most: 400, a_sec: 100 };
/// And all together.
const OF_ALL: Bucket = Bucket { most: 2_000, a_sec: 1_000 };
/// Addresses that are remembered; beyond, those whose buckets are full again are forgotten.
const ADDRESSES_MAX: usize = 16_384;

#[derive(Clone, Copy)]
struct Bucket {
    most: u32,
    a_sec: u32,
}

/// What is left, and since when.
#[derive(Clone, Copy)]
struct Level {
    left: u32,
    at: Duration,
}

impl Bucket {
    /// What is left now.
    fn refilled(self, level: Level, now: Duration) -> Level {
        let gone_ms = now.saturating_sub(level.at).as_millis();
        let back = gone_ms.saturating_mul(self.a_sec.into()) / 1_000;
        match u32::try_from(back) {
            // Less than one is not lost: the clock of the bucket stays.
            Ok(0) => level,
            Ok(back) => Level { left: level.left.saturating_add(back).min(self.most), at: now },
            Err(_) => Level { left: self.most, at: now },
        }
    }
}

/// The buckets.
pub(crate) struct Allowance {
    world: World,
    buckets: Mutex<Buckets>,
}

struct Buckets {
    all: Level,
    /// For what there is not.
    unknown: Level,
    of_one: HashMap<IpAddr, Level>,
}

impl Allowance {
    pub(crate) fn new(world: World) -> Allowance {
        let full = Level { left: OF_ALL.most, at: world.gone_by() };
        Allowance { world, buckets: Mutex::new(Buckets { all: full, unknown: full, of_one: HashMap::new() }) }
    }

    /// Takes what this costs of what its address has, and of what all have; nothing where either has too little. Whoever asked for what
    /// there is not pays for it in any case: the search was made.
    pub(crate) fn take(&self, from: Option<IpAddr>, cost: Cost) -> bool {
        let now = self.world.gone_by();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let buckets = &mut *buckets;
        let all = if cost == Cost::Unknown { &mut buckets.unknown } else { &mut buckets.all };
        *all = OF_ALL.refilled(*all, now);
        let enough_for_all = all.left >= cost.takes() + cost.leaves(OF_ALL);
        if !enough_for_all && cost != Cost::Unknown {
            return false;
        }
        if let Some(from) = from.map(network) {
            if buckets.of_one.len() >= ADDRESSES_MAX && !buckets.of_one.contains_key(&from) {
                buckets.of_one.retain(|_, level| OF_ONE.refilled(*level, now).left < OF_ONE.most);
                if buckets.of_one.len() >= ADDRESSES_MAX {
                    return false;
                }
            }
            let level = buckets.of_one.get(&from).copied().unwrap_or(Level { left: OF_ONE.most, at: now });
            let level = OF_ONE.refilled(level, now);
            let enough = level.left.checked_sub(cost.takes()).filter(|left| *left >= cost.leaves(OF_ONE));
            let left = if cost == Cost::Unknown { level.left.saturating_sub(cost.takes()) } else { level.left };
            buckets.of_one.insert(from, Level { left: enough.unwrap_or(left), ..level });
            if enough.is_none() {
                return false;
            }
        }
        if enough_for_all {
            all.left = all.left.saturating_sub(cost.takes());
        }
        enough_for_all
    }
}

#[cfg(test)]
mod tests {
    use policy::Timestamp;

    use super::*;

    #[test]
    fn an_address_has_its_share_and_gets_it_back_in_time() {
        let world = World::fixed(Timestamp::from_unix(1_800_000_000), 1);
        let allowance = Allowance::new(world.clone());
        let from = |last: u8| Some(IpAddr::from([192, 0, 2, last]));
        let (alone, quarter) = (Cost::Alone.takes(), OF_ONE.most / 4);
        let most = (OF_ONE.most - quarter) / alone;
        assert_eq!((0..most * 2).filter(|_| allowance.take(from(1), Cost::Alone)).count(), most as usize);
        assert!(allowance.take(from(1), Cost::First), "what is everybody's he is given yet");
        assert!(allowance.take(from(2), Cost::Alone), "another has its own");
        world.advance(1);
        let again = (OF_ONE.a_sec - 1) / alone;
        assert_eq!((0..most).filter(|_| allowance.take(from(1), Cost::Alone)).count(), again as usize);
    }

    /// As a request is: first for a certificate, then, where there is none, for what there is not.
    #[test]
    fn who_makes_serials_up_takes_nothing_from_those_who_ask_for_certificates() {
        let world = World::fixed(Timestamp::from_unix(1_800_000_000), 1);
        let allowance = Allowance::new(world.clone());
        let strangers = |n: u8| Some(IpAddr::from([10, 0, n, 1]));
        let honest = Some(IpAddr::from([192, 0, 2, 1]));
        for _ in 0..60 {
            for n in 0..48 {
                // Each asks as often as it is answered.
                for _ in 0..40 {
                    if allowance.take(strangers(n), Cost::First) {
                        allowance.take(strangers(n), Cost::Unknown);
                    }
                }
            }
            assert!((0..50).all(|_| allowance.take(honest, Cost::First)), "it waits for strangers");
            world.advance(1);
        }
    }

    #[test]
    fn all_addresses_together_have_a_bound() {
        let world = World::fixed(Timestamp::from_unix(1_800_000_000), 1);
        let allowance = Allowance::new(world);
        let took = (0..60_000_u32).filter(|n| {
            let [_, a, b, c] = n.to_be_bytes();
            allowance.take(Some(IpAddr::from([10, a, b, c])), Cost::Unknown)
        });
        assert_eq!(took.count(), (OF_ALL.most / Cost::Unknown.takes()) as usize);
    }
}
