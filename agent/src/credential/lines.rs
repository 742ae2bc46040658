//! The text of a file of public keys: lines of one secret in it are ours, and are known by how they end; all others stay as they are.
//!
//! `ssh-ed25519 AAAA... chancery:prod/hosts/deploy#3` is the key of version 3 of that secret. A key that somebody put there by hand stays,
//! also where it is the same: what stands before it may be a restriction, which nobody else takes away.

use secrets::SecretPath;

/// A public key that is to stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyLine {
    pub version: u64,
    /// Its kind and itself.
    pub line: String,
}

/// The text with exactly these keys of the secret, behind what is others'.
pub(crate) fn with_keys(there: &[u8], secret: &SecretPath, keys: &[KeyLine], options: Option<&str>) -> Vec<u8> {
    let mut text = Vec::with_capacity(there.len() + keys.len() * LINE_BYTES);
    for line in lines(there).filter(|line| version(line, secret).is_none()) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    for key in keys {
        let before = options.map(|options| format!("{options} ")).unwrap_or_default();
        let line = format!("{before}{} {}{}\n", key.line, mark(secret), key.version);
        text.extend_from_slice(line.as_bytes());
    }
    text
}

/// The keys of the secret that stand in a text, each with its version.
pub(crate) fn keys_in(there: &[u8], secret: &SecretPath) -> Vec<(u64, String)> {
    let ours = lines(there).filter_map(|line| Some((version(line, secret)?, std::str::from_utf8(line).ok()?)));
    // Before the mark stands the key, and before that its kind; options may have spaces in quotes.
    let keys = ours.filter_map(|(version, line)| {
        let mut words = line.split_whitespace().rev().skip(1);
        let (key, kind) = (words.next()?, words.next()?);
        Some((version, format!("{kind} {key}")))
    });
    keys.collect()
}

/// Whether a line of a server is a key and nothing else: no options, no second line.
pub(crate) fn is_key(line: &str) -> bool {
    let mut words = line.split(' ');
    let (kind, key) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let is_kind = |c: char| c.is_ascii_alphanumeric() || "-@.".contains(c);
    let is_key = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
    let begins = ["ssh-", "ecdsa-sha2-", "sk-"].iter().any(|begins| kind.starts_with(begins));
    begins && kind.chars().all(is_kind) && !key.is_empty() && key.chars().all(is_key) && words.next().is_none()
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = text.strip_suffix(b"\n").unwrap_or(text);
    let is_empty = text.is_empty();
    whole.split(|byte| *byte == b'\n').filter(move |_| !is_empty)
}

/// The version of which a line of ours is.
fn version(line: &[u8], secret: &SecretPath) -> Option<u64> {
    let line = std::str::from_utf8(line).ok()?;
    let last = line.split_whitespace().next_back().filter(|_| !line.trim_start().starts_with('#'))?;
    last.strip_prefix(&mark(secret))?.parse().ok()
}

fn mark(secret: &SecretPath) -> String {
    format!("chancery:{secret}#")
}

/// About as long as a line with an Ed25519 key.
const LINE_BYTES: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(version: u64, key: &str) -> KeyLine {
        KeyLine { version, line: format!("ssh-ed25519 {key}") }
    }

    #[test]
    fn lines_of_others_stay_byte_for_byte_and_ours_are_exactly_what_is_said() {
        let secret: SecretPath = "prod/hosts/deploy".parse().unwrap();
        let others = b"# by hand\n\nssh-rsa AAAA= alice@laptop\nfrom=\"10.0.0.0/8\" ssh-ed25519 one\n\xff\xfe\n\
                       ssh-ed25519 two chancery:prod/hosts/deploy2#1\n# chancery:prod/hosts/deploy#1";
        let one = with_keys(others, &secret, &[key(1, "one")], None);
        let text = [&others[..], b"\nssh-ed25519 one chancery:prod/hosts/deploy#1\n"].concat();
        assert_eq!(one, text);
        // The same again changes nothing.
        assert_eq!(with_keys(&one, &secret, &[key(1, "one")], None), one);
        let two = with_keys(&one, &secret, &[key(2, "two"), key(1, "one")], Some("command=\"a b\",no-pty"));
        assert_eq!(keys_in(&two, &secret), [(2, "ssh-ed25519 two".to_owned()), (1, "ssh-ed25519 one".to_owned())]);
        assert!(String::from_utf8_lossy(&two).contains("command=\"a b\",no-pty ssh-ed25519 two chancery:"));
        // Without keys what is others' is left.
        assert_eq!(with_keys(&two, &secret, &[], None), [&others[..], b"\n"].concat());
        assert_eq!(with_keys(b"", &secret, &[], None), b"");
    }

    #[test]
    fn what_is_more_than_a_key_is_none() {
        assert!(
            is_key("ssh-ed25519 AAAA+/=")
                && is_key("ecdsa-sha2-nistp256 AAAA")
                && is_key("sk-ssh-ed25519@openssh.com A")
        );
        for line in [
            "",
            "ssh-ed25519",
            "ssh-ed25519 ",
            "ssh-ed25519 AAAA comment",
            "ssh-ed25519 AAAA\nssh-ed25519 BBBB",
            "command=\"x\" ssh-ed25519 AAAA",
            "cert-authority ssh-ed25519",
            "ssh-ed25519  AAAA",
            "ssh-\u{e9} AAAA",
        ] {
            assert!(!is_key(line), "{line:?}");
        }
    }
}
