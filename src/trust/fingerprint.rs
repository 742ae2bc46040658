//! The SHA-256 of a certificate, in whatever dress people copy it.

use std::fmt;

/// The SHA-256 of a certificate's DER.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Of a certificate.
    pub fn of(der: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, der).as_ref());
        Self(hash)
    }

    /// For names of files and aliases.
    pub fn hex(self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<_> = self.0.iter().map(|byte| format!("{byte:02X}")).collect();
        f.write_str(&pairs.join(":"))
    }
}

/// Reads one, for the command line: hexadecimal, with or without colons, as openssl, browsers and `trust show` print it.
pub fn fingerprint(text: &str) -> Result<Fingerprint, String> {
    let text = text.rsplit_once('=').map_or(text, |(_, value)| value);
    let digits: String = text.trim().chars().filter(|c| !matches!(c, ':' | ' ')).collect();
    let refuse =
        || "a SHA-256 has 64 hexadecimal digits, such as `chancery trust show` prints on the server's host".to_owned();
    let bytes = hex::decode(digits).map_err(|_| refuse())?;
    bytes.try_into().map(Fingerprint).map_err(|_| refuse())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_people_copy_it_and_never_shorter() {
        let hash = Fingerprint::of(b"x");
        let shown = hash.to_string();
        for text in [
            hash.hex(),
            hash.hex().to_uppercase(),
            shown.clone(),
            format!("sha256 Fingerprint={shown}"),
            shown.replace(':', " "),
        ] {
            assert_eq!(fingerprint(&text), Ok(hash), "{text}");
        }
        for bad in ["", "ab", &hash.hex()[..62], &shown[..47], "SHA256:n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg"] {
            assert!(fingerprint(bad).is_err(), "{bad}");
        }
    }
}
