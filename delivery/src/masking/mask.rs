//! What is masked: the pieces of all values in all their forms, and the automaton that finds them.
//!
//! A form longer than [`PIECE_BYTES_MAX`] is cut into pieces of even length, each of which is masked wherever it stands. So half of a
//! key is masked too, and a stream never holds back more than one piece.

use std::collections::{BTreeSet, HashMap};

use aho_corasick::automaton::Automaton;
use aho_corasick::automaton::StateID;
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};
use secrets::Reference;

use super::forms::{Form, encoded};
use crate::nouns::{Value, Values};

/// Shorter values are not masked: three characters stand everywhere, and a mask over all of them tells more than it hides.
pub const MASKED_BYTES_MIN: usize = 4;
/// Lines of a value that are masked on their own: shorter ones are brackets, indentation and `BEGIN`.
pub const LINE_BYTES_MIN: usize = 8;

/// A value that is printed as it is, or in part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmasked {
    /// Shorter than [`MASKED_BYTES_MIN`]: not masked at all.
    Short(Reference),
    /// Longer than 16 KiB: masked as it is and line by line, not in its other forms.
    FormsOf(Reference),
    /// All values together need more than 4 MiB of forms: not masked at all.
    TooMany(Reference),
}

/// What is looked for, and what is written instead.
pub struct Mask {
    automaton: Option<NFA>,
    depths: HashMap<StateID, usize>,
    text: &'static [u8],
    unmasked: Vec<Unmasked>,
}

impl Mask {
    /// A mask over all of these values.
    pub fn new(values: &Values) -> Mask {
        Mask::over(values.iter())
    }

    /// A mask over the new values and those they replace, which the program may still print.
    pub fn of_both(new: &Values, old: &Values) -> Mask {
        Mask::over(new.iter().chain(old.iter()))
    }

    fn over<'a>(values: impl Iterator<Item = (&'a Reference, &'a Value)>) -> Mask {
        let (mut pieces, mut unmasked) = (BTreeSet::new(), Vec::new());
        let mut bytes = 0;
        // The shortest first: a password never gives way to a file.
        let mut values: Vec<_> = values.collect();
        values.sort_by_key(|(_, value)| value.expose().len());
        for (reference, value) in values {
            let value = value.expose();
            let found = pieces_of(value);
            let size: usize = found.iter().map(|piece| piece.len()).sum();
            if value.len() < MASKED_BYTES_MIN {
                unmasked.push(Unmasked::Short(reference.clone()));
            } else if bytes + size > PATTERN_BYTES_MAX {
                unmasked.push(Unmasked::TooMany(reference.clone()));
            } else {
                bytes += size;
                pieces.extend(found);
                if value.len() > ENCODED_BYTES_MAX {
                    unmasked.push(Unmasked::FormsOf(reference.clone()));
                }
            }
        }
        // With this bound on the patterns the builder's own (2^31 states) is out of reach.
        let build = || NFA::builder().match_kind(MatchKind::Standard).build(pieces.iter().map(|piece| &**piece));
        let automaton = (!pieces.is_empty()).then(build).and_then(Result::ok);
        let depths = automaton.as_ref().map(|automaton| depths(automaton, &pieces)).unwrap_or_default();
        Mask { automaton, depths, text: text(&pieces), unmasked }
    }

    /// Which values it does not mask, or not in all forms. To be said.
    pub fn unmasked(&self) -> &[Unmasked] {
        &self.unmasked
    }

    /// What is written instead of a value: `[hidden]`, unless a value has such letters itself.
    pub fn text(&self) -> &'static [u8] {
        self.text
    }

    /// Where a stream begins.
    pub(super) fn start(&self) -> Option<StateID> {
        self.automaton.as_ref()?.start_state(Anchored::No).ok()
    }

    /// One byte on: the state, and how many bytes that end here are to be hidden.
    pub(super) fn advance(&self, state: Option<StateID>, byte: u8) -> (Option<StateID>, usize) {
        let (Some(automaton), Some(state)) = (&self.automaton, state) else { return (None, 0) };
        let next = automaton.next_state(Anchored::No, state, byte);
        let ends = match automaton.is_match(next) {
            true => 0..automaton.match_len(next),
            false => 0..0,
        };
        let longest = ends.map(|index| automaton.pattern_len(automaton.match_pattern(next, index))).max();
        (Some(next), longest.unwrap_or(0))
    }

    /// How many of the last bytes may be the beginning of a piece.
    pub(super) fn depth(&self, state: Option<StateID>) -> usize {
        state.and_then(|state| self.depths.get(&state)).copied().unwrap_or(0)
    }
}

/// The state at which each beginning of a piece is stood on, with its length. All others are of length zero.
fn depths(automaton: &NFA, pieces: &BTreeSet<Form>) -> HashMap<StateID, usize> {
    let mut depths = HashMap::new();
    for piece in pieces {
        let Ok(mut state) = automaton.start_state(Anchored::No) else { continue };
        for (before, byte) in piece.iter().enumerate() {
            state = automaton.next_state(Anchored::No, state, *byte);
            depths.insert(state, before + 1);
        }
    }
    depths
}

/// All pieces of a value in all its forms.
fn pieces_of(value: &[u8]) -> Vec<Form> {
    let forms = match value.len() {
        MASKED_BYTES_MIN..=ENCODED_BYTES_MAX => encoded(value),
        _ => Vec::new(),
    };
    let lines = value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let telling = lines.filter(|line| line.len() >= LINE_BYTES_MIN && !line.starts_with(b"-----"));
    let whole = [value, value.trim_ascii()].into_iter().chain(telling).map(|text| Form::new(text.to_vec()));
    let long_enough = forms.into_iter().chain(whole).filter(|form| form.len() >= MASKED_BYTES_MIN);
    long_enough.flat_map(|form| cut(&form)).collect()
}

/// Even pieces of at most [`PIECE_BYTES_MAX`] bytes, so that none is so short that it stands elsewhere by chance.
fn cut(form: &[u8]) -> Vec<Form> {
    let size = form.len().div_ceil(form.len().div_ceil(PIECE_BYTES_MAX).max(1)).max(1);
    let last_begins = form.len().saturating_sub(size);
    // The last piece ends with the form, and may overlap the one before.
    let begins = (0..form.len()).step_by(size).map(|at| at.min(last_begins));
    begins.filter_map(|at| form.get(at..at + size)).map(|piece| Form::new(piece.to_vec())).collect()
}

/// The first text of which no part can be taken for a part of a value, at either end.
fn text(pieces: &BTreeSet<Form>) -> &'static [u8] {
    let fits = |text: &&&[u8]| pieces.iter().all(|piece| is_apart(text, piece));
    let holds_none = |text: &&&[u8]| !pieces.iter().any(|piece| text.windows(piece.len()).any(|part| part == &**piece));
    let known = TEXTS.iter().find(fits).or_else(|| TEXTS.iter().find(holds_none));
    known.copied().unwrap_or(b"")
}

/// Whether the two cannot overlap: at each offset they differ in a byte that both have.
fn is_apart(text: &[u8], piece: &[u8]) -> bool {
    let same = |a: &[u8], b: &[u8]| a.iter().zip(b).all(|(one, other)| one == other);
    let after = (0..text.len()).any(|at| text.get(at..).is_some_and(|rest| same(rest, piece)));
    let before = (0..piece.len()).any(|at| piece.get(at..).is_some_and(|rest| same(rest, text)));
    !after && !before
}

const TEXTS: &[&[u8]] = &[b"[hidden]", b"<hidden>", b"{hidden}", b"(hidden)", b"********", b"........", b"########"];
/// The longest piece, and so the most that a stream holds back.
const PIECE_BYTES_MAX: usize = 64;
/// Values up to here are masked in all forms: keys, tokens, certificates with their chains.
const ENCODED_BYTES_MAX: usize = 16 * 1024;
/// All pieces together. The automaton takes some thirty times that while it is built.
const PATTERN_BYTES_MAX: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn values(all: &[&[u8]]) -> Values {
        all.iter().enumerate().fold(Values::default(), |values, (number, value)| {
            values.with(format!("chy://s{number}").parse().unwrap(), value.to_vec())
        })
    }

    #[test]
    fn what_is_not_masked_is_said() {
        let long = vec![b'x'; ENCODED_BYTES_MAX + 1];
        let mask = Mask::new(&values(&[b"abc", b"abcd", &long]));
        let name = |number: u8| format!("chy://s{number}").parse().unwrap();
        assert_eq!(mask.unmasked(), [Unmasked::Short(name(0)), Unmasked::FormsOf(name(2))]);
        let noise = |seed: usize| (0..900_000_usize).map(|at| (at * (seed + 7) % 251) as u8).collect::<Vec<_>>();
        let many: Vec<Vec<u8>> = (0..6).map(noise).collect();
        let many: Vec<&[u8]> = many.iter().map(Vec::as_slice).collect();
        assert!(Mask::new(&values(&many)).unmasked().iter().any(|said| matches!(said, Unmasked::TooMany(_))));
    }

    #[test]
    fn the_text_of_the_mask_is_no_part_of_a_value() {
        for (value, text) in [
            (&b"hunter2"[..], &b"[hidden]"[..]),
            (b"hidden", b"********"),
            (b"{\"a\": [1]}", b"[hidden]"),
            (b"]}, {[", b"<hidden>"),
            (b"den]<hidden", b"{hidden}"),
        ] {
            assert_eq!(Mask::new(&values(&[value])).text(), text, "{value:?}");
        }
    }

    #[test]
    fn pieces_are_even_and_cover_the_whole() {
        for length in [1, 63, 64, 65, 128, 129, 1000] {
            let form: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let pieces = cut(&form);
            assert!(pieces.iter().all(|piece| piece.len() <= PIECE_BYTES_MAX && (length <= 64 || piece.len() > 32)));
            let covered: BTreeSet<u8> = pieces.iter().flat_map(|piece| piece.to_vec()).collect();
            assert_eq!(covered, form.iter().copied().collect(), "{length}");
        }
    }
}
