//! Texts between `-----BEGIN` and `-----END` lines (RFC 7468), as those who read them want them: OpenSSH takes no key whose last line does not
//! end, or whose lines end as those of Windows do.

use zeroize::Zeroizing;

use super::fields::{Fields, FieldsError, Patch};

const BEGIN: &[u8] = b"-----BEGIN ";

/// Makes each such field one whose lines end with a line feed, the last one too.
///
/// # Errors
/// [`FieldsError::TooLong`]: it has no room for the last one.
pub(crate) fn tidy(fields: &mut Fields) -> Result<(), FieldsError> {
    let untidy = fields.iter().filter(|(_, value)| value.starts_with(BEGIN) && !is_tidy(value));
    let patch = untidy.fold(Patch::new(), |patch, (name, value)| patch.set(name.clone(), tidied(value)));
    fields.merge(patch)
}

fn is_tidy(value: &[u8]) -> bool {
    value.ends_with(b"\n") && !value.contains(&b'\r')
}

fn tidied(value: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut tidy = Zeroizing::new(Vec::with_capacity(value.len() + 1));
    tidy.extend(value.iter().copied().filter(|byte| *byte != b'\r'));
    if !tidy.ends_with(b"\n") {
        tidy.push(b'\n');
    }
    tidy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_armoured_text_ends_its_lines_and_nothing_else_is_touched() {
        let mut fields = Fields::new();
        for (name, value) in [
            ("cut", "-----BEGIN X-----\nAAAA\n-----END X-----"),
            ("windows", "-----BEGIN X-----\r\nAAAA\r\n-----END X-----\r\n"),
            ("whole", "-----BEGIN X-----\nAAAA\n-----END X-----\n"),
            ("other", "line\r\n"),
        ] {
            fields.set(name.parse().unwrap(), value.as_bytes().to_vec()).unwrap();
        }
        tidy(&mut fields).unwrap();
        for name in ["cut", "windows", "whole"] {
            assert_eq!(fields.text(name), Some("-----BEGIN X-----\nAAAA\n-----END X-----\n"), "{name}");
        }
        assert_eq!(fields.text("other"), Some("line\r\n"));
    }
}
