//! Lists, times and serials, as people write and read them.

use std::io::Read;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{serial, shell, ssh_key};
use crate::house::{House, command, fail, succeed, text};
use crate::pages::sign_in;

#[test]
fn a_list_is_whole_or_says_that_it_is_not_and_fits_a_terminal() {
    let house = House::started();
    for name in ["a", "b", "c"] {
        let long = format!("{name}.a-rather-long-label-of-a-service.example.internal");
        house.run(&["issue", "tls", &long, "--validity", "30d", "--out", text(&house.path(name))]);
    }
    let said = house.output(&["certs", "list", "--limit", "2"]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("more than these 2"), "{said:?}");
    assert!(house.output(&["certs", "list"]).stderr.is_empty());
    for (list, one, name) in [
        (
            &["secret", "list"][..],
            &["secret", "put", "--kind", "totp-seed", "--draw", "--owner", "default"][..],
            "prod/",
        ),
        (&["transit", "key", "list"], &["transit", "key", "create", "--owner", "default"], "key-"),
    ] {
        for each in ["a", "b", "c"] {
            house.run(&[one, &[&format!("{name}{each}")]].concat());
        }
        let said = house.output(&[list, &["--limit", "2"]].concat());
        assert!(String::from_utf8_lossy(&said.stderr).contains("more than these 2: raise --limit"), "{said:?}");
        assert!(house.output(list).stderr.is_empty(), "{list:?}");
        assert_eq!(house.output(&[list, &["--limit", "0"]].concat()).status.code(), Some(2), "{list:?}");
    }
    for list in
        [&["certs", "list"][..], &["token", "list"], &["audit", "list"], &["certs", "list", "--expiring", "60d"]]
    {
        // Into a pipe a row is a line, as wide as it is.
        for (columns, widest) in [(None, usize::MAX), (Some("80"), 80), (Some("60"), 80), (Some("200"), 200)] {
            let mut listed = house.command(list);
            listed.env_remove("COLUMNS");
            if let Some(columns) = columns {
                listed.env("COLUMNS", columns);
            }
            let table = succeed(listed);
            let width = table.lines().map(|line| line.chars().count()).max().unwrap_or(0);
            assert!(columns.is_some() || table.lines().all(|line| !line.starts_with(' ')), "{list:?}:\n{table}");
            assert!(width <= widest, "{list:?} has {width} columns of {widest}:\n{table}");
            assert!(!table.contains('\u{1b}'), "no colour where there is no terminal");
        }
    }
    let table = house.run(&["certs", "list"]);
    assert!(table.contains("LEFT") && table.contains("29d"), "{table}");
    let wide = {
        let mut list = house.command(&["certs", "list"]);
        list.env("COLUMNS", "200");
        succeed(list)
    };
    let whole = serial(&house, "a.a-rather-long-label-of-a-service.example.internal");
    assert!(wide.contains(&whole) && wide.contains("tls-server"), "{wide}");
    // On a terminal, unless somebody says no.
    let terminal = |environment: &str| {
        succeed(shell(
            &house,
            &format!("{environment} script -qec '$C certs list --name localhost; $C certs list' /dev/null"),
        ))
    };
    house.run(&["issue", "tls", "soon.example.internal", "--validity", "1h", "--out", text(&house.path("soon"))]);
    house.run(&["certs", "revoke", &serial(&house, "soon.example.internal")]);
    assert!(terminal("TERM=xterm").contains("\u{1b}[2m"), "what is over is faint");
    for quiet in ["TERM=xterm NO_COLOR=1", "TERM=dumb"] {
        assert!(!terminal(quiet).contains("\u{1b}[2m"), "{quiet}");
    }
    assert!(terminal("TERM=xterm NO_COLOR=").contains("\u{1b}[2m"), "an empty variable is none");
}

#[test]
fn a_list_of_more_than_a_page_is_whole_and_shown_as_it_comes() {
    const MANY: usize = 1_100;
    let mut house = House::started();
    succeed(command(
        "openssl",
        &[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            "/dev/null",
            "-subj",
            "/CN=many.example.internal",
            "-addext",
            "subjectAltName=DNS:many.example.internal",
            "-out",
            text(&house.path("csr")),
        ],
    ));
    let bearer = format!("Authorization: Bearer {}", house.admin_token());
    let (csr, url) = (format!("@{}", house.path("csr").display()), house.https("/api/v1/certificates"));
    // One connection and one request each; what is counted is no part of the request.
    let url = format!("{url}?profile=tls-server&owner=default#[1-{MANY}]");
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--parallel", "--parallel-max", "16", "--cacert", text(&house.ca("roots.pem")), "-H", &bearer]);
    curl.args(["-H", "Content-Type: application/pkcs10", "--data-binary", &csr, "-o", "/dev/null", &url]);
    curl.args(["-w", "%{http_code}\n"]);
    let codes = succeed(curl);
    assert_eq!(codes.lines().filter(|code| *code == "201").count(), MANY, "{codes}");
    let listed = |more: &[&str]| {
        house
            .json(&[&["certs", "list", "--name", "many.example.internal"], more].concat())
            .as_array()
            .map_or(0, Vec::len)
    };
    assert_eq!(listed(&[]), MANY);
    assert_eq!(listed(&["--limit", "1050"]), 1_050);
    let table = house.run(&["certs", "list", "--name", "many.example.internal"]);
    assert_eq!(
        table.lines().filter(|line| line.contains("many.example.internal")).count(),
        MANY,
        "{}",
        table.lines().take(6).collect::<Vec<_>>().join("\n")
    );
    assert_eq!(table.lines().filter(|line| line.contains("EXPIRES")).count(), 1);

    // The page's file is the list too.
    let session = sign_in(&house);
    let csv = house.curl(&["-H", &session, &house.https("/certificates.csv?q=many.example")]).text();
    assert_eq!(csv.lines().filter(|line| line.contains("dns:many.example.internal")).count(), MANY);
    assert!(csv.lines().count() == MANY + 1 && csv.starts_with("serial,"), "its head once, and nothing else");

    // What was read is shown before the rest is: the server ends while the first page waits for its reader.
    let mut listing = house.command(&["certs", "list", "--json", "--name", "many.example.internal"]);
    let mut listing = listing.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a list");
    let mut begin = [0; 3];
    let mut out = listing.stdout.take().expect("its output");
    out.read_exact(&mut begin).expect("a beginning");
    house.stop();
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("the rest");
    let end = listing.wait_with_output().expect("an end");
    assert_eq!(end.status.code(), Some(4), "{}", String::from_utf8_lossy(&end.stderr));
    assert_eq!(rest.matches("\"serial\"").count(), 1_000, "the first page");
}

#[test]
fn times_are_written_as_people_write_them_everywhere() {
    let house = House::started();
    ssh_key(&house, "id");
    let public = house.path("id.pub");
    let life = |item: &Value| {
        let seconds = |field: &str| {
            let at = succeed(command("date", &["+%s", "-d", item[field].as_str().expect("a time")]));
            at.trim().parse::<i64>().expect("seconds")
        };
        seconds("not_after") - seconds("not_before") + 1
    };
    house.run(&["issue", "tls", "a.example.internal", "--validity", "16h", "--out", text(&house.path("a"))]);
    assert_eq!(life(&house.json(&["certs", "list", "--limit", "1"])[0]), 16 * 3_600);
    house.run(&["issue", "client", "b.example.internal", "--validity", "30d", "--out", text(&house.path("b"))]);
    assert_eq!(life(&house.json(&["certs", "list", "--limit", "1"])[0]), 30 * 86_400);
    house.run(&["ssh", "sign-user", text(&public), "--principal", "alice", "--validity", "90m"]);
    house.run(&[
        "ssh",
        "sign-host",
        text(&public),
        "--principal",
        "h.example.internal",
        "--validity",
        "2w",
        "--out",
        text(&house.path("h")),
    ]);
    for wrong in ["16", "16y", "-1h", "1.5h", ""] {
        for command in [
            &["issue", "tls", "a.example.internal", "--out", "x", "--validity", wrong][..],
            &["ssh", "sign-user", "x", "--principal", "alice", "--validity", wrong],
            &["certs", "list", "--expiring", wrong],
            &["token", "create", "x", "--role", "auditor", "--show", "--expires", wrong],
        ] {
            let ended = house.output(command);
            assert_eq!(ended.status.code(), Some(2), "{command:?}");
        }
    }
}

#[test]
fn a_serial_is_found_as_the_world_writes_it() {
    let house = House::started();
    house.run(&["issue", "tls", "www.example.internal", "--out", text(&house.path("www"))]);
    ssh_key(&house, "id");
    house.run(&["ssh", "sign-user", text(&house.path("id.pub")), "--principal", "alice"]);
    let tls = serial(&house, "www.example.internal");
    let ssh = house.json(&["certs", "list", "--kind", "ssh-user"])[0]["serial"].as_str().expect("a serial").to_owned();
    let pem = house.path("www").join("cert.pem");
    let openssl = succeed(command("openssl", &["x509", "-in", text(&pem), "-noout", "-serial"]));
    let upper = openssl.trim().trim_start_matches("serial=").to_owned();
    let colons = upper.as_bytes().chunks(2).map(|two| String::from_utf8_lossy(two)).collect::<Vec<_>>().join(":");
    let number = u64::from_str_radix(&ssh[16..], 16).expect("hex").to_string();
    let printed = succeed(command("ssh-keygen", &["-L", "-f", text(&house.path("id-cert.pub"))]));
    assert!(printed.contains(&number), "ssh-keygen prints {number}: {printed}");
    for (written, meant) in [
        (tls.clone(), &tls),
        (upper.clone(), &tls),
        (openssl.trim().to_owned(), &tls),
        (colons, &tls),
        (format!("0x{upper}"), &tls),
        (format!("0x{}", upper.trim_start_matches('0')), &tls),
        (upper.trim_start_matches('0').to_owned(), &tls),
        (tls[..22].to_owned(), &tls),
        (tls[..21].to_uppercase(), &tls),
        (u128::from_str_radix(&tls, 16).expect("hex").to_string(), &tls),
        (ssh.clone(), &ssh),
        (number.clone(), &ssh),
        (format!("{number}\n"), &ssh),
    ] {
        let found = house.json(&["certs", "show", &written]);
        assert_eq!(found["serial"].as_str(), Some(meant.as_str()), "{written}");
    }
    // The same through the API.
    let answer = house.curl_admin(&[&house.https(&format!("/api/v1/certificates/{}", &upper[..22]))]);
    assert_eq!((answer.status, answer.json()["serial"].as_str()), (200, Some(tls.as_str())));
    // What everything begins with is nobody's, and a table's short form is enough.
    let said = fail(house.command(&["certs", "show", "0101"]));
    assert!(said.contains("write more digits"), "{said}");
    for (none, code) in [("0101ffffffff", 1), ("zz", 2), ("01", 1)] {
        assert_eq!(house.output(&["certs", "show", none]).status.code(), Some(code), "{none}");
    }
    let table = house.run(&["certs", "list", "--name", "www.example.internal"]);
    let short =
        table.split_whitespace().find(|word| word.starts_with("0101")).expect("a serial in the table").to_owned();
    house.run(&["certs", "revoke", &short]);
    assert_eq!(house.json(&["certs", "show", &tls])["state"], "revoked");
    house.run(&["certs", "revoke", &number]);
    assert_eq!(house.json(&["certs", "show", &ssh])["state"], "revoked");
}

#[test]
fn what_is_on_hold_is_found_again_in_the_list_its_csv_and_its_page() {
    let house = House::started();
    for name in ["a", "b", "c"] {
        house.run(&["issue", "tls", &format!("{name}.example.internal"), "--out", text(&house.path(name))]);
    }
    let serial = |name: &str| {
        let found = house.json(&["certs", "list", "--name", &format!("{name}.example.internal")]);
        found[0]["serial"].as_str().expect("a serial").to_owned()
    };
    let (a, b) = (serial("a"), serial("b"));
    house.run(&["certs", "hold", &a]);
    house.run(&["certs", "revoke", &b, "--reason", "superseded"]);
    let listed = |state: &str| {
        let found = house.json(&["certs", "list", "--state", state]);
        let all = found.as_array().expect("a list").iter();
        all.map(|one| (one["serial"].clone(), one["state"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(listed("held"), [(a.as_str().into(), "held".into())]);
    assert_eq!(listed("revoked"), [(b.as_str().into(), "revoked".into())]);
    let csv = house.curl_admin(&[&house.https("/api/v1/certificates?state=held&format=csv")]).text();
    assert!(csv.contains(&a) && csv.contains("held") && !csv.contains(&b), "{csv}");
    let session = sign_in(&house);
    let page = house.curl(&["-H", &session, &house.https("/certificates?state=held")]).text();
    assert!(page.contains("a.example.internal") && !page.contains("b.example.internal"), "{page}");
    house.run(&["certs", "release", &a]);
    assert!(listed("held").is_empty());
}
