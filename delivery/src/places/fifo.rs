//! FIFOs: a value that lies nowhere, and is handed to whoever opens the path and waits.
//!
//! After each reader the path leads to a new FIFO, so that the one before gets its end: a writer that opened the same one again would
//! go on writing into the first reader. Two readers that open at one moment share one copy, as with any FIFO: one reader at a time.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fcntl_setfl, mknodat, openat, renameat, unlinkat};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::error::{DeliveryError, Doing};
use crate::nouns::Value;
use crate::plan::Reads;

/// One FIFO and the thread that serves it.
pub struct Fifo {
    path: PathBuf,
    shared: Arc<Shared>,
    server: Option<JoinHandle<()>>,
}

struct Shared {
    value: Mutex<Zeroizing<Vec<u8>>>,
    /// Readable when the run has ended.
    end: OwnedFd,
}

impl Fifo {
    /// A FIFO at this path, in a folder of ours.
    pub fn serve(path: PathBuf, value: &Value, reads: Reads) -> Result<Fifo, DeliveryError> {
        make(&path).doing("a FIFO")?;
        let end = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).doing("a FIFO")?;
        let shared = Arc::new(Shared { value: Mutex::new(Zeroizing::new(value.expose().to_vec())), end });
        let (theirs, at) = (shared.clone(), path.clone());
        let serving = thread::Builder::new().name("fifo".to_owned()).spawn(move || theirs.serve(&at, reads));
        Ok(Fifo { path, shared, server: Some(serving.doing("a FIFO")?) })
    }

    /// What the next reader gets.
    pub fn replace(&self, value: &Value) {
        let mut held = self.shared.value.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Zeroizing::new(value.expose().to_vec());
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        let _ = rustix::io::write(&self.shared.end, &1_u64.to_ne_bytes());
        // The server may wait for a reader: this is one, and what it finds is the end.
        let _reader = openat(CWD, &self.path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty());
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
        let _ = unlinkat(CWD, &self.path, AtFlags::empty());
    }
}

impl Shared {
    fn serve(&self, path: &Path, reads: Reads) {
        let mut served = 0;
        // The open waits for a reader.
        while let Ok(writer) = openat(CWD, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
            if self.has_ended() {
                return;
            }
            served += 1;
            let is_last = matches!(reads, Reads::Times(times) if served >= times.get());
            let followed = match is_last {
                true => unlinkat(CWD, path, AtFlags::empty()),
                false => follow(path),
            };
            let value = self.value.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let written = self.write(&writer, &value);
            if is_last || followed.is_err() || written == Err(Errno::CANCELED) {
                return;
            }
        }
    }

    /// To a reader, who may be slow, or go away.
    fn write(&self, writer: &OwnedFd, value: &[u8]) -> Result<(), Errno> {
        fcntl_setfl(writer, OFlags::NONBLOCK)?;
        let mut rest = value;
        while !rest.is_empty() {
            match rustix::io::write(writer, rest) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    let wanted = [(writer.as_fd(), PollFlags::OUT), (self.end.as_fd(), PollFlags::IN)];
                    let mut polled = wanted.map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags));
                    match poll(&mut polled, None) {
                        Ok(_) | Err(Errno::INTR) if !self.has_ended() => {}
                        _ => return Err(Errno::CANCELED),
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn has_ended(&self) -> bool {
        let mut polled = [PollFd::new(&self.end, PollFlags::IN)];
        poll(&mut polled, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
    }
}

fn make(path: &Path) -> Result<(), Errno> {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
}

/// Puts a new FIFO where the old one was, for the next reader.
fn follow(path: &Path) -> Result<(), Errno> {
    let next = path.with_extension("next");
    make(&next)?;
    renameat(CWD, &next, CWD, path)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::num::NonZeroU32;

    use super::*;

    fn value(text: &str) -> Value {
        Value::new(text.as_bytes().to_vec())
    }

    #[test]
    fn each_reader_gets_one_copy_and_its_end_and_then_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let fifo = Fifo::serve(path.clone(), &value("one"), Reads::Times(NonZeroU32::new(3).unwrap())).unwrap();
        // The first reader takes its time: what the second gets, and that both find their ends, does not hang on it.
        let mut first = std::fs::File::open(&path).unwrap();
        assert_eq!(first.read(&mut [0; 1]).unwrap(), 1);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
        let mut rest = String::new();
        first.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "ne");
        fifo.replace(&value("two"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
        assert!(!path.exists());
    }

    #[test]
    fn an_end_waits_for_no_reader_and_for_none_that_does_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        drop(Fifo::serve(path.clone(), &value("never read"), Reads::Unbounded).unwrap());
        assert!(!path.exists());
        // More than a pipe holds, to somebody who opens and does not read.
        let fifo = Fifo::serve(path.clone(), &Value::new(vec![7; 1 << 20]), Reads::Unbounded).unwrap();
        let reader = std::fs::File::open(&path).unwrap();
        drop(fifo);
        drop(reader);
        assert!(!path.exists());
    }
}
