//! What a caller may ask of a pool: a set of tokens, of which the first is where everything is that names no other.
//!
//! A key is at home in the tokens that its record names. What is not of one token (sealing, notes, randomness) is asked of those
//! that are well; a token that is away is answered for at once, and one that does not answer keeps nobody from the others.

use std::future::Future;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::describe::TokenDescription;
use super::pace::SigningTimes;
use super::token::Token;
use crate::custody::{Algorithm, Farewell, Gone, Key, KeyKind};
use crate::error::HsmError;
use crate::heal::{Health, RETRY_AFTER_HEALING_SECS};

/// The tokens of this process. Cheap to clone; the last one dropped ends the threads.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Not empty.
    tokens: Arc<[Token]>,
    /// Tells the intents of this pool's mint from those of another.
    number: u64,
}

/// A key in its tokens.
#[derive(Clone, Debug, Default)]
pub struct AtHome {
    /// The key, at home in those that have it and those that are away; none where no token shows it.
    pub key: Option<Key>,
    /// Tokens that do not answer now: what they have is looked at when they do.
    pub away: Vec<(String, String)>,
    /// Tokens that do not have it, or have another key of that name, and are never asked for it; each with why.
    pub wrong: Vec<(String, String)>,
}

impl Pool {
    pub(super) fn of(tokens: Vec<Token>, number: u64) -> Pool {
        Pool { tokens: tokens.into(), number }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// All of them; the first first.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// One of them, by its name.
    pub fn token(&self, name: &str) -> Option<&Token> {
        self.tokens.iter().find(|token| token.name() == name)
    }

    /// The same; an error that names those that there are.
    pub fn named(&self, name: &str) -> Result<&Token, HsmError> {
        self.token(name).ok_or_else(|| {
            let there: Vec<&str> = self.tokens.iter().map(Token::name).collect();
            HsmError::Config {
                what: "token".into(),
                why: format!("there is no token of that name here; there are: {}", there.join(", ")),
            }
        })
    }

    /// The first token.
    pub fn first(&self) -> &Token {
        self.tokens.first().expect("a pool is made of one token at least")
    }

    /// The tokens that sign with a key, in order.
    pub(super) fn homes<'a>(&'a self, key: &'a Key) -> impl Iterator<Item = &'a Token> {
        let first = key.homes().is_empty().then(|| self.first());
        first.into_iter().chain(key.homes().iter().filter_map(|name| self.token(name)))
    }

    /// How several tokens are together: ready, if one is.
    pub(super) fn together<'a>(&self, tokens: impl Iterator<Item = &'a Token>) -> Health {
        let (mut reasons, mut is_locked) = (Vec::new(), true);
        for token in tokens {
            let why = match token.health() {
                Health::Ready => return Health::Ready,
                Health::Healing { why } => {
                    is_locked = false;
                    why
                }
                Health::Locked { why } => why,
            };
            reasons.push(if self.tokens.len() > 1 { format!("{}: {why}", token.name()) } else { why });
        }
        let why = if reasons.is_empty() { "none of its tokens is configured here".into() } else { reasons.join("; ") };
        if is_locked { Health::Locked { why } } else { Health::Healing { why } }
    }

    /// How the tokens are: ready, if one is.
    pub fn health(&self) -> Health {
        self.together(self.tokens.iter())
    }

    /// Makes a signing key in the first token.
    pub async fn generate(&self, label: &str, kind: KeyKind) -> Result<Key, HsmError> {
        self.first().generate(label, kind).await.map_err(|error| self.told(self.first(), error))
    }

    /// Makes a signing key in one of the tokens; the key is at home there.
    pub async fn generate_in(&self, name: &str, label: &str, kind: KeyKind) -> Result<Key, HsmError> {
        let token = self.named(name)?;
        let key = token.generate(label, kind).await.map_err(|error| self.told(token, error))?;
        Ok(key.at(&[name.to_owned()]))
    }

    /// Destroys a key that its ledger said farewell to, in each of its tokens; one that is gone already is no error. There is no way
    /// back.
    pub async fn destroy(&self, farewell: Farewell) -> Result<(), HsmError> {
        if farewell.home() != self.number {
            return Err(HsmError::Unsupported("destroy a key of another token's ledger".into()));
        }
        match farewell.key() {
            Gone::Signing(key) => {
                for token in self.homes(key) {
                    token.destroy(key).await.map_err(|error| self.told(token, error))?;
                }
            }
            Gone::Sealing(key) => {
                for token in self.sealing_homes(key) {
                    token.destroy_sealing(key).await.map_err(|error| self.told(token, error))?;
                }
            }
        }
        Ok(())
    }

    /// Finds a signing key of the first token.
    pub async fn find(&self, label: &str) -> Result<Key, HsmError> {
        self.first().find(label).await
    }

    /// Finds a signing key in its tokens, in their order: it is looked for anew in the first that answers. Of one that was outside it may be
    /// said which is wanted, so that nothing is taken from another.
    pub async fn find_in(
        &self,
        homes: &[String],
        label: &str,
        (is_brought, wanted): (bool, Option<[u8; 32]>),
    ) -> Result<Key, HsmError> {
        self.first_that_answers(
            homes,
            label,
            |token| async move { token.sought(label, is_brought, (true, wanted)).await },
        )
        .await
    }

    /// The same of a key that was outside its tokens, without a change: see [`Token::see_brought`].
    pub async fn see_brought(&self, homes: &[String], label: &str) -> Result<Key, HsmError> {
        self.first_that_answers(homes, label, |token| async move { token.see_brought(label).await }).await
    }

    async fn first_that_answers<'a, F: Future<Output = Result<Key, HsmError>>>(
        &'a self,
        homes: &[String],
        label: &str,
        look: impl Fn(&'a Token) -> F,
    ) -> Result<Key, HsmError> {
        let mut away = None;
        let mut missing = None;
        for token in self.homes_named(homes)? {
            match look(token).await {
                Ok(key) => return Ok(key.at(homes)),
                Err(error @ (HsmError::Unavailable { .. } | HsmError::Locked(_))) => {
                    away = away.or(Some(self.told(token, error)));
                }
                Err(HsmError::NotFound { label }) => missing = missing.or(Some(HsmError::NotFound { label })),
                Err(other) => return Err(other),
            }
        }
        // What is not in one of them may be in the one that is away.
        Err(away.or(missing).unwrap_or_else(|| HsmError::NotFound { label: label.to_owned() }))
    }

    /// The signing key of that label as the first token was judged to have it.
    pub async fn key(&self, label: &str) -> Result<Key, HsmError> {
        self.first().key(label).await
    }

    /// Trouble of one of several tokens, with its name.
    pub(super) fn told(&self, token: &Token, error: HsmError) -> HsmError {
        let named = |why: String| if self.tokens.len() > 1 { format!("{}: {why}", token.name()) } else { why };
        match error {
            HsmError::Unavailable { retry_after_secs, why } => {
                HsmError::Unavailable { retry_after_secs, why: named(why) }
            }
            HsmError::Locked(why) => HsmError::Locked(named(why)),
            other => other,
        }
    }

    /// Those of a list of names that are configured here; of none, the first.
    fn homes_named(&self, homes: &[String]) -> Result<Vec<&Token>, HsmError> {
        if homes.is_empty() {
            return Ok(vec![self.first()]);
        }
        let there: Vec<&Token> = homes.iter().filter_map(|name| self.token(name)).collect();
        match there.is_empty() {
            true => self.named(&homes.join(", ")).map(|token| vec![token]),
            false => Ok(there),
        }
    }

    /// The key of that label and fingerprint in each of its tokens. What a token has under the label and is another key is never
    /// asked for; what a token that is away has is looked at before it signs.
    pub async fn at_home(&self, homes: &[String], (label, is_brought): (&str, bool), fingerprint: &[u8; 32]) -> AtHome {
        let mut asked = JoinSet::new();
        let mut at_home = AtHome::default();
        let names: Vec<String> = if homes.is_empty() { vec![self.first().name().to_owned()] } else { homes.to_vec() };
        for (place, name) in names.iter().enumerate() {
            let Some(token) = self.token(name).cloned() else {
                at_home
                    .wrong
                    .push((name.clone(), format!("no token `{name}` is configured here ([hsm.tokens.{name}])")));
                continue;
            };
            let (label, fingerprint) = (label.to_owned(), *fingerprint);
            asked.spawn(async move {
                let seen = match (
                    token.barred(&fingerprint),
                    token.sought(&label, is_brought, (false, Some(fingerprint))).await,
                ) {
                    (Some(why), _) => Seen::Wrong(why),
                    (None, Ok(key)) if key.fingerprint() == fingerprint => Seen::Good(key),
                    // Somebody may have mended it since: what was judged before is looked at again.
                    (None, Ok(_)) => match token.sought(&label, is_brought, (true, Some(fingerprint))).await {
                        Ok(key) if key.fingerprint() == fingerprint => Seen::Good(key),
                        Ok(_) => Seen::Wrong(format!("what it has as `{label}` is another key")),
                        Err(error) => Seen::of(error),
                    },
                    (None, Err(error)) => Seen::of(error),
                };
                (place, token.name().to_owned(), seen)
            });
        }
        let mut seen = asked.join_all().await;
        seen.sort_by_key(|(place, _, _)| *place);
        let mut good = Vec::new();
        for (_, name, seen) in seen {
            match seen {
                Seen::Good(key) => {
                    at_home.key = at_home.key.or(Some(key));
                    good.push(name);
                }
                Seen::Away(why) => {
                    good.push(name.clone());
                    at_home.away.push((name, why));
                }
                Seen::Wrong(why) => at_home.wrong.push((name, why)),
            }
        }
        // A house of one token names none.
        let homes: &[String] = if homes.is_empty() { &[] } else { &good };
        at_home.key = at_home.key.map(|key| key.at(homes));
        at_home
    }

    /// Every usable signing key of the first token.
    pub async fn keys(&self) -> Result<Vec<Key>, HsmError> {
        self.first().keys().await
    }

    /// Random bytes from a token that is well, at most 4096.
    pub async fn random(&self, len: usize) -> Result<Vec<u8>, HsmError> {
        self.one_after_another(self.tokens.iter(), |token| async move { token.random(len).await }).await
    }

    /// The first answer that is none of trouble; else the first trouble, of a key that is missing last. What a token that has the key
    /// cannot open is opened by nobody: else any token would do for whoever has one, and a key of his own under the label.
    pub(super) async fn one_after_another<'a, T, F: Future<Output = Result<T, HsmError>>>(
        &'a self,
        tokens: impl Iterator<Item = &'a Token>,
        act: impl Fn(&'a Token) -> F,
    ) -> Result<T, HsmError> {
        let (mut trouble, mut missing) = (None, None);
        for token in tokens {
            match act(token).await {
                Ok(done) => return Ok(done),
                Err(error @ HsmError::Sealed(_)) => return Err(trouble.unwrap_or(error)),
                Err(error @ HsmError::NotFound { .. }) => missing = missing.or(Some(error)),
                Err(error) => trouble = trouble.or(Some(error)),
            }
        }
        Err(trouble.or(missing).unwrap_or(HsmError::Unavailable {
            retry_after_secs: RETRY_AFTER_HEALING_SECS,
            why: "there is no token".into(),
        }))
    }

    /// Keeps a note in every token that is well; answers as soon as one has it. See [`Token::keep_note`].
    pub async fn keep_note(
        &self,
        label: &str,
        value: Vec<u8>,
        rank: impl Fn(&[u8]) -> u64 + Send + Sync + 'static,
    ) -> Result<bool, HsmError> {
        let rank = Arc::new(rank);
        self.side_by_side(|token| {
            let (label, value, rank) = (label.to_owned(), value.clone(), Arc::clone(&rank));
            async move { token.keep_note(&label, value, move |note: &[u8]| rank(note)).await }
        })
        .await
    }

    /// The notes of a label that the tokens that are well have, in no order; two at most of each.
    pub async fn notes(&self, label: &str) -> Result<Vec<Vec<u8>>, HsmError> {
        let mut asked = JoinSet::new();
        for token in self.tokens.iter() {
            let (token, label) = (token.clone(), label.to_owned());
            asked.spawn(async move { token.notes(&label).await });
        }
        let (mut all, mut error, mut heard) = (Vec::new(), None, false);
        for notes in asked.join_all().await {
            match notes {
                Ok(notes) => {
                    heard = true;
                    all.extend(notes.into_iter().filter(|note| !all.contains(note)).collect::<Vec<_>>());
                }
                Err(e) => error = error.or(Some(e)),
            }
        }
        error.filter(|_| !heard).map_or(Ok(all), Err)
    }

    /// Takes the notes of a label away, from every token: one that is away would bring its own back.
    pub async fn forget_notes(&self, label: &str) -> Result<(), HsmError> {
        for token in self.tokens.iter() {
            token.forget_notes(label).await?;
        }
        Ok(())
    }

    /// Makes a passing key in the first token, signs with it and verifies. No lasting key is touched.
    pub async fn self_test(&self) -> Result<Algorithm, HsmError> {
        self.first().self_test().await
    }

    /// Whether a token would sign now; nothing is signed. Every token is asked, and one that is met in trouble is brought back.
    pub async fn probe(&self) -> Result<(), HsmError> {
        self.side_by_side(|token| async move { token.probe().await }).await
    }

    /// Asks all of them at once. The first success answers, and the others go on to their end.
    async fn side_by_side<T: Send + 'static, F: Future<Output = Result<T, HsmError>> + Send + 'static>(
        &self,
        act: impl Fn(Token) -> F,
    ) -> Result<T, HsmError> {
        let (sender, mut answers) = tokio::sync::mpsc::channel(self.tokens.len());
        for token in self.tokens.iter().cloned() {
            let (act, sender) = (act(token), sender.clone());
            tokio::spawn(async move {
                // An error means that another was first.
                let _ = sender.send(act.await).await;
            });
        }
        drop(sender);
        let mut error = None;
        while let Some(answer) = answers.recv().await {
            match answer {
                Ok(done) => return Ok(done),
                Err(e) => error = error.or(Some(e)),
            }
        }
        Err(error.unwrap_or_else(|| HsmError::Failed("no token answered".into())))
    }

    /// How often tokens came back: where it grew, somebody may have exchanged what is in them.
    pub fn returns(&self) -> u64 {
        self.tokens.iter().map(Token::returns).sum()
    }

    /// A key of the first token that was outside once. See [`Token::find_brought`].
    pub async fn find_brought(&self, label: &str) -> Result<Key, HsmError> {
        self.first().find_brought(label, None).await
    }

    /// How long signatures of all tokens took so far, and how many wait now.
    pub fn signing_times(&self) -> SigningTimes {
        self.tokens.iter().map(Token::signing_times).reduce(SigningTimes::and).unwrap_or_default()
    }

    /// The first token in words.
    pub async fn describe(&self) -> Result<TokenDescription, HsmError> {
        self.first().describe().await
    }

    /// Answers what waits with `Unavailable`, ends the threads and closes their sessions (with the last session of a
    /// process the token logs it out). Blocks for as long as calls are under way, at most five seconds: a token that does not
    /// answer adds nothing to another that does not.
    pub fn shutdown(&self) {
        std::thread::scope(|scope| {
            for token in self.tokens.iter().skip(1) {
                scope.spawn(|| token.shutdown());
            }
            self.first().shutdown();
        });
    }
}

/// What one token has under a key's name.
pub(super) enum Seen<K = Key> {
    Good(K),
    Away(String),
    Wrong(String),
}

impl<K> Seen<K> {
    pub(super) fn of(error: HsmError) -> Seen<K> {
        match error {
            HsmError::Unavailable { why, .. } => Seen::Away(why),
            HsmError::Locked(why) => Seen::Away(format!("the PIN was refused: {why}")),
            other => Seen::Wrong(other.to_string()),
        }
    }
}
