//! Plans that are taken, and plans that are refused with the line to write instead.

use std::path::Path;

use super::*;
use crate::error::PlanError;

const FILE: &str = "/etc/chancery/agent.toml";

/// A plan with one certificate, and the places to spoil.
const GOOD: &str = r#"
state_dir = "state"
[[certificate]]
name = "web"
names = ["www.example.internal"]
source = { kind = "chancery", url = "https://ca:8443", ca_file = "roots.pem", token_file = "token", owner = "web" }
files = { key = "web.key", fullchain = "web.pem" }
reload = ["true"]
check = { connect = "127.0.0.1:443" }
"#;

fn parse(text: &str) -> Result<Plan, PlanError> {
    Plan::parse(text, Path::new(FILE))
}

#[test]
fn the_example_shows_a_plan_that_is_taken() {
    let text = include_str!("../../plan.example.toml");
    let plan = parse(text).unwrap();
    let names: Vec<_> = plan.certificates.iter().map(|certificate| certificate.name.as_str()).collect();
    assert_eq!(names, ["identity", "web", "partner", "public", "shop"]);
    let names: Vec<_> = plan.secrets.iter().map(|secret| (secret.name.as_str(), secret.references.len())).collect();
    assert_eq!(names, [("shop-db", 1), ("api-key", 1)]);
}

#[test]
fn paths_are_relative_to_the_plan() {
    let plan = parse(GOOD).unwrap();
    assert_eq!(plan.state_dir, Path::new("/etc/chancery/state"));
    let files = &plan.certificates[0].files;
    assert_eq!(files.key, Path::new("/etc/chancery/web.key"));
}

#[test]
fn a_source_without_url_takes_url_roots_owner_and_proof_from_the_identity() {
    let plan = parse(include_str!("../../plan.example.toml")).unwrap();
    let [identity, web, partner, ..] = plan.certificates.as_slice() else {
        panic!("five certificates");
    };
    let chancery = |c: &Certificate| match &c.source {
        Source::Chancery(source) => (source.server.clone(), source.owner.clone()),
        Source::Acme(_) => panic!("{} is from Chancery", c.name),
    };
    let (identity, web, partner) = (chancery(identity), chancery(web), chancery(partner));
    assert_eq!((&web.0.url, &web.0.ca_file, &web.1), (&identity.0.url, &identity.0.ca_file, &identity.1));
    assert_eq!(web.0.client.unwrap().cert, identity.0.client.unwrap().cert);
    assert!(web.0.token_file.is_none());
    // Never shown to another server.
    assert_eq!(partner.0.client.unwrap().cert, Path::new("/etc/chancery/partner.pem"));
}

#[test]
fn what_is_wrong_is_refused_with_its_key_and_the_line_to_write() {
    let acme =
        |rest: &str| format!("source = {{ kind = \"acme\", directory = \"https://acme/d\", ca_file = \"r\", {rest} }}");
    let source = r#"source = { kind = "chancery", url = "https://ca:8443", ca_file = "roots.pem", token_file = "token", owner = "web" }"#;
    // What stands in GOOD, what is written there instead, the key that is named, and a word of the line to write.
    let cases = [
        (r#"name = "web""#, r#"name = "../web""#.to_owned(), "certificate[0].name", "name ="),
        (r#"name = "web""#, r#"name = "identity""#.to_owned(), "certificate[0].name", "name ="),
        (r#"["www.example.internal"]"#, r#"["www_1.example.internal"]"#.to_owned(), "certificate[0].names", "names ="),
        (r#"["www.example.internal"]"#, "[]".to_owned(), "certificate[0].names", "names ="),
        (
            r#"["www.example.internal"]"#,
            r#"["email:a@example.internal"]"#.to_owned(),
            "certificate[0].names",
            "names =",
        ),
        ("https://ca:8443", "http://ca:8443".to_owned(), "certificate[0].source.url", "https://"),
        ("https://ca:8443", "https://user:pw@ca:8443".to_owned(), "certificate[0].source.url", "https://"),
        (r#"token_file = "token", "#, String::new(), "certificate[0].source.token_file", "token_file ="),
        (
            r#"token_file = "token""#,
            r#"client_cert = "c.pem""#.to_owned(),
            "certificate[0].source.client_key",
            "client_key =",
        ),
        (r#"ca_file = "roots.pem", "#, String::new(), "certificate[0].source.ca_file", "ca_file ="),
        (r#"owner = "web" }"#, r#"owner = "Web!" }"#.to_owned(), "certificate[0].source.owner", "owner ="),
        (
            r#"owner = "web" }"#,
            r#"owner = "web", validity_secs = 0 }"#.to_owned(),
            "certificate[0].source.validity_secs",
            "validity_secs =",
        ),
        (source, acme(""), "line 6", "docs/AGENT.md"),
        (source, acme("http01 = {}"), "certificate[0].source.http01", "http01 ="),
        (source, acme(r#"http01 = { listen = "80" }"#), "certificate[0].source.http01", "http01 ="),
        (
            source,
            acme(r#"http01 = { listen = "0.0.0.0:80", webroot = "w" }"#),
            "certificate[0].source.http01",
            "http01 =",
        ),
        (source, acme(r#"contact = ["ops"], http01 = { webroot = "w" }"#), "certificate[0].source.contact", "mailto:"),
        (r#"fullchain = "web.pem" }"#, r#"chain = "web.pem" }"#.to_owned(), "certificate[0].files", "fullchain ="),
        (r#"fullchain = "web.pem" }"#, r#"fullchain = "web.key" }"#.to_owned(), "certificate \"web\".files", "path"),
        (r#"fullchain = "web.pem" }"#, r#"fullchain = ".." }"#.to_owned(), "certificate[0].files", "key ="),
        (
            r#"fullchain = "web.pem" }"#,
            r#"fullchain = "web.pem", mode = "0644" }"#.to_owned(),
            "certificate[0].files.mode",
            "0640",
        ),
        (
            r#"fullchain = "web.pem" }"#,
            r#"fullchain = "web.pem", mode = "0040" }"#.to_owned(),
            "certificate[0].files.mode",
            "0640",
        ),
        (
            r#"fullchain = "web.pem" }"#,
            r#"fullchain = "web.pem", mode = "rw" }"#.to_owned(),
            "certificate[0].files.mode",
            "0640",
        ),
        (
            r#"fullchain = "web.pem" }"#,
            r#"fullchain = "web.pem", owner = "no such user" }"#.to_owned(),
            "certificate[0].files.owner",
            "owner =",
        ),
        (r#"["true"]"#, "[]".to_owned(), "certificate[0].reload", "reload ="),
        (
            r#"["true"]"#,
            "[\"true\"]\nreload_timeout_secs = 0".to_owned(),
            "certificate[0].reload_timeout_secs",
            "reload_timeout_secs =",
        ),
        (r#"["true"]"#, "[\"true\"]\nkey = \"rsa\"".to_owned(), "certificate[0].key", "p256"),
        (r#"["true"]"#, "[\"true\"]\nrenew_at = 1.5".to_owned(), "certificate[0].renew_at", "renew_at ="),
        ("127.0.0.1:443", "127.0.0.1".to_owned(), "certificate[0].check.connect", "check ="),
        ("127.0.0.1:443", "not a name:443".to_owned(), "certificate[0].check.server_name", "check ="),
    ];
    assert!(parse(GOOD).is_ok());
    for (good, bad, key, write) in cases {
        assert!(GOOD.contains(good), "{good}");
        let error = parse(&GOOD.replace(good, &bad)).expect_err(&bad);
        assert_eq!(error.key, key, "{bad}: {error}");
        assert!(error.write.contains(write), "{bad}: {error}");
        assert!(error.to_string().starts_with("/etc/chancery/agent.toml: "), "{error}");
    }
}

#[test]
fn an_unknown_key_is_refused_wherever_it_stands() {
    for (good, bad) in [
        ("state_dir =", "shell = true\nstate_dir ="),
        ("reload =", "relaod = []\nreload ="),
        (r#"owner = "web" }"#, r#"owner = "web", password = "x" }"#),
        (r#"fullchain = "web.pem" }"#, r#"fullchain = "web.pem", umask = "022" }"#),
        ("connect =", "insecure = true, connect ="),
    ] {
        let error = parse(&GOOD.replace(good, bad)).expect_err(bad);
        assert!(error.reason.contains("unknown field"), "{error}");
    }
}

#[test]
fn a_wildcard_cannot_be_asked_of_an_acme_server_by_http01() {
    let text = GOOD
        .replace("www.example.internal", "*.example.internal")
        .replace(r#"kind = "chancery", url = "https://ca:8443""#, r#"kind = "acme", directory = "https://ca/d""#)
        .replace(r#"token_file = "token", owner = "web""#, r#"http01 = { webroot = "w" }"#);
    let error = parse(&text).unwrap_err();
    assert!(error.reason.contains("http-01"), "{error}");
}

#[test]
fn two_certificates_share_neither_name_nor_file() {
    let second = GOOD.replace("state_dir = \"state\"", "");
    let twice = format!("{GOOD}{second}");
    assert_eq!(parse(&twice).unwrap_err().key, "certificate.name");
    let other_name = format!("{GOOD}{}", second.replace("name = \"web\"\nn", "name = \"web-2\"\nn"));
    assert!(parse(&other_name).unwrap_err().reason.contains("web.key is written twice"));
}

#[test]
fn a_plan_that_keeps_nothing_is_refused() {
    assert_eq!(parse("state_dir = \"s\"").unwrap_err().key, "certificate");
}

proptest::proptest! {
    #[test]
    fn no_text_panics_the_parser(cut in 0usize..400, junk in "\\PC{0,12}") {
        let at = (0..=cut.min(GOOD.len())).rev().find(|at| GOOD.is_char_boundary(*at)).unwrap_or(0);
        let (head, tail) = GOOD.split_at(at);
        let _ = parse(&format!("{head}{junk}{tail}"));
    }
}

/// A plan with one file of secrets, and the places to spoil.
const SECRETS: &str = r#"
state_dir = "state"
[secrets]
url = "https://ca:8443"
ca_file = "roots.pem"
token_file = "token"
poll_secs = 5
[[secret]]
name = "db"
text = "P={{ chy://prod/db#password }}"
file = { path = "/run/app/db.env", mode = "0440" }
check = ["true", "{}"]
reload = ["true"]
"#;

#[test]
fn each_mistake_in_a_file_of_secrets_names_its_key_and_the_line_to_write() {
    let plan = parse(SECRETS).unwrap();
    let secret = &plan.secrets[0];
    assert_eq!((secret.poll.as_secs(), secret.max_age_secs, secret.file.mode), (5, 3_600, 0o440));
    assert_eq!((secret.at_end, secret.file.on_disk), (AtEnd::Remove, false));
    let many: String = (0..=delivery::exchange::BATCH).map(|n| format!("{{{{ chy://a#f{n} }}}}")).collect();
    let twice = SECRETS.replace("state_dir = \"state\"", "");
    let (_, second) = twice.split_once("[[secret]]").unwrap();
    for (good, bad, key, write) in [
        ("name = \"db\"", "name = \"cache\"".to_owned(), "secret[0].name", "name ="),
        ("{{ chy://prod/db#password }}", "nothing".to_owned(), "secret[0]", "chy://"),
        ("{{ chy://prod/db#password }}", many, "secret[0]", "chy://"),
        ("{{ chy://prod/db#password }}", "{{ chy://prod/db# }}".to_owned(), "secret[0]", "PATH#FIELD@LABEL"),
        ("chy://prod/db", "chy://{env}/db".to_owned(), "secret[0]", "environment ="),
        ("text =", "reference = \"chy://a\"\ntext =".to_owned(), "secret[0]", "reference ="),
        ("text =", "# text =".to_owned(), "secret[0]", "reference ="),
        ("text =", "template = \"/nonexistent\" #".to_owned(), "secret[0].template", "template ="),
        ("0440", "0444".to_owned(), "secret[0].file.mode", "0440"),
        ("0440", "0040".to_owned(), "secret[0].file.mode", "0440"),
        ("/run/app/db.env", "..".to_owned(), "secret[0].file.path", "path ="),
        (", mode", ", owner = \"no-such-user-here\", mode".to_owned(), "secret[0].file.owner", "owner ="),
        ("\"{}\"", "\"x\"".to_owned(), "secret[0].check", "check ="),
        ("reload = [\"true\"]", "reload = []".to_owned(), "secret[0].reload", "reload ="),
        (
            "reload = [\"true\"]",
            "signal = { name = \"KILL\", pid_file = \"p\" }".to_owned(),
            "secret[0].signal.name",
            "name = \"HUP\"",
        ),
        (
            "reload =",
            "signal = { name = \"HUP\", pid_file = \"p\" }\nreload =".to_owned(),
            "secret[0].signal",
            "signal =",
        ),
        ("reload =", "at_end = \"burn\"\nreload =".to_owned(), "secret[0].at_end", "remove"),
        ("poll_secs = 5", "poll_secs = 0".to_owned(), "secrets.poll_secs", "poll_secs ="),
        ("poll_secs = 5", "max_age_secs = 99999999".to_owned(), "secrets.max_age_secs", "max_age_secs ="),
        ("token_file = \"token\"", String::new(), "secrets.token_file", "token_file ="),
        ("reload = [\"true\"]", format!("[[secret]]{second}"), "secret.name", "name ="),
        (
            "reload = [\"true\"]",
            format!("[[secret]]{}", second.replace("name = \"db\"", "name = \"two\"")),
            "secret \"two\".file",
            "path",
        ),
    ] {
        assert!(SECRETS.contains(good), "{good}");
        let error = parse(&SECRETS.replace(good, &bad)).expect_err(&bad);
        assert_eq!(error.key, key, "{bad}: {error}");
        assert!(error.write.contains(write), "{bad}: {error}");
    }
    let alone = SECRETS.split("[[secret]]").next().unwrap();
    assert!(parse(&format!("{alone}[identity]\nurl = \"https://ca:8443\"\nca_file = \"r\"\ntoken_file = \"t\"\nowner = \"web\"\nnames = [\"a.example\"]\n")).is_err());
}
