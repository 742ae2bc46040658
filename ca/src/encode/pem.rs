//! PEM armour (RFC 7468): 64 columns, one label.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The first block of one of these labels; text around it, such as `openssl req -text` writes, is skipped.
pub(crate) fn decode(text: &[u8], labels: &[&str]) -> Result<Vec<u8>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is neither DER nor PEM")?;
    for label in labels {
        let Some((_, rest)) = text.split_once(&format!("-----BEGIN {label}-----")) else { continue };
        let Some((body, _)) = rest.split_once(&format!("-----END {label}-----")) else {
            return Err("its PEM block has no end".into());
        };
        let body: String = body.split_ascii_whitespace().collect();
        return STANDARD.decode(body).map_err(|_| "its PEM block is not base64".into());
    }
    Err(format!("it is neither DER nor a PEM block `-----BEGIN {}-----`", labels.first().unwrap_or(&"")))
}

/// Every block of a label, `most` at most.
pub(crate) fn all(text: &[u8], label: &str, most: usize) -> Result<Vec<Vec<u8>>, String> {
    let mut text = std::str::from_utf8(text).map_err(|_| "it is no PEM")?;
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let mut found = Vec::new();
    while let Some((_, rest)) = text.split_once(&begin) {
        if found.len() >= most {
            return Err(format!("more than {most} PEM blocks are in it"));
        }
        let (_, after) = rest.split_once(&end).ok_or("a PEM block in it has no end")?;
        let from = text.len() - rest.len() - begin.len();
        let block = text.get(from..text.len() - after.len()).unwrap_or_default();
        found.push(decode(block.as_bytes(), &[label])?);
        text = after;
    }
    Ok(found)
}

/// How many blocks of these labels begin in it.
pub(crate) fn blocks(text: &[u8], labels: &[&str]) -> usize {
    let text = String::from_utf8_lossy(text);
    labels.iter().map(|label| text.matches(&format!("-----BEGIN {label}-----")).count()).sum()
}

/// Armours bytes.
pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    encode_before(label, der, "")
}

/// Armours bytes, before what is armoured already: a certificate and its chain.
pub(crate) fn encode_before(label: &str, der: &[u8], rest: &str) -> String {
    let body = STANDARD.encode(der);
    let marks = 2 * ("-----BEGIN -----\n".len() + label.len());
    let mut out = String::with_capacity(marks + body.len() + body.len() / LINE + 1 + rest.len());
    out.extend(["-----BEGIN ", label, "-----\n"]);
    let mut lines = body.as_str();
    while !lines.is_empty() {
        let (line, more) = lines.split_at(lines.len().min(LINE));
        out.extend([line, "\n"]);
        lines = more;
    }
    out.extend(["-----END ", label, "-----\n", rest]);
    out
}

/// RFC 7468 section 2: exactly so many characters, but for the last line.
const LINE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_64_columns() {
        let text = encode("CERTIFICATE", &[7; 100]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2 + 3);
        assert_eq!(lines[1].len(), 64);
        assert!(text.ends_with("-----END CERTIFICATE-----\n"));
        assert_eq!(encode_before("CERTIFICATE", &[7; 100], "after\n"), text + "after\n");
    }
}
