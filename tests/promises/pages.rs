//! What the pages say is true to the row, and they are for everybody: judged by Chromium and axe-core over a register of three hundred.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use load::seed;
use serde_json::Value;

use crate::house::{House, succeed, text};

const CERTIFICATES: u64 = 300;

/// A register of three hundred certificates of the last four months; the server runs.
fn aged() -> House {
    let mut house = House::new();
    // A process of its own, in whose environment the token is this house's.
    let mut seeder = Command::new(std::env::current_exe().expect("this program"));
    seeder.args(["--exact", "pages::the_register_of_another_process_is_seeded"]);
    seeder.env(SEEDS, house.ca("chancery.toml")).env("SOFTHSM2_CONF", house.path("softhsm2.conf"));
    succeed(seeder);
    house.start();
    house
}

/// Which register to seed, where there is one.
const SEEDS: &str = "CHANCERY_TEST_SEEDS";

#[test]
fn the_register_of_another_process_is_seeded() {
    let Some(config) = std::env::var_os(SEEDS) else { return };
    let wish = seed::Wish {
        config: config.into(),
        certificates: CERTIFICATES,
        revoked: 12,
        renewing: 0,
        aged: CERTIFICATES,
        owners: 1,
        orders: 0,
        accounts: 0,
        account_keys: None,
        into_existing: false,
    };
    seed::run(&wish).expect("a seeded register");
}

#[test]
fn who_reads_secrets_alone_lands_on_their_list_and_is_refused_nothing() {
    let mut house = House::new();
    house.start();
    let out = house.path("shop.token");
    house.run(&["token", "create", "shop", "--role", "secret-reader", "--owner", "default", "--out", text(&out)]);
    let token = std::fs::read_to_string(&out).expect("a token");
    let jar = house.path("cookies");
    let form = format!("token={}", token.trim());
    let signed_in = house.curl(&["-c", text(&jar), "--data-urlencode", &form, &house.https("/login")]);
    assert_eq!(signed_in.status, 303);
    let first = house.curl(&["-b", text(&jar), &house.https("/")]);
    assert_eq!((first.status, first.header("location").as_deref()), (303, Some("/secrets")));
    assert_eq!(house.curl(&["-b", text(&jar), &house.https("/secrets")]).status, 200);
}

/// All certificates of end entities, as the API lists them.
fn listed(house: &House) -> Vec<Value> {
    let items = house.json(&["certs", "list", "--kind", "certificate", "--limit", "1000"]);
    items.as_array().expect("a list").clone()
}

/// How many have expired, and how many hold and somebody should have acted for, by the rows alone: of what has kind, profile, owner
/// and names in common, the newest that is signed and not revoked has replaced the others.
fn by_the_rows(items: &[Value], now: &str) -> (u64, u64, u64) {
    let mut newest: BTreeMap<String, &Value> = BTreeMap::new();
    for item in items.iter().filter(|item| ["issued", "expired"].contains(&item["state"].as_str().expect("a state"))) {
        let family = format!("{} {} {}", item["profile"], item["owner"], item["names"]);
        let kept = newest.entry(family).or_insert(item);
        if item["operation"].as_u64() > kept["operation"].as_u64() {
            *kept = item;
        }
    }
    let is = |item: &&Value, of: fn(&str, &str) -> bool, at: &str| item[at].as_str().is_some_and(|at| of(at, now));
    let expired = newest.values().filter(|item| is(item, |end, now| end < now, "not_after")).count();
    let holds = newest.values().filter(|item| is(item, |end, now| end >= now, "not_after"));
    let acting = holds.filter(|item| is(item, |look, now| look <= now, "act_at")).count();
    (newest.len() as u64, expired as u64, acting as u64)
}

#[test]
fn the_pages_are_true_to_the_row_and_for_everybody() {
    let house = aged();
    let items = listed(&house);
    assert_eq!(items.len() as u64, CERTIFICATES + 1, "and the server's own");
    let status = house.curl_admin(&[&house.https("/api/v1/status")]).json();
    let (all, expired, acting) = by_the_rows(&items, status["now"].as_str().expect("a time"));
    assert!(
        expired > 20 && acting > 10 && all < CERTIFICATES,
        "{all} {expired} {acting}: the register has some of each"
    );
    assert_eq!(status["store"]["expired"], expired, "{status}");
    let metrics = house.curl_admin(&[&house.https("/metrics")]).text();
    assert!(metrics.contains(&format!("chancery_credentials{{state=\"expired\"}} {expired}\n")), "{metrics}");
    assert_eq!(
        house.json(&["certs", "list", "--state", "expired", "--replaced", "false"]).as_array().map(Vec::len),
        Some(expired as usize)
    );
    assert_eq!(house.json(&["certs", "list", "--act"]).as_array().map(Vec::len), Some(acting as usize));

    let session = sign_in(&house);
    let page = house.curl(&["-H", &session, &house.https("/")]).text();
    let first = page.split("<h1").nth(1).and_then(|rest| rest.split(['>', '<']).nth(1)).expect("a first sentence");
    assert_eq!(first, format!("{} of {all} certificates need attention.", expired + acting));
    assert!(
        page.contains(&format!("{expired} have expired and were not replaced, and {acting} are past the point")),
        "{page}"
    );

    house.run(&["issue", "tls", "pages.example.internal", "--out", text(&house.path("own"))]);
    let issued = house.json(&["certs", "list", "--name", "pages.example.internal"]);
    let own = format!("/certificates/{}", issued[0]["serial"].as_str().expect("a serial"));
    let seeded = format!("/certificates/{}", items[7]["serial"].as_str().expect("a serial"));
    let ca = house.json(&["certs", "list", "--kind", "ca-certificate"]);
    let ca = format!("/certificates/{}", ca[0]["serial"].as_str().expect("a serial"));
    // A succession in all its states, and a drill.
    house.run(&["ca", "rotate", "code"]);
    house.run(&["ca", "revoke", "code/1", "--reason", "superseded", "--yes"]);
    house.run(&["ca", "rotate", "root", "--later", "--cross"]);
    house.run(&["ca", "activate", "root/2", "--at", "2049-03-01"]);
    let drill = house.json(&["drill", "replace", "--issuer", "tls"]);
    let held = drill["all"]["held"].as_u64().expect("a count");
    let drill = format!("/drills/{}", drill["drill"]["id"].as_str().expect("an id"));
    let page = |path: &str| house.curl(&["-H", &session, &house.https(path)]).text();
    let issuers = page("/issuers");
    assert!(issuers.contains("Revoked: code/1.") && issuers.contains("root/2 takes over in "), "{issuers}");
    let lanes: usize = house
        .json(&["ca", "list"])
        .as_array()
        .expect("issuers")
        .iter()
        .map(|one| one["generations"].as_array().map_or(0, Vec::len))
        .sum();
    assert_eq!(issuers.matches("<svg class=\"lane\"").count(), lanes, "a lane for each generation");
    let drills = page("/drills");
    assert!(drills.contains("One drill is open.") && drills.contains(&format!("<td>{held}</td>")), "{drills}");

    for (path, more) in [("prod/shop/db", &["--expires", "3d"][..]), ("prod/shop/key", &["--tag", "team=shop"])] {
        let put = [&["secret", "put", path, "--kind", "api-key", "--draw", "--owner", "default"][..], more].concat();
        house.run(&put);
        house.run(&["secret", "get", path]);
    }
    assert!(page("/secrets?within=prod").contains("/secrets/prod/shop/key"), "they are listed");

    browse(
        &house,
        &own,
        &[
            "/",
            "/secrets",
            "/secrets?state=expiring",
            "/secrets?q=nobody.at.all",
            "/secrets/prod/shop/db",
            "/issuers",
            "/drills",
            &drill,
            "/certificates?issuer=tls/1",
            "/?span=years",
            "/certificates",
            "/certificates?state=expired&replaced=no",
            "/certificates?state=act",
            "/certificates?kind=ca-certificate",
            "/certificates?kind=crl",
            "/certificates?kind=ssh",
            "/certificates?q=nobody.at.all",
            &own,
            &seeded,
            &ca,
        ],
    );
}

/// Whatever the rules allow: a production `init` has one name, the demo a zone, and an owner may have another name.
#[test]
fn a_register_without_certificates_shows_first_commands_that_work_as_they_stand() {
    let named = ("name = \"default\"\ndns = [\"localhost\"]", "name = \"shop\"\ndns = [\"*.shop.internal\"]");
    for (flags, change, name) in [
        (&[][..], None, "localhost"),
        (&["--demo"], None, "localhost"),
        (&[], Some(named), "www.shop.internal --owner shop"),
    ] {
        let mut house = House::with(flags);
        if let Some((from, to)) = change {
            house.configure(from, to);
        }
        house.start();
        let session = sign_in(&house);
        let page = house.curl(&["-H", &session, &house.https("/")]).text();
        let shown = page.split("<pre").nth(1).and_then(|rest| rest.split(['>', '<']).nth(1)).expect("commands");
        assert!(shown.contains(&format!("chancery issue tls {name} --out")), "{shown}");
        assert!(page.contains("Nothing has been issued yet."), "{page}");
        succeed(typed(&house, &shown.replace("&lt;", "<").replace("&#60;", "<")));
        let page = house.curl(&["-H", &session, &house.https("/")]).text();
        assert!(!page.contains("chancery issue tls") && page.contains("All 2 certificates are in time."), "{page}");
        house.run(&["certs", "list", "--name", name.split(' ').next().expect("a name")]);
    }
}

/// Lines as somebody types them in the folder of chancery.toml, at a HOME of his own, with nothing set.
fn typed(house: &House, lines: &str) -> Command {
    let (home, binary) = (house.path("home"), PathBuf::from(env!("CARGO_BIN_EXE_chancery")));
    std::fs::create_dir(&home).expect("a home");
    let path = std::env::join_paths([binary.parent().expect("a folder"), "/usr/bin".as_ref(), "/bin".as_ref()]);
    let mut shell = Command::new("sh");
    shell.args(["-euc", lines]).env_clear().env("HOME", home).env("PATH", path.expect("a path"));
    shell.current_dir(house.ca(""));
    shell
}

/// What the pages say of what nobody has to act for.
#[test]
fn a_revoked_certificate_is_due_for_nobody_and_all_of_them_are_all() {
    let house = aged();
    let session = sign_in(&house);
    let page = |path: &str| house.curl(&["-H", &session, &house.https(path)]).text();
    let first = |state: &str| {
        let found = house.json(&["certs", "list", "--kind", "certificate", "--state", state, "--limit", "1"]);
        page(&format!("/certificates/{}", found[0]["serial"].as_str().expect("a serial")))
    };
    let revoked = first("revoked");
    assert!(
        !revoked.contains("Overdue") && !revoked.contains("Renew by") && !revoked.contains("Renewed by"),
        "{revoked}"
    );
    assert!(first("expired").contains("Overdue since") || first("expired").contains("Replaced by"));

    // The short list has links to whole ones, and each says how many it leads to.
    let overview = page("/");
    for (state, flags) in [("expired", &["--state", "expired", "--replaced", "false"][..]), ("act", &["--act"])] {
        let count = house.json(&[&["certs", "list", "--kind", "certificate"], flags].concat());
        let count = count.as_array().map(Vec::len).unwrap_or_default();
        let word = if state == "act" { "overdue" } else { state };
        assert!(overview.contains(&format!(">All {count} {word}</a>")), "{count} {word}: {overview}");
    }
}

/// The header that a signed-in browser sends.
pub fn sign_in(house: &House) -> String {
    let token = format!("token={}", house.admin_token());
    let answer = house.curl(&["--data-urlencode", &token, &house.https("/login")]);
    let cookie = answer.header("set-cookie").expect("a cookie");
    format!("Cookie: {}", cookie.split(';').next().expect("a pair"))
}

/// Chromium over the pages; it finds nothing.
fn browse(house: &House, own: &str, paths: &[&str]) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/pages.mjs");
    let mut node = Command::new("node");
    node.arg(script).arg(house.https("")).arg(house.admin_token()).arg(own).args(paths).stdin(Stdio::null());
    let _ = succeed(node);
}
