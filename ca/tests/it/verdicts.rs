//! Who believes which chain: openssl, webpki, GnuTLS and NSS, each asked about each case. What has to be refused is refused by all
//! that can see it; one that cannot has a row with the reason, which has to stay true.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ca::{CaWish, CreateIssuer, Dn, IssuerRole, KeyKind, Profiles, RevocationReason};
use policy::Timestamp;
use rcgen::{CertificateParams, Issuer, KeyPair, PublicKeyData, SignatureAlgorithm, SigningKey};
use rustls::pki_types::{CertificateDer, UnixTime};

use crate::house::{House, accepts, admin, server_request};

/// A leaf, those between, and what is needed to judge them.
struct Case {
    folder: PathBuf,
    roots: Vec<Vec<u8>>,
    /// The leaf first.
    chain: Vec<Vec<u8>>,
    crls: Vec<Vec<u8>>,
    /// An OCSP response about the leaf.
    ocsp: Option<Vec<u8>>,
    at: Timestamp,
}

impl Case {
    fn file(&self, name: &str, label: &str, ders: &[Vec<u8>]) -> PathBuf {
        let path = self.folder.join(name);
        std::fs::write(&path, ders.iter().map(|der| pem(label, der)).collect::<String>()).unwrap();
        path
    }

    /// Whether a judge's program is content at the time of the case.
    fn run(&self, program: Command) -> bool {
        self.says(program).is_some()
    }

    /// What it says on both streams; none where it is not content.
    fn says(&self, mut program: Command) -> Option<String> {
        let arch = std::env::consts::ARCH;
        program.env("LD_PRELOAD", format!("/usr/lib/{arch}-linux-gnu/faketime/libfaketimeMT.so.1"));
        program
            .env("FAKETIME", format!("@{}", self.at.rfc3339().replace('T', " ").trim_end_matches('Z')))
            .env("TZ", "UTC");
        let output = program.stdin(std::process::Stdio::null()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        output.status.success().then(|| String::from_utf8_lossy(&said).into_owned())
    }

    /// The response in a file, and whom its signer is below: the CA, and those above it.
    fn response(&self) -> Option<(PathBuf, PathBuf)> {
        let path = self.folder.join("response.der");
        std::fs::write(&path, self.ocsp.as_ref()?).unwrap();
        let above: Vec<_> = self.chain[1..].iter().chain(&self.roots).cloned().collect();
        Some((path, self.file("above.pem", "CERTIFICATE", &above)))
    }
}

fn openssl(case: &Case) -> bool {
    let (roots, leaf) =
        (case.file("roots.pem", "CERTIFICATE", &case.roots), case.file("leaf.pem", "CERTIFICATE", &case.chain[..1]));
    let between = case.file("between.pem", "CERTIFICATE", &case.chain[1..]);
    let mut openssl = Command::new("openssl");
    openssl.args(["verify", "-x509_strict", "-purpose", "sslserver", "-no-CAfile", "-no-CApath", "-CAfile"]).arg(roots);
    openssl.arg("-untrusted").arg(between);
    if !case.crls.is_empty() {
        openssl.arg("-crl_check_all").arg("-CRLfile").arg(case.file("crls.pem", "X509 CRL", &case.crls));
    }
    openssl.arg(&leaf);
    case.run(openssl)
        && case.response().is_none_or(|(response, above)| {
            let mut ocsp = Command::new("openssl");
            ocsp.args(["ocsp", "-respin"]).arg(response).arg("-issuer").arg(case.file(
                "ca.pem",
                "CERTIFICATE",
                &case.chain[1..],
            ));
            ocsp.arg("-cert").arg(leaf).arg("-CAfile").arg(above);
            case.says(ocsp).is_some_and(|said| said.contains("Response verify OK") && said.contains(": good"))
        })
}

fn webpki(case: &Case) -> bool {
    let roots: Vec<CertificateDer<'_>> = case.roots.iter().map(|der| der.as_slice().into()).collect();
    let anchors: Vec<_> = roots.iter().map(|root| ::webpki::anchor_from_trusted_cert(root).unwrap()).collect();
    let chain: Vec<CertificateDer<'_>> = case.chain.iter().map(|der| der.as_slice().into()).collect();
    let crls: Vec<::webpki::CertRevocationList<'_>> =
        case.crls.iter().map(|der| ::webpki::BorrowedCertRevocationList::from_der(der).unwrap().into()).collect();
    let crls: Vec<_> = crls.iter().collect();
    let revocation = (!crls.is_empty()).then(|| ::webpki::RevocationOptionsBuilder::new(&crls).unwrap().build());
    let at = UnixTime::since_unix_epoch(Duration::from_secs(case.at.unix().try_into().unwrap()));
    let Ok(leaf) = ::webpki::EndEntityCert::try_from(&chain[0]) else { return false };
    leaf.verify_for_usage(
        ::webpki::ALL_VERIFICATION_ALGS,
        &anchors,
        &chain[1..],
        at,
        ::webpki::KeyUsage::server_auth(),
        revocation,
        None,
    )
    .is_ok()
}

fn gnutls(case: &Case) -> bool {
    let mut certtool = Command::new("certtool");
    certtool.args(["--verify", "--load-ca-certificate"]).arg(case.file("roots.pem", "CERTIFICATE", &case.roots));
    certtool.arg("--infile").arg(case.file("chain.pem", "CERTIFICATE", &case.chain));
    if !case.crls.is_empty() {
        certtool.arg("--load-crl").arg(case.file("crls.pem", "X509 CRL", &case.crls));
    }
    case.run(certtool)
        && case.response().is_none_or(|(response, above)| {
            let ocsptool = |what: &str| {
                let mut ocsptool = Command::new("ocsptool");
                ocsptool.arg(what).arg("--load-response").arg(&response).arg("--load-trust").arg(&above);
                case.says(ocsptool).unwrap_or_default()
            };
            ocsptool("--verify-response").contains("Success") && ocsptool("--response-info").contains("Status: good")
        })
}

fn nss(case: &Case) -> bool {
    let folder = case.folder.join("nss");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir(&folder).unwrap();
    let database = format!("sql:{}", folder.display());
    let run = |program: &str, args: &[&str], file: Option<&Path>| {
        let mut command = Command::new(program);
        command.args(args).args(file);
        case.run(command)
    };
    assert!(run("certutil", &["-N", "-d", &database, "--empty-password"], None));
    for (place, root) in case.roots.iter().enumerate() {
        let file = case.file("root.pem", "CERTIFICATE", std::slice::from_ref(root));
        let name = format!("root-{place}");
        if !run("certutil", &["-A", "-d", &database, "-n", &name, "-t", "C,,", "-a", "-i"], Some(&file)) {
            return false;
        }
    }
    for (place, between) in case.chain[1..].iter().enumerate() {
        let file = case.file("ca.pem", "CERTIFICATE", std::slice::from_ref(between));
        let name = format!("ca-{place}");
        if !run("certutil", &["-A", "-d", &database, "-n", &name, "-t", ",,", "-a", "-i"], Some(&file)) {
            return false;
        }
    }
    for crl in &case.crls {
        let file = case.folder.join("one.crl");
        std::fs::write(&file, crl).unwrap();
        assert!(run("crlutil", &["-I", "-B", "-d", &database, "-i"], Some(&file)));
    }
    let mut vfychain = Command::new("vfychain");
    vfychain.args(["-d", &database, "-u", "1", "-pp"]);
    if !case.crls.is_empty() {
        // With `failIfNoInfo` it asks for one of the root too.
        let local = ["-g", "leaf", "-h", "testLocalInfoFirst", "-m", "crl", "-s", "forbidFetching,requireInfo"];
        vfychain.args(local);
    }
    vfychain.arg("-a").arg(case.file("leaf.pem", "CERTIFICATE", &case.chain[..1]));
    case.run(vfychain)
}

type Judge = (&'static str, fn(&Case) -> bool);

const JUDGES: [Judge; 4] = [("openssl", openssl), ("webpki", webpki), ("gnutls", gnutls), ("nss", nss)];

/// Where a judge says otherwise than the case is, and why.
const DIVERGE: &[(&str, &str, &str)] = &[
    ("nss", "good, CA ed25519", "NSS of Debian 12 knows no Ed25519 certificates"),
    ("nss", "good, leaf ed25519", "the same"),
    ("webpki", "good, CA p521", "ring verifies no signature on P-521"),
    ("webpki", "OCSP says revoked", "webpki knows CRLs alone"),
    ("nss", "OCSP says revoked", "vfychain asks the address in the certificate itself, and nobody is there"),
];

struct Verdicts {
    wrong: Vec<String>,
    met: Vec<(&'static str, String)>,
}

impl Verdicts {
    fn ask(&mut self, name: &str, case: &Case, good: bool) {
        for (judge, says) in JUDGES {
            let other = DIVERGE.iter().any(|(who, which, _)| *who == judge && *which == name);
            if other {
                self.met.push((judge, name.to_owned()));
            }
            if says(case) != (good != other) {
                self.wrong.push(format!("{judge}: {name} is {}", if good { "refused" } else { "accepted" }));
            }
        }
    }
}

/// A key of the token, used beside the line of custody: what whoever holds the token could sign.
struct Stolen {
    public: Vec<u8>,
    pool: hsm::Pool,
    mint: hsm::Mint,
    key: hsm::Key,
    runtime: tokio::runtime::Handle,
}

impl PublicKeyData for Stolen {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for Stolen {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let intent = self.mint.intent(1, &self.key, message.to_vec().into());
        let signed = tokio::task::block_in_place(|| self.runtime.block_on(self.pool.sign(intent)));
        Ok(signed.unwrap().bytes().to_vec())
    }
}

/// The issuer `name`, its key in other hands.
async fn stolen(house: &House, name: &str) -> (Vec<u8>, Issuer<'static, Stolen>) {
    let generation = house.authority.cas().into_iter().find(|ca| ca.name.to_string() == name).unwrap();
    let certificate = generation.certificate.unwrap().der.to_vec();
    let (pool, mint) = hsm::open(house.token.config()).unwrap();
    let key = pool.find(&generation.key_label).await.unwrap();
    let public = {
        use x509_parser::prelude::FromDer;
        let (_, read) = x509_parser::certificate::X509Certificate::from_der(&certificate).unwrap();
        read.public_key().subject_public_key.data.to_vec()
    };
    let thief = Stolen { public, pool, mint, key, runtime: tokio::runtime::Handle::current() };
    let issuer = Issuer::from_ca_cert_der(&certificate.as_slice().into(), thief).unwrap();
    (certificate, issuer)
}

fn below(issuer: &str, key: KeyKind, permitted: Vec<String>) -> CreateIssuer {
    CreateIssuer {
        name: issuer.to_owned(),
        role: IssuerRole::X509,
        key,
        shards: None,
        deltas: None,
        token: None,
        ca: Some(CaWish {
            above: "root".to_owned(),
            subject: Dn::parse(&format!("/O=Example/CN=Example {issuer}")).unwrap(),
            validity_secs: 365 * 86_400,
            path_len: 0,
            purposes: vec!["server-auth".to_owned()],
            permitted,
            excluded: Vec::new(),
            policies: Vec::new(),
            leaves: true,
        }),
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// The shipped profiles, and `under-ISSUER` for each of these issuers: `tls-server` under another CA.
fn profiles(issuers: &[String]) -> Profiles {
    let mut all: Vec<(String, String)> = Profiles::shipped().iter().map(|(n, t)| ((*n).into(), (*t).into())).collect();
    let text = all.iter().find(|(name, _)| name == "tls-server").unwrap().1.clone();
    for issuer in issuers {
        let text = text.replace("issuer = \"tls\"", &format!("issuer = \"{issuer}\""));
        all.push((format!("under-{issuer}"), text));
    }
    Profiles::load(&all).unwrap()
}

/// Parameters of a leaf that rcgen makes.
fn leaf(name: &str, now: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let since = |secs: i64| {
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(now.plus_secs(secs).unix().try_into().unwrap())
    };
    (params.not_before, params.not_after) = (since(-3_600), since(86_400));
    params
}

#[tokio::test(flavor = "multi_thread")]
async fn each_judge_believes_good_chains_of_every_key_kind_and_refuses_each_bad_one() {
    let house = House::new().await;
    let (now, issuers): (_, Vec<_>) = (house.world.now(), kinds().map(|kind| format!("by-{kind}")).collect());
    for (kind, issuer) in kinds().zip(&issuers) {
        house.authority.create_issuer(&admin(), below(issuer, kind, Vec::new())).await.unwrap();
    }
    let narrow = below("narrow", KeyKind::P256, vec!["dns:example.com".to_owned()]);
    house.authority.create_issuer(&admin(), narrow).await.unwrap();
    let authority = house.reopened(profiles(&[issuers.clone(), vec!["narrow".to_owned()]].concat())).await;
    let roots: Vec<Vec<u8>> = authority.roots().iter().map(|root| root.to_vec()).collect();
    let ca = |name: &str| {
        let found = authority.cas().into_iter().find(|ca| ca.name.to_string() == name).unwrap();
        found.certificate.unwrap().der.to_vec()
    };
    let case = |chain: Vec<Vec<u8>>| {
        let (folder, roots) = (house.dir.path().to_owned(), roots.clone());
        Case { folder, roots, chain, crls: Vec::new(), ocsp: None, at: now.plus_secs(60) }
    };
    let mut verdicts = Verdicts { wrong: Vec::new(), met: Vec::new() };

    // Good: every kind of CA key, every kind of leaf key.
    for (kind, issuer) in kinds().zip(&issuers) {
        let request = ca::CertifyRequest { profile: format!("under-{issuer}"), ..server_request(&["www.example.com"]) };
        let issued = authority.certify(&admin(), request).await.unwrap();
        let chain = vec![issued.x509_der(), ca(&issued.issuer)];
        verdicts.ask(&format!("good, CA {kind}"), &case(chain), true);
    }
    for algorithm in ["P-256", "P-384", "P-521", "ed25519", "rsa"] {
        let csr = csr_of(&house, algorithm);
        let issued = authority.certify(&admin(), ca::CertifyRequest { csr, ..server_request(&[]) }).await.unwrap();
        let chain = vec![issued.x509_der(), ca(&issued.issuer)];
        verdicts.ask(&format!("good, leaf {algorithm}"), &case(chain), true);
    }

    // One certificate: good, with the CRLs, after its end, revoked.
    let issued = authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap();
    let chain = vec![issued.x509_der(), ca("tls/1")];
    let crls = async || {
        vec![authority.crl("tls").await.unwrap().der.to_vec(), authority.crl("root").await.unwrap().der.to_vec()]
    };
    verdicts.ask("not on the CRLs", &Case { crls: crls().await, ..case(chain.clone()) }, true);
    verdicts.ask("expired", &Case { at: now.plus_secs(100 * 86_400), ..case(chain.clone()) }, false);
    let ocsp = async |chain: &[Vec<u8>]| {
        let request = request(&house, chain);
        Some(authority.ocsp(None, &request, None).await.der.to_vec())
    };
    verdicts.ask("OCSP says good", &Case { ocsp: ocsp(&chain).await, ..case(chain.clone()) }, true);
    authority.revoke(&admin(), &issued.serial_hex(), RevocationReason::KeyCompromise).await.unwrap();
    verdicts.ask("OCSP says revoked", &Case { ocsp: ocsp(&chain).await, ..case(chain.clone()) }, false);
    verdicts.ask("on the CRL", &Case { crls: crls().await, ..case(chain) }, false);

    // Outside the names that the CA is for, by whoever has its key.
    let (certificate, thief) = stolen(&house, "narrow/1").await;
    let key = KeyPair::generate().unwrap();
    for (name, good) in [("inside.example.com", true), ("www.elsewhere.test", false)] {
        let made = leaf(name, now).signed_by(&key, &thief).unwrap();
        verdicts.ask(
            &format!("permitted example.com, {name}"),
            &case(vec![made.der().to_vec(), certificate.clone()]),
            good,
        );
    }

    // A CA below one that may have none below it.
    let (certificate, thief) = stolen(&house, "tls/1").await;
    let mut sub = leaf("unused", now);
    sub.subject_alt_names.clear();
    sub.distinguished_name.push(rcgen::DnType::CommonName, "One too many");
    sub.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    sub.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
    let sub_key = KeyPair::generate().unwrap();
    let made = sub.signed_by(&sub_key, &thief).unwrap();
    let sub_issuer = Issuer::new(sub, sub_key);
    let last = leaf("www.example.com", now).signed_by(&key, &sub_issuer).unwrap();
    let chain = vec![last.der().to_vec(), made.der().to_vec(), certificate];
    verdicts.ask("path too long", &case(chain), false);

    assert!(verdicts.wrong.is_empty(), "{}", verdicts.wrong.join("\n"));
    let unmet: Vec<_> = DIVERGE.iter().filter(|row| !verdicts.met.contains(&(row.0, row.1.to_owned()))).collect();
    assert!(unmet.is_empty(), "these rows are of no case: {unmet:?}");
}

/// The kinds that SoftHSM has; ML-DSA is shown with kryoptic, and no judge here knows it.
fn kinds() -> impl Iterator<Item = KeyKind> {
    KeyKind::ALL.into_iter().filter(|kind| !matches!(kind, KeyKind::MlDsa44 | KeyKind::MlDsa65 | KeyKind::MlDsa87))
}

/// What openssl asks of a responder about the first of these, which the second issued.
fn request(house: &House, chain: &[Vec<u8>]) -> Vec<u8> {
    let (leaf, issuer) =
        (house.file("asked.pem", pem("CERTIFICATE", &chain[0])), house.file("by.pem", pem("CERTIFICATE", &chain[1])));
    let out = house.dir.path().join("request.der");
    accepts("openssl", &[&"ocsp", &"-issuer", &issuer, &"-cert", &leaf, &"-no_nonce", &"-reqout", &out]);
    std::fs::read(out).unwrap()
}

/// A request by openssl for `www.example.com`, with a key of this kind.
fn csr_of(house: &House, algorithm: &str) -> ca::Csr {
    let (key, csr) = (house.dir.path().join("leaf.key"), house.dir.path().join("leaf.csr"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-new", "-nodes", "-subj", "/", "-addext", "subjectAltName=DNS:www.example.com"]);
    match algorithm {
        "rsa" => openssl.args(["-newkey", "rsa:2048"]),
        "ed25519" => openssl.args(["-newkey", "ed25519"]),
        curve => openssl.args(["-newkey", "ec", "-pkeyopt", &format!("ec_paramgen_curve:{curve}")]),
    };
    assert!(openssl.arg("-keyout").arg(key).arg("-out").arg(&csr).output().unwrap().status.success());
    ca::Csr::parse(&std::fs::read(csr).unwrap()).unwrap()
}
