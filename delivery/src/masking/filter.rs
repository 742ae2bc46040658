//! The filter of one stream: every byte goes through at once, unless it may yet turn out to belong to a value.

use std::collections::VecDeque;
use std::sync::Arc;

use aho_corasick::automaton::StateID;
use zeroize::Zeroize;

use super::mask::Mask;

/// Where one stream stands.
///
/// What it holds back is at most the beginning of one piece (64 bytes), never for a time: half of a value that is written a second
/// before its other half is not shown. Matches that touch or overlap become one mask, so that its length tells nothing.
pub struct Filter {
    mask: Arc<Mask>,
    state: Option<StateID>,
    /// Bytes that are not written yet, and whether each is hidden.
    held: VecDeque<(u8, bool)>,
    /// Whether the last thing written was a mask.
    is_hiding: bool,
}

impl Filter {
    /// A stream that begins.
    pub fn new(mask: Arc<Mask>) -> Filter {
        Filter { state: mask.start(), mask, held: VecDeque::new(), is_hiding: false }
    }

    /// Takes bytes in; what can be written now is added to `out`.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for byte in bytes {
            self.held.push_back((*byte, false));
            let (state, hidden) = self.mask.advance(self.state, *byte);
            self.state = state;
            self.held.iter_mut().rev().take(hidden).for_each(|(_, is_hidden)| *is_hidden = true);
        }
        self.release(self.held.len().saturating_sub(self.mask.depth(self.state)), out);
    }

    /// The stream has ended: what was held back cannot become a value any more.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.release(self.held.len(), out);
        self.state = self.mask.start();
    }

    /// Goes on under another mask, which has to be there before the program can have the new values.
    pub fn renew(&mut self, mask: Arc<Mask>) {
        (self.state, self.mask) = (mask.start(), mask);
        for at in 0..self.held.len() {
            let Some((byte, _)) = self.held.get(at).copied() else { break };
            let (state, hidden) = self.mask.advance(self.state, byte);
            self.state = state;
            self.held.iter_mut().take(at + 1).rev().take(hidden).for_each(|(_, is_hidden)| *is_hidden = true);
        }
    }

    /// Whether this is the mask that it works with.
    pub(crate) fn has(&self, mask: &Arc<Mask>) -> bool {
        Arc::ptr_eq(&self.mask, mask)
    }

    fn release(&mut self, count: usize, out: &mut Vec<u8>) {
        for (byte, is_hidden) in self.held.drain(..count) {
            match is_hidden {
                true if !self.is_hiding => out.extend_from_slice(self.mask.text()),
                true => {}
                false => out.push(byte),
            }
            self.is_hiding = is_hidden;
        }
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        self.held.iter_mut().for_each(|(byte, _)| byte.zeroize());
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use proptest::prelude::*;

    use super::*;
    use crate::nouns::Values;

    fn mask(values: &[Vec<u8>]) -> Arc<Mask> {
        let named = values.iter().enumerate().fold(Values::default(), |values, (number, value)| {
            values.with(format!("chy://s{number}").parse().unwrap(), value.clone())
        });
        Arc::new(Mask::new(&named))
    }

    /// Through the filter, in chunks of these lengths in turn.
    fn through(mask: &Arc<Mask>, text: &[u8], chunks: &[usize]) -> Vec<u8> {
        let (mut filter, mut out, mut rest) = (Filter::new(mask.clone()), Vec::new(), text);
        for chunk in chunks.iter().cycle() {
            let (now, later) = rest.split_at((*chunk).min(rest.len()));
            filter.feed(now, &mut out);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        filter.finish(&mut out);
        out
    }

    fn has(text: &[u8], part: &[u8]) -> bool {
        text.windows(part.len()).any(|window| window == part)
    }

    fn shown(values: &[&str], text: &str) -> String {
        let values: Vec<Vec<u8>> = values.iter().map(|value| value.as_bytes().to_vec()).collect();
        String::from_utf8(through(&mask(&values), text.as_bytes(), &[3])).unwrap()
    }

    #[test]
    fn a_value_is_hidden_with_what_overlaps_it_and_nothing_else_is() {
        assert_eq!(shown(&["hunter2"], "pw=hunter2;\n"), "pw=[hidden];\n");
        assert_eq!(shown(&["abcd", "cdef"], "xabcdefx"), "x[hidden]x");
        assert_eq!(shown(&["pass", "password123"], "password123 passport"), "[hidden] [hidden]port");
        assert_eq!(shown(&["abcd"], "abcdabcd ababcdcd"), "[hidden] ab[hidden]cd");
        assert_eq!(shown(&["abc"], "abc"), "abc");
        assert_eq!(shown(&["key: one-two\nthree four\n"], "three four"), "[hidden]");
    }

    #[test]
    fn a_prompt_appears_and_half_a_value_does_not() {
        let mut filter = Filter::new(mask(&[b"hunter2".to_vec()]));
        let mut out = Vec::new();
        filter.feed(b"Password: ", &mut out);
        assert_eq!(out, b"Password: ");
        filter.feed(b"go hunt", &mut out);
        assert_eq!(out, b"Password: go ");
        filter.feed(b"ing\n", &mut out);
        assert_eq!(out, b"Password: go hunting\n");
    }

    #[test]
    fn another_mask_takes_over_what_is_held_back() {
        let mut filter = Filter::new(mask(&[b"hunter2".to_vec()]));
        let mut out = Vec::new();
        filter.feed(b"x hunt", &mut out);
        filter.renew(mask(&[b"hunter2".to_vec(), b"unt-new".to_vec()]));
        filter.feed(b"-new hunter2", &mut out);
        filter.finish(&mut out);
        assert_eq!(out, b"x h[hidden] [hidden]");
    }

    fn forms(value: &[u8], around: &[u8]) -> Vec<Vec<u8>> {
        let text = [around, value, around].concat();
        let mut all = vec![value.to_vec(), hex::encode(value).into(), hex::encode_upper(value).into()];
        all.extend([STANDARD.encode(&text).into_bytes(), URL_SAFE.encode(&text).into_bytes()]);
        if let Ok(text) = std::str::from_utf8(value) {
            all.push(serde_json::to_vec(text).unwrap());
            all.push(format!("'{}'", text.replace('\'', "'\\''")).into_bytes());
        }
        all
    }

    fn value() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            "[ab]{4,12}".prop_map(String::into_bytes),
            "[ -~]{4,90}".prop_map(String::into_bytes),
            "([ -~]{0,30}\n){1,6}[!-~]{4}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 4..100),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn whatever_the_values_and_the_chunks_no_value_comes_out(
            values in prop::collection::vec(value(), 1..5),
            between in prop::collection::vec("[ab \n]{0,6}", 1..8),
            order in prop::collection::vec(any::<prop::sample::Index>(), 1..8),
            chunks in prop::collection::vec(1_usize..40, 1..6),
        ) {
            let mask = mask(&values);
            let mut text = Vec::new();
            for (between, index) in between.iter().zip(&order) {
                text.extend_from_slice(between.as_bytes());
                text.extend_from_slice(index.get::<Vec<u8>>(&values));
            }
            let out = through(&mask, &text, &chunks);
            for value in &values {
                prop_assert!(!has(&out, value), "{:?} in {:?}", value, out);
            }
            prop_assert_eq!(&out, &through(&mask, &text, &[text.len().max(1)]), "chunks change nothing");
        }

        #[test]
        fn no_form_of_a_value_comes_out(value in value(), around in prop::collection::vec(any::<u8>(), 0..4), chunks in prop::collection::vec(1_usize..40, 1..6)) {
            let mask = mask(std::slice::from_ref(&value));
            for form in forms(&value, &around) {
                let out = through(&mask, &form, &chunks);
                prop_assert!(has(&out, mask.text()) && !has(&out, &form), "{:?} of {:?}", out, form);
            }
        }

        #[test]
        fn what_holds_no_value_comes_out_byte_for_byte(values in prop::collection::vec("[a-z]{4,9}", 0..5), text in prop::collection::vec(any::<u8>().prop_filter("no letter, no digit", |byte| !byte.is_ascii_alphanumeric()), 0..300), chunks in prop::collection::vec(1_usize..40, 1..6)) {
            let values: Vec<Vec<u8>> = values.into_iter().map(String::into_bytes).collect();
            prop_assert_eq!(through(&mask(&values), &text, &chunks), text);
        }

        #[test]
        fn parts_of_values_that_never_become_one_come_out_byte_for_byte(value in "[a-f]{5,9}", parts in prop::collection::vec(1_usize..4, 0..40), chunks in prop::collection::vec(1_usize..7, 1..6)) {
            // Each part is cut before its value's end and followed by what no form has.
            let text: String = parts.iter().map(|length| format!("{}!", &value[..*length])).collect();
            prop_assert_eq!(through(&mask(&[value.clone().into_bytes()]), text.as_bytes(), &chunks), text.into_bytes());
        }
    }
}
