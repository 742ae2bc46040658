//! What ended, and what the server renewed by itself, as lists and pages say it. In a process of its own, because it moves the
//! authority's clock.

extern crate chancery_api as api;

#[path = "edge/house.rs"]
mod house;

use policy::{Actor, Role, World};
use serde_json::{Value, json};

use house::{Server, client, csr, house_at, token};

const DAY: i64 = 86_400;

struct Desk {
    server: Server,
    client: reqwest::Client,
    token: String,
}

impl Desk {
    async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(self.server.url(path)).bearer_auth(&self.token).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.expect("JSON")
    }

    async fn serials(&self, query: &str) -> Vec<String> {
        let list = self.get(&format!("/api/v1/certificates?kind=certificate&owner=web&{query}")).await;
        let items = list["items"].as_array().expect("items").iter();
        items.map(|item| item["serial"].as_str().expect("a serial").to_owned()).collect()
    }

    async fn issue(&self, name: &str, validity_secs: i64, renew: bool) -> String {
        let (_, csr) = csr(&[name]);
        let wish = json!({"profile": "tls-server", "csr": csr, "owner": "web", "validity_secs": validity_secs, "renew": renew});
        let request = self.client.post(self.server.url("/api/v1/certificates")).bearer_auth(&self.token).json(&wish);
        let body: Value = request.send().await.expect("an answer").json().await.expect("JSON");
        body["serial"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
    }

    async fn page(&self, path: &str) -> String {
        self.page_for(path, "same-origin").await
    }

    /// As a browser asks because a page of that site had it do so.
    async fn page_for(&self, path: &str, site: &str) -> String {
        let form = self.client.post(self.server.url("/login")).body(format!("token={}", self.token));
        let form = form.header("content-type", "application/x-www-form-urlencoded").send().await.expect("an answer");
        let cookie = form.headers()["set-cookie"].to_str().expect("text").split(';').next().expect("a pair").to_owned();
        let request = self.client.get(self.server.url(path)).header("cookie", cookie).header("sec-fetch-site", site);
        request.send().await.expect("a page").text().await.expect("text")
    }
}

#[tokio::test]
async fn what_ended_is_expired_until_something_takes_its_place_and_a_renewal_says_who_fetched_it() {
    // In the past, so that the server's certificate holds for a client of today.
    let world = World::fixed(World::real().now().plus_secs(-20 * DAY), 7);
    let authority = &house_at(world.clone()).authority;
    let server = Server::start().await;
    let mut desk = Desk { server, client: client().build().expect("a client"), token: token(Role::Admin).await };
    let ends = desk.issue("ends.example.internal", 2 * DAY, false).await;
    let renews = desk.issue("renews.example.internal", 9 * DAY, true).await;
    assert_eq!(desk.serials("state=expired").await, [""; 0]);
    assert_eq!(desk.serials("act=true").await, [""; 0]);

    world.advance(DAY + DAY / 2);
    desk.token = token(Role::Admin).await;
    assert_eq!(desk.serials("act=true").await, [ends.as_str()], "past two thirds, and nobody renews it");
    assert!(desk.page("/?owner=web").await.contains("1 of 2 certificates needs attention."));

    world.advance(DAY);
    desk.token = token(Role::Admin).await;
    assert_eq!(desk.serials("state=expired").await, [ends.as_str()]);
    assert_eq!(desk.serials("state=issued").await, [renews.as_str()]);
    assert_eq!(desk.serials("act=true").await, [""; 0], "what ended is told as that");
    assert_eq!(desk.get(&format!("/api/v1/certificates/{ends}")).await["state"], "expired");
    let status = desk.get("/api/v1/status").await;
    assert_eq!((&status["store"]["expired"], &status["store"]["replaced"]), (&json!(1), &json!(0)), "{status}");
    let page = desk.page("/?owner=web").await;
    assert!(
        page.contains("1 of 2 certificates needs attention.") && page.contains("1 has expired and was not replaced.")
    );
    assert!(desk.page(&format!("/certificates/{ends}")).await.contains("and nothing replaced it"));

    let again = desk.issue("ends.example.internal", 2 * DAY, false).await;
    assert_eq!(desk.serials("state=expired&replaced=false").await, [""; 0]);
    assert_eq!(desk.serials("state=expired").await, [ends.as_str()]);
    assert!(desk.page("/?owner=web").await.contains("All 2 certificates are in time."));
    assert_eq!(desk.get(&format!("/api/v1/certificates/{ends}")).await["successor"], again.as_str());

    // Renewed by the server: nobody has it until somebody is given it.
    let successor = authority.renew(&Actor::system("renewal"), &renews, None).await.expect("a successor").serial_hex();
    let path = format!("/api/v1/certificates/{successor}");
    assert_eq!(desk.get(&format!("{path}?pem=false")).await["fetched"], Value::Null);
    let page = desk.page(&format!("/certificates/{successor}")).await;
    assert!(page.contains("the server") && page.contains("by nobody: what is in use is the one before it"), "{page}");
    assert!(desk.page("/certificates?owner=web&q=renews.ex").await.contains("nobody fetched it"));
    // Another site's page can have a browser fetch it, and nobody takes it.
    let pem = desk.page_for(&format!("/certificates/{successor}/chain.pem"), "cross-site").await;
    assert!(pem.contains("BEGIN CERTIFICATE"), "{pem}");
    let given = desk.get(&path).await;
    assert!(given["chain"].is_string() && given["fetched"].is_null(), "{given}");
    let told = desk.get(&format!("{path}?pem=false")).await;
    let fetched = &told["fetched"];
    assert!(
        told["chain"].is_null() && fetched["by"].as_str().is_some_and(|by| by.starts_with("token:test-")),
        "{told}"
    );
    assert_eq!(fetched["from"], "127.0.0.1");
    let page = desk.page(&format!("/certificates/{successor}")).await;
    assert!(page.contains(" from 127.0.0.1 at ") && !page.contains("by nobody"), "{page}");
    desk.server.stop().await.expect("a clean end");
}
