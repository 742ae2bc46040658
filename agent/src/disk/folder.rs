//! A folder, opened once, without following a link anywhere on the way, and held: what is done in it is done by its
//! descriptor, wherever its name leads meanwhile.
//!
//! The agent runs as root and keeps files in folders of services. Whoever owns such a folder, or one above it, can put a link
//! in the way of any name; so no name is resolved twice, and none through a link.
//! Trusted for: nothing outside the folder that was meant is read, written or removed. Whoever owns that folder can at most
//! make the agent fail in it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use policy::Secret;
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, StatxAttributes, StatxFlags, fstat, openat, readlinkat, statat,
    statx,
};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::image::Image;
use super::lock::Lock;

/// Whose a folder may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Anybody's: what is done there is public, or only read.
    Any,
    /// The agent's own.
    Agent,
    /// The agent's, root's, or this user's, whom the plan names.
    Named(Option<u32>),
}

impl Owner {
    fn allows(self, uid: u32) -> bool {
        let own = geteuid().as_raw();
        match self {
            Owner::Any => true,
            Owner::Agent => uid == own,
            Owner::Named(named) => uid == own || uid == 0 || named == Some(uid),
        }
    }
}

/// An open folder.
#[derive(Debug)]
pub(crate) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Opens the folder `path`. No part of it may be a link, and each, and the folder, has to be of an owner that is allowed:
    /// whoever owns a folder on the way decides where it leads. For `Agent` that is the folder itself; those above it may be root's.
    pub fn open(path: &Path, owner: Owner) -> io::Result<Folder> {
        let above = match owner {
            Owner::Agent => Owner::Named(None),
            other => other,
        };
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let from = if path.is_absolute() { "/" } else { "." };
        let mut folder = Folder { fd: openat(CWD, from, FOLDER, Mode::empty())?, path: PathBuf::from(from) };
        let parts: Vec<&OsStr> = path
            .components()
            .filter_map(|part| match part {
                Component::Normal(_) | Component::ParentDir => Some(part.as_os_str()),
                Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
            })
            .collect();
        folder.check(if parts.is_empty() { owner } else { above })?;
        for (at, part) in parts.iter().enumerate() {
            let last = at + 1 == parts.len();
            folder = folder.below(part, if last { owner } else { above })?;
        }
        Ok(folder)
    }

    /// Opens the folder `name` in this one, which is no link.
    pub fn below(&self, name: &OsStr, owner: Owner) -> io::Result<Folder> {
        let path = self.path.join(name);
        let fd = match openat(&self.fd, name, FOLDER, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::LOOP | Errno::NOTDIR) => {
                return Err(io::Error::other(format!(
                    "{} is no folder of its own: links are not followed",
                    path.display()
                )));
            }
            Err(error) => return Err(error.into()),
        };
        let folder = Folder { fd, path };
        folder.check(owner)?;
        Ok(folder)
    }

    fn check(&self, owner: Owner) -> io::Result<()> {
        let stat = fstat(&self.fd)?;
        let shown = self.path.display();
        if !owner.allows(stat.st_uid) {
            let says = match owner {
                Owner::Agent => format!("{shown} belongs to user {}, not to the agent", stat.st_uid),
                Owner::Any | Owner::Named(_) => format!(
                    "{shown} belongs to user {0}, who decides what is in it: write owner = \"{0}\" into files, or give the \
                     folder to root",
                    stat.st_uid
                ),
            };
            return Err(io::Error::new(ErrorKind::PermissionDenied, says));
        }
        let (everybody, sticky) = (stat.st_mode & 0o002 != 0, stat.st_mode & 0o1000 != 0);
        if everybody && !sticky && owner != Owner::Any && !self.is_a_pods_volume() {
            let says = format!("{shown} may be written by everybody");
            return Err(io::Error::new(ErrorKind::PermissionDenied, says));
        }
        Ok(())
    }

    /// Whether it is the root of a mount, and we are not root: a pod's volume (an `emptyDir` has mode 0777), which its containers alone see.
    /// Whoever is not root has nothing there that is not his.
    fn is_a_pods_volume(&self) -> bool {
        !geteuid().is_root() && self.is_mount(OsStr::new("."))
    }

    /// The name it was opened by, for people.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The mode and owner.
    pub fn stat(&self) -> io::Result<Stat> {
        Ok(fstat(&self.fd)?)
    }

    /// What stands under a name, a link itself and not what it leads to.
    pub fn look(&self, name: &OsStr) -> io::Result<Option<Stat>> {
        match statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What a link says; none where there is no link.
    pub fn link(&self, name: &OsStr) -> Option<PathBuf> {
        let target = readlinkat(&self.fd, name, Vec::new()).ok()?;
        Some(PathBuf::from(OsString::from_vec(target.into_bytes())))
    }

    /// Whether a file is a mount of its own, as containers bind single files: it cannot be renamed over.
    pub fn is_mount(&self, name: &OsStr) -> bool {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        statx(&self.fd, name, flags, StatxFlags::BASIC_STATS)
            .is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
    }

    /// The file under a name; none where there is nothing. A link is refused.
    pub fn read(&self, name: &OsStr) -> io::Result<Option<Image>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let mut file = match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => {
                return Err(io::Error::other(
                    "it is a link, and links are not followed: name what it leads to, or remove it",
                ));
            }
            Err(error) => return Err(error.into()),
        };
        let stat = fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("it is no regular file"));
        }
        // With room for all of it: nothing is copied, and left behind, while it is read.
        let room = u64::try_from(stat.st_size).unwrap_or(0).min(FILE_BYTES_MAX) + 2;
        let mut content = Vec::with_capacity(usize::try_from(room).unwrap_or(0));
        file.by_ref().take(FILE_BYTES_MAX + 1).read_to_end(&mut content)?;
        let content = Secret::new(content);
        if content.expose().len() as u64 > FILE_BYTES_MAX {
            return Err(io::Error::other("it has more than 1 MiB"));
        }
        Ok(Some(Image::found(content, stat.st_mode & 0o7777, stat.st_uid, stat.st_gid)))
    }

    /// The names in it.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let readable = openat(&self.fd, ".", FOLDER_READ, Mode::empty())?;
        let mut names = Vec::new();
        for entry in Dir::read_from(readable)? {
            let name = entry?.file_name().to_owned();
            if !matches!(name.as_bytes(), b"." | b"..") {
                names.push(OsStr::from_bytes(name.as_bytes()).to_owned());
            }
        }
        Ok(names)
    }

    /// The lock of a file that has this name; none where somebody else holds it. The file is made where it lacks, and stays.
    ///
    /// It is the agent's user's alone, as flock(2) asks for no right but an open descriptor: on what others may open, a folder that they may
    /// list among it, anybody could hold it for ever.
    pub fn lock(&self, name: &OsStr) -> io::Result<Option<Lock>> {
        let file = match openat(&self.fd, name, LOCK_FILE, Mode::RUSR | Mode::WUSR) {
            Ok(fd) => File::from(fd),
            Err(error) => {
                // What stands there says more than why it cannot be opened.
                if let Some(stat) = self.look(name)? {
                    check_lock(&stat)?;
                }
                return Err(error.into());
            }
        };
        let stat = fstat(&file)?;
        check_lock(&stat)?;
        let Some(lock) = Lock::take(file)? else { return Ok(None) };
        // Whoever took the file away meanwhile, or put another there, is alone with that one: who holds the old one is not.
        let stands = self.look(name)?.is_some_and(|now| (now.st_dev, now.st_ino) == (stat.st_dev, stat.st_ino));
        Ok(stands.then_some(lock))
    }

    /// A name in it.
    pub fn spot<'a>(&'a self, name: &'a OsStr) -> Spot<'a> {
        Spot { folder: self, name }
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Refuses a lock's file that somebody else may open, or put there.
fn check_lock(stat: &Stat) -> io::Result<()> {
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let is_own = stat.st_uid == geteuid().as_raw();
    if is_file && is_own && stat.st_mode & 0o077 == 0 && stat.st_nlink == 1 {
        return Ok(());
    }
    let says = format!(
        "it is there and is not this agent's alone (a file of user {}, mode {:04o}): agents that keep the same file run as one user; where \
         there is no other agent, remove it",
        stat.st_uid,
        stat.st_mode & 0o7777
    );
    Err(io::Error::new(ErrorKind::PermissionDenied, says))
}

/// A name in an open folder.
#[derive(Clone, Copy)]
pub(crate) struct Spot<'a> {
    pub folder: &'a Folder,
    pub name: &'a OsStr,
}

impl Spot<'_> {
    /// For people.
    pub fn path(&self) -> PathBuf {
        self.folder.path.join(self.name)
    }
}

/// Held for what is in it.
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// The same folder once more, for its list or to be flushed.
pub(super) const FOLDER_READ: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// The file of a lock: never through a link, and nobody at the other end of a FIFO is waited for.
const LOCK_FILE: OFlags = OFlags::RDWR
    .union(OFlags::CREATE)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);
/// Largest file taken over: a key or a chain is a few KiB.
const FILE_BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_link_on_the_way_is_followed() {
        let base = tempfile::tempdir().unwrap();
        let real = base.path().join("real/inner");
        fs::create_dir_all(&real).unwrap();
        Folder::open(&real, Owner::Named(None)).unwrap();
        symlink(base.path().join("real"), base.path().join("link")).unwrap();
        for path in ["link", "link/inner"] {
            let refused = Folder::open(&base.path().join(path), Owner::Any).unwrap_err().to_string();
            assert!(refused.contains("links are not followed"), "{path}: {refused}");
        }
        fs::write(real.join("file"), "precious").unwrap();
        symlink("file", real.join("to-file")).unwrap();
        let folder = Folder::open(&real, Owner::Any).unwrap();
        assert!(folder.read(OsStr::new("to-file")).unwrap_err().to_string().contains("link"));
        assert_eq!(folder.read(OsStr::new("file")).unwrap().unwrap().content(), b"precious");
        assert!(folder.read(OsStr::new("none")).unwrap().is_none());
    }

    #[test]
    fn a_folder_that_is_moved_away_stays_the_one_that_was_opened() {
        let base = tempfile::tempdir().unwrap();
        let (mine, moved, victim) = (base.path().join("mine"), base.path().join("moved"), base.path().join("victim"));
        for folder in [&mine, &victim] {
            fs::create_dir(folder).unwrap();
        }
        fs::write(victim.join("file"), "precious").unwrap();
        let folder = Folder::open(&mine, Owner::Any).unwrap();
        fs::rename(&mine, &moved).unwrap();
        symlink(&victim, &mine).unwrap();
        assert!(folder.read(OsStr::new("file")).unwrap().is_none(), "the victim's is not seen");
    }

    #[test]
    fn a_lock_lies_on_a_file_that_nobody_else_can_open() {
        use std::os::unix::fs::PermissionsExt;
        let base = tempfile::tempdir().unwrap();
        fs::set_permissions(base.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let folder = Folder::open(base.path(), Owner::Named(None)).unwrap();
        let (name, path) = (OsStr::new(".a.lock"), base.path().join(".a.lock"));
        // Whoever may list the folder may open it, and hold its lock: that is another one.
        let stranger = File::open(base.path()).unwrap();
        stranger.lock_shared().unwrap();
        let held = folder.lock(name).unwrap().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert!(folder.lock(name).unwrap().is_none() && folder.lock(OsStr::new(".b.lock")).unwrap().is_some());
        drop(held);
        drop(folder.lock(name).unwrap().unwrap());
        // What others can open, or what leads elsewhere, is none.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = |why: &str| {
            let said = folder.lock(name).unwrap_err().to_string();
            assert!(said.contains("not this agent's alone") && said.contains("remove it"), "{why}: {said}");
        };
        refused("others read it");
        fs::remove_file(&path).unwrap();
        symlink("precious", &path).unwrap();
        refused("a link");
        assert!(!base.path().join("precious").exists());
        fs::remove_file(&path).unwrap();
        fs::write(base.path().join("two"), "").unwrap();
        fs::set_permissions(base.path().join("two"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::hard_link(base.path().join("two"), &path).unwrap();
        refused("a file of two names");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        refused("a folder");
    }

    #[test]
    fn whose_a_folder_may_be_is_said_by_the_plan() {
        let own = geteuid().as_raw();
        assert!(Owner::Agent.allows(own) && !Owner::Agent.allows(own + 1));
        assert!(Owner::Named(None).allows(0) && !Owner::Named(None).allows(own + 7));
        assert!(Owner::Named(Some(own + 7)).allows(own + 7) && !Owner::Named(Some(own + 7)).allows(own + 8));
    }

    #[test]
    fn a_folder_that_everybody_may_write_is_no_place_for_a_key() {
        use std::os::unix::fs::PermissionsExt;
        let base = tempfile::tempdir().unwrap();
        fs::set_permissions(base.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(Folder::open(base.path(), Owner::Named(None)).unwrap_err().to_string().contains("everybody"));
        fs::set_permissions(base.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        Folder::open(base.path(), Owner::Named(None)).unwrap();
    }
}
