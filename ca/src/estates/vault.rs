//! What Vault's and OpenBao's PKI engine gives over its API: JSON documents, one behind the other.
//!
//! Each is an answer to `GET pki/cert/SERIAL`, `pki/cert/ca`, `pki/cert/ca_chain` or `pki/cert/crl`, as `vault read -format=json` and curl
//! print it: what matters stands in `data`: `certificate` (PEM), `revocation_time` (seconds since 1970, 0 where it is not revoked).
//! The engine keeps no reasons and no invalidity dates.

use policy::Timestamp;
use serde_json::Value;

use crate::encode::pem;
use crate::estates::gathered::{Ended, Gathered, Told};
use crate::estates::leaf::serial_of;
use crate::estates::moments::rfc3339;
use crate::estates::openssl::authorities;
use crate::estates::reading::Unreadable;
use crate::issuers::CaCertificate;

/// Gathers what is in a text of such documents. `chain` names the CA where it is not the one of `pki/cert/ca`: a mount may have several.
pub fn gather(place: &str, text: &[u8], chain: Option<&[u8]>) -> Result<Gathered, Unreadable> {
    let mut all = Gathered { source: format!("vault {place}"), ..Gathered::default() };
    if let Some(chain) = chain {
        all.authorities = authorities(chain).map_err(|why| Unreadable(format!("the CA's certificate: {why}")))?;
    }
    let named = all.authorities.len();
    for (number, document) in (1..).zip(serde_json::Deserializer::from_slice(text).into_iter::<Value>()) {
        let document = document.map_err(|e| Unreadable(format!("document {number} is no JSON: {e}")))?;
        let place = format!("document {number}");
        let data = document.get("data").unwrap_or(&document);
        if let Err(why) = answer(&place, data, &mut all) {
            all.leave(place, why);
        }
    }
    if named > 0 {
        // Those of the documents may be above it.
        let more = all.authorities.split_off(named);
        all.authorities.extend(more.into_iter().filter(|der| CaCertificate::read(None, der.clone()).is_ok()));
    }
    all.authorities.truncate(AUTHORITIES_MAX);
    Ok(all)
}

fn answer(place: &str, data: &Value, all: &mut Gathered) -> Result<(), String> {
    if data.is_array() || data.get("keys").is_some() {
        // A list of serials: each is asked for by itself.
        return Ok(());
    }
    let text = data.get("certificate").and_then(Value::as_str).ok_or("has no `certificate`")?;
    if text.contains("-----BEGIN X509 CRL-----") {
        match pem::decode(text.as_bytes(), &["X509 CRL"]) {
            Ok(der) => all.crls.push((place.to_owned(), der)),
            Err(why) => all.leave_unread(place, why),
        }
        return Ok(());
    }
    let chain = data.get("ca_chain").and_then(Value::as_str);
    let found = pem::all(chain.unwrap_or(text).as_bytes(), "CERTIFICATE", AUTHORITIES_MAX)?;
    let first = found.first().ok_or("has no PEM block of a certificate in it")?;
    let at = revoked_at(data)?;
    // Only `ca` and `ca_chain` answer with CAs and without the time of a revocation that was.
    match CaCertificate::read(None, first.clone()) {
        Ok(_) if at.is_none() => {
            for der in found {
                if !all.authorities.contains(&der) {
                    all.authorities.push(der.clone());
                }
                all.certificates.push((place.to_owned(), der));
            }
        }
        Ok(_) | Err(_) => {
            let der = first.clone();
            if let (Some(at), Some(serial)) = (at, serial_of(&der)) {
                let end = Ended { at, reason: 0, invalid: None };
                all.revoked.push(Told { place: place.to_owned(), serial, end, until: None });
            }
            all.certificates.push((place.to_owned(), der));
        }
    }
    Ok(())
}

fn revoked_at(data: &Value) -> Result<Option<Timestamp>, String> {
    let exact = data.get("revocation_time_rfc3339").and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(text) = exact {
        return rfc3339(text).map(Some).ok_or_else(|| "its revocation_time_rfc3339 is no time".to_owned());
    }
    match data.get("revocation_time") {
        None | Some(Value::Null) => Ok(None),
        Some(number) => match number.as_i64() {
            Some(0) => Ok(None),
            Some(at) if at > 0 => Ok(Some(Timestamp::from_unix(at))),
            Some(_) | None => Err("its revocation_time is no time".to_owned()),
        },
    }
}

const AUTHORITIES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_time_of_a_revocation_is_read_in_either_form() {
        let at = |data: Value| revoked_at(&data).map(|at| at.map(Timestamp::unix));
        assert_eq!(at(json!({ "revocation_time": 0, "revocation_time_rfc3339": "" })), Ok(None));
        assert_eq!(at(json!({})), Ok(None));
        assert_eq!(at(json!({ "revocation_time": 1_734_338_617 })), Ok(Some(1_734_338_617)));
        assert_eq!(
            at(json!({ "revocation_time": 1, "revocation_time_rfc3339": "2024-12-16T08:43:37.01260581Z" })),
            Ok(Some(1_734_338_617))
        );
        assert!(at(json!({ "revocation_time": -5 })).is_err());
        assert!(at(json!({ "revocation_time_rfc3339": "soon" })).is_err());
    }

    #[test]
    fn what_is_no_answer_of_the_engine_is_left_by_its_place() {
        let text = br#"{"data":{"keys":["11-22"]}} {"data":{}} {"errors":[]}"#;
        let all = gather("x", text, None).unwrap();
        assert_eq!(all.left.len(), 2, "{:?}", all.left);
        assert!(gather("x", b"{", None).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}", pem in "\\PC{0,40}") {
            let _ = gather("x", text.as_bytes(), None);
            let document = json!({ "data": { "certificate": format!("-----BEGIN CERTIFICATE-----{pem}-----END CERTIFICATE-----") } });
            let _ = gather("x", document.to_string().as_bytes(), Some(pem.as_bytes()));
        }
    }
}
