//! `chancery ceremony crl`: the offline root signs its next CRL, and what it revokes stands on it.

use std::path::PathBuf;

use ca::RevocationReason;
use clap::Parser;

use super::answers::Answers;
use super::machine::{self, fingerprint, sha256};
use super::root::{actor, in_force};
use super::script::Script;
use super::{PeopleArgs, Standing as Root};
use crate::cmd::files::{self, Outputs, PUBLIC, Standing};
use crate::failure::{Failure, OrFail};
use crate::output;
use crate::parts::span::{Span, span};

#[derive(Parser)]
pub struct Args {
    /// Folder of the offline root
    pub dir: PathBuf,
    /// Write the CRL to this file, DER
    #[arg(long)]
    pub out: PathBuf,
    /// Revoke a CA's certificate by its serial; several times
    #[arg(long = "revoke", value_name = "SERIAL", requires = "reason")]
    pub serials: Vec<String>,
    /// Why: key-compromise, superseded, cessation-of-operation ...
    #[arg(long, requires = "serials")]
    pub reason: Option<String>,
    /// How long it holds: people meet again before that
    #[arg(long, value_parser = span, default_value = "365d")]
    pub valid_for: Span,
    /// The root's generation whose CRL it is [default: the one in force]
    #[arg(long, value_name = "GENERATION")]
    pub by: Option<String>,
    /// Replace a file that is there
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub people: PeopleArgs,
}

/// Runs `chancery ceremony crl`.
pub async fn run(args: &Args) -> Result<(), Failure> {
    let mut outputs = Outputs::new(args.force);
    let place = outputs.place(&args.out, PUBLIC, Standing::Forced)?;
    let reason = args.reason.as_deref().unwrap_or("superseded");
    let reason: RevocationReason = reason.parse().or_usage("--reason is refused")?;
    let root_ca = Root::open(&args.dir, &args.people).await?;
    let authority = &root_ca.authority;
    let by = in_force(authority, args.by.as_deref())?;
    let mut ended = Vec::new();
    for serial in &args.serials {
        let ours = authority.is_revocable(&by, serial, reason).await;
        ours.or_fail(format!("--revoke {} is refused", output::printable(serial)))?;
        let whose =
            authority.ledger().credential(&serial.to_ascii_lowercase()).await.or_fail("the register cannot be read")?;
        ended.push(format!("- {serial}: {}", whose.map(|whose| whose.subject.clone()).unwrap_or_default()));
    }
    let before = authority.crl(&by.to_string()).await.or_fail("the newest CRL is not there")?;
    let revoke = if args.serials.is_empty() { "none".to_owned() } else { args.serials.join(" ") };
    let asked = [
        ("by".to_owned(), by.to_string()),
        ("revoke".to_owned(), revoke.clone()),
        ("reason".to_owned(), args.reason.clone().unwrap_or_default()),
        ("crl_secs".to_owned(), args.valid_for.secs().to_string()),
    ];
    let answers = Answers::open(args.people.answers.as_deref(), args.people.telling)?;
    let begun = (asked.into(), &root_ca.people);
    let mut script = Script::begin(&args.dir, "crl", begun, (answers, super::rehearsed(), args.people.telling))?;
    if script.made("crl_before").is_none() {
        script.note([("crl_before", before.number.to_string())])?;
    }
    machine::opening(&mut script, &root_ca.people.operators, root_ca.people.quorum)?;
    machine::token(&mut script, &root_ca.module, authority.pool()).await?;
    let last = script.made("crl_before").cloned().unwrap_or_default();
    let mut says = vec![
        format!("Will be signed by {by}: the CRL that follows number {last}"),
        format!("It holds for {} days", args.valid_for.secs() / 86_400),
    ];
    match &args.reason {
        None => says.push("Revoked by it: none".to_owned()),
        Some(reason) => {
            says.push("Revoked by it, for good:".to_owned());
            says.extend(ended);
            says.push(format!("Because: {reason}"));
        }
    }
    script.quorum(&says)?;
    // Interrupted after the signature, it is there already.
    let crl = match before.number.to_string() == last {
        false => before,
        true => {
            let revoked: Vec<_> = args.serials.iter().map(|serial| (serial.clone(), reason)).collect();
            let secs = i64::try_from(args.valid_for.secs()).unwrap_or(i64::MAX);
            authority.sign_crl(&actor(), &by, &revoked, secs).await.or_fail("the CRL is not signed")?
        }
    };
    script.note([
        ("crl_number", crl.number.to_string()),
        ("crl_sha256", sha256(&crl)),
        ("crl_next_update", crl.next_update.to_string()),
    ])?;
    fingerprint(&mut script, "the CRL", &sha256(&crl))?;
    place.fill(&crl)?;
    script.finish(authority, &files::shown(&args.out).to_string()).await?;
    root_ca.close().await;
    Ok(())
}
