//! The shape of DER: elements as they stand.

use der::{Decode, Header, Reader, SliceReader};

/// An element: its first octet, its content, and both.
#[derive(Clone, Copy)]
pub struct Element<'a> {
    pub tag: u8,
    pub content: &'a [u8],
    pub whole: &'a [u8],
}

/// The first element of some bytes, and what follows it.
pub fn first(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let mut reader = SliceReader::new(bytes).ok()?;
    let whole = reader.tlv_bytes().ok()?;
    let mut inner = SliceReader::new(whole).ok()?;
    Header::decode(&mut inner).ok()?;
    let content = whole.get(usize::try_from(inner.position()).ok()?..)?;
    Some((Element { tag: *whole.first()?, content, whole }, bytes.get(whole.len()..)?))
}

/// All elements that some content is made of; none where it is not made of elements.
pub fn elements(mut content: &[u8]) -> Option<Vec<Element<'_>>> {
    let mut found = Vec::new();
    while !content.is_empty() {
        let (element, rest) = first(content)?;
        found.push(element);
        content = rest;
    }
    Some(found)
}

/// The elements of a SEQUENCE that is all there is.
pub fn sequence(der: &[u8]) -> Option<Vec<Element<'_>>> {
    match first(der)? {
        (Element { tag: SEQUENCE, content, .. }, []) => elements(content),
        _ => None,
    }
}

/// The tags of elements.
pub fn tags(elements: &[Element<'_>]) -> Vec<u8> {
    elements.iter().map(|element| element.tag).collect()
}

/// An OBJECT IDENTIFIER's content, dotted.
pub fn oid(content: &[u8]) -> Option<String> {
    der::asn1::ObjectIdentifier::from_bytes(content).ok().map(|oid| oid.to_string())
}

pub const INTEGER: u8 = 0x02;
pub const BIT_STRING: u8 = 0x03;
pub const OCTET_STRING: u8 = 0x04;
pub const OID: u8 = 0x06;
pub const ENUMERATED: u8 = 0x0a;
pub const SEQUENCE: u8 = 0x30;
pub const UTC_TIME: u8 = 0x17;
pub const GENERALIZED_TIME: u8 = 0x18;
/// `[0]`, constructed; the others follow.
pub const CONTEXT: u8 = 0xa0;
