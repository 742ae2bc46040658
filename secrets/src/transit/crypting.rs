//! Sealing and opening, in batches: each item comes to something, or says why not.

use zeroize::Zeroizing;

use super::convergent::{self, Converging};
use super::deriving::{For, bound};
use super::fault::{TransitError, at_most};
use super::keyset::{Bytes, Key};
use super::kind::Mode;
use super::plain::{self, Opening, Sealing};
use super::{BATCH_MAX, CONTEXT_BYTES_MAX, ITEM_BYTES_MAX, RANDOM_BYTES_MAX, text};
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
    ) -> Result<Each<String>, TransitError> {
        let mut maker = self.maker("encrypt", version, items.len())?;
        Ok(items.iter().map(|item| maker.make(item, random)).collect())
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
    ) -> Result<Each<String>, TransitError> {
        let mut opener = self.opener("rewrap", items.len())?;
        let mut maker = self.maker("rewrap", version, items.len())?;
        let anew = items.iter().map(|item| {
            let plain = opener.open(item)?;
            let Sealed { text: _, context, associated } = *item;
            maker.make(&Encrypt { plain: &plain, context, associated }, random)
        });
        Ok(anew.collect())
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
        let wrapped = maker.make(&Encrypt { plain: &plain, ..*item }, random)?;
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
    before: Option<(Vec<u8>, Seals)>,
    /// Where each lies in turn, so that memory is asked for once.
    sealed: Zeroizing<Vec<u8>>,
}

enum Seals {
    Salted(Box<Sealing>),
    Converging(Box<Converging>),
}

impl Maker<'_> {
    fn make(&mut self, item: &Encrypt<'_>, random: &mut dyn Random) -> Result<String, TransitError> {
        let Encrypt { plain, context, associated } = *item;
        let context = checked(self.of.keys.mode(), context, associated)?;
        at_most("the plaintext in bytes", plain.len(), ITEM_BYTES_MAX)?;
        let what = self.of.what(self.version, context);
        let seals = match self.before.take() {
            Some((before, seals)) if before == context => seals,
            Some(_) | None => match self.of.keys.mode() {
                Mode::Plain | Mode::Derived => Seals::Salted(Box::new(Sealing::begin(self.key, what, random)?)),
                Mode::Convergent => Seals::Converging(Box::new(Converging::of(self.key, what)?)),
            },
        };
        let (_, seals) = self.before.insert((context.to_vec(), seals));
        let bound = bound(what, associated);
        match seals {
            Seals::Salted(sealing) => sealing.seal(plain, &bound, &mut self.sealed)?,
            Seals::Converging(converging) => converging.seal(plain, &bound, &mut self.sealed)?,
        }
        Ok(text::write(self.version, &self.sealed))
    }
}

/// Opens the items of a batch.
struct Opener<'a> {
    of: &'a Key<'a>,
    before: Option<(u32, Vec<u8>, Opens)>,
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
        let version = text::read(text, &mut bytes, ITEM_BYTES_MAX + plain::OVERHEAD.max(convergent::OVERHEAD))?;
        let key = self.of.made(version)?;
        let what = self.of.what(version, context);
        let before = self.before.take().filter(|before| before.0 == version && before.1 == context);
        let before = before.map(|(_, _, opens)| opens);
        let opens = match (mode, before) {
            (Mode::Plain | Mode::Derived, Some(Opens::Salted(before))) => {
                Opens::Salted(Box::new(Opening::of(&bytes, Some(*before), key, what)?))
            }
            (Mode::Plain | Mode::Derived, _) => Opens::Salted(Box::new(Opening::of(&bytes, None, key, what)?)),
            (Mode::Convergent, Some(Opens::Converging(before))) => Opens::Converging(before),
            (Mode::Convergent, _) => Opens::Converging(Box::new(Converging::of(key, what)?)),
        };
        let (_, _, opens) = self.before.insert((version, context.to_vec(), opens));
        let bound = bound(what, associated);
        let length = match opens {
            Opens::Salted(opening) => opening.open(&mut bytes, &bound)?,
            Opens::Converging(converging) => converging.open(&mut bytes, &bound)?,
        };
        bytes.truncate(length);
        Ok(bytes)
    }
}

fn checked<'a>(mode: Mode, context: Option<&'a [u8]>, associated: &[u8]) -> Result<&'a [u8], TransitError> {
    at_most("the associated data in bytes", associated.len(), CONTEXT_BYTES_MAX)?;
    mode.context(context)
}

/// AES-128, a cipher of 256 bits, and one with its HMAC.
const DATA_KEY_BYTES: [usize; 3] = [16, 32, 64];
