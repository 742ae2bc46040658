//! The clock jumps under a running server: every answer says that and the way out, and nothing else is said to be wrong. In a process
//! of its own, because it takes the time from everybody in it.

extern crate chancery_api as api;

#[path = "edge/house.rs"]
mod house;

use policy::{Role, Timestamp, World};
use serde_json::{Value, json};

use house::{Server, client, csr, house_at, name, token};

#[tokio::test]
async fn a_clock_that_is_not_believed_is_told_as_that_everywhere() {
    let world = World::fixed(Timestamp::parse_rfc3339("2027-03-01T12:00:00Z").expect("a time"), 1);
    house_at(world.clone());
    let server = Server::start().await;
    // The client's clock is another one than the server's.
    let client = client().danger_accept_invalid_certs(true).build().expect("a client");
    let admin = token(Role::Admin).await;
    let issued = issue_with(&server, &client, &admin).await;
    assert_eq!(issued.0, 201, "{:?}", issued.1);
    world.jump(1_800);

    let (status, problem, retry_after) = issue_with(&server, &client, &admin).await;
    assert_eq!((status, problem["type"].as_str()), (503, Some("urn:chancery:problem:held")), "{problem}");
    let detail = problem["detail"].as_str().expect("a sentence");
    assert!(detail.contains("chancery clock accept --reason"), "{detail}");
    assert!(!detail.contains("HSM"), "{detail}");
    assert_eq!(retry_after.as_deref(), Some("60"));

    let ready = client.get(server.plain("/readyz")).send().await.expect("an answer");
    assert_eq!(ready.status(), 503);
    let parts = json!({"hsm": true, "register": true, "clock": false, "issuers": true, "https": true,
        "why": {"clock": "not believed"}});
    assert_eq!(ready.json::<Value>().await.expect("JSON"), parts);

    let status = client.get(server.url("/api/v1/status")).bearer_auth(&admin).send().await.expect("an answer");
    let status: Value = status.json().await.expect("JSON");
    let alarms = status["alarms"].as_array().expect("alarms");
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    assert!(alarms[0].as_str().is_some_and(|alarm| alarm.contains("chancery clock accept")), "{alarms:?}");
    let metrics = client.get(server.url("/metrics")).bearer_auth(&admin).send().await.expect("an answer");
    let metrics = metrics.text().await.expect("text");
    assert!(metrics.contains("chancery_clock_held 1") && metrics.contains("chancery_hsm_ready 1"), "{metrics}");

    world.jump(-1_800);
    assert_eq!(issue_with(&server, &client, &admin).await.0, 201);
    assert_eq!(client.get(server.plain("/readyz")).send().await.expect("an answer").status(), 200);
}

/// Status, body and Retry-After of a request for a certificate.
async fn issue_with(server: &Server, client: &reqwest::Client, token: &str) -> (u16, Value, Option<String>) {
    let wish = json!({"profile": "tls-server", "csr": csr(&[&name()]).1, "owner": "web"});
    let request = client.post(server.url("/api/v1/certificates")).bearer_auth(token).json(&wish);
    let answer = request.send().await.expect("an answer");
    let retry = answer.headers().get("retry-after").map(|secs| secs.to_str().expect("text").to_owned());
    (answer.status().as_u16(), answer.json().await.expect("JSON"), retry)
}
