//! Text that people see: what in it they would not see, or see in another order than it is written.
//!
//! A name with a right-to-left override reads as another name (Trojan Source, CVE-2021-42574), one with a zero-width space as one
//! that it is not. Where we give text its form (subjects, reasons) such a character is refused; where text is somebody else's (file
//! names, what an error repeats) it is shown escaped. One list for both: control and format characters, separators of lines,
//! blanks that are no space, what is unassigned or private, and the letters and marks that draw nothing.

use std::borrow::Cow;

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// The first character that people would not see as what it is.
pub fn hidden(text: &str) -> Option<char> {
    text.chars().find(|c| is_hidden(*c))
}

/// The text with each such character as `\u{202e}`.
pub fn shown(text: &str) -> Cow<'_, str> {
    if hidden(text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match is_hidden(c) {
            true => out.extend(c.escape_unicode()),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Whether a text has a character that moves others about (Bidi_Control of Unicode): then it is read in another order than it is written.
/// Less than [`hidden`]: what people write in their own words may have joiners and blanks.
pub fn turns(text: &str) -> bool {
    text.chars().any(|c| TURNING.iter().any(|(first, last)| (*first..=*last).contains(&c)))
}

/// Whether a character shows nothing, or moves others about.
fn is_hidden(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    match c.general_category() {
        GeneralCategory::Control
        | GeneralCategory::Format
        | GeneralCategory::SpaceSeparator
        | GeneralCategory::LineSeparator
        | GeneralCategory::ParagraphSeparator
        | GeneralCategory::Surrogate
        | GeneralCategory::PrivateUse
        | GeneralCategory::Unassigned => true,
        _ => BLANK.iter().any(|(first, last)| (*first..=*last).contains(&c)),
    }
}

/// Marks, embeddings, overrides and isolates of direction.
const TURNING: [(char, char); 4] =
    [('\u{61c}', '\u{61c}'), ('\u{200e}', '\u{200f}'), ('\u{202a}', '\u{202e}'), ('\u{2066}', '\u{2069}')];

/// Letters, marks and symbols that draw nothing (most are Default_Ignorable_Code_Point of Unicode).
const BLANK: [(char, char); 10] = [
    ('\u{34f}', '\u{34f}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{1d159}', '\u{1d159}'),
    ('\u{e0100}', '\u{e01ef}'),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_others_about_is_told_from_what_joins_them() {
        for text in ["", "the database", "עברית", "می\u{200c}خواهم", "\u{2764}\u{fe0f}", "a\u{a0}b"] {
            assert!(!turns(text), "{text:?}");
        }
        for text in ["safe \u{202e}3nimda", "\u{2066}a\u{2069}", "a\u{200f}", "\u{61c}"] {
            assert!(turns(text) && hidden(text).is_some(), "{text:?}");
        }
    }

    #[test]
    fn what_nobody_sees_is_shown_and_what_everybody_sees_is_left_alone() {
        for text in ["", "Example GmbH", "Bücher", "Ελλάς", "東京", "עברית", "العربية", "🦀", "a\\b \"c\""]
        {
            assert_eq!((hidden(text), shown(text).as_ref()), (None, text));
        }
        for (text, says) in [
            ("exe\u{202e}gpj.", "exe\\u{202e}gpj."),
            ("a\nb\tc\u{7f}", "a\\u{a}b\\u{9}c\\u{7f}"),
            ("\u{2066}a\u{2069}", "\\u{2066}a\\u{2069}"),
            ("pay\u{200b}pal", "pay\\u{200b}pal"),
            ("\u{feff}a", "\\u{feff}a"),
            ("a\u{a0}b\u{2028}", "a\\u{a0}b\\u{2028}"),
            ("a\u{ad}\u{61c}\u{200e}", "a\\u{ad}\\u{61c}\\u{200e}"),
            ("\u{3164}\u{115f}\u{fe0f}\u{e0100}\u{e0041}", "\\u{3164}\\u{115f}\\u{fe0f}\\u{e0100}\\u{e0041}"),
            ("\u{e000}\u{378}\u{85}", "\\u{e000}\\u{378}\\u{85}"),
        ] {
            assert!(hidden(text).is_some(), "{text:?}");
            assert_eq!(shown(text), says);
            assert_eq!(shown(&shown(text)), says);
        }
    }
}
