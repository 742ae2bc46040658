//! `chancery agent`: keeps certificates and files of secrets fresh on this host, from a small TOML plan.

mod metrics;

use std::path::{Path, PathBuf};

use clap::Parser;
use policy::Timestamp;
use serde_json::Value;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::{Exit, Failure, OrFail};
use crate::house;
use crate::output::{self, field, whole, words};
use crate::parts::moment::Moment;

#[derive(Parser)]
#[command(after_help = "\
Examples:
  # until stopped; one pass (enrol, renew what is due); how it goes
  chancery agent --plan /etc/chancery/agent.toml
  chancery agent --plan /etc/chancery/agent.toml --once
  chancery agent --plan /etc/chancery/agent.toml --status
  # the plan alone, as it would be taken; nobody is asked
  chancery agent --plan /etc/chancery/agent.toml --check
  # whether a service can begin: for a container's probe
  chancery agent --plan /etc/chancery/agent.toml --ready

A plan is described in docs/AGENT.md; agent/plan.example.toml shows every key. SIGHUP reads it again; SIGUSR1 has all secrets looked at now.

Exit codes of --once and --ready: 0 all is in its place; 3 the server refuses what is not; 4 it is away; 1 anything else. Each that lacks is named with \
its reason.")]
pub struct Args {
    /// The plan
    #[arg(long)]
    plan: PathBuf,
    /// One pass, then exit: all is in its place, or what lacks is said
    #[arg(long, conflicts_with_all = ["status", "ready", "check"])]
    once: bool,
    /// Print the state of each certificate and each file of secrets, and exit
    #[arg(long, conflicts_with_all = ["ready", "check"])]
    status: bool,
    /// Whether all of the plan is in its place, as the agent that runs last saw it; nobody is asked
    #[arg(long, conflicts_with = "check")]
    ready: bool,
    /// Print the same for Prometheus, and exit: for a file that node_exporter reads
    #[arg(long, conflicts_with_all = ["once", "status", "ready", "check"])]
    metrics: bool,
    /// Read the plan and its templates, say what is in them, and exit
    #[arg(long)]
    check: bool,
    /// Print JSON instead of a table (with --status)
    #[arg(from_global)]
    json: bool,
}

/// Runs `chancery agent`.
pub async fn run(args: Args) -> Result<(), Failure> {
    // No value in a core dump, and none for a debugger.
    delivery::be_quiet();
    let plan = agent::Plan::load(&args.plan).or_fail("the plan is refused")?;
    if args.check {
        let expired = plan.expired(policy::World::real().now());
        return if expired.is_empty() { checked(&plan, args.json) } else { Err(over(&expired)) };
    }
    if args.status {
        return status(&plan, args.json);
    }
    if args.metrics {
        let (certificates, secrets) =
            (agent::status(&plan).or_fail(UNREAD)?, agent::secret_status(&plan).or_fail(UNREAD)?);
        output::line(metrics::text(&certificates, &secrets).trim_end());
        return Ok(());
    }
    if args.ready {
        let lacks = lacks_of(&agent::status(&plan).or_fail(UNREAD)?, &agent::secret_status(&plan).or_fail(UNREAD)?);
        return told("not ready", lacks);
    }
    let mode = if args.once { agent::RunMode::Once } else { agent::RunMode::Forever };
    let ended = keep(plan, &args.plan, mode).await?;
    if !args.once {
        return Ok(());
    }
    told("not all is in its place", lacks_of(&ended.certificates, &ended.secrets))
}

/// Something that is not as it should be: what a script can branch on, and what people read.
type Lacks = Vec<(Exit, String)>;

fn lacks_of(certificates: &[agent::Status], secrets: &[agent::SecretStatus]) -> Lacks {
    let because =
        |name: &str, error: &Option<String>| format!("{name}: {}", error.as_deref().unwrap_or("not done yet"));
    let certificates = certificates.iter().filter(|one| one.state != agent::State::Ok);
    let secrets = secrets.iter().filter(|one| !one.is_ready() || one.state == agent::SecretState::Failed);
    let of_secret = |one: &agent::SecretStatus| match one.lack {
        Some(agent::Lack::Refused) => Exit::Refused,
        // Not tried yet: it may be soon.
        Some(agent::Lack::Away) | None => Exit::Unavailable,
        Some(agent::Lack::Here) => Exit::Failed,
    };
    certificates
        .map(|one| (Exit::Failed, because(&one.name, &one.last_error)))
        .chain(secrets.map(|one| (of_secret(one), because(&one.name, &one.last_error))))
        .collect()
}

/// All of one kind have its exit code; a mixture is a failure.
fn told(says: &str, lacks: Lacks) -> Result<(), Failure> {
    let Some((first, _)) = lacks.first() else { return Ok(()) };
    let exit = if lacks.iter().all(|(exit, _)| exit == first) { *first } else { Exit::Failed };
    let failure = Failure::new(exit, format!("{says}: {} lacking", lacks.len()));
    let failure = lacks.into_iter().fold(failure, |failure, (_, lack)| failure.since(lack));
    Err(failure.help("chancery agent --plan FILE --status"))
}

/// Lines that let nobody in: a running agent keeps them, and nobody begins with such a plan.
fn over(expired: &[&str]) -> Failure {
    let because = |name: &&str| {
        format!("authorized_keys {name:?}.options: its expiry-time is past, and sshd lets nobody in by its lines")
    };
    let failure = Failure::new(Exit::Failed, "the plan is refused");
    expired
        .iter()
        .map(because)
        .fold(failure, |failure, because| failure.since(because))
        .help("write a later expiry-time into options, or take it out")
}

/// What the plan keeps, by name and place.
fn checked(plan: &agent::Plan, json: bool) -> Result<(), Failure> {
    let certificates = agent::status(plan).or_fail(UNREAD)?.into_iter().map(|one| (one.name, one.files));
    let secrets = agent::secret_status(plan).or_fail(UNREAD)?.into_iter().map(|one| (one.name, vec![one.file]));
    let all: Vec<(&str, (String, Vec<PathBuf>))> =
        certificates.map(|one| ("certificate", one)).chain(secrets.map(|one| ("secret", one))).collect();
    if json {
        let items =
            all.iter().map(|(kind, (name, files))| serde_json::json!({"kind": kind, "name": name, "files": files}));
        output::json(&serde_json::Value::Array(items.collect()));
        return Ok(());
    }
    let shown = |files: &[PathBuf]| files.iter().map(|file| crate::files::shown(file)).collect::<Vec<_>>().join(" ");
    let rows = all.iter().map(|(kind, (name, files))| vec![(*kind).to_owned(), name.clone(), shown(files)]);
    output::table(&[whole("KIND"), words("NAME"), words("FILES")], rows.collect(), "the plan keeps nothing");
    Ok(())
}

const UNREAD: &str = "cannot read the agent's state";

/// Keeps the plan's certificates and secrets; at SIGHUP the plan is read again, and its keeping begins anew. A mistake in it keeps the plan before.
async fn keep(mut plan: agent::Plan, file: &Path, mode: agent::RunMode) -> Result<agent::Report, Failure> {
    let mut hangups = signal(SignalKind::hangup()).or_fail("the signal to read the plan again cannot be heard")?;
    let stop = house::stop_signal();
    tokio::pin!(stop);
    loop {
        let mut next = None;
        let over = async {
            tokio::select! {
                () = &mut stop => {}
                fresh = another(&mut hangups, file) => next = Some(fresh),
            }
        };
        let ended = agent::run(plan, policy::World::real(), mode, over).await.or_fail("the agent ended")?;
        match next {
            Some(fresh) => plan = fresh,
            None => return Ok(ended),
        }
    }
}

/// The next plan that is a good one.
async fn another(hangups: &mut Signal, file: &Path) -> agent::Plan {
    loop {
        if hangups.recv().await.is_none() {
            return std::future::pending().await;
        }
        match agent::Plan::load(file) {
            Ok(plan) => {
                tracing::info!(plan = %file.display(), "the plan was read again");
                return plan;
            }
            Err(error) => tracing::error!(%error, "the plan is refused, and the plan before it stays"),
        }
    }
}

fn status(plan: &agent::Plan, json: bool) -> Result<(), Failure> {
    let certificates = listed("certificate", &agent::status(plan).or_fail(UNREAD)?)?;
    let secrets = listed("secret", &agent::secret_status(plan).or_fail(UNREAD)?)?;
    if json {
        output::json(&Value::Array([certificates, secrets].concat()));
        return Ok(());
    }
    let now = policy::World::real().now();
    if !certificates.is_empty() || secrets.is_empty() {
        of_certificates(&certificates, now);
    }
    if !secrets.is_empty() {
        of_secrets(&secrets, now);
    }
    Ok(())
}

/// Each as JSON, with the kind of thing that it is.
fn listed<T: serde::Serialize>(kind: &str, all: &[T]) -> Result<Vec<Value>, Failure> {
    let one = |one: &T| {
        let mut value = serde_json::to_value(one).or_fail("cannot print the agent's state")?;
        value["kind"] = Value::from(kind);
        Ok(value)
    };
    all.iter().map(one).collect()
}

fn of_certificates(items: &[Value], now: Timestamp) {
    let rows = items.iter().map(|item| {
        let [name, state, renewals, error] = ["name", "state", "renewals", "last_error"].map(|f| field(item, f));
        let (expires, next) = (Moment::of(item, "not_after"), Moment::of(item, "next_renewal"));
        let (paint, left) = expires.left(now, Some(Moment::of(item, "not_before")), true);
        (paint, vec![left, expires.day(), next.day(), renewals, state, name, error])
    });
    let columns = [
        whole("LEFT"),
        whole("EXPIRES"),
        whole("RENEWAL"),
        whole("TIMES"),
        whole("STATE"),
        words("CERTIFICATE"),
        words("LAST ERROR"),
    ];
    output::painted(&columns, rows.collect(), "nothing kept yet");
}

fn of_secrets(items: &[Value], now: Timestamp) {
    let rows = items.iter().map(|item| {
        let [name, state, changes, error] = ["name", "state", "changes", "last_error"].map(|f| field(item, f));
        // How long it may be used while nobody answers.
        let (paint, left) = Moment::of(item, "good_until").left(now, None, false);
        let there = if item.get("in_place").and_then(Value::as_bool) == Some(true) { "yes" } else { "no" };
        (paint, vec![there.to_owned(), left, changes, state, name, error])
    });
    let columns =
        [whole("THERE"), whole("GOOD FOR"), whole("TIMES"), whole("STATE"), words("SECRET"), words("LAST ERROR")];
    output::painted(&columns, rows.collect(), "nothing kept yet");
}
