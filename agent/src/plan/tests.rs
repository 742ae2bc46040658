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
        Source::Chancery(source) => source.clone(),
        Source::Acme(_) => panic!("{} is from Chancery", c.name),
    };
    let (identity, web, partner) = (chancery(identity), chancery(web), chancery(partner));
    assert_eq!((&web.url, &web.ca_file, &web.owner), (&identity.url, &identity.ca_file, &identity.owner));
    assert_eq!(web.client.unwrap().cert, identity.client.unwrap().cert);
    assert!(web.token_file.is_none());
    // Never shown to another server.
    assert_eq!(partner.client.unwrap().cert, Path::new("/etc/chancery/partner.pem"));
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
