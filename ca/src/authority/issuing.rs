//! What the authority signs for those who ask: certificates, requests that others approve, SSH, code.

use policy::{Action, Actor, Owner, Resource, Timestamp};
use store::Issued;

use super::base::Authority;
use crate::approvals::Waiting;
use crate::craft::code::{CodeKeyRequest, CodeRequest, CodeSignature};
use crate::craft::leaf::{CertifyRequest, Prospect, Replay, Trial};
use crate::craft::ssh::{SshIssued, SshRequest, SshSigner};
use crate::error::CaError;
use crate::intake::Csr;
use crate::issuers::IssuerRole;
use crate::listed::Listed;
use crate::profiles::Profile;
use crate::view;

impl Authority {
    /// Issues a certificate.
    pub async fn certify(&self, actor: &Actor, request: CertifyRequest) -> Result<Issued, CaError> {
        self.inner.office.across_changes(|| self.inner.certifier.certify(actor, request.clone())).await
    }

    /// Whether such a certificate could be issued, once its names are proven and if its key is good. Refuses in the words that
    /// [`Self::certify`] would use; a refusal of policy is a leaf.
    pub async fn foresee(&self, actor: &Actor, prospect: Prospect) -> Result<(), CaError> {
        self.inner.certifier.foresee(actor, prospect).await
    }

    /// What would be issued for a request, or all that stands against it; nothing is signed, and nothing written.
    pub async fn try_out(&self, actor: &Actor, request: CertifyRequest) -> Result<Trial, CaError> {
        self.inner.certifier.try_out(actor, request).await
    }

    /// What of the requests since a moment would come out otherwise under changed profiles, page by page. For whoever may read all
    /// certificates; a refusal is a leaf.
    pub async fn replay(
        &self,
        actor: &Actor,
        changed: &[Profile],
        since: Timestamp,
        cursor: Option<String>,
    ) -> Result<Replay, CaError> {
        let all = Resource::certificate(None, String::new(), Vec::new());
        let _grant = self.inner.office.gate.authorize(actor, Action::ReadCertificate, all).await?;
        self.inner.certifier.replay(changed, since, cursor).await
    }

    /// Writes a request down that others are to approve, because its profile says so; what could not be issued is refused now. Answers
    /// its name.
    pub async fn ask(&self, actor: &Actor, request: CertifyRequest) -> Result<(String, Waiting), CaError> {
        self.inner.approvals.ask(actor, request).await
    }

    /// A request that waits for others, for who asked and for who may approve it.
    pub async fn request(&self, actor: &Actor, id: &str) -> Result<Waiting, CaError> {
        self.inner.approvals.show(actor, id).await
    }

    /// A page of those that the actor asked for or may approve; `open`: of those alone that wait for others.
    pub async fn requests(
        &self,
        actor: &Actor,
        open: bool,
        after: Option<String>,
    ) -> Result<Listed<(String, Waiting)>, CaError> {
        self.inner.approvals.list(actor, open, after).await
    }

    /// Another than who asked says yes to a request.
    pub async fn approve(&self, actor: &Actor, id: &str) -> Result<Waiting, CaError> {
        self.inner.approvals.approve(actor, id).await
    }

    /// Another than who asked says no, and that is the end of it.
    pub async fn refuse(&self, actor: &Actor, id: &str, why: Option<String>) -> Result<Waiting, CaError> {
        self.inner.approvals.refuse(actor, id, why).await
    }

    /// Whoever asked takes what others approved: it is signed now.
    pub async fn collect(&self, actor: &Actor, id: &str) -> Result<Issued, CaError> {
        self.inner.approvals.collect(actor, id).await
    }

    /// Issues the successor of a certificate: same names, owner, profile and lifetime; a new serial. Without a CSR, the same key.
    pub async fn renew(&self, actor: &Actor, serial_hex: &str, csr: Option<Csr>) -> Result<Issued, CaError> {
        self.inner.office.across_changes(|| self.inner.certifier.renew(actor, serial_hex, csr.clone())).await
    }

    /// Makes a code-signing key in the token and its certificate. Run again after a crash, it continues.
    pub async fn create_code_key(&self, actor: &Actor, request: CodeKeyRequest) -> Result<Issued, CaError> {
        self.inner.code.create_code_key(actor, request).await
    }

    /// The code-signing keys: label, owner, and the newest certificate of each.
    pub async fn code_keys(&self) -> Result<Listed<(String, Owner, Issued)>, CaError> {
        self.inner.code.code_keys().await
    }

    /// Signs a file's digest with a code-signing key.
    pub async fn sign_code(&self, actor: &Actor, request: CodeRequest) -> Result<CodeSignature, CaError> {
        self.inner.office.across_changes(|| self.inner.code.sign_code(actor, request.clone())).await
    }

    /// Issues an SSH user certificate (profile `ssh-user`).
    pub async fn sign_ssh_user(&self, actor: &Actor, request: SshRequest) -> Result<SshIssued, CaError> {
        self.inner.office.across_changes(|| self.inner.ssh.sign_user(actor, request.clone())).await
    }

    /// Issues an SSH host certificate (profile `ssh-host`).
    pub async fn sign_ssh_host(&self, actor: &Actor, request: SshRequest) -> Result<SshIssued, CaError> {
        self.inner.office.across_changes(|| self.inner.ssh.sign_host(actor, request.clone())).await
    }

    /// The OpenSSH line of an SSH certificate of the register.
    pub fn ssh_certificate(&self, issued: &Issued) -> Option<String> {
        SshSigner::certificate(issued)
    }

    /// The public keys of the CAs that sign for SSH users, an OpenSSH line each: those in use, and those that will be.
    pub fn ssh_user_ca(&self) -> String {
        view::ssh_lines(&self.inner.office, IssuerRole::SshUser)
    }

    /// The same of those that sign for SSH hosts.
    pub fn ssh_host_ca(&self) -> String {
        view::ssh_lines(&self.inner.office, IssuerRole::SshHost)
    }
}
