//! Whoever can write the database, and holds neither the token nor the process, can stop the service and nothing else
//! (docs/decisions/006). The attacks that once worked, against the built binary, on SQLite and on PostgreSQL.

mod found;
mod keysets;
mod lists;
mod rows;

use std::path::{Path, PathBuf};

use crate::house::{House, PATIENCE, PYTHON, command, succeed, text, until};
use crate::judges::listed;
use crate::postgres::Postgres;

/// A house and the thief's way into its database.
struct Robbed {
    house: House,
    postgres: Option<Postgres>,
}

impl Robbed {
    fn on_sqlite() -> Robbed {
        Robbed { house: House::started(), postgres: None }
    }

    fn on_postgres() -> Robbed {
        let postgres = Postgres::start();
        let mut house = House::with(&["--demo", "--database", &postgres.url()]);
        house.start();
        Robbed { house, postgres: Some(postgres) }
    }

    /// Runs the thief's SQL beside the running service.
    fn steal(&self, sql: &str) {
        match &self.postgres {
            Some(postgres) => postgres.run(sql),
            None => {
                let program = "import sqlite3,sys\n\
                               c = sqlite3.connect(sys.argv[1], timeout=30)\n\
                               c.executescript(sys.argv[2])\n\
                               c.close()";
                succeed(command(PYTHON, &["-c", program, text(&self.house.ca("chancery.db")), sql]));
            }
        }
    }

    /// Bytes as its SQL writes them.
    fn bytes(&self, hex: &str) -> String {
        match self.postgres {
            Some(_) => format!("'\\x{hex}'::bytea"),
            None => format!("x'{hex}'"),
        }
    }

    fn alarms(&self) -> String {
        self.house.curl_admin(&[&self.house.https("/api/v1/status")]).text()
    }

    fn ready(&self) -> u16 {
        self.house.curl(&[&self.house.https("/readyz")]).status
    }
}

fn on_both(claim: impl Fn(Robbed)) {
    claim(Robbed::on_sqlite());
    claim(Robbed::on_postgres());
}

fn out(house: &House, name: &str) -> String {
    text(&house.path(name)).to_owned()
}

fn is_away(folder: &Path) -> bool {
    !folder.join("cert.pem").exists()
}

/// The hash in the administrator's record is exchanged for that of a secret that the thief knows; a certificate is asked for;
/// the row is put back. Before the mend: a certificate for any name, and `audit verify` was content.
#[test]
fn a_forged_hash_in_a_token_record_lets_nobody_in_running_and_restarted() {
    on_both(|mut robbed| {
        let (id, secret) = parts(&robbed.house.admin_token());
        let (known, true_hash) = ("A".repeat(secret.len()), sha256(&secret));
        let (thief, forged_hash) = (format!("chy_{id}_{known}"), sha256(&known));
        let exchange = |from: &str, to: &str| {
            format!("UPDATE record SET body = replace(body, '{from}', '{to}') WHERE kind = 'api-token'")
        };
        robbed.steal(&exchange(&true_hash, &forged_hash));
        for restarted in [false, true] {
            if restarted {
                robbed.house.stop();
                robbed.house.start();
            }
            let ask = |token: &str| {
                let bearer = format!("Authorization: Bearer {token}");
                robbed.house.curl(&["-H", &bearer, &robbed.house.https("/api/v1/status")]).status
            };
            assert_ne!(ask(&thief), 200, "the thief's own secret lets nobody in");
            // What the node remembers of the true row lasts two seconds; then it looks, and refuses.
            assert!(until(PATIENCE, || ask(&robbed.house.admin_token()) == 500), "an altered row decides nothing");
            assert_ne!(ask(&thief), 200);
        }
        // Put back, the service believes the true row again, and has not forgotten.
        robbed.steal(&exchange(&forged_hash, &true_hash));
        let alarms = robbed.alarms();
        assert!(alarms.contains("kind=api-token"), "the alarm says which row: {alarms}");
    });
}

/// A token's public half and its secret.
fn parts(token: &str) -> (String, String) {
    let (id, secret) = token.trim().strip_prefix("chy_").and_then(|rest| rest.split_once('_')).expect("chy_ID_SECRET");
    (id.to_owned(), secret.to_owned())
}

fn sha256(text: &str) -> String {
    hex::encode(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()))
}

/// A revocation deleted for a minute: before the mend the service signed a CRL without it.
#[test]
fn a_deleted_revocation_stays_on_every_crl_running_and_restarted() {
    on_both(|mut robbed| {
        let house = &robbed.house;
        house.run(&["issue", "tls", "www.example.internal", "--out", &out(house, "www")]);
        house.run(&["issue", "tls", "api.example.internal", "--out", &out(house, "api")]);
        let serial = |name: &str| {
            let list = house.json(&["certs", "list", "--name", name]);
            list[0]["serial"].as_str().expect("a serial").to_owned()
        };
        let (www, api) = (serial("www.example.internal"), serial("api.example.internal"));
        house.run(&["certs", "revoke", &www, "--reason", "key-compromise"]);
        assert!(listed(house, &www));
        robbed.steal("DELETE FROM revocation");
        // Another revocation makes a new CRL: from what the node knows, not from the rows.
        robbed.house.run(&["certs", "revoke", &api, "--reason", "superseded"]);
        assert!(until(PATIENCE, || listed(&robbed.house, &api)));
        assert!(listed(&robbed.house, &www), "the deleted row's certificate is still revoked");
        robbed.house.stop();
        robbed.house.start();
        assert!(listed(&robbed.house, &www) && listed(&robbed.house, &api), "after a restart too");
        let again = robbed.house.output(&["certs", "renew", &www, "--out", &out(&robbed.house, "renewed")]);
        assert!(!again.status.success(), "a revoked certificate is not renewed");
    });
}

/// All rows of the issuer taken out before a start: the start ended with a word about policies, and none about the database.
#[test]
fn an_issuer_that_was_taken_out_before_a_start_is_missed_by_name_and_everything_else_is_served() {
    on_both(|mut robbed| {
        robbed.house.stop();
        robbed.steal(
            "CREATE TABLE taken AS SELECT * FROM record WHERE kind = 'issuer' AND id = 'tls'; \
             DELETE FROM record WHERE kind = 'issuer' AND id = 'tls'",
        );
        robbed.house.launch(&[]);
        let ready = robbed.house.http("/readyz");
        assert!(
            until(PATIENCE, || robbed.house.curl(&[&ready]).text().contains("altered")),
            "{}",
            robbed.house.server_log()
        );
        let says = robbed.house.curl(&[&ready]).text();
        assert!(says.contains("tls") && !says.contains("chancery ca create"), "{says}");
        // Its own certificate comes once the rows are back; what the other issuers say is served meanwhile.
        assert_eq!(robbed.house.curl(&[&robbed.house.http("/crl/root/1/0.crl")]).status, 200);
        let log = robbed.house.server_log();
        assert!(log.contains("id=tls") && log.contains("from a backup"), "{log}");
        robbed.steal("INSERT INTO record SELECT * FROM taken; DROP TABLE taken");
        assert!(until(PATIENCE, || robbed.ready() == 200), "{}", robbed.house.server_log());
        robbed.house.run(&["issue", "tls", "www.example.internal", "--out", &out(&robbed.house, "www")]);
    });
}

/// The log cut by two leaves under the running service: before the mend it went on, and two signed heads of one size had
/// different roots.
#[test]
fn a_cut_log_stops_the_service_and_its_next_start_until_an_operator_says_how_to_go_on() {
    on_both(|mut robbed| {
        robbed.house.run(&["issue", "tls", "www.example.internal", "--out", &out(&robbed.house, "www")]);
        robbed.steal("DELETE FROM leaf WHERE idx >= (SELECT size - 2 FROM head); UPDATE head SET size = size - 2;");
        assert!(until(PATIENCE, || robbed.ready() == 503), "readyz says so");
        let refused =
            robbed.house.output(&["issue", "tls", "api.example.internal", "--out", &out(&robbed.house, "api")]);
        assert_eq!(refused.status.code(), Some(4), "nothing is written: {refused:?}");
        assert!(is_away(&robbed.house.path("api")));
        robbed.house.stop();
        let refused = robbed.house.output(&["serve"]);
        assert!(!refused.status.success(), "it does not start behind what it knew");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("audit resume"), "and says what to do: {said}");
        // What a thief left is sealed by nobody: there is nothing to go on from.
        let refused = robbed.house.output(&["audit", "resume", "--reason", "because"]);
        assert!(!refused.status.success(), "{refused:?}");
    });
}

/// The register as it is now, as a backup would have it.
fn copied(house: &House) -> PathBuf {
    let (database, copy) = (house.ca("chancery.db"), house.path("yesterday.db"));
    let script = "import sqlite3,sys\nsqlite3.connect(sys.argv[1]).execute('VACUUM INTO ?', (sys.argv[2],))";
    succeed(command(PYTHON, &["-c", script, text(&database), text(&copy)]));
    copy
}

fn put_back(house: &House, copy: &Path) {
    let database = house.ca("chancery.db");
    for stale in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{stale}", database.display()));
    }
    std::fs::copy(copy, &database).expect("yesterday is put back");
}

/// A restore takes nothing back of what was told of the revoked, and what was issued after the backup can be revoked all the same.
#[test]
fn a_register_put_back_to_yesterday_forgets_no_revocation() {
    let mut house = House::started();
    let issue = |house: &House, name: &str| {
        house.run(&["issue", "tls", &format!("{name}.example.internal"), "--out", &out(house, name)]);
        let list = house.json(&["certs", "list", "--name", &format!("{name}.example.internal")]);
        list[0]["serial"].as_str().expect("a serial").to_owned()
    };
    let kept = issue(&house, "kept");
    let yesterday = copied(&house);
    let (lost, living) = (issue(&house, "lost"), issue(&house, "living"));
    for serial in [&kept, &lost] {
        house.run(&["certs", "revoke", serial, "--reason", "key-compromise"]);
    }
    assert!(until(PATIENCE, || listed(&house, &kept) && listed(&house, &lost)));
    house.stop();
    put_back(&house, &yesterday);
    let resumed = house.json(&["audit", "resume", "--reason", "restored after the disk died"]);
    assert_eq!(resumed["revoked_again"], 2, "{resumed}");
    house.start();
    // The very first CRL that the public gets.
    assert!(listed(&house, &kept) && listed(&house, &lost), "what was told is not taken back");
    assert_eq!(house.json(&["certs", "show", &kept])["state"], "revoked");
    house.run(&["audit", "verify"]);

    let by_serial = house.output(&["certs", "revoke", &living]);
    let said = String::from_utf8_lossy(&by_serial.stderr).into_owned();
    assert!(!by_serial.status.success() && said.contains("--certificate"), "{said}");
    let file = house.path("living/cert.pem");
    let revoke = ["certs", "revoke", "--certificate", text(&file), "--reason", "key-compromise"];
    let revoked = house.json(&revoke);
    assert_eq!((&revoked["serial"], &revoked["lost"]), (&living.into(), &true.into()), "{revoked}");
    assert!(listed(&house, revoked["serial"].as_str().expect("a serial")));
    let size = || house.json(&["audit", "list", "--limit", "1"]);
    let before = size();
    assert_eq!(house.json(&revoke)["lost"], true);
    assert_eq!(size(), before, "the same again writes nothing");
    // The key is known to be compromised, which only that certificate says.
    let key = house.path("living/key.pem");
    let csr = house.path("again.csr");
    succeed(command("openssl", &["req", "-new", "-key", text(&key), "-subj", "/", "-out", text(&csr)]));
    let again = ["issue", "tls", "again.example.internal", "--csr", text(&csr), "--out", &out(&house, "again")];
    assert!(!house.output(&again).status.success(), "a compromised key is certified again");
    house.run(&["audit", "verify"]);
    // What no CA of ours signed is not revoked.
    let foreign = house.path("foreign.pem");
    let make = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x"];
    let foreign_key = house.path("foreign.key");
    let made = [&make[..], &["-keyout", text(&foreign_key), "-out", text(&foreign)]].concat();
    succeed(command("openssl", &made));
    let refused = house.output(&["certs", "revoke", "--certificate", text(&foreign)]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("no CA of this authority signed it"), "{said}");
}

/// A whole register put back to yesterday: refused at the start, and gone on from with a reason.
#[test]
fn a_register_put_back_to_yesterday_starts_again_only_with_a_reason() {
    let mut house = House::started();
    let yesterday = copied(&house);
    house.run(&["issue", "tls", "www.example.internal", "--out", &out(&house, "www")]);
    house.stop();
    put_back(&house, &yesterday);
    let refused = house.output(&["serve"]);
    assert!(!refused.status.success(), "{refused:?}");
    // Without the node's folder, the token remembers.
    std::fs::remove_dir_all(house.ca("state")).expect("the folder is deleted");
    let refused = house.output(&["serve"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("audit resume"), "{said}");
    let resumed = house.json(&["audit", "resume", "--reason", "restored after the disk died"]);
    assert!(resumed["lost"].as_u64() > Some(0), "{resumed}");
    house.start();
    house.run(&["issue", "tls", "api.example.internal", "--out", &out(&house, "api")]);
    let said = house.run(&["audit", "list", "--limit", "1000", "--json"]);
    assert!(said.contains("\"resumption\""), "the reason is an entry of the log");
}

/// Figures that are for eyes, altered: the service says so for what is due, and an operator has them derived anew; nothing else is written.
#[test]
fn what_a_thief_wrote_into_derived_tables_is_said_and_derived_anew() {
    on_both(|mut robbed| {
        robbed.house.run(&["issue", "tls", "www.example.internal", "--out", &out(&robbed.house, "www")]);
        robbed.steal("UPDATE expiring SET live = live + 5000; UPDATE card SET not_after = 1;");
        assert!(until(PATIENCE, || robbed.alarms().contains("card op=")), "{}", robbed.alarms());
        let beside = robbed.house.output(&["audit", "rebuild"]);
        let said = String::from_utf8_lossy(&beside.stderr).into_owned();
        assert!(!beside.status.success() && said.contains("stop the service"), "{said}");
        robbed.house.stop();
        assert_eq!(robbed.house.output(&["audit", "verify"]).status.code(), Some(5));
        let rebuilt = robbed.house.json(&["audit", "rebuild"]);
        let tables = rebuilt["tables"].as_object().expect("tables");
        assert_eq!(tables.keys().collect::<Vec<_>>(), ["card", "expiring"], "{rebuilt}");
        let report = robbed.house.json(&["audit", "verify"]);
        assert_eq!((&report["findings_total"], &report["leaves"]), (&0.into(), &rebuilt["size"]), "{report}");
        assert_eq!(robbed.house.json(&["audit", "rebuild"])["wrong"], 0);
        assert!(robbed.house.run(&["audit", "rebuild"]).contains("0 rows were wrong"));
        robbed.house.start();
        robbed.house.run(&["issue", "tls", "api.example.internal", "--out", &out(&robbed.house, "api")]);
        robbed.house.run(&["audit", "verify"]);
    });
}
