//! What the program prints, carried through the mask; and what is typed, carried to its pseudo terminal.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::error::{DeliveryError, Doing};
use crate::masking::{Filter, Mask};

/// The mask in force, exchanged under running pumps; and who is told when something of theirs is lost.
pub struct Live {
    mask: RwLock<Arc<Mask>>,
    has_lost: AtomicBool,
    lost: Box<dyn Fn(Errno) + Send + Sync>,
}

impl Live {
    /// Begins with this mask. The first time that something printed cannot be written, `lost` is told why.
    pub fn new(mask: Mask, lost: impl Fn(Errno) + Send + Sync + 'static) -> Arc<Live> {
        let (mask, has_lost) = (RwLock::new(Arc::new(mask)), AtomicBool::new(false));
        Arc::new(Live { mask, has_lost, lost: Box::new(lost) })
    }

    /// From the next bytes on this one.
    pub fn renew(&self, mask: Mask) {
        *self.mask.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(mask);
    }

    fn get(&self) -> Arc<Mask> {
        self.mask.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tell_lost(&self, error: Errno) {
        if !self.has_lost.swap(true, Ordering::SeqCst) {
            (self.lost)(error);
        }
    }
}

/// Whether a stream comes from a pipe or a pseudo terminal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What was written before the program's end is there at its end.
    Pipe,
    /// What was written comes a moment later.
    Terminal,
}

/// A thread that carries bytes until it is told to stop, or they end.
pub struct Pump {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    wake: OwnedFd,
    has_ended: AtomicBool,
    /// Whether the terminal may be read: not while we are in the background.
    may_read: AtomicBool,
}

impl Pump {
    /// From the program to our standard output (or error), through the mask.
    pub fn out(
        source: OwnedFd,
        kind: Kind,
        sink: fn() -> BorrowedFd<'static>,
        live: Arc<Live>,
    ) -> Result<Pump, DeliveryError> {
        Pump::begin("output", move |shared| carry_out(&source, kind, sink(), &live, shared))
    }

    /// From our standard input to the program's terminal.
    pub fn typed(terminal: OwnedFd) -> Result<Pump, DeliveryError> {
        Pump::begin("input", move |shared| carry_in(&terminal, shared))
    }

    fn begin(name: &str, carry: impl FnOnce(&Shared) + Send + 'static) -> Result<Pump, DeliveryError> {
        const DOING: &str = "carrying what the program reads and prints";
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).doing(DOING)?;
        let shared = Arc::new(Shared { wake, has_ended: AtomicBool::new(false), may_read: AtomicBool::new(false) });
        let theirs = shared.clone();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || carry(&theirs)).doing(DOING)?;
        Ok(Pump { shared, thread: Some(thread) })
    }

    /// Whether the terminal may be read from now on.
    pub fn may_read(&self, may: bool) {
        self.shared.may_read.store(may, Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        let _ = rustix::io::write(&self.shared.wake, &1_u64.to_ne_bytes());
    }
}

/// The program has ended: what it wrote is carried out, and what those write that it left behind is not waited for.
impl Drop for Pump {
    fn drop(&mut self) {
        self.shared.has_ended.store(true, Ordering::SeqCst);
        self.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn carry_out(source: &OwnedFd, kind: Kind, sink: BorrowedFd<'_>, live: &Live, shared: &Shared) {
    let mut filter = Filter::new(live.get());
    let (mut bytes, mut out) = (Zeroizing::new(vec![0; CHUNK_BYTES]), Vec::new());
    loop {
        let is_draining = shared.has_ended.load(Ordering::SeqCst);
        let patience = match (is_draining, kind) {
            (false, _) => None,
            (true, Kind::Pipe) => Some(Timespec { tv_sec: 0, tv_nsec: 0 }),
            (true, Kind::Terminal) => Some(Timespec { tv_sec: 0, tv_nsec: LATE_NS }),
        };
        let mut polled = [PollFd::new(source, PollFlags::IN), PollFd::new(&shared.wake, PollFlags::IN)];
        let watched = if is_draining { &mut polled[..1] } else { &mut polled[..] };
        let ready = poll(watched, patience.as_ref());
        if is_draining && ready == Ok(0) {
            break;
        }
        if polled[0].revents().is_empty() {
            continue;
        }
        match rustix::io::read(source, bytes.as_mut_slice()) {
            // A terminal whose last user went says EIO.
            Ok(0) | Err(Errno::IO) => break,
            Err(_) => continue,
            Ok(count) => {
                let mask = live.get();
                if !filter.has(&mask) {
                    filter.renew(mask);
                }
                filter.feed(bytes.get(..count).unwrap_or_default(), &mut out);
            }
        }
        match write_all(sink, &out) {
            Ok(()) => {}
            // Nobody reads us: the program learns it at its next write, as if it had written there itself.
            Err(Errno::PIPE) => return,
            // A full disk, a limit, a disk that fails: the program could have gone on, and a pipe that ends would kill it. There may be
            // room again for what comes next.
            Err(error) => live.tell_lost(error),
        }
        out.clear();
    }
    filter.finish(&mut out);
    match write_all(sink, &out) {
        Ok(()) | Err(Errno::PIPE) => {}
        Err(error) => live.tell_lost(error),
    }
}

fn carry_in(terminal: &OwnedFd, shared: &Shared) {
    let stdin = rustix::stdio::stdin();
    let mut bytes = Zeroizing::new(vec![0; CHUNK_BYTES]);
    while !shared.has_ended.load(Ordering::SeqCst) {
        let mut polled = [PollFd::new(&shared.wake, PollFlags::IN), PollFd::new(&stdin, PollFlags::IN)];
        let may_read = shared.may_read.load(Ordering::SeqCst);
        let watched = if may_read { &mut polled[..] } else { &mut polled[..1] };
        let _ = poll(watched, None);
        if !polled[0].revents().is_empty() {
            let _ = rustix::io::read(&shared.wake, &mut [0; 8]);
        }
        if !may_read || polled[1].revents().is_empty() || shared.has_ended.load(Ordering::SeqCst) {
            continue;
        }
        let written = match rustix::io::read(stdin, bytes.as_mut_slice()) {
            Ok(0) | Err(Errno::IO) => return,
            Err(_) => continue,
            Ok(count) => write_all(terminal.as_fd(), bytes.get(..count).unwrap_or_default()),
        };
        if written.is_err() {
            return;
        }
    }
}

fn write_all(sink: BorrowedFd<'_>, bytes: &[u8]) -> Result<(), Errno> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match rustix::io::write(sink, rest) {
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            // Somebody made it non-blocking; it is ours to wait.
            Err(Errno::AGAIN) => {
                let _ = poll(&mut [PollFd::from_borrowed_fd(sink, PollFlags::OUT)], None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

const CHUNK_BYTES: usize = 64 * 1024;
/// How long a terminal is listened to after the program's end, while somebody else has it open.
const LATE_NS: i64 = 100_000_000;
