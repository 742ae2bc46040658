//! Every bound of this room, by name, with its reason. The counters behind those that depend on who asks are `quotas`'.

use std::time::Duration;

use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

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
/// The CAA records of all names of an order; they are read one after another.
pub const CAA_TIMEOUT: Duration = Duration::from_secs(30);
/// One signature, waiting included: the longest `[hsm] deadline_ms` the configuration takes. The last try may begin when
/// `ISSUE_PATIENCE` is nearly over, and then has all of it.
pub const SIGNATURE_TIMEOUT_MAX: Duration = Duration::from_secs(120);
/// What the register may take of a finalization: proofs read, intent and conclusion written, with statements of up to 30 s each.
pub const REGISTER_ALLOWANCE: Duration = Duration::from_secs(120);
/// A processing order older than this belongs to nobody: its parts, one after another, each at its longest.
pub const PROCESSING_LEASE_SECS: i64 =
    (CAA_TIMEOUT.as_secs() + ISSUE_PATIENCE.as_secs() + SIGNATURE_TIMEOUT_MAX.as_secs() + REGISTER_ALLOWANCE.as_secs())
        .cast_signed();
/// A check older than this belongs to nobody: longer than [`VALIDATION_TIMEOUT`] and its wait for a turn.
pub const VALIDATION_LEASE_SECS: i64 = 60;
/// One check, from the first DNS query to the last byte.
pub const VALIDATION_TIMEOUT: Duration = Duration::from_secs(10);
/// Checks under way at once.
pub const VALIDATIONS_MAX: usize = 64;
/// Checks running or waiting for their turn; with 10 s each they all begin well inside the lease.
pub const VALIDATIONS_WAITING_MAX: usize = 256;
/// Checks of one account, running and waiting: a quarter of the places. Clients post all challenges of an order one after the
/// other, and most checks take milliseconds.
pub const CHECKS_PER_ACCOUNT_MAX: usize = 64;
/// How long a finalize request waits for its certificate before it answers "processing".
pub const FINALIZE_WAIT: Duration = Duration::from_secs(5);
/// `Retry-After` of an order or authorization that is under way.
pub const RETRY_AFTER_PROCESSING_SECS: u32 = 1;
/// `Retry-After` of renewal information: a mass event reaches every client within this, and a million clients are 46 questions a second.
pub const RETRY_AFTER_RENEWAL_SECS: u32 = 6 * 3_600;
/// The same of a certificate that is to be replaced before its time: a drill may be ended, and another begun.
pub const RETRY_AFTER_MARKED_SECS: u32 = 600;
/// Certificates whose facts are kept for the next question: about 400 bytes each.
pub const RENEWALS_KNOWN_MAX: usize = 16_384;
/// Certificates that are looked up in the register at once for strangers; nobody waits for a place.
pub const LOOKUPS_MAX: usize = 16;
/// `Retry-After` where those places are taken.
pub const RETRY_AFTER_LOOKUP_SECS: u32 = 5;
/// Times a change is tried again when the record moved meanwhile.
pub const CONFLICT_RETRIES: usize = 4;
/// Sources and accounts counted at once; beyond that, newcomers wait.
pub const COUNTED_MAX: usize = 100_000;
/// What a finalization writes: the order twice, the certificate's intent and its conclusion.
pub const FINALIZE_RECORDS: usize = 4;

/// The bounds that are in force, which may be changed while they are asked; copies share them.
#[derive(Clone, Debug, Default)]
pub struct LimitsInForce(Arc<RwLock<Limits>>);

impl LimitsInForce {
    /// From now on these.
    pub fn set(&self, limits: Limits) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    /// What they are now.
    pub fn now(&self) -> Limits {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl From<Limits> for LimitsInForce {
    fn from(limits: Limits) -> Self {
        Self(Arc::new(RwLock::new(limits)))
    }
}

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
    /// Records that the requests of one account write into the register in an hour.
    pub records_per_account_per_hour: usize,
    /// The same for one source address (IPv6: per /64), whatever its accounts.
    pub records_per_address_per_hour: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            accounts_per_address_per_hour: 500,
            open_orders_per_account: 300,
            pending_authorizations_per_account: 1000,
            // 300 orders of 100 names each, placed, proven and finalized in one hour, are 61,500.
            records_per_account_per_hour: 100_000,
            records_per_address_per_hour: 200_000,
        }
    }
}
