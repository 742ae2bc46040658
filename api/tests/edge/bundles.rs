//! A bundle that names a certificate is answered with its chain, and with what is to be known of it.

use policy::Role;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::house::{Server, client, issue, name, token, unique};

async fn ask(server: &Server, token: &str, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    let client = client().build().unwrap();
    let request = client.request(method, server.url(&format!("/api/v1/{path}"))).bearer_auth(token);
    let request = body.iter().fold(request, |request, body| request.json(body));
    let answer = request.send().await.unwrap();
    assert!(answer.headers().get("etag").is_none(), "what stands in it changes without it");
    (answer.status(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
}

#[tokio::test]
async fn a_certificate_stays_in_its_register_and_its_chain_is_what_is_read() {
    let server = Server::start().await;
    let (admin, reader, issuer) =
        (token(Role::Admin).await, token(Role::SecretReader).await, token(Role::Issuer).await);
    let name = name();
    let issued = issue(&server, &issuer, "tls-server", &name).await;
    let (by_serial, by_name) = (format!("bundles/{}", unique()), format!("bundles/{}", unique()));
    let (foreign, outer) = (format!("bundles/{}", unique()), format!("bundles/{}", unique()));
    let put = async |path: &str, owner: &str, source: &str| {
        let body = json!({"owner": owner, "kind": "certificate-bundle",
            "fields": {"certificate": format!("certificate:{source}"), "private_key": issued.key_pem}});
        let (status, told) = ask(&server, &admin, Method::PUT, &format!("secrets/{path}"), Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{told}");
    };
    put(&by_serial, "web", &issued.serial).await;
    put(&by_name, "web", &name).await;
    put(&foreign, "db", &issued.serial).await;
    let body = json!({"owner": "web", "fields": {"note": "x"},
        "references": {"crt": format!("chy://{by_serial}#certificate")}});
    let (status, told) = ask(&server, &admin, Method::PUT, &format!("secrets/{outer}"), Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{told}");
    let read = async |path: &str| ask(&server, &reader, Method::GET, &format!("secret-values/{path}"), None).await;
    for path in [&by_serial, &by_name] {
        let (status, told) = read(path).await;
        assert_eq!((status, &told["fields"]["certificate"]), (StatusCode::OK, &json!(issued.chain)), "{told}");
        assert_eq!(told["fields"]["private_key"], json!(issued.key_pem), "the rest is as it was");
        assert!(told.get("said").is_none(), "{told}");
    }
    assert_eq!(read(&outer).await.1["fields"]["crt"], json!(issued.chain), "by a reference too");
    // Another owner's certificate is told as what is not there, and so is one that never was.
    let nothing = format!("bundles/{}", unique());
    put(&nothing, "web", &"0".repeat(32)).await;
    let (status, told) = read(&nothing).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{told}");
    let (status, told) = ask(&server, &admin, Method::GET, &format!("secret-values/{foreign}"), None).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{told}");
    assert!(told["detail"].as_str().unwrap().contains("has no such certificate here"), "{told}");

    // Of a renewed one it is said by its number; its name leads to the newest.
    let newer = issue(&server, &issuer, "tls-server", &name).await;
    assert_eq!(read(&by_name).await.1["fields"]["certificate"], json!(newer.chain));
    // What is revoked is answered, and said to be; its name leads to the one before.
    let body = json!({"reason": "key-compromise"});
    let path = format!("certificates/{}/revoke", newer.serial);
    let (status, told) = ask(&server, &admin, Method::POST, &path, Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    put(&by_serial, "web", &newer.serial).await;
    let (status, told) = read(&by_serial).await;
    assert_eq!((status, &told["fields"]["certificate"]), (StatusCode::OK, &json!(newer.chain)));
    let said = told["said"][0].as_str().unwrap();
    assert!(said.contains(&newer.serial) && said.contains("revoked") && said.contains("key-compromise"), "{said}");
    assert_eq!(read(&by_name).await.1["fields"]["certificate"], json!(issued.chain));
    let wish = json!({"references": [format!("chy://{by_serial}#certificate"), format!("chy://{outer}#crt")]});
    let (_, told) = ask(&server, &reader, Method::POST, "secret-values", Some(wish)).await;
    for item in told["items"].as_array().unwrap() {
        assert!(item["secret"]["said"][0].as_str().is_some_and(|said| said.contains("revoked")), "{item}");
    }
    server.stop().await.unwrap();
}
