//! The SSH wire encoding (RFC 4251 section 5), public keys and certificate bodies in it (OpenSSH PROTOCOL.certkeys).
//!
//! Our own encoder, because the parsers that exist either cannot leave signing to an HSM or cannot say what we
//! need; what it makes is read back by ssh-key in the lint and by ssh-keygen in the tests.

use hsm::{Algorithm, Key, KeyKind};

use crate::subject_key::public_bits;

/// Bytes in SSH encoding, growing.
#[derive(Default)]
pub(crate) struct Wire(pub(crate) Vec<u8>);

impl Wire {
    /// `string`: a length and the bytes.
    pub(crate) fn string(mut self, bytes: impl AsRef<[u8]>) -> Wire {
        let bytes = bytes.as_ref();
        // Everything here is bounded to kilobytes by its caller, so the length fits.
        self.0.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    /// `mpint` of an unsigned number in minimal big-endian form: a leading zero where the top bit is set.
    pub(crate) fn mpint(self, number: &[u8]) -> Wire {
        match number.first() {
            Some(top) if top & 0x80 != 0 => self.string([&[0], number].concat()),
            Some(_) | None => self.string(number),
        }
    }

    /// `uint32`.
    pub(crate) fn u32(mut self, number: u32) -> Wire {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// `uint64`.
    pub(crate) fn u64(mut self, number: u64) -> Wire {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// Bytes that are encoded already.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Wire {
        self.0.extend_from_slice(bytes);
        self
    }
}

/// Reads one `string` and what follows it.
pub(crate) fn split_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*len) as usize)
}

/// What a certificate says, besides its keys.
pub(crate) struct Body<'a> {
    pub(crate) nonce: [u8; 32],
    pub(crate) serial: u64,
    /// 1: user, 2: host.
    pub(crate) cert_type: u32,
    pub(crate) key_id: &'a str,
    pub(crate) principals: Vec<&'a str>,
    pub(crate) valid_after: u64,
    /// Exclusive: sshd refuses from this second on.
    pub(crate) valid_before: u64,
    pub(crate) critical_options: &'a [(String, String)],
    pub(crate) extensions: &'a [String],
}

impl Body<'_> {
    /// Everything of a certificate up to and including the CA's key, which is what is signed.
    pub(crate) fn encode(&self, subject: &SshKey, ca_blob: &[u8]) -> Vec<u8> {
        let principals = self.principals.iter().fold(Wire::default(), |w, p| w.string(p));
        let options = self
            .critical_options
            .iter()
            .fold(Wire::default(), |w, (name, value)| w.string(name).string(Wire::default().string(value).0));
        let extensions = self.extensions.iter().fold(Wire::default(), |w, name| w.string(name).string([]));
        Wire::default()
            .string(subject.certificate_type())
            .string(self.nonce)
            .raw(&subject.fields)
            .u64(self.serial)
            .u32(self.cert_type)
            .string(self.key_id)
            .string(principals.0)
            .u64(self.valid_after)
            .u64(self.valid_before)
            .string(options.0)
            .string(extensions.0)
            .string([])
            .string(ca_blob)
            .0
    }
}

/// A subject's public key: its algorithm's name, and the fields that follow the name in a key blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SshKey {
    pub(crate) algorithm: String,
    pub(crate) fields: Vec<u8>,
    pub(crate) kind: KeyKind,
}

impl SshKey {
    /// `ssh-ed25519-cert-v01@openssh.com` and its like.
    pub(crate) fn certificate_type(&self) -> String {
        format!("{}-cert-v01@openssh.com", self.algorithm)
    }
}

/// The key blob of a CA key of the token; `None` for kinds that sign no SSH certificates here.
pub(crate) fn ca_blob(key: &Key) -> Option<Vec<u8>> {
    let bits = public_bits(key.spki_der())?;
    let wire = Wire::default().string(signature_name(key.algorithm())?);
    let wire = match key.kind() {
        KeyKind::P256 => wire.string("nistp256"),
        KeyKind::P384 => wire.string("nistp384"),
        KeyKind::Ed25519 => wire,
        KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => return None,
    };
    Some(wire.string(bits).0)
}

/// The signature blob: algorithm and signature; ECDSA as two mpints (RFC 5656 section 3.1.2), Ed25519 raw (RFC 8709).
pub(crate) fn signature_blob(algorithm: Algorithm, signature: &[u8]) -> Option<Vec<u8>> {
    let wire = Wire::default().string(signature_name(algorithm)?);
    match algorithm {
        Algorithm::EcdsaP256Sha256 | Algorithm::EcdsaP384Sha384 => {
            let (r, s) = hsm::ecdsa_parts(signature)?;
            Some(wire.string(Wire::default().mpint(&r).mpint(&s).0).0)
        }
        Algorithm::Ed25519 => Some(wire.string(signature).0),
        Algorithm::RsaPkcs1Sha256 => None,
    }
}

fn signature_name(algorithm: Algorithm) -> Option<&'static str> {
    match algorithm {
        Algorithm::EcdsaP256Sha256 => Some("ecdsa-sha2-nistp256"),
        Algorithm::EcdsaP384Sha384 => Some("ecdsa-sha2-nistp384"),
        Algorithm::Ed25519 => Some("ssh-ed25519"),
        Algorithm::RsaPkcs1Sha256 => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mpint examples of RFC 4251 section 5.
    #[test]
    fn numbers_are_written_as_the_rfc_shows() {
        for (number, wire) in [
            (&[][..], &[0, 0, 0, 0][..]),
            (
                &[0x09, 0xa3, 0x78, 0xf9, 0xb2, 0xe3, 0x32, 0xa7],
                &[0, 0, 0, 8, 0x09, 0xa3, 0x78, 0xf9, 0xb2, 0xe3, 0x32, 0xa7],
            ),
            (&[0x80], &[0, 0, 0, 2, 0, 0x80]),
        ] {
            assert_eq!(Wire::default().mpint(number).0, wire);
        }
    }

    #[test]
    fn a_string_that_claims_too_much_is_refused() {
        assert_eq!(split_string(&[0, 0, 0, 1, 7, 8]), Some((&[7][..], &[8][..])));
        assert_eq!(split_string(&[0, 0, 0, 2, 7]), None);
        assert_eq!(split_string(&[0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(split_string(&[0, 0]), None);
    }
}
