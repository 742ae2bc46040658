//! A login by OpenSSH's own client, with a host key that was known before, and a key that ssh never holds ([`super::keeper`]).
//!
//! The name is looked up here and the addresses held against what may be dialled, so that ssh goes nowhere else. It runs with an environment
//! of three variables and no configuration, and asks the host for no session: no command runs there, nor one that the key's line forces. As
//! soon as it wrote that it is in, it is ended. What is read of it is its own log: whatever a host shows goes nowhere.

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use policy::Secret;
use secrets::rotation::Outcome;
use tokio::process::Command;
use tokio::time::Instant;

use super::client::{in_turn, ran, within};
use super::hosts::SshHost;
use super::keeper::Keeper;
use super::verdict::{Said, shown};
use crate::allowed::Allowed;

/// By what host keys are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trusted {
    /// Certificates of these CAs, a line of OpenSSH each.
    Authorities(String),
    /// Lines of known_hosts.
    Known(String),
}

/// Logins at hosts.
#[derive(Debug)]
pub struct SshLogin<'a> {
    /// At which.
    pub hosts: &'a [SshHost],
    /// By what their keys are known.
    pub trusted: &'a Trusted,
    /// What is revoked, as a key revocation list of OpenSSH (PROTOCOL.krl): a host that shows any of it is not believed, however it is known.
    pub revoked: &'a [u8],
    /// Where may be dialled.
    pub allowed: &'a Allowed,
}

impl SshLogin<'_> {
    /// Logs in at each. All let in: done. None does: refused. Anything else is away, as neither is so: it says which host does what, one
    /// behind the other with `; ` between two.
    pub async fn at_all(&self, user: &str, private: &Secret<String>) -> Outcome {
        let mut each = Vec::new();
        for host in self.hosts {
            let said = match self.at_one(host, user, private).await {
                // As of every target, no more is told of one that no operator listed.
                Said::Away(_) if !self.allowed.lists(&host.name, host.port) => Said::Away(UNTOLD.to_owned()),
                said => said,
            };
            each.push((host.name.as_str(), said));
        }
        summed(&each)
    }

    async fn at_one(&self, host: &SshHost, user: &str, private: &Secret<String>) -> Said {
        self.try_one(host, user, private).await.unwrap_or_else(Said::Away)
    }

    async fn try_one(&self, host: &SshHost, user: &str, private: &Secret<String>) -> Result<Said, String> {
        let until = Instant::now() + LOGIN_MAX;
        let addresses = within(LOGIN_MAX, self.addresses(host)).await?;
        let login = |address: SocketAddr, share: Duration| self.login_at((host, address), share, user, private);
        in_turn(&addresses, until, login).await
    }

    /// Those that may be dialled, in the order in which they are found.
    async fn addresses(&self, host: &SshHost) -> Result<Vec<SocketAddr>, String> {
        let found = tokio::net::lookup_host((host.name.as_str(), host.port)).await;
        let found = found.map_err(|error| format!("its name is not known: {error}"))?;
        let may = |address: &SocketAddr| self.allowed.may(&host.name, address.ip(), host.port);
        let dialled: Vec<SocketAddr> = found.filter(may).take(ADDRESSES_MAX).collect();
        match dialled.is_empty() {
            true => Err("its address is none that is dialled".to_owned()),
            false => Ok(dialled),
        }
    }

    /// With a folder and a keeper of its own: what an ssh that was ended for its time still writes or asks is of no other address.
    ///
    /// An error: no signature was asked for there, so nothing is known of what the host does with the key.
    async fn login_at(
        &self,
        (host, address): (&SshHost, SocketAddr),
        share: Duration,
        user: &str,
        private: &Secret<String>,
    ) -> Result<Said, String> {
        let folder = Folder::make()?;
        let [known, revoked, socket, log] = ["known_hosts", "revoked", "agent", "log"].map(|name| folder.0.join(name));
        let lines = self.trusted.lines(host);
        for (path, bytes) in [(&known, lines.as_bytes()), (&revoked, self.revoked), (&log, b"".as_slice())] {
            std::fs::write(path, bytes).map_err(|error| format!("no file for ssh: {error}"))?;
        }
        let keeper = Keeper::begin(&socket, private)?;
        let ssh = command([&known, &revoked, &socket, &log], (self.trusted.alias(host), address), user);
        let ran = within(share, ran(ssh, &log, address)).await;
        shown(ran, (user, address), keeper.asked())
    }
}

/// What came of all of them.
fn summed(each: &[(&str, Said)]) -> Outcome {
    let all = |is: fn(&Said) -> bool| !each.is_empty() && each.iter().all(|(_, said)| is(said));
    if all(|said| matches!(said, Said::In)) {
        return Outcome::Done;
    }
    let names: Vec<&str> = each.iter().map(|(host, _)| *host).collect();
    if all(|said| matches!(said, Said::Out)) {
        return Outcome::Refused(format!("not let in at {}", names.join(", ")));
    }
    let words = each.iter().map(|(host, said)| match said {
        Said::In => format!("{host}: let in"),
        Said::Out => format!("{host}: not let in"),
        Said::Away(why) => format!("{host}: {}", why.replace(';', ",")),
    });
    Outcome::Away(words.collect::<Vec<_>>().join("; "))
}

impl Trusted {
    fn lines(&self, host: &SshHost) -> String {
        match self {
            Trusted::Known(lines) => lines.clone(),
            Trusted::Authorities(keys) => {
                let lines = keys.lines().map(|key| format!("@cert-authority {} {key}\n", host.name));
                lines.collect()
            }
        }
    }

    /// By which name the host's key is looked up, and its certificate held against.
    fn alias(&self, host: &SshHost) -> String {
        match self {
            Trusted::Known(_) if host.port != SSH_PORT => format!("[{}]:{}", host.name, host.port),
            Trusted::Known(_) | Trusted::Authorities(_) => host.name.clone(),
        }
    }
}

fn command([known, revoked, socket, log]: [&Path; 4], (alias, address): (String, SocketAddr), user: &str) -> Command {
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", "none", "-N", "-T", "-a", "-x", "-l", user, "-p", &address.port().to_string()]);
    let paths = [("UserKnownHostsFile", known), ("RevokedHostKeys", revoked), ("IdentityAgent", socket)];
    for (name, path) in paths {
        ssh.arg("-o").arg(format!("{name}={}", path.display()));
    }
    ssh.arg("-E").arg(log).arg("-o").arg(format!("HostKeyAlias={alias}"));
    for option in OPTIONS {
        ssh.args(["-o", option]);
    }
    ssh.args(["--", &address.ip().to_string()]);
    ssh.env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("LANG", "C.UTF-8")
        .env("HOME", "/nonexistent")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    ssh
}

/// A folder that nobody else enters; it ends with the login.
struct Folder(PathBuf);

impl Folder {
    fn make() -> Result<Folder, String> {
        let failed = |error: String| format!("no folder for ssh: {error}");
        let mut bytes = [0; 16];
        let random = ring::rand::SystemRandom::new();
        ring::rand::SecureRandom::fill(&random, &mut bytes).map_err(|_| failed("no random bytes".to_owned()))?;
        let path = std::env::temp_dir().join(format!("chancery-ssh-{}", hex::encode(bytes)));
        std::fs::DirBuilder::new().mode(0o700).create(&path).map_err(|error| failed(error.to_string()))?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that stays holds host keys' names and a socket that nobody answers.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const OPTIONS: [&str; 14] = [
    "LogLevel=VERBOSE",
    "GlobalKnownHostsFile=/dev/null",
    "StrictHostKeyChecking=yes",
    "UpdateHostKeys=no",
    "BatchMode=yes",
    "IdentityFile=none",
    "IdentitiesOnly=no",
    "PreferredAuthentications=publickey",
    "PubkeyAuthentication=yes",
    "ControlMaster=no",
    "ControlPath=none",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "ConnectTimeout=5",
];
const SSH_PORT: u16 = 22;
/// Of a name; each has its share of the time.
const ADDRESSES_MAX: usize = 4;
/// Sixteen hosts that do not answer are less than a step may take.
const LOGIN_MAX: Duration = Duration::from_secs(7);
/// Of a host that no operator listed: what it may be, and of which hosts more is told.
const UNTOLD: &str =
    "no login came about: no answer, or its host key is not known (of `targets` of [rotation] it is told which)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_says_for_itself_what_it_does() {
        assert_eq!(summed(&[("a", Said::In), ("b", Said::In)]), Outcome::Done);
        assert_eq!(summed(&[("a", Said::Out), ("b", Said::Out)]), Outcome::Refused("not let in at a, b".to_owned()));
        let mixed = [("a", Said::In), ("b", Said::Out), ("c", Said::Away("x; y".to_owned()))];
        assert_eq!(summed(&mixed), Outcome::Away("a: let in; b: not let in; c: x, y".to_owned()));
        assert_eq!(summed(&[]), Outcome::Away(String::new()));
    }

    #[test]
    fn a_host_is_known_by_the_name_that_stands_where_its_key_does() {
        let host = |port| SshHost { name: "web1".to_owned(), port };
        let ca = Trusted::Authorities("ssh-ed25519 AAAA one\nssh-ed25519 BBBB two".to_owned());
        let lines = "@cert-authority web1 ssh-ed25519 AAAA one\n@cert-authority web1 ssh-ed25519 BBBB two\n";
        assert_eq!((ca.lines(&host(2222)).as_str(), ca.alias(&host(2222)).as_str()), (lines, "web1"));
        let known = Trusted::Known("[web1]:2222 ssh-ed25519 AAAA\n".to_owned());
        assert_eq!((known.alias(&host(2222)).as_str(), known.alias(&host(22)).as_str()), ("[web1]:2222", "web1"));
    }

    #[test]
    fn nothing_is_asked_of_the_host_but_to_let_in() {
        let (file, address) = (Path::new("/x"), "10.0.0.7:22".parse().unwrap());
        let words = command([file, Path::new("/krl"), file, file], ("web1".to_owned(), address), "root");
        let words: Vec<_> = words.as_std().get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        assert!(
            words.contains(&"-N".to_owned()) && words.ends_with(&["--".to_owned(), "10.0.0.7".to_owned()]),
            "{words:?}"
        );
        // What this house revoked is believed of no host.
        assert!(words.contains(&"RevokedHostKeys=/krl".to_owned()), "{words:?}");
    }
}
