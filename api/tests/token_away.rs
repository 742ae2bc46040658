//! The HSM goes away under a running server: issuance says when to ask again, everything else goes on, and it heals by
//! itself. In a process of its own, because it takes the token from everybody in it.

extern crate chancery_api as api;

#[path = "edge/house.rs"]
mod house;

use std::time::{Duration, Instant};

use policy::Role;
use reqwest::{Client, StatusCode};
use serde_json::json;

use house::{Server, client, csr, house, issue, name, token};

/// Far longer than healing takes; a server that does not heal fails here.
const PATIENCE: Duration = Duration::from_secs(30);

async fn ask(server: &Server, client: &Client, token: &str) -> (StatusCode, bool) {
    let wish = json!({"profile": "tls-server", "csr": csr(&[&name()]).1, "owner": "web"});
    let request = client.post(server.url("/api/v1/certificates")).bearer_auth(token).json(&wish);
    let answer = request.send().await.expect("an answer");
    (answer.status(), answer.headers().contains_key("retry-after"))
}

#[tokio::test]
async fn without_the_token_issuance_is_503_and_the_rest_goes_on() {
    let server = Server::start().await;
    let (client, admin) = (client().build().expect("a client"), token(Role::Admin).await);
    let issued = issue(&server, &admin, "tls-server", &name()).await;

    let home = house().token.directory();
    let away = home.with_extension("away");
    std::fs::rename(&home, &away).expect("the token is taken out");
    let begun = Instant::now();
    loop {
        match ask(&server, &client, &admin).await {
            (StatusCode::SERVICE_UNAVAILABLE, has_retry_after) => {
                assert!(has_retry_after);
                break;
            }
            // What was under way when the token went may be unknown; a loaded module may still answer once.
            (StatusCode::CREATED | StatusCode::INTERNAL_SERVER_ERROR, _) => assert!(begun.elapsed() < PATIENCE),
            (other, _) => panic!("{other}"),
        }
    }
    for (url, status) in [
        (server.url(&format!("/api/v1/certificates/{}", issued.serial)), 200),
        (server.url("/api/v1/certificates?limit=5"), 200),
        (server.url("/api/v1/status"), 200),
        (server.url("/api/v1/audit?limit=5"), 200),
        (server.url("/metrics"), 200),
        (server.plain("/crl/tls.crl"), 200),
        (server.plain("/roots.pem"), 200),
        (server.plain("/healthz"), 200),
        (server.plain("/readyz"), 503),
    ] {
        let answer = client.get(&url).bearer_auth(&admin).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{url}");
    }
    let status = client.get(server.url("/api/v1/status")).bearer_auth(&admin).send().await.expect("an answer");
    assert!(status.text().await.expect("text").contains("The HSM does not answer"));

    std::fs::rename(&away, &home).expect("the token comes back");
    let begun = Instant::now();
    while ask(&server, &client, &admin).await.0 != StatusCode::CREATED {
        assert!(begun.elapsed() < PATIENCE, "it did not heal");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(client.get(server.plain("/readyz")).send().await.expect("an answer").status(), 200);
}
