//! What an order or a problem names, as it stands in JSON: text that nobody has judged yet.
//!
//! A refusal repeats it although it may be no identifier at all; what it must be to be proven is `objects`' business.

use serde::{Deserialize, Serialize};

/// An identifier as it stands in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wire {
    /// `dns` or `ip`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its text.
    pub value: String,
}
