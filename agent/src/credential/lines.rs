//! The text of a file of public keys: lines of one secret in it are ours, and are known by how they end; all others stay as they are.
//!
//! `ssh-ed25519 AAAA... chancery:prod/hosts/deploy#3` is the key of version 3 of that secret. A key that somebody put there by hand stays,
//! also where it is the same: what stands before it may be a restriction, which nobody else takes away.

use std::collections::BTreeMap;

use secrets::SecretPath;

/// A public key that is to stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyLine {
    pub version: u64,
    /// Its kind and itself.
    pub line: String,
}

/// The text with exactly these keys of the secret. A key that stands there keeps its place, so that two who each keep lines of one file do
/// not move theirs behind the other's for ever; new ones stand behind the last of ours, or at the end.
pub(crate) fn with_keys(there: &[u8], secret: &SecretPath, keys: &[KeyLine], options: Option<&str>) -> Vec<u8> {
    let before = options.map(|options| format!("{options} ")).unwrap_or_default();
    let written = |key: &KeyLine| format!("{before}{} {}{}", key.line, mark(secret), key.version);
    let last = lines(there).enumerate().filter(|(_, line)| version(line, secret).is_some()).map(|(at, _)| at).last();
    let is_there = |key: &KeyLine| lines(there).any(|line| version(line, secret) == Some(key.version));
    let (stay, mut new): (Vec<&KeyLine>, Vec<&KeyLine>) = keys.iter().partition(|key| is_there(key));
    let mut stay: BTreeMap<u64, &KeyLine> = stay.into_iter().map(|key| (key.version, key)).collect();
    let mut text = Vec::with_capacity(there.len() + keys.len() * LINE_BYTES);
    let mut put = |line: &[u8]| {
        text.extend_from_slice(line);
        text.push(b'\n');
    };
    for (at, line) in lines(there).enumerate() {
        match version(line, secret) {
            None => put(line),
            // The first of a version is it; what stands there once more goes.
            Some(version) => {
                if let Some(key) = stay.remove(&version) {
                    put(written(key).as_bytes());
                }
            }
        }
        if Some(at) == last {
            for key in new.drain(..) {
                put(written(key).as_bytes());
            }
        }
    }
    for key in new {
        put(written(key).as_bytes());
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
        assert_eq!(keys_in(&two, &secret), [(1, "ssh-ed25519 one".to_owned()), (2, "ssh-ed25519 two".to_owned())]);
        assert!(String::from_utf8_lossy(&two).contains("command=\"a b\",no-pty ssh-ed25519 two chancery:"));
        // Without keys what is others' is left.
        assert_eq!(with_keys(&two, &secret, &[], None), [&others[..], b"\n"].concat());
        assert_eq!(with_keys(b"", &secret, &[], None), b"");
    }

    #[test]
    fn who_keeps_lines_of_one_file_leaves_anothers_where_they_are() {
        let (one, other): (SecretPath, SecretPath) = ("prod/one".parse().unwrap(), "prod/other".parse().unwrap());
        let mut text = b"# by hand\n".to_vec();
        for secret in [&one, &other] {
            text = with_keys(&text, secret, &[key(1, "a")], None);
        }
        // Each looks again, and again: the file is what it was.
        for secret in [&one, &other, &one] {
            assert_eq!(with_keys(&text, secret, &[key(1, "a")], None), text, "{secret}");
        }
        // A new one stands behind ours, in whatever order the server says them.
        let both = with_keys(&text, &one, &[key(2, "b"), key(1, "a")], None);
        let lines = "# by hand\nssh-ed25519 a chancery:prod/one#1\nssh-ed25519 b chancery:prod/one#2\n\
                     ssh-ed25519 a chancery:prod/other#1\n";
        assert_eq!(String::from_utf8_lossy(&both), lines);
        assert_eq!(with_keys(&both, &one, &[key(1, "a"), key(2, "b")], None), both);
        // One that goes leaves its place to the next; other options, and another key of that version, are put in place.
        let next = with_keys(&text, &one, &[key(2, "b")], None);
        assert_eq!(String::from_utf8_lossy(&next), lines.replace("ssh-ed25519 a chancery:prod/one#1\n", ""));
        let optioned = with_keys(&both, &one, &[key(1, "c"), key(2, "b")], Some("no-pty"));
        let wants = lines.replace("ssh-ed25519 a chancery:prod/one", "no-pty ssh-ed25519 c chancery:prod/one");
        assert_eq!(String::from_utf8_lossy(&optioned), wants.replace("\nssh-ed25519 b", "\nno-pty ssh-ed25519 b"));
        // A line of ours that stands there twice stands there once.
        let twice = [&both[..], b"ssh-ed25519 a chancery:prod/one#1\n"].concat();
        assert_eq!(with_keys(&twice, &one, &[key(1, "a"), key(2, "b")], None), both);
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
