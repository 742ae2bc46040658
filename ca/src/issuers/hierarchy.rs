//! The issuers of an authority as they are now: the register's records, matched with keys of the token and with certificates.
//!
//! How they are read stands in `reading`; how they come to be and are succeeded, in `succession`.

use std::collections::BTreeMap;
use std::sync::Arc;

use hsm::{Key, SealingKey};
use policy::Timestamp;
use store::{Credential, DELTA, Kind, Seals, Shard};

use crate::encode::pem;
use crate::error::CaError;
use crate::issuers::brought_crl::BroughtCrl;
use crate::issuers::certificate::CaCertificate;
use crate::issuers::chains::Signatures;
use crate::issuers::issuing::{Issuing, chain_pem};
use crate::issuers::name::{GenerationName, SEAL};
use crate::issuers::record::{GenerationRecord, IssuerRecord};
use crate::issuers::scope::Scope;
use crate::issuers::ssh_ca::SshCa;

/// Everything of an authority that signs, as it was when it was read.
pub(crate) struct Hierarchy {
    /// The version of the roster: where the fold has another, some issuer changed since.
    pub(crate) version: u64,
    /// How often tokens had come back then: what one of them has now is looked at again.
    pub(crate) returns: u64,
    pub(super) issuers: BTreeMap<String, Issuer>,
    /// Every certificate that a chain may go through.
    pub(super) known: Vec<Arc<CaCertificate>>,
    /// Roots that are handed out, those first that most people believe by now.
    pub(super) roots: Vec<Arc<CaCertificate>>,
    /// Issuers whose record is not what the log says, and why. They sign nothing; nobody else is stopped by them.
    pub(super) altered: BTreeMap<String, String>,
    /// What was found of the signatures that its chains go through.
    pub(super) signatures: Arc<Signatures>,
}

/// One issuer.
pub(crate) struct Issuer {
    /// The version of its record; 0 where that could not be read.
    pub(crate) version: u64,
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
    /// The version of the record that has it.
    pub(crate) crl_version: u64,
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

    /// The generation whose series of CRLs it is, and of what they tell: `tls/1`, everything; `tls/1/3`, a part; `tls/1/3/delta`, what
    /// came since another of that part.
    pub(crate) fn series(&self, series: &str) -> Option<(&Generation, Scope)> {
        let complete = series.strip_suffix(DELTA);
        let (generation, shard) = self.complete(complete.unwrap_or(series))?;
        let is_delta = complete.is_some();
        let is_there = !is_delta || generation.record.crls().has_deltas_of(shard);
        is_there.then_some((generation, Scope { shard, is_delta }))
    }

    fn complete(&self, series: &str) -> Option<(&Generation, Option<Shard>)> {
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

    /// Issuers of whose records nothing could be read since the start, and why.
    pub(crate) fn unread(&self) -> impl Iterator<Item = (&String, &String)> {
        self.altered.iter().filter(|(name, _)| !self.issuers.contains_key(*name))
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
        let lost = issuer.generations.iter().filter(|generation| generation.record.lost);
        let lost = lost.map(|generation| generation.name.number()).collect();
        Seals { active, keys: issuer.generations.iter().filter_map(key).collect(), lost }
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

    /// Of an SSH CA: its public key as SSH writes it, by its record; where that was written without it, by its tokens, if they have it.
    pub(crate) fn ssh_key(&self) -> Option<Vec<u8>> {
        let written = self.record.ssh_key.as_deref().and_then(|key| hex::decode(key).ok());
        match &self.signer {
            Signer::Ssh(ca) => written.or_else(|| Some(ca.blob.clone())),
            Signer::X509(_) | Signer::Log(_) | Signer::Seal(_) | Signer::None(_) => written,
        }
    }

    /// Whether its key was made once, and it cannot sign: the token may get it back.
    pub(crate) fn is_dead(&self) -> bool {
        !self.record.elsewhere
            && !self.record.arriving
            && !self.record.lost
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
pub(super) fn ended(record: &GenerationRecord) -> Option<&'static str> {
    match record {
        GenerationRecord { revoked: Some(_), .. } => Some("revoked"),
        GenerationRecord { retired: Some(_), .. } => Some("retired"),
        _ => None,
    }
}
