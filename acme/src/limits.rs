//! Every bound of this room, by name, with its reason; and the counters behind the ones that depend on who asks.
//!
//! The counters are this node's own and live in memory: they guard resources, not rights. After a restart they begin anew.
//! Full means rateLimited with Retry-After, never a longer queue.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use policy::Timestamp;
use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// Largest request body. A finalize request with a 16 KiB CSR is below 32 KiB after two rounds of base64url.
pub const BODY_BYTES_MAX: usize = 128 * 1024;
/// Identifiers per order: what one certificate may carry.
pub const IDENTIFIERS_MAX: usize = policy::MAX_NAMES;
/// Contacts per account.
pub const CONTACTS_MAX: usize = 10;
/// How long an order stays open: a working day, for people who edit zone files by hand.
pub const ORDER_SECS: i64 = 8 * 3600;
/// How long a proof counts. Not shorter than an order, so that no order outlives its first proof; the 8 hours are also the
/// longest age of a CAA check that public CAs allow themselves.
pub const AUTHZ_VALID_SECS: i64 = 8 * 3600;
/// An authorization is used again only while this much of its life is left.
pub const AUTHZ_REUSE_SECS_MIN: i64 = 3600;
/// How many of an account's newest authorizations for a name are looked at for a valid one.
pub const AUTHZ_LOOKBACK: usize = 16;
/// Subproblems kept with an invalid order: the register's records are bounded too.
pub const SUBPROBLEMS_MAX: usize = 10;
/// How long issuance is tried again while the token or the register is away; the token heals within seconds.
pub const ISSUE_PATIENCE: Duration = Duration::from_secs(60);
/// A processing order older than this belongs to nobody: longer than [`ISSUE_PATIENCE`] and one slow signature.
pub const PROCESSING_LEASE_SECS: i64 = 150;
/// A check older than this belongs to nobody: longer than [`VALIDATION_TIMEOUT`] and its wait for a turn.
pub const VALIDATION_LEASE_SECS: i64 = 60;
/// One check, from the first DNS query to the last byte.
pub const VALIDATION_TIMEOUT: Duration = Duration::from_secs(10);
/// Checks under way at once.
pub const VALIDATIONS_MAX: usize = 64;
/// Checks waiting for their turn; with 10 s each they all begin well inside the lease.
pub const VALIDATIONS_WAITING_MAX: usize = 256;
/// How long a finalize request waits for its certificate before it answers "processing".
pub const FINALIZE_WAIT: Duration = Duration::from_secs(5);
/// `Retry-After` of an order or authorization that is under way.
pub const RETRY_AFTER_PROCESSING_SECS: u32 = 1;
/// Times a change is tried again when the record moved meanwhile.
pub const CONFLICT_RETRIES: usize = 4;
/// Sources and accounts counted at once; beyond that, newcomers wait.
const COUNTED_MAX: usize = 100_000;
const HOUR_SECS: i64 = 3600;

/// The bounds an operator may set (`[acme.limits]`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// New accounts per source address (IPv6: per /64) and hour.
    pub accounts_per_address_per_hour: usize,
    /// Orders of one account that are neither valid nor invalid.
    pub open_orders_per_account: usize,
    /// Authorizations of one account's open orders that are still to be proven.
    pub pending_authorizations_per_account: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            accounts_per_address_per_hour: 500,
            open_orders_per_account: 300,
            pending_authorizations_per_account: 1000,
        }
    }
}

/// The counters.
pub struct Quotas {
    limits: Limits,
    counted: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    /// Source -> the hour it is counted in, and how many accounts.
    sources: HashMap<IpAddr, (i64, usize)>,
    /// Account -> its open orders.
    accounts: HashMap<String, HashMap<String, Open>>,
}

struct Open {
    expires: Timestamp,
    pending: usize,
}

impl Quotas {
    /// Counters at zero.
    pub fn new(limits: Limits) -> Self {
        Self { limits, counted: Mutex::default() }
    }

    /// Counts a new account from this source, or refuses it.
    pub fn account(&self, source: IpAddr, now: Timestamp) -> Result<(), Problem> {
        let hour = now.unix().div_euclid(HOUR_SECS);
        let retry = u32::try_from(HOUR_SECS - now.unix().rem_euclid(HOUR_SECS)).unwrap_or(1);
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.sources.len() >= COUNTED_MAX {
            counted.sources.retain(|_, (then, _)| *then == hour);
        }
        if counted.sources.len() >= COUNTED_MAX {
            return Err(Problem::rate_limited("too many new accounts from too many addresses in this hour", retry));
        }
        let (then, count) = counted.sources.entry(network(source)).or_insert((hour, 0));
        if *then != hour {
            (*then, *count) = (hour, 0);
        }
        if *count >= self.limits.accounts_per_address_per_hour {
            return Err(Problem::rate_limited(
                format!("{count} accounts were made from this address in this hour: that is the limit"),
                retry,
            ));
        }
        *count = count.saturating_add(1);
        Ok(())
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
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
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
        if orders.len() >= self.limits.open_orders_per_account {
            return Err(Problem::rate_limited(
                format!("the account has {} open orders: finish some of them first", orders.len()),
                retry,
            ));
        }
        let waiting: usize = orders.values().map(|open| open.pending).sum();
        if waiting.saturating_add(pending) > self.limits.pending_authorizations_per_account {
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
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = counted.accounts.get_mut(account).and_then(|orders| orders.get_mut(order)) {
            open.pending = open.pending.saturating_sub(1);
        }
    }

    /// This order is open no longer.
    pub fn closed(&self, account: &str, order: &str) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(orders) = counted.accounts.get_mut(account) {
            orders.remove(order);
            if orders.is_empty() {
                counted.accounts.remove(account);
            }
        }
    }
}

/// An IPv6 host owns its /64: counting single addresses would count nothing.
pub fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::ErrorKind;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn quotas() -> Quotas {
        Quotas::new(Limits {
            accounts_per_address_per_hour: 2,
            open_orders_per_account: 2,
            pending_authorizations_per_account: 5,
        })
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
        assert!(quotas.account(one, NOW).is_ok() && quotas.account(one, NOW).is_ok());
        let retry = refused(quotas.account(one, NOW));
        assert!(quotas.account(other, NOW).is_ok());
        assert!(quotas.account(one, NOW.plus_secs(i64::from(retry))).is_ok(), "when Retry-After said");
    }

    #[test]
    fn addresses_of_one_slash_64_count_as_one() {
        let quotas = quotas();
        assert!(quotas.account("2001:db8::1".parse().unwrap(), NOW).is_ok());
        assert!(quotas.account("2001:db8::2".parse().unwrap(), NOW).is_ok());
        refused(quotas.account("2001:db8::3".parse().unwrap(), NOW));
        assert!(quotas.account("2001:db8:0:1::1".parse().unwrap(), NOW).is_ok());
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
}
