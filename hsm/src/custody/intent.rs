//! The custody line's nouns: what may be signed once, and what came of it.

use super::batch::Message;
use super::key::Key;
use super::kind::Algorithm;

/// The only maker of intents; made once per [`crate::open`], held by the ledger.
#[derive(Debug)]
pub struct Mint {
    home: u64,
}

impl Mint {
    /// The mint of the pool of that number.
    pub(crate) fn of(home: u64) -> Mint {
        Mint { home }
    }

    pub(super) fn home(&self) -> u64 {
        self.home
    }

    /// An intent for a durable operation. Call it after the record is on disk, once per operation.
    pub fn intent(&self, operation: u64, key: &Key, message: Message) -> Intent {
        Intent { home: self.home, operation, key: key.clone(), message }
    }
}

/// The right to one signature. [`crate::Pool::sign`] consumes it, and there is no second one:
///
/// ```compile_fail,E0599
/// fn twice(intent: hsm::Intent) -> (hsm::Intent, hsm::Intent) {
///     (intent.clone(), intent)
/// }
/// ```
/// ```compile_fail,E0382
/// async fn again(pool: hsm::Pool, intent: hsm::Intent) {
///     let _ = pool.sign(intent).await;
///     let _ = pool.sign(intent).await;
/// }
/// ```
/// ```compile_fail,E0451
/// fn forge(key: hsm::Key, message: hsm::Message) -> hsm::Intent {
///     hsm::Intent { home: 1, operation: 1, key, message }
/// }
/// ```
/// ```compile_fail,E0624
/// fn counterfeit() -> hsm::Mint {
///     hsm::Mint::of(1)
/// }
/// ```
/// A batch is made before its intent, and its messages stay what they are:
///
/// ```compile_fail,E0451
/// fn more(batch: hsm::Batch, messages: std::sync::Arc<[hsm::Message]>) -> hsm::Batch {
///     hsm::Batch { messages, ..batch }
/// }
/// ```
/// What does compile is the one way there is:
///
/// ```
/// async fn once(pool: hsm::Pool, mint: hsm::Mint, key: hsm::Key) -> Result<hsm::Signature, hsm::SignError> {
///     pool.sign(mint.intent(1, &key, b"bytes".to_vec().into())).await
/// }
/// ```
#[derive(Debug)]
pub struct Intent {
    home: u64,
    operation: u64,
    key: Key,
    message: Message,
}

impl Intent {
    /// The ledger's operation number.
    pub fn operation(&self) -> u64 {
        self.operation
    }
    /// The key it names.
    pub fn key(&self) -> &Key {
        &self.key
    }
    /// Which pool it is for.
    pub(crate) fn home(&self) -> u64 {
        self.home
    }
    /// What will be signed.
    pub fn message(&self) -> &Message {
        &self.message
    }
    /// The messages one by one: that of the intent, or those of its batch.
    pub(crate) fn messages(&self) -> &[Message] {
        match &self.message {
            Message::Batch(batch) => batch.messages(),
            Message::Whole(_) | Message::Sha256(_) => std::slice::from_ref(&self.message),
        }
    }
}

/// A verified signature; of a batch, one for each of its first messages.
#[derive(Debug)]
pub struct Signature {
    operation: u64,
    key: Key,
    made: Made,
}

#[derive(Debug)]
enum Made {
    One(Vec<u8>),
    OfBatch(Vec<Vec<u8>>),
}

impl Signature {
    /// What was made for this intent and verified: of a batch, for its first messages; of another, one.
    pub(crate) fn released(intent: Intent, mut made: Vec<Vec<u8>>) -> Signature {
        let made = match intent.message {
            Message::Batch(_) => Made::OfBatch(made),
            Message::Whole(_) | Message::Sha256(_) => Made::One(made.pop().unwrap_or_default()),
        };
        Signature { operation: intent.operation, key: intent.key, made }
    }
    /// The ledger's operation number.
    pub fn operation(&self) -> u64 {
        self.operation
    }
    /// The key that signed.
    pub fn key(&self) -> &Key {
        &self.key
    }
    /// How it signed.
    pub fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }
    /// The signature in its X.509 form: ECDSA as DER, all others raw. Of a batch there is none.
    pub fn bytes(&self) -> &[u8] {
        match &self.made {
            Made::One(bytes) => bytes,
            Made::OfBatch(_) => &[],
        }
    }
    /// The signatures of a batch in the order of its messages: of all, or of the first, where the token broke off and surely
    /// signed no further one. None of what is no batch.
    pub fn of_batch(&self) -> Option<&[Vec<u8>]> {
        match &self.made {
            Made::One(_) => None,
            Made::OfBatch(made) => Some(made),
        }
    }
}

/// Testimony that nothing was signed for an operation, and nothing will be.
#[derive(Debug)]
pub struct NotSigned {
    operation: u64,
    reason: String,
}

impl NotSigned {
    pub(crate) fn testify(operation: u64, reason: String) -> NotSigned {
        NotSigned { operation, reason }
    }
    /// The ledger's operation number.
    pub fn operation(&self) -> u64 {
        self.operation
    }
    /// Why.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// No signature came back.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// Nothing was signed and asking again will not help.
    #[error("nothing was signed: {}", .0.reason())]
    Refused(NotSigned),
    /// Nothing was signed; the token is busy or away.
    #[error("nothing was signed, the token is unavailable: {}", not_signed.reason())]
    Unavailable {
        /// The testimony for the ledger.
        not_signed: NotSigned,
        /// When to ask again.
        retry_after_secs: u32,
    },
    /// Nobody knows whether a signature exists: treat it as one that does.
    #[error("the outcome of operation {operation} is unknown: {why}")]
    Unknown {
        /// The ledger's operation number.
        operation: u64,
        /// What was seen.
        why: String,
    },
}
