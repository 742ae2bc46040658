//! What anyone may read, as caches and those who ask again see it.

use policy::Role;
use reqwest::header::{CACHE_CONTROL, CONTENT_LENGTH, ETAG, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use serde_json::json;

use crate::house::{Server, client, issue, name, token};

#[tokio::test]
async fn who_has_it_gets_304_and_head_says_what_get_would() {
    let server = Server::start().await;
    let client = client().build().expect("a client");
    let cases = [
        ("/crl/root.crl", "public, max-age=60", true),
        ("/crl/tls/1/0.crl", "public, max-age=60", true),
        ("/aia/tls/1.cer", "public, max-age=60", true),
        ("/roots.pem", "public, max-age=60", true),
        ("/roots.p7c", "public, max-age=60", true),
        ("/roots.p12", "public, max-age=60", true),
        ("/roots.jks", "public, max-age=60", true),
        ("/aia/tls/1.p7c", "public, max-age=60", false),
        ("/ssh/krl", "public, max-age=60", false),
        ("/ssh/user_ca.pub", "public, max-age=60", false),
        ("/log/key", "public, max-age=60", false),
        ("/log/tile/0/000.p/1", "public, max-age=31536000, immutable", false),
    ];
    for (path, keep, is_dated) in cases {
        for url in [server.plain(path), server.url(path)] {
            let whole = client.get(&url).send().await.expect("an answer");
            let headers = whole.headers().clone();
            assert_eq!(
                (whole.status().as_u16(), &headers[CACHE_CONTROL]),
                (200, &http::HeaderValue::from_static(keep)),
                "{url}"
            );
            let length = whole.bytes().await.expect("a body").len();
            let head = client.head(&url).send().await.expect("an answer");
            assert_eq!(head.status(), 200, "{url}");
            assert_eq!(head.headers()[CONTENT_LENGTH], length.to_string().as_str(), "{url}");
            assert_eq!(head.headers()[ETAG], headers[ETAG], "{url}");
            assert_eq!(headers.contains_key(LAST_MODIFIED), is_dated, "{url}");
            let known = client.get(&url).header(IF_NONE_MATCH, &headers[ETAG]);
            let dated = headers.get(LAST_MODIFIED).map(|date| client.get(&url).header(IF_MODIFIED_SINCE, date));
            for again in [Some(known), dated].into_iter().flatten() {
                let again = again.send().await.expect("an answer");
                assert_eq!(again.status(), 304, "{url}");
                assert_eq!(
                    (&again.headers()[ETAG], &again.headers()[CACHE_CONTROL]),
                    (&headers[ETAG], &headers[CACHE_CONTROL])
                );
                assert!(again.bytes().await.expect("a body").is_empty(), "{url}");
            }
            // RFC 9110 section 8.6: no length, or that of the whole.
            let (get, head) = (client.get(&url), client.head(&url));
            for again in [get, head] {
                let again = again.header(IF_NONE_MATCH, &headers[ETAG]).send().await.expect("an answer");
                let counted =
                    again.headers().get(CONTENT_LENGTH).map(|length| length.to_str().expect("text").to_owned());
                assert_eq!(again.status(), 304, "{url}");
                assert!(counted.is_none_or(|counted| counted == length.to_string()), "{url}: {:?}", again.headers());
            }
            let another = client.get(&url).header(IF_MATCH, "\"another\"").send().await.expect("an answer");
            assert_eq!(another.status(), 412, "{url}");
        }
    }
    let head = client.get(server.plain("/log/checkpoint")).send().await.expect("an answer");
    assert_eq!(head.headers()[CACHE_CONTROL], "no-cache");
    assert!(head.headers().contains_key(ETAG) && head.headers().contains_key(LAST_MODIFIED));
}

#[tokio::test]
async fn a_revocation_is_not_hidden_by_a_304() {
    let server = Server::start().await;
    let (client, admin) = (client().build().expect("a client"), token(Role::Admin).await);
    let issued = issue(&server, &admin, "tls-server", &name()).await;
    let url = server.plain("/crl/tls.crl");
    let before = client.get(&url).send().await.expect("an answer").headers().clone();
    let revoke = server.url(&format!("/api/v1/certificates/{}/revoke", issued.serial));
    let revoked = client.post(revoke).bearer_auth(&admin).json(&json!({"reason": "superseded"})).send().await;
    assert!(revoked.expect("an answer").status().is_success());
    let serial = hex::decode(&issued.serial).expect("hexadecimal");
    // Others revoke here too, and a desk that is ahead of its pace publishes within a second.
    loop {
        let after = client.get(&url).header(IF_NONE_MATCH, &before[ETAG]).send().await.expect("an answer");
        if after.status() == 304 {
            tokio::task::yield_now().await;
            continue;
        }
        assert_ne!(after.headers()[ETAG], before[ETAG]);
        let body = after.bytes().await.expect("a body");
        if body.windows(serial.len()).any(|window| window == serial) {
            break;
        }
    }
}
