//! RFC 7512 PKCS#11 URIs, as far as they name a token.
//!
//! Stricter than the RFC on purpose: what we would not honour is refused by name instead of passed over, so that a
//! URI never means less than its writer believes. A secret may not stand in a URI: `pin-value` is refused.

use std::path::PathBuf;

use crate::error::HsmError;

/// What a token URI says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TokenUri {
    pub(crate) token: Option<String>,
    pub(crate) serial: Option<String>,
    pub(crate) manufacturer: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) module_path: Option<PathBuf>,
    pub(crate) pin_file: Option<PathBuf>,
}

/// Longest URI read; RFC 7512 sets none, and no honest one comes near.
const URI_BYTES_MAX: usize = 2048;

/// Characters that may stand unescaped (RFC 7512 section 2.3: unreserved, `pk11-res-avail`, and per component).
const RES_AVAIL: &[u8] = b":[]@!$'()*+,=";

impl TokenUri {
    pub(crate) fn parse(uri: &str) -> Result<TokenUri, HsmError> {
        let fail = |why: String| HsmError::Config { what: "token URI".into(), why };
        if uri.len() > URI_BYTES_MAX {
            return Err(fail(format!("longer than {URI_BYTES_MAX} bytes")));
        }
        let rest = uri.strip_prefix("pkcs11:").ok_or_else(|| fail("does not begin with `pkcs11:`".into()))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut parsed = TokenUri::default();
        for attribute in path.split(';').filter(|a| !a.is_empty()) {
            let (name, value) = attribute_parts(attribute, b"&").map_err(fail)?;
            parsed.path_attribute(name, value).map_err(fail)?;
        }
        for attribute in query.split('&').filter(|a| !a.is_empty()) {
            let (name, value) = attribute_parts(attribute, b"/?|").map_err(fail)?;
            parsed.query_attribute(name, value).map_err(fail)?;
        }
        match parsed.token.is_some() || parsed.serial.is_some() {
            true => Ok(parsed),
            false => Err(fail("names no token: write `token=` or `serial=`".into())),
        }
    }

    fn path_attribute(&mut self, name: &str, value: String) -> Result<(), String> {
        match name {
            "token" => once(&mut self.token, name, value),
            "serial" => once(&mut self.serial, name, value),
            "manufacturer" => once(&mut self.manufacturer, name, value),
            "model" => once(&mut self.model, name, value),
            "object" | "type" | "id" => Err(format!("`{name}` names an object; here a URI names a token only")),
            "slot-id" | "slot-description" | "slot-manufacturer" => {
                Err(format!("`{name}` is refused: the order of slots is not stable; write `token=` or `serial=`"))
            }
            _ => Err(format!("`{name}` is not an attribute understood here")),
        }
    }

    fn query_attribute(&mut self, name: &str, value: String) -> Result<(), String> {
        match name {
            "module-path" => once(&mut self.module_path, name, absolute(name, &value)?),
            "pin-source" => once(&mut self.pin_file, name, pin_source(&value)?),
            "pin-value" => {
                Err("`pin-value` is refused: a secret may not stand in a URI; write `pin-source=file:/...`".into())
            }
            "module-name" => Err("`module-name` is refused: write `module-path=` with the whole path".into()),
            _ => Err(format!("`{name}` is not an attribute understood here")),
        }
    }
}

fn once<T>(place: &mut Option<T>, name: &str, value: T) -> Result<(), String> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("`{name}` stands twice")),
    }
}

fn attribute_parts<'a>(attribute: &'a str, also: &[u8]) -> Result<(&'a str, String), String> {
    let (name, value) = attribute.split_once('=').ok_or_else(|| "an attribute has no `=`".to_owned())?;
    // The value is not repeated in the message: it may be a PIN that someone wrote here by mistake.
    let value = decode(value, also).map_err(|why| format!("the value of `{name}` {why}"))?;
    match value.is_empty() {
        true => Err(format!("`{name}` is empty")),
        false => Ok((name, value)),
    }
}

fn decode(text: &str, also: &[u8]) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => match (rest.next().and_then(hex_digit), rest.next().and_then(hex_digit)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err("has a `%` without two hexadecimal digits"),
            },
            b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) || RES_AVAIL.contains(&b) || also.contains(&b) => b,
            _ => return Err("has a character that must be percent-encoded"),
        });
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err("is not UTF-8 text"),
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

fn pin_source(value: &str) -> Result<PathBuf, String> {
    if value.starts_with('|') {
        return Err("`pin-source` may not run a program; write `file:/...`".into());
    }
    // RFC 7512 section 2.4: either a path or a `file:` URI; `file:///p` and `file:/p` are one (RFC 8089).
    let path = value.strip_prefix("file://").or_else(|| value.strip_prefix("file:")).unwrap_or(value);
    absolute("pin-source", path)
}

fn absolute(name: &str, path: &str) -> Result<PathBuf, String> {
    match path.starts_with('/') {
        true => Ok(PathBuf::from(path)),
        false => Err(format!("`{name}` needs an absolute path")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_uri_is_read() {
        let parsed = TokenUri::parse(
            "pkcs11:token=The%20Software%20PKCS%2311;serial=12ab;manufacturer=A&B;model=v2\
             ?pin-source=file:/etc/token%3Apin&module-path=/usr/lib/x.so",
        );
        let expected = TokenUri {
            token: Some("The Software PKCS#11".into()),
            serial: Some("12ab".into()),
            manufacturer: Some("A&B".into()),
            model: Some("v2".into()),
            module_path: Some("/usr/lib/x.so".into()),
            pin_file: Some("/etc/token:pin".into()),
        };
        assert_eq!(parsed.unwrap(), expected);
        assert_eq!(TokenUri::parse("pkcs11:token=%C3%BC").unwrap().token.as_deref(), Some("ü"));
        for source in ["/run/pin", "file:/run/pin", "file:///run/pin"] {
            let parsed = TokenUri::parse(&format!("pkcs11:token=a?pin-source={source}")).unwrap();
            assert_eq!(parsed.pin_file, Some("/run/pin".into()));
        }
    }

    #[test]
    fn a_uri_that_would_mean_less_than_it_says_is_refused() {
        let cases = [
            ("token=a", "pkcs11:"),
            ("PKCS11:token=a", "pkcs11:"),
            ("pkcs11:", "names no token"),
            ("pkcs11:manufacturer=a", "names no token"),
            ("pkcs11:token=", "empty"),
            ("pkcs11:token", "no `=`"),
            ("pkcs11:token=a;token=b", "twice"),
            ("pkcs11:token=a;x-vendor=b", "x-vendor"),
            ("pkcs11:token=a;object=b", "object"),
            ("pkcs11:token=a;slot-id=0", "slot-id"),
            ("pkcs11:token=a b", "percent-encoded"),
            ("pkcs11:token=a/b", "percent-encoded"),
            ("pkcs11:token=%4", "hexadecimal"),
            ("pkcs11:token=%zz", "hexadecimal"),
            ("pkcs11:token=%ff", "UTF-8"),
            ("pkcs11:token=%00", "UTF-8"),
            ("pkcs11:token=a?pin-value=1234", "a secret may not stand in a URI"),
            ("pkcs11:token=a?pin-source=|/bin/echo", "program"),
            ("pkcs11:token=a?pin-source=pin.txt", "absolute"),
            ("pkcs11:token=a?module-path=x.so", "absolute"),
            ("pkcs11:token=a?module-name=x", "module-path"),
            ("pkcs11:token=a?x-query=1", "x-query"),
        ];
        for (uri, says) in cases {
            let error = TokenUri::parse(uri).unwrap_err().to_string();
            assert!(error.contains(says), "{uri}: {error}");
            assert!(!error.contains("1234"), "the PIN is repeated: {error}");
        }
        assert!(TokenUri::parse(&format!("pkcs11:token={}", "a".repeat(URI_BYTES_MAX))).is_err());
    }
}
