//! SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7), read as it stands and written in its one form. Whether a key is fit is not
//! asked here.

use der::asn1::{BitStringRef, UintRef};
use der::{AnyRef, Decode, Encode, Sequence};
use hsm::KeyKind;
use spki::ObjectIdentifier;

/// The bits of the subjectPublicKey BIT STRING, without tag, length and unused-bits octet.
pub(crate) fn public_bits(spki_der: &[u8]) -> Option<Vec<u8>> {
    Spki::from_der(spki_der).ok()?.key.as_bytes().map(<[u8]>::to_vec)
}

/// Of a point of a named curve (RFC 5480 section 2).
pub(crate) fn of_curve(curve: ObjectIdentifier, point: &[u8]) -> Result<Vec<u8>, der::Error> {
    write(ID_EC, Some(AnyRef::from(&curve)), point)
}

/// Of an RSA key (RFC 3279 section 2.3.1).
pub(crate) fn of_rsa(modulus: &[u8], exponent: &[u8]) -> Result<Vec<u8>, der::Error> {
    let key = RsaKey { modulus: UintRef::new(modulus)?, exponent: UintRef::new(exponent)? }.to_der()?;
    write(ID_RSA, Some(AnyRef::NULL), &key)
}

/// Of a key whose algorithm has no parameters: Ed25519 (RFC 8410 section 4), ML-DSA (RFC 9881 section 4).
pub(crate) fn of_bare(oid: ObjectIdentifier, key: &[u8]) -> Result<Vec<u8>, der::Error> {
    write(oid, None, key)
}

/// What a key is, of one that is certified already: how strong it is is not asked.
pub(crate) fn kind_of(spki_der: &[u8]) -> Option<KeyKind> {
    let spki = Spki::from_der(spki_der).ok()?;
    match spki.algorithm.oid {
        ID_EC => match spki.algorithm.parameters?.decode_as::<ObjectIdentifier>().ok()? {
            P256 => Some(KeyKind::P256),
            P384 => Some(KeyKind::P384),
            P521 => Some(KeyKind::P521),
            _ => None,
        },
        // What is for PSS alone is an RSA key like any other where a profile lists kinds.
        ID_RSA | ID_RSA_PSS => {
            let bytes = RsaKey::from_der(spki.key.as_bytes()?).ok()?.modulus.as_bytes().len();
            let sizes = [(512, KeyKind::Rsa4096), (384, KeyKind::Rsa3072), (256, KeyKind::Rsa2048)];
            sizes.into_iter().find(|(least, _)| bytes >= *least).map(|(_, kind)| kind)
        }
        ID_ED25519 => Some(KeyKind::Ed25519),
        ID_ML_DSA_44 => Some(KeyKind::MlDsa44),
        ID_ML_DSA_65 => Some(KeyKind::MlDsa65),
        ID_ML_DSA_87 => Some(KeyKind::MlDsa87),
        _ => None,
    }
}

fn write(oid: ObjectIdentifier, parameters: Option<AnyRef<'_>>, key: &[u8]) -> Result<Vec<u8>, der::Error> {
    Spki { algorithm: Algorithm { oid, parameters }, key: BitStringRef::from_bytes(key)? }.to_der()
}

/// A SubjectPublicKeyInfo, its key as bits.
#[derive(Sequence)]
pub(crate) struct Spki<'a> {
    pub(crate) algorithm: Algorithm<'a>,
    pub(crate) key: BitStringRef<'a>,
}

/// An AlgorithmIdentifier as it stands in the input.
#[derive(Sequence)]
pub(crate) struct Algorithm<'a> {
    pub(crate) oid: ObjectIdentifier,
    pub(crate) parameters: Option<AnyRef<'a>>,
}

/// RSAPublicKey (RFC 8017 appendix A.1.1).
#[derive(Sequence)]
pub(crate) struct RsaKey<'a> {
    pub(crate) modulus: UintRef<'a>,
    pub(crate) exponent: UintRef<'a>,
}

pub(crate) const ID_EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(crate) const ID_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// An RSA key for PSS alone (RFC 4055 section 1.2).
pub(crate) const ID_RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
pub(crate) const ID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
pub(crate) const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
pub(crate) const ID_ML_DSA_44: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.17");
pub(crate) const ID_ML_DSA_65: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.18");
pub(crate) const ID_ML_DSA_87: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.19");
pub(crate) const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
pub(crate) const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

#[cfg(test)]
mod tests {
    use super::*;

    /// Each kind that can be certified, as openssl makes it.
    #[test]
    fn each_kind_of_key_that_is_certified_is_known_by_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let (private, public) = (dir.path().join("key"), dir.path().join("spki"));
        let ec = |curve: &str| vec!["EC".to_owned(), "-pkeyopt".to_owned(), format!("ec_paramgen_curve:{curve}")];
        let rsa =
            |kind: &str, bits: u32| vec![kind.to_owned(), "-pkeyopt".to_owned(), format!("rsa_keygen_bits:{bits}")];
        for (asked, kind) in [
            (ec("P-256"), KeyKind::P256),
            (ec("P-384"), KeyKind::P384),
            (ec("P-521"), KeyKind::P521),
            (rsa("RSA", 2048), KeyKind::Rsa2048),
            (rsa("RSA-PSS", 2048), KeyKind::Rsa2048),
            (rsa("RSA", 3072), KeyKind::Rsa3072),
            (vec!["ED25519".to_owned()], KeyKind::Ed25519),
        ] {
            let run = |arguments: &[&std::ffi::OsStr]| {
                let done = std::process::Command::new("openssl").args(arguments).output().unwrap();
                assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            };
            let mut arguments: Vec<&std::ffi::OsStr> = vec!["genpkey".as_ref(), "-out".as_ref(), private.as_ref()];
            arguments.push("-algorithm".as_ref());
            arguments.extend(asked.iter().map(<String as AsRef<std::ffi::OsStr>>::as_ref));
            run(&arguments);
            let [pkey, read, out, form, der, write] = ["pkey", "-in", "-pubout", "-outform", "DER", "-out"];
            let flags = [pkey.as_ref(), read.as_ref(), private.as_ref(), out.as_ref(), form.as_ref(), der.as_ref()];
            run(&[&flags[..], &[write.as_ref(), public.as_ref()]].concat());
            assert_eq!(kind_of(&std::fs::read(&public).unwrap()), Some(kind), "{asked:?}");
        }
        for (oid, kind) in
            [(ID_ML_DSA_44, KeyKind::MlDsa44), (ID_ML_DSA_65, KeyKind::MlDsa65), (ID_ML_DSA_87, KeyKind::MlDsa87)]
        {
            assert_eq!(kind_of(&of_bare(oid, &[7; 1312]).unwrap()), Some(kind));
        }
        assert_eq!(kind_of(&of_curve(ObjectIdentifier::new_unwrap("1.3.132.0.10"), &[4; 65]).unwrap()), None);
    }
}
