//! The OpenAPI document is true: schemathesis, which makes requests out of it, good and bad, finds no answer that it does not describe,
//! no server error, nothing taken that it forbids.
//!
//! The long form asks for five minutes: `CHANCERY_FUZZ_SECS=300 cargo test -p chancery --test promises openapi`.

use std::path::PathBuf;
use std::process::Command;

use policy::Action;

use crate::house::{House, succeed, text};

/// Where tests/run.sh installs it.
const SCHEMATHESIS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/clients/python/bin/schemathesis");
/// What a text field means (a CSR, a public key, a name) no pattern says: it may be refused though it fits.
const CHECKS: &str = r#"
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "3xx", "400", "401", "403", "404", "409", "422", "429"]
# Of every route the golden matrix has what a bad token is told; of so many in a minute an address is told to wait.
ignored_auth.enabled = false
"#;
/// In the short form.
const SECS: &str = "30";

#[test]
fn schemathesis_finds_nothing_undocumented() {
    let house = House::started();
    std::fs::write(house.path("schemathesis.toml"), CHECKS).expect("schemathesis.toml");
    let token = std::fs::read_to_string(token(&house)).expect("a token");
    let mut schemathesis = Command::new(SCHEMATHESIS);
    schemathesis
        .current_dir(house.path(""))
        .args(["--config-file", "schemathesis.toml", "run", &house.https("/api/openapi.json")])
        .args(["--tls-verify", text(&house.ca("roots.pem"))])
        .args(["--header", &format!("Authorization: Bearer {}", token.trim())])
        .args(["--max-time", &std::env::var("CHANCERY_FUZZ_SECS").unwrap_or_else(|_| SECS.to_owned())])
        // Whoever waits for changes is answered within 20 s.
        .args(["--request-timeout", "30", "--continue-on-failure", "--no-color"]);
    let said = succeed(schemathesis);
    assert!(said.contains("Tested: "), "{said}");
}

/// An administrator who may do everything but end a CA: after that, nothing more could be asked for.
fn token(house: &House) -> PathBuf {
    let path = house.path("fuzz.token");
    let scopes = Action::ALL.iter().filter(|action| **action != Action::ManageAuthority);
    let mut create = house.command(&["token", "create", "fuzz", "--role", "admin", "--owner", "default", "--out"]);
    create.arg(&path);
    for scope in scopes {
        create.args(["--scope", scope.as_str()]);
    }
    succeed(create);
    path
}
