//! `chy:v3:BASE64`: which version made it, and what it made.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::fault::TransitError;

const BEGIN: &str = "chy:v";

/// As a text.
pub(super) fn write(version: u32, bytes: &[u8]) -> String {
    let mut text = String::with_capacity(BEGIN.len() + DIGITS_MAX + 1 + bytes.len().div_ceil(3) * 4);
    text.push_str(BEGIN);
    text.push_str(&version.to_string());
    text.push(':');
    STANDARD.encode_string(bytes, &mut text);
    text
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

/// Of the greatest version.
const DIGITS_MAX: usize = 10;
