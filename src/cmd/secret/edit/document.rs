//! The text in the editor: a head that is no part of it, and below that the fields as TOML, or one field as it is.

use secrets::{FieldName, SecretPath};
use zeroize::Zeroizing;

use super::base::{Base, Shown, is_text};
use crate::failure::{Exit, Failure};
use crate::output::printable;
use crate::written::written;

/// What is shown of a secret.
pub(super) struct Document {
    path: SecretPath,
    field: Option<FieldName>,
    /// A field that ends without a line break gets none, though most editors write one.
    ends_open: bool,
}

impl Document {
    /// Of all fields, or of one; a field that is there and not shown is refused.
    pub(super) fn of(path: &SecretPath, field: Option<FieldName>, base: &Base) -> Result<Document, Failure> {
        let of_field = field.as_ref().map(FieldName::as_str);
        if let Some((name, why)) = of_field.and_then(|name| base.hidden.get_key_value(name)) {
            let says = format!("the field {name} is {why}, and is not edited");
            return Err(Failure::new(Exit::Failed, says).help("`chancery secret put --from FIELD=FILE` replaces it"));
        }
        let text = of_field.and_then(|name| base.shown.get(name));
        let ends_open = text.is_none_or(|text| !text.ends_with('\n'));
        Ok(Document { path: path.clone(), field, ends_open })
    }

    /// The one field, where that is what is shown.
    pub(super) fn field(&self) -> Option<&FieldName> {
        self.field.as_ref()
    }

    /// What an editor knows its colours by, and nothing else.
    pub(super) fn file_name(&self) -> &'static str {
        if self.field.is_some() { "value.txt" } else { "secret.toml" }
    }

    /// What is below the head.
    pub(super) fn body(&self, fields: &Shown) -> Result<Zeroizing<String>, Failure> {
        let Some(field) = &self.field else {
            let lines = fields.iter().map(|(name, value)| {
                let value = Zeroizing::new(toml::Value::from(value.as_str()).to_string());
                Zeroizing::new(format!("{name} = {}\n", *value))
            });
            let lines: Vec<Zeroizing<String>> = lines.collect();
            return Ok(Zeroizing::new(lines.iter().map(|line| line.as_str()).collect()));
        };
        let text = fields.get(field.as_str()).map_or("", |text| text.as_str());
        Ok(Zeroizing::new(if self.ends_open && !text.is_empty() { format!("{text}\n") } else { text.to_owned() }))
    }

    /// The whole text of the file, with what is wrong on top.
    pub(super) fn whole(&self, base: &Base, trouble: Option<&Failure>, body: &str) -> Zeroizing<Vec<u8>> {
        let mut head = String::new();
        let mut say = |line: &str| head.push_str(&format!("{MARK} {}\n", printable(line)));
        if let Some(trouble) = trouble {
            trouble.to_string().lines().for_each(|line| say(&line.replace("chancery: ", "NOT WRITTEN: ")));
        }
        let what = self.field.as_ref().map_or_else(|| self.path.to_string(), |field| format!("{}#{field}", self.path));
        say(&format!("{what}, version {}. Saved, it is the next version;", base.version));
        say("unchanged or empty, or left by an editor that fails, nothing is written.");
        if self.field.is_none() {
            say("A value is a text in quotes: \"...\", '...', or several lines in '''.");
            base.hidden.iter().for_each(|(name, why)| say(&format!("{name} is {why}: it is not shown, and stays.")));
        }
        say(END);
        Zeroizing::new([head.as_bytes(), body.as_bytes()].concat())
    }

    /// What of a saved file is text: all below the head, if it has one still.
    pub(super) fn text_of(&self, saved: &[u8]) -> Result<Zeroizing<String>, Failure> {
        let wrong = |why: &str| Failure::new(Exit::Failed, "the text cannot be used").since(why);
        let text = std::str::from_utf8(saved).map_err(|_| wrong("it is not UTF-8"))?;
        if !text.starts_with(MARK) {
            return Ok(Zeroizing::new(text.to_owned()));
        }
        let mut at = 0;
        for line in text.split_inclusive('\n').take_while(|line| line.starts_with(MARK)) {
            at += line.len();
            if line.trim_end() == format!("{MARK} {END}") {
                return Ok(Zeroizing::new(text.get(at..).unwrap_or_default().to_owned()));
            }
        }
        Err(wrong("the last line of its head is gone: nobody can say where the text begins"))
    }

    /// The fields that a text says.
    pub(super) fn fields(&self, body: &str) -> Result<Shown, Failure> {
        let wrong = |why: String| Failure::new(Exit::Failed, "the text cannot be used").since(why);
        if body.trim().is_empty() {
            return Err(wrong("it is empty".to_owned()));
        }
        let fields: Shown = match &self.field {
            Some(field) => {
                let text = if self.ends_open { body.strip_suffix('\n').unwrap_or(body) } else { body };
                Shown::from([(field.as_str().to_owned(), Zeroizing::new(text.to_owned()))])
            }
            None => {
                let read = toml::from_str::<std::collections::BTreeMap<String, String>>(body).map_err(|error| {
                    let (line, why) = written(body, &error);
                    wrong(format!("{line} below the head: {why}"))
                })?;
                read.into_iter().map(|(name, value)| (name, Zeroizing::new(value))).collect()
            }
        };
        if let Some(name) = fields.iter().find(|(_, value)| !is_text(value)).map(|(name, _)| name) {
            return Err(wrong(format!("{} has characters that nobody sees", policy::shown(name))));
        }
        Ok(fields)
    }
}

/// Each line of the head begins so.
const MARK: &str = "# chancery:";
/// The last line of the head.
const END: &str = "The text begins below this line.";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn shown(fields: &[(&str, &str)]) -> Shown {
        fields.iter().map(|(name, value)| ((*name).to_owned(), Zeroizing::new((*value).to_owned()))).collect()
    }

    fn base(fields: &[(&str, &str)]) -> Base {
        Base { newest: 2, version: 2, by: "a".to_owned(), shown: shown(fields), hidden: BTreeMap::new() }
    }

    const HARD: [&str; 8] = [
        "plain",
        "a\"b'c\\d",
        "two\nlines\n",
        "'''",
        "\"\"\"",
        "\ttab ",
        "# chancery: The text begins below this line.",
        "ä🔑\r\n",
    ];

    #[test]
    fn what_is_shown_comes_back_as_it_is() {
        for text in HARD {
            for field in [None, Some("password")] {
                let base = base(&[("password", text), ("user", "a")]);
                let field: Option<FieldName> = field.map(|name| name.parse().unwrap());
                let document = Document::of(&"prod/db".parse().unwrap(), field, &base).unwrap();
                for trouble in [None, Some(Failure::new(Exit::Failed, "no").since("two\nlines"))] {
                    let body = document.body(&base.shown).unwrap();
                    let whole = document.whole(&base, trouble.as_ref(), &body);
                    let read = document.text_of(&whole).unwrap();
                    assert_eq!(*read, *body);
                    let fields = document.fields(&read).unwrap();
                    assert_eq!(fields.get("password").map(|text| text.as_str()), Some(text));
                }
            }
        }
    }

    #[test]
    fn what_is_no_text_of_ours_is_said_and_not_guessed() {
        let base = base(&[("password", "x")]);
        let document = Document::of(&"prod/db".parse().unwrap(), None, &base).unwrap();
        for (text, word) in [
            ("", "empty"),
            (" \n\n", "empty"),
            ("password = x\n", "line 1 below the head"),
            ("a = \"CANARY\"\na = \"b\"", "duplicate"),
            ("a = 5432", "expected a string"),
            ("a = \"\\u0007\"", "nobody sees"),
        ] {
            let said = document.fields(text).unwrap_err().to_string();
            assert!(said.contains(word) && !said.contains("CANARY"), "{text}: {said}");
        }
        assert!(document.text_of(b"# chancery: prod/db\na = \"b\"\n").is_err(), "a head without its end");
        assert!(document.text_of(b"\xff").is_err());
        assert_eq!(*document.text_of(b"a = \"b\"\n").unwrap(), "a = \"b\"\n");
    }
}
