//! That a certificate is being replaced by an order: of two orders that say so, one wins.

use serde::{Deserialize, Serialize};

/// Which order replaces a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replacement {
    /// The certificate's serial, hex.
    pub serial: String,
    /// The order that says it replaces it.
    pub order: String,
}
