//! OCSP responses (RFC 6960), as their bytes stand.

use policy::Timestamp;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;
use zeroize::Zeroizing;

use super::described::{Described, colons};
use super::split::Unread;
use super::{certificate, life, oids, spki, tlv};

/// Whether it begins as an OCSPResponse does (section 4.2.1), however it goes on: a SEQUENCE whose first element is the status.
pub fn begins_as_response(bytes: &[u8]) -> bool {
    let [tlv::SEQUENCE, length, rest @ ..] = bytes else { return false };
    // Of the long form the lower bits say how many octets of length follow.
    let more = if length & 0x80 == 0 { 0 } else { usize::from(length & 0x7f) };
    rest.get(more) == Some(&tlv::ENUMERATED)
}

/// A response, DER.
pub fn described(der: &[u8], now: Timestamp) -> Result<Described, Unread> {
    let refuse = || Unread::new("not an OCSP response");
    let parts = tlv::sequence(der).ok_or_else(refuse)?;
    let status = parts.first().filter(|part| part.tag == tlv::ENUMERATED).and_then(|part| part.content.first());
    let mut shown = Described::new("ocsp-response");
    shown.der = Zeroizing::new(der.to_vec());
    shown.fact(
        "status",
        match status.ok_or_else(refuse)? {
            0 => "successful",
            1 => "malformed request",
            2 => "internal error",
            3 => "try later",
            5 => "the request must be signed",
            6 => "unauthorized",
            _ => "unknown",
        },
    );
    if parts.len() > 1 {
        basic(&parts, &mut shown, now).ok_or_else(refuse)??;
    }
    Ok(shown)
}

/// BasicOCSPResponse (section 4.2.1).
fn basic(parts: &[tlv::Element<'_>], shown: &mut Described, now: Timestamp) -> Option<Result<(), Unread>> {
    let bytes = tlv::sequence(parts.get(1)?.content)?;
    let basic = tlv::sequence(bytes.get(1).filter(|part| part.tag == tlv::OCTET_STRING)?.content)?;
    let data = tlv::sequence(basic.first()?.whole)?;
    let mut rest = data.iter().skip_while(|part| part.tag == tlv::CONTEXT);
    let responder = rest.next()?;
    match responder.tag {
        BY_KEY => {
            let (key, _) = tlv::first(responder.content)?;
            shown.fact("responder", format!("key {}", colons(key.content)));
        }
        _ => {
            let (_, name) = x509_parser::x509::X509Name::from_der(responder.content).ok()?;
            shown.fact("responder", super::names::distinguished(&name));
        }
    }
    shown.fact("produced_at", time(rest.next()?)?);
    let responses = tlv::elements(rest.next()?.content)?;
    shown.fact("responses", responses.iter().take(SHOWN_MAX).map(|one| single(one, now)).collect::<Option<Vec<_>>>()?);
    let algorithm = tlv::sequence(basic.get(1)?.whole)?;
    shown.fact("signature", oids::named(&spki::named(&algorithm)?.0));
    for extensions in rest {
        if extensions.whole.windows(NONCE.len()).any(|some| some == NONCE) {
            shown.fact("nonce", "there is one");
        }
    }
    let certificates =
        basic.get(3).and_then(|part| tlv::first(part.content)).and_then(|(all, _)| tlv::elements(all.content));
    for one in certificates.unwrap_or_default().iter().take(SHOWN_MAX) {
        match certificate::described(one.whole, now) {
            Ok(inner) => shown.inner.push(inner),
            Err(unread) => return Some(Err(unread)),
        }
    }
    Some(Ok(()))
}

/// SingleResponse: `serial: good, from ... to ...`.
fn single(one: &tlv::Element<'_>, now: Timestamp) -> Option<String> {
    let parts = tlv::elements(one.content)?;
    let id = tlv::elements(parts.first()?.content)?;
    let serial = hex::encode(id.get(3)?.content);
    let status = parts.get(1)?;
    let says = match status.tag & 0x1f {
        0 => "good".to_owned(),
        1 => {
            let revoked = tlv::elements(status.content)?;
            let reason = revoked
                .get(1)
                .and_then(|tagged| tlv::first(tagged.content))
                .and_then(|(code, _)| code.content.first().copied());
            let reason = reason.map(|code| format!(", {}", oids::reason(code))).unwrap_or_default();
            format!("REVOKED since {}{reason}", time(revoked.first()?)?)
        }
        _ => "unknown".to_owned(),
    };
    let next = parts.get(3).filter(|part| part.tag == tlv::CONTEXT).and_then(|part| tlv::first(part.content));
    let until = next.and_then(|(next, _)| moment(&next));
    let until = until.map_or_else(String::new, |until| match until < now {
        true => format!(" until {}, which is OVER", life::written(until)),
        false => format!(" until {}", life::written(until)),
    });
    Some(format!("{serial}: {says}; said at {}{until}", time(parts.get(2)?)?))
}

fn time(element: &tlv::Element<'_>) -> Option<String> {
    moment(element).map(life::written)
}

fn moment(element: &tlv::Element<'_>) -> Option<Timestamp> {
    ASN1Time::from_der(element.whole).ok().map(|(_, time)| life::moment(&time))
}

/// `[2]`, constructed.
const BY_KEY: u8 = 0xa2;
/// id-pkix-ocsp-nonce as it stands in a response.
const NONCE: &[u8] = &[0x06, 0x09, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x02];
/// A response speaks of one certificate or a few.
const SHOWN_MAX: usize = 100;
