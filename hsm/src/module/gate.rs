//! One PKCS#11 module, loaded and initialised once per process, whoever uses it.
//!
//! PKCS#11 state belongs to the process: a second `C_Initialize` is an error, and `C_Finalize` ends the sessions of
//! everyone. So pools share a module through the registry here (a second `open` of the same path joins the first),
//! every module call is made inside [`Module::enter`], and [`Module::restart`] waits until nobody is inside. Sessions
//! carry the generation they were opened in; those of an earlier one are dead and are never closed by number, for the
//! number may belong to another by then. A module once loaded stays: see `raw`.
//!
//! It also remembers PINs refused by a token, for the life of the process: no second try, from any pool.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

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
    gate: RwLock<State>,
    /// By token serial number: what the token said.
    refused: Mutex<HashMap<String, String>>,
    /// Held by whoever logs in.
    login: Mutex<()>,
    /// Held by whoever makes a token; shared by those who look for one.
    slots: RwLock<()>,
    turns: Turns,
}

struct State {
    context: Result<Pkcs11, String>,
    generation: u64,
}

/// Leave to call the module; held through the calls, never across an await.
pub(crate) struct Inside<'a> {
    /// The initialised module.
    pub(crate) context: Pkcs11,
    /// The direct way to `C_SignInit` and `C_Sign`.
    pub(crate) raw: &'a Raw,
    /// How often the module was restarted; sessions of an earlier number are dead.
    pub(crate) generation: u64,
    _gate: RwLockReadGuard<'a, State>,
}

static MODULES: Mutex<Option<HashMap<PathBuf, Arc<Module>>>> = Mutex::new(None);

impl Module {
    /// The module of that path, loaded and initialised now if it is the first time.
    pub(crate) fn shared(path: &Path) -> Result<Arc<Module>, HsmError> {
        let fail = |why: String| HsmError::Module { module: path.to_owned(), why };
        // One file, one module, whatever links lead to it.
        let file = path.canonicalize().map_err(|e| fail(e.to_string()))?;
        let mut modules = locked(&MODULES);
        let modules = modules.get_or_insert_default();
        if let Some(module) = modules.get(&file) {
            module.revive().map_err(fail)?;
            return Ok(module.clone());
        }
        let raw = Raw::load(&file).map_err(fail)?;
        let context = initialised(&file).map_err(fail)?;
        let state = State { context: Ok(context), generation: 0 };
        let module = Module {
            path: file.clone(),
            raw,
            gate: RwLock::new(state),
            refused: Mutex::default(),
            login: Mutex::default(),
            slots: RwLock::default(),
            turns: Turns::default(),
        };
        ending::expect(shut_for_good);
        Ok(modules.entry(file).or_insert(Arc::new(module)).clone())
    }

    /// Where the module is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Leave to make calls; waits while the module is being restarted. Never nested: a restart waiting between the two
    /// would wait for ever.
    pub(crate) fn enter(&self) -> Result<Inside<'_>, String> {
        let gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        match &gate.context {
            Ok(context) => {
                Ok(Inside { context: context.clone(), raw: &self.raw, generation: gate.generation, _gate: gate })
            }
            Err(why) => Err(why.clone()),
        }
    }

    /// How often the module was restarted.
    pub(crate) fn generation(&self) -> u64 {
        self.gate.read().unwrap_or_else(PoisonError::into_inner).generation
    }

    /// Finalizes and initialises anew, unless somebody did since `generation` was seen. All sessions of all pools on
    /// this module are dead afterwards, and everyone is logged out.
    pub(crate) fn restart(&self, generation: u64) -> Result<(), String> {
        let mut gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        if gate.generation != generation {
            return Ok(());
        }
        let before = std::mem::replace(&mut gate.context, Err("the module is being restarted".into()));
        if let Ok(context) = before
            && let Err(e) = context.finalize()
        {
            // A module that lost its device may fail to say goodbye; what counts is whether it comes back.
            tracing::warn!(module = %self.path.display(), error = says(&e), "C_Finalize failed");
        }
        gate.generation += 1;
        gate.context = initialised(&self.path);
        gate.context.as_ref().map(|_| ()).map_err(Clone::clone)
    }

    /// A module left uninitialised by a failed restart gets another chance when a pool is opened.
    fn revive(&self) -> Result<(), String> {
        let (down, generation) = {
            let gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
            (gate.context.is_err(), gate.generation)
        };
        if down { self.restart(generation) } else { Ok(()) }
    }

    /// The turn to log in.
    pub(crate) fn login_turn(&self) -> MutexGuard<'_, ()> {
        locked(&self.login)
    }

    /// Who looks through the tokens' objects, and who makes some.
    pub(crate) fn turns(&self) -> &Turns {
        &self.turns
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
        std::mem::forget(module.gate.write().unwrap_or_else(PoisonError::into_inner));
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
