//! What stands at a place, and what becomes of it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use super::*;
use crate::failure::Failure;

fn new(path: &Path) -> Result<Place, Failure> {
    Outputs::new(false).place(path, PUBLIC, Standing::Forced)
}

fn forced(path: &Path) -> Result<Place, Failure> {
    Outputs::new(true).place(path, PUBLIC, Standing::Forced)
}

fn refused(place: Result<Place, Failure>) -> String {
    place.map(|place| place.shown()).unwrap_err().to_string()
}

fn names(dir: &Path) -> usize {
    fs::read_dir(dir).unwrap().count()
}

#[test]
fn a_place_that_is_given_up_leaves_nothing_and_one_that_is_filled_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    let held = new(&path).unwrap();
    assert_eq!(names(dir.path()), 0, "what is not whole has no name");
    drop(held);
    assert_eq!(names(dir.path()), 0);
    Outputs::new(false).place(&path, SECRET, Standing::Never).unwrap().fill(b"one").unwrap();
    assert_eq!((fs::read(&path).unwrap(), fs::metadata(&path).unwrap().mode() & 0o777), (b"one".to_vec(), 0o600));
    assert_eq!(names(dir.path()), 1, "no temporary file stays behind");
    assert!(refused(new(&dir.path().join("no/such/folder"))).contains("make the folder"));
}

#[test]
fn what_exists_goes_away_by_force_alone_and_leaves_its_mode() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cert.pem");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(refused(new(&path)).contains("--force"));
    assert_eq!(fs::read(&path).unwrap(), b"old");
    forced(&path).unwrap().fill(b"new").unwrap();
    assert_eq!((fs::read(&path).unwrap(), fs::metadata(&path).unwrap().mode() & 0o777), (b"new".to_vec(), 0o640));
    let is_new = |bytes: &[u8]| bytes == b"new";
    Outputs::new(false).place(&path, PUBLIC, Standing::Predecessor(&is_new)).unwrap().fill(b"newer").unwrap();
    assert!(refused(Outputs::new(false).place(&path, PUBLIC, Standing::Predecessor(&is_new))).contains("--force"));
    let alone = refused(Outputs::new(true).place(&path, PUBLIC, Standing::PredecessorAlone(&is_new)));
    assert!(alone.contains("move the file away") && !alone.contains("--force"), "{alone}");
    assert!(refused(Outputs::new(true).place(&path, PUBLIC, Standing::Never)).contains("exists already"));
}

#[test]
fn a_folder_that_was_made_for_nothing_goes_away() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("a/b");
    drop(Folder::take(&out).unwrap());
    assert_eq!(names(dir.path()), 0);
    let folder = Folder::take(&out).unwrap();
    fs::write(out.join("cert.pem"), "x").unwrap();
    drop(folder);
    assert!(out.join("cert.pem").exists());
    drop(Folder::take(&dir.path().join("a")).unwrap());
    assert!(out.exists(), "one that was there stays");
    assert!(Folder::take(&out.join("cert.pem")).map(drop).unwrap_err().to_string().contains("is no folder"));
    assert!(Folder::take(Path::new("-")).is_err());
}

#[test]
fn an_empty_folder_that_nothing_was_written_to_goes_away_with_those_above_it() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("a/b/c");
    let folder = Folder::take_empty(&out).unwrap();
    assert_eq!(fs::metadata(&out).unwrap().mode() & 0o777, 0o700);
    drop(folder);
    assert_eq!(names(dir.path()), 0);
    // What was there stays, and so does what has something in it.
    fs::create_dir(dir.path().join("a")).unwrap();
    drop(Folder::take_empty(&out).unwrap());
    assert_eq!((names(dir.path()), names(&dir.path().join("a"))), (1, 0));
    let folder = Folder::take_empty(&out).unwrap();
    fs::write(out.join("x"), "").unwrap();
    drop(folder);
    assert!(out.join("x").exists());
    assert!(Folder::take_empty(&out).map(drop).unwrap_err().to_string().contains("not empty"));
    assert!(out.join("x").exists());
}

#[test]
fn a_private_key_never_goes_away() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("id");
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n-----END OPENSSH PRIVATE KEY-----\n";
    fs::write(&path, key).unwrap();
    assert!(refused(forced(&path)).contains("private key"));
    assert_eq!(fs::read_to_string(&path).unwrap(), key);
}

#[test]
fn a_private_key_that_is_over_goes_away_by_force_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("id");
    let key = |word: &str| format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{word}\n-----END OPENSSH PRIVATE KEY-----\n");
    let is_over = |bytes: &[u8]| bytes == key("over").as_bytes();
    let place = |force| Outputs::new(force).place(&path, SECRET, Standing::Over(&is_over));
    fs::write(&path, key("over")).unwrap();
    assert!(refused(place(false)).contains("--force"));
    place(true).unwrap().fill(key("live").as_bytes()).unwrap();
    for force in [false, true] {
        assert!(refused(place(force)).contains("never replaced"));
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), key("live"));
    fs::write(&path, "a note").unwrap();
    assert!(refused(place(false)).contains("--force"));
    assert!(place(true).is_ok());
}

#[test]
fn nothing_has_a_place_beside_a_stream() {
    let dir = tempfile::tempdir().unwrap();
    for stream in ["-", "/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/fd/7", "/proc/self/fd/7", "/dev/null"] {
        assert!(is_stream(Path::new(stream)), "{stream}");
    }
    let fifo = dir.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    assert!(is_stream(&fifo));
    fs::write(dir.path().join("file"), "").unwrap();
    for file in ["file", "new", "."] {
        assert!(!is_stream(&dir.path().join(file)), "{file}");
    }
}

#[test]
fn links_are_not_followed_and_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (target, link) = (dir.path().join("precious"), dir.path().join("out"));
    for there in [false, true] {
        if there {
            fs::write(&target, "precious").unwrap();
        }
        let _ = fs::remove_file(&link);
        symlink(&target, &link).unwrap();
        let said = refused(forced(&link));
        assert!(said.contains("symbolic link") && said.contains("precious"), "{said}");
        assert!(link.is_symlink() && target.exists() == there);
    }
}

#[test]
fn input_and_output_are_not_one_file_nor_two_outputs() {
    let dir = tempfile::tempdir().unwrap();
    let (path, hard) = (dir.path().join("g"), dir.path().join("h"));
    fs::write(&path, "artefact").unwrap();
    fs::hard_link(&path, &hard).unwrap();
    let input = Input::open(&path).unwrap();
    for same in [&path, &hard] {
        assert!(refused(Outputs::new(true).reading(&input).place(same, PUBLIC, Standing::Forced)).contains("is read"));
    }
    let mut outputs = Outputs::new(true);
    let one = outputs.place(&dir.path().join("x"), PUBLIC, Standing::Forced).unwrap();
    let two = outputs.place(&dir.path().join("./x"), PUBLIC, Standing::Forced);
    assert!(refused(two).contains("one place"));
    one.fill(b"x").unwrap();
    outputs.place(Path::new("-"), PUBLIC, Standing::Forced).unwrap();
    assert!(outputs.use_stdout());
    assert!(refused(outputs.place(Path::new("/dev/stdout"), PUBLIC, Standing::Forced)).contains("one place"));
}

#[test]
fn what_changed_since_it_was_looked_at_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (path, other) = (dir.path().join("a"), dir.path().join("b"));
    let place = new(&path).unwrap();
    fs::write(&path, "somebody's").unwrap();
    assert!(place.fill(b"mine").unwrap_err().to_string().contains("left alone"));
    let place = forced(&path).unwrap();
    fs::write(&other, "another's").unwrap();
    fs::rename(&other, &path).unwrap();
    assert!(place.fill(b"mine").is_err());
    assert_eq!(fs::read(&path).unwrap(), b"another's");
    assert_eq!(names(dir.path()), 1);
}

#[test]
fn a_name_of_the_longest_kind_has_room() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n".repeat(255));
    new(&path).unwrap().fill(b"x").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"x");
}

#[test]
fn a_folder_for_many_files_is_one_that_nobody_else_writes_to() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b");
    empty_folder(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
    empty_folder(&path).unwrap();
    for shared in [0o720, 0o702, 0o1777] {
        fs::set_permissions(&path, fs::Permissions::from_mode(shared)).unwrap();
        assert!(empty_folder(&path).unwrap_err().to_string().contains("others may write"), "{shared:o}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    empty_folder(&path).unwrap();
    fs::write(path.join("x"), "").unwrap();
    assert!(empty_folder(&path).unwrap_err().to_string().contains("not empty"));
    assert!(empty_folder(&path.join("x")).is_err());
}

#[test]
fn a_device_is_written_into_and_stays_one() {
    use std::os::unix::fs::FileTypeExt;
    forced(Path::new("/dev/null")).unwrap().fill(b"x").unwrap();
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    assert!(new(Path::new("/dev/full")).unwrap().fill(b"x").is_err());
}

/// Somebody else's FIFO would be given the secret, and somebody else's file in a folder for everybody would stay his.
#[test]
fn what_another_user_put_in_the_way_is_given_nothing() {
    const NOBODY: u32 = 65_534;
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let (fifo, file) = (dir.path().join("fifo"), dir.path().join("file"));
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::from_raw_mode(0o666)).unwrap();
    fs::write(&file, "").unwrap();
    // A reader, so that a FIFO that is opened is not waited for.
    let _reader = fs::OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
    for path in [&fifo, &file] {
        drop(forced(path).unwrap());
        // Only root can play the other one.
        if std::os::unix::fs::chown(path, Some(NOBODY), None).is_ok() {
            assert!(refused(forced(path)).contains("belongs to user 65534"), "{}", path.display());
        }
    }
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(forced(&file).is_ok(), "in a folder of one's own a file keeps its owner");
}
