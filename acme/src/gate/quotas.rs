//! The counters behind the limits that depend on who asks.
//!
//! They are this node's own and live in memory: they guard resources, not rights. After a restart they begin anew.
//! Full means rateLimited with Retry-After, never a longer queue.
//!
//! Account keys are free and the register is append-only, so what a request writes is counted before it is written, for its
//! account and for the network it comes from. What the server writes in answer (an outcome, an order settled) is not:
//! each follows from one record that was counted, once.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use policy::{Timestamp, network};

use crate::limits::{COUNTED_MAX, LimitsInForce};
use crate::wire::Problem;

const HOUR_SECS: i64 = 3600;

/// The counters.
pub struct Quotas {
    limits: LimitsInForce,
    counted: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    /// New accounts by source.
    openings: Hourly<IpAddr>,
    /// Records by source and by account.
    records_of_source: Hourly<IpAddr>,
    records_of_account: Hourly<String>,
    /// Account -> its open orders.
    accounts: HashMap<String, HashMap<String, Open>>,
}

struct Open {
    expires: Timestamp,
    pending: usize,
}

impl Quotas {
    /// Counters at zero.
    pub fn new(limits: LimitsInForce) -> Self {
        Self { limits, counted: Mutex::default() }
    }

    /// Counts a new account from this source, and the records it takes, or refuses it.
    pub fn account(&self, source: IpAddr, records: usize, now: Timestamp) -> Result<(), Problem> {
        let (hour, source, counted) = (Hour::of(now), network(source), &mut *self.counted());
        let openings = counted.openings.place(source, hour)?;
        let written = counted.records_of_source.place(source, hour)?;
        openings.check(
            1,
            self.limits.now().accounts_per_address_per_hour,
            "accounts were made from this address",
            hour,
        )?;
        written.check(records, self.limits.now().records_per_address_per_hour, RECORDS_OF_SOURCE, hour)?;
        openings.add(1);
        written.add(records);
        Ok(())
    }

    /// Counts what an account's request is about to write, or refuses it.
    pub fn records(&self, account: &str, source: IpAddr, records: usize, now: Timestamp) -> Result<(), Problem> {
        let (hour, counted) = (Hour::of(now), &mut *self.counted());
        let by_account = counted.records_of_account.place(account.to_owned(), hour)?;
        let by_source = counted.records_of_source.place(network(source), hour)?;
        by_account.check(records, self.limits.now().records_per_account_per_hour, RECORDS_OF_ACCOUNT, hour)?;
        by_source.check(records, self.limits.now().records_per_address_per_hour, RECORDS_OF_SOURCE, hour)?;
        by_account.add(records);
        by_source.add(records);
        Ok(())
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a new order with so many authorizations to prove, or refuses it.
    pub fn order(
        &self,
        account: &str,
        order: &str,
        pending: usize,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let mut counted = self.counted();
        if counted.accounts.len() >= COUNTED_MAX {
            counted.accounts.retain(|_, orders| orders.values().any(|open| open.expires >= now));
        }
        if counted.accounts.len() >= COUNTED_MAX && !counted.accounts.contains_key(account) {
            return Err(Problem::rate_limited("too many accounts have open orders", 600));
        }
        let orders = counted.accounts.entry(account.to_owned()).or_default();
        orders.retain(|_, open| open.expires >= now);
        let first_free = orders.values().map(|open| open.expires.since(now)).min().unwrap_or(1);
        let retry = u32::try_from(first_free.clamp(1, 600)).unwrap_or(600);
        if orders.len() >= self.limits.now().open_orders_per_account {
            return Err(Problem::rate_limited(
                format!("the account has {} open orders: finish some of them first", orders.len()),
                retry,
            ));
        }
        let waiting: usize = orders.values().map(|open| open.pending).sum();
        if waiting.saturating_add(pending) > self.limits.now().pending_authorizations_per_account {
            return Err(Problem::rate_limited(
                format!("the account has {waiting} pending authorizations: prove or deactivate some of them first"),
                retry,
            ));
        }
        orders.insert(order.to_owned(), Open { expires, pending });
        Ok(())
    }

    /// One authorization of this order is pending no longer.
    pub fn decided(&self, account: &str, order: &str) {
        let mut counted = self.counted();
        if let Some(open) = counted.accounts.get_mut(account).and_then(|orders| orders.get_mut(order)) {
            open.pending = open.pending.saturating_sub(1);
        }
    }

    /// This order is open no longer.
    pub fn closed(&self, account: &str, order: &str) {
        let mut counted = self.counted();
        if let Some(orders) = counted.accounts.get_mut(account) {
            orders.remove(order);
            if orders.is_empty() {
                counted.accounts.remove(account);
            }
        }
    }
}

const RECORDS_OF_ACCOUNT: &str = "records were written by this account";
const RECORDS_OF_SOURCE: &str = "records were written by requests from this address";

/// The hour something is counted in, and how long it still is.
#[derive(Clone, Copy)]
struct Hour {
    number: i64,
    left_secs: u32,
}

impl Hour {
    fn of(now: Timestamp) -> Self {
        let left = HOUR_SECS - now.unix().rem_euclid(HOUR_SECS);
        Self { number: now.unix().div_euclid(HOUR_SECS), left_secs: u32::try_from(left).unwrap_or(1) }
    }
}

/// A count per key that begins anew with each hour; keys of past hours make room for newcomers.
struct Hourly<K>(HashMap<K, Count>);

struct Count {
    hour: i64,
    used: usize,
}

impl<K> Default for Hourly<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Hourly<K> {
    fn place(&mut self, key: K, hour: Hour) -> Result<&mut Count, Problem> {
        if self.0.len() >= COUNTED_MAX && !self.0.contains_key(&key) {
            self.0.retain(|_, count| count.hour == hour.number);
            if self.0.len() >= COUNTED_MAX {
                return Err(Problem::rate_limited("too many newcomers in this hour", hour.left_secs));
            }
        }
        let count = self.0.entry(key).or_insert(Count { hour: hour.number, used: 0 });
        if count.hour != hour.number {
            *count = Count { hour: hour.number, used: 0 };
        }
        Ok(count)
    }
}

impl Count {
    fn check(&self, more: usize, limit: usize, what: &str, hour: Hour) -> Result<(), Problem> {
        match self.used.saturating_add(more) > limit {
            false => Ok(()),
            true => {
                let said = format!("{} {what} in this hour, and the limit is {limit}", self.used);
                Err(Problem::rate_limited(said, hour.left_secs))
            }
        }
    }

    fn add(&mut self, more: usize) {
        self.used = self.used.saturating_add(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use crate::wire::ErrorKind;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn quotas() -> Quotas {
        Quotas::new(LimitsInForce::from(Limits {
            accounts_per_address_per_hour: 2,
            open_orders_per_account: 2,
            pending_authorizations_per_account: 5,
            records_per_account_per_hour: 10,
            records_per_address_per_hour: 15,
        }))
    }

    fn refused(result: Result<(), Problem>) -> u32 {
        let problem = result.unwrap_err();
        assert_eq!((problem.kind, problem.status), (ErrorKind::RateLimited, 429));
        problem.retry_after_secs.expect("a Retry-After")
    }

    #[test]
    fn an_address_makes_so_many_accounts_in_an_hour() {
        let quotas = quotas();
        let (one, other) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        assert!(quotas.account(one, 2, NOW).is_ok() && quotas.account(one, 2, NOW).is_ok());
        let retry = refused(quotas.account(one, 2, NOW));
        assert!(quotas.account(other, 2, NOW).is_ok());
        assert!(quotas.account(one, 2, NOW.plus_secs(i64::from(retry))).is_ok(), "when Retry-After said");
    }

    #[test]
    fn addresses_of_one_slash_64_count_as_one() {
        let quotas = quotas();
        assert!(quotas.account("2001:db8::1".parse().unwrap(), 2, NOW).is_ok());
        assert!(quotas.account("2001:db8::2".parse().unwrap(), 2, NOW).is_ok());
        refused(quotas.account("2001:db8::3".parse().unwrap(), 2, NOW));
        assert!(quotas.account("2001:db8:0:1::1".parse().unwrap(), 2, NOW).is_ok());
    }

    #[test]
    fn an_account_has_so_many_open_orders_until_they_close_or_expire() {
        let quotas = quotas();
        let place = |order: &str, now| quotas.order("a", order, 1, NOW.plus_secs(100), now);
        assert!(place("1", NOW).is_ok() && place("2", NOW).is_ok());
        refused(place("3", NOW));
        assert!(quotas.order("b", "1", 1, NOW, NOW).is_ok(), "another account is not affected");
        quotas.closed("a", "1");
        assert!(place("3", NOW).is_ok());
        refused(place("4", NOW));
        assert!(place("4", NOW.plus_secs(101)).is_ok());
    }

    #[test]
    fn an_account_has_so_many_pending_authorizations() {
        let quotas = quotas();
        assert!(quotas.order("a", "1", 4, NOW.plus_secs(100), NOW).is_ok());
        refused(quotas.order("a", "2", 2, NOW.plus_secs(100), NOW));
        quotas.decided("a", "1");
        assert!(quotas.order("a", "2", 2, NOW.plus_secs(100), NOW).is_ok());
    }

    #[test]
    fn an_account_writes_so_many_records_in_an_hour() {
        let quotas = quotas();
        let source = "10.0.0.1".parse().unwrap();
        let write = |account: &str, records, now| quotas.records(account, source, records, now);
        assert!(write("a", 9, NOW).is_ok());
        refused(write("a", 2, NOW));
        assert!(write("a", 1, NOW).is_ok(), "what was refused is not counted");
        let retry = refused(write("a", 1, NOW));
        assert!(write("b", 1, NOW).is_ok(), "another account is not affected");
        assert!(write("a", 10, NOW.plus_secs(i64::from(retry))).is_ok(), "when Retry-After said");
    }

    #[test]
    fn an_address_writes_so_many_records_in_an_hour_whatever_its_accounts() {
        let quotas = quotas();
        let from = |address: &str| address.parse().unwrap();
        assert!(quotas.account(from("2001:db8::1"), 2, NOW).is_ok(), "opening counts");
        assert!(quotas.records("a", from("2001:db8::1"), 10, NOW).is_ok());
        assert!(quotas.records("b", from("2001:db8::2"), 3, NOW).is_ok());
        refused(quotas.records("c", from("2001:db8::3"), 1, NOW));
        refused(quotas.account(from("2001:db8::4"), 2, NOW));
        assert!(quotas.records("c", from("2001:db8:0:1::3"), 10, NOW).is_ok(), "another network is not affected");
    }

    #[test]
    fn what_is_counted_in_an_hour_is_bounded() {
        let mut hourly = Hourly::default();
        let (this, next) = (Hour::of(NOW), Hour::of(NOW.plus_secs(HOUR_SECS)));
        assert!((0..COUNTED_MAX).all(|key| hourly.place(key, this).is_ok()));
        assert!(hourly.place(COUNTED_MAX, this).is_err());
        assert!(hourly.place(0, this).is_ok(), "who is counted already goes on");
        assert!(hourly.place(COUNTED_MAX, next).is_ok());
        assert_eq!(hourly.0.len(), 1, "the past hour is forgotten");
    }
}
