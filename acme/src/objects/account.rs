//! Accounts and the hold on their keys, as they stand in the register.

use policy::Timestamp;
use serde::{Deserialize, Serialize};

use super::machine::AccountStatus;
use crate::wire::Jwk;

/// A client's account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// Its name in URLs.
    pub id: String,
    /// Where it stands.
    pub status: AccountStatus,
    /// Its key.
    pub key: Jwk,
    /// `mailto:` URLs.
    pub contact: Vec<String>,
    /// Whether it agreed to the terms of service, where there are any.
    #[serde(default)]
    pub agreed: bool,
    /// When it was made.
    pub created: Timestamp,
}

/// Which account holds a key now. One record per key ever used, so that two accounts can never share one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyHolder {
    /// The key's thumbprint.
    pub thumbprint: String,
    /// The account, or nobody any more.
    pub account: Option<String>,
}
