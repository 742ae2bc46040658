//! Revocation by whoever holds the key: no account, no right, a proof.
//!
//! The proof is a certificate request (PKCS#10) by the certificate's own key, whose subject says what it is for and of which
//! certificate: `O=revoke key-compromise, CN=` and the SHA-256 of the certificate. openssl makes one; no request that asks for a
//! certificate says that, so none that was sent somewhere once can be taken for it. It needs no freshness: what it does is done once
//! and for good. The reason is the key's compromise, whose proof the proof itself is; a CA does not end by it.

use policy::Actor;

use crate::encode::sha256;
use crate::error::CaError;
use crate::intake::{Csr, Ending, RevocationReason};
use crate::status::revoke::{Revoker, ShownRevoked};
use crate::status::shown::Shown;

impl Revoker {
    /// Revokes the certificate that is shown, because this request was made with its key.
    pub(crate) async fn revoke_by_key(&self, certificate: &[u8], proof: &Csr) -> Result<ShownRevoked, CaError> {
        let shown = Shown::read(certificate, &self.office.issuers.read())?;
        if shown.ca_subject().is_some() {
            return Err(CaError::bad("certificate", "a CA does not end by this: all that it issued would".to_owned()));
        }
        let wanted = hex::encode(sha256(&shown.der));
        if proof.organizations() != [PURPOSE] || proof.common_name() != Some(wanted.as_str()) {
            return Err(CaError::bad("proof", format!("its subject is not /O={PURPOSE}/CN={wanted}")));
        }
        if proof.key_hash() != shown.lost.key_hash {
            return Err(CaError::bad("proof", "it was made with another key than the certificate's".to_owned()));
        }
        let ending = Ending::from(RevocationReason::KeyCompromise);
        self.revoke_shown(&Actor::system("key-proof"), certificate, ending).await
    }
}

/// What a proof says that it is for.
const PURPOSE: &str = "revoke key-compromise";
