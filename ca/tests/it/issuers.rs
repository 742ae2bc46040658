//! Issuers that live and die: made, succeeded, brought in, cross-signed, revoked, ended; judged by openssl and webpki.

mod made;
mod others;

use std::path::{Path, PathBuf};

use ca::{
    Activation, Authority, CaError, CaWish, CreateConfig, CreateIssuer, Dn, Generation, GenerationName,
    GenerationState, IssuerRole, KeyKind, Lifetime, Profile, Profiles, RevocationReason, Rotate, SshRequest,
};
use policy::{Principal, World};
use store::Issued;

use crate::house::{House, accepts, admin, owner, server_request};

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

/// Whoever rehearses is told what whoever acts is told: that it cannot be, and by the same words.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_is_not_rehearsed_either() {
    let house = House::new().await;
    let authority = &house.authority;
    let params = ca_params();
    let root = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
    let fingerprint = ring::digest::digest(&ring::digest::SHA256, root.der());
    let fingerprint: [u8; 32] = fingerprint.as_ref().try_into().unwrap();
    authority.bring_certificate(&admin(), "away", root.pem().as_bytes(), (Some(fingerprint), None)).await.unwrap();
    let of = Rotate::of;
    for (wish, says) in [
        (Rotate { token: Some("nowhere".to_owned()), ..of("tls") }, "no token of that name"),
        (of("away"), "the key of away/1 is elsewhere"),
        (of("nobody"), "nobody"),
        (Rotate { shards: Some(0), ..of("tls") }, "1 to 256"),
        (Rotate { key: Some("p521".parse().unwrap()), ..of("seal") }, "AES-256"),
        (Rotate { activates: Activation::At(policy::Timestamp::from_unix(1)), ..of("tls") }, "has passed"),
        (Rotate { key: Some("p384".parse().unwrap()), ..of("log") }, "Ed25519 or P-256"),
        (Rotate { cross: true, ..of("tls") }, "no room for a CA"),
        (Rotate { cross: true, ..of("log") }, "`log` is no CA"),
    ] {
        let rehearsed = authority.rehearse_rotation(&admin(), &wish).await.unwrap_err().to_string();
        let acted = authority.rotate_issuer(&admin(), wish).await.unwrap_err().to_string();
        assert!(rehearsed == acted && acted.contains(says), "{says}: {rehearsed} | {acted}");
    }
    let made = authority.issuers().iter().map(|issuer| issuer.generations.len()).max();
    assert_eq!(made, Some(1), "what is refused leaves no generation behind");
}

/// What certificates point to cannot be said otherwise later, so that it is said before.
#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_says_whether_there_will_be_delta_crls() {
    let house = House::new().await;
    let told = async |wish: Rotate| {
        let rehearsal = house.authority.rehearse_rotation(&admin(), &wish).await.unwrap();
        rehearsal
            .phases
            .into_iter()
            .flat_map(|phase| phase.touches)
            .filter(|line| line.contains("delta"))
            .collect::<Vec<_>>()
    };
    let deltas = |deltas| Rotate { deltas: Some(deltas), ..Rotate::of("tls") };
    assert_eq!(told(Rotate::of("tls")).await, ["it has no delta CRLs, for ever"]);
    assert_eq!(told(deltas(true)).await, ["/crl/tls/2/0.delta.crl: it has delta CRLs, for ever"]);
    let parted = told(Rotate { shards: Some(4), ..deltas(true) }).await;
    assert_eq!(parted, ["/crl/tls/2/0.delta.crl to 3.delta.crl: it has delta CRLs, for ever"]);
    // As the one before, where nobody says.
    house.authority.rotate_issuer(&admin(), deltas(true)).await.unwrap();
    assert_eq!(told(Rotate::of("tls")).await, ["/crl/tls/3/0.delta.crl: it has delta CRLs, for ever"]);
    assert!(told(Rotate::of("ssh-host")).await.is_empty());
}

fn ca_params() -> rcgen::CertificateParams {
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(rcgen::DnType::CommonName, "Away Root");
    params
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
        life: Lifetime::ByProfile,
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
