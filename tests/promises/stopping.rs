//! A service that is told to stop does so within seconds, whatever its database does; what it answered is kept, and the next start
//! goes on from what it wrote down.

use std::process::{Command, Stdio};

use crate::house::{House, text};
use crate::postgres::Postgres;

#[test]
fn a_service_over_a_frozen_database_stops_and_goes_on_from_where_it_was() {
    let postgres = Postgres::start();
    let url = postgres.url();
    let mut house = House::with(&["--demo", "--database", &url]);
    house.start();
    let size = |house: &House| -> u64 {
        let note = house.curl(&[&house.https("/log/checkpoint")]).text();
        note.lines().nth(1).and_then(|line| line.parse().ok()).expect("a size")
    };
    house.run(&["issue", "tls", "localhost", "--out", text(&house.path("one"))]);
    let before = size(&house);
    let fold = house.ca("state").join("fold");
    // What `init` wrote down.
    let _ = std::fs::remove_file(&fold);

    postgres.freeze();
    // Requests that wait for the database, on a connection each.
    let bearer = format!("Authorization: Bearer {}", house.admin_token());
    let mut waiting: Vec<_> = (0..4)
        .map(|n| {
            let mut curl = Command::new("curl");
            curl.args(["-s", "-o", "/dev/null", "--max-time", "120", "-H", &bearer, "--cacert"])
                .arg(house.ca("roots.pem"));
            curl.arg(house.https(&format!("/api/v1/certificates?name=dns:h{n}.example.internal")));
            curl.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("curl runs")
        })
        .collect();
    house.stop();
    for curl in &mut waiting {
        let _ = curl.wait();
    }
    assert!(fold.exists(), "the fold is written down though the database is frozen");

    postgres.thaw();
    house.start();
    assert!(size(&house) >= before);
    assert!(house.run(&["certs", "list"]).contains("localhost"));
    house.run(&["audit", "verify"]);
}
