//! What is found by a second key: a serial that leads to another's certificate, and lists that call a revoked one issued.

use super::on_both;
use super::rows::login;
use crate::house::{House, text};

/// The register has the certificate of `shows` under this serial too; by its number each row is what it was.
const VIEW: &str = "ALTER TABLE intent RENAME TO kept; CREATE VIEW intent AS SELECT ROWS FROM kept UNION ALL \
    SELECT SHOWN FROM kept WHERE op = (SELECT k.op FROM kept k WHERE k.serial = SHOWS);";
const COLUMNS: &str = "op, kind, at, actor, proof, proof_id, action, rule, policy_hash, profile, profile_hash, key_label, key_hash, \
    algorithm, form, message, serial, issuer, owner, subject, names, subject_key_hash, not_before, not_after, details";

fn serial(house: &House, name: &str) -> String {
    let list = house.json(&["certs", "list", "--name", &format!("{name}.example.internal")]);
    list[0]["serial"].as_str().expect("a serial").to_owned()
}

/// A revoked login whose serial leads to another's row acts for nobody, and what is revoked by its serial is that or nothing. Before the
/// mend the one was let in as the other, and the other was revoked.
#[test]
fn a_serial_leads_to_no_other_certificate_running_and_restarted() {
    on_both(|mut robbed| {
        let house = &robbed.house;
        for name in ["ended", "live", "other"] {
            let host = format!("{name}.example.internal");
            house.run(&["issue", "client", &host, "--out", text(&house.path(name))]);
            assert_eq!(login(house, name), 200, "{name}");
        }
        let [ended, live, other] = ["ended", "live", "other"].map(|name| serial(house, name));
        house.run(&["certs", "revoke", &ended, "--reason", "superseded"]);
        assert_ne!(login(house, "ended"), 200);
        for (leads, restarted) in [(&ended, false), (&live, true)] {
            if restarted {
                robbed.house.stop();
                robbed.house.start();
            }
            let shown = COLUMNS.replace("serial,", &format!("{} AS serial,", robbed.bytes(leads)));
            let view = VIEW.replace("SHOWN", &shown).replace("SHOWS", &robbed.bytes(&other)).replace("ROWS", COLUMNS);
            robbed.steal(&view);
            let house = &robbed.house;
            assert_ne!(login(house, "ended"), 200, "restarted: {restarted}");
            let revoked = house.output(&["certs", "revoke", leads, "--reason", "superseded"]);
            assert!(!revoked.status.success(), "{leads} leads to another: {revoked:?}");
            let alarms = robbed.alarms();
            assert!(alarms.contains("was found by the serial"), "{alarms}");
            robbed.steal("DROP VIEW intent; ALTER TABLE kept RENAME TO intent;");
            assert_eq!(login(&robbed.house, "other"), 200, "nobody revoked it");
            assert_eq!(login(&robbed.house, "live"), 200);
        }
    });
}

/// A revocation taken back in each row that tells of it, a signature asked for, the rows put back: before the mend code was signed with
/// the revoked certificate, and `audit verify` was content.
#[test]
fn a_revoked_certificate_signs_no_code_running_and_restarted() {
    on_both(|mut robbed| {
        let house = &robbed.house;
        let file = house.path("app.bin");
        std::fs::write(&file, b"a release").expect("a file");
        house.run(&["issue", "code", "--key", "release", "--out", text(&house.path("release"))]);
        let sign = |house: &House| house.output(&["sign", text(&file), "--key", "release", "--format", "raw"]);
        assert!(sign(house).status.success());
        std::fs::remove_file(house.path("app.bin.sig")).expect("the signature");
        let list = house.json(&["certs", "list", "--profile", "code-signing"]);
        let serial = list[0]["serial"].as_str().expect("a serial").to_owned();
        house.run(&["certs", "revoke", &serial, "--reason", "privilege-withdrawn"]);
        assert!(!sign(house).status.success());
        let op = format!("(SELECT i.op FROM intent i WHERE i.serial = {})", robbed.bytes(&serial));
        robbed.steal(&format!(
            "DELETE FROM revocation WHERE op = {op}; UPDATE card SET pile = 0 WHERE op = {op}; \
             UPDATE place SET issued = issued + 1, revoked = revoked - 1 \
               WHERE id = (SELECT c.place FROM card c WHERE c.op = {op});"
        ));
        for restarted in [false, true] {
            if restarted {
                robbed.house.stop();
                robbed.house.start();
            }
            let refused = sign(&robbed.house);
            assert!(!refused.status.success(), "restarted: {restarted}: {refused:?}");
            assert!(!robbed.house.path("app.bin.sig").exists());
            assert!(robbed.alarms().contains("a list has it among what it is not"), "{}", robbed.alarms());
        }
    });
}
