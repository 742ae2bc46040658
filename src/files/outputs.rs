//! Where one command writes: every place is looked at, and held, before anything is asked of the server.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::input::{Identity, Input};
use super::names::{note, shown};
use super::place::{Draft, Place};
use crate::failure::{Exit, Failure, OrFail};

/// What is looked at of a file that stands at a place: more than any key, certificate or signature has.
const LOOK_BYTES_MAX: u64 = 64 << 10;
/// What every private key in PEM, and OpenSSH's, has in its first line.
const PRIVATE_KEY: &[u8] = b"PRIVATE KEY-----";

/// What may go away when a place is filled.
pub enum Standing<'a> {
    /// Nothing, not even by `--force`.
    Never,
    /// Nothing, unless by `--force`.
    Forced,
    /// What this says of itself that the new one replaces it; anything else by `--force`.
    Predecessor(&'a dyn Fn(&[u8]) -> bool),
    /// The same of a command without `--force`: anything else stays.
    PredecessorAlone(&'a dyn Fn(&[u8]) -> bool),
    /// Nothing, unless by `--force`; of private keys those alone that this says are over.
    Over(&'a dyn Fn(&[u8]) -> bool),
    /// A file of the program's own.
    Ours,
}

/// Where one command writes.
pub struct Outputs {
    force: bool,
    inputs: Vec<(Identity, PathBuf)>,
    taken: Vec<(Spot, PathBuf)>,
}

/// Which place, whatever its name is.
#[derive(PartialEq)]
enum Spot {
    StandardOutput,
    /// Something that is there.
    Thing(Identity),
    /// A name in a folder.
    Name(Identity, OsString),
}

impl Outputs {
    /// None yet. `force` is what the command line says of files that are there.
    pub fn new(force: bool) -> Self {
        Self { force, inputs: Vec::new(), taken: Vec::new() }
    }

    /// What the command reads: nothing is written over it.
    pub fn reading(mut self, input: &Input) -> Self {
        self.inputs.push((input.identity(), input.path().to_owned()));
        self
    }

    /// Whether one of the places is standard output: nothing else may stand there then.
    pub fn use_stdout(&self) -> bool {
        self.taken.iter().any(|(spot, _)| *spot == Spot::StandardOutput)
    }

    /// Takes a place. Its folder is there and writable, there is room, and what stands there may go away, or it is refused.
    pub fn place(&mut self, path: &Path, mode: u32, standing: Standing<'_>) -> Result<Place, Failure> {
        match descriptor(path) {
            Some(1) => {
                self.take(Spot::StandardOutput, path)?;
                Ok(Place::standard_output())
            }
            // What was opened for us was meant, whosever it is.
            Some(_) => self.stream(path, open_stream(&CWD, path.as_os_str(), OFlags::empty()).or_fail(said(path))?),
            None => self.named(path, mode, standing),
        }
    }

    fn named(&mut self, path: &Path, mode: u32, standing: Standing<'_>) -> Result<Place, Failure> {
        let said = || said(path);
        let name = path.file_name().ok_or_else(|| Failure::new(Exit::Failed, said()).help("name a file"))?;
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let held = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(CWD, parent, held, Mode::empty())
            .map_err(io::Error::from)
            .or_fail(said())
            .map_err(|f| f.help(format!("make the folder {} first, or name another", shown(parent))))?;
        let there = match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Some(stat),
            Err(Errno::NOENT) => None,
            Err(error) => return Err(io::Error::from(error)).or_fail(said()),
        };
        let is = |stat: &Stat| FileType::from_raw_mode(stat.st_mode);
        let replaced = match there {
            None => None,
            Some(stat) => match is(&stat) {
                FileType::RegularFile => {
                    let inside = fstat(&folder).map_err(io::Error::from).or_fail(said())?;
                    if inside.st_mode & 0o002 != 0 && ![own(), inside.st_uid].contains(&stat.st_uid) {
                        return Err(of_another(path, &stat));
                    }
                    self.may_go(path, (&folder, name), &stat, &standing)?;
                    Some(stat)
                }
                FileType::Fifo | FileType::CharacterDevice => {
                    let is_others = |stat: &Stat| is(stat) == FileType::Fifo && ![own(), 0].contains(&stat.st_uid);
                    if is_others(&stat) {
                        return Err(of_another(path, &stat));
                    }
                    let file = open_stream(&folder, name, OFlags::NOFOLLOW).or_fail(said())?;
                    let stat = fstat(&file).map_err(io::Error::from).or_fail(said())?;
                    return if is_others(&stat) { Err(of_another(path, &stat)) } else { self.stream(path, file) };
                }
                FileType::Symlink => {
                    let target = readlinkat(&folder, name, Vec::new()).unwrap_or_default();
                    let target = note(OsStr::from_bytes(target.as_bytes()));
                    let says = format!("{} is a symbolic link, and links are not followed", shown(path));
                    return Err(Failure::new(Exit::Failed, says).help(format!("name what it leads to: {target}")));
                }
                FileType::Directory => {
                    return Err(Failure::new(Exit::Failed, format!("{} is a folder", shown(path))).help("name a file"));
                }
                FileType::BlockDevice | FileType::Socket | FileType::Unknown => {
                    let says = format!("{} is neither a file nor a stream", shown(path));
                    return Err(Failure::new(Exit::Failed, says).help("name another place"));
                }
            },
        };
        match &replaced {
            Some(stat) => self.take(Spot::Thing(identity(stat)), path)?,
            None => {
                let inside = fstat(&folder).map_err(io::Error::from).or_fail(said())?;
                self.take(Spot::Name(identity(&inside), name.to_owned()), path)?;
            }
        }
        let draft =
            Draft::make(folder, name.to_owned(), mode, replaced.as_ref()).or_fail(said()).map_err(
                |f| match &replaced {
                    Some(_) => f.help("it has to keep its owner and group: write as its owner, or move it away"),
                    None => f.help(format!("{} has to take new files, and have room", shown(parent))),
                },
            )?;
        Ok(Place::file(path, draft))
    }

    /// Something that is written into and stays what it is.
    fn stream(&mut self, path: &Path, file: File) -> Result<Place, Failure> {
        let stat = fstat(&file).map_err(io::Error::from).or_fail(said(path))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Fifo | FileType::CharacterDevice | FileType::Socket => {}
            FileType::RegularFile | FileType::Directory | FileType::Symlink => {
                return Err(Failure::new(Exit::Failed, format!("{} leads to a file", shown(path)))
                    .help("name the file by its own name"));
            }
            FileType::BlockDevice | FileType::Unknown => {
                return Err(Failure::new(Exit::Failed, format!("{} is no stream", shown(path))).help("name a file"));
            }
        }
        // Two texts may go to one terminal, or into nowhere; not into one pipe.
        if FileType::from_raw_mode(stat.st_mode) == FileType::Fifo {
            self.take(Spot::Thing(identity(&stat)), path)?;
        }
        Ok(Place::stream(path, file))
    }

    fn take(&mut self, spot: Spot, path: &Path) -> Result<(), Failure> {
        if let Some((_, other)) = self.taken.iter().find(|(taken, _)| *taken == spot) {
            let says = format!("{} and {} are one place", shown(other), shown(path));
            return Err(Failure::new(Exit::Usage, says).help("name two places"));
        }
        self.taken.push((spot, path.to_owned()));
        Ok(())
    }

    /// Whether the file that stands at a place may go away.
    fn may_go(
        &self,
        path: &Path,
        (folder, name): (&impl AsFd, &OsStr),
        stat: &Stat,
        standing: &Standing<'_>,
    ) -> Result<(), Failure> {
        let refuse = |says: String, help: &str| Err(Failure::new(Exit::Failed, says).help(help));
        if let Some((_, input)) = self.inputs.iter().find(|(input, _)| *input == identity(stat)) {
            return refuse(
                format!("{} is what is read: {}", shown(path), shown(input)),
                "name another place with --out",
            );
        }
        let exists = format!("{} exists already", shown(path));
        let bytes = match look(folder, name) {
            Ok(bytes) => bytes,
            Err(error) => return Err(error).or_fail(format!("{exists}, and cannot be looked at")),
        };
        let is_key = bytes.windows(PRIVATE_KEY.len()).any(|some| some == PRIVATE_KEY);
        match standing {
            Standing::Ours => Ok(()),
            Standing::Over(is_over) if is_key && is_over(&bytes) => match self.force {
                true => Ok(()),
                false => refuse(
                    format!("{exists} and holds a leased key, whose certificate has ended"),
                    "choose another place, or replace both with --force",
                ),
            },
            _ if is_key => refuse(
                format!("{exists} and holds a private key, which is never replaced"),
                "choose another place, or move the file away",
            ),
            Standing::PredecessorAlone(is) if is(&bytes) => Ok(()),
            Standing::Never | Standing::PredecessorAlone(_) => {
                refuse(exists, "choose another place, or move the file away")
            }
            Standing::Forced | Standing::Predecessor(_) | Standing::Over(_) if self.force => Ok(()),
            Standing::Predecessor(is) if is(&bytes) => Ok(()),
            Standing::Forced | Standing::Predecessor(_) | Standing::Over(_) => {
                refuse(exists, "choose another place, move the file away, or replace it with --force")
            }
        }
    }
}

fn said(path: &Path) -> String {
    format!("cannot write {}", shown(path))
}

fn own() -> u32 {
    geteuid().as_raw()
}

fn open_stream(folder: &impl AsFd, name: &OsStr, flags: OFlags) -> io::Result<File> {
    let flags = flags | OFlags::WRONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(File::from(openat(folder, name, flags, Mode::empty())?))
}

/// Whoever put a FIFO there would read what is written, and whoever put a file where everybody may put one would own what takes its
/// place: what the kernel's protected_fifos and protected_regular say of open(2) with O_CREAT, which is not used here.
fn of_another(path: &Path, stat: &Stat) -> Failure {
    let says = format!("{} belongs to user {}, who would have what is written there", shown(path), stat.st_uid);
    Failure::new(Exit::Failed, says)
        .help("name a place of your own; where it is meant, lead standard output there: --out -")
}

/// The descriptor that a path means: `-` is standard output too.
fn descriptor(path: &Path) -> Option<u32> {
    match path.to_str()? {
        "-" | "/dev/stdout" => Some(1),
        "/dev/stderr" => Some(2),
        text => text.strip_prefix("/dev/fd/").or_else(|| text.strip_prefix("/proc/self/fd/"))?.parse().ok(),
    }
}

/// Whether a path means a stream, such as `-`, `/dev/stdin` or a device: nothing has a place beside it.
pub fn is_stream(path: &Path) -> bool {
    let is_one = |about: std::fs::Metadata| !about.is_file() && !about.is_dir();
    descriptor(path).is_some() || path == Path::new("/dev/stdin") || std::fs::metadata(path).is_ok_and(is_one)
}

fn identity(stat: &Stat) -> Identity {
    (stat.st_dev, stat.st_ino)
}

/// The beginning of a regular file.
fn look(folder: &impl AsFd, name: &OsStr) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(folder, name, flags, Mode::empty())?);
    let mut bytes = Vec::new();
    file.take(LOOK_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}
