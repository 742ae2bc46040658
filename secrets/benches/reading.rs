//! Readings beside the store's raw group commits, in one run: `cargo bench -p chancery-secrets --bench reading`.
//!
//! Three rates, each the median of five interleaved rounds of 64 callers inside one process, on SQLite with `synchronous=FULL`: the
//! store's own commits of a leaf that names one sealed record, with nothing read before and nothing opened after; readings whose keys
//! were unsealed a moment ago; and readings that ask the token each time.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chancery_secrets::{Change, Naming, Patch, Put, SecretPath, Vault, Wanted, Which};
use hsm::SealingKey;
use hsm::testing::TestToken;
use policy::{Action, Actor, Grant, Owner, OwnerRules, Policies, Proof, Resource, Role, World};
use store::testing::{median, rate};
use store::{AccessEntry, Accessed, ActorStamp, Database, Ledger, LogConfig, NewValue, Seals, Showing};

const CALLERS: usize = 64;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);
/// Secrets that are read in turn.
const SECRETS: u64 = 1_000;
const LEASE: Duration = Duration::from_secs(300);

/// The binary's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    // `cargo test --benches` runs this too, to see that it builds.
    if std::env::args().any(|argument| argument == "--bench") {
        tokio::runtime::Runtime::new().expect("a runtime").block_on(measure());
    }
}

async fn measure() {
    let folder = tempfile::tempdir().expect("a folder");
    let house = House::open(folder.path()).await;
    let entry = Arc::new(house.raw().await);
    let kept = Arc::new(house.readers(LEASE).await);
    let asked = Arc::new(house.readers(Duration::ZERO).await);
    let mut seen = [vec![], vec![], vec![]];
    for round in 1..=ROUNDS {
        eprintln!("round {round} of {ROUNDS}");
        let [raws, keeps, asks] = &mut seen;
        let (ledger, entry) = (house.ledger.clone(), Arc::clone(&entry));
        raws.push(during(move |_| raw(ledger.clone(), Arc::clone(&entry))).await);
        let readers = Arc::clone(&kept);
        keeps.push(during(move |number| readers.read(number)).await);
        let readers = Arc::clone(&asked);
        asks.push(during(move |number| readers.read(number)).await);
    }
    let [raw, kept, asked] = seen.map(median);
    println!("| {CALLERS} callers, SQLite | per second | of the raw rate |");
    println!("|---|---|---|");
    println!("| the store: a leaf that names a sealed record, durable | {raw:.0} | |");
    println!("| a reading with its durable leaf, its key unsealed before | {kept:.0} | {:.0} % |", 100.0 * kept / raw);
    println!("| a reading for which the token is asked | {asked:.0} | {:.0} % |", 100.0 * asked / raw);
}

async fn during<F>(act: impl Fn(u64) -> F + Send + Sync + 'static) -> f64
where
    F: Future<Output = ()> + Send + 'static,
{
    rate(CALLERS, ROUND, act).await.expect("the callers come home")
}

async fn raw(ledger: Ledger, entry: Arc<AccessEntry>) {
    ledger.access(AccessEntry::clone(&entry)).await.expect("a leaf");
}

struct House {
    ledger: Ledger,
    policies: Arc<Policies>,
    _token: TestToken,
}

impl House {
    async fn open(folder: &Path) -> House {
        let token = TestToken::new("reading");
        let (pool, mint) = hsm::open(token.config()).expect("the token opens");
        let log = LogConfig { origin: "bench.example.internal/log".into(), state: None, instance: None };
        let database = Database::Sqlite(folder.join("reading.db"));
        let ledger = Ledger::found(database, (&pool, mint), log, World::real()).await.expect("a register");
        let touchstone = pool.touchstone(None, "seal-1").await.expect("a touchstone");
        let keys = [(1, SealingKey::known("seal-1".to_owned(), &[], touchstone))].into();
        ledger.take_seals(Seals { active: Some(1), keys, ..Seals::default() });
        let shipped = Policies::shipped().iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        let rules = OwnerRules::none(owner());
        let policies = Policies::load(&shipped.collect::<Vec<_>>(), vec![rules]).expect("policies");
        House { ledger, policies: Arc::new(policies), _token: token }
    }

    /// The leaf that the raw rate is made of, as long as that of a reading.
    async fn raw(&self) -> AccessEntry {
        let id = "prod/service/key-raw@1.1".to_owned();
        let value = NewValue {
            id: id.clone(),
            owner: Some(owner().to_string()),
            key: &[7; 32],
            wrapped: None,
            envelope: vec![7; 200],
            instead_of: vec![],
        };
        let grant = self.grant(Action::ReadSecret, "prod/service/key-raw");
        let actor: ActorStamp = grant.actor().into();
        let versions = self.ledger.keep_value(value, vec![], actor.clone()).await.expect("a value");
        let opened = vec![Accessed { id, version: versions.last().copied().expect("its version") }];
        AccessEntry {
            actor,
            grant: (&grant).into(),
            showing: Showing::Opened,
            since: None,
            until: None,
            opened,
            judged: vec![],
            used: None,
        }
    }

    async fn readers(&self, lease: Duration) -> Readers {
        let vault = Vault::new(self.ledger.clone(), lease);
        let mut all = Vec::new();
        for number in 0..SECRETS {
            let text = format!("prod/service-{}/key-{number:04}", lease.as_secs());
            let path: SecretPath = text.parse().expect("a path");
            let patch = Patch::new().set("key".parse().expect("a name"), vec![b'k'; 200]);
            let put = Put { change: Change::Patch(patch), naming: Naming::default(), ..Put::default() };
            let grant = self.grant(Action::WriteSecret, &text);
            vault.put(grant, &path, &owner(), put).await.expect("a secret");
            all.push(path);
        }
        Readers { vault, policies: Arc::clone(&self.policies), all }
    }

    fn grant(&self, action: Action, path: &str) -> Grant {
        granted(&self.policies, action, path)
    }
}

fn granted(policies: &Policies, action: Action, path: &str) -> Grant {
    let actor = Actor {
        id: "token:bench".into(),
        roles: [Role::SecretReader, Role::SecretWriter].into(),
        owners: [owner()].into(),
        scopes: None,
        proof: Proof::Token { id: "0011223344556677".into() },
        second_factor: None,
    };
    policies.decide(&actor, action, &Resource::secret(Some(owner()), path)).expect("a grant")
}

struct Readers {
    vault: Vault,
    policies: Arc<Policies>,
    all: Vec<SecretPath>,
}

impl Readers {
    fn read(&self, number: u64) -> impl Future<Output = ()> + Send + use<> {
        let path = &self.all[(number % self.all.len() as u64) as usize];
        let grant = granted(&self.policies, Action::ReadSecret, path.as_str());
        let wanted = Wanted { grant, path: path.clone(), known: None, which: Which::default(), keep_secs: 0 };
        let vault = self.vault.clone();
        async move { drop(vault.read(wanted).await.expect("a reading")) }
    }
}

fn owner() -> Owner {
    Owner::parse("web").expect("an owner")
}
