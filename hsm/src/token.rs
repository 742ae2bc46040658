//! Tokens as a whole: initialise one, describe one.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use cryptoki::context::Pkcs11;
use cryptoki::session::UserType;
use cryptoki::slot::TokenInfo;

use crate::config::{PinSource, Wanted};
use crate::desk::Desk;
use crate::error::HsmError;
use crate::fault::Fault;
use crate::key::Key;
use crate::module::{Inside, Module, locked};
use crate::turn::Turn;
use crate::{objects, slots};

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
    let inside = shared.enter().map_err(fail)?;
    let _alone = shared.makes_token();
    let wanted = Wanted { label: Some(label.to_owned()), serial: None, manufacturer: None, model: None };
    let taken = slots::tokens(&inside.context).map_err(HsmError::Token)?;
    if taken.iter().any(|place| place.info.label().trim_end() == label) {
        return Err(HsmError::TokenExists { label: label.to_owned() });
    }
    let step = |what: &'static str| move |e: cryptoki::error::Error| HsmError::Token(format!("{what}: {e}"));
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
    let slots = context.get_slots_with_token().map_err(|e| HsmError::Token(e.to_string()))?;
    slots
        .into_iter()
        .find(|slot| context.get_token_info(*slot).is_ok_and(|info| !info.token_initialized()))
        .ok_or_else(|| HsmError::Token("no free slot: the module shows no uninitialised token".into()))
}

/// A token in words, for `chancery doctor`.
#[derive(Clone, Debug)]
pub struct TokenDescription {
    /// Path of the module.
    pub module: PathBuf,
    /// The library's manufacturer.
    pub manufacturer: String,
    /// The library's description.
    pub library: String,
    /// The library's version.
    pub library_version: String,
    /// The PKCS#11 version it speaks.
    pub cryptoki_version: String,
    /// Token label.
    pub label: String,
    /// Token serial number.
    pub serial: String,
    /// Token model.
    pub model: String,
    /// Token manufacturer.
    pub token_manufacturer: String,
    /// Token firmware version.
    pub firmware: String,
    /// Token flags in words (`login-required`, `user-pin-count-low` ...).
    pub flags: Vec<String>,
    /// Mechanisms by their PKCS#11 names, as far as they have one here.
    pub mechanisms: Vec<String>,
    /// Usable signing keys.
    pub keys: Vec<Key>,
    /// Labels of private keys that are refused, each with why.
    pub refused: Vec<(String, Vec<String>)>,
    /// Labels of sealing keys.
    pub sealing: Vec<String>,
}

impl TokenDescription {
    /// Whether a wrong PIN was tried since the last login, or worse: the flags that an operator must see.
    pub fn pin_trouble(&self) -> bool {
        self.flags.iter().any(|f| ["user-pin-count-low", "user-pin-final-try", "user-pin-locked"].contains(&&**f))
    }
}

pub(crate) fn describe(
    module: &Path,
    inside: &Inside<'_>,
    turn: &Turn,
    desk: &Desk,
) -> Result<TokenDescription, Fault> {
    let library = inside.context.get_library_info()?;
    // Asked anew: the flags move.
    let info = inside.context.get_token_info(desk.place.slot)?;
    let (mut keys, mut refused) = (Vec::new(), Vec::new());
    for found in objects::survey(turn, &desk.session)? {
        match found {
            Ok(key) => keys.push(key),
            Err(unfit) => refused.push(unfit),
        }
    }
    keys.sort_by(|a, b| a.label().cmp(b.label()));
    let trimmed = |text: &str| text.trim_end().to_owned();
    Ok(TokenDescription {
        module: module.to_owned(),
        manufacturer: trimmed(library.manufacturer_id()),
        library: trimmed(library.library_description()),
        library_version: library.library_version().to_string(),
        cryptoki_version: library.cryptoki_version().to_string(),
        label: trimmed(info.label()),
        serial: trimmed(info.serial_number()),
        model: trimmed(info.model()),
        token_manufacturer: trimmed(info.manufacturer_id()),
        firmware: info.firmware_version().to_string(),
        flags: flags(&info),
        mechanisms: desk.mechanisms.all.iter().map(ToString::to_string).collect(),
        keys,
        refused,
        sealing: objects::survey_sealing(turn, &desk.session)?,
    })
}

fn flags(info: &TokenInfo) -> Vec<String> {
    let all = [
        ("random", info.rng()),
        ("write-protected", info.write_protected()),
        ("login-required", info.login_required()),
        ("user-pin-initialized", info.user_pin_initialized()),
        ("protected-authentication-path", info.protected_authentication_path()),
        ("token-initialized", info.token_initialized()),
        ("user-pin-count-low", info.user_pin_count_low()),
        ("user-pin-final-try", info.user_pin_final_try()),
        ("user-pin-locked", info.user_pin_locked()),
        ("user-pin-to-be-changed", info.user_pin_to_be_changed()),
        ("so-pin-count-low", info.so_pin_count_low()),
        ("so-pin-final-try", info.so_pin_final_try()),
        ("so-pin-locked", info.so_pin_locked()),
        ("error-state", info.error_state()),
    ];
    all.into_iter().filter(|(_, set)| *set).map(|(name, _)| name.to_owned()).collect()
}
