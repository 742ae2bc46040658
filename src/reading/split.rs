//! What objects a file holds: PEM blocks, DER one behind the other, or lines of OpenSSH.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::tlv;

/// Why something cannot be shown.
#[derive(Debug, PartialEq, Eq, Clone)]
pub struct Unread {
    /// Which object of the file, from 1.
    pub place: usize,
    /// What is wrong with it.
    pub why: String,
}

impl Unread {
    pub fn new(why: impl Into<String>) -> Self {
        Self { place: 1, why: why.into() }
    }
}

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "object {}: {}", self.place, self.why)
    }
}

impl std::error::Error for Unread {}

/// One object, before anybody knows what it is.
pub enum Raw {
    /// The label of a PEM block and its DER.
    Labelled(String, Zeroizing<Vec<u8>>),
    /// A PEM block with headers: a key that a password protects, as OpenSSL of old wrote it.
    Closed(String),
    /// A block that another parser reads as text.
    Text(Zeroizing<String>),
    /// DER.
    Bare(Zeroizing<Vec<u8>>),
    /// A line of OpenSSH.
    Line(String),
    /// A keystore of Java's, which is all of the file.
    Keystore(Zeroizing<Vec<u8>>),
}

/// All objects of a file.
pub fn split(bytes: &[u8]) -> Result<Vec<Raw>, Unread> {
    if bytes.starts_with(KEYSTORE) {
        return Ok(vec![Raw::Keystore(Zeroizing::new(bytes.to_vec()))]);
    }
    if bytes.starts_with(JCEKS) {
        return Err(Unread::new("a JCEKS: `keytool -importkeystore -deststoretype pkcs12` makes what is shown of it"));
    }
    if find(bytes, BEGIN).is_some() {
        return blocks(bytes);
    }
    match bytes.first() {
        None => Err(Unread::new("there is nothing in it")),
        Some(&tlv::SEQUENCE) if tlv::first(bytes).is_some() => bare(bytes),
        Some(_) => lines(bytes),
    }
}

/// PEM (RFC 7468); what stands around the blocks is skipped.
fn blocks(mut text: &[u8]) -> Result<Vec<Raw>, Unread> {
    let mut found = Vec::new();
    while let Some(rest) = find(text, BEGIN).and_then(|at| text.get(at + BEGIN.len()..)) {
        let refuse = |why: &str| Unread { place: found.len() + 1, why: why.to_owned() };
        if found.len() == OBJECTS_MAX {
            return Err(refuse("too many objects in one file"));
        }
        let marked =
            find(rest, DASHES).filter(|at| *at <= LABEL_MAX).ok_or_else(|| refuse("a PEM block without a label"))?;
        let (label, rest) = rest.split_at(marked);
        let label = std::str::from_utf8(label).map_err(|_| refuse("a PEM block without a label"))?;
        let end = format!("-----END {label}-----");
        let body = rest.get(DASHES.len()..).unwrap_or_default();
        let ends = find(body, end.as_bytes()).ok_or_else(|| refuse("a PEM block without an end"))?;
        let (body, rest) = body.split_at(ends);
        found.push(block(label, body).map_err(refuse)?);
        text = rest;
    }
    Ok(found)
}

fn block(label: &str, body: &[u8]) -> Result<Raw, &'static str> {
    let body = std::str::from_utf8(body).map_err(|_| "a PEM block that is no text")?;
    if label == "OPENSSH PRIVATE KEY" {
        return Ok(Raw::Text(Zeroizing::new(format!("-----BEGIN {label}-----{body}-----END {label}-----\n"))));
    }
    if body.contains("Proc-Type:") && body.contains("ENCRYPTED") {
        return Ok(Raw::Closed(label.to_owned()));
    }
    let body: Zeroizing<String> = Zeroizing::new(body.chars().filter(|c| !c.is_ascii_whitespace()).collect());
    let der = STANDARD.decode(body.as_bytes()).map_err(|_| "a PEM block that is not base64")?;
    Ok(Raw::Labelled(label.to_owned(), Zeroizing::new(der)))
}

fn bare(mut bytes: &[u8]) -> Result<Vec<Raw>, Unread> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let place = found.len() + 1;
        let refuse = |why: &str| Unread { place, why: why.to_owned() };
        if found.len() == OBJECTS_MAX {
            return Err(refuse("too many objects in one file"));
        }
        let (element, rest) = tlv::first(bytes).ok_or_else(|| refuse("what follows the object before is no DER"))?;
        found.push(Raw::Bare(Zeroizing::new(element.whole.to_vec())));
        bytes = rest;
    }
    Ok(found)
}

/// Lines of OpenSSH: `authorized_keys` without options, `id_ed25519-cert.pub`.
fn lines(bytes: &[u8]) -> Result<Vec<Raw>, Unread> {
    let text = std::str::from_utf8(bytes).map_err(|_| Unread::new(NEITHER))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let found: Vec<Raw> = lines.take(OBJECTS_MAX).map(|line| Raw::Line(line.to_owned())).collect();
    let known = |line: &Raw| matches!(line, Raw::Line(text) if SSH.iter().any(|kind| text.starts_with(kind)));
    match found.first().is_some_and(known) {
        true => Ok(found),
        false => Err(Unread::new(NEITHER)),
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// How Java's own keystore begins.
pub const KEYSTORE: &[u8] = &[0xfe, 0xed, 0xfe, 0xed];
/// How one begins that has secret keys, as objects of Java's.
const JCEKS: &[u8] = &[0xce, 0xce, 0xce, 0xce];
const BEGIN: &[u8] = b"-----BEGIN ";
const DASHES: &[u8] = b"-----";
const SSH: [&str; 3] = ["ssh-", "ecdsa-sha2-", "sk-"];
const NEITHER: &str = "neither PEM nor DER nor a line of OpenSSH";
/// More than any bundle of roots has.
const OBJECTS_MAX: usize = 10_000;
/// Longer than any label that is known.
const LABEL_MAX: usize = 64;
