//! The pool: async callers on one side, session threads on the other, a bounded queue between.
//!
//! PKCS#11 calls block, some for seconds; they happen on threads of their own. A full queue and an absent token are
//! answered at once; whoever waits, for a session or for a turn, waits with a bound.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::config::TokenConfig;
use crate::desk::Desk;
use crate::errand::Again;
use crate::error::HsmError;
use crate::fault::Fault;
use crate::health::Health;
use crate::intent::Mint;
use crate::key::{Algorithm, Key, KeyKind};
use crate::module::{Inside, Module};
use crate::shared::Shared;
use crate::token::{TokenDescription, describe};
use crate::turn::Turn;
use crate::worker::{Job, Seat};
use crate::{ending, healing, making, objects, seal, worker};

/// An RSA-4096 key may take a token a minute to make.
const MAKING_DEADLINE: Duration = Duration::from_secs(180);

/// How long [`Pool::shutdown`] waits for calls under way.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(5);

/// How often a thread is looked at that is about to end.
const JOIN_PAUSE: Duration = Duration::from_millis(1);

/// More is no use of a token's generator that we know of, and would hold a session.
const RANDOM_BYTES_MAX: usize = 4096;

/// Opens a token and gives both halves of the custody line, once.
///
/// A module is loaded once per process: a second pool on the same module shares it, be it for the same token or another.
/// The PIN is tried once; if the token refuses it, no pool of this process tries again. Login belongs to the process too:
/// where it is logged in already, a second pool on that token does not try its PIN at all.
pub fn open(config: TokenConfig) -> Result<(Pool, Mint), HsmError> {
    static HOMES: AtomicU64 = AtomicU64::new(1);
    let config = config.check()?;
    let module = Module::shared(&config.module)?;
    let shared = Arc::new(Shared::new(config, module, HOMES.fetch_add(1, Ordering::Relaxed)));
    let seats = first_seats(&shared)?;
    let (jobs, queue) = bounded(shared.config.queue);
    let (working, all_home) = bounded(0);
    let mut threads = Vec::with_capacity(seats.len() + 1);
    for (number, seat) in seats.into_iter().enumerate() {
        let (shared, queue, working) = (shared.clone(), queue.clone(), working.clone());
        threads.push(spawn(format!("hsm-{number}"), move || {
            worker::run(&shared, &queue, seat);
            drop(working);
        })?);
    }
    let healer = shared.clone();
    threads.push(spawn("hsm-healer".into(), move || healing::run(&healer))?);
    let mint = Mint::of(shared.home);
    Ok((Pool { inner: Arc::new(Inner { shared, jobs, all_home, threads: Mutex::new(threads) }) }, mint))
}

/// The sessions of the threads, opened here so that a wrong PIN or a token that is full is an answer of `open`.
fn first_seats(shared: &Shared) -> Result<Vec<Seat>, HsmError> {
    let inside = shared.module.enter().map_err(|why| HsmError::Module { module: shared.config.module.clone(), why })?;
    let looking = shared.module.looks_for_token();
    // What cannot be found at the start is a mistake in the configuration; found later, it would be a loss.
    crate::slots::find(&inside.context, &shared.config.wanted).map_err(HsmError::Token)?;
    drop(looking);
    let mut seats = Vec::with_capacity(shared.config.sessions);
    for _ in 0..shared.config.sessions {
        match shared.open_desk(&inside) {
            Ok(desk) => seats.push(Seat::at(desk)),
            Err(fault) => {
                seats.into_iter().for_each(|seat| seat.abandon(&inside));
                return Err(match fault {
                    Fault::Answer(error) => error,
                    Fault::Locked(why) => HsmError::Locked(why),
                    Fault::Lost(why) | Fault::Refused(why) => HsmError::Token(why),
                });
            }
        }
    }
    Ok(seats)
}

fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, HsmError> {
    let spawned = thread::Builder::new().name(name).spawn(work);
    spawned.map_err(|e| HsmError::Failed(format!("no thread to be had: {e}")))
}

/// A handle on an open token. Cheap to clone; the last one dropped ends the threads.
#[derive(Clone)]
pub struct Pool {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    pub(crate) jobs: Sender<Job>,
    /// Disconnected once every session thread has ended.
    all_home: Receiver<()>,
    /// The session threads and the healer.
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Inner {
    /// Waits for the threads themselves to be gone, not just for their work. What the module's libraries keep per thread is
    /// given back as the thread ends; a process that exits meanwhile cleans the same up a second time, under its feet.
    /// A thread that is still in a call after the wait is left behind.
    fn join(&self) {
        let give_up = Instant::now() + SHUTDOWN_WAIT;
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            while !thread.is_finished() && Instant::now() < give_up {
                thread::sleep(JOIN_PAUSE);
            }
            match thread.is_finished() {
                // A panic of the thread was its own.
                true => drop(thread.join()),
                false => ending::leave_behind(thread),
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.standing.close();
        // They end by themselves, now that there is no sender left.
        let threads = self.threads.get_mut().unwrap_or_else(PoisonError::into_inner);
        threads.drain(..).for_each(ending::leave_behind);
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({})", self.inner.shared.config.wanted)
    }
}

impl Pool {
    /// Makes a signing key that can never leave the token; refuses a label in use.
    pub async fn generate(&self, label: &str, kind: KeyKind) -> Result<Key, HsmError> {
        objects::check_label(label)?;
        let label = label.to_owned();
        let make =
            move |inside: &Inside<'_>, turn: &Turn, desk: &mut Desk| making::generate(inside, turn, desk, &label, kind);
        let key = self.make(Again::Never, MAKING_DEADLINE, make).await?;
        self.inner.shared.remember(&key);
        Ok(key)
    }

    /// Finds a signing key by label; refuses wrong attributes, naming each.
    pub async fn find(&self, label: &str) -> Result<Key, HsmError> {
        let label = label.to_owned();
        let key = self.look(move |_, turn, desk| objects::find(turn, &desk.session, &label)).await?;
        self.inner.shared.remember(&key);
        Ok(key)
    }

    /// The signing key of that label as it was judged when this pool last found or made it; looked for now if it never did.
    ///
    /// Costs the token nothing. What has become of the key since shows when it signs: each session judges it once more at
    /// first use, and each signature is verified with the public key that is known here.
    pub async fn key(&self, label: &str) -> Result<Key, HsmError> {
        match self.inner.shared.known_as(label) {
            Some(key) => Ok(key),
            None => self.find(label).await,
        }
    }

    /// Every usable signing key. Those that are not are in [`Pool::describe`], each with why.
    pub async fn keys(&self) -> Result<Vec<Key>, HsmError> {
        let found = self.look(|_, turn, desk| objects::survey(turn, &desk.session)).await?;
        let keys: Vec<Key> = found.into_iter().flatten().collect();
        keys.iter().for_each(|key| self.inner.shared.remember(key));
        Ok(keys)
    }

    /// Makes an AES-256 sealing key that can never leave the token; refuses a label in use.
    pub async fn generate_sealing(&self, label: &str) -> Result<(), HsmError> {
        objects::check_label(label)?;
        let label = label.to_owned();
        let make = move |inside: &Inside<'_>, turn: &Turn, desk: &mut Desk| {
            making::generate_sealing(inside, turn, desk, &label)
        };
        self.make(Again::Never, MAKING_DEADLINE, make).await
    }

    /// Whether a fit sealing key of that label exists; one that is not fit is an error that names why.
    pub async fn has_sealing(&self, label: &str) -> Result<bool, HsmError> {
        let label = label.to_owned();
        match self.look(move |_, turn, desk| objects::find_sealing(turn, &desk.session, &label).map(|_| ())).await {
            Ok(()) => Ok(true),
            Err(HsmError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Seals bytes under a key of the token (AES-256-GCM, fresh IV from the token), bound to `aad`.
    pub async fn seal(&self, label: &str, plain: &[u8], aad: &[u8]) -> Result<Vec<u8>, HsmError> {
        seal::check_sizes(plain.len(), aad.len())?;
        let (label, aad) = (label.to_owned(), aad.to_vec());
        // The copy that travels to the session thread is wiped when it has been used.
        let plain = zeroize::Zeroizing::new(plain.to_vec());
        self.once_seen(move |turn, desk| seal::seal(turn, desk, &label, &plain, &aad)).await
    }

    /// Opens what [`Pool::seal`] made. The caller keeps the answer in something that wipes itself.
    pub async fn unseal(&self, label: &str, sealed: &[u8], aad: &[u8]) -> Result<Vec<u8>, HsmError> {
        seal::parts(sealed)?;
        seal::check_sizes(sealed.len().saturating_sub(seal::OVERHEAD_BYTES), aad.len())?;
        let (label, sealed, aad) = (label.to_owned(), sealed.to_vec(), aad.to_vec());
        self.once_seen(move |turn, desk| seal::unseal(turn, desk, &label, &sealed, &aad)).await
    }

    /// Random bytes from the token, at most 4096.
    pub async fn random(&self, len: usize) -> Result<Vec<u8>, HsmError> {
        if len > RANDOM_BYTES_MAX {
            return Err(HsmError::Unsupported(format!("give more than {RANDOM_BYTES_MAX} random bytes at once")));
        }
        self.ask(Again::Once, self.deadline(), move |_, desk| making::random(&desk.session, len)).await
    }

    /// Makes a passing key in the token, signs with it and verifies: for `chancery doctor`. No lasting key is touched.
    pub async fn self_test(&self) -> Result<Algorithm, HsmError> {
        self.make(Again::Once, self.deadline(), |inside, turn, desk| making::self_test(inside, turn, desk)).await
    }

    /// How the token is now.
    pub fn health(&self) -> Health {
        self.inner.shared.standing.health()
    }

    /// What `chancery doctor` prints.
    pub async fn describe(&self) -> Result<TokenDescription, HsmError> {
        let module = self.inner.shared.module.path().to_owned();
        self.look(move |inside, turn, desk| describe(&module, inside, turn, desk)).await
    }

    /// Answers what waits with `Unavailable`, ends the threads and closes their sessions (with the last session of a
    /// process the token logs it out). Blocks for as long as calls are under way, at most five seconds.
    pub fn shutdown(&self) {
        self.inner.shared.standing.close();
        for _ in 0..self.inner.shared.config.sessions {
            // An error means that they have all gone, or that the token has not let go of one: neither is ours to mend.
            let _ = self.inner.jobs.send_timeout(Job::Stop, SHUTDOWN_WAIT);
        }
        let _ = self.inner.all_home.recv_timeout(SHUTDOWN_WAIT);
        self.inner.join();
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.inner.shared.config.deadline
    }
}
