//! A certificate request from a file, and the key beside its future certificate: one pair, or nothing is asked for.

use std::path::Path;

use ring::digest::{SHA256, digest};
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure, OrFail};
use crate::files::{self, Input};

/// What the server takes at most (see docs/LIMITS.md).
const CSR_BYTES_MAX: u64 = 16 << 10;
/// The PEM file of an RSA key of 4096 bits is a quarter of it.
const KEY_BYTES_MAX: u64 = 16 << 10;

/// Reads a request, PEM or DER, as PEM.
pub fn read(input: Input) -> Result<String, Failure> {
    Ok(pem("CERTIFICATE REQUEST", &input.bytes(CSR_BYTES_MAX)?))
}

/// Reads a certificate, PEM or DER, as PEM.
pub fn read_certificate(path: &Path) -> Result<String, Failure> {
    Ok(pem("CERTIFICATE", &files::read(path, CSR_BYTES_MAX)?))
}

/// DER is wrapped, and so is base64 that stands alone; PEM is left alone.
fn pem(label: &str, bytes: &[u8]) -> String {
    use base64::Engine;
    let wrapped = |body: &str| format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
    match text_of(bytes) {
        Some(text) if text.contains("-----BEGIN") => text,
        // A SEQUENCE in base64.
        Some(text) if text.trim_start().starts_with("MI") => wrapped(text.trim()),
        Some(_) | None => wrapped(&base64::engine::general_purpose::STANDARD.encode(bytes)),
    }
}

/// UTF-8, or what PowerShell's `>` makes of it: UTF-16 with a mark before it.
fn text_of(bytes: &[u8]) -> Option<String> {
    let units: Vec<u16> = match bytes {
        [0xff, 0xfe, rest @ ..] => rest.as_chunks().0.iter().map(|pair| u16::from_le_bytes(*pair)).collect(),
        [0xfe, 0xff, rest @ ..] => rest.as_chunks().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect(),
        _ => return std::str::from_utf8(bytes).ok().map(str::to_owned),
    };
    String::from_utf16(&units).ok()
}

/// Refuses a folder whose `key.pem` is not the key of this request: its certificate would replace the one in use.
pub fn fits(csr: &str, dir: &Path) -> Result<(), Failure> {
    let Some(kept) = kept_key(dir)? else { return Ok(()) };
    same(&kept, &key_hash(csr)?, dir)
}

/// SHA-256 of the public key of a request, hex.
pub fn key_hash(csr: &str) -> Result<String, Failure> {
    Ok(hex::encode(ca::Csr::parse(csr.as_bytes()).or_fail("the request is refused")?.key_hash()))
}

/// Whether a certificate file is there that is for none of these keys.
pub fn is_other(path: &Path, keys: &[String]) -> Result<bool, Failure> {
    if path.symlink_metadata().is_err() {
        return Ok(false);
    }
    let bytes = files::read(path, CSR_BYTES_MAX)?;
    let first = rustls::pki_types::CertificateDer::pem_slice_iter(&bytes).next();
    let Some(Ok(first)) = first else { return Ok(true) };
    let parsed = X509Certificate::from_der(&first);
    Ok(!parsed.is_ok_and(|(_, found)| keys.contains(&hex::encode(digest(&SHA256, found.public_key().raw)))))
}

/// The same for a certificate of the register, whose `key_hash` is known.
pub fn fits_hash(key_hash: &str, dir: &Path) -> Result<(), Failure> {
    kept_key(dir)?.map_or(Ok(()), |kept| same(&kept, key_hash, dir))
}

/// Refuses a folder with a key of its own: a certificate whose key is in the token has no place beside it.
pub fn no_key(dir: &Path) -> Result<(), Failure> {
    let path = dir.join("key.pem");
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    let said = format!("{} is the key of another certificate", files::shown(&path));
    Err(Failure::new(Exit::Failed, said).help("name another folder with --out"))
}

fn same(kept: &str, asked: &str, dir: &Path) -> Result<(), Failure> {
    if kept == asked {
        return Ok(());
    }
    let said = format!("{} is another key than the certificate's", dir.join("key.pem").display());
    Err(Failure::new(Exit::Failed, said).help("name another folder with --out, or move that key away"))
}

/// SHA-256 of the public key of `key.pem` in the folder, hex; none where there is no such file.
fn kept_key(dir: &Path) -> Result<Option<String>, Failure> {
    let path = dir.join("key.pem");
    if !path.exists() {
        return Ok(None);
    }
    let help =
        format!("name another folder with --out; openssl pkcs8 -topk8 -nocrypt makes {} readable", path.display());
    let unread = format!("{} cannot be compared with the certificate's key", path.display());
    let text = Zeroizing::new(files::read(&path, KEY_BYTES_MAX)?);
    let key = std::str::from_utf8(&text).ok().map(rcgen::KeyPair::from_pem);
    let key = key.and_then(Result::ok).ok_or_else(|| Failure::new(Exit::Failed, unread).help(help))?;
    Ok(Some(hex::encode(digest(&SHA256, &rcgen::PublicKeyData::subject_public_key_info(&key)))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

    #[test]
    fn der_requests_are_wrapped_and_pem_is_left_alone() {
        assert!(pem("CERTIFICATE REQUEST", &[0x30, 0x82]).starts_with("-----BEGIN CERTIFICATE REQUEST-----\nMII="));
        assert_eq!(pem("CERTIFICATE REQUEST", b"-----BEGIN X-----"), "-----BEGIN X-----");
        let armoured = "-----BEGIN X-----\nMIIB\n-----END X-----\n";
        assert_eq!(pem("X", b"\nMIIB\r\n"), armoured, "base64 alone");
        for units in [u16::to_le_bytes, u16::to_be_bytes] {
            let wide: Vec<u8> = format!("\u{feff}{armoured}").encode_utf16().flat_map(units).collect();
            assert_eq!(pem("X", &wide), armoured, "as PowerShell writes it");
        }
    }

    #[test]
    fn a_request_without_an_end_is_refused() {
        assert!(read(Input::open(Path::new("/dev/zero")).unwrap()).is_err());
    }

    #[test]
    fn a_request_fits_beside_its_own_key_or_none() {
        let dir = tempfile::tempdir().unwrap();
        for algorithm in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
            let (mine, other) = (KeyPair::generate_for(algorithm).unwrap(), KeyPair::generate_for(algorithm).unwrap());
            let params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
            let csr = params.serialize_request(&mine).unwrap().pem().unwrap();
            let _ = std::fs::remove_file(dir.path().join("key.pem"));
            fits(&csr, dir.path()).unwrap();
            std::fs::write(dir.path().join("key.pem"), mine.serialize_pem()).unwrap();
            fits(&csr, dir.path()).unwrap();
            std::fs::write(dir.path().join("key.pem"), other.serialize_pem()).unwrap();
            assert!(fits(&csr, dir.path()).unwrap_err().to_string().contains("another key"));
            std::fs::write(dir.path().join("key.pem"), "no key").unwrap();
            assert!(fits(&csr, dir.path()).unwrap_err().to_string().contains("cannot be compared"));
        }
    }
}
