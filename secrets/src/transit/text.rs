//! `chy:v3:BASE64`: which version made it, and what it made.

use std::sync::LazyLock;

use base64_wide::Engine as _;
use base64_wide::engine::general_purpose::PAD;

use super::fault::TransitError;

const BEGIN: &str = "chy:v";
/// One form for each, padded; by what the processor has.
static STANDARD: LazyLock<Wide> = LazyLock::new(wide);

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
type Wide = base64_wide::engine::Simd;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
type Wide = base64_wide::engine::GeneralPurpose;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn wide() -> Wide {
    Wide::standard(PAD)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn wide() -> Wide {
    Wide::new(&base64_wide::alphabet::STANDARD, PAD)
}

/// The texts of a batch, in one piece of memory: each item's own would cost as much as its cipher.
#[derive(Debug)]
pub struct Texts {
    all: String,
    /// Where each ends, or why there is none.
    ends: Vec<Result<usize, TransitError>>,
}

impl Texts {
    /// Each, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Result<&str, &TransitError>> {
        let mut begin = 0;
        self.ends.iter().map(move |end| {
            let text = self.all.get(begin..*end.as_ref()?);
            begin = end.as_ref().map_or(begin, |end| *end);
            Ok(text.unwrap_or_default())
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Each on its own.
    pub fn into_each(self) -> Vec<Result<String, TransitError>> {
        self.iter().map(|one| one.map(str::to_owned).map_err(Clone::clone)).collect()
    }
}

/// Writes the texts of a batch that one version makes.
pub(super) struct Writer {
    head: String,
    all: Vec<u8>,
    ends: Vec<Result<usize, TransitError>>,
}

impl Writer {
    /// With room for `items`, of so many bytes together: texts that grow are moved.
    pub fn new(version: u32, items: usize, bytes: usize) -> Writer {
        let head = format!("{BEGIN}{version}:");
        let room = items * (head.len() + 4) + bytes.div_ceil(3) * 4;
        Writer { head, all: Vec::with_capacity(room), ends: Vec::with_capacity(items) }
    }

    /// What was made of an item, or why nothing was.
    pub fn push(&mut self, made: Result<&[u8], TransitError>) {
        let bytes = match made {
            Ok(bytes) => bytes,
            Err(error) => return self.ends.push(Err(error)),
        };
        self.all.extend_from_slice(self.head.as_bytes());
        let begin = self.all.len();
        self.all.resize(begin + bytes.len().div_ceil(3) * 4, 0);
        // It has room for all of it.
        let written = self.all.get_mut(begin..).map(|room| STANDARD.encode_slice(bytes, room));
        debug_assert!(matches!(written, Some(Ok(_))));
        self.ends.push(Ok(self.all.len()));
    }

    pub fn end(self) -> Texts {
        // It is ASCII.
        Texts { all: String::from_utf8(self.all).unwrap_or_default(), ends: self.ends }
    }
}

/// The version of a text, and its bytes into `bytes`, of which there are `most` at most. A version has one form, and so has base64.
pub(super) fn read(text: &str, bytes: &mut Vec<u8>, most: usize) -> Result<u32, TransitError> {
    let (version, rest) = split(text).ok_or(TransitError::Malformed)?;
    super::fault::at_most("the text in characters", rest.len(), most.div_ceil(3) * 4)?;
    bytes.clear();
    STANDARD.decode_vec(rest, bytes).map_err(|_| TransitError::Malformed)?;
    Ok(version)
}

/// The version that a text says made it; none where it is no text of ours.
pub fn version_of(text: &str) -> Option<u32> {
    split(text).map(|(version, _)| version)
}

fn split(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.strip_prefix(BEGIN)?.split_once(':')?;
    let version = digits.parse::<u32>().ok().filter(|version| *version > 0 && version.to_string() == digits)?;
    Some((version, rest))
}
