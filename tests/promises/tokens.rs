//! Several tokens: what is at home in two goes on without a failed request while one of them is away; what is in that one alone
//! refuses by its name, and comes back with it.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::house::{House, PATIENCE, command, fail, succeed, text, until};
use crate::token_loss::issue_body;

/// A house with a second token, the first one's clone as a vendor's tool makes one: other label and serial number, the same keys.
fn two_tokens() -> (House, PathBuf) {
    let house = House::new();
    let tokens = house.path("tokens");
    let main = fs::read_dir(&tokens).expect("tokens").flatten().next().expect("the token").path();
    let serial = house.json(&["doctor"])["tokens"][0]["token"]["serial"].as_str().expect("a serial").to_owned();
    // SoftHSM numbers its slots by the last digits of the serial number.
    let (most, last) = serial.split_at(serial.len() - 1);
    let other = format!("{most}{}", if last == "0" { "1" } else { "0" });
    let spare = tokens.join(format!("00000000-0000-0000-{}-{}", &other[..4], &other[4..]));
    fs::create_dir(&spare).expect("a folder");
    for file in fs::read_dir(&main).expect("objects").flatten() {
        let mut bytes = fs::read(file.path()).expect("an object");
        let label = |label: &str| format!("{label:<32}").into_bytes();
        for (old, new) in [(label("test"), label("spare")), (serial.clone().into(), other.clone().into())] {
            if let Some(at) = bytes.windows(old.len()).position(|there| there == old) {
                bytes.splice(at..at + old.len(), new);
            }
        }
        fs::write(spare.join(file.file_name()), bytes).expect("an object");
    }
    house.append(&format!("\n[hsm.tokens.spare]\ntoken = \"spare\"\npin_file = \"{}\"\n", house.path("pin").display()));
    (house, main)
}

#[test]
fn a_key_in_two_tokens_signs_on_without_a_failed_request_and_one_in_the_lost_token_refuses_by_name() {
    let (mut house, main) = two_tokens();
    let told = house.json(&["doctor"]);
    for (place, name) in ["main", "spare"].iter().enumerate() {
        let token = &told["tokens"][place];
        assert_eq!((&token["name"], &token["test_signature"]), (&(*name).into(), &"good".into()), "{told}");
        assert!(token["signing"]["per_second"].as_f64().is_some_and(|rate| rate > 0.0), "{told}");
        assert!(token["signing"]["median_ms"].as_f64() <= token["signing"]["p99_ms"].as_f64(), "{told}");
    }
    let table = house.run(&["doctor"]);
    assert!(table.contains("SIGNATURES/S") && table.contains("spare"), "{table}");
    house.start();
    let there = house.json(&["ca", "tokens", "tls/1"]);
    assert_eq!(there["tokens"].as_array().map(Vec::len), Some(1), "{there}");
    for generation in ["tls/1", "log/1"] {
        let there = house.json(&["ca", "tokens", generation, "--add", "spare"]);
        let names: Vec<_> = there["tokens"].as_array().into_iter().flatten().map(|token| &token["name"]).collect();
        assert_eq!(names, ["main", "spare"], "{there}");
    }
    let unknown = fail(house.command(&["ca", "tokens", "tls/1", "--add", "nowhere"]));
    assert!(unknown.contains("main, spare"), "{unknown}");

    let request = house.path("request.json");
    fs::write(&request, issue_body(&house)).expect("a body");
    let data = format!("@{}", request.display());
    let url = house.https("/api/v1/certificates");
    let issue = || house.curl_admin(&["-H", "Content-Type: application/json", "--data-binary", &data, &url]);
    let metric = |line: &str| house.curl_admin(&[&house.https("/metrics")]).text().contains(line);
    assert_eq!(issue().status, 201);
    assert!(metric("chancery_token_ready{token=\"main\"} 1"));
    let away = house.path("away");
    fs::rename(&main, &away).expect("the token goes away");
    // As long as it takes until that is known, and a while more.
    let (mut issued, began) = (0, Instant::now());
    while issued < 40 || (metric("chancery_token_ready{token=\"main\"} 1") && began.elapsed() < PATIENCE) {
        let answer = issue();
        assert_eq!(answer.status, 201, "{}\n{}", answer.text(), house.server_log());
        issued += 1;
    }
    assert!(metric("chancery_token_ready{token=\"main\"} 0") && metric("chancery_token_ready{token=\"spare\"} 1"));
    // The log's heads go on.
    let size = house.curl_admin(&[&house.https("/api/v1/status")]).json()["log"]["size"].as_u64().expect("a size");
    let reached = until(PATIENCE, || {
        let checkpoint = house.curl(&[&house.https("/log/checkpoint")]).text();
        checkpoint.lines().nth(1).and_then(|size| size.parse::<u64>().ok()) >= Some(size)
    });
    assert!(reached, "{}", house.server_log());
    let ready = house.curl(&[&house.http("/readyz")]);
    assert_eq!((ready.status, &ready.json()["tokens"]["main"]), (200, &"healing".into()), "{}", ready.text());
    let status = house.curl_admin(&[&house.https("/api/v1/status")]).json();
    let alarms = status["alarms"].to_string();
    assert!(alarms.contains("The token `main` does not answer"), "{alarms}");
    assert!(alarms.contains("ssh-host/1 signs nothing now"), "{alarms}");
    let key = house.path("host");
    succeed(command("ssh-keygen", &["-q", "-N", "", "-t", "ed25519", "-f", text(&key)]));
    let public = key.with_extension("pub");
    let sign = ["ssh", "sign-host", text(&public), "--principal", "localhost"];
    let refused = fail(house.command(&sign));
    assert!(
        refused.contains("Issuer ssh-host/1 signs nothing now") && refused.contains("chancery ca tokens"),
        "{refused}"
    );

    fs::rename(&away, &main).expect("the token comes back");
    assert!(until(PATIENCE, || metric("chancery_token_ready{token=\"main\"} 1")), "{}", house.server_log());
    assert!(until(Duration::from_secs(30), || house.output(&sign).status.success()), "{}", house.server_log());
    assert_eq!(issue().status, 201);
    house.stop();
    let report = house.json(&["audit", "verify"]);
    assert_eq!(report["findings_total"], 0, "{report}");
}

#[test]
fn a_service_begins_although_a_token_is_away() {
    let (mut house, main) = two_tokens();
    house.start();
    for generation in ["tls/1", "log/1"] {
        house.run(&["ca", "tokens", generation, "--add", "spare"]);
    }
    house.stop();
    let away = house.path("away");
    fs::rename(&main, &away).expect("the token goes away");
    house.start();
    house.run(&["issue", "tls", "localhost", "--out", text(&house.path("without"))]);
    let told = house.output(&["doctor", "--json"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("\"reachable\": false") && told.contains("\"reachable\": true"), "{told}");
    fs::rename(&away, &main).expect("the token comes back");
    let key = house.path("host");
    succeed(command("ssh-keygen", &["-q", "-N", "", "-t", "ed25519", "-f", text(&key)]));
    let public = key.with_extension("pub");
    let back = until(PATIENCE, || {
        house.output(&["ssh", "sign-host", text(&public), "--principal", "localhost"]).status.success()
    });
    assert!(back, "{}", house.server_log());
}
