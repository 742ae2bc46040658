//! CAs whose issuer is elsewhere: a request goes out, a certificate comes in; and CAs that come here with a key of the token.

use const_oid::db::rfc5280;
use der::Decode;
use hsm::{HsmError, Key};
use policy::Actor;
use serde_json::json;
use std::sync::Arc;
use store::Record;
use x509_cert::ext::pkix::CertificatePolicies;
use x509_cert::ext::pkix::constraints::name::GeneralSubtree;

use crate::craft::request;
use crate::encode::{Dn, pem, sha256};
use crate::error::CaError;
use crate::issuers::name::check_name;
use crate::issuers::plan::{CaPlan, Constraints, PATH_LEN_MAX, constraint_text, purpose_word};
use crate::issuers::record::{
    Above, BEGINNING, CERTIFICATES_MAX, GenerationRecord, IssuerRecord, IssuerRole, KEPT, Place,
};
use crate::issuers::{CaCertificate, CrlForm, GenerationName, Standing, Ways};
use crate::succession::ceremonies::{Transcript, groups, transcript_record};
use crate::succession::keeper::{Keeper, certified};
use crate::succession::maker::{missing, stamp};
use crate::succession::wish::{Brought, Request};

impl Keeper {
    /// A request for the certificate of a generation, for whoever is above it: signed once each time it is asked for.
    pub(crate) async fn request(&self, actor: &Actor, name: &GenerationName) -> Result<Request, CaError> {
        let grant = self.may(actor).await?;
        let (record, version) = self.maker.record(name.issuer()).await?;
        let generation = certified(&record, name)?;
        let plan = record
            .plan
            .as_ref()
            .ok_or_else(|| CaError::bad("name", format!("{name} has no plan: it is served, and no more")))?;
        let key = self.maker.found(generation).await?;
        let standing = Standing { name: name.clone(), version, ended: None };
        let now = self.maker.checks.clock.now().await?;
        let named = self.maker.named(name).await?;
        let draft = request::draft(grant, standing, plan, (&key, named.as_deref()), self.maker.serials.next(), now)?;
        let issued = self.office.issue(draft).await?;
        let der = issued.x509_der();
        let aloud = groups(&hex::encode(sha256(&der)));
        Ok(Request { name: name.clone(), pem: pem::encode("CERTIFICATE REQUEST", &der), aloud })
    }

    /// Takes the certificate that was signed elsewhere, with those above it up to a root: checked as a relying party would, link by
    /// link, before it is kept. The generation issues from then on, if none does. The transcript of the ceremony that signed it becomes a
    /// leaf with it.
    pub(crate) async fn adopt(
        &self,
        actor: &Actor,
        name: &GenerationName,
        chain_pem: &[u8],
        (root, transcript): (Option<[u8; 32]>, Option<&[u8]>),
    ) -> Result<(), CaError> {
        self.may(actor).await?;
        let _changing = self.changing.lock().await;
        let (mut record, expect) = self.maker.record(name.issuer()).await?;
        let generation = certified(&record, name)?;
        if generation.certificates.len() >= CERTIFICATES_MAX {
            return Err(CaError::Conflict(format!("{name} has {CERTIFICATES_MAX} certificates: make a successor")));
        }
        let key = self.maker.found(generation).await?;
        let chain = self.checked_chain(&key, chain_pem, root)?;
        let planned = record.plan.as_ref().map(|plan| plan.subject_of(name.number())).transpose()?;
        let own = chain.first().ok_or_else(|| refused("there is no certificate in it"))?;
        let hierarchy = self.office.issuers.fresh().await?;
        let there = hierarchy.generations().find(|there| there.name == *name);
        let before = there.and_then(|there| there.certificates.last());
        check_subject(planned.as_ref(), before.map(|certificate| &certificate.subject), &own.subject)?;
        before.map_or(Ok(()), |before| check_identifier(&before.key_identifier, &own.key_identifier))?;
        record.plan.as_ref().map_or(Ok(()), |plan| check_uses(plan, own))?;
        if hierarchy.generations().any(|above| above.crl.as_ref().is_some_and(|crl| crl.lists(own).is_some())) {
            return Err(refused("the CA above it has revoked it: its CRL lists it"));
        }
        let mut with = self.kept(&chain, actor)?;
        with.extend(transcript.map(|bytes| self.transcript_of(actor, own, bytes)).transpose()?.flatten());
        let first = record.generations.iter().all(|generation| generation.certificates.is_empty());
        let hash = hex::encode(sha256(&own.der));
        if let Some(generation) = record.generation_mut(name.number()) {
            if generation.certificates.iter().chain(&generation.cross).any(|there| *there == Place::Kept(hash.clone()))
            {
                return Err(CaError::Conflict(format!("{name} has this certificate already")));
            }
            generation.certificates.push(Place::Kept(hash));
            generation.activates = generation.activates.or(first.then_some(BEGINNING));
        }
        self.maker.write(name.issuer(), (&record, expect), with, &stamp(actor)).await?;
        self.settle().await;
        Ok(())
    }

    /// The record of the transcript of the ceremony that signed this certificate.
    pub(super) fn transcript_of(
        &self,
        actor: &Actor,
        own: &CaCertificate,
        bytes: &[u8],
    ) -> Result<Option<Record>, CaError> {
        let bad = |why: String| CaError::bad("transcript", why);
        let transcript = Transcript::read(bytes).map_err(bad)?;
        if transcript.made.get("certificate_sha256") != Some(&hex::encode(sha256(&own.der))) {
            return Err(bad("it is that of another ceremony: this certificate was not made there".to_owned()));
        }
        transcript_record(&self.maker.ledger, actor, &transcript)
    }

    /// Takes in a CA that existed before: its key is in the token under a label of its own, its certificate comes with its chain.
    pub(crate) async fn bring(&self, actor: &Actor, brought: Brought) -> Result<GenerationName, CaError> {
        self.may(actor).await?;
        let _changing = self.changing.lock().await;
        check_name(&brought.name).map_err(|why| CaError::bad("name", why))?;
        if self.maker.there(&brought.name).await?.is_some() {
            return Err(CaError::Conflict(format!("there is an issuer `{}` already", brought.name)));
        }
        self.unused(&brought.label)?;
        let tokens = self.homes(brought.token.as_deref())?;
        let seen = self.seen_key(&tokens, &brought.label, brought.was_outside).await?;
        self.unused_key(&seen).await?;
        let chain = self.checked_chain(&seen, &brought.chain_pem, brought.root)?;
        let own = chain.first().ok_or_else(|| refused("there is no certificate in it"))?;
        let name = GenerationName::new(&brought.name, 1);
        let mut generation =
            GenerationRecord::begun(&name, Some(BEGINNING), CrlForm::wanted(brought.shards, brought.deltas, None)?);
        let key = self.taken_key(&tokens, seen).await?;
        generation.label = brought.label;
        (generation.tokens, generation.brought) = (tokens, brought.was_outside);
        let record = brought_record(own, &key, brought.leaves, generation);
        self.maker.ledger.record_key(&key, IssuerRole::X509.as_str(), stamp(actor)).await?;
        self.maker.write(&brought.name, (&record, 0), self.kept(&chain, actor)?, &stamp(actor)).await?;
        self.settle().await;
        Ok(name)
    }

    /// A key that the token has and no issuer of ours, as it will be. One that was outside the token is taken where an operator says so alone.
    /// Nothing is changed in the token.
    pub(super) async fn seen_key(&self, tokens: &[String], label: &str, was_outside: bool) -> Result<Key, CaError> {
        let found = match was_outside {
            true => self.maker.pool.see_brought(tokens, label).await,
            false => self.maker.pool.find_in(tokens, label, (false, None)).await,
        };
        found.map_err(of_label)
    }

    /// The same once everything else is judged: what it may do besides signing is taken from it, where it was outside.
    pub(super) async fn taken_key(&self, tokens: &[String], seen: Key) -> Result<Key, CaError> {
        if !seen.is_brought() {
            return Ok(seen);
        }
        let wanted = seen.fingerprint();
        let taken = self.maker.pool.find_in(tokens, seen.label(), (true, Some(wanted))).await.map_err(of_label)?;
        match taken.fingerprint() == wanted {
            true => Ok(taken),
            false => Err(CaError::Conflict(format!("the key `{}` was exchanged at this moment", seen.label()))),
        }
    }

    /// A key of an issuer of ours, or of a release, is not another issuer's.
    pub(super) fn unused(&self, label: &str) -> Result<(), CaError> {
        let hierarchy = self.office.issuers.read();
        let used = hierarchy.generations().find(|generation| generation.record.label == label);
        match used {
            Some(generation) => {
                Err(CaError::Conflict(format!("the key `{}` is that of {}", policy::shown(label), generation.name)))
            }
            None if label.starts_with("code:") => Err(CaError::Conflict("a key that signs code is no CA's".to_owned())),
            None => Ok(()),
        }
    }

    /// A key is one issuer's, whatever labels it has in the token: of two, each would tell of a part of what the one CA revoked, and what
    /// has ended would begin again under another name.
    pub(super) async fn unused_key(&self, key: &Key) -> Result<(), CaError> {
        let (hierarchy, hash) = (self.office.issuers.fresh().await?, key.fingerprint_hex());
        match hierarchy.generations().find(|generation| generation.record.key_hash.as_ref() == Some(&hash)) {
            Some(generation) => Err(CaError::Conflict(format!(
                "the key `{}` is that of {}, and one key is one issuer's",
                policy::shown(key.label()),
                generation.name
            ))),
            None => Ok(()),
        }
    }

    /// The certificate and those above it, each signed by the next, up to a root that stands in it or is known here.
    pub(super) fn checked_chain(
        &self,
        key: &Key,
        chain_pem: &[u8],
        root: Option<[u8; 32]>,
    ) -> Result<Vec<Arc<CaCertificate>>, CaError> {
        let brought = pem::all(chain_pem, "CERTIFICATE", BROUGHT_MAX).map_err(|why| refused(&why))?;
        let read = |der: Vec<u8>| {
            CaCertificate::read(None, der).map(Arc::new).map_err(|why| refused(&format!("one of them {why}")))
        };
        let brought = brought.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let own = brought.iter().find(|certificate| certificate.spki == key.spki_der());
        let own = own.ok_or_else(|| refused(&format!("none of them is for the key `{}` of the token", key.label())))?;
        self.way_up(own, &brought, root)
    }

    /// The way from a certificate that holds now to a root, through those known and those brought. A root that is not known here is
    /// handed out to everybody from then on, so whoever brings it says its fingerprint, which came by another way than the file.
    pub(super) fn way_up(
        &self,
        own: &Arc<CaCertificate>,
        brought: &[Arc<CaCertificate>],
        root: Option<[u8; 32]>,
    ) -> Result<Vec<Arc<CaCertificate>>, CaError> {
        let now = self.office.ledger.cautious_time();
        if !own.validity.contains(now) {
            return Err(refused(&format!(
                "it holds from {} to {}, and it is {now}",
                own.validity.not_before(),
                own.validity.not_after()
            )));
        }
        if self.office.checks.is_compromised(&own.key_hash()) {
            return Err(refused("its key is known to be compromised: no certificate makes it good again"));
        }
        let hierarchy = self.office.issuers.read();
        let all = hierarchy.known().chain(brought).filter(|c| !self.office.checks.is_compromised(&c.key_hash()));
        let found = Ways::through(all.cloned().collect(), Arc::default()).up(own).into_iter().next();
        let found = found.ok_or_else(|| {
            refused(
                "no chain of good signatures leads from it to a root: bring the certificates above it, the root too",
            )
        })?;
        for (place, below) in found.iter().enumerate() {
            if let Some(outside) = found.iter().skip(place + 1).find_map(|above| below.outside(above)) {
                return Err(refused(&format!("its chain is one that clients refuse, for a name in it: {outside}")));
            }
        }
        match (found.last(), root) {
            (Some(top), Some(said))
                if said != sha256(&top.der) && hierarchy.known().all(|known| known.der != top.der) =>
            {
                Err(CaError::bad(
                    "fingerprint",
                    format!(
                        "it leads to {}, which is not the root whose fingerprint was said: its SHA-256 is {}, and {} was said. The file is \
                         another's, or the paper is: who is not sure takes neither",
                        top.subject,
                        groups(&hex::encode(sha256(&top.der))),
                        groups(&hex::encode(said))
                    ),
                ))
            }
            (Some(top), None) if hierarchy.known().all(|known| known.der != top.der) => Err(CaError::bad(
                "fingerprint",
                format!(
                    "it leads to {}, a root that is not known here, and all who fetch the roots would trust it: say its SHA-256 (--fingerprint), \
                         from the paper and not from the file",
                    top.subject
                ),
            )),
            (Some(_) | None, _) => Ok(found),
        }
    }

    /// Records of certificates that came from elsewhere, of those that are not kept yet.
    pub(super) fn kept(&self, chain: &[Arc<CaCertificate>], actor: &Actor) -> Result<Vec<Record>, CaError> {
        let mut records = Vec::new();
        for certificate in chain.iter().filter(|certificate| certificate.operation.is_none()) {
            let hash = hex::encode(sha256(&certificate.der));
            if self.maker.ledger.record_version(KEPT, &hash) > 0 {
                continue;
            }
            records.push(Record {
                kind: KEPT,
                id: hash,
                owner: None,
                lookup: None,
                expires: Some(certificate.validity.not_after()),
                body: json!({
                    "certificate": pem::encode("CERTIFICATE", &certificate.der),
                    "subject": certificate.subject.to_string(),
                }),
                actor: stamp(actor),
                expect: Some(0),
            });
        }
        Ok(records)
    }

    /// What a generation is and stands for elsewhere: its certificates and those above, PEM; without its key, which stays in the token.
    pub(crate) async fn export(&self, actor: &Actor, name: &GenerationName) -> Result<String, CaError> {
        self.may(actor).await?;
        let hierarchy = self.office.issuers.fresh().await?;
        let generation = hierarchy.generation(name).ok_or_else(|| missing(name))?;
        let mut all: Vec<&Arc<CaCertificate>> = generation.certificates.iter().rev().chain(&generation.cross).collect();
        let chains = generation.issuing().map_or(&[][..], |issuing| &issuing.chains);
        for above in chains.iter().flatten() {
            if all.iter().all(|there| there.der != above.der) {
                all.push(above);
            }
        }
        match all.is_empty() {
            true => Err(CaError::bad("name", format!("{name} has no certificate"))),
            false => Ok(all.into_iter().map(|certificate| pem::encode("CERTIFICATE", &certificate.der)).collect()),
        }
    }
}

/// The record of a CA that comes with its key.
pub(super) fn brought_record(
    own: &CaCertificate,
    key: &Key,
    leaves: bool,
    mut generation: GenerationRecord,
) -> IssuerRecord {
    generation.key_hash = Some(key.fingerprint_hex());
    generation.certificates.push(Place::Kept(hex::encode(sha256(&own.der))));
    IssuerRecord {
        role: IssuerRole::X509,
        keys: vec![key.kind().to_string()],
        above: Some(if own.is_root() { Above::Itself } else { Above::Elsewhere }),
        plan: Some(plan_of(own)),
        leaves,
        crl_secs: None,
        generations: vec![generation],
    }
}

/// Whoever signed it may have written the planned name in other types of string (AD CS does), and it is then the name of what is issued
/// below. Of one that has a certificate it stays, to the byte: whoever holds what was issued would not find its issuer.
fn check_subject(planned: Option<&Dn>, before: Option<&Dn>, own: &Dn) -> Result<(), CaError> {
    let reads_alike = |dn: &Dn| dn.to_string() == own.to_string();
    match (before, planned) {
        (Some(dn), _) | (None, Some(dn)) if dn.as_der() == own.as_der() => Ok(()),
        (None, None) => Ok(()),
        (None, Some(dn)) if reads_alike(dn) => Ok(()),
        (Some(dn), _) if reads_alike(dn) => Err(refused(&format!(
            "it is for {own}, but in other types of string (PrintableString, UTF8String) than its certificate before: what was issued \
             would not find its issuer; have the name signed as the request has it"
        ))),
        (Some(_), _) | (None, Some(_)) => {
            Err(refused(&format!("it is for {own}, which is another subject than planned")))
        }
    }
}

/// What was issued names its issuer's key as the certificate before did (RFC 5280 section 4.2.1.2): under another name no client finds it.
fn check_identifier(before: &[u8], own: &[u8]) -> Result<(), CaError> {
    match before == own {
        true => Ok(()),
        false => Err(refused(&format!(
            "its subjectKeyIdentifier is {}, and {} in its certificate before: what was issued would not find its issuer; have it signed \
             with the identifier that the request asks for (openssl: `subjectKeyIdentifier={}`)",
            hex::encode(own),
            hex::encode(before),
            hex::encode(before)
        ))),
    }
}

/// Whoever signed it may have left out what it was asked for: nobody would believe what is issued below for that.
fn check_uses(plan: &CaPlan, own: &CaCertificate) -> Result<(), CaError> {
    let has = |wanted: &String| {
        own.purposes.as_ref().is_none_or(|all| {
            all.iter().any(|oid| *oid == rfc5280::ANY_EXTENDED_KEY_USAGE || oid.to_string() == *wanted)
        })
    };
    if let Some(wanted) = plan.purposes.iter().find(|wanted| !has(wanted)) {
        return Err(refused(&format!("it is not for {}, for which this CA is planned", purpose_word(wanted))));
    }
    match own.path_len.is_none_or(|most| most >= u32::from(plan.path_len)) {
        true => Ok(()),
        false => Err(refused(&format!("fewer CAs may follow below it than the {} that are planned", plan.path_len))),
    }
}

/// The plan of a CA that comes from elsewhere: what its certificate says, for its successors. What no plan of ours can say stands in it
/// all the same, so that no successor is signed without it. A root that bounds no path is renewed and succeeded as one with room for the
/// CAs that stand below it.
fn plan_of(certificate: &CaCertificate) -> CaPlan {
    let texts = |trees: &Option<Vec<GeneralSubtree>>| {
        let text = |tree: &GeneralSubtree| constraint_text(&tree.base).unwrap_or_else(|| "of another kind".to_owned());
        trees.iter().flatten().map(text).collect()
    };
    let constraints = certificate.constraints.as_ref().map_or_else(Constraints::default, |own| Constraints {
        permitted: texts(&own.permitted_subtrees),
        excluded: texts(&own.excluded_subtrees),
    });
    let read = x509_cert::Certificate::from_der(&certificate.der).ok();
    let policies = read.and_then(|read| read.tbs_certificate().get_extension::<CertificatePolicies>().ok().flatten());
    let policies = policies.into_iter().flat_map(|(_, policies)| policies.0);
    let unbounded = if certificate.is_root() { PATH_LEN_MAX } else { 0 };
    let path_len = certificate.path_len.map_or(unbounded, |most| u8::try_from(most).unwrap_or(PATH_LEN_MAX));
    let purposes = certificate.purposes.iter().flatten().map(ToString::to_string).collect();
    CaPlan {
        subject: hex::encode(certificate.subject.as_der()),
        validity_secs: certificate.validity.secs(),
        path_len,
        purposes,
        constraints,
        policies: policies.map(|policy| policy.policy_identifier.to_string()).collect(),
    }
}

/// What is wrong with a key that an operator named.
fn of_label(error: HsmError) -> CaError {
    match error {
        HsmError::Unfit { .. } | HsmError::NotFound { .. } => CaError::bad("key_label", error.to_string()),
        other => other.into(),
    }
}

pub(super) fn refused(why: &str) -> CaError {
    CaError::bad("certificate", why)
}

/// A chain and a few roots.
pub(super) const BROUGHT_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_be_written_otherwise_once_and_never_again() {
        let ours = Dn::parse("/O=Example/CN=Edge CA").unwrap();
        let theirs: Vec<u8> = ours.as_der().iter().map(|byte| if *byte == 0x0c { 0x13 } else { *byte }).collect();
        let theirs = Dn::from_der(&theirs).unwrap();
        let other = Dn::parse("/O=Example/CN=Another CA").unwrap();
        let says = |planned, before, own| {
            check_subject(planned, before, own).map_or_else(|e| e.to_string(), |()| String::new())
        };
        assert_ne!(ours.as_der(), theirs.as_der());
        for (planned, before, own, wrong) in [
            (Some(&ours), None, &ours, ""),
            (Some(&ours), None, &theirs, ""),
            (Some(&ours), Some(&theirs), &theirs, ""),
            (Some(&ours), Some(&ours), &theirs, "other types of string"),
            (Some(&ours), Some(&theirs), &ours, "other types of string"),
            (Some(&ours), None, &other, "another subject"),
            (None, Some(&ours), &other, "another subject"),
            (None, None, &other, ""),
        ] {
            let says = says(planned, before, own);
            assert!(says.is_empty() == wrong.is_empty() && says.contains(wrong), "{own}: {says}");
        }
    }
}
