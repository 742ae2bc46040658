//! A password that is exchanged again and again under an application that reads it and logs in all the time.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::{asks, logs_in, rotation, set_up, target};
use crate::house::{House, PATIENCE, until};

/// The long form is `CHANCERY_ROTATIONS=100 cargo test --test promises hundred`.
fn rotations() -> u64 {
    std::env::var("CHANCERY_ROTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(8)
}

/// So long the application may take between its reading and its login.
const OVERLAP_SECS: u64 = 2;

#[test]
fn an_application_logs_in_at_every_moment_of_many_rotations() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let target = target();
    let mut house = House::started();
    set_up(&house, &target, OVERLAP_SECS);
    let http = client(&house);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (url, token) = (house.https("/api/v1/secret-values/prod/db"), house.admin_token());
    let read = || {
        let read: Value = runtime.block_on(async {
            let answer = http.get(&url).bearer_auth(&token).send().await.expect("an answer");
            answer.json().await.expect("JSON")
        });
        let text = |name: &str| read["fields"][name].as_str().expect("a field").to_owned();
        (text("username"), text("password"), read["version"].to_string())
    };
    let (stop, logins) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (last, target) = (rotations() + 1, &target);
    std::thread::scope(|scope| {
        let exchanges = scope.spawn(|| {
            // Whatever comes of it, the application ends.
            let _ends = Ends(&stop);
            for version in 2..=last {
                asks(&house);
                let done =
                    || rotation(&house)["state"] == "resting" && rotation(&house)["current"]["version"] == version;
                assert!(until(PATIENCE, done), "{version}: {}", rotation(&house));
                assert_eq!(rotation(&house)["trouble"], Value::Null, "{version}");
            }
        });
        while !stop.load(Ordering::Relaxed) {
            let (user, password, version) = read();
            assert!(logs_in(target, &user, &password), "{user} is not let in with version {version}");
            logins.fetch_add(1, Ordering::Relaxed);
        }
        exchanges.join().expect("all were exchanged");
    });
    let logins = logins.into_inner();
    assert!(logins as u64 > 4 * rotations(), "{logins} logins show nothing");
    house.stop();
    let report = house.json(&["audit", "verify"]);
    assert_eq!(report["findings_total"], 0, "{report}");
}

struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn client(house: &House) -> reqwest::Client {
    let roots = std::fs::read(house.ca("roots.pem")).expect("roots");
    reqwest::Client::builder()
        .tls_certs_only(reqwest::Certificate::from_pem_bundle(&roots).expect("roots"))
        .timeout(Duration::from_secs(10))
        .build()
        .expect("a client")
}
