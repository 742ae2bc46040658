//! Whether something that is signed, a certificate, a CRL, a request, is signed by a key: for whoever looks at one and builds no path.

use der::asn1::BitStringRef;
use der::{AnyRef, Decode, Encode, Sequence};

use crate::algorithms;

/// `SIGNED` of X.509: what is signed, how, and the signature.
#[derive(Sequence)]
struct Signed<'a> {
    what: AnyRef<'a>,
    algorithm: AnyRef<'a>,
    signature: BitStringRef<'a>,
}

/// SubjectPublicKeyInfo.
#[derive(Sequence)]
struct PublicKey<'a> {
    algorithm: AnyRef<'a>,
    bits: BitStringRef<'a>,
}

/// Whether a certificate, a CRL or a request (DER) is signed by this key (SubjectPublicKeyInfo, DER), in one of the ways that are verified
/// here.
pub fn is_signed(signed: &[u8], key: &[u8]) -> bool {
    let (Ok(signed), Ok(key)) = (Signed::from_der(signed), PublicKey::from_der(key)) else { return false };
    let (Ok(what), Some(bits), Some(signature)) =
        (signed.what.to_der(), key.bits.as_bytes(), signed.signature.as_bytes())
    else {
        return false;
    };
    let fits = algorithms().all.iter().filter(|algorithm| {
        algorithm.public_key_alg_id().as_ref() == key.algorithm.value()
            && algorithm.signature_alg_id().as_ref() == signed.algorithm.value()
    });
    fits.into_iter().any(|algorithm| algorithm.verify_signature(bits, &what, signature).is_ok())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use ml_dsa::{ExpandedSigningKey, MlDsa65, Seed};
    use rustls::pki_types::alg_id;

    use super::*;

    fn openssl(dir: &Path, arguments: &str) {
        let done = Command::new("openssl").args(arguments.split(' ')).current_dir(dir).output().unwrap();
        assert!(done.status.success(), "{arguments}: {}", String::from_utf8_lossy(&done.stderr));
    }

    #[test]
    fn what_openssl_signs_with_any_curve_and_hash_is_taken_and_nothing_that_another_key_signed() {
        let dir = tempfile::tempdir().unwrap();
        let read = |file: &str| std::fs::read(dir.path().join(file)).unwrap();
        for (curve, hash) in [("P-521", "sha256"), ("P-521", "sha384"), ("P-521", "sha512"), ("P-256", "sha256")] {
            for name in ["one", "two"] {
                let made = format!("-newkey ec -pkeyopt ec_paramgen_curve:{curve} -nodes -{hash} -subj /CN={name}");
                openssl(dir.path(), &format!("req -x509 {made} -keyout {name}.key -outform DER -out {name}.der"));
                openssl(dir.path(), &format!("pkey -in {name}.key -pubout -outform DER -out {name}.pub"));
            }
            assert!(is_signed(&read("one.der"), &read("one.pub")), "{curve} {hash}");
            assert!(!is_signed(&read("one.der"), &read("two.pub")), "{curve} {hash}");
        }
        for nonsense in [&b""[..], b"0", &[0x30, 0x00]] {
            assert!(!is_signed(nonsense, &read("one.pub")) && !is_signed(&read("one.der"), nonsense));
        }
    }

    #[test]
    fn a_lattices_signature_is_taken_and_that_of_another_message_is_not() {
        let secret = ExpandedSigningKey::<MlDsa65>::from_seed(&Seed::from([7; 32]));
        let (bits, algorithm) = (secret.verifying_key().encode(), AnyRef::new(der::Tag::Sequence, &alg_id::ML_DSA_65));
        let algorithm = algorithm.unwrap();
        let key = PublicKey { algorithm, bits: BitStringRef::from_bytes(bits.as_slice()).unwrap() }.to_der().unwrap();
        for (message, good) in [(&[2, 1, 5][..], true), (&[2, 1, 6], false)] {
            let what = AnyRef::from_der(&[2, 1, 5]).unwrap();
            let signature = secret.sign_deterministic(message, &[]).unwrap().encode();
            let signature = BitStringRef::from_bytes(signature.as_slice()).unwrap();
            let signed = Signed { what, algorithm, signature }.to_der().unwrap();
            assert_eq!(is_signed(&signed, &key), good);
        }
    }
}
