//! `chancery ceremony intermediate`: the offline root signs the request of a CA that is online.

use std::path::PathBuf;

use ca::{GenerationName, ReadRequest, groups};
use clap::Parser;

use super::answers::Answers;
use super::machine::{self, fingerprint, sha256};
use super::root::{actor, in_force};
use super::script::{Script, Wants};
use super::{PeopleArgs, Standing as Root};
use crate::cmd::files::{self, Outputs, PUBLIC, Standing};
use crate::failure::{Failure, OrFail};
use crate::parts::span::{Span, span};

#[derive(Parser)]
pub struct Args {
    /// Folder of the offline root
    pub dir: PathBuf,
    /// The request (PKCS#10), as `chancery ca request` or `chancery init --offline-root` wrote it
    #[arg(long)]
    pub csr: PathBuf,
    /// Write the certificate and those above it to this file, PEM
    #[arg(long)]
    pub out: PathBuf,
    /// How long the certificate holds, at most as long as the root
    #[arg(long, value_parser = span, default_value = "1825d")]
    pub validity: Span,
    /// The root's generation which signs [default: the one in force]
    #[arg(long, value_name = "GENERATION")]
    pub by: Option<String>,
    /// Replace a file that is there
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub people: PeopleArgs,
}

/// Runs `chancery ceremony intermediate`.
pub async fn run(args: &Args) -> Result<(), Failure> {
    let csr = files::read(&args.csr, CSR_BYTES_MAX)?;
    let mut outputs = Outputs::new(args.force);
    let place = outputs.place(&args.out, PUBLIC, Standing::Forced)?;
    let root_ca = Root::open(&args.dir, &args.people).await?;
    let by = in_force(&root_ca.authority, args.by.as_deref())?;
    let validity_secs = i64::try_from(args.validity.secs()).unwrap_or(i64::MAX);
    let read = root_ca.authority.read_request(&actor(), &by, &csr, validity_secs).await;
    let read = read.or_fail(format!("{} is refused", files::shown(&args.csr)))?;
    let asked = [
        ("request_sha256".to_owned(), read.sha256.clone()),
        ("subject".to_owned(), read.subject.to_string()),
        ("by".to_owned(), by.to_string()),
        ("validity_secs".to_owned(), validity_secs.to_string()),
    ];
    let answers = Answers::open(args.people.answers.as_deref(), args.people.telling)?;
    let begun = (asked.into(), &root_ca.people);
    let mut script =
        Script::begin(&args.dir, "intermediate", begun, (answers, super::rehearsed(), args.people.telling))?;
    machine::opening(&mut script, &root_ca.people.operators, root_ca.people.quorum)?;
    machine::token(&mut script, &root_ca.module, root_ca.authority.pool()).await?;
    let aloud = groups(&read.sha256);
    let last = aloud.rsplit(' ').next().unwrap_or_default().to_owned();
    let says = vec!["SHA-256 of the request, but for its last group:".to_owned(), covered(&aloud)];
    script.step("request", says, "The last group, from the paper that came with the request", Wants::Paper(&last))?;
    script.quorum(&plan(&read, &by, args.validity.secs()))?;
    let named = script.name().to_owned();
    let signed = root_ca.authority.sign_below(&actor(), &by, &csr, (validity_secs, &named)).await;
    let signed = signed
        .or_fail("the certificate is not signed")
        .map_err(|failure| failure.help("mend the cause and give the same command again; it goes on from here"))?;
    let hash = sha256(&signed.der);
    script.note([
        ("subject", read.subject.to_string()),
        ("certificate_serial", signed.serial_hex.clone()),
        ("certificate_sha256", hash.clone()),
    ])?;
    fingerprint(&mut script, "the certificate", &hash)?;
    place.fill(signed.chain_pem.as_bytes())?;
    script.finish(&root_ca.authority, &format!("{} and the transcript", files::shown(&args.out))).await?;
    root_ca.close().await;
    Ok(())
}

/// A hash without its last group.
fn covered(aloud: &str) -> String {
    aloud.rsplit_once(' ').map_or(String::new(), |(first, _)| format!("{first} ____"))
}

fn plan(read: &ReadRequest, by: &GenerationName, validity_secs: u64) -> Vec<String> {
    let or_any = |list: &[String]| if list.is_empty() { "any".to_owned() } else { list.join(", ") };
    let or_none = |list: &[String]| if list.is_empty() { "none".to_owned() } else { list.join(", ") };
    vec![
        format!("Will be signed by {by}: a CA, {}", read.subject),
        format!("Its key: {}, SHA-256 {}", read.key_kind, groups(&read.key_hash)),
        format!("It holds for {} days at most; {} CAs may follow below it", validity_secs / 86_400, read.path_len),
        format!("Its leaves are for: {}", or_any(&read.purposes)),
        format!("Names below it: {}; never: {}", or_any(&read.permitted), or_none(&read.excluded)),
        format!("Policies: {}", or_none(&read.policies)),
    ]
}

/// A request is small.
const CSR_BYTES_MAX: u64 = 64 << 10;
