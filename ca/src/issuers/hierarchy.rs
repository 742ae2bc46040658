//! The issuers of an authority as they are now: the register's records, matched with keys of the token and with certificates.
//!
//! What is wrong with one of them is noted where it is and stops nobody else: a key that the token lost, a row that was altered. How
//! issuers come to be and are succeeded stands in `succession`.

use std::collections::BTreeMap;
use std::sync::Arc;

use hsm::{AtHome, Key, Pool, SealingHomes, SealingKey};
use policy::Timestamp;
use store::{Credential, EachRecord, Kind, Ledger, Seals, Shard, StoreError};

use crate::encode::{pem, sha256};
use crate::error::CaError;
use crate::issuers::brought_crl::BroughtCrl;
use crate::issuers::certificate::CaCertificate;
use crate::issuers::chains::chains;
use crate::issuers::issuing::{Issuing, chain_pem};
use crate::issuers::name::{GenerationName, SEAL};
use crate::issuers::record::{
    GenerationRecord, IssuerRecord, IssuerRole, KEPT, KEPT_CRL, KIND, Place, ROSTER, ROSTER_ID,
};
use crate::issuers::ssh_ca::SshCa;
use crate::issuers::standing::Standing;
use crate::issuers::urls::Urls;

/// Everything of an authority that signs, as it was when it was read.
pub(crate) struct Hierarchy {
    /// The version of the roster: where the fold has another, some issuer changed since.
    pub(crate) version: u64,
    /// How often tokens had come back then: what one of them has now is looked at again.
    pub(crate) returns: u64,
    issuers: BTreeMap<String, Issuer>,
    /// Every certificate that a chain may go through.
    known: Vec<Arc<CaCertificate>>,
    /// Roots that are handed out, those first that most people believe by now.
    roots: Vec<Arc<CaCertificate>>,
    /// Issuers whose record is not what the log says, and why. They sign nothing; nobody else is stopped by them.
    altered: BTreeMap<String, String>,
}

/// One issuer.
pub(crate) struct Issuer {
    pub(crate) record: IssuerRecord,
    /// By number.
    pub(crate) generations: Vec<Generation>,
}

/// One generation of it.
pub(crate) struct Generation {
    pub(crate) name: GenerationName,
    pub(crate) record: GenerationRecord,
    /// It has no certificate yet, and needs one.
    pub(crate) waits: bool,
    /// The oldest first.
    pub(crate) certificates: Vec<Arc<CaCertificate>>,
    /// Those of the same key by other CAs.
    pub(crate) cross: Vec<Arc<CaCertificate>>,
    pub(crate) signer: Signer,
    /// Its tokens that did not answer, each with why.
    pub(crate) away: Vec<(String, String)>,
    /// Its tokens that are not asked for it, since they have another key of that name or none; each with why.
    pub(crate) wrong: Vec<(String, String)>,
    /// The newest CRL that was brought, of one whose key is elsewhere.
    pub(crate) crl: Option<Arc<BroughtCrl>>,
}

/// With what it signs.
pub(crate) enum Signer {
    X509(Arc<Issuing>),
    Ssh(Arc<SshCa>),
    Log(Key),
    Seal(SealingKey),
    /// It cannot, and why.
    None(String),
}

impl Hierarchy {
    /// Reads records, finds keys in the token and certificates in the register, and matches them. The token is asked for what it was
    /// not asked for before. Of an issuer whose record somebody altered stands what was read `before`, where it was: it signs nothing.
    pub(crate) async fn read(
        pool: &Pool,
        ledger: &Ledger,
        urls: &Urls,
        before: Option<&Hierarchy>,
    ) -> Result<Hierarchy, CaError> {
        // Before the records: what changes meanwhile is read again.
        let version = ledger.record_version(ROSTER, ROSTER_ID);
        let returns = pool.returns();
        let mut read = Vec::new();
        let mut altered = BTreeMap::new();
        for (id, stored) in with_those_of(ledger, before).await? {
            let (version, record) = match stored
                .map_err(CaError::from)
                .and_then(|s| Ok((s.version, IssuerRecord::of(&s)?)))
            {
                Ok(read) => read,
                Err(why @ (CaError::Altered(_) | CaError::Internal(_))) => {
                    tracing::error!(issuer = %policy::shown(&id), %why, "an issuer cannot be read: it signs nothing");
                    altered.insert(id.clone(), why.to_string());
                    let Some(there) = before.and_then(|before| before.issuers.get(&id)) else { continue };
                    (0, there.record.clone())
                }
                Err(other) => return Err(other),
            };
            let mut generations = Vec::new();
            for generation in &record.generations {
                let name = GenerationName::new(&id, generation.number);
                let certificates =
                    (read_all(ledger, &generation.certificates).await?, read_all(ledger, &generation.cross).await?);
                generations.push((name, generation.clone(), certificates));
            }
            read.push((id, version, record, generations));
        }
        let known = known(ledger, read.iter().flat_map(|(_, _, _, generations)| generations)).await?;
        let mut crls = BTreeMap::new();
        for (name, _, _) in read.iter().flat_map(|(_, _, _, all)| all).filter(|(_, record, _)| record.elsewhere) {
            crls.extend(brought_crl(ledger, name).await?.map(|crl| (name.clone(), crl)));
        }
        // No chain goes through what a CA above has revoked, whoever's it is.
        let holds = |c: &&Arc<CaCertificate>| !crls.values().any(|crl| crl.lists(c).is_some());
        let ways: Vec<_> = known.iter().filter(holds).cloned().collect();
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
                let at_home = match generation.elsewhere || is_seal {
                    true => None,
                    false => generation.at_home(pool).await,
                };
                let AtHome { key, mut away, mut wrong } = at_home.unwrap_or_default();
                let sealing = match is_seal && ended(&generation).is_none() {
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
                let signer = match (altered.get(&id), sealing) {
                    (Some(why), _) => Signer::None(why.clone()),
                    (None, Some(sealing)) => sealing,
                    (None, None) => signer(key, &record, (&generation, standing), (&certificates, &cross), &ways, urls),
                };
                let crl = crls.get(&name).cloned();
                let waits = record.role == IssuerRole::X509 && generation.certificates.is_empty();
                all.push(Generation { name, record: generation, waits, certificates, cross, signer, away, wrong, crl });
            }
            issuers.insert(id, Issuer { record, generations: all });
        }
        let in_use = |der: &[u8]| {
            let generations = issuers.values().flat_map(|issuer| &issuer.generations);
            let ours = generations
                .filter(|generation| generation.certificates.iter().chain(&generation.cross).any(|c| c.der == der));
            ours.into_iter().all(|generation| ended(&generation.record).is_none())
        };
        let roots: Vec<_> = known.iter().filter(|known| known.is_root() && in_use(&known.der)).cloned().collect();
        Ok(Hierarchy { version, returns, issuers, known, roots, altered })
    }

    /// All of them, by name.
    pub(crate) fn issuers(&self) -> impl Iterator<Item = (&String, &Issuer)> {
        self.issuers.iter()
    }

    /// One of them.
    pub(crate) fn issuer(&self, name: &str) -> Result<&Issuer, CaError> {
        self.issuers.get(name).ok_or_else(|| match self.altered.get(name) {
            Some(why) => CaError::Altered(why.clone()),
            None => CaError::NotFound(format!("issuer `{}`", policy::shown(name))),
        })
    }

    /// Refuses what names neither an issuer nor a generation: a mistyped one has nothing, which would be good news.
    pub(crate) fn check_named(&self, text: &str) -> Result<(), CaError> {
        let is_there = match text.parse::<GenerationName>() {
            Ok(name) => self.generation(&name).is_some(),
            Err(_) => self.issuer(text).is_ok(),
        };
        match is_there {
            true => Ok(()),
            false => {
                let says = format!("there is no issuer `{}`; `chancery ca list` has them", policy::shown(text));
                Err(CaError::bad("issuer", says))
            }
        }
    }

    /// The part of an issuer's revocations that has a serial; none where there is one part alone.
    pub(crate) fn shard(&self, issuer: &str, serial: &[u8]) -> Option<Shard> {
        let generation = issuer.parse().ok().and_then(|name| self.generation(&name))?;
        Shard::of_serial(serial, generation.record.shards)
    }

    /// The generation whose series of CRLs it is, and the part of which they tell: `tls/1`, everything; `tls/1/3`, a part.
    pub(crate) fn series(&self, series: &str) -> Option<(&Generation, Option<Shard>)> {
        if let Some(whole) = series.parse().ok().and_then(|name| self.generation(&name)) {
            return Some((whole, None));
        }
        let (name, index) = series.rsplit_once('/')?;
        let generation = self.generation(&name.parse().ok()?)?;
        let shard = Shard::new(index.parse().ok()?, generation.record.shards)?;
        (shard.series(name) == series).then_some((generation, Some(shard)))
    }

    /// Whether something of it could not be read that may be put right again.
    pub(crate) fn is_altered(&self) -> bool {
        !self.altered.is_empty()
    }

    /// All generations that there are.
    pub(crate) fn generations(&self) -> impl Iterator<Item = &Generation> {
        self.issuers.values().flat_map(|issuer| &issuer.generations)
    }

    /// One of them.
    pub(crate) fn generation(&self, name: &GenerationName) -> Option<&Generation> {
        let issuer = self.issuers.get(name.issuer())?;
        issuer.generations.iter().find(|generation| generation.name == *name)
    }

    /// All CAs that sign X.509.
    pub(crate) fn issuing_all(&self) -> impl Iterator<Item = &Arc<Issuing>> {
        self.generations().filter_map(Generation::issuing)
    }

    /// A CA by the name of its generation, as the register has it.
    pub(crate) fn issuing_of(&self, generation: &str) -> Option<&Arc<Issuing>> {
        self.generation(&generation.parse().ok()?)?.issuing()
    }

    /// The generations of the sealing key whose key is there, and the one under which new things are sealed.
    pub(crate) fn seals(&self, now: Timestamp) -> Seals {
        let Some(issuer) = self.issuers.get(SEAL) else { return Seals::default() };
        let key = |generation: &Generation| match &generation.signer {
            Signer::Seal(key) => Some((generation.name.number(), key.clone())),
            Signer::X509(_) | Signer::Ssh(_) | Signer::Log(_) | Signer::None(_) => None,
        };
        let active = issuer.record.active(now).map(|generation| generation.number);
        Seals { active, keys: issuer.generations.iter().filter_map(key).collect() }
    }

    /// The generation of an issuer that issues now.
    pub(crate) fn active(&self, name: &str, now: Timestamp) -> Result<&Generation, CaError> {
        let issuer = self.issuer(name).map_err(|error| match error {
            CaError::NotFound(_) => CaError::bad("profile", format!("there is no issuer `{name}`")),
            other => other,
        })?;
        let none = || {
            CaError::Conflict(format!(
                "no generation of issuer `{name}` issues yet; `chancery ca show {name}` says from when"
            ))
        };
        let number = issuer.record.active(now).ok_or_else(none)?.number;
        issuer.generations.iter().find(|generation| generation.name.number() == number).ok_or_else(none)
    }

    /// A certificate and its intermediates, PEM, without the root: by the way that is preferred, where there is such a one. Empty for
    /// what is no X.509 certificate or not signed.
    pub(crate) fn chain_pem(&self, credential: &Credential, preferred: Option<&str>) -> String {
        match credential.kind {
            Kind::Certificate | Kind::CaCertificate => {}
            Kind::SshUser | Kind::SshHost | Kind::CodeSignature | Kind::Crl | Kind::CaRequest | Kind::OcspBatch => {
                return String::new();
            }
        }
        let chain = match (self.issuing_of(&credential.issuer), preferred) {
            (None, _) => String::new(),
            (Some(issuing), None) => issuing.chain_pem.clone(),
            (Some(issuing), preferred @ Some(_)) => {
                let first = issuing.chains_by(preferred).first().map(|chain| chain_pem(chain));
                first.unwrap_or_else(|| issuing.chain_pem.clone())
            }
        };
        credential.x509_der().map_or(String::new(), |der| pem::encode_before("CERTIFICATE", &der, &chain))
    }

    /// Every chain from a certificate to a root, PEM, each without its root; the preferred one first.
    pub(crate) fn chains_pem(&self, credential: &Credential, preferred: Option<&str>) -> Vec<String> {
        let issuing = self.issuing_of(&credential.issuer);
        let chains = issuing.map_or_else(Vec::new, |issuing| issuing.chains_by(preferred));
        let own = credential.x509_der().filter(|_| credential.kind == Kind::Certificate);
        own.map_or(Vec::new(), |der| {
            chains.iter().map(|chain| pem::encode_before("CERTIFICATE", &der, &chain_pem(chain))).collect()
        })
    }

    /// Every certificate that a chain may go through.
    pub(crate) fn known(&self) -> impl Iterator<Item = &Arc<CaCertificate>> {
        self.known.iter()
    }

    /// The roots that are in use or will be.
    pub(crate) fn roots(&self) -> &[Arc<CaCertificate>] {
        &self.roots
    }
}

impl Generation {
    /// The CA, where it is one that can sign.
    pub(crate) fn issuing(&self) -> Option<&Arc<Issuing>> {
        match &self.signer {
            Signer::X509(issuing) => Some(issuing),
            Signer::Ssh(_) | Signer::Log(_) | Signer::Seal(_) | Signer::None(_) => None,
        }
    }

    /// Its key, where the token has it.
    pub(crate) fn key(&self) -> Option<&Key> {
        match &self.signer {
            Signer::X509(issuing) => Some(&issuing.key),
            Signer::Ssh(ca) => Some(&ca.key),
            Signer::Log(key) => Some(key),
            Signer::Seal(_) | Signer::None(_) => None,
        }
    }

    /// Whether its key was made once, and it cannot sign: the token may get it back.
    pub(crate) fn is_dead(&self) -> bool {
        !self.record.elsewhere
            && !self.record.arriving
            && self.record.is_made()
            // A key that sealed is destroyed when its generation ends.
            && (self.record.touchstone.is_none() || ended(&self.record).is_none())
            && !self.waits
            && matches!(self.signer, Signer::None(_))
    }

    /// The certificate that it issues under.
    pub(crate) fn certificate(&self) -> Option<&Arc<CaCertificate>> {
        self.certificates.last()
    }
}

/// An operator's word that a generation signs nothing any more.
fn ended(record: &GenerationRecord) -> Option<&'static str> {
    match record {
        GenerationRecord { revoked: Some(_), .. } => Some("revoked"),
        GenerationRecord { retired: Some(_), .. } => Some("retired"),
        _ => None,
    }
}

/// The records of all issuers, those too that were there before and that no list has any more.
async fn with_those_of(ledger: &Ledger, before: Option<&Hierarchy>) -> Result<EachRecord, CaError> {
    let mut all = ledger.record_each(KIND).await?;
    for name in before.into_iter().flat_map(|before| before.issuers.keys()) {
        if all.iter().any(|(id, _)| id == name) {
            continue;
        }
        match ledger.record_get(KIND, name).await {
            Ok(Some(found)) => all.push((name.clone(), Ok(found))),
            Ok(None) => {}
            Err(why @ StoreError::Altered(_)) => all.push((name.clone(), Err(why))),
            Err(other) => return Err(other.into()),
        }
    }
    Ok(all)
}

type Read = Result<Vec<Arc<CaCertificate>>, String>;

/// A generation's certificates. What is wrong with one of them is its own.
async fn read_all(ledger: &Ledger, places: &[Place]) -> Result<Read, CaError> {
    let mut all = Vec::new();
    for place in places {
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
) -> Result<Vec<Arc<CaCertificate>>, CaError> {
    let mut ranked = Vec::new();
    for (_, record, (own, cross)) in ours {
        let rank = (ended(record).is_some(), record.activates.is_none(), record.activates);
        ranked.extend(own.iter().chain(cross).flatten().map(|certificate| (rank, Arc::clone(certificate))));
    }
    // Those from elsewhere that are nobody's own: roots and intermediates above ours.
    for (id, stored) in ledger.record_each(KEPT).await? {
        let read = match stored {
            Ok(stored) => kept(&stored.body, &stored.id),
            Err(StoreError::Altered(says)) => Err(says),
            Err(other) => return Err(other.into()),
        };
        match read {
            Ok(certificate) if ranked.iter().all(|(_, there)| there.der != certificate.der) => {
                ranked.push(((false, false, None), Arc::new(certificate)));
            }
            Ok(_) => {}
            Err(why) => {
                let certificate = policy::shown(&id);
                tracing::error!(%certificate, %why, "a certificate from elsewhere cannot be read");
            }
        }
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    Ok(ranked.into_iter().map(|(_, certificate)| certificate).collect())
}

/// The CRL that was brought for a generation. One that cannot be read is none, with an alarm.
async fn brought_crl(ledger: &Ledger, name: &GenerationName) -> Result<Option<Arc<BroughtCrl>>, CaError> {
    let read = match ledger.record_get(KEPT_CRL, &name.to_string()).await {
        Ok(Some(stored)) => BroughtCrl::of_record(&stored.body),
        Ok(None) => return Ok(None),
        Err(StoreError::Altered(says)) => Err(says),
        Err(other) => return Err(other.into()),
    };
    Ok(read.map(Arc::new).inspect_err(|why| tracing::error!(generation = %name, %why, "its CRL cannot be read")).ok())
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
    known: &[Arc<CaCertificate>],
    urls: &Urls,
) -> Signer {
    if record.elsewhere {
        return Signer::None("its key is elsewhere, and signs at a ceremony".to_owned());
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
            let mut ways = chains(certificate, known);
            ways.extend(cross.iter().flat_map(|cross| chains(cross, known)));
            Issuing::new(
                standing,
                key,
                certificate,
                (ways, issuer.leaves, issuer.crl_secs),
                (record.shards, record.crl_above.unwrap_or(0)),
                urls,
            )
            .map(|i| Signer::X509(Arc::new(i)))
        }
        (IssuerRole::X509, None) => Ok(Signer::None("it has no certificate yet".to_owned())),
        (IssuerRole::SshUser | IssuerRole::SshHost, _) => SshCa::new(standing, key).map(|ca| Signer::Ssh(Arc::new(ca))),
        (IssuerRole::Log, _) => Ok(Signer::Log(key)),
        // Its key is found otherwise; one that ended has none.
        (IssuerRole::Seal, _) => Ok(Signer::None("it has ended".to_owned())),
    };
    made.unwrap_or_else(|why| Signer::None(why.to_string()))
}
