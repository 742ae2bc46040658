//! The dashboard as a browser sees it.

use policy::Role;
use reqwest::{Client, Response};
use serde_json::json;

use crate::house::{Server, client, issue, name, token, token_of};

async fn signed_in(server: &Server, role: Role) -> (Client, String) {
    let client = client().build().expect("a client");
    let answer = sign_in(server, &client, &token(role).await).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["location"]), (303, &"/".parse().expect("a value")));
    let cookie = answer.headers()["set-cookie"].to_str().expect("text");
    for word in ["HttpOnly", "Secure", "SameSite=Strict"] {
        assert!(cookie.contains(word), "{cookie}");
    }
    let pair = cookie.split(';').next().expect("a pair").to_owned();
    (client, pair)
}

async fn sign_in(server: &Server, client: &Client, token: &str) -> Response {
    let form = client.post(server.url("/login")).header("content-type", "application/x-www-form-urlencoded");
    form.body(format!("token={token}")).send().await.expect("an answer")
}

async fn page(server: &Server, (client, cookie): &(Client, String), query: &str) -> (u16, String) {
    let answer = client.get(server.url(&format!("/{query}"))).header("cookie", cookie).send().await.expect("a page");
    let policy = answer.headers()["content-security-policy"].to_str().expect("text").to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("script") && !policy.contains("unsafe"));
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

#[tokio::test]
async fn the_page_shows_what_expires_and_whose_it_is() {
    let server = Server::start().await;
    let name = name();
    let issued = issue(&server, &token(Role::Admin).await, "tls-server", &name).await;
    let visitor = signed_in(&server, Role::Operator).await;
    let (status, html) = page(&server, &visitor, &format!("?name={name}&owner=web")).await;
    assert_eq!(status, 200);
    for word in [name.as_str(), &issued.serial, "tls-server", "<svg", "Log head", "HSM ready", "within 24 hours"] {
        assert!(html.contains(word), "{word} is missing");
    }
    assert!(!html.contains("<script"));
    let (_, other) = page(&server, &visitor, "?name=nobody.example.internal").await;
    assert!(other.contains("Nothing matches"));
}

#[tokio::test]
async fn what_a_caller_wrote_is_text_on_the_page() {
    let server = Server::start().await;
    let admin = token(Role::Admin).await;
    let client = client().build().expect("a client");
    let evil = "<script>alert(1)</script>";
    let label = format!("evil-{}", crate::house::unique());
    // Of an owner with few others: a page has the first hundred to expire.
    let wish = json!({"label": label, "owner": "db", "subject": evil});
    let made = client.post(server.url("/api/v1/keys")).bearer_auth(&admin).json(&wish).send().await.expect("an answer");
    assert_eq!(made.status(), 201, "{}", made.text().await.expect("text"));
    let visitor = signed_in(&server, Role::Operator).await;
    for query in ["?state=all&owner=db".to_owned(), format!("?name={}", evil.replace('<', "%3C").replace('>', "%3E"))] {
        let (status, html) = page(&server, &visitor, &query).await;
        assert_eq!(status, 200);
        assert!(!html.contains("<script"), "{query}");
    }
    let (_, html) = page(&server, &visitor, "?state=all&owner=db").await;
    // RFC 4514 puts a backslash before each angle bracket, and the page shows both as text.
    assert!(html.contains("\\&#60;script\\&#62;"), "the subject is shown as text");
}

#[tokio::test]
async fn without_a_session_there_is_the_form() {
    let server = Server::start().await;
    let client = client().build().expect("a client");
    let answer = client.get(server.url("/")).send().await.expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.headers()["location"].as_bytes()), (303, &b"/login"[..]));
    let wrong = sign_in(&server, &client, "chy_nonsense").await;
    assert_eq!(wrong.status(), 401);
    assert!(wrong.text().await.expect("text").contains("role=\"alert\""));
    let foreign = client.post(server.url("/login")).header("sec-fetch-site", "cross-site");
    let foreign = foreign.header("content-type", "application/x-www-form-urlencoded").body("token=x");
    assert_eq!(foreign.send().await.expect("an answer").status(), 403);
}

#[tokio::test]
async fn a_session_ends_with_its_token_and_at_sign_out() {
    let server = Server::start().await;
    let client = client().build().expect("a client");
    let (text, id) = token_of(&[Role::Operator], None, 3_600).await;
    let cookie_of = |answer: &Response| {
        answer.headers()["set-cookie"].to_str().expect("text").split(';').next().expect("a pair").to_owned()
    };
    let first = cookie_of(&sign_in(&server, &client, &text).await);
    let second = cookie_of(&sign_in(&server, &client, &text).await);
    let status = |cookie: String| {
        let request = client.get(server.url("/")).header("cookie", cookie);
        async move { request.send().await.expect("a page").status().as_u16() }
    };
    assert_eq!((status(first.clone()).await, status(second.clone()).await), (200, 200));
    client.post(server.url("/logout")).header("cookie", &first).send().await.expect("an answer");
    assert_eq!((status(first).await, status(second.clone()).await), (303, 200));
    let gone = client.delete(server.url(&format!("/api/v1/tokens/{id}"))).bearer_auth(token(Role::Admin).await);
    assert_eq!(gone.send().await.expect("an answer").status(), 204);
    assert_eq!(status(second).await, 303);
}

#[tokio::test]
async fn the_cookie_means_nothing_to_the_api() {
    let server = Server::start().await;
    let (client, cookie) = signed_in(&server, Role::Admin).await;
    let answer = client.get(server.url("/api/v1/whoami")).header("cookie", cookie).send().await.expect("an answer");
    assert_eq!(answer.status(), 401);
}

#[tokio::test]
async fn who_may_not_read_the_status_sees_its_own_certificates_and_no_more() {
    let server = Server::start().await;
    let name = name();
    issue(&server, &token(Role::Admin).await, "tls-server", &name).await;
    let visitor = signed_in(&server, Role::Issuer).await;
    let (status, html) = page(&server, &visitor, &format!("?name={name}")).await;
    assert_eq!(status, 200);
    assert!(html.contains(&name) && !html.contains("Log head"));
    assert_eq!(page(&server, &visitor, "?owner=db").await.0, 403);
}
