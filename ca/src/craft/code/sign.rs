//! Signatures over a file's digest, from the request to the packed signature.

use std::sync::Arc;

use hsm::Message;
use policy::{Action, Actor, Owner, Resource};
use store::Issued;

use crate::craft::code::cms::{Signer, signed_attributes, signed_data};
use crate::craft::code::draft::{Signing, draft};
use crate::craft::code::keys::{CodeSigner, RECORD, token_label};
use crate::craft::code::request::{CodeFormat, CodeRequest, CodeSignature};
use crate::error::{CaError, DraftError};
use crate::issuers::Issuing;

impl CodeSigner {
    /// Signs a file's digest with a code-signing key.
    pub(crate) async fn sign_code(&self, actor: &Actor, request: CodeRequest) -> Result<CodeSignature, CaError> {
        let file_name = request.file_name.as_deref().map(noted).transpose()?;
        let request = CodeRequest { file_name, ..request };
        let unknown = || CaError::NotFound(format!("code-signing key `{}`", request.key));
        let record = self.office.ledger.record_get(RECORD, &request.key).await?.ok_or_else(unknown)?;
        let owner = record.owner.as_deref().and_then(|o| Owner::parse(o).ok()).ok_or_else(unknown)?;
        let grant = self
            .office
            .gate
            .authorize(actor, Action::SignCode, Resource::code_key(Some(owner.clone()), &request.key))
            .await?;
        let key = self.pool.key(&token_label(&request.key)).await?;
        let certificate = self.newest_certificate(&key).await?.ok_or_else(unknown)?;
        let now = self.office.checks.clock.now().await?;
        if !certificate.validity.is_some_and(|v| v.contains(now)) {
            return Err(CaError::bad("key", format!("the certificate of `{}` has expired; renew it", request.key)));
        }
        let certificate_der = certificate.x509_der();
        let attributes = signed_attributes(&request.sha256, now, &certificate_der).map_err(DraftError::from)?;
        let message = match request.format {
            CodeFormat::Raw => Message::Sha256(request.sha256),
            CodeFormat::Cms => Message::from(attributes.clone()),
        };
        let hierarchy = self.office.issuers.fresh().await?;
        let of_certificate = hierarchy.issuing_of(&certificate.issuer).cloned();
        let issuer = of_certificate.ok_or_else(|| CaError::NotFound(format!("CA `{}`", certificate.issuer)))?;
        let serial = self.office.serials.next();
        let signing =
            Signing { issuer: Arc::clone(&issuer), key, owner, certificate: &certificate, serial, message, now };
        let issued = self.office.issue(draft(grant, signing, &request)).await?;
        let bytes = match request.format {
            CodeFormat::Raw => issued.signature().to_vec(),
            CodeFormat::Cms => pack(&attributes, &issued, (&certificate, &certificate_der), &issuer)?,
        };
        Ok(CodeSignature { issued, bytes, chain_pem: self.office.chain_pem(&certificate) })
    }
}

fn pack(
    attributes: &[u8],
    issued: &Issued,
    (certificate, certificate_der): (&Issued, &[u8]),
    issuer: &Issuing,
) -> Result<Vec<u8>, CaError> {
    let signer = Signer {
        issuer: issuer.subject.as_der(),
        serial: &certificate.serial,
        algorithm: issued.algorithm,
        certificates: vec![certificate_der, &issuer.certificate_der],
    };
    Ok(signed_data(attributes, issued.signature(), signer).map_err(DraftError::from)?)
}

/// A file's name as the register notes it: whatever its bytes are, it reads as what it is.
fn noted(name: &str) -> Result<String, CaError> {
    match name.len() {
        1..=FILE_NAME_MAX => Ok(policy::shown(name).into_owned()),
        _ => Err(CaError::bad("file_name", format!("1 to {FILE_NAME_MAX} bytes"))),
    }
}

/// What file systems allow.
const FILE_NAME_MAX: usize = 255;
