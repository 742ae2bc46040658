//! Promise 2: a real sshd lets people in by certificate, without a known_hosts prompt, and nobody else.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::house::{House, PATIENCE, command, fail, status, succeed, text, until};
use crate::sshd::{Sshd, keygen};

#[test]
fn people_log_in_by_certificate_and_others_do_not() {
    let house = House::started();
    let sshd = Sshd::start(&house);
    let key = house.path("id");
    keygen(&key);
    let public = house.path("id.pub");

    // No certificate yet: refused.
    assert!(!status(&mut sshd.login(text(&key))), "a bare key does not open the door");

    house.run(&["ssh", "sign-user", text(&public), "--principal", &sshd.user, "--key-id", "alice@laptop"]);
    let said = succeed(sshd.login(text(&key)));
    assert_eq!(said.trim(), "inside", "{}", sshd.log());
    assert!(sshd.log().contains("alice@laptop"), "sshd logs the key id:\n{}", sshd.log());

    // Another principal.
    house.run(&["ssh", "sign-user", text(&public), "--principal", "somebody-else"]);
    assert!(!status(&mut sshd.login(text(&key))), "another principal's certificate does not open the door");

    // A foreign CA signs the same principal.
    let foreign = house.path("foreign");
    keygen(&foreign);
    succeed(command(
        "ssh-keygen",
        &["-q", "-s", text(&foreign), "-I", "x", "-n", &sshd.user, "-V", "+1h", text(&public)],
    ));
    assert!(!status(&mut sshd.login(text(&key))), "a foreign CA's certificate does not open the door");

    // Nor does it go away without a word: neither for a signature nor for a login.
    let certificate = house.path("id-cert.pub");
    let theirs = std::fs::read(&certificate).expect("a certificate");
    let said = fail(house.command(&["ssh", "sign-user", text(&public), "--principal", &sshd.user]));
    assert!(said.contains("exists already") && said.contains("--force"), "{said}");
    let said = fail(house.command(&["ssh", "login", "--key", text(&key), "--principal", &sshd.user]));
    assert!(said.contains("move the file away") && !said.contains("--force"), "{said}");
    assert_eq!(std::fs::read(&certificate).expect("a certificate"), theirs);

    // An expired certificate: it opens the door while it is valid, and then no more.
    let again = ["ssh", "sign-user", text(&public), "--principal", &sshd.user, "--validity", "60s"];
    house.run(&[&again[..], &["--force"]].concat());
    let said = fail(house.command(&["ssh", "sign-host", text(&public), "--principal", "web1.example.internal"]));
    assert!(said.contains("--force"), "a host's certificate is no later one of a person's: {said}");
    house.run(&again);
    let listing = succeed(command("ssh-keygen", &["-L", "-f", text(&house.path("id-cert.pub"))]));
    assert!(status(&mut sshd.login(text(&key))), "valid for a minute:\n{listing}\n{}", sshd.log());
    let closed = until(std::time::Duration::from_secs(90), || !status(&mut sshd.login(text(&key))));
    assert!(closed, "an expired certificate does not open the door:\n{listing}\n{}", sshd.log());
    assert!(sshd.log().contains("expired"), "sshd says why:\n{}", sshd.log());
}

/// Whoever has a CA's key signs what no register knows of: with its revocation all of that ends, by the list that hosts fetch.
#[test]
fn a_user_ca_that_is_revoked_lets_nobody_in_and_its_successor_does() {
    let house = House::started();
    let sshd = Sshd::start(&house);
    let key = house.path("id");
    keygen(&key);
    let public = house.path("id.pub");
    let sign = ["ssh", "sign-user", text(&public), "--principal", &sshd.user];
    house.run(&sign);
    assert!(sshd.lets_in(&key), "{}", sshd.log());
    house.run(&["ca", "revoke", "ssh-user/1", "--reason", "key-compromise", "--yes"]);
    sshd.fetch_revoked(&house);
    assert!(!sshd.lets_in(&key), "{}", sshd.log());
    assert!(sshd.log().contains("revoked by file"), "sshd says why:\n{}", sshd.log());

    // Until there is a successor there is nothing to trust, which is no empty file.
    let none = house.output(&["ssh", "ca"]);
    let says = String::from_utf8_lossy(&none.stderr);
    assert!(none.status.code() == Some(1) && none.stdout.is_empty() && says.contains("chancery ca rotate"), "{says}");
    house.run(&["ssh", "ca", "--host"]);
    house.run(&["ca", "rotate", "ssh-user"]);
    std::fs::write(sshd.folder.join("user_ca.pub"), house.run(&["ssh", "ca"])).expect("user_ca.pub");
    assert!(!sshd.lets_in(&key), "its certificate is of the one before");
    // What the one before signed is no earlier certificate of its successor.
    assert!(fail(house.command(&sign)).contains("--force"));
    house.run(&[&sign[..], &["--force"]].concat());
    assert!(sshd.lets_in(&key), "{}", sshd.log());
}

#[test]
fn login_makes_a_key_and_has_it_signed() {
    let house = House::started();
    house.run(&["ssh", "login", "--principal", "alice"]);
    let listing = succeed(command("ssh-keygen", &["-L", "-f", text(&house.path(".ssh/chancery_ed25519-cert.pub"))]));
    assert!(listing.contains("user certificate") && listing.contains("alice"), "{listing}");
    let shown = house.json(&["certs", "list", "--kind", "ssh-user"]);
    assert_eq!(shown.as_array().map(Vec::len), Some(1), "SSH certificates stand in the register: {shown}");
}

/// An ssh-agent of its own folder, ended by process id.
struct SshAgent {
    child: Child,
    socket: PathBuf,
}

impl SshAgent {
    fn start(house: &House) -> Self {
        let socket = house.path("agent.sock");
        let mut agent = command("ssh-agent", &["-D", "-a", text(&socket)]);
        let child = agent.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("ssh-agent starts");
        assert!(until(PATIENCE, || socket.exists()), "ssh-agent listens");
        Self { child, socket }
    }

    fn holds(&self) -> Vec<String> {
        let output = command("ssh-add", &["-L"]).env("SSH_AUTH_SOCK", &self.socket).output().expect("ssh-add runs");
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter(|line| line.contains("AAAA"))
            .map(str::to_owned)
            .collect()
    }
}

impl Drop for SshAgent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// sshd hangs up after six keys that it does not take, so a certificate of yesterday must not stay in the agent.
#[test]
fn each_login_takes_the_place_of_the_one_before() {
    let house = House::started();
    let sshd = Sshd::start(&house);
    let agent = SshAgent::start(&house);
    let login = |more: &[&str]| {
        let mut login = house.command(&[&["ssh", "login", "--principal", &sshd.user], more].concat());
        login.env("SSH_AUTH_SOCK", &agent.socket);
        succeed(login)
    };
    // A key of the user's own that has nothing to do with this.
    let own = house.path("own");
    keygen(&own);
    succeed({
        let mut add = command("ssh-add", &["-q", text(&own)]);
        add.env("SSH_AUTH_SOCK", &agent.socket);
        add
    });
    let mut keys = std::collections::BTreeSet::new();
    for _ in 0..8 {
        let said = login(&[]);
        assert!(said.contains("ssh-agent has it"), "{said}");
        keys.insert(std::fs::read(house.path(".ssh/chancery_ed25519")).expect("the key"));
    }
    assert_eq!(keys.len(), 8, "each login has a key of its own");
    let held = agent.holds();
    assert_eq!(held.len(), 3, "the user's own, the key and its certificate: {held:#?}");
    assert_eq!(held.iter().filter(|line| line.contains("-cert-v01@openssh.com")).count(), 1, "{held:#?}");
    let mut ssh = Command::new("ssh");
    let known = format!("UserKnownHostsFile={}", sshd.folder.join("known_hosts").display());
    ssh.args(["-F", "none", "-p", &sshd.port.to_string(), "-o", &known, "-o", "GlobalKnownHostsFile=/dev/null"]);
    ssh.args(["-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes"]).env("SSH_AUTH_SOCK", &agent.socket);
    ssh.arg(format!("{}@localhost", sshd.user)).arg("echo inside");
    assert_eq!(succeed(ssh).trim(), "inside", "{}", sshd.log());

    // A minute: the agent lets go of it by itself.
    login(&["--validity", "60s"]);
    assert_eq!(agent.holds().len(), 3);
    let left = until(std::time::Duration::from_secs(90), || agent.holds().len() == 1);
    assert!(left, "the user's own key alone: {:#?}", agent.holds());

    // A refused login leaves what was there.
    let before = std::fs::read(house.path(".ssh/chancery_ed25519")).expect("the key");
    assert!(!house.output(&["ssh", "login", "--principal", "deploy,root"]).status.success());
    assert_eq!(std::fs::read(house.path(".ssh/chancery_ed25519")).expect("the key"), before);
    let names: Vec<_> =
        std::fs::read_dir(house.path(".ssh")).expect("the folder").map(|e| e.expect("a file").file_name()).collect();
    assert_eq!(names.len(), 3, "no leftovers: {names:?}");
    // A key of one's own is signed and left as it is; without an agent it is said how to use it.
    let mine = std::fs::read(&own).expect("the key");
    let said = house.run(&["ssh", "login", "--principal", &sshd.user, "--key", text(&own)]);
    assert!(said.contains(&format!("ssh -i {} {}@HOST", own.display(), sshd.user)), "{said}");
    assert_eq!(std::fs::read(&own).expect("the key"), mine);
    assert_eq!(succeed(sshd.login(text(&own))).trim(), "inside", "{}", sshd.log());
}

/// People name keys by what they are for: a name or a comment says nothing of who made one.
#[test]
fn a_login_replaces_no_key_that_it_did_not_make_whatever_its_name_and_comment() {
    let house = House::started();
    std::fs::create_dir_all(house.path(".ssh")).expect("a folder");
    let made = |path: &std::path::Path, comment: &str, phrase: &str| {
        let options = ["-q", "-t", "ed25519", "-N", phrase, "-C", comment, "-f", text(path)];
        succeed(command("ssh-keygen", &options));
    };
    let bytes = |path: &std::path::Path| std::fs::read(path).expect("a file");
    let (usual, other, locked) = (house.path(".ssh/chancery_ed25519"), house.path("id"), house.path("locked"));
    made(&usual, "chancery", "");
    made(&locked, "chancery", "secret");
    // A comment that a login made, on a key that it did not.
    house.run(&["ssh", "login", "--principal", "alice", "--key", text(&house.path("first"))]);
    let first = String::from_utf8(bytes(&house.path("first.pub"))).expect("text");
    made(&other, first.split_whitespace().nth(2).expect("a comment"), "");
    for key in [&usual, &other, &locked] {
        let public = key.with_extension("pub");
        let before = (bytes(key), bytes(&public));
        let login = house.output(&["ssh", "login", "--principal", "alice", "--key", text(key)]);
        assert!(login.status.success(), "{}", String::from_utf8_lossy(&login.stderr));
        assert!((bytes(key), bytes(&public)) == before, "{}", key.display());
    }
    // Where none is named, it is said that the one there stays.
    let before = bytes(&usual);
    let login = house.output(&["ssh", "login", "--principal", "alice"]);
    let says = String::from_utf8_lossy(&login.stderr);
    assert!(login.status.success() && says.contains("made by no login"), "{says}");
    assert_eq!(bytes(&usual), before);
    // Of a key that is kept elsewhere there is the public half alone.
    std::fs::remove_file(&other).expect("a key");
    let public = bytes(&house.path("id.pub"));
    house.run(&["ssh", "login", "--principal", "alice", "--key", text(&other)]);
    assert!(bytes(&house.path("id.pub")) == public && !other.exists(), "no key is made under its name");
    // And that of a login makes room for the next.
    house.run(&["ssh", "login", "--principal", "alice", "--key", text(&house.path("first"))]);
    assert_ne!(bytes(&house.path("first.pub")), first.into_bytes());
}

fn adds_a_certificate(message: &[u8]) -> bool {
    [ADD_IDENTITY, ADD_ID_CONSTRAINED].contains(&message[0]) && message.windows(8).any(|part| part == b"cert-v01")
}

/// Stands before an ssh-agent, and refuses what it does not know.
struct Picky {
    socket: PathBuf,
}

/// draft-ietf-sshm-ssh-agent: the requests that put a key in, without and with constraints, and "failure".
const ADD_IDENTITY: u8 = 17;
const ADD_ID_CONSTRAINED: u8 = 25;
const FAILURE: &[u8] = &[5];

impl Picky {
    /// It lives until the test's process ends.
    fn start(house: &House, behind: &SshAgent, name: &str, refuses: fn(&[u8]) -> bool) -> Self {
        let socket = house.path(name);
        let listener = UnixListener::bind(&socket).expect("a socket");
        let behind = behind.socket.clone();
        std::thread::spawn(move || {
            for asked in listener.incoming().map_while(Result::ok) {
                let real = UnixStream::connect(&behind).expect("the agent");
                let _ = Self::speak(asked, real, refuses);
            }
        });
        Self { socket }
    }

    fn speak(mut asked: UnixStream, mut real: UnixStream, refuses: fn(&[u8]) -> bool) -> std::io::Result<()> {
        loop {
            let request = Self::message(&mut asked)?;
            let answer = if refuses(&request) {
                FAILURE.to_vec()
            } else {
                Self::send(&mut real, &request)?;
                Self::message(&mut real)?
            };
            Self::send(&mut asked, &answer)?;
        }
    }

    fn message(from: &mut UnixStream) -> std::io::Result<Vec<u8>> {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let mut message = vec![0; u32::from_be_bytes(length) as usize];
        from.read_exact(&mut message)?;
        Ok(message)
    }

    fn send(to: &mut UnixStream, message: &[u8]) -> std::io::Result<()> {
        to.write_all(&(message.len() as u32).to_be_bytes())?;
        to.write_all(message)
    }
}

/// The certificate is signed and lies beside its key, so the login is good, whatever the agent makes of it; it says what is so.
#[test]
fn a_login_says_what_the_ssh_agent_really_has() {
    let house = House::started();
    let sshd = Sshd::start(&house);
    let agent = SshAgent::start(&house);
    let key = house.path(".ssh/chancery_ed25519");
    let agents = [
        // gpg-agent, gnome-keyring: ssh-add ends with 0, and a bare key is all that is there.
        (Picky::start(&house, &agent, "keys", adds_a_certificate).socket, Some("add failed"), false),
        // Windows' own, several that stand before others.
        (Picky::start(&house, &agent, "timeless", |m| m[0] == ADD_ID_CONSTRAINED).socket, Some("no lifetimes"), true),
        // Locked.
        (Picky::start(&house, &agent, "locked", |_| true).socket, Some("refused"), false),
        // Of a session of yesterday.
        (house.path("gone"), Some("No such file"), false),
        (agent.socket.clone(), None, true),
    ];
    for (socket, notice, has_it) in agents {
        let mut login = house.command(&["ssh", "login", "--principal", &sshd.user]);
        let output = login.env("SSH_AUTH_SOCK", &socket).output().expect("a login");
        let (said, beside) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{said}{beside}");
        assert_eq!(said.contains("the ssh-agent has it"), has_it, "{said}");
        assert_eq!(said.contains(&format!("ssh -i {}", key.display())), !has_it, "{said}");
        assert_eq!(beside.trim().is_empty(), notice.is_none(), "{beside}");
        assert!(notice.is_none_or(|words| beside.contains(words)), "{beside}");
        // A bare key opens nothing, and costs one of the six tries.
        assert_eq!(agent.holds().len(), if has_it { 2 } else { 0 }, "{said}: {:#?}", agent.holds());
        assert_eq!(succeed(sshd.login(text(&key))).trim(), "inside", "{}", sshd.log());
        succeed({
            let mut clear = command("ssh-add", &["-q", "-D"]);
            clear.env("SSH_AUTH_SOCK", &agent.socket);
            clear
        });
    }
}

#[test]
fn a_comma_in_a_principal_is_refused() {
    let house = House::started();
    let key = house.path("id");
    keygen(&key);
    let output = house.output(&["ssh", "sign-user", text(&house.path("id.pub")), "--principal", "deploy,root"]);
    assert!(!output.status.success());
    assert!(!house.path("id-cert.pub").exists());
}
