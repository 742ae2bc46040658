//! Hosts as a rotation names them: `web1.example.internal web2.example.internal:2222`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use policy::DnsName;

/// A host, and where its sshd listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshHost {
    /// Its name, by which its agent reports and its host key is known.
    pub name: String,
    /// The port of its sshd.
    pub port: u16,
}

/// Words that are no hosts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoHosts {
    /// None, or too many.
    #[error("say 1 to {HOSTS_MAX} hosts, with a space between two")]
    Number,
    /// One that is none.
    #[error("{0:?} is no host: a name or an address of IPv4, with :PORT where its sshd listens elsewhere")]
    Word(String),
    /// The same twice.
    #[error("{0} stands there twice: each host has one agent")]
    Twice(String),
}

/// The hosts of a text; `port` is that of those that say none.
///
/// # Errors
/// [`NoHosts`].
pub fn ssh_hosts(text: &str, port: u16) -> Result<Vec<SshHost>, NoHosts> {
    let hosts: Vec<SshHost> = text.split_whitespace().map(|word| host(word, port)).collect::<Result<_, _>>()?;
    if !(1..=HOSTS_MAX).contains(&hosts.len()) {
        return Err(NoHosts::Number);
    }
    let mut seen = BTreeSet::new();
    match hosts.iter().find(|host| !seen.insert(host.name.clone())) {
        Some(host) => Err(NoHosts::Twice(host.name.clone())),
        None => Ok(hosts),
    }
}

fn host(word: &str, port: u16) -> Result<SshHost, NoHosts> {
    let none = || NoHosts::Word(word.chars().take(WORD_CHARS_MAX).collect());
    let (name, port) = match word.split_once(':') {
        Some((name, port)) => (name, port.parse().ok().filter(|port| *port > 0).ok_or_else(none)?),
        None => (word, port),
    };
    let is_address = name.parse::<IpAddr>().is_ok();
    let is_name = DnsName::parse(name).is_ok_and(|name| !name.is_wildcard());
    match is_address || is_name {
        true => Ok(SshHost { name: name.to_ascii_lowercase(), port }),
        false => Err(none()),
    }
}

/// Each is logged in to, one after the other, within the time of a step.
pub const HOSTS_MAX: usize = 16;
const WORD_CHARS_MAX: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_words_with_ports_and_each_stands_once() {
        let host = |name: &str, port| SshHost { name: name.to_owned(), port };
        let read = ssh_hosts("web1.example.internal  Web2.example.internal:2222 10.0.0.7", 22);
        let wanted =
            [host("web1.example.internal", 22), host("web2.example.internal", 2222), host("10.0.0.7", 22)].to_vec();
        assert_eq!(read, Ok(wanted));
        for word in ["-oProxyCommand=x", "a:0", "a:b", "*.example.internal", "a,b", "a;b", "user@a", "a/b", "a:70000"] {
            assert_eq!(ssh_hosts(word, 22), Err(NoHosts::Word(word.to_owned())));
        }
        assert_eq!(ssh_hosts(" ", 22), Err(NoHosts::Number));
        assert_eq!(ssh_hosts(&"a ".repeat(HOSTS_MAX + 1), 22), Err(NoHosts::Number));
        assert_eq!(ssh_hosts("a A:2222", 22), Err(NoHosts::Twice("a".to_owned())));
    }
}
