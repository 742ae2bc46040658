//! What a key is said to be for: only what its kind can do.

use x509_parser::extensions::KeyUsage;

use crate::lint::findings::Findings;
use crate::lint::named::lints;

lints! { USAGE;
    USAGE_NOT_EMPTY Error "key-usage-is-not-empty"
        "a key usage that allows nothing" ["RFC 5280 4.2.1.3", "CPS 6.1.7"]
    USAGE_CRITICAL Warning "key-usage-is-critical"
        "keyUsage is not critical" ["RFC 5280 4.2.1.3", "BR 7.1.2.7.11", "CPS 6.1.7"]
    USAGE_ONLY_WITH_AGREEMENT Warning "key-usage-encipher-only-goes-with-agreement"
        "encipherOnly or decipherOnly without keyAgreement means nothing" ["RFC 5280 4.2.1.3", "CPS 6.1.7"]
    RSA_AGREES_NOT Error "rsa-key-agrees-on-nothing"
        "key agreement for an RSA key" ["RFC 3279 2.3.1", "CPS 6.1.7"]
    RSA_SERVER_ENCIPHERS Warning "rsa-server-key-enciphers-keys"
        "an RSA server without key encipherment, which NSS refuses" ["RFC 5246 7.4.2", "CPS 6.1.7"]
    CURVE_ENCIPHERS_NOT Error "curve-key-enciphers-nothing"
        "encipherment for a key of a curve" ["RFC 8813 3", "CPS 6.1.7"]
    EDWARDS_SIGNS_ONLY Error "edwards-key-only-signs"
        "encipherment or agreement for an Ed25519 or Ed448 key" ["RFC 9295 3", "CPS 6.1.7"]
    MONTGOMERY_AGREES_ONLY Error "montgomery-key-only-agrees"
        "something else than agreement for an X25519 or X448 key" ["RFC 9295 3", "CPS 6.1.7"]
    MLDSA_SIGNS_ONLY Error "ml-dsa-key-only-signs"
        "encipherment or agreement for an ML-DSA key" ["RFC 9881 5", "CPS 6.1.7"]
}

/// Kinds of keys, as far as what they can do differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Rsa,
    Curve,
    Edwards,
    Montgomery,
    MlDsa,
    Other,
}

impl Family {
    /// By the algorithm of a SubjectPublicKeyInfo.
    pub(crate) fn of(oid: &[u8]) -> Family {
        match oid {
            // rsaEncryption, RSASSA-PSS.
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 1 | 10] => Family::Rsa,
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01] => Family::Curve,
            [0x2b, 0x65, 0x6e | 0x6f] => Family::Montgomery,
            [0x2b, 0x65, 0x70 | 0x71] => Family::Edwards,
            [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 17..=19] => Family::MlDsa,
            _ => Family::Other,
        }
    }
}

/// A key usage in itself.
pub(crate) fn alone(usage: &KeyUsage, critical: bool, f: &mut Findings) {
    f.hold(&USAGE_NOT_EMPTY, usage.flags != 0);
    f.hold(&USAGE_CRITICAL, critical);
    f.hold(&USAGE_ONLY_WITH_AGREEMENT, usage.key_agreement() || !(usage.encipher_only() || usage.decipher_only()));
}

/// A key usage, held against the key. `serves`: of a TLS server itself, and not of the CA of some.
pub(crate) fn by_key(usage: &KeyUsage, serves: bool, family: Family, f: &mut Findings) {
    let enciphers = usage.key_encipherment() || usage.data_encipherment();
    let agrees = usage.key_agreement() || usage.encipher_only() || usage.decipher_only();
    let signs = usage.digital_signature() || usage.non_repudiation() || usage.key_cert_sign() || usage.crl_sign();
    match family {
        Family::Rsa => {
            f.hold(&RSA_AGREES_NOT, !agrees);
            f.hold(&RSA_SERVER_ENCIPHERS, !serves || usage.key_encipherment());
        }
        Family::Curve => f.hold(&CURVE_ENCIPHERS_NOT, !enciphers),
        Family::Edwards => f.hold(&EDWARDS_SIGNS_ONLY, !enciphers && !agrees),
        Family::Montgomery => f.hold(&MONTGOMERY_AGREES_ONLY, usage.key_agreement() && !enciphers && !signs),
        Family::MlDsa => f.hold(&MLDSA_SIGNS_ONLY, signs && !enciphers && !agrees),
        Family::Other => {}
    }
}
