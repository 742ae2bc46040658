//! SSH certificates, judged by ssh-keygen and ssh-key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::path::PathBuf;
use std::process::Command;

use ca::{CaError, CreateConfig, Lifetime, SshIssued, SshRequest};
use hsm::KeyKind;
use policy::{Principal, Role, World};

use crate::house::{House, accepts, actor, admin, owner};

pub fn ssh_key(house: &House, name: &str, args: &[&str]) -> String {
    let path = house.dir.path().join(name);
    let made = Command::new("ssh-keygen")
        .args(["-q", "-N", "", "-C", "alice@laptop", "-f"])
        .arg(&path)
        .args(args)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::read_to_string(path.with_extension("pub")).unwrap()
}

pub fn request(public_key: String, principals: &[&str]) -> SshRequest {
    SshRequest {
        owner: owner("web"),
        public_key,
        principals: principals.iter().map(|p| Principal::parse(p).unwrap()).collect(),
        key_id: None,
        life: Lifetime::ByProfile,
    }
}

/// What ssh-keygen -L shows; it verifies the signature's form, and the CA by its fingerprint.
fn shown(house: &House, issued: &SshIssued) -> String {
    let path: PathBuf = house.file("id-cert.pub", format!("{}\n", issued.certificate));
    accepts("ssh-keygen", &[&"-L", &"-f", &path])
}

const ED25519: &[&str] = &["-t", "ed25519"];

#[tokio::test(flavor = "multi_thread")]
async fn ssh_keygen_reads_a_user_certificate() {
    let house = House::new().await;
    let key = ssh_key(&house, "id", ED25519);
    let issued =
        house.authority.sign_ssh_user(&actor("alice", Role::SshUser), request(key, &["alice", "bob"])).await.unwrap();
    let text = shown(&house, &issued);
    for says in [
        "ssh-ed25519-cert-v01@openssh.com user certificate",
        "Signing CA: ECDSA",
        "(using ecdsa-sha2-nistp256)",
        "Key ID: \"alice\"",
        "permit-pty",
        "permit-port-forwarding",
        "Critical Options: (none)",
    ] {
        assert!(text.contains(says), "{says}: {text}");
    }
    let principals: Vec<_> =
        text.lines().skip_while(|l| !l.contains("Principals:")).skip(1).take(2).map(str::trim).collect();
    assert_eq!(principals, ["alice", "bob"]);
    assert_eq!(issued.issued.validity.unwrap().secs(), 16 * 3600);
    let ca = house.file("ca.pub", house.authority.ssh_user_ca());
    let fingerprint = accepts("ssh-keygen", &[&"-l", &"-f", &ca]);
    assert!(text.contains(fingerprint.split(' ').nth(1).unwrap()), "{text} {fingerprint}");
    assert_eq!(
        house.authority.ssh_certificate(&issued.issued).unwrap(),
        issued.certificate,
        "the register can give it again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_certificate_has_no_extensions_and_its_own_ca() {
    let house = House::new().await;
    let key = ssh_key(&house, "host", &["-t", "ecdsa", "-b", "384"]);
    let issued = house.authority.sign_ssh_host(&admin(), request(key, &["Host.example.INTERNAL"])).await.unwrap();
    let text = shown(&house, &issued);
    assert!(text.contains("ecdsa-sha2-nistp384-cert-v01@openssh.com host certificate"), "{text}");
    // ssh compares letter by letter, and lowers the name that it was given first: one in capitals would fit nothing.
    assert!(text.contains("host.example.internal") && !text.contains("Host.example"), "{text}");
    assert!(text.contains("Extensions: (none)") && text.contains("Critical Options: (none)"), "{text}");
    assert_ne!(house.authority.ssh_host_ca(), house.authority.ssh_user_ca());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_ca_signs_every_kind_of_key() {
    for (ca, name) in [
        (KeyKind::P256, "nistp256"),
        (KeyKind::P384, "nistp384"),
        (KeyKind::P521, "nistp521"),
        (KeyKind::Ed25519, "ed25519"),
    ] {
        let house = House::with(World::real(), CreateConfig { ssh: ca, ..CreateConfig::new("Example") }).await;
        let keys =
            [ED25519, &["-t", "ecdsa", "-b", "256"], &["-t", "ecdsa", "-b", "521"], &["-t", "rsa", "-b", "3072"]];
        for (i, key) in keys.into_iter().enumerate() {
            let key = ssh_key(&house, &format!("k{i}"), key);
            let issued = house.authority.sign_ssh_user(&admin(), request(key, &["alice"])).await.unwrap();
            let text = shown(&house, &issued);
            assert!(text.contains(name), "{name}: {text}");
            if ca != KeyKind::Ed25519 || i == 0 {
                let read = ssh_key::Certificate::from_openssh(&issued.certificate).unwrap();
                let ca = ssh_key::PublicKey::from_openssh(&house.authority.ssh_user_ca()).unwrap();
                read.validate(&[ca.fingerprint(ssh_key::HashAlg::Sha256)]).unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_ends_with_the_second_it_says() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let mut asked = request(ssh_key(&house, "id", ED25519), &["alice"]);
    asked.life = Lifetime::Secs(120);
    let issued = house.authority.sign_ssh_user(&admin(), asked).await.unwrap();
    let read = ssh_key::Certificate::from_openssh(&issued.certificate).unwrap();
    // sshd refuses from valid_before on, so the interval is half open.
    assert_eq!(read.valid_before() - read.valid_after(), 120);
    assert_eq!(issued.issued.validity.unwrap().not_after().unix() as u64 + 1, read.valid_before());
}

/// A lease says its end. A host whose clock is behind lets in all the same, however short it is.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_its_end_begins_a_minute_back_however_short_it_is() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let now = house.authority.world().now();
    let longest = i64::try_from(house.authority.profiles().get("ssh-user").unwrap().max_validity_secs()).unwrap();
    let key = ssh_key(&house, "id", ED25519);
    for (secs, early) in [(60, 60), (300, 60), (longest - 60, 60), (longest - 30, 30), (longest, 0)] {
        let mut asked = request(key.clone(), &["alice"]);
        asked.life = Lifetime::Until(now.plus_secs(secs - 1));
        let issued = house.authority.sign_ssh_user(&admin(), asked).await.unwrap();
        let validity = issued.issued.validity.unwrap();
        let begins = now.since(validity.not_before());
        assert_eq!((validity.not_after(), begins), (now.plus_secs(secs - 1), early), "{secs}");
    }
    let mut asked = request(key, &["alice"]);
    asked.life = Lifetime::Until(now.plus_secs(29));
    assert!(house.authority.sign_ssh_user(&admin(), asked).await.is_err(), "shorter than the shortest");
}

/// sshd logs the key id as who logged in.
#[tokio::test(flavor = "multi_thread")]
async fn a_principal_stands_once_and_the_key_id_names_the_actor() {
    let house = House::new().await;
    let mut asked = request(ssh_key(&house, "id", ED25519), &["alice", "alice"]);
    asked.key_id = Some("token:admin".to_owned());
    let twice = house.authority.sign_ssh_user(&actor("sam", Role::SshUser), asked).await.unwrap();
    assert_eq!(twice.issued.names, ["alice"]);
    let read = ssh_key::Certificate::from_openssh(&twice.certificate).unwrap();
    assert_eq!((read.key_id(), read.valid_principals()), ("token:admin (sam)", &["alice".to_owned()][..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_refused() {
    let house = House::new().await;
    let key = ssh_key(&house, "id", ED25519);
    let weak = ssh_key(&house, "weak", &["-t", "rsa", "-b", "1024"]);
    // The last byte of a point changed: on no curve.
    let p521 = ssh_key(&house, "p521", &["-t", "ecdsa", "-b", "521"]);
    let mut blob = STANDARD.decode(p521.split(' ').nth(1).unwrap()).unwrap();
    *blob.last_mut().unwrap() ^= 1;
    let p521 = format!("ecdsa-sha2-nistp521 {}", STANDARD.encode(blob));
    let asked = |key: &str, principals: &[&str], key_id: Option<&str>, secs: Option<u64>| SshRequest {
        key_id: key_id.map(str::to_owned),
        life: secs.into(),
        ..request(key.to_owned(), principals)
    };
    for (request, what) in [
        (asked(&weak, &["alice"], None, None), "public_key"),
        (asked(&p521, &["alice"], None, None), "public_key"),
        (asked("nonsense", &["alice"], None, None), "public_key"),
        (asked(&key, &["alice"], Some("a\nb"), None), "key_id"),
        (asked(&key, &["alice"], Some(""), None), "key_id"),
        (asked(&key, &["alice"], None, Some(25 * 3600)), "validity"),
        (asked(&key, &["alice"], None, Some(1)), "validity"),
    ] {
        let refused = house.authority.sign_ssh_user(&admin(), request).await.unwrap_err();
        assert!(matches!(&refused, CaError::BadRequest { what: w, .. } if *w == what), "{what}: {refused}");
    }
    // No principal would mean every principal.
    let none = house.authority.sign_ssh_user(&admin(), request(key.clone(), &[])).await.unwrap_err();
    assert!(matches!(none, CaError::Refused(_)), "{none}");
    let other =
        house.authority.sign_ssh_user(&actor("alice", Role::SshUser), request(key, &["root"])).await.unwrap_err();
    assert!(matches!(other, CaError::Refused(_)), "{other}");
}

/// One of each for tests that look at the whole.
pub async fn user_certificate(house: &House) -> SshIssued {
    let key = ssh_key(house, "any", ED25519);
    house.authority.sign_ssh_user(&admin(), request(key, &["alice"])).await.unwrap()
}
