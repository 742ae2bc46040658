//! Taking a key away.

use cryptoki::object::{Attribute, ObjectClass};

use super::making::open_writing;
use super::objects::judge;
use super::seal::find_key;
use crate::custody::{Key, SealingKey};
use crate::error::HsmError;
use crate::module::{Fault, Inside, Turn};
use crate::session::Desk;

/// Destroys a key, its private half first. One that is gone is no error: whoever comes again after a crash finds it so. Another key
/// that took its label and id stays.
pub(crate) fn destroy(inside: &Inside<'_>, _: &Turn, desk: &Desk, key: &Key) -> Result<(), Fault> {
    let writing = open_writing(inside, desk)?;
    let template = |class| {
        [Attribute::Class(class), Attribute::Label(key.label().as_bytes().to_vec()), Attribute::Id(key.id().to_vec())]
    };
    for handle in writing.find_objects(&template(ObjectClass::PRIVATE_KEY))? {
        match judge(&writing, handle)? {
            Ok(there) if there.fingerprint() == key.fingerprint() => writing.destroy_object(handle)?,
            Ok(_) | Err(_) => {
                let wrong = vec!["it is not the key that was to be destroyed".to_owned()];
                return Err(HsmError::Unfit { label: key.label().to_owned(), wrong }.into());
            }
        }
    }
    for handle in writing.find_objects(&template(ObjectClass::PUBLIC_KEY))? {
        writing.destroy_object(handle)?;
    }
    Ok(())
}

/// Destroys a sealing key; what has its label and is another stays. One that is gone is no error.
pub(crate) fn destroy_sealing(inside: &Inside<'_>, turn: &Turn, desk: &Desk, key: &SealingKey) -> Result<(), Fault> {
    let writing = open_writing(inside, desk)?;
    match find_key(turn, &writing, key) {
        Ok(handle) => Ok(writing.destroy_object(handle)?),
        Err(Fault::Answer(HsmError::NotFound { .. })) => Ok(()),
        Err(other) => Err(other),
    }
}
