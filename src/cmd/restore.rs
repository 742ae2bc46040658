//! `chancery restore`: a backup into an empty database, whole or not at all; its files into a folder; or a drill that proves it readable.

mod age;
mod beside;
mod drill;
mod key;
mod looked;
mod proved;
mod public;
mod settings;
mod words;
mod writing;

use std::path::PathBuf;

use backup::{Access, BackupError, Found, Identities, Source};
use clap::Parser;
use policy::{Timestamp, World};
use serde_json::json;
use store::{BackedUp, Contents, Database, Pins, Place, Report, StoreError};

use super::backup::{access, database_of, identities};
use crate::Global;
use crate::config::Config;
use crate::failure::{Exit, Failure, OrFail};
use crate::output;
use crate::parts::bar::Bar;

#[derive(Parser)]
#[command(after_help = HELP)]
pub struct Args {
    /// The backup: a file, `s3://BUCKET/KEY`, or `-` for standard input; of a folder or a prefix the newest
    backup: String,
    /// The identity file of age that it was encrypted to (mode 0600)
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,
    /// The database: `sqlite:PATH` or `postgres://USER@HOST/NAME`; by default that of --config
    #[arg(long, value_name = "URL", conflicts_with_all = ["drill", "files"])]
    to: Option<String>,
    /// Write only the files that lie beside the register (configuration, policies, profiles) into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "drill")]
    files: Option<PathBuf>,
    /// Write them although the register in the backup does not say that they were in force, or no key of the log proves that register
    #[arg(long, requires = "files")]
    unproved_files: bool,
    /// Write what chancery.toml says of which the log is told nothing, though this place does not say it (modules, programs, targets,
    /// recipients, keys, paths): exactly what was shown with this digest
    #[arg(long, value_name = "SHA256", requires = "files")]
    accept_config: Option<looked::Looked>,
    /// Restore into a scratch place, verify it there, open it with the token where that answers, and take it away again
    #[arg(long)]
    drill: bool,
    /// Where the scratch place of a drill is made
    #[arg(long, value_name = "DIR", requires = "drill")]
    scratch: Option<PathBuf>,
}

const HELP: &str = "\
On a new host, with the token there (docs/BACKUP.md):
  chancery restore b.age --identity backup.key --files ./my-ca
  # shows what the log does not prove, and its digest; once you looked:
  chancery restore b.age --identity backup.key --files ./my-ca \\
    --accept-config SHA256
  chancery --config my-ca/chancery.toml restore b.age \\
    --identity backup.key
  chancery --config my-ca/chancery.toml audit resume --reason \"...\"
Now and then, beside the running service:
  chancery restore --drill /srv/backup/ --identity backup.key

The database has to be empty, and its engine may be another than the backup's. What breaks off leaves a database without a \
register. A place whose log has another name or another history refuses it. Exit code 5: it was restored, and something was \
found in it.";

/// Runs `chancery restore`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let identities = identities(&args.identity)?;
    if let Some(dir) = args.files {
        let config = optional(global)?;
        let way =
            beside::Way { unproved_files: args.unproved_files, accept_config: args.accept_config, json: global.json };
        return beside::run(args.backup, (identities, args.identity.as_path()), dir, config.as_ref(), way).await;
    }
    if args.drill {
        let config = optional(global)?;
        return drill::run(args.backup, identities, args.scratch, config.as_ref(), global.json).await;
    }
    let config = global.config()?;
    let database = args.to.as_deref().map_or_else(|| Ok(config.database.clone()), database_of)?;
    restore(args.backup, identities, database, &config, global.json).await
}

/// The configuration, where one is named.
fn optional(global: &Global) -> Result<Option<Config>, Failure> {
    global.config.is_some().then(|| global.config()).transpose()
}

async fn restore(
    from: String,
    identities: Identities,
    database: Database,
    config: &Config,
    json: bool,
) -> Result<(), Failure> {
    let known = age::known(Some(config))?;
    let place = Place { origin: Some(config.log_origin.clone()), known: known.clone() };
    let (found, _) = put((from, json), identities, database.clone(), place, Some(config)).await?;
    let back = found.backed_up;
    let report = verified(database.clone(), &back, Some(config)).await?;
    let newest = age::newer(&known, &back.manifest);
    let older = newest.map(|kept| kept.size.saturating_sub(back.manifest.size));
    if json {
        let findings = findings(&report);
        output::json(
            &json!({"restored": shown(&back), "database": database.to_string(), "findings": findings, "older_by": older}),
        );
    } else {
        output::facts(&facts(&back, &database.to_string(), &report));
        told(&report);
        match newest {
            Some(kept) => output::line(format!(
                "this node knew {} entries more ({}): the service starts once you say why that is right:\n  \
                 chancery audit resume --reason TEXT",
                kept.size.saturating_sub(back.manifest.size),
                kept.by
            )),
            None => output::line(
                "next: `chancery audit verify`; where the token or the folder [log] state knows a newer log, the service says so at its \
                 start, and `chancery audit resume --reason TEXT` is the way on (docs/BACKUP.md)",
            ),
        }
        output::line("a token that was lost too: `chancery recovery restore` with the papers (docs/RECOVERY.md)");
    }
    match report.findings_total {
        0 => Ok(()),
        n => Err(Failure::new(Exit::Findings, format!("{n} finding(s): what was restored is not what was signed"))
            .help(
                "they were in the register that was backed up: look at an older backup, and at `chancery audit verify`",
            )),
    }
}

/// Which backup was taken.
struct Taken {
    /// Where it lies: `-` of a pipe. Of a folder another may be the newest by the next command.
    named: String,
    /// A folder or a prefix was named, and this is the newest there.
    is_newest: bool,
    /// When the place was looked at.
    at: Timestamp,
}

/// Puts a backup into a database; answers what lies beside the register in it, too, and which one it was.
async fn put(
    (from, json): (String, bool),
    identities: Identities,
    database: Database,
    place: Place,
    config: Option<&Config>,
) -> Result<(Contents, Taken), Failure> {
    let access = access(config);
    let work = move || {
        let (source, taken) = source(&from, &access, json)?;
        let mut stream = backup::read(&source, &identities)?;
        let bar = Bar::new();
        let found = store::restore_looking(&database, &mut stream, &place, &mut |progress| bar.is_at(progress))?;
        bar.ends();
        Ok::<_, BackupError>((found, taken))
    };
    tokio::task::spawn_blocking(work).await.or_fail("the restore broke off")?.map_err(|error| unread(&error))
}

/// Where a backup comes from; of a folder the newest that is not of later than now, and what is, is said.
fn source(from: &str, access: &Access, json: bool) -> Result<(Source, Taken), BackupError> {
    let at = World::real().now();
    let Found { source, is_newest, ahead } = Source::parse(from, access, at)?;
    for name in &ahead {
        output::notice(&format!("{name} is named as of later than now, and was not taken"), json);
    }
    if is_newest {
        output::notice(&format!("the newest there is {source}"), json);
    }
    let named = match &source {
        Source::Pipe => "-".to_owned(),
        Source::File(_) | Source::Object(..) => source.to_string(),
    };
    Ok((source, Taken { named, is_newest, at }))
}

/// Verifies what was restored, against the signed head that came with it and the key that is known from elsewhere.
async fn verified(database: Database, back: &BackedUp, config: Option<&Config>) -> Result<Report, Failure> {
    let key = config.map(|config| key::of_place(&config.file)).transpose()?.flatten();
    let pins =
        Pins { checkpoint: back.manifest.checkpoint.clone(), verifier_key: key.map(|key| key.text), kept: Vec::new() };
    let work = move || {
        let bar = Bar::new();
        let report = store::verify_pinned(database, &pins, &mut |progress| bar.is_at(progress));
        bar.ends();
        report
    };
    tokio::task::spawn_blocking(work)
        .await
        .or_fail("the verification broke off")?
        .or_fail("cannot read what was restored")
}

/// Findings that are shown to eyes.
const FINDINGS_SHOWN: usize = 20;

fn facts(back: &BackedUp, database: &str, report: &Report) -> Vec<(&'static str, String)> {
    let manifest = &back.manifest;
    vec![
        ("restored into", database.to_owned()),
        ("log", manifest.origin.clone()),
        ("taken", format!("{} by {} of {}", manifest.taken, manifest.program, manifest.engine)),
        ("log entries", manifest.size.to_string()),
        ("root", manifest.root.clone()),
        ("rows", back.rows.values().sum::<u64>().to_string()),
        ("values of secrets", back.rows.get("beside").copied().unwrap_or_default().to_string()),
        ("signatures verified", report.certificates.to_string()),
        ("checkpoints verified", report.checkpoints.to_string()),
        ("the log's key", report.identity.as_str().to_owned()),
        ("findings", report.findings_total.to_string()),
    ]
}

fn shown(back: &BackedUp) -> serde_json::Value {
    json!({"manifest": back.manifest, "rows": back.rows, "files": back.files, "sha256": back.sha256})
}

fn findings(report: &Report) -> Vec<String> {
    report.findings.iter().map(ToString::to_string).collect()
}

fn told(report: &Report) {
    for finding in report.findings.iter().take(FINDINGS_SHOWN) {
        output::line(output::printable(&finding.to_string()));
    }
}

/// Why it was not restored, and what to do.
fn unread(error: &BackupError) -> Failure {
    let failure = |exit| Failure::new(exit, "nothing was restored").because(error);
    match error {
        BackupError::NotForUs => failure(Exit::Refused).help("bring the identity whose public half was a recipient of this backup"),
        BackupError::Unreadable(_) | BackupError::Register(StoreError::Invalid(_)) => {
            failure(Exit::Failed).help("the file was cut off or altered: take it again from where it lies, or take another")
        }
        BackupError::Register(StoreError::Conflict(_)) => failure(Exit::Refused).help(
            "a backup goes into an empty database, and into a place whose log is its own: name another with --to, or the right --config",
        ),
        BackupError::Register(StoreError::Corrupt(_)) => failure(Exit::Failed).help("take another backup"),
        BackupError::Register(_) => failure(Exit::Unavailable).help("look whether the database answers; nothing is in it now"),
        BackupError::Place { .. } | BackupError::Full { .. } | BackupError::Slow { .. } => {
            failure(Exit::Failed).help("look whether it is there and may be read (of a bucket: its credentials)")
        }
        BackupError::Away { .. } => failure(Exit::Unavailable).help("look whether the store is there and its name is right, and try again"),
        BackupError::Exists(_) => failure(Exit::Failed),
        BackupError::Recipients(_) | BackupError::Identity(_) => failure(Exit::Usage),
    }
}
