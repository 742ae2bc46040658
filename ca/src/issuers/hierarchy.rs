//! The hierarchy of an authority: keys of the token matched with the certificates of the register.
//!
//! A root that signs two issuing CAs, one for TLS and one for code; two SSH CA keys; a key for the log's heads. How they come to
//! be stands in `founding`.

use std::collections::BTreeMap;
use std::sync::Arc;

use hsm::{Key, Pool};
use store::{Attested, Credential, Filter, Kind, Ledger, State};

use crate::encode::pem;
use crate::error::CaError;
use crate::issuers::issuing::Issuing;
use crate::issuers::labels::{CODE, LOG, ROOT, SSH_HOST, SSH_USER, TLS};
use crate::issuers::ssh_ca::SshCa;
use crate::issuers::urls::Urls;

/// Everything of an authority that signs.
pub(crate) struct Hierarchy {
    /// By label: root, tls, code.
    issuers: BTreeMap<String, Arc<Issuing>>,
    pub(crate) ssh_user: Arc<SshCa>,
    pub(crate) ssh_host: Arc<SshCa>,
    pub(crate) log_key: Key,
}

impl Hierarchy {
    /// Finds keys in the token and certificates in the register, and matches them.
    pub(crate) async fn open(pool: &Pool, ledger: &Ledger, urls: &Urls) -> Result<Hierarchy, CaError> {
        let mut issuers: BTreeMap<String, Arc<Issuing>> = BTreeMap::new();
        for label in [ROOT, TLS, CODE] {
            let key = pool.find(label).await?;
            let missing = || CaError::NotFound(format!("certificate of CA `{label}`; run `chancery init`"));
            let certificate = newest_certificate(ledger, label, &key).await?.ok_or_else(missing)?;
            let parent = issuers.get(ROOT).cloned();
            let issuing = Issuing::new(label, key, certificate.into(), parent.as_deref(), urls)?;
            issuers.insert(label.to_owned(), Arc::new(issuing));
        }
        let ssh = async |label| Ok::<_, CaError>(Arc::new(SshCa::new(label, pool.find(label).await?)?));
        Ok(Hierarchy {
            issuers,
            ssh_user: ssh(SSH_USER).await?,
            ssh_host: ssh(SSH_HOST).await?,
            log_key: pool.find(LOG).await?,
        })
    }

    /// The CAs with a certificate, by label.
    pub(crate) fn issuers(&self) -> impl Iterator<Item = &Arc<Issuing>> {
        self.issuers.values()
    }

    /// One of them.
    pub(crate) fn issuing(&self, label: &str) -> Result<Arc<Issuing>, CaError> {
        let found = self.issuers.get(label).cloned();
        found.ok_or_else(|| CaError::bad("profile", format!("there is no issuing CA `{label}`")))
    }

    /// A certificate and its intermediates, PEM, without the root. Empty for what is no X.509 certificate or not signed.
    pub(crate) fn chain_pem(&self, credential: &Credential) -> String {
        let chain = match credential.kind {
            Kind::Certificate | Kind::CaCertificate => {
                self.issuers.get(&credential.issuer).map_or("", |i| &i.chain_pem)
            }
            Kind::SshUser | Kind::SshHost | Kind::CodeSignature | Kind::Crl | Kind::OcspBatch => return String::new(),
        };
        credential.x509_der().map_or(String::new(), |der| pem::encode_before("CERTIFICATE", &der, chain))
    }

    /// The root certificates, PEM.
    pub(crate) fn roots_pem(&self) -> String {
        self.issuers.get(ROOT).map_or(String::new(), |root| pem::encode("CERTIFICATE", &root.certificate_der))
    }
}

/// The certificate of one of our CAs.
pub(crate) struct Certificate {
    operation: u64,
    der: Vec<u8>,
    /// Whether it was not revoked.
    pub(crate) is_live: bool,
}

impl From<Certificate> for (u64, Vec<u8>) {
    fn from(certificate: Certificate) -> (u64, Vec<u8>) {
        (certificate.operation, certificate.der)
    }
}

/// The newest signed certificate of one of our CAs for the key that the token holds: a live one, else one that was revoked, whose
/// revocations are still to be told. Nothing is issued under that ([`Checked`](crate::checks::Checked)).
pub(crate) async fn newest_certificate(
    ledger: &Ledger,
    label: &str,
    key: &Key,
) -> Result<Option<Certificate>, CaError> {
    let filter =
        Filter { kind: Some(Kind::CaCertificate), key_hash: Some(key.fingerprint()), limit: MOST, ..Filter::default() };
    let ours = |c: &Attested<Credential>| c.details.get("label").and_then(|l| l.as_str()) == Some(label);
    let signed = ledger.matching(filter).await?.into_iter().filter(ours).filter_map(|found| {
        let is_live = found.state == State::Issued;
        found.into_inner().signed().ok().map(|c| Certificate { operation: c.operation, der: c.x509_der(), is_live })
    });
    // The newest comes first; of those that are alike the first is taken.
    Ok(signed.min_by_key(|certificate| !certificate.is_live))
}

/// Certificates of one key of a CA: one is usual.
const MOST: usize = 16;
