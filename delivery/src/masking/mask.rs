//! What is masked: the pieces of all values in all their forms, and the automaton that finds them.
//!
//! A form longer than [`PIECE_BYTES_MAX`] is cut into pieces of even length, each of which is masked wherever it stands. So half of a
//! key is masked too, and a stream never holds back more than one piece.
//!
//! All pieces together have a bound. What the program has comes first, as it is, and then its forms, so that no form pushes a value out;
//! behind them what it had before, the newest first. Whatever finds no room is said.

use std::collections::{BTreeSet, HashMap};

use aho_corasick::automaton::Automaton;
use aho_corasick::automaton::StateID;
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};
use secrets::Reference;
use secrets::forms::{Form, encoded};

use super::former::Former;
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
    /// Masked as it is and line by line, not in its other forms: it is longer than 16 KiB, or the forms of all values have more than 4 MiB.
    FormsOf(Reference),
    /// All values together have more than 4 MiB: not masked at all.
    TooMany(Reference),
    /// What it was before the program was given another value: no longer masked, or not in its other forms. There is too much.
    Former(Reference),
}

/// What is looked for, and what is written instead.
pub struct Mask {
    automaton: Option<NFA>,
    depths: HashMap<StateID, usize>,
    text: &'static [u8],
    unmasked: Vec<Unmasked>,
    formers: usize,
}

impl Mask {
    /// A mask over all of these values.
    pub fn new(values: &Values) -> Mask {
        Mask::over(&[values], &Former::default())
    }

    /// A mask over what the program has, or is about to have, and what it had before, which it may still print.
    pub(crate) fn over(has: &[&Values], had: &Former) -> Mask {
        Mask::within(PATTERN_BYTES_MAX, has, had)
    }

    fn within(bytes_max: usize, has: &[&Values], had: &Former) -> Mask {
        let mut pieces = Pieces { all: BTreeSet::new(), room: bytes_max };
        let mut unmasked: Vec<Unmasked> = Vec::new();
        let mut said = |one: Unmasked| {
            if !unmasked.contains(&one) {
                unmasked.push(one);
            }
        };
        // The shortest first: a password never gives way to a file.
        let mut values: Vec<_> = has.iter().flat_map(|values| values.iter()).collect();
        values.sort_by_key(|(_, value)| value.expose().len());
        values.retain(|(reference, value)| {
            let is_long_enough = value.expose().len() >= MASKED_BYTES_MIN;
            let is_masked = is_long_enough && pieces.take(whole(value.expose()));
            match (is_long_enough, is_masked) {
                (false, _) => said(Unmasked::Short((*reference).clone())),
                (true, false) => said(Unmasked::TooMany((*reference).clone())),
                (true, true) => {}
            }
            is_masked
        });
        for (reference, value) in values {
            if value.expose().len() > ENCODED_BYTES_MAX || !pieces.take(forms(value.expose())) {
                said(Unmasked::FormsOf(reference.clone()));
            }
        }
        // What was short, or long, was said when it was given.
        let is_short = |value: &Value| value.expose().len() < MASKED_BYTES_MIN;
        let formers =
            had.newest().take_while(|(_, value)| is_short(value) || pieces.take(whole(value.expose()))).count();
        for (reference, value) in had.newest().take(formers) {
            let has_forms = (MASKED_BYTES_MIN..=ENCODED_BYTES_MAX).contains(&value.expose().len());
            if has_forms && !pieces.take(forms(value.expose())) {
                said(Unmasked::Former(reference.clone()));
            }
        }
        had.newest().skip(formers).for_each(|(reference, _)| said(Unmasked::Former(reference.clone())));
        let pieces = pieces.all;
        // With this bound on the patterns the builder's own (2^31 states) is out of reach.
        let build = || NFA::builder().match_kind(MatchKind::Standard).build(pieces.iter().map(|piece| &**piece));
        let automaton = (!pieces.is_empty()).then(build).and_then(Result::ok);
        let depths = automaton.as_ref().map(|automaton| depths(automaton, &pieces)).unwrap_or_default();
        Mask { automaton, depths, text: text(&pieces), unmasked, formers }
    }

    /// How many of the values that the program had before it masks, of the newest.
    pub(crate) fn formers(&self) -> usize {
        self.formers
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

/// The pieces that found room.
struct Pieces {
    all: BTreeSet<Form>,
    /// For so many bytes more.
    room: usize,
}

impl Pieces {
    /// Takes these, or none of them where they have no room. What is there already needs none.
    fn take(&mut self, found: Vec<Form>) -> bool {
        let new: BTreeSet<Form> = found.into_iter().filter(|piece| !self.all.contains(piece)).collect();
        let size: usize = new.iter().map(|piece| piece.len()).sum();
        let Some(room) = self.room.checked_sub(size) else { return false };
        self.room = room;
        self.all.extend(new);
        true
    }
}

/// The pieces of a value as it is, and of its lines.
fn whole(value: &[u8]) -> Vec<Form> {
    let lines = value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let telling = lines.filter(|line| line.len() >= LINE_BYTES_MIN && !line.starts_with(b"-----"));
    let whole = [value, value.trim_ascii()].into_iter().chain(telling).map(|text| Form::new(text.to_vec()));
    cut_all(whole)
}

/// The pieces of all its other forms.
fn forms(value: &[u8]) -> Vec<Form> {
    cut_all(encoded(value).into_iter())
}

fn cut_all(forms: impl Iterator<Item = Form>) -> Vec<Form> {
    forms.filter(|form| form.len() >= MASKED_BYTES_MIN).flat_map(|form| cut(&form)).collect()
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
/// All pieces together, each counted once. The automaton takes some thirty times that while it is built.
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
        let more = noise(1, PATTERN_BYTES_MAX + 1);
        let mask = Mask::new(&values(&[b"abcd", &more]));
        assert_eq!(mask.unmasked(), [Unmasked::TooMany(name(1))]);
    }

    /// Bytes that repeat nothing, and are no white space.
    fn noise(seed: u64, length: usize) -> Vec<u8> {
        let mut state = seed;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0] | 0x80
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    /// How many bytes the pieces of a value have, each counted once.
    fn need(value: &[u8]) -> usize {
        let pieces: BTreeSet<Form> = whole(value).into_iter().chain(forms(value)).collect();
        pieces.iter().map(|piece| piece.len()).sum()
    }

    /// Whether a piece ends where these bytes do.
    fn hides(mask: &Mask, bytes: &[u8]) -> bool {
        let (mut state, mut hidden) = (mask.start(), 0);
        bytes.iter().for_each(|byte| (state, hidden) = mask.advance(state, *byte));
        hidden > 0
    }

    #[test]
    fn no_form_of_a_value_pushes_another_out() {
        let (short, one, two) = (b"hunt&er2".to_vec(), noise(2, 60), noise(3, 64));
        let has = values(&[&short, &two, &one]);
        let name = |number: u8| format!("chy://s{number}").parse().unwrap();
        // Room for all as they are, and for the forms of the shortest alone.
        let bytes_max = need(&short) + one.len() + two.len();
        let mask = Mask::within(bytes_max, &[&has], &Former::default());
        assert_eq!(mask.unmasked(), [Unmasked::FormsOf(name(2)), Unmasked::FormsOf(name(1))]);
        assert!(hides(&mask, b"hunt%26er2") && hides(&mask, &one) && hides(&mask, &two));
        assert!(!hides(&mask, hex::encode(&one).as_bytes()));
    }

    #[test]
    fn what_a_program_had_gives_way_to_what_it_has_and_the_oldest_first() {
        let name = |number: u8| format!("chy://s{number}").parse().unwrap();
        let (now, second, first) = (noise(4, 40), noise(5, 40), noise(6, 40));
        let mut had = Former::default();
        had.take(values(&[&first]), &values(&[&second]));
        had.take(values(&[&second]), &values(&[&now]));
        let has = values(&[&now]);
        let all = Mask::over(&[&has], &had);
        assert_eq!((all.unmasked(), all.formers()), (&[][..], 2));
        assert!([&now, &second, &first].iter().all(|value| hides(&all, hex::encode(value).as_bytes())));
        let bytes_max = need(&now) + second.len();
        let mask = Mask::within(bytes_max, &[&has], &had);
        assert_eq!((mask.unmasked(), mask.formers()), (&[Unmasked::Former(name(0))][..], 1));
        assert!(hides(&mask, hex::encode(&now).as_bytes()) && hides(&mask, &second) && !hides(&mask, &first));
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
