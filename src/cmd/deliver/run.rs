//! `chancery run`: a program with secrets that it did not have.

use std::error::Error;
use std::ffi::OsString;
use std::str::FromStr;
use std::sync::mpsc;
use std::time::Duration;

use clap::{ArgGroup, Parser};
use delivery::exchange::Fetched;
use delivery::{
    DeliveryError, DiskRule, Ended, FileName, Given, Notice, OnChange, Place, Plan, Printing, Reads, VariableName,
};
use rustix::process::Signal;
use secrets::Reference;

use super::needs::{Environment, Need, Needs};
use super::source::{Source, Sourced, Sourcing};
use super::watch::Watch;
use crate::Global;
use crate::failure::{Exit, Failure};
use crate::output;
use crate::parts::span::{Span, span_within};

#[derive(Parser)]
#[command(
    group = ArgGroup::new("given").multiple(true),
    after_help = "\
Examples:
  chancery run --file DB_PASSWORD_FILE=chy://prod/db#password -- ./app
  chancery run --credential password=chy://prod/db#password \\
    --on-change signal:HUP -- ./server
  chancery run --env PGPASSWORD=chy://prod/db#password -- psql -h db app
  PGPASSWORD=chy://prod/db#password chancery run --resolve-env -- psql -h db
  chancery run --environment prod -- ./app     # what .chancery.toml names
  chancery run --stdin chy://prod/luks -- cryptsetup open /dev/sdb data

A reference is chy://PATH#FIELD@LABEL; without #FIELD and @LABEL it is #value@current. It is no secret, and may be committed.

Who can read each place: a --file the program and its children; a --fifo who opens it first, of this user; a --credential every program \
of this user, in a folder in memory that goes with the program, whose path is in CREDENTIALS_DIRECTORY; an --env all of these, and \
whoever sees a crash report or a debug page of it: it is the last choice. Root reads all. CHANCERY_TOKEN is taken out of the program's \
environment: it reads more than was given.

What the program prints is masked: values, and their usual encodings, are shown as [hidden], and so is what it was given before a new \
version; what cannot be masked is said. What cannot be written (a full disk) is lost, which is said once, and the program goes on. \
Signals are passed on, and the program's exit code is ours; a program that was ended by a signal ends us by the same. Where we are \
killed (kill -9, or a signal that cannot be passed on, as the real-time ones) the program is sent TERM, and five seconds later KILL.

With --cache DIR it starts from what was kept where the server is away, for as long as the server allowed, and says so; CHANCERY_SOURCE \
tells it: live, or cache. While it runs, what is kept is kept fresh. A refusal never leads to the cache.

Exit codes of our own: 125 it was not started (a secret is missing, the server is away: it says which and why), 126 it cannot be \
executed, 127 it is not found, 2 wrong usage. All secrets are asked for at once, in one entry of the log; where one is missing, nothing is \
started."
)]
pub struct Args {
    /// A file in memory alone, whose path the variable NAME holds
    #[arg(long, value_name = "NAME=chy://..", value_parser = at::<VariableName>, group = "given")]
    file: Vec<(VariableName, Reference)>,
    /// A FIFO, whose path the variable NAME holds: each who opens it reads the value of that moment
    #[arg(long, value_name = "NAME=chy://..", value_parser = at::<VariableName>, group = "given")]
    fifo: Vec<(VariableName, Reference)>,
    /// A file NAME in the folder that CREDENTIALS_DIRECTORY names, as systemd has it
    #[arg(long, value_name = "NAME=chy://..", value_parser = at::<FileName>, group = "given")]
    credential: Vec<(FileName, Reference)>,
    /// Standard input: the value, then its end
    #[arg(long, value_name = "chy://..", group = "given")]
    stdin: Option<Reference>,
    /// The variable NAME itself: more can read it than any other place
    #[arg(long, value_name = "NAME=chy://..", value_parser = at::<VariableName>, group = "given")]
    env: Vec<(VariableName, Reference)>,
    /// Replace each variable of the environment whose whole value is a reference by what it stands for
    #[arg(long, group = "given")]
    resolve_env: bool,
    /// Do not mask: the program has our standard output and error themselves
    #[arg(long)]
    no_mask: bool,
    /// What a new version does: nothing; restart the program, and end whoever descends from it; replace the values in their places, and then leave it to the program, or
    /// tell it by a signal (the last two with --credential and --fifo alone)
    #[arg(long, value_name = "nothing|restart|replace|signal:HUP", default_value = "nothing")]
    on_change: Change,
    /// How long between two looks for a new version where the server does not tell of changes (30s, 1m; a number alone is seconds); neither
    /// leaves anything in the log
    #[arg(long, value_name = "SPAN", default_value = "1m", value_parser = poll)]
    poll: Span,
    /// How long the program, and who descends from it, has to end before a restart ends them by force (10s, 1m; a number alone is seconds)
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = grace)]
    grace: Span,
    /// Where no folder lies in memory alone, put --credential and --fifo on a disk
    #[arg(long)]
    allow_disk: bool,
    /// Say nothing of what is no failure, such as values too short to be masked
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    environment: Environment,
    #[command(flatten)]
    sourcing: Sourcing,
    /// The program and its arguments; no shell stands between
    #[arg(last = true, required = true, value_name = "CMD")]
    program: Vec<OsString>,
}

fn poll(text: &str) -> Result<Span, String> {
    span_within(text, 1..=POLL_SECS_MAX)
}

fn grace(text: &str) -> Result<Span, String> {
    span_within(text, 0..=GRACE_SECS_MAX)
}

/// A look each day, at the least.
const POLL_SECS_MAX: u64 = 86_400;
const GRACE_SECS_MAX: u64 = 3_600;

/// What a new version does.
#[derive(Clone, Copy)]
enum Change {
    Nothing,
    Restart,
    Replace,
    Signal(Signal),
}

impl FromStr for Change {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "nothing" => Ok(Change::Nothing),
            "restart" => Ok(Change::Restart),
            "replace" => Ok(Change::Replace),
            _ => {
                let name = text.strip_prefix("signal:").ok_or("say nothing, restart, replace or signal:HUP")?;
                let name = name.strip_prefix("SIG").unwrap_or(name);
                let found = SIGNALS.iter().find(|(known, _)| *known == name);
                let (_, signal) = found.ok_or("the signal is HUP, INT, QUIT, TERM, USR1, USR2 or WINCH")?;
                Ok(Change::Signal(*signal))
            }
        }
    }
}

const SIGNALS: [(&str, Signal); 7] = [
    ("HUP", Signal::HUP),
    ("INT", Signal::INT),
    ("QUIT", Signal::QUIT),
    ("TERM", Signal::TERM),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
    ("WINCH", Signal::WINCH),
];

/// `NAME=chy://...`
fn at<N: FromStr<Err = delivery::NameError>>(text: &str) -> Result<(N, Reference), String> {
    let (name, reference) = text.split_once('=').ok_or("say NAME=chy://PATH#FIELD@LABEL")?;
    let name = name.parse().map_err(|error: delivery::NameError| error.to_string())?;
    Ok((name, reference.parse().map_err(|error: secrets::NameError| error.to_string())?))
}

/// Runs `chancery run`. Where the program ran, it does not return: it ends as the program ended.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    match start(args, global).await {
        Ok(ended) => ended.leave(),
        Err(failure) => Err(of_ours(failure)),
    }
}

/// Whatever kept the program from being started, a script tells it from the program's own codes.
fn of_ours(failure: Failure) -> Failure {
    match failure.exit() {
        // Wrong words are wrong before any program could have a code.
        Exit::NotExecutable | Exit::NotFound | Exit::NotStarted | Exit::Usage => failure,
        Exit::Failed | Exit::Refused | Exit::Unavailable | Exit::Findings | Exit::Unidentified => {
            failure.exiting(Exit::NotStarted)
        }
    }
}

async fn start(mut args: Args, global: &Global) -> Result<Ended, Failure> {
    let sourcing = std::mem::take(&mut args.sourcing);
    let (quiet, as_json, every) = (args.quiet, global.json, Duration::from_secs(args.poll.secs()));
    let needs = needs(&args)?;
    let mut plan = plan(args)?;
    plan.given.extend(needs.iter().flat_map(|needs| &needs.all).map(Need::given));
    let optional = needs.as_ref().map(Needs::optional).unwrap_or_default();
    let not_started = |error: delivery::PlanError| Failure::new(Exit::NotStarted, error.to_string());
    plan.check().map_err(not_started)?;
    let references = plan.asks().map_err(not_started)?;
    delivery::be_quiet();
    let (tell, changes) = mpsc::channel();
    let values = match references.is_empty() {
        true => Fetched::default().values,
        false => {
            let source = Source::open(sourcing, global)?;
            let Sourced { fetched, from } = source.values(&references, &optional).await?;
            if !quiet {
                from.notice(as_json);
            }
            if source.has_cache() {
                plan.environment.insert(SOURCE.into(), from.word().into());
            }
            let Fetched { values, versions, leases, .. } = fetched;
            plan.given.retain(|given| values.get(&given.reference).is_some());
            let references = versions.keys().cloned().collect();
            let is_stale = from.is_stale();
            let is_told = plan.on_change != OnChange::Nothing;
            if (is_told || source.has_cache()) && !source.is_offline() {
                let watch = Watch { source, references, versions, every, as_json, quiet, is_told, is_stale };
                tokio::spawn(watch.keep(tell, leases));
            }
            values
        }
    };
    // This is the thread of `main`; what watches goes on in others meanwhile.
    let mut say = |notice: Notice| {
        if !quiet || notice.is_failure() {
            output::notice(&notice.to_string(), as_json);
        }
    };
    delivery::run(&plan, values, changes, &mut say).map_err(|error| not_run(&error))
}

/// What the folder's application needs: where a place is named on the command line, that is all there is, unless the file is named too.
fn needs(args: &Args) -> Result<Option<Needs>, Failure> {
    let is_given = args.resolve_env
        || args.stdin.is_some()
        || !(args.file.is_empty() && args.fifo.is_empty() && args.credential.is_empty() && args.env.is_empty());
    if is_given && !args.environment.is_said() {
        return Ok(None);
    }
    let needs = Needs::load(&args.environment)?;
    if needs.is_none() && !is_given {
        let says = "nothing is given to the program, and there is no .chancery.toml in this folder";
        return Err(
            Failure::new(Exit::Usage, says).help("say --file NAME=chy://PATH#FIELD, or see `chancery check --help`")
        );
    }
    Ok(needs)
}

fn plan(args: Args) -> Result<Plan, Failure> {
    let mut words = args.program.into_iter();
    let program = words.next().ok_or_else(|| Failure::new(Exit::Usage, "no program is named"))?;
    let given = |reference, place| Given { reference, place };
    let files = args.file.into_iter().map(|(name, one)| given(one, Place::MemoryFile(name)));
    let fifos = args.fifo.into_iter().map(|(name, one)| given(one, Place::Fifo(name, Reads::Unbounded)));
    let credentials = args.credential.into_iter().map(|(name, one)| given(one, Place::Directory(name)));
    let stdin = args.stdin.into_iter().map(|one| given(one, Place::StandardInput));
    let variables = args.env.into_iter().map(|(name, one)| given(one, Place::Environment(name)));
    Ok(Plan {
        arguments: words.collect(),
        environment: std::env::vars_os().filter(|(name, _)| !WITHHELD.iter().any(|one| name == one)).collect(),
        resolve_environment: args.resolve_env,
        given: files.chain(fifos).chain(credentials).chain(stdin).chain(variables).collect(),
        printing: if args.no_mask { Printing::Inherited } else { Printing::Masked },
        on_change: match args.on_change {
            Change::Nothing => OnChange::Nothing,
            Change::Restart => OnChange::Restart { grace: Duration::from_secs(args.grace.secs()) },
            Change::Replace => OnChange::Replace,
            Change::Signal(signal) => OnChange::Signal(signal),
        },
        disk: if args.allow_disk { DiskRule::MayBeDisk } else { DiskRule::MemoryOnly },
        // What holds our secrets is not left running where nobody brings it new ones, or takes them back.
        ends_with_us: true,
        ..Plan::new(program)
    })
}

/// Where what it was given came from, where there is a cache: `live` or `cache`.
const SOURCE: &str = "CHANCERY_SOURCE";
/// What the program does not inherit: it reads every secret that its owner may.
const WITHHELD: [&str; 1] = ["CHANCERY_TOKEN"];

fn not_run(error: &DeliveryError) -> Failure {
    let exit = match error.exit_code() {
        127 => Exit::NotFound,
        126 => Exit::NotExecutable,
        _ => Exit::NotStarted,
    };
    let failure = Failure::new(exit, error.to_string());
    match error.source() {
        Some(cause) => failure.because(cause),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_said_by_word_or_by_signal() {
        let read = |text: &str| text.parse::<Change>();
        assert!(matches!(read("nothing"), Ok(Change::Nothing)));
        assert!(matches!(read("restart"), Ok(Change::Restart)));
        assert!(matches!(read("replace"), Ok(Change::Replace)));
        for hup in ["signal:HUP", "signal:SIGHUP"] {
            assert!(matches!(read(hup), Ok(Change::Signal(Signal::HUP))), "{hup}");
        }
        for bad in ["", "Restart", "HUP", "signal:", "signal:KILL", "signal:hup"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_place_has_a_name_and_a_reference() {
        let read = |text: &str| at::<VariableName>(text);
        assert_eq!(read("A=chy://a=b#c").map(|(name, one)| (name.to_string(), one.to_string())), {
            Ok(("A".to_owned(), "chy://a=b#c".to_owned()))
        });
        for bad in ["A", "=chy://a", "A=", "A=hunter2", "1=chy://a"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
