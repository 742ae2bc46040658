//! SSH keys on hosts: which public keys a host is to have, and which it says that it has.
//!
//! The hosts' own agents ask for the first and report the second; nobody logs in as root anywhere. Public keys were written down with their
//! versions, so nothing is opened for it. A report is a word, and no proof: that a key logs in, or does not, is shown by a login.
//!
//! Trusted for: that a key which a rotation has taken away is not among those that hosts are to have. Whoever reports in a host's name can
//! have a rotation wait, or go back; he has no key promoted that does not log in, and none kept that a login shows. Who alters a report in
//! the register has an alarm raised, and that host waited for until it says it again.

mod base;
mod report;

pub use base::{HostKey, HostKeys, KeysInForce};
pub use report::{FINGERPRINTS_MAX, HostReport, REPORT_AGAIN_SECS, REPORT_SILENT_SECS, REPORTS_MAX};
