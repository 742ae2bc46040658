//! Roots reach the stores of a host by their fingerprints, and leave them again without a trace.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use load::free_port;

use crate::house::{House, PATIENCE, PYTHON, command, fail, succeed, text, until};

/// The SHA-256 of the authority's root, as `trust show` prints it for scripts.
fn fingerprint(house: &House) -> String {
    let shown = house.json(&["trust", "show", text(&house.ca("roots.pem"))]);
    shown[0]["sha256"].as_str().expect("a fingerprint").to_owned()
}

/// The binary as a user has it who knows nothing of any server yet.
fn newcomer(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chancery"));
    command.args(arguments).env("HOME", home);
    for name in ["XDG_CONFIG_HOME", "CHANCERY_CONFIG", "CHANCERY_URL", "CHANCERY_CACERT", "CHANCERY_TOKEN"] {
        command.env_remove(name);
    }
    command
}

#[test]
fn a_new_host_gets_the_root_by_its_fingerprint_and_no_other() {
    let house = House::started();
    let (home, url, right) = (house.path("home"), house.https(""), fingerprint(&house));
    std::fs::create_dir(&home).expect("a home");
    let client_toml = home.join(".config/chancery/client.toml");
    let wrong = "00".repeat(32);
    let refused = newcomer(&home, &["trust", "bootstrap", &url, "--fingerprint", &wrong]).output().expect("it runs");
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no root with this fingerprint is served there"));
    assert!(!client_toml.exists());
    assert!(fail(newcomer(&home, &["ssh", "ca"])).contains("no server is named"));
    // As openssl prints it.
    let shown = succeed(command(
        "openssl",
        &["x509", "-noout", "-fingerprint", "-sha256", "-in", text(&house.ca("roots.pem"))],
    ));
    succeed(newcomer(&home, &["trust", "bootstrap", &url, "--fingerprint", shown.trim()]));
    succeed(newcomer(&home, &["ssh", "ca"]));
    let kept = std::fs::read_to_string(&client_toml).expect("client.toml");
    // A token of this server stays; what is remembered of another goes away by force alone.
    std::fs::write(&client_toml, format!("{kept}token_file = \"token\"\n")).expect("a token is remembered");
    succeed(newcomer(&home, &["trust", "bootstrap", &url, "--fingerprint", &right]));
    assert!(std::fs::read_to_string(&client_toml).expect("client.toml").contains("token_file"));
    std::fs::write(&client_toml, "url = \"https://elsewhere.example\"\n").expect("another server");
    assert!(
        fail(newcomer(&home, &["trust", "bootstrap", &url, "--fingerprint", &right]))
            .contains("https://elsewhere.example")
    );
    succeed(newcomer(&home, &["trust", "bootstrap", &url, "--fingerprint", &right, "--force"]));
    assert!(
        fail(newcomer(&home, &["trust", "bootstrap", &url.replace("https", "http"), "--fingerprint", &right]))
            .contains("https://")
    );
}

/// Servers that answer as strangers might.
struct Strangers(Child);

impl Drop for Strangers {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_a_stranger_serves_for_roots_is_bounded_and_refused() {
    let house = House::started();
    let (issued, other) = (house.path("issued"), house.path("other.pem"));
    house.run(&["issue", "tls", "localhost", "--out", text(&issued)]);
    other_root(&other, &house.path("other.key"));
    let modes = ["good", "two", "redirect", "oversized", "truncated", "short", "text"];
    let ports: Vec<(u16, &str)> = modes.iter().map(|mode| (free_port(), *mode)).collect();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/stranger.py");
    let (chain, key) = (issued.join("fullchain.pem"), issued.join("key.pem"));
    let mut serve = command(PYTHON, &[script, text(&chain), text(&key), text(&house.ca("roots.pem")), text(&other)]);
    for (port, mode) in &ports {
        serve.args([&port.to_string(), *mode]);
    }
    let _strangers = Strangers(serve.stdin(Stdio::null()).spawn().expect("strangers"));
    let right = fingerprint(&house);
    for (port, mode) in ports {
        assert!(until(PATIENCE, || std::net::TcpStream::connect(("localhost", port)).is_ok()), "{mode} listens");
        let (url, out) = (format!("https://localhost:{port}"), house.path(mode));
        let bootstrap =
            newcomer(&house.path(""), &["trust", "bootstrap", &url, "--fingerprint", &right, "--out", text(&out)]);
        if ["good", "two"].contains(&mode) {
            succeed(bootstrap);
            let kept = std::fs::read_to_string(&out).expect("the root");
            assert_eq!(kept.matches("BEGIN CERTIFICATE").count(), 1, "{mode}: one root, and the right one: {kept}");
            assert_eq!(house.json(&["trust", "show", text(&out)])[0]["sha256"], right.as_str());
        } else {
            let said = fail(bootstrap);
            let word = match mode {
                "redirect" => "302",
                "oversized" => "longer than roots can be",
                _ => "cannot get",
            };
            assert!(said.contains(word) && !out.exists(), "{mode}: {said}");
        }
    }
    // The right root of a server that cannot prove that it is below it.
    let port = free_port();
    let mut serve = command(
        PYTHON,
        &[script, text(&other), text(&house.path("other.key")), text(&house.ca("roots.pem")), text(&other)],
    );
    let _impostor =
        Strangers(serve.args([&port.to_string(), "good"]).stdin(Stdio::null()).spawn().expect("an impostor"));
    assert!(until(PATIENCE, || std::net::TcpStream::connect(("localhost", port)).is_ok()));
    let url = format!("https://localhost:{port}");
    let said = fail(newcomer(
        &house.path(""),
        &["trust", "bootstrap", &url, "--fingerprint", &right, "--out", text(&house.path("x"))],
    ));
    assert!(said.contains("does not lead to it"), "{said}");
}

/// A root of somebody else's.
fn other_root(certificate: &Path, key: &Path) {
    let kind = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=Other"];
    let mut make = command("openssl", &kind);
    make.arg("-keyout").arg(key).arg("-out").arg(certificate);
    succeed(make);
}

/// A Debian in a folder: what `update-ca-certificates` runs, with the libraries that it needs, and a store that is empty.
fn debian(root: &Path) {
    let programs = [
        "/bin/sh",
        "/usr/sbin/update-ca-certificates",
        "/usr/bin/mktemp",
        "/usr/bin/basename",
        "/bin/sed",
        "/usr/bin/find",
        "/bin/readlink",
        "/bin/ln",
        "/bin/rm",
        "/bin/mv",
        "/usr/bin/wc",
        "/usr/bin/sort",
        "/bin/chmod",
        "/usr/bin/openssl",
        "/usr/bin/test",
        "/bin/cat",
        "/bin/run-parts",
        "/usr/bin/dirname",
    ];
    for program in programs {
        take(root, Path::new(program));
        let libraries = Command::new("ldd").arg(program).output().expect("ldd runs").stdout;
        let libraries = String::from_utf8_lossy(&libraries).into_owned();
        libraries.split_whitespace().filter(|word| word.starts_with('/')).for_each(|word| take(root, Path::new(word)));
    }
    for folder in ["etc/ssl/certs", "usr/share/ca-certificates", "usr/local/share/ca-certificates", "tmp", "dev"] {
        std::fs::create_dir_all(root.join(folder)).expect("a folder");
    }
    // A store that has nothing in it keeps what it had.
    let other = root.join("usr/share/ca-certificates/other.crt");
    other_root(&other, &root.join("tmp/other.key"));
    std::fs::write(root.join("etc/ca-certificates.conf"), "other.crt\n").expect("a file");
    std::fs::write(root.join("dev/null"), "").expect("a file");
}

fn take(root: &Path, file: &Path) {
    let to = root.join(file.strip_prefix("/").expect("absolute"));
    std::fs::create_dir_all(to.parent().expect("a folder")).expect("folders");
    std::fs::copy(file, &to).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

/// Whether openssl finds a way from the certificate to what a bundle has.
fn verifies(bundle: &Path, issued: &Path) -> bool {
    let (chain, leaf) = (issued.join("chain.pem"), issued.join("cert.pem"));
    let mut verify = command("openssl", &["verify", "-no-CAfile", "-no-CApath", "-CAfile", text(bundle), "-untrusted"]);
    crate::house::status(verify.arg(chain).arg(leaf))
}

#[test]
fn a_debian_trusts_the_root_after_install_and_not_after_uninstall() {
    let house = House::started();
    let issued = house.path("issued");
    house.run(&["issue", "tls", "localhost", "--out", text(&issued)]);
    let (image, roots, right) = (house.path("image"), house.ca("roots.pem"), fingerprint(&house));
    debian(&image);
    let (image, roots) = (text(&image).to_owned(), text(&roots).to_owned());
    let bundle = PathBuf::from(&image).join("etc/ssl/certs/ca-certificates.crt");
    let ours = PathBuf::from(&image).join(format!("usr/local/share/ca-certificates/chancery-{right}.crt"));
    let trust = |what: &str, more: &[&str]| house.command(&[&["trust", what, &roots, "--root", &image], more].concat());
    // Nobody is there to compare the fingerprint, which is shown first.
    let said = fail(trust("install", &[]));
    assert!(said.contains("SHA-256") && said.contains("nobody is there to agree") && !ours.exists(), "{said}");
    let said = succeed(trust("install", &["--dry-run"]));
    assert!(said.contains("nothing was done") && said.contains("update-ca-certificates") && !ours.exists(), "{said}");
    assert!(fail(trust("install", &["--fingerprint", &"00".repeat(32)])).contains("no root with this fingerprint"));
    for _ in 0..2 {
        succeed(trust("install", &["--fingerprint", &right]));
        assert!(ours.exists() && verifies(&bundle, &issued));
    }
    // What somebody else has put there stays, and what was ours and is not any more too.
    let theirs = ours.with_file_name("theirs.crt");
    std::fs::copy(&roots, &theirs).expect("a copy");
    succeed(trust("uninstall", &["--yes"]));
    assert!(!ours.exists() && theirs.exists() && verifies(&bundle, &issued));
    std::fs::remove_file(&theirs).expect("theirs");
    succeed(trust("uninstall", &["--yes"]));
    assert!(!verifies(&bundle, &issued), "no link is left");
    std::fs::write(&ours, "something else").expect("a file");
    assert!(fail(trust("uninstall", &["--yes"])).contains("left alone") && ours.exists());
    assert!(fail(trust("install", &["--yes"])).contains("exists already"));
}

#[test]
fn java_and_nss_trust_the_root_after_install_and_not_after_uninstall() {
    let house = House::started();
    let (issued, roots, right) = (house.path("issued"), house.ca("roots.pem"), fingerprint(&house));
    house.run(&["issue", "tls", "localhost", "--out", text(&issued)]);
    let (nss, keystore) = (house.path("nss"), house.path("cacerts"));
    std::fs::create_dir(&nss).expect("a folder");
    let database = format!("sql:{}", nss.display());
    succeed(command("certutil", &["-N", "-d", &database, "--empty-password"]));
    let mut other = command("keytool", &["-genkeypair", "-keyalg", "EC", "-alias", "other", "-dname", "CN=other"]);
    succeed({
        other.args(["-storepass", "changeit", "-keystore", text(&keystore)]);
        other
    });
    let listed = || succeed(command("keytool", &["-list", "-storepass", "changeit", "-keystore", text(&keystore)]));
    let chain = std::fs::read(issued.join("chain.pem")).expect("the chain");
    std::fs::write(house.path("ca.pem"), chain).expect("the chain");
    let found = || {
        let mut vfychain = command("vfychain", &["-d", &database, "-u", "1", "-a", text(&issued.join("cert.pem"))]);
        crate::house::status(vfychain.arg(house.path("ca.pem")))
    };
    let trust = |what: &str, more: &[&str]| {
        let given = ["trust", what, text(&roots), "--java", text(&keystore), "--nss", text(&nss)];
        house.command(&[&given, more].concat())
    };
    assert!(!found() && !listed().contains(&right));
    for _ in 0..2 {
        succeed(trust("install", &["--yes"]));
        assert!(found() && listed().contains(&format!("chancery-{right}")));
    }
    for _ in 0..2 {
        succeed(trust("uninstall", &["--yes"]));
        assert!(!found() && !listed().contains(&right) && listed().contains("other"));
    }
    assert!(
        fail(house.command(&["trust", "install", text(&roots), "--nss", text(&house.path("ca"))]))
            .contains("no NSS database")
    );
    // NSS has one name for a certificate: under another's, no trust is given, and none is said to be taken.
    let (mine, nss) = (["-A", "-d", &database, "-n", "mine it is", "-t", ",,", "-a", "-i", text(&roots)], text(&nss));
    succeed(command("certutil", &mine));
    for what in ["install", "uninstall"] {
        let said = fail(house.command(&["trust", what, text(&roots), "--nss", nss, "--yes"]));
        assert!(said.contains("the root is there as `mine it is`") && !said.contains("done"), "{said}");
        assert!(!found(), "{what}");
    }
    // A CA below the root, and a leaf, are none: whatever they sign would be believed.
    for (file, says) in [("issued/chain.pem", "no root"), ("issued/cert.pem", "no CA's certificate")] {
        assert!(fail(house.command(&["trust", "show", text(&house.path(file))])).contains(says));
    }
}
