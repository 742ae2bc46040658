//! A request for the certificate of a CA, brought to a root: whose key it is, and every extension that it asks for.
//!
//! What [`Csr`](super::Csr) refuses (to be a CA) is what is asked for here; so it is read by people before it is signed.

use der::Decode;
use x509_cert::ext::Extension;

use crate::encode::dn::check_shape;
use crate::encode::{pem, sha256};
use crate::intake::asked::{CsrError, refused};
use crate::intake::attributes;
use crate::intake::csr::{Info, MAX_BYTES, PEM_LABELS, Request, prove_possession};
use crate::intake::subject_key::SubjectKey;

/// A request whose sender proved possession of a strong enough key.
pub(crate) struct CaCsr {
    /// SHA-256 of the request, DER.
    pub(crate) sha256: [u8; 32],
    /// DER of a Name.
    pub(crate) subject: Vec<u8>,
    pub(crate) key: SubjectKey,
    /// As they stand in it.
    pub(crate) extensions: Vec<Extension>,
}

impl CaCsr {
    /// Reads a PEM or DER PKCS#10 request.
    pub(crate) fn parse(bytes: &[u8]) -> Result<CaCsr, CsrError> {
        if bytes.len() > MAX_BYTES {
            return Err(refused(format!("it is larger than {MAX_BYTES} bytes")));
        }
        match bytes.first() {
            None => Err(refused("it is empty")),
            Some(0x30) => CaCsr::from_der(bytes),
            Some(_) if pem::blocks(bytes, &PEM_LABELS) > 1 => Err(refused("it holds more than one request")),
            Some(_) => CaCsr::from_der(&pem::decode(bytes, &PEM_LABELS).map_err(refused)?),
        }
    }

    fn from_der(der: &[u8]) -> Result<CaCsr, CsrError> {
        let request = Request::read(der)?;
        let info = Info::read(request.info)?;
        check_shape(info.subject).map_err(|e| refused(format!("subject: {e}")))?;
        let key = SubjectKey::from_spki(info.spki).map_err(|e| refused(e.to_string()))?;
        prove_possession(&request, &key)?;
        let extensions = info.attributes.map(attributes::extensions_of).transpose()?.unwrap_or_default();
        Ok(CaCsr { sha256: sha256(der), subject: info.subject.to_vec(), key, extensions })
    }

    /// The value of an extension that it asks for, once at most.
    pub(crate) fn value<'a, T: Decode<'a>>(&'a self, oid: spki::ObjectIdentifier) -> Result<Option<T>, CsrError> {
        let mut found = self.extensions.iter().filter(|extension| extension.extn_id == oid);
        let (first, second) = (found.next(), found.next());
        if second.is_some() {
            return Err(refused(format!("extension {oid} stands in it twice")));
        }
        let read = first.map(|extension| T::from_der(extension.extn_value.as_bytes()));
        read.transpose().map_err(|_| refused(format!("its extension {oid} cannot be read")))
    }
}
