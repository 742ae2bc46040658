use proptest::prelude::*;

use super::*;
use crate::kinds::connection::{Parts, Target};
use crate::kinds::fields::{Fields, Patch};
use crate::kinds::generate::{ApiKeyPrefix, PasswordWish, api_key_prefix};
use crate::kinds::jwk::{Jwk, JwtAlgorithm};
use crate::kinds::random::testing::{Seeded, Stuck};
use crate::kinds::ssh::SshAlgorithm;
use crate::kinds::totp::Totp;
use crate::nouns::{FieldName, NameError};

fn of(entries: &[(&str, &str)]) -> Fields {
    let mut fields = Fields::new();
    entries.iter().for_each(|(name, value)| fields.set(name.parse().unwrap(), value.as_bytes().to_vec()).unwrap());
    fields
}

fn faults(kind: Kind, entries: &[(&str, &str)]) -> Vec<FieldFault> {
    kind.validate(&of(entries)).err().unwrap_or_default()
}

fn drawn(kind: Kind, entries: &[(&str, &str)]) -> Fields {
    let mut fields = of(entries);
    fields.merge(kind.generate(&kind.wish().unwrap(), &mut Seeded::new(1)).unwrap()).unwrap();
    fields
}

const PEM: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";

/// What a secret of each kind has beside what is generated, every field of it filled.
fn whole(kind: Kind) -> &'static [(&'static str, &'static str)] {
    match kind {
        Kind::DatabasePassword => &[
            ("username", "web"),
            ("engine", "postgresql"),
            ("host", "db"),
            ("port", "5432"),
            ("database", "app"),
            ("password", "p"),
        ],
        Kind::ServiceAccount => &[
            ("username", "svc"),
            ("password", "p"),
            ("key", "{\n}"),
            ("domain", "CORP"),
            ("url", "https://a.example/x?y"),
        ],
        Kind::ApiKey => &[("key", "k"), ("id", "7"), ("url", "https://a.example"), ("scopes", "read write")],
        Kind::OauthClient => &[
            ("client_id", "c"),
            ("client_secret", "s"),
            ("token_url", "https://a/token"),
            ("authorization_url", "https://a/authorize"),
            ("scopes", "openid"),
        ],
        Kind::OauthToken => &[
            ("access_token", "a"),
            ("refresh_token", "r"),
            ("token_type", "Bearer"),
            ("expires_at", "1790000000"),
            ("client", "chy://prod/client"),
            ("scopes", "openid"),
        ],
        Kind::JwtSigningKey => &[],
        Kind::WebhookSecret => &[("secret", "s"), ("url", "https://a/hook")],
        Kind::DatabaseConnection => &[
            ("engine", "postgresql"),
            ("host", "db.example"),
            ("port", "5432"),
            ("username", "web"),
            ("password", "p@ss"),
            ("database", "app"),
            ("options", "sslmode=verify-full\nsslrootcert=/x=y\n"),
        ],
        Kind::QueueConnection => &[
            ("engine", "amqps"),
            ("host", "mq"),
            ("port", "5671"),
            ("username", "u"),
            ("password", "p"),
            ("database", ""),
            ("options", "heartbeat=10"),
        ],
        Kind::CacheConnection => &[
            ("engine", "rediss"),
            ("host", "::1"),
            ("port", "6379"),
            ("username", "u"),
            ("password", "p"),
            ("database", "0"),
            ("options", ""),
        ],
        Kind::ObjectStorageConnection => &[
            ("access_key_id", "AKIDEXAMPLE"),
            ("secret_access_key", "a/b+c"),
            ("session_token", "t"),
            ("region", "eu-central-1"),
            ("endpoint", "https://minio.example:9000"),
            ("bucket", "b"),
        ],
        Kind::SshKey => &[("username", "git"), ("passphrase", "of the one before")],
        Kind::CertificateBundle => &[
            ("certificate", "certificate:0123456789abcdef0123456789abcdef"),
            ("private_key", "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"),
            ("chain", PEM),
        ],
        Kind::TotpSeed => &[
            ("secret", "JBSWY3DPEHPK3PXP"),
            ("issuer", "ACME"),
            ("account", "a@b"),
            ("algorithm", "SHA256"),
            ("digits", "8"),
            ("period", "60"),
        ],
        Kind::Note => &[("text", "one\ntwo\n")],
        Kind::File => &[("content", ""), ("file_name", "a.p12"), ("media_type", "application/pkcs12")],
        Kind::Generic => &[("anything", "goes"), ("value", "v")],
    }
}

#[test]
fn each_kind_has_a_name_and_fields_that_have_names() {
    for kind in Kind::ALL {
        assert_eq!(kind.as_str().parse::<Kind>(), Ok(kind));
        assert!(kind.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
        let names: Vec<_> = kind.fields().iter().map(|spec| spec.name).collect();
        let known: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(known.len(), names.len(), "{kind}");
        assert!(names.iter().all(|name| name.parse::<FieldName>().is_ok()), "{kind}");
        assert!(kind.fields().iter().all(|spec| !spec.help.is_empty() && !spec.help.contains('\n')));
    }
    for other in ["", "Note", "database_password", "password"] {
        assert_eq!(other.parse::<Kind>(), Err(KindError));
    }
}

#[test]
fn the_decision_lists_the_fields_that_the_kinds_have() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/decisions/014-secrets.md");
    let text = std::fs::read_to_string(path).unwrap();
    for kind in Kind::ALL {
        let field = |spec: &FieldSpec| {
            let hidden = if spec.sight == Sight::Secret { "*" } else { "" };
            format!("{}{hidden}{}", spec.name, if spec.required { "" } else { "?" })
        };
        let fields = kind.fields().iter().map(field).collect::<Vec<_>>().join(", ");
        let row = format!("| {kind} | {} | ", if fields.is_empty() { "any*" } else { &fields });
        assert!(text.contains(&row), "the table lacks the row {row}");
    }
}

#[test]
fn a_whole_secret_of_each_kind_is_one_and_lacks_what_is_taken_from_it() {
    for kind in Kind::ALL {
        let mut fields = of(whole(kind));
        if fields.len() < kind.fields().len() {
            fields = drawn(kind, whole(kind));
        }
        assert_eq!(kind.validate(&fields), Ok(()), "{kind}");
        for spec in kind.fields() {
            let mut less = Fields::decode(&fields.encode()).unwrap();
            less.merge(Patch::new().remove(spec.name.parse().unwrap())).unwrap();
            // An account may do without one of the two; an SSH key that lies under nothing needs no passphrase.
            let found: Vec<_> = kind.validate(&less).err().unwrap_or_default();
            let lacks: Vec<_> = found.iter().map(|fault| fault.field.as_str()).collect();
            // A name alone is wrong for the password that is left without it.
            let has_password = [Kind::QueueConnection, Kind::DatabaseConnection].contains(&kind);
            let needs_user = has_password && spec.name == "username";
            assert_eq!(
                lacks,
                if spec.required || needs_user { vec![spec.name] } else { vec![] },
                "{kind} without {}",
                spec.name
            );
        }
        let mut more = Fields::decode(&fields.encode()).unwrap();
        more.set("surplus".parse().unwrap(), b"x".to_vec()).unwrap();
        let lacks = kind.validate(&more).err().map(|faults| faults[0].field.to_string());
        assert_eq!(lacks, (kind != Kind::Generic).then(|| "surplus".to_owned()), "{kind}");
    }
}

#[test]
fn each_fault_is_found_with_its_field_and_what_to_do() {
    let token = [("access_token", "a")];
    let with =
        |entries: &[(&'static str, &'static str)], more| entries.iter().copied().chain([more]).collect::<Vec<_>>();
    let user = [("username", "u")];
    let password = |text| with(&user, ("password", text));
    let connection = |more| with(&[("engine", "postgresql"), ("host", "h")], more);
    let file = |more| with(&[("content", "c")], more);
    let table = [
        (Kind::DatabasePassword, password("hunter2\n"), "password", "line break"),
        (Kind::DatabasePassword, password("hun\tter2"), "password", "control"),
        (Kind::DatabasePassword, password(""), "password", "empty"),
        (Kind::DatabasePassword, vec![("username", "a\nb"), ("password", "p")], "username", "line"),
        (Kind::ServiceAccount, user.to_vec(), "password", "neither"),
        (Kind::ApiKey, vec![("key", "hunter2 ")], "key", "blank"),
        (Kind::ApiKey, vec![("key", "k"), ("url", "https://u:hunter2@h/")], "url", "listings"),
        (Kind::ApiKey, vec![("key", "k"), ("url", "h/p")], "url", "no URL"),
        (Kind::ApiKey, vec![("key", "k"), ("url", "://h")], "url", "no URL"),
        (Kind::OauthToken, with(&token, ("expires_at", "+1")), "expires_at", "number"),
        (Kind::OauthToken, with(&token, ("expires_at", "01")), "expires_at", "number"),
        (Kind::OauthToken, with(&token, ("client", "prod/client")), "client", "reference"),
        (Kind::JwtSigningKey, vec![("private_key", "hunter2"), ("algorithm", "ES256")], "private_key", "openssl"),
        (Kind::WebhookSecret, vec![("secret", "whsec_hunter2")], "secret", "base64"),
        (Kind::DatabaseConnection, connection(("port", "0")), "port", "1 to 65535"),
        (Kind::DatabaseConnection, connection(("password", "hunter2")), "username", "name the user"),
        (Kind::DatabaseConnection, connection(("options", "hunter2")), "options", "name=value"),
        (Kind::DatabaseConnection, connection(("options", "password=hunter2")), "options", "of its own"),
        (Kind::DatabaseConnection, vec![("engine", "oracle"), ("host", "h")], "engine", "postgresql"),
        (Kind::DatabaseConnection, vec![("engine", "mysql"), ("host", "u:hunter2@h")], "host", "one host"),
        (Kind::DatabaseConnection, vec![("engine", "mongodb+srv"), ("host", "h"), ("port", "1")], "port", "DNS"),
        (Kind::CacheConnection, vec![("engine", "redis"), ("host", "h"), ("database", "db")], "database", "number"),
        (
            Kind::ObjectStorageConnection,
            vec![("access_key_id", "a"), ("secret_access_key", "#hunter2")],
            "secret_access_key",
            "#",
        ),
        (Kind::CertificateBundle, vec![("certificate", "hunter2")], "certificate", "PEM"),
        (Kind::CertificateBundle, vec![("certificate", PEM), ("chain", "chy://a")], "chain", "reference"),
        (Kind::CertificateBundle, vec![("certificate", PEM), ("private_key", PEM)], "private_key", "openssl"),
        (Kind::TotpSeed, vec![("secret", "hunter2")], "secret", "base32"),
        (Kind::TotpSeed, vec![("secret", "JBSWY3DPEHPK3PXP"), ("digits", "9")], "digits", "6 to 8"),
        (Kind::TotpSeed, vec![("secret", "JBSWY3DPEHPK3PXP"), ("issuer", "a:b")], "issuer", "colon"),
        (Kind::Note, vec![("text", "")], "text", "empty"),
        (Kind::File, file(("file_name", "../passwd")), "file_name", "folders"),
        (Kind::File, file(("file_name", "..")), "file_name", "folders"),
    ];
    for (kind, entries, field, said) in table {
        let found = faults(kind, &entries);
        assert_eq!(found.iter().map(|fault| fault.field.as_str()).collect::<Vec<_>>(), [field], "{kind} {entries:?}");
        let text = format!("{} {:?}", found[0], found[0]);
        assert!(text.contains(said) && !text.contains("hunter2"), "{kind}: {text}");
        assert!(!found[0].to_do.is_empty());
    }
    // All that is wrong is said at once.
    assert_eq!(faults(Kind::OauthClient, &[("scopes", "a\nb"), ("other", "x")]).len(), 4);
    let mut bytes = of(&[("username", "u")]);
    bytes.set("password".parse().unwrap(), vec![0xff]).unwrap();
    assert!(Kind::DatabasePassword.validate(&bytes).unwrap_err()[0].to_string().contains("UTF-8"));
}

#[test]
fn keys_that_do_not_belong_together_are_found() {
    let mut fields = drawn(Kind::JwtSigningKey, &[]);
    fields.set("algorithm".parse().unwrap(), b"EdDSA".to_vec()).unwrap();
    assert!(Kind::JwtSigningKey.validate(&fields).unwrap_err()[0].to_do.contains("ES256"));
    let (one, mut other) = (drawn(Kind::SshKey, &[]), Fields::new());
    let wish = Wish::SshKey { algorithm: SshAlgorithm::EcdsaP256, comment: "c".to_owned() };
    other.merge(Kind::SshKey.generate(&wish, &mut Seeded::new(2)).unwrap()).unwrap();
    assert_eq!(Kind::SshKey.validate(&other), Ok(()));
    let line = format!("{}\n{}", one.text("public_key").unwrap(), "more");
    for public in [one.text("public_key").unwrap(), &line] {
        other.set("public_key".parse().unwrap(), public.as_bytes().to_vec()).unwrap();
        assert_eq!(Kind::SshKey.validate(&other).unwrap_err()[0].field.as_str(), "public_key");
    }
}

#[test]
fn what_is_generated_is_right_and_leaves_the_rest_alone() {
    for kind in Kind::ALL {
        let Some(wish) = kind.wish() else {
            assert_eq!(
                kind.generate(&Wish::OauthSecret, &mut Seeded::new(1)).err(),
                Some(GenerateError::Nothing(kind))
            );
            continue;
        };
        let before = of(whole(kind));
        let patch = kind.generate(&wish, &mut Seeded::new(1)).unwrap();
        let touched: Vec<String> = patch.names().map(ToString::to_string).collect();
        let after = drawn(kind, whole(kind));
        assert_eq!(kind.validate(&after), Ok(()), "{kind}");
        let is_kept = |(name, value): (&FieldName, &[u8])| {
            touched.contains(&name.to_string()) || after.get(name.as_str()) == Some(value)
        };
        assert!(before.iter().all(is_kept) && touched.len() <= 6, "{kind}");
        let again = drawn(kind, whole(kind));
        assert_eq!(after.encode(), again.encode(), "{kind}: the same luck");
        let mut other = of(whole(kind));
        other.merge(kind.generate(&wish, &mut Seeded::new(2)).unwrap()).unwrap();
        assert_ne!(after.encode(), other.encode(), "{kind}: another");
        let without = kind.generate(&wish, &mut Stuck(None)).err().map(|error| error.to_string());
        assert!(without.is_some_and(|said| said.contains("no random bytes")), "{kind}");
        let strange = if kind == Kind::OauthClient { Wish::WebhookSecret } else { Wish::OauthSecret };
        assert_eq!(kind.generate(&strange, &mut Seeded::new(1)).err(), Some(GenerateError::NotOfKind(kind)));
    }
    assert_eq!(drawn(Kind::Generic, &[]).text("value").map(str::len), Some(32));
    assert_eq!(api_key_prefix(drawn(Kind::ApiKey, &[]).text("key").unwrap()), Some(ApiKeyPrefix::default()));
    assert_eq!(Jwk::of_fields(&drawn(Kind::JwtSigningKey, &[])).unwrap().algorithm(), JwtAlgorithm::Es256);
    assert_eq!(drawn(Kind::SshKey, &[("passphrase", "old")]).get("passphrase"), None);
    let weak = Wish::Password(PasswordWish { length: 4, ..PasswordWish::default() });
    assert!(matches!(Kind::DatabasePassword.generate(&weak, &mut Seeded::new(1)), Err(GenerateError::Password(_))));
    let short = Wish::Totp(TotpWish { digits: 5, ..TotpWish::default() });
    assert!(matches!(Kind::TotpSeed.generate(&short, &mut Seeded::new(1)), Err(GenerateError::Totp(_))));
}

#[test]
fn a_certificate_is_in_the_field_or_somewhere_else() {
    let read = |text: &str| text.parse::<CertificateSource>().ok();
    assert_eq!(read(PEM), Some(CertificateSource::Pem));
    assert_eq!(read(&format!("{PEM}\n{PEM}")), Some(CertificateSource::Pem));
    for text in ["chy://prod/web#tls.crt@previous", "certificate:0123456789abcdef0123456789abcdef"] {
        assert_eq!(read(text).unwrap().to_string(), text);
    }
    for name in ["www.example.internal", "*.example.internal", "localhost", "a1.b-c"] {
        assert_eq!(read(&format!("certificate:{name}")), Some(CertificateSource::Named(name.to_owned())));
    }
    for bad in ["0123456789abcdef", "WWW.example", "a..b", "-a", "a.", "*", "*.", "a.*.b", "a b", "a/b", "0a"] {
        assert_eq!(read(&format!("certificate:{bad}")), None, "{bad}");
    }
    let key = PEM.replace("CERTIFICATE", "PRIVATE KEY");
    let bad = ["", "MAA=", "chy://", "certificate:", "certificate:0123456789ABCDEF0123456789ABCDEF", &key];
    for text in bad.map(str::to_owned).into_iter().chain([
        format!("{PEM}{key}"),
        format!("{key}{PEM}"),
        format!("x{PEM}"),
        format!("{PEM}x"),
        PEM.replace("MAA=", "BAA="),
    ]) {
        assert_eq!(read(&text), None, "{text}");
    }
}

#[test]
fn a_connection_is_stored_in_parts_and_a_seed_in_its_own() {
    let fields = of(whole(Kind::DatabaseConnection));
    let parts = Parts::of_fields(&fields).unwrap();
    assert_eq!(
        parts.build(Target::Postgresql).unwrap().as_str(),
        "postgresql://web:p%40ss@db.example:5432/app?sslmode=verify-full&sslrootcert=%2Fx%3Dy"
    );
    let mut again = of(&[("engine", "postgresql"), ("host", "other"), ("database", "gone")]);
    again.merge(Parts { database: None, ..parts.clone() }.patch().unwrap()).unwrap();
    assert!(Parts::of_fields(&again).unwrap() == Parts { database: None, ..parts.clone() });
    let broken = Parts { options: vec![("a".to_owned(), "b\nc=d".to_owned())], ..parts };
    assert!(broken.patch().is_err());
    let totp = Totp::of_fields(&of(whole(Kind::TotpSeed))).unwrap();
    let mut stored = of(&[("issuer", "other")]);
    stored.merge(totp.patch()).unwrap();
    assert_eq!(stored.encode(), of(whole(Kind::TotpSeed)).encode());
}

proptest! {
    #[test]
    fn no_fault_says_what_stands_in_the_field(kind in 0..Kind::ALL.len(), field in 0..7usize, value in "[^a-zA-Z0-9 -~]{0,2}canary[ -~]{0,12}\\PC{0,3}") {
        let kind = Kind::ALL[kind];
        if let Some(spec) = kind.fields().get(field) {
            let mut fields = of(whole(kind));
            fields.set(spec.name.parse().map_err(|error: NameError| TestCaseError::fail(error.to_string()))?, value.into_bytes())?;
            for fault in kind.validate(&fields).err().unwrap_or_default() {
                let said = format!("{fault} {fault:?}");
                prop_assert!(!said.contains("canary"));
            }
        }
    }
}
