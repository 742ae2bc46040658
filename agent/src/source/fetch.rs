//! Two questions, two kinds of server: for this request, which chain? And is this certificate still good?

use super::reach::Reach;
use super::{acme, chancery, crl};
use crate::credential::{Leaf, Request};
use crate::error::AgentError;
use crate::plan::{Certificate, Source};

/// The PEM chain that the certificate's source gives for `request`, which takes the place of what `replaces` is. Not believed until
/// `verify.rs` has seen it.
pub(crate) async fn fetch(
    reach: &Reach,
    plan: &Certificate,
    request: &Request,
    replaces: Option<&Leaf>,
) -> Result<String, AgentError> {
    match &plan.source {
        Source::Chancery(source) => chancery::fetch(&reach.world, source, request, replaces).await,
        Source::Acme(source) => acme::fetch(reach, source, &plan.names, request).await,
    }
}

/// Whether the certificate was revoked, as far as its source can be asked; `chain` is its own and its issuer's, PEM.
pub(crate) async fn revoked(reach: &Reach, plan: &Certificate, leaf: &Leaf, chain: &[u8]) -> Result<bool, AgentError> {
    match &plan.source {
        Source::Chancery(source) => chancery::revoked(&reach.world, source, leaf).await,
        Source::Acme(_) => crl::revoked(chain).await,
    }
}
