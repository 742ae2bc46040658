//! A response as somebody brings it, months after it was made: what was signed, by which key, and from when it holds.
//!
//! It is a stranger's until the log says that it is not: nothing here decides anything.

use der::asn1::BitStringRef;
use der::{AnyRef, Decode, Encode, Sequence};
use hsm::{Algorithm, Message};
use policy::Timestamp;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::encode::ocsp::BASIC;
use crate::lint::ocsp::asn1::{OcspResponse, ResponseData, Status};

/// The longest that is read: of a responder with ML-DSA-87, of sixteen certificates, with room.
pub const OCSP_RESPONSE_BYTES_MAX: usize = 40 * 1024;

/// A signed response, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BroughtResponse {
    /// The ResponseData as it was signed, byte for byte.
    pub data: Vec<u8>,
    /// From when what it says holds (`thisUpdate`).
    pub begins: Timestamp,
    /// The responder's certificate, DER.
    pub certificate: Vec<u8>,
    /// The part of it that its issuer signed.
    pub certificate_tbs: Vec<u8>,
    /// Its issuer's signature over that.
    pub certificate_signature: Vec<u8>,
    /// The responder's key, a SubjectPublicKeyInfo.
    pub key: Vec<u8>,
    /// How it is signed, and the signature; what this program's tokens sign with.
    pub signed: (Algorithm, Vec<u8>),
}

/// BasicOCSPResponse (RFC 6960 section 4.2.1), its parts as they stand.
#[derive(Sequence)]
struct Basic<'a> {
    data: AnyRef<'a>,
    algorithm: AnyRef<'a>,
    signature: BitStringRef<'a>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    certificates: Option<Vec<AnyRef<'a>>>,
}

impl BroughtResponse {
    /// Reads one. What is wrong with it is said in words.
    pub fn read(bytes: &[u8]) -> Result<BroughtResponse, &'static str> {
        if bytes.len() > OCSP_RESPONSE_BYTES_MAX {
            return Err("longer than an OCSP response is");
        }
        let whole = OcspResponse::from_der(bytes).map_err(|_| "not an OCSP response in DER")?;
        if whole.status != Status::Successful {
            return Err("an OCSP response that says that there is no answer: nobody signed it");
        }
        let inner = whole.bytes.filter(|inner| inner.kind == BASIC).ok_or("no basic OCSP response")?;
        let basic = Basic::from_der(inner.response.as_bytes()).map_err(|_| "not an OCSP response in DER")?;
        let again = |part: &AnyRef<'_>| part.to_der().map_err(|_| "not an OCSP response in DER");
        let data = again(&basic.data)?;
        let read = ResponseData::from_der(&data).map_err(|_| "not an OCSP response in DER")?;
        let first = read.responses.first().ok_or("it speaks of no certificate")?;
        let begins = i64::try_from(first.this_update.to_unix_duration().as_secs()).map_err(|_| "it begins never")?;
        let certificates = basic.certificates.as_deref().unwrap_or_default();
        // Ours carry their responder's, and no other.
        let [certificate] = certificates else { return Err("it does not carry one certificate, its responder's") };
        let certificate = again(certificate)?;
        let (_, read) = X509Certificate::from_der(&certificate).map_err(|_| "its responder's certificate is none")?;
        let identifier = again(&basic.algorithm)?;
        let algorithm = Algorithm::ALL.into_iter().find(|algorithm| algorithm.identifier() == identifier);
        let algorithm = algorithm.ok_or("it is signed in a way that nothing here signs")?;
        let signature = basic.signature.as_bytes().ok_or("its signature is no bytes")?.to_vec();
        Ok(BroughtResponse {
            begins: Timestamp::from_unix(begins),
            certificate_tbs: read.tbs_certificate.as_ref().to_vec(),
            certificate_signature: read.signature_value.data.to_vec(),
            key: read.public_key().raw.to_vec(),
            signed: (algorithm, signature),
            data,
            certificate,
        })
    }

    /// Whether the key in the certificate that it carries signed it.
    pub fn is_signed(&self) -> bool {
        let (algorithm, signature) = &self.signed;
        hsm::verify(*algorithm, &self.key, &Message::from(self.data.clone()), signature).is_ok()
    }

    /// The key's hash, as leaves name it.
    pub fn key_hash(&self) -> [u8; 32] {
        crate::encode::digest::sha256(&self.key)
    }
}
