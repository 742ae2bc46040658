//! As much DER as a TBSCertList needs (X.690 section 10, RFC 5280 section 5.1): strict, forward only, without copies.
//!
//! Not the parser that `ca` lints its CRLs with: an auditor reads with eyes of their own.

use policy::Timestamp;

const INTEGER: u8 = 0x02;
const OID: u8 = 0x06;
const BOOLEAN: u8 = 0x01;
const OCTET_STRING: u8 = 0x04;
const ENUMERATED: u8 = 0x0a;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;

/// id-ce-deltaCRLIndicator, 2.5.29.27.
const DELTA: [u8; 3] = [0x55, 0x1d, 0x1b];
/// id-ce-cRLNumber, 2.5.29.20.
const NUMBER: [u8; 3] = [0x55, 0x1d, 0x14];
/// id-ce-cRLReasons, 2.5.29.21.
const CRL_REASON: [u8; 3] = [0x55, 0x1d, 0x15];
/// id-ce-invalidityDate, 2.5.29.24.
const INVALIDITY_DATE: [u8; 3] = [0x55, 0x1d, 0x18];

type Read<T> = Result<T, &'static str>;

/// Bytes that are read from the left.
#[derive(Clone, Copy, Debug)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The tag that comes next; none at the end.
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next value, which must have this tag.
    fn take(&mut self, tag: u8) -> Read<&'a [u8]> {
        let (&there, rest) = self.0.split_first().ok_or("it ends too early")?;
        if there != tag {
            return Err("another tag than belongs there");
        }
        let (length, rest) = length(rest)?;
        let (value, rest) = rest.split_at_checked(length).ok_or("a length goes beyond the end")?;
        self.0 = rest;
        Ok(value)
    }

    fn within(&mut self, tag: u8) -> Read<Reader<'a>> {
        self.take(tag).map(Reader)
    }

    fn time(&mut self) -> Read<Timestamp> {
        let tag = self.peek().unwrap_or(0);
        let digits = std::str::from_utf8(self.take(tag)?).map_err(|_| "a time is no text")?;
        // RFC 5280 section 4.1.2.5.1: "Where YY is greater than or equal to 50, the year SHALL be interpreted as 19YY".
        let full = match tag {
            UTC_TIME if digits.get(..2).is_some_and(|year| year >= "50") => format!("19{digits}"),
            UTC_TIME => format!("20{digits}"),
            GENERALIZED_TIME => digits.to_owned(),
            _ => return Err("no time where one belongs"),
        };
        let part = |from: usize, to: usize| full.get(from..to).ok_or("a time is too short");
        let (date, clock) = ([part(0, 4)?, part(4, 6)?, part(6, 8)?], [part(8, 10)?, part(10, 12)?, part(12, 14)?]);
        let text = format!("{}T{}{}", date.join("-"), clock.join(":"), full.get(14..).unwrap_or_default());
        Timestamp::parse_rfc3339(&text).map_err(|_| "a time is none")
    }

    /// Nothing may follow.
    fn end(&self) -> Read<()> {
        if self.0.is_empty() { Ok(()) } else { Err("bytes follow where none belong") }
    }
}

/// A length, definite and minimal.
fn length(bytes: &[u8]) -> Read<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first().ok_or("a length is missing")?;
    if first < 0x80 {
        return Ok((first.into(), rest));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > 4 {
        return Err("a length is indefinite or of more than four bytes");
    }
    let (bytes, rest) = rest.split_at_checked(count).ok_or("a length is cut off")?;
    let length = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    if length < 0x80 || bytes.first() == Some(&0) {
        return Err("a length is not minimal");
    }
    Ok((length, rest))
}

/// One entry of a CRL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// Without leading zeros.
    pub serial: &'a [u8],
    pub at: Timestamp,
    /// CRLReason; 0 where it says none.
    pub reason: u8,
    pub invalid: Option<Timestamp>,
}

/// A TBSCertList.
#[derive(Debug)]
pub(super) struct List<'a> {
    pub entries: Entries<'a>,
    /// Its thisUpdate.
    pub begins: Timestamp,
    /// Its CRL number; none where it says none.
    pub number: Option<u64>,
    /// The number of the base that a delta CRL names, critical.
    pub base: Option<u64>,
}

/// The entries of a TBSCertList, one after the other.
#[derive(Debug)]
pub(super) struct Entries<'a>(Reader<'a>);

/// `TBSCertList ::= SEQUENCE { version, signature, issuer, thisUpdate, nextUpdate, revokedCertificates, crlExtensions }`.
pub(super) fn list(tbs: &[u8]) -> Read<List<'_>> {
    let mut outer = Reader(tbs);
    let mut list = outer.within(SEQUENCE)?;
    outer.end()?;
    if list.take(INTEGER)? != [1] {
        return Err("it is not of version 2");
    }
    list.take(SEQUENCE)?;
    list.take(SEQUENCE)?;
    let begins = list.time()?;
    list.time()?;
    let entries = if list.peek() == Some(SEQUENCE) { list.within(SEQUENCE)? } else { Reader(&[]) };
    let mut outer = list.within(0xa0)?;
    list.end()?;
    let mut extensions = outer.within(SEQUENCE)?;
    outer.end()?;
    let (mut number, mut base) = (None, None);
    while extensions.peek().is_some() {
        let Extension { id, critical, mut value } = extension(&mut extensions)?;
        let place = match id {
            id if id == NUMBER => &mut number,
            // Section 5.2.4: "a critical CRL extension that identifies a CRL as being a delta CRL".
            id if id == DELTA && critical => &mut base,
            id if id == DELTA => return Err("its delta indicator is not critical"),
            _ => continue,
        };
        let said = place.replace(small(value.take(INTEGER)?)?);
        value.end()?;
        if said.is_some() {
            return Err("an extension stands twice");
        }
    }
    Ok(List { entries: Entries(entries), begins, number, base })
}

struct Extension<'a> {
    id: &'a [u8],
    critical: bool,
    value: Reader<'a>,
}

fn extension<'a>(list: &mut Reader<'a>) -> Read<Extension<'a>> {
    let mut extension = list.within(SEQUENCE)?;
    let id = extension.take(OID)?;
    let critical = extension.peek() == Some(BOOLEAN) && extension.take(BOOLEAN)? != [0];
    let value = extension.within(OCTET_STRING)?;
    extension.end()?;
    Ok(Extension { id, critical, value })
}

/// A number of a CRL; ours have at most eight bytes.
fn small(bytes: &[u8]) -> Read<u64> {
    let bytes = magnitude(bytes)?;
    let small = bytes.len() <= 8;
    small.then(|| bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte))).ok_or("a number of more than eight bytes")
}

impl<'a> Iterator for Entries<'a> {
    type Item = Read<Entry<'a>>;
    fn next(&mut self) -> Option<Read<Entry<'a>>> {
        self.0.peek()?;
        let read = entry(&mut self.0);
        if read.is_err() {
            // What follows an entry that cannot be read cannot be found.
            self.0 = Reader(&[]);
        }
        Some(read)
    }
}

fn entry<'a>(list: &mut Reader<'a>) -> Read<Entry<'a>> {
    let mut entry = list.within(SEQUENCE)?;
    let serial = magnitude(entry.take(INTEGER)?)?;
    let at = entry.time()?;
    let (mut reason, mut invalid) = (0, None);
    if entry.peek().is_some() {
        let mut extensions = entry.within(SEQUENCE)?;
        while extensions.peek().is_some() {
            let Extension { id, mut value, .. } = extension(&mut extensions)?;
            if id == INVALIDITY_DATE {
                // Section 5.3.2: "The GeneralizedTime values included in this field MUST be expressed in Greenwich Mean Time (Zulu)".
                if value.peek() != Some(GENERALIZED_TIME) {
                    return Err("an invalidity date is no GeneralizedTime");
                }
                invalid = Some(value.time()?);
                value.end()?;
            } else if id == CRL_REASON {
                let [code] = *value.take(ENUMERATED)? else { return Err("a reason is not of one byte") };
                value.end()?;
                reason = code;
            }
        }
    }
    entry.end()?;
    Ok(Entry { serial, at, reason, invalid })
}

/// A positive number without leading zeros.
fn magnitude(bytes: &[u8]) -> Read<&[u8]> {
    match bytes.first() {
        Some(first) if first & 0x80 == 0 => Ok(stripped(bytes)),
        Some(_) | None => Err("a serial is not positive"),
    }
}

/// Bytes of a number without leading zeros.
pub(super) fn stripped(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
        [&[tag, value.len() as u8], value].concat()
    }

    fn made(entries: &[u8], extensions: &[Vec<u8>]) -> Vec<u8> {
        let time = tlv(UTC_TIME, b"260921090500Z");
        let entries = if entries.is_empty() { Vec::new() } else { tlv(SEQUENCE, entries) };
        let parts = [tlv(INTEGER, &[1]), tlv(SEQUENCE, &[]), tlv(SEQUENCE, &[]), time.clone(), time, entries];
        tlv(SEQUENCE, &[parts.concat(), tlv(0xa0, &tlv(SEQUENCE, &extensions.concat()))].concat())
    }

    fn numbered(id: &[u8], critical: bool, number: &[u8]) -> Vec<u8> {
        let critical = if critical { tlv(BOOLEAN, &[0xff]) } else { Vec::new() };
        tlv(SEQUENCE, &[tlv(OID, id), critical, tlv(OCTET_STRING, &tlv(INTEGER, number))].concat())
    }

    fn one(serial: &[u8], time: &[u8], reason: Option<u8>) -> Vec<u8> {
        let tag = if time.len() == 13 { UTC_TIME } else { GENERALIZED_TIME };
        let extension = reason.map_or_else(Vec::new, |code| {
            let parts = [tlv(OID, &CRL_REASON), tlv(OCTET_STRING, &tlv(ENUMERATED, &[code]))].concat();
            tlv(SEQUENCE, &tlv(SEQUENCE, &parts))
        });
        tlv(SEQUENCE, &[tlv(INTEGER, serial), tlv(tag, time), extension].concat())
    }

    #[test]
    fn entries_are_read() {
        let bytes = [one(&[0, 0x80], b"260921090500Z", Some(1)), one(&[5], b"20500101000000Z", None)].concat();
        let bytes = made(&bytes, &[]);
        let read: Vec<_> = list(&bytes).unwrap().entries.map(Result::unwrap).collect();
        let at = |text: &str| Timestamp::parse_rfc3339(text).unwrap();
        let expected = [
            Entry { serial: &[0x80], at: at("2026-09-21T09:05:00Z"), reason: 1, invalid: None },
            Entry { serial: &[5], at: at("2050-01-01T00:00:00Z"), reason: 0, invalid: None },
        ];
        assert_eq!(read, expected);
        assert_eq!(list(&made(&[], &[])).unwrap().entries.count(), 0);
    }

    #[test]
    fn a_delta_says_what_it_rests_on() {
        let of = |extensions: &[Vec<u8>]| list(&made(&[], extensions)).map(|read| (read.number, read.base));
        let [number, base] = [numbered(&NUMBER, false, &[1, 0]), numbered(&DELTA, true, &[0, 0x80])];
        assert_eq!(of(&[]), Ok((None, None)));
        assert_eq!(of(&[number.clone(), base.clone()]), Ok((Some(256), Some(128))));
        assert_eq!(of(&[numbered(&DELTA, false, &[1])]), Err("its delta indicator is not critical"));
        assert_eq!(of(&[base.clone(), base]), Err("an extension stands twice"));
        assert_eq!(of(&[numbered(&NUMBER, false, &[1; 9])]), Err("a number of more than eight bytes"));
        assert_eq!(of(&[numbered(&[0x55, 0x1d, 0x1c], true, &[1; 9]), number]), Ok((Some(256), None)));
    }

    #[test]
    fn what_is_no_crl_is_refused_and_nothing_panics() {
        let extensions = [numbered(&NUMBER, false, &[7]), numbered(&DELTA, true, &[5])];
        let good = made(&one(&[5], b"260921090500Z", Some(1)), &extensions);
        let whole = |bytes: &[u8]| list(bytes).and_then(|mut all| all.entries.try_for_each(|entry| entry.map(drop)));
        whole(&good).unwrap();
        for cut in 0..good.len() {
            assert!(whole(&good[..cut]).is_err(), "{cut}");
        }
        assert!(whole(&[good.as_slice(), &[0]].concat()).is_err());
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut changed = good.clone();
                changed[at] ^= 1 << bit;
                let _ = whole(&changed);
            }
        }
        for entry in [one(&[0x80], b"260921090500Z", None), one(&[], b"260921090500Z", None), one(&[1], b"x", None)] {
            assert!(whole(&made(&entry, &[])).is_err());
        }
        assert_eq!(length(&[0x80]), Err("a length is indefinite or of more than four bytes"));
        assert_eq!(length(&[0x81, 5]), Err("a length is not minimal"));
    }
}
