//! The facade: everything the edges may ask of the authority. Here its rooms are furnished, and each request is passed on to the
//! one who answers it; nothing is decided here.

use std::net::IpAddr;
use std::sync::Arc;

use hsm::Pool;
use policy::{Action, Actor, Grant, Instance, Owner, Policies, Resource, Timestamp, World};
use store::{Attested, Credential, Issued, Ledger, StoreError};

use crate::amendment::{self, Amended, Amendment};
use crate::checks::Checks;
use crate::craft::Office;
use crate::craft::code::{CodeKeyRequest, CodeRequest, CodeSignature, CodeSigner};
use crate::craft::leaf::{Certifier, CertifyRequest, Prospect};
use crate::craft::ssh::{SshIssued, SshRequest, SshSigner};
use crate::drafting::Serials;
use crate::encode::pem;
use crate::error::CaError;
use crate::founding::{self, CreateConfig};
use crate::gate::Gate;
use crate::intake::{Csr, RevocationReason};
use crate::issuers::{Hierarchy, Issuer};
use crate::parts::Parts;
use crate::profiles::Profiles;
use crate::registrar::Registrar;
use crate::rules::Rules;
use crate::status::{
    Desks, Inquiries, OcspAnswer, OcspState, Published, PublishedCrl, Publisher, Revoker, ShownRevoked,
};
use crate::texts;

/// How the authority is now.
#[derive(Clone, Debug)]
pub struct Health {
    /// The token.
    pub token: hsm::Health,
    /// Why nothing is issued although the token is ready (the clock, a CA that ended); `None` when all is well.
    pub held: Option<String>,
    /// CAs under which nothing is issued any more, each with why; the others go on.
    pub ended: Vec<(String, String)>,
}

/// A certificate authority. Cheap to clone.
#[derive(Clone)]
pub struct Authority {
    inner: Arc<Inner>,
}

/// Who answers what.
struct Inner {
    parts: Parts,
    log_verifier_key: String,
    office: Office,
    certifier: Certifier,
    code: CodeSigner,
    ssh: SshSigner,
    desks: Arc<Desks>,
    revoker: Revoker,
    inquiries: Inquiries,
}

impl Inner {
    async fn furnish(parts: Parts) -> Result<Inner, CaError> {
        let Parts { ledger, pool, world, policies, profiles, instance, urls } = &parts;
        let hierarchy = Arc::new(Hierarchy::open(pool, ledger, urls).await?);
        let checks = Arc::new(Checks::new(world.clone(), ledger));
        let log_verifier_key = ledger.verifier_key(&hierarchy.log_key)?;
        let office = Office {
            gate: Gate::new(ledger.clone(), Rules::new(policies.clone(), profiles.clone())),
            ledger: ledger.clone(),
            hierarchy,
            serials: Serials::new(world.clone(), *instance),
            checks,
            registrar: Registrar::new(ledger.clone(), pool.clone()),
        };
        let certifier = Certifier { office: office.clone() };
        let code = CodeSigner::new(office.clone(), certifier.clone(), pool.clone(), *instance);
        let ssh = SshSigner { office: office.clone(), world: world.clone() };
        let labels = office.hierarchy.issuers().map(|issuer| issuer.label.clone());
        let desks = Arc::new(Desks::open(Publisher::open(office.clone()).await, labels));
        let revoker = Revoker { office: office.clone(), desks: desks.clone() };
        let inquiries = Inquiries::open(&office, pool, world, *instance)?;
        Ok(Inner { log_verifier_key, office, certifier, code, ssh, desks, revoker, inquiries, parts })
    }
}

impl Authority {
    /// Makes the keys and CA certificates of a new authority, its first CRLs and its first log head; run again after a crash, it
    /// continues.
    pub async fn create(parts: Parts, config: CreateConfig) -> Result<Authority, CaError> {
        founding::create(&parts, &config).await?;
        let authority = Authority::open(parts).await?;
        authority.refresh_crls().await?;
        authority.checkpoint().await?;
        Ok(authority)
    }

    /// Opens an existing authority: keys of the token matched with the certificates of the register.
    pub async fn open(parts: Parts) -> Result<Authority, CaError> {
        texts::record(&parts).await?;
        Ok(Authority { inner: Arc::new(Inner::furnish(parts).await?) })
    }

    /// Which node of the register this is.
    pub fn instance(&self) -> Instance {
        self.inner.parts.instance
    }

    /// Decides, and writes the refusal leaf where policy refuses: no refusal is answered that is not in the log.
    pub async fn authorize(&self, actor: &Actor, action: Action, resource: Resource) -> Result<Grant, CaError> {
        self.inner.office.gate.authorize(actor, action, resource).await
    }

    /// Issues a certificate.
    pub async fn certify(&self, actor: &Actor, request: CertifyRequest) -> Result<Issued, CaError> {
        self.inner.certifier.certify(actor, request).await
    }

    /// Whether such a certificate could be issued, once its names are proven and if its key is good. Refuses in the words that
    /// [`Self::certify`] would use; a refusal of policy is a leaf.
    pub async fn foresee(&self, actor: &Actor, prospect: Prospect) -> Result<(), CaError> {
        self.inner.certifier.foresee(actor, prospect).await
    }

    /// Issues the successor of a certificate: same names, owner, profile and lifetime; a new serial. Without a CSR, the same key.
    pub async fn renew(&self, actor: &Actor, serial_hex: &str, csr: Option<Csr>) -> Result<Issued, CaError> {
        self.inner.certifier.renew(actor, serial_hex, csr).await
    }

    /// Makes a code-signing key in the token and its certificate. Run again after a crash, it continues.
    pub async fn create_code_key(&self, actor: &Actor, request: CodeKeyRequest) -> Result<Issued, CaError> {
        self.inner.code.create_code_key(actor, request).await
    }

    /// The code-signing keys: label, owner, and the newest certificate of each.
    pub async fn code_keys(&self) -> Result<Vec<(String, Owner, Issued)>, CaError> {
        self.inner.code.code_keys().await
    }

    /// Signs a file's digest with a code-signing key.
    pub async fn sign_code(&self, actor: &Actor, request: CodeRequest) -> Result<CodeSignature, CaError> {
        self.inner.code.sign_code(actor, request).await
    }

    /// Issues an SSH user certificate (profile `ssh-user`).
    pub async fn sign_ssh_user(&self, actor: &Actor, request: SshRequest) -> Result<SshIssued, CaError> {
        self.inner.ssh.sign_user(actor, request).await
    }

    /// Issues an SSH host certificate (profile `ssh-host`).
    pub async fn sign_ssh_host(&self, actor: &Actor, request: SshRequest) -> Result<SshIssued, CaError> {
        self.inner.ssh.sign_host(actor, request).await
    }

    /// The OpenSSH line of an SSH certificate of the register.
    pub fn ssh_certificate(&self, issued: &Issued) -> Option<String> {
        SshSigner::certificate(issued)
    }

    /// The SSH user CA's public key, one OpenSSH line.
    pub fn ssh_user_ca(&self) -> String {
        self.inner.office.hierarchy.ssh_user.line.clone()
    }

    /// The SSH host CA's public key, one OpenSSH line.
    pub fn ssh_host_ca(&self) -> String {
        self.inner.office.hierarchy.ssh_host.line.clone()
    }

    /// Revokes, then publishes the issuer's CRL. An intent without a conclusion can be revoked too: it counts as issued.
    ///
    /// The revocation is durable when this returns, and so is the CRL, unless many have been made in the last seconds, it is a large
    /// one, or the token or the clock does not allow it yet: the answer says so.
    pub async fn revoke(
        &self,
        actor: &Actor,
        serial_hex: &str,
        reason: RevocationReason,
    ) -> Result<Published, CaError> {
        self.inner.revoker.revoke(actor, serial_hex, reason).await
    }

    /// The same for a certificate that was found before, and compared with the one that is meant.
    pub async fn revoke_found(
        &self,
        actor: &Actor,
        credential: Attested<Credential>,
        reason: RevocationReason,
    ) -> Result<Published, CaError> {
        self.inner.revoker.revoke_found(actor, credential, reason).await
    }

    /// The subject of the CA whose certificate is shown; none where it is another's. What a CA issued ends with it, so that its end is
    /// asked for twice.
    pub fn shown_ca(&self, certificate: &[u8]) -> Result<Option<String>, CaError> {
        self.inner.revoker.shown_ca(certificate)
    }

    /// Revokes a certificate that is shown (PEM or DER), whether the register holds it or lost it: a CA of ours signed it.
    pub async fn revoke_shown(
        &self,
        actor: &Actor,
        certificate: &[u8],
        reason: RevocationReason,
    ) -> Result<ShownRevoked, CaError> {
        self.inner.revoker.revoke_shown(actor, certificate, reason).await
    }

    /// The newest CRL of an issuer, from memory; the last one known while the database is away.
    pub async fn crl(&self, issuer: &str) -> Result<PublishedCrl, CaError> {
        self.inner.desks.crl(issuer).await
    }

    /// Publishes every CRL that is due: a revocation it lacks, or a day of age.
    pub async fn refresh_crls(&self) -> Result<(), CaError> {
        self.inner.desks.refresh().await
    }

    /// Whether OCSP requests of such an issuer are answered.
    pub fn answers_for(&self, issuer: &str) -> bool {
        self.inner.inquiries.knows(issuer)
    }

    /// Answers an OCSP request, whatever it is: from memory, or made for it; what is none of ours or no request, in the words of
    /// RFC 6960. `under` is the issuer that the address names, if it names one.
    pub async fn ocsp(&self, under: Option<&str>, request: &[u8], from: Option<IpAddr>) -> OcspAnswer {
        self.inner.inquiries.answer(under, request, from).await
    }

    /// Puts new OCSP responders in the place of those whose end is near, and drops what nobody asks for. Call it every minute.
    pub async fn tend_ocsp(&self) -> Result<(), CaError> {
        self.inner.inquiries.tend().await
    }

    /// How the OCSP responders are.
    pub fn ocsp_state(&self) -> OcspState {
        self.inner.inquiries.state()
    }

    /// Signs a log head if it moved.
    pub async fn checkpoint(&self) -> Result<(), CaError> {
        self.inner.office.registrar.checkpoint(&self.inner.office.hierarchy.log_key).await
    }

    /// An operator's word that this node's clock is right, whatever the log says: a leaf, by which every node goes on. Answers
    /// the time that was in force and the one that is.
    pub async fn set_time(&self, actor: &Actor, reason: &str) -> Result<(Timestamp, Timestamp), CaError> {
        self.inner.office.checks.clock.set(&self.inner.office.gate, actor, reason).await
    }

    /// A certificate and its intermediates, PEM, without the root. Empty for what is no X.509 certificate or not signed.
    pub fn chain_pem(&self, credential: &Credential) -> String {
        self.inner.office.hierarchy.chain_pem(credential)
    }

    /// A certificate alone, PEM.
    pub fn certificate_pem(&self, credential: &Credential) -> String {
        credential.x509_der().map_or(String::new(), |der| pem::encode("CERTIFICATE", &der))
    }

    /// The root certificates, PEM.
    pub fn roots_pem(&self) -> String {
        self.inner.office.hierarchy.roots_pem()
    }

    /// The CAs.
    pub fn issuers(&self) -> Vec<Issuer> {
        self.inner.office.hierarchy.issuers().map(|issuer| issuer.shown()).collect()
    }

    /// The log's verifier key, as signed-note text.
    pub fn log_verifier_key(&self) -> String {
        self.inner.log_verifier_key.clone()
    }

    /// How it is now.
    pub fn health(&self) -> Health {
        let register = self.ledger().held().map(|why| StoreError::Held(why).to_string());
        let held = register.or_else(|| self.inner.office.checks.held(self.inner.office.hierarchy.issuers()));
        let Office { checks, hierarchy, .. } = &self.inner.office;
        // What holds everything is told once.
        let ended = match held {
            Some(_) => Vec::new(),
            None => {
                hierarchy.issuers().filter_map(|issuer| Some((issuer.label.clone(), checks.stopped(issuer)?))).collect()
            }
        };
        Health { token: self.pool().health(), held, ended }
    }

    /// Whether the token would sign now.
    pub async fn probe_token(&self) -> bool {
        self.pool().probe().await.is_ok()
    }

    /// How long signatures took so far, and how many wait now.
    pub fn signing_times(&self) -> hsm::SigningTimes {
        self.pool().signing_times()
    }

    /// The register.
    pub fn ledger(&self) -> &Ledger {
        &self.inner.parts.ledger
    }

    /// The token.
    pub fn pool(&self) -> &Pool {
        &self.inner.parts.pool
    }

    /// Time and luck.
    pub fn world(&self) -> &World {
        &self.inner.parts.world
    }

    /// Who may do what, now.
    pub fn policies(&self) -> Arc<Policies> {
        self.inner.office.gate.rules().policies()
    }

    /// What may be made, now.
    pub fn profiles(&self) -> Arc<Profiles> {
        self.inner.office.gate.rules().profiles()
    }

    /// Brings other rules into force, and settings of the service: each part that changed is a leaf before it counts. Answers what
    /// changed since the log last heard of this node. An error changes nothing.
    pub async fn amend(&self, actor: &Actor, amendment: Amendment) -> Result<Vec<Amended>, CaError> {
        amendment::amend(&self.inner.office, self.instance().get(), actor, amendment).await
    }
}
