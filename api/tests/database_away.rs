//! The database freezes or goes away under a running server: what the public reads goes on, and the service says that it is not
//! ready. In a process of its own, because it takes the database from everybody in it.

extern crate chancery_api as api;

#[path = "edge/house.rs"]
mod house;

use std::time::{Duration, Instant};

use policy::{Role, World};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use store::testing::TestPostgres;

use house::{Server, client, csr, house_on, issue, name, token};

/// Far longer than any answer here takes.
const PATIENCE: Duration = Duration::from_secs(30);

async fn get(client: &Client, url: &str) -> Response {
    client.get(url).send().await.expect("an answer")
}

/// What the public reads, each with the ETag that it has.
async fn tagged(server: &Server, client: &Client) -> Vec<(String, String)> {
    let note = get(client, &server.plain("/log/checkpoint")).await.text().await.expect("text");
    let size: u64 = note.lines().nth(1).and_then(|size| size.parse().ok()).expect("a size");
    assert!((1..256).contains(&size), "a tile that is not full");
    let mut tagged = Vec::new();
    for path in [
        "/crl/tls.crl",
        "/crl/root.crl",
        "/aia/tls/1.cer",
        "/roots.pem",
        "/ssh/user_ca.pub",
        "/log/checkpoint",
        "/log/key",
        &format!("/log/tile/0/000.p/{size}"),
    ] {
        let url = server.plain(path);
        let answer = get(client, &url).await;
        assert_eq!(answer.status(), 200, "{path}");
        tagged.push((url, answer.headers()["etag"].to_str().expect("text").to_owned()));
    }
    tagged
}

/// All of it as it was, and 503 with the part that is missing where somebody asks whether we are ready.
async fn the_public_reads_on(server: &Server, client: &Client, tagged: &[(String, String)]) {
    for (url, etag) in tagged {
        let whole = get(client, url).await;
        assert_eq!(whole.status(), 200, "{url}");
        // A head may have been signed just before the end.
        let is_head = url.ends_with("/log/checkpoint");
        assert!(is_head || whole.headers()["etag"] == etag.as_str(), "{url}");
        let etag = whole.headers()["etag"].clone();
        let known = client.get(url).header("if-none-match", etag).send().await.expect("an answer");
        assert_eq!(known.status(), 304, "{url}");
    }
    // The edge's own deadline would answer with a problem, and say no part.
    let ready = get(client, &server.plain("/readyz")).await;
    assert_eq!(ready.status(), 503);
    assert_eq!(
        ready.json::<Value>().await.expect("JSON"),
        json!({"hsm": true, "register": false, "clock": true, "issuers": true, "https": true, "why": {"register": "no answer"}})
    );
    assert_eq!(get(client, &server.plain("/healthz")).await.status(), 200);
}

/// Every session follows this within a moment.
fn read_only(postgres: &TestPostgres, says: &str) {
    postgres.run(&format!("ALTER SYSTEM SET default_transaction_read_only = {says}"));
    postgres.run("SELECT pg_reload_conf()");
}

async fn ready_again(server: &Server, client: &Client) {
    let begun = Instant::now();
    while get(client, &server.plain("/readyz")).await.status() != 200 {
        assert!(begun.elapsed() < PATIENCE, "it did not heal");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn what_the_public_reads_survives_a_database_that_is_frozen_or_away() {
    let mut postgres = TestPostgres::start();
    house_on(World::real(), Some(postgres.database()));
    let server = Server::start().await;
    let (client, admin) = (client().build().expect("a client"), token(Role::Admin).await);
    let issued = issue(&server, &admin, "tls-server", &name()).await;
    let revoke = server.url(&format!("/api/v1/certificates/{}/revoke", issued.serial));
    let revoked = client.post(revoke).bearer_auth(&admin).json(&json!({"reason": "superseded"})).send().await;
    assert!(revoked.expect("an answer").status().is_success());
    let tagged = tagged(&server, &client).await;

    postgres.freeze();
    the_public_reads_on(&server, &client, &tagged).await;
    postgres.thaw();
    ready_again(&server, &client).await;

    postgres.stop();
    the_public_reads_on(&server, &client, &tagged).await;
    postgres.resume();
    ready_again(&server, &client).await;

    // It reads and does not write; nobody writes meanwhile, and it is noticed all the same when that is over.
    read_only(&postgres, "on");
    let begun = Instant::now();
    while get(&client, &server.plain("/readyz")).await.status() == 200 {
        assert!(begun.elapsed() < PATIENCE, "it is said to be ready");
        let wish = json!({"profile": "tls-server", "csr": csr(&[&name()]).1, "owner": "web"});
        let asked = client.post(server.url("/api/v1/certificates")).bearer_auth(&admin).json(&wish);
        asked.send().await.expect("an answer");
    }
    the_public_reads_on(&server, &client, &tagged).await;
    let status = client.get(server.url("/api/v1/status")).bearer_auth(&admin).send().await.expect("an answer");
    let status = status.text().await.expect("text");
    assert!(status.contains("The register is away") && status.contains("takes no writes"), "{status}");
    read_only(&postgres, "off");
    ready_again(&server, &client).await;
}
