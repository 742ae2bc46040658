//! A share as a text that people write down and type: `CHY1`, and 80 characters in groups of five.
//!
//! The alphabet is Bech32's (BIP 173): no two of its capitals look alike. The last 13 characters are the checksum of codex32 (BIP 93),
//! made for secrets that lie on paper for decades: up to eight wrong characters are found for certain, more but once in 2^65, and where one
//! or two are wrong their groups are named. Nothing is corrected: the paper is right, not the guess. A share that was altered on purpose
//! has a right checksum too; that is found by its commitment.
//!
//! What the 67 characters before it say, five bits each:
//!
//! | characters | what |
//! |---|---|
//! | 1 | the form: 1 |
//! | 3 | the generation |
//! | 1, 1, 1 | how many are needed, how many there are, this one's number: each less one |
//! | 8 | the set |
//! | 52 | the share, and four bits that are zero |

use std::collections::BTreeMap;

use bech32::primitives::checksum::Engine;
use bech32::primitives::decode::{CheckedHrpstring, UncheckedHrpstring};
use bech32::primitives::gf32_ext::Fe32Ext;
use bech32::primitives::iter::{ByteIterExt, Fe32IterExt};
use bech32::{Checksum, Fe32, Hrp};
use zeroize::Zeroizing;

use super::error::ShareError;
use super::plan::is_shared;
use super::shamir::Bytes;
use super::share::{SET_BYTES, SetId, Share};

/// A share's text, in capitals (BIP 93 asks for them on paper: a small l is nearly a 1). It is wiped, and nowhere printed.
pub struct ShareText(Zeroizing<String>);

impl ShareText {
    /// The text, as it is shown to its holder: `CHY1`, and 16 groups of five, with blanks between them.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub(super) fn of(share: &Share) -> ShareText {
        let Share { generation, threshold, shares, number, set, bytes } = share;
        let numbers = [generation >> 10, generation >> 5, *generation].map(|part| part & 31);
        let counts = [threshold, shares, number].map(|count| u16::from(count.saturating_sub(1)));
        let header = [FORM].into_iter().chain(numbers).chain(counts).map(symbol);
        let payload = header.chain(set.0.iter().copied().bytes_to_fes()).chain(bytes.iter().copied().bytes_to_fes());
        let characters = payload.with_checksum::<OnPaper>(&PREFIX).chars().map(|c| c.to_ascii_uppercase());
        // Room for all of it from the start: a text that grows leaves what was in it behind.
        let mut text = Zeroizing::new(String::with_capacity(SHARE_CHARACTERS + GROUPS));
        for (at, character) in characters.enumerate() {
            if at >= PREFIX_CHARACTERS && (at - PREFIX_CHARACTERS).is_multiple_of(GROUP_CHARACTERS) {
                text.push(' ');
            }
            text.push(character);
        }
        ShareText(text)
    }
}

/// A share, of what somebody typed: capitals or small letters, with or without blanks and hyphens.
///
/// It is whole and of a possible plan; whether it is a good one says its commitment.
pub(super) fn read(typed: &str) -> Result<Share, ShareError> {
    let text = folded(typed)?;
    if text.len() != SHARE_CHARACTERS {
        return Err(ShareError::Length { found: text.len(), wanted: SHARE_CHARACTERS });
    }
    let unchecked = UncheckedHrpstring::new(&text).map_err(|_| ShareError::Foreign)?;
    match unchecked.validate_and_remove_checksum::<OnPaper>() {
        Ok(checked) => share(&checked),
        Err(_) => Err(ShareError::Mistyped { groups: wrong_groups(&text) }),
    }
}

/// The characters alone, in small letters; as many as a share has and one more.
fn folded(typed: &str) -> Result<Zeroizing<String>, ShareError> {
    let mut text = Zeroizing::new(String::with_capacity(SHARE_CHARACTERS + 1));
    let characters = typed.chars().filter(|c| !c.is_whitespace() && *c != '-').map(|c| c.to_ascii_lowercase());
    for (at, character) in characters.enumerate().take(SHARE_CHARACTERS + 1) {
        match at.checked_sub(PREFIX_CHARACTERS) {
            None if PREFIX_TEXT.chars().nth(at) != Some(character) => return Err(ShareError::Foreign),
            Some(at) if Fe32::from_char(character).is_err() => {
                return Err(ShareError::Character {
                    group: at / GROUP_CHARACTERS + 1,
                    place: at % GROUP_CHARACTERS + 1,
                });
            }
            None | Some(_) => text.push(character),
        }
    }
    Ok(text)
}

/// The groups in which the nearest right text differs, where that is by one character or two; none otherwise.
///
/// The sum is linear: what a changed character changes of it, it changes whatever the others are. So two wrong ones are found by looking
/// for each change's partner among all the changes of one. (The crate's own corrector panics where more are
/// wrong than it can mend: rust-bitcoin/rust-bech32#290, mended after 0.12.0.)
fn wrong_groups(text: &str) -> Vec<usize> {
    let mut symbols: Zeroizing<Vec<u8>> = Zeroizing::new(Vec::with_capacity(DATA_CHARACTERS));
    symbols.extend(text.chars().skip(PREFIX_CHARACTERS).filter_map(|c| Fe32::from_char(c).ok()).map(Fe32::to_u8));
    let typed = sum(&symbols);
    let mut changes: BTreeMap<u128, usize> = BTreeMap::new();
    for at in 0..symbols.len() {
        let mut of = |by| {
            change(&mut symbols, at, by);
            let changed = sum(&symbols) ^ typed;
            change(&mut symbols, at, by);
            changed
        };
        // Each bit of a character once, and all there can be of these.
        let bits = [1, 2, 4, 8, 16].map(|by| (by, of(by)));
        for by in 1..32 {
            let changed = bits.iter().filter(|(bit, _)| by & bit != 0).fold(0, |all, (_, changed)| all ^ changed);
            changes.insert(changed, at);
        }
    }
    let wanted = typed ^ OnPaper::TARGET_RESIDUE;
    let one = changes.get(&wanted).map(|at| vec![*at]);
    let two = || changes.iter().find_map(|(change, at)| changes.get(&(wanted ^ change)).map(|other| vec![*at, *other]));
    let mut groups: Vec<usize> =
        one.or_else(two).unwrap_or_default().iter().map(|at| at / GROUP_CHARACTERS + 1).collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

fn change(symbols: &mut [u8], at: usize, by: u8) {
    symbols.iter_mut().skip(at).take(1).for_each(|symbol| *symbol ^= by);
}

/// What the checksum's polynomial leaves of a text.
fn sum(symbols: &[u8]) -> u128 {
    let mut engine = Engine::<OnPaper>::new();
    engine.input_hrp(PREFIX);
    symbols.iter().for_each(|said| engine.input_fe(symbol((*said).into())));
    *engine.residue()
}

/// What the characters before the checksum say.
fn share(checked: &CheckedHrpstring<'_>) -> Result<Share, ShareError> {
    let mut symbols = checked.fe32_iter();
    let mut next = || symbols.next().map_or(0, |symbol| u16::from(symbol.to_u8()));
    if next() != FORM {
        return Err(ShareError::Newer);
    }
    let generation = next() << 10 | next() << 5 | next();
    let [threshold, shares, number] =
        [next() + 1, next() + 1, next() + 1].map(|count| u8::try_from(count).unwrap_or(0));
    let (mut set, mut bytes) = (SetId([0; SET_BYTES]), Bytes::default());
    fill(&mut set.0, symbols.by_ref().take(SET_CHARACTERS));
    fill(bytes.as_mut_slice(), symbols);
    let is_padded = checked.fe32_iter().last().is_some_and(|last| last.to_u8() & PADDING == 0);
    if generation == 0 || !is_shared(threshold, shares) || number > shares || !is_padded {
        return Err(ShareError::Impossible);
    }
    Ok(Share { generation, threshold, shares, number, set, bytes })
}

fn fill(bytes: &mut [u8], symbols: impl Iterator<Item = Fe32>) {
    bytes.iter_mut().zip(symbols.fes_to_bytes()).for_each(|(byte, said)| *byte = said);
}

/// A character that stands for a number below 32; what is above is cut off.
fn symbol(number: u16) -> Fe32 {
    Fe32::try_from(number & 31).unwrap_or(Fe32::Q)
}

/// The checksum of codex32 (BIP 93): a BCH code of length 93 over 32 elements, whose words differ in nine places or more. The roots are
/// for the crate's corrector, which is not used.
enum OnPaper {}

impl Checksum for OnPaper {
    type MidstateRepr = u128;
    type CorrectionField = Fe32Ext<2>;
    const ROOT_GENERATOR: Self::CorrectionField = Fe32Ext::new([Fe32::G, Fe32::G]);
    const ROOT_EXPONENTS: core::ops::RangeInclusive<usize> = 77..=84;
    const CODE_LENGTH: usize = 93;
    const CHECKSUM_LENGTH: usize = CHECKSUM_CHARACTERS;
    const GENERATOR_SH: [u128; 5] = [
        0x1_9dc5_00ce_73fd_e210,
        0x1_bfae_00de_f77f_e529,
        0x1_fbd9_20ff_fe7b_ee52,
        0x1_7396_40bd_eee3_fdad,
        0x0_7729_a039_cfc7_5f5a,
    ];
    const TARGET_RESIDUE: u128 = 0x1_0ce0_795c_2fd1_e62a;
}

const PREFIX: Hrp = Hrp::parse_unchecked("chy");
const PREFIX_TEXT: &str = "chy1";
const PREFIX_CHARACTERS: usize = PREFIX_TEXT.len();
const FORM: u16 = 1;
const SET_CHARACTERS: usize = 8;
const CHECKSUM_CHARACTERS: usize = 13;
const DATA_CHARACTERS: usize = 80;
/// What the last character of the share itself says beyond it.
const PADDING: u8 = 0b1111;
const GROUPS: usize = DATA_CHARACTERS / GROUP_CHARACTERS;
/// How many characters stand together.
pub const GROUP_CHARACTERS: usize = 5;
/// How many characters a share has, without blanks.
pub const SHARE_CHARACTERS: usize = PREFIX_CHARACTERS + DATA_CHARACTERS;

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
