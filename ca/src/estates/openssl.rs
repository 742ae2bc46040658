//! A folder of `openssl ca` (or of easy-rsa, which is one): `index.txt`, `crlnumber`, `newcerts/`, the CA's certificate, CRLs.
//!
//! The form is that of openssl's own `apps/ca.c`: six fields a line, parted by tabs: `V`, `R` or `E`; the certificate's end; when it was
//! revoked and why; the serial in hexadecimal; a file, or `unknown`; the subject.

use crate::encode::pem;
use crate::estates::crl::NUMBER_MAX;
use crate::estates::gathered::{Ended, Gathered, Told};
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
    /// Files of CRLs.
    pub crls: Vec<(String, Vec<u8>)>,
    /// The CA's certificate and those above it, PEM or DER.
    pub chain: Vec<u8>,
}

/// Gathers what is in it.
pub fn gather(folder: Folder) -> Result<Gathered, Unreadable> {
    let authorities = authorities(&folder.chain).map_err(|why| Unreadable(format!("the CA's certificate: {why}")))?;
    let mut all = Gathered { source: format!("openssl ca {}", folder.place), authorities, ..Gathered::default() };
    for (number, line) in (1..).zip(folder.index.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let place = format!("index.txt line {number}");
        if let Err(why) = entry(&place, line, &mut all) {
            all.leave(place, why);
        }
    }
    for (name, bytes) in folder.certificates {
        match der(&bytes, "CERTIFICATE") {
            Ok(der) => all.certificates.push((name, der)),
            Err(why) => all.leave(name, why),
        }
    }
    for (name, bytes) in folder.crls {
        match der(&bytes, "X509 CRL") {
            Ok(der) => all.crls.push((name, der)),
            Err(why) => all.leave(name, why),
        }
    }
    if let Some(text) = folder.crlnumber {
        match next_number(&text) {
            // The file has the next one's.
            Some(next) => all.numbers.extend(next.checked_sub(1).map(|last| ("crlnumber".to_owned(), last))),
            None => all.leave("crlnumber", "is no number in hexadecimal that ours can go on from"),
        }
    }
    Ok(all)
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

fn entry(place: &str, line: &str, all: &mut Gathered) -> Result<(), String> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [kind, until, revoked, serial, _file, _subject] = fields[..] else {
        return Err(format!("has {} fields, and an entry has six", fields.len()));
    };
    let serial = hexadecimal(serial).ok_or("its serial is no hexadecimal number")?;
    all.bare.push((place.to_owned(), serial.clone()));
    let until = asn1(until);
    match kind {
        "V" | "E" => Ok(()),
        "R" => {
            let end = ended(place, revoked, &serial, all)?;
            all.revoked.push(Told { place: place.to_owned(), serial, end, until });
            Ok(())
        }
        other => Err(format!("`{}` is no state of a certificate", policy::shown(other))),
    }
}

/// `DATE`, `DATE,REASON`, `DATE,holdInstruction,OID`, `DATE,keyTime,DATE`, `DATE,CAkeyTime,DATE`.
fn ended(place: &str, text: &str, serial: &[u8], all: &mut Gathered) -> Result<Ended, String> {
    let mut parts = text.split(',');
    let at = parts.next().and_then(asn1).ok_or("does not say when it was revoked")?;
    let (word, more) = (parts.next(), parts.next());
    let since = |more: Option<&str>| more.and_then(asn1).ok_or("does not say since when the key is not to be trusted");
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
            let says = format!("{place}: the hold of {} has an instruction, which is not kept", hex::encode(serial));
            all.notes.push(says);
            (6, None)
        }
        Some("keytime") => (1, Some(since(more)?)),
        Some("cakeytime") => (2, Some(since(more)?)),
        // A delta's word. In an index it would say that nothing is revoked.
        Some("removefromcrl") => return Err("says removeFromCRL, and is revoked".to_owned()),
        Some(other) => return Err(format!("`{}` is no reason", policy::shown(other))),
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

    fn read(index: &str) -> Gathered {
        let mut all = Gathered::default();
        for (number, line) in (1..).zip(index.lines()) {
            let place = format!("line {number}");
            if let Err(why) = entry(&place, line, &mut all) {
                all.leave(place, why);
            }
        }
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
    }

    #[test]
    fn a_line_that_says_something_else_is_left_by_its_place() {
        let all = read(
            "V\t360101000000Z\t\t01\tunknown\t/CN=a\nE\t200101000000Z\t\t02\tunknown\t/CN=b\nX\t360101000000Z\t\t03\tunknown\t/CN=c\n\
            R\t360101000000Z\t\t04\tunknown\t/CN=d\nR\t360101000000Z\t260102030405Z,bored\t05\tunknown\t/CN=e\nV\t1\nV\t360101000000Z\t\tzz\tu\t/CN=f\n\
            R\t360101000000Z\t260102030405Z,keyTime\t06\tunknown\t/CN=g\nR\t360101000000Z\t260102030405Z,removeFromCRL\t07\tunknown\t/CN=h",
        );
        let places: Vec<&str> = all.left.iter().map(|left| left.place.as_str()).collect();
        assert_eq!(places, ["line 3", "line 4", "line 5", "line 6", "line 7", "line 8", "line 9"], "{:?}", all.left);
        assert!(all.revoked.is_empty());
        assert!(all.bare.iter().any(|(_, serial)| *serial == [2]));
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
