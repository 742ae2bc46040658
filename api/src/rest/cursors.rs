//! Where a list goes on, sealed: a page may end at what its reader may not know of, and the word for the next one names that.
//!
//! The key is the register's, so that a page begun at one node goes on at another. It is bound to the caller and to the list.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policy::Actor;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use secrets::SecretError;

use crate::app::App;
use crate::problem::{Kind, Problem};

/// As a caller is given it.
pub(crate) fn sealed(app: &App, actor: &Actor, list: &str, next: Option<String>) -> Result<Option<String>, Problem> {
    next.map(|next| seal(&key(app)?, &bound(actor, list), &next)).transpose()
}

/// What [`sealed`] was given.
pub(crate) fn opened(app: &App, actor: &Actor, list: &str, cursor: Option<&str>) -> Result<Option<String>, Problem> {
    cursor.map(|cursor| open(&key(app)?, &bound(actor, list), cursor).ok_or_else(unknown)).transpose()
}

fn key(app: &App) -> Result<LessSafeKey, Problem> {
    let key = UnboundKey::new(&AES_256_GCM, app.ledger().key_for(PURPOSE).as_ref());
    key.map(LessSafeKey::new).map_err(|_| broken())
}

fn bound(actor: &Actor, list: &str) -> Vec<u8> {
    [actor.id.as_bytes(), b"\n", list.as_bytes()].concat()
}

fn seal(key: &LessSafeKey, bound: &[u8], next: &str) -> Result<String, Problem> {
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce).map_err(|_| broken())?;
    let mut text = next.as_bytes().to_vec();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(bound), &mut text)
        .map_err(|_| broken())?;
    Ok(URL_SAFE_NO_PAD.encode([&nonce[..], &text].concat()))
}

fn open(key: &LessSafeKey, bound: &[u8], cursor: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (nonce, text) = bytes.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut text = text.to_vec();
    let plain = key.open_in_place(nonce, Aad::from(bound), &mut text).ok()?;
    String::from_utf8(plain.to_vec()).ok()
}

fn unknown() -> Problem {
    let why = "it is none that this list gave you: begin with the first page".to_owned();
    SecretError::Invalid { what: "cursor", why }.into()
}

fn broken() -> Problem {
    Problem::new(Kind::Internal, "The word for the next page cannot be made.")
}

/// What the key is for.
const PURPOSE: &str = "cursors of lists";

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[byte; 32]).unwrap())
    }

    #[test]
    fn a_cursor_is_of_one_caller_one_list_and_one_register_and_shows_nothing() {
        let cursor = seal(&key(1), b"token:a\nsecrets", "beta/hidden").unwrap();
        assert_eq!(open(&key(1), b"token:a\nsecrets", &cursor).as_deref(), Some("beta/hidden"));
        assert!(!String::from_utf8_lossy(&URL_SAFE_NO_PAD.decode(&cursor).unwrap()).contains("hidden"));
        for (key, bound) in [(key(2), "token:a\nsecrets"), (key(1), "token:b\nsecrets"), (key(1), "token:a\nleases")] {
            assert_eq!(open(&key, bound.as_bytes(), &cursor), None, "{bound}");
        }
        for broken in ["", "x", "beta/hidden", &cursor[1..], &cursor[..cursor.len() - 2]] {
            assert_eq!(open(&key(1), b"token:a\nsecrets", broken), None, "{broken}");
        }
    }
}
