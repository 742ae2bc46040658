//! A root's next generation where both are at hand, as at an offline root's ceremony: a key and a certificate of its own, and the
//! certificates by which whoever trusts one of the two comes to the other (RFC 4210 section 4.4).
//!
//! Each step looks whether it was done: whatever breaks off, the same act goes on, and nothing is signed a second time.

use std::sync::Arc;

use bytes::Bytes;
use hsm::KeyKind;
use policy::Actor;
use store::{Filter, Kind, State};

use crate::encode::{Dn, sha256};
use crate::error::CaError;
use crate::issuers::record::{CERTIFICATES_MAX, GenerationRecord, IssuerRecord, Place};
use crate::issuers::{CaCertificate, GenerationName};
use crate::succession::keeper::Keeper;
use crate::succession::maker::{missing, stamp};
use crate::succession::wish::{Activation, Rotate};

/// A root that follows another, DER.
#[derive(Clone, Debug)]
pub struct SucceededRoot {
    /// The new one.
    pub name: GenerationName,
    /// Its own certificate.
    pub certificate: Bytes,
    /// New with old: its key, certified by the old root.
    pub new_by_old: Bytes,
    /// Old with new: the old root's key, certified by it.
    pub old_by_new: Bytes,
}

/// What is to be signed when a root is followed: to be shown to those who confirm it.
#[derive(Clone, Debug)]
pub struct RootToCome {
    /// Its name; that of the one before, with its number.
    pub subject: Dn,
    /// The kind of its key.
    pub key: String,
    /// How long its certificate holds, seconds.
    pub validity_secs: i64,
    /// How many CAs may follow below it.
    pub path_len: u8,
}

impl Keeper {
    /// What would follow this root, with a key of this kind or of that of the one before.
    pub(crate) async fn root_to_come(&self, old: &GenerationName, key: Option<KeyKind>) -> Result<RootToCome, CaError> {
        let record = self.maker.record(old.issuer()).await?.0;
        let plan = record.plan.as_ref().ok_or_else(|| CaError::Conflict(format!("{old} is no CA's")))?;
        Ok(RootToCome {
            subject: plan.subject_of(old.number().saturating_add(1))?,
            key: key.map(|kind| kind.to_string()).or(record.keys.first().cloned()).unwrap_or_default(),
            validity_secs: plan.validity_secs,
            path_len: plan.path_len,
        })
    }

    /// Makes the generation that follows `old`, with both links. It issues once all of it is there.
    pub(crate) async fn succeed_root(
        &self,
        actor: &Actor,
        old: &GenerationName,
        key: Option<KeyKind>,
    ) -> Result<SucceededRoot, CaError> {
        self.may(actor).await?;
        let name = GenerationName::new(old.issuer(), old.number().saturating_add(1));
        self.room_for_links(old).await?;
        let there = self.maker.record(name.issuer()).await?.0;
        if there.generation(name.number()).is_none_or(|there| there.certificates.is_empty()) {
            let issuer = name.issuer().to_owned();
            let wish = Rotate { key, activates: Activation::Later, ..Rotate::of(&issuer) };
            let made = self.rotate(actor, wish).await?;
            if made != name {
                return Err(CaError::Conflict(format!("{made} was made, and {name} was meant")));
            }
        }
        let new_by_old = self.link(actor, &name, old).await?;
        let old_by_new = self.link(actor, old, &name).await?;
        let there = self.maker.record(name.issuer()).await?.0;
        if there.generation(name.number()).is_some_and(|there| there.activates.is_none()) {
            self.activate(actor, &name, Activation::Now).await?;
        }
        let certificate = self.certificate_of(&name).await?.der.clone();
        Ok(SucceededRoot { name, certificate, new_by_old: new_by_old.der.clone(), old_by_new: old_by_new.der.clone() })
    }

    /// Below the old root stand the new one and the CAs below that: a link without room for both leads nowhere.
    async fn room_for_links(&self, old: &GenerationName) -> Result<(), CaError> {
        let path_len = self.certificate_of(old).await?.path_len;
        match path_len.is_none_or(|most| most >= LINKED) {
            true => Ok(()),
            false => Err(CaError::Conflict(format!(
                "below {old} there is room for {} CA, and a link needs {LINKED}, the new root counted: whoever trusts {old} alone could not \
                 be led to the new one. Make another root at a ceremony of its own, and bring it beside this one",
                path_len.unwrap_or(0)
            ))),
        }
    }

    /// The certificate of one root's key by the other, signed if it is not there.
    async fn link(
        &self,
        actor: &Actor,
        of: &GenerationName,
        by: &GenerationName,
    ) -> Result<Arc<CaCertificate>, CaError> {
        if let Some(there) = self.linked(of, by).await? {
            return Ok(there);
        }
        let changing = self.changing.lock().await;
        match self.signed_link(of, by).await? {
            // What broke off before it was written down.
            Some(operation) => {
                let (mut record, expect) = self.maker.record(of.issuer()).await?;
                let generation = record.generation_mut(of.number()).ok_or_else(|| missing(of))?;
                generation.cross.push(Place::Operation(operation));
                self.maker.write(of.issuer(), (&record, expect), Vec::new(), &stamp(actor)).await?;
            }
            None => drop(self.cross_with(actor, of, by).await?),
        }
        drop(changing);
        self.settle().await;
        let there = self.linked(of, by).await?;
        there.ok_or_else(|| CaError::Internal(format!("the link of {of} by {by} was signed, and is not there")))
    }

    async fn linked(&self, of: &GenerationName, by: &GenerationName) -> Result<Option<Arc<CaCertificate>>, CaError> {
        let above = self.certificate_of(by).await?;
        let hierarchy = self.office.issuers.fresh().await?;
        let generation = hierarchy.generation(of).ok_or_else(|| missing(of))?;
        Ok(generation.cross.iter().find(|cross| cross.is_signed_by(&above)).cloned())
    }

    async fn signed_link(&self, of: &GenerationName, by: &GenerationName) -> Result<Option<u64>, CaError> {
        let filter = Filter {
            kind: Some(Kind::CaCertificate),
            state: Some(State::Issued),
            key_hash: Some(self.certificate_of(of).await?.key_hash()),
            ..Filter::default()
        };
        let newest = self.office.ledger.newest(filter).await?;
        Ok(newest.filter(|there| there.issuer == by.to_string()).map(|there| there.operation))
    }

    async fn certificate_of(&self, name: &GenerationName) -> Result<Arc<CaCertificate>, CaError> {
        let hierarchy = self.office.issuers.fresh().await?;
        let generation = hierarchy.generation(name).ok_or_else(|| missing(name))?;
        generation.certificate().cloned().ok_or_else(|| CaError::Conflict(format!("{name} has no certificate")))
    }
}

/// Takes the links among certificates that were brought with a root's next generation: each goes to the generation whose key it is for,
/// if another generation of the same issuer signed it. Answers them, to be kept; what is none of these is left to the chain.
pub(super) fn take_links(
    record: &mut IssuerRecord,
    own: &[Arc<CaCertificate>],
    brought: &[Arc<CaCertificate>],
) -> Vec<Arc<CaCertificate>> {
    let mut taken = Vec::new();
    let is_of = |generation: &GenerationRecord, certificate: &CaCertificate| {
        generation.fingerprint() == Some(certificate.key_hash())
    };
    for link in brought.iter().filter(|link| !link.is_root()) {
        let by_ours = own.iter().any(|own| own.key_hash() != link.key_hash() && link.is_signed_by(own));
        let place = Place::Kept(hex::encode(sha256(&link.der)));
        let Some(generation) = record.generations.iter_mut().find(|there| is_of(there, link)).filter(|_| by_ours)
        else {
            continue;
        };
        let has_it = generation.certificates.iter().chain(&generation.cross).any(|there| *there == place);
        if !has_it && generation.cross.len() < CERTIFICATES_MAX {
            generation.cross.push(place);
            taken.push(Arc::clone(link));
        }
    }
    taken
}

/// The new root, and a CA below it.
const LINKED: u32 = 2;
