//! A backup's file: for its recipients alone, whole or not there, and refused wherever a byte of it is another.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use age::secrecy::ExposeSecret;
use age::x25519::Identity;
use backup::{BackupError, Found, Identities, Job, Made, Recipients, Source, Target, make, prune, read};
use hsm::testing::TestToken;
use policy::{Timestamp, World};
use proptest::prelude::*;
use store::{ActorStamp, Companion, Database, Ledger, LogConfig, Record, look_through};

const ORIGIN: &str = "ca.example/log";
const NOW: Timestamp = Timestamp::from_unix(1_790_000_000);

/// A small register, and who reads its backups.
struct House {
    dir: tempfile::TempDir,
    database: Database,
    identity: Identity,
}

impl House {
    fn new() -> House {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::Sqlite(dir.path().join("register.db"));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let token = Arc::new(TestToken::new("backup"));
            let (pool, mint) = hsm::open(token.config()).unwrap();
            let log = LogConfig { origin: ORIGIN.into(), state: None, instance: None };
            let world = World::fixed(NOW, 7);
            let ledger = Ledger::found(database.clone(), (&pool, mint), log, world).await.unwrap();
            for n in 0..400 {
                ledger.record(vec![record(n)]).await.unwrap();
            }
            ledger.close().await;
            pool.shutdown();
        });
        House { dir, database, identity: Identity::generate() }
    }

    fn recipients(&self) -> Recipients {
        Recipients::parse([self.identity.to_public().to_string().as_str()]).unwrap()
    }

    fn make(&self, target: &Target, now: Timestamp) -> Result<Made, BackupError> {
        let companions = [Companion { name: "chancery.toml".into(), bytes: b"[server]".to_vec() }];
        let job = Job {
            database: &self.database,
            origin: ORIGIN,
            program: "0.0.0",
            now,
            companions: &companions,
            recipients: &self.recipients(),
        };
        make(&job, target, &mut |_| ())
    }
}

fn record(n: u32) -> Record {
    let actor = ActorStamp { id: "token:a".into(), proof: "system".into(), proof_id: String::new() };
    let body = serde_json::json!({ "text": "some words that fill a row of the register ".repeat(8) });
    Record { kind: "thing", id: n.to_string(), owner: None, lookup: None, expires: None, body, actor, expect: Some(0) }
}

fn identities(identity: &Identity) -> Identities {
    Identities::parse(identity.to_string().expose_secret()).unwrap()
}

fn is_read(path: &Path, identity: &Identity) -> Result<(), BackupError> {
    let mut stream = read(&Source::File(path.to_owned()), &identities(identity))?;
    look_through(&mut stream, &mut |_| ()).map(drop)?;
    Ok(())
}

fn names(dir: &Path) -> Vec<String> {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// One file for those who spoil it.
static FILE: LazyLock<(House, PathBuf, Vec<u8>)> = LazyLock::new(|| {
    let house = House::new();
    let path = house.dir.path().join("b.age");
    house.make(&Target::File(path.clone()), NOW).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes.len() > 3 * CHUNK, "several chunks: {}", bytes.len());
    (house, path, bytes)
});

/// Of age's: 64 KiB and a tag.
const CHUNK: usize = (64 << 10) + 16;

#[test]
fn a_backup_is_for_its_recipients_alone_and_says_what_it_is() {
    let (house, path, bytes) = &*FILE;
    is_read(path, &house.identity).unwrap();
    assert!(matches!(is_read(path, &Identity::generate()), Err(BackupError::NotForUs)));
    assert!(!bytes.windows(10).any(|window| window == b"some words"));
    let empty = house.dir.path().join("empty");
    std::fs::write(&empty, b"").unwrap();
    assert!(matches!(is_read(&empty, &house.identity), Err(BackupError::Unreadable(_))));
}

#[test]
fn nothing_is_written_over_what_is_there_and_what_breaks_off_leaves_nothing() {
    let house = House::new();
    let dir = house.dir.path().join("kept");
    std::fs::create_dir(&dir).unwrap();
    let path = dir.join("b.age");
    std::fs::write(&path, b"mine").unwrap();
    assert!(matches!(house.make(&Target::File(path.clone()), NOW), Err(BackupError::Exists(_))));
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    // A link is something that is there, wherever it leads.
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(house.dir.path().join("elsewhere"), &path).unwrap();
    assert!(matches!(house.make(&Target::File(path.clone()), NOW), Err(BackupError::Exists(_))));
    std::fs::remove_file(&path).unwrap();
    let gone = Job {
        database: &Database::Sqlite(house.dir.path().join("none.db")),
        origin: ORIGIN,
        program: "",
        now: NOW,
        companions: &[],
        recipients: &house.recipients(),
    };
    assert!(make(&gone, &Target::Folder(dir.clone()), &mut |_| ()).is_err());
    assert_eq!(names(&dir), Vec::<String>::new());
}

#[test]
fn so_many_are_kept_and_nothing_of_others_goes() {
    let house = House::new();
    let dir = house.dir.path().join("kept");
    std::fs::create_dir(&dir).unwrap();
    let target = Target::Folder(dir.clone());
    for day in 0..4 {
        house.make(&target, NOW.plus_secs(day * 86_400)).unwrap();
    }
    std::fs::write(dir.join("chancery-other-20200101T000000Z.age"), b"x").unwrap();
    std::fs::write(dir.join("notes"), b"x").unwrap();
    std::fs::write(dir.join("chancery-ca.example-log-20990101T000000Z.age"), b"x").unwrap();
    let pruned = prune(&target, (ORIGIN, NOW.plus_secs(3 * 86_400)), 2).unwrap();
    assert_eq!(pruned.ahead, ["chancery-ca.example-log-20990101T000000Z.age"], "it counts for nothing");
    std::fs::remove_file(dir.join(&pruned.ahead[0])).expect("and stays");
    let gone = pruned.gone;
    assert_eq!((gone.len(), names(&dir).len()), (2, 4), "{gone:?}");
    assert!(gone.iter().all(|name| name.contains("20260921") || name.contains("20260922")), "{gone:?}");
    // A folder stands for the newest in it.
    let parsed = Source::parse(dir.to_str().unwrap(), &Default::default(), NOW.plus_secs(4 * 86_400));
    let Found { source: Source::File(newest), is_newest: true, ahead } = parsed.unwrap() else { panic!() };
    assert_eq!(ahead, Vec::<String>::new());
    assert!(newest.to_str().unwrap().contains("20260924"), "{newest:?}");
    is_read(&newest, &house.identity).unwrap();
}

/// Under object lock the newest of those that are to go always stays.
#[test]
fn one_that_cannot_be_taken_away_keeps_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let name = |day: u32| format!("chancery-ca.example-log-202601{day:02}T000000Z.age");
    for day in [1, 3, 5] {
        std::fs::write(dir.path().join(name(day)), b"x").unwrap();
    }
    // A folder is no file, and is not removed as one.
    for day in [2, 4] {
        std::fs::create_dir(dir.path().join(name(day))).unwrap();
    }
    let target = Target::Folder(dir.path().to_owned());
    let pruned = prune(&target, (ORIGIN, NOW), 1).unwrap();
    assert_eq!(pruned.gone, [name(1), name(3)]);
    let told = pruned.stay.told().unwrap();
    assert!(told.contains(&name(2)) && told.contains(&name(4)), "{told}");
    let mut left = names(dir.path());
    left.sort();
    assert_eq!(left, [name(2), name(4), name(5)]);
}

#[test]
fn a_recipient_that_is_none_is_refused_and_a_secret_key_is_not_repeated() {
    let secret = Identity::generate().to_string();
    let secret = secret.expose_secret();
    let refused = Recipients::parse([secret]).unwrap_err().to_string();
    assert!(refused.contains("public half") && !refused.contains(secret), "{refused}");
    for wrong in ["", "# nobody", "age1", "ssh-ed25519 AAAA", "me@example.org"] {
        assert!(matches!(Recipients::parse([wrong]), Err(BackupError::Recipients(_))), "{wrong}");
    }
    let twice = Identity::generate().to_public().to_string();
    let refused = Recipients::parse([twice.as_str(), "# mine", &format!("{twice} # too")]).unwrap_err().to_string();
    assert!(refused.contains("is named twice") && refused.contains(&twice), "{refused}");
    let cut = &secret[..secret.len() - 1];
    let Err(refused) = Identities::parse(cut) else { panic!("a key that was cut") };
    assert!(!refused.to_string().contains(&cut[20..]), "{refused}");
}

/// What lies in such files besides, and what is said of it: never what is in it.
#[test]
fn an_identity_file_is_taken_as_editors_leave_it_and_what_else_it_is_is_said() {
    let identity = Identity::generate();
    let key = identity.to_string();
    let key = key.expose_secret();
    let public = identity.to_public().to_string();
    let marked = format!("\u{feff}# mine\r\n\r\n{key}\r\n");
    for written in [key.to_owned(), marked, format!("# public key: {public}\n{key}\n")] {
        assert!(Identities::of(written.as_bytes()).is_ok(), "{}", written.len());
    }
    assert!(Recipients::parse(format!("\u{feff}{public} # mine\r\n# another\r\n").lines()).is_ok());
    for (written, says) in [
        ("age-encryption.org/v1\n-> scrypt x 18\n".to_owned(), "age -d FILE"),
        ("-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n".to_owned(), "age -d FILE"),
        ("AGE-PLUGIN-YUBIKEY-1QQPQ\n".to_owned(), "plugin"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n".to_owned(), "SSH"),
        (format!("{public}\n"), "a recipient stands where"),
    ] {
        let Err(refused) = Identities::of(written.as_bytes()) else { panic!("{says}") };
        assert!(refused.to_string().contains(says), "{says}: {refused}");
    }
    let Err(refused) = Identities::of(&[0xff, 0xfe, 0]) else { panic!("bytes") };
    assert!(refused.to_string().contains("no text"), "{refused}");
    let plugin = Recipients::parse(["age1yubikey1qwerty"]).unwrap_err().to_string();
    assert!(plugin.contains("plugin"), "{plugin}");
    let armoured = FILE.0.dir.path().join("armoured");
    std::fs::write(&armoured, "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n").unwrap();
    let Err(refused) = is_read(&armoured, &FILE.0.identity) else { panic!("armour") };
    assert!(refused.to_string().contains("armour"), "{refused}");
}

const INSIDE: &str = "CHANCERY_TEST_DISK_FULL";

/// The disk is this process's own limit of files: no mount, no root (as `store/tests/disk_full.rs` has it).
#[test]
fn a_full_disk_is_said_to_be_full_and_leaves_nothing() {
    let name = "a_full_disk_is_said_to_be_full_and_leaves_nothing";
    if std::env::var_os(INSIDE).is_none() {
        let this = std::env::current_exe().unwrap();
        let mut again = std::process::Command::new("sh");
        again.args(["-c", "trap '' XFSZ; exec \"$0\" --exact \"$1\" --nocapture"]).arg(this).arg(name);
        // What it prints goes through pipes: where this test's own output is a file, that has the limit too.
        let done = again.env(INSIDE, "1").stdin(std::process::Stdio::null()).output().unwrap();
        let said = [done.stdout, done.stderr].concat();
        return assert!(done.status.success(), "{}: {}", done.status, String::from_utf8_lossy(&said));
    }
    let house = House::new();
    let dir = house.dir.path().join("kept");
    std::fs::create_dir(&dir).unwrap();
    // Room for the register's own small files, and not for a backup.
    let (process, limit) = (std::process::id().to_string(), format!("--fsize={CHUNK}:"));
    let limited = std::process::Command::new("prlimit").args(["--pid", &process, &limit]).status();
    assert!(limited.expect("prlimit runs (apt-get install util-linux)").success());
    let full = house.make(&Target::Folder(dir.clone()), NOW);
    assert!(matches!(&full, Err(BackupError::Full { place, .. }) if place.contains("kept")), "{full:?}");
    assert_eq!(names(&dir), Vec::<String>::new());
}

fn spoilt(bytes: &[u8]) -> bool {
    let house = &FILE.0;
    let path = tempfile::NamedTempFile::new_in(house.dir.path()).unwrap();
    std::fs::write(path.path(), bytes).unwrap();
    is_read(path.path(), &house.identity).is_err()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_file_with_another_byte_is_refused(at in any::<prop::sample::Index>(), with in 1_u8..) {
        let mut bytes = FILE.2.clone();
        let at = at.index(bytes.len());
        bytes[at] ^= with;
        prop_assert!(spoilt(&bytes), "byte {at}");
    }

    #[test]
    fn a_header_with_another_byte_is_refused(at in 0_usize..220, with in 1_u8..) {
        let mut bytes = FILE.2.clone();
        bytes[at] ^= with;
        prop_assert!(spoilt(&bytes), "byte {at}");
    }

    #[test]
    fn a_file_that_was_cut_or_lengthened_is_refused(at in any::<prop::sample::Index>(), more in any::<[u8; 4]>()) {
        let bytes = &FILE.2;
        prop_assert!(spoilt(&bytes[..at.index(bytes.len())]));
        prop_assert!(spoilt(&[&bytes[..], &more].concat()));
    }

    #[test]
    fn a_file_whose_chunks_were_exchanged_is_refused(one in 0_usize..3, two in 0_usize..3) {
        prop_assume!(one != two);
        let mut bytes = FILE.2.clone();
        let from = bytes.len() - 3 * CHUNK;
        let (first, second) = (from % CHUNK + one * CHUNK, from % CHUNK + two * CHUNK);
        let (a, b) = (bytes[first..first + CHUNK].to_vec(), bytes[second..second + CHUNK].to_vec());
        bytes[first..first + CHUNK].copy_from_slice(&b);
        bytes[second..second + CHUNK].copy_from_slice(&a);
        prop_assert!(spoilt(&bytes));
    }
}
