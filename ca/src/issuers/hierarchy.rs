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
            let der = newest_certificate(ledger, label, &key).await?.and_then(|c| c.x509_der()).ok_or_else(missing)?;
            let parent = issuers.get(ROOT).cloned();
            let issuing = Issuing::new(label, key, der, parent.as_deref(), urls)?;
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
            Kind::SshUser | Kind::SshHost | Kind::CodeSignature | Kind::Crl => return String::new(),
        };
        credential.x509_der().map_or(String::new(), |der| pem::encode("CERTIFICATE", &der) + chain)
    }

    /// The root certificates, PEM.
    pub(crate) fn roots_pem(&self) -> String {
        self.issuers.get(ROOT).map_or(String::new(), |root| pem::encode("CERTIFICATE", &root.certificate_der))
    }
}

/// The newest released certificate of one of our CAs for the key that the token holds.
pub(crate) async fn newest_certificate(
    ledger: &Ledger,
    label: &str,
    key: &Key,
) -> Result<Option<Attested<Credential>>, CaError> {
    let filter = Filter {
        kind: Some(Kind::CaCertificate),
        state: Some(State::Issued),
        key_hash: Some(key.fingerprint()),
        ..Filter::default()
    };
    let found = ledger.list(filter).await?.items;
    let ours = found.iter().find(|c| c.details.get("label").and_then(|l| l.as_str()) == Some(label));
    match ours {
        Some(found) => Ok(ledger.credential_by_operation(found.operation).await?),
        None => Ok(None),
    }
}
