//! What is asked for, and what is handed out.

use hsm::KeyKind;
use policy::{Owner, Timestamp};
use store::Issued;

use crate::error::CaError;

/// How a code signature is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeFormat {
    /// The bare signature over the file (`openssl dgst -verify`).
    Raw,
    /// A detached CMS SignedData, DER (`openssl cms -verify`).
    Cms,
}

impl CodeFormat {
    /// The stable name: `raw`, `cms`.
    pub fn as_str(self) -> &'static str {
        match self {
            CodeFormat::Raw => "raw",
            CodeFormat::Cms => "cms",
        }
    }
}

impl std::str::FromStr for CodeFormat {
    type Err = CaError;
    fn from_str(s: &str) -> Result<CodeFormat, CaError> {
        match s {
            "raw" => Ok(CodeFormat::Raw),
            "cms" => Ok(CodeFormat::Cms),
            _ => Err(CaError::bad("format", format!("`{s}` is not a format; say raw or cms"))),
        }
    }
}

/// A request for a code-signing key and its certificate.
#[derive(Clone, Debug)]
pub struct CodeKeyRequest {
    /// The key's name: `[a-z0-9][a-z0-9._-]{0,62}`.
    pub label: String,
    /// Whose it is.
    pub owner: Owner,
    /// P-256 or RSA.
    pub kind: KeyKind,
    /// The certificate's common name; default: the label.
    pub subject: Option<String>,
}

/// A request for a code signature.
#[derive(Clone, Debug)]
pub struct CodeRequest {
    /// The key's name.
    pub key: String,
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
    /// How to pack it.
    pub format: CodeFormat,
    /// The file's name, for the register.
    pub file_name: Option<String>,
}

/// A code signature.
#[derive(Clone, Debug)]
pub struct CodeSignature {
    /// The register's row.
    pub issued: Issued,
    /// The signature in the format asked for.
    pub bytes: Vec<u8>,
    /// The signer's certificate and intermediates, PEM.
    pub chain_pem: String,
}

/// When a signature was made, for callers that print it.
impl CodeSignature {
    /// When the register concluded it.
    pub fn signed_at(&self) -> Option<Timestamp> {
        self.issued.concluded_at
    }
}
