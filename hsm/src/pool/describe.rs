//! An open token in words, for `chancery doctor`.

use std::path::{Path, PathBuf};

use cryptoki::slot::TokenInfo;

use crate::custody::Key;
use crate::keys::objects;
use crate::module::slots::told;
use crate::module::{Fault, Inside, Turn};
use crate::session::Desk;

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
    Ok(TokenDescription {
        module: module.to_owned(),
        manufacturer: told(library.manufacturer_id()),
        library: told(library.library_description()),
        library_version: library.library_version().to_string(),
        cryptoki_version: library.cryptoki_version().to_string(),
        label: told(info.label()),
        serial: told(info.serial_number()),
        model: told(info.model()),
        token_manufacturer: told(info.manufacturer_id()),
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
