//! The token's raw P-256 signatures per second: by bare PKCS#11 calls, and through the pool, verified.
//!
//! `cargo bench -p chancery-hsm` prints them. The other speeds of the house are measured against the pool's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cryptoki::context::Pkcs11;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;
use hsm::testing::{SOFTHSM_MODULE, TestToken};
use hsm::{KeyKind, Message, TokenConfig};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};

const SPAN: Duration = Duration::from_secs(2);
const CALLERS: [u64; 2] = [1, 64];
const SESSIONS: [usize; 4] = [1, 2, 4, 8];

fn main() {
    // `cargo test --benches` runs this too, to see that it builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let token = TestToken::new("bench");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    println!("{:<44} {:>12}", "P-256 signatures", "per second");
    for sessions in SESSIONS {
        let (pool, mint) = hsm::open(TokenConfig { sessions, ..token.config() }).expect("the token opens");
        let label = format!("k{sessions}");
        let key = runtime.block_on(pool.generate(&label, KeyKind::P256)).expect("a key");
        if sessions == 1 {
            for threads in [1, 2] {
                let rate = bare(&token, &label, threads);
                println!("{:<44} {rate:>12.0}", format!("bare calls, {threads} thread(s), unverified"));
            }
            println!("{:<44} {:>12.0}", "verifications by ring, 1 thread", verifications());
        }
        let mint = Arc::new(mint);
        for callers in CALLERS {
            let rate = runtime.block_on(through_pool(&pool, &mint, &key, callers));
            println!("{:<44} {rate:>12.0}", format!("pool of {sessions}, {callers} caller(s), verified"));
        }
        pool.shutdown();
    }
}

async fn through_pool(pool: &hsm::Pool, mint: &Arc<hsm::Mint>, key: &hsm::Key, callers: u64) -> f64 {
    // The size of a certificate's TBS.
    let message: Message = vec![0x5a; 800].into();
    let operation = Arc::new(AtomicU64::new(0));
    let (began, mut tasks) = (Instant::now(), Vec::new());
    for _ in 0..callers {
        let (pool, mint, key, message) = (pool.clone(), mint.clone(), key.clone(), message.clone());
        let operation = operation.clone();
        tasks.push(tokio::spawn(async move {
            while began.elapsed() < SPAN {
                let number = operation.fetch_add(1, Ordering::Relaxed);
                pool.sign(mint.intent(number, &key, message.clone())).await.expect("a signature");
            }
        }));
    }
    for task in tasks {
        task.await.expect("a caller comes home");
    }
    operation.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}

/// What each signature through the pool pays for being verified.
fn verifications() -> f64 {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).expect("a key");
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).expect("a key");
    let (key, message) = (pair.public_key().as_ref(), [0x5a; 800]);
    let signature = pair.sign(&random, &message).expect("a signature");
    let (began, mut count) = (Instant::now(), 0_u32);
    while began.elapsed() < SPAN {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key).verify(&message, signature.as_ref()).expect("it is good");
        count += 1;
    }
    f64::from(count) / began.elapsed().as_secs_f64()
}

/// cryptoki's own `sign`, three calls each, in a loop: what the token does with nothing around it.
fn bare(token: &TestToken, label: &str, threads: u64) -> f64 {
    // The pool has initialised the module and is logged in, for the whole process.
    let context = Pkcs11::new(SOFTHSM_MODULE).expect("the module");
    let began = Instant::now();
    let counts = std::thread::scope(|scope| {
        let loops: Vec<_> = (0..threads).map(|_| scope.spawn(|| bare_loop(&context, token, label))).collect();
        loops.into_iter().map(|l| l.join().expect("a thread comes home")).sum::<u64>()
    });
    counts as f64 / began.elapsed().as_secs_f64()
}

fn bare_loop(context: &Pkcs11, token: &TestToken, label: &str) -> u64 {
    let slot = context
        .get_slots_with_token()
        .expect("slots")
        .into_iter()
        .find(|slot| context.get_token_info(*slot).is_ok_and(|info| info.serial_number() == token.serial()))
        .expect("the token");
    let session = context.open_ro_session(slot).expect("a session");
    let wanted = [Attribute::Sign(true), Attribute::Label(label.as_bytes().to_vec())];
    let key = session.find_objects(&wanted).expect("objects").pop().expect("the key");
    let (began, mut count) = (Instant::now(), 0);
    while began.elapsed() < SPAN {
        session.sign(&Mechanism::Ecdsa, key, &[0x5a; 32]).expect("a signature");
        count += 1;
    }
    count
}
