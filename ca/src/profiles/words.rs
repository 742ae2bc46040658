//! The words of a profile for key usages and purposes.

use const_oid::db::rfc5280;
use serde::{Deserialize, Serialize};
use spki::ObjectIdentifier;
use x509_cert::ext::pkix::KeyUsages;

/// Key usages of an end entity. Those of a CA have no word here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Usage {
    DigitalSignature,
    ContentCommitment,
    KeyEncipherment,
    KeyAgreement,
}

impl Usage {
    pub(super) fn bit(self) -> KeyUsages {
        match self {
            Usage::DigitalSignature => KeyUsages::DigitalSignature,
            Usage::ContentCommitment => KeyUsages::NonRepudiation,
            Usage::KeyEncipherment => KeyUsages::KeyEncipherment,
            Usage::KeyAgreement => KeyUsages::KeyAgreement,
        }
    }
}

/// An extended key usage: a word, or an object identifier where there is none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Purpose(pub(super) ObjectIdentifier);

impl Purpose {
    /// What a file writes.
    pub(super) fn parse(text: &str) -> Result<Purpose, String> {
        if let Some((_, oid)) = WORDS.iter().find(|(word, _)| *word == text) {
            return Ok(Purpose(*oid));
        }
        let Ok(oid) = ObjectIdentifier::new(text) else {
            let words: Vec<_> = WORDS.iter().map(|(word, _)| *word).collect();
            return Err(format!("`{text}` is no purpose; say one of {}, or an object identifier", words.join(", ")));
        };
        match oid {
            // It would undo the EKU of the issuing CA.
            ANY => Err("any purpose is none: name each".to_owned()),
            // Whoever has it speaks for the CA about revocation.
            OCSP_SIGNING => Err("OCSP responders are certified by the service itself, by no profile".to_owned()),
            oid => Ok(Purpose(oid)),
        }
    }

    /// Its word, or its object identifier.
    pub(super) fn word(self) -> String {
        let known = WORDS.iter().find(|(_, oid)| *oid == self.0);
        known.map_or_else(|| self.0.to_string(), |(word, _)| (*word).to_owned())
    }
}

/// An extended key usage in the words of a profile.
pub(crate) fn purpose_in_words(oid: ObjectIdentifier) -> String {
    Purpose(oid).word()
}

pub(super) const SERVER_AUTH: Purpose = Purpose(rfc5280::ID_KP_SERVER_AUTH);
pub(super) const CODE_SIGNING: Purpose = Purpose(rfc5280::ID_KP_CODE_SIGNING);
pub(super) const TIME_STAMPING: Purpose = Purpose(rfc5280::ID_KP_TIME_STAMPING);

const ANY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");
const OCSP_SIGNING: ObjectIdentifier = rfc5280::ID_KP_OCSP_SIGNING;

const WORDS: [(&str, ObjectIdentifier); 9] = [
    ("server-auth", rfc5280::ID_KP_SERVER_AUTH),
    ("client-auth", rfc5280::ID_KP_CLIENT_AUTH),
    ("code-signing", rfc5280::ID_KP_CODE_SIGNING),
    ("email-protection", rfc5280::ID_KP_EMAIL_PROTECTION),
    ("time-stamping", rfc5280::ID_KP_TIME_STAMPING),
    // RFC 4334 section 2, and RFC 4945 section 5.1.3.12.
    ("eap-over-lan", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.14")),
    ("ipsec-ike", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.17")),
    // RFC 4556 section 3.2.4, and [MS-WCCE] szOID_KP_SMARTCARD_LOGON.
    ("pkinit-client", ObjectIdentifier::new_unwrap("1.3.6.1.5.2.3.4")),
    ("smartcard-logon", ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2.2")),
];
