//! Certificate revocation lists.

use policy::Timestamp;
use serde_json::{Value, json};
use x509_parser::prelude::{CertificateRevocationList, FromDer};
use zeroize::Zeroizing;

use super::described::{Described, sha256};
use super::split::Unread;
use super::{extensions, life, names, oids};

/// A CRL, DER.
pub fn described(der: &[u8], now: Timestamp) -> Result<Described, Unread> {
    let (_, read) =
        CertificateRevocationList::from_der(der).map_err(|error| Unread::new(format!("not a CRL: {error}")))?;
    let mut shown = Described::new("crl");
    shown.fact("issuer", names::distinguished(read.issuer()));
    shown.fact("this_update", life::written(life::moment(&read.last_update())));
    match read.next_update().map(|next| life::moment(&next)) {
        Some(next) => {
            let left = next.since(now);
            let note = match left {
                left if left < 0 => format!("OVERDUE for {}", life::words(-left)),
                left => format!("in {}", life::words(left)),
            };
            shown.noted("next_update", life::written(next), note);
        }
        None => shown.fact("next_update", "never: nobody knows whether it is the newest"),
    }
    shown.perhaps("number", read.crl_number().map(ToString::to_string));
    let revoked: Vec<_> = read.iter_revoked_certificates().collect();
    shown.fact("revoked", revoked.len());
    let first: Vec<Value> = revoked
        .iter()
        .take(SHOWN_MAX)
        .map(|one| {
            let reason = one.reason_code().map(|(_, reason)| oids::reason(reason.0));
            let since = life::written(life::moment(&one.revocation_date));
            json!(format!(
                "{} since {since}{}",
                hex::encode(one.raw_serial()),
                reason.map(|r| format!(", {r}")).unwrap_or_default()
            ))
        })
        .collect();
    if !first.is_empty() {
        let more = revoked.len().saturating_sub(SHOWN_MAX);
        shown.noted("entries", first, if more > 0 { format!("and {more} more") } else { String::new() });
    }
    shown.fact("signature", oids::named(&read.signature_algorithm.algorithm.to_id_string()));
    shown.fact("sha256", sha256(der));
    shown.extensions = read.extensions().iter().map(extensions::described).collect();
    shown.der = Zeroizing::new(der.to_vec());
    Ok(shown)
}

/// Entries that are shown: a CRL may have a hundred thousand.
const SHOWN_MAX: usize = 20;
