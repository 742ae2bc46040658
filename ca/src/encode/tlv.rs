//! DER elements as they stand, for what must not be decoded and encoded again.

use der::asn1::Any;
use der::{AnyRef, Decode, Encode, Reader, SliceReader, Tag, TagNumber};

/// The raw elements of a SET's or SEQUENCE's content, in their order. Not `SetOf`, which sorts.
pub(crate) fn elements(content: &[u8]) -> Result<Vec<&[u8]>, der::Error> {
    let mut reader = SliceReader::new(content)?;
    let mut found = Vec::new();
    while !reader.is_finished() {
        found.push(reader.tlv_bytes()?);
    }
    Ok(found)
}

/// The raw elements of a SEQUENCE.
pub(crate) fn parts_of_sequence(der: &[u8]) -> Result<Vec<&[u8]>, der::Error> {
    let sequence = AnyRef::from_der(der)?;
    sequence.header().tag().assert_eq(Tag::Sequence)?;
    elements(sequence.value())
}

/// A SEQUENCE of raw elements.
pub(crate) fn sequence(parts: &[&[u8]]) -> Result<Vec<u8>, der::Error> {
    Any::new(Tag::Sequence, parts.concat())?.to_der()
}

/// A SET OF raw elements, in DER's order (X.690 section 11.6).
pub(crate) fn set_of(mut parts: Vec<&[u8]>) -> Result<Vec<u8>, der::Error> {
    parts.sort();
    Any::new(Tag::Set, parts.concat())?.to_der()
}

/// `[number]`, constructed, around raw content.
pub(crate) fn context(number: u32, content: &[u8]) -> Result<Vec<u8>, der::Error> {
    Any::new(Tag::ContextSpecific { constructed: true, number: TagNumber(number) }, content)?.to_der()
}
