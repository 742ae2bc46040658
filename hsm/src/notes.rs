//! Notes: small data objects in the token (`CKO_DATA`), for what has to be found again where only those who can log in write.
//!
//! There are two of a label, and the lesser of them is written over: whatever a write that breaks off leaves, the other stands.
//! An object is changed in place where the token allows it, since SoftHSM keeps what it knows of a deleted one until the
//! process ends. No note is a secret, but it is private: without the PIN it cannot be seen, and not exchanged.
//!
//! A token that refuses a note is no token in trouble: what it says here is answered, and the healer hears nothing of it.

use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use crate::error::HsmError;
use crate::keys::making::open_writing;
use crate::module::{Fault, Inside, Turn};
use crate::session::Desk;

/// `CKA_APPLICATION` of every note.
const APPLICATION: &str = "chancery";
/// So many share a label.
const COPIES: usize = 2;
/// A label names what the note is about: a log's origin, say.
const LABEL_BYTES_MAX: usize = 255;
/// Tokens have little room for data.
const VALUE_BYTES_MAX: usize = 4 * 1024;

/// What the caller may ask, checked before it waits for a session.
pub(crate) fn check(label: &str, value: &[u8]) -> Result<(), HsmError> {
    match (1..=LABEL_BYTES_MAX).contains(&label.len()) && value.len() <= VALUE_BYTES_MAX {
        true => Ok(()),
        false => Err(HsmError::Unsupported(format!(
            "keep a note of more than {VALUE_BYTES_MAX} bytes, or under a label that has not 1 to {LABEL_BYTES_MAX}"
        ))),
    }
}

/// Every note of that label.
pub(crate) fn read(turn: &Turn, session: &Session, label: &str) -> Result<Vec<Vec<u8>>, Fault> {
    Ok(find(turn, session, label)?.into_iter().map(|(_, value)| value).collect())
}

/// Keeps a note, unless one of the label ranks as high or higher. Whether it was written.
pub(crate) fn keep(
    inside: &Inside<'_>,
    turn: &Turn,
    desk: &Desk,
    label: &str,
    value: &[u8],
    rank: &impl Fn(&[u8]) -> u64,
) -> Result<bool, Fault> {
    let mut there = find(turn, &desk.session, label)?;
    there.sort_by_key(|(_, value)| rank(value));
    if there.last().is_some_and(|(_, newest)| rank(newest) >= rank(value)) {
        return Ok(false);
    }
    let writing = open_writing(inside, desk).map_err(refused)?;
    let create = || writing.create_object(&template(label, value)).map_err(|e| refused(e.into()));
    match there.first() {
        Some((lesser, _)) if there.len() >= COPIES => {
            if let Err(error) = writing.update_attributes(*lesser, &[Attribute::Value(value.to_vec())]) {
                tracing::debug!(%error, "a note is not changed in place; it is made anew");
                create()?;
                writing.destroy_object(*lesser).map_err(|e| refused(e.into()))?;
            }
        }
        Some(_) | None => drop(create()?),
    }
    Ok(true)
}

/// Takes every note of that label away.
pub(crate) fn forget(inside: &Inside<'_>, turn: &Turn, desk: &Desk, label: &str) -> Result<(), Fault> {
    let there = find(turn, &desk.session, label)?;
    if there.is_empty() {
        return Ok(());
    }
    let writing = open_writing(inside, desk).map_err(refused)?;
    there.into_iter().try_for_each(|(note, _)| writing.destroy_object(note).map_err(|e| refused(e.into())))
}

fn find(_: &Turn, session: &Session, label: &str) -> Result<Vec<(ObjectHandle, Vec<u8>)>, Fault> {
    let mut found = Vec::new();
    for handle in session.find_objects(&names(label))? {
        for attribute in session.get_attributes(handle, &[AttributeType::Value])? {
            if let Attribute::Value(value) = attribute {
                found.push((handle, value));
            }
        }
    }
    Ok(found)
}

fn names(label: &str) -> [Attribute; 3] {
    [
        Attribute::Class(ObjectClass::DATA),
        Attribute::Application(APPLICATION.as_bytes().to_vec()),
        Attribute::Label(label.as_bytes().to_vec()),
    ]
}

fn template(label: &str, value: &[u8]) -> Vec<Attribute> {
    let mut template = names(label).to_vec();
    template.extend([
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Modifiable(true),
        Attribute::Value(value.to_vec()),
    ]);
    template
}

/// The token's no to a note, whatever it says.
fn refused(fault: Fault) -> Fault {
    match fault {
        Fault::Refused(why) | Fault::Lost(why) => {
            Fault::Answer(HsmError::Failed(format!("the token keeps no note: {why}")))
        }
        answer @ (Fault::Answer(_) | Fault::Locked(_)) => answer,
    }
}
