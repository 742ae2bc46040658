//! Sealing: AES-256-GCM with a key that never leaves the token.
//!
//! Layout: version byte 0x01, 12 random bytes of IV from the token, ciphertext, 16 bytes of tag. The tag covers the
//! version byte and the caller's context (`aad`) too, so that sealed bytes open only where they belong. With random
//! 96-bit IVs one key may seal 2^32 messages (NIST SP 800-38D section 8.3).

use cryptoki::context::Function;
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;

use super::making::random;
use super::objects::find_sealing;
use crate::custody::{SealingKey, TOUCHSTONE, touchstone_context};
use crate::error::HsmError;
use crate::module::{Fault, Turn};
use crate::session::Desk;

const VERSION: u8 = 1;
const IV_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// What sealing adds.
pub(crate) const OVERHEAD_BYTES: usize = 1 + IV_BYTES + TAG_BYTES;

/// Secrets are passwords, keys and small files; more is for the caller to chunk.
const PLAIN_BYTES_MAX: usize = 64 * 1024;
const AAD_BYTES_MAX: usize = 4 * 1024;

/// Seals; none if the desk must look for the key first, for which it needs a turn.
pub(crate) fn seal(
    turn: Option<&Turn>,
    desk: &mut Desk,
    key: &SealingKey,
    plain: &[u8],
    aad: &[u8],
) -> Result<Option<Vec<u8>>, Fault> {
    let Some(key) = handle(turn, desk, key)? else { return Ok(None) };
    sealed_with(&desk.session, key, plain, aad).map(Some)
}

fn sealed_with(session: &Session, key: ObjectHandle, plain: &[u8], aad: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut iv = random(session, IV_BYTES)?;
    let mut sealed = [&[VERSION][..], &iv].concat();
    let bound = bound(aad);
    let mechanism = gcm(&mut iv, &bound)?;
    let body = session.encrypt(&mechanism, key, plain)?;
    if body.len() != plain.len() + TAG_BYTES {
        return Err(HsmError::Failed(format!(
            "the token returned {} bytes for {} sealed ones",
            body.len(),
            plain.len()
        ))
        .into());
    }
    sealed.extend(body);
    Ok(sealed)
}

/// The touchstone of the key that the token has under a label: what it alone opens.
pub(crate) fn touchstone(turn: &Turn, session: &Session, label: &str) -> Result<Vec<u8>, Fault> {
    let key = find_sealing(turn, session, label)?;
    sealed_with(session, key, TOUCHSTONE, &touchstone_context(label))
}

/// The handle of a sealing key: the one that made its touchstone, where it names one.
pub(crate) fn find_key(turn: &Turn, session: &Session, key: &SealingKey) -> Result<ObjectHandle, Fault> {
    let handle = find_sealing(turn, session, key.label())?;
    if key.touchstone().is_empty() {
        return Ok(handle);
    }
    match opened_with(session, handle, key.touchstone(), &touchstone_context(key.label())) {
        Ok(opened) if opened == TOUCHSTONE => Ok(handle),
        Ok(_) | Err(Fault::Answer(HsmError::Sealed(_))) => {
            let wrong = vec!["it is another key than the one that was made under this label".to_owned()];
            Err(HsmError::Unfit { label: key.label().to_owned(), wrong }.into())
        }
        Err(other) => Err(other),
    }
}

/// Unseals; none as in [`seal`].
pub(crate) fn unseal(
    turn: Option<&Turn>,
    desk: &mut Desk,
    key: &SealingKey,
    sealed: &[u8],
    aad: &[u8],
) -> Result<Option<Vec<u8>>, Fault> {
    parts(sealed)?;
    let Some(key) = handle(turn, desk, key)? else { return Ok(None) };
    opened_with(&desk.session, key, sealed, aad).map(Some)
}

fn opened_with(session: &Session, key: ObjectHandle, sealed: &[u8], aad: &[u8]) -> Result<Vec<u8>, Fault> {
    let (iv, body) = parts(sealed)?;
    let mut iv = iv.to_vec();
    let bound = bound(aad);
    let mechanism = gcm(&mut iv, &bound)?;
    session.decrypt(&mechanism, key, body).map_err(|e| match e {
        // Tokens say "wrong tag" in several ways, SoftHSM as a general error. A key or a session that went away shows
        // before, at C_DecryptInit.
        Error::Pkcs11(
            RvError::EncryptedDataInvalid
            | RvError::EncryptedDataLenRange
            | RvError::GeneralError
            | RvError::FunctionFailed
            | RvError::DataInvalid
            | RvError::SignatureInvalid,
            Function::Decrypt,
        ) => HsmError::Sealed("it was altered, or sealed by another key or for another place".into()).into(),
        other => Fault::from(other),
    })
}

/// What the caller may ask, checked before it waits for a session.
pub(crate) fn check_sizes(plain: usize, aad: usize) -> Result<(), HsmError> {
    match (plain <= PLAIN_BYTES_MAX, aad <= AAD_BYTES_MAX) {
        (true, true) => Ok(()),
        (false, _) => Err(HsmError::Sealed(format!("more than {PLAIN_BYTES_MAX} bytes"))),
        (_, false) => Err(HsmError::Sealed(format!("a context of more than {AAD_BYTES_MAX} bytes"))),
    }
}

/// Splits sealed bytes; refuses what cannot have been sealed here.
pub(crate) fn parts(sealed: &[u8]) -> Result<(&[u8], &[u8]), HsmError> {
    let fail = |why: &str| Err(HsmError::Sealed(why.into()));
    let Some((version, rest)) = sealed.split_first() else { return fail("it is empty") };
    if *version != VERSION {
        return fail("its version is not known here");
    }
    match rest.split_at_checked(IV_BYTES) {
        Some((iv, body)) if body.len() >= TAG_BYTES => Ok((iv, body)),
        _ => fail("it is cut short"),
    }
}

/// The key's handle, looked up once per desk; none if the desk has not looked yet and may not now.
fn handle(turn: Option<&Turn>, desk: &mut Desk, key: &SealingKey) -> Result<Option<ObjectHandle>, Fault> {
    if let Some(handle) = desk.sealing_handle(key) {
        return Ok(Some(handle));
    }
    let Some(turn) = turn else { return Ok(None) };
    let handle = find_key(turn, &desk.session, key)?;
    desk.keep_sealing_handle(key, handle);
    Ok(Some(handle))
}

fn bound(aad: &[u8]) -> Vec<u8> {
    [&[VERSION][..], aad].concat()
}

fn gcm<'a>(iv: &'a mut [u8], aad: &'a [u8]) -> Result<Mechanism<'a>, Fault> {
    let tag_bits = u64::try_from(TAG_BYTES * 8).unwrap_or(128);
    Ok(Mechanism::AesGcm(GcmParams::new(iv, aad, tag_bits.into())?))
}
