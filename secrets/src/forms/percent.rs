//! Percent-encoded: each standard, and each library, leaves other characters as they are.

use super::written::written;

/// As each row has it.
pub fn percent(value: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    ROWS.iter().map(move |row| row.write(value))
}

/// What is left as it is beside letters and digits, how a blank is written, and the digits.
struct Row {
    left: &'static [u8],
    blank: &'static str,
    is_upper: bool,
}

impl Row {
    const fn new(left: &'static [u8], blank: &'static str) -> Row {
        Row { left, blank, is_upper: true }
    }

    const fn lower(left: &'static [u8], blank: &'static str) -> Row {
        Row { left, blank, is_upper: false }
    }

    fn write(&self, value: &[u8]) -> Vec<u8> {
        written(value, |_, byte, made| match byte {
            _ if byte.is_ascii_alphanumeric() || self.left.contains(&byte) => made.push(byte),
            b' ' => made.extend_from_slice(self.blank.as_bytes()),
            _ if self.is_upper => made.extend_from_slice(format!("%{byte:02X}").as_bytes()),
            _ => made.extend_from_slice(format!("%{byte:02x}").as_bytes()),
        })
    }
}

const ROWS: &[Row] = &[
    // RFC 3986 section 2.3: rawurlencode of PHP, Uri.EscapeDataString of .NET, curl, jq; with `+` quote_plus of Python, QueryEscape of Go.
    Row::new(b"-._~", "%20"),
    Row::new(b"-._~", "+"),
    Row::lower(b"-._~", "%20"),
    Row::lower(b"-._~", "+"),
    // encodeURIComponent.
    Row::new(b"-_.!~*'()", "%20"),
    // application/x-www-form-urlencoded of WHATWG (URLSearchParams), URLEncoder of Java.
    Row::new(b"*-._", "+"),
    // urlencode of PHP.
    Row::new(b"-_.", "+"),
    // WebUtility and HttpUtility of .NET.
    Row::new(b"-_.!*()", "+"),
    Row::lower(b"-_.!*()", "+"),
    // quote of Python.
    Row::new(b"-._~/", "%20"),
    // Go: the password of a URL, a segment of its path, its path.
    Row::new(b"-_.~$&+,;=", "%20"),
    Row::new(b"-_.~$&+:=@", "%20"),
    Row::new(b"-_.~$&+,/:;=@", "%20"),
    // encodeURI, and what `requests` of Python makes of every URL.
    Row::new(b"-_.!~*'();/?:@&=+$,#", "%20"),
    Row::new(b"!#$%&'()*+,/:;=?@[]-_.~", "%20"),
    // URL of WHATWG: its password, its path (without and with `^`), its query.
    Row::new(b"!$%&'()*+,-._~", "%20"),
    Row::new(b"!$%&'()*+,-./:;=@[]_|~", "%20"),
    Row::new(b"!$%&'()*+,-./:;=@[]^_|~", "%20"),
    Row::new(b"!$%&()*+,-./:;=?@[\\]^_`{|}~", "%20"),
    // escape of old scripts, of ASCII.
    Row::new(b"@*_+-./", "%20"),
];
