//! The extensions that a CSR asks for.
//!
//! Names are taken from the subjectAltName. Extensions that OpenSSL's users send by habit (key usage, EKU, basic constraints, SKI)
//! are read and set aside, because the profile decides those. What other programs send by habit and nobody waits for (Windows,
//! Exchange, certbot) is left out, with a note. What is left is refused by name, so that nobody believes it was granted; so is
//! everything critical that is not ours, since it is critical to somebody.

use der::Decode;
use policy::{MAX_NAMES, Name};
use spki::ObjectIdentifier;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName, SubjectKeyIdentifier};

use crate::encode::san;
use crate::intake::asked::{Asked, CsrError, refused, unreadable};

/// Reads the extensions of an extension request.
pub(super) fn read(extensions: &[Extension]) -> Result<Asked, CsrError> {
    // RFC 5280 section 4.1: "Extensions ::= SEQUENCE SIZE (1..MAX) OF Extension".
    if extensions.is_empty() {
        return Err(refused("its extension request is empty"));
    }
    let mut asked = Asked::default();
    for (i, extension) in extensions.iter().enumerate() {
        if extensions.iter().take(i).any(|earlier| earlier.extn_id == extension.extn_id) {
            return Err(refused(format!("extension {} stands in it twice", name_of(extension.extn_id))));
        }
        let value = extension.extn_value.as_bytes();
        match extension.extn_id {
            SUBJECT_ALT_NAME => asked.names = alternative_names(value)?,
            KEY_USAGE => check_key_usage(value)?,
            EXTENDED_KEY_USAGE => check_extended_key_usage(value)?,
            BASIC_CONSTRAINTS => check_basic_constraints(value)?,
            SUBJECT_KEY_ID => {
                SubjectKeyIdentifier::from_der(value).map_err(unreadable("subjectKeyIdentifier"))?;
            }
            other => asked.left_out.push(set_aside(other, extension.critical)?),
        }
    }
    Ok(asked)
}

/// The name of what nobody waits for.
fn set_aside(oid: ObjectIdentifier, critical: bool) -> Result<String, CsrError> {
    match HABITS.iter().find(|(habit, _)| *habit == oid) {
        Some((_, name)) if !critical => Ok((*name).to_owned()),
        Some(_) => {
            Err(refused(format!("it asks for a critical extension {}, which is not granted here", name_of(oid))))
        }
        None => Err(refused(format!(
            "it asks for extension {}, which is not granted here; accepted are subjectAltName, and, set by the profile, \
             keyUsage, extendedKeyUsage, basicConstraints, subjectKeyIdentifier",
            name_of(oid)
        ))),
    }
}

fn alternative_names(value: &[u8]) -> Result<Vec<Name>, CsrError> {
    let SubjectAltName(general) = SubjectAltName::from_der(value).map_err(unreadable("subjectAltName"))?;
    match general.len() {
        0 => Err(refused("its subjectAltName is empty")),
        1..=MAX_NAMES => general
            .iter()
            .map(san::decode)
            .collect::<Result<_, _>>()
            .map_err(|e| refused(format!("subjectAltName: {e}"))),
        many => Err(refused(format!("it asks for {many} names; {MAX_NAMES} is the most"))),
    }
}

fn check_key_usage(value: &[u8]) -> Result<(), CsrError> {
    let usage = KeyUsage::from_der(value).map_err(unreadable("keyUsage"))?;
    match usage.key_cert_sign() || usage.crl_sign() {
        true => Err(refused("it asks for the key usage of a CA (keyCertSign or cRLSign)")),
        false => Ok(()),
    }
}

/// An empty EKU made another CA panic (CVE-2026-40097); RFC 5280 section 4.2.1.12 has SIZE (1..MAX).
fn check_extended_key_usage(value: &[u8]) -> Result<(), CsrError> {
    let ExtendedKeyUsage(purposes) = ExtendedKeyUsage::from_der(value).map_err(unreadable("extendedKeyUsage"))?;
    match purposes.is_empty() {
        true => Err(refused("its extendedKeyUsage is empty")),
        false => Ok(()),
    }
}

fn check_basic_constraints(value: &[u8]) -> Result<(), CsrError> {
    let constraints = BasicConstraints::from_der(value).map_err(unreadable("basicConstraints"))?;
    match constraints.ca {
        true => Err(refused("it asks to be a CA (basicConstraints CA:TRUE)")),
        false => Ok(()),
    }
}

fn name_of(oid: ObjectIdentifier) -> String {
    let habit = HABITS.iter().find(|(habit, _)| *habit == oid).map(|(_, name)| *name);
    match habit.or_else(|| const_oid::db::DB.by_oid(&oid)) {
        Some(name) => format!("{name} ({oid})"),
        None => oid.to_string(),
    }
}

const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const SUBJECT_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");

/// What programs ask for by habit: Windows and Exchange, openssl.cnf as it is shipped and copied, certbot's --must-staple. There is
/// no OCSP to staple here.
const HABITS: [(ObjectIdentifier, &str); 10] = [
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.15"), "smimeCapabilities"),
    (ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2"), "certificateTemplateName"),
    (ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.21.7"), "certificateTemplate"),
    (ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.21.10"), "applicationPolicies"),
    (ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.21.1"), "caVersion"),
    (ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.25.2"), "ntdsSecurityExtension"),
    (ObjectIdentifier::new_unwrap("2.16.840.1.113730.1.13"), "nsComment"),
    (ObjectIdentifier::new_unwrap("2.16.840.1.113730.1.1"), "nsCertType"),
    (ObjectIdentifier::new_unwrap("2.5.29.35"), "authorityKeyIdentifier"),
    (ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.24"), "tlsfeature (must-staple)"),
];
