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

use super::client::{in_turn, is_in, ran, within};
use super::hosts::SshHost;
use super::keeper::{Asked, Keeper};
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
    /// Where may be dialled.
    pub allowed: &'a Allowed,
}

/// What a host did.
enum Said {
    In,
    Out,
    /// It was not reached, or not believed; in words.
    Away(String),
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
        let folder = Folder::make()?;
        let known = folder.0.join("known_hosts");
        let lines = self.trusted.lines(host);
        std::fs::write(&known, lines).map_err(|error| format!("no file for ssh: {error}"))?;
        let socket = folder.0.join("agent");
        let keeper = Keeper::begin(&socket, private)?;
        let log = folder.0.join("log");
        let login = |address: SocketAddr, share: Duration| {
            let ssh = command([&known, &socket, &log], (self.trusted.alias(host), address), user);
            Self::login_at((user, address), share, ssh, &log, &keeper)
        };
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

    /// An error: no signature was asked for there, so nothing is known of what the host does with the key.
    async fn login_at(
        (user, address): (&str, SocketAddr),
        share: Duration,
        ssh: Command,
        log: &Path,
        keeper: &Keeper,
    ) -> Result<Said, String> {
        std::fs::write(log, []).map_err(|error| format!("no file for ssh: {error}"))?;
        keeper.forget();
        let ran = within(share, ran(ssh, log, address)).await;
        let asked = keeper.asked();
        let is_open = matches!(asked, Asked::Nothing | Asked::Key);
        match ran {
            Ok((code, said)) => match judged(code, &said, (user, address), asked) {
                Said::Away(why) if is_open && !is_in(&said, address) => Err(why),
                said => Ok(said),
            },
            Err(why) if is_open => Err(why),
            Err(why) => Ok(Said::Away(why)),
        }
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

/// Of a host whose key ssh does not believe, what is wrong with it; ssh's own last line says that and no more.
fn of_its_key(log: &str) -> &'static str {
    let has = |text: &str| log.lines().any(|line| line.contains(text));
    match () {
        () if has("REMOTE HOST IDENTIFICATION HAS CHANGED") => {
            "its host key is another than the lines of --roots say: it was changed, or another host answers there"
        }
        () if has("Certificate invalid") => {
            "its host certificate ended, or names another host (`chancery ssh sign-host` makes one)"
        }
        () => {
            "its host key is not known: it shows no host certificate of this house (`chancery ssh sign-host`), and no line of --roots has it"
        }
    }
}

/// A name as ssh writes it into its log: vis(3), where a backslash is two and what is not ASCII is octal. A domain's accounts have one.
fn as_logged(name: &str) -> String {
    let each = name.bytes().map(|byte| match byte {
        b'\\' => "\\\\".to_owned(),
        b' '..=b'~' => char::from(byte).to_string(),
        other => format!("\\{other:03o}"),
    });
    each.collect()
}

/// ssh(1): "ssh exits with the exit status of the remote command or with 255 if an error occurred."
fn judged(code: Option<i32>, log: &str, (user, address): (&str, SocketAddr), asked: Asked) -> Said {
    if is_in(log, address) {
        return match asked {
            Asked::Signed => Said::In,
            // Whom it lets in without a key it lets in with any: nothing is known of this one.
            Asked::Nothing | Asked::Key | Asked::InVain => Said::Away("it lets in without a key".to_owned()),
        };
    }
    let last = log.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("ssh failed");
    // As ssh itself ends where no key was taken: a host's own words stand behind others.
    let is_denied = last.starts_with(&format!("{}@{}: Permission denied (", as_logged(user), address.ip()));
    match (code, asked) {
        (Some(255), _) if last == UNBELIEVED => Said::Away(of_its_key(log).to_owned()),
        (Some(255), _) if !is_denied => {
            Said::Away(last.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS_CHARS_MAX).collect())
        }
        // sshd asks for a signature of a key that it takes: of one of a kind that is not signed with here, that is all there is to see.
        (Some(255), Asked::InVain) => Said::In,
        (Some(255), Asked::Key) => Said::Out,
        // The words of one who was not believed: a name of an algorithm may have a line of its own.
        (Some(255), Asked::Nothing) => Said::Away("it was not shown the key".to_owned()),
        (Some(255), Asked::Signed) => Said::Away("it takes the key, and denies the login all the same".to_owned()),
        (Some(_), _) => Said::Away("ssh ended without a login".to_owned()),
        (None, _) => Said::Away("ssh was ended".to_owned()),
    }
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

fn command([known, socket, log]: [&Path; 3], (alias, address): (String, SocketAddr), user: &str) -> Command {
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", "none", "-N", "-T", "-a", "-x", "-l", user, "-p", &address.port().to_string()]);
    let paths = [("UserKnownHostsFile", known), ("IdentityAgent", socket)];
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
const WORDS_CHARS_MAX: usize = 120;
/// As ssh ends where it does not believe a host's key.
const UNBELIEVED: &str = "Host key verification failed.";
/// Of a host that no operator listed: what it may be, and of which hosts more is told.
const UNTOLD: &str =
    "no login came about: no answer, or its host key is not known (of `targets` of [rotation] it is told which)";

#[cfg(test)]
mod tests {
    use super::*;

    fn words(said: Said) -> &'static str {
        match said {
            Said::In => "in",
            Said::Out => "out",
            Said::Away(_) => "away",
        }
    }

    #[test]
    fn a_name_that_ssh_escapes_in_its_log_is_refused_as_any_other() {
        let address = "10.0.0.7:22".parse().unwrap();
        for (user, logged) in [("DOM\\alice", "DOM\\\\alice"), ("\u{e4}lice", "\\303\\244lice"), ("deploy", "deploy")] {
            let log = format!("{logged}@10.0.0.7: Permission denied (publickey).\n");
            let said = judged(Some(255), &log, (user, address), Asked::Key);
            assert!(matches!(said, Said::Out), "{user}");
        }
    }

    #[test]
    fn a_login_is_in_or_out_and_whatever_is_neither_is_away() {
        let denied = "root@10.0.0.7: Permission denied (publickey).\r\n";
        let told = "Received disconnect from 10.0.0.7 port 22:2: root@10.0.0.7: Permission denied (publickey).";
        let at = ("root", "10.0.0.7:22".parse().unwrap());
        let inside = "Authenticated to 10.0.0.7 ([10.0.0.7]:22) using \"publickey\".\r\n";
        let partly = "Authenticated using \"publickey\" with partial success.\r\n";
        for (code, log, asked, is) in [
            (None, inside, Asked::Signed, "in"),
            // Whatever comes behind it.
            (Some(255), &format!("{inside}Connection to 10.0.0.7 closed by remote host.\r\n"), Asked::Signed, "in"),
            (None, inside, Asked::Nothing, "away"),
            (None, inside, Asked::Key, "away"),
            (None, inside, Asked::InVain, "away"),
            (None, "Authenticated to 10.0.0.70 ([10.0.0.70]:22) using \"publickey\".", Asked::Signed, "away"),
            // One more proof is asked for, and not given.
            (Some(255), &format!("{partly}{denied}"), Asked::Signed, "away"),
            (Some(0), "", Asked::Signed, "away"),
            (Some(1), "", Asked::Signed, "away"),
            (Some(0), "", Asked::Nothing, "away"),
            (Some(255), denied, Asked::Key, "out"),
            (
                Some(255),
                &format!("Unable to negotiate with 10.0.0.7 port 22. Their offer: x\n{denied}"),
                Asked::Nothing,
                "away",
            ),
            (Some(255), denied, Asked::InVain, "in"),
            (Some(255), denied, Asked::Signed, "away"),
            (Some(255), told, Asked::Key, "away"),
            (Some(255), &format!("{denied}Connection closed"), Asked::Key, "away"),
            (Some(255), "other@10.0.0.7: Permission denied (publickey).", Asked::Key, "away"),
            (Some(255), "ssh: connect to host x port 22: Connection refused", Asked::Nothing, "away"),
            (Some(255), "Host key verification failed.", Asked::Nothing, "away"),
            (Some(255), "", Asked::Signed, "away"),
            (None, "", Asked::Signed, "away"),
        ] {
            assert_eq!(words(judged(code, log, at, asked)), is, "{log}");
        }
    }

    #[test]
    fn a_host_key_that_is_not_believed_is_named_with_what_helps() {
        let at = ("root", "10.0.0.7:22".parse().unwrap());
        let said = |log: &str| match judged(Some(255), log, at, Asked::Nothing) {
            Said::Away(why) => why,
            Said::In | Said::Out => String::new(),
        };
        let unknown = "No ED25519 host key is known for web1 and you have requested strict checking.\r\n";
        let changed = "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n";
        let ended = "Certificate invalid: expired\r\n";
        for (log, words) in [
            (unknown.to_owned(), "its host key is not known"),
            (changed.to_owned(), "its host key is another"),
            (format!("{ended}{unknown}"), "its host certificate ended"),
        ] {
            let why = said(&format!("{log}Host key verification failed.\r\n"));
            assert!(why.starts_with(words), "{why}");
        }
        let refused = "ssh: connect to host x port 22: Connection refused";
        assert_eq!(said(refused), refused);
    }

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
        let words = command([file, file, file], ("web1".to_owned(), address), "root");
        let words: Vec<_> = words.as_std().get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        assert!(
            words.contains(&"-N".to_owned()) && words.ends_with(&["--".to_owned(), "10.0.0.7".to_owned()]),
            "{words:?}"
        );
    }
}
