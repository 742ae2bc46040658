//! Java's own keystore, version 2, with trusted certificates alone. Its digest is keyed with the password that every Java has for
//! its trust store, and finds a broken copy; it keeps nobody from making another one.

use policy::Timestamp;
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

use super::alias;

/// Certificates, DER each with the time since when they are valid, as a keystore.
pub(crate) fn jks(certificates: &[(&[u8], Timestamp)]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend(VERSION);
    out.extend(length(certificates.len()));
    for (certificate, since) in certificates {
        out.extend(TRUSTED);
        text(&mut out, &alias(certificate));
        out.extend(since.unix().saturating_mul(1_000).to_be_bytes());
        text(&mut out, "X.509");
        out.extend(length(certificate.len()));
        out.extend(*certificate);
    }
    let mut digest = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    PASSWORD.encode_utf16().for_each(|unit| digest.update(&unit.to_be_bytes()));
    digest.update(WHITENER);
    digest.update(&out);
    out.extend(digest.finish().as_ref());
    out
}

/// A text of ASCII, as `DataOutputStream.writeUTF` has it.
fn text(out: &mut Vec<u8>, text: &str) {
    out.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend(text.as_bytes());
}

fn length(of: usize) -> [u8; 4] {
    u32::try_from(of).unwrap_or(u32::MAX).to_be_bytes()
}

const MAGIC: &[u8] = &[0xfe, 0xed, 0xfe, 0xed];
const VERSION: [u8; 4] = [0, 0, 0, 2];
const TRUSTED: [u8; 4] = [0, 0, 0, 2];
const PASSWORD: &str = "changeit";
/// What the format has there.
const WHITENER: &[u8] = b"Mighty Aphrodite";
