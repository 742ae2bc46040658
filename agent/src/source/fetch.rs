//! Two questions, two kinds of server: for this request, which chain? And is this certificate still good, or wanted back before its time?

use super::reach::Reach;
use super::standing::Standing;
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
        Source::Acme(source) => acme::fetch(reach, source, &plan.names, request, replaces).await,
    }
}

/// How the certificate stands, as far as its source can be asked; `chain` is its own and its issuer's, PEM.
pub(crate) async fn stands(
    reach: &Reach,
    plan: &Certificate,
    leaf: &Leaf,
    chain: &[u8],
) -> Result<Standing, AgentError> {
    match &plan.source {
        Source::Chancery(source) => chancery::stands(&reach.world, source, leaf).await,
        Source::Acme(source) => {
            // Two questions to two servers: one that is away does not keep the other's answer back.
            let revoked = crl::revoked(chain).await;
            match revoked {
                Ok(true) => Ok(Standing::Revoked),
                Ok(false) | Err(_) => match acme::is_due(reach, source, leaf).await? {
                    true => Ok(Standing::Due("its server says that it is time")),
                    false => revoked.map(|_| Standing::Good),
                },
            }
        }
    }
}
