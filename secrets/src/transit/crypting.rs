//! Sealing and opening, in batches: each item comes to something, or says why not.

use zeroize::Zeroizing;

use super::convergent::{self, Converging};
use super::deriving::{Bound, For};
use super::fault::{TransitError, at_most};
use super::keyset::{Bytes, Key};
use super::kind::Mode;
use super::plain::{self, Opening, Sealing};
use super::text::{self, Texts, Writer};
use super::{BATCH_MAX, CONTEXT_BYTES_MAX, ITEM_BYTES_MAX, RANDOM_BYTES_MAX};
use crate::kinds::Random;

/// What is to be sealed.
#[derive(Clone, Copy)]
pub struct Encrypt<'a> {
    /// The bytes.
    pub plain: &'a [u8],
    /// For which context, of a derived key.
    pub context: Option<&'a [u8]>,
    /// What else it is bound to; it has to be said again when it is opened.
    pub associated: &'a [u8],
}

/// What was sealed.
#[derive(Clone, Copy, Debug)]
pub struct Sealed<'a> {
    /// As it was answered.
    pub text: &'a str,
    /// For which context, of a derived key.
    pub context: Option<&'a [u8]>,
    /// What else it is bound to.
    pub associated: &'a [u8],
}

/// A key for somebody to encrypt with on his own.
pub struct DataKey {
    /// Its bytes; none where they were not asked for.
    pub plain: Option<Zeroizing<Vec<u8>>>,
    /// The same, sealed.
    pub wrapped: String,
}

/// What comes of a batch: of each item, in their order.
pub type Each<T> = Vec<Result<T, TransitError>>;

impl Key<'_> {
    /// Seals these under the newest version, or one that is asked for.
    ///
    /// # Errors
    /// Where nothing of it can be sealed: [`TransitError::NotForKind`], [`TransitError::TooLong`], [`TransitError::Retired`],
    /// [`TransitError::NoVersion`]. Of each: [`TransitError::ContextMissing`], [`TransitError::ContextUnused`], [`TransitError::TooLong`],
    /// [`TransitError::NoRandom`].
    pub fn encrypt(
        &self,
        version: Option<u32>,
        items: &[Encrypt<'_>],
        random: &mut dyn Random,
    ) -> Result<Texts, TransitError> {
        let mut maker = self.maker("encrypt", version, items.len())?;
        let bytes = items.iter().map(|item| item.plain.len().min(ITEM_BYTES_MAX) + OVERHEAD_MAX).sum();
        let mut texts = Writer::new(maker.version, items.len(), bytes);
        items.iter().for_each(|item| texts.push(maker.make(item, random)));
        Ok(texts.end())
    }

    /// Opens these, each under the version that sealed it.
    ///
    /// # Errors
    /// As [`Key::encrypt`]; of each also [`TransitError::Malformed`], [`TransitError::Retired`], [`TransitError::NoVersion`],
    /// [`TransitError::Forged`].
    pub fn decrypt(&self, items: &[Sealed<'_>]) -> Result<Each<Zeroizing<Vec<u8>>>, TransitError> {
        let mut opener = self.opener("decrypt", items.len())?;
        Ok(items.iter().map(|item| opener.open(item)).collect())
    }

    /// Seals anew what an older version sealed. Context and associated data stay, and what was sealed is shown to nobody.
    ///
    /// # Errors
    /// As [`Key::encrypt`] and [`Key::decrypt`].
    pub fn rewrap(
        &self,
        version: Option<u32>,
        items: &[Sealed<'_>],
        random: &mut dyn Random,
    ) -> Result<Texts, TransitError> {
        let mut opener = self.opener("rewrap", items.len())?;
        let mut maker = self.maker("rewrap", version, items.len())?;
        let bytes = items.iter().map(|item| item.text.len().min(ITEM_BYTES_MAX)).sum();
        let mut texts = Writer::new(maker.version, items.len(), bytes);
        for item in items {
            let Sealed { text: _, context, associated } = *item;
            match opener.open(item) {
                Ok(plain) => texts.push(maker.make(&Encrypt { plain: &plain, context, associated }, random)),
                Err(error) => texts.push(Err(error)),
            }
        }
        Ok(texts.end())
    }

    /// A new key of 16, 32 or 64 bytes: sealed, and its bytes where `shown`.
    ///
    /// # Errors
    /// As [`Key::encrypt`], of a batch and of an item; [`TransitError::Invalid`]: it has another length.
    pub fn data_key(
        &self,
        version: Option<u32>,
        bytes: usize,
        shown: bool,
        item: &Encrypt<'_>,
        random: &mut dyn Random,
    ) -> Result<DataKey, TransitError> {
        if !DATA_KEY_BYTES.contains(&bytes) {
            return Err(TransitError::invalid("bytes", "a data key has 16, 32 or 64 bytes"));
        }
        let mut maker = self.maker("data-key", version, 1)?;
        let mut plain = Zeroizing::new(vec![0; bytes]);
        random.fill(&mut plain).map_err(|_| TransitError::NoRandom)?;
        let mut texts = Writer::new(maker.version, 1, bytes + OVERHEAD_MAX);
        texts.push(Ok(maker.make(&Encrypt { plain: &plain, ..*item }, random)?));
        let wrapped = texts.end().iter().next().ok_or(TransitError::Malformed)?.map_err(Clone::clone)?.to_owned();
        Ok(DataKey { plain: shown.then_some(plain), wrapped })
    }

    fn maker(&self, act: &'static str, version: Option<u32>, items: usize) -> Result<Maker<'_>, TransitError> {
        self.keys.kind().cipher(act)?;
        at_most("a batch in items", items, BATCH_MAX)?;
        let (version, key) = self.making(version)?;
        Ok(Maker { of: self, version, key, before: None, sealed: Zeroizing::default() })
    }

    fn opener(&self, act: &'static str, items: usize) -> Result<Opener<'_>, TransitError> {
        self.keys.kind().cipher(act)?;
        at_most("a batch in items", items, BATCH_MAX)?;
        Ok(Opener { of: self, before: None })
    }

    fn what<'a>(&'a self, version: u32, context: &'a [u8]) -> For<'a> {
        For { purpose: "encrypt", keys: self.keys, version, context }
    }
}

/// Random bytes of the system's.
///
/// # Errors
/// [`TransitError::Invalid`]: none, or more than [`RANDOM_BYTES_MAX`]. [`TransitError::NoRandom`].
pub fn random(bytes: usize, random: &mut dyn Random) -> Result<Zeroizing<Vec<u8>>, TransitError> {
    if !(1..=RANDOM_BYTES_MAX).contains(&bytes) {
        return Err(TransitError::invalid("bytes", format!("1 to {RANDOM_BYTES_MAX} are drawn at once")));
    }
    let mut drawn = Zeroizing::new(vec![0; bytes]);
    random.fill(&mut drawn).map_err(|_| TransitError::NoRandom)?;
    Ok(drawn)
}

/// Seals the items of a batch. Those that follow one another with one context have one derivation.
struct Maker<'a> {
    of: &'a Key<'a>,
    version: u32,
    key: &'a Bytes,
    before: Option<Before<Seals>>,
    /// Where each lies in turn, so that memory is asked for once.
    sealed: Zeroizing<Vec<u8>>,
}

/// What the items of one context have in common: what is bound of all of them, and how they are sealed or opened.
struct Before<W> {
    version: u32,
    context: Vec<u8>,
    bound: Bound,
    way: W,
}

impl<W> Before<W> {
    /// Empty ones are not compared: processors with AVX-512 take as long for that as for a quarter of a kibibyte's cipher.
    fn is_for(&self, context: &[u8]) -> bool {
        self.context.len() == context.len() && (context.is_empty() || self.context == context)
    }
}

enum Seals {
    Salted(Box<Sealing>),
    Converging(Box<Converging>),
}

impl Maker<'_> {
    fn make(&mut self, item: &Encrypt<'_>, random: &mut dyn Random) -> Result<&[u8], TransitError> {
        let Encrypt { plain, context, associated } = *item;
        let context = checked(self.of.keys.mode(), context, associated)?;
        at_most("the plaintext in bytes", plain.len(), ITEM_BYTES_MAX)?;
        let mut before = match self.before.take() {
            Some(before) if before.is_for(context) => before,
            Some(_) | None => self.begun(context, random)?,
        };
        let bound = before.bound.with(associated);
        match &mut before.way {
            Seals::Salted(sealing) => sealing.seal(plain, bound, &mut self.sealed)?,
            Seals::Converging(converging) => converging.seal(plain, bound, &mut self.sealed)?,
        }
        self.before = Some(before);
        Ok(&self.sealed)
    }

    fn begun(&self, context: &[u8], random: &mut dyn Random) -> Result<Before<Seals>, TransitError> {
        let what = self.of.what(self.version, context);
        let way = match self.of.keys.mode() {
            Mode::Plain | Mode::Derived => Seals::Salted(Box::new(Sealing::begin(self.key, what, random)?)),
            Mode::Convergent => Seals::Converging(Box::new(Converging::of(self.key, what)?)),
        };
        Ok(Before { version: self.version, context: context.to_vec(), bound: Bound::of(what), way })
    }
}

/// Opens the items of a batch.
struct Opener<'a> {
    of: &'a Key<'a>,
    before: Option<Before<Opens>>,
}

enum Opens {
    Salted(Box<Opening>),
    Converging(Box<Converging>),
}

impl Opener<'_> {
    fn open(&mut self, item: &Sealed<'_>) -> Result<Zeroizing<Vec<u8>>, TransitError> {
        let Sealed { text, context, associated } = *item;
        let mode = self.of.keys.mode();
        let context = checked(mode, context, associated)?;
        let mut bytes = Zeroizing::new(Vec::new());
        let version = text::read(text, &mut bytes, ITEM_BYTES_MAX + OVERHEAD_MAX)?;
        let key = self.of.made(version)?;
        let what = self.of.what(version, context);
        let before = self.before.take().filter(|before| before.version == version && before.is_for(context));
        let mut before = match (mode, before) {
            (Mode::Plain | Mode::Derived, Some(Before { way: Opens::Salted(opening), context, bound, .. })) => {
                let way = Opens::Salted(Box::new(Opening::of(&bytes, Some(*opening), key, what)?));
                Before { version, context, bound, way }
            }
            (Mode::Convergent, Some(before)) => before,
            (Mode::Plain | Mode::Derived, _) => {
                let way = Opens::Salted(Box::new(Opening::of(&bytes, None, key, what)?));
                Before { version, context: context.to_vec(), bound: Bound::of(what), way }
            }
            (Mode::Convergent, None) => {
                let way = Opens::Converging(Box::new(Converging::of(key, what)?));
                Before { version, context: context.to_vec(), bound: Bound::of(what), way }
            }
        };
        let bound = before.bound.with(associated);
        let opened = match &before.way {
            Opens::Salted(opening) => opening.open(&mut bytes, bound),
            Opens::Converging(converging) => converging.open(&mut bytes, bound),
        };
        self.before = Some(before);
        bytes.truncate(opened?);
        Ok(bytes)
    }
}

fn checked<'a>(mode: Mode, context: Option<&'a [u8]>, associated: &[u8]) -> Result<&'a [u8], TransitError> {
    at_most("the associated data in bytes", associated.len(), CONTEXT_BYTES_MAX)?;
    mode.context(context)
}

/// What is sealed is longer than it was by this, at most.
const OVERHEAD_MAX: usize = if plain::OVERHEAD > convergent::OVERHEAD { plain::OVERHEAD } else { convergent::OVERHEAD };
/// AES-128, a cipher of 256 bits, and one with its HMAC.
const DATA_KEY_BYTES: [usize; 3] = [16, 32, 64];
