//! What git says: attributes, a line each (git-credential(1), "INPUT/OUTPUT FORMAT").
//!
//! git has been made to write a host of somebody else's choice into this text by a line break in a URL (CVE-2020-5260), an empty host
//! (CVE-2020-11008), and what some readers take for a line break (CVE-2024-52006). So an attribute that comes twice, a carriage return, a
//! byte 0 and a host or protocol that is missing make all of it be refused: nobody can say which of two hosts is meant.

use zeroize::Zeroizing;

/// A line of git's has 65,535 bytes at most; what servers answered (`wwwauth[]`) is some of them.
pub const INPUT_BYTES_MAX: u64 = 1 << 20;

/// What is asked for, or told.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `https`.
    pub protocol: String,
    /// With its port, where one is said.
    pub host: String,
    /// Where on it, if git says so (`credential.useHttpPath`).
    pub path: Option<String>,
    /// Whose, if that is known already.
    pub username: Option<String>,
    /// What was tried.
    pub password: Option<Zeroizing<String>>,
}

impl Attributes {
    /// Reads them. Never says again what stands there: a line may hold a password.
    pub fn read(input: &[u8]) -> Result<Attributes, String> {
        if input.contains(&0) || input.contains(&b'\r') {
            return Err("git's question has a carriage return or a byte 0: no host has one".to_owned());
        }
        let text = std::str::from_utf8(input).map_err(|_| "git's question is no text".to_owned())?;
        let (mut protocol, mut host, mut path, mut username, mut password) = (None, None, None, None, None);
        let mut lines = text.split('\n');
        for line in lines.by_ref().take_while(|line| !line.is_empty()) {
            let (key, value) = line.split_once('=').ok_or("a line of git's question has no `=`")?;
            let place = match key {
                "protocol" => &mut protocol,
                "host" => &mut host,
                "path" => &mut path,
                "username" => &mut username,
                "password" => &mut password,
                // It would be taken apart, and that is git's work.
                "url" => return Err("git's question has a url instead of its parts".to_owned()),
                // Others say more of the same question: wwwauth[], capability[], state[].
                _ => continue,
            };
            if place.replace(Zeroizing::new(value.to_owned())).is_some() {
                return Err(format!("git's question has `{key}` twice: a line break was smuggled into it"));
            }
        }
        if lines.any(|line| !line.is_empty()) {
            return Err("git's question goes on after its end".to_owned());
        }
        let named = |found: Option<Zeroizing<String>>, what: &str| {
            let found = found.filter(|text| !text.is_empty());
            found.map(|text| text.to_string()).ok_or_else(|| format!("git's question names no {what}"))
        };
        Ok(Attributes {
            protocol: named(protocol, "protocol")?,
            host: named(host, "host")?,
            path: path.map(|text| text.to_string()),
            username: username.map(|text| text.to_string()),
            password,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_names_one_host() {
        let read = |text: &str| Attributes::read(text.as_bytes());
        let asked =
            read("capability[]=authtype\nprotocol=https\nhost=git.example\nwwwauth[]=Basic\nwwwauth[]=x\n\n").unwrap();
        assert_eq!((asked.protocol.as_str(), asked.host.as_str()), ("https", "git.example"));
        assert_eq!((asked.path, asked.username), (None, None));
        let told = read("protocol=https\nhost=a\nusername=\npassword=x=y\npath=a/b").unwrap();
        assert_eq!(told.password.as_deref().map(String::as_str), Some("x=y"));
        for (bad, word) in [
            // CVE-2020-5260: https://evil.test?%0ahost=git.example
            ("protocol=https\nhost=evil.test?\nhost=git.example\n", "`host` twice"),
            ("protocol=https\nhost=git.example\nhost=git.example\n", "`host` twice"),
            ("protocol=https\nhost=git.example\nprotocol=https\n", "`protocol` twice"),
            // CVE-2020-11008
            ("protocol=https\nhost=\n", "no host"),
            ("protocol=https\n", "no host"),
            ("host=git.example\n", "no protocol"),
            ("protocol=\nhost=git.example\n", "no protocol"),
            // CVE-2024-52006
            ("protocol=https\nhost=evil.test\rhost=git.example\n", "carriage return"),
            ("protocol=https\nhost=git.example\0.evil.test\n", "byte 0"),
            ("protocol=https\nhost=evil.test\n\nhost=git.example\n", "goes on"),
            ("protocol=https\nhost\n", "no `=`"),
            ("url=https://git.example\n", "url"),
            ("", "no protocol"),
        ] {
            let said = read(bad).unwrap_err();
            assert!(said.contains(word), "{bad:?}: {said}");
        }
        assert!(Attributes::read(b"protocol=https\nhost=\xff\n").is_err());
    }
}
