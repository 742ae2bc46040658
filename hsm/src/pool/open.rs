//! Opening a token: the module, the first sessions, the threads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crossbeam_channel::bounded;

use super::crew::Crew;
use super::facade::Pool;
use super::pace::Pace;
use super::worker::{self, Seat};
use crate::config::TokenConfig;
use crate::custody::Mint;
use crate::error::HsmError;
use crate::heal::{Shared, healer};
use crate::module::{Fault, Module, slots};

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
    threads.push(spawn("hsm-healer".into(), move || healer::run(&healer))?);
    let mint = Mint::of(shared.home);
    Ok((
        Pool { crew: Arc::new(Crew { shared, jobs, pace: Pace::default(), all_home, threads: Mutex::new(threads) }) },
        mint,
    ))
}

/// The sessions of the threads, opened here so that a wrong PIN or a token that is full is an answer of `open`.
fn first_seats(shared: &Shared) -> Result<Vec<Seat>, HsmError> {
    let inside = shared.module.enter().map_err(|why| HsmError::Module { module: shared.config.module.clone(), why })?;
    let looking = shared.module.looks_for_token();
    // What cannot be found at the start is a mistake in the configuration; found later, it would be a loss.
    slots::find(&inside.context, &shared.config.wanted).map_err(HsmError::Token)?;
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
