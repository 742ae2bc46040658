//! Tables of step-ca's database, an entry a line of JSON: `{"table", "key", "value"}`, key and value in base64.
//!
//! step-ca keeps the same tables in Badger, bbolt, MySQL and PostgreSQL (smallstep/nosql): `x509_certs` (the serial in decimal, the certificate
//! in DER), `revoked_x509_certs` (the serial in decimal, a JSON with `RevokedAt` and `ReasonCode`), `x509_crl` (one entry, a JSON with `Number`
//! and `DER`). docs/IMPORT.md says how such lines are made of each.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use policy::Timestamp;
use serde::Deserialize;

use crate::estates::CERTIFICATES_MAX;
use crate::estates::crl::{NUMBER_MAX, TOO_GREAT};
use crate::estates::gathered::{Ended, Gathered, Told};
use crate::estates::leaf::of_serial;
use crate::estates::moments::rfc3339;
use crate::estates::openssl::authorities;
use crate::estates::reading::{Unreadable, decimal};

#[derive(Deserialize)]
struct Line {
    table: String,
    key: String,
    value: String,
}

/// `RevokedCertificateInfo`.
#[derive(Deserialize)]
struct Revoked {
    #[serde(rename = "ReasonCode", default)]
    reason: i64,
    #[serde(rename = "RevokedAt")]
    at: String,
    #[serde(rename = "ExpiresAt", default)]
    until: String,
}

/// `CertificateRevocationListInfo`.
#[derive(Deserialize)]
struct Crl {
    #[serde(rename = "Number")]
    number: u64,
    #[serde(rename = "DER", default)]
    der: Option<String>,
}

/// Gathers what is in such a text. `chain` is the intermediate's certificate and those above it.
pub fn gather(place: &str, text: &[u8], chain: &[u8]) -> Result<Gathered, Unreadable> {
    let authorities = authorities(chain).map_err(|why| Unreadable(format!("the CA's certificate: {why}")))?;
    let mut all = Gathered { source: format!("step-ca {place}"), authorities, ..Gathered::default() };
    let text = std::str::from_utf8(text).map_err(|_| Unreadable(format!("{place} is no text in UTF-8")))?;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        if number > 3 * CERTIFICATES_MAX {
            return Err(Unreadable(format!("more than {} lines are in it", 3 * CERTIFICATES_MAX)));
        }
        let place = format!("line {number}");
        let line: Line = serde_json::from_str(line).map_err(|e| Unreadable(format!("{place} is no entry: {e}")))?;
        if let Err(why) = entry(&place, &line, &mut all) {
            // What it revokes, nobody knows: nothing of the rest can be called good.
            if line.table == REVOKED && all.doubtful.last().is_none_or(|(doubted, _)| *doubted != place) {
                return Err(Unreadable(format!("{place} revokes something, and {why}")));
            }
            all.leave(place, why);
        }
    }
    Ok(all)
}

const REVOKED: &str = "revoked_x509_certs";

fn entry(place: &str, Line { table, key, value }: &Line, all: &mut Gathered) -> Result<(), String> {
    let (key, value) = (bytes(key)?, bytes(value)?);
    let serial = || std::str::from_utf8(&key).ok().and_then(decimal).ok_or("its key is no decimal serial");
    match table.as_str() {
        "x509_certs" => {
            all.certificates.push((place.to_owned(), of_serial(value, &serial()?)?));
        }
        REVOKED => {
            let serial = serial()?;
            match ended(&value) {
                Ok((end, until)) => all.revoked.push(Told { place: place.to_owned(), serial, end, until }),
                Err(why) => {
                    all.doubt(place, &serial);
                    return Err(why);
                }
            }
        }
        "x509_crl" => {
            let crl: Crl = match serde_json::from_slice(&value) {
                Ok(crl) => crl,
                Err(error) => {
                    all.leave_unread(place, format!("is no CRL: {error}"));
                    return Ok(());
                }
            };
            match crl.number < NUMBER_MAX {
                true => all.numbers.push((place.to_owned(), crl.number)),
                false => all.leave(place, TOO_GREAT),
            }
            match crl.der.as_deref().map(bytes) {
                None => {}
                Some(Ok(der)) => all.crls.push((place.to_owned(), der)),
                Some(Err(why)) => all.leave_unread(place, why),
            }
        }
        // SSH, ACME, tokens: none of what a CA has to go on with.
        _ => {}
    }
    Ok(())
}

fn ended(value: &[u8]) -> Result<(Ended, Option<Timestamp>), String> {
    let told: Revoked = serde_json::from_slice(value).map_err(|e| format!("is no revocation: {e}"))?;
    let at = rfc3339(&told.at).ok_or("does not say when it was revoked")?;
    // Go's zero time stands for none.
    let until = rfc3339(&told.until).filter(|until| *until > Timestamp::from_unix(0));
    Ok((Ended { at, reason: u8::try_from(told.reason).unwrap_or(u8::MAX), invalid: None }, until))
}

fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let bare: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(bare).map_err(|_| "has a key or value that is no base64".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn line(table: &str, key: &str, value: &str) -> String {
        json!({ "table": table, "key": STANDARD.encode(key), "value": STANDARD.encode(value) }).to_string()
    }

    #[test]
    fn each_table_is_read_and_others_are_passed_over() {
        let revoked = r#"{"Serial":"258","ProvisionerID":"p","ReasonCode":4,"Reason":"","RevokedAt":"2024-12-16T08:43:37.01260581Z",
            "ExpiresAt":"2025-12-16T08:43:37Z","TokenID":"","MTLS":true,"ACME":false}"#;
        let older = r#"{"Serial":"259","ReasonCode":1,"RevokedAt":"2024-12-16T08:43:37Z"}"#;
        let text = [
            line("x509_certs", "258", "0"),
            line("revoked_x509_certs", "258", revoked),
            line("revoked_x509_certs", "259", older),
            line("x509_crl", "crl", r#"{"Number":7,"ExpiresAt":"2025-01-01T00:00:00Z","Duration":1,"DER":"MAA="}"#),
            line("used_ott", "x", "y"),
        ]
        .join("\n");
        let all = gather("x", text.as_bytes(), b"").unwrap();
        assert!(all.left.is_empty(), "{:?}", all.left);
        let ends: Vec<_> = all.revoked.iter().map(|told| (told.serial.clone(), told.end.reason)).collect();
        assert_eq!(ends, [(vec![1, 2], 4), (vec![1, 3], 1)]);
        assert_eq!((all.revoked[0].until.is_some(), all.revoked[1].until), (true, None));
        assert_eq!((all.certificates.len(), all.crls.len(), all.numbers[0].1), (1, 1, 7));
        let odd = [
            line("x509_certs", "x", "0"),
            line("revoked_x509_certs", "1", "{}"),
            line("x509_crl", "crl", r#"{"Number":-1}"#),
        ]
        .join("\n");
        let all = gather("x", odd.as_bytes(), b"").unwrap();
        assert_eq!((all.left.len(), &all.doubtful[..]), (2, &[("line 2".to_owned(), vec![1])][..]));
        assert_eq!(all.unread[0].place, "line 3", "whatever it lists, it is not told");
        // Whatever these revoke, it is not told.
        for odd in ["{}".to_owned(), line("revoked_x509_certs", "x", "{}")] {
            assert!(gather("x", odd.as_bytes(), b"").is_err(), "{odd}");
        }
        let great = line("x509_crl", "crl", r#"{"Number":18446744073709551615,"DER":"MAA="}"#);
        let all = gather("x", great.as_bytes(), b"").unwrap();
        assert_eq!((all.numbers.len(), all.crls.len(), all.left.len()), (0, 1, 1), "its entries count");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,100}", value in "\\PC{0,60}") {
            let _ = gather("x", text.as_bytes(), b"");
            for table in ["x509_certs", "revoked_x509_certs", "x509_crl"] {
                let _ = gather("x", line(table, "1", &value).as_bytes(), text.as_bytes());
            }
        }
    }
}
