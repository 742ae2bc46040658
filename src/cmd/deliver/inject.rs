//! `chancery inject`: a text with references becomes the same text with their values.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use clap::Parser;
use delivery::exchange::Fetched;
use delivery::template::{Piece, TemplateError, filled, has_placeholder, pieces};
use rustix::fs::{Mode, stat};
use rustix::process::umask;
use secrets::Reference;
use serde_json::json;

use super::needs::{Environment, environment};
use super::source::{From, Source, Sourced, Sourcing};
use crate::Global;
use crate::failure::{Exit, Failure};
use crate::files::{Input, Outputs, SECRET, Standing, shown};
use crate::output;

/// A configuration is some KiB.
const TEMPLATE_BYTES_MAX: u64 = 1 << 20;
/// What a template of one line could ask for, a value many times, has an end too.
const TEXT_BYTES_MAX: usize = 64 << 20;

#[derive(Parser)]
#[command(after_help = "\
Examples:
  chancery inject -i app.toml.tpl -o /run/app/app.toml
  chancery inject -i app.toml.tpl -o app.toml --mode 0640 --force
  chancery inject -i app.toml.tpl -o app.toml --environment prod
  echo 'dsn={{ chy://prod/db#dsn }}' | chancery inject | app --config -

What is written {{ chy://PATH#FIELD@LABEL }} becomes its value, and nothing else is touched: no other braces, and no braces of a value. \
Braces with chy:// and something beside it, as quotes, are refused by their line. A template holds no secret, and may be committed. {env} \
in a reference is the environment that --environment names, or the default of .chancery.toml.

The file is written whole or not at all; where one secret is missing, nothing is. Without --mode nobody but its owner may read it, and a \
file that others may read is not replaced. A file that is replaced keeps its owner and its mode. On a disk it stays: /run and /dev/shm are \
memory, and `chancery run --credential` takes its files away again.")]
pub struct Args {
    /// The template; - is standard input
    #[arg(short, long = "in", value_name = "TEMPLATE", default_value = "-")]
    input: PathBuf,
    /// Where the text goes; - is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
    /// Who may read it, in octal: a new file has exactly this mode, one that is replaced no more than it [default: 0600]
    #[arg(long, value_name = "MODE", value_parser = octal)]
    mode: Option<u32>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    environment: Environment,
    #[command(flatten)]
    sourcing: Sourcing,
}

/// Runs `chancery inject`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    delivery::be_quiet();
    let input = Input::open(&args.input)?;
    let mode = args.mode.unwrap_or(SECRET);
    if args.mode.is_some() {
        // Said is said: this process makes no other file.
        umask(Mode::empty());
    }
    readable_by_no_more(&args.out, mode)?;
    // The place first: nothing is opened that could not be kept.
    let mut outputs = Outputs::new(args.force).reading(&input);
    let place = outputs.place(&args.out, mode, Standing::Forced)?;
    let template = input.bytes(TEMPLATE_BYTES_MAX)?;
    let environment = match has_placeholder(&template) {
        true => environment(&args.environment)?,
        false => None,
    };
    let pieces = pieces(&template, environment.as_deref()).map_err(told)?;
    let wanted: HashSet<Reference> = pieces.iter().filter_map(Piece::reference).cloned().collect();
    let Sourced { fetched, from } = match wanted.is_empty() {
        true => Sourced { fetched: Fetched::default(), from: From::Live },
        false => Source::open(args.sourcing, global)?.values(&wanted, &HashSet::new()).await?,
    };
    from.notice(global.json);
    let text = filled(&pieces, &fetched.values, TEXT_BYTES_MAX).map_err(told)?;
    let facts = [output::written_to(&place), ("secrets", wanted.len().to_string())];
    let leaves: Vec<u64> = fetched.leaves.into_iter().collect();
    let answer = json!({"written_to": place.shown(), "secrets": wanted.len(), "bytes": text.len(), "entries": leaves, "source": from.json()});
    let is_stream = outputs.use_stdout();
    place.fill(&text)?;
    // Nobody needs to be told what he reads.
    if !is_stream {
        output::report(&outputs, &facts, &answer, global.json);
    }
    Ok(())
}

fn told(error: TemplateError) -> Failure {
    Failure::new(Exit::Failed, error.to_string()).help(error.help())
}

/// A regular file that is there keeps its mode when it is replaced: it must not be wider than what was said.
fn readable_by_no_more(path: &Path, mode: u32) -> Result<(), Failure> {
    let Ok(there) = stat(path) else { return Ok(()) };
    let is_file = rustix::fs::FileType::from_raw_mode(there.st_mode) == rustix::fs::FileType::RegularFile;
    let has = there.st_mode & 0o777;
    if path == Path::new("-") || !is_file || has & !mode & 0o777 == 0 {
        return Ok(());
    }
    let says = format!("{} has mode {has:04o}: others may read what is written there", shown(path));
    Err(Failure::new(Exit::Failed, says).help(format!("chmod {mode:04o} {0}, or say --mode {has:04o}", shown(path))))
}

fn octal(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 && mode & 0o400 != 0 => Ok(mode),
        Ok(_) | Err(_) => Err("a mode is written as 0600 or 0640; its owner may read it".to_owned()),
    }
}
