//! The rules of accounts, orders, key changes and revocations, each with what breaks it.

mod common;

use common::raw::{Raw, Reply, b64};
use common::{Ca, certificates, csr, csr_of, dns_name};
use http::{Method, StatusCode};
use serde_json::{Value, json};

fn order_for(names: &[&str]) -> Value {
    json!({"identifiers": names.iter().map(|name| json!({"type": "dns", "value": name})).collect::<Vec<_>>()})
}

#[track_caller]
fn refused(reply: &Reply, status: u16, problem: &str) {
    assert_eq!((reply.status.as_u16(), reply.problem().as_str()), (status, problem), "{}", reply.json());
}

#[tokio::test]
async fn refused_identifiers_are_listed_one_by_one() {
    let ca = Ca::start().await;
    let raw = Raw::registered(&ca).await;
    let reply = raw.post("/new-order", &order_for(&["a_b.example", "good.example", "-.example"])).await;
    refused(&reply, 400, "rejectedIdentifier");
    let subproblems = reply.json()["subproblems"].as_array().unwrap().clone();
    let about: Vec<&str> = subproblems.iter().map(|sub| sub["identifier"]["value"].as_str().unwrap()).collect();
    assert_eq!(about, ["a_b.example", "-.example"]);
    let mixed =
        json!({"identifiers": [{"type": "dns", "value": "a_b.example"}, {"type": "email", "value": "a@example.com"}]});
    refused(&raw.post("/new-order", &mixed).await, 400, "compound");
    for (identifiers, problem) in [
        (json!([{"type": "email", "value": "a@example.com"}]), "unsupportedIdentifier"),
        (json!([{"type": "ip", "value": "127.1"}]), "malformed"),
        (json!([{"type": "dns", "value": "127.0.0.1"}]), "malformed"),
        (json!([]), "malformed"),
        (json!("a.example"), "malformed"),
        (json!([{"value": "a.example"}]), "malformed"),
    ] {
        refused(&raw.post("/new-order", &json!({ "identifiers": identifiers })).await, 400, problem);
    }
    let many: Vec<String> = (0..=100).map(|i| format!("h{i}.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    refused(&raw.post("/new-order", &order_for(&many)).await, 400, "malformed");
    let full = raw.post("/new-order", &order_for(&many[..100])).await;
    assert_eq!(full.json()["authorizations"].as_array().unwrap().len(), 100);
    let twice = raw.post("/new-order", &order_for(&["A.example", "a.example"])).await.json();
    assert_eq!(twice["identifiers"], json!([{"type": "dns", "value": "a.example"}]), "each once");
}

#[tokio::test]
async fn only_names_of_the_list_are_ordered_where_there_is_one() {
    let ca = Ca::start_with(policy::World::real(), |settings| {
        settings.names = Some(vec!["*.example.internal".into(), "10.0.0.0/24".into()]);
    })
    .await;
    let raw = Raw::registered(&ca).await;
    let order = |names: &[(&str, &str)]| {
        let each = names.iter().map(|(kind, value)| json!({"type": kind, "value": value}));
        json!({"identifiers": each.collect::<Vec<_>>()})
    };
    let good = [("dns", "a.example.internal"), ("dns", "*.example.internal"), ("ip", "10.0.0.7")];
    assert_eq!(raw.post("/new-order", &order(&good)).await.status, StatusCode::CREATED);
    let bad = [("dns", "www.example"), ("dns", "example.internal"), ("dns", "*.other.internal"), ("ip", "10.0.1.7")];
    let reply = raw.post("/new-order", &order(&[&good[..], &bad[..]].concat())).await;
    refused(&reply, 400, "rejectedIdentifier");
    let subproblems = reply.json()["subproblems"].as_array().unwrap().clone();
    let about: Vec<_> = subproblems.iter().map(|sub| sub["identifier"]["value"].as_str().unwrap()).collect();
    assert_eq!(about, bad.map(|(_, value)| value));
    assert!(subproblems.iter().all(|sub| sub["type"] == "urn:ietf:params:acme:error:rejectedIdentifier"));
}

#[tokio::test]
async fn dates_and_profiles_are_bounded() {
    let ca = Ca::start().await;
    let raw = Raw::registered(&ca).await;
    let now = ca.world.now();
    let with = |member: &str, value: Value| {
        let mut order = order_for(&["a.example"]);
        order[member] = value;
        order
    };
    for (member, value, problem) in [
        ("notBefore", json!(now.rfc3339()), "malformed"),
        ("notAfter", json!(now.plus_secs(-1).rfc3339()), "malformed"),
        ("notAfter", json!(now.plus_secs(400 * 86_400).rfc3339()), "malformed"),
        ("notAfter", json!(now.plus_secs(1).rfc3339()), "malformed"),
        ("notAfter", json!("tomorrow"), "malformed"),
        ("profile", json!("tls-client"), "invalidProfile"),
        ("profile", json!("code-signing"), "invalidProfile"),
    ] {
        refused(&raw.post("/new-order", &with(member, value)).await, 400, problem);
    }
    let end = now.plus_secs(3600).rfc3339();
    let placed = raw.post("/new-order", &with("notAfter", json!(end))).await.json();
    assert_eq!(placed["notAfter"], json!(end));
    assert_eq!(placed["profile"], "tls-server");
    let named = raw.post("/new-order", &with("profile", json!("tls-server"))).await;
    assert_eq!(named.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_certificate_ends_in_the_second_that_its_order_asked_for() {
    let ca = Ca::start().await;
    let raw = Raw::registered(&ca).await;
    let day = ca.world.now().plus_secs(86_400).rfc3339();
    let (date, clock) = (&day[..10], &day[11..19]);
    // Forms of RFC 3339 that mean the same second.
    for text in [
        format!("{date}T{clock}Z"),
        format!("{date}t{clock}.75z"),
        format!("{date}T{clock}+00:00"),
        format!("{date} {clock}-00:00"),
    ] {
        ca.host(&["a.example"]);
        let mut asked = order_for(&["a.example"]);
        asked["notAfter"] = json!(text);
        let (_, order) = raw.ready(&ca, &asked).await;
        assert_eq!(order["notAfter"], json!(day), "{text}");
        let finalize = json!({"csr": b64(csr(&[dns_name("a.example")]).0)});
        let done = raw.post(order["finalize"].as_str().unwrap(), &finalize).await.json();
        let chain = raw.read(done["certificate"].as_str().unwrap()).await;
        let leaf = &certificates(std::str::from_utf8(&chain.body).unwrap())[0];
        let (_, leaf) = x509_parser::parse_x509_certificate(leaf).unwrap();
        let end = policy::Timestamp::parse_rfc3339(&day).unwrap().unix();
        assert_eq!(leaf.validity().not_after.timestamp(), end, "{text}");
    }
}

/// cert-manager asks for now and so many hours, by its own clock, which may be ahead.
#[tokio::test]
async fn the_longest_lifetime_can_be_asked_for_by_its_end() {
    let ca = Ca::start().await;
    let raw = Raw::registered(&ca).await;
    let longest = 90 * 86_400;
    for ahead in [0, 30] {
        ca.host(&["a.example"]);
        let end = ca.world.now().plus_secs(longest + ahead);
        let mut asked = order_for(&["a.example"]);
        asked["notAfter"] = json!(end.rfc3339());
        let (_, order) = raw.ready(&ca, &asked).await;
        let finalize = json!({"csr": b64(csr(&[dns_name("a.example")]).0)});
        let done = raw.post(order["finalize"].as_str().unwrap(), &finalize).await.json();
        let chain = raw.read(done["certificate"].as_str().unwrap()).await;
        let leaf = &certificates(std::str::from_utf8(&chain.body).unwrap())[0];
        let (_, leaf) = x509_parser::parse_x509_certificate(leaf).unwrap();
        assert_eq!(leaf.validity().not_after.timestamp(), end.unix(), "{ahead}");
    }
    let mut asked = order_for(&["a.example"]);
    asked["notAfter"] = json!(ca.world.now().plus_secs(longest + 3_600).rfc3339());
    refused(&raw.post("/new-order", &asked).await, 400, "malformed");
}

#[tokio::test]
async fn an_authorization_that_is_decided_shows_the_challenge_that_decided_it() {
    let ca = Ca::start().await;
    let raw = Raw::registered(&ca).await;
    let (_, order) = raw.ready_order(&ca, &["a.example"]).await;
    let authz = raw.read(order["authorizations"][0].as_str().unwrap()).await.json();
    let kinds = |authz: &Value| -> Vec<String> {
        authz["challenges"].as_array().unwrap().iter().map(|each| each["type"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((authz["status"].as_str(), kinds(&authz)), (Some("valid"), vec!["http-01".to_owned()]));
    let order = raw.post("/new-order", &order_for(&["b.example"])).await.json();
    let url = order["authorizations"][0].as_str().unwrap();
    let authz = raw.read(url).await.json();
    assert_eq!(kinds(&authz).len(), 2, "{authz}");
    let dns = authz["challenges"].as_array().unwrap().iter().find(|each| each["type"] == "dns-01").unwrap();
    raw.post(dns["url"].as_str().unwrap(), &json!({})).await;
    let authz = loop {
        let authz = raw.read(url).await.json();
        if authz["status"] != "pending" {
            break authz;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    };
    assert_eq!((authz["status"].as_str(), kinds(&authz)), (Some("invalid"), vec!["dns-01".to_owned()]));
}

#[tokio::test]
async fn changes_of_one_account_side_by_side_are_made_or_conflict() {
    let ca = Ca::start().await;
    let raw = std::sync::Arc::new(Raw::registered(&ca).await);
    let kid = raw.kid.clone().unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..16 {
        let (raw, kid) = (raw.clone(), kid.clone());
        let update = json!({"contact": [format!("mailto:a{number}@example.com")]});
        tasks.spawn(async move { raw.post(&kid, &update).await.status.as_u16() });
    }
    // Other keys for the same account, in the same moment: one of them at most becomes its key.
    let url = raw.url("/key-change");
    let inner = json!({"account": kid, "oldKey": raw.jwk()}).to_string();
    let mut changes = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let new = Raw::new(&ca);
        let message = new.sign(&json!({"alg": "ES256", "jwk": new.jwk(), "url": url}), inner.as_bytes());
        let raw = raw.clone();
        changes.spawn(async move { raw.post("/key-change", &message).await.status.as_u16() });
    }
    let (updates, changes) = tokio::join!(tasks.join_all(), changes.join_all());
    // After the key has changed, what the old key signed is signed by nobody.
    assert!(updates.iter().all(|status| [200, 400, 409].contains(status)), "{updates:?}");
    assert!(updates.contains(&200), "{updates:?}");
    assert!(changes.iter().all(|status| [200, 400, 409].contains(status)), "{changes:?}");
    assert!(changes.iter().filter(|status| **status == 200).count() <= 1, "{changes:?}");
}

#[tokio::test]
async fn an_order_is_finalized_only_when_it_is_ready() {
    let ca = Ca::start().await;
    let raw = Raw::registered(&ca).await;
    let (csr_a, key) = csr(&[dns_name("a.example")]);
    let pending = raw.post("/new-order", &order_for(&["a.example"])).await.json();
    let finalize = json!({"csr": b64(&csr_a)});
    refused(&raw.post(pending["finalize"].as_str().unwrap(), &finalize).await, 403, "orderNotReady");
    let (_, order) = raw.ready_order(&ca, &["a.example"]).await;
    let url = order["finalize"].as_str().unwrap();
    for payload in [json!({}), json!({"csr": 1}), json!({"csr": "=="}), json!({"csr": ""}), json!({"csr": "AAAA"})] {
        assert_eq!(raw.post(url, &payload).await.status, StatusCode::BAD_REQUEST, "{payload}");
    }
    let mut tampered = csr_a.clone();
    *tampered.last_mut().unwrap() ^= 1;
    refused(&raw.post(url, &json!({"csr": b64(tampered)})).await, 400, "badCSR");
    let done = raw.post(url, &finalize).await.json();
    assert_eq!(done["status"], "valid");
    assert_eq!(raw.post(url, &finalize).await.json()["certificate"], done["certificate"], "the same again");
    let other = json!({"csr": b64(csr(&[dns_name("a.example")]).0)});
    refused(&raw.post(url, &other).await, 403, "orderNotReady");
    assert!(key.public_key_raw().len() > 60);
}

#[tokio::test]
async fn a_common_name_outside_the_order_is_refused() {
    let ca = Ca::start().await;
    let raw = Raw::registered(&ca).await;
    let (_, order) = raw.ready_order(&ca, &["a.example"]).await;
    let url = order["finalize"].as_str().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let with_common_name = |common_name: &str| {
        let mut params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, common_name);
        json!({"csr": b64(params.serialize_request(&key).unwrap().der())})
    };
    refused(&raw.post(url, &with_common_name("evil.example")).await, 400, "badCSR");
    refused(&raw.post(url, &with_common_name("10.0.0.1")).await, 400, "badCSR");
    assert_eq!(raw.post(url, &with_common_name("A.example")).await.json()["status"], "valid");
}

#[tokio::test]
async fn accounts_are_found_made_and_given_up() {
    let ca = Ca::start().await;
    let mut raw = Raw::new(&ca);
    refused(&raw.post("/new-account", &json!({"onlyReturnExisting": true})).await, 400, "accountDoesNotExist");
    // As clients write it that have a value for each field: what is null is not said.
    let unsaid = json!({"onlyReturnExisting": true, "termsOfServiceAgreed": null, "contact": null});
    refused(&raw.post("/new-account", &unsaid).await, 400, "accountDoesNotExist");
    refused(&raw.post("/new-account", &json!({"contact": ["tel:+491234"]})).await, 400, "unsupportedContact");
    refused(&raw.post("/new-account", &json!({"contact": ["mailto:nobody"]})).await, 400, "invalidContact");
    let made =
        raw.post("/new-account", &json!({"contact": ["mailto:a@example.com"], "termsOfServiceAgreed": true})).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let again = raw.post("/new-account", &json!({"contact": ["mailto:b@example.com"]})).await;
    assert_eq!((again.status, again.header("location")), (StatusCode::OK, made.header("location")));
    assert_eq!(again.json()["contact"], json!(["mailto:a@example.com"]), "finding changes nothing");
    let newcomer = Raw::new(&ca);
    let kid = made.header("location");
    raw.kid = Some(kid.clone());
    let updated = raw.post(&kid, &json!({"contact": ["mailto:c@example.com"]})).await.json();
    assert_eq!((&updated["contact"], &updated["status"]), (&json!(["mailto:c@example.com"]), &json!("valid")));
    refused(&raw.post(&kid, &json!({"contact": ["mailto:"]})).await, 400, "invalidContact");
    refused(&raw.post(&kid, &json!({"status": "revoked"})).await, 400, "malformed");
    assert_eq!(raw.post(&kid, &json!({"status": "deactivated"})).await.json()["status"], "deactivated");
    // RFC 8555 section 7.3.6.
    refused(&raw.read(&kid).await, 401, "unauthorized");
    refused(&raw.post("/new-order", &order_for(&["a.example"])).await, 401, "unauthorized");
    raw.kid = None;
    refused(&raw.post("/new-account", &json!({})).await, 401, "unauthorized");
    assert_eq!(newcomer.post("/new-account", &json!({})).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn of_many_requests_for_one_key_one_makes_the_account() {
    let ca = Ca::start().await;
    let raw = std::sync::Arc::new(Raw::new(&ca));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let raw = raw.clone();
        tasks.spawn(async move {
            let reply = raw.post("/new-account", &json!({})).await;
            (reply.status, reply.header("location"))
        });
    }
    let replies = tasks.join_all().await;
    assert_eq!(replies.iter().filter(|(status, _)| *status == StatusCode::CREATED).count(), 1, "{replies:?}");
    let urls: std::collections::BTreeSet<_> = replies.iter().map(|(_, url)| url).collect();
    assert_eq!(urls.len(), 1);
}

#[tokio::test]
async fn a_key_change_is_signed_by_both_keys_and_says_the_same_twice() {
    let ca = Ca::start().await;
    let (mut old, new, taken) = (Raw::registered(&ca).await, Raw::new(&ca), Raw::registered(&ca).await);
    let url = old.url("/key-change");
    let kid = old.kid.clone().unwrap();
    let inner_header = |key: &Raw| json!({"alg": "ES256", "jwk": key.jwk(), "url": url});
    let inner = json!({"account": kid, "oldKey": old.jwk()}).to_string();
    let good = new.sign(&inner_header(&new), inner.as_bytes());
    let with = |change: &dyn Fn(&mut Value)| {
        let mut header = inner_header(&new);
        change(&mut header);
        new.sign(&header, inner.as_bytes())
    };
    let other_account = json!({"account": taken.kid, "oldKey": old.jwk()}).to_string();
    let other_key = json!({"account": kid, "oldKey": taken.jwk()}).to_string();
    for (what, message) in [
        ("another url inside", with(&|h| h["url"] = json!("https://localhost/other"))),
        ("a nonce inside", with(&|h| h["nonce"] = json!("n"))),
        ("another account", new.sign(&inner_header(&new), other_account.as_bytes())),
        ("another old key", new.sign(&inner_header(&new), other_key.as_bytes())),
        ("a key that did not sign", old.sign(&inner_header(&new), inner.as_bytes())),
        ("the old key again", old.sign(&inner_header(&old), inner.as_bytes())),
        (
            "no jwk inside",
            with(&|h| {
                h.as_object_mut().unwrap().remove("jwk");
                h["kid"] = json!(kid);
            }),
        ),
        ("no JWS", json!({"account": kid})),
    ] {
        let reply = old.post("/key-change", &message).await;
        assert_eq!((reply.status.as_u16(), reply.problem().as_str()), (400, "malformed"), "{what}");
    }
    let stolen = taken.sign(&inner_header(&taken), inner.as_bytes());
    let conflict = old.post("/key-change", &stolen).await;
    refused(&conflict, 409, "malformed");
    assert_eq!(conflict.header("location"), taken.kid.clone().unwrap());
    assert_eq!(old.post("/key-change", &good).await.status, StatusCode::OK);
    // The old key is nobody's now, and may make an account of its own.
    refused(&old.read(&kid).await, 400, "malformed");
    old.kid = None;
    let fresh = old.post("/new-account", &json!({})).await;
    assert_eq!(fresh.status, StatusCode::CREATED);
    assert_ne!(fresh.header("location"), kid);
}

#[tokio::test]
async fn a_certificate_is_revoked_by_its_own_key_and_by_no_other() {
    let ca = Ca::start().await;
    let owner = Raw::registered(&ca).await;
    let names = [dns_name("a.example")];
    let pair = rcgen::KeyPair::generate().unwrap();
    let (_, order) = owner.ready_order(&ca, &["a.example"]).await;
    let done =
        owner.post(order["finalize"].as_str().unwrap(), &json!({"csr": b64(csr_of(&names, &pair))})).await.json();
    let chain = owner.read(done["certificate"].as_str().unwrap()).await.body;
    let chain = common::certificates(std::str::from_utf8(&chain).unwrap());
    let (leaf, issuer) = (b64(&chain[0]), b64(&chain[1]));
    let stranger = Raw::new(&ca);
    refused(&stranger.post("/revoke-cert", &json!({"certificate": leaf})).await, 403, "unauthorized");
    let holder = Raw::with_pkcs8(&ca, &pair.serialize_der());
    for (payload, status, problem) in [
        (json!({"certificate": issuer}), 404, "malformed"),
        (json!({"certificate": b64(b"junk")}), 400, "malformed"),
        (json!({"certificate": "==="}), 400, "malformed"),
        (json!({"certificate": b64([&chain[0][..], &[0]].concat())}), 400, "malformed"),
        (json!({}), 400, "malformed"),
        (json!({"certificate": leaf, "reason": 2}), 400, "badRevocationReason"),
        (json!({"certificate": leaf, "reason": 6}), 400, "badRevocationReason"),
        (json!({"certificate": leaf, "reason": 255}), 400, "badRevocationReason"),
        (json!({"certificate": leaf, "reason": 4711}), 400, "malformed"),
    ] {
        refused(&holder.post("/revoke-cert", &payload).await, status, problem);
    }
    let mut changed = chain[0].clone();
    *changed.last_mut().unwrap() ^= 1;
    refused(&holder.post("/revoke-cert", &json!({"certificate": b64(changed)})).await, 404, "malformed");
    assert_eq!(holder.post("/revoke-cert", &json!({"certificate": leaf, "reason": 1})).await.status, StatusCode::OK);
    refused(&owner.post("/revoke-cert", &json!({"certificate": leaf})).await, 400, "alreadyRevoked");
    let revoked = ca.authority.ledger().revocations("tls/1").rows;
    assert_eq!(revoked.iter().map(|row| row.reason).collect::<Vec<_>>(), [1]);
    // What leaked as a certificate's key holds no account either.
    refused(&holder.post("/new-account", &json!({})).await, 400, "badPublicKey");
}

/// Account keys are judged by the list for keys that are certified: here RFC 9500's P-256 key, whose secret everybody has.
#[tokio::test]
async fn a_key_that_everybody_has_holds_no_account() {
    let ca = Ca::start().await;
    let known = Raw::with_pkcs8(&ca, &pkcs8_of_rfc_9500());
    let reply = known.post("/new-account", &json!({})).await;
    refused(&reply, 400, "badPublicKey");
    assert!(reply.json()["detail"].as_str().unwrap().contains("known to everybody"), "{}", reply.json());
    let raw = Raw::registered(&ca).await;
    let kid = raw.kid.clone().unwrap();
    let inner = json!({"alg": "ES256", "jwk": known.jwk(), "url": raw.url("/key-change")});
    let inner = known.sign(&inner, json!({"account": kid, "oldKey": raw.jwk()}).to_string().as_bytes());
    refused(&raw.post("/key-change", &inner).await, 400, "badPublicKey");
}

/// RFC 9500 section 2.3, testECCP256, as PKCS#8.
fn pkcs8_of_rfc_9500() -> Vec<u8> {
    let secret = "e6cb5bdd80aa45ae9c95e8c15476679ffec953c16851e711e743939589c64fc1";
    let public = "422548f88fb782ffb5eca3744452c72a1e558fbd6f73be5e48e93232cc45c5b16c4cd10c4cb8d5b8a17139e94882c8992572993425f41419ab7e90a42a494272";
    let text =
        format!("308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420{secret}a14403420004{public}");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[tokio::test]
async fn limits_answer_429_with_retry_after() {
    let ca = Ca::start_with(policy::World::real(), |settings| {
        settings.limits.accounts_per_address_per_hour = 2;
        settings.limits.open_orders_per_account = 3;
        settings.limits.pending_authorizations_per_account = 4;
    })
    .await;
    let raw = Raw::registered(&ca).await;
    Raw::registered(&ca).await;
    let third = Raw::new(&ca).post("/new-account", &json!({})).await;
    refused(&third, 429, "rateLimited");
    assert!(third.header("retry-after").parse::<u32>().unwrap() > 0);
    let two = order_for(&["a.example", "b.example"]);
    assert_eq!(raw.post("/new-order", &two).await.status, StatusCode::CREATED);
    assert_eq!(raw.post("/new-order", &two).await.status, StatusCode::CREATED);
    let full = raw.post("/new-order", &order_for(&["c.example"])).await;
    refused(&full, 429, "rateLimited");
    assert!(full.header("retry-after").parse::<u32>().unwrap() > 0);
}

#[tokio::test]
async fn an_account_has_its_share_of_checks_at_once_and_leaves_room_for_others() {
    let ca = Ca::start().await;
    let (raw, other) = (Raw::registered(&ca).await, Raw::registered(&ca).await);
    let names: Vec<String> = (0..65).map(|n| format!("h{n}.example")).collect();
    names.iter().for_each(|name| ca.dns.set(name, common::dns::Answer::Silent));
    let challenge = async |raw: &Raw, authz: &Value| {
        let authz = raw.read(authz.as_str().unwrap()).await.json();
        authz["challenges"][0]["url"].as_str().unwrap().to_owned()
    };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let order = raw.post("/new-order", &order_for(&names)).await.json();
    let authzs = order["authorizations"].as_array().unwrap();
    // Looked up before the first check begins, so that none ends while they are begun.
    let mut challenges = Vec::new();
    for authz in authzs {
        challenges.push(challenge(&raw, authz).await);
    }
    for each in &challenges[..64] {
        assert_eq!(raw.post(each, &json!({})).await.status, StatusCode::OK);
    }
    let more = raw.post(&challenges[64], &json!({})).await;
    refused(&more, 429, "rateLimited");
    assert!(more.header("retry-after").parse::<u32>().unwrap() > 0);
    assert_eq!(raw.read(&challenges[64]).await.json()["status"], "pending");
    let others = other.post("/new-order", &order_for(&["h64.example"])).await.json();
    let others = challenge(&other, &others["authorizations"][0]).await;
    assert_eq!(other.post(&others, &json!({})).await.status, StatusCode::OK);
}

#[tokio::test]
async fn terms_of_service_are_shown_and_asked_for_where_configured() {
    let ca = Ca::start_with(policy::World::real(), |settings| {
        settings.terms_of_service = Some("https://ca.example/terms".into())
    })
    .await;
    let raw = Raw::new(&ca);
    let directory = raw.request(Method::GET, "/directory", None, vec![]).await.json();
    assert_eq!(directory["meta"]["termsOfService"], "https://ca.example/terms");
    refused(&raw.post("/new-account", &json!({})).await, 400, "malformed");
    assert_eq!(raw.post("/new-account", &json!({"termsOfServiceAgreed": true})).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn an_accounts_orders_are_listed_for_it() {
    let ca = Ca::start().await;
    let raw = Raw::registered(&ca).await;
    let placed = raw.post("/new-order", &order_for(&["a.example"])).await.header("location");
    let account = raw.read(&raw.kid.clone().unwrap()).await.json();
    let listed = raw.read(account["orders"].as_str().unwrap()).await.json();
    assert_eq!(listed, json!({"orders": [placed]}));
}

#[tokio::test]
async fn an_account_writes_so_many_records_in_an_hour_and_no_more() {
    let ca = Ca::start_with(fixed(), |settings| settings.limits.records_per_account_per_hour = 12).await;
    let (raw, other) = (Raw::registered(&ca).await, Raw::registered(&ca).await);
    let kid = raw.kid.clone().unwrap();
    let contact = |n: usize| json!({"contact": [format!("mailto:a{n}@example.com")]});
    let leaves = async || ca.authority.ledger().head().size;
    // Placing three names takes four, the challenge and the end of an authorization one each.
    let order = raw.post("/new-order", &order_for(&["a.example", "b.example", "c.example"])).await.json();
    let authz = |n: usize| order["authorizations"][n].as_str().unwrap().to_owned();
    let challenge = raw.read(&authz(0)).await.json()["challenges"][0]["url"].as_str().unwrap().to_owned();
    assert_eq!(raw.post(&challenge, &json!({})).await.status, StatusCode::OK);
    assert_eq!(raw.post(&authz(1), &json!({"status": "deactivated"})).await.status, StatusCode::OK);
    for n in 0..6 {
        assert_eq!(raw.post(&kid, &contact(n)).await.status, StatusCode::OK);
    }
    let new = Raw::new(&ca);
    let url = raw.url("/key-change");
    let inner = json!({"account": kid, "oldKey": raw.jwk()}).to_string();
    let key_change = new.sign(&json!({"alg": "ES256", "jwk": new.jwk(), "url": url}), inner.as_bytes());
    ca.state.drain(std::time::Duration::from_secs(30)).await;
    let before = leaves().await;
    let challenge = raw.read(&authz(2)).await.json()["challenges"][0]["url"].as_str().unwrap().to_owned();
    for reply in [
        raw.post(&kid, &contact(6)).await,
        raw.post(&kid, &json!({"status": "deactivated"})).await,
        raw.post("/key-change", &key_change).await,
        raw.post("/new-order", &order_for(&["d.example"])).await,
        raw.post(&authz(2), &json!({"status": "deactivated"})).await,
        raw.post(&challenge, &json!({})).await,
    ] {
        refused(&reply, 429, "rateLimited");
        assert!(reply.header("retry-after").parse::<u32>().unwrap() > 0);
    }
    assert_eq!(leaves().await, before, "what is refused is not written");
    assert_eq!(raw.read(&kid).await.status, StatusCode::OK, "reading goes on");
    assert_eq!(other.post("/new-order", &order_for(&["d.example"])).await.status, StatusCode::CREATED);
    ca.world.advance(3600);
    assert_eq!(raw.post(&kid, &contact(7)).await.status, StatusCode::OK, "another hour");
}

#[tokio::test]
async fn an_address_writes_so_many_records_in_an_hour_whatever_its_accounts() {
    let ca = Ca::start_with(fixed(), |settings| settings.limits.records_per_address_per_hour = 6).await;
    let (one, two) = (Raw::registered(&ca).await, Raw::registered(&ca).await);
    assert_eq!(one.post("/new-order", &order_for(&["a.example"])).await.status, StatusCode::CREATED);
    refused(&two.post("/new-order", &order_for(&["a.example"])).await, 429, "rateLimited");
    refused(&Raw::new(&ca).post("/new-account", &json!({})).await, 429, "rateLimited");
}

#[tokio::test]
async fn an_update_that_changes_nothing_writes_nothing() {
    let ca = Ca::start().await;
    let raw = Raw::registered(&ca).await;
    let kid = raw.kid.clone().unwrap();
    let contact = json!({"contact": ["mailto:a@example.com"], "status": "valid"});
    let version = async || ca.authority.ledger().record_get("acme-account", kid.rsplit('/').next().unwrap()).await;
    let written = async || version().await.unwrap().unwrap().version;
    let first = written().await;
    assert_eq!(raw.post(&kid, &contact).await.status, StatusCode::OK);
    let second = written().await;
    assert!(second > first);
    for again in [contact, json!({"status": "valid"}), json!({})] {
        assert_eq!(raw.post(&kid, &again).await.json()["contact"], json!(["mailto:a@example.com"]));
    }
    assert_eq!(written().await, second);
}

fn fixed() -> policy::World {
    policy::World::fixed(policy::Timestamp::from_unix(1_800_000_000), 7)
}
