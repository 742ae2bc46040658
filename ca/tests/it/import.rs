//! CAs that come with what they signed elsewhere: each form gives the same, what is no certificate of the CA stays out, what breaks off
//! goes on, and nobody sees a revoked one as good.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ca::estates::{Ended, Estate, Gathered, Told, ejbca, openssl, step, vault};
use ca::{Arrival, Arriving, Authority, Brought, CaError, GenerationName, GenerationState, Homes, Landed, Source};
use hsm::testing::TestToken;
use policy::{Owner, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevocationReason, RevokedCertParams, SerialNumber,
};
use serde_json::json;
use store::{Filter, State};

use crate::house::{House, accepts, admin, open_ledger, owner, parts};
use crate::issuers::{self, below};
use crate::tokens::Two;

/// A CA of another program, with its key in memory.
struct Old {
    certificate: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl Old {
    fn new(name: &str) -> Old {
        Old::called(name, KeyIdMethod::Sha256)
    }

    /// Whose key is called so in its certificate.
    fn named(name: &str, identifier: &[u8]) -> Old {
        Old::called(name, KeyIdMethod::PreSpecified(identifier.to_vec()))
    }

    fn called(name: &str, key_identifier_method: KeyIdMethod) -> Old {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(2024, 1, 1);
        params.not_after = rcgen::date_time_ymd(2044, 1, 1);
        params.key_identifier_method = key_identifier_method;
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().to_vec();
        Old { certificate, issuer: Issuer::new(params, key) }
    }

    /// The same key under another name, as a PrintableString.
    fn renamed(&self, name: &str) -> Old {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let name = rcgen::DnValue::PrintableString(name.try_into().unwrap());
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::from_pem(&self.issuer.key().serialize_pem()).unwrap();
        Old { certificate: self.certificate.clone(), issuer: Issuer::new(params, key) }
    }

    /// A certificate with this serial.
    fn signs(&self, serial: &[u8], name: &str) -> Vec<u8> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from_slice(serial));
        params.not_before = rcgen::date_time_ymd(2025, 1, 1);
        params.not_after = rcgen::date_time_ymd(2043, 1, 1);
        params.use_authority_key_identifier_extension = true;
        params.signed_by(&KeyPair::generate().unwrap(), &self.issuer).unwrap().der().to_vec()
    }

    fn lists(&self, number: u64, serials: &[&[u8]]) -> Vec<u8> {
        let entry = |serial: &&[u8]| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: rcgen::date_time_ymd(2025, 6, 1),
            reason_code: Some(RevocationReason::Superseded),
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2025, 6, 2),
            next_update: rcgen::date_time_ymd(2025, 7, 2),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().der().to_vec()
    }

    /// Its key comes into the house's token by the vendor's tool.
    fn moves_into(&self, house: &House, label: &str) {
        self.moves_to(&house.token, house, label);
    }

    fn moves_to(&self, token: &TestToken, house: &House, label: &str) {
        let file = house.file(&format!("{label}.pem"), self.issuer.key().serialize_pem());
        let id = hex::encode(label);
        token.import(&file, (label, &id), &[]);
    }

    fn arrival(&self, name: &str, label: &str, crl_number: Option<u64>) -> Arrival {
        Arrival {
            name: name.to_owned(),
            label: label.to_owned(),
            chain_pem: pem("CERTIFICATE", &self.certificate).into_bytes(),
            leaves: true,
            token: None,
            was_outside: true,
            root: Some(sha256(&self.certificate)),
            crl_number,
        }
    }
}

fn sha256(der: &[u8]) -> [u8; 32] {
    ring::digest::digest(&ring::digest::SHA256, der).as_ref().try_into().unwrap()
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn june() -> Timestamp {
    Timestamp::parse_rfc3339("2025-06-01T00:00:00Z").unwrap()
}

fn good(der: &[u8]) -> Arriving {
    Arriving { certificate: Some(der.to_vec()), serial: Vec::new(), until: None, end: None }
}

fn ended(der: &[u8], reason: u8) -> Arriving {
    Arriving { end: Some(Ended { at: june(), reason, invalid: None }), ..good(der) }
}

async fn lands(authority: &Authority, name: &GenerationName, all: Vec<Arriving>) -> Landed {
    authority.import_some(&admin(), name, (all, None, &[7; 32]), false).await.unwrap()
}

async fn done(authority: &Authority, name: &GenerationName) -> ca::Arrived {
    let source = Source { place: "a test".to_owned(), sha256: [7; 32] };
    authority.import_done(&admin(), name, (&source, &Landed::default())).await.unwrap()
}

fn state(authority: &Authority, wanted: &str) -> GenerationState {
    let all = authority.issuers().into_iter().flat_map(|issuer| issuer.generations);
    all.into_iter().find(|generation| generation.name.to_string() == wanted).unwrap().state
}

#[test]
fn each_form_of_one_ca_gives_the_same() {
    let old = Old::new("Old CA");
    let (one, two) = (old.signs(&[0x0a], "a.example.com"), old.signs(&[0x00, 0xe1, 2], "b.example.com"));
    let crl = old.lists(41, &[&[0x00, 0xe1, 2]]);
    let chain = pem("CERTIFICATE", &old.certificate);

    let folder = openssl::Folder {
        place: "x".to_owned(),
        index:
            "V\t430101000000Z\t\t0A\tunknown\t/CN=a\nR\t430101000000Z\t250601000000Z,superseded\tE102\tunknown\t/CN=b\n"
                .to_owned(),
        crlnumber: Some("2A\n".to_owned()),
        certificates: vec![
            ("0A.pem".to_owned(), one.clone()),
            ("E102.pem".to_owned(), pem("CERTIFICATE", &two).into()),
        ],
        crls: vec![("crl.pem".to_owned(), pem("X509 CRL", &crl).into())],
        chain: chain.clone().into_bytes(),
        ..openssl::Folder::default()
    };
    let answer =
        |certificate: String, at: i64| json!({ "data": { "certificate": certificate, "revocation_time": at } });
    // Vault keeps no reasons: its CRL alone has one, and what its books say counts.
    let documents = [
        answer(chain.clone(), 0),
        answer(pem("X509 CRL", &crl), 0),
        json!({ "data": { "keys": ["0a", "e1-02"] } }),
        answer(pem("CERTIFICATE", &one), 0),
        answer(pem("CERTIFICATE", &two), june().unix()),
    ];
    let documents = documents.map(|document| document.to_string()).join("\n");
    let csv = format!(
        "fingerprint,serialNumber,status,base64Cert,revocationDate,revocationReason\nx,10,20,\"{}\",-1,-1\ny,57602,40,\"{}\",{},4\n",
        STANDARD.encode(&one),
        STANDARD.encode(&two),
        june().unix() * 1_000
    );
    let crls = format!("[{{\"cRLNumber\":41,\"deltaCRLIndicator\":-1,\"base64Crl\":\"{}\"}}]", STANDARD.encode(&crl));
    let texts = [("certificates.csv".to_owned(), csv.into_bytes()), ("crls.json".to_owned(), crls.into_bytes())];
    let line = |table: &str, key: &str, value: &[u8]| {
        json!({ "table": table, "key": STANDARD.encode(key), "value": STANDARD.encode(value) }).to_string()
    };
    let revoked = json!({ "Serial": "57602", "ReasonCode": 4, "RevokedAt": "2025-06-01T00:00:00.9Z" }).to_string();
    let list = json!({ "Number": 41, "DER": STANDARD.encode(&crl) }).to_string();
    let lines = [
        line("x509_certs", "10", &one),
        line("x509_certs", "57602", &two),
        line("revoked_x509_certs", "57602", revoked.as_bytes()),
        line("x509_crl", "crl", list.as_bytes()),
    ]
    .join("\n");

    let estates = [
        openssl::gather(folder),
        vault::gather("x", documents.as_bytes(), None),
        ejbca::gather("x", &texts, chain.as_bytes()),
        step::gather("x", lines.as_bytes(), chain.as_bytes()),
    ]
    .map(|gathered| Estate::of(gathered.unwrap()).unwrap());
    for estate in &estates {
        assert!(estate.left.is_empty(), "{}: {:?}", estate.source, estate.left);
        assert_eq!((estate.crl_number, estate.revoked(), estate.unseen.len()), (Some(41), 1, 0), "{}", estate.source);
        let taken: Vec<_> = estate.certificates.iter().map(|taken| (&taken.der, taken.serial.as_slice())).collect();
        assert_eq!(taken, [(&one, &[0x0a][..]), (&two, &[0xe1, 2][..])], "{}", estate.source);
        assert_eq!(estate.certificates[1].end.unwrap().at, june());
        assert_eq!(estate.highest(), Some(&[0xe1, 2][..]));
    }
    let [openssl, vault, ejbca, step] = &estates;
    assert_eq!((openssl.sha256, openssl.sha256), (ejbca.sha256, step.sha256), "one source, one hash");
    assert_eq!(openssl.certificates[1].end.unwrap().reason, 4);
    assert_eq!(vault.certificates[1].end.unwrap().reason, 0);
    assert!(
        vault.notes.iter().any(|note| note.contains("e102") && note.contains("the former counts")),
        "{:?}",
        vault.notes
    );
}

#[test]
fn what_is_no_certificate_of_the_ca_stays_out_by_name() {
    let (old, other) = (Old::new("Old CA"), Old::new("Old CA"));
    let good = old.signs(&[1], "a.example.com");
    let long = old.signs(&[1; 21], "b.example.com");
    let (twice, again) = (old.signs(&[9], "c.example.com"), old.signs(&[9], "d.example.com"));
    let mut bent = old.signs(&[3], "e.example.com");
    let place = bent.len() / 2;
    bent[place] ^= 1;
    let place = |name: &str, der: Vec<u8>| (name.to_owned(), der);
    let told = |serial: &[u8], reason: u8| Told {
        place: format!("end {reason}"),
        serial: serial.to_vec(),
        end: Ended { at: june(), reason, invalid: None },
        until: None,
    };
    let gathered = Gathered {
        source: "x".to_owned(),
        authorities: vec![old.certificate.clone()],
        certificates: vec![
            place("good", good.clone()),
            place("good again", good.clone()),
            place("own", old.certificate.clone()),
            place("another key", other.signs(&[2], "a.example.com")),
            place("another name", Old::new("New CA").signs(&[2], "a.example.com")),
            place("long", long),
            place("twice", twice),
            place("again", again),
            place("bent", bent),
            place("longer", [good, vec![0]].concat()),
            place("none", b"0\x03abc".to_vec()),
        ],
        revoked: vec![told(&[5], 1)],
        crls: vec![("foreign crl".to_owned(), other.lists(99, &[&[6]])), ("crl".to_owned(), old.lists(3, &[&[4]]))],
        ..Gathered::default()
    };
    let estate = Estate::of(gathered).unwrap();
    let taken: Vec<_> = estate.certificates.iter().map(|taken| taken.serial.clone()).collect();
    assert_eq!(taken, [[1]], "of a serial that is there twice neither comes");
    let unseen: Vec<_> = estate.unseen.iter().map(|told| told.serial.clone()).collect();
    assert_eq!(unseen, [vec![4], vec![5]]);
    assert_eq!(estate.crl_number, Some(3), "another key's CRL has no number here");
    for (place, why) in [
        ("another key", "not signed by the key of this CA"),
        ("another name", "is of another CA"),
        ("long", "more than 20 octets"),
        ("again", "neither is taken"),
        ("bent", ""),
        ("longer", "bytes after it"),
        ("none", "is no certificate"),
        ("foreign crl", "not signed by the key"),
    ] {
        assert!(
            estate.left.iter().any(|left| left.place == place && left.why.contains(why)),
            "{place}: {:?}",
            estate.left
        );
    }
    assert_eq!(estate.left.len(), 8, "{:?}", estate.left);
}

/// Of each form: three certificates, of which the second is revoked in a way that nobody understands, and the third without a moment.
#[test]
fn what_may_be_revoked_is_never_taken_as_good() {
    let old = Old::new("Old CA");
    let all: Vec<Vec<u8>> = (1..=4).map(|n: u8| old.signs(&[n], &format!("w{n}.example.com"))).collect();
    let chain = pem("CERTIFICATE", &old.certificate);
    let folder = |index: &str, crls: Vec<(String, Vec<u8>)>| openssl::Folder {
        place: "x".to_owned(),
        index: index.to_owned(),
        certificates: all.iter().enumerate().map(|(at, der)| (format!("0{}.pem", at + 1), der.clone())).collect(),
        crls,
        chain: chain.clone().into_bytes(),
        ..openssl::Folder::default()
    };
    let index = "V\t430101000000Z\t\t01\tunknown\t/CN=a\nR\t430101000000Z\t250601000000Z,lost\t02\tunknown\t/CN=b\n\
        R\t430101000000Z\tsoon,superseded\t03\tunknown\t/CN=c\nV\t430101000000Z\t\t04\tunknown\t/CN=d\n";
    let mut csv = "serialNumber,status,base64Cert,revocationDate,revocationReason\n".to_owned();
    let mut lines = Vec::new();
    let line = |table: &str, key: &str, value: &[u8]| {
        json!({ "table": table, "key": STANDARD.encode(key), "value": STANDARD.encode(value) }).to_string()
    };
    for (at, der) in all.iter().enumerate() {
        let serial = at + 1;
        let (status, moment, reason) = match serial {
            2 => (40, june().unix() * 1_000, 77),
            3 => (40, -1, 4),
            _ => (20, -1, -1),
        };
        csv.push_str(&format!("{serial},{status},{},{moment},{reason}\n", STANDARD.encode(der)));
        lines.push(line("x509_certs", &serial.to_string(), der));
    }
    for (key, at, reason) in [("2", "2025-06-01T00:00:00Z", 77), ("3", "soon", 4)] {
        let said = json!({ "ReasonCode": reason, "RevokedAt": at }).to_string();
        lines.push(line("revoked_x509_certs", key, said.as_bytes()));
    }
    let estates = [
        openssl::gather(folder(index, Vec::new())),
        ejbca::gather("x", &[("x".to_owned(), csv.into_bytes())], chain.as_bytes()),
        step::gather("x", lines.join("\n").as_bytes(), chain.as_bytes()),
    ];
    for estate in estates.map(|gathered| Estate::of(gathered.unwrap()).unwrap()) {
        let ends: Vec<_> = estate.certificates.iter().map(|taken| (taken.serial[0], taken.end)).collect();
        let unspecified = Some(Ended { at: june(), reason: 0, invalid: None });
        assert_eq!(ends, [(1, None), (2, unspecified), (4, None)], "{}", estate.source);
        assert_eq!(estate.left.len(), 2, "the line and the certificate: {:?}", estate.left);
        assert!(estate.left.iter().any(|left| left.why.contains("may be revoked")), "{:?}", estate.left);
        assert!(estate.notes.iter().any(|note| note.contains("unspecified")), "{:?}", estate.notes);
    }
    // A certificate under another's serial would escape what is said of its own; what a row says counts without a certificate too.
    let [one, three] = [&all[0], &all[2]].map(|der| STANDARD.encode(der));
    let csv = format!(
        "serialNumber,status,base64Cert,revocationDate,revocationReason\n3,40,{one},{at},1\n1,20,{three},-1,-1\n2,40,!,{at},1\n",
        at = june().unix() * 1_000
    );
    let lines = [line("x509_certs", "3", &all[0]), line("x509_certs", "1", &all[2])].join("\n");
    let by_row = ejbca::gather("x", &[("x".to_owned(), csv.into_bytes())], chain.as_bytes());
    let by_key = step::gather("x", lines.as_bytes(), chain.as_bytes());
    for (gathered, unseen) in [(by_row, 2), (by_key, 0)] {
        let estate = Estate::of(gathered.unwrap()).unwrap();
        assert_eq!((estate.certificates.len(), estate.unseen.len()), (0, unseen), "{:?}", estate.left);
    }
    // A CRL tells how the third ended; a line of which nothing can be read is about one that the index lacks.
    let listed = vec![("a.crl".to_owned(), old.lists(7, &[&[3]]))];
    let broken = index.replace("V\t430101000000Z\t\t04\tunknown\t/CN=d", "R\t430101000000Z\t250601000000Z");
    let estate = Estate::of(openssl::gather(folder(&broken, listed)).unwrap()).unwrap();
    let ends: Vec<_> =
        estate.certificates.iter().map(|taken| (taken.serial[0], taken.end.map(|end| end.reason))).collect();
    assert_eq!(ends, [(1, None), (2, Some(0)), (3, Some(4))]);
}

/// easy-rsa moves what it renewed or revoked out of the folder of all certificates, micromdm/scep names its files in the index.
#[test]
fn a_certificate_is_found_where_the_program_moved_it_and_no_other_is() {
    let (old, other) = (Old::new("Old CA"), Old::new("Another CA"));
    let [one, two, three, four] = [1, 2, 3, 4].map(|n: u8| old.signs(&[n], &format!("w{n}.example.com")));
    let at = |place: &str, der: &[u8]| (place.to_owned(), der.to_vec());
    let index = "V\t430101000000Z\t\t01\tunknown\t/CN=a\nV\t430101000000Z\t\t02\t\t/CN=b\nV\t430101000000Z\t\t03\tw3.03.pem\t\n\
        V\t430101000000Z\t\t05\t../w5.pem\t/CN=e\n";
    assert_eq!(openssl::named(index).collect::<Vec<_>>(), ["w3.03.pem"], "beside the index, and nowhere else");
    let folder = openssl::Folder {
        index: index.to_owned(),
        certificates: vec![at("newcerts/01.pem", &one)],
        moved: vec![
            at("issued/a.crt", &one),
            at("renewed/issued/b.crt", &two),
            at("renewed/certs_by_serial/02.crt", &two),
            at("w3.03.pem", &three),
            // Of these the index knows nothing.
            at("issued/d.crt", &four),
            at("issued/elsewhere.crt", &other.signs(&[7], "x.example.com")),
            at("issued/README", b"what lies here"),
        ],
        chain: pem("CERTIFICATE", &old.certificate).into_bytes(),
        ..openssl::Folder::default()
    };
    let estate = Estate::of(openssl::gather(folder).unwrap()).unwrap();
    let taken: Vec<_> = estate.certificates.iter().map(|taken| (taken.serial[0], taken.place.as_str())).collect();
    assert_eq!(taken, [(1, "newcerts/01.pem"), (2, "renewed/issued/b.crt"), (3, "w3.03.pem")]);
    let left: Vec<_> = estate.left.iter().map(|left| left.why.as_str()).collect();
    assert_eq!(left, ["of serial 05 no certificate is there: only that there was one"]);
}

/// Each export of EJBCA has every CRL that there was, and a certificate that was on hold is none for ever.
#[test]
fn of_all_crls_that_there_were_the_newest_says_how_it_is() {
    let old = Old::new("Old CA");
    let all = [1, 2, 3].map(|n: u8| old.signs(&[n], &format!("w{n}.example.com")));
    let crl = |number: u64, hour: u8, entries: &[(u8, RevocationReason)]| {
        let at = rcgen::date_time_ymd(2025, 6, 2) + Duration::from_secs(3_600 * u64::from(hour));
        let entry = |(serial, reason): &(u8, RevocationReason)| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&[*serial]),
            revocation_time: at,
            reason_code: Some(*reason),
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: at,
            next_update: rcgen::date_time_ymd(2025, 7, 2),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: entries.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        STANDARD.encode(params.signed_by(&old.issuer).unwrap().der())
    };
    let (hold, lost) = (RevocationReason::CertificateHold, RevocationReason::KeyCompromise);
    // Out of order, as a database gives them. The first was released, the second was revoked for good, the third is on hold.
    let crls = [
        (22, crl(22, 2, &[(2, lost), (3, hold)])),
        (20, crl(20, 0, &[(1, hold), (2, hold)])),
        (21, crl(21, 1, &[(1, hold), (2, hold), (3, hold)])),
    ];
    let crls: Vec<_> = crls.iter().map(|(number, der)| json!({ "cRLNumber": number, "base64Crl": der })).collect();
    let row = |serial: usize, status: u8, reason: i64| {
        json!({ "serialNumber": serial.to_string(), "status": status, "base64Cert": STANDARD.encode(&all[serial - 1]),
            "revocationDate": june().unix() * 1_000, "revocationReason": reason })
    };
    for (says, rows) in [
        ("released and in force", [row(1, 20, 8), row(2, 20, -1), row(3, 20, -1)]),
        ("released, and archived after its end", [row(1, 60, 8), row(2, 20, -1), row(3, 20, -1)]),
    ] {
        let texts = [("rows".to_owned(), json!(rows).to_string()), ("crls".to_owned(), json!(crls).to_string())]
            .map(|(name, text)| (name, text.into_bytes()));
        let gathered = ejbca::gather("x", &texts, pem("CERTIFICATE", &old.certificate).as_bytes()).unwrap();
        let estate = Estate::of(gathered).unwrap();
        let ends: Vec<_> =
            estate.certificates.iter().map(|taken| (taken.serial[0], taken.end.map(|end| end.reason))).collect();
        assert_eq!(ends, [(1, None), (2, Some(1)), (3, Some(6))], "{says}: {:?}", estate.notes);
        assert_eq!((estate.crl_number, estate.numbers.len()), (Some(22), 3), "of a row and the CRL in it, once");
    }
}

/// A CA elsewhere named its key as it liked. Its certificate is renewed and signed for here, and what it signed before goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_ca_that_came_keeps_its_keys_name_in_every_certificate_of_it() {
    let house = House::new().await;
    let authority = &house.authority;
    let old = Old::named("Old CA", &[1, 2, 3, 4, 5, 6, 7, 8]);
    let leaf = house.file("leaf.pem", pem("CERTIFICATE", &old.signs(&[1], "a.example.com")));
    old.moves_into(&house, "old-ca");
    let Arrival { name, label, chain_pem, leaves, token, was_outside, root, .. } = old.arrival("old", "old-ca", None);
    let brought = Brought { name, label, token, was_outside, chain_pem, root, leaves, shards: None, deltas: None };
    let name = authority.bring_issuer(&admin(), brought).await.unwrap();
    // A CA below it, as it bounds no path.
    let sub = authority.create_issuer(&admin(), below("sub", "old")).await.unwrap();
    let sub = house.file("sub.pem", first(&authority.export_issuer(&admin(), &sub).await.unwrap()));

    authority.renew_issuer(&admin(), &name).await.unwrap();
    let renewed = house.file("renewed.pem", first(&authority.export_issuer(&admin(), &name).await.unwrap()));
    let says = accepts("openssl", &[&"x509", &"-in", &renewed, &"-noout", &"-ext", &"subjectKeyIdentifier"]);
    assert!(says.contains("01:02:03:04:05:06:07:08"), "{says}");
    for certificate in [&renewed, &leaf, &sub] {
        accepts("openssl", &[&"verify", &"-x509_strict", &"-CAfile", &renewed, certificate]);
    }
    // And by whoever trusts our own root alone.
    authority.cross_sign_issuer(&admin(), &name, &issuers::name("root/1")).await.unwrap();
    let all = house.file("all.pem", authority.export_issuer(&admin(), &name).await.unwrap());
    let own = house.file("own.pem", authority.export_issuer(&admin(), &issuers::name("root/1")).await.unwrap());
    let crossed = std::fs::read_to_string(&all).unwrap();
    let crossed = crossed.split_inclusive("-----END CERTIFICATE-----\n").filter(|pem| {
        let file = house.file("one.pem", pem);
        let issuer = accepts("openssl", &[&"x509", &"-in", &file, &"-noout", &"-issuer"]);
        !issuer.contains("Old CA")
    });
    let crossed = house.file("crossed.pem", crossed.collect::<String>());
    accepts("openssl", &[&"verify", &"-x509_strict", &"-CAfile", &own, &"-untrusted", &crossed, &leaf]);
    // Who signs for it elsewhere is asked for that name.
    let request = house.file("old.csr", authority.request_issuer(&admin(), &name).await.unwrap().pem);
    let asks = accepts("openssl", &[&"req", &"-in", &request, &"-noout", &"-text"]);
    assert!(asks.contains("01:02:03:04:05:06:07:08"), "{asks}");
}

#[test]
fn who_names_a_cas_certificate_by_its_serial_is_told_of() {
    let old = Old::new("Old CA");
    let mut params = CertificateParams::new(vec!["b.example.com".to_owned()]).unwrap();
    params.serial_number = Some(SerialNumber::from_slice(&[2]));
    // authorityKeyIdentifier with authorityCertIssuer (a name of a host will do) and authorityCertSerialNumber.
    let value = [&[0x30, 0x0b, 0xa1, 0x06, 0x82, 0x04][..], b"host", &[0x82, 0x01, 0x07]].concat();
    params.custom_extensions = vec![rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 35], value)];
    let named = params.signed_by(&KeyPair::generate().unwrap(), &old.issuer).unwrap().der().to_vec();
    let says = |certificates: &[&Vec<u8>]| {
        let certificates = certificates.iter().map(|der| ("x".to_owned(), der.to_vec())).collect();
        let authorities = vec![old.certificate.clone()];
        let estate = Estate::of(Gathered { certificates, authorities, ..Gathered::default() }).unwrap();
        (estate.certificates.len(), estate.notes.concat())
    };
    let plain = old.signs(&[1], "a.example.com");
    assert_eq!(says(&[&plain]), (1, String::new()));
    let (taken, notes) = says(&[&plain, &named]);
    assert!(taken == 2 && notes.starts_with("1 certificates name the CA's certificate by its serial"), "{notes}");
}

fn first(pem: &str) -> String {
    pem.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap().to_owned()
}

/// What a CRL lists that is not taken may be revoked: by it alone, so that without it nobody would know.
#[test]
fn what_a_crl_alone_lists_that_is_not_taken_does_not_come_as_good() {
    let (old, other) = (Old::new("Old CA"), Old::new("Old CA"));
    let own = old.lists(7, &[&[2]]);
    // Of reasonCode certificateIssuer is made, as an indirect CRL has it.
    let indirect = |mut crl: Vec<u8>| {
        let at = crl.windows(5).position(|seen| seen == [6, 3, 0x55, 0x1d, 21]).unwrap();
        crl[at + 4] = 29;
        crl
    };
    let reads = |crl: Vec<u8>| {
        let signed = |n: u8| (format!("0{n}.pem"), old.signs(&[n], &format!("w{n}.example.com")));
        let gathered = Gathered {
            authorities: vec![old.certificate.clone()],
            certificates: vec![signed(1), signed(2)],
            crls: vec![("a.crl".to_owned(), crl)],
            ..Gathered::default()
        };
        let estate = Estate::of(gathered).unwrap();
        let good: Vec<u8> =
            estate.certificates.iter().filter(|one| one.end.is_none()).map(|one| one.serial[0]).collect();
        (good, estate.left.len(), estate.hinders.len())
    };
    for (what, crl, seen) in [
        ("taken", own.clone(), (vec![1], 0, 0)),
        ("another key's", other.lists(7, &[&[2]]), (vec![1], 2, 0)),
        ("an indirect one", indirect(own.clone()), (vec![1], 2, 0)),
        ("another CA's", Old::new("New CA").lists(7, &[&[2]]), (vec![1, 2], 1, 0)),
        // RFC 5280 section 7.1: the same name in another type of string, and in another case.
        ("this CA's, as others write its name", old.renamed("OLD ca").lists(7, &[&[2]]), (vec![1], 0, 0)),
        ("this key's under another name", old.renamed("Older CA").lists(7, &[&[2]]), (vec![1], 2, 0)),
        ("another CA's indirect one", indirect(Old::new("New CA").lists(7, &[&[2]])), (vec![1], 2, 0)),
        ("longer", [own.clone(), vec![0]].concat(), (vec![1, 2], 0, 1)),
        ("cut", own[..own.len() - 1].to_vec(), (vec![1, 2], 0, 1)),
    ] {
        assert_eq!(reads(crl), seen, "{what}");
    }
    // What is no CRL at all where one should be.
    let chain = pem("CERTIFICATE", &old.certificate);
    let broken = "-----BEGIN X509 CRL-----\n!\n-----END X509 CRL-----\n";
    let document = json!({ "data": { "certificate": broken } }).to_string();
    let line = json!({ "table": "x509_crl", "key": "eA==", "value": STANDARD.encode(r#"{"Number":7,"DER":"!"}"#) });
    let folder = openssl::Folder {
        crls: vec![("a.crl".to_owned(), broken.into())],
        chain: chain.clone().into_bytes(),
        ..openssl::Folder::default()
    };
    for gathered in [
        openssl::gather(folder),
        vault::gather("x", document.as_bytes(), Some(chain.as_bytes())),
        ejbca::gather("x", &[("x".to_owned(), b"crlNumber,base64Crl\n7,!\n".to_vec())], chain.as_bytes()),
        step::gather("x", line.to_string().as_bytes(), chain.as_bytes()),
    ] {
        let estate = Estate::of(gathered.unwrap()).unwrap();
        assert_eq!((estate.hinders.len(), estate.left.len()), (1, 0), "{}: {:?}", estate.source, estate.left);
    }
}

/// The entries of a CRL hold whatever its number is.
#[test]
fn a_crl_whose_number_is_too_great_tells_of_its_entries_all_the_same() {
    let old = Old::new("Old CA");
    let gathered = Gathered {
        authorities: vec![old.certificate.clone()],
        certificates: vec![("good".to_owned(), old.signs(&[1], "a.example.com"))],
        crls: vec![("great".to_owned(), old.lists(u64::MAX / 2, &[&[1]])), ("small".to_owned(), old.lists(3, &[]))],
        ..Gathered::default()
    };
    let estate = Estate::of(gathered).unwrap();
    assert_eq!(estate.certificates[0].end.map(|end| end.reason), Some(4));
    assert_eq!(estate.crl_number, Some(3));
    assert!(estate.left.len() == 1 && estate.left[0].why.contains("smaller"), "{:?}", estate.left);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_off_goes_on_and_nothing_is_published_before_all_is_there() {
    let house = House::new().await;
    let old = Old::new("Old CA");
    old.moves_into(&house, "old-ca");
    let authority = &house.authority;
    let all: Vec<Vec<u8>> = (1..=200).map(|n: u8| old.signs(&[0, 0xa0, n], &format!("w{n}.example.com"))).collect();
    let arrival = || old.arrival("old", "old-ca", Some(5_000_000_000));

    let would = authority.import_begin(&admin(), arrival(), true).await.unwrap();
    assert_eq!((would.is_new, would.next), (true, 5_000_000_001));
    assert!(authority.issuers().iter().all(|issuer| issuer.name != "old"), "a rehearsal writes nothing");
    for above in [1 << 62, u64::MAX] {
        let refused = authority.import_begin(&admin(), Arrival { crl_number: Some(above), ..arrival() }, false).await;
        assert!(matches!(refused, Err(CaError::BadRequest { what: "crl_number", .. })), "{refused:?}");
    }
    let unsaid = Arrival { was_outside: false, ..arrival() };
    let refused = authority.import_begin(&admin(), unsaid, false).await.unwrap_err();
    assert!(refused.to_string().contains("CKA_NEVER_EXTRACTABLE"), "{refused}");
    // Of a wrong fingerprint both are told: which of paper and file is another's is for people to see.
    let other = Arrival { root: Some([0xab; 32]), ..arrival() };
    let refused = authority.import_begin(&admin(), other, true).await.unwrap_err().to_string();
    let came = ca::groups(&hex::encode(sha256(&old.certificate)));
    assert!(refused.contains(&came) && refused.contains(&["ABAB"; 16].join(" ")), "{refused}");
    let none = Arrival { root: None, ..arrival() };
    let refused = authority.import_begin(&admin(), none, true).await.unwrap_err().to_string();
    assert!(!refused.contains(&came), "nobody copies it from here: {refused}");

    let begun = authority.import_begin(&admin(), arrival(), false).await.unwrap();
    let name = begun.name.clone();
    assert!(begun.is_new && begun.arriving);
    let half: Vec<Arriving> = all.iter().take(100).map(|der| ended(der, 1)).collect();
    let before = house.ledger.counts().await.unwrap();
    let landed = lands(authority, &name, half.clone()).await;
    assert_eq!((landed.new, landed.revoked, landed.left.len()), (100, 100, 0));
    let counts = house.ledger.counts().await.unwrap();
    assert_eq!(counts.revoked - before.revoked, 100);
    assert_eq!(counts.issued, before.issued, "never good here, not for a moment");

    // Interrupted: nothing is signed by it, and no CRL of it is served.
    let again = house.reopened(ca::Profiles::load(ca::Profiles::shipped()).unwrap()).await;
    assert_eq!(state(&again, "old/1"), GenerationState::Pending);
    assert!(again.crl("old/1").await.is_err());
    again.refresh_crls().await.unwrap();
    assert!(again.crl("old/1").await.is_err(), "a CRL of half of them would say that the rest is good");

    // The same again goes on.
    let begun = again.import_begin(&admin(), arrival(), false).await.unwrap();
    assert!(!begun.is_new && begun.arriving);
    let landed = lands(&again, &name, half).await;
    assert_eq!((landed.new, landed.there, landed.revoked, landed.revoked_there), (0, 100, 0, 100));
    let rest: Vec<Arriving> = all.iter().skip(100).map(|der| good(der)).collect();
    assert_eq!(lands(&again, &name, rest).await.new, 100);
    let arrived = done(&again, &name).await;
    assert_eq!(arrived.published, Some(5_000_000_001));
    assert_eq!(state(&again, "old/1"), GenerationState::Active);
    assert!(again.crl("old/1").await.unwrap().len() > 100 * 30);

    // A later export has a newer CRL: the next of ours is above that.
    let later = old.arrival("old", "old-ca", Some(6_000_000_000));
    assert_eq!(again.import_begin(&admin(), later, false).await.unwrap().next, 6_000_000_001);
    assert_eq!(lands(&again, &name, vec![ended(&all[150], 4)]).await.revoked, 1);
    assert_eq!(done(&again, &name).await.published, Some(6_000_000_001));
    let earlier = old.arrival("old", "old-ca", Some(9));
    assert_eq!(again.import_begin(&admin(), earlier, false).await.unwrap().next, 6_000_000_002, "it never goes back");
    house.verified().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn how_much_came_is_counted_here_and_whoever_says_more_is_refused() {
    let house = House::new().await;
    let old = Old::new("Old CA");
    old.moves_into(&house, "old-ca");
    let authority = &house.authority;
    let name = authority.import_begin(&admin(), old.arrival("old", "old-ca", None), false).await.unwrap().name;
    let all: Vec<Vec<u8>> = (1..=3).map(|n: u8| old.signs(&[n], &format!("w{n}.example.com"))).collect();
    lands(authority, &name, vec![good(&all[0]), good(&all[1]), ended(&all[2], 4)]).await;
    let source = Source { place: "a test".to_owned(), sha256: [7; 32] };
    let said = |new, there, revoked| Landed { new, there, revoked, ..Landed::default() };
    for more in [said(4, 0, 0), said(1, 3, 0), said(0, u64::MAX, 0), said(u64::MAX, 1, 0), said(3, 0, 2)] {
        let why = authority.import_done(&admin(), &name, (&source, &more)).await.unwrap_err();
        assert!(matches!(&why, CaError::Conflict(says) if says.contains("are said to be here")), "{why}");
        assert_eq!(state(authority, "old/1"), GenerationState::Pending, "{more:?}");
    }
    // One that goes on where another broke off says less of what is new: what the log says is what is here.
    authority.import_done(&admin(), &name, (&source, &said(1, 2, 0))).await.unwrap();
    assert_eq!(state(authority, "old/1"), GenerationState::Active);
    let id = format!("old/1 {}", hex::encode([7; 32]));
    let record = house.ledger.record_get("ca-import", &id).await.unwrap().unwrap();
    assert_eq!((&record.body["certificates"], &record.body["revocations"]), (&3.into(), &1.into()), "{}", record.body);
    house.verified().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_is_one_issuers_whatever_its_label_and_what_arrives_is_not_activated() {
    let house = House::new().await;
    let old = Old::new("Old CA");
    let authority = &house.authority;
    for label in ["old-ca", "again"] {
        old.moves_into(&house, label);
    }
    let name = authority.import_begin(&admin(), old.arrival("old", "old-ca", None), false).await.unwrap().name;
    let why = authority.activate_issuer(&admin(), &name, ca::Activation::Now).await.unwrap_err().to_string();
    assert!(why.contains("finish that first") && why.contains("chancery ca retire old/1"), "{why}");
    let der = old.signs(&[7], "www.example.com");
    let own = (vec![good(&der)], Some(owner("web")), &[7; 32]);
    assert_eq!(authority.import_some(&admin(), &name, own, false).await.unwrap().new, 1);
    done(authority, &name).await;
    let brought = || ca::Brought {
        name: "again".to_owned(),
        label: "again".to_owned(),
        token: None,
        was_outside: true,
        chain_pem: pem("CERTIFICATE", &old.certificate).into_bytes(),
        root: None,
        leaves: true,
        shards: None,
        deltas: None,
    };
    // Under another name it would tell of no revocation, and one that has ended would begin again.
    for has_ended in [false, true] {
        if has_ended {
            authority.revoke_issuer(&admin(), &name, ca::RevocationReason::Superseded).await.unwrap();
        }
        let rehearsed = authority.import_begin(&admin(), old.arrival("again", "again", None), true).await;
        let begun = authority.import_begin(&admin(), old.arrival("again", "again", None), false).await;
        let taken = authority.bring_issuer(&admin(), brought()).await;
        let refused = [rehearsed.unwrap_err(), begun.unwrap_err(), taken.unwrap_err()];
        for why in refused.map(|why| why.to_string()) {
            assert!(why.contains("the key `again` is that of old/1"), "{why}");
        }
    }
    // Nobody knows by which rules it was signed.
    let why = authority.renew(&admin(), "07", None).await.unwrap_err().to_string();
    assert!(why.contains("signed elsewhere") && why.contains("under a profile"), "{why}");
    house.verified().await;
}

/// What an importing tool granted beside signing is taken from a key once it is known to be the one that is meant, and from no other.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_from_a_key_that_is_another_or_that_is_not_taken() {
    let two = Two::with(|_| TestToken::new("stranger")).await;
    let (old, other) = (Old::new("Old CA"), Old::new("Other CA"));
    old.moves_into(&two.house, "old-ca");
    other.moves_to(&two.spare, &two.house, "old-ca");
    two.house.token.loosen("old-ca");
    two.spare.loosen("old-ca");
    let as_it_is = async |token: &str| two.pool.token(token).unwrap().find("old-ca").await.unwrap_err().to_string();
    let before = (as_it_is("main").await, as_it_is("spare").await);
    assert!(before.0.contains("CKA_DECRYPT is true") && before.1.contains("CKA_DECRYPT is true"), "{before:?}");
    // A chain of another CA, by either way in.
    let arrival = other.arrival("old", "old-ca", None);
    two.authority.import_begin(&admin(), arrival, false).await.unwrap_err();
    let brought = ca::Brought {
        name: "old".to_owned(),
        label: "old-ca".to_owned(),
        token: None,
        was_outside: true,
        chain_pem: pem("CERTIFICATE", &other.certificate).into_bytes(),
        root: Some(sha256(&other.certificate)),
        leaves: true,
        shards: None,
        deltas: None,
    };
    two.authority.bring_issuer(&admin(), brought).await.unwrap_err();
    assert_eq!(as_it_is("main").await, before.0);
    // And another key in another token.
    let name = two.authority.import_begin(&admin(), old.arrival("old", "old-ca", None), false).await.unwrap().name;
    assert!(!as_it_is("main").await.contains("CKA_DECRYPT"), "it is the one that is meant");
    done(&two.authority, &name).await;
    let homes = Homes::Add { token: "spare".to_owned(), was_outside: true };
    let refused = two.authority.set_homes(&admin(), &name, homes).await.unwrap_err().to_string();
    assert!(refused.contains("is another key than that of old/1"), "{refused}");
    assert_eq!(as_it_is("spare").await, before.1);
}

/// The token is there all the while, so that nobody looks for the key again.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_somebody_changed_in_its_token_is_an_alarm_until_it_is_put_right() {
    let house = House::new().await;
    let old = Old::new("Old CA");
    old.moves_into(&house, "old-ca");
    let name = house.authority.import_begin(&admin(), old.arrival("old", "old-ca", None), false).await.unwrap().name;
    lands(&house.authority, &name, vec![good(&old.signs(&[7], "www.example.com"))]).await;
    done(&house.authority, &name).await;
    // Another pool, no session of which has signed with it.
    let (pool, mint) = hsm::open(house.token.config()).unwrap();
    let ledger = open_ledger(house.dir.path(), (&pool, mint), &house.world).await;
    let profiles = ca::Profiles::load(ca::Profiles::shipped()).unwrap();
    let authority = Authority::open(parts(&ledger, &pool, &house.world, profiles)).await.unwrap();
    assert!(authority.health().due.is_empty(), "{:?}", authority.health().due);
    house.token.loosen("old-ca");
    authority.revoke(&admin(), "07", ca::RevocationReason::Superseded).await.unwrap();
    for _ in 0..2 {
        let _ = authority.refresh_crls().await;
        let due = authority.health().due;
        let [alarm] = &due[..] else { panic!("{due:?}") };
        assert!(alarm.contains("CKA_DECRYPT is true") && alarm.contains("chancery ca tokens old/1 --add"), "{alarm}");
    }
    let homes = Homes::Add { token: pool.first().name().to_owned(), was_outside: true };
    authority.set_homes(&admin(), &name, homes).await.unwrap();
    assert!(authority.health().due.is_empty(), "{:?}", authority.health().due);
    authority.refresh_crls().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_row_is_shown_owned_and_guarded_like_any_other() {
    let house = House::new().await;
    let (old, second) = (Old::new("Old CA"), Old::new("Second CA"));
    let authority = &house.authority;
    let mut names = Vec::new();
    for (ca, name, label) in [(&old, "old", "old-ca"), (&second, "second", "second-ca")] {
        ca.moves_into(&house, label);
        names.push(authority.import_begin(&admin(), ca.arrival(name, label, None), false).await.unwrap().name);
    }
    let der = old.signs(&[7], "www.elsewhere.test");
    let landed = authority
        .import_some(&admin(), &names[0], (vec![good(&der)], Some(owner("db")), &[7; 32]), false)
        .await
        .unwrap();
    assert_eq!(landed.new, 1);
    // Two CAs gave one serial each.
    let twin = second.signs(&[7], "mail.elsewhere.test");
    assert_eq!(lands(authority, &names[1], vec![ended(&twin, 6)]).await.new, 1);
    let other = old.signs(&[7], "other.example.com");
    let landed = lands(authority, &names[0], vec![good(&other)]).await;
    assert!(landed.new == 0 && landed.left[0].1.contains("another certificate"), "{landed:?}");
    let foreign = lands(authority, &names[0], vec![good(&twin)]).await;
    assert!(foreign.new == 0 && foreign.left[0].1.contains("another CA"), "{foreign:?}");
    for name in &names {
        done(authority, name).await;
    }

    let list = house.ledger.list(Filter { profile: Some("imported".to_owned()), ..Filter::default() }).await.unwrap();
    assert_eq!(list.items.len(), 2);
    assert!(list.items.iter().all(|found| found.imported.is_some()));
    let all = house.ledger.credentials_of("07").await.unwrap();
    let states: Vec<_> = all.iter().map(|found| (found.issuer.as_str(), found.state)).collect();
    assert_eq!(states, [("second/1", State::Revoked), ("old/1", State::Issued)]);
    assert_eq!(all[1].owner, Some(Owner::parse("db").unwrap()), "nobody's rules name it");
    assert_eq!(all[1].x509_der(), Some(der.clone()), "byte for byte");
    // Which of the two is meant by the serial nobody knows; shown, one is.
    let why = authority.revoke(&admin(), "07", ca::RevocationReason::Superseded).await.unwrap_err();
    assert!(matches!(&why, CaError::Conflict(says) if says.contains("show the one")), "{why}");
    let shown = authority.revoke_shown(&admin(), &der, ca::RevocationReason::Superseded).await.unwrap();
    assert!(!shown.is_lost);
    assert_eq!(house.ledger.credentials_of("07").await.unwrap()[1].state, State::Revoked);
    house.verified().await;

    // Whoever writes the database makes nothing of it.
    let database = rusqlite::Connection::open(house.dir.path().join("chancery.db")).unwrap();
    let changed = database.execute("UPDATE intent SET form = 'whole' WHERE form = 'imported' AND issuer = 'old/1'", []);
    assert_eq!(changed.unwrap(), 1);
    assert!(matches!(house.ledger.credentials_of("07").await, Err(store::StoreError::Altered(_))));
    let file = store::Database::Sqlite(house.dir.path().join("chancery.db"));
    let report = tokio::task::spawn_blocking(move || store::verify(file, None, &mut |_| {})).await.unwrap().unwrap();
    assert!(report.findings.iter().any(|finding| finding.what == "intent"), "{:?}", report.findings);
    assert_eq!(report.imported, 2);
}
