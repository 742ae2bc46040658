//! Who signs responses: a key of the token with a certificate of the issuer for whom it answers, and for nothing else.
//!
//! RFC 6960 section 4.2.2.2: the issuer delegates by id-kp-OCSPSigning. The certificate lives for two weeks and says
//! id-pkix-ocsp-nocheck: nobody asks whether the one who answers was revoked, so it is short. It is no profile of a file: whoever
//! could edit that could have a stranger answer for us.

use std::sync::Arc;

use bytes::Bytes;
use const_oid::db::rfc5280;
use der::flagset::FlagSet;
use der::{Encode, asn1::Null};
use hsm::{Key, Message};
use policy::{Grant, Serial, Timestamp, Validity};
use serde_json::{Value, json};
use store::{Entry, Kind};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages};
use x509_parser::prelude::ParsedExtension;

use crate::craft::lints::whole;
use crate::craft::ocsp::lints::*;
use crate::craft::x509::{Common, both, common, named_by, subject_key_identifier};
use crate::drafting::{BACKDATE_SECS_MAX, Craft, Draft, Facts, ProfileStamp, validity};
use crate::encode::certificate::CertificateParts;
use crate::encode::ocsp::{IdHash, IssuerId, NO_CHECK};
use crate::encode::spki::public_bits;
use crate::encode::x509::extension;
use crate::error::{CaError, DraftError};
use crate::intake::SubjectKey;
use crate::issuers::Issuing;
use crate::lint::Findings;
use crate::lint::certificate::same;

/// A responder at work: the issuer it answers for, its key, its certificate.
pub(crate) struct Responder {
    pub(crate) issuer: Arc<Issuing>,
    /// The issuer as requests name it, by each hash.
    pub(crate) ids: [IssuerId; 2],
    pub(crate) key: Key,
    /// SHA-1 of its key's bits: what a response calls it by.
    pub(crate) key_hash: Vec<u8>,
    pub(crate) certificate: Bytes,
    pub(crate) validity: Validity,
    /// The operation that made its certificate.
    pub(crate) operation: u64,
}

impl Responder {
    /// With a certificate of the register for a key of the token.
    pub(crate) fn new(
        issuer: &Arc<Issuing>,
        key: Key,
        (operation, certificate, validity): (u64, Vec<u8>, Validity),
    ) -> Result<Responder, CaError> {
        let bits = public_bits(key.spki_der()).ok_or_else(|| CaError::Internal("a key of odd bits".to_owned()))?;
        let key_hash = IdHash::Sha1.digest(&bits);
        let ids = issuer_ids(issuer)?;
        Ok(Responder {
            issuer: issuer.clone(),
            ids,
            key,
            key_hash,
            certificate: certificate.into(),
            validity,
            operation,
        })
    }

    /// The issuer as this hash names it.
    pub(crate) fn id(&self, hash: IdHash) -> &IssuerId {
        let [sha1, sha256] = &self.ids;
        match hash {
            IdHash::Sha1 => sha1,
            IdHash::Sha256 => sha256,
        }
    }
}

/// An issuer as requests name it, in the order of [`IdHash::ALL`].
pub(crate) fn issuer_ids(issuer: &Issuing) -> Result<[IssuerId; 2], CaError> {
    let bits = public_bits(issuer.key.spki_der());
    let bits = bits.ok_or_else(|| CaError::Internal(format!("CA `{}` has a key of odd bits", issuer.label)))?;
    Ok(IdHash::ALL.map(|hash| IssuerId::new(hash, issuer.subject.as_der(), &bits)))
}

/// What a responder's certificate is held against.
pub(crate) struct ResponderCertificate {
    issuer: Arc<Issuing>,
    key: SubjectKey,
    now: Timestamp,
}

/// Drafts the certificate of a responder. `details` says which key and node.
pub(crate) fn draft(
    grant: Grant,
    issuer: &Arc<Issuing>,
    key: &Key,
    serial: Serial,
    (now, details): (Timestamp, Value),
) -> Result<Draft<ResponderCertificate>, DraftError> {
    let subject_key = SubjectKey::from_token(key);
    let named = issuer.subject.without_last().and("CN", &format!("OCSP {}", issuer.label));
    let subject = named.map_err(|e| DraftError::new("subject", e.to_string()))?;
    let validity = validity(now, RESPONDER_SECS, Some(issuer.validity))?;
    let mut extensions = fixed_extensions()?;
    extensions.push(subject_key_identifier(&subject_key)?);
    // authorityKeyIdentifier alone: who is asked of it is not asked of.
    let pointers = issuer.pointers(serial.as_bytes()).iter();
    extensions.extend(pointers.filter(|e| e.extn_id == rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER).cloned());
    let parts = CertificateParts {
        serial: serial.as_bytes(),
        algorithm: issuer.key.algorithm(),
        issuer: issuer.subject.as_der(),
        validity,
        subject: subject.as_der(),
        spki: key.spki_der(),
        extensions,
    };
    let facts = Facts {
        kind: Kind::Certificate,
        profile: ProfileStamp::built_in(PROFILE, TEXT),
        key: issuer.key.clone(),
        message: Message::from(parts.encode()?),
        serial: serial.as_bytes().to_vec(),
        issuer: issuer.label.clone(),
        owner: None,
        subject: subject.to_string(),
        names: Vec::new(),
        key_hash: key.fingerprint(),
        validity: Some(validity),
        covers: None,
        renews: None,
        details: with_renew(details),
    };
    Ok(Draft::new(grant, facts, ResponderCertificate { issuer: issuer.clone(), key: subject_key, now }))
}

/// The server puts a new one in its place: nobody is told to act.
fn with_renew(details: Value) -> Value {
    let mut details = details;
    if let Some(map) = details.as_object_mut() {
        map.insert("renew".to_owned(), json!(false));
    }
    details
}

fn fixed_extensions() -> Result<Vec<Extension>, DraftError> {
    let constraints = BasicConstraints { ca: false, path_len_constraint: None };
    let usage = KeyUsage(FlagSet::from(KeyUsages::DigitalSignature));
    let purpose = ExtendedKeyUsage(vec![rfc5280::ID_KP_OCSP_SIGNING]);
    Ok(vec![
        extension(rfc5280::ID_CE_BASIC_CONSTRAINTS, true, &constraints.to_der()?)?,
        extension(rfc5280::ID_CE_KEY_USAGE, true, &usage.to_der()?)?,
        extension(rfc5280::ID_CE_EXT_KEY_USAGE, false, &purpose.to_der()?)?,
        // RFC 6960 section 4.2.2.2.1: "The value of the extension SHALL be NULL."
        extension(NO_CHECK, false, &Null.to_der()?)?,
    ])
}

impl Craft for ResponderCertificate {
    fn lint(&self, _: &Grant, entry: &Entry, f: &mut Findings) {
        let Some(tbs) = whole(&entry.message, f) else { return };
        let Some((read, also)) = both(tbs, f) else { return };
        common(
            &read,
            &also,
            &Common { entry, key: &self.key, named: None, now: self.now, backdate_secs: BACKDATE_SECS_MAX },
            f,
        );
        named_by(&read, &self.issuer, f);
        f.hold(&RESPONDER_SUBJECT, read.subject().iter().next().is_some());
        f.hold(&RESPONDER_KEY, self.key.hash() != self.issuer.key.fingerprint());
        f.hold(&RESPONDER_LASTS, entry.validity.is_some_and(|validity| validity.secs() <= RESPONDER_SECS));
        let Some(fixed) = f.read(&RESPONDER_IS_ONE, "extensions", fixed_extensions()) else { return };
        for extension in read.extensions() {
            let is_fixed = fixed.iter().any(|one| extension.oid.as_bytes() == one.extn_id.as_bytes());
            match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(_) | ParsedExtension::AuthorityKeyIdentifier(_) => {
                    f.hold(&RESPONDER_POINTERS, !extension.critical);
                }
                _ => f.hold(&RESPONDER_EXTENSIONS, is_fixed),
            }
        }
        for wanted in &fixed {
            let found = read.extensions().iter();
            let found = found.filter(|e| e.oid.as_bytes() == wanted.extn_id.as_bytes() && same(e, wanted)).count();
            f.hold(&RESPONDER_IS_ONE, found == 1);
        }
    }

    fn issuer(&self) -> Option<&Arc<Issuing>> {
        Some(&self.issuer)
    }

    fn tells(&self) -> bool {
        true
    }
}

/// Two weeks: nobody checks whether it was revoked.
pub(crate) const RESPONDER_SECS: i64 = 14 * 86_400;
/// The built-in profile of responders.
pub(crate) const PROFILE: &str = "ocsp";
/// What they are, for whoever reads the log.
pub(crate) const TEXT: &str = "ocsp v1: digitalSignature, OCSPSigning, nocheck, no CRL and no AIA, two weeks";
