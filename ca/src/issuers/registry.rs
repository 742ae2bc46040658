//! The issuers in force: read when the authority opens, and again when any node changed one.

use std::sync::Arc;

use arc_swap::ArcSwap;
use hsm::Pool;
use policy::Timestamp;
use store::Ledger;
use tokio::sync::Mutex;

use crate::error::CaError;
use crate::issuers::hierarchy::{Generation, Hierarchy, Signer};
use crate::issuers::issuing::Issuing;
use crate::issuers::name::LOG;
use crate::issuers::reading::read;
use crate::issuers::record::{IssuerRole, ROSTER, ROSTER_ID};
use crate::issuers::ssh_ca::SshCa;
use crate::issuers::urls::Urls;

/// Who knows the issuers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Registry(Arc<Inner>);

struct Inner {
    pool: Pool,
    ledger: Ledger,
    urls: Urls,
    now: ArcSwap<Hierarchy>,
    reading: Mutex<()>,
}

impl Registry {
    /// Reads them.
    pub(crate) async fn open(pool: Pool, ledger: Ledger, urls: Urls) -> Result<Registry, CaError> {
        let now = ArcSwap::from_pointee(read(&pool, &ledger, &urls, None).await?);
        let registry = Registry(Arc::new(Inner { pool, ledger, urls, now, reading: Mutex::default() }));
        registry.put_seals_in_force();
        Ok(registry)
    }

    /// As they were read last.
    pub(crate) fn read(&self) -> Arc<Hierarchy> {
        self.0.now.load_full()
    }

    /// As they are: read again where the fold says that one of them changed. A question of memory where none did.
    pub(crate) async fn fresh(&self) -> Result<Arc<Hierarchy>, CaError> {
        let Inner { pool, ledger, urls, now, reading } = &*self.0;
        let is_fresh = |there: &Hierarchy| there.version == ledger.record_version(ROSTER, ROSTER_ID);
        let there = now.load_full();
        if is_fresh(&there) {
            return Ok(there);
        }
        let _reading = reading.lock().await;
        let there = now.load_full();
        if is_fresh(&there) {
            return Ok(there);
        }
        let read = Arc::new(read(pool, ledger, urls, Some(&there)).await?);
        now.store(Arc::clone(&read));
        self.put_seals_in_force();
        Ok(read)
    }

    /// Reads them again where one of them cannot sign, whatever the fold says: its key may have come back to the token.
    pub(crate) async fn look_again(&self) -> Result<(), CaError> {
        let there = self.fresh().await?;
        let looked_for = |generation: &Generation| generation.is_dead() || !generation.wrong.is_empty();
        // A token that came back may have come back with another key.
        let is_well = there.returns == self.0.pool.returns() && !there.is_altered();
        if is_well && !there.generations().any(looked_for) {
            return Ok(());
        }
        let _reading = self.0.reading.lock().await;
        let read = read(&self.0.pool, &self.0.ledger, &self.0.urls, Some(&there)).await?;
        self.0.now.store(Arc::new(read));
        self.put_seals_in_force();
        Ok(())
    }

    /// Tells the ledger which generations of the sealing key there are, and which one seals: it knows no issuers. Called again as time
    /// passes, which brings a generation into force.
    pub(crate) fn put_seals_in_force(&self) {
        self.0.ledger.take_seals(self.read().seals(self.now()));
    }

    /// The CA that issues for an issuer's name now.
    pub(crate) async fn issuing(&self, name: &str) -> Result<Arc<Issuing>, CaError> {
        let hierarchy = self.fresh().await?;
        let active = hierarchy.active(name, self.now())?;
        match &active.signer {
            Signer::X509(issuing) => Ok(Arc::clone(issuing)),
            Signer::None(why) => Err(dead(active, why)),
            Signer::Ssh(_) | Signer::Log(_) | Signer::Seal(_) => {
                Err(CaError::bad("profile", format!("issuer `{name}` signs no X.509 certificates")))
            }
        }
    }

    /// The SSH CA that signs for an issuer's name now.
    pub(crate) async fn ssh(&self, name: &str, role: IssuerRole) -> Result<Arc<SshCa>, CaError> {
        let hierarchy = self.fresh().await?;
        let active = hierarchy.active(name, self.now())?;
        match &active.signer {
            // What hosts believe of hosts, and of users, are two things.
            Signer::Ssh(ca) if hierarchy.issuer(name)?.record.role == role => Ok(Arc::clone(ca)),
            Signer::None(why) => Err(dead(active, why)),
            Signer::Ssh(_) | Signer::X509(_) | Signer::Log(_) | Signer::Seal(_) => {
                let what = role.as_str();
                Err(CaError::bad("profile", format!("issuer `{name}` signs no {what} certificates")))
            }
        }
    }

    /// The key that signs the log's heads now.
    pub(crate) async fn log_key(&self) -> Result<hsm::Key, CaError> {
        let hierarchy = self.fresh().await?;
        hierarchy.issuer(LOG).map_err(|error| match error {
            CaError::NotFound(_) => CaError::NotFound("its issuers: run `chancery init`; the authority was".to_owned()),
            other => other,
        })?;
        let active = hierarchy.active(LOG, self.now())?;
        match &active.signer {
            Signer::Log(key) => Ok(key.clone()),
            Signer::None(why) => Err(dead(active, why)),
            Signer::X509(_) | Signer::Ssh(_) | Signer::Seal(_) => {
                Err(CaError::Internal("the log's issuer is none of a log".to_owned()))
            }
        }
    }

    /// The keys that sign the log's heads: the one in force first, then those that it followed and nobody retired.
    pub(crate) async fn log_keys(&self) -> Result<Vec<hsm::Key>, CaError> {
        let mut keys = vec![self.log_key().await?];
        let (hierarchy, now) = (self.fresh().await?, self.now());
        for generation in hierarchy.issuer(LOG)?.generations.iter().rev() {
            let record = &generation.record;
            let is_followed = record.activates.is_some_and(|at| at <= now) && record.retired.is_none();
            match &generation.signer {
                Signer::Log(key) if is_followed && keys.iter().all(|one| one.fingerprint() != key.fingerprint()) => {
                    keys.push(key.clone());
                }
                Signer::Log(_) | Signer::Seal(_) | Signer::None(_) | Signer::X509(_) | Signer::Ssh(_) => {}
            }
        }
        keys.truncate(LOG_KEYS_MAX);
        Ok(keys)
    }

    /// Never later than what can be believed: a clock that jumped ahead brings no generation into force.
    fn now(&self) -> Timestamp {
        self.0.ledger.cautious_time()
    }
}

/// A head has no more signatures than this: each costs the token one. Who needs an older key has pinned it for years.
const LOG_KEYS_MAX: usize = 3;

fn dead(generation: &Generation, why: &str) -> CaError {
    let (name, waits) = (&generation.name, generation.record.certificates.is_empty());
    if !generation.away.is_empty() {
        return CaError::away(
            AWAY_RETRY_SECS,
            &name.to_string(),
            format!(
                "generation {name} signs nothing now: {why}; it is brought back as soon as it answers, and `chancery ca tokens {name} \
                 --add TOKEN` gives the key another home"
            ),
        );
    }
    let way_out = match waits {
        true => format!(
            "`chancery ca adopt {name}` brings the certificate that was signed elsewhere (with --here where no server runs)"
        ),
        false => format!("`chancery ca rotate {}` makes its successor", name.issuer()),
    };
    CaError::Conflict(format!("generation {name} signs nothing: {why}; {way_out}"))
}

/// A token is looked for every second.
const AWAY_RETRY_SECS: u32 = 5;
