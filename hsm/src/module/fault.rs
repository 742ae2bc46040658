//! What a module's answer means for us: about the request, about the session, about the PIN, or about the token.

use cryptoki::error::{Error, RvError};

use crate::error::HsmError;

/// Why a step inside the module gate did not come through.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Ours to answer; the session is as good as before.
    Answer(HsmError),
    /// The token's no to this very request: asking again changes nothing.
    Refused(String),
    /// The session or the token is not what it was: a new session may help, and if not, the token is away.
    Lost(String),
    /// The PIN was refused, now or before.
    Locked(String),
}

impl From<HsmError> for Fault {
    fn from(error: HsmError) -> Fault {
        Fault::Answer(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        match error {
            Error::Pkcs11(rv, function) => Fault::from_rv(rv, &format!("C_{function:?}")),
            other => Fault::Lost(says(&other)),
        }
    }
}

impl Fault {
    /// Sorts a return value. What is not known to be about the request counts as trouble with the token.
    pub(crate) fn from_rv(rv: RvError, function: &str) -> Fault {
        let why = answered(function, rv);
        match about_the_request(rv) {
            true => Fault::Refused(why),
            false => Fault::Lost(why),
        }
    }
}

fn about_the_request(rv: RvError) -> bool {
    matches!(
        rv,
        RvError::ArgumentsBad
            | RvError::AttributeReadOnly
            | RvError::AttributeTypeInvalid
            | RvError::AttributeValueInvalid
            | RvError::ActionProhibited
            | RvError::CurveNotSupported
            | RvError::DataInvalid
            | RvError::DataLenRange
            | RvError::DomainParamsInvalid
            | RvError::EncryptedDataInvalid
            | RvError::EncryptedDataLenRange
            | RvError::FunctionNotSupported
            | RvError::KeyFunctionNotPermitted
            | RvError::KeySizeRange
            | RvError::KeyTypeInconsistent
            | RvError::MechanismInvalid
            | RvError::MechanismParamInvalid
            | RvError::TemplateIncomplete
            | RvError::TemplateInconsistent
            | RvError::TokenWriteProtected
    )
}

/// Whether `C_Login` said that this PIN will not do. `PinExpired` and the like count: a second try is no better.
pub(crate) fn pin_refused(rv: RvError) -> bool {
    matches!(
        rv,
        RvError::PinIncorrect
            | RvError::PinInvalid
            | RvError::PinLenRange
            | RvError::PinExpired
            | RvError::PinLocked
            | RvError::UserPinNotInitialized
    )
}

/// A library's error in our words: cryptoki's own are the standard's paragraphs, which help nobody at three in the morning.
pub(crate) fn says(error: &Error) -> String {
    match error {
        Error::Pkcs11(rv, function) => answered(&format!("C_{function:?}"), *rv),
        Error::LibraryLoading(error) => format!("the module cannot be loaded: {}", loading(&error.to_string())),
        Error::NotSupported | Error::NullFunctionPointer => "the module lacks a function that is needed".into(),
        Error::MissingSymbol(symbol) => format!("the module has no {symbol}: it is not a PKCS#11 module"),
        Error::PinNotSet => "there is no PIN".into(),
        Error::TryFromInt(_)
        | Error::TryFromSlice(_)
        | Error::ParseInt(_)
        | Error::Utf8(_)
        | Error::NulError(_)
        | Error::InvalidValue => "the module answered something that makes no sense".into(),
    }
}

/// What the loader said, without the path, which is told beside it.
pub(crate) fn loading(said: &str) -> &str {
    said.split_once(": ").map_or(said, |(_, why)| why)
}

/// Which function answered what: in words, and by the name that the module's documentation has for it.
pub(crate) fn answered(function: &str, rv: RvError) -> String {
    match words(rv) {
        Some(words) => format!("{words} ({function} answered {})", name(rv)),
        None => format!("{function} answered {}", name(rv)),
    }
}

/// What a return value means to an operator; none where its name says as much.
fn words(rv: RvError) -> Option<&'static str> {
    match rv {
        RvError::GeneralError => Some("the module met an error that it does not name"),
        RvError::FunctionFailed => Some("the module could not do it"),
        RvError::HostMemory => Some("the module has no memory left on this host"),
        RvError::DeviceError => Some("the token met an error of its own"),
        RvError::DeviceMemory => Some("the token is full"),
        RvError::DeviceRemoved => Some("the token is gone"),
        RvError::TokenNotPresent => Some("there is no token in the slot"),
        RvError::TokenNotRecognized => Some("the module does not know this kind of token"),
        RvError::SlotIdInvalid => Some("the slot is gone"),
        RvError::SessionHandleInvalid | RvError::SessionClosed => Some("the session is gone"),
        RvError::SessionCount => Some("the token has no session left: ask for fewer ([hsm] sessions)"),
        RvError::UserNotLoggedIn => Some("nobody is logged in"),
        RvError::UserAlreadyLoggedIn => Some("somebody is logged in already"),
        RvError::PinIncorrect => Some("the PIN is wrong"),
        RvError::PinInvalid | RvError::PinLenRange => Some("the token takes no such PIN"),
        RvError::PinExpired => Some("the PIN has expired"),
        RvError::PinLocked => Some("the PIN is locked: its custodians must unlock it"),
        RvError::UserPinNotInitialized => Some("the token has no user PIN yet: its custodians set one"),
        RvError::KeyHandleInvalid | RvError::ObjectHandleInvalid => Some("the key is gone from the token"),
        RvError::MechanismInvalid => Some("the token does not have this mechanism"),
        RvError::KeyFunctionNotPermitted => Some("the key may not do this"),
        RvError::CryptokiNotInitialized => Some("the module was never started, or was ended by somebody else"),
        RvError::TokenWriteProtected => Some("the token is write-protected"),
        _ => None,
    }
}

/// The return value by its PKCS#11 name: `SessionHandleInvalid` is `CKR_SESSION_HANDLE_INVALID`.
fn name(rv: RvError) -> String {
    let words = format!("{rv:?}");
    let mut name = String::from("CKR");
    for character in words.chars() {
        if character.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(character.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unforeseen_answer_is_trouble_with_the_token() {
        for (rv, refused) in [
            (RvError::MechanismInvalid, true),
            (RvError::KeyFunctionNotPermitted, true),
            (RvError::SessionHandleInvalid, false),
            (RvError::ObjectHandleInvalid, false),
            (RvError::GeneralError, false),
            (RvError::DeviceRemoved, false),
            (RvError::VendorDefined(7), false),
        ] {
            assert_eq!(matches!(Fault::from_rv(rv, "C_SignInit"), Fault::Refused(_)), refused, "{rv:?}");
        }
    }

    #[test]
    fn an_error_is_told_in_words_and_by_its_name() {
        let told = says(&Error::Pkcs11(RvError::SessionHandleInvalid, cryptoki::context::Function::SignInit));
        assert_eq!(told, "the session is gone (C_SignInit answered CKR_SESSION_HANDLE_INVALID)");
        assert_eq!(loading("/a/b.so: cannot open shared object file"), "cannot open shared object file");
    }

    #[test]
    fn a_return_value_is_called_by_its_name_in_the_standard() {
        assert_eq!(name(RvError::SessionHandleInvalid), "CKR_SESSION_HANDLE_INVALID");
    }
}
