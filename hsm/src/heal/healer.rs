//! The healer: one thread per pool that brings a token back, and the only one that says `Ready` again.
//!
//! A ladder, lowest rung first: a new session with a look at the known keys; a new login, where the token says that
//! nobody is logged in; then everyone out, `C_Finalize`, `C_Initialize`, and the lower rungs once more. SoftHSM whose
//! directory went away and came back needs the last one; a network HSM that dropped a connection needs the first. A
//! refused PIN ends it: see `session::desk`.
//!
//! Tokens of one module share the last rung. While another of them is well it is climbed seldom, and not at all while calls of
//! this one do not come back: what it costs the others is a new login now and then, and no signature.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::shared::Shared;
use crate::custody::Key;
use crate::keys::objects::{find_many, signing_handle, survey};
use crate::module::{Fault, Inside, Sought, Turn};
use crate::session::Desk;

/// Waits between looks. The longest, with one restart of the module, keeps "back within 5 s of the token's return".
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Between restarts of a module of which another token is well: it logs in again each time.
const RESTART_PAUSE: Duration = Duration::from_secs(3);
/// Known keys that are looked at in one go.
const MANY: usize = 8;

/// Runs until the pool is shut down or locked.
pub(crate) fn run(shared: &Arc<Shared>) {
    while shared.standing.wait_for_trouble() {
        let mut pause = PAUSE_FIRST;
        // The first look is at the lower rungs alone: a lost session must not cost everyone theirs.
        let mut restart_allowed = false;
        let mut seldom = Seldom::default();
        while !climb(shared, restart_allowed) && shared.standing.pause(pause) {
            restart_allowed = !shared.module.is_in_use() || seldom.now(shared);
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// When a module that others use was restarted last.
#[derive(Default)]
struct Seldom(Option<Instant>);

impl Seldom {
    fn now(&mut self, shared: &Shared) -> bool {
        // A call that does not come back would only keep the others waiting, and end in nothing.
        let calls = shared.at_work.load(Ordering::Acquire);
        if calls > 0 || self.0.is_some_and(|last| last.elapsed() < RESTART_PAUSE) {
            return false;
        }
        self.0 = Some(Instant::now());
        true
    }
}

/// One climb; whether it is over, one way or the other.
fn climb(shared: &Shared, restart_allowed: bool) -> bool {
    let seen = shared.module.generation();
    let mut outcome = look(shared, false);
    if let (Err(Fault::Lost(why)), true) = (&outcome, restart_allowed) {
        shared.standing.still_away(&format!("{why}; restarting the module"));
        outcome = match shared.module.restart(seen) {
            Ok(()) => look(shared, true),
            Err(why) => Err(Fault::Lost(why)),
        };
    }
    match outcome {
        Ok(()) => {
            shared.standing.recovered();
            true
        }
        Err(Fault::Locked(why)) => {
            shared.standing.lock(&why);
            true
        }
        Err(Fault::Lost(why) | Fault::Refused(why)) => {
            shared.standing.still_away(&why);
            false
        }
        Err(Fault::Answer(error)) => {
            shared.standing.still_away(&error.to_string());
            false
        }
    }
}

/// Whether the token works: a new session, logged in, sees the known keys and would sign with one of them.
fn look(shared: &Shared, restarted: bool) -> Result<(), Fault> {
    // The turn first, as everybody does: whoever makes a key has it, and may be waiting to enter.
    let turn = shared.turns.search_while_healing()?;
    let inside = shared.module.enter().map_err(Fault::Lost)?;
    let mut desk = shared.open_desk(&inside)?;
    let outcome = look_at_keys(shared, &inside, &turn, &mut desk, restarted);
    // Closing the session also ends the signature that was begun; no data was given, so there is none.
    desk.close();
    outcome
}

/// Those of many known keys that the token has as they are known, in two looks instead of two for each. The others, and all where that
/// look fails, are looked at by themselves.
fn seen_at_once(turn: &Turn, desk: &Desk, known: &[Key]) -> Vec<Key> {
    match known.len() < MANY {
        true => Vec::new(),
        false => {
            let labels = known.iter().map(|key| key.label().to_owned()).collect();
            find_many(turn, &desk.session, &labels).unwrap_or_default()
        }
    }
}

fn look_at_keys(
    shared: &Shared,
    inside: &Inside<'_>,
    turn: &Turn,
    desk: &mut Desk,
    restarted: bool,
) -> Result<(), Fault> {
    let known = shared.known();
    if known.is_empty() {
        return survey(turn, &desk.session).map(|_| ());
    }
    let (at_once, mut would_sign) = (seen_at_once(turn, desk, &known), false);
    let (mut seen, mut missing) = (Vec::new(), Vec::new());
    for key in &known {
        // One handle is enough for the question whether it would sign.
        if would_sign && at_once.contains(key) {
            seen.push((key, None));
            continue;
        }
        match signing_handle(desk, Some(turn), key) {
            Ok(Sought::Found(handle)) => {
                would_sign = true;
                seen.push((key, Some(handle)));
            }
            Ok(Sought::Absent | Sought::Unseen) => missing.push(key),
            // The token is there; what it has under the name is no key of ours, and never signs.
            Ok(Sought::Another) => {
                tracing::error!(
                    token = shared.name,
                    key = key.label(),
                    "the token came back with another key of that name"
                );
                shared.forget(key);
                seen.push((key, None));
            }
            // Somebody made it unfit, or it is another. That is between the key and whoever asks for it, and looks anew; the token is there.
            Err(Fault::Refused(why)) => {
                tracing::error!(
                    token = shared.name,
                    key = key.label(),
                    why,
                    "the token came back with a key that is not used"
                );
                shared.forget(key);
                seen.push((key, None));
            }
            Err(fault) => return Err(fault),
        }
    }
    if seen.is_empty() {
        return Err(Fault::Lost("the token shows none of its keys".into()));
    }
    if !missing.is_empty() && !restarted {
        return Err(Fault::Lost(format!("the token shows {} of {} keys", seen.len(), known.len())));
    }
    for key in missing {
        // The module is new and the others are there: this key was deleted, and one key must not stop the rest.
        tracing::error!(key = key.label(), fingerprint = key.fingerprint_hex(), "the key is gone from the token");
        shared.forget(key);
    }
    let Some((key, handle)) = seen.into_iter().find_map(|(key, handle)| Some((key, handle?))) else {
        return Ok(());
    };
    let recipe = desk
        .mechanisms
        .recipe(key.algorithm())
        .ok_or_else(|| Fault::Lost(format!("the token no longer lists a mechanism for {}", key.algorithm())))?;
    let begun = inside.raw.would_begin(&desk.session, recipe.mechanism(), handle);
    match begun.map_err(|rv| Fault::from_rv(rv, "C_SignInit")) {
        Ok(()) | Err(Fault::Refused(_)) => Ok(()),
        Err(fault) => Err(fault),
    }
}
