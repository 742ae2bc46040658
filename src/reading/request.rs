//! Certificate requests (PKCS#10).

use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509CertificationRequest};

use super::described::Described;
use super::split::Unread;
use super::{extensions, names, oids, spki};

/// A request, DER.
pub fn described(der: &[u8]) -> Result<Described, Unread> {
    let (_, read) = X509CertificationRequest::from_der(der)
        .map_err(|error| Unread::new(format!("not a certificate request: {error}")))?;
    let info = &read.certification_request_info;
    let mut shown = Described::new("certificate-request");
    shown.fact("subject", names::distinguished(&info.subject));
    let mut asked = Vec::new();
    for attribute in info.iter_attributes() {
        match attribute.parsed_attribute() {
            ParsedCriAttribute::ExtensionRequest(request) => {
                for extension in &request.extensions {
                    if let ParsedExtension::SubjectAlternativeName(san) = extension.parsed_extension() {
                        asked.extend(names::all(&san.general_names));
                    }
                    shown.extensions.push(extensions::described(extension));
                }
            }
            ParsedCriAttribute::ChallengePassword(_) => {
                shown.fact("challenge_password", "there is one; it is not shown")
            }
            ParsedCriAttribute::UnsupportedAttribute => {}
        }
    }
    if !asked.is_empty() {
        shown.fact("names", asked);
    }
    spki::facts(&mut shown, info.subject_pki.raw);
    shown.fact("signature", oids::named(&read.signature_algorithm.algorithm.to_id_string()));
    let proven = read.verify_signature().is_ok() || tls::is_signed(der, info.subject_pki.raw);
    let says = if proven { "by the key in it" } else { "NOT by the key in it, or by a key of a kind unknown here" };
    shown.fact("signed", says);
    Ok(shown)
}
