//! Promise 6: kill -9 under load loses nothing that a client received, on SQLite and on PostgreSQL.
//!
//! `CHANCERY_CRASH_CYCLES` sets the number of kills (50 by default; 1000 for the long proof).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::house::{House, PATIENCE, until};
use crate::postgres::Postgres;
use crate::token_loss::issue_body;

const CLIENTS: usize = 4;

fn cycles() -> u32 {
    std::env::var("CHANCERY_CRASH_CYCLES").ok().and_then(|n| n.parse().ok()).unwrap_or(50)
}

/// Serial -> certificate (PEM), as clients received them.
type Received = Arc<Mutex<BTreeMap<String, String>>>;

/// A client that issues as fast as it is answered, across the server's deaths.
async fn client(
    http: reqwest::Client,
    url: String,
    token: String,
    body: String,
    received: Received,
    stop: Arc<AtomicBool>,
    total: Arc<AtomicU64>,
) {
    while !stop.load(Ordering::Relaxed) {
        let answer = http
            .post(&url)
            .bearer_auth(&token)
            .header("content-type", "application/json")
            .body(body.clone())
            .send()
            .await;
        let certificate: Option<Value> = match answer {
            Ok(answer) if answer.status() == 201 => answer.json().await.ok(),
            // Dead, dying or not yet ready: ask again a little later.
            _ => None,
        };
        match certificate {
            Some(c) => {
                let text = |name: &str| c[name].as_str().expect("a field").to_owned();
                received.lock().expect("no poison").insert(text("serial"), text("certificate"));
                total.fetch_add(1, Ordering::Relaxed);
            }
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

fn under_fire(mut house: House) {
    // The other test of this process may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    house.start();
    let body = issue_body(&house);
    let roots = std::fs::read(house.ca("roots.pem")).expect("roots");
    // No proxy, no pool that outlives a dead server for long.
    let http = reqwest::Client::builder()
        .tls_certs_only(reqwest::Certificate::from_pem_bundle(&roots).expect("roots"))
        .timeout(Duration::from_secs(10))
        .build()
        .expect("a client");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let (received, stop, total) = (Received::default(), Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let url = house.https("/api/v1/certificates");
            runtime.spawn(client(
                http.clone(),
                url,
                house.admin_token(),
                body.clone(),
                received.clone(),
                stop.clone(),
                total.clone(),
            ))
        })
        .collect();
    for cycle in 0..cycles() {
        // Each life is long enough to issue something, and ends at another point of the page.
        let before = total.load(Ordering::Relaxed);
        assert!(
            until(PATIENCE, || total.load(Ordering::Relaxed) > before),
            "cycle {cycle}: nothing was issued\n{}",
            house.server_log()
        );
        let nap = u64::from(ring_byte()) * 2;
        std::thread::sleep(Duration::from_millis(nap));
        house.kill();
        house.start();
    }
    stop.store(true, Ordering::Relaxed);
    runtime.block_on(async {
        for client in clients {
            client.await.expect("a client");
        }
    });
    let received = Arc::try_unwrap(received).expect("clients ended").into_inner().expect("no poison");
    assert!(received.len() as u32 >= cycles(), "{} certificates were received", received.len());

    // Everything a client received is there, byte for byte, and counts as issued.
    for (serial, certificate) in &received {
        let url = house.https(&format!("/api/v1/certificates/{serial}"));
        let shown: Value = runtime.block_on(async {
            let answer = http.get(&url).bearer_auth(house.admin_token()).send().await.expect("an answer");
            answer.json().await.expect("JSON")
        });
        assert_eq!(shown["certificate"], **certificate, "{serial} was received: {shown}");
        assert_eq!(shown["state"], "issued", "{serial}");
    }
    // Intents without a conclusion are listed as such, and nothing else is wrong.
    let intended = house.json(&["certs", "list", "--state", "intended", "--limit", "1000000"]);
    let report = house.json(&["audit", "verify"]);
    assert_eq!(report["findings_total"], 0, "{report}");
    assert_eq!(report["unconcluded_total"].as_u64(), intended.as_array().map(|a| a.len() as u64), "{report}");
    println!(
        "{} kills, {} certificates received, {} intents without a conclusion",
        cycles(),
        received.len(),
        report["unconcluded_total"]
    );
}

fn ring_byte() -> u8 {
    use ring::rand::SecureRandom;
    let mut byte = [0];
    ring::rand::SystemRandom::new().fill(&mut byte).expect("random bytes");
    byte[0]
}

#[test]
fn nothing_received_is_lost_on_sqlite() {
    under_fire(House::new());
}

#[test]
fn nothing_received_is_lost_on_postgresql() {
    let postgres = Postgres::start();
    under_fire(House::with(&["--demo", "--database", &postgres.url()]));
}
