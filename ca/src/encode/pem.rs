//! PEM armour (RFC 7468): 64 columns, one label.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Armours bytes.
pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = more;
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

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
    }
}
