//! How certificates end, and what is published of it: revocations, CRLs, OCSP; what is to be replaced before its time.

use std::net::IpAddr;

use bytes::Bytes;
use policy::Actor;
use store::{Attested, Credential};

use super::base::Authority;
use crate::drills::{Drill, DrillProgress, NewDrill, Part, Renewal, Renewing};
use crate::error::CaError;
use crate::intake::{Csr, Ending};
use crate::issuers::GenerationName;
use crate::listed::Listed;
use crate::status::{Act, Meant, OcspAnswer, OcspState, Proposal, Published, PublishedCrl, Selection, ShownRevoked};
use crate::view;

impl Authority {
    /// Revokes, then publishes the issuer's CRL. An intent without a conclusion can be revoked too: it counts as issued.
    ///
    /// The revocation is durable when this returns, and so is the CRL, unless many have been made in the last seconds, it is a large
    /// one, or the token or the clock does not allow it yet: the answer says so.
    ///
    /// The same revocation again writes nothing and answers the same. What is on hold may be released, or end for good.
    pub async fn revoke(
        &self,
        actor: &Actor,
        serial_hex: &str,
        ending: impl Into<Ending>,
    ) -> Result<Published, CaError> {
        self.inner.revoker.revoke(actor, serial_hex, ending.into()).await
    }

    /// The same for a certificate that was found before, and compared with the one that is meant.
    pub async fn revoke_found(
        &self,
        actor: &Actor,
        credential: Attested<Credential>,
        ending: impl Into<Ending>,
    ) -> Result<Published, CaError> {
        self.inner.revoker.revoke_found(actor, credential, ending.into()).await
    }

    /// What was on hold counts again.
    pub async fn release(&self, actor: &Actor, serial_hex: &str) -> Result<Published, CaError> {
        self.inner.revoker.release(actor, serial_hex).await
    }

    /// What an act on many would end, each of which the actor may end.
    pub async fn preview(&self, actor: &Actor, of: &Selection, ending: Ending) -> Result<Meant, CaError> {
        self.inner.revoker.preview(actor, of, ending).await
    }

    /// Ends all that are meant; of many, proposes to: another person confirms.
    pub async fn revoke_many(&self, actor: &Actor, of: Selection, ending: Ending) -> Result<Act, CaError> {
        self.inner.revoker.revoke_many(actor, of, ending).await
    }

    /// A proposal, for who may end what it is about, and for who reads the log.
    pub async fn proposal(&self, actor: &Actor, id: &str) -> Result<Proposal, CaError> {
        self.inner.revoker.proposal(actor, id).await
    }

    /// A page of those, and where the next begins; `open`: of those alone that another may confirm yet.
    pub async fn proposals(
        &self,
        actor: &Actor,
        open: bool,
        after: Option<String>,
    ) -> Result<Listed<(String, Proposal)>, CaError> {
        self.inner.revoker.proposals(actor, open, after).await
    }

    /// Carries out what another person proposed, if it is still exactly that.
    pub async fn confirm(&self, actor: &Actor, id: &str) -> Result<Act, CaError> {
        self.inner.revoker.confirm(actor, id).await
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
        ending: impl Into<Ending>,
    ) -> Result<ShownRevoked, CaError> {
        self.inner.revoker.revoke_shown(actor, certificate, ending.into()).await
    }

    /// Revokes the certificate that is shown (PEM or DER) as compromised, because the request was made with its key: its subject is
    /// `O=revoke key-compromise, CN=` and the SHA-256 of the certificate. Whoever asks needs no right.
    pub async fn revoke_by_key(&self, certificate: &[u8], proof: &Csr) -> Result<ShownRevoked, CaError> {
        self.inner.revoker.revoke_by_key(certificate, proof).await
    }

    /// The certificates of the SSH CAs that are revoked, as a key revocation list of OpenSSH, from memory.
    pub fn ssh_krl(&self) -> Bytes {
        self.inner.krl.newest()
    }

    /// The newest CRL of a generation (`tls/1`), or of the one that issues for an issuer's name, from memory; the last one known while
    /// the database is away.
    pub async fn crl(&self, of: &str) -> Result<PublishedCrl, CaError> {
        self.inner.desks.crl(&view::series(&self.inner.office, of)).await
    }

    /// The series of CRLs of a generation: everything, and each part where there are several.
    pub fn crl_series(&self, of: &GenerationName) -> Vec<String> {
        let there = self.inner.office.issuers.read();
        let issuing = there.generation(of).and_then(|generation| generation.issuing());
        issuing.map_or_else(|| vec![of.to_string()], |issuing| issuing.series())
    }

    /// Publishes every CRL that is due: a revocation it lacks, or a day of age.
    pub async fn refresh_crls(&self) -> Result<(), CaError> {
        self.inner.desks.refresh().await
    }

    /// Whether OCSP requests of such a generation (`tls/1`) are answered.
    pub async fn answers_for(&self, issuer: &str) -> bool {
        self.inner.inquiries.knows(issuer).await
    }

    /// Answers an OCSP request, whatever it is: from memory, or made for it; what is none of ours or no request, in the words of
    /// RFC 6960. `under` is the generation that the address names, if it names one.
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

    /// When a certificate is to be renewed, and why before its time: from memory.
    pub fn renewal(&self, renewing: &Renewing) -> Renewal {
        self.inner.drills.renewal(renewing, self.world().now())
    }

    /// Parts of the register that are to be replaced before their time: what CAs made that are revoked or compromised, and what open
    /// drills mark.
    pub fn marked(&self) -> Vec<Part> {
        self.inner.drills.marked()
    }

    /// Begins a drill: what it marks is to be replaced within its window. `dry`: says what it would mark, and writes nothing.
    pub async fn begin_drill(&self, actor: &Actor, new: NewDrill, dry: bool) -> Result<DrillProgress, CaError> {
        self.inner.drills.begin(actor, new, dry).await
    }

    /// Ends a drill: what it marks is renewed by its life again.
    pub async fn end_drill(&self, actor: &Actor, id: &str) -> Result<DrillProgress, CaError> {
        self.inner.drills.end(actor, id).await
    }

    /// How far a drill is. It counts what is left: a report, no question for every second.
    pub async fn drill(&self, id: &str) -> Result<DrillProgress, CaError> {
        self.inner.drills.progress(id).await
    }

    /// A page of drills by their ids, the first the oldest, after one of them.
    pub async fn drills(&self, after: Option<String>) -> Result<Listed<Drill>, CaError> {
        self.inner.drills.list(after).await
    }
}
