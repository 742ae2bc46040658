//! SSH certificates, from the request to the line that a caller gets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use policy::{Action, Actor, Principal, Resource, World};
use store::{Issued, Kind};

use crate::craft::office::Office;
use crate::craft::ssh::draft::{SshFacts, Under, check_key_id, draft, each_once};
use crate::craft::ssh::request::{SshIssued, SshRequest};
use crate::encode::ssh::signature_blob;
use crate::encode::{Wire, split_string};
use crate::error::CaError;
use crate::intake::ssh_key;
use crate::issuers::IssuerRole;

/// Who signs SSH certificates.
#[derive(Clone)]
pub(crate) struct SshSigner {
    pub(crate) office: Office,
    pub(crate) world: World,
}

impl SshSigner {
    /// Issues an SSH user certificate (profile `ssh-user`).
    pub(crate) async fn sign_user(&self, actor: &Actor, request: SshRequest) -> Result<SshIssued, CaError> {
        self.sign(actor, Action::SignSshUser, request).await
    }

    /// Issues an SSH host certificate (profile `ssh-host`).
    pub(crate) async fn sign_host(&self, actor: &Actor, request: SshRequest) -> Result<SshIssued, CaError> {
        let principals = request.principals.into_iter().map(Principal::of_host).collect();
        let request = SshRequest { principals, ..request };
        self.sign(actor, Action::SignSshHost, request).await
    }

    async fn sign(&self, actor: &Actor, action: Action, request: SshRequest) -> Result<SshIssued, CaError> {
        let (profile, role) = match action == Action::SignSshUser {
            true => (self.office.profile("ssh-user")?, IssuerRole::SshUser),
            false => (self.office.profile("ssh-host")?, IssuerRole::SshHost),
        };
        let key = ssh_key::receive(request.public_key).await.map_err(|e| CaError::bad("public_key", e))?;
        let resource = Resource::ssh(Some(request.owner), each_once(request.principals), profile.name());
        let grant = self.office.gate.authorize(actor, action, resource).await?;
        let mut nonce = [0; 32];
        self.world.fill(&mut nonce);
        // sshd logs the key id as who logged in: nobody chooses it whole, or an insider would log in as somebody else.
        let key_id = match request.key_id {
            Some(given) => {
                check_key_id(&given)?;
                format!("{given} ({})", actor.id)
            }
            None => actor.id.clone(),
        };
        let under = Under {
            ca: self.office.issuers.ssh(&profile.issuer, role).await?,
            profile,
            serial: self.office.serials.next(),
            now: self.office.checks.clock.now().await?,
        };
        let facts = SshFacts { key, key_id: key_id.clone(), life: request.life, nonce };
        let issued = self.office.issue(draft(grant, under, facts)?).await?;
        let certificate = line(&issued, &key_id);
        let certificate = certificate
            .ok_or_else(|| CaError::Internal("a signed SSH certificate cannot be put together".to_owned()))?;
        Ok(SshIssued { issued, certificate })
    }

    /// The OpenSSH line of an SSH certificate of the register.
    pub(crate) fn certificate(issued: &Issued) -> Option<String> {
        match issued.kind {
            Kind::SshUser | Kind::SshHost => line(issued, &issued.subject),
            Kind::CaCertificate
            | Kind::Certificate
            | Kind::CodeSignature
            | Kind::Crl
            | Kind::CaRequest
            | Kind::OcspBatch => None,
        }
    }
}

/// The signed certificate as an OpenSSH line.
fn line(issued: &Issued, key_id: &str) -> Option<String> {
    let signature = signature_blob(issued.algorithm, issued.signature())?;
    let certificate = Wire::default().raw(&issued.tbs).string(signature).0;
    let (name, _) = split_string(&certificate)?;
    Some(format!("{} {} {key_id}", std::str::from_utf8(name).ok()?, STANDARD.encode(&certificate)))
}
