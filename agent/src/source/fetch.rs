//! One question, two kinds of server: for this request, which chain?

use super::reach::Reach;
use super::{acme, chancery};
use crate::credential::Request;
use crate::error::AgentError;
use crate::plan::{Certificate, Source};

/// The PEM chain that the certificate's source gives for `request`. Not believed until `verify.rs` has seen it.
pub(crate) async fn fetch(reach: &Reach, plan: &Certificate, request: &Request) -> Result<String, AgentError> {
    match &plan.source {
        Source::Chancery(source) => chancery::fetch(&reach.world, source, request).await,
        Source::Acme(source) => acme::fetch(reach, source, &plan.names, request).await,
    }
}
