//! The values of one file: from the server, or, while it is away, from the sealed cache.
//!
//! A refusal never leads to the cache: what is refused is done away with there. What is not believed (another certificate, another program)
//! is none of its business either (docs/decisions/020-cache.md). What could not be kept is said, and is no reason to fail.

use std::sync::Arc;

use delivery::cache::{Cache, Fresh, Moment, Taken};
use delivery::exchange::{BATCH, Fetched};
use policy::World;
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use super::secrets::{self, Came, Sight};
use super::server::caller;
use crate::error::AgentError;
use crate::plan::SecretFile;

/// Who asks, as a digest: another credential is another caller, and opens nothing that was kept before.
pub(crate) type Caller = Zeroizing<[u8; 32]>;

/// Where one file's values come from.
pub(crate) struct Strongroom {
    pub world: World,
    pub plan: Arc<SecretFile>,
}

/// Values that may be used, and until when.
pub(crate) struct Values {
    pub values: delivery::Values,
    /// Which version each reference stands for, for people.
    pub versions: Vec<(String, u64)>,
    /// When they were asked for: no later than the server's own moment.
    pub at: Moment,
    /// For so many seconds from then they may be used while nobody answers; none: the server lets nothing be kept.
    pub lease_secs: Option<u64>,
}

/// From where they came.
pub(crate) enum Got {
    /// The server, with how all stood just before it was asked for them.
    Live(Values, Sight),
    /// The server, and everything stands as it did.
    Unmoved,
}

/// What of the cache is not to be used any more.
enum Gone {
    /// All that this caller kept.
    All,
    /// These alone.
    These(Vec<::secrets::Reference>),
}

impl Strongroom {
    /// Who asks now.
    pub fn caller(&self) -> Result<Caller, AgentError> {
        caller(&self.plan.server, self.world.now())
    }

    /// Looks, and asks for the values where anything is another than `seen`; without one, always.
    pub async fn ask(&self, seen: Option<&Sight>) -> Result<Got, AgentError> {
        let sight = secrets::look(&self.world, &self.plan.server, &self.plan.references).await;
        let sight = match sight {
            // Whoever may read may always list; so what is refused here is told by the values, reference by reference.
            Err(refused) if refused.is_refusal() => None,
            sight => Some(sight?),
        };
        if sight.is_some() && sight.as_ref() == seen {
            return Ok(Got::Unmoved);
        }
        // Before it is asked: no lease is longer here than there.
        let at = now()?;
        let came = secrets::values(&self.world, &self.plan.server, &self.plan.references, KEEP_SECS).await;
        let Came { fetched, absent } = match came {
            Err(refused) if refused.is_refusal() => {
                // The caller himself: all that he kept goes.
                self.forget(Gone::All).await;
                return Err(refused);
            }
            came => came?,
        };
        if !absent.is_empty() {
            let gone = absent.iter().filter(|one| one.is_taken_away()).map(|one| one.reference.clone());
            let gone: Vec<_> = gone.collect();
            // What is to be had later, or lacks a field, was not taken away.
            if !gone.is_empty() {
                self.forget(Gone::These(gone)).await;
            }
            let is_later = absent.iter().all(delivery::exchange::Absent::is_later);
            let error = AgentError::Absent(absent);
            return Err(match is_later {
                true => AgentError::Unreachable { who: self.plan.server.url.clone(), why: error.to_string() },
                false => error,
            });
        }
        let lease_secs = self.plan.references.iter().map(|one| fetched.leases.get(one).copied()).min().flatten();
        let versions = versions(fetched.versions.iter().map(|(reference, version)| (reference.to_string(), *version)));
        let values = self.keep(fetched, at.clone()).await?;
        self.tell().await;
        // Without a look each pass would open all of them, and the log would be full of it.
        let sight = sight.ok_or_else(|| AgentError::Broken {
            who: self.plan.server.url.clone(),
            why: "the agent may read these secrets and not list them: give it list-secrets beside read-secret"
                .to_owned(),
        })?;
        Ok(Got::Live(
            Values { values, versions, at, lease_secs: lease_secs.map(|secs| secs.min(self.plan.max_age_secs)) },
            sight,
        ))
    }

    /// All values as they were kept; or why that cannot be.
    pub async fn kept(&self) -> Result<Values, AgentError> {
        let (plan, now, at) = (Arc::clone(&self.plan), now()?, now()?);
        let taken = self.with_cache(move |cache| cache.take(&plan.references, &now, Some(plan.max_age_secs))).await?;
        let Taken { values, versions: of, age_secs, left_secs } = taken;
        let of = of.into_iter().map(|(reference, version)| (reference.to_string(), version));
        // As old as the oldest, and as short as the one that ends first.
        let lease_secs = age_secs.saturating_add(left_secs).min(self.plan.max_age_secs);
        let at = Moment {
            boot_ms: at.boot_ms.saturating_sub(age_secs * 1_000),
            unix_secs: at.unix_secs.saturating_sub(age_secs),
            ..at
        };
        Ok(Values { values, versions: versions(of), at, lease_secs: Some(lease_secs) })
    }

    /// Keeps them, as far as the server and the disk let it.
    async fn keep(&self, fetched: Fetched, at: Moment) -> Result<delivery::Values, AgentError> {
        let fetched = Arc::new(fetched);
        let shared = Arc::clone(&fetched);
        let keeping = move |cache: &Cache| {
            let fresh = shared.versions.iter().map(|(reference, version)| Fresh {
                reference,
                version: *version,
                lease_secs: shared.leases.get(reference).copied().unwrap_or_default(),
            });
            cache.keep(&fresh.collect::<Vec<_>>(), &shared.values, &at)
        };
        match self.with_cache(keeping).await {
            Ok(unkept) => {
                for reference in unkept {
                    tracing::warn!(secret = self.plan.name, %reference, "the cache is full: it is not kept");
                }
            }
            Err(error) => {
                tracing::warn!(
                    secret = self.plan.name,
                    error = error.chain(),
                    "nothing is kept for when the server is away"
                );
            }
        }
        Arc::into_inner(fetched).map(|fetched| fetched.values).ok_or(AgentError::Stopped)
    }

    /// Does away with what was refused.
    async fn forget(&self, gone: Gone) {
        let forgetting = move |cache: &Cache| match gone {
            Gone::All => cache.forget_all(),
            Gone::These(these) => cache.forget(&these),
        };
        if let Err(error) = self.with_cache(forgetting).await {
            let error = error.chain();
            tracing::error!(
                secret = self.plan.name,
                error,
                "what was refused is still in the cache; delete its folder"
            );
        }
    }

    /// Tells what was read from the cache meanwhile. What cannot be told now is told the next time.
    async fn tell(&self) {
        let Ok(reads) = self.with_cache(|cache| cache.reads()).await else { return };
        for some in reads.chunks(BATCH) {
            let Ok(done) = secrets::tell(&self.world, &self.plan.server, some).await else { return };
            if let Err(error) = self.with_cache(move |cache| cache.told(&done)).await {
                let error = error.chain();
                tracing::warn!(secret = self.plan.name, error, "what was read from the cache is told again");
            }
        }
    }

    /// Off the runtime's threads: its lock may be another program's for a moment.
    async fn with_cache<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Cache) -> Result<T, delivery::cache::CacheError> + Send + 'static,
    ) -> Result<T, AgentError> {
        let (plan, identity) = (Arc::clone(&self.plan), self.caller()?);
        let done = spawn_blocking(move || open(&plan, identity).and_then(|cache| act(&cache)));
        Ok(done.await.map_err(|_| AgentError::Stopped)??)
    }
}

fn open(plan: &SecretFile, identity: Caller) -> Result<Cache, delivery::cache::CacheError> {
    Cache::open(&plan.cache.folder, plan.cache.keys.as_deref(), &plan.server.url, identity)
}

fn versions(of: impl Iterator<Item = (String, u64)>) -> Vec<(String, u64)> {
    let mut all: Vec<_> = of.collect();
    all.sort();
    all
}

fn now() -> Result<Moment, AgentError> {
    Moment::now().map_err(|e| AgentError::disk("/proc".as_ref(), "it does not say since when this host runs", e))
}

/// As long as the server lets it be kept.
const KEEP_SECS: u64 = ::secrets::CACHE_SECS_MAX;
