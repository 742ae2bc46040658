//! Each route as each role: the golden matrix that a reviewer must see change.

use std::fmt::Write;

use policy::Role;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::house::{Server, client, client_with, csr, issue, name, token, token_of, unique};

/// A route with what makes a fitting request for it.
struct Route {
    method: Method,
    path: String,
    body: Option<Value>,
}

fn route(method: Method, path: impl Into<String>, body: Option<Value>) -> Route {
    Route { method, path: path.into(), body }
}

/// Fresh targets for one caller: what one caller revokes, another must not find revoked.
async fn routes(server: &Server, admin: &str) -> Vec<(&'static str, Route)> {
    let wish = json!({"profile": "tls-server", "csr": csr(&[&name()]).1, "owner": "web"});
    let ssh = |principal: &str| json!({"public_key": SSH_KEY, "owner": "web", "principals": [principal]});
    let (shown, revoked, renewed, rekeyed) = (
        issue(server, admin, "tls-server", &name()).await.serial,
        issue(server, admin, "tls-server", &name()).await.serial,
        issue(server, admin, "tls-server", &name()).await.serial,
        issue(server, admin, "tls-server", &name()).await.serial,
    );
    let held = issue(server, admin, "tls-server", &name()).await;
    let victim = token_of(&[Role::Auditor], None, 3_600).await.1;
    let key = json!({"label": format!("matrix-{}", unique()), "owner": "web"});
    let used = format!("matrix-used-{}", unique());
    make_key(server, admin, &used).await;
    let sign = json!({"key": used, "format": "raw", "sha256": "ab".repeat(32)});
    let new_token = json!({"name": format!("matrix-{}", unique()), "roles": ["auditor"], "expires_secs": 60});
    let secret = format!("matrix/{}", unique());
    put_secret(server, admin, &secret).await;
    let (seed, signing) = (format!("matrix/{}", unique()), format!("matrix/{}", unique()));
    put_drawn(server, admin, (&seed, "totp-seed")).await;
    put_drawn(server, admin, (&signing, "jwt-signing-key")).await;
    let exchanged = format!("matrix/{}", unique());
    put_login(server, admin, &exchanged, &secret).await;
    let (client_secret, tokens) = (format!("matrix/{}", unique()), format!("matrix/{}", unique()));
    put_token(server, admin, &tokens, &client_secret).await;
    let (transit, retired) = (format!("k{}", unique()), format!("k{}", unique()));
    let sealed = make_transit_key(server, admin, &transit).await;
    make_transit_key(server, admin, &retired).await;
    let opening = json!({"items": [{"ciphertext": sealed}]});
    let message = json!({"message": "", "signature": "chy:v1:"});
    let policy = policy_hash(server, admin).await;
    let server_profile = include_str!("../../../ca/defaults/tls-server.toml");
    let replay = json!({"profiles": {"tls-server": server_profile}, "since_secs": 60});
    let fit = json!({"profiles": {"tls-server": server_profile}});
    let certificates = "/api/v1/certificates";
    let new_issuer = json!({"name": "tls", "above": "root", "subject": "/CN=x"});
    let brought = json!({"name": "tls", "key_label": "none", "chain": ""});
    vec![
        ("GET /healthz", route(Method::GET, "/healthz", None)),
        ("GET /readyz", route(Method::GET, "/readyz", None)),
        ("GET /roots.pem", route(Method::GET, "/roots.pem", None)),
        ("GET /roots.p7c", route(Method::GET, "/roots.p7c", None)),
        ("GET /roots.p12", route(Method::GET, "/roots.p12", None)),
        ("GET /roots.jks", route(Method::GET, "/roots.jks", None)),
        ("GET /crl/tls.crl", route(Method::GET, "/crl/tls.crl", None)),
        ("GET /crl/tls/1/0.crl", route(Method::GET, "/crl/tls/1/0.crl", None)),
        ("GET /crl/tls/1/0.delta.crl", route(Method::GET, "/crl/tls/1/0.delta.crl", None)),
        ("GET /aia/tls/1.cer", route(Method::GET, "/aia/tls/1.cer", None)),
        ("GET /aia/tls/1.p7c", route(Method::GET, "/aia/tls/1.p7c", None)),
        ("GET /log/keys", route(Method::GET, "/log/keys", None)),
        ("GET /api/v1/drills", route(Method::GET, "/api/v1/drills", None)),
        ("GET /api/v1/drills/{id}", route(Method::GET, "/api/v1/drills/drill-0-0", None)),
        (
            "POST /api/v1/drills",
            route(Method::POST, "/api/v1/drills", Some(json!({"issuer": "tls/1", "reason": "x", "dry_run": true}))),
        ),
        ("POST /api/v1/drills/{id}/end", route(Method::POST, "/api/v1/drills/drill-0-0/end", None)),
        ("GET /api/v1/issuers", route(Method::GET, "/api/v1/issuers", None)),
        ("GET /api/v1/issuers/{issuer}", route(Method::GET, "/api/v1/issuers/tls", None)),
        ("POST /api/v1/issuers", route(Method::POST, "/api/v1/issuers", Some(new_issuer))),
        ("POST /api/v1/issuers/import", route(Method::POST, "/api/v1/issuers/import", Some(brought))),
        (
            "POST /api/v1/issuers/import/begin",
            route(
                Method::POST,
                "/api/v1/issuers/import/begin",
                Some(json!({"name": "tls", "key_label": "x", "chain": "", "dry_run": true})),
            ),
        ),
        (
            "POST /api/v1/issuers/{issuer}/{generation}/import",
            route(
                Method::POST,
                "/api/v1/issuers/none/1/import",
                Some(json!({"items": [], "source_sha256": "00".repeat(32), "dry_run": true})),
            ),
        ),
        (
            "POST /api/v1/issuers/{issuer}/{generation}/import/done",
            route(
                Method::POST,
                "/api/v1/issuers/none/1/import/done",
                Some(
                    json!({"source": "x", "source_sha256": "00".repeat(32), "certificates": 0, "certificates_there": 0, "revocations": 0}),
                ),
            ),
        ),
        (
            "POST /api/v1/issuers/import-crl",
            route(Method::POST, "/api/v1/issuers/import-crl", Some(json!({"crl": ""}))),
        ),
        (
            "POST /api/v1/issuers/{issuer}/rotate",
            route(Method::POST, "/api/v1/issuers/tls/rotate", Some(json!({"dry_run": true}))),
        ),
        (
            "POST /api/v1/issuers/{issuer}/{generation}/request",
            route(Method::POST, "/api/v1/issuers/tls/1/request", None),
        ),
        ("GET /api/v1/issuers/{issuer}/{generation}/export", route(Method::GET, "/api/v1/issuers/tls/1/export", None)),
        (
            "POST /api/v1/issuers/{issuer}/{generation}/{act}",
            route(Method::POST, "/api/v1/issuers/tls/9/renew", Some(json!({}))),
        ),
        ("GET /ocsp", route(Method::GET, "/ocsp", None)),
        ("GET /ssh/krl", route(Method::GET, "/ssh/krl", None)),
        ("GET /ssh/user_ca.pub", route(Method::GET, "/ssh/user_ca.pub", None)),
        ("GET /ssh/host_ca.pub", route(Method::GET, "/ssh/host_ca.pub", None)),
        ("GET /log/checkpoint", route(Method::GET, "/log/checkpoint", None)),
        ("GET /log/key", route(Method::GET, "/log/key", None)),
        ("GET /log/tile/0/000.p/1", route(Method::GET, "/log/tile/0/000.p/1", None)),
        ("GET /log/tile/entries/000.p/1", route(Method::GET, "/log/tile/entries/000.p/1", None)),
        ("GET /api/openapi.json", route(Method::GET, "/api/openapi.json", None)),
        ("GET /acme/directory", route(Method::GET, "/acme/directory", None)),
        ("GET /login", route(Method::GET, "/login", None)),
        ("GET /", route(Method::GET, "/", None)),
        ("GET /metrics", route(Method::GET, "/metrics", None)),
        ("GET /api/v1/whoami", route(Method::GET, "/api/v1/whoami", None)),
        ("GET /api/v1/status", route(Method::GET, "/api/v1/status", None)),
        ("POST /api/v1/certificates", route(Method::POST, certificates, Some(wish))),
        ("GET /api/v1/certificates", route(Method::GET, certificates, None)),
        (
            "GET /api/v1/certificates?owner=web&profile=tls-server",
            route(Method::GET, format!("{certificates}?owner=web&profile=tls-server"), None),
        ),
        ("GET /api/v1/certificates?owner=db", route(Method::GET, format!("{certificates}?owner=db"), None)),
        ("GET /api/v1/certificates/{serial}", route(Method::GET, format!("{certificates}/{shown}"), None)),
        (
            "POST /api/v1/certificates/{serial}/renew",
            route(Method::POST, format!("{certificates}/{renewed}/renew"), Some(json!({}))),
        ),
        (
            "POST /api/v1/certificates/{serial}/renew, another key",
            route(Method::POST, format!("{certificates}/{rekeyed}/renew"), Some(json!({"csr": csr(&[]).1}))),
        ),
        (
            "POST /api/v1/certificates/{serial}/revoke",
            route(Method::POST, format!("{certificates}/{revoked}/revoke"), Some(json!({"reason": "superseded"}))),
        ),
        (
            "POST /api/v1/certificates/{serial}/release",
            route(Method::POST, format!("{certificates}/{shown}/release"), None),
        ),
        (
            "POST /api/v1/revocations",
            route(
                Method::POST,
                "/api/v1/revocations",
                Some(json!({"owner": "web", "name": "dns:none", "preview": true})),
            ),
        ),
        ("GET /api/v1/revocations", route(Method::GET, "/api/v1/revocations", None)),
        ("GET /api/v1/revocations/{id}", route(Method::GET, "/api/v1/revocations/none", None)),
        ("POST /api/v1/revocations/{id}/confirm", route(Method::POST, "/api/v1/revocations/none/confirm", None)),
        (
            "POST /api/v1/certificates/revoke",
            route(Method::POST, format!("{certificates}/revoke"), Some(json!({"certificate": held.chain}))),
        ),
        ("GET /api/v1/secrets", route(Method::GET, "/api/v1/secrets?owner=web", None)),
        ("GET /api/v1/secrets, of another owner", route(Method::GET, "/api/v1/secrets?owner=db", None)),
        ("GET /api/v1/secret-changes", route(Method::GET, "/api/v1/secret-changes", None)),
        ("GET /api/v1/secrets/{path}", route(Method::GET, format!("/api/v1/secrets/{secret}"), None)),
        ("GET /api/v1/secrets/{path}, nothing there", route(Method::GET, "/api/v1/secrets/nothing/there", None)),
        (
            "PUT /api/v1/secrets/{path}",
            route(Method::PUT, format!("/api/v1/secrets/{secret}"), Some(json!({"fields": {"value": "two"}}))),
        ),
        (
            "PUT /api/v1/secrets/{path}, a new one",
            route(
                Method::PUT,
                format!("/api/v1/secrets/matrix/{}", unique()),
                Some(json!({"fields": {"value": "one"}, "owner": "web"})),
            ),
        ),
        (
            "PATCH /api/v1/secrets/{path}",
            route(Method::PATCH, format!("/api/v1/secrets/{secret}"), Some(json!({"description": "what it is for"}))),
        ),
        ("GET /api/v1/secret-values/{path}", route(Method::GET, format!("/api/v1/secret-values/{secret}"), None)),
        (
            "GET /api/v1/secret-values/{path}, nothing there",
            route(Method::GET, "/api/v1/secret-values/nothing/there", None),
        ),
        (
            "POST /api/v1/secret-values",
            route(Method::POST, "/api/v1/secret-values", Some(json!({"references": [format!("chy://{secret}")]}))),
        ),
        ("GET /api/v1/secret-codes/{path}", route(Method::GET, format!("/api/v1/secret-codes/{seed}"), None)),
        ("GET /.well-known/jwks/{path}", route(Method::GET, format!("/.well-known/jwks/{signing}"), None)),
        (
            "GET /.well-known/jwks/{path}, not published",
            route(Method::GET, format!("/.well-known/jwks/{secret}"), None),
        ),
        ("GET /secrets", route(Method::GET, "/secrets", None)),
        ("GET /secrets/{path}", route(Method::GET, format!("/secrets/{secret}"), None)),
        ("GET /api/v1/report/secrets", route(Method::GET, "/api/v1/report/secrets?limit=1", None)),
        ("GET /api/v1/report/tokens", route(Method::GET, "/api/v1/report/tokens?limit=1", None)),
        (
            "POST /api/v1/secret-cache-reads",
            route(
                Method::POST,
                "/api/v1/secret-cache-reads",
                Some(
                    json!({"reads": [{"reference": format!("chy://{secret}@1"), "since": "2026-11-28T10:00:00Z", "until": "2026-11-28T10:05:00Z"}]}),
                ),
            ),
        ),
        (
            "POST /api/v1/secret-acts/disable",
            route(Method::POST, "/api/v1/secret-acts/disable", Some(json!({"path": secret, "version": "1"}))),
        ),
        (
            "POST /api/v1/secret-acts/destroy",
            route(Method::POST, "/api/v1/secret-acts/destroy", Some(json!({"path": secret, "versions": ["1"]}))),
        ),
        (
            "POST /api/v1/secret-acts/purge",
            route(Method::POST, "/api/v1/secret-acts/purge", Some(json!({"path": secret}))),
        ),
        (
            "PUT /api/v1/secret-refreshes/{path}",
            route(
                Method::PUT,
                format!("/api/v1/secret-refreshes/{tokens}"),
                Some(json!({"url": "http://127.0.0.1:9/", "client": client_secret, "way": "client-credentials"})),
            ),
        ),
        ("GET /api/v1/secret-refreshes/{path}", route(Method::GET, format!("/api/v1/secret-refreshes/{tokens}"), None)),
        (
            "POST /api/v1/secret-refreshes/{path}, nothing there",
            route(Method::POST, "/api/v1/secret-refreshes/nothing/there", None),
        ),
        (
            "DELETE /api/v1/secret-refreshes/{path}",
            route(Method::DELETE, format!("/api/v1/secret-refreshes/{tokens}"), None),
        ),
        ("GET /api/v1/secret-rotations", route(Method::GET, "/api/v1/secret-rotations?owner=web", None)),
        (
            "PUT /api/v1/secret-lease-roles/{path}",
            route(Method::PUT, format!("/api/v1/secret-lease-roles/{exchanged}"), Some(lease_role(&secret))),
        ),
        (
            "GET /api/v1/secret-lease-roles/{path}",
            route(Method::GET, format!("/api/v1/secret-lease-roles/{exchanged}"), None),
        ),
        (
            "GET /api/v1/ssh-host-keys/{path}, of a password",
            route(Method::GET, format!("/api/v1/ssh-host-keys/{exchanged}"), None),
        ),
        (
            "GET /api/v1/ssh-host-reports/{path}",
            route(Method::GET, format!("/api/v1/ssh-host-reports/{exchanged}"), None),
        ),
        (
            "PUT /api/v1/ssh-host-reports/{path}, by a token",
            route(Method::PUT, format!("/api/v1/ssh-host-reports/{exchanged}"), Some(json!({"fingerprints": []}))),
        ),
        (
            "DELETE /api/v1/ssh-host-reports/{path}, none there",
            route(Method::DELETE, format!("/api/v1/ssh-host-reports/{exchanged}?host=web1"), None),
        ),
        (
            "POST /api/v1/secret-leases",
            route(Method::POST, "/api/v1/secret-leases", Some(json!({"role": exchanged, "secs": 60}))),
        ),
        ("GET /api/v1/secret-leases", route(Method::GET, "/api/v1/secret-leases", None)),
        ("GET /api/v1/secret-leases/{id}", route(Method::GET, "/api/v1/secret-leases/0123456789abcdef", None)),
        (
            "POST /api/v1/secret-leases/{id}/renew",
            route(Method::POST, "/api/v1/secret-leases/0123456789abcdef/renew", Some(json!({}))),
        ),
        (
            "POST /api/v1/secret-leases/{id}/forget",
            route(Method::POST, "/api/v1/secret-leases/0123456789abcdef/forget", Some(json!({"reason": "it is gone"}))),
        ),
        ("DELETE /api/v1/secret-leases/{id}", route(Method::DELETE, "/api/v1/secret-leases/0123456789abcdef", None)),
        (
            "DELETE /api/v1/secret-lease-roles/{path}",
            route(Method::DELETE, format!("/api/v1/secret-lease-roles/{exchanged}"), None),
        ),
        (
            "PUT /api/v1/secret-rotations/{path}",
            route(Method::PUT, format!("/api/v1/secret-rotations/{exchanged}"), Some(rotation(&secret))),
        ),
        (
            "GET /api/v1/secret-rotations/{path}",
            route(Method::GET, format!("/api/v1/secret-rotations/{exchanged}"), None),
        ),
        (
            "POST /api/v1/secret-acts/rotate",
            route(Method::POST, "/api/v1/secret-acts/rotate", Some(json!({"path": exchanged, "dry_run": true}))),
        ),
        (
            "POST /api/v1/secret-acts/rotate-back",
            route(Method::POST, "/api/v1/secret-acts/rotate-back", Some(json!({"path": exchanged}))),
        ),
        (
            "POST /api/v1/secret-acts/rotate-resume",
            route(Method::POST, "/api/v1/secret-acts/rotate-resume", Some(json!({"path": exchanged}))),
        ),
        (
            "DELETE /api/v1/secret-rotations/{path}",
            route(Method::DELETE, format!("/api/v1/secret-rotations/{exchanged}"), None),
        ),
        ("GET /api/v1/recovery", route(Method::GET, "/api/v1/recovery", None)),
        ("POST /api/v1/recovery, no key", route(Method::POST, "/api/v1/recovery", Some(json!({"key": "AAAA"})))),
        ("POST /api/v1/recovery/wrap, no key there", route(Method::POST, "/api/v1/recovery/wrap", None)),
        ("GET /api/v1/transit/keys", route(Method::GET, "/api/v1/transit/keys", None)),
        ("GET /api/v1/transit/keys, of another owner", route(Method::GET, "/api/v1/transit/keys?owner=db", None)),
        ("GET /api/v1/transit/keys/{key}", route(Method::GET, format!("/api/v1/transit/keys/{transit}"), None)),
        ("GET /api/v1/transit/keys/{key}, none there", route(Method::GET, "/api/v1/transit/keys/nothing", None)),
        (
            "POST /api/v1/transit/keys",
            route(
                Method::POST,
                "/api/v1/transit/keys",
                Some(json!({"name": format!("k{}", unique()), "kind": "aes256-gcm", "owner": "web"})),
            ),
        ),
        (
            "PATCH /api/v1/transit/keys/{key}",
            route(Method::PATCH, format!("/api/v1/transit/keys/{transit}"), Some(json!({"rotate_days": 30}))),
        ),
        (
            "POST /api/v1/transit/{key}/encrypt",
            route(
                Method::POST,
                format!("/api/v1/transit/{transit}/encrypt"),
                Some(json!({"items": [{"plaintext": "eA=="}]})),
            ),
        ),
        (
            "POST /api/v1/transit/{key}/decrypt",
            route(Method::POST, format!("/api/v1/transit/{transit}/decrypt"), Some(opening.clone())),
        ),
        (
            "POST /api/v1/transit/{key}/rewrap",
            route(Method::POST, format!("/api/v1/transit/{transit}/rewrap"), Some(opening)),
        ),
        (
            "POST /api/v1/transit/{key}/data-key",
            route(Method::POST, format!("/api/v1/transit/{transit}/data-key"), Some(json!({}))),
        ),
        // The key seals: whoever may sign is told that.
        (
            "POST /api/v1/transit/{key}/sign",
            route(Method::POST, format!("/api/v1/transit/{transit}/sign"), Some(json!({"items": [{"message": ""}]}))),
        ),
        (
            "POST /api/v1/transit/{key}/verify",
            route(Method::POST, format!("/api/v1/transit/{transit}/verify"), Some(json!({ "items": [message] }))),
        ),
        ("POST /api/v1/transit/random", route(Method::POST, "/api/v1/transit/random", Some(json!({"bytes": 16})))),
        (
            "POST /api/v1/transit/keys/{key}/rotate",
            route(Method::POST, format!("/api/v1/transit/keys/{transit}/rotate"), None),
        ),
        (
            "POST /api/v1/transit/keys/{key}/trim",
            route(Method::POST, format!("/api/v1/transit/keys/{transit}/trim"), None),
        ),
        ("DELETE /api/v1/transit/keys/{key}", route(Method::DELETE, format!("/api/v1/transit/keys/{retired}"), None)),
        ("POST /api/v1/ssh/user", route(Method::POST, "/api/v1/ssh/user", Some(ssh("alice")))),
        ("POST /api/v1/ssh/host", route(Method::POST, "/api/v1/ssh/host", Some(ssh("host.example.internal")))),
        ("POST /api/v1/keys", route(Method::POST, "/api/v1/keys", Some(key))),
        ("GET /api/v1/keys", route(Method::GET, "/api/v1/keys", None)),
        ("POST /api/v1/sign", route(Method::POST, "/api/v1/sign", Some(sign))),
        ("POST /api/v1/tokens", route(Method::POST, "/api/v1/tokens", Some(new_token))),
        ("GET /api/v1/tokens", route(Method::GET, "/api/v1/tokens", None)),
        ("DELETE /api/v1/tokens/{id}", route(Method::DELETE, format!("/api/v1/tokens/{victim}"), None)),
        ("GET /api/v1/second-factor", route(Method::GET, "/api/v1/second-factor", None)),
        ("POST /api/v1/second-factor", route(Method::POST, "/api/v1/second-factor", None)),
        (
            "POST /api/v1/second-factor/confirm, wrong",
            route(Method::POST, "/api/v1/second-factor/confirm", Some(json!({"code": "none"}))),
        ),
        (
            "POST /api/v1/second-factor/prove, none",
            route(Method::POST, "/api/v1/second-factor/prove", Some(json!({"code": "none"}))),
        ),
        (
            "POST /api/v1/second-factor/recovery-codes",
            route(Method::POST, "/api/v1/second-factor/recovery-codes", None),
        ),
        ("DELETE /api/v1/second-factor", route(Method::DELETE, "/api/v1/second-factor", None)),
        ("GET /api/v1/second-factors", route(Method::GET, "/api/v1/second-factors?limit=1", None)),
        (
            "POST /api/v1/tokens/{id}/second-factor/reset, none",
            route(
                Method::POST,
                format!("/api/v1/tokens/{victim}/second-factor/reset"),
                Some(json!({"reason": "lost"})),
            ),
        ),
        ("GET /api/v1/audit", route(Method::GET, "/api/v1/audit?limit=1", None)),
        ("GET /api/v1/audit/{index}", route(Method::GET, "/api/v1/audit/0", None)),
        ("GET /api/v1/audit/texts/{hash}", route(Method::GET, format!("/api/v1/audit/texts/{policy}"), None)),
        (
            "POST /api/v1/audit/ocsp-proof",
            route(Method::POST, "/api/v1/audit/ocsp-proof", Some(json!({"response": "AAAA"}))),
        ),
        ("GET /api/v1/owners", route(Method::GET, "/api/v1/owners", None)),
        ("GET /api/v1/owners/web", route(Method::GET, "/api/v1/owners/web", None)),
        ("GET /api/v1/owners/db", route(Method::GET, "/api/v1/owners/db", None)),
        ("GET /api/v1/profiles", route(Method::GET, "/api/v1/profiles", None)),
        ("GET /api/v1/profiles/tls-server", route(Method::GET, "/api/v1/profiles/tls-server", None)),
        (
            "POST /api/v1/profiles/{name}/test",
            route(
                Method::POST,
                "/api/v1/profiles/tls-server/test",
                Some(json!({"csr": csr(&[&name()]).1, "owner": "web"})),
            ),
        ),
        ("POST /api/v1/replay", route(Method::POST, "/api/v1/replay", Some(replay))),
        ("POST /api/v1/fit", route(Method::POST, "/api/v1/fit", Some(fit))),
        // Who may not is told that, whatever he brings.
        (
            "POST /api/v1/replay, no profile",
            route(Method::POST, "/api/v1/replay", Some(json!({"profiles": {"x": "no TOML ["}, "since_secs": 60}))),
        ),
        ("POST /api/v1/issuers, nonsense", route(Method::POST, "/api/v1/issuers", Some(json!({"what": 1})))),
        (
            "POST /api/v1/issuers/.../import, nonsense",
            route(Method::POST, "/api/v1/issuers/nowhere/1/import", Some(json!({"items": [{"certificate": "?"}]}))),
        ),
        ("GET /nowhere", route(Method::GET, "/nowhere", None)),
        ("DELETE /api/v1/status", route(Method::DELETE, "/api/v1/status", None)),
    ]
}

pub const SSH_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti someone@somewhere";

/// The policies in force, as the newest leaf with a grant names them.
async fn policy_hash(server: &Server, admin: &str) -> String {
    let client = client().build().expect("a client");
    let url = server.url("/api/v1/audit?limit=1000");
    let page: Value = client.get(url).bearer_auth(admin).send().await.expect("a page").json().await.expect("JSON");
    let leaves = page["items"].as_array().expect("leaves");
    leaves.iter().find_map(|leaf| leaf["grant"]["policy"].as_str()).expect("a grant").to_owned()
}

async fn make_key(server: &Server, admin: &str, label: &str) {
    let client = client().build().expect("a client");
    let wish = json!({"label": label, "owner": "web"});
    let answer =
        client.post(server.url("/api/v1/keys")).bearer_auth(admin).json(&wish).send().await.expect("an answer");
    assert_eq!(answer.status(), 201, "{}", answer.text().await.expect("text"));
}

async fn put_secret(server: &Server, admin: &str, path: &str) {
    let client = client().build().expect("a client");
    let wish = json!({"fields": {"value": "one"}, "owner": "web"});
    let url = server.url(&format!("/api/v1/secrets/{path}"));
    let answer = client.put(url).bearer_auth(admin).json(&wish).send().await.expect("an answer");
    assert_eq!(answer.status(), 201, "{}", answer.text().await.expect("text"));
}

/// What its kind draws, published where it is a signing key.
async fn put_drawn(server: &Server, admin: &str, (path, kind): (&str, &str)) {
    let client = client().build().expect("a client");
    let wish = json!({"kind": kind, "draw": true, "owner": "web", "tags": {"published": "true"}});
    let url = server.url(&format!("/api/v1/secrets/{path}"));
    let answer = client.put(url).bearer_auth(admin).json(&wish).send().await.expect("an answer");
    assert_eq!(answer.status(), 201, "{}", answer.text().await.expect("text"));
}

/// A transit key that may be destroyed, and something that it sealed.
async fn make_transit_key(server: &Server, admin: &str, name: &str) -> Value {
    let client = client().build().expect("a client");
    let wish = json!({"name": name, "kind": "aes256-gcm", "owner": "web"});
    let made = client.post(server.url("/api/v1/transit/keys")).bearer_auth(admin).json(&wish).send().await;
    assert_eq!(made.expect("an answer").status(), 201);
    let url = server.url(&format!("/api/v1/transit/keys/{name}"));
    let said = client.patch(url).bearer_auth(admin).json(&json!({"deletable": true})).send().await;
    assert_eq!(said.expect("an answer").status(), 200);
    let url = server.url(&format!("/api/v1/transit/{name}/encrypt"));
    let wish = json!({"items": [{"plaintext": "eA=="}]});
    let sealed = client.post(url).bearer_auth(admin).json(&wish).send().await.expect("an answer");
    sealed.json::<Value>().await.expect("JSON")["items"][0]["ciphertext"].clone()
}

/// A login with a rotation over it, which nobody asks for.
async fn put_login(server: &Server, admin: &str, path: &str, administrators: &str) {
    let client = client().build().expect("a client");
    let fields =
        json!({"engine": "postgresql", "host": "127.0.0.1", "port": "1", "username": "app", "password": "first"});
    let wish = json!({"fields": fields, "kind": "database-connection", "owner": "web"});
    let url = server.url(&format!("/api/v1/secrets/{path}"));
    let answer = client.put(url).bearer_auth(admin).json(&wish).send().await.expect("an answer");
    assert_eq!(answer.status(), 201, "{}", answer.text().await.expect("text"));
    let url = server.url(&format!("/api/v1/secret-rotations/{path}"));
    let wish = rotation(administrators);
    let answer = client.put(url).bearer_auth(admin).json(&wish).send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{}", answer.text().await.expect("text"));
    let url = server.url(&format!("/api/v1/secret-lease-roles/{path}"));
    let wish = lease_role(administrators);
    let answer = client.put(url).bearer_auth(admin).json(&wish).send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{}", answer.text().await.expect("text"));
}

/// A token that ends in a hundred years, and a client: nobody is asked for another.
async fn put_token(server: &Server, admin: &str, path: &str, of: &str) {
    let client = client().build().expect("a client");
    let put = async |url: String, wish: Value| {
        let answer = client.put(server.url(&url)).bearer_auth(admin).json(&wish).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.text().await.expect("text"));
    };
    let fields = json!({"client_id": "a", "client_secret": "b"});
    put(format!("/api/v1/secrets/{of}"), json!({"owner": "web", "kind": "oauth-client", "fields": fields})).await;
    let fields = json!({"access_token": "a", "expires_at": "4919126400"});
    put(format!("/api/v1/secrets/{path}"), json!({"owner": "web", "kind": "oauth-token", "fields": fields})).await;
    let wish = json!({"url": "http://127.0.0.1:9/", "client": of, "way": "client-credentials"});
    put(format!("/api/v1/secret-refreshes/{path}"), wish).await;
}

/// Nobody is at that port: whoever may lease is told so.
fn lease_role(administrators: &str) -> Value {
    json!({"driver": "postgresql", "host": "127.0.0.1", "port": 1, "admin": administrators, "like": "readers", "owner": "web"})
}

fn rotation(administrators: &str) -> Value {
    // Nobody listens at its place.
    json!({"plan": "single", "users": ["app"], "admin": administrators, "unchecked": true})
}

/// A column of the matrix.
struct Caller {
    name: &'static str,
    client: Client,
    token: Option<String>,
}

async fn callers(server: &Server, admin: &str) -> Vec<Caller> {
    let plain = client().build().expect("a client");
    let bad = format!("chy_0123456789abcdef_{}", "x".repeat(43));
    let nobody = |name, token| Caller { name, client: plain.clone(), token };
    let mut callers = vec![nobody("nobody", None), nobody("bad-token", Some(bad))];
    for (name, role) in [
        ("admin", Role::Admin),
        ("operator", Role::Operator),
        ("issuer", Role::Issuer),
        ("ssh-user", Role::SshUser),
        ("code-signer", Role::CodeSigner),
        ("secret-reader", Role::SecretReader),
        ("secret-writer", Role::SecretWriter),
        ("secret-leaser", Role::SecretLeaser),
        ("transit-user", Role::TransitUser),
        ("transit-enc", Role::TransitEncrypter),
        ("transit-mgr", Role::TransitManager),
        ("approver", Role::Approver),
        ("auditor", Role::Auditor),
        ("agent", Role::Agent),
    ] {
        callers.push(nobody(name, Some(token(role).await)));
    }
    let certificate = issue(server, admin, "tls-client", &name()).await;
    callers.push(Caller { name: "agent-mtls", client: client_with(&certificate), token: None });
    callers
}

#[tokio::test]
async fn each_route_answers_each_role_as_the_golden_matrix_says() {
    let server = Server::start().await;
    let admin = token(Role::Admin).await;
    let callers = callers(&server, &admin).await;
    let mut rows: Vec<(&str, Vec<u16>)> = Vec::new();
    for caller in &callers {
        for (place, (name, route)) in routes(&server, &admin).await.into_iter().enumerate() {
            let mut request = caller.client.request(route.method, server.url(&route.path));
            if let Some(token) = &caller.token {
                request = request.bearer_auth(token);
            }
            if let Some(body) = route.body {
                request = request.json(&body);
            }
            let status = request.send().await.expect(name).status().as_u16();
            match rows.get_mut(place) {
                Some((_, statuses)) => statuses.push(status),
                None => rows.push((name, vec![status])),
            }
        }
    }
    compare("routes_matrix.golden", &table(&callers, &rows));
}

fn table(callers: &[Caller], rows: &[(&str, Vec<u16>)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::from("# Status codes: each route (rows) as each caller (columns).\n");
    let head: String = callers.iter().map(|caller| format!(" {:>11}", caller.name)).collect();
    let _ = writeln!(text, "{:width$}{head}", "");
    for (name, statuses) in rows {
        let cells: String = statuses.iter().map(|status| format!(" {status:>11}")).collect();
        let _ = writeln!(text, "{name:width$}{cells}");
    }
    text
}

/// Compares with a golden file, or writes it where asked to.
fn compare(file: &str, found: &str) {
    let path = format!("{}/tests/{file}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, found).expect("writing the golden file");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(golden == found, "{path} differs; look at it with UPDATE_GOLDEN=1 and git diff. Found:\n{found}");
}
