//! The forms in which programs print a value.
//!
//! Itself; as base64 and hex; percent-encoded; inside the quotes of a string of a language, of a query, of a shell; in markup; with CR
//! before each LF, as a terminal makes it. Which program writes a form stands at its row, and `delivery/tests/encoders.rs` holds those against
//! them that a test machine has. Compression and encryption have no end of forms, and are not here.

mod bases;
mod markup;
mod percent;
mod shells;
mod strings;
mod written;

use std::ops::Deref;

use zeroize::Zeroize;

/// A piece of text that tells a value, or a part of it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub struct Form(Vec<u8>);

impl Form {
    /// These bytes.
    pub fn new(bytes: Vec<u8>) -> Form {
        Form(bytes)
    }
}

impl Deref for Form {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Form {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Every form of a value but its lines, and of its parts where an encoding breaks it. Many are the same: of a value without symbols most
/// are the value itself.
pub fn encoded(value: &[u8]) -> Vec<Form> {
    let parts = bases::parts(value).into_iter().map(Form::new);
    whole(value).into_iter().chain(parts).collect()
}

/// Every form that tells all of a value. Who looks for these alone tells nobody that he guessed a part of it.
pub fn whole(value: &[u8]) -> Vec<Form> {
    let mut forms = bases::whole(value);
    forms.extend(percent::percent(value));
    forms.extend(strings::strings(value));
    forms.extend(shells::shells(value));
    forms.extend(markup::markup(value));
    forms.push(written::replaced(value, &[(b'\n', "\r\n")]));
    forms.push(value.to_vec());
    forms.into_iter().map(Form::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a test machine has no program for, as its program writes it.
    #[test]
    fn a_value_is_known_as_programs_print_it_that_a_test_machine_has_not() {
        let value = "p<q>&r!s*7@x/y'z(1)+=$\"\\~ \u{e4}";
        let found: Vec<String> =
            encoded(value.as_bytes()).iter().map(|form| String::from_utf8_lossy(form).into_owned()).collect();
        for (program, form) in [
            ("java.net.URLEncoder", "p%3Cq%3E%26r%21s*7%40x%2Fy%27z%281%29%2B%3D%24%22%5C%7E+%C3%A4"),
            ("Go url.UserPassword", "p%3Cq%3E&r%21s%2A7%40x%2Fy%27z%281%29+=$%22%5C~%20%C3%A4"),
            ("Go url.PathEscape", "p%3Cq%3E&r%21s%2A7@x%2Fy%27z%281%29+=$%22%5C~%20%C3%A4"),
            ("Go URL.EscapedPath", "p%3Cq%3E&r%21s%2A7@x/y%27z%281%29+=$%22%5C~%20%C3%A4"),
            (".NET HttpUtility.UrlEncode", "p%3cq%3e%26r!s*7%40x%2fy%27z(1)%2b%3d%24%22%5c%7e+%c3%a4"),
            (".NET WebUtility.UrlEncode", "p%3Cq%3E%26r!s*7%40x%2Fy%27z(1)%2B%3D%24%22%5C%7E+%C3%A4"),
            ("PHP urlencode", "p%3Cq%3E%26r%21s%2A7%40x%2Fy%27z%281%29%2B%3D%24%22%5C%7E+%C3%A4"),
            ("Go json.Marshal", "p\\u003cq\\u003e\\u0026r!s*7@x/y'z(1)+=$\\\"\\\\~ \u{e4}"),
            ("Gson", "p\\u003cq\\u003e\\u0026r!s*7@x/y\\u0027z(1)+\\u003d$\\\"\\\\~ \u{e4}"),
            (".NET System.Text.Json", "p\\u003Cq\\u003E\\u0026r!s*7@x/y\\u0027z(1)\\u002B=$\\u0022\\\\~ \\u00E4"),
            ("PHP json_encode", "p<q>&r!s*7@x\\/y'z(1)+=$\\\"\\\\~ \\u00e4"),
            ("PHP addslashes", "p<q>&r!s*7@x/y\\'z(1)+=$\\\"\\\\~ \u{e4}"),
            ("Go html/template", "p&lt;q&gt;&amp;r!s*7@x/y&#39;z(1)+=$&#34;\\~ \u{e4}"),
            ("PHP htmlspecialchars", "p&lt;q&gt;&amp;r!s*7@x/y&#039;z(1)+=$&quot;\\~ \u{e4}"),
            (".NET SecurityElement.Escape", "p&lt;q&gt;&amp;r!s*7@x/y&apos;z(1)+=$&quot;\\~ \u{e4}"),
            ("docker compose config", "p<q>&r!s*7@x/y'z(1)+=$$\"\\~ \u{e4}"),
            ("Rust {:?}", "p<q>&r!s*7@x/y'z(1)+=$\\\"\\\\~ \u{e4}"),
        ] {
            assert!(found.iter().any(|known| known == form), "{program}: {form}");
        }
    }

    #[test]
    fn a_part_of_a_value_is_among_its_parts_alone() {
        let value = "0123456789abcdefWXYZ";
        let is_among = |forms: &[Form]| forms.iter().any(|form| **form == *b"57 58 59 5a");
        assert!(is_among(&encoded(value.as_bytes())) && !is_among(&whole(value.as_bytes())));
        assert!(whole(b"WXYZ").iter().any(|form| **form == *b"57 58 59 5a"), "all of it");
    }

    #[test]
    fn a_terminal_s_line_ends_are_known() {
        assert!(encoded(b"one\ntwo").iter().any(|form| **form == *b"one\r\ntwo"));
    }
}
