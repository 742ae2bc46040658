//! Every step of `install`, failed, failed-but-done and torn; after each, what the folder shows, and a repair run.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use super::*;
use crate::credential::{Leaf, key_matches};
use crate::disk::RealDisk;
use crate::testing::{self, After, Face, FaultyDisk, WatchedDisk, bundle};

/// Where key and certificate go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    OneFolder,
    TwoFolders,
}

/// What stood there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    /// Plain files, from another tool.
    Plain,
    /// The key behind our switch, the certificate replaced by hand.
    Mixed,
    /// Installed by us.
    Installed,
}

const LAYOUTS: [Layout; 2] = [Layout::OneFolder, Layout::TwoFolders];
const BEFORE: [Before; 4] = [Before::Nothing, Before::Plain, Before::Mixed, Before::Installed];
const FACES: [Face; 3] = [Face::Failed, Face::FailedButDone, Face::Torn];

struct Host {
    folder: tempfile::TempDir,
    layout: Layout,
}

impl Host {
    fn new(layout: Layout) -> Self {
        let folder = testing::folder();
        fs::create_dir(folder.path().join("private")).unwrap();
        Self { folder, layout }
    }

    fn key(&self) -> PathBuf {
        match self.layout {
            Layout::OneFolder => self.folder.path().join("web.key"),
            Layout::TwoFolders => self.folder.path().join("private/web.key"),
        }
    }

    fn cert(&self) -> PathBuf {
        self.folder.path().join("web.pem")
    }

    /// A new pair as a set for this host.
    fn pair(&self) -> FileSet {
        let bundle = bundle("www.example.internal");
        let target = |path, text: &str, mode| Target { path, image: Some(Image::new(text.as_bytes().to_vec(), mode)) };
        FileSet {
            name: "web".to_owned(),
            owner: None,
            targets: vec![
                target(self.key(), bundle.key_pem(), 0o640),
                target(self.cert(), &bundle.fullchain_pem(), 0o644),
            ],
        }
    }

    fn shown(&self) -> FileSet {
        let (key, cert) = (self.key(), self.cert());
        FileSet::read("web", None, [key.as_path(), cert.as_path()].into_iter()).unwrap()
    }

    /// Both files are there and belong together.
    fn matches(&self) -> bool {
        let leaf = fs::read(self.cert()).ok().and_then(|pem| Leaf::first_of(&pem).ok());
        let key = fs::read_to_string(self.key()).ok();
        matches!((leaf, key), (Some(leaf), Some(key)) if key_matches(&key, &leaf))
    }

    fn both_there(&self) -> bool {
        self.key().exists() && self.cert().exists()
    }

    fn prepare(&self, before: Before) -> FileSet {
        match before {
            Before::Nothing => {}
            Before::Plain => self.write_plain(&self.pair()),
            Before::Installed => install(&RealDisk, &self.pair()).unwrap(),
            Before::Mixed => {
                let pair = self.pair();
                install(&RealDisk, &pair).unwrap();
                let cert = fs::read(self.cert()).unwrap();
                fs::remove_file(self.cert()).unwrap();
                fs::write(self.cert(), cert).unwrap();
            }
        }
        self.shown()
    }

    fn write_plain(&self, set: &FileSet) {
        for target in &set.targets {
            let image = target.image.as_ref().unwrap();
            fs::write(&target.path, image.content()).unwrap();
            fs::set_permissions(&target.path, fs::Permissions::from_mode(image.mode)).unwrap();
        }
    }
}

/// Runs `check` after each failed step, until an install comes through whole; how many steps there were.
fn at_each_step(layout: Layout, before: Before, face: Face, check: impl Fn(&Host, &FileSet, &FileSet, usize)) -> usize {
    for step in 0.. {
        let host = Host::new(layout);
        let old = host.prepare(before);
        let new = host.pair();
        let disk = FaultyDisk::new(step, face, After::Crash);
        let installed = install(&disk, &new);
        if !disk.failed() {
            installed.unwrap();
            return step;
        }
        check(&host, &old, &new, step);
    }
    unreachable!()
}

fn each_case(check: impl Fn(&Host, &FileSet, &FileSet, &str)) {
    for layout in LAYOUTS {
        for before in BEFORE {
            for face in FACES {
                let steps = at_each_step(layout, before, face, |host, old, new, step| {
                    check(host, old, new, &format!("{layout:?} {before:?} {face:?} step {step}"));
                });
                assert!(steps >= 6, "{layout:?} {before:?}: only {steps} steps were tried");
            }
        }
    }
}

#[test]
fn a_run_after_a_crash_ends_in_the_new_pair() {
    each_case(|host, _, new, case| {
        install(&RealDisk, new).unwrap_or_else(|e| panic!("{case}: {e}"));
        assert_eq!(&host.shown(), new, "{case}");
        assert!(host.matches(), "{case}");
    });
}

#[test]
fn a_way_back_after_a_crash_ends_in_the_old_files_byte_for_byte() {
    each_case(|host, old, _, case| {
        install(&RealDisk, old).unwrap_or_else(|e| panic!("{case}: {e}"));
        assert_eq!(&host.shown(), old, "{case}");
    });
}

#[test]
fn a_crash_in_one_folder_never_shows_a_mixed_pair() {
    each_case(|host, old, new, case| {
        if host.layout == Layout::OneFolder && host.both_there() {
            assert!(host.matches(), "{case}");
            let shown = host.shown();
            assert!(&shown == old || &shown == new, "{case}: neither old nor new");
        }
    });
}

#[test]
fn a_crash_in_several_folders_leaves_whole_files_at_least() {
    each_case(|host, old, new, case| {
        let shown = host.shown();
        for ((is, was), will) in shown.targets.iter().zip(&old.targets).zip(&new.targets) {
            assert!(is == was || is == will, "{case}: {} is torn", is.path.display());
        }
    });
}

#[test]
fn a_crash_never_leaves_a_key_open_to_others() {
    each_case(|host, _, new, case| {
        let key = new.targets[0].image.as_ref().unwrap().content();
        for entry in walk(host.folder.path()) {
            let metadata = fs::symlink_metadata(&entry).unwrap();
            if metadata.is_file() && fs::read(&entry).unwrap() == key {
                assert_eq!(metadata.mode() & 0o007, 0, "{case}: {}", entry.display());
            }
        }
    });
}

#[test]
fn a_power_loss_takes_no_folder_that_a_link_leads_into() {
    for layout in LAYOUTS {
        for before in BEFORE {
            let host = Host::new(layout);
            host.prepare(before);
            let disk = WatchedDisk::default();
            install(&disk, &host.pair()).unwrap();
            disk.assert_durable();
        }
    }
}

#[test]
fn the_switch_is_one_rename() {
    let host = Host::new(Layout::OneFolder);
    host.prepare(Before::Installed);
    let link = fs::read_link(host.key()).unwrap();
    install(&RealDisk, &host.pair()).unwrap();
    assert_eq!(fs::read_link(host.key()).unwrap(), link, "the link itself stays");
    assert_eq!(link, Path::new(".chancery-web/current/web.key"));
}

#[test]
fn an_old_key_does_not_stay_behind() {
    let host = Host::new(Layout::OneFolder);
    for _ in 0..4 {
        install(&RealDisk, &host.pair()).unwrap();
    }
    let keys = walk(host.folder.path()).into_iter().filter(|path| path.ends_with("web.key") && !path.is_symlink());
    assert_eq!(keys.count(), 1);
}

#[test]
fn an_install_of_what_is_there_changes_nothing() {
    let host = Host::new(Layout::OneFolder);
    let pair = host.pair();
    install(&RealDisk, &pair).unwrap();
    let inode = fs::metadata(host.key()).unwrap().ino();
    install(&RealDisk, &pair).unwrap();
    assert_eq!(fs::metadata(host.key()).unwrap().ino(), inode);
}

#[test]
fn a_file_changed_through_its_link_is_put_right() {
    let host = Host::new(Layout::OneFolder);
    let pair = host.pair();
    install(&RealDisk, &pair).unwrap();
    fs::write(host.cert(), "scribble").unwrap();
    install(&RealDisk, &pair).unwrap();
    assert!(host.matches());
}

#[test]
fn a_path_without_a_file_in_the_set_is_removed() {
    for layout in LAYOUTS {
        let host = Host::new(layout);
        host.prepare(Before::Installed);
        let mut set = host.shown();
        set.targets[1].image = None;
        install(&RealDisk, &set).unwrap();
        assert!(!host.cert().exists() && !host.cert().is_symlink(), "{layout:?}");
        assert!(host.key().exists());
    }
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let host = Host::new(Layout::TwoFolders);
    fs::remove_dir(host.folder.path().join("private")).unwrap();
    let error = install(&RealDisk, &host.pair()).unwrap_err().to_string();
    assert!(error.contains("private"), "{error}");
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(walk(&path));
        }
        found.push(path);
    }
    found
}

/// A folder of somebody else, with what must not be lost.
fn victim(host: &Host) -> PathBuf {
    let victim = host.folder.path().join("victim");
    fs::create_dir_all(victim.join("15/deep")).unwrap();
    fs::write(victim.join("15/deep/precious"), "precious").unwrap();
    fs::write(victim.join("web.key"), "precious").unwrap();
    victim
}

fn unharmed(victim: &Path) -> bool {
    let precious = [victim.join("15/deep/precious"), victim.join("web.key")];
    precious.iter().all(|path| fs::read(path).is_ok_and(|bytes| bytes == b"precious")) && walk(victim).len() == 4
}

#[test]
fn a_link_that_a_service_put_in_the_way_leads_nowhere() {
    use std::os::unix::fs::symlink;
    // In place of the store: nothing is written, read or removed behind it.
    let host = Host::new(Layout::OneFolder);
    let victim_ = victim(&host);
    symlink(&victim_, host.folder.path().join(".chancery-web")).unwrap();
    let error = install(&RealDisk, &host.pair()).unwrap_err().chain();
    assert!(error.contains("links are not followed") && unharmed(&victim_), "{error}");

    // In place of the switch.
    let host = Host::new(Layout::OneFolder);
    host.prepare(Before::Installed);
    let victim_ = victim(&host);
    let current = host.folder.path().join(".chancery-web/current");
    fs::remove_file(&current).unwrap();
    symlink("../victim", &current).unwrap();
    assert_eq!(FileSet::read("web", None, [host.key().as_path()].into_iter()).unwrap().targets[0].image, None);
    install(&RealDisk, &host.pair()).unwrap();
    assert!(host.matches() && unharmed(&victim_));

    // In place of a file, of a folder, and of one above it.
    for layout in LAYOUTS {
        let host = Host::new(layout);
        let victim_ = victim(&host);
        symlink(victim_.join("web.key"), host.key()).unwrap();
        assert!(FileSet::read("web", None, [host.key().as_path()].into_iter()).is_err(), "{layout:?}");
        let _ = install(&RealDisk, &host.pair());
        assert!(unharmed(&victim_), "{layout:?}");
    }
    let host = Host::new(Layout::TwoFolders);
    let victim_ = victim(&host);
    fs::remove_dir(host.folder.path().join("private")).unwrap();
    symlink(&victim_, host.folder.path().join("private")).unwrap();
    let error = install(&RealDisk, &host.pair()).unwrap_err().chain();
    assert!(error.contains("links are not followed") && unharmed(&victim_), "{error}");
}

/// Whoever owns the folder of the certificate can give the store's name to a folder of root's that stands beside it.
#[test]
fn a_folder_that_was_renamed_to_the_stores_name_is_not_emptied() {
    let host = Host::new(Layout::OneFolder);
    let backups = host.folder.path().join(".chancery-web");
    fs::create_dir_all(backups.join("20261101")).unwrap();
    fs::write(backups.join("20261101/precious"), "precious").unwrap();
    let paths = [host.key(), host.cert()];
    assert!(ready("web", None, paths.iter().map(PathBuf::as_path)).is_err());
    let refused = install(&RealDisk, &host.pair()).unwrap_err();
    assert!(refused.chain().contains("no folder that the agent made for web"), "{}", refused.chain());
    assert!(backups.join("20261101/precious").exists() && !host.key().exists());
    // Nor is another certificate's store taken for it.
    fs::rename(&backups, host.folder.path().join("away")).unwrap();
    install(&RealDisk, &host.pair()).unwrap();
    fs::rename(&backups, host.folder.path().join(".chancery-mail")).unwrap();
    let named = FileSet { name: "mail".to_owned(), ..host.pair() };
    assert!(install(&RealDisk, &named).is_err());
}
