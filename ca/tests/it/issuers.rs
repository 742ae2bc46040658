//! Issuers that live and die: made, succeeded, brought in, cross-signed, revoked, ended; judged by openssl and webpki.

use std::path::{Path, PathBuf};

use ca::{
    Activation, Authority, Brought, CaError, CaWish, CreateConfig, CreateIssuer, Dn, Generation, GenerationName,
    GenerationState, IssuerRole, KeyKind, Profile, Profiles, RevocationReason, Rotate, SshRequest,
};
use policy::{Principal, World};
use store::Issued;

use crate::house::{House, accepts, actor, admin, owner, server_request};

const SSH_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti someone";

pub fn name(text: &str) -> GenerationName {
    text.parse().unwrap()
}

pub fn generation(authority: &Authority, wanted: &str) -> Generation {
    let all = authority.issuers().into_iter().flat_map(|issuer| issuer.generations);
    all.into_iter().find(|generation| generation.name.to_string() == wanted).unwrap()
}

pub fn state(authority: &Authority, wanted: &str) -> GenerationState {
    generation(authority, wanted).state
}

pub fn below(issuer: &str, above: &str) -> CreateIssuer {
    CreateIssuer {
        name: issuer.to_owned(),
        role: IssuerRole::X509,
        key: KeyKind::P256,
        ca: Some(CaWish {
            above: above.to_owned(),
            subject: Dn::parse(&format!("/O=Example/CN=Example {}", issuer.replace('/', "-"))).unwrap(),
            validity_secs: 365 * 86_400,
            path_len: 0,
            purposes: vec!["server-auth".to_owned(), "client-auth".to_owned()],
            permitted: Vec::new(),
            excluded: Vec::new(),
            policies: Vec::new(),
            leaves: true,
        }),
        shards: None,
        deltas: None,
        token: None,
    }
}

/// The shipped profiles, with one more: `tls-server` under another issuer.
pub fn profiles_under(issuer: &str) -> Profiles {
    let mut all: Vec<(String, String)> = Profiles::shipped().iter().map(|(n, t)| ((*n).into(), (*t).into())).collect();
    let text = all
        .iter()
        .find(|(name, _)| name == "tls-server")
        .unwrap()
        .1
        .replace("issuer = \"tls\"", &format!("issuer = \"{issuer}\""));
    all.push(("other-server".to_owned(), text));
    Profiles::load(&all).unwrap()
}

pub async fn server_under(authority: &Authority, names: &[&str]) -> Result<Issued, CaError> {
    let request = ca::CertifyRequest { profile: "other-server".to_owned(), ..server_request(names) };
    authority.certify(&admin(), request).await
}

/// openssl's verdict on a certificate with what the authority hands out beside it.
fn verifies(house: &House, authority: &Authority, issued: &Issued, roots: &Path) -> bool {
    let leaf = house.file("v-leaf.pem", authority.certificate_pem(issued));
    let chain = house.file("v-chain.pem", authority.chain_pem(issued));
    let args: [&dyn AsRef<std::ffi::OsStr>; 6] =
        [&"verify", &"-x509_strict", &"-CAfile", &roots, &"-untrusted", &chain];
    let output = std::process::Command::new("openssl").args(args.map(AsRef::as_ref)).arg(&leaf).output().unwrap();
    output.status.success()
}

fn roots(house: &House, authority: &Authority, file: &str) -> PathBuf {
    house.file(file, authority.roots_pem())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_issues_in_place_of_the_one_before_and_the_way_back_is_open() {
    let now = World::real().now();
    let house = House::with(World::fixed(now, 7), CreateConfig::new("Example")).await;
    let authority = &house.authority;
    let before = house.server(&["www.example.com"]).await;
    assert_eq!(before.issuer, "tls/1");
    assert_eq!(authority.rotate_issuer(&admin(), Rotate::of("tls")).await.unwrap(), name("tls/2"));
    assert_eq!(
        (state(authority, "tls/1"), state(authority, "tls/2")),
        (GenerationState::Retiring, GenerationState::Active)
    );
    let after = house.server(&["www.example.com"]).await;
    assert_eq!(after.issuer, "tls/2");
    let trusted = roots(&house, authority, "roots.pem");
    assert!(verifies(&house, authority, &before, &trusted) && verifies(&house, authority, &after, &trusted));
    // Each tells of its own: two keys, two CRLs, of which each is served on.
    authority.revoke(&admin(), &before.serial_hex(), RevocationReason::Superseded).await.unwrap();
    let listed = |crl: &[u8]| crate::revocation::listed(crl);
    assert!(listed(&authority.crl("tls/1").await.unwrap().der).contains(&before.serial_hex()));
    assert!(!listed(&authority.crl("tls/2").await.unwrap().der).contains(&before.serial_hex()));
    assert_eq!(authority.crl("tls").await.unwrap(), authority.crl("tls/2").await.unwrap());
    let renewed = authority.renew(&admin(), &after.serial_hex(), None).await.unwrap();
    assert_eq!(renewed.issuer, "tls/2");
    house.authority.activate_issuer(&admin(), &name("tls/1"), Activation::Now).await.unwrap();
    // Of two of one second the one with the higher number issues, so the way back takes the next.
    assert_eq!(house.server(&["www.example.com"]).await.issuer, "tls/2");
    house.world.advance(1);
    assert_eq!(house.server(&["www.example.com"]).await.issuer, "tls/1");
    let restarted = house.reopened(Profiles::load(Profiles::shipped()).unwrap()).await;
    assert_eq!(state(&restarted, "tls/1"), GenerationState::Active);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_waits_for_its_day() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let day = policy::Timestamp::parse_rfc3339("2027-04-01T06:00:00Z").unwrap();
    let wish = Rotate { activates: Activation::At(day), ..Rotate::of("tls") };
    let rehearsal = house.authority.rehearse_rotation(&admin(), &wish).await.unwrap();
    assert_eq!((rehearsal.new.to_string().as_str(), rehearsal.old), ("tls/2", Some(name("tls/1"))));
    let touched: Vec<_> = rehearsal.phases.iter().flat_map(|phase| &phase.touches).cloned().collect();
    assert!(
        touched.contains(&"profile tls-server".to_owned()) && touched.contains(&"profile tls-client".to_owned()),
        "{touched:?}"
    );
    assert!(rehearsal.way_back.contains("chancery ca activate tls/1"));
    assert_eq!(house.authority.issuers().iter().map(|i| i.generations.len()).sum::<usize>(), 7, "nothing was made");

    house.authority.rotate_issuer(&admin(), wish).await.unwrap();
    assert_eq!(state(&house.authority, "tls/2"), GenerationState::Pending);
    assert_eq!(house.server(&["a.example.com"]).await.issuer, "tls/1");
    house.world.advance(day.since(house.world.now()));
    assert_eq!(house.server(&["a.example.com"]).await.issuer, "tls/2");
    assert!(
        house
            .authority
            .rotate_issuer(&admin(), Rotate { activates: Activation::At(day.plus_secs(-1)), ..Rotate::of("tls") })
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compromised_ca_issues_nothing_the_rest_goes_on_and_its_successor_serves() {
    let house = House::new().await;
    let authority = &house.authority;
    let before = house.server(&["www.example.com"]).await;
    authority.revoke_issuer(&admin(), &name("tls/1"), RevocationReason::KeyCompromise).await.unwrap();
    assert_eq!(state(authority, "tls/1"), GenerationState::Revoked);
    let refused = authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap_err();
    assert!(matches!(&refused, CaError::Conflict(why) if why.contains("revoked")), "{refused}");
    let health = authority.health();
    assert_eq!(health.stopped.len(), 1);
    assert!(
        health.stopped[0].word == "revoked" && health.stopped[0].why.contains("chancery ca rotate tls"),
        "{health:?}"
    );
    assert!(authority.is_orphaned(&before));
    // Its parent's CRL has it; its own goes on.
    let serial = generation(authority, "tls/1").certificate.unwrap().serial;
    assert!(crate::revocation::listed(&authority.crl("root").await.unwrap().der).contains(&serial));
    authority.revoke(&admin(), &before.serial_hex(), RevocationReason::CessationOfOperation).await.unwrap();
    assert!(crate::revocation::listed(&authority.crl("tls/1").await.unwrap().der).contains(&before.serial_hex()));
    // Neither a new certificate for the same key nor the way back makes it good again.
    assert!(authority.renew_issuer(&admin(), &name("tls/1")).await.is_err());
    assert!(authority.activate_issuer(&admin(), &name("tls/1"), Activation::Now).await.is_err());
    let ssh = SshRequest {
        public_key: SSH_KEY.to_owned(),
        owner: owner("web"),
        principals: vec![Principal::parse("alice").unwrap()],
        validity_secs: None,
        key_id: None,
    };
    authority.sign_ssh_user(&admin(), ssh).await.unwrap();
    // The next start takes it as it is, and one command brings the service back.
    let restarted = house.reopened(Profiles::load(Profiles::shipped()).unwrap()).await;
    assert!(restarted.certify(&admin(), server_request(&["www.example.com"])).await.is_err());
    restarted.rotate_issuer(&admin(), Rotate::of("tls")).await.unwrap();
    let after = restarted.certify(&admin(), server_request(&["www.example.com"])).await.unwrap();
    assert_eq!(after.issuer, "tls/2");
    assert_ne!(generation(&restarted, "tls/2").key_hash, generation(&restarted, "tls/1").key_hash);
    // This one was opened before, and follows.
    assert_eq!(authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap().issuer, "tls/2");
    assert!(restarted.health().stopped.is_empty());
}

/// The other way to say it: the certificate is revoked by its serial, and the record of the issuer says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_told_to_be_known_to_others_gets_no_other_certificate() {
    let house = House::new().await;
    let serial = generation(&house.authority, "tls/1").certificate.unwrap().serial;
    house.authority.revoke(&admin(), &serial, RevocationReason::KeyCompromise).await.unwrap();
    assert_eq!(state(&house.authority, "tls/1"), GenerationState::Revoked);
    let refused = house.authority.renew_issuer(&admin(), &name("tls/1")).await.unwrap_err();
    assert!(matches!(&refused, CaError::Conflict(why) if why.contains("compromised")), "{refused}");
    house.authority.rotate_issuer(&admin(), Rotate::of("tls")).await.unwrap();
    assert_eq!(house.server(&["www.example.com"]).await.issuer, "tls/2");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_below_a_revoked_root_issues_nothing() {
    let house = House::new().await;
    house.authority.revoke_issuer(&admin(), &name("root/1"), RevocationReason::Superseded).await.unwrap();
    let refused = house.authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap_err();
    assert!(matches!(&refused, CaError::Conflict(why) if why.contains("above `tls/1`")), "{refused}");
    // Its successor gets its key and no certificate yet; the same command goes on from there.
    assert!(house.authority.rotate_issuer(&admin(), Rotate::of("tls")).await.is_err());
    // A new root, and new CAs below it: the service is back.
    house.authority.rotate_issuer(&admin(), Rotate::of("root")).await.unwrap();
    assert_eq!(house.authority.rotate_issuer(&admin(), Rotate::of("tls")).await.unwrap(), name("tls/2"));
    let issued = house.server(&["www.example.com"]).await;
    let trusted = roots(&house, &house.authority, "roots.pem");
    assert!(verifies(&house, &house.authority, &issued, &trusted));
    assert_eq!(house.authority.roots().len(), 1, "the revoked root is not handed out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_is_succeeded_without_a_chain_that_fails_for_anybody() {
    let house = House::new().await;
    let authority = &house.authority;
    let old_only = roots(&house, authority, "old.pem");
    let before = house.server(&["www.example.com"]).await;
    authority.rotate_issuer(&admin(), Rotate { cross: true, ..Rotate::of("root") }).await.unwrap();
    let both = roots(&house, authority, "both.pem");
    assert_eq!(authority.roots().len(), 2);
    authority.rotate_issuer(&admin(), Rotate::of("tls")).await.unwrap();
    let after = house.server(&["www.example.com"]).await;
    let root2 = generation(authority, "root/2").certificate.unwrap().der;
    let new_only = house.file("new.pem", pem(&root2));
    // By default the chain ends in the root that everybody has; the other one is offered beside it.
    for (issued, trusted, good) in [
        (&before, &old_only, true),
        (&before, &both, true),
        (&after, &old_only, true),
        (&after, &both, true),
        (&after, &new_only, true),
    ] {
        assert_eq!(verifies(&house, authority, issued, trusted), good, "{}", trusted.display());
    }
    let chains = authority.chains_pem(&after);
    assert_eq!(chains.len(), 2);
    // A profile says which of them is handed out: by the root's common name or its hash. One that there is not changes nothing.
    let newest = x509_name(&root2);
    let by_hash = hex::encode(ring::digest::digest(&ring::digest::SHA256, &root2));
    for (root, first) in [(newest.as_str(), 1), (by_hash.as_str(), 1), ("Another Root", 0)] {
        let servers = Profiles::shipped()[0].1;
        let text = servers.replace("wildcards = true", &format!("wildcards = true\nchain = \"{root}\""));
        let texts: Vec<_> =
            std::iter::once(("tls-server", text.as_str())).chain(Profiles::shipped()[1..].to_vec()).collect();
        let choosing = house.reopened(Profiles::load(&texts).unwrap()).await;
        assert_eq!(choosing.chain_pem(&after), chains[first], "{root}");
        assert_eq!(choosing.chains_pem(&after), [chains[first].clone(), chains[1 - first].clone()], "{root}");
        // And what would be handed out otherwise is told before it is switched on.
        let changed = [Profile::read("tls-server", &text).unwrap()];
        let since = house.world.now().plus_secs(-3_600);
        let told = authority.replay(&admin(), &changed, since, None).await.unwrap().differing;
        let of_after: Vec<_> =
            told.iter().filter(|one| one.serial == after.serial_hex()).flat_map(|one| &one.differs).collect();
        assert_eq!(
            of_after.iter().any(|one| one.what == "chain" && one.would.contains(&newest)),
            first == 1,
            "{of_after:?}"
        );
        drop(choosing);
    }
    let shorter = house.file("short.pem", &chains[1]);
    let leaf = house.file("leaf.pem", authority.certificate_pem(&after));
    accepts("openssl", &[&"verify", &"-x509_strict", &"-CAfile", &new_only, &"-untrusted", &shorter, &leaf]);
    // The old one is retired: the shorter chain is the one that is handed out.
    let refused = authority.retire_issuer(&admin(), &name("root/1"), false).await;
    assert!(matches!(refused, Ok(()) | Err(CaError::Conflict(_))));
    authority.retire_issuer(&admin(), &name("root/1"), true).await.ok();
    assert_eq!(state(authority, "root/1"), GenerationState::Ended);
    assert!(verifies(&house, authority, &after, &new_only));
    assert_eq!(authority.roots().len(), 1);
}

/// The common name of a certificate's subject.
fn x509_name(der: &[u8]) -> String {
    use x509_parser::prelude::{FromDer, X509Certificate};
    let (_, certificate) = X509Certificate::from_der(der).unwrap();
    certificate.subject().iter_common_name().next().unwrap().as_str().unwrap().to_owned()
}

fn pem(der: &[u8]) -> String {
    use base64::Engine;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_further_ca_is_bound_by_its_constraints() {
    let house = House::new().await;
    let mut wish = below("edge", "root");
    if let Some(ca) = &mut wish.ca {
        ca.permitted = vec!["dns:example.internal".to_owned(), "ip:192.0.2.0/24".to_owned()];
        ca.excluded = vec!["dns:secret.example.internal".to_owned()];
        ca.policies = vec!["1.3.6.1.4.1.99999.1".to_owned()];
    }
    assert_eq!(house.authority.create_issuer(&admin(), wish.clone()).await.unwrap(), name("edge/1"));
    assert!(
        matches!(house.authority.create_issuer(&admin(), below("edge", "root")).await, Err(CaError::Conflict(_))),
        "once"
    );
    let authority = house.reopened(profiles_under("edge")).await;
    let trusted = roots(&house, &authority, "roots.pem");
    let inside = server_under(&authority, &["www.example.internal"]).await.unwrap();
    assert_eq!(inside.issuer, "edge/1");
    assert!(verifies(&house, &authority, &inside, &trusted));
    // What a relying party would refuse is refused before the key is touched, by name.
    let outside = ["www.example.com", "a.secret.example.internal", "*.secret.example.internal", "*.example.internal"];
    for outside in outside {
        let refused = server_under(&authority, &[outside]).await.unwrap_err();
        assert!(refused.to_string().contains("leaf-names-are-within-the-constraints"), "{outside}: {refused}");
    }
    server_under(&authority, &["*.www.example.internal"]).await.unwrap();
    // The root signs CAs alone, whatever a profile says; and an SSH CA none of these.
    for issuer in ["root", "ssh-user", "nowhere"] {
        let authority = house.reopened(profiles_under(issuer)).await;
        let refused = server_under(&authority, &["www.example.com"]).await.unwrap_err();
        assert!(matches!(&refused, CaError::BadRequest { what: "profile", .. }), "{issuer}: {refused}");
    }
    // Below the path length of the root there is no room for CAs below `edge`.
    let refused = house.authority.create_issuer(&admin(), below("deeper", "edge")).await.unwrap_err();
    assert!(matches!(&refused, CaError::Lint(_)), "{refused}");
}

/// A wish that comes to nothing takes no name and makes no key, whatever it fails by.
#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_could_not_be_made_can_be_asked_for_otherwise() {
    let house = House::new().await;
    let made = async |change: fn(&mut CreateIssuer)| {
        let mut wish = below("edge", "root");
        change(&mut wish);
        house.authority.create_issuer(&admin(), wish).await
    };
    let is_there = || house.authority.issuers().iter().any(|issuer| issuer.name == "edge");
    let too_long = made(|wish| wish.ca.as_mut().unwrap().path_len = 3).await.unwrap_err();
    assert!(matches!(&too_long, CaError::Lint(_)) && !is_there(), "{too_long}");
    assert!(house.pool.find("edge-1").await.is_err(), "no key was made");
    // SoftHSM makes none of this kind; that is known once it was tried.
    let no_such_key = made(|wish| wish.key = KeyKind::MlDsa44).await;
    assert!(no_such_key.is_err() && house.pool.find("edge-1").await.is_err());
    assert_eq!(made(|_| ()).await.unwrap(), name("edge/1"));
    assert_eq!(state(&house.authority, "edge/1"), GenerationState::Active);
    assert!(matches!(made(|wish| wish.key = KeyKind::P384).await, Err(CaError::Conflict(_))), "once");
    house.verified().await;
}

/// SHA-256 of a certificate, PEM.
pub fn fingerprint(pem: &str) -> [u8; 32] {
    let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    ring::digest::digest(&ring::digest::SHA256, &block.contents).as_ref().try_into().unwrap()
}

/// A CA of somebody else's, by openssl: its key and its certificate.
pub fn foreign_root(dir: &Path) -> (PathBuf, PathBuf) {
    let (key, certificate) = (dir.join("foreign.key"), dir.join("foreign.pem"));
    let config = dir.join("foreign.cnf");
    std::fs::write(
        &config,
        "[req]\ndistinguished_name=dn\nx509_extensions=ca\nprompt=no\n[dn]\nO=Elsewhere\nCN=Elsewhere Root\n[ca]\n\
         basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n\
         [mail]\nbasicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n\
         subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always\nextendedKeyUsage=clientAuth,emailProtection\n\
         [sub]\nbasicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n\
         subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always\n",
    )
    .unwrap();
    accepts(
        "openssl",
        &[
            &"req",
            &"-x509",
            &"-newkey",
            &"rsa:2048",
            &"-sha384",
            &"-nodes",
            &"-days",
            &"3650",
            &"-config",
            &config,
            &"-keyout",
            &key,
            &"-out",
            &certificate,
        ],
    );
    (key, certificate)
}

/// Roots from elsewhere sign as no key of ours does: openssl takes SHA-256 on whatever curve, and PSS with another salt.
#[tokio::test(flavor = "multi_thread")]
async fn a_ca_of_any_kind_stands_below_a_root_that_signs_in_its_own_way() {
    let house = House::new().await;
    let dir = house.dir.path().to_owned();
    foreign_root(&dir);
    let openssl = |arguments: &str| {
        let done = std::process::Command::new("openssl").args(arguments.split(' ')).current_dir(&dir).output().unwrap();
        assert!(done.status.success(), "{arguments}: {}", String::from_utf8_lossy(&done.stderr));
    };
    let pss = "-sha512 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:20";
    for (label, kind, root, signs) in [
        ("edge-a", KeyKind::P521, "ec -pkeyopt ec_paramgen_curve:P-521", "-sha256"),
        ("edge-b", KeyKind::Rsa2048Pss, "rsa:2048", pss),
        ("edge-c", KeyKind::Ed25519, "ec -pkeyopt ec_paramgen_curve:P-256", "-sha512"),
    ] {
        let subject = format!("/O=Elsewhere/CN={label}");
        let root = format!("-newkey {root} -addext keyUsage=critical,keyCertSign,cRLSign -subj {subject}");
        openssl(&format!("req -x509 {root} {signs} -nodes -days 9 -keyout r.key -out r.pem"));
        let wish = CreateIssuer { key: kind, ..below(label, "elsewhere") };
        let edge = house.authority.create_issuer(&admin(), wish).await.unwrap();
        let request = house.authority.request_issuer(&admin(), &edge).await.unwrap();
        house.file("edge.csr", &request.pem);
        openssl("req -in edge.csr -verify -noout");
        let sub = "-extfile foreign.cnf -extensions sub -set_serial 0x1234567890abcdef";
        openssl(&format!("x509 -req -in edge.csr -CA r.pem -CAkey r.key {signs} -days 8 {sub} -out edge.pem"));
        let read = |file: &str| std::fs::read_to_string(dir.join(file)).unwrap();
        let (signed, root) = (read("edge.pem"), read("r.pem"));
        let fingerprint = Some(fingerprint(&root));
        house.authority.adopt_issuer(&admin(), &edge, (signed + &root).as_bytes(), (fingerprint, None)).await.unwrap();
        let authority = house.reopened(profiles_under(label)).await;
        let issued = server_under(&authority, &["www.example.com"]).await.unwrap();
        assert!(verifies(&house, &authority, &issued, &dir.join("r.pem")), "{label}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_stands_below_a_foreign_root() {
    let house = House::new().await;
    let dir = house.dir.path().to_owned();
    let (key, root) = foreign_root(&dir);
    let edge = house.authority.create_issuer(&admin(), below("edge", "elsewhere")).await.unwrap();
    assert_eq!(state(&house.authority, "edge/1"), GenerationState::Pending, "it waits for its certificate");
    let authority = house.reopened(profiles_under("edge")).await;
    assert!(matches!(server_under(&authority, &["www.example.com"]).await, Err(CaError::Conflict(_))));
    let request = authority.request_issuer(&admin(), &edge).await.unwrap();
    let csr = house.file("edge.csr", &request.pem);
    let said = accepts("openssl", &[&"req", &"-in", &csr, &"-verify", &"-noout", &"-text"]);
    assert!(said.contains("CA:TRUE") && said.contains("O = Example, CN = Example edge"), "{said}");
    let signed_as = |section: &str| {
        let signed = dir.join(format!("edge-{section}.pem"));
        accepts(
            "openssl",
            &[
                &"x509",
                &"-req",
                &"-in",
                &csr,
                &"-CA",
                &root,
                &"-CAkey",
                &key,
                &"-sha384",
                &"-days",
                &"365",
                &"-extfile",
                &dir.join("foreign.cnf"),
                &"-extensions",
                &section,
                &"-set_serial",
                &"0x1234567890abcdef",
                &"-out",
                &signed,
            ],
        );
        std::fs::read_to_string(&signed).unwrap()
    };
    let (signed, root_pem) = (signed_as("sub"), std::fs::read_to_string(&root).unwrap());
    // Without the root, or with another's, there is no chain.
    let print = Some(fingerprint(&root_pem));
    assert!(authority.adopt_issuer(&admin(), &edge, signed.as_bytes(), (print, None)).await.is_err());
    assert!(authority.adopt_issuer(&admin(), &edge, authority.roots_pem().as_bytes(), (print, None)).await.is_err());
    // A root that nobody vouched for comes with no chain.
    for unsaid in [None, Some([7; 32])] {
        let refused =
            authority.adopt_issuer(&admin(), &edge, (signed.clone() + &root_pem).as_bytes(), (unsaid, None)).await;
        assert!(matches!(refused, Err(CaError::BadRequest { what: "fingerprint", .. })), "{refused:?}");
        let refused = authority.bring_certificate(&admin(), "above", root_pem.as_bytes(), (unsaid, None)).await;
        assert!(matches!(refused, Err(CaError::BadRequest { what: "fingerprint", .. })), "{refused:?}");
    }
    assert!(!authority.roots_pem().contains(root_pem.trim()));
    // Whoever signed it left out what it is planned for.
    let other = signed_as("mail") + &root_pem;
    let refused = authority.adopt_issuer(&admin(), &edge, other.as_bytes(), (print, None)).await.unwrap_err();
    assert!(refused.to_string().contains("it is not for server-auth"), "{refused}");
    authority.adopt_issuer(&admin(), &edge, (signed.clone() + &root_pem).as_bytes(), (print, None)).await.unwrap();
    // Known now, it is not asked for again.
    assert!(matches!(
        authority.adopt_issuer(&admin(), &edge, (signed + &root_pem).as_bytes(), (None, None)).await,
        Err(CaError::Conflict(_))
    ));
    let issued = server_under(&authority, &["www.example.com"]).await.unwrap();
    assert!(verifies(&house, &authority, &issued, &root));
    assert!(authority.roots_pem().contains(root_pem.trim()), "who fetches the roots has it too");
    assert!(!authority.crl("edge").await.unwrap().is_empty());
    let exported = house.file("exported.pem", authority.export_issuer(&admin(), &edge).await.unwrap());
    accepts("openssl", &[&"verify", &"-CAfile", &root, &exported]);
    // Cross-signed by our own root: whoever trusts that one alone believes it too.
    authority.cross_sign_issuer(&admin(), &edge, &name("root/1")).await.unwrap();
    let issued = server_under(&authority, &["www.example.com"]).await.unwrap();
    assert_eq!(authority.chains_pem(&issued).len(), 2);

    // Whoever writes the database and takes the root out of it, or puts another in its place, stops nobody: it is an alarm.
    let sql = rusqlite::Connection::open(dir.join("chancery.db")).unwrap();
    for (thief, place) in [
        (
            "UPDATE record SET body = replace(body, 'BEGIN', 'begin') WHERE kind = 'ca-certificate'",
            "kind=ca-certificate",
        ),
        ("DELETE FROM present WHERE kind = 'ca-certificate'", "kind=ca-certificate"),
    ] {
        assert!(sql.execute(thief, []).unwrap() > 0, "{thief}");
        let before = house.ledger.integrity().alarms.len();
        authority.rotate_issuer(&admin(), Rotate::of("ssh-user")).await.unwrap();
        assert!(authority.roots_pem().contains(root_pem.trim()), "{thief}");
        let issued = server_under(&authority, &["www.example.com"]).await.unwrap();
        assert!(verifies(&house, &authority, &issued, &root), "{thief}");
        let alarms = house.ledger.integrity().alarms;
        assert!(alarms.len() > before && alarms.iter().any(|alarm| alarm.place.contains(place)), "{alarms:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_that_existed_comes_with_its_key_and_its_exact_name() {
    let house = House::new().await;
    let dir = house.dir.path().to_owned();
    // A CA elsewhere whose key is in the token: its certificate is made for the token's public key.
    let key = house.pool.generate("old-ca", KeyKind::P256).await.unwrap();
    let (foreign_key, root) = foreign_root(&dir);
    let spki = house.file("old.pub.der", key.spki_der());
    let signed = dir.join("old.pem");
    let config = std::fs::read_to_string(dir.join("foreign.cnf")).unwrap();
    let says = "nameConstraints=critical,permitted;DNS:example.com\ncertificatePolicies=1.2.3.4\n";
    let bound = house.file("old.cnf", config + says);
    accepts(
        "openssl",
        &[
            &"x509",
            &"-new",
            &"-force_pubkey",
            &spki,
            &"-subj",
            &"/DC=com/DC=example/OU=a+OU=b/CN=Old CA",
            &"-CA",
            &root,
            &"-CAkey",
            &foreign_key,
            &"-sha256",
            &"-days",
            &"365",
            &"-extfile",
            &bound,
            &"-extensions",
            &"sub",
            &"-set_serial",
            &"77",
            &"-out",
            &signed,
        ],
    );
    let root_pem = std::fs::read_to_string(&root).unwrap();
    let (chain, print) = (std::fs::read_to_string(&signed).unwrap() + &root_pem, fingerprint(&root_pem));
    let brought = |label: &str, chain: &str| Brought {
        name: "old".to_owned(),
        label: label.to_owned(),
        token: None,
        was_outside: false,
        chain_pem: chain.as_bytes().to_vec(),
        root: Some(print),
        leaves: true,
        shards: Some(3),
        deltas: None,
    };
    assert!(house.authority.bring_issuer(&admin(), brought("tls-1", &chain)).await.is_err(), "another issuer's key");
    assert!(house.authority.bring_issuer(&admin(), brought("old-ca", &house.authority.roots_pem())).await.is_err());
    house.authority.bring_issuer(&admin(), brought("old-ca", &chain)).await.unwrap();
    let authority = house.reopened(profiles_under("old")).await;
    let issued = server_under(&authority, &["www.example.com"]).await.unwrap();
    assert!(verifies(&house, &authority, &issued, &root));
    // From here on its revocations are in three parts.
    let part = store::Shard::of_serial(&issued.serial, 3).unwrap().index();
    assert!(String::from_utf8_lossy(&issued.x509_der()).contains(&format!("/crl/old/1/{part}.crl")));
    assert_eq!(authority.crl_series(&name("old/1")).len(), 4);
    let leaf = house.file("leaf.pem", authority.certificate_pem(&issued));
    let said = accepts("openssl", &[&"x509", &"-in", &leaf, &"-noout", &"-issuer", &"-nameopt", &"compat"]);
    let was = accepts("openssl", &[&"x509", &"-in", &signed, &"-noout", &"-subject", &"-nameopt", &"compat"]);
    assert_eq!(said.trim_start_matches("issuer="), was.trim_start_matches("subject="));
    // Its bounds are its successors' as well.
    assert!(server_under(&authority, &["www.example.org"]).await.is_err());
    let request = authority.request_issuer(&admin(), &name("old/1")).await.unwrap();
    let request = house.file("old.csr", &request.pem);
    let asks = accepts("openssl", &[&"req", &"-in", &request, &"-noout", &"-text"]);
    assert!(asks.contains("DNS:example.com") && asks.contains("1.2.3.4"), "{asks}");
}

/// What an auditor finds who pinned this key; the token of this file's administrator is in no register.
async fn pinned(house: &House, key: &str) -> Vec<String> {
    let database = store::Database::Sqlite(house.dir.path().join("chancery.db"));
    let pins = store::Pins { verifier_key: Some(key.to_owned()), ..store::Pins::default() };
    let verify = move || store::verify_pinned(database, &pins, &mut |_| {});
    let report = tokio::task::spawn_blocking(verify).await.unwrap().unwrap();
    let found = report.findings.iter().filter(|finding| finding.what != "actor");
    found.map(|finding| format!("{}: {}", finding.where_, finding.says)).collect()
}

/// Signature lines of the newest head.
async fn lines(house: &House) -> usize {
    house.ledger.checkpoint().await.unwrap().unwrap().lines().filter(|line| line.starts_with('\u{2014}')).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_log_key_follows_another_both_sign_and_whoever_pinned_either_verifies() {
    let house = House::new().await;
    let authority = &house.authority;
    authority.checkpoint().await.unwrap();
    let old = authority.log_verifier_key();
    assert_eq!(lines(&house).await, 1);
    authority.rotate_issuer(&admin(), Rotate::of("log")).await.unwrap();
    let new = authority.log_verifier_key();
    house.server(&["www.example.com"]).await;
    authority.checkpoint().await.unwrap();
    assert_eq!(lines(&house).await, 2);
    assert_eq!(pinned(&house, &old).await, Vec::<String>::new(), "it signs on");
    assert_eq!(pinned(&house, &new).await, Vec::<String>::new(), "its head covers what the old one signed before");
    // The old one ends. Who knows it alone follows to the new one, which a head that it signed names.
    authority.retire_issuer(&admin(), &name("log/1"), true).await.unwrap();
    house.server(&["db.example.com"]).await;
    authority.checkpoint().await.unwrap();
    assert_eq!(lines(&house).await, 1);
    assert_eq!(pinned(&house, &old).await, Vec::<String>::new());
    assert_eq!(pinned(&house, &new).await, Vec::<String>::new());
    // A key that is none of this log's vouches for nothing.
    let other = house.pool.generate("other-log", hsm::KeyKind::Ed25519).await.unwrap();
    let other = house.ledger.verifier_key(&other).unwrap();
    assert!(!pinned(&house, &other).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_and_the_ssh_cas_are_succeeded_the_same_way() {
    let house = House::new().await;
    let authority = &house.authority;
    let (log, users) = (authority.log_verifier_key(), authority.ssh_user_ca());
    authority.rotate_issuer(&admin(), Rotate::of("log")).await.unwrap();
    authority.rotate_issuer(&admin(), Rotate::of("ssh-user")).await.unwrap();
    assert_ne!(authority.log_verifier_key(), log);
    assert_eq!(authority.log_verifier_keys()[1], log, "what was signed with the old one is verified with it");
    assert_eq!(authority.ssh_user_ca().lines().count(), 2);
    assert!(authority.ssh_user_ca().contains(&users));
    authority.checkpoint().await.unwrap();
    let database = store::Database::Sqlite(house.dir.path().join("chancery.db"));
    let report =
        tokio::task::spawn_blocking(move || store::verify(database, None, &mut |_| {})).await.unwrap().unwrap();
    // The token of this file's administrator is in no register; nothing else is found.
    assert!(report.findings.iter().all(|finding| finding.what == "actor"), "{:?}", report.findings);
    authority.retire_issuer(&admin(), &name("ssh-user/1"), true).await.unwrap();
    assert_eq!(authority.ssh_user_ca().lines().count(), 1);
    assert!(authority.revoke_issuer(&admin(), &name("log/1"), RevocationReason::Superseded).await.is_err());
    authority.revoke_issuer(&admin(), &name("ssh-user/2"), RevocationReason::KeyCompromise).await.unwrap();
    assert_eq!(authority.ssh_user_ca(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_token_lost_stops_its_issuer_alone() {
    let house = House::new().await;
    let pin = house.token.pin();
    for kind in ["privkey", "pubkey"] {
        let mut tool = std::process::Command::new("pkcs11-tool");
        tool.args([
            "--module",
            "/usr/lib/softhsm/libsofthsm2.so",
            "--token-label",
            house.token.label(),
            "--login",
            "--pin",
            pin,
        ]);
        tool.args(["--delete-object", "--type", kind, "--label", "code-1"])
            .env("SOFTHSM2_CONF", house.token.softhsm_conf());
        let output = tool.output().unwrap_or_else(|e| panic!("pkcs11-tool is needed: {e}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let (pool, mint) = hsm::open(house.token.config()).unwrap();
    let ledger = crate::house::open_ledger(house.dir.path(), (&pool, mint), &house.world).await;
    let parts = crate::house::parts(&ledger, &pool, &house.world, Profiles::load(Profiles::shipped()).unwrap());
    let authority = Authority::open(parts).await.unwrap();
    assert_eq!(authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap().issuer, "tls/1");
    let code = generation(&authority, "code/1");
    assert!(code.why.as_ref().is_some_and(|why| why.contains("code-1")), "{code:?}");
    let health = authority.health();
    assert!(health.held.is_none() && health.stopped.iter().any(|one| one.issuer == "code"), "{health:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_changes_nothing_and_the_log_says_so() {
    let house = House::new().await;
    let clerk = actor("clerk", policy::Role::Issuer);
    let size = house.ledger.head().size;
    assert!(matches!(house.authority.rotate_issuer(&clerk, Rotate::of("tls")).await, Err(CaError::Refused(_))));
    assert!(matches!(house.authority.create_issuer(&clerk, below("edge", "root")).await, Err(CaError::Refused(_))));
    assert_eq!(house.ledger.head().size, size + 2, "two refusals");
    for bad in ["Edge", "itself", "elsewhere", "", "a/b", "-a", &"a".repeat(32)] {
        let refused = house.authority.create_issuer(&admin(), below(bad, "root")).await.unwrap_err();
        assert!(matches!(refused, CaError::BadRequest { what: "name", .. }), "{bad}: {refused}");
    }
    let missing = house.authority.rotate_issuer(&admin(), Rotate::of("nobody")).await;
    assert!(matches!(missing, Err(CaError::NotFound(_))));
}

/// The bytes of each CA's certificate, held: whoever reads one again has others.
fn held(authority: &Authority) -> Vec<(String, bytes::Bytes)> {
    authority.cas().into_iter().map(|ca| (ca.name.to_string(), ca.certificate.unwrap().der)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_one_issuer_reads_no_other() {
    let house = House::new().await;
    let (authority, other) = (&house.authority, house.reopened(Profiles::load(Profiles::shipped()).unwrap()).await);
    let before = [held(authority), held(&other)];
    authority.create_issuer(&admin(), below("vpn", "root")).await.unwrap();
    authority.rotate_issuer(&admin(), Rotate::of("ssh-user")).await.unwrap();
    authority.rotate_issuer(&admin(), Rotate::of("code")).await.unwrap();
    // The other meets them with its next issuance.
    other.certify(&admin(), server_request(&["www.example.com"])).await.unwrap();
    for (authority, before) in [authority, &other].into_iter().zip(before) {
        let after = held(authority);
        let names: Vec<_> = after.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["code/1", "code/2", "root/1", "tls/1", "vpn/1"]);
        for (name, der) in before {
            let (_, there) = after.iter().find(|(there, _)| *there == name).unwrap();
            assert_eq!((der.as_ptr(), &der), (there.as_ptr(), there), "{name} was read again");
        }
    }
    // Who missed more changes than the roster names reads all, and knows the new ones.
    authority.create_issuer(&admin(), below("edge", "root")).await.unwrap();
    for _ in 0..65 {
        authority.activate_issuer(&admin(), &name("ssh-user/2"), Activation::Now).await.unwrap();
    }
    assert!(!other.has_issuer("edge"));
    other.certify(&admin(), server_request(&["www.example.com"])).await.unwrap();
    assert!(other.has_issuer("edge"));
    house.verified().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_asks_for_a_certificate_meets_a_change_of_issuers() {
    let house = House::new().await;
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (authority, done) = (house.authority.clone(), done.clone());
            tokio::spawn(async move {
                while !done.load(std::sync::atomic::Ordering::SeqCst) {
                    authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap();
                }
            })
        })
        .collect();
    for _ in 0..6 {
        house.authority.rotate_issuer(&admin(), Rotate::of("tls")).await.unwrap();
    }
    done.store(true, std::sync::atomic::Ordering::SeqCst);
    for caller in callers {
        caller.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_signs_no_x509_takes_no_word_about_crls() {
    let house = House::new().await;
    let ssh = CreateIssuer { role: IssuerRole::SshUser, ca: None, ..below("ssh-admins", "root") };
    let parted = [(Some(2), None), (None, Some(true))];
    for (shards, deltas) in parted {
        let made = house.authority.create_issuer(&admin(), CreateIssuer { shards, deltas, ..ssh.clone() }).await;
        assert!(matches!(made, Err(CaError::BadRequest { what: "name", .. })), "{made:?}");
        for issuer in ["ssh-user", "log", "seal"] {
            let wish = Rotate { shards, deltas, ..Rotate::of(issuer) };
            let made = house.authority.rotate_issuer(&admin(), wish).await;
            assert!(matches!(made, Err(CaError::BadRequest { what: "name", .. })), "{issuer}: {made:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_for_an_issuer_is_answered_again_and_makes_nothing() {
    let house = House::new().await;
    let create = async |who: &policy::Actor, wish| house.authority.create_issuer(who, wish).await;
    let ssh = CreateIssuer { role: IssuerRole::SshUser, ca: None, ..below("ssh-admins", "root") };
    for wish in [below("vpn", "root"), ssh.clone()] {
        let made = create(&admin(), wish.clone()).await.unwrap();
        let size = house.ledger.head().size;
        assert_eq!(create(&admin(), wish).await.unwrap(), made);
        assert_eq!(house.ledger.head().size, size, "something was written");
    }
    // Somebody else's, another wish, and one that was changed since are none of it.
    let mut longer = below("vpn", "root");
    longer.ca.as_mut().unwrap().validity_secs += 1;
    let parted = CreateIssuer { shards: Some(4), ..below("vpn", "root") };
    let other = actor("somebody", policy::Role::Admin);
    for (who, wish) in [(&admin(), longer), (&admin(), parted), (&other, below("vpn", "root"))] {
        let refused = create(who, wish).await.unwrap_err();
        assert!(matches!(&refused, CaError::Conflict(why) if why.contains("chancery ca show vpn")), "{refused:?}");
    }
    house.authority.rotate_issuer(&admin(), Rotate::of("ssh-admins")).await.unwrap();
    assert!(matches!(create(&admin(), ssh).await, Err(CaError::Conflict(_))));
}
