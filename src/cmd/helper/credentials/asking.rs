//! The name of systemd's end of the connection: an abstract address `RANDOM/unit/UNIT/CREDENTIAL` (systemd.exec(5)).

use std::fmt;

/// For which unit, and which of its credentials.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    unit: String,
    credential: String,
}

impl Asked {
    /// Reads an abstract address, without its leading byte 0.
    pub fn read(name: &[u8]) -> Option<Asked> {
        let text = std::str::from_utf8(name).ok().filter(|text| text.chars().all(|c| c.is_ascii_graphic()))?;
        let parts: Vec<&str> = text.split('/').collect();
        let [random, "unit", unit, credential] = parts.as_slice() else { return None };
        let is_random = !random.is_empty() && random.chars().all(|c| c.is_ascii_hexdigit());
        (is_random && !unit.is_empty() && !credential.is_empty())
            .then(|| Asked { unit: (*unit).to_owned(), credential: (*credential).to_owned() })
    }

    /// Whether it is this one of this unit.
    pub fn is(&self, unit: &str, credential: &str) -> bool {
        self.unit == unit && self.credential == credential
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.unit, self.credential)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_systemd_writes_it() {
        let asked = Asked::read(b"adf9d86b6eda275e/unit/foobar.service/credx").unwrap();
        assert!(asked.is("foobar.service", "credx") && !asked.is("foobar.service", "cred"));
        for bad in [
            &b""[..],
            b"adf9/unit/foobar.service",
            b"adf9/unit/foobar.service/",
            b"adf9/unit//credx",
            b"/unit/foobar.service/credx",
            b"adf9/unit/foobar.service/credx/more",
            b"adf9/user/foobar.service/credx",
            b"xyz/unit/foobar.service/credx",
            b"adf9/unit/foobar.service/credx\0",
            b"adf9/unit/foobar.service/cr\xffdx",
        ] {
            assert_eq!(Asked::read(bad), None, "{bad:?}");
        }
    }
}
