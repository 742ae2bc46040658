//! A cache opens with its key and its caller's credential, in the state that it was written last, and in no other.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use chancery_delivery::Values;
use chancery_delivery::cache::{Cache, CacheError, Fresh, Moment};
use secrets::Reference;
use zeroize::Zeroizing;

const CANARY: &str = "canary-5c1e77f0aa";
const ORIGIN: &str = "https://ca.test:8443";

/// A folder for the cache, and one in memory for its key.
struct Host {
    folder: tempfile::TempDir,
    keys: tempfile::TempDir,
}

impl Host {
    fn new() -> Host {
        Host { folder: tempfile::tempdir().unwrap(), keys: tempfile::tempdir_in("/dev/shm").unwrap() }
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn cache(&self) -> Cache {
        self.of(&self.dir(), ORIGIN, 1)
    }

    fn of(&self, dir: &Path, origin: &str, identity: u8) -> Cache {
        Cache::open(dir, Some(self.keys.path()), origin, Zeroizing::new([identity; 32])).unwrap()
    }
}

fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

fn now() -> Moment {
    Moment::now().unwrap()
}

fn later(secs: u64) -> Moment {
    let now = now();
    Moment { boot_ms: now.boot_ms + secs * 1_000, unix_secs: now.unix_secs + secs, ..now }
}

fn keep(cache: &Cache, text: &str, version: u64, value: &str) {
    let reference = reference(text);
    let values = Values::default().with(reference.clone(), value.as_bytes().to_vec());
    let fresh = [Fresh { reference: &reference, version, lease_secs: 600 }];
    assert!(cache.keep(&fresh, &values, &now()).unwrap().is_empty());
}

fn take(cache: &Cache, text: &str, at: &Moment) -> Result<String, CacheError> {
    let wanted = HashSet::from([reference(text)]);
    let taken = cache.take(&wanted, at, None)?;
    Ok(String::from_utf8(taken.values.get(&reference(text)).unwrap().expose().to_vec()).unwrap())
}

fn files(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn what_was_kept_is_there_until_its_end_and_stands_nowhere_readable() {
    let host = Host::new();
    keep(&host.cache(), "chy://prod/db#password", 3, CANARY);
    assert_eq!(take(&host.cache(), "chy://prod/db#password", &now()).unwrap(), CANARY);
    let over = take(&host.cache(), "chy://prod/db#password", &later(600)).unwrap_err().to_string();
    assert!(over.contains("600 s") && over.contains("over"), "{over}");
    assert!(take(&host.cache(), "chy://prod/other", &now()).unwrap_err().to_string().contains("does not have"));
    let all: Vec<PathBuf> = files(&host.dir());
    assert_eq!(all.len(), 1, "one file: {all:?}");
    for file in all {
        let bytes = fs::read(&file).unwrap();
        assert!(
            !bytes.windows(6).any(|some| some == &CANARY.as_bytes()[..6] || some == b"passwo"),
            "{}",
            file.display()
        );
    }
}

#[test]
fn a_copy_opens_without_its_key_or_for_another_caller_or_server_nothing() {
    let (host, other_host) = (Host::new(), Host::new());
    keep(&host.cache(), "chy://a", 1, CANARY);
    fs::create_dir(other_host.dir()).unwrap();
    for file in files(&host.dir()) {
        fs::copy(&file, other_host.dir().join(file.file_name().unwrap())).unwrap();
    }
    // The disk was taken, and its key was in memory.
    assert!(take(&other_host.cache(), "chy://a", &now()).is_err());
    // The same host, another credential: by its own name, and with the file under that name.
    let other = host.of(&host.dir(), ORIGIN, 2);
    assert!(take(&other, "chy://a", &now()).is_err());
    keep(&other, "chy://b", 1, "x");
    let sealed = files(&host.dir());
    let [one, two] = sealed.as_slice() else { panic!("a file for each caller: {sealed:?}") };
    let (first, second) = (fs::read(one).unwrap(), fs::read(two).unwrap());
    fs::write(one, second).unwrap();
    fs::write(two, first).unwrap();
    assert!(take(&other, "chy://a", &now()).is_err() && take(&host.cache(), "chy://b", &now()).is_err());
    assert!(take(&host.of(&host.dir(), "https://other.test", 1), "chy://a", &now()).is_err());
}

#[test]
fn a_file_of_before_that_is_put_back_opens_nothing() {
    let host = Host::new();
    keep(&host.cache(), "chy://a", 1, "old");
    let file = files(&host.dir()).remove(0);
    let old = fs::read(&file).unwrap();
    host.cache().forget(&[reference("chy://a")]).unwrap();
    fs::write(&file, old).unwrap();
    assert!(take(&host.cache(), "chy://a", &now()).is_err(), "what was refused does not come back");
    // And it hinders nobody.
    keep(&host.cache(), "chy://a", 2, "new");
    assert_eq!(take(&host.cache(), "chy://a", &now()).unwrap(), "new");
    host.cache().forget_all().unwrap();
    assert!(take(&host.cache(), "chy://a", &now()).is_err() && files(&host.dir()).is_empty());
}

/// What a crash leaves: the new key beside the old one, and one of the two files.
#[test]
fn a_crash_while_it_is_written_leaves_what_was_there_before() {
    let host = Host::new();
    keep(&host.cache(), "chy://a", 1, "kept");
    let keys = files(&host.keys.path().join(format!(".chancery-cache.{}", rustix::process::geteuid().as_raw())));
    let key = keys.iter().find(|path| path.extension().is_some_and(|is| is == "key")).unwrap();
    let both = [[7; 32].as_slice(), &fs::read(key).unwrap()].concat();
    for left in [both.as_slice(), &both] {
        fs::write(key, left).unwrap();
        assert_eq!(take(&host.cache(), "chy://a", &now()).unwrap(), "kept");
    }
    let file = files(&host.dir()).remove(0);
    fs::write(file.with_extension("sealed.new"), "half").unwrap();
    keep(&host.cache(), "chy://b", 1, "also");
    assert_eq!(take(&host.cache(), "chy://a", &now()).unwrap(), "kept");
    assert_eq!(fs::read(key).unwrap().len(), 32, "the key of before is gone");
}

#[test]
fn what_is_read_is_in_the_journal_until_it_is_told() {
    let host = Host::new();
    keep(&host.cache(), "chy://a#user", 4, "x");
    assert!(host.cache().reads().unwrap().is_empty());
    for at in [now(), later(60)] {
        take(&host.cache(), "chy://a#user", &at).unwrap();
    }
    let reads = host.cache().reads().unwrap();
    let [read] = reads.as_slice() else { panic!("{reads:?}") };
    assert!(read.reference == "chy://a@4" && read.until >= read.since + 60, "{read:?}");
    host.cache().told(&reads).unwrap();
    assert!(host.cache().reads().unwrap().is_empty());
}

#[test]
fn its_key_lies_in_memory_and_its_folder_is_nobody_elses() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let host = Host::new();
    let disk = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let identity = || Zeroizing::new([1; 32]);
    let refused = Cache::open(&host.dir(), Some(disk), ORIGIN, identity());
    assert!(matches!(refused, Err(CacheError::KeysOnDisk(_))));
    let open = host.folder.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(Cache::open(&open, Some(host.keys.path()), ORIGIN, identity()), Err(CacheError::Foreign(_))));
    // A link in the place of the file leads nowhere.
    keep(&host.cache(), "chy://a", 1, "x");
    let (file, target) = (files(&host.dir()).remove(0), host.folder.path().join("target"));
    fs::rename(&file, &target).unwrap();
    symlink(&target, &file).unwrap();
    assert!(take(&host.cache(), "chy://a", &now()).is_err());
}
