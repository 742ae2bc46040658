//! An issuer as the register keeps it: one record, with all its generations.
//!
//! What stands here is what an operator decided, and when: which key, which certificates, from when it issues, that it was retired
//! or revoked. What follows from that and from the time, its state, is never stored.

use std::collections::BTreeSet;

use hsm::{AtHome, Pool, SealingKey};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use store::{ActorStamp, Attested, Ledger, Record, StoreError, StoredRecord};

use crate::error::CaError;
use crate::intake::is_raised;
use crate::issuers::name::{GenerationName, check_name};
use crate::issuers::plan::CaPlan;
use crate::issuers::scope::CrlForm;

/// What an issuer signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IssuerRole {
    /// X.509 certificates and CRLs.
    X509,
    /// SSH user certificates.
    SshUser,
    /// SSH host certificates.
    SshHost,
    /// The log's heads.
    Log,
    /// Nothing: it seals what lies in the register and must not be read there.
    Seal,
}

impl IssuerRole {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            IssuerRole::X509 => "x509",
            IssuerRole::SshUser => "ssh-user",
            IssuerRole::SshHost => "ssh-host",
            IssuerRole::Log => "log",
            IssuerRole::Seal => "seal",
        }
    }
}

/// Below what a CA stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Above {
    /// It signs its own certificate.
    Itself,
    /// An issuer of ours, by its name.
    Issuer(String),
    /// A CA whose key is elsewhere: an offline root, or another organisation's.
    Elsewhere,
}

/// Where the bytes of a CA's certificate are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Place {
    /// An operation of this register made it.
    Operation(u64),
    /// It came from elsewhere, and is kept as a record under its SHA-256.
    Kept(String),
}

/// That a generation was revoked, by an operator's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Revoked {
    pub(crate) at: Timestamp,
    /// The CRLReason code.
    pub(crate) reason: u8,
}

/// One generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GenerationRecord {
    pub(crate) number: u32,
    /// The key's label in its tokens.
    pub(crate) label: String,
    /// The tokens that have it, in the order in which they are asked; none is the first token.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tokens: Vec<String>,
    /// SHA-256 of its SubjectPublicKeyInfo, in hexadecimal, once there is one.
    pub(crate) key_hash: Option<String>,
    /// Of an SSH CA: its public key as SSH writes it, in hexadecimal, once there is one. The list of what is revoked names it, whatever
    /// becomes of its tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ssh_key: Option<String>,
    /// Of a key that seals: what it alone opens, in hexadecimal, once there is one. By that it is known again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) touchstone: Option<String>,
    /// The oldest first. The newest is the one that it issues under.
    pub(crate) certificates: Vec<Place>,
    /// Certificates of the same key by other CAs: other ways up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) cross: Vec<Place>,
    /// From when it issues. Of several the one with the latest time that has come does.
    pub(crate) activates: Option<Timestamp>,
    pub(crate) retired: Option<Timestamp>,
    pub(crate) revoked: Option<Revoked>,
    /// Its key is in no token of ours: an offline root. Its certificate and its CRLs are brought.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) elsewhere: bool,
    /// Its key was outside the token once, as an operator said: a copy of it may be anywhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) brought: bool,
    /// What it signed elsewhere is being taken in: until that is done it signs nothing, no CRL either, which would lack what was revoked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) arriving: bool,
    /// Its key is lost with its tokens, as an operator said: nobody waits for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) lost: bool,
    /// The number of the newest CRL that was made of it elsewhere: ours are above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) crl_above: Option<u64>,
    /// Into how many CRLs its revocations are parted. Certificates point to them, so this never changes.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub(crate) shards: u16,
    /// Whether it has delta CRLs. Certificates point to them too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) deltas: bool,
}

fn one() -> u16 {
    1
}

fn is_one(shards: &u16) -> bool {
    *shards == 1
}

impl GenerationRecord {
    /// Whether that it is revoked for this reason (its code) is more than is said already. What is revoked is not revoked for less.
    pub(crate) fn is_news(&self, reason: u8) -> Result<bool, CaError> {
        match &self.revoked {
            None => Ok(true),
            Some(there) if there.reason == reason => Ok(false),
            Some(there) if is_raised(Some(there.reason), reason) => Ok(true),
            Some(_) => Err(CaError::Conflict("it is revoked already, for another reason".to_owned())),
        }
    }

    /// One that has begun: a label, and nothing under it yet.
    pub(crate) fn begun(name: &GenerationName, activates: Option<Timestamp>, crls: CrlForm) -> GenerationRecord {
        GenerationRecord {
            number: name.number(),
            label: name.label(),
            tokens: Vec::new(),
            key_hash: None,
            ssh_key: None,
            touchstone: None,
            certificates: Vec::new(),
            cross: Vec::new(),
            activates,
            retired: None,
            revoked: None,
            elsewhere: false,
            brought: false,
            arriving: false,
            lost: false,
            crl_above: None,
            shards: crls.shards,
            deltas: crls.deltas,
        }
    }

    /// How its revocations are told.
    pub(crate) fn crls(&self) -> CrlForm {
        CrlForm { shards: self.shards, deltas: self.deltas }
    }
}

impl GenerationRecord {
    /// The hash of its key; none where there is no key yet.
    pub(crate) fn fingerprint(&self) -> Option<[u8; 32]> {
        hex::decode(self.key_hash.as_deref()?).ok()?.try_into().ok()
    }

    /// Whether there is a key.
    pub(crate) fn is_made(&self) -> bool {
        self.key_hash.is_some() || self.touchstone.is_some()
    }

    /// Its key, where it is one that seals, in the tokens that its record names.
    pub(crate) fn sealing(&self, pool: &Pool) -> Option<SealingKey> {
        let touchstone = hex::decode(self.touchstone.as_deref()?).ok()?;
        let first = self.tokens.is_empty().then(|| pool.first().name().to_owned());
        let homes: Vec<String> = first.into_iter().chain(self.tokens.iter().cloned()).collect();
        Some(SealingKey::known(&self.label, &homes, touchstone))
    }

    /// Its key in its tokens, as far as they have it.
    pub(crate) async fn at_home(&self, pool: &Pool) -> Option<AtHome> {
        Some(pool.at_home(&self.tokens, (&self.label, self.brought), &self.fingerprint()?).await)
    }
}

/// An issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssuerRecord {
    pub(crate) role: IssuerRole,
    /// Kinds of key that a generation gets: the first that the token can make.
    pub(crate) keys: Vec<String>,
    /// Of a CA with a certificate.
    pub(crate) above: Option<Above>,
    pub(crate) plan: Option<CaPlan>,
    /// Whether it signs certificates of end entities; else CAs alone.
    pub(crate) leaves: bool,
    /// How long a CRL of it holds; a week where nobody said. An offline root signs one a year.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) crl_secs: Option<i64>,
    /// By number.
    pub(crate) generations: Vec<GenerationRecord>,
}

impl IssuerRecord {
    /// Of a record as the register gives it.
    pub(crate) fn of(stored: &Attested<StoredRecord>) -> Result<IssuerRecord, CaError> {
        let broken = |why: String| CaError::Internal(format!("the record of issuer `{}`: {why}", stored.id));
        check_name(&stored.id).map_err(broken)?;
        serde_json::from_value(stored.body.clone()).map_err(|e| broken(e.to_string()))
    }

    /// The generation that issues at this time: of those whose time has come, the one whose time came last.
    pub(crate) fn active(&self, now: Timestamp) -> Option<&GenerationRecord> {
        let come = self.generations.iter().filter_map(|g| Some((g.activates.filter(|at| *at <= now)?, g.number, g)));
        come.max_by_key(|(at, number, _)| (*at, *number)).map(|(_, _, generation)| generation)
    }

    pub(crate) fn generation(&self, number: u32) -> Option<&GenerationRecord> {
        self.generations.iter().find(|generation| generation.number == number)
    }

    pub(crate) fn generation_mut(&mut self, number: u32) -> Option<&mut GenerationRecord> {
        self.generations.iter_mut().find(|generation| generation.number == number)
    }

    /// The newest, where it has no key or no certificate yet: an act was interrupted, or whoever is above it has not signed. Another is
    /// not begun beside it.
    pub(crate) fn unfinished(&self) -> Option<&GenerationRecord> {
        let last = self.generations.last()?;
        let is_open = last.revoked.is_none() && last.retired.is_none() && !last.elsewhere && !last.lost;
        let is_bare = self.role == IssuerRole::X509 && last.certificates.is_empty();
        (is_open && (!last.is_made() || is_bare)).then_some(last)
    }

    /// The number of the next one: none is used twice, since certificates point to it.
    pub(crate) fn next_number(&self) -> u32 {
        self.generations.iter().map(|generation| generation.number).max().unwrap_or(0) + 1
    }
}

/// New versions of an issuer's record and of the roster that counts all changes, to be written in one transaction. The roster says
/// which issuers changed last, so that whoever knows an older version reads those alone; a new issuer's name goes beside it, so that
/// whoever starts misses one that somebody took out of the database.
pub(crate) async fn versions(
    ledger: &Ledger,
    name: &str,
    record: &IssuerRecord,
    expect: u64,
    actor: &ActorStamp,
) -> Result<Vec<Record>, CaError> {
    let roster = ledger.record_version(ROSTER, ROSTER_ID);
    let mut last = match ledger.record_get(ROSTER, ROSTER_ID).await {
        Ok(Some(stored)) if stored.version == roster => changes(&stored),
        // Another version than that which is followed is a conflict. A row that somebody altered says nothing; a new one does.
        Ok(_) | Err(StoreError::Altered(_)) => Vec::new(),
        Err(other) => return Err(other.into()),
    };
    last.insert(0, (name.to_owned(), roster));
    last.truncate(CHANGES_MAX);
    let body = serde_json::to_value(record).map_err(|e| CaError::Internal(format!("issuer `{name}`: {e}")))?;
    let version = |kind, id: &str, body, expect| Record {
        kind,
        id: id.to_owned(),
        owner: None,
        lookup: None,
        expires: None,
        body,
        actor: actor.clone(),
        expect: Some(expect),
    };
    let mut all = vec![
        version(KIND, name, body, expect),
        version(ROSTER, ROSTER_ID, serde_json::json!({ "changed": last }), roster),
    ];
    // A row that somebody altered keeps nobody from ending what is known.
    match names(ledger).await {
        Ok((mut names, before)) => {
            if names.insert(name.to_owned()) {
                all.push(version(ROSTER, NAMES_ID, serde_json::json!({ "names": names }), before));
            }
        }
        Err(CaError::Altered(_)) if expect > 0 => {}
        Err(other) => return Err(other),
    }
    Ok(all)
}

/// The names of all issuers that were ever made, with the version of the record that has them. What cannot be read is no reason to forget
/// a name: a new issuer waits until the row is put right.
pub(crate) async fn names(ledger: &Ledger) -> Result<(BTreeSet<String>, u64), CaError> {
    let Some(stored) = ledger.record_get(ROSTER, NAMES_ID).await? else { return Ok((BTreeSet::new(), 0)) };
    let names = serde_json::from_value(stored.body["names"].clone())
        .map_err(|e| CaError::Internal(format!("the names of issuers: {e}")))?;
    Ok((names, stored.version))
}

/// The issuers that changed since a version of the roster, up to one at least; none where it does not say, so that all are to be read.
pub(crate) async fn changed(ledger: &Ledger, since: u64, until: u64) -> Result<Option<Vec<String>>, CaError> {
    if since == until {
        return Ok(Some(Vec::new()));
    }
    let stored = match ledger.record_get(ROSTER, ROSTER_ID).await {
        // Later than asked for, perhaps: what is read beyond it is read again.
        Ok(Some(stored)) if stored.version >= until => stored,
        Ok(_) | Err(StoreError::Altered(_)) => return Ok(None),
        Err(other) => return Err(other.into()),
    };
    let mut last = changes(&stored);
    let Some(end) = last.iter().position(|(_, before)| *before == since) else { return Ok(None) };
    last.truncate(end + 1);
    Ok(Some(last.into_iter().map(|(name, _)| name).collect()))
}

/// The last changes that a roster names, the newest first: whose, and which version of the roster it followed.
fn changes(roster: &StoredRecord) -> Vec<(String, u64)> {
    serde_json::from_value(roster.body["changed"].clone()).unwrap_or_default()
}

/// From when the first generation of an issuer issues: since there is one.
pub(crate) const BEGINNING: Timestamp = Timestamp::from_unix(0);
/// The kind of an issuer's record; its id is the name.
pub(crate) const KIND: &str = "issuer";
/// The kind of the record whose version changes with each change of an issuer.
pub(crate) const ROSTER: &str = "issuers";
pub(crate) const ROSTER_ID: &str = "roster";
/// The record of all issuers' names, which changes with each new one.
const NAMES_ID: &str = "names";
/// So many changes the roster names, the newest first: a node that missed more reads all.
const CHANGES_MAX: usize = 64;
/// The kind of a certificate that came from elsewhere; its id is its SHA-256.
pub(crate) const KEPT: &str = "ca-certificate";
/// The kind of a CRL that a CA elsewhere signed; its id is the generation's name.
pub(crate) const KEPT_CRL: &str = "ca-crl";
/// Generations of one issuer: a record has room for them, and nobody lives to see as many.
pub(crate) const GENERATIONS_MAX: usize = 64;
/// Certificates of one generation: renewals, and cross-signatures.
pub(crate) const CERTIFICATES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(unix: i64) -> Option<Timestamp> {
        Some(Timestamp::from_unix(unix))
    }

    #[test]
    fn the_generation_whose_time_came_last_issues_and_none_goes_back_by_itself() {
        let name = |number| GenerationName::new("tls", number);
        let mut issuer = IssuerRecord {
            role: IssuerRole::X509,
            keys: vec!["p256".into()],
            above: Some(Above::Itself),
            plan: None,
            leaves: true,
            crl_secs: None,
            generations: vec![
                GenerationRecord::begun(&name(1), at(10), CrlForm::WHOLE),
                GenerationRecord::begun(&name(2), at(20), CrlForm { shards: 16, deltas: true }),
            ],
        };
        issuer.generations.push(GenerationRecord::begun(&name(3), None, CrlForm::WHOLE));
        let active = |issuer: &IssuerRecord, now| issuer.active(Timestamp::from_unix(now)).map(|g| g.number);
        assert_eq!([9, 10, 19, 20, 99].map(|now| active(&issuer, now)), [None, Some(1), Some(1), Some(2), Some(2)]);
        // Revoked or retired, it stays the one: an older key is taken back by an operator alone.
        issuer.generation_mut(2).unwrap().revoked = Some(Revoked { at: Timestamp::from_unix(30), reason: 1 });
        assert_eq!(active(&issuer, 99), Some(2));
        issuer.generation_mut(1).unwrap().activates = at(40);
        assert_eq!(active(&issuer, 99), Some(1));
        assert_eq!(issuer.next_number(), 4);
        let text = serde_json::to_value(&issuer).unwrap();
        assert_eq!(serde_json::from_value::<IssuerRecord>(text).unwrap(), issuer);
    }
}
