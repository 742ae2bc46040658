//! The body of an SSH certificate (OpenSSH PROTOCOL.certkeys): what is signed.

use crate::encode::Wire;
use crate::intake::SshKey;

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

/// An SSH serial has 64 bits: the last eight bytes, all random, of the register's serial.
pub(crate) fn register_serial_tail(serial: &[u8]) -> Option<u64> {
    serial.last_chunk().map(|tail| u64::from_be_bytes(*tail))
}
