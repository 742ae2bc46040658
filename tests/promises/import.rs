//! Another program's CA goes on here: what it signed, what it revoked, the number of its CRLs; a real folder of `openssl ca`, its key in a
//! token, openssl as the judge of what is published.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::house::{House, PATIENCE, SOFTHSM, command, fail, status, succeed, text, until};

/// Such a number is above the seconds since 1970, which ours are at least.
const LAST_CRL: u64 = 0x7735_9401;

/// A CA of openssl's with five certificates, of which the first and the third are revoked, and two CRLs. Its name has an attribute in
/// T61String, two units that are not in the order of their bytes, and a multi-valued part.
fn openssl_ca(house: &House) -> PathBuf {
    let dir = house.path("old");
    std::fs::create_dir_all(dir.join("newcerts")).expect("a folder");
    let write = |name: &str, said: &str| std::fs::write(dir.join(name), said).expect("a file");
    write("index.txt", "");
    write("index.txt.attr", "unique_subject = no\n");
    write("serial", "0AE1\n");
    write("crlnumber", "77359400\n");
    let place = text(&dir);
    write(
        "openssl.cnf",
        &format!(
            "[ca]\ndefault_ca = old\n[old]\ndir = {place}\ndatabase = $dir/index.txt\nnew_certs_dir = $dir/newcerts\n\
            certificate = $dir/cacert.pem\nprivate_key = $dir/ca.key\nserial = $dir/serial\ncrlnumber = $dir/crlnumber\n\
            default_md = sha384\ndefault_days = 365\ndefault_crl_days = 30\npolicy = any\nx509_extensions = leaf\n\
            crl_extensions = list\n[any]\ncommonName = supplied\n[list]\nauthorityKeyIdentifier = keyid\n[leaf]\n\
            basicConstraints = CA:FALSE\nsubjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n\
            crlDistributionPoints = URI:http://pki.old.example/old.crl\nsubjectAltName = ${{ENV::SAN}}\n[req]\n\
            distinguished_name = name\nprompt = no\nutf8 = yes\nstring_mask = default\nx509_extensions = authority\n[name]\nC = DE\n\
            O = Beispiel Käse AG\n0.OU = PKI\n1.OU = Alt\nCN = Old CA\n+serialNumber = 7\n[authority]\n\
            basicConstraints = critical,CA:TRUE\nkeyUsage = critical,keyCertSign,cRLSign\nsubjectKeyIdentifier = hash\n"
        ),
    );
    openssl(&dir, &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "ca.key"]);
    let own = ["req", "-x509", "-new", "-key", "ca.key", "-days", "3650", "-config", "openssl.cnf", "-sha256"];
    openssl(&dir, &[&own[..], &["-out", "cacert.pem"]].concat());
    for number in 1..=5 {
        issue(&dir, number);
    }
    revoke(&dir, "0AE1", &["-crl_reason", "keyCompromise"]);
    list(&dir);
    revoke(&dir, "0AE3", &["-crl_hold", "holdInstructionReject"]);
    list(&dir);
    dir
}

fn openssl(dir: &Path, arguments: &[&str]) {
    let mut openssl = command("openssl", arguments);
    openssl.current_dir(dir).env("SAN", "DNS:old.example");
    succeed(openssl);
}

fn issue(dir: &Path, number: usize) {
    let name = format!("w{number}.old.example");
    let [key, csr, out] = ["key", "csr", "pem"].map(|ending| format!("w{number}.{ending}"));
    let subject = format!("/CN={name}");
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    openssl(dir, &[&["req", "-new", "-subj", &subject, "-keyout", &key, "-out", &csr][..], &curve].concat());
    let mut sign =
        command("openssl", &["ca", "-batch", "-notext", "-config", "openssl.cnf", "-in", &csr, "-out", &out]);
    sign.current_dir(dir).env("SAN", format!("DNS:{name}"));
    succeed(sign);
}

fn revoke(dir: &Path, serial: &str, why: &[&str]) {
    let file = format!("newcerts/{serial}.pem");
    openssl(dir, &[&["ca", "-config", "openssl.cnf", "-revoke", &file][..], why].concat());
}

fn list(dir: &Path) {
    openssl(dir, &["ca", "-config", "openssl.cnf", "-gencrl", "-out", "crl.pem"]);
}

/// Puts its key into the token, with the means of the token's vendor.
fn bring_key(house: &House, dir: &Path) {
    let key = dir.join("ca.key");
    let mut import = command("softhsm2-util", &["--import", text(&key), "--token", "test", "--label", "old-ca"]);
    import
        .args(["--id", "0c0d", "--pin", "648219", "--module", SOFTHSM])
        .env("SOFTHSM2_CONF", house.path("softhsm2.conf"));
    succeed(import);
}

/// The import of the folder, with more arguments.
fn importing<'a>(dir: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let all = ["ca", "import", "legacy", "--key-label", "old-ca", "--key-was-outside", "--from", "openssl", dir];
    let root = Path::new(dir).join("cacert.pem");
    let said = succeed(command("openssl", &["x509", "-noout", "-fingerprint", "-sha256", "-in", text(&root)]));
    let fingerprint: &str = said.trim().rsplit('=').next().unwrap_or_default().to_owned().leak();
    [&all[..], &["--fingerprint", fingerprint], more].concat()
}

/// The CRL that is served for it, as PEM in a file.
fn served_crl(house: &House, path: &str) -> PathBuf {
    let (der, pem) = (house.path("served.crl"), house.path("served.pem"));
    succeed(command("curl", &["-sf", "--max-time", "30", "-o", text(&der), &house.http(path)]));
    succeed(command("openssl", &["crl", "-inform", "DER", "-in", text(&der), "-out", text(&pem)]));
    pem
}

fn crl_number(crl: &Path) -> u64 {
    let said = succeed(command("openssl", &["crl", "-noout", "-crlnumber", "-in", text(crl)]));
    let digits = said.trim().trim_start_matches("crlNumber=0x");
    u64::from_str_radix(digits, 16).unwrap_or_else(|e| panic!("{said}: {e}"))
}

/// Whether openssl takes a certificate with this CRL.
fn counts(dir: &Path, crl: &Path, certificate: &Path) -> bool {
    status(Command::new("openssl").args(["verify", "-crl_check", "-CAfile"]).arg(dir.join("cacert.pem")).args([
        "-CRLfile",
        text(crl),
        text(certificate),
    ]))
}

/// The bytes of the issuer's name in a CRL, and of the key that signed it.
fn names_of(crl: &Path) -> String {
    let text_of = succeed(command("openssl", &["crl", "-noout", "-text", "-in", text(crl)]));
    let identifier = text_of.lines().skip_while(|line| !line.contains("Authority Key Identifier")).nth(1);
    let options = ["-nameopt", "dump_all,dump_der,sep_comma_plus", "-noout", "-issuer"];
    let issuer = succeed(command("openssl", &[&["crl", "-in", text(crl)][..], &options].concat()));
    format!("{issuer} {}", identifier.unwrap_or_default().trim())
}

#[test]
fn an_openssl_ca_goes_on_here_with_its_crl_number() {
    let mut house = House::new();
    let dir = openssl_ca(&house);
    bring_key(&house, &dir);
    let profile = std::fs::read_to_string(house.ca("profiles/tls-server.toml")).expect("a profile");
    let other = profile.replace("issuer = \"tls\"", "issuer = \"legacy\"");
    std::fs::write(house.ca("profiles/legacy-server.toml"), other).expect("a profile");
    house.start();
    let place = text(&dir).to_owned();

    // Its key was in a file, and somebody has to say that.
    let unsaid = fail(house.command(&["ca", "import", "legacy", "--key-label", "old-ca", "--from", "openssl", &place]));
    assert!(unsaid.contains("CKA_NEVER_EXTRACTABLE") && unsaid.contains("--key-was-outside"), "{unsaid}");

    // What would come, and nothing does.
    let before = house.json(&["audit", "verify"])["leaves"].clone();
    let would = house.json(&importing(&place, &["--dry-run"]));
    assert_eq!((&would["done"], &would["certificates"], &would["revocations"]), (&false.into(), &5.into(), &2.into()));
    assert_eq!((&would["crl_found"], &would["crl_next"]), (&LAST_CRL.into(), &(LAST_CRL + 1).into()), "{would}");
    assert_eq!(would["urls"][0]["url"], "http://pki.old.example/old.crl");
    assert_eq!(would["highest_serial"], "0ae5");
    fail(house.command(&["ca", "show", "legacy"]));
    assert_eq!(house.json(&["audit", "verify"])["leaves"], before, "a dry run is no leaf");

    // It comes, and its first CRL here tells of what was revoked there, under the next number, with its name to the byte.
    let came = house.json(&importing(&place, &[]));
    assert_eq!((&came["done"], &came["certificates"], &came["revocations"]), (&true.into(), &5.into(), &2.into()));
    assert_eq!(came["crl_published"], LAST_CRL + 1, "{came}");
    let crl = served_crl(&house, "/crl/legacy/1/0.crl");
    assert_eq!(crl_number(&crl), LAST_CRL + 1);
    assert_eq!(names_of(&crl), names_of(&dir.join("crl.pem")));
    let old = |number: usize| dir.join(format!("w{number}.pem"));
    let verdicts = |crl: &Path| (1..=5).map(|number| counts(&dir, crl, &old(number))).collect::<Vec<_>>();
    assert_eq!(verdicts(&crl), [false, true, false, true, true]);
    assert_eq!(verdicts(&crl), verdicts(&dir.join("crl.pem")), "openssl's own CRL says the same");

    // The register shows them as what they are.
    let listed = house.json(&["certs", "list", "--profile", "imported"]);
    let rows = listed["items"].as_array().or(listed.as_array()).expect("a list");
    assert_eq!(rows.len(), 5, "{listed}");
    assert!(rows.iter().all(|row| row["imported"] == true && row["issuer"] == "legacy/1"), "{listed}");
    let pem = house.run(&["certs", "show", "0ae2", "--pem"]);
    let whole = std::fs::read_to_string(old(2)).expect("PEM");
    assert!(pem.starts_with(whole.trim()), "byte for byte");

    // It goes on issuing, and what it signs now is no import.
    let key = house.path("next");
    house.run(&["issue", "tls", "localhost", "--profile", "legacy-server", "--out", text(&key)]);
    let next = key.join("cert.pem");
    assert!(counts(&dir, &crl, &next));
    let issuer = |pem: &Path| {
        let options = ["-noout", "-issuer", "-nameopt", "dump_all,dump_der,sep_comma_plus"];
        succeed(command("openssl", &[&["x509", "-in", text(pem)][..], &options].concat()))
    };
    assert_eq!(issuer(&next), issuer(&old(2)));

    // One that came is revoked, one is released; another is asked of by OCSP.
    house.run(&["certs", "revoke", "0ae4", "--reason", "superseded"]);
    house.run(&["certs", "release", "0ae3"]);
    // Of two CRLs of one second the later begins with the next, which openssl waits for.
    let told = || verdicts(&served_crl(&house, "/crl/legacy/1/0.crl")) == [false, true, true, false, true];
    assert!(until(PATIENCE, told));
    assert!(crl_number(&served_crl(&house, "/crl/legacy/1/0.crl")) > LAST_CRL + 1);
    for (certificate, said) in [(old(1), "revoked"), (old(2), "good"), (next, "good")] {
        assert!(ocsp(&house, &dir, &certificate).contains(&format!(": {said}")), "{}", certificate.display());
    }
    issue(&dir, 6);
    assert!(ocsp(&house, &dir, &old(6)).contains(": unknown"), "one that did not come");

    // What came since then comes: one more, and what was released here is revoked there still. The same again changes nothing.
    let again = house.json(&importing(&place, &[]));
    assert_eq!((&again["certificates"], &again["certificates_there"]), (&1.into(), &5.into()), "{again}");
    assert_eq!((&again["revocations"], &again["revocations_there"]), (&1.into(), &1.into()), "{again}");
    let before = house.json(&["audit", "verify"])["leaves"].clone();
    let same = house.json(&importing(&place, &[]));
    assert_eq!((&same["certificates"], &same["revocations"]), (&0.into(), &0.into()), "{same}");

    // All of it is provable, and none of it is called signed here.
    let report = house.json(&["audit", "verify"]);
    assert_eq!((&report["findings_total"], &report["imported"]), (&0.into(), &6.into()), "{report}");
    assert_eq!(report["leaves"], before, "nothing was written");
    house.stop();
    house.start();
    assert!(
        until(PATIENCE, || verdicts(&served_crl(&house, "/crl/legacy/1/0.crl")) == [false, true, false, false, true])
    );
}

fn ocsp(house: &House, dir: &Path, certificate: &Path) -> String {
    let (ca, url) = (dir.join("cacert.pem"), house.http("/ocsp/legacy/1"));
    succeed(command(
        "openssl",
        &["ocsp", "-issuer", text(&ca), "-cert", text(certificate), "-url", &url, "-CAfile", text(&ca)],
    ))
}

#[test]
fn what_cannot_be_taken_is_said_and_a_number_never_goes_back() {
    let mut house = House::new();
    let dir = openssl_ca(&house);
    bring_key(&house, &dir);
    house.start();
    let place = text(&dir).to_owned();
    // The file with the next number was put back, one certificate is lost, one line is odd.
    std::fs::write(dir.join("crlnumber"), "05\n").expect("written");
    std::fs::remove_file(dir.join("newcerts/0AE3.pem")).expect("removed");
    std::fs::remove_file(dir.join("newcerts/0AE5.pem")).expect("removed");
    let index = std::fs::read_to_string(dir.join("index.txt")).expect("an index");
    std::fs::write(dir.join("index.txt"), format!("{index}R\t361128022004Z\t\t0AF0\tunknown\t/CN=odd\n"))
        .expect("written");

    let refused = house.output(&importing(&place, &[]));
    let said = format!("{}{}", String::from_utf8_lossy(&refused.stdout), String::from_utf8_lossy(&refused.stderr));
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("index.txt line 6: does not say when it was revoked"), "{said}");
    assert!(said.contains("of serial 0ae5 no certificate is there"), "{said}");
    assert!(said.contains("--leave-out"), "{said}");
    fail(house.command(&["ca", "show", "legacy"]));

    // What a CRL lists that cannot be read nobody knows: it is shown, and no word takes the rest.
    std::fs::write(dir.join("torn.crl"), "-----BEGIN X509 CRL-----\nMIIB\n").expect("written");
    let would: Value = house.json(&importing(&place, &["--leave-out", "--dry-run"]));
    assert_eq!(would["hinders"][0]["place"], "torn.crl", "{would}");
    let refused = house.output(&importing(&place, &["--leave-out"]));
    let said = format!("{}{}", String::from_utf8_lossy(&refused.stdout), String::from_utf8_lossy(&refused.stderr));
    assert!(refused.status.code() == Some(3) && said.contains("would come as good"), "{said}");
    fail(house.command(&["ca", "show", "legacy"]));
    std::fs::remove_file(dir.join("torn.crl")).expect("removed");

    let came: Value = house.json(&importing(&place, &["--leave-out"]));
    assert_eq!((&came["certificates"], &came["revocations"]), (&3.into(), &2.into()), "{came}");
    assert_eq!(came["revoked_without_certificate"], 1, "{came}");
    let numbers = came["crl_numbers"].as_array().expect("a list");
    assert!(numbers.iter().any(|found| found["number"] == 4), "the file's: {came}");
    assert_eq!(came["crl_published"], LAST_CRL + 1, "that of the CRL in the folder counts");
    let crl = served_crl(&house, "/crl/legacy/1/0.crl");
    let verdicts: Vec<bool> = (1..=5).map(|number| counts(&dir, &crl, &dir.join(format!("w{number}.pem")))).collect();
    assert_eq!(verdicts, [false, true, false, true, true], "a serial without its certificate is revoked too");
    assert!(ocsp(&house, &dir, &dir.join("w3.pem")).contains(": revoked"));
    assert_eq!(house.json(&["audit", "verify"])["findings_total"], 0);

    // A CA of another key under the same name is none.
    let other = house.path("other");
    std::fs::create_dir(&other).expect("a folder");
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=Other"];
    openssl(&other, &[&["req", "-x509", "-keyout", "k.pem", "-out", "cacert.pem"][..], &curve].concat());
    std::fs::write(other.join("index.txt"), "").expect("written");
    let refused = fail(house.command(&importing(text(&other), &[])));
    assert!(refused.contains("another one"), "{refused}");
}
