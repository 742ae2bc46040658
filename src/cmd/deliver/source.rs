//! Where values come from: the server, or, while it is away, what was kept of it.
//!
//! A refusal never leads to the cache: what is refused is done away with there. What cannot be believed (another certificate, another
//! program) is none of its business either. The cache is asked only where the server does not answer, or says that it cannot now.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use delivery::cache::{Cache, CacheError, Fresh, Moment, Taken};
use delivery::exchange::{CACHE_READS, Fetched, telling, told};
use secrets::Reference;
use serde_json::{Value, json};

use super::fetch::{Gone, Missed, fetch};
use crate::Global;
use crate::client::Client;
use crate::failure::{Exit, Failure, OrFail};
use crate::output;
use crate::parts::span::{Span, span};

/// Where values come from, as `run`, `read` and `inject` are told.
#[derive(clap::Args, Clone, Default)]
pub struct Sourcing {
    /// Keep what is fetched in this folder, sealed, for as long as the server allows, and use it while the server is away (or
    /// CHANCERY_CACHE). The key lies in memory: a disk that is taken, and a host that is started anew, open nothing
    #[arg(long, value_name = "DIR", env = "CHANCERY_CACHE", hide_env = true, help_heading = "Cache")]
    cache: Option<PathBuf>,
    /// The folder in memory for the cache's key, instead of /dev/shm (or CHANCERY_CACHE_KEYS)
    #[arg(long, value_name = "DIR", env = "CHANCERY_CACHE_KEYS", hide_env = true, help_heading = "Cache")]
    cache_keys: Option<PathBuf>,
    /// Use the cache alone, and ask nobody
    #[arg(long, requires = "cache", help_heading = "Cache")]
    offline: bool,
    /// Use nothing from the cache that is older; it never makes anything last longer
    #[arg(long, value_name = "30m", value_parser = span, requires = "cache", help_heading = "Cache")]
    max_age: Option<Span>,
    /// While the server is away and the cache has no answer, ask again for so long
    #[arg(long, value_name = "2m", value_parser = wait, default_value = "0s", help_heading = "Cache")]
    wait: Span,
}

/// A day: whoever waits longer wants a supervisor.
fn wait(text: &str) -> Result<Span, String> {
    match span(text)? {
        long if long.secs() > WAIT_SECS_MAX => Err("wait a day at most: 24h".to_owned()),
        some => Ok(some),
    }
}

/// What came, and from where.
pub struct Sourced {
    /// The values.
    pub fetched: Fetched,
    /// From where.
    pub from: From,
}

/// From where.
pub enum From {
    /// The server.
    Live,
    /// What was kept of it.
    Cache {
        /// How old the oldest is, in seconds.
        age_secs: u64,
        /// For so many seconds more all of them are kept.
        left_secs: u64,
        /// Why the server was not asked, or did not answer.
        because: String,
    },
}

impl From {
    /// As a variable of a program has it.
    pub fn word(&self) -> &'static str {
        match self {
            From::Live => "live",
            From::Cache { .. } => "cache",
        }
    }

    /// Whether the server has something newer perhaps.
    pub fn is_stale(&self) -> bool {
        matches!(self, From::Cache { .. })
    }

    /// For scripts.
    pub fn json(&self) -> Value {
        match self {
            From::Live => json!({"from": "live"}),
            From::Cache { age_secs, left_secs, because } => {
                let [since, until] = moments(*age_secs, *left_secs);
                json!({"from": "cache", "age_secs": age_secs, "since": since, "until": until, "because": because})
            }
        }
    }

    /// For people, where there is anything to say.
    pub fn notice(&self, as_json: bool) {
        if let From::Cache { age_secs, left_secs, because } = self {
            let [since, until] = moments(*age_secs, *left_secs);
            let says = format!("from the cache, as it was at {since} ({age_secs} s ago), until {until}: {because}");
            output::notice(&says, as_json);
        }
    }
}

fn moments(age_secs: u64, left_secs: u64) -> [String; 2] {
    let now = policy::World::real().now();
    let secs = |secs: u64| i64::try_from(secs).unwrap_or(i64::MAX);
    [now.plus_secs(-secs(age_secs)).rfc3339(), now.plus_secs(secs(left_secs)).rfc3339()]
}

/// A server, and what is kept of it.
pub struct Source {
    client: Client,
    cache: Option<Cache>,
    offline: bool,
    max_age: Option<Span>,
    wait: Duration,
    as_json: bool,
    args: Sourcing,
    global: Global,
}

impl Source {
    /// As the command line says.
    pub fn open(args: Sourcing, global: &Global) -> Result<Source, Failure> {
        let client = global.client()?;
        let open = |folder: PathBuf| {
            let opened = Cache::open(&folder, args.cache_keys.as_deref(), client.base(), client.identity());
            opened.or_fail("the cache cannot be used")
        };
        let cache = args.cache.clone().map(open).transpose()?;
        let (wait, global) = (Duration::from_secs(args.wait.secs()), global.clone());
        let (offline, max_age, as_json) = (args.offline, args.max_age, global.json);
        Ok(Source { client, cache, offline, max_age, wait, as_json, args, global })
    }

    /// Asks from now on as whoever stands in the files of the command line now; false where that is nobody else.
    pub fn renewed(&mut self) -> bool {
        match Source::open(self.args.clone(), &self.global) {
            Ok(fresh) if *fresh.client.identity() != *self.client.identity() => {
                *self = fresh;
                true
            }
            Ok(_) | Err(_) => false,
        }
    }

    /// Whom to ask.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Whether nobody is to be asked.
    pub fn is_offline(&self) -> bool {
        self.offline
    }

    /// Whether anything is kept.
    pub fn has_cache(&self) -> bool {
        self.cache.is_some()
    }

    /// All of these, from the server, or from the cache while it is away; or why not.
    pub async fn values(&self, wanted: &HashSet<Reference>, optional: &HashSet<Reference>) -> Result<Sourced, Failure> {
        if self.offline {
            return self.kept(wanted, optional, "nobody was asked (--offline)").map_err(|cause| {
                let failure = Failure::new(Exit::Unavailable, "the cache does not have what is wanted").because(&cause);
                failure.help("leave out --offline where the server can be reached")
            });
        }
        let (end, mut pause) = (Instant::now() + self.wait, PAUSE_MIN);
        loop {
            let failure = match self.live(wanted, optional).await {
                Ok(fetched) => return Ok(Sourced { fetched, from: From::Live }),
                Err(failure) if failure.exit() != Exit::Unavailable => return Err(failure),
                Err(failure) => failure,
            };
            let cause = match self.kept(wanted, optional, failure.message()) {
                Ok(sourced) => return Ok(sourced),
                Err(cause) => cause,
            };
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(if self.has_cache() { failure.because(&cause) } else { failure });
            }
            tokio::time::sleep(jittered(pause).min(left)).await;
            pause = pause.saturating_mul(2).min(PAUSE_MAX);
        }
    }

    /// All of these, from the server alone; what comes is kept, what is refused is not any more.
    pub async fn live(&self, wanted: &HashSet<Reference>, optional: &HashSet<Reference>) -> Result<Fetched, Failure> {
        // Before it is asked: no lease is longer here than there.
        let at = Moment::now().or_fail("this host does not say since when it runs")?;
        let keep_secs = if self.has_cache() { KEEP_SECS } else { 0 };
        match fetch(&self.client, (wanted, optional), keep_secs).await {
            Ok(mut fetched) => {
                fetched.said.iter().for_each(|said| output::notice(said, self.as_json));
                self.forget(&Gone::These(std::mem::take(&mut fetched.gone)));
                self.keep(&fetched, &at);
                self.tell().await;
                Ok(fetched)
            }
            Err(Missed { failure, gone }) => {
                self.forget(&gone);
                Err(failure)
            }
        }
    }

    fn kept(
        &self,
        wanted: &HashSet<Reference>,
        optional: &HashSet<Reference>,
        because: &str,
    ) -> Result<Sourced, CacheError> {
        let none = || CacheError::Missing(Vec::new());
        let cache = self.cache.as_ref().ok_or_else(none)?;
        let now = Moment::now().map_err(|source| CacheError::System { doing: "asking for the time", source })?;
        let max_age_secs = self.max_age.map(Span::secs);
        let taken = match cache.take(wanted, &now, max_age_secs) {
            // What it goes without is not waited for.
            Err(CacheError::Missing(_)) if !optional.is_empty() => {
                let required = wanted.difference(optional).cloned().collect();
                cache.take(&required, &now, max_age_secs)?
            }
            taken => taken?,
        };
        let Taken { values, versions, age_secs, left_secs } = taken;
        let fetched = Fetched { values, versions: versions.into_iter().collect(), ..Fetched::default() };
        Ok(Sourced { fetched, from: From::Cache { age_secs, left_secs, because: because.to_owned() } })
    }

    /// What could not be kept is said, and is no reason to fail: the values are there.
    fn keep(&self, fetched: &Fetched, at: &Moment) {
        let Some(cache) = &self.cache else { return };
        let fresh = fetched.versions.iter().map(|(reference, version)| {
            let lease_secs = fetched.leases.get(reference).copied().unwrap_or_default();
            Fresh { reference, version: *version, lease_secs }
        });
        match cache.keep(&fresh.collect::<Vec<_>>(), &fetched.values, at) {
            Ok(unkept) => {
                for reference in unkept {
                    output::notice(&format!("the cache is full: {reference} is not kept"), self.as_json);
                }
            }
            Err(error) => self.said("nothing is kept", &error),
        }
    }

    fn forget(&self, gone: &Gone) {
        let Some(cache) = &self.cache else { return };
        let forgotten = match gone {
            Gone::Nothing => return,
            Gone::These(references) => cache.forget(references),
            Gone::All => cache.forget_all(),
        };
        if let Err(error) = forgotten {
            self.said("what was refused is still in the cache; delete its folder", &error);
        }
    }

    /// Tells what was read from the cache while the server was away. What cannot be told now is told the next time.
    async fn tell(&self) {
        let Some(cache) = &self.cache else { return };
        let reads = cache.reads().unwrap_or_default();
        for some in reads.chunks(TOLD_MAX) {
            let Ok(answer) = self.client.post(CACHE_READS, &telling(some)).await else { return };
            let done = told(some, &answer);
            if let Err(error) = cache.told(&done) {
                self.said("what was read from the cache is told again", &error);
            }
        }
    }

    fn said(&self, what: &str, error: &CacheError) {
        let cause = std::error::Error::source(error).map_or_else(String::new, |cause| format!(" ({cause})"));
        output::notice(&format!("{what}: {error}{cause}"), self.as_json);
    }
}

/// Between a half and the whole: those that lost one server do not come back at one moment.
pub fn jittered(pause: Duration) -> Duration {
    let mut byte = [0_u8];
    let drawn = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut byte);
    let [share] = if drawn.is_ok() { byte } else { [u8::MAX] };
    pause / 2 + pause / 2 * u32::from(share) / u32::from(u8::MAX)
}

const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);
const WAIT_SECS_MAX: u64 = 86_400;
/// As long as the server lets it be kept.
const KEEP_SECS: u64 = secrets::CACHE_SECS_MAX;
/// What the server takes at once.
const TOLD_MAX: usize = store::ACCESSED_MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_never_longer_than_it_is_and_never_shorter_than_half() {
        for _ in 0..1_000 {
            let pause = jittered(Duration::from_secs(8));
            assert!(pause >= Duration::from_secs(4) && pause <= Duration::from_secs(8), "{pause:?}");
        }
    }

    #[test]
    fn nobody_waits_for_longer_than_a_day() {
        assert!(wait("24h").is_ok() && wait("0s").is_ok() && wait("25h").is_err() && wait("x").is_err());
    }
}
