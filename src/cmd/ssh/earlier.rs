//! Earlier certificates: what a new one takes the place of without `--force`. One for another use, or by another CA, is somebody's still:
//! `sign-user` typed for `sign-host` would leave a host without its certificate, and say that it went well.

use ssh_key::public::KeyData;
use ssh_key::{Certificate, PublicKey};

use crate::client::Client;
use crate::failure::Failure;

/// What a certificate is for (OpenSSH's PROTOCOL.certkeys, the field `type`).
#[derive(Clone, Copy)]
pub(in crate::cmd) enum Kind {
    /// A person.
    User,
    /// A host.
    Host,
}

impl Kind {
    /// Its word in URLs and in names of CAs.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Kind::User => "user",
            Kind::Host => "host",
        }
    }

    /// Where the keys are of the CAs that sign such certificates; public.
    pub(super) fn authorities(self) -> &'static str {
        match self {
            Kind::User => "/ssh/user_ca.pub",
            Kind::Host => "/ssh/host_ca.pub",
        }
    }

    fn is_of(self, certificate: &Certificate) -> bool {
        match self {
            Kind::User => certificate.cert_type().is_user(),
            Kind::Host => certificate.cert_type().is_host(),
        }
    }
}

/// What tells an earlier certificate: its use, and the CAs that are trusted now.
pub(in crate::cmd) struct Earlier {
    kind: Kind,
    authorities: Vec<KeyData>,
}

impl Earlier {
    /// Asks the server for its CAs. One that was revoked or retired is none of them: what it signed goes away by `--force`.
    pub(in crate::cmd) async fn of(kind: Kind, client: &Client) -> Result<Self, Failure> {
        Ok(Self::by(kind, &client.get_text(kind.authorities()).await?))
    }

    /// By the CAs of these lines.
    fn by(kind: Kind, authorities: &str) -> Self {
        Self { kind, authorities: authorities.lines().filter_map(key_of).collect() }
    }

    /// Whether a file holds such a certificate of this public key.
    pub(in crate::cmd) fn is_of(&self, key: &str, there: &[u8]) -> bool {
        self.is_ours(there) && certifies(self.kind, key, there)
    }

    /// Whether a file holds such a certificate, of whatever key.
    pub(super) fn is_ours(&self, there: &[u8]) -> bool {
        let certificate = certificate_in(there).filter(|certificate| self.kind.is_of(certificate));
        certificate.is_some_and(|certificate| self.authorities.contains(certificate.signature_key()))
    }
}

/// Whether a file holds a certificate of this public key for this use, whoever signed it.
pub(super) fn certifies(kind: Kind, key: &str, there: &[u8]) -> bool {
    let both = certificate_in(there).filter(|certificate| kind.is_of(certificate)).zip(key_of(key));
    both.is_some_and(|(certificate, key)| *certificate.public_key() == key)
}

fn certificate_in(there: &[u8]) -> Option<Certificate> {
    Certificate::from_openssh(std::str::from_utf8(there).ok()?).ok()
}

fn key_of(line: &str) -> Option<KeyData> {
    PublicKey::from_openssh(line.trim()).ok().map(|key| key.key_data().clone())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    fn keygen(arguments: &[&str]) {
        let done = Command::new("ssh-keygen").arg("-q").args(arguments).output().expect("ssh-keygen runs");
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// A key, by its path and its public line.
    fn key(folder: &Path, name: &str, kind: &str) -> (String, String) {
        let path = folder.join(name).to_str().expect("a name").to_owned();
        keygen(&["-t", kind, "-N", "", "-C", "me@home", "-f", &path]);
        let line = std::fs::read_to_string(format!("{path}.pub")).unwrap();
        (path, line)
    }

    #[test]
    fn an_earlier_certificate_is_of_the_same_key_use_and_ca() {
        let dir = tempfile::tempdir().unwrap();
        let (ca, ca_line) = key(dir.path(), "ca", "ed25519");
        let (next, next_line) = key(dir.path(), "next", "ecdsa");
        let (other, _) = key(dir.path(), "other", "ed25519");
        let trusted = format!("{ca_line}{next_line}");
        let (users, hosts) = (Earlier::by(Kind::User, &trusted), Earlier::by(Kind::Host, &trusted));
        let (_, strange) = key(dir.path(), "strange", "ed25519");
        for kind in ["ed25519", "ecdsa", "rsa"] {
            let (path, line) = key(dir.path(), kind, kind);
            let signed = |ca: &String, more: &[&str]| {
                let public = format!("{path}.pub");
                let whose = ["-s", ca, "-I", "me", "-n", "alice", "-V", "+52w"];
                keygen(&[&whose[..], more, &[public.as_str()]].concat());
                std::fs::read(format!("{path}-cert.pub")).unwrap()
            };
            for ours in [&ca, &next] {
                let (user, host) = (signed(ours, &[]), signed(ours, &["-h"]));
                assert!(users.is_of(&line, &user) && hosts.is_of(&line, &host), "{kind}");
                assert!(!users.is_of(&line, &host) && !hosts.is_of(&line, &user), "{kind}: for another use");
                assert!(!users.is_of(&strange, &user) && users.is_ours(&user), "{kind}: of another key");
            }
            let foreign = signed(&other, &[]);
            assert!(!users.is_of(&line, &foreign) && !users.is_ours(&foreign), "{kind}: by another CA");
            assert!(certifies(Kind::User, &line, &foreign) && !certifies(Kind::Host, &line, &foreign), "{kind}");
            for none in [&b""[..], b"\xff", line.as_bytes()] {
                assert!(!users.is_of(&line, none) && !certifies(Kind::User, &line, none), "{kind}: no certificate");
            }
        }
    }
}
