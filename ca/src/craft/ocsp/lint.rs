//! What responses' bytes say against them: each message is read by two parsers that did not make it, and held against what the
//! register says.

use std::sync::Arc;

use der::asn1::{GeneralizedTime, OctetStringRef};
use der::{AnyRef, Decode, Tag, TagNumber};
use hsm::Message;
use policy::{Grant, Timestamp, Validity};
use store::Entry;
use x509_parser::der_parser::ber::BerObjectContent;
use x509_parser::der_parser::der::{DerObject, parse_der};

use super::asn1::{Extension, ResponseData, RevokedInfo, SingleResponse};
use crate::craft::ocsp::lints::*;
use crate::craft::ocsp::responder::Responder;
use crate::craft::ocsp::said::{RESPONSE_SECS, Wanted};
use crate::drafting::{BACKDATE_SECS_MAX, Craft};
use crate::encode::ocsp::{NONCE, Status, Times};
use crate::encode::tlv;
use crate::issuers::Issuing;
use crate::lint::Findings;

/// What a batch of responses is held against.
pub(crate) struct Responses {
    pub(crate) responder: Arc<Responder>,
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) times: Times,
}

impl Craft for Responses {
    fn lint(&self, _: &Grant, entry: &Entry, f: &mut Findings) {
        let Message::Batch(batch) = &entry.message else { return f.add(&OCSP_BATCH) };
        let Times { produced, this_update, next_update } = self.times;
        f.hold(&OCSP_KEY, entry.key.fingerprint() == self.responder.key.fingerprint());
        f.hold(
            &OCSP_IS_CURRENT,
            this_update <= produced && produced < next_update && produced.since(this_update) <= BACKDATE_SECS_MAX,
        );
        // RFC 6960 section 4.2.2.2.1: nobody asks of the responder, so nothing of it outlives it.
        f.hold(&OCSP_RESPONDER_LASTS, next_update <= self.responder.validity.not_after());
        f.hold(&OCSP_LASTS, next_update.since(produced) <= RESPONSE_SECS);
        f.hold(&OCSP_LEDGER, Validity::new(this_update, next_update).ok() == entry.validity);
        f.hold(&OCSP_COUNT, batch.messages().len() == self.wanted.len());
        for (bytes, wanted) in batch.bytes().zip(&self.wanted) {
            self.response(bytes, wanted, f);
        }
    }

    fn issuer(&self) -> Option<&Arc<Issuing>> {
        Some(&self.responder.issuer)
    }

    fn tells(&self) -> bool {
        true
    }
}

impl Responses {
    fn response(&self, bytes: &[u8], wanted: &Wanted, f: &mut Findings) {
        let Some(read) = f.read(&OCSP_READABLE, "der", Read::of(bytes)) else { return };
        match Read::by_another(bytes) {
            Some(also) => f.hold(&OCSP_ONE_READING, also == read),
            None => f.add(&OCSP_ONE_READING),
        }
        f.hold(&OCSP_RESPONDER, read.responder == self.responder.key_hash);
        f.hold(&OCSP_PRODUCED, read.produced == self.times.produced.unix());
        f.hold(&OCSP_NONCE, read.nonce.as_deref() == wanted.nonce.as_deref());
        f.hold(&OCSP_EXTENSIONS, read.others == 0);
        f.hold(&OCSP_ASKED, read.singles.len() == wanted.said.len());
        for (single, said) in read.singles.iter().zip(&wanted.said) {
            let id = self.responder.id(said.hash);
            f.hold(&OCSP_HASH, single.hash == said.hash.oid().to_string() && single.is_plain);
            f.hold(&OCSP_ISSUER, single.name == id.name && single.key == id.key);
            f.hold(&OCSP_CERTIFICATE, single.serial == said.serial);
            f.hold(&OCSP_STATUS, single.status == said.status);
            let times = (single.this_update, single.next_update);
            f.hold(&OCSP_UPDATES, times == (self.times.this_update.unix(), said.until(self.times).unix()));
        }
    }
}

/// A response as a parser reads it.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    responder: Vec<u8>,
    produced: i64,
    singles: Vec<ReadSingle>,
    nonce: Option<Vec<u8>>,
    /// Extensions that are no nonce, and critical ones.
    others: usize,
}

#[derive(Debug, PartialEq, Eq)]
struct ReadSingle {
    hash: String,
    /// Its parameters are NULL, as everybody writes them.
    is_plain: bool,
    name: Vec<u8>,
    key: Vec<u8>,
    serial: Vec<u8>,
    status: Status,
    this_update: i64,
    next_update: i64,
}

impl Read {
    /// By the `der` crate's derived readers.
    fn of(bytes: &[u8]) -> Result<Read, der::Error> {
        let data = ResponseData::from_der(bytes)?;
        let extensions = data.extensions.as_deref().unwrap_or_default();
        let nonces = extensions.iter().filter(|extension| is_nonce(extension)).collect::<Vec<_>>();
        let nonce = match nonces.as_slice() {
            [one] => Some(<&OctetStringRef>::from_der(one.value.as_bytes())?.as_bytes().to_vec()),
            _ => None,
        };
        Ok(Read {
            responder: data.responder.as_bytes().to_vec(),
            produced: unix(data.produced_at),
            singles: data.responses.iter().map(single).collect::<Result<_, _>>()?,
            others: extensions.len() - usize::from(nonce.is_some()),
            nonce,
        })
    }

    /// By der-parser, element by element.
    fn by_another(bytes: &[u8]) -> Option<Read> {
        let (rest, data) = parse_der(bytes).ok()?;
        let (true, [responder, produced, singles, extensions @ ..]) = (rest.is_empty(), elements(&data)?) else {
            return None;
        };
        let mut read = Read {
            responder: inside(responder, 2)?.as_slice().ok()?.to_vec(),
            produced: seconds(produced)?,
            singles: elements(singles)?.iter().map(single_by_another).collect::<Option<_>>()?,
            nonce: None,
            others: 0,
        };
        let extensions = match extensions {
            [] => return Some(read),
            [one] => inside(one, 1)?,
            _ => return None,
        };
        for extension in elements(&extensions)? {
            match elements(extension)? {
                [oid, value] if oid.as_oid().ok()?.to_id_string() == NONCE.to_string() && read.nonce.is_none() => {
                    let (_, value) = parse_der(value.as_slice().ok()?).ok()?;
                    read.nonce = Some(value.as_slice().ok()?.to_vec());
                }
                _ => read.others += 1,
            }
        }
        Some(read)
    }
}

fn is_nonce(extension: &Extension<'_>) -> bool {
    extension.oid == NONCE && !extension.critical
}

fn unix(time: GeneralizedTime) -> i64 {
    i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX)
}

fn single(single: &SingleResponse<'_>) -> Result<ReadSingle, der::Error> {
    Ok(ReadSingle {
        hash: single.id.hash.oid.to_string(),
        is_plain: single.id.hash.parameters.is_some_and(|parameters| parameters.is_null()),
        name: single.id.issuer_name.as_bytes().to_vec(),
        key: single.id.issuer_key.as_bytes().to_vec(),
        serial: unsigned(single.id.serial.as_bytes()).to_vec(),
        status: status(single.status)?,
        this_update: unix(single.this_update),
        next_update: unix(single.next_update),
    })
}

fn status(choice: AnyRef<'_>) -> Result<Status, der::Error> {
    let number = |constructed, number| Tag::ContextSpecific { constructed, number: TagNumber(number) };
    match choice.header().tag() {
        tag if tag == number(false, 0) && choice.value().is_empty() => Ok(Status::Good),
        tag if tag == number(false, 2) && choice.value().is_empty() => Ok(Status::Unknown),
        tag if tag == number(true, 1) => {
            // IMPLICIT: the content is that of a RevokedInfo.
            let info = tlv::sequence(&[choice.value()])?;
            let info = RevokedInfo::from_der(&info)?;
            let reason = match info.reason {
                Some(reason) if reason.header().tag() == Tag::Enumerated => match reason.value() {
                    [code @ 1..=10] => *code,
                    _ => return Err(der::Error::from(der::ErrorKind::Noncanonical { tag: Tag::Enumerated })),
                },
                Some(reason) => return Err(reason.header().tag().value_error().into()),
                None => 0,
            };
            Ok(Status::Revoked { at: Timestamp::from_unix(unix(info.at)), reason })
        }
        other => Err(other.value_error().into()),
    }
}

fn single_by_another(single: &DerObject<'_>) -> Option<ReadSingle> {
    let [id, status, this_update, next_update] = elements(single)? else { return None };
    let [hash, name, key, serial] = elements(id)? else { return None };
    let [hash, parameters] = elements(hash)? else { return None };
    Some(ReadSingle {
        hash: hash.as_oid().ok()?.to_id_string(),
        is_plain: matches!(parameters.content, BerObjectContent::Null),
        name: name.as_slice().ok()?.to_vec(),
        key: key.as_slice().ok()?.to_vec(),
        serial: unsigned(serial.as_slice().ok()?).to_vec(),
        status: status_by_another(status)?,
        this_update: seconds(this_update)?,
        next_update: seconds(&inside(next_update, 0)?)?,
    })
}

fn status_by_another(choice: &DerObject<'_>) -> Option<Status> {
    let content = choice.as_slice().ok()?;
    match (choice.header.tag().0, content) {
        (0, []) => Some(Status::Good),
        (2, []) => Some(Status::Unknown),
        (1, content) => {
            let (rest, at) = parse_der(content).ok()?;
            let at = Timestamp::from_unix(seconds(&at)?);
            let reason = match rest {
                [] => 0,
                rest => {
                    let (end, reason) = parse_der(rest).ok()?;
                    let code = inside(&reason, 0)?;
                    match (end.is_empty(), &code.content) {
                        (true, BerObjectContent::Enum(code)) => u8::try_from(*code).ok()?,
                        _ => return None,
                    }
                }
            };
            Some(Status::Revoked { at, reason })
        }
        _ => None,
    }
}

/// The elements of a SEQUENCE.
fn elements<'a>(object: &'a DerObject<'_>) -> Option<&'a [DerObject<'a>]> {
    match &object.content {
        BerObjectContent::Sequence(elements) => Some(elements),
        _ => None,
    }
}

/// What stands in an explicit tag.
fn inside<'a>(object: &DerObject<'a>, number: u32) -> Option<DerObject<'a>> {
    if object.header.tag().0 != number || !object.header.is_contextspecific() {
        return None;
    }
    let BerObjectContent::Unknown(any) = &object.content else { return None };
    let (rest, inner) = parse_der(any.data).ok()?;
    rest.is_empty().then_some(inner)
}

fn seconds(object: &DerObject<'_>) -> Option<i64> {
    match &object.content {
        BerObjectContent::GeneralizedTime(time) => Some(time.to_datetime().ok()?.unix_timestamp()),
        _ => None,
    }
}

/// An INTEGER's content without the zero that keeps it positive.
fn unsigned(content: &[u8]) -> &[u8] {
    match content {
        [0, rest @ ..] if !rest.is_empty() => rest,
        other => other,
    }
}
