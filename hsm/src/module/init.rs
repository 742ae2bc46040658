//! A new token: for the quickstart and for tests.

use std::path::Path;
use std::sync::Mutex;

use cryptoki::context::Pkcs11;
use cryptoki::session::UserType;

use super::fault::says;
use super::gate::Module;
use super::slots;
use crate::config::{PinSource, Wanted};
use crate::error::HsmError;
use crate::lock::locked;

/// `CK_TOKEN_INFO.label` has 32 bytes; a longer label would be cut, and then not found.
const LABEL_BYTES_MAX: usize = 32;

/// Initialises a token in a free slot and sets its PINs; answers the token's serial number. For the quickstart and for
/// tests: a production token is initialised by its custodians, with the vendor's own tools.
pub fn init_token(module: &Path, label: &str, so_pin: &PinSource, pin: &PinSource) -> Result<String, HsmError> {
    // One at a time: two callers must not both find the same free slot.
    static TURN: Mutex<()> = Mutex::new(());
    if label.is_empty() || label.len() > LABEL_BYTES_MAX || label.trim() != label {
        let why = format!("write 1 to {LABEL_BYTES_MAX} bytes, no space at either end");
        return Err(HsmError::Config { what: "token label".into(), why });
    }
    let (so_pin, pin) = (so_pin.read()?, pin.read()?);
    let shared = Module::shared(module)?;
    let _turn = locked(&TURN);
    let fail = |why: String| HsmError::Module { module: module.to_owned(), why };
    shared.revive().map_err(fail)?;
    let inside = shared.enter().map_err(fail)?;
    let _alone = shared.makes_token();
    let wanted = Wanted { label: Some(label.to_owned()), serial: None, manufacturer: None, model: None };
    let taken = slots::tokens(&inside.context).map_err(HsmError::Token)?;
    if taken.iter().any(|place| place.info.label().trim_end() == label) {
        return Err(HsmError::TokenExists { label: label.to_owned() });
    }
    let step = |what: &'static str| move |e: cryptoki::error::Error| HsmError::Token(format!("{what}: {}", says(&e)));
    let free = free_slot(&inside.context)?;
    inside.context.init_token(free, &so_pin, label).map_err(step("C_InitToken"))?;
    // The token may have moved to another slot by becoming one: look again.
    let place = slots::find(&inside.context, &wanted).map_err(HsmError::Token)?;
    let session = inside.context.open_rw_session(place.slot).map_err(step("C_OpenSession"))?;
    session.login(UserType::So, Some(&so_pin)).map_err(step("C_Login of the security officer"))?;
    session.init_pin(&pin).map_err(step("C_InitPIN"))?;
    session.logout().map_err(step("C_Logout"))?;
    Ok(place.serial().to_owned())
}

fn free_slot(context: &Pkcs11) -> Result<cryptoki::slot::Slot, HsmError> {
    let slots = context.get_slots_with_token().map_err(|e| HsmError::Token(says(&e)))?;
    slots
        .into_iter()
        .find(|slot| context.get_token_info(*slot).is_ok_and(|info| !info.token_initialized()))
        .ok_or_else(|| HsmError::Token("no free slot: the module shows no uninitialised token".into()))
}
