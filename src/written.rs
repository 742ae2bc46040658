//! What is wrong with a TOML file, and where, without a word of what stands there: it may be a PIN or a password in the wrong place,
//! and the sentence goes into logs and alarms.

/// The line, as `line 7`, and what is wrong with it.
pub fn written(text: &str, error: &toml::de::Error) -> (String, String) {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line =
        before.map_or_else(|| "(file)".to_owned(), |before| format!("line {}", before.matches('\n').count() + 1));
    (line, unquoted(error.message()))
}

/// serde says `invalid type: string "secret", expected u16`; TOML's own mistakes name what is missing, and keys.
fn unquoted(message: &str) -> String {
    let message = message.replace('\n', "; ");
    let quotes = ["invalid type: ", "invalid value: ", "invalid length ", "unknown variant "];
    let Some(quote) = quotes.into_iter().find(|quote| message.starts_with(quote)) else { return message };
    let expected = message.rsplit_once(", expected ").map_or("another", |(_, expected)| expected);
    format!("{}, expected {expected}", quote.trim_end_matches([':', ' ']))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "read for its mistakes alone")]
    struct File {
        url: String,
        sessions: Option<u8>,
        pin_file: Option<std::path::PathBuf>,
        level: Option<Level>,
        more: Option<BTreeMap<String, u8>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Level {
        Low,
    }

    #[test]
    fn what_is_wrong_is_said_and_what_stands_there_is_not() {
        for (wrong, says) in [
            ("pin = \"CANARY\"", "unknown field `pin`"),
            ("pin_file = 4711", "invalid type, expected path string"),
            ("sessions = \"CANARY, expected 4711\"", "invalid type, expected u8"),
            ("sessions = 4711", "invalid value, expected u8"),
            ("level = \"CANARY\"", "unknown variant, expected `low`"),
            ("more = { a = \"CANARY\" }", "invalid type, expected u8"),
            ("more = \"CANARY", "invalid basic string"),
            ("url = \"CANARY\"", "duplicate key"),
            ("CANARY-4711 pin", "key"),
        ] {
            let text = format!("url = \"a\"\n{wrong}\n");
            let (line, why) = written(&text, &toml::from_str::<File>(&text).unwrap_err());
            assert!(why.contains(says), "{wrong}: {why}");
            assert!(line == "line 2" && !why.contains("CANARY") && !why.contains("4711"), "{wrong}: {line}: {why}");
            assert!(!why.contains('\n'));
        }
    }
}
