//! A token endpoint: a server of the test's own, by TLS.

use drivers::Places;
use secrets::rotation::Outcome;
use secrets::{Asked, ClientLogin, Endpoint, Endpoints};

use crate::authority::Authority;
use crate::hook::{answer, serve};
use crate::register::secret;

fn endpoint(port: u16, roots: &str, post: bool) -> Endpoint {
    Endpoint { url: format!("https://localhost:{port}/token"), roots: Some(roots.to_owned()), post }
}

fn client() -> ClientLogin {
    ClientLogin { id: "shop".to_owned(), secret: secret("w0rd&") }
}

fn refresh() -> Asked {
    Asked { refresh_token: Some(secret("tGzv3JOkF0XG5Qx2TlKWIA")), scope: None }
}

#[tokio::test]
async fn the_requests_are_those_of_the_rfc_and_its_answer_is_taken() {
    let authority = Authority::new();
    let tokens =
        r#"{"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"example","expires_in":3600,"refresh_token":"next"}"#;
    let (port, heard) = serve(&authority, answer("200 OK", tokens)).await;
    let at = endpoint(port, &authority.root, false);
    let came = Places::default().ask(&at, &client(), &refresh()).await.expect("tokens");
    assert_eq!(came.access_token.expose(), "2YotnFZFEjr1zCsicMWpAA");
    assert_eq!((came.refresh_token.expect("another").expose().as_str(), came.expires_in), ("next", Some(3_600)));
    let last = || heard.lock().expect("no poison").pop().expect("a request");
    let (head, body) = last();
    assert!(head.starts_with("post /token http/1.1") && head.contains("authorization: basic "), "{head}");
    assert!(head.contains("content-type: application/x-www-form-urlencoded"), "{head}");
    assert_eq!(body, b"grant_type=refresh_token&refresh_token=tGzv3JOkF0XG5Qx2TlKWIA");
    let own = Asked { refresh_token: None, scope: Some("read write".to_owned()) };
    Places::default().ask(&endpoint(port, &authority.root, true), &client(), &own).await.expect("tokens");
    let (head, body) = last();
    assert!(!head.contains("authorization"), "{head}");
    assert_eq!(body, b"grant_type=client_credentials&scope=read+write&client_id=shop&client_secret=w0rd%26");
}

#[tokio::test]
async fn what_is_not_known_to_have_come_to_nothing_is_unknown() {
    let authority = Authority::new();
    let elsewhere = "HTTP/1.1 307 Temporary Redirect\r\nLocation: https://localhost:1/\r\nContent-Length: 0\r\n\r\n";
    for (said, is) in [
        (answer("400 Bad Request", r#"{"error":"invalid_grant"}"#), "refused"),
        (answer("401 Unauthorized", ""), "refused"),
        (elsewhere.to_owned(), "refused"),
        (answer("429 Too Many Requests", ""), "away"),
        (answer("503 Service Unavailable", ""), "away"),
        (answer("500 Internal Server Error", ""), "unknown"),
        (answer("200 OK", "{}"), "unknown"),
        (answer("204 No Content", ""), "unknown"),
        (answer("200 OK", &"x".repeat(70_000)), "unknown"),
        (String::new(), "unknown"),
    ] {
        let (port, heard) = serve(&authority, said.clone()).await;
        let came = Places::default().ask(&endpoint(port, &authority.root, false), &client(), &refresh()).await;
        let word = match came.expect_err("no tokens") {
            Outcome::Refused(_) => "refused",
            Outcome::Away(_) => "away",
            Outcome::Unknown(_) => "unknown",
            Outcome::Done | Outcome::Made(_) => "done",
        };
        assert_eq!(word, is, "{}", said.lines().next().unwrap_or_default());
        assert_eq!(heard.lock().expect("no poison").len(), 1, "it is asked once, and nobody else is");
    }
}

/// A word of an error may be any (RFC 6749 section 5.2), a secret among them.
#[tokio::test]
async fn what_an_endpoint_repeats_of_what_it_was_shown_is_not_told() {
    let authority = Authority::new();
    for word in ["correct_horse", "battery_staple"] {
        let (port, _heard) = serve(&authority, answer("400 Bad Request", &format!(r#"{{"error":"{word}"}}"#))).await;
        let client = ClientLogin { id: "shop".to_owned(), secret: secret("correct_horse") };
        let asked = Asked { refresh_token: Some(secret("battery_staple")), scope: None };
        let came = Places::default().ask(&endpoint(port, &authority.root, true), &client, &asked).await;
        let Err(Outcome::Refused(said)) = came else { panic!("it is refused") };
        assert_eq!(said, "the endpoint answered 400 Bad Request: ...");
    }
}

#[tokio::test]
async fn a_stranger_behind_the_name_is_shown_no_token() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (port, heard) = serve(&stranger, answer("200 OK", r#"{"access_token":"a"}"#)).await;
    let came = Places::default().ask(&endpoint(port, &authority.root, false), &client(), &refresh()).await;
    assert!(matches!(came, Err(Outcome::Away(_))), "nothing was used");
    assert!(heard.lock().expect("no poison").is_empty());
}
