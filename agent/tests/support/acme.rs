//! An ACME server in the test: enough of RFC 8555 for one client, with nonces that count and http-01 that is looked at.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use policy::{Timestamp, World};
use rcgen::CertificateSigningRequestParams;
use ring::digest::{SHA256, digest};
use rustls::pki_types::CertificateSigningRequestDer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::ca::Ca;
use super::web::{Answer, Asked, Server, answer, serve};

/// Where the server looks for an answer, whatever the name says.
#[derive(Clone)]
pub enum Look {
    At(SocketAddr),
    Below(PathBuf),
}

#[derive(Default)]
struct Book {
    nonces: HashSet<String>,
    made: u64,
    accounts: HashMap<String, Value>,
    orders: Vec<Order>,
    bad_nonces: u32,
    busy: Option<(&'static str, &'static str)>,
    instead: Option<(&'static str, u16, &'static str, &'static str)>,
    chain_of_another: Option<String>,
    posts: Vec<String>,
    /// What renewal information says, if it is offered: the window and when to ask again.
    window: Option<(Timestamp, Timestamp, u64)>,
    asked_for_windows: usize,
    /// What orders said they replace.
    replaced: Vec<String>,
    refuse_replaces: bool,
}

struct Order {
    names: Vec<String>,
    proven: Vec<Option<bool>>,
    chain: Option<String>,
}

/// A running server.
pub struct Acme {
    pub ca: Arc<Ca>,
    book: Arc<Mutex<Book>>,
    server: Server,
}

impl Acme {
    pub async fn start(world: &World, look: Look) -> Self {
        let ca = Arc::new(Ca::new(world));
        let book = Arc::<Mutex<Book>>::default();
        let (desk, pages) = (ca.clone(), book.clone());
        let server = serve(ca.server_config(), move |asked| {
            let (ca, book, look) = (desk.clone(), pages.clone(), look.clone());
            async move { handle(&ca, &book, &look, asked).await }
        })
        .await;
        Self { ca, book, server }
    }

    pub fn directory(&self) -> String {
        format!("https://localhost:{}/directory", self.server.address.port())
    }

    /// The next posts are told that their nonce is bad.
    pub fn refuse_nonces(&self, count: u32) {
        self.book.lock().unwrap().bad_nonces = count;
    }

    /// The next post to `path` is told to come back after so many seconds.
    pub fn be_busy(&self, path: &'static str, secs: &'static str) {
        self.book.lock().unwrap().busy = Some((path, secs));
    }

    /// From now on, `path` answers so: a status, a Location where there is one, a body.
    pub fn answer(&self, path: &'static str, status: u16, location: &'static str, body: &'static str) {
        self.book.lock().unwrap().instead = Some((path, status, location, body));
    }

    /// From now on, certificates come with the intermediate of another CA of the same name.
    pub fn mix_chains(&self, other: &Ca) {
        self.book.lock().unwrap().chain_of_another = Some(other.chain_pem.clone());
    }

    /// From now on, renewal information says this of every certificate.
    pub fn want_renewed(&self, from: Timestamp, until: Timestamp, again_secs: u64) {
        self.book.lock().unwrap().window = Some((from, until, again_secs));
    }

    /// From now on, every certificate was replaced already.
    pub fn refuse_replacements(&self) {
        self.book.lock().unwrap().refuse_replaces = true;
    }

    /// What orders said they replace, and how often a window was asked for.
    pub fn replaced(&self) -> (Vec<String>, usize) {
        let book = self.book.lock().unwrap();
        (book.replaced.clone(), book.asked_for_windows)
    }

    pub fn forget_accounts(&self) {
        self.book.lock().unwrap().accounts.clear();
    }

    pub fn accounts(&self) -> usize {
        self.book.lock().unwrap().accounts.len()
    }

    pub fn posts(&self, path: &str) -> usize {
        self.book.lock().unwrap().posts.iter().filter(|p| p.as_str() == path).count()
    }
}

impl Book {
    fn nonce(&mut self) -> String {
        self.made += 1;
        let nonce = format!("nonce-{}", self.made);
        self.nonces.insert(nonce.clone());
        nonce
    }
}

async fn handle(ca: &Ca, book: &Mutex<Book>, look: &Look, asked: Asked) -> Answer {
    // Nothing here is coded, and who takes any coding may be sent one.
    assert_eq!(asked.accept_encoding.as_deref(), Some("identity"));
    let instead = book.lock().unwrap().instead.filter(|(path, ..)| *path == asked.path);
    let reply = match asked.method.as_str() {
        _ if instead.is_some() => {
            let (_, status, location, body) = instead.unwrap();
            let headers = if location.is_empty() { vec![] } else { vec![("location", location.to_owned())] };
            Reply { status, headers, body: body.to_owned() }
        }
        "POST" => post(ca, book, look, &asked).await,
        _ => plain(&mut book.lock().unwrap(), &asked),
    };
    let nonce = book.lock().unwrap().nonce();
    let mut headers = vec![("replay-nonce", nonce.as_str()), ("cache-control", "no-store")];
    headers.extend(reply.headers.iter().map(|(name, value)| (*name, value.as_str())));
    answer(reply.status, &headers, reply.body)
}

struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

fn reply(status: u16, body: &Value) -> Reply {
    Reply { status, headers: vec![], body: body.to_string() }
}

fn problem(status: u16, kind: &str, detail: &str) -> Reply {
    let kind = format!("urn:ietf:params:acme:error:{kind}");
    reply(status, &json!({ "type": kind, "detail": detail, "status": status }))
}

fn plain(book: &mut Book, asked: &Asked) -> Reply {
    let url = |path: &str| format!("https://{}{path}", asked.host);
    match asked.path.as_str() {
        "/directory" => {
            let mut directory = json!({
                "newNonce": url("/nonce"), "newAccount": url("/account"), "newOrder": url("/order"),
                "revokeCert": url("/revoke"), "keyChange": url("/key"),
                "meta": { "profiles": { "classic": "the only one" } },
            });
            if book.window.is_some() {
                directory["renewalInfo"] = json!(url("/renewal-info"));
            }
            reply(200, &directory)
        }
        path if path.starts_with("/renewal-info/") => {
            let Some((from, until, again)) = book.window else { return problem(404, "malformed", "no such resource") };
            book.asked_for_windows += 1;
            let mut told = reply(200, &json!({ "suggestedWindow": { "start": from, "end": until } }));
            told.headers.push(("retry-after", again.to_string()));
            told
        }
        "/nonce" => reply(200, &Value::Null),
        _ => problem(404, "malformed", "no such resource"),
    }
}

/// A signed request; signatures are instant-acme's business and not looked at.
struct Signed {
    header: Value,
    payload: Value,
}

fn open(body: &[u8]) -> Signed {
    let envelope: Value = serde_json::from_slice(body).unwrap();
    let part = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(envelope[name].as_str().unwrap()).unwrap();
    Signed {
        header: serde_json::from_slice(&part("protected")).unwrap(),
        payload: serde_json::from_slice(&part("payload")).unwrap_or(Value::Null),
    }
}

async fn post(ca: &Ca, book: &Mutex<Book>, look: &Look, asked: &Asked) -> Reply {
    let signed = open(&asked.body);
    let url = |path: String| format!("https://{}{path}", asked.host);
    let mut steps = asked.path.trim_start_matches('/').split('/');
    let (kind, number) = (steps.next().unwrap_or_default(), steps.next());
    let number: usize = number.and_then(|n| n.parse().ok()).unwrap_or(0);
    let which: usize = steps.next().and_then(|n| n.parse().ok()).unwrap_or(0);
    {
        let mut book = book.lock().unwrap();
        if !book.nonces.remove(signed.header["nonce"].as_str().unwrap()) || book.bad_nonces > 0 {
            book.bad_nonces = book.bad_nonces.saturating_sub(1);
            return problem(400, "badNonce", "again, please");
        }
        if book.busy.is_some_and(|(path, _)| path == asked.path) {
            let (_, secs) = book.busy.take().unwrap();
            let mut busy = problem(429, "rateLimited", "too many");
            busy.headers.push(("retry-after", secs.to_owned()));
            return busy;
        }
        book.posts.push(asked.path.clone());
        if kind == "account" {
            let location = url(format!("/account/{}", book.made));
            book.accounts.insert(location.clone(), signed.header["jwk"].clone());
            let mut made = reply(201, &json!({ "status": "valid" }));
            made.headers.push(("location", location));
            return made;
        }
        if !book.accounts.contains_key(signed.header["kid"].as_str().unwrap_or_default()) {
            return problem(400, "accountDoesNotExist", "who are you?");
        }
    }
    if kind == "challenge" {
        let thumbprint = {
            let book = book.lock().unwrap();
            thumbprint(&book.accounts[signed.header["kid"].as_str().unwrap()])
        };
        let token = format!("token-{number}-{which}");
        let right = seen(look, &token).await.is_some_and(|text| text == format!("{token}.{thumbprint}"));
        book.lock().unwrap().orders[number].proven[which] = Some(right);
        return reply(200, &challenge(&url, number, which, None));
    }
    let mut book = book.lock().unwrap();
    match kind {
        "order" if asked.path == "/order" => {
            let names: Vec<String> = signed.payload["identifiers"]
                .as_array()
                .unwrap()
                .iter()
                .map(|i| i["value"].as_str().unwrap().to_owned())
                .collect();
            let replaces = signed.payload["replaces"].as_str().map(str::to_owned);
            book.replaced.extend(replaces.clone());
            if replaces.is_some() && book.refuse_replaces {
                return problem(409, "alreadyReplaced", "by another");
            }
            let proven = vec![None; names.len()];
            book.orders.push(Order { names, proven, chain: None });
            let number = book.orders.len() - 1;
            let mut shown = order(&url, number, &book.orders[number]);
            if let Some(replaces) = replaces {
                shown["replaces"] = json!(replaces);
            }
            let mut made = reply(201, &shown);
            made.headers.push(("location", url(format!("/order/{number}"))));
            made
        }
        "order" => reply(200, &order(&url, number, &book.orders[number])),
        "authorization" => {
            let wanted = &book.orders[number];
            let proven = wanted.proven[which];
            reply(
                200,
                &json!({
                    "status": status(proven),
                    "identifier": { "type": "dns", "value": wanted.names[which] },
                    "challenges": [challenge(&url, number, which, proven)],
                }),
            )
        }
        "finalize" => {
            let der = BASE64_URL_SAFE_NO_PAD.decode(signed.payload["csr"].as_str().unwrap()).unwrap();
            let request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(der)).unwrap();
            let wanted = &mut book.orders[number];
            if !wanted.proven.iter().all(|p| *p == Some(true)) {
                return problem(403, "orderNotReady", "prove the names first");
            }
            wanted.chain = Some(ca.issue(request, "tls-server", 0, 90 * 86_400));
            reply(200, &order(&url, number, wanted))
        }
        "certificate" => {
            let mut body = book.orders[number].chain.clone().unwrap();
            if let Some(other) = &book.chain_of_another {
                body = body.replace(&ca.chain_pem, other);
            }
            Reply { status: 200, headers: vec![], body }
        }
        _ => problem(404, "malformed", "no such resource"),
    }
}

fn order(url: &impl Fn(String) -> String, number: usize, order: &Order) -> Value {
    let status = match (&order.chain, &order.proven) {
        (Some(_), _) => "valid",
        (None, proven) if proven.contains(&Some(false)) => "invalid",
        (None, proven) if proven.contains(&None) => "pending",
        (None, _) => "ready",
    };
    let authorizations: Vec<_> =
        (0..order.names.len()).map(|which| url(format!("/authorization/{number}/{which}"))).collect();
    json!({
        "status": status,
        "identifiers": order.names.iter().map(|n| json!({ "type": "dns", "value": n })).collect::<Vec<_>>(),
        "authorizations": authorizations,
        "finalize": url(format!("/finalize/{number}")),
        "certificate": order.chain.as_ref().map(|_| url(format!("/certificate/{number}"))),
    })
}

fn challenge(url: &impl Fn(String) -> String, number: usize, which: usize, proven: Option<bool>) -> Value {
    let mut challenge = json!({
        "type": "http-01",
        "url": url(format!("/challenge/{number}/{which}")),
        "status": status(proven),
        "token": format!("token-{number}-{which}"),
    });
    if proven == Some(false) {
        challenge["error"] = json!({
            "type": "urn:ietf:params:acme:error:unauthorized",
            "detail": "the answer was not the right one",
        });
    }
    challenge
}

fn status(proven: Option<bool>) -> &'static str {
    match proven {
        None => "pending",
        Some(true) => "valid",
        Some(false) => "invalid",
    }
}

/// RFC 7638.
fn thumbprint(jwk: &Value) -> String {
    let canonical = format!(r#"{{"crv":{},"kty":{},"x":{},"y":{}}}"#, jwk["crv"], jwk["kty"], jwk["x"], jwk["y"]);
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes()))
}

async fn seen(look: &Look, token: &str) -> Option<String> {
    let path = format!("/.well-known/acme-challenge/{token}");
    match look {
        Look::Below(folder) => std::fs::read_to_string(folder.join(path.trim_start_matches('/'))).ok(),
        Look::At(address) => {
            let mut tcp = TcpStream::connect(address).await.ok()?;
            let request = format!("GET {path} HTTP/1.1\r\nhost: www.example.com\r\nconnection: close\r\n\r\n");
            tcp.write_all(request.as_bytes()).await.ok()?;
            let mut text = String::new();
            tcp.read_to_string(&mut text).await.ok()?;
            let (head, body) = text.split_once("\r\n\r\n")?;
            head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
        }
    }
}
