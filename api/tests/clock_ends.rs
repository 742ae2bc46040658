//! The clock is set an hour back and two hours ahead under a running server: what has ended stays ended, and what has not is there. In a
//! process of its own, because it takes the time from everybody in it.

extern crate chancery_api as api;

#[path = "edge/house.rs"]
mod house;

use policy::{Role, Timestamp, World};
use reqwest::Method;
use serde_json::{Value, json};

use house::{Server, client, house_at, token, token_of};

const HOUR: i64 = 3_600;

struct Desk {
    server: Server,
    client: reqwest::Client,
    admin: String,
    reader: String,
    /// A reader's token that ends after a minute.
    short: String,
}

impl Desk {
    async fn ask(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let request = self.client.request(method, self.server.url(path)).bearer_auth(token);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.expect("a body")).unwrap_or_default())
    }

    async fn put(&self, path: &str, body: Value) {
        let (status, told) = self.ask(&self.admin, Method::PUT, &format!("/api/v1/secrets/{path}"), Some(body)).await;
        assert_eq!(status, 201, "{path}: {told}");
    }

    async fn keys(&self, path: &str) -> usize {
        let url = self.server.url(&format!("/.well-known/jwks/{path}"));
        let answer = self.client.get(url).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        let told: Value = answer.json().await.expect("JSON");
        told["keys"].as_array().map_or(0, Vec::len)
    }

    /// How everything stands now, each beside what it should be.
    async fn stands(&self, when: &str) {
        for (path, expected) in [("there", 200), ("ended", 410), ("to-there", 200), ("to-ended", 410)] {
            let (status, told) =
                self.ask(&self.reader, Method::GET, &format!("/api/v1/secret-values/clock/{path}"), None).await;
            assert_eq!(status, expected, "{when}: {path} alone: {told}");
            let wish = json!({ "references": [format!("chy://clock/{path}#value")] });
            let (_, told) = self.ask(&self.reader, Method::POST, "/api/v1/secret-values", Some(wish)).await;
            assert_eq!(told["items"][0]["status"], expected, "{when}: {path} in a batch: {told}");
        }
        assert_eq!((self.keys("clock/key-there").await, self.keys("clock/key-ended").await), (1, 0), "{when}");
        for (token, expected) in [(&self.reader, 200), (&self.short, 401)] {
            let (status, told) = self.ask(token, Method::GET, "/api/v1/whoami", None).await;
            assert_eq!(status, expected, "{when}: {told}");
        }
    }
}

#[tokio::test]
async fn what_ends_does_so_by_the_time_that_can_be_believed() {
    let world = World::fixed(Timestamp::parse_rfc3339("2027-03-01T12:00:00Z").expect("a time"), 1);
    house_at(world.clone());
    let server = Server::start().await;
    // The client's clock is another one than the server's.
    let client = client().danger_accept_invalid_certs(true).build().expect("a client");
    let (admin, reader) = (token(Role::Admin).await, token(Role::SecretReader).await);
    let (short, _) = token_of(&[Role::SecretReader], None, 60).await;
    let desk = Desk { server, client, admin, reader, short };
    let (soon, later) = (world.now().plus_secs(60).rfc3339(), world.now().plus_secs(HOUR).rfc3339());
    for (name, ends) in [("there", &later), ("ended", &soon)] {
        let body = json!({"fields": {"value": "x"}, "owner": "web", "expires": ends});
        desk.put(&format!("clock/{name}"), body).await;
        let references = json!({ "value": format!("chy://clock/{name}#value") });
        let body = json!({"fields": {"own": "x"}, "references": references, "owner": "web", "expires": later});
        desk.put(&format!("clock/to-{name}"), body).await;
        let key = format!("clock/key-{name}");
        desk.put(&key, json!({"kind": "jwt-signing-key", "draw": true, "owner": "web", "expires": ends})).await;
        let said = json!({"tags": {"published": "true"}});
        let (status, told) = desk.ask(&desk.admin, Method::PATCH, &format!("/api/v1/secrets/{key}"), Some(said)).await;
        assert_eq!(status, 200, "{told}");
    }
    let (status, told) = desk.ask(&desk.short, Method::GET, "/api/v1/whoami", None).await;
    assert_eq!(status, 200, "{told}");

    world.advance(120);
    desk.stands("the clock is right").await;
    world.jump(-HOUR);
    desk.stands("an hour back").await;
    world.jump(3 * HOUR);
    desk.stands("two hours ahead").await;
    world.jump(-2 * HOUR);
    desk.stands("it is right again").await;
    world.advance(HOUR);
    let (status, told) = desk.ask(&desk.reader, Method::GET, "/api/v1/whoami", None).await;
    assert_eq!(status, 401, "what was not over is now: {told}");
    desk.server.stop().await.expect("a clean end");
}
