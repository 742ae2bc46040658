//! Sealing, as callers ask for it: keys that seal, found in the tokens where they are at home, one after another.

use super::errand::Again;
use super::facade::{Pool, Seen};
use super::token::{MAKING_DEADLINE, Token};
use crate::custody::SealingKey;
use crate::error::HsmError;
use crate::heal::Health;
use crate::keys::{ending, making, objects, seal};
use crate::module::{Inside, Turn};
use crate::session::Desk;

/// The homes of a sealing key, as they are.
#[derive(Clone, Debug, Default)]
pub struct SealingHomes {
    /// Tokens that have it, and those that do not answer now: in order.
    pub good: Vec<String>,
    /// Tokens that do not answer now, each with why.
    pub away: Vec<(String, String)>,
    /// Tokens that do not have it, or another key of its label, and are not asked for it; each with why.
    pub wrong: Vec<(String, String)>,
}

impl Pool {
    /// Makes an AES-256 sealing key that can never leave its token; refuses a label in use. None names the first token.
    pub async fn generate_sealing(&self, token: Option<&str>, label: &str) -> Result<(), HsmError> {
        let token = self.one(token)?;
        token.generate_sealing(label).await.map_err(|error| self.told(token, error))
    }

    /// Whether a token has a fit sealing key of that label; one that is not fit is an error that names why.
    pub async fn has_sealing(&self, token: Option<&str>, label: &str) -> Result<bool, HsmError> {
        let token = self.one(token)?;
        token.has_sealing(label).await.map_err(|error| self.told(token, error))
    }

    /// What the key that a token has under a label can be known by from now on.
    pub async fn touchstone(&self, token: Option<&str>, label: &str) -> Result<Vec<u8>, HsmError> {
        let token = self.one(token)?;
        token.touchstone(label).await.map_err(|error| self.told(token, error))
    }

    /// Seals bytes (AES-256-GCM, fresh IV from the token), bound to `aad`, with the first of the key's tokens that can.
    pub async fn seal(&self, key: &SealingKey, plain: &[u8], aad: &[u8]) -> Result<Vec<u8>, HsmError> {
        seal::check_sizes(plain.len(), aad.len())?;
        self.one_after_another(self.sealing_homes(key), |token| async move { token.seal(key, plain, aad).await }).await
    }

    /// Opens what [`Pool::seal`] made, with the first of the key's tokens that can. The caller keeps the answer in something that
    /// wipes itself.
    pub async fn unseal(&self, key: &SealingKey, sealed: &[u8], aad: &[u8]) -> Result<Vec<u8>, HsmError> {
        seal::parts(sealed)?;
        seal::check_sizes(sealed.len().saturating_sub(seal::OVERHEAD_BYTES), aad.len())?;
        self.one_after_another(self.sealing_homes(key), |token| async move { token.unseal(key, sealed, aad).await })
            .await
    }

    /// How the tokens of a sealing key are: ready, if one of them is.
    pub fn health_of_sealing(&self, key: &SealingKey) -> Health {
        self.together(self.sealing_homes(key))
    }

    /// Which of a key's tokens have it: each shows it by its touchstone.
    pub async fn sealing_at_home(&self, key: &SealingKey) -> SealingHomes {
        let mut found = SealingHomes::default();
        for name in key.homes() {
            let seen: Seen<()> = match self.token(name) {
                Some(token) => match token.shows_sealing(key).await {
                    Ok(()) => Seen::Good(()),
                    Err(error) => Seen::of(error),
                },
                None => Seen::Wrong(format!("no token `{name}` is configured here ([hsm.tokens.{name}])")),
            };
            match seen {
                Seen::Good(()) => found.good.push(name.clone()),
                Seen::Away(why) => {
                    found.good.push(name.clone());
                    found.away.push((name.clone(), why));
                }
                Seen::Wrong(why) => found.wrong.push((name.clone(), why)),
            }
        }
        found
    }

    /// The tokens that are asked for a sealing key, in order.
    pub(super) fn sealing_homes<'a>(&'a self, key: &'a SealingKey) -> impl Iterator<Item = &'a Token> {
        let every = key.homes().is_empty().then(|| self.tokens()).into_iter().flatten();
        every.chain(key.homes().iter().filter_map(|name| self.token(name)))
    }

    fn one(&self, token: Option<&str>) -> Result<&Token, HsmError> {
        token.map_or(Ok(self.first()), |name| self.named(name))
    }
}

impl Token {
    async fn generate_sealing(&self, label: &str) -> Result<(), HsmError> {
        objects::check_label(label)?;
        let label = label.to_owned();
        let make = move |inside: &Inside<'_>, turn: &Turn, desk: &mut Desk| {
            making::generate_sealing(inside, turn, desk, &label)
        };
        self.crew.make(Again::Never, MAKING_DEADLINE, make).await
    }

    async fn has_sealing(&self, label: &str) -> Result<bool, HsmError> {
        let label = label.to_owned();
        let look = self.crew.look(move |_, turn, desk| objects::find_sealing(turn, &desk.session, &label).map(drop));
        match look.await {
            Ok(()) => Ok(true),
            Err(HsmError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn touchstone(&self, label: &str) -> Result<Vec<u8>, HsmError> {
        let label = label.to_owned();
        self.crew.look(move |_, turn, desk| seal::touchstone(turn, &desk.session, &label)).await
    }

    async fn shows_sealing(&self, key: &SealingKey) -> Result<(), HsmError> {
        let key = key.clone();
        self.crew.look(move |_, turn, desk| seal::find_key(turn, &desk.session, &key).map(drop)).await
    }

    async fn seal(&self, key: &SealingKey, plain: &[u8], aad: &[u8]) -> Result<Vec<u8>, HsmError> {
        let (key, aad) = (key.clone(), aad.to_vec());
        // The copy that travels to the session thread is wiped when it has been used.
        let plain = zeroize::Zeroizing::new(plain.to_vec());
        self.crew.once_seen(move |turn, desk| seal::seal(turn, desk, &key, &plain, &aad)).await
    }

    async fn unseal(&self, key: &SealingKey, sealed: &[u8], aad: &[u8]) -> Result<Vec<u8>, HsmError> {
        let (key, sealed, aad) = (key.clone(), sealed.to_vec(), aad.to_vec());
        self.crew.once_seen(move |turn, desk| seal::unseal(turn, desk, &key, &sealed, &aad)).await
    }

    /// Of the pool alone, which asks for a ledger's farewell.
    pub(super) async fn destroy_sealing(&self, key: &SealingKey) -> Result<(), HsmError> {
        let key = key.clone();
        let destroy =
            move |inside: &Inside<'_>, turn: &Turn, desk: &mut Desk| ending::destroy_sealing(inside, turn, desk, &key);
        self.crew.make(Again::Once, self.crew.deadline(), destroy).await
    }
}
