//! The one TLS provider of the house: ring, and beside it what ring does not verify, P-521 and ML-DSA. A CA with such a key would
//! otherwise be a stranger to the service itself, to its command and to its agents.
//!
//! Verification alone, of public values: nobody here signs with such a key.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod curve;
mod lattice;
mod signed;

use std::sync::LazyLock;

use rustls::SignatureScheme;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::SignatureVerificationAlgorithm;

pub use signed::is_signed;

/// rustls's provider. Whoever speaks TLS takes this one.
pub fn provider() -> CryptoProvider {
    CryptoProvider { signature_verification_algorithms: algorithms(), ..ring::default_provider() }
}

/// What signatures of certificates and handshakes may be: all that ring verifies, and ours behind it.
pub fn algorithms() -> WebPkiSupportedAlgorithms {
    static ALGORITHMS: LazyLock<WebPkiSupportedAlgorithms> = LazyLock::new(|| {
        let ring = ring::default_provider().signature_verification_algorithms;
        // Made once, for as long as the process lives: rustls takes nothing shorter.
        let all = [ring.all, &[&curve::SHA256, &curve::SHA384, &curve::SHA512], LATTICES].concat();
        let mapping = [ring.mapping, OURS].concat();
        WebPkiSupportedAlgorithms { all: all.leak(), mapping: mapping.leak() }
    });
    *ALGORITHMS
}

type Verifies = &'static dyn SignatureVerificationAlgorithm;

const LATTICES: &[Verifies] = &[&lattice::ML_DSA_44, &lattice::ML_DSA_65, &lattice::ML_DSA_87];

/// By what TLS calls them (RFC 8446 section 4.2.3, draft-ietf-tls-mldsa).
const OURS: &[(SignatureScheme, &[Verifies])] = &[
    (SignatureScheme::ECDSA_NISTP521_SHA512, &[&curve::SHA512]),
    (SignatureScheme::ML_DSA_44, &[&lattice::ML_DSA_44]),
    (SignatureScheme::ML_DSA_65, &[&lattice::ML_DSA_65]),
    (SignatureScheme::ML_DSA_87, &[&lattice::ML_DSA_87]),
];
