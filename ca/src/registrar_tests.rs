//! The page under faults: each step, failed and failed-but-done, and what the register says afterwards.

use std::sync::atomic::{AtomicUsize, Ordering};

use hsm::testing::TestToken;
use hsm::{Health, Intent, KeyKind, Mint, NotSigned, Pool, SignError, Signature};
use policy::{Timestamp, World};
use store::{ActorStamp, Database, Entry, GrantStamp, Issued, Kind, Ledger, LogConfig, State, StoreError};

use crate::checks::Checked;
use crate::error::CaError;
use crate::registrar::{Register, Token, walk};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Face {
    Failed,
    FailedButDone,
}
use Face::{Failed, FailedButDone};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Intend,
    Sign,
    /// The token says that nothing was signed, and writing that down is what goes wrong.
    Fail,
    Conclude,
}

/// The ledger with a fault in front of one step.
struct Faulty<'a> {
    ledger: &'a Ledger,
    at: Option<(Step, Face)>,
}

impl Faulty<'_> {
    async fn meet<T>(&self, step: Step, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let lost = || StoreError::Unknown("the connection broke".to_owned());
        match self.at {
            Some((at, Failed)) if at == step => Err(StoreError::Unavailable("the disk is full".to_owned())),
            Some((at, FailedButDone)) if at == step => call.await.and(Err(lost())),
            Some(_) | None => call.await,
        }
    }
}

impl Register for Faulty<'_> {
    async fn intend(&self, entry: Entry) -> Result<Intent, StoreError> {
        self.meet(Step::Intend, self.ledger.intend(entry)).await
    }
    async fn conclude(&self, signature: Signature) -> Result<Issued, StoreError> {
        self.meet(Step::Conclude, self.ledger.conclude(signature)).await
    }
    async fn fail(&self, not_signed: NotSigned) -> Result<(), StoreError> {
        self.meet(Step::Fail, self.ledger.fail(not_signed)).await
    }
}

/// The pool, or another one, which testifies that it signed nothing, or one whose answer is lost.
struct Shaky<'a> {
    pool: &'a Pool,
    away: &'a Pool,
    at: Option<(Step, Face)>,
    asked: AtomicUsize,
}

impl Token for Shaky<'_> {
    async fn sign_once(&self, intent: Intent) -> Result<Signature, SignError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match self.at {
            Some((Step::Sign, Failed) | (Step::Fail, _)) => self.away.sign_once(intent).await,
            Some((Step::Sign, FailedButDone)) => {
                let operation = self.pool.sign_once(intent).await?.operation();
                Err(SignError::Unknown { operation, why: "the answer came too late".to_owned() })
            }
            Some((Step::Intend | Step::Conclude, _)) | None => self.pool.sign_once(intent).await,
        }
    }
    fn health(&self, _: &hsm::Key) -> Health {
        Health::Ready
    }

    fn is_alone(&self) -> bool {
        true
    }
}

struct Desk {
    ledger: Ledger,
    pool: Pool,
    away: Pool,
    key: hsm::Key,
    _dir: tempfile::TempDir,
    _token: (TestToken, Mint),
}

async fn desk() -> Desk {
    let token = TestToken::new("page");
    let (pool, mint) = hsm::open(token.config()).unwrap();
    let (away, away_mint) = hsm::open(token.config()).unwrap();
    away.shutdown();
    let dir = tempfile::TempDir::new().unwrap();
    let database = Database::Sqlite(dir.path().join("register.db"));
    let log = LogConfig { origin: "log.example/page".to_owned(), state: None, instance: None };
    let ledger = Ledger::found(database, (&pool, mint), log, World::fixed(Timestamp::from_unix(1_800_000_000), 1))
        .await
        .unwrap();
    let key = pool.generate("tls", KeyKind::P256).await.unwrap();
    Desk { ledger, pool, away, key, _dir: dir, _token: (token, away_mint) }
}

impl Desk {
    fn checked(&self, serial: u8) -> Checked {
        Checked::for_tests(Entry {
            kind: Kind::Certificate,
            actor: ActorStamp { id: "admin".to_owned(), proof: "token".to_owned(), proof_id: "00".to_owned() },
            grant: GrantStamp {
                action: "issue-certificate".to_owned(),
                rule: "admin".to_owned(),
                policy_hash: [0; 32],
            },
            profile: "tls-server".to_owned(),
            profile_hash: [0; 32],
            key: self.key.clone(),
            message: hsm::Message::from(vec![serial; 40]),
            serial: vec![1, serial],
            issuer: "tls".to_owned(),
            owner: None,
            subject: String::new(),
            names: Vec::new(),
            key_hash: [0; 32],
            validity: None,
            covers: None,
            renews: None,
            details: serde_json::Value::Null,
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_keeps_its_promise_when_it_fails_and_when_it_fails_but_is_done() {
    let desk = desk().await;
    for (i, (fault, answer, state, signatures)) in [
        (None, "issued", Some(State::Issued), 1),
        (Some((Step::Intend, Failed)), "unavailable", None, 0),
        // The row is there; nobody may sign on a guess.
        (Some((Step::Intend, FailedButDone)), "unavailable", Some(State::Intended), 0),
        (Some((Step::Sign, Failed)), "refused", Some(State::Failed), 1),
        // Invariant 6: an unknown outcome is never "not signed".
        (Some((Step::Sign, FailedButDone)), "unknown", Some(State::Intended), 1),
        (Some((Step::Fail, Failed)), "unavailable", Some(State::Intended), 1),
        (Some((Step::Fail, FailedButDone)), "unavailable", Some(State::Failed), 1),
        // Boulder #5887: signed, then not stored. It is not released, and it counts as issued.
        (Some((Step::Conclude, Failed)), "unknown", Some(State::Intended), 1),
        (Some((Step::Conclude, FailedButDone)), "unknown", Some(State::Issued), 1),
    ]
    .into_iter()
    .enumerate()
    {
        let serial = u8::try_from(i).unwrap() + 1;
        let register = Faulty { ledger: &desk.ledger, at: fault };
        let token = Shaky { pool: &desk.pool, away: &desk.away, at: fault, asked: AtomicUsize::new(0) };
        let said = match walk(&register, &token, desk.checked(serial)).await {
            Ok(_) => "issued",
            Err(CaError::Unavailable { .. }) => "unavailable",
            Err(CaError::Unknown { .. }) => "unknown",
            Err(CaError::Internal(why)) if why.contains("the token refused") => "refused",
            Err(other) => panic!("{fault:?}: {other}"),
        };
        let found = desk.ledger.credential(&hex::encode([1, serial])).await.unwrap();
        assert_eq!((said, found.map(|c| c.state)), (answer, state), "{fault:?}");
        assert_eq!(token.asked.load(Ordering::Relaxed), signatures, "{fault:?}: the token is asked at most once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_known_to_be_away_is_not_asked_and_nothing_is_written() {
    let desk = desk().await;
    let before = desk.ledger.head().size;
    let answer = walk(&desk.ledger, &desk.away, desk.checked(1)).await;
    assert!(matches!(answer, Err(CaError::Unavailable { .. })), "{answer:?}");
    assert_eq!(desk.ledger.head().size, before);
}

/// WoSign, issue F: a failover signed one serial twice. Here the second intent for a serial is refused before any signature.
#[tokio::test(flavor = "multi_thread")]
async fn one_serial_is_signed_once() {
    let desk = desk().await;
    walk(&desk.ledger, &desk.pool, desk.checked(1)).await.unwrap();
    let again = walk(&desk.ledger, &desk.pool, desk.checked(1)).await;
    assert!(matches!(again, Err(CaError::Conflict(_))), "{again:?}");
}
