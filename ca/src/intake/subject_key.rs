//! The public keys that may be certified, of whatever kind of credential: one form, one hash, one list of what is too weak.
//!
//! A key is held as its SubjectPublicKeyInfo, however it came: a CSR has one, an SSH key and a JWK are written as one. DER has
//! one spelling, and each kind one form here (uncompressed points, NULL parameters for RSA, none for Ed25519), so the SHA-256 of
//! it is the key's name everywhere: what was revoked as compromised in one dress is known in every other.
//!
//! Answers the threat of certifying a key whose private half can be had; [`strength`](super::strength) says how.

use der::{AnyRef, Decode, Tag};
use hsm::KeyKind;
use spki::ObjectIdentifier;

use crate::encode::sha256;
use crate::encode::spki::{
    Algorithm, ID_EC, ID_ED25519, ID_ML_DSA_44, ID_ML_DSA_65, ID_ML_DSA_87, ID_RSA, ID_RSA_PSS, P256, P384, P521,
    RsaKey, Spki, public_bits,
};
use crate::intake::known;
use crate::intake::strength::{self, WeakKey};
use crate::intake::weigh::weigh;

/// A public key fit to be certified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubjectKey {
    spki_der: Vec<u8>,
    kind: KeyKind,
    hash: [u8; 32],
}

impl SubjectKey {
    /// Reads a SubjectPublicKeyInfo and refuses what is weak or unknown, with the reason.
    pub(crate) fn from_spki(spki_der: &[u8]) -> Result<SubjectKey, WeakKey> {
        let spki = Spki::from_der(spki_der).map_err(|e| refused(format!("not a public key: {e}")))?;
        let bits = spki.key.as_bytes().ok_or_else(|| refused("a public key of odd bits"))?;
        let kind = match spki.algorithm.oid {
            ID_EC => curve(&spki.algorithm, bits)?,
            ID_RSA => rsa(&spki.algorithm, bits)?,
            ID_ED25519 => bare(KeyKind::Ed25519, &spki.algorithm, bits)?,
            ID_ML_DSA_44 => bare(KeyKind::MlDsa44, &spki.algorithm, bits)?,
            ID_ML_DSA_65 => bare(KeyKind::MlDsa65, &spki.algorithm, bits)?,
            ID_ML_DSA_87 => bare(KeyKind::MlDsa87, &spki.algorithm, bits)?,
            // Two forms would be two names of one key, of which revocation knows one.
            ID_RSA_PSS => return Err(refused(PSS_FORM)),
            other => return Err(refused(format!("key algorithm {other} is not accepted; {ACCEPTED}"))),
        };
        let hash = sha256(spki_der);
        match known::is_known(kind, &hash) {
            true => {
                Err(refused("its private key is known to everybody, from a standard's examples or by being trivial"))
            }
            false => Ok(SubjectKey { spki_der: spki_der.to_vec(), kind, hash }),
        }
    }

    /// Reads the key of a stranger, beside the threads that answer others.
    pub(crate) async fn receive(spki_der: Vec<u8>) -> Result<SubjectKey, WeakKey> {
        weigh(spki_der.len(), move || SubjectKey::from_spki(&spki_der)).await
    }

    /// A key of the token: it was made by us, of a kind we chose.
    pub(crate) fn from_token(key: &hsm::Key) -> SubjectKey {
        SubjectKey { spki_der: key.spki_der().to_vec(), kind: key.kind(), hash: key.fingerprint() }
    }

    /// DER.
    pub(crate) fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// What it is; an RSA key counts as the largest named size it reaches.
    pub(crate) fn kind(&self) -> KeyKind {
        self.kind
    }

    /// SHA-256 of the SubjectPublicKeyInfo.
    pub(crate) fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// The subjectPublicKey bits, which is what verification and key identifiers work on.
    pub(crate) fn public_bits(&self) -> Option<Vec<u8>> {
        public_bits(&self.spki_der)
    }
}

/// Whether a key (SubjectPublicKeyInfo, DER) is fit for anything here, also where it is not certified: an ACME account's, say.
/// Answers the SHA-256 by which it is known everywhere.
pub async fn check_key(spki_der: Vec<u8>) -> Result<[u8; 32], WeakKey> {
    SubjectKey::receive(spki_der).await.map(|key| key.hash)
}

fn curve(algorithm: &Algorithm<'_>, point: &[u8]) -> Result<KeyKind, WeakKey> {
    let parameters = algorithm.parameters.ok_or_else(|| refused("an EC key without its curve"))?;
    let curve = parameters.decode_as::<ObjectIdentifier>().map_err(|_| {
        refused(
            "an EC key with explicit curve parameters; make it with a named curve (-pkeyopt ec_param_enc:named_curve)",
        )
    })?;
    let kind = match curve {
        P256 => KeyKind::P256,
        P384 => KeyKind::P384,
        P521 => KeyKind::P521,
        other => return Err(refused(format!("curve {other} is not accepted; {ACCEPTED}"))),
    };
    strength::point(kind, point).map(|()| kind)
}

fn rsa(algorithm: &Algorithm<'_>, key: &[u8]) -> Result<KeyKind, WeakKey> {
    // RFC 3279 section 2.3.1: "The parameters field MUST have ASN.1 type NULL for this algorithm identifier."
    if !algorithm.parameters.is_some_and(|p| p.tag_is_null()) {
        return Err(refused("an RSA key whose algorithm parameters are not NULL"));
    }
    let key = RsaKey::from_der(key).map_err(|e| refused(format!("not an RSA public key: {e}")))?;
    strength::rsa(key.modulus.as_bytes(), key.exponent.as_bytes())
}

fn bare(kind: KeyKind, algorithm: &Algorithm<'_>, key: &[u8]) -> Result<KeyKind, WeakKey> {
    // RFC 8410 section 3 and RFC 9881 section 4: "the parameters MUST be absent."
    if algorithm.parameters.is_some() {
        return Err(refused(format!("a key of kind {kind} with parameters")));
    }
    match kind {
        KeyKind::Ed25519 => strength::ed25519(key),
        _ => strength::ml_dsa(kind, key),
    }
    .map(|()| kind)
}

fn refused(why: impl Into<String>) -> WeakKey {
    WeakKey(why.into())
}

/// Whether parameters are an ASN.1 NULL.
trait TagIsNull {
    fn tag_is_null(&self) -> bool;
}

impl TagIsNull for AnyRef<'_> {
    fn tag_is_null(&self) -> bool {
        self.header().tag() == Tag::Null && self.value().is_empty()
    }
}

const ACCEPTED: &str = "accepted are P-256, P-384, P-521, RSA of 2048 to 4096 bits, Ed25519 and ML-DSA-44, -65 and -87";
const PSS_FORM: &str = "an RSA key in the form for PSS alone (id-RSASSA-PSS); make it with -algorithm RSA: the request may be signed \
    with PSS, and so may what the key signs";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_refused_without_a_panic() {
        for bad in [&[][..], &[0x30, 0x00], &[0x30, 0x80], &[0x04, 0x01, 0x00]] {
            assert!(SubjectKey::from_spki(bad).is_err());
        }
    }
}
