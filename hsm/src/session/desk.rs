//! One thread's place at the token: a session, logged in, with the key handles it has looked up.
//!
//! A desk is given up after any trouble and opened anew; it never outlives a restart of the module.

use std::collections::HashMap;

use cryptoki::error::{Error, RvError};
use cryptoki::object::ObjectHandle;
use cryptoki::session::{Session, SessionState, UserType};

use super::mechanisms::Mechanisms;
use crate::config::{PinSource, Wanted};
use crate::custody::{Key, SealingKey};
use crate::lock::locked;
use crate::module::slots::{self, Place};
use crate::module::{Fault, Inside, Module, answered, pin_refused};

/// A session at work.
pub(crate) struct Desk {
    pub(crate) session: Session,
    pub(crate) place: Place,
    pub(crate) mechanisms: Mechanisms,
    /// The module generation and the pool epoch this desk belongs to.
    pub(crate) era: Era,
    signing: HashMap<[u8; 32], ObjectHandle>,
    /// By label and touchstone.
    sealing: HashMap<(String, Vec<u8>), ObjectHandle>,
}

/// Which restart of the module, and which return of the token: handles of another era may name other objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Era {
    pub(crate) generation: u64,
    pub(crate) epoch: u64,
}

impl Desk {
    /// Finds the token, opens a read-only session and logs in if nobody of this process is logged in yet.
    pub(crate) fn open(
        module: &Module,
        inside: &Inside<'_>,
        epoch: u64,
        wanted: &Wanted,
        pin: &PinSource,
    ) -> Result<Desk, Fault> {
        let _looking = module.looks_for_token();
        let place = slots::find(&inside.context, wanted).map_err(Fault::Lost)?;
        let mechanisms = Mechanisms::read(&inside.context, place.slot)?;
        // Not closed on drop: after a restart the number may be another session's. `close` is the way.
        let session = inside.context.open_ro_session_no_drop(place.slot)?;
        let era = Era { generation: inside.generation, epoch };
        let desk = Desk { session, place, mechanisms, era, signing: HashMap::new(), sealing: HashMap::new() };
        match login(module, &desk.session, desk.place.serial(), pin) {
            Ok(()) => Ok(desk),
            Err(fault) => {
                desk.close();
                Err(fault)
            }
        }
    }

    /// Closes the session. Only inside the module gate, and only in the generation it was opened in.
    pub(crate) fn close(self) {
        if let Err(e) = self.session.close() {
            tracing::debug!(error = %e, "a session was gone before it was closed");
        }
    }

    /// A signing key looked up before at this desk.
    pub(crate) fn signing_handle(&self, key: &Key) -> Option<ObjectHandle> {
        self.signing.get(&key.fingerprint()).copied()
    }

    /// Keeps the handle of a signing key that was judged fit.
    pub(crate) fn keep_signing_handle(&mut self, key: &Key, handle: ObjectHandle) {
        self.signing.insert(key.fingerprint(), handle);
    }

    /// A sealing key looked up before at this desk.
    pub(crate) fn sealing_handle(&self, key: &SealingKey) -> Option<ObjectHandle> {
        self.sealing.get(&(key.label().to_owned(), key.touchstone().to_vec())).copied()
    }

    /// Keeps the handle of a sealing key that was judged fit.
    pub(crate) fn keep_sealing_handle(&mut self, key: &SealingKey, handle: ObjectHandle) {
        self.sealing.insert((key.label().to_owned(), key.touchstone().to_vec()), handle);
    }
}

/// Logs in unless the process is. A refused PIN is remembered and never tried again: a loop would lock the token.
fn login(module: &Module, session: &Session, serial: &str, pin: &PinSource) -> Result<(), Fault> {
    // One at a time and token: login belongs to the process, and two threads must not both find out that a PIN is wrong.
    let turn = module.login_turn(serial);
    let _turn = locked(&turn);
    if let Some(why) = module.pin_refused(serial) {
        return Err(Fault::Locked(why));
    }
    if matches!(session.get_session_info()?.session_state(), SessionState::RoUser | SessionState::RwUser) {
        return Ok(());
    }
    let pin = pin.read()?;
    match session.login(UserType::User, Some(&pin)) {
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
        Err(Error::Pkcs11(rv, _)) if pin_refused(rv) => {
            let why = answered("C_Login", rv);
            module.remember_refusal(serial, &why);
            Err(Fault::Locked(why))
        }
        Err(other) => Err(other.into()),
    }
}
