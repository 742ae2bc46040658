//! OCSP requests as paths: each certificate by SHA-1, without a nonce, as RFC 5019 has it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use x509_parser::prelude::{FromDer, X509Certificate};

/// A path for each serial.
pub(super) fn paths(issuer_der: &[u8], serials: &[Vec<u8>]) -> Result<Vec<String>, String> {
    let (_, issuer) = X509Certificate::from_der(issuer_der).map_err(|e| e.to_string())?;
    let name = digest(&SHA1_FOR_LEGACY_USE_ONLY, issuer.subject().as_raw());
    let key = digest(&SHA1_FOR_LEGACY_USE_ONLY, &issuer.public_key().subject_public_key.data);
    let sha1 = [0x30, 9, 6, 5, 0x2b, 0x0e, 3, 2, 0x1a, 5, 0];
    let path = |serial: &Vec<u8>| {
        let id = sequence(&[&sha1, &tlv(4, name.as_ref()), &tlv(4, key.as_ref()), &tlv(2, serial)]);
        let request = sequence(&[&sequence(&[&sequence(&[&sequence(&[&id])])])]);
        let text = STANDARD.encode(request).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        format!("/ocsp/{text}")
    };
    Ok(serials.iter().map(path).collect())
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

/// Of less than 128 bytes, as all of these are.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, u8::try_from(content.len()).unwrap_or(127)], content].concat()
}
