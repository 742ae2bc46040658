//! How renewal information names a certificate (RFC 9773 section 4.1): its authority key identifier and its serial number.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::problem::Problem;

/// `base64url(keyIdentifier) "." base64url(serialNumber)`, unpadded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertId {
    /// The authority key identifier's key identifier.
    pub key_identifier: Vec<u8>,
    /// The serial number's DER content.
    pub serial: Vec<u8>,
}

impl CertId {
    /// Reads one; of two texts that mean the same only the unpadded one is read.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let wrong = || Problem::malformed("a certificate is named by base64url(AKI) \".\" base64url(serial)");
        if text.len() > CHARS_MAX {
            return Err(wrong());
        }
        let part = |text: &str| URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| !bytes.is_empty()).ok_or_else(wrong);
        let (key_identifier, serial) = text.split_once('.').ok_or_else(wrong)?;
        Ok(Self { key_identifier: part(key_identifier)?, serial: part(serial)? })
    }

    /// The serial as the register has it.
    pub fn serial_hex(&self) -> String {
        self.serial.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }
}

/// Twenty bytes of each are 55; foreign CAs have longer key identifiers.
const CHARS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_named_as_in_the_rfc_and_not_otherwise() {
        // RFC 9773 section 4.1's example.
        let read = CertId::parse("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE").unwrap();
        assert_eq!(read.serial_hex(), "0087654321");
        assert_eq!(read.key_identifier.first(), Some(&0x69));
        for wrong in [
            "",
            ".",
            "aYhba4dGQEHhs3uEe6CuLN4ByNQ",
            "aYhba4dGQEHhs3uEe6CuLN4ByNQ.",
            ".AIdlQyE",
            "aYhba4dGQEHhs3uEe6CuLN4ByNQ=.AIdlQyE",
            "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE.x",
            "a b.c",
            &format!("{}.AIdlQyE", "a".repeat(CHARS_MAX)),
        ] {
            assert!(CertId::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
