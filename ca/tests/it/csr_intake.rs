//! What a CSR may be: made by openssl, read by us.

use std::path::Path;
use std::process::Command;

use ca::Csr;
use policy::Name;
use tempfile::TempDir;

/// Makes a key and a CSR with openssl. `key` are arguments of `genpkey`, `extensions` a config section.
fn openssl_csr(dir: &Path, key: &[&str], subject: &str, digest: &[&str], extensions: &str) -> Vec<u8> {
    let key_file = dir.join("key.pem");
    let config = dir.join("req.cnf");
    std::fs::write(&config, format!("[req]\ndistinguished_name=dn\nreq_extensions=ext\n[dn]\n[ext]\n{extensions}\n"))
        .unwrap();
    let made = Command::new("openssl").args(["genpkey", "-out"]).arg(&key_file).args(key).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut request = Command::new("openssl");
    request.args(["req", "-new", "-subj", subject, "-key"]).arg(&key_file).arg("-config").arg(&config).args(digest);
    if extensions.is_empty() {
        std::fs::write(&config, "[req]\ndistinguished_name=dn\n[dn]\n").unwrap();
    }
    let made = request.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    made.stdout
}

const P256: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
const P384: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
const P521: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"];
const RSA: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
const ED: &[&str] = &["-algorithm", "ed25519"];
const SAN: &str = "subjectAltName=DNS:www.example.com,IP:192.0.2.1";

#[test]
fn requests_as_openssl_users_send_them_are_read() {
    let dir = TempDir::new().unwrap();
    let habits = "subjectAltName=DNS:www.example.com,DNS:WWW.example.com,IP:192.0.2.1\nkeyUsage=critical,digitalSignature,keyEncipherment\n\
        extendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=CA:FALSE\nsubjectKeyIdentifier=hash";
    for (key, digest, kind) in [
        (P256, &["-sha256"][..], "p256"),
        (P256, &["-sha384"], "p256"),
        (P384, &["-sha256"], "p384"),
        (P384, &["-sha384"], "p384"),
        (RSA, &["-sha256"], "rsa2048"),
        (RSA, &["-sha512"], "rsa2048"),
        // Whatever the curve: openssl signs with SHA-256 where nobody says otherwise, others with the longest they have.
        (P256, &["-sha512"], "p256"),
        (P384, &["-sha512"], "p384"),
        (P521, &["-sha256"], "p521"),
        (P521, &["-sha384"], "p521"),
        (P521, &["-sha512"], "p521"),
        // The longest salt there is room for, which is what older versions of openssl make of these words alone.
        (RSA, &["-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:max"], "rsa2048"),
        (RSA, &["-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"], "rsa2048"),
        (RSA, &["-sha384", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"], "rsa2048"),
        (RSA, &["-sha512", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:20"], "rsa2048"),
        (RSA, &["-sha512", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:0"], "rsa2048"),
        (ED, &[], "ed25519"),
    ] {
        let pem = openssl_csr(dir.path(), key, "/CN=www.example.com", digest, habits);
        let csr = Csr::parse(&pem).unwrap();
        assert_eq!(csr.key_kind().as_str(), kind);
        let names: Vec<_> = csr.names().iter().map(|n| n.to_string()).collect();
        assert_eq!(names, ["dns:www.example.com", "ip:192.0.2.1"]);
    }
}

#[test]
fn pem_with_text_around_it_and_der_are_read() {
    let dir = TempDir::new().unwrap();
    let pem = String::from_utf8(openssl_csr(dir.path(), P256, "/CN=a.example.com", &[], SAN)).unwrap();
    let csr = Csr::parse(pem.as_bytes()).unwrap();
    let wrapped = format!(
        "Certificate Request:\n    Data: ...\n{}",
        pem.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
    );
    assert_eq!(Csr::parse(wrapped.replace('\n', "\r\n").as_bytes()).unwrap().spki_der(), csr.spki_der());
    let two = format!("{pem}{}", pem.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"));
    for two in [format!("{pem}{pem}"), two] {
        assert!(Csr::parse(two.as_bytes()).unwrap_err().to_string().contains("more than one request"));
    }
    let der = der_of(&pem);
    assert_eq!(Csr::parse(&der).unwrap().spki_der(), csr.spki_der());
}

fn der_of(pem: &str) -> Vec<u8> {
    use base64::Engine;
    let body: String = pem.lines().filter(|l| !l.starts_with('-')).collect();
    base64::engine::general_purpose::STANDARD.decode(body).unwrap()
}

#[test]
fn a_common_name_counts_only_where_nothing_else_is_named() {
    let dir = TempDir::new().unwrap();
    let named = |subject: &str, extensions: &str| {
        let csr = Csr::parse(&openssl_csr(dir.path(), P256, subject, &[], extensions)).unwrap();
        (csr.names().to_vec(), csr.common_name().map(str::to_owned))
    };
    let dns = |name: &str| Name::parse(name).unwrap();
    assert_eq!(named("/CN=a.example.com", ""), (vec![dns("a.example.com")], Some("a.example.com".into())));
    assert_eq!(named("/CN=b.example.com", "subjectAltName=DNS:a.example.com").0, [dns("a.example.com")]);
    assert_eq!(named("/CN=Alice at work", "").0, []);
    assert_eq!(named("/CN=a/CN=b", "").1, None);
}

/// szOID_NT_PRINCIPAL_NAME.
const UPN: &str = "1.3.6.1.4.1.311.20.2.3";

/// Case is nothing to hosts, and something to what stands before an @ or after a host: two spellings of one name are one.
#[test]
fn names_have_one_spelling() {
    let dir = TempDir::new().unwrap();
    let names = format!(
        "subjectAltName=DNS:WWW.Example.com,DNS:www.example.COM,email:Al.Ice@Example.COM,email:al.ice@example.com,\
         URI:https://Example.com/A,URI:spiffe://Example.internal/Web,otherName:{UPN};UTF8:Al@Example.internal"
    );
    let csr = Csr::parse(&openssl_csr(dir.path(), P256, "/O=Two/O=One/CN=x", &[], &names)).unwrap();
    let names: Vec<_> = csr.names().iter().map(Name::to_string).collect();
    assert_eq!(
        names,
        [
            "dns:www.example.com",
            "email:Al.Ice@example.com",
            "email:al.ice@example.com",
            "uri:https://example.com/A",
            "uri:spiffe://example.internal/Web",
            "upn:Al@example.internal",
        ]
    );
    assert_eq!(csr.organizations(), ["Two", "One"]);
}

#[test]
fn bad_requests_are_refused_with_a_reason() {
    let dir = TempDir::new().unwrap();
    let made = |key: &[&str], digest: &[&str], extensions: &str| {
        openssl_csr(dir.path(), key, "/CN=x.example.com", digest, extensions)
    };
    let rsa = |bits: &str, e: &str| {
        let bits = format!("rsa_keygen_bits:{bits}");
        let e = format!("rsa_keygen_pubexp:{e}");
        made(&["-algorithm", "RSA", "-pkeyopt", &bits, "-pkeyopt", &e], &["-sha256"], SAN)
    };
    let many: Vec<String> = (0..101).map(|i| format!("DNS:h{i}.example.com")).collect();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("nothing", vec![], "empty"),
        ("text", b"hello".to_vec(), "neither DER nor"),
        ("binary", vec![0xff; 100], "neither DER nor"),
        ("too large", vec![0x30; 20_000], "larger than"),
        ("a certificate's PEM", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec(), "neither"),
        ("no end", b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n".to_vec(), "no end"),
        (
            "no base64",
            b"-----BEGIN CERTIFICATE REQUEST-----\n?\n-----END CERTIFICATE REQUEST-----\n".to_vec(),
            "base64",
        ),
        ("RSA-1024", rsa("1024", "65537"), "1024 bits is too short"),
        ("exponent 3", rsa("2048", "3"), "exponent of 3"),
        ("brainpool", made(&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:brainpoolP512r1"], &[], SAN), "curve"),
        ("a key for PSS alone", made(&["-algorithm", "RSA-PSS"], &["-sha256"], SAN), "id-RSASSA-PSS"),
        ("ECDSA with SHA-1", made(P521, &["-sha1"], SAN), "signature algorithm"),
        ("ECDSA with SHA-224", made(P521, &["-sha224"], SAN), "signature algorithm"),
        ("PSS with SHA-1", made(RSA, &["-sha1", "-sigopt", "rsa_padding_mode:pss"], SAN), "name no such hash"),
        (
            "PSS with another mask",
            made(RSA, &["-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_mgf1_md:sha512"], SAN),
            "name another mask",
        ),
        ("secp256k1", made(&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"], &[], SAN), "curve"),
        (
            "explicit curve",
            made(
                &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:explicit"],
                &[],
                SAN,
            ),
            "explicit curve",
        ),
        ("Ed448", made(&["-algorithm", "ed448"], &[], SAN), "key algorithm"),
        ("SHA-1", made(RSA, &["-sha1"], SAN), "signature algorithm"),
        ("CA", made(P256, &[], "basicConstraints=CA:TRUE"), "to be a CA"),
        ("CA usage", made(P256, &[], "keyUsage=keyCertSign"), "key usage of a CA"),
        ("unknown extension", made(P256, &[], "1.2.3.4=ASN1:NULL"), "1.2.3.4"),
        ("critical must-staple", made(P256, &[], "tlsfeature=critical,status_request"), "1.3.6.1.5.5.7.1.24"),
        ("an A-label of nothing", made(P256, &[], "subjectAltName=DNS:xn--99999999.example.com"), "no Punycode"),
        ("policies", made(P256, &[], "certificatePolicies=1.2.3"), "ertificatePolicies"),
        ("two of one", made(P256, &[], "subjectAltName=DNS:a.example.com\n2.5.29.17=DER:30:00"), "twice"),
        ("empty SAN", made(P256, &[], "2.5.29.17=DER:30:00"), "subjectAltName is empty"),
        ("empty EKU", made(P256, &[], "2.5.29.37=DER:30:00"), "extendedKeyUsage is empty"),
        ("garbled SAN", made(P256, &[], "2.5.29.17=DER:04:00"), "subjectAltName cannot be read"),
        ("other name", made(P256, &[], "subjectAltName=otherName:1.2.3;UTF8:x"), "otherName"),
        (
            "another string for a user",
            made(P256, &[], &format!("subjectAltName=otherName:{UPN};IA5STRING:al@example.com")),
            "user principal name",
        ),
        ("a user without a domain", made(P256, &[], &format!("subjectAltName=otherName:{UPN};UTF8:al")), "no @"),
        (
            "a hidden letter",
            made(P256, &[], &format!("subjectAltName=otherName:{UPN};UTF8:a\u{202e}l@example.com")),
            "dot-atom",
        ),
        ("dot segments", made(P256, &[], "subjectAltName=URI:https://a.example.com/x/../y"), "segment"),
        ("hidden dot segments", made(P256, &[], "subjectAltName=URI:https://a.example.com/%2E%2e/y"), "segment"),
        ("a URI with a port", made(P256, &[], "subjectAltName=URI:https://a.example.com:1/x"), "host name alone"),
        ("a URI without a host", made(P256, &[], "subjectAltName=URI:urn:uuid:1"), "scheme://host"),
        ("a SPIFFE ID with a query", made(P256, &[], "subjectAltName=URI:spiffe://a.example.com/x?y"), "SPIFFE ID"),
        (
            "a SPIFFE ID that ends in a slash",
            made(P256, &[], "subjectAltName=URI:spiffe://a.example.com/x/"),
            "SPIFFE ID",
        ),
        ("a mailbox of many", made(P256, &[], "subjectAltName=email:al@*.example.com"), "no host name"),
        ("a quoted mailbox", made(P256, &[], "subjectAltName=email:\"a b\"@example.com"), "dot-atom"),
        ("a directory", made(P256, &[], "subjectAltName=dirName:dir\n[dir]\nCN=x"), "directoryName"),
        ("registered id", made(P256, &[], "subjectAltName=RID:1.2.3"), "registeredID"),
        ("underscore", made(P256, &[], "subjectAltName=DNS:a_b.example.com"), "underscore"),
        ("trailing dot", made(P256, &[], "subjectAltName=DNS:a.example.com."), "dot"),
        ("IP as DNS", made(P256, &[], "subjectAltName=DNS:192.0.2.1"), "IP address"),
        ("mapped IP", made(P256, &[], "subjectAltName=IP:::ffff:192.0.2.1"), "IPv4"),
        ("101 names", made(P256, &[], &format!("subjectAltName={}", many.join(","))), "101 names"),
    ];
    for (what, bytes, says) in cases {
        let refused = Csr::parse(&bytes).expect_err(what).to_string();
        assert!(refused.contains(says), "{what}: {refused}");
    }
}

/// Requests that a CA of ours once certified, or that it refused and should not have: what they are stands in their names.
#[test]
fn requests_that_went_wrong_elsewhere_are_judged_right() {
    let input = |name: &str| std::fs::read(format!("tests/inputs/csr/{name}.pem")).unwrap();
    for (name, says) in [
        // RFC 8017 section 3.1; CVE-2022-26320.
        ("rsa-n-prime", "a modulus that is a prime"),
        ("rsa-fermat", "CVE-2022-26320"),
        ("ed25519-small-order-1", "small order"),
        ("ed25519-small-order-2", "small order"),
        ("ed25519-small-order-4", "small order"),
        ("ed25519-small-order-8", "small order"),
        ("key-ed25519-zero", "small order"),
        // The P-256 generator: private key 1.
        ("key-d-1", "known to everybody"),
        ("attr-no-values", "RFC 2986 section 4.1"),
        ("name-punycode-bad", "RFC 5891 section 5.4"),
    ] {
        let refused = Csr::parse(&input(name)).expect_err(name).to_string();
        assert!(refused.contains(says.strip_prefix("a modulus ").unwrap_or(says)), "{name}: {refused}");
    }
    for (name, left_out) in [
        ("ext-smime", "smimeCapabilities"),
        ("ext-apppol", "applicationPolicies"),
        ("ext-comment", "nsComment"),
        ("ext-muststaple", "tlsfeature (must-staple)"),
    ] {
        let csr = Csr::parse(&input(name)).expect(name);
        assert_eq!(csr.left_out(), [left_out]);
        assert_eq!(csr.names(), [Name::parse("dns:www.example.internal").unwrap()]);
    }
}

/// What everybody has the private key of: RFC 9500's test key, by openssl; and secrets of one byte repeated.
#[test]
fn keys_that_standards_print_are_refused() {
    let dir = TempDir::new().unwrap();
    let key = dir.path().join("printed.pem");
    let seed = |byte: u8| {
        let der = [&[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20][..], &[byte; 32]].concat();
        use base64::Engine;
        let body = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
    };
    for printed in [RFC_9500.to_owned(), RFC_9500_P521.to_owned(), seed(0), seed(0x2a), seed(0xff)] {
        std::fs::write(&key, printed).unwrap();
        let mut request = Command::new("openssl");
        request.args(["req", "-new", "-subj", "/CN=x.example.com", "-key"]).arg(&key);
        let made = request.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let refused = Csr::parse(&made.stdout).unwrap_err().to_string();
        assert!(refused.contains("known to everybody"), "{refused}");
    }
}

/// "Standard Public Key Cryptography (PKC) Test Keys", section 2.3.
const RFC_9500: &str = "-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIObLW92AqkWunJXowVR2Z5/+yVPBaFHnEedDk5WJxk/BoAoGCCqGSM49
AwEHoUQDQgAEQiVI+I+3gv+17KN0RFLHKh5Vj71vc75eSOkyMsxFxbFsTNEMTLjV
uKFxOelIgsiZJXKZNCX0FBmrfpCkKklCcg==
-----END EC PRIVATE KEY-----
";

const RFC_9500_P521: &str = "-----BEGIN EC PRIVATE KEY-----
MIHcAgEBBEIB2STcygqIf42Zdno32HTmN6Esy0d9bghmU1ZpTWi3ZV5QaWOP3ntF
yFQBPcd6NbGGVbhMlmpgIg1A+R7Z9RRYAuqgBwYFK4EEACOhgYkDgYYABAHQ/XJX
qEx0f1YldcBzhdvr8vUr6lgIPbgv3RUx2KrjzIdf8C/3+i2iYNjrYtbS9dZJJ44y
FzagYoy7swMItuYY2wD2KtIExkYDWbyBiriWG/Dw/A7FquikKBc85W8A3psVfB5c
gsZPVi/K3vxKTCj200LPPvYW/ILTO3KFySHyvzb92A==
-----END EC PRIVATE KEY-----
";

/// One element, in hex: what no tool writes is put together by hand.
fn element(tag: &str, content: &str) -> String {
    let len = content.len() / 2;
    let len = match len {
        0..128 => format!("{len:02x}"),
        128..256 => format!("81{len:02x}"),
        _ => format!("82{len:04x}"),
    };
    format!("{tag}{len}{content}")
}

fn attribute(oid: &str, values: &str) -> String {
    element("30", &format!("{oid}{values}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// A CSR with these attributes under this tag, signed by openssl.
fn csr_with_attributes(dir: &Path, tag: &str, attributes: &str) -> Vec<u8> {
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let run = |args: &[&str]| {
        let made = Command::new("openssl").args(args).output().unwrap();
        assert!(made.status.success(), "{args:?}: {}", String::from_utf8_lossy(&made.stderr));
        made.stdout
    };
    run(&[&["genpkey", "-out", &path("key.pem")], P256].concat());
    let spki = hex(&run(&["pkey", "-in", &path("key.pem"), "-pubout", "-outform", "DER"]));
    let info = element("30", &format!("0201003000{spki}{}", element(tag, attributes)));
    std::fs::write(path("info.der"), from_hex(&info)).unwrap();
    let signature = hex(&run(&["dgst", "-sha256", "-sign", &path("key.pem"), &path("info.der")]));
    let algorithm = "300a06082a8648ce3d040302";
    from_hex(&element("30", &format!("{info}{algorithm}{}", element("03", &format!("00{signature}")))))
}

#[test]
fn attributes_are_read_as_windows_writes_them_and_refused_where_they_are_none() {
    const EXTENSION_REQUEST: &str = "06092a864886f70d01090e";
    const CHALLENGE: &str = "06092a864886f70d010907";
    const MS_EXTENSIONS: &str = "060a2b06010401823702010e";
    const MS_PAIR: &str = "060a2b0601040182370d0201";
    let dir = TempDir::new().unwrap();
    let names_under = |tag: &str, attributes: &str| {
        let csr = Csr::parse(&csr_with_attributes(dir.path(), tag, attributes));
        csr.map(|csr| csr.names().iter().map(Name::to_string).collect::<Vec<_>>()).map_err(|e| e.to_string())
    };
    let names = |attributes: &str| names_under("a0", attributes);
    // subjectAltName of a.example.com, as an extension request.
    let san = element("82", &hex(b"a.example.com"));
    let san = element("30", &format!("0603551d11{}", element("04", &element("30", &san))));
    let extensions = element("31", &element("30", &san));
    // PKCS #9's number, and Microsoft's.
    let named = Ok(vec!["dns:a.example.com".to_owned()]);
    assert_eq!(names(&attribute(EXTENSION_REQUEST, &extensions)), named);
    assert_eq!(names(&attribute(MS_EXTENSIONS, &extensions)), named);
    // The pair "SAN".
    let text = |text: &str| element("1e", &text.encode_utf16().map(|unit| format!("{unit:04x}")).collect::<String>());
    let pair =
        |name: &str, value: &str| attribute(MS_PAIR, &element("31", &element("30", &(text(name) + &text(value)))));
    let both = Ok(vec!["dns:a.example.com".to_owned(), "ip:192.0.2.1".to_owned()]);
    assert_eq!(names(&pair("SAN", "dns=a.example.com&ipaddress=192.0.2.1")), both);
    assert_eq!(names(&(attribute(EXTENSION_REQUEST, &extensions) + &pair("san", "IPAddress=192.0.2.1"))), both);
    assert_eq!(names(&pair("SAN", "upn=al@A.example")), Ok(vec!["upn:al@a.example".to_owned()]));
    assert_eq!(names(&pair("CertificateTemplate", "WebServer")), Ok(vec![]));
    let octets = |text: &str| element("04", &hex(text.as_bytes()));
    for (what, attributes, says) in [
        ("another kind of name", pair("SAN", "guid=1"), "asks for `guid=1`"),
        ("a user without a domain", pair("SAN", "upn=alice"), "no @"),
        ("a name that is none", pair("SAN", "dns=a_b.example.com"), "underscore"),
        (
            "a pair of other strings",
            attribute(MS_PAIR, &element("31", &element("30", &(octets("SAN") + &octets("dns=a"))))),
            "BMPStrings",
        ),
        ("no value", attribute(CHALLENGE, "3100"), "no value"),
        ("no extension request", attribute(EXTENSION_REQUEST, "3100"), "no value"),
        ("a SEQUENCE for a SET", attribute(CHALLENGE, &element("30", &octets("x"))), "no SET of values"),
        ("no extension", attribute(EXTENSION_REQUEST, &element("31", "3000")), "extension request is empty"),
        (
            "two extension requests",
            attribute(EXTENSION_REQUEST, &extensions) + &attribute(MS_EXTENSIONS, &extensions),
            "more than one extension request",
        ),
    ] {
        let refused = names(&attributes).expect_err(what);
        assert!(refused.contains(says), "{what}: {refused}");
    }
    for tag in ["31", "a1", "80", "30"] {
        let refused = names_under(tag, &attribute(EXTENSION_REQUEST, &extensions)).expect_err(tag);
        assert!(refused.contains("not tagged [0]"), "{tag}: {refused}");
    }
}

#[tokio::test]
async fn a_request_that_names_nothing_is_told_why() {
    let house = crate::house::House::new().await;
    let dir = TempDir::new().unwrap();
    for (subject, says) in [
        ("/CN=Alice at work", "its common name is no name: \"Alice at work\" is not a DNS name"),
        ("/CN=a_b.example.com", "underscore"),
        ("/O=Example", "no subjectAltName and no common name"),
    ] {
        let csr = Csr::parse(&openssl_csr(dir.path(), P256, subject, &[], "")).unwrap();
        let request = ca::CertifyRequest { csr, ..crate::house::server_request(&["www.example.com"]) };
        let refused = house.authority.certify(&crate::house::admin(), request).await.unwrap_err().to_string();
        assert!(refused.starts_with("csr: ") && refused.contains(says), "{refused}");
    }
    let muststaple = std::fs::read("tests/inputs/csr/ext-muststaple.pem").unwrap();
    let request = ca::CertifyRequest { csr: Csr::parse(&muststaple).unwrap(), ..crate::house::server_request(&[]) };
    let issued = house.authority.certify(&crate::house::admin(), request).await.unwrap();
    assert_eq!(ca::left_out(&issued), ["tlsfeature (must-staple)"], "the note stands in the register");
}

/// Tampering after signing: each of these has a good key and a signature that no longer fits, or a structure bent by hand.
#[test]
fn a_request_that_was_changed_after_signing_is_refused() {
    let der = good_der();
    let at = der.windows(7).position(|w| w == b"example").unwrap();
    let mut renamed = der.clone();
    renamed[at] = b'E';
    assert!(Csr::parse(&renamed).unwrap_err().to_string().contains("possession"));
    let mut trailing = der.clone();
    trailing.push(0);
    assert!(Csr::parse(&trailing).is_err());
}

#[test]
fn an_empty_rdn_is_refused() {
    let dir = TempDir::new().unwrap();
    let der = der_of(&String::from_utf8(openssl_csr(dir.path(), P256, "/", &[], SAN)).unwrap());
    // SEQUENCE { SEQUENCE { version, Name {} ... : the empty Name grows an empty SET; both outer lengths grow by two.
    let at = der.windows(5).position(|w| w == [0x02, 0x01, 0x00, 0x30, 0x00]).unwrap();
    let mut bent = der.clone();
    bent.splice(at + 3..at + 5, [0x30, 0x02, 0x31, 0x00]);
    for header in [1, at - 2] {
        let short = bent[header] < 0x80;
        let last = if short { header } else { header + usize::from(bent[header] & 0x7f) };
        bent[last] += 2;
    }
    let refused = Csr::parse(&bent).unwrap_err().to_string();
    assert!(refused.contains("empty RDN"), "{refused}");
}

fn good_der() -> Vec<u8> {
    static GOOD: std::sync::LazyLock<Vec<u8>> =
        std::sync::LazyLock::new(|| der_of(&crate::house::csr_pem(&["www.example.com", "192.0.2.1"])));
    GOOD.clone()
}

proptest::proptest! {
    /// A request is signed from end to end, and its wrapping has one form: no byte can change unnoticed.
    #[test]
    fn a_mutated_request_is_refused_and_never_panics(at: usize, flip in 1u8..=255, cut: usize, grow: Vec<u8>) {
        let mut der = good_der();
        let len = der.len();
        der[at % len] ^= flip;
        proptest::prop_assert!(Csr::parse(&der).is_err());
        der.truncate(cut % len);
        let _ = Csr::parse(&der);
        der.extend(grow);
        let _ = Csr::parse(&der);
    }
}
