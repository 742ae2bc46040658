//! Where certificates come from. One question, two kinds of server: for this request, which chain?

pub(crate) mod acme;
pub(crate) mod chancery;
pub(crate) mod http;
pub(crate) mod http01;

use std::path::Path;
use std::sync::Arc;

use policy::World;
use tokio::sync::Mutex;

use crate::disk::Disk;
use crate::error::AgentError;
use crate::keys::Request;
use crate::plan::{Certificate, Source};

/// What every fetch needs.
pub(crate) struct Reach {
    pub world: World,
    pub disk: Arc<dyn Disk>,
    pub state_dir: Arc<Path>,
    /// The running http-01 responders, shared by address.
    pub answers: http01::Answers,
    /// ACME accounts are made one at a time, so that two certificates of one directory share theirs.
    pub accounts: Mutex<()>,
}

/// The PEM chain that the certificate's source gives for `request`. Not believed until `verify.rs` has seen it.
pub(crate) async fn fetch(reach: &Reach, plan: &Certificate, request: &Request) -> Result<String, AgentError> {
    match &plan.source {
        Source::Chancery(source) => chancery::fetch(&reach.world, source, request).await,
        Source::Acme(source) => acme::fetch(reach, source, &plan.names, request).await,
    }
}
