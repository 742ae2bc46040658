//! Hosts, compared as a whole: what only begins or ends like one that is named is another.

/// The way to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Under TLS.
    Https,
    /// In clear: this host itself alone.
    Http,
}

impl Scheme {
    /// By its name.
    pub fn named(text: &str) -> Option<Scheme> {
        match text {
            "https" => Some(Scheme::Https),
            "http" => Some(Scheme::Http),
            _ => None,
        }
    }

    fn port(self) -> u16 {
        match self {
            Scheme::Https => 443,
            Scheme::Http => 80,
        }
    }
}

/// A host's name or address, in small letters, and its port where that is not the scheme's own.
#[derive(Debug, PartialEq, Eq)]
pub struct Host(String);

impl Host {
    /// Reads `HOST`, `HOST:PORT` or `[ADDRESS]:PORT`; ASCII alone, and nothing is decoded.
    pub fn read(text: &str, scheme: Scheme) -> Result<Host, String> {
        let wrong = || format!("`{}` is no host: HOST or HOST:PORT, and nothing else", policy::shown(text));
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']').ok_or_else(wrong)?;
                address.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
                (format!("[{}]", address.to_ascii_lowercase()), port)
            }
            None => {
                let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
                let is_known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
                if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(is_known) {
                    return Err(wrong());
                }
                (name.to_ascii_lowercase(), port)
            }
        };
        let port = match port.strip_prefix(':') {
            Some(digits) if !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()) => {
                digits.parse::<u16>().map_err(|_| wrong())?
            }
            None if port.is_empty() => scheme.port(),
            Some(_) | None => return Err(wrong()),
        };
        Ok(Host(if port == scheme.port() { name } else { format!("{name}:{port}") }))
    }

    /// Whether what is sent there stays on this host.
    pub fn is_here(&self) -> bool {
        let is = |name: &str| self.0.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'));
        is("localhost") || is("127.0.0.1") || is("[::1]")
    }

    /// As it is compared.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// The longest name that DNS has.
const NAME_BYTES_MAX: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_itself_and_no_other() {
        let read = |text: &str| Host::read(text, Scheme::Https).map(|host| host.0);
        for (text, host) in [
            ("git.example", "git.example"),
            ("GIT.Example:443", "git.example"),
            ("git.example:8443", "git.example:8443"),
            ("[::1]:8443", "[::1]:8443"),
            // Others, each of them: no suffix, no dot, no port is passed over.
            ("git.example.", "git.example."),
            ("evil-git.example", "evil-git.example"),
            ("git.example.evil.test", "git.example.evil.test"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(host), "{text}");
        }
        for bad in [
            "",
            ":443",
            "git.example:",
            "git.example:x",
            "git.example:+443",
            "git.example:65536",
            "a b",
            "a\nb",
            "a\rb",
            "a@b",
            "git.example/evil",
            "git.example?",
            "git.example#",
            "git\u{2024}example",
            "*",
            "a:1:2",
            "[::1",
            "[x]:1",
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
        let here = |text: &str| Host::read(text, Scheme::Http).unwrap().is_here();
        assert!(here("localhost:8080") && here("127.0.0.1") && here("[::1]:80"));
        assert!(!here("localhost.evil.test") && !here("127.0.0.1.evil.test"));
    }
}
