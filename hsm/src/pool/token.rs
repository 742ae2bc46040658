//! What may be asked of one open token.
//!
//! PKCS#11 calls block, some for seconds; they happen on threads of their own. A full queue and an absent token are
//! answered at once; whoever waits, for a session or for a turn, waits with a bound.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::crew::Crew;
use super::describe::{TokenDescription, describe};
use super::errand::Again;
use super::pace::SigningTimes;
use crate::custody::{Algorithm, Intent, Key, KeyKind, SignError, Signature};
use crate::error::HsmError;
use crate::heal::Health;
use crate::keys::{ending, making, objects};
use crate::module::{Inside, Turn};
use crate::notes;
use crate::session::Desk;

/// An RSA-4096 key may take a token a minute to make.
pub(super) const MAKING_DEADLINE: Duration = Duration::from_secs(180);

/// More is no use of a token's generator that we know of, and would hold a session.
const RANDOM_BYTES_MAX: usize = 4096;

/// A handle on one of a pool's tokens. Cheap to clone.
#[derive(Clone)]
pub struct Token {
    pub(super) crew: Arc<Crew>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({}, {})", self.name(), self.crew.shared.config.wanted)
    }
}

impl Token {
    /// What it is called here.
    pub fn name(&self) -> &str {
        &self.crew.shared.name
    }

    /// Has this token sign, within a time.
    pub(super) async fn sign(&self, intent: &Arc<Intent>, window: Duration) -> Result<Signature, SignError> {
        let began = Instant::now();
        let outcome = self.crew.sign(intent, window).await;
        match &outcome {
            Ok(_) => self.crew.pace.signed(began.elapsed()),
            Err(_) => self.crew.pace.failed(),
        }
        outcome
    }

    /// Why the key of that fingerprint is not used here, though the token shows it: it made a wrong signature.
    pub fn barred(&self, fingerprint: &[u8; 32]) -> Option<String> {
        self.crew.shared.barred(fingerprint)
    }

    /// An operator put the key right.
    pub fn unbar(&self, fingerprint: &[u8; 32]) {
        self.crew.shared.unbar(fingerprint);
    }

    /// Makes a signing key that can never leave the token; refuses a label in use.
    pub async fn generate(&self, label: &str, kind: KeyKind) -> Result<Key, HsmError> {
        objects::check_label(label)?;
        let label = label.to_owned();
        let make =
            move |inside: &Inside<'_>, turn: &Turn, desk: &mut Desk| making::generate(inside, turn, desk, &label, kind);
        let key = self.crew.make(Again::Never, MAKING_DEADLINE, make).await?;
        self.crew.shared.remember(&key);
        Ok(key)
    }

    /// Destroys a key: of the pool alone, which asks for a ledger's farewell.
    pub(super) async fn destroy(&self, key: &Key) -> Result<(), HsmError> {
        let key = key.clone();
        self.crew.shared.forget(&key);
        let destroy =
            move |inside: &Inside<'_>, turn: &Turn, desk: &mut Desk| ending::destroy(inside, turn, desk, &key);
        self.crew.make(Again::Once, self.crew.deadline(), destroy).await
    }

    /// Finds a signing key by label; refuses wrong attributes, naming each.
    pub async fn find(&self, label: &str) -> Result<Key, HsmError> {
        let label = label.to_owned();
        let key = self.crew.look(move |_, turn, desk| objects::find(turn, &desk.session, &label)).await?;
        self.crew.shared.remember(&key);
        Ok(key)
    }

    /// The same of a key that was outside the token once, as an operator knows and says: that a copy of it may exist is no reason to
    /// refuse it, everything else is. What it may do besides signing is taken from it.
    pub async fn find_brought(&self, label: &str) -> Result<Key, HsmError> {
        let label = label.to_owned();
        let key = self.crew.look(move |inside, turn, desk| objects::find_brought(inside, turn, desk, &label)).await?;
        self.crew.shared.remember(&key);
        Ok(key)
    }

    /// As [`Token::key`], of a key that was outside the token once.
    pub async fn brought_key(&self, label: &str) -> Result<Key, HsmError> {
        match self.crew.shared.known_as(label).filter(Key::is_brought) {
            Some(key) => Ok(key),
            None => self.find_brought(label).await,
        }
    }

    /// A key by either name of its origin: as it is known, or looked for anew.
    pub async fn sought(&self, label: &str, is_brought: bool, anew: bool) -> Result<Key, HsmError> {
        match (is_brought, anew) {
            (true, true) => self.find_brought(label).await,
            (true, false) => self.brought_key(label).await,
            (false, true) => self.find(label).await,
            (false, false) => self.key(label).await,
        }
    }

    /// A key that was outside the token once, as it will be, without a change: what it may do besides signing is neither taken from it nor
    /// a reason to refuse it yet.
    pub async fn see_brought(&self, label: &str) -> Result<Key, HsmError> {
        let label = label.to_owned();
        self.crew.look(move |_, turn, desk| objects::see_brought(turn, &desk.session, &label)).await
    }

    /// Whether another one is this very token, by another module for instance: what is written on both is the same.
    pub async fn is_same(&self, other: &Token) -> Result<bool, HsmError> {
        let mark = |token: &Token| {
            let crew = Arc::clone(&token.crew);
            async move { crew.look(|_, _, desk| Ok(desk.place.mark())).await }
        };
        Ok(mark(self).await? == mark(other).await?)
    }

    /// How often it came back.
    pub fn returns(&self) -> u64 {
        self.crew.shared.standing.epoch()
    }

    /// The signing key of that label as it was judged when this token last found or made it; looked for now if it never did.
    ///
    /// Costs the token nothing. What has become of the key since shows when it signs: each session judges it once more at
    /// first use, and each signature is verified with the public key that is known here.
    pub async fn key(&self, label: &str) -> Result<Key, HsmError> {
        match self.crew.shared.known_as(label) {
            Some(key) => Ok(key),
            None => self.find(label).await,
        }
    }

    /// Whether [`Token::key`] of that label costs the token nothing.
    pub fn knows(&self, label: &str) -> bool {
        self.crew.shared.known_as(label).is_some()
    }

    /// Looks for many keys at once, so that [`Token::key`] of each costs the token nothing. Those that are not fit, or not there, are left
    /// to whoever asks for them.
    pub async fn look_for(&self, labels: BTreeSet<String>) -> Result<(), HsmError> {
        let found = self.crew.look(move |_, turn, desk| objects::find_many(turn, &desk.session, &labels)).await?;
        found.iter().for_each(|key| self.crew.shared.remember(key));
        Ok(())
    }

    /// Every usable signing key. Those that are not are in [`Token::describe`], each with why.
    pub async fn keys(&self) -> Result<Vec<Key>, HsmError> {
        let found = self.crew.look(|_, turn, desk| objects::survey(turn, &desk.session)).await?;
        let keys: Vec<Key> = found.into_iter().flatten().collect();
        keys.iter().for_each(|key| self.crew.shared.remember(key));
        Ok(keys)
    }

    /// Keeps a note in the token: a private data object of the application `chancery`. Where one of that label ranks as high or
    /// higher, nothing is written; whoever writes at the same moment through another process may write over a note that ranks
    /// between theirs. Answers whether it was written.
    ///
    /// `Failed`: the token does not keep notes, or not now.
    pub async fn keep_note(
        &self,
        label: &str,
        value: Vec<u8>,
        rank: impl Fn(&[u8]) -> u64 + Send + Sync + 'static,
    ) -> Result<bool, HsmError> {
        notes::check(label, &value)?;
        let label = label.to_owned();
        let keep = move |inside: &Inside<'_>, turn: &Turn, desk: &mut Desk| {
            notes::keep(inside, turn, desk, &label, &value, &rank)
        };
        self.crew.make(Again::Never, self.crew.deadline(), keep).await
    }

    /// The notes of a label: two at most, in no order.
    pub async fn notes(&self, label: &str) -> Result<Vec<Vec<u8>>, HsmError> {
        notes::check(label, &[])?;
        let label = label.to_owned();
        self.crew.look(move |_, turn, desk| notes::read(turn, &desk.session, &label)).await
    }

    /// Takes the notes of a label away.
    pub async fn forget_notes(&self, label: &str) -> Result<(), HsmError> {
        notes::check(label, &[])?;
        let label = label.to_owned();
        let forget = move |inside: &Inside<'_>, turn: &Turn, desk: &mut Desk| notes::forget(inside, turn, desk, &label);
        self.crew.make(Again::Once, self.crew.deadline(), forget).await
    }

    /// Random bytes from the token, at most 4096.
    pub async fn random(&self, len: usize) -> Result<Vec<u8>, HsmError> {
        if len > RANDOM_BYTES_MAX {
            return Err(HsmError::Unsupported(format!("give more than {RANDOM_BYTES_MAX} random bytes at once")));
        }
        self.crew.ask(Again::Once, self.crew.deadline(), move |_, desk| making::random(&desk.session, len)).await
    }

    /// Makes a passing key in the token, signs with it and verifies: for `chancery doctor`. No lasting key is touched.
    pub async fn self_test(&self) -> Result<Algorithm, HsmError> {
        self.crew
            .make(Again::Once, self.crew.deadline(), |inside, turn, desk| making::self_test(inside, turn, desk))
            .await
    }

    /// Whether the token would sign now; nothing is signed.
    pub async fn probe(&self) -> Result<(), HsmError> {
        self.crew.probe().await
    }

    /// How long signatures took so far, and how many wait now.
    pub fn signing_times(&self) -> SigningTimes {
        self.crew.pace.times(self.crew.jobs.len())
    }

    /// How the token is now.
    pub fn health(&self) -> Health {
        self.crew.shared.standing.health()
    }

    /// What `chancery doctor` prints.
    pub async fn describe(&self) -> Result<TokenDescription, HsmError> {
        let module = self.crew.shared.module.path().to_owned();
        self.crew.look(move |inside, turn, desk| describe(&module, inside, turn, desk)).await
    }

    pub(super) fn shutdown(&self) {
        self.crew.shut_down();
    }
}
