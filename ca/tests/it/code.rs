//! Code signatures, judged by openssl.

use ca::{CaError, CodeFormat, CodeKeyRequest, CodeRequest};
use hsm::KeyKind;
use policy::Role;
use store::{Filter, Kind};

use crate::house::{House, accepts, actor, admin, owner, refuses};

pub fn key_request(label: &str, kind: KeyKind) -> CodeKeyRequest {
    CodeKeyRequest { label: label.to_owned(), owner: owner("web"), kind, subject: Some("Example Releases".to_owned()) }
}

pub fn sign_request(key: &str, content: &[u8], format: CodeFormat) -> CodeRequest {
    let digest = ring_digest(content);
    CodeRequest { key: key.to_owned(), sha256: digest, format, file_name: Some("release.tar".to_owned()) }
}

fn ring_digest(content: &[u8]) -> [u8; 32] {
    ring::digest::digest(&ring::digest::SHA256, content).as_ref().try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_accepts_cms_and_raw_signatures_and_refuses_a_changed_file() {
    let house = House::new().await;
    for kind in [KeyKind::P256, KeyKind::Rsa2048] {
        let label = format!("release-{kind}");
        let certificate = house.authority.create_code_key(&admin(), key_request(&label, kind)).await.unwrap();
        let (leaf, chain, roots) = house.chain_files(&certificate);
        accepts(
            "openssl",
            &[&"verify", &"-x509_strict", &"-purpose", &"any", &"-CAfile", &roots, &"-untrusted", &chain, &leaf],
        );
        let file = house.file("release.tar", b"the release");
        let changed = house.file("changed.tar", b"the releasE");

        let signer = actor("carl", Role::CodeSigner);
        let cms =
            house.authority.sign_code(&signer, sign_request(&label, b"the release", CodeFormat::Cms)).await.unwrap();
        let signature = house.file("release.p7s", &cms.bytes);
        for purpose in ["any", "codesign"] {
            // OpenSSL 3.0 has no purpose `codesign`; newer ones do.
            if purpose == "codesign" && !knows_codesign() {
                continue;
            }
            let verify = |content| -> Vec<Box<dyn AsRef<std::ffi::OsStr>>> {
                vec![
                    Box::new("cms"),
                    Box::new("-verify"),
                    Box::new("-binary"),
                    Box::new("-inform"),
                    Box::new("DER"),
                    Box::new("-in"),
                    Box::new(signature.clone()),
                    Box::new("-content"),
                    Box::new(content),
                    Box::new("-CAfile"),
                    Box::new(roots.clone()),
                    Box::new("-purpose"),
                    Box::new(purpose),
                    Box::new("-out"),
                    Box::new("/dev/null"),
                ]
            };
            let args = verify(file.clone());
            accepts("openssl", &args.iter().map(|a| a.as_ref()).collect::<Vec<_>>());
            let args = verify(changed.clone());
            refuses("openssl", &args.iter().map(|a| a.as_ref()).collect::<Vec<_>>());
        }

        let raw =
            house.authority.sign_code(&signer, sign_request(&label, b"the release", CodeFormat::Raw)).await.unwrap();
        let signature = house.file("release.sig", &raw.bytes);
        let public = house.file("public.pem", accepts("openssl", &[&"x509", &"-in", &leaf, &"-noout", &"-pubkey"]));
        accepts("openssl", &[&"dgst", &"-sha256", &"-verify", &public, &"-signature", &signature, &file]);
        refuses("openssl", &[&"dgst", &"-sha256", &"-verify", &public, &"-signature", &signature, &changed]);
        assert_eq!(raw.chain_pem.matches("BEGIN CERTIFICATE").count(), 2);
        assert_eq!(raw.issued.kind, Kind::CodeSignature);
        assert_eq!(raw.issued.details["certificate"], certificate.serial_hex());
    }
    let keys = house.authority.code_keys().await.unwrap().items;
    let labels: Vec<_> = keys.iter().map(|(label, ..)| label.as_str()).collect();
    assert_eq!(labels, ["release-p256", "release-rsa2048"]);
}

fn knows_codesign() -> bool {
    let help = std::process::Command::new("openssl").args(["version"]).output().unwrap();
    let version = String::from_utf8_lossy(&help.stdout).into_owned();
    !(version.starts_with("OpenSSL 3.0") || version.starts_with("OpenSSL 3.1") || version.starts_with("OpenSSL 1"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_is_for_code_alone_and_names_its_owner() {
    let house = House::new().await;
    let certificate = house.authority.create_code_key(&admin(), key_request("release", KeyKind::P256)).await.unwrap();
    let (leaf, ..) = house.chain_files(&certificate);
    let text = accepts("openssl", &[&"x509", &"-in", &leaf, &"-noout", &"-text"]);
    assert!(text.contains("Code Signing") && !text.contains("TLS Web"), "{text}");
    assert!(text.contains("O = Example, OU = web, CN = Example Releases"), "{text}");
}

/// Four at once made four certificates once.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_make_a_label_at_once_one_does() {
    let house = House::new().await;
    let database = store::Database::Sqlite(house.dir.path().join("chancery.db"));
    let beside = house.beside(&database).await.0;
    for round in 1..=5 {
        let mut under_way = tokio::task::JoinSet::new();
        for n in 0..8 {
            let authority = if n % 2 == 0 { house.authority.clone() } else { beside.clone() };
            let request = key_request(&format!("release-{round}"), KeyKind::P256);
            under_way.spawn(async move { authority.create_code_key(&admin(), request).await });
        }
        let outcomes = under_way.join_all().await;
        let told: Vec<_> = outcomes.into_iter().map(|outcome| outcome.map(|made| made.operation)).collect();
        assert_eq!(told.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{told:?}");
        assert!(told.iter().all(|outcome| matches!(outcome, Ok(_) | Err(CaError::Conflict(_)))), "{told:?}");
        let filter = Filter { kind: Some(Kind::Certificate), issuer: Some("code".to_owned()), ..Filter::default() };
        assert_eq!(house.ledger.list(filter).await.unwrap().items.len(), round);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_owner_gets_no_key_and_no_code_certificate() {
    let house = House::new().await;
    let request = CodeKeyRequest { owner: owner("wbe"), ..key_request("release", KeyKind::P256) };
    let refused = house.authority.create_code_key(&admin(), request).await.unwrap_err();
    assert!(matches!(&refused, CaError::BadRequest { what: "owner", detail } if detail.contains("no owner `wbe`")));
    assert!(house.pool.find("code:release").await.is_err(), "no key was made");
    let mut outside = crate::house::server_request(&[]);
    (outside.profile, outside.owner, outside.csr) = ("code-signing".to_owned(), owner("wbe"), named_csr("Builds"));
    let refused = house.authority.certify(&admin(), outside).await.unwrap_err();
    assert!(matches!(refused, CaError::BadRequest { what: "owner", .. }), "{refused}");
    house.authority.create_code_key(&admin(), key_request("release", KeyKind::P256)).await.unwrap();
}

/// A name with a right-to-left override reads as another; a file's name is noted as what it is.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_signed_is_found_by_digest_and_by_name_and_no_name_hides_anything() {
    let house = House::new().await;
    for subject in ["exe\u{202e}gpj", "pay\u{200b}pal", "a\u{7}b", "\u{3164}"] {
        let request = CodeKeyRequest { subject: Some(subject.to_owned()), ..key_request("release", KeyKind::P256) };
        let refused = house.authority.create_code_key(&admin(), request).await.unwrap_err();
        assert!(matches!(&refused, CaError::BadRequest { what: "subject", .. }), "{refused}");
        assert!(!refused.to_string().contains(subject));
    }
    house.authority.create_code_key(&admin(), key_request("release", KeyKind::P256)).await.unwrap();
    let sign = async |content: &[u8], name: &str| {
        let file_name = Some(name.to_owned());
        let request = CodeRequest { file_name, ..sign_request("release", content, CodeFormat::Cms) };
        house.authority.sign_code(&admin(), request).await.unwrap().issued.operation
    };
    let (one, two) = (sign(b"one", "app.tar.gz").await, sign(b"two", "app.tar.gz").await);
    let odd = sign(b"one", "exe\u{202e}gpj\n").await;
    let found = async |name: String| {
        let filter = Filter { kind: Some(Kind::CodeSignature), name: Some(name), ..Filter::default() };
        let rows = house.ledger.list(filter).await.unwrap().items;
        rows.iter().map(|row| row.operation).collect::<Vec<_>>()
    };
    assert_eq!(found(format!("sha256:{}", hex::encode(ring_digest(b"one")))).await, [odd, one]);
    assert_eq!(found("file:app.tar.gz".to_owned()).await, [two, one]);
    assert_eq!(found("file:exe\\u{202e}gpj\\u{a}".to_owned()).await, [odd]);
    let long = "x".repeat(255);
    sign(b"long", &long).await;
    assert!(found(format!("file:{long}")).await.is_empty(), "by its digest alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_is_used_once() {
    let house = House::new().await;
    house.authority.create_code_key(&admin(), key_request("release", KeyKind::P256)).await.unwrap();
    let again = house.authority.create_code_key(&admin(), key_request("release", KeyKind::P256)).await;
    assert!(matches!(again, Err(CaError::Conflict(_))));
    for (label, kind, what) in [
        ("Release", KeyKind::P256, "label"),
        ("a/b", KeyKind::P256, "label"),
        ("x", KeyKind::Ed25519, "algorithm"),
        ("x", KeyKind::P384, "algorithm"),
    ] {
        let refused = house.authority.create_code_key(&admin(), key_request(label, kind)).await.unwrap_err();
        assert!(matches!(&refused, CaError::BadRequest { what: w, .. } if *w == what), "{label}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_who_may_sign_sign() {
    let house = House::new().await;
    house.authority.create_code_key(&admin(), key_request("release", KeyKind::P256)).await.unwrap();
    for role in [Role::Issuer, Role::Auditor, Role::Agent] {
        let refused =
            house.authority.sign_code(&actor("x", role), sign_request("release", b"x", CodeFormat::Raw)).await;
        assert!(matches!(refused, Err(CaError::Refused(_))), "{role}");
    }
    let missing = house.authority.sign_code(&admin(), sign_request("other", b"x", CodeFormat::Raw)).await;
    assert!(matches!(missing, Err(CaError::NotFound(_))));
    let mut odd = sign_request("release", b"x", CodeFormat::Raw);
    odd.file_name = Some("x".repeat(256));
    assert!(matches!(
        house.authority.sign_code(&admin(), odd).await,
        Err(CaError::BadRequest { what: "file_name", .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_certificate_ended_does_not_sign_until_it_is_renewed() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let old = house.authority.create_code_key(&admin(), key_request("release", KeyKind::P256)).await.unwrap();
    house.world.advance(366 * 86_400);
    let expired =
        house.authority.sign_code(&admin(), sign_request("release", b"x", CodeFormat::Raw)).await.unwrap_err();
    assert!(expired.to_string().contains("expired"), "{expired}");
    let new = house.authority.renew(&admin(), &old.serial_hex(), None).await.unwrap();
    assert_eq!((new.key_hash, &new.subject), (old.key_hash, &old.subject));
    let signed = house.authority.sign_code(&admin(), sign_request("release", b"x", CodeFormat::Raw)).await.unwrap();
    assert_eq!(signed.issued.details["certificate"], new.serial_hex());
}

/// A certificate of the code CA is a signing identity wherever its key lives, so asking for one by CSR takes the same right.
#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_cannot_make_itself_a_code_signer() {
    let house = House::new().await;
    let mut request = crate::house::server_request(&[]);
    request.profile = "code-signing".to_owned();
    let refused = house.authority.certify(&actor("ina", Role::Issuer), request).await.unwrap_err();
    assert!(matches!(&refused, CaError::Refused(r) if r.action == policy::Action::CreateKey), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_wish_makes_no_key() {
    let house = House::new().await;
    for subject in ["", "a\nb", &"x".repeat(65)] {
        let wish = ca::CodeKeyRequest { subject: Some(subject.to_owned()), ..key_request("wrong", KeyKind::P256) };
        let refused = house.authority.create_code_key(&admin(), wish).await.unwrap_err();
        assert!(matches!(refused, CaError::BadRequest { what: "subject", .. }), "{subject:?}: {refused}");
    }
    assert!(house.pool.find("code:wrong").await.is_err(), "no key was made");
    // A key that an earlier attempt left keeps its kind.
    house.authority.create_code_key(&admin(), key_request("kept", KeyKind::P256)).await.unwrap();
    let other = house.authority.create_code_key(&admin(), key_request("kept", KeyKind::Rsa2048)).await.unwrap_err();
    assert!(matches!(other, CaError::Conflict(_)), "{other}");
}

/// Nor by renewing what others made: the key in the token stays the key.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_puts_no_other_key_in_place_of_a_code_key() {
    let house = House::new().await;
    let made = house.authority.create_code_key(&admin(), key_request("release", KeyKind::P256)).await.unwrap();
    let own_key = Some(crate::house::csr(&[]));
    let refused = house.authority.renew(&admin(), &made.serial_hex(), own_key.clone()).await.unwrap_err();
    assert!(matches!(refused, CaError::BadRequest { what: "csr", .. }), "{refused}");

    // An administrator may certify a key that lives elsewhere; an issuer may keep it alive, but not replace it.
    let mut request = crate::house::server_request(&[]);
    request.profile = "code-signing".to_owned();
    request.csr = named_csr("Example Builds");
    let outside = house.authority.certify(&admin(), request).await.unwrap();
    assert_eq!(outside.subject, "CN=Example Builds,OU=web,O=Example");
    let issuer = actor("ina", Role::Issuer);
    house.authority.renew(&issuer, &outside.serial_hex(), None).await.unwrap();
    let refused = house.authority.renew(&issuer, &outside.serial_hex(), own_key).await.unwrap_err();
    assert!(matches!(&refused, CaError::Refused(r) if r.action == policy::Action::CreateKey), "{refused}");
}

fn named_csr(common_name: &str) -> ca::Csr {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, common_name);
    let request = params.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap();
    ca::Csr::parse(request.der()).unwrap()
}

/// One of each for tests that look at the whole.
pub async fn signature(house: &House) {
    house.authority.create_code_key(&admin(), key_request("any", KeyKind::P256)).await.unwrap();
    for format in [CodeFormat::Raw, CodeFormat::Cms] {
        house.authority.sign_code(&admin(), sign_request("any", b"any", format)).await.unwrap();
    }
}
