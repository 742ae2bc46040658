//! What CAs issued that are over, and nothing took the place of: nobody believes it, and whoever has it needs another now.

use ca::Authority;
use policy::{Grant, Owner};
use store::{Filter, Kind, Ledger, StoreError};

/// What is left of one generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Orphans {
    /// The generation that is over.
    pub(crate) issuer: String,
    /// Certificates of it that hold, and that nothing took the place of.
    pub(crate) left: u64,
}

/// Of each generation that is over and has some left; of one owner, or of all. Counted by index, and of what holds alone. The grant is
/// the reason why they may be counted.
pub(crate) async fn orphans(
    _grant: &Grant,
    authority: &Authority,
    ledger: &Ledger,
    owner: Option<&Owner>,
) -> Result<Vec<Orphans>, StoreError> {
    let (now, below) = (ledger.cautious_time(), ledger.head().size);
    let mut all = Vec::new();
    for issuer in authority.dead_issuers() {
        let filter = Filter {
            kind: Some(Kind::Certificate),
            issuer: Some(issuer.clone()),
            owner: owner.map(|owner| owner.as_str().to_owned()),
            ..Filter::default()
        };
        let holding = ledger.holding(filter, below, [now; 2]).await?;
        // What is nobody's is the service's own, as an OCSP responder's, which follows its CA by itself.
        let left = holding.iter().filter(|one| one.owner.is_some()).map(|one| one.live).sum();
        if left > 0 {
            all.push(Orphans { issuer, left });
        }
    }
    Ok(all)
}

impl Orphans {
    /// What somebody should look at, in a sentence.
    pub(crate) fn says(&self) -> String {
        let Self { issuer, left } = self;
        let (hold, them) = if *left == 1 { ("certificate holds", "it") } else { ("certificates hold", "them") };
        format!(
            "{left} {hold} of CA {issuer}, which is over, and nothing took the place of {them}: nobody believes {them}. \
             `chancery certs list --issuer {issuer} --state issued --replaced false` has {them}."
        )
    }
}
