//! What transit costs beside the cipher alone: batches of 100 items of a kibibyte, sealed and opened by the room, and sealed by ring's
//! AES-256-GCM under one key with nothing else (a copy of the plaintext, a nonce that counts, the tag); and that with each text in base64,
//! as whoever sends JSON needs it.
//!
//! `cargo bench -p chancery-secrets --bench transit [-- --seconds 3 --items 100 --bytes 1024]`
//!
//! The turns alternate, so that whatever else the machine does falls on both.

use std::hint::black_box;
use std::time::{Duration, Instant};

use base64_wide::Engine as _;
use base64_wide::engine::general_purpose::STANDARD;
use chancery_secrets::transit::{Encrypt, Key, KeyKind, Keyset, Mode, Sealed, Sign, Terms, Texts};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::SystemRandom;

/// The binary's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let (seconds, items, bytes) = (argument("--seconds", 3), argument("--items", 100), argument("--bytes", 1_024));
    let plain: Vec<Vec<u8>> = (0..items).map(|n| vec![n as u8; bytes]).collect();
    let ring = Ring::new();
    let aes = drawn(KeyKind::Aes256Gcm, Mode::Plain);
    let chacha = drawn(KeyKind::ChaCha20Poly1305, Mode::Plain);
    let convergent = drawn(KeyKind::Aes256Gcm, Mode::Convergent);
    let (ed, hmac) = (drawn(KeyKind::Ed25519, Mode::Plain), drawn(KeyKind::HmacSha256, Mode::Plain));
    let sealed = seal(&on(&aes), &plain, None);
    let mut ways: Vec<Way<'_>> = vec![
        ("ring, AES-256-GCM alone", Box::new(|| drop(black_box(ring.seal(&plain))))),
        ("ring, each text in base64", Box::new(|| drop(black_box(texts(&ring.seal(&plain)))))),
        ("encrypt, aes256-gcm", Box::new(|| drop(black_box(seal(&on(&aes), &plain, None))))),
        ("decrypt, aes256-gcm", Box::new(|| open(&on(&aes), &sealed))),
        ("encrypt, chacha20-poly1305", Box::new(|| drop(black_box(seal(&on(&chacha), &plain, None))))),
        ("encrypt, convergent", Box::new(|| drop(black_box(seal(&on(&convergent), &plain, Some(b"tenant")))))),
        ("hmac-sha256", Box::new(|| sign(&on(&hmac), &plain))),
        ("sign, ed25519", Box::new(|| sign(&on(&ed), &plain))),
    ];
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); ways.len()];
    let end = Instant::now() + Duration::from_secs(seconds as u64) * ways.len() as u32;
    while Instant::now() < end || times[0].is_empty() {
        for ((_, way), times) in ways.iter_mut().zip(&mut times) {
            // Once to warm what another way left cold.
            way();
            let begun = Instant::now();
            (0..TURNS).for_each(|_| way());
            times.push(begun.elapsed() / TURNS);
        }
    }
    println!("{} turns of {TURNS} batches of {items} x {bytes} bytes, medians\n", times[0].len());
    println!("| what | us a batch | items/s | MiB/s | of ring's rate |");
    println!("|---|---|---|---|---|");
    let medians: Vec<f64> = times.iter_mut().map(|times| median(times)).collect();
    for ((name, _), median) in ways.iter().zip(&medians) {
        let mib = (items * bytes) as f64 / median / f64::from(1 << 20);
        let share = 100.0 * medians[0] / median;
        println!("| {name} | {:.1} | {:.0} | {mib:.0} | {share:.0} % |", median * 1e6, items as f64 / median);
    }
}

/// What is measured, by its name.
type Way<'a> = (&'static str, Box<dyn FnMut() + 'a>);

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

/// Batches of one way, one after the other.
const TURNS: u32 = 5;

fn argument(name: &str, otherwise: usize) -> usize {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    arguments.next().map_or(otherwise, |value| value.parse().expect("a number"))
}

fn drawn(kind: KeyKind, mode: Mode) -> Keyset {
    Keyset::draw("bench".parse().expect("a name"), kind, mode, &mut SystemRandom::new()).expect("a key")
}

fn on(keys: &Keyset) -> Key<'_> {
    keys.on(Terms { min_decrypt: 1, min_encrypt: 1 }).expect("terms")
}

fn seal(key: &Key<'_>, plain: &[Vec<u8>], context: Option<&[u8]>) -> Texts {
    let items: Vec<Encrypt<'_>> = plain.iter().map(|plain| Encrypt { plain, context, associated: b"" }).collect();
    key.encrypt(None, &items, &mut SystemRandom::new()).expect("a batch")
}

fn open(key: &Key<'_>, sealed: &Texts) {
    let of = |text| Sealed { text, context: None, associated: b"" };
    let items: Vec<Sealed<'_>> = sealed.iter().map(|text| of(text.expect("sealed"))).collect();
    let opened = key.decrypt(&items).expect("a batch");
    assert!(black_box(opened).iter().all(Result::is_ok));
}

fn sign(key: &Key<'_>, messages: &[Vec<u8>]) {
    let items: Vec<Sign<'_>> = messages.iter().map(|message| Sign { message, context: None }).collect();
    assert!(black_box(key.sign(None, &items).expect("a batch")).iter().all(|one| one.is_ok()));
}

/// The cipher alone.
struct Ring(LessSafeKey);

impl Ring {
    fn new() -> Ring {
        Ring(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).expect("a key")))
    }

    fn seal(&self, plain: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let seal = |(n, plain): (usize, &Vec<u8>)| {
            let mut nonce = [0; 12];
            nonce[4..].copy_from_slice(&(n as u64).to_be_bytes());
            let mut sealed = Vec::with_capacity(plain.len() + 16);
            sealed.extend_from_slice(plain);
            let nonce = Nonce::assume_unique_for_key(nonce);
            self.0.seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed).expect("sealed");
            sealed
        };
        plain.iter().enumerate().map(seal).collect()
    }
}

/// What a caller of the cipher who speaks JSON makes of it.
fn texts(sealed: &[Vec<u8>]) -> Vec<String> {
    sealed.iter().map(|sealed| STANDARD.encode(sealed)).collect()
}
