//! Who connects as systemd does, as root, under the name of a unit, is given what is named for it, and everybody else is not.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{CANARY, Scene, mode};
use crate::house::{PATIENCE, PYTHON, command, status, succeed, text, until};

const HELPERS: &str = "[[credential]]\nunit = \"shop.service\"\nname = \"db-password\"\nreference = \"chy://prod/git#password\"\n\
                       [[credential]]\nunit = \"shop.service\"\nname = \"gone\"\nreference = \"chy://prod/none\"\n";
/// systemd's CREDENTIAL_SIZE_MAX: an answer with more is refused by it, and the unit with it.
const MOST: usize = 1 << 20;

/// So many are answered at once (docs/LIMITS.md).
const AT_ONCE: usize = 64;

/// Connects as systemd does: from an abstract address (systemd.exec(5)).
const CLIENT: &str = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.settimeout(60)\nif sys.argv[2]: s.bind('\\0'+sys.argv[2])\n\
s.connect(sys.argv[1])\nd=b''\nwhile True:\n  p=s.recv(65536)\n  if not p: break\n  d+=p\nsys.stdout.buffer.write(d)";

/// The service, ended by process id.
struct Service {
    child: Child,
    socket: PathBuf,
    log: PathBuf,
}

impl Service {
    fn start(scene: &Scene, more: &[&str]) -> Service {
        let (socket, log) = (scene.house.path("credentials.sock"), scene.house.path("credentials.log"));
        let mut serve = scene.with("chancery", &["helper", "credentials", "--listen", text(&socket)]);
        serve.args(more).stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&log).expect("a log"));
        let service = Service { child: serve.spawn().expect("it starts"), socket, log };
        assert!(until(PATIENCE, || service.said().contains("listening")), "{}", service.said());
        service
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn signal(&self, name: &str) {
        assert!(status(command("kill", &[&format!("-{name}"), &self.child.id().to_string()]).stdin(Stdio::null())));
    }

    /// What is answered to this name.
    fn ask(&self, name: &str) -> Vec<u8> {
        ask(command(PYTHON, &["-c", CLIENT, text(&self.socket), name]))
    }
}

fn ask(mut client: Command) -> Vec<u8> {
    let output = client.stdin(Stdio::null()).output().expect("a client");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A refusal is too long to be shown.
fn text_of(answer: &[u8]) -> String {
    if answer.len() > MOST { "a refusal".to_owned() } else { String::from_utf8_lossy(answer).into_owned() }
}

/// An address that no other test has.
fn unit(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{:x}{:08x}/unit/{name}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

#[test]
fn a_unit_is_given_what_is_named_for_it_and_a_refusal_is_more_than_systemd_takes() {
    let scene = Scene::new(HELPERS);
    let mut service = Service::start(&scene, &[]);
    assert_eq!(mode(&service.socket) & 0o777, 0o600);
    let before = scene.accesses();
    assert_eq!(text_of(&service.ask(&unit("shop.service/db-password"))), CANARY, "{}", service.said());
    assert_eq!(scene.accesses(), before + 1);
    for refused in [
        unit("shop.service/other"),
        unit("other.service/db-password"),
        unit("shop.service/gone"),
        unit("shop.service/db-password/more"),
        "xyz/unit/shop.service/db-password".to_owned(),
        "shop.service/db-password".to_owned(),
        String::new(),
    ] {
        let answer = service.ask(&refused);
        assert!(answer.len() > MOST && answer.iter().all(|byte| *byte == 0), "{refused}: {} bytes", answer.len());
    }
    assert_eq!(scene.accesses(), before + 1, "{}", service.said());
    // Another user, even where the file lets him connect.
    fs::set_permissions(&service.socket, fs::Permissions::from_mode(0o666)).expect("its mode");
    fs::set_permissions(scene.house.path(""), fs::Permissions::from_mode(0o755)).expect("its mode");
    let name = unit("shop.service/db-password");
    let stranger =
        ["--reuid=nobody", "--regid=nogroup", "--clear-groups", PYTHON, "-c", CLIENT, text(&service.socket), &name];
    assert_eq!(text_of(&ask(command("setpriv", &stranger))), "a refusal", "{}", service.said());
    assert!(service.said().contains("is not answered"), "{}", service.said());
    assert!(!service.said().contains(CANARY));
    // A mistake changes nothing, and is said; what is right counts from then on.
    scene.name("[[credential]]\nunit = 7\n");
    service.signal("HUP");
    assert!(until(PATIENCE, || service.said().contains("what was read before stays")), "{}", service.said());
    assert_eq!(text_of(&service.ask(&name)), CANARY, "{}", service.said());
    scene.name(&HELPERS.replace("prod/git", "prod/other"));
    service.signal("HUP");
    assert!(until(PATIENCE, || service.said().contains("read again")), "{}", service.said());
    assert_eq!(text_of(&service.ask(&name)), "another-secret");
    // A second one takes nothing from the first, and a killed one leaves nothing in the way.
    let second = scene.asked(&["helper", "credentials", "--listen", text(&service.socket)], "");
    assert!(second.0 == Some(1) && second.2.contains("in use"), "{second:?}");
    service.child.kill().expect("it is killed");
    service.child.wait().expect("it ended");
    assert!(service.socket.exists());
    let again = Service::start(&scene, &[]);
    assert_eq!(text_of(&again.ask(&name)), "another-secret");
    again.signal("TERM");
    assert!(until(PATIENCE, || !again.socket.exists()), "its socket goes with it");
}

#[test]
fn units_start_from_the_cache_while_the_server_is_away() {
    let mut scene = Scene::new(HELPERS);
    let (cache, keys) = (scene.house.path("cache"), tempfile::tempdir_in("/dev/shm").expect("a folder in memory"));
    let service = Service::start(&scene, &["--cache", text(&cache), "--cache-keys", text(keys.path())]);
    let name = unit("shop.service/db-password");
    assert_eq!(text_of(&service.ask(&name)), CANARY, "{}", service.said());
    scene.house.stop();
    assert_eq!(text_of(&service.ask(&name)), CANARY, "{}", service.said());
    assert!(service.said().contains("from the cache"), "{}", service.said());
    assert!(service.ask(&unit("shop.service/gone")).len() > MOST, "what was not kept is not had");
}

#[test]
fn silent_connections_do_not_keep_units_from_starting() {
    let scene = Scene::new(HELPERS);
    let service = Service::start(&scene, &[]);
    // Who asks for what is refused, and reads none of it, holds his connection for as long as he may: 20 s, and a unit waits for 90.
    let silent: Vec<_> = (0..AT_ONCE).map(|_| hold(&service.socket)).collect();
    assert_eq!(text_of(&service.ask(&unit("shop.service/db-password"))), CANARY);
    drop(silent);
}

fn hold(socket: &Path) -> UnixStream {
    let mut stream = UnixStream::connect(socket).expect("it connects");
    let mut byte = [0];
    stream.read_exact(&mut byte).expect("it is answered");
    stream
}

/// systemd itself, as a manager of this user with `/run` of its own; ended by process id.
struct Manager(Child);

impl Manager {
    /// Starts a target, of units in a folder.
    fn start(units: &Path, runtime: &Path, target: &str) -> Manager {
        // It starts nothing where the system was not booted by it, which it reads from this folder; its mounts are seen in here alone.
        let run = "mount --make-rshared / && mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && exec /lib/systemd/systemd --user --unit=$0";
        let mut systemd = command("unshare", &["--mount", "--propagation", "private", "sh", "-c", run, target]);
        systemd.env_clear().env("PATH", std::env::var("PATH").unwrap_or_default()).env("HOME", runtime);
        systemd.env("XDG_RUNTIME_DIR", runtime).env("SYSTEMD_UNIT_PATH", units).env("SYSTEMD_LOG_TARGET", "console");
        let log = fs::File::create(runtime.join("systemd.log")).expect("a log");
        systemd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Manager(systemd.spawn().expect("systemd starts"))
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn systemd_starts_a_unit_with_its_credential_and_none_without() {
    let scene = Scene::new(HELPERS);
    let service = Service::start(&scene, &[]);
    let (units, runtime) = (scene.house.path("units"), scene.house.path("runtime"));
    for folder in [&units, &runtime] {
        fs::create_dir(folder).expect("a folder");
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).expect("its mode");
    }
    let unit = |name: &str, more: &str, run: &str| {
        let text = format!("[Unit]\nDefaultDependencies=no\n{more}\n[Service]\nType=oneshot\n{run}\n");
        fs::write(units.join(name), text).expect("a unit");
    };
    let (socket, got, started, failed) =
        (service.socket.display(), runtime.join("got"), runtime.join("started"), runtime.join("failed"));
    let cat =
        format!("ExecStart=sh -c 'cat $CREDENTIALS_DIRECTORY/db-password >{0}.new; mv {0}.new {0}'", got.display());
    unit("shop.service", "", &format!("LoadCredential=db-password:{socket}\n{cat}"));
    let touch = format!("LoadCredential=gone:{socket}\nExecStart=touch {}", started.display());
    unit("other.service", "OnFailure=failed.service", &touch);
    unit("failed.service", "", &format!("ExecStart=touch {}", failed.display()));
    fs::write(units.join("all.target"), "[Unit]\nWants=shop.service other.service\n").expect("a target");
    let _manager = Manager::start(&units, &runtime, "all.target");
    let log = || fs::read_to_string(runtime.join("systemd.log")).unwrap_or_default();
    assert!(until(PATIENCE, || got.exists() && failed.exists()), "{}\n{}", log(), service.said());
    assert_eq!(fs::read_to_string(got).expect("what it was given"), CANARY);
    assert!(!started.exists(), "a unit without its credential is not started");
    assert!(service.said().contains("refused: other.service gone"), "{}", service.said());
}

/// The unit that is shipped is one that systemd takes.
#[test]
fn the_shipped_unit_is_one() {
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/systemd/chancery-credentials.service");
    let text = fs::read_to_string(unit).expect("the unit");
    // Only where the program lies is another place here.
    let here = tempfile::tempdir().expect("a folder");
    let copy = here.path().join("chancery-credentials.service");
    fs::write(&copy, text.replace("/usr/bin/chancery ", &format!("{} ", super::BINARY))).expect("a copy");
    succeed(command("systemd-analyze", &["verify", "--man=no", copy.to_str().expect("a path")]));
}
