//! The ways from a CA up to those whom people trust: every chain that the known certificates allow.
//!
//! With one root there is one chain. While a root is succeeded by another, and across signatures of others, there are several; the
//! first is the one that the most relying parties believe by now: it ends in the oldest root that is still in use.

use std::sync::Arc;

use crate::issuers::certificate::CaCertificate;

/// A chain: the CA's own certificate first, the root last.
pub(crate) type Chain = Vec<Arc<CaCertificate>>;

/// Every chain from a certificate to a root among those known, in the order of the roots; at most [`CHAINS_MAX`].
pub(crate) fn chains(from: &Arc<CaCertificate>, known: &[Arc<CaCertificate>]) -> Vec<Chain> {
    let mut found = Vec::new();
    climb(&mut vec![Arc::clone(from)], known, &mut found);
    // Stable: of two with the same root, the one met first.
    found.sort_by_key(|chain| {
        let root = chain.last().and_then(|root| known.iter().position(|known| known.der == root.der));
        (root.unwrap_or(usize::MAX), chain.len())
    });
    found
}

fn climb(so_far: &mut Chain, known: &[Arc<CaCertificate>], found: &mut Vec<Chain>) {
    let Some(last) = so_far.last().cloned() else { return };
    if found.len() >= CHAINS_MAX {
        return;
    }
    if last.is_root() {
        found.push(so_far.clone());
        return;
    }
    if so_far.len() >= LENGTH_MAX {
        return;
    }
    for above in known.iter().filter(|above| last.is_signed_by(above)) {
        // Two that signed each other make a circle.
        if so_far.iter().any(|there| there.key_hash() == above.key_hash()) || !allows(above, so_far) {
            continue;
        }
        so_far.push(Arc::clone(above));
        climb(so_far, known, found);
        so_far.pop();
    }
}

/// Whether its path length allows these below it. RFC 5280 section 4.2.1.9 counts no certificate that names itself.
fn allows(above: &CaCertificate, below: &Chain) -> bool {
    let counted = below.iter().filter(|certificate| certificate.subject != certificate.issuer).count();
    above.path_len.is_none_or(|most| counted as u64 <= u64::from(most))
}

/// Certificates of one chain: no client follows more.
const LENGTH_MAX: usize = 8;
/// Chains of one CA.
const CHAINS_MAX: usize = 8;
