//! The floors of the house: imports only go down, and the parts that must stand in one place do.
//!
//! docs/ARCHITECTURE.md prints the same table for people.

#[path = "architecture/rooms.rs"]
mod rooms;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Each room and the rooms it may lean on. An edge that is missing here is as wrong as one too many.
const FLOORS: &[(&str, &[&str])] = &[
    ("policy", &[]),
    ("tls", &[]),
    ("hsm", &[]),
    ("store", &["policy", "hsm"]),
    ("ca", &["policy", "hsm", "store"]),
    ("acme", &["policy", "store", "ca"]),
    ("lifecycle", &["policy", "store", "ca"]),
    ("secrets", &["policy", "store"]),
    ("delivery", &["policy", "secrets"]),
    ("drivers", &["policy", "tls", "secrets"]),
    ("agent", &["policy", "tls", "secrets", "delivery"]),
    ("backup", &["policy", "store"]),
    ("api", &["policy", "tls", "store", "ca", "acme", "lifecycle", "secrets", "drivers", "backup"]),
];

/// Foreign crates that one room (or a few) alone may name.
const ALONE: &[(&str, &[&str])] = &[
    ("cryptoki", &["hsm"]),
    ("cryptoki-sys", &["hsm"]),
    ("rusqlite", &["store"]),
    ("postgres", &["store"]),
    ("tokio-postgres", &["drivers", "store"]),
    ("postgres-protocol", &["drivers"]),
    ("redis", &["drivers"]),
    ("mysql_async", &["drivers"]),
    ("ldap3", &["drivers"]),
    ("axum", &["api", "acme"]),
    ("cedar-policy", &["policy"]),
    ("instant-acme", &["agent"]),
    ("hickory-resolver", &["acme"]),
    ("hpke", &["secrets"]),
    ("bech32", &["secrets"]),
    ("signal-hook", &["delivery"]),
    ("age", &["backup"]),
    ("rusty-s3", &["backup"]),
];

/// The rooms inside a crate, each with its modules from the bottom to the top. A file names modules of its own floor and of
/// those below it, and names them by their rooms: the floors can be read from the text.
const ROOMS: &[(&str, &[&str])] = &[
    ("policy", &["text", "time", "secret", "serial", "names", "share", "asking", "deciding"]),
    ("hsm", &["error", "lock", "config", "custody", "module", "session", "keys", "notes", "heal", "pool"]),
    (
        "ca",
        &[
            "encode",
            "intake",
            "lint",
            "error",
            "listed",
            "issuers",
            "estates",
            "profiles",
            "rules",
            "refused",
            "parts",
            "gate",
            "drafting",
            "checks",
            "registrar",
            "craft",
            "waits",
            "approvals",
            "status",
            "texts",
            "succession",
            "view",
            "fit",
            "drills",
            "difference",
            "amendment",
            "authority",
        ],
    ),
    (
        "store",
        &[
            "nouns", "sql", "forms", "log", "truth", "rows", "clock", "derived", "queries", "attest", "reader",
            "writer", "export", "verify", "backup", "register", "ledger",
        ],
    ),
    ("acme", &["limits", "config", "wire", "objects", "proof", "gate", "acts", "serve"]),
    (
        "lifecycle",
        &["summary", "forecast", "sntp", "witnesses", "diary", "watch", "away", "alarms", "desk", "lease", "renewer"],
    ),
    (
        "secrets",
        &[
            "forms",
            "nouns",
            "envelope",
            "recovery",
            "kinds",
            "transit",
            "rotation",
            "error",
            "due",
            "page",
            "at_once",
            "vault",
            "keyring",
            "turning",
            "hosting",
            "leasing",
            "refreshing",
        ],
    ),
    (
        "delivery",
        &[
            "nouns", "plan", "error", "quiet", "masking", "places", "cache", "exchange", "template", "child", "run",
            "desk",
        ],
    ),
    (
        "drivers",
        &[
            "driver", "deadline", "stream", "allowed", "host", "postgres", "redis", "mariadb", "ldap", "ssh",
            "outside", "sent", "carry", "places",
        ],
    ),
    ("agent", &["error", "credential", "plan", "disk", "source", "deploy", "look", "keep"]),
    (
        "api",
        &[
            "limits",
            "observe",
            "auth",
            "problem",
            "edge",
            "app",
            "warden",
            "tenants",
            "exchanges",
            "second",
            "intake",
            "public",
            "rest",
            "pages",
            "serve",
        ],
    ),
    ("backup", &["error", "name", "seal", "beside", "target", "work", "diary"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Package name -> names of its ordinary (not test) dependencies.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let name = |v: &Value| v["name"].as_str().expect("a name").to_owned();
    packages
        .iter()
        .map(|p| {
            let ordinary = p["dependencies"].as_array().expect("dependencies").iter().filter(|d| d["kind"].is_null());
            (name(p), ordinary.map(name).collect())
        })
        .collect()
}

#[test]
fn imports_only_go_down() {
    let dependencies = dependencies();
    for (room, allowed) in FLOORS {
        let package = format!("chancery-{room}");
        let found: BTreeSet<&str> = dependencies[&package].iter().filter_map(|d| d.strip_prefix("chancery-")).collect();
        assert_eq!(found, allowed.iter().copied().collect(), "the rooms that {room} leans on");
    }
}

#[test]
fn a_foreign_crate_with_one_place_stays_there() {
    let dependencies = dependencies();
    for (foreign, rooms) in ALONE {
        let users: BTreeSet<&str> = dependencies
            .iter()
            .filter(|(package, needs)| needs.contains(*foreign) && package.starts_with("chancery-"))
            .map(|(package, _)| package.trim_start_matches("chancery-"))
            .collect();
        assert_eq!(users, rooms.iter().copied().collect(), "the rooms that name {foreign}");
        assert!(!dependencies["chancery"].contains(*foreign), "the binary names {foreign}");
    }
}

#[test]
fn imports_inside_a_crate_go_down() {
    let wrong: Vec<String> = ROOMS
        .iter()
        .flat_map(|(room, floors)| {
            let (lib, files) = rooms::sources(&root().join(room).join("src"));
            rooms::wrong_floors(&lib, &files, floors)
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_circle_stands_between_the_sub_rooms_of_a_crate() {
    for (room, _) in ROOMS {
        let (_, files) = rooms::sources(&root().join(room).join("src"));
        let circles = rooms::circles(&files);
        assert!(circles.is_empty(), "{room}: {}", circles.join("\n"));
    }
}

#[test]
fn each_deliberate_break_names_a_file_and_a_test_that_are_there() {
    let table = std::fs::read_to_string(root().join("tests/mutants.md")).expect("the table of breaks");
    let rooms = FLOORS.iter().map(|(room, _)| *room).chain(["src", "tests", "benches"]);
    let code: String = rooms
        .flat_map(|room| sources(&root().join(room)))
        .map(|file| std::fs::read_to_string(file).expect("a source file is readable"))
        .collect();
    let (mut files, mut tests, mut wrong) = (0, 0, Vec::new());
    for row in table.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let [_, place, red] = cells.as_slice() else { continue };
        let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
        let paths = quoted(place).into_iter().filter(|name| name.contains('/'));
        for path in paths.inspect(|_| files += 1) {
            if !root().join(&path).exists() {
                wrong.push(format!("no file {path}: {row}"));
            }
        }
        // A name may be cut short by an ellipsis, and stand under its module.
        let names = quoted(red).into_iter().filter(|name| name.len() > 20 && !name.contains(['/', ' ']));
        for name in names.inspect(|_| tests += 1) {
            let last = name.rsplit("::").next().unwrap_or(&name);
            let parts: Vec<&str> = last.split('…').filter(|part| !part.is_empty()).collect();
            if !parts.iter().all(|part| code.contains(part)) {
                wrong.push(format!("no test {name}: {row}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(files > 80 && tests > 80, "the table could not be read: {files} files, {tests} tests");
}

#[test]
fn the_hsm_signs_in_one_place() {
    let mut places = BTreeSet::new();
    for (room, _) in FLOORS.iter().filter(|(room, _)| *room != "hsm") {
        for file in sources(&root().join(room).join("src")) {
            let text = std::fs::read_to_string(&file).expect("a source file is readable");
            if text.contains("pool.sign(") || text.contains("Pool::sign(") {
                places.insert(file.strip_prefix(root()).expect("inside").display().to_string());
            }
        }
    }
    for file in sources(&root().join("src")) {
        let text = std::fs::read_to_string(&file).expect("a source file is readable");
        assert!(!text.contains("pool.sign(") && !text.contains("Pool::sign("), "{} signs", file.display());
    }
    assert_eq!(places, BTreeSet::from(["ca/src/registrar.rs".to_owned()]));
}

/// A service may put a link or a FIFO in the way of any name in its folder: names of files are resolved in `disk` alone. The plan is
/// read where it stands.
#[test]
fn a_sealed_key_is_handed_out_to_be_wrapped_in_one_place() {
    let mut places = BTreeSet::new();
    let names = |text: &str| text.contains(".wrap_key(") || text.contains("::wrap_key(");
    for (room, _) in FLOORS {
        for file in sources(&root().join(room).join("src")) {
            if names(&std::fs::read_to_string(&file).unwrap()) {
                places.insert(format!("{room}/{}", file.file_name().unwrap().to_string_lossy()));
            }
        }
    }
    for file in sources(&root().join("src")) {
        assert!(!names(&std::fs::read_to_string(&file).unwrap()), "{} is handed keys", file.display());
    }
    assert_eq!(places, BTreeSet::from(["secrets/recovering.rs".to_owned()]));
}

#[test]
fn the_agent_opens_files_in_one_room() {
    let rooms = ["deploy", "keep", "look", "source", "credential"].map(|room| root().join("agent/src").join(room));
    for file in rooms.iter().flat_map(|room| sources(room)).filter(|file| !file.ends_with("tests.rs")) {
        let text = std::fs::read_to_string(&file).expect("a source file is readable");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let opens = ["fs::read", "fs::write", "File::open", "OpenOptions", "tokio::fs"]
            .into_iter()
            .find(|word| code.contains(word));
        assert_eq!(opens, None, "{} opens a file by its name", file.display());
    }
}

#[test]
fn unsafe_code_is_forbidden_outside_the_module_boundary() {
    for (room, _) in FLOORS.iter().filter(|(room, _)| *room != "hsm") {
        let lib = std::fs::read_to_string(root().join(room).join("src/lib.rs")).expect("lib.rs");
        assert!(lib.contains("#![forbid(unsafe_code)]"), "{room} forbids unsafe code");
        assert!(lib.contains("#![warn(missing_docs)]"), "{room} documents what it shows");
    }
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a folder of sources").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}
