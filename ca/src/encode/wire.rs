//! The SSH wire encoding (RFC 4251 section 5).
//!
//! Our own encoder, because the parsers that exist either cannot leave signing to an HSM or cannot say what we
//! need; what it makes is read back by ssh-key in the lint and by ssh-keygen in the tests.

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
