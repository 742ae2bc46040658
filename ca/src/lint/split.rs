//! What objects a file holds: PEM or DER, one or many.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use der::{Decode, Header, Reader, SliceReader, Tag, TagNumber};

use crate::encode::tlv;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A certificate.
    Certificate,
    /// A certificate revocation list.
    Crl,
    /// An OCSP response.
    Ocsp,
}

/// Why a file has nothing to judge.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{place}: {why}")]
pub struct NoObject {
    /// Which object of the file.
    pub place: String,
    /// What it is instead, or what is wrong with it.
    pub why: String,
}

/// Each object of a file, as DER.
pub(crate) fn objects(bytes: &[u8]) -> Result<Vec<(Shape, Vec<u8>)>, NoObject> {
    let found = match find(bytes, b"-----BEGIN ") {
        Some(_) => armoured(bytes)?,
        None => bare(bytes)?,
    };
    let shaped = |(place, der): (usize, Vec<u8>)| match shape(&der) {
        Ok(shape) => Ok((shape, der)),
        Err(why) => Err(refused(place, why)),
    };
    (1..).zip(found).map(shaped).collect()
}

/// The blocks of a PEM file; text around them is skipped.
fn armoured(mut text: &[u8]) -> Result<Vec<Vec<u8>>, NoObject> {
    let mut found = Vec::new();
    while let Some(rest) = after(text, b"-----BEGIN ") {
        let place = found.len() + 1;
        if found.len() == OBJECTS_MAX {
            return Err(refused(place, format!("more than {OBJECTS_MAX} objects in one file")));
        }
        let Some(marked) = find(rest, b"-----").filter(|at| *at <= LABEL_MAX) else {
            return Err(refused(place, "a PEM block without a label"));
        };
        let (label, rest) = rest.split_at(marked);
        let label = String::from_utf8_lossy(label).into_owned();
        if !matches!(
            label.as_str(),
            "CERTIFICATE" | "TRUSTED CERTIFICATE" | "X509 CERTIFICATE" | "X509 CRL" | "OCSP RESPONSE"
        ) {
            return Err(refused(place, format!("a PEM block `{label}`: {JUDGED}")));
        }
        let end = format!("-----END {label}-----");
        let body = rest.strip_prefix(b"-----").unwrap_or(rest);
        let Some(ends) = find(body, end.as_bytes()) else {
            return Err(refused(place, "its PEM block has no end"));
        };
        let (body, rest) = body.split_at(ends);
        let body: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        found.push(STANDARD.decode(body).map_err(|_| refused(place, "its PEM block is not base64"))?);
        text = rest;
    }
    Ok(found)
}

/// DER objects, one behind the other.
fn bare(mut bytes: &[u8]) -> Result<Vec<Vec<u8>>, NoObject> {
    let mut found = Vec::new();
    while !bytes.is_empty() || found.is_empty() {
        let place = found.len() + 1;
        if found.len() == OBJECTS_MAX {
            return Err(refused(place, format!("more than {OBJECTS_MAX} objects in one file")));
        }
        let mut reader = SliceReader::new(bytes).map_err(|e| refused(place, e.to_string()))?;
        let neither = || refused(place, format!("neither PEM nor DER: {JUDGED}"));
        // Text is read as DER now and then, and not as a sequence.
        if bytes.first() != Some(&SEQUENCE) {
            return Err(neither());
        }
        let object = reader.tlv_bytes().map_err(|_| neither())?;
        found.push(object.to_vec());
        bytes = bytes.get(object.len()..).unwrap_or_default();
    }
    Ok(found)
}

/// By the tags that stand where an object has them.
fn shape(der: &[u8]) -> Result<Shape, String> {
    let parts = tlv::parts_of_sequence(der).map_err(|_| format!("no DER sequence: {JUDGED}"))?;
    let tags: Vec<Tag> = parts.iter().filter_map(|part| tag(part)).collect();
    match tags.as_slice() {
        [Tag::Enumerated, ..] => return Ok(Shape::Ocsp),
        [Tag::Sequence, Tag::Sequence, Tag::BitString, ..] => {}
        [Tag::Integer, ..] => return Err(format!("a private key, it seems: {JUDGED}")),
        [Tag::ObjectIdentifier, ..] => return Err(format!("a PKCS#7 or CMS container: {JUDGED}")),
        _ => return Err(format!("an object of another kind: {JUDGED}")),
    }
    let inner = parts.first().and_then(|tbs| tlv::parts_of_sequence(tbs).ok()).unwrap_or_default();
    let tags: Vec<Tag> = inner.iter().filter_map(|part| tag(part)).collect();
    match tags.as_slice() {
        [Tag::ContextSpecific { number: TagNumber(0), .. }, Tag::Integer, ..] => Ok(Shape::Certificate),
        // Of version 1; a CRL has a time there.
        [Tag::Integer, Tag::Sequence, Tag::Sequence, Tag::Sequence, ..] => Ok(Shape::Certificate),
        [Tag::Integer, Tag::Sequence, Tag::Sequence, Tag::UtcTime | Tag::GeneralizedTime, ..]
        | [Tag::Sequence, Tag::Sequence, Tag::UtcTime | Tag::GeneralizedTime, ..] => Ok(Shape::Crl),
        [Tag::Integer, Tag::Sequence, Tag::Sequence, Tag::ContextSpecific { .. }] => {
            Err(format!("a certificate request: {JUDGED}"))
        }
        _ => Err(format!("a signed object of another kind: {JUDGED}")),
    }
}

fn tag(part: &[u8]) -> Option<Tag> {
    Header::decode(&mut SliceReader::new(part).ok()?).ok().map(|header| header.tag())
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn after<'a>(text: &'a [u8], what: &[u8]) -> Option<&'a [u8]> {
    find(text, what).and_then(|at| text.get(at + what.len()..))
}

fn refused(place: usize, why: impl Into<String>) -> NoObject {
    NoObject { place: format!("object {place}"), why: why.into() }
}

const JUDGED: &str = "certificates, CRLs and OCSP responses are judged, as PEM or DER";
/// Each object that is judged is one.
const SEQUENCE: u8 = 0x30;
/// More than any bundle of roots has.
const OBJECTS_MAX: usize = 10_000;
/// Longer than any label that is known.
const LABEL_MAX: usize = 64;
