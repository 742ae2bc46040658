//! What CPU time one issuance takes, against the sum of what cannot be left out, in one run: `cargo bench --bench issuance -- cpu`.
//!
//! What cannot be left out: the token's signature with its verification, one after the other on session threads; the verification
//! of the CSR by ring; the durable rows: those that the library just wrote, the same bytes into the same tables and indexes, in
//! commits of the same size, each leaf hashed into the tree, straight through SQLite. Each is measured in every round, beside the
//! library and the server, whose clients run in this process and are counted apart. Medians of the rounds; CPU time is that of all
//! threads of the process (/proc/PID/stat).
//!
//! One after the other, each of the three has the cores and their caches for itself; in an issuance they share them. So the three
//! are also measured side by side, as many of each as there are certificates, and each figure is set against both.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hsm::{Key, KeyKind, Message, Mint, Pool};
use load::cpu_time;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use store::testing::{BareRegister, BareStep, commits, median};
use x509_parser::prelude::{FromDer, X509CertificationRequest};

use super::subjects::{Library, Server, pool};
use super::{CLIENTS, HOSTS, ROUNDS, rate};

/// As many threads as sign side by side.
const SIGNERS: usize = 2;
/// Parts of a round in which the three run side by side: none ends long before the others.
const SLICES: usize = 16;
/// Signatures, and verifications of CSRs, of a round on each of them.
const SIGNATURES: u64 = 5_000;
const VERIFICATIONS: usize = 8_000;

/// Microseconds for each certificate, one of each round.
#[derive(Default)]
struct Seen {
    token: Vec<f64>,
    csr: Vec<f64>,
    rows: Vec<f64>,
    /// The three side by side.
    together: Vec<f64>,
    library: Vec<f64>,
    /// A certificate looked up by its serial, and proven to be in the log: what a caller's client certificate costs every two
    /// seconds.
    attested: Vec<f64>,
    https: Vec<f64>,
    client: Vec<f64>,
}

pub(crate) async fn measure(callers: usize) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    eprintln!("preparing: tokens, registers, a server");
    let token = SigningToken::new().await;
    let requests = Arc::new(load::fleet("example.internal", HOSTS).expect("hosts"));
    let library = Arc::new(Library::new(folder.path()).await);
    let mut bare = Bare::new(folder.path(), "bare.db");
    bare.write(64);
    let mut crowded = Bare::new(folder.path(), "crowded.db");
    crowded.write(64);
    let mut server = Server::start(folder.path());
    let (mut seen, mut leaves_in_commit, mut errors) = (Seen::default(), Vec::new(), 0);
    for round in 1..=ROUNDS {
        eprintln!("round {round} of {ROUNDS}");
        let before = own();
        let signed = token.sign(SIGNATURES).await;
        seen.token.push(each(own() - before, signed));
        let before = own();
        let verified = verify_requests(&requests, VERIFICATIONS).await;
        seen.csr.push(each(own() - before, verified));

        let (before, commits_before) = (own(), commits());
        rate(callers, &library, Library::issue_from_bytes).await;
        let (used, commits) = (own() - before, commits() - commits_before);
        let steps = bare.take();
        let in_commit = (steps.len() as f64 / commits as f64).round();
        let before = own();
        let written = bare.put(&steps, in_commit as usize);
        seen.rows.push(each(own() - before, written));
        seen.library.push(each(used, written));
        let before = own();
        let made = side_by_side(&token, &requests, &mut crowded, &steps, in_commit as usize).await;
        seen.together.push(each(own() - before, made));
        leaves_in_commit.push(in_commit);

        let serials = library.serials().await;
        let before = own();
        let read = library.read(&serials).await;
        seen.attested.push(each(own() - before, read));

        let (before, server_before) = (own(), server.cpu());
        let report = server.load().await;
        seen.https.push(each(server.cpu() - server_before, report.issued));
        seen.client.push(each(own() - before, report.issued));
        errors += report.errors.values().sum::<u64>();
    }
    server.stop();
    say(seen, callers, median(leaves_in_commit), errors);
}

fn say(seen: Seen, callers: usize, leaves_in_commit: f64, errors: u64) {
    let [token, csr, rows, together] = [seen.token, seen.csr, seen.rows, seen.together].map(median);
    let [library, attested, https, client] = [seen.library, seen.attested, seen.https, seen.client].map(median);
    let sum = token + csr + rows;
    let line = |what: &str, took: f64, most: &str| {
        println!("| {what} | {took:.0} | {:.2} | {:.2} | {most} |", took / sum, took / together);
    };
    println!("| CPU time of one certificate | microseconds | of the sum | of the three side by side | at most |");
    println!("|---|---|---|---|---|");
    line("the token's signature and its verification", token, "");
    line("the verification of the CSR", csr, "");
    line(&format!("the durable rows, straight through SQLite, {leaves_in_commit:.0} leaves in a commit"), rows, "");
    line("the sum: what cannot be left out", sum, "");
    line("the three side by side", together, "");
    line(&format!("issuance, library calls, {callers} callers"), library, "1.2");
    line("one attested read of a certificate: that of a caller, every two seconds", attested, "");
    line(&format!("issuance over HTTPS, {CLIENTS} keep-alive clients, the server"), https, "1.5");
    line("and the clients", client, "");
    println!(
        "\nOne attested read is {:.1} % of an issuance by library calls. Errors: {errors}",
        100.0 * attested / library
    );
}

fn own() -> Duration {
    cpu_time(std::process::id()).expect("our own CPU time")
}

/// Microseconds.
fn each(used: Duration, count: u64) -> f64 {
    used.as_secs_f64() * 1e6 / count as f64
}

struct SigningToken {
    pool: Pool,
    mint: Mint,
    key: Key,
}

impl SigningToken {
    async fn new() -> Self {
        let (pool, mint) = pool("bare");
        let key = pool.generate("bare", KeyKind::P256).await.expect("a key");
        Self { pool, mint, key }
    }

    async fn sign(&self, count: u64) -> u64 {
        let message: Message = vec![0x5a; 600].into();
        let row = || (0..count).map(|n| self.mint.intent(n, &self.key, message.clone())).collect();
        let rows: Vec<_> = (0..SIGNERS).map(|_| row()).collect();
        let signers: Vec<_> = rows
            .into_iter()
            .map(|intents| {
                let pool = self.pool.clone();
                tokio::spawn(async move { pool.sign_in_a_row(intents).await.expect("signatures") })
            })
            .collect();
        let mut signed = 0;
        for signer in signers {
            signed += signer.await.expect("a signer comes home") as u64;
        }
        assert_eq!(signed, count * SIGNERS as u64, "every one was signed");
        signed
    }
}

/// Nothing but the verification: the requests are parsed before it.
async fn verify_requests(hosts: &Arc<Vec<load::Host>>, count: usize) -> u64 {
    let verifiers: Vec<_> = (0..SIGNERS)
        .map(|_| {
            let hosts = Arc::clone(hosts);
            tokio::task::spawn_blocking(move || {
                let parsed = |host: &load::Host| {
                    let (_, csr) = X509CertificationRequest::from_der(host.csr.der()).expect("a CSR");
                    let info = &csr.certification_request_info;
                    let key = info.subject_pki.subject_public_key.data.to_vec();
                    (key, info.raw.to_vec(), csr.signature_value.data.to_vec())
                };
                // A few, so that their parsing does not count.
                let parsed: Vec<_> = hosts.iter().take(64).map(parsed).collect();
                for (key, info, signature) in parsed.iter().cycle().take(count) {
                    let verified = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key).verify(info, signature);
                    verified.expect("it proves possession");
                }
            })
        })
        .collect();
    for verifier in verifiers {
        verifier.await.expect("a verifier comes home");
    }
    (count * SIGNERS) as u64
}

/// As many of each as there are certificates in the steps. Answers how many.
async fn side_by_side(
    token: &SigningToken,
    requests: &Arc<Vec<load::Host>>,
    bare: &mut Bare,
    steps: &[BareStep],
    in_commit: usize,
) -> u64 {
    let mut made = 0;
    for slice in steps.chunks(steps.len().div_ceil(SLICES)) {
        let count = (slice.iter().filter(|step| step.concludes()).count() / SIGNERS).max(1);
        let (signed, verified, written) =
            tokio::join!(token.sign(count as u64), verify_requests(requests, count), async {
                tokio::task::block_in_place(|| bare.put(slice, in_commit))
            });
        assert!(signed.abs_diff(written) <= SIGNERS as u64 && verified == signed, "as many of each");
        made += written;
    }
    made
}

/// The library's rows once more, without the library.
struct Bare {
    library: PathBuf,
    register: BareRegister,
}

impl Bare {
    fn new(folder: &Path, name: &str) -> Self {
        let register = BareRegister::create(&folder.join(name)).expect("a register");
        Self { library: folder.join("library.db"), register }
    }

    fn take(&self) -> Vec<BareStep> {
        self.register.missing(&self.library).expect("the library's rows")
    }

    fn put(&mut self, steps: &[BareStep], commit: usize) -> u64 {
        self.register.write(steps, commit).expect("the same rows")
    }

    /// What the library wrote before it was measured.
    fn write(&mut self, commit: usize) {
        let steps = self.take();
        self.put(&steps, commit);
    }
}

impl Server {
    fn cpu(&self) -> Duration {
        cpu_time(self.pid()).expect("the server's CPU time")
    }
}
