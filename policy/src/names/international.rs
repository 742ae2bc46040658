//! Labels of international names (`xn--...`): decoded, and held against IDNA2008.
//!
//! RFC 5891 section 5.4 asks of whoever looks a name up, and section 4.2 of whoever gives one out, that an A-label decodes, that
//! what it decodes to is what encodes to it, and that each of its characters may stand where it stands (RFC 5892). A certificate
//! with one that fails speaks for a name that nobody can have, or for one that is shown as another. The tables are those of the
//! idna crate (UTS #46, which holds bidi and joiners to the rules); what UTS #46 lets through and IDNA2008 does not is refused here.

use idna::punycode;
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Why a lower-cased host name with A-labels in it is none.
pub(super) fn check(name: &str) -> Result<(), &'static str> {
    let mut has_any = false;
    for encoded in name.split('.').filter_map(|label| label.strip_prefix(PREFIX)) {
        has_any = true;
        check_label(encoded)?;
    }
    if !has_any {
        return Ok(());
    }
    // The bidi rule (RFC 5893) looks at all labels of a name.
    match Uts46::new().to_ascii(name.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Ignore) {
        Ok(again) if again == name => Ok(()),
        Ok(_) | Err(_) => Err("it has an xn-- label that IDNA does not allow (RFC 5891 section 5.4)"),
    }
}

fn check_label(encoded: &str) -> Result<(), &'static str> {
    let label = punycode::decode_to_string(encoded);
    let label = label.ok_or("it has an xn-- label that is no Punycode (RFC 5891 section 5.4)")?;
    // RFC 5890 section 2.3.2.1: an A-label is what a U-label encodes to, and a U-label has a character beyond ASCII.
    if label.is_ascii() || punycode::encode_str(&label).as_deref() != Some(encoded) {
        return Err("it has an xn-- label that is not the one form of what it decodes to (RFC 5890 section 2.3.2.1)");
    }
    let chars: Vec<char> = label.chars().collect();
    match (0..chars.len()).all(|at| may_stand(&chars, at)) {
        true => Ok(()),
        false => Err("it has an xn-- label with a character that no name may have there (RFC 5892)"),
    }
}

/// Whether the character may stand where it stands: letters, digits and marks (RFC 5892 section 2.1), its exceptions (2.6), and the
/// rules of its appendix A for those that depend on their neighbours. What case folding and normalisation would change (2.2 to 2.4)
/// is UTS #46's to refuse.
fn may_stand(label: &[char], at: usize) -> bool {
    let Some(c) = label.get(at).copied() else { return false };
    let before = at.checked_sub(1).and_then(|at| label.get(at)).copied().unwrap_or_default();
    let after = label.get(at + 1).copied().unwrap_or_default();
    match c {
        'a'..='z' | '0'..='9' | '-' => true,
        _ if c.is_ascii() => false,
        '\u{640}' | '\u{7fa}' | '\u{302e}' | '\u{302f}' | '\u{3031}'..='\u{3035}' | '\u{303b}' => false,
        '\u{6fd}' | '\u{6fe}' | '\u{f0b}' | '\u{3007}' => true,
        // Joiners: UTS #46 has their rules.
        '\u{200c}' | '\u{200d}' => true,
        '\u{b7}' => before == 'l' && after == 'l',
        '\u{375}' => matches!(after, '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}'),
        '\u{5f3}' | '\u{5f4}' => matches!(before, '\u{591}'..='\u{5f2}'),
        '\u{30fb}' => label.iter().any(|c| {
            matches!(c, '\u{3041}'..='\u{309f}' | '\u{30a1}'..='\u{30fa}' | '\u{3400}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}')
        }),
        '\u{660}'..='\u{669}' => !label.iter().any(|c| matches!(c, '\u{6f0}'..='\u{6f9}')),
        '\u{6f0}'..='\u{6f9}' => !label.iter().any(|c| matches!(c, '\u{660}'..='\u{669}')),
        // Old Hangul (section 2.9).
        '\u{1100}'..='\u{11ff}' | '\u{a960}'..='\u{a97f}' | '\u{d7b0}'..='\u{d7ff}' => false,
        _ => matches!(
            c.general_category(),
            GeneralCategory::LowercaseLetter
                | GeneralCategory::OtherLetter
                | GeneralCategory::ModifierLetter
                | GeneralCategory::NonspacingMark
                | GeneralCategory::SpacingMark
                | GeneralCategory::DecimalNumber
        ),
    }
}

/// RFC 5890 section 2.3.2.5.
const PREFIX: &str = "xn--";

#[cfg(test)]
mod tests {
    use super::*;

    /// The A-label of a text, whatever it is.
    fn encoded(text: &str) -> String {
        format!("xn--{}.example", punycode::encode_str(text).unwrap())
    }

    #[test]
    fn labels_of_many_scripts_are_read() {
        for text in [
            "bücher",
            "straße",
            "ελλάς",
            "пример",
            "東京",
            "テスト・テスト",
            "col·lecció",
            "ישראל",
            "مثال",
            "हिन्दी",
            "ไทย",
            "한국",
            "௧௨",
            "नी\u{94d}\u{200d}",
        ] {
            assert_eq!(check(&encoded(text)), Ok(()), "{text}");
        }
        assert_eq!(check("www.example"), Ok(()));
        assert_eq!(check("a--b.example"), Ok(()));
    }

    #[test]
    fn what_is_no_a_label_is_refused_with_its_reason() {
        for (name, says) in [
            ("xn--99999999.www.example", "no Punycode"),
            ("xn--a.example", "a character that no name may have"),
            ("xn--www-.example", "not the one form"),
        ] {
            let why = check(name).unwrap_err();
            assert!(why.contains(says), "{name}: {why}");
        }
        for text in [
            "☃",
            "♥love",
            "i❤",
            "Bücher",
            "ﬁle",
            "a\u{301}",
            "\u{301}a",
            "pay\u{200b}pal",
            "a\u{202e}b",
            "l·m",
            "・",
            "a\u{200d}b",
            "\u{660}\u{6f0}",
            "אa1",
            "１２",
            "\u{640}\u{640}",
            "½",
        ] {
            assert!(check(&encoded(text)).is_err(), "{text}");
        }
    }
}
