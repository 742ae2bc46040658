//! What a CA that comes from elsewhere signed, a certificate at a time: judged, held against what is here, and taken in.

use std::sync::Arc;

use hsm::Key;
use policy::{Name, Owner, Timestamp};
use serde_json::json;
use store::{
    ActorStamp, Attested, Credential, Entry, GrantStamp, IMPORTED, Import, ImportedEnd, Kind, Lost, LostRevocation,
    Revocation, Shard, StoreError,
};

use crate::error::CaError;
use crate::estates::{Ended, Facts, serial_of};
use crate::issuers::CaCertificate;
use crate::issuers::hierarchy::Generation;
use crate::succession::keeper::Keeper;

/// One of what it signed: a certificate, or a revoked serial of which none is there.
#[derive(Clone, Debug)]
pub struct Arriving {
    /// The certificate, DER.
    pub certificate: Option<Vec<u8>>,
    /// The serial, where there is no certificate.
    pub serial: Vec<u8>,
    /// The end of such a certificate, where it is known.
    pub until: Option<Timestamp>,
    /// How it ended.
    pub end: Option<Ended>,
}

/// What came of some of them, or would come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Landed {
    /// Certificates that were not here.
    pub new: u64,
    /// Certificates that are here already.
    pub there: u64,
    /// Revocations that were not here.
    pub revoked: u64,
    /// Revocations that are here already.
    pub revoked_there: u64,
    /// What is not taken, by its serial, and why.
    pub left: Vec<(String, String)>,
}

/// Who takes in some of what a CA signed.
pub(super) struct Landing<'a> {
    pub(super) keeper: &'a Keeper,
    pub(super) generation: &'a Generation,
    pub(super) ca: &'a Arc<CaCertificate>,
    pub(super) key: Key,
    pub(super) actor: ActorStamp,
    pub(super) grant: GrantStamp,
}

impl Landing<'_> {
    /// Takes in some; with `rehearse` nothing is written.
    pub(super) async fn land(
        &self,
        all: Vec<Arriving>,
        owner: Option<Owner>,
        source: &[u8; 32],
        rehearse: bool,
    ) -> Result<Landed, CaError> {
        let (mut landed, mut imports): (Landed, Vec<Import>) = (Landed::default(), Vec::new());
        let now = self.keeper.office.ledger.cautious_time();
        for one in all {
            let own = one.certificate.as_deref().and_then(serial_of);
            let named = hex::encode(own.as_ref().unwrap_or(&one.serial));
            if let Err(why) = one.end.map_or(Ok(()), |end| possible(&end, now)) {
                landed.left.push((named, why));
                continue;
            }
            let Some(der) = one.certificate else {
                self.unseen(&one.serial, one.until, one.end, rehearse, &mut landed).await?;
                continue;
            };
            let facts = match Facts::read(&der, self.ca) {
                Ok(facts) => facts,
                Err(why) => {
                    landed.left.push((named, why));
                    continue;
                }
            };
            let serial = hex::encode(&facts.serial);
            let there = self.keeper.office.ledger.credential_of_key(&serial, self.key.label()).await?;
            match there {
                Some(there) if there.x509_der().as_ref() == Some(&der) => {
                    landed.there += 1;
                    self.end(&there, one.end, rehearse, &mut landed).await?;
                }
                Some(_) => {
                    landed.left.push((serial, "another certificate of this CA with this serial is here".to_owned()));
                }
                None if imports.iter().any(|other| other.entry.serial == facts.serial) => {
                    landed.left.push((serial, "the same serial comes twice".to_owned()));
                }
                None => {
                    landed.new += 1;
                    landed.revoked += u64::from(one.end.is_some());
                    imports.push(self.import(der, facts, one.end, owner.as_ref(), source));
                }
            }
        }
        if !rehearse && !imports.is_empty() {
            self.keeper.office.ledger.import(imports).await?;
        }
        Ok(landed)
    }

    fn import(
        &self,
        der: Vec<u8>,
        facts: Facts,
        end: Option<Ended>,
        owner: Option<&Owner>,
        source: &[u8; 32],
    ) -> Import {
        let shard = Shard::of_serial(&facts.serial, self.generation.record.shards);
        let mut details = json!({ "imported": true, "source": hex::encode(source) });
        if facts.names_left > 0 {
            details["names_left_out"] = json!(facts.names_left);
        }
        let entry = Entry {
            kind: if facts.is_ca { Kind::CaCertificate } else { Kind::Certificate },
            actor: self.actor.clone(),
            grant: self.grant.clone(),
            profile: IMPORTED.to_owned(),
            profile_hash: [0; 32],
            key: self.key.clone(),
            message: hsm::Message::from(der),
            owner: self.owner_of(&facts.names).or_else(|| owner.cloned()),
            serial: facts.serial,
            issuer: self.generation.name.to_string(),
            subject: facts.subject,
            names: facts.names.iter().map(ToString::to_string).collect(),
            key_hash: facts.key_hash,
            validity: Some(facts.validity),
            covers: None,
            renews: None,
            details,
        };
        let end = end.map(|Ended { at, reason, invalid }| ImportedEnd { reason, at, invalid, shard });
        Import { entry, source: *source, end }
    }

    /// The one owner whose rules give it all of the names.
    fn owner_of(&self, names: &[Name]) -> Option<Owner> {
        let policies = self.keeper.office.gate.rules().policies();
        let mut owners: Option<Vec<Owner>> = None;
        for name in names {
            let having = policies.having(&name.to_string()).ok()?;
            let mut of_name: Vec<Owner> = having.into_iter().map(|claim| claim.owner.clone()).collect();
            of_name.dedup();
            owners = Some(match owners {
                None => of_name,
                Some(before) => before.into_iter().filter(|owner| of_name.contains(owner)).collect(),
            });
        }
        match owners.unwrap_or_default().as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        }
    }

    /// What is here is revoked, where it is revoked there.
    async fn end(
        &self,
        there: &Attested<Credential>,
        end: Option<Ended>,
        rehearse: bool,
        landed: &mut Landed,
    ) -> Result<(), CaError> {
        let Some(Ended { at, reason, invalid }) = end else { return Ok(()) };
        match (there.revoked_at, there.reason) {
            (Some(_), Some(known)) if known == reason => landed.revoked_there += 1,
            (Some(since), known) => {
                landed.revoked_there += 1;
                let why = format!(
                    "is revoked here since {since} for reason {}, there for reason {reason}: what is said here stays",
                    known.unwrap_or(0)
                );
                landed.left.push((there.serial_hex(), why));
            }
            (None, _) => {
                landed.revoked += 1;
                if !rehearse {
                    let shard = Shard::of_serial(&there.serial, self.generation.record.shards);
                    let (actor, grant) = (self.actor.clone(), self.grant.clone());
                    let operation = there.operation;
                    let revocation = Revocation { operation, reason, at, invalid, shard, actor, grant };
                    self.keeper.office.ledger.revoke(revocation).await?;
                }
            }
        }
        Ok(())
    }

    /// A revoked serial of which there is no certificate.
    async fn unseen(
        &self,
        serial: &[u8],
        until: Option<Timestamp>,
        end: Option<Ended>,
        rehearse: bool,
        landed: &mut Landed,
    ) -> Result<(), CaError> {
        let (ledger, issuer) = (&self.keeper.office.ledger, self.generation.name.to_string());
        let named = hex::encode(serial);
        let Some(Ended { at, reason, invalid }) = end else {
            landed.left.push((named, "of a serial alone nothing is taken but that it is revoked".to_owned()));
            return Ok(());
        };
        if serial.is_empty() || serial.len() > SERIAL_OCTETS_MAX || serial.first() == Some(&0) {
            landed.left.push((named, "is no serial that a CRL of ours could list".to_owned()));
            return Ok(());
        }
        if let Some(there) = ledger.credential_of_key(&named, self.key.label()).await? {
            return self.end(&there, end, rehearse, landed).await;
        }
        if ledger.revocation_of(&issuer, serial).is_some() {
            landed.revoked_there += 1;
            return Ok(());
        }
        landed.revoked += 1;
        if rehearse {
            return Ok(());
        }
        let revocation = LostRevocation {
            // Nothing is known of its key.
            of: Lost { kind: Kind::Certificate, serial: serial.to_vec(), issuer, key_hash: [0; 32], not_after: until },
            reason,
            at,
            invalid,
            shard: Shard::of_serial(serial, self.generation.record.shards),
            actor: self.actor.clone(),
            grant: self.grant.clone(),
        };
        match ledger.revoke_lost(revocation).await {
            // Another node took it in at the same moment.
            Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }
}

/// Whether it may be said here.
fn possible(end: &Ended, now: Timestamp) -> Result<(), String> {
    if !matches!(end.reason, 0..=6 | 9 | 10) {
        return Err(format!("is revoked for reason {}, which is none that a certificate keeps", end.reason));
    }
    if end.at > now || end.invalid.is_some_and(|invalid| invalid > now) {
        return Err(format!("is revoked from {} on, and it is {now}", end.at));
    }
    Ok(())
}

/// RFC 5280 section 4.1.2.2.
const SERIAL_OCTETS_MAX: usize = 20;
