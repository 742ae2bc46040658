//! Bad input: a clear 4xx problem each, and nothing in the register.

use policy::Role;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::house::{Server, client, csr, house, name, token};

async fn problem(answer: Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    let kind = answer.headers().get("content-type").map(|value| value.to_str().expect("text").to_owned());
    let text = answer.text().await.expect("text");
    assert_eq!(kind.as_deref(), Some("application/problem+json"), "{status} {text}");
    let body: Value = serde_json::from_str(&text).expect("JSON");
    assert!(body["type"].as_str().expect("a type").starts_with("urn:chancery:problem:"));
    assert_eq!(body["status"], status);
    (status, body)
}

struct Desk {
    server: Server,
    client: Client,
    token: String,
}

async fn desk() -> Desk {
    Desk { server: Server::start().await, client: client().build().expect("a client"), token: token(Role::Admin).await }
}

impl Desk {
    fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(self.server.url(path)).bearer_auth(&self.token)
    }

    async fn asked(&self, wish: &Value) -> (u16, Value) {
        problem(self.post("/api/v1/certificates").json(wish).send().await.expect("an answer")).await
    }
}

#[tokio::test]
async fn a_wrong_content_type_is_415() {
    let desk = desk().await;
    for path in ["/api/v1/certificates", "/api/v1/ssh/user", "/api/v1/keys", "/api/v1/sign", "/api/v1/tokens"] {
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
            let answer = desk.post(path).header("content-type", kind).body("{}").send().await.expect("an answer");
            assert_eq!(problem(answer).await.0, 415, "{path} {kind}");
        }
        let bare = desk.post(path).body("{}").send().await.expect("an answer");
        assert_eq!(problem(bare).await.0, 415, "{path} without a type");
    }
}

#[tokio::test]
async fn a_body_beyond_the_bound_is_413() {
    let desk = desk().await;
    let json = format!("{{\"csr\": \"{}\"}}", "A".repeat(70 * 1024));
    let answer = desk.post("/api/v1/certificates").header("content-type", "application/json").body(json);
    assert_eq!(problem(answer.send().await.expect("an answer")).await.0, 413);
    let bare =
        desk.post("/api/v1/certificates?profile=tls-server&owner=web").header("content-type", "application/pkcs10");
    let answer = bare.body(vec![0x30; 17 * 1024]).send().await.expect("an answer");
    assert_eq!(problem(answer).await.0, 413);
    let wish = json!({"profile": "tls-server", "owner": "web", "csr": "A".repeat(17 * 1024)});
    assert_eq!(desk.asked(&wish).await.0, 413);
}

#[tokio::test]
async fn a_body_that_announces_no_length_is_bounded_all_the_same() {
    let desk = desk().await;
    let mut raw = crate::connections::tls(&desk.server, b"http/1.1").await;
    let head = format!(
        "POST /api/v1/certificates HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        desk.token
    );
    raw.write_all(head.as_bytes()).await.expect("written");
    let chunk = format!("400\r\n{}\r\n", " ".repeat(0x400));
    for _ in 0..80 {
        if raw.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let mut answer = [0; 12];
    raw.read_exact(&mut answer).await.expect("an answer before the end of the body");
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn what_does_not_parse_names_its_field() {
    let desk = desk().await;
    let (_, csr) = csr(&[&name()]);
    let good = json!({"profile": "tls-server", "owner": "web", "csr": csr});
    let with = |field: &str, value: Value| {
        let mut wish = good.clone();
        wish[field] = value;
        wish
    };
    let cases = [
        (with("owner", json!("No Owner")), 400, "owner"),
        (with("owner", json!(7)), 400, "owner"),
        (with("names", json!(["dns:ok.example.internal", "dns:not_ok"])), 400, "names[1]"),
        (with("names", json!("dns:www.example.internal")), 400, "names"),
        (with("validity_secs", json!(-1)), 400, "validity_secs"),
        (with("csr", json!("not a CSR")), 400, "csr"),
        (
            with("csr", json!("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n")),
            400,
            "csr",
        ),
        (with("renew", json!("yes")), 400, "renew"),
    ];
    for (wish, status, field) in cases {
        let (found, body) = desk.asked(&wish).await;
        assert_eq!((found, body["field"].as_str()), (status, Some(field)), "{body}");
    }
    for body in ["", "{", "null", "[]", "{\"profile\": \"tls-server\"}", "\u{feff}{}", "{\"surprise\": 1}"] {
        let request = desk.post("/api/v1/certificates").header("content-type", "application/json").body(body);
        let (status, told) = problem(request.send().await.expect("an answer")).await;
        assert_eq!(status, 400, "{body:?} {told}");
    }
}

#[tokio::test]
async fn what_is_not_issued_here_is_refused_in_words() {
    let desk = desk().await;
    let (_, csr) = csr(&[&name()]);
    let (status, told) = desk.asked(&json!({"profile": "no-such", "owner": "web", "csr": csr})).await;
    assert!(status == 422 || status == 404, "{told}");
    let (_, outside) = self::csr(&["www.elsewhere.example"]);
    let (status, told) = desk.asked(&json!({"profile": "tls-server", "owner": "web", "csr": outside})).await;
    assert_eq!(status, 403, "{told}");
    assert!(told["missing"].as_str().expect("what was missing").contains("www.elsewhere.example"), "{told}");
    let too_long = json!({"profile": "tls-server", "owner": "web", "csr": csr, "validity_secs": u64::MAX});
    assert_eq!(desk.asked(&too_long).await.0, 422);
}

#[tokio::test]
async fn a_refused_request_leaves_its_leaf_and_nothing_else() {
    let desk = desk().await;
    let (_, outside) = csr(&["www.refused-leaf.example"]);
    let before = house().ledger.head().size;
    desk.asked(&json!({"profile": "tls-server", "owner": "web", "csr": outside})).await;
    let after = house().ledger.head().size;
    let leaves = house().ledger.leaves(before..after).await.expect("leaves");
    let ours: Vec<_> = leaves.iter().filter(|(_, leaf)| leaf.contains("www.refused-leaf.example")).collect();
    assert_eq!(ours.len(), 1, "{leaves:?}");
    assert!(ours[0].1.contains("refus"), "{}", ours[0].1);
}

#[tokio::test]
async fn odd_paths_and_queries_are_problems_and_no_panics() {
    let desk = desk().await;
    let long = "a".repeat(5_000);
    for path in [
        "/api/v1/certificates/zz",
        "/api/v1/certificates/%00",
        "/api/v1/certificates/%ff",
        "/api/v1/audit/-1",
        "/api/v1/audit/99999999999999999999",
        "/api/v1/audit/x",
        "/api/v1/audit/texts/x",
        "/log/tile/0",
        "/log/tile/x/000",
        "/log/tile/99/000",
        "/log/tile/entries/x",
        "/crl/none.crl",
        "/crl/..%2f..%2fetc%2fpasswd",
        "/aia/none.cer",
        "/aia/none/1.cer",
        "/aia/tls/9.cer",
        "/aia/tls/01.cer",
        "/crl/tls/1/1.crl",
        "/crl/tls/1/0.delta.crl",
        "/crl/tls/1/full.delta.crl",
        "/crl/tls/1/.delta.crl",
        "/crl/tls/2/0.crl",
        "/crl/tls%2f1.crl",
        "/api/v1/tokens/none",
        "/api/v1/certificates?limit=0",
        "/api/v1/certificates?limit=1001",
        "/api/v1/certificates?limit=x",
        "/api/v1/certificates?state=happy",
        "/api/v1/certificates?kind=x",
        "/api/v1/certificates?surprise=1",
        "/api/v1/certificates?owner=No%20Owner",
        "/api/v1/certificates?cursor=nonsense",
        "/api/v1/audit?limit=5000",
        &format!("/api/v1/certificates/{long}"),
        &format!("/{long}"),
    ] {
        let answer = desk.client.get(desk.server.url(path)).bearer_auth(&desk.token).send().await.expect(path);
        let (status, body) = problem(answer).await;
        assert!((400..500).contains(&status), "{path}: {status} {body}");
    }
}

#[tokio::test]
async fn a_wrong_parameter_is_named() {
    let desk = desk().await;
    for (query, field) in
        [("limit=minus", "limit"), ("owner=No%20Owner", "owner"), ("state=happy", "state"), ("limit=0", "limit")]
    {
        let url = desk.server.url(&format!("/api/v1/certificates?{query}"));
        let answer = desk.client.get(url).bearer_auth(&desk.token).send().await.expect("an answer");
        let (status, body) = problem(answer).await;
        assert_eq!((status, body["field"].as_str()), (400, Some(field)), "{body}");
    }
}

#[tokio::test]
async fn numbers_at_their_ends_are_no_panics() {
    let desk = desk().await;
    for path in ["/api/v1/certificates?expiring_secs=18446744073709551615", "/api/v1/audit?after=18446744073709551615"]
    {
        let answer = desk.client.get(desk.server.url(path)).bearer_auth(&desk.token).send().await.expect(path);
        assert_eq!(answer.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn a_wrong_token_wish_names_its_field() {
    let desk = desk().await;
    let good = json!({"name": "ok", "roles": ["auditor"], "expires_secs": 60});
    for (field, value) in [
        ("name", json!("Not OK")),
        ("roles", json!([])),
        ("roles", json!(["system"])),
        ("expires_secs", json!(1)),
        ("scopes", json!([])),
    ] {
        let mut wish = good.clone();
        wish[field] = value;
        let answer = desk.post("/api/v1/tokens").json(&wish).send().await.expect("an answer");
        let (status, body) = problem(answer).await;
        assert_eq!((status, body["field"].as_str()), (400, Some(field)), "{body}");
    }
    let emperor = json!({"name": "ok", "roles": ["emperor"], "expires_secs": 60});
    let (status, body) = problem(desk.post("/api/v1/tokens").json(&emperor).send().await.expect("an answer")).await;
    assert_eq!((status, body["field"].as_str()), (400, Some("roles[0]")), "{body}");
}

#[tokio::test]
async fn a_wrong_key_or_digest_names_its_field() {
    let desk = desk().await;
    for (path, wish, field) in [
        ("/api/v1/keys", json!({"label": "k", "owner": "web", "algorithm": "dsa"}), "algorithm"),
        ("/api/v1/sign", json!({"key": "k", "format": "raw", "sha256": "abc"}), "sha256"),
        ("/api/v1/sign", json!({"key": "k", "format": "zip", "sha256": "ab".repeat(32)}), "format"),
        ("/api/v1/ssh/user", json!({"public_key": "x", "owner": "web", "principals": ["a,b"]}), "principals[0]"),
    ] {
        let answer = desk.post(path).json(&wish).send().await.expect("an answer");
        let (status, body) = problem(answer).await;
        assert_eq!((status, body["field"].as_str()), (400, Some(field)), "{body}");
    }
}
