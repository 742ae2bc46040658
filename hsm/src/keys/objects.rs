//! The keys that a token holds: find them, read their public halves, and judge whether they may be used.

use std::collections::{BTreeMap, BTreeSet};

use cryptoki::object::{Attribute, AttributeType, KeyType, MlDsaParameterSetType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use super::attributes::{Purpose, wrong_sealing_type};
use crate::custody::forms::{ec_public, ec_spki, ml_dsa_spki, rsa_spki};
use crate::custody::{Key, KeyKind};
use crate::error::HsmError;
use crate::module::{Fault, Inside, Sought, Turn};
use crate::session::{Desk, PSS_MECHANISMS};

/// Labels stand in the ledger and in file names elsewhere: printable, and short enough for any token.
const LABEL_BYTES_MAX: usize = 64;

/// Keys for each one that is asked for, up to which all are looked at.
const OTHERS_MAX: usize = 4;

/// What a public key is read from; a token answers those that its kind has.
const PUBLIC: [AttributeType; 7] = [
    AttributeType::KeyType,
    AttributeType::EcParams,
    AttributeType::EcPoint,
    AttributeType::Modulus,
    AttributeType::PublicExponent,
    AttributeType::ParameterSet,
    AttributeType::Value,
];

pub(crate) fn check_label(label: &str) -> Result<(), HsmError> {
    let fine = (1..=LABEL_BYTES_MAX).contains(&label.len()) && label.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    match fine && label.trim() == label {
        true => Ok(()),
        false => Err(HsmError::Config {
            what: "key label".into(),
            why: format!("write 1 to {LABEL_BYTES_MAX} printable ASCII characters, no space at either end"),
        }),
    }
}

/// The signing key of that label. None, several, or one with wrong attributes: refused.
pub(crate) fn find(turn: &Turn, session: &Session, label: &str) -> Result<Key, Fault> {
    let handle = only(turn, session, Purpose::Signing, label)?;
    match judge(session, handle)? {
        Ok(key) => Ok(key),
        Err((label, wrong)) => Err(HsmError::Unfit { label, wrong }.into()),
    }
}

/// The same of a key that was outside the token once, as an operator knows. What it may do besides signing is taken from it first; from another
/// than the one that is `wanted`, where that is known, nothing is taken: it is answered as it is.
pub(crate) fn find_brought(
    inside: &Inside<'_>,
    turn: &Turn,
    desk: &Desk,
    (label, wanted): (&str, Option<[u8; 32]>),
) -> Result<Key, Fault> {
    let session = &desk.session;
    if let Some(wanted) = wanted {
        let seen = see_brought(turn, session, label)?;
        if seen.fingerprint() != wanted {
            return Ok(seen);
        }
    }
    let handle = only(turn, session, Purpose::Signing, label)?;
    if !Purpose::Signing.wrong_of_brought(session, handle)?.is_empty() {
        // Sessions that sign cannot change anything.
        let changing = inside.context.open_rw_session(desk.place.slot)?;
        Purpose::Signing.take_powers(&changing, only(turn, &changing, Purpose::Signing, label)?)?;
    }
    let wrong = Purpose::Signing.wrong_of_brought(session, handle)?;
    match judged(session, handle, wrong)? {
        Ok(key) => key.brought().map_err(|why| HsmError::Unfit { label: label.to_owned(), wrong: vec![why] }.into()),
        Err((label, wrong)) => Err(HsmError::Unfit { label, wrong }.into()),
    }
}

/// The same as it will be, without a change.
pub(crate) fn see_brought(turn: &Turn, session: &Session, label: &str) -> Result<Key, Fault> {
    let handle = only(turn, session, Purpose::Signing, label)?;
    let wrong = Purpose::Signing.wrong_for_ever(session, handle)?;
    match judged(session, handle, wrong)? {
        Ok(key) => key.brought().map_err(|why| HsmError::Unfit { label: label.to_owned(), wrong: vec![why] }.into()),
        Err((label, wrong)) => Err(HsmError::Unfit { label, wrong }.into()),
    }
}

/// The handle of a signing key, looked up once per desk.
pub(crate) fn signing_handle(desk: &mut Desk, turn: Option<&Turn>, key: &Key) -> Result<Sought, Fault> {
    if let Some(handle) = desk.signing_handle(key) {
        return Ok(Sought::Found(handle));
    }
    let Some(turn) = turn else { return Ok(Sought::Unseen) };
    let template = [
        Attribute::Class(Purpose::Signing.class()),
        Attribute::Label(key.label().as_bytes().to_vec()),
        Attribute::Id(key.id().to_vec()),
    ];
    let handles = desk.session.find_objects(&template)?;
    let handle = match handles[..] {
        [handle] => handle,
        [] if is_exchanged(turn, &desk.session, key)? => return Ok(Sought::Another),
        [] => return Ok(Sought::Absent),
        _ => return Err(Fault::Refused(format!("{} private keys share label and id", handles.len()))),
    };
    // Once more at first use: since the key was found, someone may have changed what it may do.
    let wrong = match key.is_brought() {
        true => Purpose::Signing.wrong_of_brought(&desk.session, handle)?,
        false => Purpose::Signing.wrong(&desk.session, handle)?,
    };
    if !wrong.is_empty() {
        return Err(Fault::Refused(format!("key `{}` is refused: {}", key.label(), wrong.join("; "))));
    }
    // And it is the one that was found: a token that was away may have come back with another under the same name.
    if public_of(&desk.session, key.label(), key.id())?.is_ok_and(|(_, spki)| spki != key.spki_der()) {
        return Ok(Sought::Another);
    }
    desk.keep_signing_handle(key, handle);
    Ok(Sought::Found(handle))
}

/// Whether a whole key has the label of one that is not there. What a token shows by halves, while it goes away, is none.
fn is_exchanged(turn: &Turn, session: &Session, key: &Key) -> Result<bool, Fault> {
    let [other] = labelled(turn, session, Purpose::Signing, key.label())?[..] else { return Ok(false) };
    let other = judged(session, other, Vec::new())?;
    Ok(other.is_ok_and(|other| other.label() == key.label() && other.spki_der() != key.spki_der()))
}

/// The sealing key of that label.
pub(crate) fn find_sealing(turn: &Turn, session: &Session, label: &str) -> Result<ObjectHandle, Fault> {
    let handle = only(turn, session, Purpose::Sealing, label)?;
    let mut wrong = wrong_sealing_type(session, handle)?;
    wrong.extend(Purpose::Sealing.wrong(session, handle)?);
    match wrong.is_empty() {
        true => Ok(handle),
        false => Err(HsmError::Unfit { label: label.to_owned(), wrong }.into()),
    }
}

fn only(turn: &Turn, session: &Session, purpose: Purpose, label: &str) -> Result<ObjectHandle, Fault> {
    let handles = labelled(turn, session, purpose, label)?;
    match handles[..] {
        [handle] => Ok(handle),
        [] => Err(HsmError::NotFound { label: label.to_owned() }.into()),
        _ => {
            let wrong = vec![format!("{} keys share the label, and it must name one", handles.len())];
            Err(HsmError::Unfit { label: label.to_owned(), wrong }.into())
        }
    }
}

pub(crate) fn labelled(_: &Turn, session: &Session, purpose: Purpose, label: &str) -> Result<Vec<ObjectHandle>, Fault> {
    let template = [Attribute::Class(purpose.class()), Attribute::Label(label.as_bytes().to_vec())];
    Ok(session.find_objects(&template)?)
}

/// A key that is not used: its label, and each thing wrong with it.
pub(crate) type Unfit = (String, Vec<String>);

/// Every private key of the token, fit or not.
pub(crate) fn survey(_: &Turn, session: &Session) -> Result<Vec<Result<Key, Unfit>>, Fault> {
    let handles = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)])?;
    handles.into_iter().map(|handle| judge(session, handle)).collect()
}

/// Those of these labels that are fit, found in two looks over all that the token has: a token without an index, as SoftHSM2, walks all its
/// objects for each question, so that hundreds of keys would cost hundreds of walks. Of one that has mostly keys of others none: there each
/// label is asked for by itself.
pub(crate) fn find_many(_: &Turn, session: &Session, labels: &BTreeSet<String>) -> Result<Vec<Key>, Fault> {
    let privates = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)])?;
    if privates.len() > labels.len().saturating_mul(OTHERS_MAX) {
        return Ok(Vec::new());
    }
    let mut own: BTreeMap<String, Vec<(ObjectHandle, Vec<u8>)>> = BTreeMap::new();
    for handle in privates {
        let (label, id) = names(session, handle)?;
        if labels.contains(&label) {
            own.entry(label).or_default().push((handle, id));
        }
    }
    let mut publics: BTreeMap<(String, Vec<u8>), Vec<ObjectHandle>> = BTreeMap::new();
    for handle in session.find_objects(&[Attribute::Class(ObjectClass::PUBLIC_KEY)])? {
        publics.entry(names(session, handle)?).or_default().push(handle);
    }
    let mut found = Vec::new();
    for (label, handles) in own {
        // What is there twice, or is not fit, is told to whoever asks for it.
        let [(handle, id)] = &handles[..] else { continue };
        let Some([public]) = publics.get(&(label.clone(), id.clone())).map(Vec::as_slice) else { continue };
        if !Purpose::Signing.wrong(session, *handle)?.is_empty() {
            continue;
        }
        let public = read_public(session, *public)?;
        found.extend(public.and_then(|public| made_of(session, *handle, (label, id.clone()), public)).ok());
    }
    Ok(found)
}

/// Whether the token shows a private key, fit or not. A look that costs the same however many there are.
pub(crate) fn shows_keys(_: &Turn, session: &Session) -> Result<bool, Fault> {
    Ok(!session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)])?.is_empty())
}

/// Labels of the secret keys of the token that are fit for sealing.
pub(crate) fn survey_sealing(_: &Turn, session: &Session) -> Result<Vec<String>, Fault> {
    let mut labels = Vec::new();
    for handle in session.find_objects(&[Attribute::Class(ObjectClass::SECRET_KEY)])? {
        let fit =
            wrong_sealing_type(session, handle)?.is_empty() && Purpose::Sealing.wrong(session, handle)?.is_empty();
        if fit {
            labels.push(names(session, handle)?.0);
        }
    }
    Ok(labels)
}

pub(super) fn judge(session: &Session, private: ObjectHandle) -> Result<Result<Key, Unfit>, Fault> {
    let wrong = Purpose::Signing.wrong(session, private)?;
    judged(session, private, wrong)
}

fn judged(session: &Session, private: ObjectHandle, mut wrong: Vec<String>) -> Result<Result<Key, Unfit>, Fault> {
    let (label, id) = names(session, private)?;
    let public = public_of(session, &label, &id)?;
    let key = public.and_then(|public| made_of(session, private, (label.clone(), id), public));
    Ok(match key {
        Ok(key) if wrong.is_empty() => Ok(key),
        Ok(_) => Err((label, wrong)),
        Err(why) => {
            wrong.push(why);
            Err((label, wrong))
        }
    })
}

/// A key of its two halves.
fn made_of(
    session: &Session,
    private: ObjectHandle,
    (label, id): (String, Vec<u8>),
    (kind, spki): (KeyKind, Vec<u8>),
) -> Result<Key, String> {
    let kind = kind.pss().filter(|_| is_for_pss_alone(session, private)).unwrap_or(kind);
    Key::new(label, id, kind, spki)
}

/// Whether the token lets the key sign with PSS and with nothing else.
fn is_for_pss_alone(session: &Session, private: ObjectHandle) -> bool {
    let found = session.get_attributes(private, &[AttributeType::AllowedMechanisms]).unwrap_or_default();
    let [Attribute::AllowedMechanisms(allowed)] = &found[..] else { return false };
    !allowed.is_empty() && allowed.iter().all(|mechanism| PSS_MECHANISMS.contains(mechanism))
}

fn names(session: &Session, object: ObjectHandle) -> Result<(String, Vec<u8>), Fault> {
    let (mut label, mut id) = (Vec::new(), Vec::new());
    for attribute in session.get_attributes(object, &[AttributeType::Label, AttributeType::Id])? {
        match attribute {
            Attribute::Label(value) => label = value,
            Attribute::Id(value) => id = value,
            _ => {}
        }
    }
    Ok((String::from_utf8_lossy(&label).into_owned(), id))
}

/// Kind and SubjectPublicKeyInfo from the public object beside a private key; the inner error says why there is none.
/// That it truly is the other half shows at the first signature, which is verified with it.
fn public_of(session: &Session, label: &str, id: &[u8]) -> Result<Result<(KeyKind, Vec<u8>), String>, Fault> {
    let template = [
        Attribute::Class(ObjectClass::PUBLIC_KEY),
        Attribute::Label(label.as_bytes().to_vec()),
        Attribute::Id(id.to_vec()),
    ];
    let handles = session.find_objects(&template)?;
    let [handle] = handles[..] else {
        return Ok(Err(format!("{} public keys stand beside it with its label and id, not one", handles.len())));
    };
    read_public(session, handle)
}

/// Kind and SubjectPublicKeyInfo of a public key object; the inner error says what is odd about it.
pub(crate) fn read_public(
    session: &Session,
    public: ObjectHandle,
) -> Result<Result<(KeyKind, Vec<u8>), String>, Fault> {
    Ok(public_from(&session.get_attributes(public, &PUBLIC)?))
}

fn public_from(attributes: &[Attribute]) -> Result<(KeyKind, Vec<u8>), String> {
    let (mut params, mut point, mut modulus, mut exponent, mut kind) = (None, None, None, None, None);
    let (mut set, mut value) = (None, None);
    for attribute in attributes {
        match attribute {
            Attribute::KeyType(value) => kind = Some(*value),
            Attribute::EcParams(value) => params = Some(value),
            Attribute::EcPoint(value) => point = Some(value),
            Attribute::Modulus(value) => modulus = Some(value),
            Attribute::PublicExponent(value) => exponent = Some(value),
            Attribute::ParameterSet(is) => set = Some(MlDsaParameterSetType::from(*is)),
            Attribute::Value(is) => value = Some(is),
            _ => {}
        }
    }
    if let (Some(KeyType::ML_DSA), Some(set), Some(value)) = (kind, set, value) {
        let kind = match set {
            MlDsaParameterSetType::ML_DSA_44 => KeyKind::MlDsa44,
            MlDsaParameterSetType::ML_DSA_65 => KeyKind::MlDsa65,
            MlDsaParameterSetType::ML_DSA_87 => KeyKind::MlDsa87,
            other => return Err(format!("its parameter set {other} is not known")),
        };
        return Ok((kind, ml_dsa_spki(kind, value)?));
    }
    match (kind, params, point, modulus, exponent) {
        (Some(KeyType::EC | KeyType::EC_EDWARDS), Some(params), Some(point), _, _) => {
            let (kind, bare) = ec_public(params, point)?;
            Ok((kind, ec_spki(kind, &bare)?))
        }
        (Some(KeyType::RSA), _, _, Some(modulus), Some(exponent)) => rsa_spki(modulus, exponent),
        _ => Err("its public half is of no kind used here, or cannot be read".into()),
    }
}
