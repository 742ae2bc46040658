//! What a CA signs for CAs whose keys are elsewhere: an offline root for its intermediates.
//!
//! A request is read into a plan, exactly: what it asks for is what is shown to people, and what is signed; what cannot be shown is
//! refused. Trusted for that. Whoever controls it can have people confirm something else than is signed.

use std::sync::Arc;

use const_oid::db::rfc5280;
use policy::Actor;
use serde_json::json;
use store::{Filter, GrantStamp, Kind, Revocation, State};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    BasicConstraints, CertificatePolicies, ExtendedKeyUsage, KeyUsage, NameConstraints, SubjectKeyIdentifier,
};

use crate::craft::ca::{self, CaRequest, SignedBy};
use crate::encode::{Dn, pem};
use crate::error::CaError;
use crate::intake::{CaCsr, RevocationReason, is_raised};
use crate::issuers::plan::{CaPlan, Constraints, constraint_text, purpose_word};
use crate::issuers::{GenerationName, Issuing};
use crate::lint::within::is_same_name;
use crate::status::PublishedCrl;
use crate::succession::keeper::Keeper;
use crate::succession::maker::{missing, stamp};

/// A request for a CA's certificate, as people read it before it is signed.
#[derive(Clone, Debug)]
pub struct ReadRequest {
    /// SHA-256 of the request.
    pub sha256: String,
    /// Whom it names.
    pub subject: Dn,
    /// What kind of key.
    pub key_kind: hsm::KeyKind,
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub key_hash: String,
    /// How many CAs may follow below it.
    pub path_len: u8,
    /// Purposes of its leaves, OIDs; none is any.
    pub purposes: Vec<String>,
    /// Names that what is below may have.
    pub permitted: Vec<String>,
    /// Names that it may not have.
    pub excluded: Vec<String>,
    /// Certificate policies, OIDs.
    pub policies: Vec<String>,
}

/// A CA's certificate that was signed for somebody elsewhere.
#[derive(Clone, Debug)]
pub struct SignedBelow {
    /// PEM, and those above it.
    pub chain_pem: String,
    /// DER.
    pub der: Vec<u8>,
    /// Its serial, lower-case hexadecimal.
    pub serial_hex: String,
    /// Its operation in the register.
    pub operation: u64,
}

impl Keeper {
    /// Reads a request, and says why it is none that `by` may sign.
    pub(crate) async fn read_request(
        &self,
        actor: &Actor,
        by: &GenerationName,
        csr: &[u8],
        validity_secs: i64,
    ) -> Result<ReadRequest, CaError> {
        self.may(actor).await?;
        let (csr, plan) = planned(csr, validity_secs)?;
        self.room_below(by, (&csr, &plan)).await?;
        Ok(ReadRequest {
            sha256: hex::encode(csr.sha256),
            subject: plan.subject_of(1)?,
            key_kind: csr.key.kind(),
            key_hash: hex::encode(csr.key.hash()),
            path_len: plan.path_len,
            purposes: plan.purposes.iter().map(|oid| purpose_word(oid)).collect(),
            permitted: plan.constraints.permitted,
            excluded: plan.constraints.excluded,
            policies: plan.policies,
        })
    }

    /// Signs it. `ceremony` names the act: asked again with the same, it answers what was signed then.
    pub(crate) async fn sign_below(
        &self,
        actor: &Actor,
        by: &GenerationName,
        csr: &[u8],
        (validity_secs, ceremony): (i64, &str),
    ) -> Result<SignedBelow, CaError> {
        let grant = self.may(actor).await?;
        let _changing = self.changing.lock().await;
        let (csr, plan) = planned(csr, validity_secs)?;
        let above = self.room_below(by, (&csr, &plan)).await?;
        if self.office.checks.is_compromised(&csr.key.hash()) {
            return Err(CaError::bad("key", "it was revoked as compromised; make a new key"));
        }
        let filter = Filter {
            kind: Some(Kind::CaCertificate),
            state: Some(State::Issued),
            key_hash: Some(csr.key.hash()),
            ..Filter::default()
        };
        let before = self.office.ledger.newest(filter).await?;
        let before = before.filter(|c| c.details.get("ceremony").and_then(|c| c.as_str()) == Some(ceremony));
        let operation = match before {
            Some(before) => before.operation,
            None => {
                let details = json!({ "ceremony": ceremony, "request": hex::encode(csr.sha256) });
                let named = identifier(&csr)?;
                let request = CaRequest { plan: &plan, number: 1, subject_key: csr.key, named, details };
                let (serial, now) = (self.maker.serials.next(), self.maker.checks.clock.now().await?);
                let draft = ca::draft(grant, request, SignedBy::Ca(Arc::clone(&above)), serial, now)?;
                self.office.issue(draft).await?.operation
            }
        };
        let found = self.office.ledger.credential_by_operation(operation).await?;
        let signed = found.and_then(|found| Some((found.x509_der()?, found.serial_hex())));
        let (der, serial_hex) = signed.ok_or_else(|| CaError::Internal("what was signed is not there".to_owned()))?;
        let root = above.chains.first().into_iter().flatten().map(|c| pem::encode("CERTIFICATE", &c.der));
        let chain_pem = std::iter::once(pem::encode("CERTIFICATE", &der)).chain(root).collect();
        Ok(SignedBelow { chain_pem, der, serial_hex, operation })
    }

    /// RFC 5280 sections 4.2.1.2 and 4.1.2.6: what a key is called is called no other one here, and whoever signs is no other CA. Whoever
    /// builds chains would take one for the other.
    fn is_its_own(
        &self,
        above: &Issuing,
        plan: &CaPlan,
        (named, key_hash): (Option<&[u8]>, &[u8; 32]),
    ) -> Result<(), CaError> {
        let hierarchy = self.office.issuers.read();
        let others = || hierarchy.known().filter(|known| known.key_hash() != *key_hash);
        let bad = |why: String| Err(CaError::bad("csr", why));
        if let Some(other) = others().find(|known| named.is_some_and(|id| id == known.key_identifier)) {
            return bad(format!(
                "its subjectKeyIdentifier is that of another key, of {}: leave it out, and it is computed",
                other.subject
            ));
        }
        let subject = hex::decode(&plan.subject).unwrap_or_default();
        match is_same_name(&subject, above.subject.as_der()) && above.key.fingerprint() != *key_hash {
            true => bad(format!("its subject is that of {} itself, which signs it: name it otherwise", above.label)),
            false => Ok(()),
        }
    }

    /// Revokes certificates of `by`, and signs its next CRL whether it is due or not; from now on its CRLs hold for `crl_secs`.
    pub(crate) async fn sign_crl(
        &self,
        actor: &Actor,
        by: &GenerationName,
        (revoke, crl_secs): (&[(String, RevocationReason)], i64),
    ) -> Result<PublishedCrl, CaError> {
        let grant = self.may(actor).await?;
        let _changing = self.changing.lock().await;
        if !(CRL_SECS_MIN..=CRL_SECS_MAX).contains(&crl_secs) {
            return Err(CaError::bad("valid_for", "a CRL holds for a day at least and three years at most"));
        }
        let (mut record, expect) = self.maker.record(by.issuer()).await?;
        if record.crl_secs != Some(crl_secs) {
            record.crl_secs = Some(crl_secs);
            self.maker.write(by.issuer(), (&record, expect), Vec::new(), &stamp(actor)).await?;
        }
        for (serial_hex, reason) in revoke {
            let Some(found) = self.revocable(by, serial_hex, *reason).await? else { continue };
            let serial = hex::decode(serial_hex).unwrap_or_default();
            let revocation = Revocation {
                operation: found,
                reason: reason.code(),
                at: self.office.checks.clock.of_revocation(),
                invalid: None,
                shard: self.office.issuers.read().shard(&by.to_string(), &serial),
                actor: stamp(actor),
                grant: GrantStamp::from(&grant),
            };
            self.office.ledger.revoke(revocation).await?;
        }
        self.desks.publish_now(&by.to_string()).await
    }

    /// The operation of a certificate that `by` signed, if this is not said of it yet.
    pub(crate) async fn revocable(
        &self,
        by: &GenerationName,
        serial_hex: &str,
        reason: RevocationReason,
    ) -> Result<Option<u64>, CaError> {
        if !reason.is_a_cas() {
            return Err(CaError::bad("reason", "a CA is not put on hold: what it issued would count now and then"));
        }
        let none = || CaError::NotFound(format!("certificate {} of {by}", policy::shown(serial_hex)));
        let found = self.office.ledger.credential(serial_hex).await?.ok_or_else(none)?;
        match found.state {
            _ if found.kind != Kind::CaCertificate || found.issuer != by.to_string() => Err(none()),
            State::Issued | State::Intended => Ok(Some(found.operation)),
            State::Revoked => Ok(is_raised(found.reason, reason.code()).then_some(found.operation)),
            State::Failed => Err(none()),
        }
    }

    /// The CA that signs, if there is room for such a CA below it. The lint says the same of the bytes.
    async fn room_below(&self, by: &GenerationName, (csr, plan): (&CaCsr, &CaPlan)) -> Result<Arc<Issuing>, CaError> {
        let hierarchy = self.office.issuers.fresh().await?;
        let above = hierarchy.issuing_of(&by.to_string()).cloned().ok_or_else(|| missing(by))?;
        if above.path_len.is_some_and(|most| u32::from(plan.path_len) >= most) {
            let most = above.path_len.unwrap_or(0);
            return Err(CaError::bad(
                "path_len",
                format!(
                    "it asks for {} CAs below it; {by} allows {most} below itself, this one counted",
                    plan.path_len
                ),
            ));
        }
        self.is_its_own(&above, plan, (identifier(csr)?.as_deref(), &csr.key.hash()))?;
        Ok(above)
    }
}

/// What it asks its key to be called: of a CA that issued before, what its certificates say.
fn identifier(csr: &CaCsr) -> Result<Option<Vec<u8>>, CaError> {
    let bad = |why: String| CaError::bad("csr", why);
    let asked: Option<SubjectKeyIdentifier> =
        csr.value(rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER).map_err(|e| bad(e.to_string()))?;
    match asked.map(|id| id.0.into_bytes().to_vec()) {
        Some(id) if id.is_empty() || id.len() > IDENTIFIER_BYTES_MAX => Err(bad(format!(
            "its subjectKeyIdentifier has {} bytes, and 1 to {IDENTIFIER_BYTES_MAX} name a key",
            id.len()
        ))),
        asked => Ok(asked),
    }
}

/// What a request asks for, as a plan whose extensions are byte for byte those of the request.
fn planned(csr: &[u8], validity_secs: i64) -> Result<(CaCsr, CaPlan), CaError> {
    let bad = |why: String| CaError::bad("csr", why);
    let csr = CaCsr::parse(csr).map_err(|e| bad(e.to_string()))?;
    let read = |e: crate::intake::CsrError| bad(e.to_string());
    let constraints: Option<BasicConstraints> = csr.value(rfc5280::ID_CE_BASIC_CONSTRAINTS).map_err(read)?;
    let constraints = constraints.filter(|c| c.ca).ok_or_else(|| {
        bad("it does not ask to be a CA: `chancery ca request` writes one that does (basicConstraints CA:TRUE)"
            .to_owned())
    })?;
    let path_len = constraints.path_len_constraint.ok_or_else(|| bad("it names no path length".to_owned()))?;
    let usage: Option<KeyUsage> = csr.value(rfc5280::ID_CE_KEY_USAGE).map_err(read)?;
    if usage.is_some_and(|usage| !usage.key_cert_sign() || !usage.crl_sign()) {
        return Err(bad("its key usage is not that of a CA (keyCertSign and cRLSign)".to_owned()));
    }
    let purposes: Option<ExtendedKeyUsage> = csr.value(rfc5280::ID_CE_EXT_KEY_USAGE).map_err(read)?;
    let names: Option<NameConstraints> = csr.value(rfc5280::ID_CE_NAME_CONSTRAINTS).map_err(read)?;
    let policies: Option<CertificatePolicies> = csr.value(rfc5280::ID_CE_CERTIFICATE_POLICIES).map_err(read)?;
    let texts = |trees: Option<Vec<x509_cert::ext::pkix::constraints::name::GeneralSubtree>>| {
        let shown = |base: &GeneralName| {
            constraint_text(base).ok_or_else(|| bad("it has a name constraint that cannot be shown".to_owned()))
        };
        trees.into_iter().flatten().map(|tree| shown(&tree.base)).collect::<Result<Vec<_>, _>>()
    };
    let (permitted, excluded) = names.map_or((None, None), |n| (n.permitted_subtrees, n.excluded_subtrees));
    let subject = Dn::from_der(&csr.subject).map_err(|e| bad(e.to_string()))?;
    let plan = CaPlan {
        subject: hex::encode(subject.as_der()),
        validity_secs,
        path_len,
        purposes: purposes.into_iter().flat_map(|p| p.0).map(|oid| oid.to_string()).collect(),
        constraints: Constraints { permitted: texts(permitted)?, excluded: texts(excluded)? },
        policies: policies.into_iter().flat_map(|p| p.0).map(|p| p.policy_identifier.to_string()).collect(),
    };
    plan.check()?;
    for asked in &csr.extensions {
        let is_a_cas =
            [rfc5280::ID_CE_BASIC_CONSTRAINTS, rfc5280::ID_CE_KEY_USAGE, rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER];
        let is_purposes = asked.extn_id == rfc5280::ID_CE_EXT_KEY_USAGE && !asked.critical;
        let is_planned = plan.extensions()?.iter().any(|planned| planned == asked);
        if !is_a_cas.contains(&asked.extn_id) && !is_purposes && !is_planned {
            return Err(bad(format!("it asks for extension {}, which is not granted in this form", asked.extn_id)));
        }
    }
    Ok((csr, plan))
}

/// A CRL that is signed at a ceremony.
const CRL_SECS_MIN: i64 = 86_400;
const CRL_SECS_MAX: i64 = 3 * 366 * 86_400;
/// A hash has 20 or 32, a GUID 16; SHA-512 whole has 64.
const IDENTIFIER_BYTES_MAX: usize = 64;
