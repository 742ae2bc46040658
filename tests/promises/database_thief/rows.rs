//! Each kind of row that decides, touched by the thief at once, under one running service and after its restart: what is asked
//! for with it is refused, and an alarm names the row.

use serde_json::Value;

use super::on_both;
use crate::house::{House, PATIENCE, command, succeed, text, until};

/// An ACME client with a key and an account of its own.
struct Client<'a> {
    house: &'a House,
    key: &'static str,
    account: String,
}

impl<'a> Client<'a> {
    fn new(house: &'a House, key: &'static str) -> Client<'a> {
        let made = house.acme_post(key, "-", "newAccount", Some("{}"));
        assert_eq!(made["status"], 201, "{made}");
        Client { house, key, account: made["location"].as_str().expect("a location").to_owned() }
    }

    fn post(&self, url: &str, payload: Option<&str>) -> Value {
        self.house.acme_post(self.key, &self.account, url, payload)
    }

    /// An order, and its only authorization.
    fn order(&self, name: &str) -> Order {
        let wish = format!("{{\"identifiers\":[{{\"type\":\"dns\",\"value\":\"{name}\"}}]}}");
        let made = self.post("newOrder", Some(&wish));
        assert_eq!(made["status"], 201, "{made}");
        let link = |pointer: &str| made.pointer(pointer).and_then(Value::as_str).expect("a link").to_owned();
        Order { url: link("/location"), authz: link("/body/authorizations/0"), finalize: link("/body/finalize") }
    }
}

struct Order {
    url: String,
    authz: String,
    finalize: String,
}

/// A record's name: the end of its URL.
fn id(url: &str) -> &str {
    url.rsplit('/').next().expect("a URL has an end")
}

fn refused(answer: &Value) -> bool {
    answer["status"].as_u64().is_some_and(|status| status >= 400)
}

fn csr(house: &House, name: &str) -> String {
    let (key, file) = (house.path(&format!("{name}.key")), house.path(&format!("{name}.der")));
    let subject = format!("/CN={name}");
    succeed(command(
        "openssl",
        &[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            &subject,
            "-addext",
            &format!("subjectAltName=DNS:{name}"),
            "-keyout",
            text(&key),
            "-outform",
            "DER",
            "-out",
            text(&file),
        ],
    ));
    format!("@{}", text(&file))
}

/// What a thief does to ACME's rows. Each would let them order in another's name, or have a certificate for a name that they did
/// not prove.
#[test]
fn acme_rows_that_a_thief_touched_decide_nothing_running_and_restarted() {
    on_both(|mut robbed| {
        let (victim, ended, order, proof, deleted, csr) = {
            let house = &robbed.house;
            let csr = csr(house, "bank.example.test");
            let victim = Client::new(house, "victim.pem").account;
            let ended = Client::new(house, "ended.pem");
            let gone = ended.post(&ended.account, Some("{\"status\":\"deactivated\"}"));
            assert_eq!(gone["status"], 200, "{gone}");
            let thief = Client::new(house, "thief.pem");
            let orders = ["bank.example.test", "www.bank.example.test", "old.bank.example.test"];
            let [order, proof, deleted] = orders.map(|name| thief.order(name));
            (victim, ended.account, order, proof, deleted, csr)
        };
        let thief = robbed.house.acme_post("thief.pem", "-", "newAccount", Some("{}"));
        let thief = thief["location"].as_str().expect("the account that is there").to_owned();
        let forged =
            format!("{}{}", &thief[..thief.len() - id(&thief).len()], id(&thief).chars().rev().collect::<String>());
        let status = |kind: &str, url: &str, to: &str| {
            let from = "\"status\":\"pending\"";
            format!(
                "UPDATE record SET body = replace(body, '{from}', '\"status\":\"{to}\"') WHERE kind = '{kind}' AND id = '{}';",
                id(url)
            )
        };
        // The victim's key exchanged for the thief's; an account that ended put back to when it had not; one made up.
        robbed.steal(&format!(
            "UPDATE record SET body = (SELECT replace(o.body, '{thief}', '{victim}') FROM record o \
               WHERE o.kind = 'acme-account' AND o.id = '{thief}') WHERE kind = 'acme-account' AND id = '{victim}'; \
             DELETE FROM record WHERE kind = 'acme-account' AND id = '{ended}' AND replaces > 0; \
             UPDATE present SET leaf = (SELECT MAX(leaf) FROM record WHERE id = '{ended}') WHERE id = '{ended}'; \
             {} {} \
             INSERT INTO record (leaf, replaces, kind, id, at, owner, lookup, expires, body, actor, proof, proof_id) \
               SELECT (SELECT MIN(op) FROM intent), 0, kind, '{forged}', at, owner, lookup, expires, \
               replace(body, id, '{forged}'), actor, proof, proof_id FROM record \
               WHERE kind = 'acme-account' AND id = '{thief}'; \
             INSERT INTO present (kind, id, leaf, owner, lookup) \
               SELECT kind, id, leaf, owner, lookup FROM record WHERE id = '{forged}'; \
             DELETE FROM record WHERE id = '{deleted}'; DELETE FROM present WHERE id = '{deleted}';",
            status("acme-order", &order.url, "ready"),
            status("acme-authz", &proof.authz, "valid"),
            thief = id(&thief),
            victim = id(&victim),
            ended = id(&ended),
            forged = id(&forged),
            deleted = id(&deleted.authz),
        ));
        for restarted in [false, true] {
            if restarted {
                robbed.house.stop();
                robbed.house.start();
            }
            let house = &robbed.house;
            let as_thief = |url: &str, payload| house.acme_post("thief.pem", &thief, url, payload);
            let order_wish = "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"x.example.test\"}]}";
            for (what, answer) in [
                (
                    "the victim's account with the thief's key",
                    house.acme_post("thief.pem", &victim, "newOrder", Some(order_wish)),
                ),
                ("an account that ended", house.acme_post("ended.pem", &ended, "newOrder", Some(order_wish))),
                ("an account out of nothing", house.acme_post("thief.pem", &forged, "newOrder", Some(order_wish))),
                ("an order put to ready", as_thief(&order.finalize, Some(&csr))),
                ("an authorization put to valid", as_thief(&proof.authz, None)),
                ("its order", as_thief(&proof.finalize, Some(&csr))),
                ("a deleted authorization", as_thief(&deleted.authz, None)),
                ("its order", as_thief(&deleted.finalize, Some(&csr))),
            ] {
                assert!(refused(&answer), "{what}, restarted: {restarted}: {answer}");
            }
            let alarms = robbed.alarms();
            for (kind, url) in [
                ("acme-account", &victim),
                ("acme-account", &ended),
                ("acme-account", &forged),
                ("acme-order", &order.url),
                ("acme-authz", &proof.authz),
                ("acme-authz", &deleted.authz),
            ] {
                assert!(alarms.contains(&format!("kind={kind} id={}", id(url))), "{kind} {url}: {alarms}");
            }
            assert!(!refused(&as_thief("newOrder", Some(order_wish))), "who was not touched goes on");
        }
        let issued = robbed.house.json(&["certs", "list", "--name", "bank.example.test"]);
        assert_eq!(issued.as_array().map(Vec::len), Some(0), "{issued}");
    });
}

/// A login that was revoked, one that is another's, and a key that leaked.
#[test]
fn logins_and_compromised_keys_that_a_thief_touched_decide_nothing_running_and_restarted() {
    on_both(|mut robbed| {
        let house = &robbed.house;
        for name in ["revoked", "exchanged", "whole"] {
            let host = format!("{name}.example.internal");
            house.run(&["issue", "client", &host, "--out", text(&house.path(name))]);
            assert_eq!(login(house, name), 200, "{name}");
        }
        let serial = |name: &str| {
            let list = house.json(&["certs", "list", "--name", &format!("{name}.example.internal")]);
            list[0]["serial"].as_str().expect("a serial").to_owned()
        };
        csr(house, "leaked.example.internal");
        let leaked = house.path("leaked.example.internal.der");
        let issue = |house: &House, out: &str| {
            house.output(&[
                "issue",
                "tls",
                "leaked.example.internal",
                "--csr",
                text(&leaked),
                "--out",
                text(&house.path(out)),
            ])
        };
        assert!(issue(house, "leaked").status.success());
        let (revoked, exchanged, whole, leaked_serial) =
            (serial("revoked"), serial("exchanged"), serial("whole"), serial("leaked"));
        house.run(&["certs", "revoke", &revoked, "--reason", "superseded"]);
        house.run(&["certs", "revoke", &leaked_serial, "--reason", "key-compromise"]);
        assert_ne!(login(house, "revoked"), 200);
        robbed.steal(&format!(
            "DELETE FROM revocation; \
             UPDATE intent SET names = (SELECT o.names FROM intent o WHERE o.serial = {whole}), \
               details = (SELECT o.details FROM intent o WHERE o.serial = {whole}) WHERE serial = {exchanged};",
            whole = robbed.bytes(&whole),
            exchanged = robbed.bytes(&exchanged),
        ));
        for restarted in [false, true] {
            if restarted {
                robbed.house.stop();
                robbed.house.start();
            }
            let house = &robbed.house;
            assert_ne!(login(house, "revoked"), 200, "restarted: {restarted}");
            assert!(until(PATIENCE, || login(house, "exchanged") != 200), "restarted: {restarted}");
            assert_eq!(login(house, "whole"), 200, "who was not touched goes on");
            let again = issue(house, "again");
            let said = String::from_utf8_lossy(&again.stderr).into_owned();
            assert!(!again.status.success() && said.contains("compromised"), "restarted: {restarted}: {said}");
            assert!(robbed.alarms().contains("intent op="), "{}", robbed.alarms());
        }
    });
}

/// What the service answers whoever shows this client certificate.
pub(super) fn login(house: &House, name: &str) -> u16 {
    let (certificate, key) = (house.path(name).join("cert.pem"), house.path(name).join("key.pem"));
    house.curl(&["--cert", text(&certificate), "--key", text(&key), &house.https("/api/v1/whoami")]).status
}

/// What a thief does to the texts behind hashes and to the bytes of CRLs: an auditor reads no other text, the public gets no other
/// CRL, and what the node made before goes on being served until it ends.
#[test]
fn texts_and_crls_that_a_thief_touched_are_given_to_nobody_running_and_restarted() {
    on_both(|mut robbed| {
        let entries = robbed.house.json(&["audit", "list", "--limit", "1000"]);
        let policy = entries.as_array().expect("a list").iter().find_map(|entry| entry["grant"]["policy"].as_str());
        let policy = policy.expect("a leaf names its policy").to_owned();
        let crl = |house: &House| house.curl(&[&house.http("/crl/tls.crl")]);
        let before = crl(&robbed.house).body;
        robbed.house.run(&["audit", "show", &policy]);
        robbed.steal(
            "UPDATE record SET body = replace(body, 'permit', 'forbid') WHERE kind = 'policy-text'; \
             UPDATE object SET bytes = (SELECT o.bytes FROM object o WHERE o.slot = (SELECT MIN(slot) FROM object)) \
             WHERE slot <> (SELECT MIN(slot) FROM object);",
        );
        for restarted in [false, true] {
            if restarted {
                robbed.house.stop();
                robbed.house.start();
            }
            let shown = robbed.house.output(&["audit", "show", &policy]);
            assert!(!shown.status.success(), "a text that is not its hash's is shown: {shown:?}");
            let served = crl(&robbed.house);
            assert!(served.status != 200 || is_of_tls(&robbed.house, &served.body), "another issuer's CRL is served");
            assert!(restarted || served.body == before, "what is in memory is served");
            let named = |what: &str| robbed.alarms().contains(what);
            assert!(until(PATIENCE, || named("policy-text") && named("object")), "{}", robbed.alarms());
        }
    });
}

fn is_of_tls(house: &House, crl: &[u8]) -> bool {
    let file = house.path("served.crl");
    std::fs::write(&file, crl).expect("a file");
    let shown = succeed(command("openssl", &["crl", "-inform", "DER", "-noout", "-issuer", "-in", text(&file)]));
    shown.contains("TLS")
}
