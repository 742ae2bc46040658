//! `chancery read`: one value, as it is.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Parser;
use secrets::Reference;
use serde_json::json;
use zeroize::Zeroizing;

use super::source::{Source, Sourced, Sourcing};
use crate::Global;
use crate::failure::{Exit, Failure, OrFail};
use crate::files::{Outputs, SECRET, Standing};
use crate::output;

#[derive(Parser)]
#[command(after_help = "\
Examples:
  chancery read chy://prod/db#password
  chancery read chy://prod/db#password@previous
  chancery read chy://prod/tls#key --out server.key
  chancery read chy://prod/db#password --cache /var/cache/app --max-age 30m
  psql \"host=db user=app password=$(chancery read chy://prod/db#password)\"

The last one shows the password to whoever lists this host's processes: `chancery run` has places that do not.

A reference is chy://PATH#FIELD@LABEL, or @NUMBER for one version for ever; without #FIELD and @LABEL it is #value@current. It is no \
secret, and may be committed. Each reading is an entry of the log.")]
pub struct Args {
    /// Which field of which version
    #[arg(value_name = "chy://PATH#FIELD@LABEL")]
    reference: Reference,
    /// Print no newline after it, on a terminal either; elsewhere none is printed in any case
    #[arg(short, long)]
    no_newline: bool,
    /// Write it to this file, for its owner alone, instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long, requires = "out")]
    force: bool,
    #[command(flatten)]
    sourcing: Sourcing,
}

/// Runs `chancery read`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    delivery::be_quiet();
    let mut outputs = Outputs::new(args.force);
    // The place first: nothing is opened that could not be kept.
    let place = args.out.as_deref().map(|path| outputs.place(path, SECRET, Standing::Forced)).transpose()?;
    let reference = args.reference;
    let source = Source::open(args.sourcing, global)?;
    let Sourced { fetched, from } = source.values(&HashSet::from([reference.clone()]), &HashSet::new()).await?;
    from.notice(global.json);
    let none = || Failure::new(Exit::Failed, format!("{reference} was not fetched"));
    let value = fetched.values.get(&reference).ok_or_else(none)?.expose();
    let leaves: Vec<u64> = fetched.leaves.into_iter().collect();
    let mut answer = json!({"reference": reference.to_string(), "version": fetched.versions.get(&reference), "entries": leaves, "source": from.json()});
    if let Some(place) = place {
        let facts = [output::written_to(&place)];
        place.fill(value)?;
        output::report(&outputs, &facts, &answer, global.json);
        return Ok(());
    }
    if global.json {
        match std::str::from_utf8(value) {
            Ok(text) => answer["value"] = json!(text),
            Err(_) => answer["base64"] = json!(STANDARD.encode(value)),
        }
        output::json(&answer);
        return Ok(());
    }
    print(value, io::stdout().is_terminal() && !args.no_newline)
}

/// Past the buffer of standard output, which nobody wipes.
pub fn print(value: &[u8], with_newline: bool) -> Result<(), Failure> {
    let newline: &[u8] = if with_newline { b"\n" } else { b"" };
    let text = Zeroizing::new([value, newline].concat());
    let out = io::stdout().as_fd().try_clone_to_owned().map(File::from);
    out.and_then(|mut out| out.write_all(&text)).or_fail("cannot write to standard output")
}
