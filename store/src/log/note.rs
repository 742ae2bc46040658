//! Checkpoints as signed notes: C2SP tlog-checkpoint and signed-note.
//!
//! The log key is Ed25519 (signature type 0x01) where the token has it, else ECDSA on P-256 (type 0x02: the key ID is the
//! truncated SHA-256 of the SubjectPublicKeyInfo, the signature is DER over the SHA-256 of the text).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hsm::{Algorithm, Message};

use super::Head;
use super::merkle::Hash;
use crate::forms::schema::sha256;
use crate::nouns::error::StoreError;

/// So much of a text that is no key as tells which one it was.
const SHOWN: usize = 60;

/// Signed notes begin a signature line with an em dash and a space.
const LINE_START: &str = "\u{2014} ";
const ED25519: u8 = 0x01;
const ECDSA: u8 = 0x02;
/// The SubjectPublicKeyInfo of an Ed25519 key (RFC 8410 section 4) is this and the 32 bytes of the key.
const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// A note with many co-signatures; ours has one.
const NOTE_BYTES_MAX: usize = 65_536;

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub origin: String,
    pub size: u64,
    pub root: Hash,
    /// What is signed: the three lines with their newlines.
    pub text: String,
    signatures: Vec<NoteSignature>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct NoteSignature {
    name: String,
    key_id: [u8; 4],
    bytes: Vec<u8>,
}

/// A key that signs checkpoints, under the log's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogKey {
    name: String,
    algorithm: Algorithm,
    spki: Vec<u8>,
    key_id: [u8; 4],
}

/// The C2SP verifier key string of a log key: `origin+keyid+base64(type || public key)`.
pub fn verifier_key(origin: &str, algorithm: Algorithm, spki_der: &[u8]) -> Result<String, StoreError> {
    Ok(LogKey::new(origin, algorithm, spki_der)?.to_string())
}

/// Whether a text is a verifier key (C2SP signed-note): a name, the ID of the key under that name, and a key of a kind that signs logs.
///
/// # Errors
/// [`StoreError::Invalid`]: it is not, and why.
pub fn check_verifier_key(text: &str) -> Result<(), StoreError> {
    LogKey::parse(text).map(drop)
}

/// The origin is also the key's name: non-empty, without spaces or plus (signed-note), one line.
pub(crate) fn check_origin(origin: &str) -> Result<(), StoreError> {
    if origin.is_empty() || origin.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+') {
        return Err(StoreError::Invalid(format!(
            "log origin `{origin}`: a schema-less URL without spaces or `+`, as in `ca.example/log`"
        )));
    }
    Ok(())
}

impl LogKey {
    pub fn new(name: &str, algorithm: Algorithm, spki: &[u8]) -> Result<LogKey, StoreError> {
        check_origin(name)?;
        let mut key = LogKey { name: name.to_owned(), algorithm, spki: spki.to_owned(), key_id: [0; 4] };
        let hash = match key.typed_public_key()?.split_first() {
            Some((&ECDSA, spki)) => sha256(spki),
            _ => sha256(&[name.as_bytes(), b"\n", &key.typed_public_key()?].concat()),
        };
        key.key_id = [hash[0], hash[1], hash[2], hash[3]];
        Ok(key)
    }

    /// Reads a verifier key string.
    pub fn parse(text: &str) -> Result<LogKey, StoreError> {
        // A file that is something else is not repeated.
        let shown: String = text.lines().next().unwrap_or_default().chars().take(SHOWN).collect();
        let malformed = |why: &str| StoreError::Invalid(format!("verifier key `{shown}`: {why}"));
        let (name, rest) = text.split_once('+').ok_or_else(|| malformed("expected NAME+ID+KEY"))?;
        let (_, public) = rest.split_once('+').ok_or_else(|| malformed("expected NAME+ID+KEY"))?;
        let public = STANDARD.decode(public).map_err(|_| malformed("the key is not base64"))?;
        let key = match public.split_first() {
            Some((&ED25519, raw)) if raw.len() == 32 => {
                LogKey::new(name, Algorithm::Ed25519, &[&ED25519_SPKI, raw].concat())?
            }
            Some((&ECDSA, spki)) => LogKey::new(name, Algorithm::EcdsaP256Sha256, spki)?,
            _ => return Err(malformed("neither an Ed25519 nor an ECDSA key")),
        };
        if key.to_string() == text { Ok(key) } else { Err(malformed("the key ID is not this key's")) }
    }

    fn typed_public_key(&self) -> Result<Vec<u8>, StoreError> {
        match self.algorithm {
            Algorithm::Ed25519 => {
                let raw = self.spki.strip_prefix(&ED25519_SPKI).filter(|raw| raw.len() == 32);
                let raw = raw.ok_or_else(|| StoreError::Invalid("not an Ed25519 SubjectPublicKeyInfo".into()))?;
                Ok([&[ED25519], raw].concat())
            }
            Algorithm::EcdsaP256Sha256 => Ok([&[ECDSA], self.spki.as_slice()].concat()),
            other => Err(StoreError::Invalid(format!("a log key is Ed25519 or P-256, not {other}"))),
        }
    }

    /// The log's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a checkpoint says that this key signed it.
    pub fn is_named_by(&self, checkpoint: &Checkpoint) -> bool {
        checkpoint.signatures.iter().any(|s| s.name == self.name && s.key_id == self.key_id)
    }

    /// Whether this key signed the checkpoint, of the log that has its name.
    pub fn verify(&self, checkpoint: &Checkpoint) -> Result<(), String> {
        if checkpoint.origin != self.name {
            return Err(format!("it is of the log `{}`, the key of `{}`", checkpoint.origin, self.name));
        }
        let ours = |s: &&NoteSignature| s.name == self.name && s.key_id == self.key_id;
        let signature = checkpoint.signatures.iter().find(ours).ok_or("not signed by this key")?;
        let message = Message::from(checkpoint.text.as_bytes().to_vec());
        hsm::verify(self.algorithm, &self.spki, &message, &signature.bytes).map_err(|e| e.to_string())
    }
}

impl std::fmt::Display for LogKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let public = self.typed_public_key().unwrap_or_default();
        write!(f, "{}+{}+{}", self.name, hex::encode(self.key_id), STANDARD.encode(public))
    }
}

/// The text that is signed.
pub(crate) fn checkpoint_text(origin: &str, size: u64, root: &Hash) -> String {
    format!("{origin}\n{size}\n{}\n", STANDARD.encode(root))
}

/// The note: text, blank line, a line for each signature.
pub(crate) fn sign_note(text: &str, signatures: &[(LogKey, Vec<u8>)]) -> String {
    let line = |(key, signature): &(LogKey, Vec<u8>)| {
        format!("{LINE_START}{} {}\n", key.name, STANDARD.encode([&key.key_id, signature.as_slice()].concat()))
    };
    format!("{text}\n{}", signatures.iter().map(line).collect::<String>())
}

impl Checkpoint {
    /// Reads a note, without judging its signatures. Extension lines, which we never write, are refused.
    pub fn parse(note: &str) -> Result<Checkpoint, String> {
        if note.len() > NOTE_BYTES_MAX {
            return Err("longer than a checkpoint may be".into());
        }
        if note.chars().any(|c| c < ' ' && c != '\n') {
            return Err("holds control characters".into());
        }
        // The text is separated from the signatures by the last empty line.
        let (text, signatures) = note.rsplit_once("\n\n").ok_or("no blank line before the signatures")?;
        let text = format!("{text}\n");
        let (origin, head) = parse_text(&text)?;
        Ok(Checkpoint {
            origin: origin.to_owned(),
            size: head.size,
            root: head.root,
            signatures: parse_signatures(signatures)?,
            text,
        })
    }
}

/// Reads what [`checkpoint_text`] writes.
pub(crate) fn parse_text(text: &str) -> Result<(&str, Head), String> {
    let (origin, size, root) = match text.split('\n').collect::<Vec<_>>().as_slice() {
        [origin, size, root, ""] => (*origin, *size, *root),
        _ => return Err("the text is not origin, size and root".into()),
    };
    let number: u64 = size.parse().map_err(|_| "the size is not a number")?;
    if origin.is_empty() || number.to_string() != size {
        return Err("the origin is empty or the size is not canonical".into());
    }
    let root = STANDARD.decode(root).ok().and_then(|root| root.try_into().ok());
    Ok((origin, Head { size: number, root: root.ok_or("the root is not the base64 of 32 bytes")? }))
}

fn parse_signatures(lines: &str) -> Result<Vec<NoteSignature>, String> {
    let lines = lines.strip_suffix('\n').ok_or("no newline at the end")?;
    lines.split('\n').map(parse_signature).collect()
}

fn parse_signature(line: &str) -> Result<NoteSignature, String> {
    let rest = line.strip_prefix(LINE_START).ok_or("a signature line does not begin with an em dash")?;
    let (name, encoded) = rest.split_once(' ').ok_or("a signature line has no name")?;
    let bytes = STANDARD.decode(encoded).map_err(|_| "a signature is not base64")?;
    let (key_id, bytes) = bytes.split_first_chunk::<4>().ok_or("a signature has no key ID")?;
    Ok(NoteSignature { name: name.to_owned(), key_id: *key_id, bytes: bytes.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_verifier_key_is_read_and_written_back() {
        // From the documentation of Go's golang.org/x/mod/sumdb/note.
        let known = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        assert_eq!(LogKey::parse(known).unwrap().to_string(), known);
        assert!(check_verifier_key(known).is_ok() && check_verifier_key(&format!("{known} more")).is_err());
        let flipped = known.replace("c74f20a3", "c74f20a2");
        assert!(LogKey::parse(&flipped).is_err());
        assert!(LogKey::parse("PeterNeumann").is_err());
    }

    #[test]
    fn the_specifications_example_is_a_checkpoint() {
        let note = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
            \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";
        let checkpoint = Checkpoint::parse(note).unwrap();
        assert_eq!((checkpoint.origin.as_str(), checkpoint.size), ("example.com/behind-the-sofa", 20_852_163));
        assert_eq!(checkpoint.text, checkpoint_text(&checkpoint.origin, checkpoint.size, &checkpoint.root));
        assert_eq!(checkpoint.signatures[0].bytes.len(), 64);
    }

    #[test]
    fn what_is_not_a_checkpoint_is_refused() {
        let good = "a\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\u{2014} a AAAAAAA=\n";
        assert!(Checkpoint::parse(good).is_ok());
        for (from, to) in [
            ("a\n1", "\n1"),
            ("\n1\n", "\n01\n"),
            ("\n1\n", "\n-1\n"),
            ("\n\n", "\n"),
            ("=\n\n", "=\nextension\n\n"),
            ("\u{2014}", "-"),
            ("AAAAAAA=\n", "AAAAAAA="),
            ("AAAAAAA=", "AA"),
            ("q2I=", "q2J="),
        ] {
            assert!(Checkpoint::parse(&good.replacen(from, to, 1)).is_err(), "{from:?} -> {to:?}");
        }
    }

    #[test]
    fn an_origin_is_one_word_without_plus() {
        assert!(check_origin("ca.example/log").is_ok());
        for origin in ["", "a b", "a+b", "a\nb", "a\u{a0}b"] {
            assert!(check_origin(origin).is_err(), "{origin:?}");
        }
    }
}
