//! How issuers come to be, are succeeded and end; what is signed for others, and what of others comes here.

use policy::{Actor, Owner};

use super::base::Authority;
use crate::error::CaError;
use crate::intake::RevocationReason;
use crate::issuers::GenerationName;
use crate::status::PublishedCrl;
use crate::succession;
use crate::succession::{
    Activation, Arrival, Arrived, Arriving, Brought, CreateIssuer, Homes, Landed, ReadRequest, Rehearsal, Replaced,
    Request, RootToCome, Rotate, SignedBelow, Source, SucceededRoot, Transcript,
};

impl Authority {
    /// Makes a new issuer with its first generation; asked again after a crash, it continues.
    pub async fn create_issuer(&self, actor: &Actor, wish: CreateIssuer) -> Result<GenerationName, CaError> {
        self.inner.keeper.create(actor, wish).await
    }

    /// Makes the successor of an issuer's generation, with a key of its own.
    pub async fn rotate_issuer(&self, actor: &Actor, wish: Rotate) -> Result<GenerationName, CaError> {
        self.inner.keeper.rotate(actor, wish).await
    }

    /// Makes the successor of each issuer whose key is lost with its token, the roots first. One that cannot be made is told; the others
    /// are. Asked again, it continues.
    pub async fn replace_lost(&self, actor: &Actor) -> Result<Replaced, CaError> {
        self.inner.keeper.replace_lost(actor).await
    }

    /// What that would touch, and when. Nothing is made.
    pub async fn rehearse_rotation(&self, actor: &Actor, wish: &Rotate) -> Result<Rehearsal, CaError> {
        self.inner.keeper.rehearse(actor, wish).await
    }

    /// Makes a generation the one that issues, from a moment on.
    pub async fn activate_issuer(&self, actor: &Actor, name: &GenerationName, at: Activation) -> Result<(), CaError> {
        self.inner.keeper.activate(actor, name, at).await
    }

    /// A new certificate for the key of a generation; answers its operation.
    pub async fn renew_issuer(&self, actor: &Actor, name: &GenerationName) -> Result<u64, CaError> {
        self.inner.keeper.renew(actor, name).await
    }

    /// A certificate for a generation by another CA of ours: another way up. Answers its operation.
    pub async fn cross_sign_issuer(
        &self,
        actor: &Actor,
        name: &GenerationName,
        by: &GenerationName,
    ) -> Result<u64, CaError> {
        self.inner.keeper.cross_sign(actor, name, by).await
    }

    /// Changes the tokens in which a generation's key is at home, and their order. One that is added has the very same key, and signs with
    /// it before it is believed.
    pub async fn set_homes(&self, actor: &Actor, name: &GenerationName, homes: Homes) -> Result<(), CaError> {
        self.inner.keeper.set_homes(actor, name, homes).await
    }

    /// Ends a generation that another has followed.
    pub async fn retire_issuer(&self, actor: &Actor, name: &GenerationName, force: bool) -> Result<(), CaError> {
        self.inner.keeper.retire(actor, name, force).await
    }

    /// Ends a generation before its time, with its certificates.
    pub async fn revoke_issuer(
        &self,
        actor: &Actor,
        name: &GenerationName,
        reason: RevocationReason,
    ) -> Result<(), CaError> {
        self.inner.keeper.revoke(actor, name, reason).await
    }

    /// A request for a generation's certificate, for whoever is above it elsewhere.
    pub async fn request_issuer(&self, actor: &Actor, name: &GenerationName) -> Result<Request, CaError> {
        self.inner.keeper.request(actor, name).await
    }

    /// Takes a generation's certificate that was signed elsewhere, with those above it; the transcript of the ceremony that signed it
    /// becomes a leaf with it.
    pub async fn adopt_issuer(
        &self,
        actor: &Actor,
        name: &GenerationName,
        chain_pem: &[u8],
        with: (Option<[u8; 32]>, Option<&[u8]>),
    ) -> Result<(), CaError> {
        self.inner.keeper.adopt(actor, name, chain_pem, with).await
    }

    /// Makes a CA whose key is elsewhere an issuer by name, so that its certificate and its CRLs are served; beside the chain the SHA-256 of a
    /// root that is not known here, and the transcript of the ceremony that made it.
    pub async fn bring_certificate(
        &self,
        actor: &Actor,
        issuer: &str,
        chain_pem: &[u8],
        with: (Option<[u8; 32]>, Option<&[u8]>),
    ) -> Result<GenerationName, CaError> {
        self.inner.keeper.bring_certificate(actor, issuer, chain_pem, with).await
    }

    /// Takes in the next CRL of such a CA; answers whose it is and its number. What of ours it lists is revoked from now on.
    pub async fn bring_crl(&self, actor: &Actor, crl: &[u8]) -> Result<(GenerationName, u64), CaError> {
        self.inner.keeper.bring_crl(actor, crl).await
    }

    /// Reads a request for the certificate of a CA elsewhere, and says why it is none that `by` may sign.
    pub async fn read_request(
        &self,
        actor: &Actor,
        by: &GenerationName,
        csr: &[u8],
        validity_secs: i64,
    ) -> Result<ReadRequest, CaError> {
        self.inner.keeper.read_request(actor, by, csr, validity_secs).await
    }

    /// Signs it. `ceremony` names the act: asked again with the same, it answers what was signed then.
    pub async fn sign_below(
        &self,
        actor: &Actor,
        by: &GenerationName,
        csr: &[u8],
        (validity_secs, ceremony): (i64, &str),
    ) -> Result<SignedBelow, CaError> {
        self.inner.keeper.sign_below(actor, by, csr, (validity_secs, ceremony)).await
    }

    /// Refuses a serial that `by` did not sign; whether it is not revoked yet.
    pub async fn is_revocable(
        &self,
        by: &GenerationName,
        serial_hex: &str,
        reason: RevocationReason,
    ) -> Result<bool, CaError> {
        Ok(self.inner.keeper.revocable(by, serial_hex, reason).await?.is_some())
    }

    /// Revokes certificates of `by`, and signs its next CRL, due or not; its CRLs hold for `crl_secs` from now on.
    pub async fn sign_crl(
        &self,
        actor: &Actor,
        by: &GenerationName,
        revoke: &[(String, RevocationReason)],
        crl_secs: i64,
    ) -> Result<PublishedCrl, CaError> {
        self.inner.keeper.sign_crl(actor, by, (revoke, crl_secs)).await
    }

    /// Whether the hash of a ceremony's transcript is a leaf here.
    pub fn has_transcript(&self, transcript: &Transcript) -> bool {
        succession::is_recorded(self.ledger(), transcript)
    }

    /// Makes the hash of a ceremony's transcript a leaf.
    pub async fn record_transcript(&self, actor: &Actor, transcript: &Transcript) -> Result<(), CaError> {
        self.inner.keeper.record_transcript(actor, transcript).await
    }

    /// Takes in a CA that existed before, whose key is in the token.
    pub async fn bring_issuer(&self, actor: &Actor, brought: Brought) -> Result<GenerationName, CaError> {
        self.inner.keeper.bring(actor, brought).await
    }

    /// What would follow a root, with a key of this kind or of that of the one before: to be shown before it is made.
    pub async fn root_to_come(&self, old: &GenerationName, key: Option<hsm::KeyKind>) -> Result<RootToCome, CaError> {
        self.inner.keeper.root_to_come(old, key).await
    }

    /// Makes the generation that follows a root whose key is here, with the certificates by which whoever trusts one of the two comes to
    /// the other. Asked again after a crash, it continues.
    pub async fn succeed_root(
        &self,
        actor: &Actor,
        old: &GenerationName,
        key: Option<hsm::KeyKind>,
    ) -> Result<SucceededRoot, CaError> {
        self.inner.keeper.succeed_root(actor, old, key).await
    }

    /// Writes down a CA that comes with what it signed elsewhere, or says how that would be; until [`Self::import_done`] it signs nothing.
    pub async fn import_begin(&self, actor: &Actor, arrival: Arrival, rehearse: bool) -> Result<Arrived, CaError> {
        self.inner.keeper.arrive(actor, arrival, rehearse).await
    }

    /// Takes in some of what such a CA signed, or says what would come of it.
    pub async fn import_some(
        &self,
        actor: &Actor,
        name: &GenerationName,
        (all, owner, source): (Vec<Arriving>, Option<Owner>, &[u8; 32]),
        rehearse: bool,
    ) -> Result<Landed, CaError> {
        self.inner.keeper.land(actor, name, (all, owner, source), rehearse).await
    }

    /// Has such a CA sign from now on, a CRL first; what was taken in, and from where, is an entry of the log.
    pub async fn import_done(
        &self,
        actor: &Actor,
        name: &GenerationName,
        (source, landed): (&Source, &Landed),
    ) -> Result<Arrived, CaError> {
        self.inner.keeper.arrived(actor, name, (source, landed)).await
    }

    /// The certificates of a generation and those above it, PEM.
    pub async fn export_issuer(&self, actor: &Actor, name: &GenerationName) -> Result<String, CaError> {
        self.inner.keeper.export(actor, name).await
    }
}
