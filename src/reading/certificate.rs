//! Certificates.

use policy::Timestamp;
use serde_json::Value;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use super::described::{Described, sha256};
use super::split::Unread;
use super::{extensions, life, names, oids, spki};

/// What is said of a certificate that names itself as its issuer, and is.
pub const SIGNED_ITSELF: &str = "its own key signed it";

/// A certificate, DER.
pub fn described(der: &[u8], now: Timestamp) -> Result<Described, Unread> {
    let (rest, read) =
        X509Certificate::from_der(der).map_err(|error| Unread::new(format!("not a certificate: {error}")))?;
    let whole = der.get(..der.len() - rest.len()).unwrap_or(der);
    let mut shown = Described::new(if read.is_ca() { "ca-certificate" } else { "certificate" });
    shown.fact("subject", names::distinguished(read.subject()));
    let alternative = read.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(san) => Some(names::all(&san.general_names)),
        _ => None,
    });
    shown.perhaps("names", alternative.map(|names| names.into_iter().collect::<Value>()));
    let own = read.subject().as_raw() == read.issuer().as_raw();
    shown.noted("issuer", names::distinguished(read.issuer()), if own { "itself" } else { "" });
    life::span(&mut shown, now, life::moment(&read.validity().not_before), life::moment(&read.validity().not_after));
    shown.fact("serial", hex::encode(read.raw_serial()));
    spki::facts(&mut shown, read.public_key().raw);
    shown.fact("signature", oids::named(&read.signature_algorithm.algorithm.to_id_string()));
    if own {
        let says = if read.verify_signature(None).is_ok() || tls::is_signed(whole, read.public_key().raw) {
            SIGNED_ITSELF
        } else {
            "NOT signed by its own key, or by a key of a kind unknown here"
        };
        shown.fact("self_signed", says);
    }
    shown.fact("sha256", sha256(whole));
    if read.version().0 != 2 {
        shown.fact("version", read.version().0 + 1);
    }
    shown.extensions = read.extensions().iter().map(extensions::described).collect();
    if !rest.is_empty() {
        shown.fact("followed_by", format!("{} octets that belong to no certificate", rest.len()));
    }
    shown.der = Zeroizing::new(whole.to_vec());
    Ok(shown)
}
