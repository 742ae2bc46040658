//! A folder of `openssl ca` (or of easy-rsa, which is one): `index.txt`, `crlnumber`, `newcerts/`, the CA's certificate, CRLs.
//!
//! The form is that of openssl's own `apps/ca.c`: six fields a line, parted by tabs: `V`, `R` or `E`; the certificate's end; when it was
//! revoked and why; the serial in hexadecimal; a file, or `unknown`; the subject.

use std::collections::HashSet;

use crate::encode::pem;
use crate::estates::crl::NUMBER_MAX;
use crate::estates::gathered::{Ended, Gathered, Told};
use crate::estates::leaf::serial_of;
use crate::estates::moments::asn1;
use crate::estates::reading::{Unreadable, der, hexadecimal};

/// What was read of the folder; each file with its name.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    /// Where it is.
    pub place: String,
    /// `index.txt`.
    pub index: String,
    /// `crlnumber`: the number of the next CRL, in hexadecimal.
    pub crlnumber: Option<String>,
    /// Files of certificates: of `newcerts/` or `certs_by_serial/`.
    pub certificates: Vec<(String, Vec<u8>)>,
    /// Those that lie elsewhere: where easy-rsa moves them, or where the index says. One counts whose serial the index has, and no other
    /// certificate.
    pub moved: Vec<(String, Vec<u8>)>,
    /// Files of CRLs.
    pub crls: Vec<(String, Vec<u8>)>,
    /// The CA's certificate and those above it, PEM or DER.
    pub chain: Vec<u8>,
}

/// Gathers what is in it.
pub fn gather(folder: Folder) -> Result<Gathered, Unreadable> {
    let authorities = authorities(&folder.chain).map_err(|why| Unreadable(format!("the CA's certificate: {why}")))?;
    let mut all = Gathered { source: format!("openssl ca {}", folder.place), authorities, ..Gathered::default() };
    let unreadable = index(&folder.index, &mut all);
    for (name, bytes) in folder.certificates {
        match der(&bytes, "CERTIFICATE") {
            Ok(der) => all.certificates.push((name, der)),
            Err(why) => all.leave(name, why),
        }
    }
    moved(folder.moved, &mut all);
    if let Some(place) = unreadable {
        // What the index lacks may be what that line is about.
        let known: HashSet<Vec<u8>> = all.bare.iter().map(|(_, serial)| serial.clone()).collect();
        let serials: Vec<_> = all.certificates.iter().filter_map(|(_, der)| serial_of(der)).collect();
        serials.into_iter().filter(|serial| !known.contains(serial)).for_each(|serial| all.doubt(&place, &serial));
    }
    for (name, bytes) in folder.crls {
        match der(&bytes, "X509 CRL") {
            Ok(der) => all.crls.push((name, der)),
            Err(why) => all.leave_unread(name, why),
        }
    }
    if let Some(text) = folder.crlnumber {
        match next_number(&text) {
            // The file has the next one's.
            Some(next) => all.numbers.extend(next.checked_sub(1).map(|last| ("crlnumber".to_owned(), last))),
            None => all.leave(
                "crlnumber",
                "is no number in hexadecimal that ours can go on from: our next one may be smaller",
            ),
        }
    }
    Ok(all)
}

/// easy-rsa moves what it renewed or revoked out of the folder of all certificates; the index goes on having its line.
fn moved(moved: Vec<(String, Vec<u8>)>, all: &mut Gathered) {
    let known: HashSet<Vec<u8>> = all.certificates.iter().filter_map(|(_, der)| serial_of(der)).collect();
    let mut wanted: HashSet<Vec<u8>> =
        all.bare.iter().map(|(_, serial)| serial.clone()).filter(|serial| !known.contains(serial)).collect();
    for (name, bytes) in moved {
        let Ok(der) = der(&bytes, "CERTIFICATE") else { continue };
        if serial_of(&der).is_some_and(|serial| wanted.remove(&serial)) {
            all.certificates.push((name, der));
        }
    }
}

/// The files that an index names, beside it: openssl writes `unknown`, others (micromdm/scep) what the certificate's file is called.
pub fn named(index: &str) -> impl Iterator<Item = &str> {
    index.lines().filter_map(|line| fields(line).get(4).copied()).filter(|name| {
        !name.is_empty() && *name != "unknown" && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
    })
}

/// One certificate, or several as PEM.
pub(super) fn authorities(bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    match bytes.first() {
        Some(0x30) => Ok(vec![bytes.to_vec()]),
        _ => pem::all(bytes, "CERTIFICATE", AUTHORITIES_MAX),
    }
}

fn next_number(text: &str) -> Option<u64> {
    u64::from_str_radix(text.trim(), 16).ok().filter(|number| *number < NUMBER_MAX)
}

/// All entries; a line of which not even the serial is known, if there is one.
fn index(text: &str, all: &mut Gathered) -> Option<String> {
    let mut unreadable = None;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let place = format!("index.txt line {number}");
        if let Err(NoEntry { why, serial }) = entry(&place, line, all) {
            match serial {
                Some(serial) => all.doubt(&place, &serial),
                None => unreadable = Some(place.clone()),
            }
            all.leave(place, why);
        }
    }
    unreadable
}

/// Why a line is no entry, and of which serial it is, as far as that can be read.
#[derive(Debug)]
struct NoEntry {
    why: String,
    serial: Option<Vec<u8>>,
}

fn entry(place: &str, line: &str, all: &mut Gathered) -> Result<(), NoEntry> {
    let fields = fields(line);
    let serial = match fields.get(3) {
        // A negative one is that of no certificate that could come.
        Some(text) if text.starts_with('-') => {
            let why = format!("has the negative serial {}", policy::shown(text));
            return Err(NoEntry { why, serial: Some(Vec::new()) });
        }
        Some(text) => hexadecimal(text),
        None => None,
    };
    let [kind, until, revoked, _serial, _file, _subject] = fields[..] else {
        return Err(NoEntry { why: format!("has {} fields, and an entry has six", fields.len()), serial });
    };
    let Some(serial) = serial else {
        return Err(NoEntry { why: "its serial is no hexadecimal number".to_owned(), serial });
    };
    all.bare.push((place.to_owned(), serial.clone()));
    let until = asn1(until);
    match kind {
        "V" | "E" => Ok(()),
        "R" => match ended(place, revoked, &serial, all) {
            Ok(end) => {
                all.revoked.push(Told { place: place.to_owned(), serial, end, until });
                Ok(())
            }
            Err(why) => Err(NoEntry { why, serial: Some(serial) }),
        },
        other => {
            let why = format!("`{}` is no state of a certificate", policy::shown(other));
            Err(NoEntry { why, serial: Some(serial) })
        }
    }
}

/// Parted by tabs; one that belongs to a text has a backslash before it (openssl's `TXT_DB_write`).
fn fields(line: &str) -> Vec<&str> {
    let mut fields = Vec::new();
    let (mut begun, mut escaped) = (0, false);
    for (at, c) in line.char_indices() {
        if c == '\t' && !escaped {
            fields.push(line.get(begun..at).unwrap_or_default());
            begun = at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    fields.push(line.get(begun..).unwrap_or_default());
    fields
}

/// `DATE`, `DATE,REASON`, `DATE,holdInstruction,OID`, `DATE,keyTime,DATE`, `DATE,CAkeyTime,DATE`.
fn ended(place: &str, text: &str, serial: &[u8], all: &mut Gathered) -> Result<Ended, String> {
    let mut parts = text.split(',');
    let at = parts.next().and_then(asn1).ok_or("does not say when it was revoked")?;
    let (word, more) = (parts.next(), parts.next());
    let mut says = |what: String| all.notes.push(format!("{place}: serial {}: {what}", hex::encode(serial)));
    let mut since = |more: Option<&str>| {
        let at = more.and_then(asn1);
        if at.is_none() {
            says("it does not say since when its key is not to be trusted".to_owned());
        }
        at
    };
    let (reason, invalid) = match word.map(str::to_ascii_lowercase).as_deref() {
        None | Some("unspecified") => (0, None),
        Some("keycompromise") => (1, None),
        Some("cacompromise") => (2, None),
        Some("affiliationchanged") => (3, None),
        Some("superseded") => (4, None),
        Some("cessationofoperation") => (5, None),
        Some("certificatehold") => (6, None),
        Some("privilegewithdrawn") => (9, None),
        Some("aacompromise") => (10, None),
        Some("holdinstruction") => {
            says("the hold has an instruction, which is not kept".to_owned());
            (6, None)
        }
        Some("keytime") => (1, since(more)),
        Some("cakeytime") => (2, since(more)),
        // That it is revoked is what counts; why is a word that is not known here, or (removeFromCRL) one of a delta.
        Some(other) => {
            says(format!("`{}` is no reason; it comes as unspecified", policy::shown(other)));
            (0, None)
        }
    };
    Ok(Ended { at, reason, invalid })
}

/// A chain, and a few roots.
const AUTHORITIES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use policy::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Gathered {
        let mut all = Gathered::default();
        index(text, &mut all);
        all
    }

    #[test]
    fn each_way_of_being_revoked_is_read() {
        let at = |text: &str| Timestamp::parse_rfc3339(text).unwrap();
        let (day, lost) = (at("2026-01-02T03:04:05Z"), at("2025-12-31T00:00:00Z"));
        for (word, reason, invalid) in [
            ("", 0, None),
            (",unspecified", 0, None),
            (",keyCompromise", 1, None),
            (",CACompromise", 2, None),
            (",affiliationChanged", 3, None),
            (",superseded", 4, None),
            (",cessationOfOperation", 5, None),
            (",certificateHold", 6, None),
            (",privilegeWithdrawn", 9, None),
            (",AACompromise", 10, None),
            (",holdInstruction,holdInstructionReject", 6, None),
            (",keyTime,20251231000000Z", 1, Some(lost)),
            (",CAkeyTime,20251231000000Z", 2, Some(lost)),
        ] {
            let all = read(&format!("R\t360101000000Z\t260102030405Z{word}\t0A\tunknown\t/CN=a"));
            let [told] = &all.revoked[..] else { panic!("{word}: {all:?}") };
            assert_eq!((told.end, &told.serial[..]), (Ended { at: day, reason, invalid }, &[10][..]), "{word}");
            assert_eq!(all.notes.len(), usize::from(word.contains("Instruction")), "{word}");
        }
        // Why is not understood, or only in part; that it is revoked is.
        for (word, reason) in [(",bored", 0), (",removeFromCRL", 0), (",keyTime", 1), (",CAkeyTime,soon", 2)] {
            let all = read(&format!("R\t360101000000Z\t260102030405Z{word}\t0A\tunknown\t/CN=a"));
            let [told] = &all.revoked[..] else { panic!("{word}: {all:?}") };
            assert_eq!((told.end, all.notes.len()), (Ended { at: day, reason, invalid: None }, 1), "{word}");
        }
    }

    #[test]
    fn a_line_that_says_something_else_is_left_by_its_place_and_its_serial_is_doubted() {
        let all = read(
            "V\t360101000000Z\t\t01\tunknown\t/CN=a\nE\t200101000000Z\t\t02\tunknown\t/CN=b\nX\t360101000000Z\t\t03\tunknown\t/CN=c\n\
            R\t360101000000Z\t\t04\tunknown\t/CN=d\nR\t360101000000Z\tyesterday,bored\t05\tunknown\t/CN=e\nV\t1\nV\t360101000000Z\t\tzz\tu\t/CN=f\n\
            R\t360101000000Z\t260102030405Z\t06\tunknown\nR\t360101000000Z\t260102030405Z\t-02\tunknown\t/CN=h",
        );
        let places: Vec<&str> = all.left.iter().map(|left| left.place.as_str()).collect();
        let lines = [3, 4, 5, 6, 7, 8, 9].map(|number| format!("index.txt line {number}"));
        assert_eq!(places, lines, "{:?}", all.left);
        assert!(all.revoked.is_empty(), "a negative serial is another's: {:?}", all.revoked);
        let doubted: Vec<&[u8]> = all.doubtful.iter().map(|(_, serial)| serial.as_slice()).collect();
        assert_eq!(doubted, [&[3][..], &[4], &[5], &[6], &[]]);
        assert!(all.bare.iter().any(|(_, serial)| *serial == [2]));
    }

    #[test]
    fn a_tab_in_a_subject_parts_nothing() {
        let all = read("R\t360101000000Z\t260102030405Z\t0A\tunknown\t/CN=a\\\tb\\\\");
        assert_eq!((all.revoked.len(), all.left.len()), (1, 0), "{all:?}");
    }

    #[test]
    fn the_file_names_the_next_number() {
        assert_eq!(next_number("1A\n"), Some(0x1a));
        assert_eq!((next_number("xyz"), next_number("FFFFFFFFFFFFFFFF"), next_number("")), (None, None, None));
    }

    proptest! {
        #[test]
        fn no_index_panics(index in "(\\PC|\t|\n){0,200}") {
            let folder = Folder { index, crlnumber: Some("\u{0}".into()), ..Folder::default() };
            let _ = gather(folder);
        }
    }
}
