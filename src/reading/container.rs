//! Containers: PKCS#7 with what stands in it, PKCS#12 with how it is protected.

use policy::Timestamp;

use super::described::Described;
use super::split::Unread;
use super::{certificate, crl, oids, spki, tlv};

/// PKCS#7, CMS (RFC 5652 section 5.1): the certificates and CRLs in it.
pub fn pkcs7(der: &[u8], now: Timestamp) -> Result<Described, Unread> {
    let parts = tlv::sequence(der).ok_or_else(|| Unread::new("a PKCS#7 that is no DER"))?;
    let kind = parts.first().filter(|part| part.tag == tlv::OID).and_then(|part| tlv::oid(part.content));
    let kind = kind.ok_or_else(|| Unread::new("not a PKCS#7"))?;
    let mut shown = Described::new("pkcs7");
    shown.fact("content", oids::named(&kind));
    let signed = parts.get(1).and_then(|part| tlv::sequence(part.content)).filter(|_| kind == SIGNED_DATA);
    let signed = signed.unwrap_or_default();
    for part in &signed {
        let members = || tlv::elements(part.content).unwrap_or_default();
        match part.tag {
            tlv::CONTEXT => {
                for one in members().iter().filter(|one| one.tag == tlv::SEQUENCE).take(MEMBERS_MAX) {
                    shown.inner.push(certificate::described(one.whole, now)?);
                }
            }
            CRLS => {
                for one in members().iter().filter(|one| one.tag == tlv::SEQUENCE).take(MEMBERS_MAX) {
                    shown.inner.push(crl::described(one.whole, now)?);
                }
            }
            _ => {}
        }
    }
    let signers = signed.last().filter(|part| part.tag == SET).and_then(|part| tlv::elements(part.content));
    shown.perhaps("signatures", signers.map(|signers| signers.len()));
    Ok(shown)
}

/// PKCS#12 (RFC 7292): that it is one, and how it is protected. What is in it takes its password.
pub fn pkcs12(der: &[u8]) -> Result<Described, Unread> {
    let parts = tlv::sequence(der).ok_or_else(|| Unread::new("a PKCS#12 that is no DER"))?;
    let mut shown = Described::new("pkcs12");
    let mac = parts.get(2).map(|mac| {
        let info = tlv::sequence(mac.whole).unwrap_or_default();
        let digest = info.first().and_then(|info| tlv::sequence(info.whole)).unwrap_or_default();
        let algorithm = digest.first().and_then(|part| tlv::sequence(part.whole)).unwrap_or_default();
        spki::named(&algorithm)
            .map_or_else(|| "a MAC".to_owned(), |(oid, _)| format!("a MAC with {}", oids::named(&oid)))
    });
    shown.fact(
        "integrity",
        mac.unwrap_or_else(|| "nothing: no password is needed, and anybody may have changed it".to_owned()),
    );
    let safes = safes(parts.get(1).map(|part| part.whole));
    shown.perhaps("parts", (!safes.is_empty()).then_some(safes));
    Ok(shown)
}

/// How each part of an authenticated safe is protected.
fn safes(content_info: Option<&[u8]>) -> Vec<String> {
    let data = |info: &[u8]| -> Option<Vec<u8>> {
        let parts = tlv::sequence(info)?;
        let (octets, _) = tlv::first(parts.get(1)?.content)?;
        (octets.tag == tlv::OCTET_STRING).then(|| octets.content.to_vec())
    };
    let Some(safe) = content_info.and_then(data) else { return Vec::new() };
    let Some(all) = tlv::sequence(&safe) else { return Vec::new() };
    all.iter().take(MEMBERS_MAX).map(|info| protected(info.whole).unwrap_or_else(|| "unreadable".to_owned())).collect()
}

fn protected(info: &[u8]) -> Option<String> {
    let parts = tlv::sequence(info)?;
    let kind = tlv::oid(parts.first()?.content)?;
    if kind != ENCRYPTED_DATA {
        return Some(match kind == DATA {
            true => "not encrypted as a whole".to_owned(),
            false => oids::named(&kind),
        });
    }
    let encrypted = tlv::sequence(parts.get(1)?.content)?;
    let content = tlv::sequence(encrypted.get(1)?.whole)?;
    let (oid, _) = spki::named(&tlv::sequence(content.get(1)?.whole)?)?;
    Some(format!("encrypted, {}", oids::named(&oid)))
}

/// More than any chain or bundle has.
const MEMBERS_MAX: usize = 1_000;
const SET: u8 = 0x31;
/// `[1]`, constructed.
const CRLS: u8 = 0xa1;
pub const DATA: &str = "1.2.840.113549.1.7.1";
pub const SIGNED_DATA: &str = "1.2.840.113549.1.7.2";
const ENCRYPTED_DATA: &str = "1.2.840.113549.1.7.6";
