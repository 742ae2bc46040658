//! Issuers, chains and roots as they are handed out.

use bytes::Bytes;
use policy::Timestamp;
use store::Credential;

use super::base::Authority;
use crate::encode::{BundleForm, pem};
use crate::error::CaError;
use crate::issuers::{Generation, GenerationName, Issuer, ShownCertificate};
use crate::view;

impl Authority {
    /// A certificate and its intermediates, PEM, without the root, by the way that its profile prefers. Empty for what is no X.509
    /// certificate or not signed.
    pub fn chain_pem(&self, credential: &Credential) -> String {
        self.inner.office.chain_pem(credential)
    }

    /// A certificate alone, PEM.
    pub fn certificate_pem(&self, credential: &Credential) -> String {
        credential.x509_der().map_or(String::new(), |der| pem::encode("CERTIFICATE", &der))
    }

    /// Every chain from a certificate to a root, PEM, each without its root; the first is the one of [`Self::chain_pem`].
    pub fn chains_pem(&self, credential: &Credential) -> Vec<String> {
        self.inner.office.chains_pem(credential)
    }

    /// The root certificates, PEM: those in use, and those that will be.
    pub fn roots_pem(&self) -> String {
        self.roots().iter().map(|der| pem::encode("CERTIFICATE", der)).collect()
    }

    /// The same, DER each; those first that most people believe by now.
    pub fn roots(&self) -> Vec<Bytes> {
        self.inner.office.issuers.read().roots().iter().map(|root| root.der.clone()).collect()
    }

    /// The same in a form that other software takes.
    pub fn roots_as(&self, form: BundleForm) -> Result<Vec<u8>, CaError> {
        view::roots_as(&self.inner.office, form)
    }

    /// Every certificate of a generation, as PKCS#7: its own, renewed, and cross-signed. None where it has none.
    pub fn certificates_pkcs7(&self, name: &GenerationName) -> Result<Option<Vec<u8>>, CaError> {
        view::certificates_pkcs7(&self.inner.office, name)
    }

    /// The issuers with their generations.
    pub fn issuers(&self) -> Vec<Issuer> {
        view::issuers(&self.inner.office)
    }

    /// The generations of CAs that have a certificate, whatever became of them.
    pub fn cas(&self) -> Vec<Generation> {
        self.issuers().into_iter().flat_map(|i| i.generations).filter(|g| g.certificate.is_some()).collect()
    }

    /// Whether there is an issuer of this name.
    pub fn has_issuer(&self, name: &str) -> bool {
        self.inner.office.issuers.read().issuer(name).is_ok()
    }

    /// A generation's newest certificate.
    pub fn ca_certificate(&self, name: &GenerationName) -> Option<ShownCertificate> {
        view::ca_certificate(&self.inner.office, name)
    }

    /// When the newest of [`Authority::roots`] begins.
    pub fn roots_since(&self) -> Option<Timestamp> {
        view::roots_since(&self.inner.office)
    }

    /// Certificates of CAs under which somebody may show who he is: those of the issuer of the profile for logins.
    pub fn login_anchors(&self) -> Vec<Bytes> {
        view::login_anchors(&self.inner.office)
    }

    /// Changes with every change of an issuer, by whichever node.
    pub fn issuers_version(&self) -> u64 {
        self.inner.office.issuers.read().version
    }

    /// Takes in what other nodes changed of issuers and drills. A question of memory where nothing did: call it every second.
    pub async fn follow_issuers(&self) -> Result<(), CaError> {
        self.inner.office.issuers.fresh().await?;
        self.inner.drills.follow().await
    }

    /// Looks for keys that came back to the token, where one was missing. Call it now and then.
    pub async fn look_for_keys(&self) -> Result<(), CaError> {
        self.inner.office.issuers.look_again().await?;
        self.inner.drills.look_again().await
    }

    /// Seals anew what stands under an older generation of the sealing key than the one in force, and destroys keys of generations
    /// that have ended. Answers what is left. Call it now and then: what broke off is carried on.
    pub async fn tend_seals(&self) -> Result<u64, CaError> {
        self.inner.keeper.tend_seals().await
    }

    /// Whether the CA of a certificate is revoked or compromised: whoever has it needs another.
    pub fn is_orphaned(&self, credential: &Credential) -> bool {
        view::is_dead(&self.inner.office, &credential.issuer)
    }

    /// The generations that are revoked or compromised, or everything above them: what they issued needs a successor at once.
    pub fn dead_issuers(&self) -> Vec<String> {
        view::dead(&self.inner.office)
    }

    /// Whether a key (SHA-256 of its SubjectPublicKeyInfo) is known to be in other hands: it is believed by nobody here again.
    pub fn is_compromised(&self, key_hash: &[u8; 32]) -> bool {
        self.inner.office.checks.is_compromised(key_hash)
    }
}
