//! The ways from a CA up to those whom people trust: every chain that the known certificates allow.
//!
//! With one root there is one chain. While a root is succeeded by another, and across signatures of others, there are several; the
//! first is the one that the most relying parties believe by now: it ends in the oldest root that is still in use.

use std::collections::HashMap;
use std::sync::Arc;

use crate::issuers::certificate::CaCertificate;

/// A chain: the CA's own certificate first, the root last.
pub(crate) type Chain = Vec<Arc<CaCertificate>>;

/// Whether a key made the signature of a certificate, by SHA-256 of the certificate's bytes and of the key's: true of them for ever.
pub(crate) type Signatures = HashMap<([u8; 32], [u8; 32]), bool>;

/// The certificates that a chain may go through, and what is known of their signatures.
pub(crate) struct Ways {
    /// In the order in which roots are preferred.
    known: Vec<Arc<CaCertificate>>,
    /// Where those are that have a subject, in that order.
    of_subject: HashMap<Vec<u8>, Vec<usize>>,
    /// Where a certificate is, by its hash.
    places: HashMap<[u8; 32], usize>,
    /// As they were found before.
    before: Arc<Signatures>,
    /// Those that were asked for since: what no chain asks for any more is forgotten.
    asked: Signatures,
}

impl Ways {
    /// Through these, in the order of the roots.
    pub(crate) fn through(known: Vec<Arc<CaCertificate>>, before: Arc<Signatures>) -> Ways {
        let mut of_subject: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
        let mut places = HashMap::new();
        for (place, certificate) in known.iter().enumerate() {
            of_subject.entry(certificate.subject.as_der().to_vec()).or_default().push(place);
            places.entry(certificate.hash).or_insert(place);
        }
        Ways { known, of_subject, places, before, asked: Signatures::new() }
    }

    /// Every chain from a certificate to a root, in the order of the roots; at most [`CHAINS_MAX`].
    pub(crate) fn up(&mut self, from: &Arc<CaCertificate>) -> Vec<Chain> {
        let mut found = Vec::new();
        self.climb(&mut vec![Arc::clone(from)], &mut found);
        // Stable: of two with the same root, the one met first.
        found.sort_by_key(|chain| {
            let root = chain.last().and_then(|root| self.places.get(&root.hash).copied());
            (root.unwrap_or(usize::MAX), chain.len())
        });
        found
    }

    /// What was asked for of signatures.
    pub(crate) fn into_signatures(self) -> Arc<Signatures> {
        Arc::new(self.asked)
    }

    fn climb(&mut self, so_far: &mut Chain, found: &mut Vec<Chain>) {
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
        let named = self.of_subject.get(last.issuer.as_der()).cloned().unwrap_or_default();
        for place in named {
            let Some(above) = self.known.get(place).cloned() else { continue };
            // Two that signed each other make a circle.
            if so_far.iter().any(|there| there.key_hash() == above.key_hash()) || !allows(&above, so_far) {
                continue;
            }
            if last.names(&above) && self.is_signed(&last, &above) {
                so_far.push(above);
                self.climb(so_far, found);
                so_far.pop();
            }
        }
    }

    /// Whether a signature holds: as it was found for these very bytes, or by the key now.
    fn is_signed(&mut self, below: &CaCertificate, above: &CaCertificate) -> bool {
        let pair = (below.hash, above.key_hash());
        let known = self.asked.get(&pair).or_else(|| self.before.get(&pair)).copied();
        let holds = known.unwrap_or_else(|| below.is_signed(above));
        self.asked.insert(pair, holds);
        holds
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

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    use super::*;

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    fn read(der: &[u8]) -> Arc<CaCertificate> {
        Arc::new(CaCertificate::read(None, der.to_vec()).unwrap())
    }

    #[test]
    fn a_signature_is_verified_once_and_of_other_bytes_it_is_another() {
        let [top, own] = [(); 2].map(|()| KeyPair::generate().unwrap());
        let root = read(params("Root").self_signed(&top).unwrap().der());
        let signed = params("Below").signed_by(&own, &Issuer::new(params("Root"), top)).unwrap();
        let below = read(signed.der());
        let ways = |before: &Arc<Signatures>, from: &Arc<CaCertificate>| {
            let mut ways = Ways::through(vec![Arc::clone(&root)], Arc::clone(before));
            let found = ways.up(from).len();
            (found, ways.into_signatures())
        };
        let pair = (below.hash, root.key_hash());
        let (found, signatures) = ways(&Arc::default(), &below);
        assert_eq!((found, signatures.get(&pair)), (1, Some(&true)));
        // It is not looked at again: what was found before is what is found.
        let (found, _) = ways(&Arc::new(Signatures::from([(pair, false)])), &below);
        assert_eq!(found, 0);
        // One bit of the signature more, and what is known of the other says nothing of it.
        let mut bent = signed.der().to_vec();
        *bent.last_mut().unwrap() ^= 1;
        let bent = read(&bent);
        let (found, bents) = ways(&signatures, &bent);
        assert_eq!((found, bents.get(&(bent.hash, root.key_hash())), bents.get(&pair)), (0, Some(&false), None));
    }
}
