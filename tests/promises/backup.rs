//! Backups from the built binary: made beside a running service, read by nobody but their recipients, put back whole or not at all, refused
//! in the wrong place, and drilled. Another program of age is the judge of the file.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use load::free_port;
use serde_json::Value;

use crate::house::{House, PATIENCE, command, fail, status, succeed, text, until};
use crate::postgres::Postgres;

const CANARY: &str = "canary-51c2e84b607f3a9d";

/// A key of age: its file, and its public half.
fn key(house: &House, name: &str) -> (PathBuf, String) {
    let file = house.path(name);
    succeed(command("age-keygen", &["-o", text(&file)]));
    let public = succeed(command("age-keygen", &["-y", text(&file)]));
    (file, public.trim().to_owned())
}

fn put(house: &House, path: &str) {
    let mut put = house.command(&["secret", "put", path, "--owner", "default"]);
    let mut child = put.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("a command");
    child.stdin.take().expect("a pipe").write_all(CANARY.as_bytes()).expect("the input");
    assert!(child.wait().expect("its end").success());
}

/// What the service says of itself, whether all is well or not.
fn state(house: &House) -> Value {
    house.curl_admin(&[&house.https("/api/v1/status")]).json()
}

fn folder(house: &House, name: &str) -> PathBuf {
    let folder = house.path(name);
    std::fs::create_dir(&folder).expect("a folder");
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// The stream in a backup, as another program decrypts it.
fn decrypted(file: &Path, identity: &Path) -> Vec<u8> {
    let age = command("age", &["-d", "-i", text(identity), text(file)]).output().expect("age runs");
    assert!(age.status.success(), "{}", String::from_utf8_lossy(&age.stderr));
    age.stdout
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Restores into another database than the configuration's.
fn restore(house: &House, file: &Path, identity: &Path, to: &str) -> Output {
    house.output(&["restore", text(file), "--identity", text(identity), "--to", to])
}

/// A house with a certificate, a secret, and a backup of both: its file and identity.
fn backed_up() -> (House, PathBuf, PathBuf) {
    let house = House::started();
    house.run(&["issue", "tls", "localhost", "--out", text(&house.path("first"))]);
    put(&house, "prod/db");
    let (identity, public) = key(&house, "backup.key");
    let file = house.path("b.age");
    let made = house.json(&["backup", "--to", text(&file), "--recipient", &public]);
    assert!(made["entry"].is_u64(), "{made}");
    (house, file, identity)
}

#[test]
fn a_backup_is_one_file_for_its_recipients_alone_and_a_drill_proves_it() {
    let (house, file, identity) = backed_up();
    let bytes = std::fs::read(&file).expect("the file");
    assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
    assert!(!bytes.windows(9).any(|window| window == b"localhost"), "names of hosts are nobody's business either");
    // Another program reads it, and finds neither the secret nor a PIN nor a token in what it reads.
    let stream = decrypted(&file, &identity);
    let first = stream.split(|b| *b == b'\n').next().expect("a line");
    let manifest: Value = serde_json::from_slice(first).expect("the manifest");
    assert_eq!(manifest["engine"], "sqlite", "{manifest}");
    for hidden in [CANARY, &house.admin_token()] {
        assert!(!stream.windows(hidden.len()).any(|window| window == hidden.as_bytes()), "{hidden}");
    }
    let stream = String::from_utf8(stream).expect("text");
    let files = stream.lines().filter_map(|line| line.strip_prefix("{\"file\":\"")?.split('"').next());
    let is_public = |name: &str| {
        let named = ["chancery.toml", "log.vkey", "roots.pem"].contains(&name);
        named || name.starts_with("policies/") || name.starts_with("profiles/")
    };
    assert!(files.clone().count() > 3 && files.clone().all(is_public), "{:?}", files.collect::<Vec<_>>());
    // Nothing is written over it, and who lacks the identity is told so.
    let again = fail(house.command(&["backup", "--to", text(&file), "--recipient", &key(&house, "other.key").1]));
    assert!(again.contains("already"), "{again}");
    let stranger = house.output(&["restore", "--drill", text(&file), "--identity", text(&house.path("other.key"))]);
    assert_eq!(stranger.status.code(), Some(3), "{}", said(&stranger));
    // Beside the running service; the log tells of both, and nothing is left of the scratch place.
    let scratch = folder(&house, "scratch");
    let before = state(&house)["log"]["size"].as_u64().expect("a size");
    let drill =
        house.json(&["restore", "--drill", text(&file), "--identity", text(&identity), "--scratch", text(&scratch)]);
    assert_eq!((&drill["opened"], &drill["findings"]), (&Value::Bool(true), &serde_json::json!([])), "{drill}");
    assert!(drill["entry"].as_u64().expect("an entry") >= before, "{drill}");
    assert_eq!(names(&scratch), Vec::<String>::new());
    let known = || {
        let backup = state(&house)["backup"].clone();
        backup["last_drill"]["opened"] == true && backup["last"]["size"] == manifest["size"]
    };
    assert!(until(PATIENCE, known), "{}", state(&house));
    assert!(house.curl_admin(&[&house.https("/metrics")]).text().contains("chancery_backup_last_bytes"));
    // The drill opened nobody's secret.
    let log = house.run(&["audit", "list", "--limit", "200"]);
    assert!(!log.contains("access") && log.contains("record"), "{log}");
    assert_eq!(house.json(&["audit", "verify"])["findings_total"], 0);
}

#[test]
fn a_full_place_is_said_to_be_full_and_a_name_of_the_future_is_not_taken() {
    let (house, _, identity) = backed_up();
    let public = succeed(command("age-keygen", &["-y", text(&identity)]));
    // Its very first byte finds no room.
    let full = std::fs::File::options().write(true).open("/dev/full").expect("a full device");
    let mut backup = house.command(&["backup", "--to", "-", "--recipient", public.trim()]);
    let output = backup.stdin(Stdio::null()).stdout(full).output().expect("the binary runs");
    let says = said(&output);
    assert_eq!(output.status.code(), Some(4), "{says}");
    assert!(says.contains("standard output has no room for it") && says.contains("taken back"), "{says}");
    assert!(!says.contains("IoError") && !says.contains("header"), "{says}");
    // Of a folder the newest is taken that is not of later than now.
    let kept = folder(&house, "kept");
    house.json(&["backup", "--to", text(&kept), "--recipient", public.trim()]);
    let there = names(&kept).pop().expect("a backup");
    let (log, _) = there.rsplit_once('-').expect("a name of ours");
    let future = format!("{log}-20990101T000000Z.age");
    std::fs::copy(kept.join(&there), kept.join(&future)).expect("somebody puts it there");
    let drill = house.output(&["restore", "--drill", text(&kept), "--identity", text(&identity)]);
    let says = said(&drill);
    assert!(drill.status.success(), "{says}");
    assert!(says.contains(&format!("{future} is named as of later than now")) && says.contains(&there), "{says}");
    std::fs::remove_file(kept.join(&there)).expect("it goes");
    let refused = fail(house.command(&["restore", "--drill", text(&kept), "--identity", text(&identity)]));
    assert!(refused.contains(&future) && refused.contains("clock") && refused.contains("name the file"), "{refused}");
}

#[test]
fn a_backup_that_was_cut_or_altered_anywhere_is_refused_and_leaves_nothing() {
    let (house, file, identity) = backed_up();
    let (whole, spoilt, target) = (std::fs::read(&file).expect("the file"), house.path("spoilt"), house.path("new.db"));
    let url = format!("sqlite:{}", target.display());
    let cut = [0, 1, 100, whole.len() / 2, whole.len() - 1].map(|end| whole[..end].to_vec());
    let altered = [3, 60, 250, whole.len() / 3, whole.len() - 1].map(|at| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    });
    let mut exchanged = whole.clone();
    let (one, two) = exchanged.split_at_mut(whole.len() / 2);
    one[1_000..2_000].swap_with_slice(&mut two[1_000..2_000]);
    let longer = [&whole[..], b"more"].concat();
    for bytes in cut.into_iter().chain(altered).chain([exchanged, longer]) {
        std::fs::write(&spoilt, &bytes).expect("the spoilt file");
        let refused = restore(&house, &spoilt, &identity, &url);
        assert!(!refused.status.success(), "{} bytes: {}", bytes.len(), said(&refused));
        assert!(!target.exists(), "{} bytes", bytes.len());
    }
    // What is decrypted, cut at a line, and encrypted again by somebody who knows the recipient.
    let public = succeed(command("age-keygen", &["-y", text(&identity)]));
    let stream = decrypted(&file, &identity);
    let last = stream[..stream.len() - 1].iter().rposition(|b| *b == b'\n').expect("lines");
    std::fs::write(house.path("cut"), &stream[..=last]).expect("the stream");
    std::fs::remove_file(&spoilt).expect("gone");
    succeed(command("age", &["-r", public.trim(), "-o", text(&spoilt), text(&house.path("cut"))]));
    let refused = restore(&house, &spoilt, &identity, &url);
    assert!(said(&refused).contains("cut off") && !target.exists(), "{}", said(&refused));
}

#[test]
fn a_register_goes_to_postgresql_and_back_and_is_verified() {
    let (mut house, file, identity) = backed_up();
    house.stop();
    let postgres = Postgres::start();
    let there = restore(&house, &file, &identity, &postgres.url());
    assert!(there.status.success(), "{}", said(&there));
    let twice = restore(&house, &file, &identity, &postgres.url());
    assert_eq!(twice.status.code(), Some(3), "{}", said(&twice));
    // The register of the configuration is now the restored one.
    let url = format!("sqlite:{}", "chancery.db");
    house.configure(&url, &postgres.url());
    let second = house.path("c.age");
    let public = succeed(command("age-keygen", &["-y", text(&identity)]));
    let mut backup = house.command(&["backup", "--to", text(&second), "--recipient", public.trim()]);
    backup.arg("--json");
    let made: Value = serde_json::from_str(&succeed(backup)).expect("JSON");
    assert_eq!(
        made["backup"]["size"],
        serde_json::from_slice::<Value>(decrypted(&file, &identity).split(|b| *b == b'\n').next().expect("a line"))
            .expect("a manifest")["size"]
    );
    let back = house.path("back.db");
    let restored = restore(&house, &second, &identity, &format!("sqlite:{}", back.display()));
    assert!(restored.status.success() && said(&restored).contains("findings"), "{}", said(&restored));
    let rows = |file: &Path| {
        let stream = decrypted(file, &identity);
        let from = stream.iter().position(|b| *b == b'\n').expect("a line");
        let to = stream[..stream.len() - 1].iter().rposition(|b| *b == b'\n').expect("a line");
        let text = String::from_utf8(stream[from..to].to_vec()).expect("text");
        text.lines().filter(|line| !line.starts_with("{\"file\":")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(rows(&file) == rows(&second), "through PostgreSQL every row is the same");
}

#[test]
fn an_older_register_that_is_put_back_is_noticed_and_gone_on_from_by_a_word() {
    let (mut house, file, identity) = backed_up();
    put(&house, "prod/later");
    house.stop();
    for name in ["chancery.db", "chancery.db-wal", "chancery.db-shm"] {
        let _ = std::fs::remove_file(house.ca(name));
    }
    let restored = house.output(&["restore", text(&file), "--identity", text(&identity)]);
    let says = said(&restored);
    assert!(restored.status.success() && says.contains("audit resume"), "{says}");
    let refused = fail(house.command(&["serve"]));
    assert!(refused.contains("chancery audit resume"), "{refused}");
    house.run(&["audit", "resume", "--reason", "the disk died"]);
    house.start();
    assert_eq!(house.run(&["secret", "get", "prod/db", "--field", "value"]), CANARY);
    fail(house.command(&["secret", "get", "prod/later"]));
    assert_eq!(house.json(&["audit", "verify"])["findings_total"], 0);
    // Another house's log is not this one's, though it has its name.
    let other = House::new();
    let foreign = other.output(&[
        "restore",
        text(&file),
        "--identity",
        text(&identity),
        "--to",
        &format!("sqlite:{}", other.path("x.db").display()),
    ]);
    assert!(foreign.status.code() == Some(3) && said(&foreign).contains("knows another log"), "{}", said(&foreign));
    assert!(!other.path("x.db").exists());
    // And another token does not open it: that is what a drill finds.
    let drill = other.output(&["restore", "--drill", text(&file), "--identity", text(&identity)]);
    assert!(drill.status.code() == Some(5) && said(&drill).contains("does not open"), "{}", said(&drill));
}

#[test]
fn the_files_that_a_restore_needs_come_out_of_it() {
    let (house, file, identity) = backed_up();
    let dir = house.path("again");
    let files = |more: &[&str]| {
        let from = ["restore", text(&file), "--identity", text(&identity), "--files", text(&dir)];
        let mut files = house.command(&[&from[..], more].concat());
        files.env_remove("CHANCERY_CONFIG");
        files
    };
    // Where no configuration of the place says the same, somebody looks at what the log does not prove.
    let refused = files(&[]).output().expect("the binary runs");
    assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
    for setting in ["hsm.module = ", "hsm.pin", "database.url = ", "log.vkey = ", "roots.pem = "] {
        assert!(said(&refused).contains(setting), "{setting}: {}", said(&refused));
    }
    assert!(
        said(&refused).contains("--accept-config") && !said(&refused).contains("because: owner"),
        "{}",
        said(&refused)
    );
    assert!(!dir.exists(), "what is refused leaves no folder");
    assert!(said(&refused).contains("compared with nothing") && said(&refused).contains("CN="), "{}", said(&refused));
    assert!(!said(&refused).contains("BEGIN CERTIFICATE"), "{}", said(&refused));
    let at = |setting: &str| said(&refused).find(setting).expect("it is named");
    assert!(at("because: hsm.module") < at("because: roots.pem") && at("because: log.vkey") < at("because: server."));
    // The command that it names is the next one, and that one names the one after it.
    let digest = digest_in(&said(&refused));
    let accepting = format!("--files {} --accept-config {digest}", text(&dir));
    assert!(said(&refused).contains(&accepting), "{}", said(&refused));
    // Without what he looked at, nobody says that he did.
    let bare = files(&["--accept-config"]).output().expect("the binary runs");
    assert!(bare.status.code() == Some(2) && !dir.exists(), "{}", said(&bare));
    let written = succeed(files(&["--accept-config", &digest]));
    let next = format!("chancery --config {} restore {}", text(&dir.join("chancery.toml")), text(&file));
    assert!(written.contains(&next), "{written}");
    for name in ["chancery.toml", "log.vkey", "roots.pem", "policies/system.cedar"] {
        let (there, here) = (std::fs::read(house.ca(name)).expect(name), std::fs::read(dir.join(name)).expect(name));
        assert!(there == here, "{name}");
    }
    assert!(!dir.join("admin.token").exists() && !dir.join("pin").exists());
}

/// The digest in the command that a refusal ends with.
fn digest_in(said: &str) -> String {
    let (_, rest) = said.rsplit_once("--accept-config ").expect("the next command");
    rest.chars().take_while(char::is_ascii_hexdigit).collect()
}

/// The same once more, by somebody who was shown how old the backup is, and nothing else.
fn after_the_age(files: impl Fn(&[&str]) -> Output) -> Output {
    let refused = files(&[]);
    let says = said(&refused);
    assert!(refused.status.code() == Some(3) && says.contains("age = ") && says.contains("entries more"), "{says}");
    assert!(says.contains("knows a longer log") && !says.contains("hsm.module"), "{says}");
    files(&["--accept-config", &digest_in(&says)])
}

/// A backup with other bytes in one of its files, encrypted to the same recipient.
fn forged(house: &House, (file, identity): (&Path, &Path), name: &str, bytes: &[u8]) -> PathBuf {
    let stream = with_other_file(&decrypted(file, identity), name, &STANDARD.encode(bytes));
    std::fs::write(house.path("forged"), stream).expect("the stream");
    let public = succeed(command("age-keygen", &["-y", text(identity)]));
    let spoilt = house.path("forged.age");
    succeed(command("age", &["-r", public.trim(), "-o", text(&spoilt), text(&house.path("forged"))]));
    spoilt
}

/// The stream with other bytes in one of its files, as somebody makes it who may read it and knows the recipient.
fn with_other_file(stream: &[u8], name: &str, base64: &str) -> String {
    let sha256 = |text: &str| hex::encode(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()));
    let text = String::from_utf8(stream.to_vec()).expect("text");
    let begins = format!("{{\"file\":\"{name}\",");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let last = lines.pop().expect("a trailer");
    let before = format!("{}\n", lines.join("\n"));
    let file = lines.iter_mut().find(|line| line.starts_with(&begins)).expect("the file");
    *file = format!("{begins}\"bytes\":\"{base64}\"}}");
    let after = format!("{}\n", lines.join("\n"));
    format!("{after}{}\n", last.replace(&sha256(&before), &sha256(&after)))
}

#[test]
fn files_that_were_not_in_force_are_not_written() {
    let (house, file, identity) = backed_up();
    let everybody = b"permit (principal, action, resource);\n";
    let spoilt = forged(&house, (&file, &identity), "policies/auditor.cedar", everybody);
    let files = |dir: &Path, more: &[&str]| {
        let from = ["restore", text(&spoilt), "--identity", text(&identity), "--files", text(dir)];
        house.output(&[&from[..], more].concat())
    };
    let dir = house.path("again");
    let refused = files(&dir, &[]);
    assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
    assert!(said(&refused).contains("policies: it is another than was in force"), "{}", said(&refused));
    assert!(said(&refused).contains("(policies/auditor.cedar)"), "{}", said(&refused));
    assert!(!dir.exists(), "what is refused leaves no folder");
    // A drill says so before it is needed, by the same words, and a drill of what was in force does not.
    let drill = |file: &Path| house.output(&["restore", "--drill", text(file), "--identity", text(&identity)]);
    let found = drill(&spoilt);
    assert_eq!(found.status.code(), Some(5), "{}", said(&found));
    for says in ["would be refused", "policies: it is another than was in force (policies/auditor.cedar)"] {
        assert!(said(&found).contains(says), "{says}: {}", said(&found));
    }
    let well = drill(&file);
    assert!(well.status.success() && said(&well).contains("as they were in force"), "{}", said(&well));
    // Whoever wants to look at it all the same says so.
    let looked = files(&dir, &["--unproved-files"]);
    assert!(looked.status.success() && said(&looked).contains("not proved: policies"), "{}", said(&looked));
    let there = std::fs::read_to_string(dir.join("policies/auditor.cedar")).expect("the forged policy");
    assert_eq!(there, "permit (principal, action, resource);\n");
}

#[test]
fn a_register_that_this_places_key_did_not_sign_proves_no_file() {
    let (house, file, identity) = backed_up();
    // Whoever knows the recipient makes a whole house, whose files are those that its register says were in force ...
    let stranger = House::started();
    let public = succeed(command("age-keygen", &["-y", text(&identity)]));
    let own = stranger.path("own.age");
    stranger.run(&["backup", "--to", text(&own), "--recipient", public.trim()]);
    // ... and puts what is known of this place into it.
    let spoilt = stranger.path("spoilt.age");
    std::fs::copy(&own, &spoilt).expect("a copy");
    for name in ["chancery.toml", "log.vkey", "roots.pem"] {
        let bytes = std::fs::read(house.ca(name)).expect(name);
        let forged = forged(&stranger, (&spoilt, &identity), name, &bytes);
        std::fs::rename(forged, &spoilt).expect("its name");
    }
    let dir = house.path("again");
    let files = |from: &Path, more: &[&str], is_known: bool| {
        let from = ["restore", text(from), "--identity", text(&identity), "--files", text(&dir)];
        let mut files = house.command(&[&from[..], more].concat());
        if !is_known {
            files.env_remove("CHANCERY_CONFIG");
        }
        files.output().expect("the binary runs")
    };
    let (no_word, any): (&[&str], _) = (&[], "0".repeat(64));
    for (is_known, whose) in [(true, "the key of this place's log ("), (false, "the log.vkey in the backup itself")] {
        for more in [no_word, &["--accept-config", &any]] {
            let refused = files(&spoilt, more, is_known);
            let says = said(&refused);
            assert_eq!(refused.status.code(), Some(3), "{says}");
            let not_signed = "does not prove it: it did not sign the newest head in the backup";
            assert!(says.contains(&format!("the register: {whose}")) && says.contains(not_signed), "{says}");
            assert!(!dir.exists(), "what is refused leaves no folder");
        }
    }
    let drill = house.output(&["restore", "--drill", text(&spoilt), "--identity", text(&identity)]);
    let says = said(&drill);
    assert!(drill.status.code() == Some(5) && says.contains("the key of this place's log"), "{says}");
    // Under a key of its own it is as good as that key: somebody looks at it first.
    let refused = files(&own, &[], false);
    let says = said(&refused);
    assert!(refused.status.code() == Some(3) && says.contains("are proved by this key alone"), "{says}");
    // This place's own backup needs no word but that it is older than the place: its log has an entry of that backup already.
    let written = after_the_age(|more| files(&file, more, true));
    assert!(written.status.success(), "{}", said(&written));
}

#[test]
fn what_decides_and_is_not_proved_is_shown_before_it_is_written() {
    let (house, file, identity) = backed_up();
    // Everything that the log is told is as it was.
    let config = std::fs::read_to_string(house.ca("chancery.toml")).expect("chancery.toml");
    let program = "[rotation.exec.x]\ncommand = [\"/bin/sh\", \"-c\", \"id\"]\nowners = [\"default\"]\n";
    let other = format!("{config}\n{program}");
    let spoilt = forged(&house, (&file, &identity), "chancery.toml", other.as_bytes());
    let dir = house.path("again");
    let files = |from: &Path, more: &[&str]| {
        let from = ["restore", text(from), "--identity", text(&identity), "--files", text(&dir)];
        house.output(&[&from[..], more].concat())
    };
    let none: &[&str] = &[];
    for more in [none, &["--unproved-files"]] {
        let refused = files(&spoilt, more);
        assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
        let is_named = ["[0] = \"/bin/sh\"", "[1] = \"-c\"", "[2] = \"id\""]
            .iter()
            .all(|each| said(&refused).contains(&format!("rotation.exec.x.command{each}")));
        assert!(is_named && said(&refused).contains("nothing was written"), "{}", said(&refused));
        assert!(!said(&refused).contains("hsm.module"), "what this place says too is taken: {}", said(&refused));
        assert!(!dir.exists(), "what is refused leaves no folder");
    }
    // Somebody looked at it; it is said once more.
    let digest = digest_in(&said(&files(&spoilt, &[])));
    // What was put in its place since is not what he looked at, and is shown with a digest of its own.
    let exchanged = forged(&house, (&file, &identity), "chancery.toml", other.replace("\"id\"", "\"sh\"").as_bytes());
    let another = files(&exchanged, &["--accept-config", &digest]);
    assert!(another.status.code() == Some(3) && !dir.exists(), "{}", said(&another));
    assert!(said(&another).contains("what was accepted is not what is here now"), "{}", said(&another));
    assert_ne!(digest_in(&said(&another)), digest);
    let spoilt = forged(&house, (&file, &identity), "chancery.toml", other.as_bytes());
    let taken = files(&spoilt, &["--accept-config", &digest]);
    assert!(taken.status.success(), "{}", said(&taken));
    assert!(
        said(&taken).contains("not proved by the log; look at it before you start: rotation.exec.x"),
        "{}",
        said(&taken)
    );
    assert_eq!(std::fs::read_to_string(dir.join("chancery.toml")).expect("it is written"), other);
    // What the place says too needs no word.
    std::fs::remove_dir_all(&dir).expect("gone");
    let same = after_the_age(|more| files(&file, more));
    assert!(same.status.success() && said(&same).contains("chancery.toml says: not asked"), "{}", said(&same));
}

#[test]
fn an_older_backup_is_not_taken_for_the_newest() {
    let house = House::started();
    let (identity, public) = key(&house, "backup.key");
    let store = folder(&house, "store");
    let made = || {
        // Two of one second have one name.
        let backup = || house.output(&["backup", "--to", text(&store), "--recipient", &public]).status.success();
        assert!(until(PATIENCE, backup), "no backup");
        names(&store).into_iter().max().map(|name| store.join(name)).expect("a backup")
    };
    let older = made();
    put(&house, "prod/later");
    let newer = made();
    let drill = || house.output(&["restore", "--drill", text(&store), "--identity", text(&identity)]);
    let well = drill();
    assert!(well.status.success() && said(&well).contains("since"), "{}", said(&well));
    // Taken away: the older one is the newest that lies there, and the log has a later one.
    let aside = house.path("aside.age");
    std::fs::rename(&newer, &aside).expect("it goes");
    let found = drill();
    assert!(found.status.code() == Some(5) && said(&found).contains("the log has a later one"), "{}", said(&found));
    // Put under the newer one's name: it says itself when it was taken.
    std::fs::copy(&older, &newer).expect("a copy");
    let found = drill();
    assert!(found.status.code() == Some(5) && said(&found).contains("under another's name"), "{}", said(&found));
    let dir = house.path("again");
    let files = |more: &[&str]| {
        let from = ["restore", text(&store), "--identity", text(&identity), "--files", text(&dir)];
        house.output(&[&from[..], more].concat())
    };
    let refused = files(&[]);
    assert!(refused.status.code() == Some(3) && said(&refused).contains("under another's name"), "{}", said(&refused));
    assert!(!dir.exists(), "what is refused leaves no folder");
    // Under its own name it is older than this place knows, and somebody says that this is right.
    std::fs::rename(&aside, &newer).expect("it is back");
    let written = after_the_age(files);
    assert!(written.status.success() && said(&written).contains("as of "), "{}", said(&written));
}

#[test]
fn a_kill_leaves_no_half_backup_and_no_half_register() {
    let (house, file, identity) = backed_up();
    let dir = folder(&house, "kept");
    let public = succeed(command("age-keygen", &["-y", text(&identity)]));
    for delay in 0..12_u64 {
        let mut backup = house.command(&["backup", "--to", text(&dir), "--recipient", public.trim()]);
        // Without the token, which a backup does not need: what is killed here is the backup, and not a module at work.
        backup.env("SOFTHSM2_CONF", house.path("none.conf"));
        let mut child = backup.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a backup");
        std::thread::sleep(Duration::from_millis(delay * 25));
        let _ = child.kill();
        let _ = child.wait();
        for name in names(&dir) {
            // Where the file system has no files without a name, one of a name that no backup has may be left.
            if name.starts_with('.') {
                continue;
            }
            assert!(name.starts_with("chancery-") && name.ends_with(".age"), "{name}");
            let stream = decrypted(&dir.join(&name), &identity);
            let last = stream[..stream.len() - 1].rsplit(|b| *b == b'\n').next().expect("a line");
            assert!(last.starts_with(b"{\"end\":"), "{name} is a half");
            std::fs::remove_file(dir.join(name)).expect("gone");
        }
    }
    // A restore that has most of its backup, and is killed while it waits for the rest.
    let (target, whole) = (house.path("new.db"), std::fs::read(&file).expect("the file"));
    let url = format!("sqlite:{}", target.display());
    let mut restoring = house.command(&["restore", "-", "--identity", text(&identity), "--to", &url]);
    let mut child =
        restoring.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a restore");
    let mut pipe = child.stdin.take().expect("a pipe");
    pipe.write_all(&whole[..whole.len() - 10]).expect("most of it");
    assert!(until(PATIENCE, || target.exists()), "it has begun");
    child.kill().expect("kill -9");
    let _ = child.wait();
    drop(pipe);
    let config = std::fs::read_to_string(house.ca("chancery.toml")).expect("chancery.toml");
    house.configure("sqlite:chancery.db", &url);
    let opened = fail(house.command(&["audit", "verify", "--no-token"]));
    assert!(opened.contains("cannot read the register"), "{opened}");
    let served = fail(house.command(&["serve"]));
    assert!(served.contains("there is no register in it"), "{served}");
    std::fs::write(house.ca("chancery.toml"), config).expect("chancery.toml");
    // The same place takes it whole afterwards.
    let again = restore(&house, &file, &identity, &url);
    assert!(again.status.success(), "{}", said(&again));
}

#[test]
fn the_service_makes_them_by_itself_and_keeps_as_many_as_is_said() {
    let mut house = House::new();
    let (identity, public) = key(&house, "backup.key");
    let dir = folder(&house, "kept");
    let origin = house.json(&["audit", "verify"])["origin"].as_str().expect("an origin").replace(['/', ':'], "-");
    let old = ["20200101T000000Z", "20210101T000000Z"].map(|moment| format!("chancery-{origin}-{moment}.age"));
    let foreign = ["notes.age", "chancery-other-20200101T000000Z.age"];
    for name in old.iter().map(String::as_str).chain(foreign) {
        std::fs::write(dir.join(name), "x").expect("a file");
    }
    house.append(&format!(
        "\n[backup]\nto = {:?}\nrecipients = [{public:?}]\nevery = \"1h\"\nkeep = 2\n",
        dir.display().to_string()
    ));
    house.start();
    let made = || names(&dir).into_iter().find(|name| !old.contains(name) && !foreign.contains(&name.as_str()));
    assert!(until(PATIENCE, || made().is_some()), "{}", house.server_log());
    let is_known = || state(&house)["backup"]["last"]["place"].as_str().is_some();
    assert!(until(PATIENCE, is_known), "{}", state(&house));
    assert!(until(PATIENCE, || !dir.join(&old[0]).exists()), "{:?}", names(&dir));
    assert!(dir.join(&old[1]).exists() && foreign.iter().all(|name| dir.join(name).exists()), "{:?}", names(&dir));
    let drill =
        house.json(&["restore", "--drill", text(&dir.join(made().expect("a backup"))), "--identity", text(&identity)]);
    // The first one, too, has a signed head over what is in force.
    assert_eq!((&drill["opened"], &drill["unproved"]), (&Value::Bool(true), &serde_json::json!([])), "{drill}");
    // Where it cannot be written, somebody is told.
    house.stop();
    std::fs::rename(&dir, house.path("away")).expect("the folder goes");
    house.configure("every = \"1h\"", "every = \"1m\"");
    house.start();
    let told = || state(&house)["alarms"].to_string().contains("could not be made");
    assert!(until(PATIENCE * 2, told), "{}", state(&house));
}

/// A server of the protocol that is not ours.
struct Store {
    child: std::process::Child,
    port: u16,
}

impl Store {
    fn start(house: &House) -> Store {
        let port = free_port();
        let python = concat!(env!("CARGO_MANIFEST_DIR"), "/target/clients/moto/bin/python");
        let mut server = command(python, &["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        let log = std::fs::File::create(house.path("moto.log")).expect("a log");
        let child = server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("moto starts");
        let store = Store { child, port };
        let url = store.url("/vault");
        let is_there = || status(command("curl", &["-sf", "-X", "PUT", &url]).arg("-o").arg("/dev/null"));
        assert!(until(PATIENCE, is_there), "{}", std::fs::read_to_string(house.path("moto.log")).unwrap_or_default());
        store
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_backup_goes_to_a_bucket_and_comes_back_from_it() {
    let mut house = House::new();
    let (identity, public) = key(&house, "backup.key");
    let store = Store::start(&house);
    let credentials = house.path("credentials");
    let lines = "[old]\naws_access_key_id = oldkey\naws_session_token = oldtoken\n\
                 [default]\naws_access_key_id = \"vaultkey\" # of the vault\naws_secret_access_key = vaultsecret\n";
    std::fs::write(&credentials, lines).expect("credentials");
    let mode = |mode| std::fs::set_permissions(&credentials, Permissions::from_mode(mode)).expect("a mode");
    mode(0o600);
    house.append(&format!(
        "\n[backup]\nto = \"s3://vault/auto\"\nrecipients = [{public:?}]\nkeep = 1\n[backup.s3]\nendpoint = {:?}\n\
         credentials_file = {:?}\n",
        store.url(""),
        text(&credentials)
    ));
    let listed = |prefix: &str| {
        let url = store.url(&format!("/vault?list-type=2&prefix={prefix}"));
        succeed(command("curl", &["-s", &url])).matches("<Key>").count()
    };
    house.start();
    assert!(until(PATIENCE, || listed("auto/") == 1), "{}", house.server_log());
    let identity = text(&identity);
    let drill = house.json(&["restore", "--drill", "s3://vault/auto/", "--identity", identity]);
    assert_eq!(drill["opened"], true, "{drill}");
    let made = house.json(&["backup", "--to", "s3://vault/ca", "--recipient", &public, "--verify-with", identity]);
    let place = made["backup"]["place"].as_str().expect("a place").to_owned();
    assert!(place.starts_with("s3://vault/ca/chancery-"), "{place}");
    let drill = house.json(&["restore", "--drill", &place, "--identity", identity]);
    assert_eq!(drill["drill"]["manifest"]["size"], made["backup"]["size"], "{drill}");
    // The place that `backup --to` took, as it was written there.
    let drill = house.json(&["restore", "--drill", "s3://vault/ca", "--identity", identity]);
    assert_eq!(drill["drill"]["manifest"]["size"], made["backup"]["size"], "{drill}");
    // What is not there, and a bucket that is not.
    for gone in ["s3://vault/ca/none.age", "s3://none/ca/x.age"] {
        let refused = fail(house.command(&["restore", "--drill", gone, "--identity", identity]));
        assert!(refused.contains("not there"), "{refused}");
    }
    let refused = fail(house.command(&["backup", "--to", "s3://none/ca", "--recipient", &public]));
    assert!(refused.contains("NoSuchBucket") || refused.contains("404"), "{refused}");
    assert!(!house.server_log().contains("vaultsecret"));
    mode(0o644);
    let refused = fail(house.command(&["backup", "--to", "s3://vault/ca", "--recipient", &public]));
    assert!(refused.contains("chmod 600"), "{refused}");
}
