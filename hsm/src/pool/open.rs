//! Opening tokens: the modules, the first sessions, the threads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

use super::crew::Crew;
use super::facade::Pool;
use super::pace::Pace;
use super::token::Token;
use super::worker::{self, Seat};
use crate::config::TokenConfig;
use crate::custody::Mint;
use crate::error::HsmError;
use crate::heal::{Shared, healer};
use crate::module::slots::{self, Mark};
use crate::module::{Fault, Module, ending};

/// What the first token is called where nobody named it.
pub const FIRST_TOKEN: &str = "main";
/// Tokens of a pool. Each has its threads and its lines among the metrics.
pub const TOKENS_MAX: usize = 8;
const NAME_BYTES_MAX: usize = 32;

/// Opens a token and gives both halves of the custody line, once.
///
/// A module is loaded once per process: a second pool on the same module shares it, be it for the same token or another.
/// The PIN is tried once; if the token refuses it, no pool of this process tries again. Login belongs to the process too:
/// where it is logged in already, a second pool on that token does not try its PIN at all.
pub fn open(config: TokenConfig) -> Result<(Pool, Mint), HsmError> {
    open_all(vec![(FIRST_TOKEN.to_owned(), config)])
}

/// Opens several tokens as one pool, each by the name it has here; the first is where everything is that names no other.
///
/// Where there are several, one that does not open now is brought back later, and keeps the others from nothing; if none opens, the
/// first one's reason is the answer. What no time will mend is an error: a setting, a library that is none, one token twice.
pub fn open_all(tokens: Vec<(String, TokenConfig)>) -> Result<(Pool, Mint), HsmError> {
    static NUMBERS: AtomicU64 = AtomicU64::new(1);
    check_names(&tokens)?;
    let several = tokens.len() > 1;
    let mut opening = Vec::new();
    for (name, config) in tokens {
        let config = config.check().map_err(|error| of_token(several, &name, error))?;
        let module = Module::shared(&config.module).map_err(|error| of_token(several, &name, error))?;
        let shared = Arc::new(Shared::new(name, config, module));
        opening.push((Arc::clone(&shared), begin(&shared, several)?));
    }
    let mut opened: Vec<Opened> = Vec::new();
    let began = Instant::now();
    for (shared, first) in opening {
        let left = (shared.config.deadline).saturating_sub(began.elapsed());
        let seats = first.wait(several.then_some(left));
        opened.push((shared, seats.map_err(|e| of_token(several, "", e))));
    }
    if let Some(twice) = same_token(&opened) {
        return Err(twice);
    }
    if opened.iter().all(|(_, seats)| seats.is_err()) {
        let first = opened.into_iter().find_map(|(_, seats)| seats.err());
        return Err(first.unwrap_or_else(|| HsmError::Token("no token is named".into())));
    }
    let mut all = Vec::new();
    for (shared, seats) in opened {
        let seats = seats.unwrap_or_else(|error| {
            match &error {
                HsmError::Locked(why) => shared.standing.lock(why),
                other => shared.standing.trouble(&other.to_string()),
            }
            (0..shared.config.sessions).map(|_| Seat::empty()).collect()
        });
        all.push(Token { crew: Arc::new(crew(shared, seats)?) });
    }
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    Ok((Pool::of(all, number), Mint::of(number)))
}

/// Whether a token may be called so: the name stands in records, metrics and paths.
pub fn check_name(name: &str) -> Result<(), String> {
    let fine = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && (1..=NAME_BYTES_MAX).contains(&name.len())
        && !name.starts_with('-');
    match fine {
        true => Ok(()),
        false => Err(format!("a token's name is 1 to {NAME_BYTES_MAX} lower-case letters, digits and hyphens")),
    }
}

fn check_names(tokens: &[(String, TokenConfig)]) -> Result<(), HsmError> {
    let fail = |why: String| Err(HsmError::Config { what: "tokens".into(), why });
    if tokens.is_empty() || tokens.len() > TOKENS_MAX {
        return fail(format!("name 1 to {TOKENS_MAX} of them"));
    }
    for (place, (name, _)) in tokens.iter().enumerate() {
        check_name(name).or_else(fail)?;
        if tokens.iter().skip(place + 1).any(|(other, _)| other == name) {
            return fail(format!("two are called `{name}`"));
        }
    }
    Ok(())
}

/// An error of one of several tokens, with its name.
fn of_token(several: bool, name: &str, error: HsmError) -> HsmError {
    match error {
        HsmError::Config { what, why } if several && !name.is_empty() => {
            HsmError::Config { what: format!("token `{name}`, {what}"), why }
        }
        other => other,
    }
}

/// Two names for one token would be two queues before it, and no second home for any key. Within a module the serial number tells it;
/// two modules, one a copy of the other for instance, may lead to one token: then all that is written on it is the same.
fn same_token(opened: &[Opened]) -> Option<HsmError> {
    let mut seen: Vec<(&str, &std::path::Path, Mark)> = Vec::new();
    for (shared, seats) in opened {
        let Some(mark) = seats.as_ref().ok().and_then(|seats| seats.first()?.mark()) else { continue };
        let module = shared.module.path();
        let is_there = |(_, at, other): &&(&str, &std::path::Path, Mark)| {
            *other == mark || (*at == module && other.serial == mark.serial)
        };
        if let Some((name, _, _)) = seen.iter().find(is_there) {
            let why = format!("`{name}` and `{}` are one token (serial {})", shared.name, mark.serial);
            return Some(HsmError::Config { what: "tokens".into(), why });
        }
        seen.push((&shared.name, module, mark));
    }
    None
}

/// The first sessions of a token, or why there are none.
type Seats = Result<Vec<Seat>, HsmError>;
/// A token with them.
type Opened = (Arc<Shared>, Seats);

/// The first sessions of a token, being opened.
enum First {
    Here(Seats),
    Elsewhere(mpsc::Receiver<Seats>),
}

/// Of several tokens each is opened by a thread of its own, which one that does not answer keeps.
fn begin(shared: &Arc<Shared>, several: bool) -> Result<First, HsmError> {
    if !several {
        return Ok(First::Here(first_seats(shared)));
    }
    let (sender, receiver) = mpsc::sync_channel(1);
    let opening = Arc::clone(shared);
    ending::leave_behind(spawn("hsm-open".into(), move || {
        if let Err(mpsc::SendError(Ok(seats))) = sender.send(first_seats(&opening))
            && let Ok(inside) = opening.module.enter()
        {
            // Nobody waits any more: the session threads open sessions of their own.
            seats.into_iter().for_each(|seat| seat.abandon(&inside));
        }
    })?);
    Ok(First::Elsewhere(receiver))
}

impl First {
    fn wait(self, at_most: Option<Duration>) -> Seats {
        match (self, at_most) {
            (First::Here(seats), _) => seats,
            (First::Elsewhere(seats), Some(at_most)) => seats
                .recv_timeout(at_most)
                .unwrap_or_else(|_| Err(HsmError::Token("it did not open within its deadline".into()))),
            (First::Elsewhere(seats), None) => {
                seats.recv().unwrap_or_else(|_| Err(HsmError::Failed("the thread that opens it ended".into())))
            }
        }
    }
}

/// The threads of a token.
fn crew(shared: Arc<Shared>, seats: Vec<Seat>) -> Result<Crew, HsmError> {
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
    Ok(Crew { shared, jobs, pace: Pace::default(), all_home, threads: Mutex::new(threads) })
}

/// The sessions of the threads, opened here so that a wrong PIN or a token that is full is an answer of `open`.
fn first_seats(shared: &Shared) -> Seats {
    let of_module = |why| HsmError::Module { module: shared.config.module.clone(), why };
    shared.module.revive().map_err(of_module)?;
    let inside = shared.module.enter().map_err(of_module)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{SOFTHSM_MODULE, TestToken};

    #[test]
    fn a_token_is_known_again_behind_a_copy_of_its_module() {
        let (token, other) = (TestToken::new("one"), TestToken::new("other"));
        let folder = tempfile::tempdir().unwrap();
        let opened = |file: &str, token: &TestToken| -> Opened {
            let module = folder.path().join(file);
            std::fs::copy(SOFTHSM_MODULE, &module).unwrap();
            let config = TokenConfig { module, sessions: 1, ..token.config() }.check().unwrap();
            let module = Module::shared(&config.module).unwrap();
            let shared = Arc::new(Shared::new(file.to_owned(), config, module));
            let seats = first_seats(&shared);
            assert!(seats.is_ok());
            (shared, seats)
        };
        let mut all = vec![opened("a.so", &token), opened("b.so", &other)];
        assert!(same_token(&all).is_none());
        all.push(opened("c.so", &token));
        let why = same_token(&all).unwrap().to_string();
        assert!(why.contains("`a.so` and `c.so` are one token"), "{why}");
        for (shared, seats) in all {
            let inside = shared.module.enter().unwrap();
            seats.into_iter().flatten().for_each(|seat| seat.abandon(&inside));
        }
    }
}
