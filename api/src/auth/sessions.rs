//! The dashboard's sessions: a cookie that stands for "this browser showed a valid API token".
//!
//! In memory, bounded, gone at restart. A session holds the token's id and no secret; the token itself is looked up on
//! each page, so that revoking it ends the session. What a second factor proved stands in it as a login's id. The cookie is `__Host-`, HttpOnly, Secure and SameSite=Strict, and
//! counts for the dashboard alone: the API does not read it, so that no foreign page can act through a browser.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, header};
use policy::{Timestamp, World};
use ring::digest::{SHA256, digest};
use ring::hmac;
use zeroize::Zeroize;

/// The cookie. The `__Host-` prefix binds it to this host, to HTTPS and to `/`.
const COOKIE: &str = "__Host-chancery";
/// A working day.
const LIFE_SECS: i64 = 8 * 3_600;
/// Sessions kept; the oldest gives way.
const SESSIONS_MAX: usize = 1_024;

/// All open sessions, by the SHA-256 of their cookie.
pub(crate) struct Sessions {
    open: Mutex<HashMap<[u8; 32], Session>>,
    /// Says of a form that a page of ours to that visitor had it.
    forms: hmac::Key,
}

struct Session {
    token_id: String,
    until: Timestamp,
    /// The login of the second factor that was proved in it, by its id.
    login: Option<String>,
}

impl Sessions {
    /// None yet.
    pub(crate) fn new(world: &World) -> Self {
        let mut key = [0_u8; 32];
        world.fill(&mut key);
        let forms = hmac::Key::new(hmac::HMAC_SHA256, &key);
        key.zeroize();
        Self { open: Mutex::default(), forms }
    }

    /// The word that a form about something carries for a visitor who proved itself so. Also who comes with a client certificate,
    /// which a browser shows for other sites' forms too, has it from a page of ours alone.
    pub(crate) fn form_word(&self, proof: &str, about: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.forms, form(proof, about).as_bytes()))
    }

    /// Whether it is that word.
    pub(crate) fn is_form_word(&self, proof: &str, about: &str, word: &str) -> bool {
        let Ok(word) = URL_SAFE_NO_PAD.decode(word) else { return false };
        hmac::verify(&self.forms, form(proof, about).as_bytes(), &word).is_ok()
    }

    /// Opens a session for a token that was just checked; gives the `Set-Cookie` value.
    pub(crate) fn open(&self, token_id: &str, world: &World, now: Timestamp) -> String {
        let mut secret = [0_u8; 32];
        world.fill(&mut secret);
        let cookie = URL_SAFE_NO_PAD.encode(secret);
        let until = now.plus_secs(LIFE_SECS);
        let mut sessions = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() >= SESSIONS_MAX {
            sessions.retain(|_, session| now.is_held(session.until, LIFE_SECS));
        }
        if sessions.len() >= SESSIONS_MAX
            && let Some(oldest) = sessions.iter().min_by_key(|(_, session)| session.until).map(|(key, _)| *key)
        {
            sessions.remove(&oldest);
        }
        sessions.insert(key(&cookie), Session { token_id: token_id.to_owned(), until, login: None });
        format!("{COOKIE}={cookie}; Path=/; Max-Age={LIFE_SECS}; Secure; HttpOnly; SameSite=Strict")
    }

    /// The token that the request's cookie stands for. A session that a clock opened which was ahead does not last until then.
    pub(crate) fn token_id(&self, headers: &HeaderMap, now: Timestamp) -> Option<String> {
        let sessions = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.get(&key(cookie(headers)?))?;
        now.is_held(session.until, LIFE_SECS).then(|| session.token_id.clone())
    }

    /// The login that was proved in the request's session.
    pub(crate) fn login(&self, headers: &HeaderMap) -> Option<String> {
        let sessions = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.get(&key(cookie(headers)?))?.login.clone()
    }

    /// From now on this login goes with the request's session.
    pub(crate) fn step_up(&self, headers: &HeaderMap, login: &str) {
        let mut sessions = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = cookie(headers).and_then(|cookie| sessions.get_mut(&key(cookie))) {
            session.login = Some(login.to_owned());
        }
    }

    /// Ends the request's session; gives the `Set-Cookie` value that removes it.
    pub(crate) fn close(&self, headers: &HeaderMap) -> String {
        if let Some(cookie) = cookie(headers) {
            self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(cookie));
        }
        format!("{COOKIE}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict")
    }
}

fn form(proof: &str, about: &str) -> String {
    format!("chancery form 1\n{}:{proof}\n{about}", proof.len())
}

/// Looked up by hash: the time of a map look-up says nothing about the cookie.
fn key(cookie: &str) -> [u8; 32] {
    let mut key = [0_u8; 32];
    key.copy_from_slice(digest(&SHA256, cookie.as_bytes()).as_ref());
    key
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE).then_some(value))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(set_cookie: &str) -> HeaderMap {
        let pair = set_cookie.split(';').next().expect("a pair");
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_str(&format!("theme=dark; {pair}")).expect("a header"));
        headers
    }

    #[test]
    fn a_session_ends_at_sign_out_and_at_its_time() {
        let world = World::fixed(Timestamp::from_unix(1_000_000), 7);
        let sessions = Sessions::new(&world);
        let headers = headers(&sessions.open("0123456789abcdef", &world, world.now()));
        assert_eq!(sessions.token_id(&headers, world.now()).as_deref(), Some("0123456789abcdef"));
        assert!(sessions.token_id(&headers, world.now().plus_secs(LIFE_SECS)).is_none());
        assert!(sessions.token_id(&headers, world.now().plus_secs(-86_400)).is_none(), "a clock that was ahead");
        assert!(sessions.token_id(&HeaderMap::new(), world.now()).is_none());
        assert_eq!(sessions.login(&headers), None);
        sessions.step_up(&headers, "00aa");
        assert_eq!(sessions.login(&headers).as_deref(), Some("00aa"));
        sessions.close(&headers);
        sessions.step_up(&headers, "00aa");
        assert_eq!(sessions.login(&headers), None, "what is closed is stepped up no more");
        assert!(sessions.token_id(&headers, world.now()).is_none());
    }

    #[test]
    fn the_cookie_is_closed_to_scripts_and_to_other_sites() {
        let world = World::fixed(Timestamp::from_unix(1), 7);
        let cookie = Sessions::new(&world).open("0123456789abcdef", &world, world.now());
        for word in ["__Host-", "Secure", "HttpOnly", "SameSite=Strict", "Path=/"] {
            assert!(cookie.contains(word), "{word}");
        }
    }

    #[test]
    fn a_form_is_of_one_visitor_about_one_thing_until_the_program_ends() {
        let sessions = Sessions::new(&World::fixed(Timestamp::from_unix(1), 7));
        let word = sessions.form_word("token:a", "revoke 0a");
        assert!(sessions.is_form_word("token:a", "revoke 0a", &word));
        for (proof, about) in [("token:b", "revoke 0a"), ("token:a", "revoke 0b"), ("token:a", "renew 0a")] {
            assert!(!sessions.is_form_word(proof, about, &word), "{proof} {about}");
        }
        assert!(
            !sessions.is_form_word("token:a", "revoke 0a", "") && !sessions.is_form_word("token:a", "revoke 0a", "é")
        );
        let other = Sessions::new(&World::fixed(Timestamp::from_unix(1), 8));
        assert!(!other.is_form_word("token:a", "revoke 0a", &word));
    }

    #[test]
    fn sessions_are_bounded() {
        let world = World::fixed(Timestamp::from_unix(1_000_000), 7);
        let sessions = Sessions::new(&world);
        for _ in 0..(SESSIONS_MAX + 10) {
            sessions.open("0123456789abcdef", &world, world.now());
        }
        assert_eq!(sessions.open.lock().expect("lock").len(), SESSIONS_MAX);
    }
}
