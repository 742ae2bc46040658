//! The facade: everything the edges may ask of the authority. Here its rooms are furnished, and each request is passed on to the
//! one who answers it; nothing is decided here.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use hsm::Pool;
use policy::{Action, Actor, Grant, Instance, Owner, Policies, Resource, Timestamp, World};
use store::{Attested, Credential, Issued, Ledger, StoreError};

use crate::amendment::{self, Amended, Amendment};
use crate::approvals::{Approvals, Waiting};
use crate::checks::Checks;
use crate::craft::Office;
use crate::craft::code::{CodeKeyRequest, CodeRequest, CodeSignature, CodeSigner};
use crate::craft::leaf::{Certifier, CertifyRequest, Prospect, Replay, Trial};
use crate::craft::ssh::{SshIssued, SshRequest, SshSigner};
use crate::drafting::Serials;
use crate::drills::{Drill, DrillProgress, Drills, NewDrill, Part, Renewal, Renewing};
use crate::encode::{BundleForm, pem};
use crate::error::CaError;
use crate::fit::{self, Unfit};
use crate::gate::Gate;
use crate::intake::{Csr, Ending, RevocationReason};
use crate::issuers::{Generation, GenerationName, Issuer, IssuerRole, Registry, ShownCertificate};
use crate::parts::Parts;
use crate::profiles::{Profile, Profiles};
use crate::registrar::Registrar;
use crate::rules::Rules;
use crate::status::{
    Act, Desks, Inquiries, Meant, OcspAnswer, OcspState, Proposal, Published, PublishedCrl, Publisher, Revoker,
    Selection, ShownRevoked,
};
use crate::succession::{
    self, Activation, Arrival, Arrived, Arriving, Brought, CreateConfig, CreateIssuer, Homes, Keeper, Landed, Maker,
    ReadRequest, Rehearsal, Request, Rotate, SignedBelow, Source, SucceededRoot, Transcript,
};
use crate::texts;
use crate::view;

/// How the authority is now.
#[derive(Clone, Debug)]
pub struct Health {
    /// The tokens together: ready, if one of those is in which who issues to end entities has its key.
    pub token: hsm::Health,
    /// Each of them by its name, the first first.
    pub tokens: Vec<(String, hsm::Health)>,
    /// Why nothing is issued although the token is ready (the clock, a CA that ended); `None` when all is well.
    pub held: Option<String>,
    /// CAs under which nothing is issued any more, each with why; the others go on.
    pub ended: Vec<(String, String)>,
    /// What operators have to see to in time: CRLs of CAs whose key is elsewhere.
    pub due: Vec<String>,
    /// Profiles under which nothing can be issued, by what they and their issuers say.
    pub unfit: Vec<Unfit>,
}

/// A certificate authority. Cheap to clone.
#[derive(Clone)]
pub struct Authority {
    inner: Arc<Inner>,
}

/// Who answers what.
struct Inner {
    parts: Parts,
    office: Office,
    certifier: Certifier,
    approvals: Approvals,
    code: CodeSigner,
    ssh: SshSigner,
    desks: Arc<Desks>,
    revoker: Revoker,
    inquiries: Inquiries,
    keeper: Keeper,
    drills: Drills,
}

impl Inner {
    async fn furnish(parts: Parts) -> Result<Inner, CaError> {
        let Parts { ledger, pool, world, policies, profiles, instance, urls } = &parts;
        let issuers = Registry::open(pool.clone(), ledger.clone(), urls.clone()).await?;
        let checks = Arc::new(Checks::new(world.clone(), ledger));
        // Without its log nothing here can be proved.
        issuers.log_key().await?;
        let office = Office {
            gate: Gate::new(ledger.clone(), Rules::new(policies.clone(), profiles.clone())),
            ledger: ledger.clone(),
            issuers,
            serials: Serials::new(world.clone(), *instance),
            checks,
            registrar: Registrar::new(ledger.clone(), pool.clone()),
        };
        let certifier = Certifier { office: office.clone() };
        let approvals = Approvals { certifier: certifier.clone() };
        let code = CodeSigner::new(office.clone(), certifier.clone(), pool.clone(), *instance);
        let ssh = SshSigner { office: office.clone(), world: world.clone() };
        let desks = Arc::new(Desks::open(Publisher::open(office.clone()).await));
        let revoker = Revoker { office: office.clone(), desks: desks.clone() };
        let inquiries = Inquiries::open(&office, pool, world, *instance);
        let maker = Maker::of(&office, pool.clone());
        let keeper = Keeper::new(office.clone(), maker, desks.clone());
        let drills = Drills::open(office.clone()).await?;
        Ok(Inner { office, certifier, approvals, code, ssh, desks, revoker, inquiries, keeper, drills, parts })
    }
}

impl Authority {
    /// Makes the keys and CA certificates of a new authority, its first CRLs and its first log head; run again after a crash, it
    /// continues.
    pub async fn create(parts: Parts, config: CreateConfig) -> Result<Authority, CaError> {
        succession::create(&parts, &config).await?;
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

    /// A page of those that the actor asked for or may approve, and where the next begins.
    pub async fn requests(
        &self,
        actor: &Actor,
        after: Option<String>,
    ) -> Result<(Vec<(String, Waiting)>, Option<String>), CaError> {
        self.inner.approvals.list(actor, after).await
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

    /// The public keys of the CAs that sign for SSH users, an OpenSSH line each: those in use, and those that will be.
    pub fn ssh_user_ca(&self) -> String {
        view::ssh_lines(&self.inner.office, IssuerRole::SshUser)
    }

    /// The same of those that sign for SSH hosts.
    pub fn ssh_host_ca(&self) -> String {
        view::ssh_lines(&self.inner.office, IssuerRole::SshHost)
    }

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
    ) -> Result<(Vec<(String, Proposal)>, Option<String>), CaError> {
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

    /// Signs a log head if it moved.
    pub async fn checkpoint(&self) -> Result<(), CaError> {
        let log_keys = self.inner.office.issuers.log_keys().await?;
        self.inner.office.registrar.checkpoint(&log_keys).await.map(drop)
    }

    /// An operator's word that this node's clock is right, whatever the log says: a leaf, by which every node goes on. Answers
    /// the time that was in force and the one that is.
    pub async fn set_time(&self, actor: &Actor, reason: &str) -> Result<(Timestamp, Timestamp), CaError> {
        self.inner.office.checks.clock.set(&self.inner.office.gate, actor, reason).await
    }

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
        self.inner.office.issuers.look_again().await
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
    pub async fn drills(&self, after: Option<String>) -> Result<Vec<Drill>, CaError> {
        self.inner.drills.list(after).await
    }

    /// Makes a new issuer with its first generation; asked again after a crash, it continues.
    pub async fn create_issuer(&self, actor: &Actor, wish: CreateIssuer) -> Result<GenerationName, CaError> {
        self.inner.keeper.create(actor, wish).await
    }

    /// Makes the successor of an issuer's generation, with a key of its own.
    pub async fn rotate_issuer(&self, actor: &Actor, wish: Rotate) -> Result<GenerationName, CaError> {
        self.inner.keeper.rotate(actor, wish).await
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

    /// The verifier key of the log's present key, as signed-note text.
    pub fn log_verifier_key(&self) -> String {
        view::log_keys(&self.inner.office).into_iter().next().unwrap_or_default()
    }

    /// The verifier keys of every generation of the log's key, the present one first: what was signed with an old one is verified with it.
    pub fn log_verifier_keys(&self) -> Vec<String> {
        view::log_keys(&self.inner.office)
    }

    /// How it is now.
    pub fn health(&self) -> Health {
        let register = self.ledger().held().map(|why| StoreError::Held(why).to_string());
        let active = view::active(&self.inner.office);
        let checks = &self.inner.office.checks;
        // A CA above CAs is no one's to be held by; what ended it is told.
        let held = register.or_else(|| checks.held(active.iter().filter(|issuing| issuing.leaves)));
        // What holds everything is told once.
        let ended = match held {
            Some(_) => Vec::new(),
            None => view::stopped(&self.inner.office),
        };
        let tokens = self.pool().tokens().iter().map(|token| (token.name().to_owned(), token.health())).collect();
        let (due, unfit) = (view::due(&self.inner.office), self.unfit());
        Health { token: view::tokens(&self.inner.office), tokens, held, ended, due, unfit }
    }

    /// The profiles in force under which nothing can be issued now: a question of memory.
    pub fn unfit(&self) -> Vec<Unfit> {
        fit::unfit(&self.inner.office, &self.profiles())
    }

    /// Why nothing could be issued now under such a profile, in force or not; none where it could.
    pub fn unfit_for(&self, profile: &Profile) -> Option<Unfit> {
        fit::of(&self.inner.office, profile)
    }

    /// Whether the token would sign now.
    pub async fn probe_token(&self) -> bool {
        self.pool().probe().await.is_ok()
    }

    /// How long signatures took so far, and how many wait now: of each token, by its name.
    pub fn signing_times(&self) -> Vec<(String, hsm::SigningTimes)> {
        self.pool().tokens().iter().map(|token| (token.name().to_owned(), token.signing_times())).collect()
    }

    /// Whether a key (SHA-256 of its SubjectPublicKeyInfo) is known to be in other hands: it is believed by nobody here again.
    pub fn is_compromised(&self, key_hash: &[u8; 32]) -> bool {
        self.inner.office.checks.is_compromised(key_hash)
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
