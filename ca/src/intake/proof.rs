//! How others may sign: the ways to prove possession of each kind of key, and those of CAs from elsewhere.
//!
//! More than what we sign with: openssl signs with SHA-256 whatever the curve, others with SHA-512 whatever the curve, and some with
//! PSS of any length of salt. Nothing made with SHA-1 proves anything.

use der::{AnyRef, Decode, Sequence};
use hsm::{Family, KeyKind, Scheme};
use ring::digest::{self, SHA256, SHA384, SHA512};
use spki::ObjectIdentifier;

use crate::encode::spki::{Algorithm, ID_ED25519, ID_ML_DSA_44, ID_ML_DSA_65, ID_ML_DSA_87, ID_RSA_PSS};
use crate::intake::asked::{CsrError, refused};
use crate::intake::subject_key::SubjectKey;

type Hash = &'static digest::Algorithm;

/// The scheme of a signature algorithm, if a key of that kind can prove itself so.
pub(super) fn scheme(kind: KeyKind, algorithm: &Algorithm<'_>) -> Result<Scheme, CsrError> {
    let oid = algorithm.oid;
    let named = |table: [(ObjectIdentifier, Hash); 3]| table.into_iter().find(|(name, _)| *name == oid).map(|(_, h)| h);
    let whole = match kind {
        KeyKind::MlDsa44 => ID_ML_DSA_44,
        KeyKind::MlDsa65 => ID_ML_DSA_65,
        KeyKind::MlDsa87 => ID_ML_DSA_87,
        _ => ID_ED25519,
    };
    let found = match kind.family() {
        Family::Rsa if oid == ID_RSA_PSS => return pss(algorithm.parameters),
        Family::Rsa => named(RSA).map(Scheme::RsaPkcs1),
        Family::Curve => named(ECDSA).map(Scheme::Ecdsa),
        Family::Edwards | Family::Lattice => (oid == whole).then_some(Scheme::Whole),
    };
    found.ok_or_else(|| {
        refused(format!(
            "its signature algorithm {oid} is not accepted for a {kind} key; sign the request with SHA-256, SHA-384 or SHA-512 \
             (ECDSA, RSA PKCS#1 or PSS), Ed25519 or ML-DSA"
        ))
    })
}

/// Whether a signature is one of this key (SubjectPublicKeyInfo) over the message, made as its AlgorithmIdentifier says.
pub(crate) fn is_signed(spki_der: &[u8], algorithm_der: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(algorithm)) = (SubjectKey::from_spki(spki_der), Algorithm::from_der(algorithm_der)) else {
        return false;
    };
    let (Ok(scheme), Some(bits)) = (scheme(key.kind(), &algorithm), key.public_bits()) else { return false };
    hsm::verify_as(scheme, key.kind(), &bits, message, signature).is_ok()
}

/// RSASSA-PSS-params (RFC 4055 section 3.1). What is left out is SHA-1, and that is refused.
fn pss(parameters: Option<AnyRef<'_>>) -> Result<Scheme, CsrError> {
    let odd = |why: &str| {
        refused(format!("its PSS parameters {why}; sign with SHA-256, SHA-384 or SHA-512, and MGF1 with the same"))
    };
    let parameters = parameters.ok_or_else(|| odd("are missing"))?;
    let read: PssParameters<'_> = parameters.decode_as().map_err(|_| odd("cannot be read"))?;
    let hash = |named: Option<Algorithm<'_>>| {
        let named = named.map(|algorithm| algorithm.oid);
        HASHES.into_iter().find(|(oid, _)| Some(*oid) == named).map(|(_, hash)| hash)
    };
    let digest = hash(read.hash).ok_or_else(|| odd("name no such hash"))?;
    let mask = read.mask.filter(|mask| mask.oid == MGF1).and_then(|mask| mask.parameters);
    let mask = mask.and_then(|inner| inner.decode_as::<Algorithm<'_>>().ok());
    match (hash(mask) == Some(digest), read.trailer.unwrap_or(1)) {
        (true, 1) => Ok(Scheme::RsaPss(digest, usize::from(read.salt.unwrap_or(SALT_DEFAULT)))),
        (true, _) => Err(odd("name another trailer")),
        (false, _) => Err(odd("name another mask")),
    }
}

#[derive(Sequence)]
struct PssParameters<'a> {
    #[asn1(context_specific = "0", optional = "true")]
    hash: Option<Algorithm<'a>>,
    #[asn1(context_specific = "1", optional = "true")]
    mask: Option<Algorithm<'a>>,
    #[asn1(context_specific = "2", optional = "true")]
    salt: Option<u16>,
    #[asn1(context_specific = "3", optional = "true")]
    trailer: Option<u8>,
}

/// Where the parameters say nothing.
const SALT_DEFAULT: u16 = 20;

const MGF1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.8");
/// RFC 5758 section 3.2.
const ECDSA: [(ObjectIdentifier, Hash); 3] = [
    (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"), &SHA256),
    (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3"), &SHA384),
    (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4"), &SHA512),
];
/// RFC 4055 section 5.
const RSA: [(ObjectIdentifier, Hash); 3] = [
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11"), &SHA256),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12"), &SHA384),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13"), &SHA512),
];
const HASHES: [(ObjectIdentifier, Hash); 3] = [
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1"), &SHA256),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2"), &SHA384),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3"), &SHA512),
];
