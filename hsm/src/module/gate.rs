//! One PKCS#11 module, loaded and initialised once per process, whoever uses it.
//!
//! PKCS#11 state belongs to the process: a second `C_Initialize` is an error, and `C_Finalize` ends the sessions of
//! everyone. So pools share a module through the registry here (a second `open` of the same path joins the first),
//! every module call is made inside [`Module::enter`], and [`Module::restart`] waits until nobody is inside, with a bound:
//! one token's call that does not come back must not shut the gate before the module's other tokens. Sessions
//! carry the generation they were opened in; those of an earlier one are dead and are never closed by number, for the
//! number may belong to another by then. A module once loaded stays: see `raw`.
//!
//! It also remembers PINs refused by a token, for the life of the process: no second try, from any pool.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use std::time::{Duration, Instant};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};

use super::ending;
use super::fault::says;
use super::raw::Raw;
use super::turn::Turns;
use crate::error::HsmError;
use crate::lock::locked;

/// A module of this process.
pub(crate) struct Module {
    path: PathBuf,
    raw: Raw,
    gate: Mutex<State>,
    /// Told when somebody has left while the gate is shut, and when it is open again.
    moved: Condvar,
    /// By token serial number: what the token said.
    refused: Mutex<HashMap<String, String>>,
    /// By token serial number; held by whoever logs in.
    logins: Mutex<HashMap<String, Arc<Mutex<()>>>>,
    /// Held by whoever makes a token; shared by those who look for one.
    slots: RwLock<()>,
    /// By what the token is known by.
    turns: Mutex<HashMap<String, Turns>>,
    /// Whether the tokens that were opened here are well.
    users: Mutex<Vec<Weak<AtomicBool>>>,
    /// Whether the end of the process waits for it.
    is_waited_for: AtomicBool,
}

struct State {
    context: Result<Pkcs11, String>,
    generation: u64,
    inside: usize,
    is_shut: bool,
}

/// How long a restart waits for calls under way. None takes as long but one that does not come back, or a key being made.
const RESTART_WAIT: Duration = Duration::from_millis(500);

/// Leave to call the module; held through the calls, never across an await.
pub(crate) struct Inside<'a> {
    /// The initialised module.
    pub(crate) context: Pkcs11,
    /// The direct way to `C_SignInit` and `C_Sign`.
    pub(crate) raw: &'a Raw,
    /// How often the module was restarted; sessions of an earlier number are dead.
    pub(crate) generation: u64,
    module: &'a Module,
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let mut gate = locked(&self.module.gate);
        gate.inside -= 1;
        if gate.is_shut {
            self.module.moved.notify_all();
        }
    }
}

static MODULES: Mutex<Option<HashMap<PathBuf, Arc<Module>>>> = Mutex::new(None);

impl Module {
    /// The module of that path, loaded now if it is the first time. It may not be initialised: [`Module::revive`].
    pub(crate) fn shared(path: &Path) -> Result<Arc<Module>, HsmError> {
        let fail = |why: String| HsmError::Module { module: path.to_owned(), why };
        // One file, one module, whatever links lead to it.
        let file = path.canonicalize().map_err(|e| fail(e.to_string()))?;
        let mut modules = locked(&MODULES);
        let modules = modules.get_or_insert_default();
        if let Some(module) = modules.get(&file) {
            return Ok(module.clone());
        }
        let raw = Raw::load(&file).map_err(fail)?;
        let state = State { context: Err(NOT_INITIALISED.into()), generation: 0, inside: 0, is_shut: false };
        let module = Module {
            path: file.clone(),
            raw,
            gate: Mutex::new(state),
            moved: Condvar::new(),
            refused: Mutex::default(),
            logins: Mutex::default(),
            slots: RwLock::default(),
            turns: Mutex::default(),
            users: Mutex::default(),
            is_waited_for: AtomicBool::new(false),
        };
        Ok(modules.entry(file).or_insert(Arc::new(module)).clone())
    }

    /// Where the module is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Leave to make calls; waits while the module is being restarted. Never nested: a restart waiting between the two
    /// would wait in vain.
    pub(crate) fn enter(&self) -> Result<Inside<'_>, String> {
        let mut gate = self.open_gate();
        let context = gate.context.clone()?;
        gate.inside += 1;
        Ok(Inside { context, raw: &self.raw, generation: gate.generation, module: self })
    }

    fn open_gate(&self) -> MutexGuard<'_, State> {
        let gate = locked(&self.gate);
        self.moved.wait_while(gate, |gate| gate.is_shut).unwrap_or_else(PoisonError::into_inner)
    }

    /// How often the module was restarted.
    pub(crate) fn generation(&self) -> u64 {
        locked(&self.gate).generation
    }

    /// Finalizes and initialises anew, unless somebody did since `generation` was seen. All sessions of all pools on
    /// this module are dead afterwards, and everyone is logged out. Not while calls are under way that do not come back.
    pub(crate) fn restart(&self, generation: u64) -> Result<(), String> {
        let mut gate = self.open_gate();
        if gate.generation != generation {
            return Ok(());
        }
        gate.is_shut = true;
        let give_up = Instant::now() + RESTART_WAIT;
        while gate.inside > 0 {
            let left = give_up.saturating_duration_since(Instant::now());
            if left.is_zero() {
                gate.is_shut = false;
                let calls = gate.inside;
                self.moved.notify_all();
                return Err(format!("{calls} calls into the module do not come back"));
            }
            (gate, _) = self.moved.wait_timeout(gate, left).unwrap_or_else(PoisonError::into_inner);
        }
        let before = std::mem::replace(&mut gate.context, Err("the module is being restarted".into()));
        // The gate stays shut meanwhile.
        drop(gate);
        if let Ok(context) = before
            && let Err(e) = context.finalize()
        {
            // A module that lost its device may fail to say goodbye; what counts is whether it comes back.
            tracing::warn!(module = %self.path.display(), error = says(&e), "C_Finalize failed");
        }
        let context = initialised(&self.path);
        if context.is_ok() && !self.is_waited_for.swap(true, Ordering::AcqRel) {
            ending::expect(shut_for_good);
        }
        let mut gate = locked(&self.gate);
        gate.generation += 1;
        gate.context = context;
        gate.is_shut = false;
        self.moved.notify_all();
        gate.context.as_ref().map(|_| ()).map_err(Clone::clone)
    }

    /// Initialises a module that was not yet, or that a failed restart left behind.
    pub(crate) fn revive(&self) -> Result<(), String> {
        let (down, generation) = {
            let gate = self.open_gate();
            (gate.context.is_err(), gate.generation)
        };
        if down { self.restart(generation) } else { Ok(()) }
    }

    /// A token of this module, which is well while that is true.
    pub(crate) fn used_by(&self, is_well: &Arc<AtomicBool>) {
        let mut users = locked(&self.users);
        users.retain(|user| user.strong_count() > 0);
        users.push(Arc::downgrade(is_well));
    }

    /// Whether a token of this module is well: a restart would interrupt it.
    pub(crate) fn is_in_use(&self) -> bool {
        locked(&self.users).iter().filter_map(Weak::upgrade).any(|is_well| is_well.load(Ordering::Acquire))
    }

    /// The turn to log in to a token.
    pub(crate) fn login_turn(&self, serial: &str) -> Arc<Mutex<()>> {
        Arc::clone(locked(&self.logins).entry(serial.to_owned()).or_default())
    }

    /// Who looks through a token's objects, and who makes some.
    pub(crate) fn turns(&self, token: &str) -> Turns {
        locked(&self.turns).entry(token.to_owned()).or_default().clone()
    }

    /// Held while a token is looked for, and until a session with it is open.
    pub(crate) fn looks_for_token(&self) -> RwLockReadGuard<'_, ()> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held while a token is made: slots come and go then.
    pub(crate) fn makes_token(&self) -> RwLockWriteGuard<'_, ()> {
        self.slots.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the PIN of that token must not be tried, if it was refused before.
    pub(crate) fn pin_refused(&self, serial: &str) -> Option<String> {
        locked(&self.refused).get(serial).cloned()
    }

    /// Remembers a refusal until the process ends.
    pub(crate) fn remember_refusal(&self, serial: &str, why: &str) {
        locked(&self.refused).insert(serial.to_owned(), why.to_owned());
    }
}

/// Waits until nobody is inside any module, and lets nobody in again.
fn shut_for_good() {
    let modules = locked(&MODULES);
    for module in modules.iter().flat_map(HashMap::values) {
        let mut gate = module.open_gate();
        gate.is_shut = true;
        while gate.inside > 0 {
            gate = module.moved.wait(gate).unwrap_or_else(PoisonError::into_inner);
        }
    }
    std::mem::forget(modules);
}

fn initialised(path: &Path) -> Result<Pkcs11, String> {
    let context = Pkcs11::new(path).map_err(|e| says(&e))?;
    // Several threads call at once; the module must lock, with the system's mutexes.
    match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        // Somebody else of this process began it, by another path or through p11-kit: it is as good as begun by us.
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(context),
        Err(error) => Err(says(&error)),
    }
}

const NOT_INITIALISED: &str = "the module is not initialised";
