//! `chancery backup`: the register, its log and what is sealed in it, as one file that only named recipients can read.
//!
//! It is made beside the running service, from one moment of the register, and needs no token. An entry of the log says that it was made;
//! where the token does not open, the backup is made all the same, and that no entry says so is said.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use backup::{Access, BackupError, Diary, Identities, Job, Last, Made, Recipients, Source, Target};
use clap::Parser;
use policy::World;
use serde_json::json;
use store::{ActorStamp, Database, Ledger, StoreError};

use super::files;
use crate::Global;
use crate::config::{self, Config};
use crate::failure::{Exit, Failure, OrFail};
use crate::parts::bar::Bar;
use crate::{house, output};

/// What an operator at the machine is called in the log.
const OPERATOR: &str = "system:operator";
/// An identity file has some keys.
const IDENTITY_BYTES_MAX: u64 = 64 << 10;
/// A service signs the head of its log once a second: so long a backup waits for one that covers what is in force ...
const SIGNED_LOOKS_MAX: u32 = 20;
/// ... with this pause between two looks.
const SIGNED_PAUSE: Duration = Duration::from_millis(200);

#[derive(Parser)]
#[command(after_help = HELP)]
pub struct Args {
    /// A file, a folder, `s3://BUCKET/PREFIX`, or `-` for standard output; by default [backup] to
    #[arg(long, value_name = "PLACE")]
    to: Option<String>,
    /// Who can read it: the public half of a key of age (age1...); may be given several times; by default [backup] recipients
    #[arg(long = "recipient", value_name = "AGE1")]
    recipients: Vec<String>,
    /// The same from a file, a line each
    #[arg(long, value_name = "FILE")]
    recipients_file: Option<PathBuf>,
    /// Read it back whole with this identity file (mode 0600), once it lies there
    #[arg(long, value_name = "FILE")]
    verify_with: Option<PathBuf>,
}

const HELP: &str = "\
Once, on a host that is not this one:
  age-keygen -o backup.key          # keep it where the backups are not
Then:
  chancery backup --to /srv/backup/ --recipient age1...
  chancery backup --to s3://vault/ca --recipients-file backup.recipients
  chancery backup --to - --recipient age1... | ssh elsewhere 'cat > b.age'
  chancery restore --drill /srv/backup/ --identity backup.key

It is made beside the running service and is one moment of it. It has its name once it is whole and on disk; nothing is written over \
what is there. With [backup] in the configuration the service makes them by itself (docs/BACKUP.md).

A backup holds no token: CA keys are in the HSM alone, and what is sealed in a backup opens under that token, or by the recovery \
shares. Credentials of a store come from a file or the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL).";

/// Runs `chancery backup`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let config = global.config()?;
    let of_config = config.backup.as_ref();
    let recipients = match args.recipients.is_empty() && args.recipients_file.is_none() {
        true => of_config.map(|backup| Ok(backup.recipients.clone())),
        false => Some(config::recipients(&args.recipients, args.recipients_file.as_deref())),
    };
    let recipients = recipients.unwrap_or_else(|| config::recipients(&[], None));
    let recipients = recipients.map_err(|why| Failure::new(Exit::Usage, why))?;
    let identities = args.verify_with.as_deref().map(identities).transpose()?;
    let access = access(Some(&config));
    let named = args.to;
    let target = match (&named, of_config) {
        (Some(to), _) => target(to.clone(), access.clone()).await?,
        (None, Some(backup)) => backup.target.clone(),
        (None, None) => {
            return Err(Failure::new(Exit::Usage, "nothing says where the backup goes")
                .help("--to FILE, a folder, s3://BUCKET/PREFIX or -; or [backup] to in the configuration"));
        }
    };
    if matches!(target, Target::Pipe) && std::io::stdout().is_terminal() {
        return Err(
            Failure::new(Exit::Usage, "a backup is not shown on a terminal").help("lead it into a file or a pipe")
        );
    }
    if matches!(target, Target::Pipe) && identities.is_some() {
        let help = "write it to a file, or `chancery restore --drill` what arrived";
        return Err(Failure::new(Exit::Usage, "what went into a pipe cannot be read back").help(help));
    }
    let is_piped = matches!(target, Target::Pipe);
    await_signed(&config.database, global.json || is_piped).await;
    let made = made(&config, target, recipients.clone()).await?;
    if let Some(identities) = identities {
        read_back(&made, identities, access).await?;
    }
    let last = Last::of(&made, recipients.texts());
    let entry = noted(&config, &last, global.json || is_piped).await;
    // Standard output is the backup's.
    if is_piped {
        output::say(&told(&made, entry));
        return Ok(());
    }
    match global.json {
        true => output::json(
            &json!({"backup": last, "rows": made.backed_up.rows, "files": made.backed_up.files, "entry": entry}),
        ),
        false => output::line(told(&made, entry)),
    }
    Ok(())
}

fn told(made: &Made, entry: Option<u64>) -> String {
    let size = made.backed_up.manifest.size;
    let entry = entry
        .map_or_else(|| "no entry of the log says so".to_owned(), |entry| format!("entry {entry} of the log says so"));
    format!("{}  {} bytes, {size} entries of the log, SHA-256 {}; {entry}", made.place, made.bytes, made.sha256)
}

/// Waits until a signed head covers what was told of policies, profiles and settings last: by it a restore proves the files of this backup.
/// Where no service signs one, that is said, and the backup is made.
async fn await_signed(database: &Database, quiet: bool) {
    for _ in 0..SIGNED_LOOKS_MAX {
        let database = database.clone();
        match tokio::task::spawn_blocking(move || store::settings_unsigned(&database)).await {
            Ok(Ok(true)) => tokio::time::sleep(SIGNED_PAUSE).await,
            // Whatever cannot be asked now, the backup itself says.
            Ok(Ok(false) | Err(_)) | Err(_) => return,
        }
    }
    let says = "no signed head of the log covers yet what is in force: of this backup `restore --files` will not write it without a word; start the \
                service, and make another";
    output::notice(says, quiet);
}

async fn made(config: &Config, target: Target, recipients: Recipients) -> Result<Made, Failure> {
    let (database, origin, beside) = (config.database.clone(), config.log_origin.clone(), config.beside());
    let work = move || {
        let companions = beside.gather()?;
        let job = Job {
            database: &database,
            origin: &origin,
            program: env!("CARGO_PKG_VERSION"),
            now: World::real().now(),
            companions: &companions,
            recipients: &recipients,
        };
        let bar = Bar::new();
        let made = backup::make(&job, &target, &mut |progress| bar.is_at(progress));
        bar.ends();
        made
    };
    tokio::task::spawn_blocking(work).await.or_fail("the backup broke off")?.map_err(|error| unmade(&error))
}

async fn read_back(made: &Made, identities: Identities, access: Access) -> Result<(), Failure> {
    let (place, wanted) = (made.place.clone(), made.backed_up.sha256.clone());
    let work = move || {
        let bar = Bar::new();
        let source = Source::parse(&place, &access, World::real().now())?.source;
        let mut stream = backup::read(&source, &identities)?;
        let found = store::look_through(&mut stream, &mut |progress| bar.is_at(progress))?;
        bar.ends();
        Ok::<_, BackupError>(found.backed_up.sha256 == wanted)
    };
    let said = || format!("{} was written, and cannot be read back: do not rely on it", made.place);
    let is_same = tokio::task::spawn_blocking(work).await.or_fail("the reading broke off")?;
    match is_same.map_err(|error| Failure::new(Exit::Findings, said()).because(&error))? {
        true => Ok(()),
        false => Err(Failure::new(Exit::Findings, said())),
    }
}

/// The entry of the log, where the register opens.
async fn noted(config: &Config, last: &Last, quiet: bool) -> Option<u64> {
    let noted = with_ledger(config, async |ledger| Diary::new(ledger).note(last, operator()).await).await;
    noted
        .inspect_err(|failure| output::notice(&format!("no entry of the log says that it was made: {failure}"), quiet))
        .ok()
}

/// Does something with the register's ledger, beside the service.
pub async fn with_ledger<T>(
    config: &Config,
    work: impl AsyncFnOnce(Ledger) -> Result<T, StoreError>,
) -> Result<T, Failure> {
    let (pool, mint, _closing) = house::open_token(config)?;
    let opened = Ledger::open(config.database.clone(), (&pool, mint), config.log(), World::real()).await;
    let ledger = opened.or_exit(Exit::Unavailable, "cannot open the register")?;
    let done = work(ledger.clone()).await;
    ledger.close().await;
    done.or_fail("cannot write into the log")
}

/// Whoever stands at the machine.
pub fn operator() -> ActorStamp {
    ActorStamp { id: OPERATOR.to_owned(), proof: "system".to_owned(), proof_id: String::new() }
}

/// How a store is reached: as the configuration says, then the environment.
pub fn access(config: Option<&Config>) -> Access {
    match config.and_then(|config| config.backup.as_ref()) {
        Some(backup) => backup.access.clone(),
        None => Access::default().or_environment(),
    }
}

/// What other commands take for standard output.
const STDOUT: &str = "/dev/stdout";

async fn target(to: String, access: Access) -> Result<Target, Failure> {
    if to == STDOUT {
        return Err(Failure::new(Exit::Usage, format!("a backup makes its file anew, and {STDOUT} is there"))
            .help("--to - is standard output"));
    }
    let parsed = tokio::task::spawn_blocking(move || Target::parse(&to, &access)).await;
    parsed.or_fail("the place broke off")?.map_err(|error| unmade(&error).exiting(Exit::Usage))
}

/// Reads an identity file; refuses one that others can read.
pub fn identities(path: &Path) -> Result<Identities, Failure> {
    let bytes = files::secret(path, IDENTITY_BYTES_MAX)?;
    Identities::of(&bytes).or_fail(format!("{} is no identity file", files::shown(path)))
}

/// Why there is no backup, and what to do.
fn unmade(error: &BackupError) -> Failure {
    let failure = |exit| Failure::new(exit, "no backup was made").because(error);
    match error {
        BackupError::Exists(_) => {
            failure(Exit::Failed).help("name another file, or a folder, where each has a name of its own by its second: then in a second")
        }
        BackupError::Recipients(_) | BackupError::Identity(_) => failure(Exit::Usage),
        BackupError::Full { .. } => failure(Exit::Unavailable).help(
            "make room there, keep fewer ([backup] keep), or name another place (--to): a backup has about as many bytes as the one before. \
             What was written of it is taken back, and nothing was left under the name of a backup",
        ),
        BackupError::Slow { .. } => failure(Exit::Unavailable).help(
            "nothing was left under the name of a backup; `chancery backup --to FOLDER` on a disk of this host ends soonest, and what lies there is \
             sent as slowly as one likes",
        ),
        BackupError::Away { .. } => {
            failure(Exit::Unavailable).help("look whether the store is there and its name is right, and try again")
        }
        BackupError::Place { .. } | BackupError::Register(StoreError::Target(_)) => {
            failure(Exit::Unavailable).help(
                "look whether that place is there, may be written and has room (of a bucket: its credentials); nothing was left under the name of a \
                 backup",
            )
        }
        BackupError::Register(StoreError::Corrupt(_) | StoreError::Invalid(_)) => failure(Exit::Failed),
        BackupError::Register(_) => failure(Exit::Unavailable).help("look whether the database answers, and try again"),
        BackupError::NotForUs | BackupError::Unreadable(_) => failure(Exit::Failed),
    }
}

/// Where a restore goes, for people.
pub fn database_of(text: &str) -> Result<Database, Failure> {
    Database::parse(text)
        .or_usage("no database is meant by that")
        .map_err(|failure| failure.help("sqlite:PATH or postgres://USER@HOST/NAME"))
}
