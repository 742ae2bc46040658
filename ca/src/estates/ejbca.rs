//! Rows of EJBCA's tables `CertificateData` and `CRLData`, as its database gives them: CSV with a header, or JSON (an array, or a row a line).
//!
//! Columns are known by their names, in any case and order; those that matter: `base64Cert`, `serialNumber` (decimal), `status`,
//! `revocationDate` (milliseconds since 1970), `revocationReason`, `invalidityDate`, `expireDate`; of CRLs `base64Crl`, `cRLNumber`,
//! `deltaCRLIndicator`. A certificate is revoked where its status is 40, or 60 (archived) with a reason.

use std::collections::HashMap;

use policy::Timestamp;
use serde_json::Value;

use crate::estates::CERTIFICATES_MAX;
use crate::estates::crl::{NUMBER_MAX, TOO_GREAT};
use crate::estates::gathered::{Ended, Gathered, Told};
use crate::estates::leaf::of_serial;
use crate::estates::moments::millis;
use crate::estates::openssl::authorities;
use crate::estates::reading::{Unreadable, decimal, der};
use crate::estates::words;

/// A row: its columns by their names in lower case.
type Row = HashMap<String, String>;

/// Gathers what is in such texts, each with its name. `chain` is the CA's certificate and those above it.
pub fn gather(place: &str, texts: &[(String, Vec<u8>)], chain: &[u8]) -> Result<Gathered, Unreadable> {
    let authorities = authorities(chain).map_err(|why| Unreadable(format!("the CA's certificate: {why}")))?;
    let mut all = Gathered { source: format!("ejbca {place}"), authorities, ..Gathered::default() };
    for (name, text) in texts {
        let rows = rows(text).map_err(|why| Unreadable(format!("{name}: {why}")))?;
        for (number, row) in (1..).zip(rows) {
            let place = format!("{name} row {number}");
            if let Err(why) = taken(&place, &row, &mut all) {
                all.leave(place, why);
            }
        }
    }
    Ok(all)
}

fn taken(place: &str, row: &Row, all: &mut Gathered) -> Result<(), String> {
    if row.contains_key("base64crl") || row.contains_key("crlnumber") {
        crl(place, row, all);
        return Ok(());
    }
    let serial = row.get("serialnumber").and_then(|text| decimal(text)).ok_or("has no decimal serialNumber")?;
    match row.get("base64cert").filter(|text| !text.trim().is_empty()) {
        // What the row says of its serial counts, whatever its certificate is.
        Some(text) => match der(text.as_bytes(), "CERTIFICATE").and_then(|der| of_serial(der, &serial)) {
            Ok(der) => all.certificates.push((place.to_owned(), der)),
            Err(why) => all.leave(place, why),
        },
        // Kept in another table (`Base64CertData`), or not at all.
        None => all.bare.push((place.to_owned(), serial.clone())),
    }
    match ended(row) {
        Ok(Some((end, until))) => all.revoked.push(Told { place: place.to_owned(), serial, end, until }),
        Ok(None) => {}
        Err(why) => {
            all.doubt(place, &serial);
            return Err(why);
        }
    }
    Ok(())
}

/// How it ended, and when it would have; none of one that holds.
fn ended(row: &Row) -> Result<Option<(Ended, Option<Timestamp>)>, String> {
    let number = |column: &str| row.get(column).and_then(|text| text.trim().parse::<i64>().ok());
    let status = number("status").ok_or("has no status")?;
    let reason = number("revocationreason").unwrap_or(NOT_REVOKED);
    // Archived with removeFromCRL: it was released, and ended.
    let is_revoked = status == REVOKED || (status == ARCHIVED && reason != NOT_REVOKED && reason != RELEASED);
    if !is_revoked {
        return Ok(None);
    }
    let at = number("revocationdate").filter(|at| *at > 0).ok_or("is revoked, and does not say when")?;
    let reason = u8::try_from(reason.max(0)).unwrap_or(u8::MAX);
    let positive = |column: &str| number(column).filter(|at| *at > 0).map(millis);
    let end = Ended { at: millis(at), reason, invalid: positive("invaliditydate") };
    Ok(Some((end, positive("expiredate"))))
}

fn crl(place: &str, row: &Row, all: &mut Gathered) {
    let number = row.get("crlnumber").and_then(|text| text.trim().parse::<u64>().ok());
    if let Some(number) = number {
        match number < NUMBER_MAX {
            // Deltas have numbers of the same series.
            true => all.numbers.push((place.to_owned(), number)),
            false => all.leave(place, TOO_GREAT),
        }
    }
    if let Some(text) = row.get("base64crl").filter(|text| !text.trim().is_empty()) {
        match der(text.as_bytes(), "X509 CRL") {
            Ok(der) => all.crls.push((place.to_owned(), der)),
            Err(why) => all.leave_unread(place, why),
        }
    }
}

/// The rows of a text.
fn rows(text: &[u8]) -> Result<Vec<Row>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "is no text in UTF-8")?;
    match text.trim_start().chars().next() {
        Some('[' | '{') => json_rows(text),
        Some(_) => csv_rows(text),
        None => Ok(Vec::new()),
    }
}

fn json_rows(text: &str) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for document in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        match document.map_err(|e| format!("is no JSON: {e}"))? {
            Value::Array(all) => rows.extend(all.into_iter().map(row_of)),
            one => rows.push(row_of(one)),
        }
        if rows.len() > CERTIFICATES_MAX {
            return Err(format!("more than {CERTIFICATES_MAX} rows are in it"));
        }
    }
    rows.into_iter().collect::<Option<Vec<_>>>().ok_or_else(|| "has something that is no row".to_owned())
}

fn row_of(value: Value) -> Option<Row> {
    let Value::Object(columns) = value else { return None };
    let cell = |value: Value| match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    Some(columns.into_iter().filter_map(|(name, value)| Some((name.to_lowercase(), cell(value)?))).collect())
}

fn csv_rows(text: &str) -> Result<Vec<Row>, String> {
    let mut lines = Csv { rest: text };
    let head: Vec<String> =
        lines.next().unwrap_or_default().into_iter().map(|name| name.trim().to_lowercase()).collect();
    if !head.iter().any(|name| ["serialnumber", "crlnumber", "base64crl"].contains(&name.as_str())) {
        return Err("its first line does not name the columns: export it with a header".to_owned());
    }
    let mut rows = Vec::new();
    for cells in lines {
        if cells.len() != head.len() {
            return Err(format!("row {} has {} columns, and the header {}", rows.len() + 1, cells.len(), head.len()));
        }
        if rows.len() >= CERTIFICATES_MAX {
            return Err(format!("more than {CERTIFICATES_MAX} rows are in it"));
        }
        rows.push(head.iter().cloned().zip(cells).collect());
    }
    Ok(rows)
}

/// Records of RFC 4180: commas, quotes doubled within quotes, line breaks within quotes.
struct Csv<'a> {
    rest: &'a str,
}

impl Iterator for Csv<'_> {
    type Item = Vec<String>;
    fn next(&mut self) -> Option<Vec<String>> {
        if self.rest.is_empty() {
            return None;
        }
        let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
        let mut chars = self.rest.char_indices().peekable();
        let mut end = self.rest.len();
        while let Some((at, c)) = chars.next() {
            match (c, quoted) {
                ('"', true) if chars.next_if(|(_, next)| *next == '"').is_some() => cell.push('"'),
                ('"', _) => quoted = !quoted,
                (',', false) => cells.push(std::mem::take(&mut cell)),
                ('\n', false) => {
                    end = at + 1;
                    break;
                }
                ('\r', false) => {}
                (other, _) => cell.push(other),
            }
        }
        cells.push(cell);
        self.rest = self.rest.get(end..).unwrap_or_default();
        Some(cells)
    }
}

/// `CertificateConstants.CERT_REVOKED`.
const REVOKED: i64 = 40;
/// `CertificateConstants.CERT_ARCHIVED`: ended, revoked or not.
const ARCHIVED: i64 = 60;
/// `RevokedCertInfo.NOT_REVOKED`.
const NOT_REVOKED: i64 = -1;
/// `RevokedCertInfo.REVOCATION_REASON_REMOVEFROMCRL`.
const RELEASED: i64 = words::RELEASED as i64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows_are_the_same_from_either_form() {
        let csv = "serialNumber,status,base64Cert,revocationDate,revocationReason\r\n10,40,\"MIIB\nAAAA\",1700000000123,1\r\n11,20,,-1,-1\r\n";
        let json = r#"{"serialnumber":"10","status":40,"base64cert":"MIIB\nAAAA","revocationdate":1700000000123,"revocationreason":1}
            {"serialnumber":"11","status":20,"base64cert":"","revocationdate":-1,"revocationreason":-1}"#;
        let array = format!("[{}]", json.replace("}\n", "},"));
        assert_eq!(rows(csv.as_bytes()), rows(json.as_bytes()));
        assert_eq!(rows(csv.as_bytes()), rows(array.as_bytes()));
        assert!(rows(b"a,b\n1,2\n").is_err(), "no header");
        assert!(rows(b"serialNumber,status\n1\n").is_err(), "a column is missing");
    }

    #[test]
    fn revoked_is_what_the_status_and_the_reason_say() {
        let row = |status: i64, reason: i64, at: i64| {
            let cells =
                [("serialnumber", 10), ("status", status), ("revocationreason", reason), ("revocationdate", at)];
            let row = cells.map(|(name, number)| (name.to_owned(), number.to_string())).into_iter().collect();
            let mut all = Gathered::default();
            taken("row", &row, &mut all).map(|()| all.revoked.first().map(|told| (told.end.reason, told.end.at.unix())))
        };
        assert_eq!(row(20, -1, -1), Ok(None));
        assert_eq!(row(21, -1, -1), Ok(None));
        assert_eq!(row(40, 4, 5_999), Ok(Some((4, 5))));
        assert_eq!(row(60, -1, -1), Ok(None));
        assert_eq!(row(60, 1, 7_000), Ok(Some((1, 7))));
        assert!(row(40, 1, -1).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(\\PC|\n|\"|,){0,200}") {
            let _ = gather("x", &[("a".to_owned(), text.clone().into_bytes())], b"");
            let _ = rows(format!("serialNumber,status\n{text}").as_bytes());
        }

        #[test]
        fn what_is_quoted_comes_back(cells in proptest::collection::vec("(\\PC|\n|\"|,){0,20}", 1..6)) {
            let line: Vec<String> = cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
            let text = line.join(",") + "\n";
            prop_assert_eq!(Csv { rest: &text }.next(), Some(cells));
        }
    }
}
