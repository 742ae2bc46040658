//! What other programs leave of a CA: each form gives the same, and what may be revoked is never taken as good.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ca::estates::{Ended, Estate, Gathered, Told, ejbca, openssl, step, vault};
use rcgen::{
    CertificateParams, CertificateRevocationListParams, KeyIdMethod, KeyPair, RevocationReason, RevokedCertParams,
    SerialNumber,
};
use serde_json::json;

use super::{Old, june, pem};

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
