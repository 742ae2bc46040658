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

async fn page(server: &Server, (client, cookie): &(Client, String), path: &str) -> (u16, String) {
    let request = client.get(server.url(path)).header("cookie", cookie).header("accept", "text/html,*/*;q=0.8");
    let answer = request.send().await.expect("a page");
    let policy = answer.headers()["content-security-policy"].to_str().expect("text").to_owned();
    assert!(
        policy.contains("default-src 'none'") && policy.contains("script-src 'self';") && !policy.contains("unsafe")
    );
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

#[tokio::test]
async fn the_pages_show_what_there_is_and_lead_to_it() {
    let server = Server::start().await;
    let name = name();
    let issued = issue(&server, &token(Role::Admin).await, "tls-server", &name).await;
    let visitor = signed_in(&server, Role::Operator).await;
    let (status, html) = page(&server, &visitor, "/?owner=web").await;
    assert_eq!(status, 200);
    for word in ["in time.", "<svg", "The log", "HSM ready", "expired and not replaced", "What ends when"] {
        assert!(html.contains(word), "{word} is missing in {html}");
    }
    assert!(!html.contains("http-equiv"), "a page that loads itself anew loses what is typed");
    let here = format!("href=\"/certificates/{}\"", issued.serial);
    for query in [
        format!("q={}", &name[..name.len() - 12]),
        format!("q={}", &issued.serial[..30]),
        format!(
            "q={}&state=intime&kind=certificate&profile=tls-server&renewer=nobody&replaced=no",
            name.to_uppercase()
        ),
    ] {
        let (status, html) = page(&server, &visitor, &format!("/certificates?owner=web&{query}")).await;
        assert_eq!(
            (status, html.matches(&here).count()),
            (200, 2),
            "{query}: its name and its serial lead to it: {html}"
        );
    }
    let (_, other) = page(&server, &visitor, "/certificates?q=nobody.example.internal").await;
    assert!(other.contains("Nothing matches"));
    let (status, html) = page(&server, &visitor, "/certificates?from=soon").await;
    assert!(status == 400 && html.contains("<h1>") && html.contains("write a day as"), "{html}");
}

#[tokio::test]
async fn a_certificate_has_a_page_with_its_chain_history_proof_and_kin() {
    let server = Server::start().await;
    let (admin, name) = (token(Role::Admin).await, name());
    let first = issue(&server, &admin, "tls-server", &name).await;
    let second = issue(&server, &admin, "tls-server", &name).await;
    let visitor = signed_in(&server, Role::Admin).await;
    let (status, html) = page(&server, &visitor, &format!("/certificates/{}", first.serial)).await;
    assert_eq!(status, 200);
    let chain = first.chain.trim().replace('+', "&#43;");
    for word in [
        &name,
        "replaced",
        "A later certificate replaced it",
        "-----BEGIN CERTIFICATE-----",
        "(RFC 6962)",
        "Signed</b>",
    ] {
        assert!(html.contains(word), "{word} is missing in {html}");
    }
    assert!(html.contains(first.chain.trim()) || html.contains(&chain), "the chain stands there");
    assert!(html.contains(&format!("href=\"/certificates/{}\"", second.serial)), "its successor is a link");
    let (_, html) = page(&server, &visitor, &format!("/certificates/{}", second.serial)).await;
    assert!(html.contains(&format!("href=\"/certificates/{}\"", first.serial)), "its predecessor is a link");
    let operator = signed_in(&server, Role::Issuer).await;
    let (_, html) = page(&server, &operator, &format!("/certificates/{}", second.serial)).await;
    assert!(html.contains("for auditors") && !html.contains("RFC 6962"), "{html}");
    for (path, told) in
        [("/certificates/00ff00ff", "no serial"), ("/certificates/xyz", "hex digits"), ("/nothing", "no such path")]
    {
        let (status, html) = page(&server, &visitor, path).await;
        assert!((400..500).contains(&status) && html.contains("<h1>") && html.contains(told), "{path}: {html}");
    }
    // The API tells the same.
    let client = client().build().expect("a client");
    let shown = client.get(server.url(&format!("/api/v1/certificates/{}", first.serial))).bearer_auth(&admin);
    let shown: serde_json::Value = shown.send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!((&shown["replaced"], &shown["successor"]), (&json!(true), &json!(second.serial)));
}

#[tokio::test]
async fn a_form_changes_something_once_it_is_ours_and_meant() {
    let server = Server::start().await;
    let issued = issue(&server, &token(Role::Admin).await, "tls-server", &name()).await;
    let visitor = signed_in(&server, Role::Operator).await;
    let path = format!("/certificates/{}", issued.serial);
    let (_, html) = page(&server, &visitor, &path).await;
    let word = |act: &str| {
        let form = html.split(&format!("action=\"{path}/{act}\"")).nth(1).expect("the form");
        form.split("name=\"word\" value=\"").nth(1).expect("its word").split('"').next().expect("a word").to_owned()
    };
    let send = async |act: &str, body: String, origin: Option<&str>| {
        let (client, cookie) = &visitor;
        let mut form = client.post(server.url(&format!("{path}/{act}"))).header("cookie", cookie).body(body);
        form = form.header("content-type", "application/x-www-form-urlencoded");
        if let Some(origin) = origin {
            form = form.header("origin", origin);
        }
        let answer = form.send().await.expect("an answer");
        let to = answer.headers().get("location").map(|to| to.to_str().expect("text").to_owned());
        (answer.status().as_u16(), to)
    };
    let (renew, revoke) = (word("renew"), word("revoke"));
    for (body, origin, status) in [
        ("reason=superseded&meant=yes".to_owned(), None, 403),
        (format!("word={renew}&reason=superseded&meant=yes"), None, 403),
        (format!("word={revoke}&reason=superseded&meant=yes"), Some("https://evil.example"), 403),
        (format!("word={revoke}&reason=superseded"), None, 400),
        (format!("word={revoke}&reason=boredom&meant=yes"), None, 400),
    ] {
        assert_eq!(send("revoke", body.clone(), origin).await.0, status, "{body} {origin:?}");
    }
    let (_, html) = page(&server, &visitor, &path).await;
    assert!(html.contains("It ends") && !html.contains("Revoked at"), "nothing was done");
    let (status, to) = send("renew", format!("word={renew}&meant=yes"), None).await;
    let successor = to.expect("its successor's page");
    assert_eq!(status, 303);
    assert!(successor.starts_with("/certificates/") && successor != path);
    let (_, html) = page(&server, &visitor, &successor).await;
    assert!(html.contains(&format!("href=\"{path}\"")), "it took the place of the first");
    assert_eq!(
        send("revoke", format!("word={revoke}&reason=superseded&meant=yes"), None).await,
        (303, Some(path.clone()))
    );
    let (_, html) = page(&server, &visitor, &path).await;
    assert!(html.contains("(superseded)") && !html.contains("<form method=\"post\" action=\"/certificates"), "{html}");
}

#[tokio::test]
async fn a_list_is_a_file_for_a_spreadsheet_too() {
    let server = Server::start().await;
    let (admin, name) = (token(Role::Admin).await, name());
    let issued = issue(&server, &admin, "tls-server", &name).await;
    let (client, cookie) = signed_in(&server, Role::Operator).await;
    let from_page = client.get(server.url(&format!("/certificates.csv?q={name}"))).header("cookie", cookie);
    let from_api =
        client.get(server.url(&format!("/api/v1/certificates?search={name}&format=csv"))).bearer_auth(&admin);
    for request in [from_page, from_api] {
        let answer = request.send().await.expect("an answer");
        assert!(answer.headers()["content-type"].to_str().expect("text").starts_with("text/csv"));
        let text = answer.text().await.expect("text");
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert!(lines[0].starts_with("serial,kind,state,"), "{text}");
        assert!(lines[1].starts_with(&format!("{},certificate,issued,false,tls-server", issued.serial)), "{text}");
        assert_eq!((lines.len(), lines[2]), (3, ""), "{text}");
    }
}

#[tokio::test]
async fn the_api_finds_by_state_search_serial_renewer_and_ends() {
    let server = Server::start().await;
    let (admin, name) = (token(Role::Admin).await, name());
    let issued = issue(&server, &admin, "tls-server", &name).await;
    let client = client().build().expect("a client");
    let list = async |query: &str| {
        let request =
            client.get(server.url(&format!("/api/v1/certificates?search={name}&{query}"))).bearer_auth(&admin);
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let body: serde_json::Value = answer.json().await.expect("JSON");
        (status, body["items"].as_array().map_or(0, Vec::len))
    };
    let end = issued.body["not_after"].as_str().expect("an end").to_owned();
    for (query, found) in [
        ("state=issued", 1),
        ("state=expired", 0),
        ("renewer=nobody", 1),
        ("renewer=acme", 0),
        ("renewed=false&act=false&replaced=false&issuer=tls&kind=certificate", 1),
        ("act=true", 0),
        ("replaced=true", 0),
        (&format!("expires_from={end}"), 1),
        (&format!("expires_to={end}"), 0),
        ("kind=ssh", 0),
        ("serial=ab", 0),
    ] {
        assert_eq!(list(query).await, (200, found), "{query}");
    }
    for wrong in ["state=dead", "renewer=me", "format=xls", "expires_to=soon", "serial=", "serial=xy"] {
        assert!((400..500).contains(&list(wrong).await.0), "{wrong}");
    }
    let prefix = &issued.serial[..28];
    let request = client.get(server.url(&format!("/api/v1/certificates?serial={prefix}"))).bearer_auth(&admin);
    let body: serde_json::Value = request.send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(body["items"][0]["serial"], issued.serial.as_str());
}

#[tokio::test]
async fn an_ssh_user_and_an_issuer_see_what_is_their_own() {
    let server = Server::start().await;
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti alice@laptop";
    let user = token(Role::SshUser).await;
    let (_, name) = (issue(&server, &token(Role::Admin).await, "tls-server", &name()).await, name());
    let wish = json!({"public_key": key, "principals": ["alice"], "owner": "web"});
    let sent = client().build().expect("a client");
    let made =
        sent.post(server.url("/api/v1/ssh/user")).bearer_auth(&user).json(&wish).send().await.expect("an answer");
    assert_eq!(made.status(), 201, "{}", made.text().await.expect("text"));
    let visitor = signed_in(&server, Role::SshUser).await;
    let (status, _) = page_or_away(&server, &visitor, "/").await;
    assert_eq!(status, 303);
    let (status, html) = page(&server, &visitor, "/certificates?kind=ssh-user").await;
    assert!(status == 200 && html.contains(">alice<") && !html.contains("tls-server</small>"), "{html}");
    let (status, html) = page(&server, &visitor, "/certificates").await;
    assert!(status == 200 && !html.contains(&name) && !html.contains("tls-server</small>"), "{html}");
    let issuer = signed_in(&server, Role::Issuer).await;
    assert_eq!(page(&server, &issuer, "/").await.0, 200);
}

async fn page_or_away(server: &Server, (client, cookie): &(Client, String), path: &str) -> (u16, String) {
    let answer = client.get(server.url(path)).header("cookie", cookie).send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

#[tokio::test]
async fn what_is_wrong_is_a_page_for_a_browser_and_a_problem_for_a_program() {
    let server = Server::start().await;
    let client = client().build().expect("a client");
    for (path, status) in [("/nothing", 404), ("/api/v1/certificates", 401), ("/logout", 405)] {
        let request = client.get(server.url(path));
        let browser = request.try_clone().expect("a request").header("accept", "text/html,application/xhtml+xml");
        let answer = browser.send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status);
        assert!(answer.headers()["content-type"].to_str().expect("text").starts_with("text/html"), "{path}");
        let html = answer.text().await.expect("text");
        assert!(html.contains("<h1>") && html.contains("<nav aria-label=\"Pages\">"), "{path}: {html}");
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{path}");
    }
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
    let quoted = evil.replace('<', "%3C").replace('>', "%3E");
    for path in ["/certificates?owner=db".to_owned(), format!("/certificates?q={quoted}&from={quoted}")] {
        let (_, html) = page(&server, &visitor, &path).await;
        assert!(!html.contains("<script>"), "{path}");
    }
    let (_, html) = page(&server, &visitor, "/certificates?owner=db").await;
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
    let (status, html) = page(&server, &visitor, &format!("/certificates?q={name}")).await;
    assert_eq!(status, 200);
    assert!(html.contains(&name));
    let (status, html) = page(&server, &visitor, "/").await;
    assert!(status == 200 && !html.contains("The log"));
    let (status, html) = page(&server, &visitor, "/?owner=db").await;
    assert!(status == 403 && html.contains("<h1>"), "a refusal is a page");
}

#[tokio::test]
async fn secrets_have_pages_that_never_show_a_value() {
    let server = Server::start().await;
    let (admin, root) = (token(Role::Admin).await, format!("pages/{}", crate::house::unique()));
    let (path, canary) = (format!("{root}/db"), "canary-of-the-pages");
    let http = client().build().expect("a client");
    let put = |path: &str, body: serde_json::Value| {
        http.put(server.url(&format!("/api/v1/secrets/{path}"))).bearer_auth(&admin).json(&body).send()
    };
    let body = json!({"fields": {"value": canary}, "owner": "web", "description": "<script>the shop</script>",
        "tags": {"team": "shop"}, "expires": policy::World::real().now().plus_secs(7_200).rfc3339()});
    assert_eq!(put(&path, body).await.expect("an answer").status().as_u16(), 201);
    let reader = token(Role::SecretReader).await;
    let read = http.get(server.url(&format!("/api/v1/secret-values/{path}"))).bearer_auth(&reader).send();
    assert_eq!(read.await.expect("an answer").status().as_u16(), 200);
    let visitor = signed_in(&server, Role::Auditor).await;
    let here = format!("href=\"/secrets/{path}\"");
    for query in [
        format!("within={root}"),
        format!("within={root}&state=expiring&tag=team%3Dshop"),
        format!("q={}&owner=web", root.trim_start_matches("pages/")),
    ] {
        let (status, html) = page(&server, &visitor, &format!("/secrets?{query}")).await;
        assert_eq!((status, html.matches(&here).count()), (200, 1), "{query}: {html}");
        assert!(
            html.contains("<b>in ")
                && html.contains("this hour") | html.contains(" ago")
                && html.contains("token:test-")
                && !html.contains(canary),
            "{html}"
        );
        assert!(!html.contains("<script>the shop"), "what somebody wrote is text");
    }
    let (_, none) = page(&server, &visitor, &format!("/secrets?within={root}&state=unread")).await;
    assert!(none.contains("Nothing matches"), "{none}");
    let (status, html) = page(&server, &visitor, &format!("/secrets/{path}")).await;
    for word in
        ["team=shop", "current", "token:test-", "leaf ", "chancery secret get", "Its current version expires in"]
    {
        assert!(html.contains(word), "{word} is missing in {html}");
    }
    assert!(status == 200 && !html.contains(canary), "{html}");
    let (_, overview) = page(&server, &visitor, "/?owner=web").await;
    assert!(overview.contains("<span>secrets</span>") && overview.contains("href=\"/secrets\""), "{overview}");
    // Who may know of none is shown none, and no link to them.
    let issuer = signed_in(&server, Role::Issuer).await;
    let (_, overview) = page(&server, &issuer, "/?owner=web").await;
    assert!(!overview.contains("<span>secrets</span>") && !overview.contains("href=\"/secrets\""), "{overview}");
    for place in ["/secrets", &format!("/secrets/{path}"), "/secrets/nothing/there"] {
        let (status, html) = page(&server, &issuer, place).await;
        assert!(status == 403 && !html.contains("web"), "{place}: {html}");
    }
    for (place, status) in
        [("/secrets/nothing/there", 404), ("/secrets?state=dead", 400), ("/secrets?within=a//b", 400)]
    {
        assert_eq!(page(&server, &visitor, place).await.0, status, "{place}");
    }
}

/// A secret of owner `db` that ends within hours, and its path.
async fn ending(server: &Server, http: &Client, admin: &str) -> String {
    let path = format!("merger-{}/escrow", crate::house::unique());
    let expires = policy::World::real().now().plus_secs(7_200).rfc3339();
    let body = json!({"fields": {"value": "x"}, "owner": "db", "expires": expires});
    let put = http.put(server.url(&format!("/api/v1/secrets/{path}"))).bearer_auth(admin).json(&body).send();
    assert_eq!(put.await.expect("an answer").status().as_u16(), 201);
    path
}

#[tokio::test]
async fn who_may_list_no_secrets_hears_how_many_are_in_trouble_and_no_names() {
    let server = Server::start().await;
    let (http, admin) = (client().build().expect("a client"), token(Role::Admin).await);
    let path = ending(&server, &http, &admin).await;
    for role in [Role::Operator, Role::Approver] {
        let status = http.get(server.url("/api/v1/status")).bearer_auth(token(role).await).send();
        let status: serde_json::Value = status.await.expect("an answer").json().await.expect("JSON");
        let alarms = status["alarms"].to_string();
        assert!(alarms.contains("within 7 days"), "{role}: {alarms}");
        assert!(!alarms.contains(&path) && !alarms.contains("chancery secret put "), "{role}: {alarms}");
        let (_, html) = page(&server, &signed_in(&server, role).await, "/").await;
        let metrics = http.get(server.url("/metrics")).bearer_auth(token(role).await).send().await.expect("an answer");
        let metrics = metrics.text().await.expect("text");
        assert!(!html.contains(&path) && !metrics.contains(&path), "{role}: {html} {metrics}");
        assert!(metrics.contains("chancery_secrets{state=\"all\"}"), "{metrics}");
    }
    let status = http.get(server.url("/api/v1/status")).bearer_auth(token(Role::Auditor).await).send();
    let alarms = status.await.expect("an answer").text().await.expect("text");
    assert!(alarms.contains("chancery secret put "), "whoever may list them is told which: {alarms}");
}

#[tokio::test]
async fn a_secret_whose_current_version_is_disabled_is_not_in_use() {
    let server = Server::start().await;
    let (http, admin) = (client().build().expect("a client"), token(Role::Admin).await);
    let path = ending(&server, &http, &admin).await;
    let root = path.split('/').next().expect("a level").to_owned();
    let disable = json!({"path": path, "version": "1"});
    let act = http.post(server.url("/api/v1/secret-acts/disable")).bearer_auth(&admin).json(&disable).send();
    assert_eq!(act.await.expect("an answer").status().as_u16(), 200);
    let visitor = signed_in(&server, Role::Auditor).await;
    let (_, list) = page(&server, &visitor, &format!("/secrets?within={root}")).await;
    assert!(list.contains("<span class=\"badge revoked\">disabled</span>"), "{list}");
    let (_, used) = page(&server, &visitor, &format!("/secrets?within={root}&state=used")).await;
    assert!(used.contains("Nothing matches"), "{used}");
    let (_, sheet) = page(&server, &visitor, &format!("/secrets/{path}")).await;
    assert!(
        sheet.contains("Its current version, 1, is disabled") && sheet.contains("href=\"/secrets?owner=db\""),
        "{sheet}"
    );
    let (_, overview) = page(&server, &visitor, "/?owner=db").await;
    assert!(overview.contains("The next secrets to end") && overview.contains("need"), "{overview}");
}
