//! What an authority is made of.

use std::sync::Arc;

use hsm::Pool;
use policy::{Instance, Policies, World};
use store::Ledger;

use crate::issuers::Urls;
use crate::profiles::Profiles;

/// What an authority is made of.
pub struct Parts {
    /// The register and its log.
    pub ledger: Ledger,
    /// The token.
    pub pool: Pool,
    /// Time and luck.
    pub world: World,
    /// Who may do what.
    pub policies: Arc<Policies>,
    /// What may be made.
    pub profiles: Profiles,
    /// This node's number: the prefix of its serials.
    pub instance: Instance,
    /// What certificates point to.
    pub urls: Urls,
}
