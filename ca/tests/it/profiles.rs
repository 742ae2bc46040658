//! What a certificate of a kind may be: the profiles that come ready, judged by those they are for; and each thing that a profile
//! can say, held to.

use std::path::{Path, PathBuf};

use ca::{
    Authority, CaError, CaWish, CertifyRequest, CreateIssuer, Csr, Dn, IssuerRole, KeyKind, Lifetime, Profile,
    Profiles, RevocationReason, Rotate,
};
use policy::{Name, Timestamp};
use store::Issued;

use crate::golden::{compare, x509_text};
use crate::house::{House, accepts, admin, csr, owner, server_request};

/// A CA for one purpose below the root.
async fn issuer(house: &House, name: &str, purpose: &str) {
    let ca = CaWish {
        above: "root".to_owned(),
        subject: Dn::parse(&format!("/O=Example/CN=Example {name}")).unwrap(),
        validity_secs: 5 * 365 * 86_400,
        path_len: 0,
        purposes: vec![purpose.to_owned()],
        permitted: Vec::new(),
        excluded: Vec::new(),
        policies: Vec::new(),
        leaves: true,
    };
    create(house, name, ca).await;
}

/// A CA for servers, with name constraints.
async fn constrained(house: &House, name: &str, permitted: &[&str], excluded: &[&str], days: i64) {
    let words = |all: &[&str]| all.iter().map(|&word| word.to_owned()).collect();
    let ca = CaWish {
        above: "root".to_owned(),
        subject: Dn::parse(&format!("/O=Example/CN=Example {name}")).unwrap(),
        validity_secs: days * 86_400,
        path_len: 0,
        purposes: vec!["server-auth".to_owned()],
        permitted: words(permitted),
        excluded: words(excluded),
        policies: Vec::new(),
        leaves: true,
    };
    create(house, name, ca).await;
}

async fn create(house: &House, name: &str, ca: CaWish) {
    let wish = CreateIssuer {
        name: name.to_owned(),
        role: IssuerRole::X509,
        key: KeyKind::P256,
        ca: Some(ca),
        shards: None,
        deltas: None,
        token: None,
    };
    house.authority.create_issuer(&admin(), wish).await.unwrap();
}

/// All that come ready, and others.
fn profiles(others: &[(&str, &str)]) -> Profiles {
    Profiles::load(&[Profiles::ready(), others.to_vec()].concat()).unwrap()
}

fn ready(name: &str) -> &'static str {
    Profiles::ready().into_iter().find(|(ready, _)| *ready == name).unwrap().1
}

/// A key of P-256 and a CSR by openssl: a subject in its slash form, and names.
struct Asked {
    key: PathBuf,
    csr: Csr,
}

fn asked(house: &House, file: &str, subject: &str, names: &str) -> Asked {
    asked_with(house, file, subject, names, &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
}

fn asked_with(house: &House, file: &str, subject: &str, names: &str, key_kind: &[&str]) -> Asked {
    let (key, request) = (house.dir.path().join(format!("{file}.key")), house.dir.path().join(format!("{file}.csr")));
    let mut openssl = std::process::Command::new("openssl");
    openssl
        .args(["req", "-new", "-nodes", "-subj", subject])
        .args(key_kind)
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&request);
    if !names.is_empty() {
        openssl.args(["-addext", &format!("subjectAltName={names}")]);
    }
    let made = openssl.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Asked { key, csr: Csr::parse(&std::fs::read(request).unwrap()).unwrap() }
}

fn under(profile: &str, csr: Csr) -> CertifyRequest {
    CertifyRequest { profile: profile.to_owned(), csr, ..server_request(&["unused.example.com"]) }
}

async fn issue(authority: &Authority, profile: &str, csr: &Csr) -> Result<Issued, CaError> {
    authority.certify(&admin(), under(profile, csr.clone())).await
}

/// Leaf, chain and roots as files.
fn files(house: &House, authority: &Authority, issued: &Issued) -> (PathBuf, PathBuf, PathBuf) {
    let leaf = house.file("leaf.pem", authority.certificate_pem(issued));
    let chain = house.file("chain.pem", authority.chain_pem(issued));
    (leaf, chain, house.file("roots.pem", authority.roots_pem()))
}

/// The CAs between a certificate and the root.
fn above(house: &House, authority: &Authority, issued: &Issued) -> PathBuf {
    let (leaf, chain) = (authority.certificate_pem(issued), authority.chain_pem(issued));
    house.file("above.pem", chain.strip_prefix(&leaf).unwrap())
}

/// openssl's verdict on the purpose, and gnutls's on the object identifier of it.
fn judged(house: &House, authority: &Authority, issued: &Issued, purpose: &str, oid: &str) {
    let (leaf, chain, roots) = files(house, authority, issued);
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
    );
    accepts(
        "certtool",
        &[&"--verify", &"--verify-purpose", &oid, &"--load-ca-certificate", &roots, &"--infile", &chain],
    );
}

const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
const EMAIL: &str = "1.3.6.1.5.5.7.3.4";
const TIME_STAMPING: &str = "1.3.6.1.5.5.7.3.8";

/// One of each ready profile that is not shipped in force, with its key.
async fn each(house: &House) -> (Authority, Vec<(&'static str, Issued, PathBuf)>) {
    issuer(house, "mail", "email-protection").await;
    issuer(house, "timestamps", "time-stamping").await;
    let authority = house.reopened(profiles(&[])).await;
    let mut made = Vec::new();
    for (profile, subject, names) in [
        ("mtls-peer", "/CN=ignored", "URI:spiffe://example.internal/web/api,DNS:api.example.internal"),
        ("smime", "/CN=Alice at work", "email:alice@example.com"),
        ("timestamping", "/CN=Stamps", ""),
        ("network-access", "/CN=x", "otherName:1.3.6.1.4.1.311.20.2.3;UTF8:alice@example.internal"),
        ("kubernetes", "/O=system:masters/CN=alice", ""),
    ] {
        let kind = &["-newkey", "rsa:2048"][..];
        let Asked { key, csr } = match profile {
            // Mail is encrypted for the key too.
            "smime" => asked_with(house, profile, subject, names, kind),
            _ => asked(house, profile, subject, names),
        };
        made.push((profile, issue(&authority, profile, &csr).await.unwrap(), key));
    }
    (authority, made)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ready_profiles_look_as_they_did() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let (_, made) = each(&house).await;
    for (profile, issued, _) in &made {
        compare(&format!("{profile}.txt"), &x509_text(&house, &issued.x509_der()));
    }
    let (_, user, _) = made.last().unwrap();
    assert_eq!(user.subject, "CN=web:alice,O=web", "no group of the CSR's");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ready_profiles_serve_their_purpose() {
    let house = House::new().await;
    let (authority, made) = each(&house).await;
    for (profile, issued, key) in &made {
        let purposes: &[(&str, &str)] = match *profile {
            "mtls-peer" => &[("sslserver", SERVER_AUTH), ("sslclient", CLIENT_AUTH)],
            "smime" => &[("smimesign", EMAIL), ("smimeencrypt", EMAIL)],
            "timestamping" => &[("timestampsign", TIME_STAMPING)],
            _ => &[("sslclient", CLIENT_AUTH)],
        };
        for (purpose, oid) in purposes {
            judged(&house, &authority, issued, purpose, oid);
        }
        match *profile {
            "smime" => signs_mail(&house, &authority, issued, key),
            "timestamping" => stamps_time(&house, &authority, issued, key),
            _ => {}
        }
    }
}

/// A mail that openssl signs with it and takes for signed by it.
fn signs_mail(house: &House, authority: &Authority, issued: &Issued, key: &Path) {
    let (leaf, _, roots) = files(house, authority, issued);
    let chain = above(house, authority, issued);
    let (mail, signed) = (house.file("mail.txt", "Hello\n"), house.dir.path().join("mail.eml"));
    accepts(
        "openssl",
        &[&"cms", &"-sign", &"-in", &mail, &"-signer", &leaf, &"-inkey", &key, &"-certfile", &chain, &"-out", &signed],
    );
    let time = issued.validity.unwrap().not_before().unix().to_string();
    let said = accepts(
        "openssl",
        &[&"cms", &"-verify", &"-purpose", &"smimesign", &"-in", &signed, &"-CAfile", &roots, &"-attime", &time],
    );
    assert!(said.contains("successful"), "{said}");
}

/// A stamp that openssl makes with it and believes. It refuses a certificate whose purpose is not critical, or not alone.
fn stamps_time(house: &House, authority: &Authority, issued: &Issued, key: &Path) {
    let (leaf, _, roots) = files(house, authority, issued);
    let chain = above(house, authority, issued);
    let path = |name: &str| house.dir.path().join(name);
    let (data, query, reply) = (house.file("data", "stamped"), path("query.tsq"), path("reply.tsr"));
    let config = house.file(
        "tsa.cnf",
        format!(
            "[tsa]\ndefault_tsa=one\n[one]\nserial={}\ncrypto_device=builtin\nsigner_digest=sha256\ndefault_policy=1.2.3.4.1\n\
             digests=sha256\naccuracy=secs:1\ness_cert_id_alg=sha256\n",
            path("tsa.serial").display()
        ),
    );
    accepts("openssl", &[&"ts", &"-query", &"-data", &data, &"-sha256", &"-cert", &"-out", &query]);
    accepts(
        "openssl",
        &[
            &"ts",
            &"-reply",
            &"-config",
            &config,
            &"-queryfile",
            &query,
            &"-signer",
            &leaf,
            &"-inkey",
            &key,
            &"-chain",
            &chain,
            &"-out",
            &reply,
        ],
    );
    let time = issued.validity.unwrap().not_before().unix().to_string();
    accepts(
        "openssl",
        &[
            &"ts",
            &"-verify",
            &"-queryfile",
            &query,
            &"-in",
            &reply,
            &"-CAfile",
            &roots,
            &"-untrusted",
            &chain,
            &"-attime",
            &time,
        ],
    );
}

/// A ready profile, edits of it, subject and names of a CSR, and what is said.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, &'a str, &'a str);

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_held_to_what_its_profile_says() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let (peer, server, kube, mail) = ("mtls-peer", "tls-server", "kubernetes", "smime");
    let spiffe = "URI:spiffe://example.internal/web/api";
    let cases: &[Case] = &[
        (peer, &[], "/CN=x", "DNS:api.example.internal", "none of kind uri, which the profile requires"),
        (peer, &[("[\"spiffe\"]", "[\"https\"]")], "/CN=x", spiffe, "does not allow uri:spiffe"),
        (peer, &[], "/CN=x", &format!("{spiffe},URI:spiffe://example.internal/web/b"), "beside no other URI"),
        (
            peer,
            &[("names_max = 10", "names_max = 1")],
            "/CN=x",
            &format!("{spiffe},DNS:a.example.com"),
            "2 names; 1 is the most",
        ),
        (server, &[("wildcards = true", "wildcards = false")], "/CN=x", "DNS:*.example.com", "does not allow dns:*"),
        (server, &[], "/CN=x", "email:a@example.com", "does not allow email"),
        (server, &[], "/CN=x", "otherName:1.3.6.1.4.1.311.20.2.3;UTF8:a@example.internal", "does not allow upn"),
        (
            server,
            &[("[\"server-auth\"]", "[\"server-auth\", \"eap-over-lan\"]")],
            "/CN=x",
            "DNS:a.example.com",
            "not for all of the purposes",
        ),
        (
            server,
            &[("subject = \"first-name\"", "subject = [\"CN={email}\"]")],
            "/CN=x",
            "DNS:a.example.com",
            "a name of kind email",
        ),
        (mail, &[], "/CN=Alice", "email:a@example.com", "issuer"),
        (kube, &[], "/O=devs", "", "needs a common name"),
        (
            kube,
            &[(
                "subject = [\"O={owner}\", \"CN={owner}:{cn}\"]",
                "subject = [\"O={o}\", \"CN={cn}\"]\norganizations = [\"devs\"]",
            )],
            "/O=devs/O=system:masters/CN=x",
            "",
            "organization `system:masters` is none",
        ),
        (
            server,
            &[("subject =", "ends = \"2027-03-01T12:00:30Z\"\nsubject =")],
            "/CN=x",
            "DNS:a.example.com",
            "ends at 2027-03-01T12:00:30Z",
        ),
        (server, &[("issuer = \"tls\"", "issuer = \"root\"")], "/CN=x", "DNS:a.example.com", "signs CAs alone"),
    ];
    for (at, (from, edits, subject, names, says)) in cases.iter().enumerate() {
        let text = edits.iter().fold(ready(from).to_owned(), |text, (old, new)| {
            assert!(text.contains(old), "{from}: {old}");
            text.replace(old, new)
        });
        let authority = house.reopened(profiles(&[("edited", &text)])).await;
        let csr = asked(&house, &format!("case-{at}"), subject, names).csr;
        let refused = issue(&authority, "edited", &csr).await.unwrap_err();
        assert!(refused.to_string().contains(says), "{from} {edits:?} {names}: {refused}");
        // A trial says the same, and writes nothing.
        let size = house.ledger.head().size;
        let trial = authority.try_out(&admin(), under("edited", csr)).await.unwrap();
        assert!(
            trial.would.is_none() && trial.against.iter().any(|a| a.why.contains(says)),
            "{says}: {:?}",
            trial.against
        );
        assert_eq!(house.ledger.head().size, size);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_says_its_own_extensions_subject_and_times() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let edited = ready("tls-server")
        .replace("subject = \"first-name\"", "subject = [\"O=Example\", \"O={o}\", \"CN={owner}:{cn}\"]")
        + "organizations = [\"devs\", \"ops\"]\nbackdate = \"10s\"\nends = \"2027-03-20T00:00:00Z\"\n\
           must_staple = true\npolicies = [\"1.3.6.1.4.1.32473.1.1\"]\ncps = \"https://pki.example.internal/cps\"\n\
           [[extension]]\noid = \"1.3.6.1.4.1.32473.2.1\"\nder = \"0c0548656c6c6f\"\n";
    let authority = house.reopened(profiles(&[("edited", &edited)])).await;
    let csr = asked(&house, "edited", "/O=ops/O=devs/OU=no/CN=Web server", "DNS:a.example.com").csr;
    let issued = issue(&authority, "edited", &csr).await.unwrap();
    assert_eq!(issued.subject, "CN=web:Web server,O=devs,O=ops,O=Example");
    let validity = issued.validity.unwrap();
    assert_eq!(validity.not_before().rfc3339(), "2027-03-01T11:59:50Z");
    assert_eq!(validity.not_after().rfc3339(), "2027-03-20T00:00:00Z", "its profile ends before 30 days");
    let text = x509_text(&house, &issued.x509_der());
    for says in [
        "1.3.6.1.4.1.32473.1.1",
        "CPS: https://pki.example.internal/cps",
        "1.3.6.1.4.1.32473.2.1: ",
        ".Hello",
        "status_request",
    ] {
        assert!(text.contains(says), "{says}: {text}");
    }

    // An end that is asked for lies before the profile's.
    let until = |end: &str| CertifyRequest {
        lifetime: Lifetime::Until(Timestamp::parse_rfc3339(end).unwrap()),
        ..under("edited", csr.clone())
    };
    let refused = authority.certify(&admin(), until("2027-03-20T00:00:01Z")).await.unwrap_err();
    assert!(refused.to_string().contains("after profile edited"), "{refused}");
    authority.certify(&admin(), until("2027-03-20T00:00:00Z")).await.unwrap();

    // A renewal keeps its subject while that fits; where the template changed, what it takes is brought again.
    let renewed = authority.renew(&admin(), &issued.serial_hex(), None).await.unwrap();
    assert_eq!(renewed.subject, issued.subject);
    let authority = house.reopened(profiles(&[("edited", &edited.replace("O=Example", "O=Other"))])).await;
    let refused = authority.renew(&admin(), &issued.serial_hex(), None).await.unwrap_err();
    assert!(refused.to_string().contains("needs a common name"), "{refused}");
    let renewed = authority.renew(&admin(), &issued.serial_hex(), Some(csr)).await.unwrap();
    assert_eq!(renewed.subject, "CN=web:Web server,O=devs,O=ops,O=Other");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_is_known_by_its_spiffe_id_alone() {
    let house = House::new().await;
    let authority = house.reopened(profiles(&[])).await;
    let csr = asked(&house, "alone", "/CN=ignored", "URI:spiffe://example.internal/web/api").csr;
    let issued = issue(&authority, "mtls-peer", &csr).await.unwrap();
    assert_eq!(
        (issued.names.as_slice(), issued.subject.as_str()),
        (&["uri:spiffe://example.internal/web/api".to_owned()][..], "")
    );
    judged(&house, &authority, &issued, "sslserver", SERVER_AUTH);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_has_one_certificate_where_the_profile_says_so() {
    let house = House::new().await;
    let once = ready("tls-server").to_owned() + "one_key_one_certificate = true\n";
    let authority = house.reopened(profiles(&[("once", &once)])).await;
    let says = |refused: CaError| {
        assert!(matches!(refused, CaError::BadRequest { what: "key", .. }), "{refused}");
        refused.to_string()
    };
    // Of many who ask at one time one gets it.
    let key = csr(&["a.example.com"]);
    let all = futures(16, |_| issue(&authority, "once", &key)).await;
    assert_eq!(all.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let issued = all.into_iter().find_map(Result::ok).unwrap();
    assert!(says(issue(&authority, "once", &key).await.unwrap_err()).contains("a new key"));
    // Neither does a renewal, nor the server's own.
    assert!(says(authority.renew(&admin(), &issued.serial_hex(), None).await.unwrap_err()).contains("a new key"));
    authority.renew(&admin(), &issued.serial_hex(), Some(csr(&["a.example.com"]))).await.unwrap();
    let renew = CertifyRequest { renew: true, ..under("once", csr(&["a.example.com"])) };
    let refused = authority.certify(&admin(), renew).await.unwrap_err();
    assert!(matches!(refused, CaError::BadRequest { what: "renew", .. }), "{refused}");
    // Nor what another profile certified.
    let elsewhere = csr(&["b.example.com"]);
    issue(&authority, "tls-server", &elsewhere).await.unwrap();
    assert!(says(issue(&authority, "once", &elsewhere).await.unwrap_err()).contains("is for it"));
    let trial = authority.try_out(&admin(), under("once", elsewhere)).await.unwrap();
    assert!(trial.against.iter().any(|a| a.what == "key"), "{:?}", trial.against);
    // A refusal for another reason leaves the key free.
    let free = csr(&["a.example.com"]);
    let long = CertifyRequest { lifetime: Lifetime::Secs(u64::MAX), ..under("once", free.clone()) };
    authority.certify(&admin(), long).await.unwrap_err();
    issue(&authority, "once", &free).await.unwrap();
}

/// So many at one time.
async fn futures<F: Future>(count: usize, make: impl Fn(usize) -> F) -> Vec<F::Output> {
    let mut all: Vec<_> = (0..count).map(|n| Box::pin(make(n))).collect();
    let mut done = Vec::new();
    std::future::poll_fn(|context| {
        all.retain_mut(|one| match one.as_mut().poll(context) {
            std::task::Poll::Ready(output) => {
                done.push(output);
                false
            }
            std::task::Poll::Pending => true,
        });
        if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_issues_while_the_issuer_does_not() {
    let house = House::new().await;
    issuer(&house, "spare", "server-auth").await;
    let text = ready("tls-server").replace("issuer = \"tls\"", "issuer = \"tls\"\nfallback_issuer = \"spare\"");
    let authority = house.reopened(profiles(&[("either", &text)])).await;
    assert_eq!(issue(&authority, "either", &csr(&["a.example.com"])).await.unwrap().issuer, "tls/1");
    authority.revoke_issuer(&admin(), &"tls/1".parse().unwrap(), RevocationReason::KeyCompromise).await.unwrap();
    let issued = issue(&authority, "either", &csr(&["a.example.com"])).await.unwrap();
    assert_eq!(issued.issuer, "spare/1");
    judged(&house, &authority, &issued, "sslserver", SERVER_AUTH);
    // Without one, the dead issuer refuses and says what to do.
    assert!(issue(&authority, "tls-server", &csr(&["a.example.com"])).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_says_what_would_be_issued_and_writes_nothing() {
    let house = House::new().await;
    let size = house.ledger.head().size;
    let request = server_request(&["www.example.com", "192.0.2.1"]);
    let trial = house.authority.try_out(&admin(), request.clone()).await.unwrap();
    let would = trial.would.unwrap();
    assert_eq!((would.issuer.as_str(), would.subject.as_str(), would.key), ("tls/1", "CN=www.example.com", "p256"));
    assert_eq!(would.names, ["dns:www.example.com", "ip:192.0.2.1"]);
    let says = |name: &str| would.extensions.iter().find(|e| e.name == name).map(|e| (e.critical, e.says.as_str()));
    assert_eq!(says("keyUsage"), Some((true, "digital-signature")));
    assert_eq!(says("extKeyUsage"), Some((false, "server-auth")));
    assert_eq!(says("subjectAltName"), Some((false, "dns:www.example.com, ip:192.0.2.1")));
    assert_eq!(says("basicConstraints"), Some((true, "no CA")));
    assert_eq!(house.ledger.head().size, size, "neither an intent nor a refusal");

    // Everything that stands against it, at once.
    let bad = CertifyRequest {
        owner: owner("web"),
        names: Some(vec![Name::parse("www.elsewhere").unwrap(), Name::parse("email:a@example.com").unwrap()]),
        lifetime: Lifetime::Secs(1),
        ..under("tls-server", csr(&[]))
    };
    let trial = house.authority.try_out(&admin(), bad).await.unwrap();
    let mut parts: Vec<_> = trial.against.iter().map(|a| a.what.as_str()).collect();
    parts.sort();
    assert_eq!(parts, ["names", "policy", "validity"], "{:?}", trial.against);
    assert_eq!(house.ledger.head().size, size);

    // The key of a certificate that was revoked as compromised.
    let issued = house.authority.certify(&admin(), request.clone()).await.unwrap();
    house.authority.revoke(&admin(), &issued.serial_hex(), RevocationReason::KeyCompromise).await.unwrap();
    let trial = house.authority.try_out(&admin(), request).await.unwrap();
    assert!(trial.against.iter().any(|a| a.why.contains("compromised")), "{:?}", trial.against);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_says_where_its_certificates_point_to() {
    let house = House::new().await;
    let rotation = |shards| Rotate { shards, ..Rotate::of("tls") };
    house.authority.rotate_issuer(&admin(), rotation(Some(4))).await.unwrap();
    let under = async |words: &str| {
        let text = ready("tls-server").replace("wildcards = true", &format!("wildcards = true\n{words}"));
        let texts: Vec<_> =
            std::iter::once(("tls-server", text.as_str())).chain(Profiles::shipped()[1..].to_vec()).collect();
        house.reopened(Profiles::load(&texts).unwrap()).await
    };
    let text = async |words: &str| {
        let authority = under(words).await;
        let issued = authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap();
        let (leaf, chain, roots) = files(&house, &authority, &issued);
        accepts("openssl", &[&"verify", &"-x509_strict", &"-CAfile", &roots, &"-untrusted", &chain, &leaf]);
        x509_text(&house, &issued.x509_der())
    };
    let both = text("").await;
    assert!(["/crl/tls/2/", "OCSP - URI", "CA Issuers - URI"].iter().all(|there| both.contains(there)), "{both}");
    let crl = text("pointers = [\"crl\"]").await;
    assert!(crl.contains("/crl/tls/2/") && !crl.contains("Authority Information Access"), "{crl}");
    let ocsp = text("pointers = [\"ocsp\"]").await;
    assert!(
        !ocsp.contains("CRL Distribution") && ocsp.contains("OCSP - URI") && !ocsp.contains("CA Issuers"),
        "{ocsp}"
    );
    let mirrors = "pointers = [\"crl\", \"ocsp\", \"issuer\"]\ncrl_urls = [\"http://m.example/{issuer}-{generation}-{shard}\"]\n\
        ocsp_urls = [\"http://o.example/\"]\nissuer_urls = [\"http://i.example/{issuer}.cer\"]";
    let all = text(mirrors).await;
    for place in
        ["http://m.example/tls-2-", "OCSP - URI:http://o.example/", "CA Issuers - URI:http://i.example/tls.cer"]
    {
        assert!(all.contains(place), "{place}: {all}");
    }
    // One distribution point with two names: it is one CRL, of the same part.
    assert_eq!(all.matches("Full Name:").count(), 1, "{all}");
    let part = |place: &str| all.split_once(place).unwrap().1.chars().next().unwrap();
    assert_eq!(part("/crl/tls/2/"), part("http://m.example/tls-2-"));
    // The same mirror for every part would be the wrong CRL for most.
    let authority = under("crl_urls = [\"http://m.example/tls.crl\"]").await;
    let refused = authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap_err();
    assert!(refused.to_string().contains("write {shard} into each address"), "{refused}");
    house.authority.rotate_issuer(&admin(), rotation(Some(1))).await.unwrap();
    let one = under("crl_urls = [\"http://m.example/tls.crl\"]").await;
    one.certify(&admin(), server_request(&["www.example.com"])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_unfit_as_long_as_no_issuer_can_sign_what_it_says() {
    let house = House::new().await;
    issuer(&house, "clients", "client-auth").await;
    constrained(&house, "narrow", &["ip:10.0.0.0/8"], &["ip:10.0.0.0/7"], 1_800).await;
    constrained(&house, "nowhere", &["dns:a.example.com"], &["dns:example.com"], 20).await;
    let server = |issuer: &str| ready("tls-server").replace("issuer = \"tls\"", &format!("issuer = {issuer}"));
    let why = |words: &str| {
        let profile = Profile::read("vpn", &server(words)).unwrap();
        house.authority.unfit_for(&profile).map(|unfit| (unfit.why, unfit.is_told))
    };
    assert_eq!(why("\"tls\""), None);
    assert!(house.authority.unfit().is_empty(), "those that come with the service are fit");
    let of = |words: &str| why(words).unwrap_or_else(|| panic!("{words} is unfit"));
    for (words, says) in [
        ("\"tsl\"", "profile `vpn` can issue nothing: there is no issuer `tsl`"),
        ("\"clients\"", "is not for all of the purposes"),
        ("\"root\"", "signs CAs alone"),
        ("\"ssh-user\"", "issuer `ssh-user` is for ssh-user, not for x509"),
        ("\"tsl\"\nfallback_issuer = \"clients\"", "its fallback issuer `clients` neither"),
        ("\"nowhere\"\nnames_required = [\"dns\"]", "allow no name of the kinds it takes (dns)"),
        ("\"narrow\"\nnames_required = [\"ip\"]", "allow no name of the kinds it takes (ip)"),
    ] {
        let (why, is_told) = of(words);
        assert!(why.contains(says) && !is_told, "{words}: {why}");
    }
    assert_eq!(why("\"tsl\"\nfallback_issuer = \"tls\""), None, "the fallback stands in");
    assert_eq!(why("\"narrow\""), None, "names of other kinds pass");
    let long = server("\"nowhere\"").replace("min_validity = \"1m\"", "min_validity = \"25d\"");
    let long = house.authority.unfit_for(&Profile::read("vpn", &long).unwrap()).unwrap();
    assert!(long.why.contains("chancery ca renew nowhere/1"), "{}", long.why);

    // What it leaned on ends: the issuer is an alarm of its own, the profile says why.
    house
        .authority
        .revoke_issuer(&admin(), &"clients/1".parse().unwrap(), RevocationReason::KeyCompromise)
        .await
        .unwrap();
    let peer = Profile::read("peer", &ready("tls-client").replace("issuer = \"tls\"", "issuer = \"clients\"")).unwrap();
    let unfit = house.authority.unfit_for(&peer).unwrap();
    assert!(unfit.is_told && unfit.why.contains("clients/1 is revoked"), "{unfit:?}");
    assert_eq!(house.authority.health().unfit, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_profile_is_replayed_over_the_requests_of_the_past() {
    let house = House::new().await;
    let week = CertifyRequest { lifetime: Lifetime::Secs(7 * 86_400), ..server_request(&["b.example.com"]) };
    let plain = house.server(&["a.example.com"]).await;
    let week = house.authority.certify(&admin(), week).await.unwrap();
    let wild = house.server(&["*.example.com"]).await;
    let client = issue(&house.authority, "tls-client", &csr(&["c.example.com"])).await.unwrap();
    let size = house.ledger.head().size;
    let since = house.world.now().plus_secs(-3_600);
    let replay = async |edits: &[(&str, &str)]| {
        let text = edits.iter().fold(ready("tls-server").to_owned(), |text, (old, new)| text.replace(old, new));
        let changed = Profile::read("tls-server", &text).unwrap();
        let page = house.authority.replay(&admin(), &[changed], since, None).await.unwrap();
        assert_eq!((page.looked_at, page.next), (3, None));
        let told = page.differing.into_iter().flat_map(|one| {
            one.differs.into_iter().map(move |d| (one.serial.clone(), d.what, d.was, d.would)).collect::<Vec<_>>()
        });
        told.collect::<Vec<_>>()
    };
    assert!(replay(&[]).await.is_empty(), "the profile in force");
    let serial = |issued: &Issued| issued.serial_hex();

    // Who asked for no lifetime gets another; who asked for a week gets it still.
    let told = replay(&[("default_validity = \"30d\"", "default_validity = \"14d\"")]).await;
    let lifetimes: Vec<_> = told.iter().map(|(serial, what, ..)| (serial.clone(), what.as_str())).collect();
    assert_eq!(lifetimes, [(serial(&wild), "lifetime"), (serial(&plain), "lifetime")]);
    assert_eq!((told[0].2.as_str(), told[0].3.as_str()), ("30 d", "14 d"));

    let told =
        replay(&[("wildcards = true", "wildcards = false"), ("max_validity = \"90d\"", "max_validity = \"40d\"")])
            .await;
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].0.clone(), told[0].1.as_str()), (serial(&wild), "refused"));

    let told = replay(&[("min_validity = \"1m\"", "min_validity = \"8d\"")]).await;
    assert_eq!((told.len(), told[0].0.clone(), told[0].1.as_str()), (1, serial(&week), "refused"));

    let told = replay(&[("[\"server-auth\"]", "[\"server-auth\", \"client-auth\"]")]).await;
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|(_, what, was, would)| {
        (what.as_str(), was.as_str(), would.as_str()) == ("extKeyUsage", "server-auth", "server-auth, client-auth")
    }));
    let told = replay(&[("subject = \"first-name\"", "subject = \"empty\"\npolicies = [\"1.2.3\"]")]).await;
    let kinds: std::collections::BTreeSet<_> = told.iter().map(|(_, what, ..)| what.as_str()).collect();
    assert_eq!(kinds, ["certificatePolicies", "subject"].into());

    // Where it points to, and whether others have to say yes.
    let told = replay(&[("wildcards = true", "wildcards = true\npointers = [\"crl\"]\napprovals = 2")]).await;
    let kinds: Vec<_> =
        told[..2].iter().map(|(_, what, was, would)| (what.as_str(), was.is_empty(), would.as_str())).collect();
    assert_eq!(kinds, [("authorityInfoAccess", false, ""), ("approvals", false, "2")]);
    assert_eq!(told.len(), 6);

    assert!(replay(&[("\"p256\", ", "")]).await.iter().all(|(_, what, ..)| what == "refused"));
    let told = replay(&[("issuer = \"tls\"", "issuer = \"other\"")]).await;
    assert!(told.iter().all(|(_, what, _, why)| what == "refused" && why.contains("other")), "{told:?}");
    assert_eq!(house.ledger.head().size, size, "nothing is written");

    // Of another profile nothing is said, nor of what was asked before.
    let changed = Profile::read("tls-client", &ready("tls-client").replace("\"30d\"", "\"20d\"")).unwrap();
    let page = house.authority.replay(&admin(), std::slice::from_ref(&changed), since, None).await.unwrap();
    assert_eq!((page.looked_at, page.differing[0].serial.clone()), (1, serial(&client)));
    let page = house.authority.replay(&admin(), &[changed], house.world.now().plus_secs(60), None).await.unwrap();
    assert_eq!((page.looked_at, page.differing.len()), (0, 0));
}
