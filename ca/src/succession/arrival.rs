//! A CA that comes with what it signed elsewhere: certificates, revocations, the number of its newest CRL.
//!
//! In three steps, each of which looks first what is done: the CA is written down as one that is arriving, and signs nothing; what it signed
//! is taken in, some at a time, each certificate with its end in one transaction; then it begins to sign, first a CRL that tells of all of
//! them under a greater number. A crash anywhere leaves a CA that is arriving, or one that is there; the same import goes on.
//!
//! Trusted for: that nothing comes in as signed by this CA which its key did not sign. Whoever controls it can say of such a certificate
//! that it is revoked, each time with a leaf.

use hsm::Key;
use policy::{Actor, Owner};
use serde_json::json;
use store::{Filter, GrantStamp, IMPORTED, Record};

use crate::encode::sha256;
use crate::error::CaError;
use crate::estates::CRL_NUMBER_MAX;
use crate::issuers::name::check_name;
use crate::issuers::record::{BEGINNING, GenerationRecord, IssuerRecord, IssuerRole, KIND, Place};
use crate::issuers::{CrlForm, GenerationName};
use crate::succession::elsewhere::{brought_record, refused};
use crate::succession::keeper::Keeper;
use crate::succession::landing::{Arriving, Landed, Landing};
use crate::succession::maker::{missing, stamp};

/// A CA that is to be taken in with what it signed.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// What it will be called here.
    pub name: String,
    /// The label of its key in the token.
    pub label: String,
    /// Its certificate and those above it, PEM.
    pub chain_pem: Vec<u8>,
    /// Whether it signs certificates of end entities.
    pub leaves: bool,
    /// The token that has it; the first where nobody says.
    pub token: Option<String>,
    /// An operator says that its key was outside the token.
    pub was_outside: bool,
    /// SHA-256 of the root, where that is not known here; not from the file that has the chain.
    pub root: Option<[u8; 32]>,
    /// The number of the newest CRL that was made of it elsewhere.
    pub crl_number: Option<u64>,
}

/// How it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// What it is called here.
    pub name: GenerationName,
    /// It was not here before.
    pub is_new: bool,
    /// It signs nothing yet: what it signed elsewhere is being taken in.
    pub arriving: bool,
    /// The number of the newest CRL that was published here.
    pub published: Option<u64>,
    /// The least number that its next CRL may have.
    pub next: u64,
}

/// From where all of it came, and how much it was.
#[derive(Clone, Debug)]
pub struct Source {
    /// In words.
    pub place: String,
    /// SHA-256 over what was taken.
    pub sha256: [u8; 32],
}

/// So many are taken in at once: a request's size, and a transaction's.
pub const ARRIVING_MAX: usize = 128;

impl Keeper {
    /// The first step. With `rehearse` nothing is written, neither here nor in the token.
    pub(crate) async fn arrive(&self, actor: &Actor, arrival: Arrival, rehearse: bool) -> Result<Arrived, CaError> {
        self.may(actor).await?;
        let _changing = self.changing.lock().await;
        check_name(&arrival.name).map_err(|why| CaError::bad("name", why))?;
        let name = GenerationName::new(&arrival.name, 1);
        if let Some(number) = arrival.crl_number.filter(|number| *number >= CRL_NUMBER_MAX) {
            return Err(CaError::bad(
                "crl_number",
                format!("{number} leaves no room for the CRLs that follow: at most {}", CRL_NUMBER_MAX - 1),
            ));
        }
        let there = match self.maker.there(&arrival.name).await? {
            Some((record, version)) => Some(self.same(&record, &arrival).map(|number| (record, version, number))?),
            None => None,
        };
        let Some((record, version, number)) = there else {
            let tokens = self.homes(arrival.token.as_deref())?;
            self.unused(&arrival.label)?;
            let seen = self.seen_key(&tokens, &arrival.label, arrival.was_outside).await?;
            self.unused_key(&seen).await?;
            let chain = self.checked_chain(&seen, &arrival.chain_pem, arrival.root)?;
            let own = chain.first().ok_or_else(|| refused("there is no certificate in it"))?;
            if !rehearse {
                let key = self.taken_key(&tokens, seen).await?;
                let mut generation = GenerationRecord::begun(&name, None, CrlForm::WHOLE);
                generation.label = arrival.label;
                (generation.tokens, generation.brought) = (tokens, key.is_brought());
                generation.arriving = true;
                generation.crl_above = arrival.crl_number;
                let record = brought_record(own, &key, arrival.leaves, generation);
                self.maker.ledger.record_key(&key, IssuerRole::X509.as_str(), stamp(actor)).await?;
                self.maker.write(&arrival.name, (&record, 0), self.kept(&chain, actor)?, &stamp(actor)).await?;
                self.prove_arriving(actor, &name, &record, &key).await?;
                self.settle().await;
            }
            return Ok(Arrived {
                name,
                is_new: true,
                arriving: true,
                published: None,
                next: above(arrival.crl_number),
            });
        };
        let name = GenerationName::new(&arrival.name, number);
        let mut record = record;
        let mut arriving = false;
        let known = record.generation_mut(number).map(|generation| {
            arriving = generation.arriving;
            let known = generation.crl_above;
            generation.crl_above = known.max(arrival.crl_number);
            (known, generation.crl_above)
        });
        let (before, crl_above) = known.ok_or_else(|| missing(&name))?;
        if !rehearse {
            if before != crl_above {
                self.maker.write(&arrival.name, (&record, version), Vec::new(), &stamp(actor)).await?;
                self.settle().await;
            }
            if arriving {
                let generation = record.generation(number).ok_or_else(|| missing(&name))?;
                let key = self.maker.found(generation).await?;
                self.prove_arriving(actor, &name, &record, &key).await?;
            }
        }
        let published = self.published(&name).await?;
        Ok(Arrived { name, is_new: false, arriving, published, next: above(crl_above.max(published)) })
    }

    /// Whether an issuer that is here is the one that comes: by its key, its certificate and its label.
    fn same(&self, record: &IssuerRecord, arrival: &Arrival) -> Result<u32, CaError> {
        let other =
            || CaError::Conflict(format!("there is an issuer `{}` already, and it is another one", arrival.name));
        let chain =
            crate::encode::pem::all(&arrival.chain_pem, "CERTIFICATE", crate::succession::elsewhere::BROUGHT_MAX)
                .map_err(|why| refused(&why))?;
        let hashes: Vec<String> = chain.iter().map(|der| hex::encode(sha256(der))).collect();
        let is_it = |generation: &&GenerationRecord| {
            generation.label == arrival.label
                && generation
                    .certificates
                    .iter()
                    .any(|place| matches!(place, Place::Kept(hash) if hashes.contains(hash)))
        };
        let found = record.generations.iter().find(is_it).ok_or_else(other)?;
        match (found.revoked.is_some(), found.retired.is_some()) {
            (false, false) => Ok(found.number),
            (_, _) => {
                Err(CaError::Conflict(format!("issuer `{}` has ended: nothing is taken in for it", arrival.name)))
            }
        }
    }

    /// That the token has the private half: it signs a request, which is an entry of the log, and is verified with the certificate's key.
    async fn prove_arriving(
        &self,
        actor: &Actor,
        name: &GenerationName,
        record: &IssuerRecord,
        key: &Key,
    ) -> Result<(), CaError> {
        let version = self.maker.ledger.record_version(KIND, name.issuer());
        self.prove_by_request(actor, (name, version), record, key).await
    }

    async fn here_of(&self, name: &GenerationName) -> Result<Here, CaError> {
        let ledger = &self.office.ledger;
        let all = Filter { issuer: Some(name.to_string()), certificates: true, ..Filter::default() };
        let imported = Filter { profile: Some(IMPORTED.to_owned()), ..all.clone() };
        Ok(Here {
            imported: ledger.count(imported).await?,
            certificates: ledger.count(all).await?,
            revoked: ledger.revocations(&name.to_string()).rows.iter().filter(|row| !row.changes).count() as u64,
        })
    }

    async fn published(&self, name: &GenerationName) -> Result<Option<u64>, CaError> {
        let newest = self.office.ledger.newest_crl(&name.to_string()).await?;
        Ok(newest.and_then(|crl| crl.serial.last_chunk().map(|bytes| u64::from_be_bytes(*bytes))))
    }

    /// The second step, some at a time. With `rehearse` nothing is written. What is here already is left as it is; what is revoked there
    /// and not here is revoked here.
    pub(crate) async fn land(
        &self,
        actor: &Actor,
        name: &GenerationName,
        (all, owner, source): (Vec<Arriving>, Option<Owner>, &[u8; 32]),
        rehearse: bool,
    ) -> Result<Landed, CaError> {
        let grant = self.may(actor).await?;
        if all.len() > ARRIVING_MAX {
            return Err(CaError::bad("items", format!("at most {ARRIVING_MAX} are taken in at once")));
        }
        if let Some(owner) = &owner {
            self.office.gate.check_owner(owner)?;
        }
        let _changing = self.changing.lock().await;
        let hierarchy = self.office.issuers.fresh().await?;
        let generation = hierarchy.generation(name).filter(|generation| !generation.record.elsewhere);
        let generation = generation.ok_or_else(|| missing(name))?;
        if generation.record.revoked.is_some() || generation.record.retired.is_some() {
            return Err(CaError::Conflict(format!("{name} has ended: nothing is taken in for it")));
        }
        let ca = generation.certificate().ok_or_else(|| missing(name))?;
        let key = self.maker.found(&generation.record).await?;
        let desk = Landing { keeper: self, generation, ca, key, actor: stamp(actor), grant: GrantStamp::from(&grant) };
        desk.land(all, owner, source, rehearse).await
    }

    /// The last step: it begins to sign, a CRL first. How much is here, as it is counted here, and from where it came is a record; whoever
    /// says that more came is refused. Asked again, it changes nothing.
    pub(crate) async fn arrived(
        &self,
        actor: &Actor,
        name: &GenerationName,
        (source, said): (&Source, &Landed),
    ) -> Result<Arrived, CaError> {
        self.may(actor).await?;
        {
            let _changing = self.changing.lock().await;
            let (mut record, expect) = self.maker.record(name.issuer()).await?;
            let here = self.here_of(name).await?;
            here.holds(name, said)?;
            let first = record.generations.iter().all(|generation| generation.activates.is_none());
            let generation = record.generation_mut(name.number()).ok_or_else(|| missing(name))?;
            let (was, crl_above) = (generation.arriving, generation.crl_above);
            generation.arriving = false;
            if was && first {
                generation.activates = Some(BEGINNING);
            }
            let id = format!("{name} {}", hex::encode(source.sha256));
            if was || self.maker.ledger.record_version(ARRIVAL, &id) == 0 {
                let said = Record {
                    kind: ARRIVAL,
                    expect: Some(self.maker.ledger.record_version(ARRIVAL, &id)),
                    id,
                    owner: None,
                    lookup: None,
                    expires: None,
                    body: json!({
                        "generation": name.to_string(),
                        "source": clipped(&source.place),
                        "sha256": hex::encode(source.sha256),
                        "imported": true,
                        "certificates": here.imported,
                        "revocations": here.revoked,
                        "crl_above": crl_above,
                    }),
                    actor: stamp(actor),
                };
                self.maker.write(name.issuer(), (&record, expect), vec![said], &stamp(actor)).await?;
            }
        }
        self.settle().await;
        let published = self.published(name).await?;
        let (record, _) = self.maker.record(name.issuer()).await?;
        let crl_above = record.generation(name.number()).and_then(|generation| generation.crl_above);
        Ok(Arrived {
            name: name.clone(),
            is_new: false,
            arriving: false,
            published,
            next: above(crl_above.max(published)),
        })
    }
}

/// What is here of a CA that came, as it is counted here.
struct Here {
    /// Certificates that were taken in.
    imported: u64,
    /// All of its certificates: those that it signed here since too.
    certificates: u64,
    /// Its revocations, those by serial too.
    revoked: u64,
}

impl Here {
    /// A client that says of more than is here lost some on the way, or asks another server than the one that it gave them to.
    fn holds(&self, name: &GenerationName, said: &Landed) -> Result<(), CaError> {
        let came = said.new.saturating_add(said.there);
        let missing = match () {
            () if said.new > self.imported => Some(("certificates that came", said.new, self.imported)),
            () if came > self.certificates => Some(("certificates", came, self.certificates)),
            () if said.revoked > self.revoked => Some(("revocations", said.revoked, self.revoked)),
            () => None,
        };
        let Some((of, wanted, here)) = missing else { return Ok(()) };
        Err(CaError::Conflict(format!(
            "of {name} {wanted} {of} are said to be here, and {here} are: it does not begin. The same import again takes what is missing"
        )))
    }
}

fn above(number: Option<u64>) -> u64 {
    number.map_or(0, |number| number.saturating_add(1))
}

fn clipped(place: &str) -> String {
    policy::shown(place).to_string().chars().take(PLACE_CHARS_MAX).collect()
}

/// The kind of a record that says what was taken in; its id is the generation and the hash of the source.
const ARRIVAL: &str = "ca-import";
const PLACE_CHARS_MAX: usize = 500;
