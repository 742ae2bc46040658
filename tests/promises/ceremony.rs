//! An offline root: made at a ceremony, from the script to the first leaf, and what no ceremony does.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::house::{House, SOFTHSM, command, succeed, text};

const PIN: &str = "573920";
const OPERATORS: [&str; 3] = ["Ada L.", "Grace H.", "Alan T."];

/// A machine without a network: a token and a folder of its own.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path();
        std::fs::create_dir(root.join("tokens")).expect("a token folder");
        let tokens = root.join("tokens").display().to_string();
        std::fs::write(
            root.join("softhsm2.conf"),
            format!("directories.tokendir = {tokens}\nobjectstore.backend = file\n"),
        )
        .expect("softhsm2.conf");
        for (name, pin) in [("pin", PIN), ("so-pin", "90817263")] {
            use std::os::unix::fs::PermissionsExt;
            std::fs::write(root.join(name), pin).expect("a PIN");
            std::fs::set_permissions(root.join(name), std::fs::Permissions::from_mode(0o600)).expect("mode");
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn root(&self, name: &str) -> PathBuf {
        self.path("root").join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chancery"));
        command.env("SOFTHSM2_CONF", self.path("softhsm2.conf")).env("HOME", self.folder.path()).args(arguments);
        for variable in ["CHANCERY_CONFIG", "CHANCERY_URL", "CHANCERY_TOKEN", "CHANCERY_CACERT", "CHANCERY_PIN"] {
            command.env_remove(variable);
        }
        command
    }

    /// A file of answers.
    fn answers(&self, lines: &[&str]) -> PathBuf {
        let path = self.path("answers");
        std::fs::write(&path, lines.join("\n")).expect("answers");
        path
    }

    /// `chancery ceremony root` with these people and answers.
    fn make_root(&self, http_base: &str, people: &[&str], answers: &[&str]) -> Output {
        let answers = self.answers(answers);
        let mut root = self.command(&["ceremony", "root"]);
        root.arg(self.path("root")).args(["--module", SOFTHSM, "--token-label", "root", "--organization", "Example"]);
        root.arg("--pin-file").arg(self.path("pin")).arg("--create-token").arg(self.path("so-pin"));
        root.args(["--http-base", http_base]).args(people).arg("--answers").arg(answers);
        root.output().expect("the binary runs")
    }

    /// Another ceremony of that root.
    fn ceremony(&self, what: &[&str], answers: &[&str]) -> Output {
        let answers = self.answers(answers);
        let mut ceremony = self.command(&["ceremony", what[0]]);
        ceremony.arg(self.path("root")).args(&what[1..]).arg("--answers").arg(answers);
        ceremony.output().expect("the binary runs")
    }
}

fn people() -> Vec<&'static str> {
    OPERATORS.iter().flat_map(|name| ["--operator", name]).chain(["--quorum", "2"]).collect()
}

/// The answers of a ceremony in which everything is right, with what is particular to it before the quorum.
fn answers(own: &[&str]) -> Vec<String> {
    let opening = ["people: yes", "witness: Barbara L.", "network: yes", "program: yes", "token: yes", "time: yes"];
    let end = ["confirm-1: Grace H.", "confirm-2: Ada L.", "fingerprint: yes"];
    opening.iter().chain(own).chain(&end).map(|line| (*line).to_owned()).collect()
}

fn lines(all: &[String]) -> Vec<&str> {
    all.iter().map(String::as_str).collect()
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", told(output));
    told(output)
}

/// What it says; it has to be refused (3), or to wait (4).
#[track_caller]
fn stopped(output: &Output, code: i32, says: &str) {
    assert_eq!(output.status.code(), Some(code), "{}", told(output));
    assert!(told(output).contains(says), "no {says:?} in: {}", told(output));
}

/// The last four characters of a request's SHA-256: what stands on the paper that comes with it.
fn paper(machine: &Machine, csr: &Path) -> String {
    let der = machine.path("request.der");
    succeed(command("openssl", &["req", "-in", text(csr), "-outform", "DER", "-out", text(&der)]));
    let sum = succeed(command("sha256sum", &[text(&der)]));
    sum[60..64].to_uppercase()
}

/// A request with an extension, by openssl.
fn request(machine: &Machine, name: &str, extension: &str) -> PathBuf {
    let (key, csr) = (machine.path("other.key"), machine.path(name));
    let new = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=Other"];
    let mut openssl = command("openssl", &new);
    openssl.args(["-keyout", text(&key), "-out", text(&csr)]);
    if !extension.is_empty() {
        openssl.args(["-addext", extension]);
    }
    succeed(openssl);
    csr
}

fn sha256sum(path: &Path) -> String {
    succeed(command("sha256sum", &[text(path)]))[..64].to_owned()
}

/// An online authority below an offline root that waits for its certificates, and the root.
fn both() -> (House, Machine) {
    let (house, machine) = (House::with(&["--offline-root"]), Machine::new());
    // Ceremonies are what is tried here; what an administrator proves, is tried elsewhere.
    house.configure("second_factor = \"administrators\"", "second_factor = \"off\"");
    done(&machine.make_root(house.http("").trim_end_matches('/'), &people(), &lines(&answers(&[]))));
    (house, machine)
}

/// The ceremony for a request of the house; the chain it wrote.
fn sign(house: &House, machine: &Machine, label: &str) -> PathBuf {
    let (csr, out) = (house.ca(&format!("{label}.csr")), machine.path(&format!("{label}.pem")));
    let request = format!("request: {}", paper(machine, &csr));
    let what = ["intermediate", "--csr", text(&csr), "--out", text(&out)];
    done(&machine.ceremony(&what, &lines(&answers(&[&request]))));
    out
}

/// Makes the offline root an issuer of the house, by the fingerprint that everybody wrote down.
fn import_root(house: &House, root: &Path) {
    let import = ["ca", "import", "root", "--here", "--certificate-only", "--chain", text(root)];
    stopped(&house.output(&import), 3, "a root that is not known here");
    let written = succeed(command("openssl", &["x509", "-in", text(root), "-noout", "-fingerprint", "-sha256"]));
    house.run(&[&import[..], &["--fingerprint", written.trim()]].concat());
}

/// Brings root, CRL and the certificate of the TLS CA to the house, before it has ever been started.
fn bring(house: &House, machine: &Machine, chain: &Path) {
    let (root, crl) = (machine.root("root-1.pem"), machine.root("root-1.crl"));
    let transcript = machine.root("transcripts/002-intermediate.json");
    import_root(house, &root);
    house.run(&["ca", "import-crl", "--here", text(&crl)]);
    house.run(&["ca", "adopt", "tls/1", "--here", "--chain", text(chain), "--transcript", text(&transcript)]);
}

/// The URL of a certificate that begins so.
fn url(certificate: &Path, part: &str) -> String {
    let shown = succeed(command("openssl", &["x509", "-in", text(certificate), "-noout", "-text"]));
    let urls = shown.lines().filter_map(|line| line.trim().split_once("URI:")).map(|(_, url)| url.to_owned());
    urls.into_iter().find(|url| url.contains(part)).unwrap_or_else(|| panic!("no {part} in {shown}"))
}

#[test]
fn an_offline_roots_ceremony_goes_from_the_script_to_the_first_leaf() {
    let (mut house, machine) = both();
    let chain = sign(&house, &machine, "tls-1");
    bring(&house, &machine, &chain);
    house.start();
    house.run(&["issue", "tls", "localhost", "--out", text(&house.path("first"))]);

    // What the leaf and the CA above it point to is served, and openssl believes it with every CRL checked.
    let leaf = house.path("first/cert.pem");
    let crls = house.path("crls.pem");
    let mut pem = String::new();
    for (certificate, at) in [(&leaf, "/crl/tls/1/0.crl"), (&chain, "/crl/root/1/0.crl")] {
        let der = house.path("one.crl");
        succeed(command("curl", &["-sfo", text(&der), &url(certificate, at)]));
        pem += &succeed(command("openssl", &["crl", "-inform", "DER", "-in", text(&der)]));
    }
    std::fs::write(&crls, pem).expect("crls.pem");
    let above = house.path("root.cer");
    succeed(command("curl", &["-sfo", text(&above), &url(&chain, "/aia/root/1.cer")]));
    let root = machine.root("root-1.pem");
    let served = succeed(command("openssl", &["x509", "-inform", "DER", "-in", text(&above)]));
    assert_eq!(served.trim(), std::fs::read_to_string(&root).expect("root-1.pem").trim());
    let verify = ["verify", "-x509_strict", "-crl_check_all", "-CAfile", text(&root), "-untrusted", text(&chain)];
    succeed(command("openssl", &[&verify[..], &["-CRLfile", text(&crls), text(&leaf)]].concat()));
    assert_eq!(house.curl(&[&house.https("/roots.pem")]).text(), std::fs::read_to_string(&root).expect("root-1.pem"));

    // The transcript's hash is an entry of both logs, and both are whole.
    let transcript = machine.root("transcripts/002-intermediate.json");
    let hash = sha256sum(&transcript);
    let config = machine.root("chancery.toml");
    let offline = |what: &[&str]| machine.command(&[&["--config", text(&config), "audit"], what].concat());
    succeed(offline(&["verify"]));
    house.run(&["audit", "verify"]);
    assert!(house.run(&["audit", "list", "--json", "--limit", "200"]).contains(&hash), "the online log has no {hash}");
    let printed = std::fs::read_to_string(machine.root("transcripts/002-intermediate.txt")).expect("the text");
    for said in
        ["ANSWERS CAME FROM A FILE", "Grace H.", "Barbara L.", "confirm-2", "Chancery TLS CA", "SHA-256 of the JSON"]
    {
        assert!(printed.contains(said), "{said}: {printed}");
    }
}

#[test]
fn nothing_is_signed_that_a_quorum_did_not_confirm() {
    let machine = Machine::new();
    let url = "http://ca.example:8080";
    let all = answers(&[]);
    let named = |quorum: &'static str, names: &[&'static str]| -> Vec<&'static str> {
        names.iter().flat_map(|name| ["--operator", *name]).chain(["--quorum", quorum]).collect()
    };
    for (people, says) in [
        (named("1", &OPERATORS), "too small"),
        (named("4", &OPERATORS), "cannot be reached"),
        (named("2", &["Ada L.", "ada l."]), "named twice"),
    ] {
        stopped(&machine.make_root(url, &people, &lines(&all)), 3, says);
    }
    assert!(!machine.path("root").exists(), "a refused ceremony leaves nothing");
    // A name confirms once, and nobody else's does.
    for (second, says) in [("Grace H.", "a name confirms once"), ("Mallory", "none of the operators")] {
        let mut wrong = all.clone();
        wrong[7] = format!("confirm-2: {second}");
        stopped(&machine.make_root(url, &people(), &lines(&wrong)), 3, says);
        let made = ["root.db", "root-1.pem", "root-1.crl"].map(|name| machine.root(name).exists());
        assert_eq!(made, [false; 3], "something was made without a quorum");
    }
    // An answer is not changed afterwards; neither is what was asked for.
    let mut changed = all.clone();
    changed[1] = "witness: Mallory".to_owned();
    stopped(&machine.make_root(url, &people(), &lines(&changed)), 3, "was answered");
    stopped(&machine.make_root("http://evil.example", &people(), &lines(&all)), 3, "http_base was");
    // Interrupted after the signature, it goes on and signs no second time.
    stopped(&machine.make_root(url, &people(), &lines(&all[..8])), 4, "interrupted before step 9");
    let (made, sum) = (machine.root("root-1.pem"), sha256sum(&machine.root("root-1.crl")));
    let first = sha256sum(&made);
    let said = done(&machine.make_root(url, &people(), &lines(&all)));
    assert!(said.contains("it goes on"), "{said}");
    assert_eq!((sha256sum(&made), sha256sum(&machine.root("root-1.crl"))), (first, sum));
    stopped(&machine.make_root(url, &people(), &lines(&all)), 3, "was made at");
    let config = machine.root("chancery.toml");
    succeed(machine.command(&["--config", text(&config), "audit", "verify"]));
}

#[test]
fn a_root_signs_the_request_that_was_brought_and_no_other() {
    let (house, machine) = both();
    let (csr, out) = (house.ca("tls-1.csr"), machine.path("tls-1.pem"));
    let what = |csr: &Path| -> Vec<String> {
        ["intermediate", "--csr", text(csr), "--out", text(&out)].map(str::to_owned).to_vec()
    };
    let ceremony =
        |csr: &Path, more: &[&str], answers: &[&str]| machine.ceremony(&[&lines(&what(csr)), more].concat(), answers);
    // A request that is none of a CA, and one without room below the root, are refused before anybody is asked.
    let leaf = request(&machine, "leaf.csr", "");
    stopped(&ceremony(&leaf, &[], &[]), 1, "does not ask to be a CA");
    let deep = request(&machine, "deep.csr", "basicConstraints=critical,CA:TRUE,pathlen:2");
    stopped(&ceremony(&deep, &[], &[]), 1, "path_len");
    // What a key is called is called no other one.
    let shown = succeed(command(
        "openssl",
        &["x509", "-in", text(&machine.root("root-1.pem")), "-noout", "-ext", "subjectKeyIdentifier"],
    ));
    let called = shown.lines().last().expect("an identifier").trim();
    let config = machine.path("same.cnf");
    let section = format!(
        "[req]\ndistinguished_name = dn\nreq_extensions = own\n[dn]\n[own]\nbasicConstraints = critical,CA:TRUE,pathlen:0\n\
         subjectKeyIdentifier = {called}\n"
    );
    std::fs::write(&config, section).expect("a configuration");
    let (key, same) = (machine.path("other.key"), machine.path("same.csr"));
    let new = ["req", "-new", "-key", text(&key), "-subj", "/CN=Same", "-config", text(&config), "-out", text(&same)];
    succeed(command("openssl", &new));
    stopped(&ceremony(&same, &[], &[]), 1, "is that of another key");
    stopped(&ceremony(&csr, &["--quorum", "1"], &[]), 3, "too small");
    // Who could change the first transcript would say what a quorum is.
    let first = machine.root("transcripts/001-root.json");
    let written = std::fs::read_to_string(&first).expect("the transcript");
    std::fs::write(&first, written.replace("\"quorum\":2", "\"quorum\":1")).expect("changed");
    stopped(&ceremony(&csr, &["--quorum", "1"], &[]), 3, "not the one that the register has");
    std::fs::write(&first, written).expect("put back");
    // The paper is another request's.
    let other = request(&machine, "other.csr", "basicConstraints=critical,CA:TRUE,pathlen:0");
    let foreign = format!("request: {}", paper(&machine, &other));
    stopped(&ceremony(&csr, &[], &lines(&answers(&[&foreign]))), 3, "the paper is another's");
    // The file is exchanged under a ceremony that goes on.
    let right = format!("request: {}", paper(&machine, &csr));
    stopped(&ceremony(&csr, &[], &lines(&answers(&[&right])[..8])), 4, "interrupted before step 9");
    stopped(&ceremony(&other, &[], &[]), 3, "request_sha256 was");
    assert!(!out.exists(), "something was signed");
    done(&ceremony(&csr, &[], &lines(&answers(&[&right]))));
    // A transcript speaks for the certificate that was made at its ceremony, and for no other.
    let root = machine.root("root-1.pem");
    import_root(&house, &root);
    let adopt = |transcript: &str| {
        let transcript = machine.root(&format!("transcripts/{transcript}.json"));
        house.output(&["ca", "adopt", "tls/1", "--here", "--chain", text(&out), "--transcript", text(&transcript)])
    };
    stopped(&adopt("001-root"), 3, "another ceremony");
    done(&adopt("002-intermediate"));
}

#[test]
fn an_offline_crl_never_goes_back_and_ends_the_ca_that_it_lists() {
    let (mut house, machine) = both();
    let chain = sign(&house, &machine, "tls-1");
    bring(&house, &machine, &chain);
    house.start();
    let first = machine.root("root-1.crl");
    let (second, third) = (machine.path("second.crl"), machine.path("third.crl"));
    done(&machine.ceremony(&["crl", "--out", text(&second), "--valid-for", "20d"], &lines(&answers(&[]))));
    house.run(&["ca", "import-crl", text(&second)]);
    let served = |house: &House| house.curl(&[&house.http("/crl/root/1/0.crl")]).body;
    assert_eq!(served(&house), std::fs::read(&second).expect("second.crl"));
    stopped(&house.output(&["ca", "import-crl", text(&first)]), 1, "never goes back");
    assert_eq!(served(&house), std::fs::read(&second).expect("second.crl"), "an older CRL is served");
    // It ends within thirty days, and somebody has to see to it.
    let alarms = house.curl_admin(&[&house.https("/api/v1/status")]).text();
    assert!(alarms.contains("the CRL of root/1 ends at"), "{alarms}");
    house.run(&["issue", "tls", "localhost", "--out", text(&house.path("before"))]);

    let serial = succeed(command("openssl", &["x509", "-in", text(&chain), "-noout", "-serial"]));
    let serial = serial.trim().trim_start_matches("serial=").to_lowercase();
    let unknown = ["crl", "--out", text(&third), "--revoke", "00ff", "--reason", "key-compromise"];
    stopped(&machine.ceremony(&unknown, &[]), 1, "00ff");
    let revoke = ["crl", "--out", text(&third), "--revoke", &serial, "--reason", "key-compromise"];
    // Interrupted after the signature: the same CRL is the one that comes.
    let broken_off = machine.ceremony(&revoke, &lines(&answers(&[])[..8]));
    stopped(&broken_off, 4, "interrupted");
    done(&machine.ceremony(&revoke, &lines(&answers(&[]))));
    let shown: String = told(&broken_off).split_whitespace().collect();
    assert!(shown.to_lowercase().contains(&sha256sum(&third)), "another was signed: {}", told(&broken_off));
    house.run(&["ca", "import-crl", text(&third)]);
    let refused = house.output(&["issue", "tls", "localhost", "--out", text(&house.path("after"))]);
    assert!(!refused.status.success() && told(&refused).contains("revoked"), "{}", told(&refused));
    let listed = succeed(command("openssl", &["crl", "-inform", "DER", "-in", text(&third), "-noout", "-text"]));
    assert!(listed.to_lowercase().contains(&serial) && listed.contains("Key Compromise"), "{listed}");
    assert_eq!(listed.matches("Serial Number").count(), 1, "{listed}");
}

/// `openssl verify` of a certificate by whoever trusts one root, with these on the way.
fn believes(root: &Path, on_the_way: &[&Path], certificate: &Path) -> Output {
    let mut openssl = command("openssl", &["verify", "-x509_strict", "-CAfile", text(root)]);
    for path in on_the_way {
        openssl.args(["-untrusted", text(path)]);
    }
    openssl.arg(certificate).output().expect("openssl runs")
}

#[test]
fn an_offline_roots_second_generation_is_believed_by_those_who_trust_either() {
    let (mut house, machine) = both();
    let chain = sign(&house, &machine, "tls-1");
    bring(&house, &machine, &chain);
    house.start();
    house.run(&["issue", "tls", "localhost", "--out", text(&house.path("first"))]);

    // The ceremony, interrupted after its signatures: the same command goes on and signs nothing twice.
    let all = answers(&[]);
    let broken_off = machine.ceremony(&["rotate"], &lines(&all[..8]));
    stopped(&broken_off, 4, "interrupted before step 9");
    for shown in ["Root CA G2", "p384", "7300 days", "2 CAs may follow", "/crl/root/2/0.crl"] {
        assert!(told(&broken_off).contains(shown), "no {shown:?} in: {}", told(&broken_off));
    }
    let [new, old] = ["root-2.pem", "root-1.pem"].map(|name| machine.root(name));
    let [new_by_old, old_by_new] = ["root-2-by-1.pem", "root-1-by-2.pem"].map(|name| machine.root(name));
    let config = machine.root("chancery.toml");
    let signed = || {
        let report = succeed(machine.command(&["--config", text(&config), "audit", "verify", "--json"]));
        let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
        report["certificates"].as_u64().expect("how many signatures there are")
    };
    let made = ([&new, &new_by_old, &old_by_new].map(|path| sha256sum(path)), signed());
    done(&machine.ceremony(&["rotate"], &lines(&all)));
    assert_eq!(([&new, &new_by_old, &old_by_new].map(|path| sha256sum(path)), signed()), made);
    // The links, both ways (RFC 4210 section 4.4).
    done(&believes(&old, &[], &new_by_old));
    done(&believes(&new, &[], &old_by_new));
    assert!(!believes(&old, &[], &new).status.success() && !believes(&new, &[], &old).status.success());

    // It comes to the server by the fingerprint on the paper, with its transcript.
    let bundle = machine.root("root-2-all.pem");
    let transcript = machine.root("transcripts/003-rotate.json");
    let import = ["ca", "import", "root", "--certificate-only", "--chain", text(&bundle), "--transcript"];
    let unsaid = house.output(&[&import[..], &[text(&transcript)]].concat());
    assert!(told(&unsaid).contains("a root that is not known here"), "{}", told(&unsaid));
    let written = succeed(command("openssl", &["x509", "-in", text(&new), "-noout", "-fingerprint", "-sha256"]));
    let print = ["--fingerprint", written.trim()];
    let foreign = machine.root("transcripts/002-intermediate.json");
    let refused = house.output(&[&import[..], &[text(&foreign)], &print].concat());
    assert!(told(&refused).contains("another ceremony"), "{}", told(&refused));
    house.run(&[&import[..], &[text(&transcript)], &print].concat());
    house.run(&["ca", "import-crl", text(&machine.root("root-2.crl"))]);
    assert!(house.run(&["audit", "list", "--json", "--limit", "200"]).contains(&sha256sum(&transcript)));
    let roots = house.curl(&[&house.https("/roots.pem")]).text();
    assert_eq!(roots.matches("BEGIN CERTIFICATE").count(), 2, "{roots}");
    for (generation, subjects) in [(1, 2), (2, 2)] {
        let all = house.path("all.p7c");
        succeed(command("curl", &["-sfo", text(&all), &house.http(&format!("/aia/root/{generation}.p7c"))]));
        let print = ["pkcs7", "-inform", "DER", "-in", text(&all), "-print_certs", "-noout"];
        let said = succeed(command("openssl", &print));
        assert_eq!(said.matches("subject=").count(), subjects, "{said}");
    }

    // An intermediate below it, by the known ceremony, and a leaf.
    house.run(&["ca", "rotate", "tls"]);
    house.run(&["ca", "request", "tls/2", "--out", text(&house.ca("tls-2.csr"))]);
    let below = sign(&house, &machine, "tls-2");
    house.run(&["ca", "adopt", "tls/2", "--chain", text(&below)]);
    house.run(&["ca", "activate", "tls/2"]);
    house.run(&["issue", "tls", "localhost", "--out", text(&house.path("second"))]);
    let (leaf, served) = (house.path("second/cert.pem"), house.path("second/chain.pem"));
    let issuer = succeed(command("openssl", &["x509", "-in", text(&below), "-noout", "-issuer"]));
    assert!(issuer.contains("Root CA G2"), "{issuer}");
    done(&believes(&old, &[&served], &leaf));
    done(&believes(&new, &[&served], &leaf));
    assert!(!believes(&old, &[&below], &leaf).status.success(), "without the link nobody comes to the new root");
    // What the old one signed, for those who trust the new one alone.
    let (earlier, served) = (house.path("first/cert.pem"), house.path("first/chain.pem"));
    done(&believes(&new, &[&served, &old_by_new], &earlier));

    // The old one signs its CRLs on, and ends by an operator's word.
    let crl = machine.path("old.crl");
    done(&machine.ceremony(&["crl", "--by", "root/1", "--out", text(&crl)], &lines(&all)));
    house.run(&["ca", "import-crl", text(&crl)]);
    house.run(&["ca", "retire", "root/1"]);
    let roots = house.curl(&[&house.https("/roots.pem")]).text();
    assert_eq!(roots, std::fs::read_to_string(&new).expect("root-2.pem"));
    house.stop();
    house.run(&["audit", "verify"]);
}

/// What is rehearsed is what those who are there will meet: the quorum of the root's own ceremony, and whoever is named now.
#[test]
fn a_rehearsal_has_the_people_of_the_roots_own_ceremony_or_those_that_are_named() {
    let machine = Machine::new();
    let names = OPERATORS.map(|name| ["--operator", name]).concat();
    let opening = ["people: yes", "witness: none", "network: yes", "program: yes", "token: yes", "time: yes"];
    let confirmed = |names: [&str; 3]| {
        let names = names.iter().enumerate().map(|(at, name)| format!("confirm-{}: {name}", at + 1));
        let opening = opening.iter().map(|line| (*line).to_owned());
        opening.chain(names).chain(["fingerprint: yes".to_owned()]).collect::<Vec<_>>()
    };
    let all = confirmed(OPERATORS);
    done(&machine.make_root("http://ca.example", &[&names[..], &["--quorum", "3"]].concat(), &lines(&all)));
    let others = ["Emmy N.", "Sofja K.", "Mary S."];
    let named = others.map(|name| ["--operator", name]).concat();
    for (named, people) in [(&[][..], OPERATORS), (&named[..], others)] {
        let output =
            machine.ceremony(&[&["rotate", "--rehearse", "--json"], named].concat(), &lines(&confirmed(people)));
        let told = done(&output);
        let end: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {told}"));
        assert_eq!((&end["operators"], &end["quorum"]), (&serde_json::json!(people), &3.into()), "{end}");
        assert_eq!((&end["kind"], &end["rehearsal"]), (&"rotate".into(), &true.into()), "{end}");
    }
    stopped(&machine.ceremony(&["rotate", "--rehearse", "--quorum", "2"], &[]), 1, "3 have to confirm");
}

/// What is shown goes beside, and what a script needs comes at the end.
#[test]
fn a_ceremony_ends_in_json_where_that_is_asked_for() {
    let machine = Machine::new();
    done(&machine.make_root("http://ca.example", &people(), &lines(&answers(&[]))));
    let out = machine.path("next.crl");
    for what in [vec!["rotate"], vec!["crl", "--out", text(&out)]] {
        let output = machine.ceremony(&[&what[..], &["--json"]].concat(), &lines(&answers(&[])));
        let told = done(&output);
        let end: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {told}"));
        assert_eq!(end["kind"], what[0], "{end}");
        let hash = sha256sum(Path::new(end["transcript"].as_str().expect("a path")));
        assert_eq!(end["transcript_sha256"], hash.as_str(), "{end}");
        assert!(end["made"]["crl_sha256"].is_string() && told.contains("confirm-2"), "{told}");
    }
}

#[test]
fn a_rehearsal_says_so_on_each_line_and_keeps_nothing() {
    let machine = Machine::new();
    let all = machine.answers(&lines(&answers(&[])));
    let mut root = machine.command(&["ceremony", "root"]);
    root.arg(machine.path("root")).args(["--module", SOFTHSM, "--token-label", "root", "--organization", "Example"]);
    root.args(["--http-base", "http://ca.example", "--rehearse"]).args(people()).arg("--answers").arg(all);
    let temporary = machine.path("tmp");
    std::fs::create_dir(&temporary).expect("a folder");
    let said = succeed({
        root.env("TMPDIR", &temporary);
        root
    });
    assert!(said.lines().count() > 40 && said.contains("confirm-2"), "{said}");
    let plain = said.lines().filter(|line| !line.starts_with("REHEARSAL"));
    assert_eq!(plain.collect::<Vec<_>>(), Vec::<&str>::new());
    // The others are rehearsed below a root that is made for it.
    let csr = request(&machine, "ca.csr", "basicConstraints=critical,CA:TRUE,pathlen:0");
    let all = machine.answers(&lines(&answers(&[&format!("request: {}", paper(&machine, &csr))])));
    let mut intermediate = machine.command(&["ceremony", "intermediate", "none", "--rehearse", "--csr", text(&csr)]);
    intermediate.args(people()).args(["--out", text(&machine.path("out.pem"))]).arg("--answers").arg(all);
    intermediate.env("TMPDIR", &temporary);
    let said = succeed(intermediate);
    assert!(said.contains("REHEARSAL  7. request") && said.lines().all(|line| line.starts_with("REHEARSAL")), "{said}");
    let all = machine.answers(&lines(&answers(&[])));
    let mut rotate = machine.command(&["ceremony", "rotate", "none", "--rehearse"]);
    rotate.args(people()).arg("--answers").arg(all).env("TMPDIR", &temporary);
    let said = succeed(rotate);
    assert!(said.contains("root/2") && said.lines().all(|line| line.starts_with("REHEARSAL")), "{said}");
    assert!(!machine.path("out.pem").exists(), "a rehearsal wrote a certificate");
    assert!(!machine.path("root").exists(), "a rehearsal made the root's folder");
    for folder in [temporary, machine.path("tokens")] {
        assert_eq!(std::fs::read_dir(folder).expect("a folder").count(), 0, "a rehearsal leaves something");
    }
}
