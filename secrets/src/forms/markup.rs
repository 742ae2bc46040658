//! HTML and XML: `&`, `<` and `>` by name, and quotes as each library writes them.

use super::written::replaced;

/// As each row has it.
pub fn markup(value: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    ROWS.iter().map(move |row| replaced(value, row))
}

const AMP: (u8, &str) = (b'&', "&amp;");
const LT: (u8, &str) = (b'<', "&lt;");
const GT: (u8, &str) = (b'>', "&gt;");
const QUOT: (u8, &str) = (b'"', "&quot;");

const ROWS: &[&[(u8, &str)]] = &[
    // Text; text, and attributes of XML.
    &[AMP, LT, GT],
    &[AMP, LT],
    &[AMP, LT, QUOT],
    &[AMP, LT, GT, QUOT],
    // html.escape of Python; lodash, ERB, jq; PHP; XML.
    &[AMP, LT, GT, QUOT, (b'\'', "&#x27;")],
    &[AMP, LT, GT, QUOT, (b'\'', "&#39;")],
    &[AMP, LT, GT, QUOT, (b'\'', "&#039;")],
    &[AMP, LT, GT, QUOT, (b'\'', "&apos;")],
    // Go, markupsafe (Jinja, Flask).
    &[AMP, LT, GT, (b'"', "&#34;"), (b'\'', "&#39;")],
];
