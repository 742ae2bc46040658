//! The draft of a code signature: over the caller's digest, or over attributes that name it.

use std::sync::Arc;

use hsm::{Key, Message};
use policy::{Grant, Owner, Serial, Timestamp};
use serde_json::json;
use store::{Issued, Kind};

use crate::craft::code::lint::Code;
use crate::craft::code::request::{CodeFormat, CodeRequest};
use crate::drafting::{Draft, Facts, ProfileStamp};
use crate::issuers::Issuing;

/// With what a code signature is made.
pub(crate) struct Signing<'a> {
    /// The CA of the signing certificate.
    pub(crate) issuer: Arc<Issuing>,
    pub(crate) key: Key,
    pub(crate) owner: Owner,
    pub(crate) certificate: &'a Issued,
    pub(crate) serial: Serial,
    pub(crate) message: Message,
    pub(crate) now: Timestamp,
}

/// Drafts a code signature.
pub(crate) fn draft(grant: Grant, signing: Signing<'_>, request: &CodeRequest) -> Draft<Code> {
    let Signing { issuer, key, owner, certificate, serial, message, now } = signing;
    let facts = Facts {
        kind: Kind::CodeSignature,
        profile: signature_profile(request.format),
        message,
        serial: serial.as_bytes().to_vec(),
        issuer: key.label().to_owned(),
        owner: Some(owner),
        subject: certificate.subject.clone(),
        names: signed_names(request),
        key_hash: key.fingerprint(),
        validity: None,
        covers: None,
        renews: None,
        details: json!({
            "certificate": certificate.serial_hex(),
            "file_name": request.file_name,
            "format": request.format.as_str(),
            "sha256": hex::encode(request.sha256),
        }),
        key,
    };
    let certificate_der = certificate.x509_der();
    let craft = Code { issuer, format: request.format, digest: request.sha256, certificate_der, now };
    Draft::new(grant, facts, craft)
}

/// Under which names a signature is found in the register: the digest of what was signed, and the name of the file. What stands under
/// a name is asked by an index, whole; so a long name is found by its digest alone.
fn signed_names(request: &CodeRequest) -> Vec<String> {
    let digest = format!("sha256:{}", hex::encode(request.sha256));
    let file = request.file_name.as_ref().map(|name| format!("file:{name}"));
    [Some(digest), file.filter(|name| name.len() <= NAME_BYTES_MAX)].into_iter().flatten().collect()
}

/// Longer ones are of no file that people name.
const NAME_BYTES_MAX: usize = 255;

/// Code signatures have no file of bounds: what they are is this text.
fn signature_profile(format: CodeFormat) -> ProfileStamp {
    let text = match format {
        CodeFormat::Raw => TEXT_RAW,
        CodeFormat::Cms => TEXT_CMS,
    };
    ProfileStamp::built_in(format!("code-{}", format.as_str()), text)
}

/// What its signatures are, for whoever reads the log.
const TEXT_RAW: &str = "code-raw v1: signature over SHA-256 of the file";
const TEXT_CMS: &str =
    "code-cms v1: detached SignedData; contentType, messageDigest, signingTime, signingCertificateV2";
pub(crate) const TEXTS: [&str; 2] = [TEXT_RAW, TEXT_CMS];
