//! The HSM goes away under a running server: issuance says when to ask again, everything else goes on, and it heals by
//! itself. In a process of its own, because it takes the token from everybody in it.

extern crate chancery_api as api;

#[path = "edge/house.rs"]
mod house;

use std::time::{Duration, Instant};

use policy::Role;
use reqwest::{Client, StatusCode};
use serde_json::json;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use api::{Limits, ServeConfig};
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

    a_server_that_has_no_certificate_refuses_at_once(&client).await;

    std::fs::rename(&away, &home).expect("the token comes back");
    let begun = Instant::now();
    while ask(&server, &client, &admin).await.0 != StatusCode::CREATED {
        assert!(begun.elapsed() < PATIENCE, "it did not heal");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(client.get(server.plain("/readyz")).send().await.expect("an answer").status(), 200);
}

/// Nobody is kept waiting in a handshake for a certificate that cannot be signed now, and it is said what is missing.
async fn a_server_that_has_no_certificate_refuses_at_once(client: &Client) {
    let free = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("its address")
    };
    let (https, http, house) = (free(), free(), house());
    let config = ServeConfig {
        https,
        http,
        names: vec![policy::Name::parse("localhost").expect("a name")],
        owner: policy::Owner::parse("chancery").expect("an owner"),
        bounds: api::Bounds::new(Limits::default()),
        notice: api::Notice::default(),
        places: drivers::Places::new(drivers::Outside::default(), 1, policy::World::real()),
        acme: None,
        backup: None,
    };
    let (stop, (ready, _bound)) = (CancellationToken::new(), oneshot::channel());
    let (authority, ledger, world) = (house.authority.clone(), house.ledger.clone(), house.world.clone());
    let serving = tokio::spawn(api::serve(config, authority, ledger, world, stop.clone().cancelled_owned(), ready));
    let refused = async {
        loop {
            match client.get(format!("https://localhost:{}/healthz", https.port())).send().await {
                Err(error) if format!("{error:?}").contains("Alert") => return,
                Err(error) if error.is_connect() => tokio::time::sleep(Duration::from_millis(20)).await,
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.expect("an end of the handshake");
    let says = client.get(format!("http://{http}/readyz")).send().await.expect("an answer");
    let says: serde_json::Value = says.json().await.expect("JSON");
    assert_eq!((&says["why"]["https"], &says["hsm"]), (&"no certificate yet".into(), &false.into()), "{says}");
    stop.cancel();
    serving.await.expect("no panic").expect("a good end");
}
