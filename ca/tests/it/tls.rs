//! TLS certificates, judged by openssl, webpki and x509-parser.

use ca::{CaError, CertifyRequest, CreateConfig, Csr, Lifetime, Prospect, RevocationReason};
use hsm::KeyKind;
use policy::{Name, Role, Timestamp, World};
use store::{Issued, State};

use crate::house::{House, accepts, actor, admin, csr, csr_pem, owner, refuses, server_request};

fn openssl_verify(house: &House, issued: &Issued, purpose: &str) -> String {
    let (leaf, chain, roots) = house.chain_files(issued);
    let time = issued.validity.unwrap().not_before().unix().to_string();
    accepts(
        "openssl",
        &[
            &"verify",
            &"-x509_strict",
            &"-purpose",
            &purpose,
            &"-attime",
            &time,
            &"-CAfile",
            &roots,
            &"-untrusted",
            &chain,
            &leaf,
        ],
    )
}

pub fn webpki_verify(house: &House, issued: &Issued, name: &str) -> Result<(), webpki::Error> {
    webpki_verify_with(house, issued, name, None)
}

/// The same where a CRL is to tell of it.
pub fn webpki_verify_with(house: &House, issued: &Issued, name: &str, crl: Option<&[u8]>) -> Result<(), webpki::Error> {
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    let issuers = house.authority.cas();
    let der = |name: &str| {
        let ca = issuers.iter().find(|ca| ca.name.to_string() == name).unwrap();
        CertificateDer::from(ca.certificate.as_ref().unwrap().der.to_vec())
    };
    let (root, intermediate, leaf) = (der("root/1"), der(&issued.issuer), CertificateDer::from(issued.x509_der()));
    let crls: Vec<webpki::CertRevocationList<'_>> =
        crl.iter().map(|der| webpki::BorrowedCertRevocationList::from_der(der).unwrap().into()).collect();
    let crls: Vec<_> = crls.iter().collect();
    let options = (!crls.is_empty()).then(|| {
        let options = webpki::RevocationOptionsBuilder::new(&crls).unwrap();
        options.with_depth(webpki::RevocationCheckDepth::EndEntity).build()
    });
    let anchor = webpki::anchor_from_trusted_cert(&root).unwrap();
    let leaf = webpki::EndEntityCert::try_from(&leaf)?;
    let now =
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(issued.validity.unwrap().not_after().unix() as u64));
    leaf.verify_for_usage(
        tls::algorithms().all,
        &[anchor],
        &[intermediate],
        now,
        webpki::KeyUsage::server_auth(),
        options,
        None,
    )?;
    leaf.verify_is_valid_for_subject_name(&ServerName::try_from(name).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_webpki_and_gnutls_accept_a_server_certificate() {
    let house = House::new().await;
    let issued = house.server(&["www.example.com", "*.example.internal", "192.0.2.1"]).await;
    openssl_verify(&house, &issued, "sslserver");
    for name in ["www.example.com", "a.example.internal", "192.0.2.1"] {
        webpki_verify(&house, &issued, name).unwrap();
    }
    assert!(webpki_verify(&house, &issued, "other.example.com").is_err());
    let (_, chain, roots) = house.chain_files(&issued);
    accepts(
        "certtool",
        &[&"--verify", &"--verify-profile", &"high", &"--load-ca-certificate", &roots, &"--infile", &chain],
    );
    assert_eq!(issued.state, State::Issued);
    assert_eq!(issued.serial.len(), 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_ca_key_signs() {
    for (root, issuing) in [
        (KeyKind::P384, KeyKind::P384),
        (KeyKind::P384, KeyKind::Rsa2048),
        (KeyKind::P384, KeyKind::Ed25519),
        (KeyKind::P521, KeyKind::P521),
        (KeyKind::Rsa2048Pss, KeyKind::Rsa2048Pss),
    ] {
        let house = House::with(World::real(), CreateConfig { root, issuing, ..CreateConfig::new("Example") }).await;
        let issued = house.server(&["www.example.com"]).await;
        openssl_verify(&house, &issued, "sslserver");
        webpki_verify(&house, &issued, "www.example.com").unwrap();
        let (_, chain, roots) = house.chain_files(&issued);
        accepts("certtool", &[&"--verify", &"--load-ca-certificate", &roots, &"--infile", &chain]);
        house.authority.revoke(&admin(), &issued.serial_hex(), RevocationReason::Superseded).await.unwrap();
        let crl = house.file("tls.crl", house.authority.crl("tls").await.unwrap());
        let (_, chain, _) = house.chain_files(&issued);
        let said = accepts("openssl", &[&"crl", &"-inform", &"DER", &"-in", &crl, &"-noout", &"-CAfile", &chain]);
        assert!(said.contains("verify OK"), "{said}");
        // Started again, it knows its keys for what they are, and its register proves every signature.
        let again = house.reopened(ca::Profiles::load(ca::Profiles::shipped()).unwrap()).await;
        again.certify(&admin(), server_request(&["www.example.com"])).await.unwrap();
        house.verified().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_subject_key_is_certified() {
    let house = House::new().await;
    let rsa = accepts("openssl", &[&"genpkey", &"-quiet", &"-algorithm", &"RSA", &"-pkeyopt", &"rsa_keygen_bits:2048"]);
    let made = |algorithm| rcgen::KeyPair::generate_for(algorithm).unwrap();
    let asked = |key: rcgen::KeyPair| {
        let params = rcgen::CertificateParams::new(vec!["www.example.com".to_owned()]).unwrap();
        params.serialize_request(&key).unwrap().der().to_vec()
    };
    for (csr, enciphers) in [
        (asked(made(&rcgen::PKCS_ECDSA_P256_SHA256)), false),
        (asked(made(&rcgen::PKCS_ECDSA_P384_SHA384)), false),
        (p521_csr(&house, "www.example.com"), false),
        (asked(made(&rcgen::PKCS_ED25519)), false),
        (asked(rcgen::KeyPair::from_pem(&rsa[rsa.find("-----BEGIN").unwrap()..]).unwrap()), true),
    ] {
        let mut request = server_request(&[]);
        request.csr = Csr::parse(&csr).unwrap();
        let issued = house.authority.certify(&admin(), request).await.unwrap();
        openssl_verify(&house, &issued, "sslserver");
        // NSS wants it of an RSA server; RFC 8813 and RFC 9295 forbid it to the others.
        let (leaf, ..) = house.chain_files(&issued);
        let text = accepts("openssl", &[&"x509", &"-in", &leaf, &"-noout", &"-ext", &"keyUsage"]);
        let usage = text.lines().nth(1).unwrap().trim().to_owned();
        assert_eq!(usage, if enciphers { "Digital Signature, Key Encipherment" } else { "Digital Signature" });
    }
}

/// rcgen over ring makes no P-521.
fn p521_csr(house: &House, name: &str) -> Vec<u8> {
    let (key, csr) = (house.dir.path().join("p521.key"), house.dir.path().join("p521.csr"));
    let subject = format!("/CN={name}");
    accepts("openssl", &[&"ecparam", &"-genkey", &"-noout", &"-name", &"secp521r1", &"-out", &key]);
    accepts("openssl", &[&"req", &"-new", &"-subj", &subject, &"-key", &key, &"-out", &csr]);
    std::fs::read(csr).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_dns_name_the_subject_is_empty_and_the_san_critical() {
    let house = House::new().await;
    let issued = house.server(&["192.0.2.1"]).await;
    openssl_verify(&house, &issued, "sslserver");
    let (leaf, ..) = house.chain_files(&issued);
    let text = accepts("openssl", &[&"x509", &"-in", &leaf, &"-noout", &"-text"]);
    assert!(text.contains("X509v3 Subject Alternative Name: critical"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lifetime_is_what_was_asked_for_to_the_second() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    for secs in [120, 3600, 90 * 86_400] {
        let mut request = server_request(&["www.example.com"]);
        request.lifetime = Lifetime::Secs(secs);
        let issued = house.authority.certify(&admin(), request).await.unwrap();
        let (_, certificate) =
            x509_parser::parse_x509_certificate(Box::leak(issued.x509_der().into_boxed_slice())).unwrap();
        let validity = certificate.validity();
        assert_eq!(validity.not_after.timestamp() - validity.not_before.timestamp() + 1, secs as i64);
        let backdated = house.world.now().unix() - validity.not_before.timestamp();
        assert!((0..=60).contains(&backdated), "{backdated}");
    }
    for secs in [0, 59, 90 * 86_400 + 1, u64::MAX] {
        let mut request = server_request(&["www.example.com"]);
        request.lifetime = Lifetime::Secs(secs);
        let refused = house.authority.certify(&admin(), request).await.unwrap_err();
        assert!(matches!(refused, CaError::BadRequest { what: "validity", .. }), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_ends_with_its_issuer() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let end = Timestamp::parse_rfc3339("2032-02-28T11:58:59Z").unwrap();
    house.world.set(end.plus_secs(-86_400));
    let issued = house.server(&["www.example.com"]).await;
    assert_eq!(issued.validity.unwrap().not_after(), end);
    house.world.set(end.plus_secs(-30));
    let refused = house.authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap_err();
    assert!(matches!(refused, CaError::Held { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_profile_does_not_allow_is_refused() {
    let house = House::new().await;
    for (profile, names, what) in [
        ("tls-server", &["a@example.com"][..], "names"),
        ("tls-client", &["*.example.com"], "names"),
        ("tls-server", &[], "names"),
        ("tls-serve", &["www.example.com"], "profile"),
        ("ssh-user", &["www.example.com"], "profile"),
    ] {
        let mut request = server_request(&[]);
        request.profile = profile.to_owned();
        request.names = Some(names.iter().map(|n| Name::parse(n).unwrap()).collect());
        let refused = house.authority.certify(&admin(), request).await.unwrap_err();
        assert!(
            matches!(&refused, CaError::BadRequest { what: w, .. } if *w == what),
            "{profile} {names:?}: {refused}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_csr_may_not_ask_for_more_than_the_request() {
    let house = House::new().await;
    let names = |names: &[&str]| Some(names.iter().map(|n| Name::parse(n).unwrap()).collect());
    let mut request = server_request(&["a.example.com"]);
    request.names = names(&["a.example.com", "b.example.com"]);
    let issued = house.authority.certify(&admin(), request).await.unwrap();
    assert_eq!(issued.names, ["dns:a.example.com", "dns:b.example.com"]);
    let mut request = server_request(&["c.example.com"]);
    request.names = names(&["a.example.com"]);
    let refused = house.authority.certify(&admin(), request).await.unwrap_err();
    assert!(refused.to_string().contains("c.example.com"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_issued_is_known_before_there_is_a_key() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let now = house.authority.world().now();
    let names = |names: &[&str]| names.iter().map(|n| Name::parse(n).unwrap()).collect::<Vec<_>>();
    let prospect = |profile: &str, asked: &[&str], lifetime| Prospect {
        profile: profile.to_owned(),
        owner: owner("web"),
        names: names(asked),
        lifetime,
    };
    let ina = actor("ina", Role::Issuer);
    let good = ["www.example.com"];
    for (what, profile, asked, lifetime) in [
        ("names", "tls-server", &["a@example.com"][..], Lifetime::ByProfile),
        ("names", "tls-client", &["*.example.com"], Lifetime::ByProfile),
        ("names", "tls-server", &[], Lifetime::ByProfile),
        ("profile", "ssh-user", &good, Lifetime::ByProfile),
        ("validity", "tls-server", &good, Lifetime::Until(now.plus_secs(400 * 86_400))),
        ("validity", "tls-server", &good, Lifetime::Until(now.plus_secs(-1))),
        ("validity", "tls-server", &good, Lifetime::Until(now)),
    ] {
        let refused = house.authority.foresee(&ina, prospect(profile, asked, lifetime)).await.unwrap_err();
        assert!(
            matches!(&refused, CaError::BadRequest { what: w, .. } if *w == what),
            "{profile} {asked:?} {lifetime:?}: {refused}"
        );
    }
    let foreign = prospect("tls-server", &["www.example.org"], Lifetime::ByProfile);
    let refused = house.authority.foresee(&ina, foreign).await.unwrap_err();
    assert!(matches!(&refused, CaError::Refused(r) if r.missing.contains("www.example.org")), "{refused}");
    house.authority.foresee(&ina, prospect("tls-server", &good, Lifetime::ByProfile)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_ends_when_it_was_asked_to_or_is_not_issued() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let now = house.authority.world().now();
    let longest = i64::try_from(house.authority.profiles().get("tls-server").unwrap().max_validity_secs()).unwrap();
    // A minute beyond the longest: who asks counts from a clock of his own.
    for secs in [3_600, 86_400, longest - 61, longest - 1, longest, longest + 59] {
        let mut request = server_request(&["www.example.com"]);
        request.lifetime = Lifetime::Until(now.plus_secs(secs));
        let issued = house.authority.certify(&admin(), request).await.unwrap();
        let validity = issued.validity.unwrap();
        assert_eq!(validity.not_after(), now.plus_secs(secs));
        let whole = if secs < longest { longest } else { secs + 1 };
        assert!(validity.secs() <= whole && validity.not_before() <= now, "{secs}");
    }
    let mut request = server_request(&["www.example.com"]);
    request.lifetime = Lifetime::Until(now.plus_secs(longest + 60));
    assert!(house.authority.certify(&admin(), request).await.is_err(), "longer than the longest");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_leaves_its_refusal_and_nothing_else() {
    let house = House::new().await;
    let before = house.ledger.counts().await.unwrap();
    let refused =
        house.authority.certify(&actor("ina", Role::Issuer), server_request(&["www.example.org"])).await.unwrap_err();
    assert!(matches!(&refused, CaError::Refused(r) if r.missing.contains("www.example.org")), "{refused}");
    let after = house.ledger.counts().await.unwrap();
    assert_eq!((after.issued, after.intended, after.failed), (before.issued, before.intended, before.failed));
    assert_eq!(after.leaves, before.leaves + 1);
    let (_, leaf) = house.ledger.leaves(before.leaves..after.leaves).await.unwrap().remove(0);
    assert!(leaf.contains("www.example.org") && leaf.contains("ina"), "{leaf}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_is_a_new_serial_with_everything_else_kept() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let mut request = server_request(&["b.example.com", "a.example.com"]);
    request.lifetime = Lifetime::Secs(600);
    request.renew = true;
    let old = house.authority.certify(&admin(), request).await.unwrap();
    house.world.advance(400);

    let same_key = house.authority.renew(&admin(), &old.serial_hex(), None).await.unwrap();
    assert_eq!(same_key.key_hash, old.key_hash);
    let new_key = house.authority.renew(&admin(), &old.serial_hex(), Some(csr(&["a.example.com"]))).await.unwrap();
    assert_ne!(new_key.key_hash, old.key_hash);
    for new in [&same_key, &new_key] {
        assert_ne!(new.serial, old.serial);
        assert_eq!(
            (&new.names, &new.subject, &new.owner, &new.profile),
            (&old.names, &old.subject, &old.owner, &old.profile)
        );
        assert_eq!(new.validity.unwrap().secs(), 600);
        assert_eq!(new.details["renews"], old.serial_hex());
        assert_eq!(new.details["renew"], true);
        openssl_verify(&house, new, "sslserver");
    }
    let greedy = house.authority.renew(&admin(), &old.serial_hex(), Some(csr(&["c.example.com"]))).await.unwrap_err();
    assert!(matches!(greedy, CaError::BadRequest { what: "names", .. }));
    let missing = house.authority.renew(&admin(), "0101", None).await.unwrap_err();
    assert!(matches!(missing, CaError::NotFound(_)));
}

/// The register sees by owner, profile and names who takes whose place; where those differ it is told by who may renew.
#[tokio::test(flavor = "multi_thread")]
async fn another_certificate_takes_the_place_of_one_that_its_actor_may_renew() {
    let house = House::new().await;
    let old = house.server(&["a.example.com"]).await;
    let asked = |names: &[&str], serial: String| CertifyRequest { replaces: Some(serial), ..server_request(names) };
    let kin = async |of: &Issued| house.ledger.kin(vec![of.operation]).await.unwrap().remove(&of.operation).unwrap();

    let wider = asked(&["a.example.com", "b.example.com"], old.serial_hex());
    let wider = house.authority.certify(&admin(), wider).await.unwrap();
    assert_eq!(wider.details["renews"], old.serial_hex());
    assert_eq!(kin(&old).await.successor, Some(wider.serial_hex()));
    let renewed = house.authority.renew(&admin(), &wider.serial_hex(), None).await.unwrap();
    assert_eq!(kin(&wider).await.successor, Some(renewed.serial_hex()));
    let asked_again = asked(&["a.example.com", "b.example.com"], renewed.serial_hex());
    let last = house.authority.certify(&admin(), asked_again).await.unwrap();
    assert!([&old, &wider, &renewed].map(|old| old.serial != last.serial) == [true; 3] && kin(&renewed).await.replaced);
    // What the names say needs no word.
    let plain = house.server(&["p.example.com"]).await;
    let same = house.authority.certify(&admin(), asked(&["p.example.com"], plain.serial_hex())).await.unwrap();
    assert!(same.details.get("renews").is_none() && kin(&plain).await.replaced);

    let mut issuer = actor("ina", Role::Issuer);
    issuer.scopes = Some([policy::Action::IssueCertificate].into());
    let refused = house.authority.certify(&issuer, asked(&["c.example.com"], last.serial_hex())).await.unwrap_err();
    assert!(matches!(&refused, CaError::Refused(r) if r.action == policy::Action::RenewCertificate), "{refused}");
    let other = CertifyRequest { owner: owner("db"), ..server_request(&["d.example.com"]) };
    let other = house.authority.certify(&admin(), other).await.unwrap();
    for serial in [other.serial_hex(), "0101".into(), "zz".into()] {
        let refused = house.authority.certify(&admin(), asked(&["c.example.com"], serial)).await.unwrap_err();
        assert!(
            matches!(&refused, CaError::BadRequest { what: "replaces", detail } if detail.contains("none of this owner")),
            "{refused}"
        );
    }
    assert!(!kin(&last).await.replaced);
}

/// A renewal with another key hands the names to that key's holder: it takes the right to issue.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_renew_cannot_put_a_key_of_its_own_in_place() {
    let house = House::new().await;
    let old = house.server(&["a.example.com"]).await;
    let operator = actor("olga", Role::Operator);
    let refused = house.authority.renew(&operator, &old.serial_hex(), Some(csr(&["a.example.com"]))).await.unwrap_err();
    assert!(matches!(&refused, CaError::Refused(r) if r.action == policy::Action::IssueCertificate), "{refused}");
    let mut scoped = actor("ina", Role::Issuer);
    scoped.scopes = Some([policy::Action::RenewCertificate].into());
    let refused = house.authority.renew(&scoped, &old.serial_hex(), Some(csr(&["a.example.com"]))).await.unwrap_err();
    assert!(matches!(&refused, CaError::Refused(r) if r.action == policy::Action::IssueCertificate), "{refused}");

    house.authority.renew(&operator, &old.serial_hex(), None).await.unwrap();
    house.authority.renew(&actor("ina", Role::Issuer), &old.serial_hex(), Some(csr(&[]))).await.unwrap();
}

/// Whoever may not renew a certificate learns nothing of it: neither its names nor its key, whatever the request has.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_renew_is_told_so_before_anything_is_compared() {
    let house = House::new().await;
    let old = house.server(&["a.example.com"]).await;
    let mut stranger = actor("sam", Role::Issuer);
    stranger.owners = [owner("other")].into();
    for names in [&["a.example.com"][..], &["b.example.com"], &[]] {
        let refused = house.authority.renew(&stranger, &old.serial_hex(), Some(csr(names))).await.unwrap_err();
        assert!(matches!(&refused, CaError::Refused(r) if r.action == policy::Action::RenewCertificate), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_hangs_up_changes_nothing() {
    let house = House::new().await;
    let before = house.ledger.counts().await.unwrap();
    let authority = house.authority.clone();
    let call = tokio::spawn(async move { authority.certify(&admin(), server_request(&["www.example.com"])).await });
    // Wherever the abort hits, either nothing was written or the page is walked to its end.
    while house.ledger.head().size == before.leaves {
        tokio::task::yield_now().await;
    }
    call.abort();
    let _ = call.await;
    let concluded = async {
        loop {
            let now = house.ledger.counts().await.unwrap();
            if now.intended == before.intended && now.issued == before.issued + 1 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), concluded).await.expect("the page is walked to its end");
}

#[tokio::test(flavor = "multi_thread")]
async fn tampering_shows() {
    let house = House::new().await;
    let issued = house.server(&["www.example.com"]).await;
    let mut der = issued.x509_der();
    let at = der.windows(7).position(|w| w == b"example").unwrap();
    der[at] ^= 1;
    let leaf = house.file("leaf.der", der);
    let (_, chain, roots) = house.chain_files(&issued);
    refuses("openssl", &[&"verify", &"-CAfile", &roots, &"-untrusted", &chain, &leaf]);
    assert!(csr_pem(&["x.example.com"]).contains("REQUEST"));
}
