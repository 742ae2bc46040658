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
            other => Fault::Lost(other.to_string()),
        }
    }
}

impl Fault {
    /// Sorts a return value. What is not known to be about the request counts as trouble with the token.
    pub(crate) fn from_rv(rv: RvError, function: &str) -> Fault {
        let why = format!("{function} answered {}", name(rv));
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

/// The return value by its PKCS#11 name: `SessionHandleInvalid` is `CKR_SESSION_HANDLE_INVALID`. cryptoki's own text is
/// the standard's paragraph about it, which helps nobody at three in the morning.
pub(crate) fn name(rv: RvError) -> String {
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
    fn a_return_value_is_called_by_its_name_in_the_standard() {
        assert_eq!(name(RvError::SessionHandleInvalid), "CKR_SESSION_HANDLE_INVALID");
    }
}
