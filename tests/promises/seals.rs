//! The sealing key is succeeded by one command, what it sealed is sealed anew by the service, and it is destroyed when nothing is left.

use crate::house::{House, PATIENCE, fail, until};

/// What stands under each generation, as the metrics have it.
fn standing(house: &House) -> Vec<String> {
    let metrics = house.curl_admin(&[&house.https("/metrics")]).text().to_owned();
    metrics.lines().filter_map(|line| Some(line.strip_prefix("chancery_sealed_records")?.to_owned())).collect()
}

fn sealing_keys(house: &House) -> String {
    house.json(&["doctor"]).to_string()
}

#[test]
fn a_new_sealing_key_takes_over_through_a_kill_and_the_old_one_is_destroyed_by_a_leaf() {
    let mut house = House::new();
    house.start();
    let plan = house.run(&["ca", "rotate", "seal", "--dry-run"]);
    assert!(plan.contains("seal/2 is made") && plan.contains("1 sealed record"), "{plan}");
    assert!(sealing_keys(&house).contains("seal-1"), "{}", sealing_keys(&house));
    let refused = fail(house.command(&["ca", "retire", "seal/1"]));
    assert!(refused.contains("chancery ca rotate seal"), "{refused}");
    assert!(!refused.contains("--yes-nothing-needs-it"), "no word changes that: {refused}");
    // What is no wish of a key that seals is refused, in the rehearsal too.
    for rehearsed in [&["--dry-run"][..], &[]] {
        let wish = [&["ca", "rotate", "seal", "--delta-crls"][..], rehearsed].concat();
        let refused = fail(house.command(&wish));
        assert!(refused.contains("signs nothing"), "{refused}");
    }
    house.run(&["ca", "rotate", "seal"]);
    house.kill();
    house.start();
    let moved = || {
        let there = standing(&house);
        there.contains(&"{issuer=\"seal/1\"} 0".to_owned()) && there.contains(&"{issuer=\"seal/2\"} 1".to_owned())
    };
    assert!(until(PATIENCE, moved), "{:?}\n{}", standing(&house), house.server_log());
    let shown = house.run(&["ca", "show", "seal"]);
    assert!(shown.contains("seal/2") && shown.contains("retiring"), "{shown}");
    house.run(&["ca", "retire", "seal/1"]);
    house.stop();
    assert!(!sealing_keys(&house).contains("seal-1"), "{}", sealing_keys(&house));
    // A start needs the new one alone.
    house.start();
    house.stop();
    let report = house.json(&["audit", "verify"]);
    assert_eq!(report["findings_total"], 0, "{report}");
}
