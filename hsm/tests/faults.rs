//! The token at its worst, through a shim module that injects faults and counts calls. One test at a time: the shim's
//! faults and counters are the process's.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hsm::testing::TestToken;
use hsm::{Health, HsmError, Key, KeyKind, Message, Mint, Pool, SignError, TokenConfig};
use tokio::runtime::Runtime;

/// Sole use of the shim.
struct Shim {
    token: TestToken,
    directory: PathBuf,
    runtime: Runtime,
    _alone: MutexGuard<'static, ()>,
}

impl Shim {
    fn new(word: &str) -> Shim {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let program = std::env::current_exe().unwrap();
        let module = program.ancestors().nth(2).unwrap().join("examples/libpkcs11_shim.so");
        assert!(module.exists(), "{}: cargo test builds it with the examples", module.display());
        let fault = std::env::var_os("SOFTHSM2_CONF").map(|conf| Path::new(&conf).with_file_name("fault"));
        if let Some(left_over) = fault {
            let _ = std::fs::remove_file(left_over);
        }
        let token = TestToken::behind(&module, word);
        let directory = token.softhsm_conf().parent().unwrap().to_owned();
        let _ = std::fs::remove_file(directory.join("calls"));
        Shim { token, directory, runtime: Runtime::new().unwrap(), _alone: alone }
    }

    fn fault(&self, faults: &str) {
        std::fs::write(self.directory.join("fault"), faults).unwrap();
    }

    fn mend(&self) {
        let _ = std::fs::remove_file(self.directory.join("fault"));
    }

    fn calls(&self, name: &str) -> usize {
        let text = std::fs::read_to_string(self.directory.join("calls")).unwrap_or_default();
        text.lines().filter(|line| *line == name).count()
    }

    fn config(&self) -> TokenConfig {
        TokenConfig { deadline: Duration::from_secs(2), ..self.token.config() }
    }

    fn open(&self) -> (Pool, Mint, Key) {
        self.open_with(self.config())
    }

    fn open_with(&self, config: TokenConfig) -> (Pool, Mint, Key) {
        let (pool, mint) = hsm::open(config).unwrap();
        let key = self.runtime.block_on(pool.generate("k", KeyKind::P256)).unwrap();
        (pool, mint, key)
    }

    fn sign(&self, pool: &Pool, mint: &Mint, key: &Key, operation: u64) -> Result<hsm::Signature, SignError> {
        self.runtime.block_on(pool.sign(mint.intent(operation, key, message())))
    }

    /// Waits for `Ready`; how long it took.
    fn until_ready(&self, pool: &Pool) -> Duration {
        let began = Instant::now();
        while pool.health() != Health::Ready {
            assert!(began.elapsed() < Duration::from_secs(20), "{:?}", pool.health());
            std::thread::sleep(Duration::from_millis(5));
        }
        began.elapsed()
    }
}

/// Waits until a token of several is well.
fn until_well(pool: &Pool, name: &str) {
    let began = Instant::now();
    let health = || pool.token(name).unwrap().health();
    while health() != Health::Ready {
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", health());
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn message() -> Message {
    Message::from(b"to be signed".to_vec())
}

#[test]
fn a_refused_pin_is_tried_once_whatever_happens() {
    let shim = Shim::new("pin");
    let wrong = shim.directory.join("wrong.pin");
    std::fs::copy(shim.token.pin_file(), &wrong).unwrap();
    std::fs::write(&wrong, "00000000\n").unwrap();
    let before = shim.calls("C_Login");
    let bad = TokenConfig { pin: hsm::PinSource::File(wrong), ..shim.config() };
    for config in [bad.clone(), bad, shim.config(), shim.config()] {
        match hsm::open(config) {
            Err(HsmError::Locked(why)) => assert_eq!(why, "the PIN is wrong (C_Login answered CKR_PIN_INCORRECT)"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(shim.calls("C_Login") - before, 1);
}

#[test]
fn a_pin_refused_while_healing_locks_the_pool() {
    let shim = Shim::new("locked");
    let (pool, mint, key) = shim.open();
    shim.sign(&pool, &mint, &key, 1).unwrap();
    let before = shim.calls("C_Login");
    // The token forgets the login (the sessions are gone), and the PIN was changed meanwhile.
    shim.fault("sign-init b3\nlogin a0\n");
    assert!(matches!(shim.sign(&pool, &mint, &key, 2), Err(SignError::Unavailable { .. })));
    let began = Instant::now();
    while !matches!(pool.health(), Health::Locked { .. }) {
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", pool.health());
        std::thread::sleep(Duration::from_millis(5));
    }
    shim.mend();
    for operation in 3..10 {
        match shim.sign(&pool, &mint, &key, operation) {
            Err(SignError::Unavailable { not_signed, retry_after_secs }) => {
                assert!(not_signed.reason().contains("PIN") && retry_after_secs > 60);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(shim.runtime.block_on(pool.find("k")), Err(HsmError::Locked(_))));
    assert_eq!(shim.calls("C_Login") - before, 1, "a refused PIN was tried again");
}

#[test]
fn a_pin_file_that_is_gone_is_no_refusal_and_heals_when_it_is_back() {
    let shim = Shim::new("pinless");
    let (pool, mint, key) = shim.open();
    let (pin, aside) = (shim.token.pin_file(), shim.directory.join("pin-aside"));
    std::fs::rename(&pin, &aside).unwrap();
    shim.fault("sign-init b3");
    assert!(matches!(shim.sign(&pool, &mint, &key, 1), Err(SignError::Unavailable { .. })));
    let began = Instant::now();
    while !matches!(pool.health(), Health::Healing { why } if why.starts_with("PIN: ")) {
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", pool.health());
        std::thread::sleep(Duration::from_millis(5));
    }
    shim.mend();
    std::fs::rename(&aside, &pin).unwrap();
    assert!(shim.until_ready(&pool) < Duration::from_secs(5));
    shim.sign(&pool, &mint, &key, 2).unwrap();
}

#[test]
fn a_restart_for_one_pool_goes_unnoticed_by_its_neighbour() {
    let shim = Shim::new("patient");
    let (patient, mint, key) = shim.open();
    let neighbour_token = TestToken::behind(&shim.config().module, "neighbour");
    let (neighbour, neighbour_mint, neighbour_key) = shim.open_with(neighbour_token.config());
    let (directory, aside) = (shim.token.directory(), shim.directory.join("taken-out"));
    std::fs::rename(&directory, &aside).unwrap();
    assert!(matches!(shim.sign(&patient, &mint, &key, 1), Err(SignError::Unavailable { .. })));
    let (restarts, mut operation) = (shim.calls("C_Initialize"), 0);
    while shim.calls("C_Initialize") < restarts + 3 {
        operation += 1;
        shim.sign(&neighbour, &neighbour_mint, &neighbour_key, operation).unwrap();
    }
    std::fs::rename(&aside, &directory).unwrap();
    assert!(shim.until_ready(&patient) < Duration::from_secs(5));
    shim.sign(&patient, &mint, &key, 2).unwrap();
}

#[test]
fn a_token_taken_out_is_away_and_not_empty() {
    let shim = Shim::new("empty");
    let (pool, mint, key) = shim.open();
    shim.runtime.block_on(pool.generate_sealing(None, "s")).unwrap();
    let (directory, aside) = (shim.token.directory(), shim.directory.join("taken-out"));
    for operation in 1..=3 {
        std::fs::rename(&directory, &aside).unwrap();
        let told = match operation {
            1 => shim.runtime.block_on(pool.find("k")).map(|_| ()),
            2 => shim.runtime.block_on(pool.seal(&hsm::SealingKey::named("s"), b"secret", b"")).map(|_| ()),
            _ => shim.runtime.block_on(pool.generate("new", KeyKind::P256)).map(|_| ()),
        };
        assert!(matches!(told, Err(HsmError::Unavailable { .. })), "{operation}: {told:?}");
        std::fs::rename(&aside, &directory).unwrap();
        shim.until_ready(&pool);
        shim.sign(&pool, &mint, &key, operation).unwrap();
    }
}

#[test]
fn a_key_deleted_from_the_token_does_not_stop_the_others() {
    let shim = Shim::new("deleted");
    let (pool, mint, key) = shim.open();
    let doomed = shim.runtime.block_on(pool.generate("doomed", KeyKind::P256)).unwrap();
    shim.sign(&pool, &mint, &doomed, 1).unwrap();
    for class in ["privkey", "pubkey"] {
        let deleted = std::process::Command::new("pkcs11-tool")
            .args(["--module", hsm::testing::SOFTHSM_MODULE, "--token-label", shim.token.label()])
            .args(["--login", "--pin", shim.token.pin(), "--delete-object", "--label", "doomed", "--type", class])
            .output()
            .unwrap();
        assert!(deleted.status.success(), "{deleted:?}");
    }
    assert!(matches!(shim.sign(&pool, &mint, &doomed, 2), Err(SignError::Unavailable { .. })));
    shim.until_ready(&pool);
    shim.sign(&pool, &mint, &key, 3).unwrap();
    assert!(matches!(shim.sign(&pool, &mint, &doomed, 4), Err(SignError::Refused(_))));
    assert_eq!(pool.health(), Health::Ready);
}

#[test]
fn a_lost_session_or_login_is_replaced_unseen() {
    let shim = Shim::new("session");
    let (pool, mint, key) = shim.open();
    // SESSION_HANDLE_INVALID, USER_NOT_LOGGED_IN, KEY_HANDLE_INVALID
    for (operation, code) in [(1, "b3"), (2, "101"), (3, "60")] {
        shim.fault(&format!("sign-init-once {code}"));
        shim.sign(&pool, &mint, &key, operation).unwrap();
        assert_eq!(pool.health(), Health::Ready);
    }
    assert_eq!(shim.calls("C_Sign"), 3, "an operation was signed twice");
}

/// The one session has seen the key, so that its job comes without a turn; the session that replaces it has not.
#[test]
fn a_session_lost_at_a_known_key_is_replaced_unseen() {
    let shim = Shim::new("known-session");
    let (pool, mint, key) = shim.open_with(TokenConfig { sessions: 1, ..shim.config() });
    shim.sign(&pool, &mint, &key, 1).unwrap();
    for (operation, code) in [(2, "b3"), (3, "101"), (4, "60")] {
        shim.fault(&format!("sign-init-once {code}"));
        shim.sign(&pool, &mint, &key, operation).unwrap();
        assert_eq!(pool.health(), Health::Ready);
    }
    assert_eq!(shim.calls("C_Sign"), 4, "an operation was signed twice");
    assert_eq!(shim.calls("C_SignInit"), 1 + 3 * 2, "each was begun once more, after the fault");
}

/// The token itself closes all sessions, and with them the login, while nobody uses them.
#[test]
fn an_idle_session_killed_by_the_token_is_reopened_without_a_failed_request() {
    let shim = Shim::new("idle-session");
    let (pool, mint, key) = shim.open();
    let mut operation = 0;
    for round in 1..=3 {
        shim.fault("close-idle");
        // More than there are sessions: each of them is found dead once.
        for _ in 0..20 {
            operation += 1;
            shim.sign(&pool, &mint, &key, operation).unwrap();
            assert_eq!(pool.health(), Health::Ready);
        }
        assert_eq!(shim.calls("closed"), round);
    }
    assert_eq!(shim.calls("C_Sign"), 60, "an operation was signed twice");
}

#[test]
fn an_error_before_the_signature_is_not_signed_and_heals() {
    let shim = Shim::new("before");
    let (pool, mint, key) = shim.open();
    shim.fault("sign-init 30"); // DEVICE_ERROR
    for operation in 1..5 {
        match shim.sign(&pool, &mint, &key, operation) {
            Err(SignError::Unavailable { not_signed, .. }) => assert_eq!(not_signed.operation(), operation),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(shim.calls("C_Sign"), 0);
    assert!(matches!(pool.health(), Health::Healing { .. }));
    shim.mend();
    assert!(shim.until_ready(&pool) < Duration::from_secs(5));
    shim.sign(&pool, &mint, &key, 5).unwrap();
}

#[test]
fn a_refusal_of_the_request_is_no_trouble_with_the_token() {
    let shim = Shim::new("refused");
    let (pool, mint, key) = shim.open();
    shim.fault("sign-init 68"); // KEY_FUNCTION_NOT_PERMITTED
    assert!(matches!(shim.sign(&pool, &mint, &key, 1), Err(SignError::Refused(_))));
    assert_eq!(pool.health(), Health::Ready);
    assert_eq!(shim.calls("C_Sign"), 0);
}

#[test]
fn an_error_in_the_signature_is_unknown_both_when_it_failed_and_when_it_was_done() {
    let shim = Shim::new("both");
    let (pool, mint, key) = shim.open();
    // DEVICE_ERROR, SESSION_HANDLE_INVALID, OPERATION_NOT_INITIALIZED, MECHANISM_INVALID: nothing is taken for a "no".
    let mut operation = 0;
    for fault in ["sign", "sign-then"] {
        for code in ["30", "b3", "91", "70"] {
            operation += 1;
            shim.fault(&format!("{fault} {code}"));
            match shim.sign(&pool, &mint, &key, operation) {
                Err(SignError::Unknown { operation: of, .. }) => assert_eq!(of, operation),
                other => panic!("{fault} {code}: {other:?}"),
            }
            shim.mend();
            shim.until_ready(&pool);
        }
    }
    assert_eq!((shim.calls("C_Sign"), shim.calls("signed")), (8, 4), "an operation was tried twice");
    shim.sign(&pool, &mint, &key, 100).unwrap();
}

#[test]
fn a_wrong_signature_is_never_released() {
    let shim = Shim::new("wrong");
    let (pool, mint, key) = shim.open();
    shim.fault("sign-wrong");
    for operation in 1..5 {
        match shim.sign(&pool, &mint, &key, operation) {
            Err(SignError::Unknown { why, .. }) => assert!(why.contains("wrong signature"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(pool.health(), Health::Ready, "the pool goes on");
    shim.mend();
    shim.sign(&pool, &mint, &key, 5).unwrap();
}

#[test]
fn a_slow_token_makes_unknown_what_it_took_and_not_signed_what_it_did_not() {
    let shim = Shim::new("slow");
    let config = TokenConfig { sessions: 1, queue: 2, deadline: Duration::from_millis(400), ..shim.config() };
    let (pool, mint, key) = shim.open_with(config);
    shim.fault("sign-slow 900");
    let mint = Arc::new(mint);
    let outcomes = shim.runtime.block_on(async {
        let mut tasks = Vec::new();
        for operation in 1..=5 {
            let (pool, key, mint) = (pool.clone(), key.clone(), mint.clone());
            tasks.push(tokio::spawn(async move { pool.sign(mint.intent(operation, &key, message())).await }));
            if operation == 1 {
                // Until the only session has taken the first.
                while shim.calls("C_Sign") == 0 {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
        }
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(task.await.unwrap());
        }
        outcomes
    });
    assert!(matches!(outcomes[0], Err(SignError::Unknown { operation: 1, .. })), "{:?}", outcomes[0]);
    for outcome in &outcomes[1..] {
        assert!(matches!(outcome, Err(SignError::Unavailable { .. })), "{outcome:?}");
    }
    shim.mend();
    // The session is busy until the slow call returns; the queue behind it holds jobs that their callers took back.
    let began = Instant::now();
    let mut operation = 6;
    while shim.sign(&pool, &mint, &key, operation).is_err() {
        operation += 1;
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", pool.health());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(shim.calls("C_Sign"), 2, "a job was begun after its caller was told that nothing was signed");
}

#[test]
fn a_job_whose_caller_went_away_while_it_waited_is_not_signed() {
    let shim = Shim::new("gone");
    let config = TokenConfig { sessions: 1, ..shim.config() };
    let (pool, mint, key) = shim.open_with(config);
    shim.fault("sign-slow 300");
    shim.runtime.block_on(async {
        let first = tokio::spawn({
            let (pool, intent) = (pool.clone(), mint.intent(1, &key, message()));
            async move { pool.sign(intent).await }
        });
        while shim.calls("C_Sign") == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let waiting = pool.sign(mint.intent(2, &key, message()));
        assert!(tokio::time::timeout(Duration::from_millis(20), waiting).await.is_err());
        assert!(first.await.unwrap().is_ok());
    });
    shim.mend();
    shim.sign(&pool, &mint, &key, 3).unwrap();
    assert_eq!(shim.calls("C_Sign"), 2);
}

/// Of nine messages, the fault begins with the sixth.
#[test]
fn a_batch_that_breaks_off_releases_what_was_surely_made_and_nothing_where_that_is_not_sure() {
    for (word, faults, made) in [
        ("b-whole", "", Some(9)),
        // C_SignInit refused: surely no further signature. CKR_FUNCTION_FAILED.
        ("b-init", "after 5\nsign-init 6", Some(5)),
        // C_Sign answered an error: a sixth may exist.
        ("b-sign", "after 5\nsign 6", None),
        ("b-then", "after 5\nsign-then 6", None),
        ("b-wrong", "after 5\nsign-wrong", None),
    ] {
        let shim = Shim::new(word);
        let (pool, mint, key) = shim.open();
        shim.fault(faults);
        let messages: Vec<Vec<u8>> = (0..9_u8).map(|n| vec![n; 40]).collect();
        let batch = hsm::Batch::new(messages.clone()).unwrap();
        let outcome = shim.runtime.block_on(pool.sign(mint.intent(1, &key, Message::Batch(batch))));
        shim.mend();
        match (outcome, made) {
            (Ok(signature), Some(made)) => {
                let there = signature.of_batch().unwrap();
                assert_eq!(there.len(), made, "{word}");
                for (message, signature) in messages.into_iter().zip(there) {
                    hsm::verify(key.algorithm(), key.spki_der(), &Message::from(message), signature).unwrap();
                }
            }
            (Err(SignError::Unknown { operation: 1, .. }), None) => {}
            (other, _) => panic!("{word}: {other:?}"),
        }
        assert!(shim.calls("signed") <= 9, "{word}: a message was signed twice");
    }
}

#[test]
fn a_batch_that_takes_too_long_ends_early_and_is_answered_in_time() {
    let shim = Shim::new("b-slow");
    let (pool, mint, key) = shim.open();
    // A quarter of two seconds.
    shim.fault("sign-slow 200");
    let batch = hsm::Batch::new((0..9_u8).map(|n| vec![n; 40]).collect()).unwrap();
    let signature = shim.runtime.block_on(pool.sign(mint.intent(1, &key, Message::Batch(batch)))).unwrap();
    shim.mend();
    assert!((1..9).contains(&signature.of_batch().unwrap().len()));
    assert_eq!(pool.health(), Health::Ready);
}

#[test]
fn a_token_with_hashing_mechanisms_alone_signs_too() {
    let shim = Shim::new("fips");
    shim.fault("hashing-only");
    let (pool, mint, key) = shim.open();
    shim.sign(&pool, &mint, &key, 1).unwrap();
    let digest = mint.intent(2, &key, Message::Sha256([7; 32]));
    match shim.runtime.block_on(pool.sign(digest)) {
        Err(SignError::Refused(not_signed)) => assert!(not_signed.reason().contains("CKM_ECDSA_SHA256")),
        other => panic!("{other:?}"),
    }
    shim.mend();
}

#[test]
fn a_bare_ec_point_is_read_like_a_wrapped_one() {
    let shim = Shim::new("bare");
    let (pool, mint, key) = shim.open();
    shim.fault("bare-point");
    let found = shim.runtime.block_on(pool.find("k")).unwrap();
    assert_eq!(found.fingerprint(), key.fingerprint());
    shim.sign(&pool, &mint, &found, 1).unwrap();
    shim.mend();
}

#[test]
fn a_token_taken_out_under_load_and_put_back_signs_again_within_five_seconds() {
    let shim = Shim::new("away");
    let (pool, mint, key) = shim.open();
    let (directory, aside) = (shim.token.directory(), shim.directory.join("taken-out"));
    let (operations, signed, not_signed, unknown) = (counter(), counter(), counter(), counter());
    let stop = counter();
    let mint = Arc::new(mint);
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (pool, key, mint, stop) = (pool.clone(), key.clone(), mint.clone(), stop.clone());
            let (operations, signed, not_signed, unknown) =
                (operations.clone(), signed.clone(), not_signed.clone(), unknown.clone());
            shim.runtime.spawn(async move {
                while stop.load(Ordering::SeqCst) == 0 {
                    let operation = operations.fetch_add(1, Ordering::SeqCst);
                    let outcome = pool.sign(mint.intent(operation, &key, message())).await;
                    let count = match outcome {
                        Ok(_) => &signed,
                        Err(SignError::Unavailable { .. }) => {
                            tokio::time::sleep(Duration::from_millis(5)).await;
                            &not_signed
                        }
                        Err(SignError::Unknown { .. }) => &unknown,
                        Err(SignError::Refused(why)) => panic!("refused: {why:?}"),
                    };
                    count.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let reach = |count: &AtomicU64, mark: u64| {
        let began = Instant::now();
        while count.load(Ordering::SeqCst) < mark {
            assert!(began.elapsed() < Duration::from_secs(20), "{:?}", pool.health());
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    for round in 1..=3 {
        reach(&signed, signed.load(Ordering::SeqCst) + 50);
        std::fs::rename(&directory, &aside).unwrap();
        reach(&not_signed, not_signed.load(Ordering::SeqCst) + 100);
        assert!(matches!(pool.health(), Health::Healing { .. }));
        // Long enough that the healer has been through the whole ladder, and found nothing.
        let restarts = shim.calls("C_Initialize");
        let began = Instant::now();
        while shim.calls("C_Initialize") < restarts + 2 {
            assert!(began.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(5));
        }
        std::fs::rename(&aside, &directory).unwrap();
        let took = shim.until_ready(&pool);
        assert!(took < Duration::from_secs(5), "round {round}: {took:?}");
    }
    reach(&signed, signed.load(Ordering::SeqCst) + 50);
    stop.store(1, Ordering::SeqCst);
    shim.runtime.block_on(async {
        for caller in callers {
            caller.await.unwrap();
        }
    });
    let count = |counter: &Arc<AtomicU64>| counter.load(Ordering::SeqCst);
    assert_eq!(count(&operations), count(&signed) + count(&not_signed) + count(&unknown));
    // Each intent met C_Sign once, or not at all and then it was called not signed: no double signature, none unreported.
    assert_eq!(shim.calls("C_Sign") as u64, count(&signed) + count(&unknown));
}

fn counter() -> Arc<AtomicU64> {
    Arc::new(AtomicU64::new(0))
}

#[test]
fn a_token_that_keeps_no_notes_is_no_token_in_trouble() {
    let shim = Shim::new("noteless");
    let (pool, mint, key) = shim.open();
    let keep = |n: u8| shim.runtime.block_on(pool.keep_note("log", vec![n], |value| value[0].into()));
    for code in ["e2", "d0", "54", "31", "5", "b5"] {
        // WRITE_PROTECTED, TEMPLATE_INCOMPLETE, FUNCTION_NOT_SUPPORTED, DEVICE_MEMORY, GENERAL_ERROR, SESSION_READ_ONLY
        shim.fault(&format!("create {code}"));
        assert!(matches!(keep(1), Err(HsmError::Failed(_))), "{code}");
        assert_eq!(pool.health(), Health::Ready, "{code}");
        shim.sign(&pool, &mint, &key, 1).unwrap();
    }
    shim.mend();
    // One that changes no object has it made anew, and keeps two.
    shim.fault("set 10");
    for n in 1..6 {
        assert!(keep(n).unwrap());
        let notes = shim.runtime.block_on(pool.notes("log")).unwrap();
        assert!(notes.contains(&vec![n]) && notes.len() <= 2, "{notes:?}");
    }
    assert_eq!(pool.health(), Health::Ready);
}

#[test]
fn a_token_that_hangs_or_errs_takes_nothing_from_another_and_the_same_key_signs_there() {
    let shim = Shim::new("hangs");
    let (pool, _mint, _key) = shim.open();
    pool.shutdown();
    let spare = shim.token.twin("goes-on");
    // A module of its own, which knows nothing of the shim's.
    let module = shim.directory.join("aside.so");
    std::fs::copy(hsm::testing::SOFTHSM_MODULE, &module).unwrap();
    let deadline = Duration::from_secs(8);
    let tokens = [
        ("main".to_owned(), TokenConfig { deadline, ..shim.token.config() }),
        ("spare".to_owned(), TokenConfig { module, deadline, ..spare.config() }),
    ];
    let (pool, mint) = hsm::open_all(tokens.to_vec()).unwrap();
    let signed_by =
        |name: &str| -> u64 { pool.token(name).unwrap().signing_times().counts.iter().map(|(_, count)| count).sum() };
    let key = shim.runtime.block_on(pool.find("k")).unwrap();
    let (both, alone) = (key.at(&["main".to_owned(), "spare".to_owned()]), key.at(&["spare".to_owned()]));
    shim.sign(&pool, &mint, &both, 1).unwrap();
    assert_eq!((signed_by("main"), signed_by("spare")), (1, 0));
    // Whatever the first does to a signature, one is released, of the next: it errs before, it signs and loses the answer, it signs wrong.
    for (operation, fault) in [(2, "sign-init 30\n"), (3, "sign-then 30\n"), (4, "sign 5\n"), (5, "sign-wrong\n")] {
        shim.fault(fault);
        let before = signed_by("spare");
        shim.sign(&pool, &mint, &both, operation).unwrap();
        assert_eq!(signed_by("spare"), before + 1, "{fault}");
        shim.mend();
        until_well(&pool, "main");
    }
    // What signed wrong is not asked again, until an operator says that it was put right.
    assert!(pool.token("main").unwrap().barred(&key.fingerprint()).is_some());
    let before = signed_by("spare");
    shim.sign(&pool, &mint, &both, 6).unwrap();
    assert_eq!(signed_by("spare"), before + 1);
    pool.token("main").unwrap().unbar(&key.fingerprint());
    let before = signed_by("main");
    shim.sign(&pool, &mint, &both, 7).unwrap();
    assert_eq!(signed_by("main"), before + 1);
    // It hangs: what it took is signed by the next within the deadline, and what is asked of the next alone does not notice.
    shim.fault("sign-slow 20000\n");
    shim.runtime.block_on(async {
        let hung: Vec<_> = (10..20)
            .map(|operation| {
                let (pool, intent) = (pool.clone(), mint.intent(operation, &both, message()));
                tokio::spawn(async move { pool.sign(intent).await })
            })
            .collect();
        for operation in 100..160 {
            pool.sign(mint.intent(operation, &alone, message())).await.unwrap();
        }
        for one in hung {
            one.await.unwrap().unwrap();
        }
    });
    // It looks well meanwhile, since it begins what it does not end; nobody who can be served elsewhere waits for it, before it has answered.
    shim.mend();
    until_well(&pool, "main");
    let failed = || pool.token("main").unwrap().signing_times().failed;
    let before = failed();
    for operation in 200..205 {
        shim.sign(&pool, &mint, &both, operation).unwrap();
    }
    assert_eq!(failed(), before, "it was asked, and waited for");
}

#[test]
fn many_keys_are_found_in_as_many_looks_as_one_and_what_is_not_fit_is_left_to_whoever_asks() {
    let shim = Shim::new("many");
    let (pool, _mint, _key) = shim.open();
    let labels: Vec<String> = (0..12).map(|number| format!("k{number}")).collect();
    let made: Vec<Key> = shim.runtime.block_on(async {
        let mut made = Vec::new();
        for label in &labels {
            made.push(pool.generate(label, KeyKind::P256).await.unwrap());
        }
        made
    });
    pool.shutdown();
    let (pool, mint) = hsm::open(shim.config()).unwrap();
    let token = pool.first();
    let key = |label: &str| shim.runtime.block_on(token.key(label));
    let looks = || shim.calls("C_FindObjectsInit");
    let wanted: BTreeSet<String> = labels.iter().cloned().chain(["nowhere".to_owned()]).collect();
    let before = looks();
    shim.runtime.block_on(token.look_for(wanted)).unwrap();
    assert_eq!(looks() - before, 2);
    let found: Vec<Key> = labels.iter().map(|label| key(label).unwrap()).collect();
    assert_eq!(looks() - before, 2, "none of them was looked for again");
    assert_eq!(found, made);
    shim.sign(&pool, &mint, &found[7], 1).unwrap();
    assert!(matches!(key("nowhere"), Err(HsmError::NotFound { .. })));
    // It comes back: as many looks again, and one at the key that it would sign with; where that has gone there is another.
    let before = looks();
    shim.fault("sign b3"); // SESSION_HANDLE_INVALID
    assert!(matches!(shim.sign(&pool, &mint, &found[7], 2), Err(SignError::Unknown { .. })));
    shim.mend();
    shim.until_ready(&pool);
    assert!(looks() - before < 2 * labels.len(), "{} looks", looks() - before);
    shim.sign(&pool, &mint, &found[3], 3).unwrap();
    // Among many keys of others the token is asked for one after the other: nothing was found, and nothing is wrong.
    pool.shutdown();
    let (pool, _mint) = hsm::open(shim.config()).unwrap();
    let before = looks();
    shim.runtime.block_on(pool.first().look_for(["k0".to_owned()].into())).unwrap();
    assert_eq!(looks() - before, 1);
    assert_eq!(shim.runtime.block_on(pool.first().key("k0")).unwrap(), made[0]);
}
