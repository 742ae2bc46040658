//! Drafts of PKCS#10 requests (RFC 2986): signed with the CA's own key, which proves that we hold it.

use const_oid::db::{rfc5280, rfc5912};
use der::asn1::SetOfVec;
use der::flagset::FlagSet;
use der::{Any, AnyRef, Decode, Encode, Sequence};
use hsm::{Key, Message};
use policy::{Grant, Serial, Timestamp};
use serde_json::json;
use spki::ObjectIdentifier;
use store::Kind;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages};

use crate::craft::request::lint::Asked;
use crate::craft::x509::{subject_key_identifier, subject_key_named};
use crate::drafting::{Draft, Facts, ProfileStamp};
use crate::encode::x509::extension;
use crate::encode::{Dn, tlv};
use crate::error::DraftError;
use crate::intake::SubjectKey;
use crate::issuers::Standing;
use crate::issuers::plan::CaPlan;

/// Drafts a request for the key of a generation, by the name that the key has in its certificates, if it has one.
pub(crate) fn draft(
    grant: Grant,
    standing: Standing,
    plan: &CaPlan,
    (key, named): (&Key, Option<&[u8]>),
    serial: Serial,
    now: Timestamp,
) -> Result<Draft<Asked>, DraftError> {
    let subject = plan.subject_of(standing.name.number())?;
    let bytes = info(plan, subject.as_der(), (key, named))?;
    Ok(of(grant, standing, (subject, bytes), key, (serial, now)))
}

/// Drafts a request for a key that is no CA's with a certificate, an SSH CA's: nobody answers it. Its signature shows that a token
/// has the key, in a form that is no credential.
pub(crate) fn proof(
    grant: Grant,
    standing: Standing,
    key: &Key,
    serial: Serial,
    now: Timestamp,
) -> Result<Draft<Asked>, DraftError> {
    let subject = Dn::common_name(&standing.name.to_string()).map_err(|e| DraftError::new("subject", e.to_string()))?;
    let wanted = vec![subject_key_identifier(&SubjectKey::from_token(key))?];
    let bytes = info_of(&wanted, subject.as_der(), key)?;
    Ok(of(grant, standing, (subject, bytes), key, (serial, now)))
}

fn of(
    grant: Grant,
    standing: Standing,
    (subject, bytes): (Dn, Vec<u8>),
    key: &Key,
    (serial, now): (Serial, Timestamp),
) -> Draft<Asked> {
    let name = standing.name.clone();
    let facts = Facts {
        kind: Kind::CaRequest,
        profile: ProfileStamp::built_in("ca-request", TEXT),
        key: key.clone(),
        message: Message::from(bytes),
        serial: serial.as_bytes().to_vec(),
        issuer: name.to_string(),
        owner: None,
        subject: subject.to_string(),
        names: Vec::new(),
        key_hash: key.fingerprint(),
        validity: None,
        covers: None,
        renews: None,
        details: json!({ "generation": name.to_string(), "at": now.to_string(), "tokens": key.homes() }),
    };
    Draft::new(grant, facts, Asked { standing, subject, spki: key.spki_der().to_vec() })
}

/// CertificationRequestInfo, DER: what the certificate should say is asked for, and whoever signs decides.
fn info(plan: &CaPlan, subject: &[u8], (key, named): (&Key, Option<&[u8]>)) -> Result<Vec<u8>, DraftError> {
    let constraints = BasicConstraints { ca: true, path_len_constraint: Some(plan.path_len) };
    let usage = KeyUsage(FlagSet::from(KeyUsages::KeyCertSign) | KeyUsages::CRLSign);
    let mut wanted = vec![
        extension(rfc5280::ID_CE_BASIC_CONSTRAINTS, true, &constraints.to_der()?)?,
        extension(rfc5280::ID_CE_KEY_USAGE, true, &usage.to_der()?)?,
        subject_key_named(&SubjectKey::from_token(key), named)?,
    ];
    if !plan.purposes.is_empty() {
        wanted.push(extension(rfc5280::ID_CE_EXT_KEY_USAGE, false, &ExtendedKeyUsage(plan.purposes()?).to_der()?)?);
    }
    wanted.extend(plan.extensions()?);
    info_of(&wanted, subject, key)
}

fn info_of(wanted: &Vec<Extension>, subject: &[u8], key: &Key) -> Result<Vec<u8>, DraftError> {
    let attribute =
        Attribute { oid: rfc5912::ID_EXTENSION_REQ, values: SetOfVec::try_from(vec![Any::encode_from(wanted)?])? };
    let attributes = tlv::context(0, &attribute.to_der()?)?;
    let version = 0_u8.to_der()?;
    Ok(tlv::sequence(&[&version, AnyRef::from_der(subject)?.to_der()?.as_slice(), key.spki_der(), &attributes])?)
}

#[derive(Sequence)]
struct Attribute {
    oid: ObjectIdentifier,
    values: SetOfVec<Any>,
}

/// What it is, for whoever reads the log.
pub(crate) const TEXT: &str =
    "ca-request v1: PKCS#10 of a CA's own key; basicConstraints, keyUsage, EKU, constraints as planned";
