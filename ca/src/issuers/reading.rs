//! How the issuers are read: the register's records, keys of the token, certificates.
//!
//! What is wrong with one of them is noted where it is and stops nobody else: a key that the token lost, a row that was altered.
//!
//! A change of one issuer costs what that issuer costs. Of what was read before stands on whatever the log in memory says is the same: a
//! record of the same version, the certificate of an operation (an entry of a log that only grows), one from elsewhere by its hash, a
//! signature by the hashes of what was signed and of the key. Each was attested or verified when it was read first.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use hsm::{AtHome, Key, Pool, SealingHomes};
use store::{Attested, EachRecord, Ledger, StoreError, StoredRecord};

use crate::encode::{pem, sha256};
use crate::error::CaError;
use crate::issuers::brought_crl::BroughtCrl;
use crate::issuers::certificate::CaCertificate;
use crate::issuers::chains::Ways;
use crate::issuers::hierarchy::{Generation, Hierarchy, Issuer, Signer, ended};
use crate::issuers::issuing::Issuing;
use crate::issuers::name::GenerationName;
use crate::issuers::record::{
    GenerationRecord, IssuerRecord, IssuerRole, KEPT, KEPT_CRL, KIND, Place, ROSTER, ROSTER_ID, changed, names,
};
use crate::issuers::ssh_ca::SshCa;
use crate::issuers::standing::Standing;
use crate::issuers::urls::Urls;

/// A record as it is now, with its version: what is read of it is what the log has, or an alarm.
type Record = (String, u64, IssuerRecord);

/// Reads records, finds keys in the token and certificates in the register, and matches them. The token is asked for what it was
/// not asked for before. Of an issuer whose record somebody altered stands what was read `before`, where it was: it signs nothing.
pub(super) async fn read(
    pool: &Pool,
    ledger: &Ledger,
    urls: &Urls,
    before: Option<&Hierarchy>,
) -> Result<Hierarchy, CaError> {
    // Before the records: what changes meanwhile is read again.
    let version = ledger.record_version(ROSTER, ROSTER_ID);
    let returns = pool.returns();
    let seen = Seen::of(before);
    let mut read = Vec::new();
    let (records, altered) = records(ledger, version, before).await?;
    for (id, version, record) in records {
        let mut generations = Vec::new();
        for generation in &record.generations {
            let name = GenerationName::new(&id, generation.number);
            let own = read_all(ledger, &generation.certificates, &seen).await?;
            let cross = read_all(ledger, &generation.cross, &seen).await?;
            generations.push((name, generation.clone(), (own, cross)));
        }
        read.push((id, version, record, generations));
    }
    look_for_keys(pool, read.iter().flat_map(|(_, _, record, _)| &record.generations)).await;
    let known = known(ledger, read.iter().flat_map(|(_, _, _, generations)| generations), &seen).await?;
    let mut crls = BTreeMap::new();
    for (name, _, _) in read.iter().flat_map(|(_, _, _, all)| all).filter(|(_, record, _)| record.elsewhere) {
        let there = before.and_then(|before| before.generation(name));
        crls.extend(brought_crl(ledger, name, there).await?.map(|crl| (name.clone(), crl)));
    }
    // No chain goes through what a CA above has revoked, whoever's it is.
    let holds = |c: &&Arc<CaCertificate>| !crls.values().any(|(_, crl)| crl.lists(c).is_some());
    let signatures = before.map(|before| Arc::clone(&before.signatures)).unwrap_or_default();
    let mut ways = Ways::through(known.iter().filter(holds).cloned().collect(), signatures);
    let mut issuers = BTreeMap::new();
    for (id, version, record, generations) in read {
        let mut all = Vec::new();
        for (name, generation, (certificates, cross)) in generations {
            let or_none = |read: Read| {
                read.unwrap_or_else(|why| {
                    tracing::error!(generation = %name, %why, "a certificate of it cannot be read");
                    Vec::new()
                })
            };
            let (certificates, cross) = (or_none(certificates), or_none(cross));
            let standing = Standing { name: name.clone(), version, ended: ended(&generation) };
            let is_seal = record.role == IssuerRole::Seal;
            let at_home = match generation.elsewhere || generation.lost || is_seal {
                true => None,
                false => generation.at_home(pool).await,
            };
            let AtHome { key, mut away, mut wrong } = at_home.unwrap_or_default();
            let sealing = match is_seal && !generation.lost && ended(&generation).is_none() {
                true => {
                    let (signer, homes) = sealing(pool, &generation).await;
                    (away, wrong) = (homes.away, homes.wrong);
                    Some(signer)
                }
                false => None,
            };
            for (token, why) in &wrong {
                tracing::error!(generation = %name, token, why, "a token of its key is not asked for it");
            }
            let key = key.ok_or_else(|| missing(&away, &wrong));
            let there = before.and_then(|before| before.generation(&name)).map(|there| &there.signer);
            let signer = match (altered.get(&id), sealing) {
                (Some(why), _) => Signer::None(why.clone()),
                (None, Some(sealing)) => sealing,
                (None, None) => {
                    signer(key, &record, (&generation, standing), (&certificates, &cross), &mut ways, urls, there)
                }
            };
            let (crl_version, crl) = crls.get(&name).cloned().unzip();
            let crl_version = crl_version.unwrap_or(0);
            let waits = record.role == IssuerRole::X509 && generation.certificates.is_empty();
            let record = generation;
            all.push(Generation { name, record, waits, certificates, cross, signer, away, wrong, crl, crl_version });
        }
        issuers.insert(id, Issuer { version, record, generations: all });
    }
    // What an operator ended is handed out no more.
    let over = issuers.values().flat_map(|issuer| &issuer.generations).filter(|there| ended(&there.record).is_some());
    let over = over.flat_map(|generation| generation.certificates.iter().chain(&generation.cross));
    let over: BTreeSet<_> = over.map(|certificate| certificate.hash).collect();
    let roots = known.iter().filter(|known| known.is_root() && !over.contains(&known.hash)).cloned().collect();
    let signatures = ways.into_signatures();
    Ok(Hierarchy { version, returns, issuers, known, roots, altered, signatures })
}

/// Has each token look at once for all its keys that it was not asked for yet, where there are many: at a start, and when one comes back
/// that was away then. One by one they are asked for below.
async fn look_for_keys(pool: &Pool, generations: impl Iterator<Item = &GenerationRecord> + Clone) {
    for (place, token) in pool.tokens().iter().enumerate() {
        let is_there = |record: &&GenerationRecord| match record.tokens.is_empty() {
            true => place == 0,
            false => record.tokens.iter().any(|name| name == token.name()),
        };
        let here = |record: &&GenerationRecord| {
            !record.elsewhere
                && !record.lost
                && !record.brought
                && record.key_hash.is_some()
                && !token.knows(&record.label)
        };
        let labels: BTreeSet<String> =
            generations.clone().filter(here).filter(is_there).map(|record| record.label.clone()).collect();
        if labels.len() >= MANY
            && let Err(error) = token.look_for(labels).await
        {
            tracing::debug!(token = token.name(), %error, "its keys are looked for one by one");
        }
    }
}

/// What became of a key of which an operator said so.
pub(crate) const LOST: &str = "its key is lost with its token";
/// Keys that are looked for at once.
const MANY: usize = 8;

/// The records of all issuers: what the log says is the same as before, and what changed since. Those that were altered beside them: of such
/// a one stands what was read before, with version 0.
async fn records(
    ledger: &Ledger,
    version: u64,
    before: Option<&Hierarchy>,
) -> Result<(Vec<Record>, BTreeMap<String, String>), CaError> {
    let (mut records, mut altered) = (Vec::new(), BTreeMap::new());
    let is_same =
        |name: &str, issuer: &Issuer| issuer.version > 0 && ledger.record_version(KIND, name) == issuer.version;
    let there = before.into_iter().flat_map(|before| &before.issuers).filter(|(name, issuer)| is_same(name, issuer));
    let mut same: BTreeMap<&String, &Issuer> = there.collect();
    for (id, stored) in rest(ledger, version, before, &same).await? {
        same.remove(&id);
        match stored.map_err(CaError::from).and_then(|stored| Ok((stored.version, IssuerRecord::of(&stored)?))) {
            Ok((version, record)) => records.push((id, version, record)),
            Err(why @ (CaError::Altered(_) | CaError::Internal(_))) => {
                tracing::error!(issuer = %policy::shown(&id), %why, "an issuer cannot be read: it signs nothing");
                altered.insert(id.clone(), why.to_string());
                if let Some(there) = before.and_then(|before| before.issuers.get(&id)) {
                    records.push((id, 0, there.record.clone()));
                }
            }
            Err(other) => return Err(other),
        }
    }
    records.extend(same.into_iter().map(|(name, issuer)| (name.clone(), issuer.version, issuer.record.clone())));
    // By name: of two roots that came into use at the same moment the first is preferred, whichever changed last.
    records.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    Ok((records, altered))
}

/// The records that are to be read: those that changed, and those that no list has any more.
async fn rest(
    ledger: &Ledger,
    version: u64,
    before: Option<&Hierarchy>,
    same: &BTreeMap<&String, &Issuer>,
) -> Result<EachRecord, CaError> {
    let Some(before) = before else { return first(ledger).await };
    let new = changed(ledger, before.version, version).await?;
    let (mut all, names) = match new {
        // Somebody else's words, or too many changes: all are looked at.
        None => (ledger.record_each(KIND).await?, Vec::new()),
        Some(names) => (Vec::new(), names),
    };
    let unread =
        before.issuers.keys().filter(|name| !same.contains_key(name)).chain(before.altered.keys()).chain(&names);
    let unread: BTreeSet<&String> = unread.collect();
    for name in unread {
        if all.iter().any(|(id, _)| id == name) {
            continue;
        }
        match ledger.record_get(KIND, name).await {
            Ok(Some(found)) => all.push((name.clone(), Ok::<Attested<StoredRecord>, _>(found))),
            Ok(None) => {}
            Err(why @ StoreError::Altered(_)) => all.push((name.clone(), Err(why))),
            Err(other) => return Err(other.into()),
        }
    }
    Ok(all)
}

/// All records that there are, and those that there should be: a start has read nothing before that would miss one.
async fn first(ledger: &Ledger) -> Result<EachRecord, CaError> {
    let mut all = ledger.record_each(KIND).await?;
    let named = match names(ledger).await {
        Ok((named, _)) => named,
        Err(why @ (CaError::Altered(_) | CaError::Internal(_))) => {
            tracing::error!(%why, "an issuer that somebody took out of the database is not missed by its name");
            BTreeSet::new()
        }
        Err(other) => return Err(other),
    };
    for name in named {
        if all.iter().any(|(id, _)| *id == name) {
            continue;
        }
        match ledger.record_get(KIND, &name).await {
            Ok(found) => all.extend(found.map(|found| (name, Ok(found)))),
            Err(why @ StoreError::Altered(_)) => all.push((name, Err(why))),
            Err(other) => return Err(other.into()),
        }
    }
    Ok(all)
}

/// Certificates that were read before, each once.
#[derive(Default)]
struct Seen<'a> {
    by_operation: HashMap<u64, &'a Arc<CaCertificate>>,
    by_hash: HashMap<[u8; 32], &'a Arc<CaCertificate>>,
}

impl<'a> Seen<'a> {
    fn of(before: Option<&'a Hierarchy>) -> Seen<'a> {
        let mut seen = Seen::default();
        for certificate in before.into_iter().flat_map(Hierarchy::known) {
            seen.by_operation.extend(certificate.operation.map(|operation| (operation, certificate)));
            seen.by_hash.insert(certificate.hash, certificate);
        }
        seen
    }

    fn at(&self, place: &Place) -> Option<Arc<CaCertificate>> {
        match place {
            Place::Operation(operation) => self.by_operation.get(operation).copied().cloned(),
            Place::Kept(hash) => self.kept(hash),
        }
    }

    /// One from elsewhere, whose id is its hash.
    fn kept(&self, hash: &str) -> Option<Arc<CaCertificate>> {
        let hash = hex::decode(hash).ok()?.try_into().ok()?;
        self.by_hash.get::<[u8; 32]>(&hash).copied().filter(|there| there.operation.is_none()).cloned()
    }
}

type Read = Result<Vec<Arc<CaCertificate>>, String>;

/// A generation's certificates. What is wrong with one of them is its own.
async fn read_all(ledger: &Ledger, places: &[Place], seen: &Seen<'_>) -> Result<Read, CaError> {
    let mut all = Vec::new();
    for place in places {
        if let Some(there) = seen.at(place) {
            all.push(there);
            continue;
        }
        let read = match place {
            Place::Operation(operation) => match ledger.credential_by_operation(*operation).await {
                Ok(Some(found)) => found
                    .into_inner()
                    .signed()
                    .map_err(|_| format!("its certificate of operation {operation} was never signed"))
                    .and_then(|issued| CaCertificate::read(Some(*operation), issued.x509_der())),
                Ok(None) => Err(format!("its certificate of operation {operation} is not in the register")),
                Err(StoreError::Altered(says)) => Err(says),
                Err(other) => return Err(other.into()),
            },
            Place::Kept(hash) => match ledger.record_get(KEPT, hash).await {
                Ok(Some(stored)) => kept(&stored.body, hash),
                Ok(None) => Err(format!("its certificate {hash} is not in the register")),
                Err(StoreError::Altered(says)) => Err(says),
                Err(other) => return Err(other.into()),
            },
        };
        match read {
            Ok(certificate) => all.push(Arc::new(certificate)),
            Err(why) => return Ok(Err(why)),
        }
    }
    Ok(Ok(all))
}

/// A certificate that came from elsewhere, as its record has it.
fn kept(body: &serde_json::Value, hash: &str) -> Result<CaCertificate, String> {
    let text = body.get("certificate").and_then(|text| text.as_str()).unwrap_or_default();
    let der = pem::decode(text.as_bytes(), &["CERTIFICATE"])?;
    match hex::encode(sha256(&der)) == hash {
        true => CaCertificate::read(None, der),
        false => Err(format!("the certificate kept as {hash} is another")),
    }
}

/// Every certificate that a chain may go through, in the order in which roots are preferred: those in use, as they came into use, then
/// those that are not yet, then those that are no more.
async fn known<'a>(
    ledger: &Ledger,
    ours: impl Iterator<Item = &'a (GenerationName, GenerationRecord, (Read, Read))>,
    seen: &Seen<'_>,
) -> Result<Vec<Arc<CaCertificate>>, CaError> {
    let (mut ranked, mut hashes) = (Vec::new(), BTreeSet::new());
    for (_, record, (own, cross)) in ours {
        let rank = (ended(record).is_some(), record.activates.is_none(), record.activates);
        for certificate in own.iter().chain(cross).flatten() {
            hashes.insert(certificate.hash);
            ranked.push((rank, Arc::clone(certificate)));
        }
    }
    // Those from elsewhere that are nobody's own: roots and intermediates above ours.
    let mut elsewhere = BTreeMap::new();
    let says = |id: &str, why: &str| {
        let certificate = policy::shown(id);
        tracing::error!(%certificate, why, "a certificate from elsewhere cannot be read");
    };
    for (id, stored) in ledger.record_each(KEPT).await? {
        let read = match stored {
            Ok(stored) => match seen.kept(&stored.id) {
                Some(there) => Ok(there),
                None => kept(&stored.body, &stored.id).map(Arc::new),
            },
            Err(StoreError::Altered(says)) => Err(says),
            Err(other) => return Err(other.into()),
        };
        match read {
            Ok(certificate) => drop(elsewhere.insert(id, certificate)),
            Err(why) => says(&id, &why),
        }
    }
    // What a row shows no more, or otherwise, stands as long as the log knows it: it was read, and its name is its hash.
    for there in seen.by_hash.values().filter(|there| there.operation.is_none()) {
        let id = hex::encode(there.hash);
        if elsewhere.contains_key(&id) || ledger.record_version(KEPT, &id) == 0 {
            continue;
        }
        // Asked for by name: what became of the row is an alarm.
        if let Err(why) = ledger.record_get(KEPT, &id).await {
            says(&id, &why.to_string());
        }
        elsewhere.insert(id, Arc::clone(there));
    }
    let others = elsewhere.into_values().filter(|certificate| hashes.insert(certificate.hash));
    ranked.extend(others.map(|certificate| ((false, false, None), certificate)));
    ranked.sort_by_key(|(rank, _)| *rank);
    Ok(ranked.into_iter().map(|(_, certificate)| certificate).collect())
}

/// The CRL that was brought for a generation, with the version of its record. One that cannot be read is none, with an alarm.
async fn brought_crl(
    ledger: &Ledger,
    name: &GenerationName,
    before: Option<&Generation>,
) -> Result<Option<(u64, Arc<BroughtCrl>)>, CaError> {
    let id = name.to_string();
    let version = ledger.record_version(KEPT_CRL, &id);
    let there = before.filter(|there| there.crl_version == version).and_then(|there| there.crl.as_ref());
    if let Some(there) = there {
        return Ok(Some((version, Arc::clone(there))));
    }
    let read = match ledger.record_get(KEPT_CRL, &id).await {
        Ok(Some(stored)) => BroughtCrl::of_record(&stored.body),
        Ok(None) => return Ok(None),
        Err(StoreError::Altered(says)) => Err(says),
        Err(other) => return Err(other.into()),
    };
    let read = read.inspect_err(|why| tracing::error!(generation = %name, %why, "its CRL cannot be read"));
    Ok(read.map(|crl| (version, Arc::new(crl))).ok())
}

/// A key that seals, where its tokens have it; and how they are.
async fn sealing(pool: &Pool, record: &GenerationRecord) -> (Signer, SealingHomes) {
    let Some(key) = record.sealing(pool) else {
        return (Signer::None("its key is not made yet".to_owned()), SealingHomes::default());
    };
    let found = pool.sealing_at_home(&key).await;
    let signer = match found.good.len() > found.away.len() {
        true => Signer::Seal(key.at(&found.good)),
        false => Signer::None(missing(&found.away, &found.wrong)),
    };
    (signer, found)
}

/// Why there is no key.
fn missing(away: &[(String, String)], wrong: &[(String, String)]) -> String {
    let told: Vec<String> = away.iter().chain(wrong).map(|(token, why)| format!("token `{token}`: {why}")).collect();
    told.join("; ")
}

fn signer(
    key: Result<Key, String>,
    issuer: &IssuerRecord,
    (record, standing): (&GenerationRecord, Standing),
    (certificates, cross): (&[Arc<CaCertificate>], &[Arc<CaCertificate>]),
    ways: &mut Ways,
    urls: &Urls,
    before: Option<&Signer>,
) -> Signer {
    if record.elsewhere {
        return Signer::None("its key is elsewhere, and signs at a ceremony".to_owned());
    }
    if record.lost {
        return Signer::None(LOST.to_owned());
    }
    if record.arriving {
        let name = &standing.name;
        return Signer::None(format!(
            "what it signed elsewhere is being taken in: `chancery ca import {} --from ...` goes on with it",
            name.issuer()
        ));
    }
    if record.key_hash.is_none() {
        return Signer::None("its key is not made yet".to_owned());
    }
    let key = match key {
        Ok(key) => key,
        Err(why) => return Signer::None(why),
    };
    let made = match (issuer.role, certificates.last()) {
        (IssuerRole::X509, Some(certificate)) => {
            let mut chains = ways.up(certificate);
            chains.extend(cross.iter().flat_map(|cross| ways.up(cross)));
            let made_of = (chains, issuer.leaves, issuer.crl_secs);
            let parted = (record.crls(), record.crl_above.unwrap_or(0));
            match before {
                // Made of the same: its extensions are not encoded again.
                Some(Signer::X509(there)) if there.is_of(&standing, &key, certificate, &made_of, parted) => {
                    Ok(Signer::X509(Arc::clone(there)))
                }
                Some(_) | None => Issuing::new(standing, key, certificate, made_of, parted, urls)
                    .map(|issuing| Signer::X509(Arc::new(issuing))),
            }
        }
        (IssuerRole::X509, None) => Ok(Signer::None("it has no certificate yet".to_owned())),
        (IssuerRole::SshUser | IssuerRole::SshHost, _) => SshCa::new(standing, key).map(|ca| Signer::Ssh(Arc::new(ca))),
        (IssuerRole::Log, _) => Ok(Signer::Log(key)),
        // Its key is found otherwise; one that ended has none.
        (IssuerRole::Seal, _) => Ok(Signer::None("it has ended".to_owned())),
    };
    made.unwrap_or_else(|why| Signer::None(why.to_string()))
}
