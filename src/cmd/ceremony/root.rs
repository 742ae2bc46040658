//! `chancery ceremony root`: an offline root's key, certificate and first CRL, in a token and a register of their own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ca::{Authority, Beginning, CreateConfig, GenerationName, GenerationState, KeyKind, Transcript};
use clap::Parser;

use super::answers::Answers;
use super::machine::{self, fingerprint, sha256};
use super::script::{ACTOR, Script};
use super::{PeopleArgs, rehearsed};
use crate::cmd::files::{self, PUBLIC};
use crate::config::Config;
use crate::failure::{Exit, Failure, OrFail};
use crate::house;
use crate::parts::founding::{self, NewToken};
use crate::parts::span::{Span, span};

#[derive(Parser)]
pub struct Args {
    /// Folder of the offline root: its register, its certificate, its transcripts
    pub dir: PathBuf,
    /// The PKCS#11 module (.so)
    #[arg(long)]
    pub module: PathBuf,
    /// The token's label
    #[arg(long)]
    pub token_label: String,
    /// File with the token's user PIN; without it the environment variable CHANCERY_PIN
    #[arg(long)]
    pub pin_file: Option<PathBuf>,
    /// Initialise a new token of that label first, with this file's security officer PIN
    #[arg(long, value_name = "SO_PIN_FILE", requires = "pin_file")]
    pub create_token: Option<PathBuf>,
    /// What the root is named after
    #[arg(long)]
    pub organization: String,
    /// The kind of its key: p384, p256, rsa4096, ed25519 ...
    #[arg(long, value_name = "KIND", default_value = "p384")]
    pub key: String,
    /// How long its certificate holds
    #[arg(long, value_parser = span, default_value = "7300d")]
    pub validity: Span,
    /// How many CAs may follow below it
    #[arg(long, default_value_t = 2)]
    pub path_len: u8,
    /// How long its CRLs hold: people meet again before that
    #[arg(long, value_parser = span, default_value = "365d")]
    pub crl_valid_for: Span,
    /// How relying parties reach the online server's plain HTTP: what the root signs points to its certificate and CRL there
    #[arg(long, value_name = "URL")]
    pub http_base: String,
    #[command(flatten)]
    pub people: PeopleArgs,
}

/// Runs `chancery ceremony root`.
pub async fn run(args: &Args) -> Result<(), Failure> {
    let (config, text, create) = check(args)?;
    let people = args.people.people(2)?;
    people.check(QUORUM_MIN)?;
    if let Some(done) = super::done_before(&args.dir, "root")? {
        return Err(Failure::new(Exit::Refused, format!("this root was made at {}", done.begun)).help(format!(
            "its transcript is {}.json in {}; another root has another folder and another token",
            done.ceremony,
            files::shown(&args.dir)
        )));
    }
    files::folder(&args.dir)?;
    let answers = Answers::open(args.people.answers.as_deref(), args.people.telling)?;
    let mut script = Script::begin(
        &args.dir,
        "root",
        (asked(args, &create)?, &people),
        (answers, rehearsed(), args.people.telling),
    )?;
    machine::opening(&mut script, &people.operators, people.quorum)?;
    if let (Some(so_pin), Some(pin)) = (&args.create_token, &args.pin_file) {
        let new = NewToken { module: &args.module, label: &args.token_label, so_pin, pin };
        script.say(&format!("   {}", founding::create_token(&new, &config)?));
    }
    let opened = house::open_token(&config)?;
    machine::token(&mut script, &args.module, &opened.0).await?;
    script.quorum(&plan(args, &create)?)?;
    if script.made("certificate_sha256").is_none() {
        files::write(&config.file, text.as_bytes(), PUBLIC)?;
        founding::shipped(&args.dir)?;
    }
    let (parts, _closing) = house::parts(&config, opened, house::Way::Found).await?;
    let authority = match script.made("certificate_sha256") {
        Some(_) => Authority::open(parts).await,
        None => Authority::create(parts, create).await,
    }
    .or_fail("the root is not made")
    .map_err(|failure| failure.help("mend the cause and give the same command again; it goes on from here"))?;
    let made = write(&args.dir, &authority).await?;
    script.note(made.clone())?;
    let hash = made.iter().find(|(name, _)| *name == "certificate_sha256").map_or("", |(_, hash)| hash.as_str());
    fingerprint(&mut script, "the root's certificate", hash)?;
    let carry = [CERTIFICATE, CRL].map(|name| files::shown(&args.dir.join(name)).to_string()).join(" and ");
    script.finish(&authority, &carry).await?;
    authority.ledger().clone().close().await;
    Ok(())
}

/// What can be seen of the flags alone.
fn check(args: &Args) -> Result<(Config, String, CreateConfig), Failure> {
    let refuse = |flag: &str, why: &str| Failure::new(Exit::Usage, format!("{flag} is refused: {why}"));
    if !args.module.is_file() {
        return Err(refuse("--module", "it is no file"));
    }
    let key: KeyKind = args.key.parse().or_usage("--key is refused")?;
    let secs = |span: Span| i64::try_from(span.secs()).unwrap_or(i64::MAX);
    let beginning = Beginning::RootAlone {
        root_secs: secs(args.validity),
        path_len: args.path_len,
        crl_secs: secs(args.crl_valid_for),
    };
    let organization = args.organization.trim();
    if organization.is_empty() || organization.contains(char::is_control) {
        return Err(refuse("--organization", "write a name"));
    }
    let create = CreateConfig { root: key, beginning, ..CreateConfig::new(organization) };
    let (file, text) = (args.dir.join(CONFIG), configuration(args)?);
    let config = Config::parse(&text, &file).or_usage("these flags make no configuration")?;
    Ok((config, text, create))
}

/// The configuration of the offline root: `audit verify`, `doctor` and the next ceremonies read it. No server runs by it.
fn configuration(args: &Args) -> Result<String, Failure> {
    let absolute = |path: &Path| std::path::absolute(path).or_fail(format!("{} has no absolute form", path.display()));
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let pin = match &args.pin_file {
        Some(path) => format!("pin_file = {}", quoted(&absolute(path)?.display().to_string())),
        None => "pin_env = \"CHANCERY_PIN\"".to_owned(),
    };
    let host = args.http_base.trim_start_matches("http://").split([':', '/']).next().unwrap_or_default().to_owned();
    Ok(format!(
        "# An offline root, made at a ceremony (docs/CEREMONY.md). No server runs by this file.\n\n\
         [server]\n# The online server's: what the root signs points there.\npublic_http = {}\npublic_https = {}\n\n\
         [hsm]\nmodule = {}\ntoken = {}\n{pin}\n\n[database]\nurl = \"sqlite:root.db\"\n\n[ca]\ninstance = 1\n\n[log]\norigin = {}\n",
        quoted(&args.http_base),
        quoted(&format!("https://{host}")),
        quoted(&absolute(&args.module)?.display().to_string()),
        quoted(&args.token_label),
        quoted(&format!("{host}/offline-root")),
    ))
}

fn asked(args: &Args, create: &CreateConfig) -> Result<BTreeMap<String, String>, Failure> {
    let facts = [
        ("organization", create.organization.clone()),
        ("key", create.root.to_string()),
        ("validity_secs", args.validity.secs().to_string()),
        ("path_len", args.path_len.to_string()),
        ("crl_secs", args.crl_valid_for.secs().to_string()),
        ("http_base", args.http_base.clone()),
        ("token", args.token_label.clone()),
    ];
    Ok(facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn plan(args: &Args, create: &CreateConfig) -> Result<Vec<String>, Failure> {
    Ok(vec![
        format!("Will be made: a {} key and its own certificate, {} Root CA", create.root, create.organization),
        format!("It holds for {} days; {} CAs may follow below it", args.validity.secs() / DAY_SECS, args.path_len),
        format!("Its CRLs hold for {} days; the first is signed now", args.crl_valid_for.secs() / DAY_SECS),
        format!("What it signs points to {}/crl/root/1/0.crl and /aia/root/1.cer", args.http_base),
    ])
}

/// Certificate and CRL as files; what was made, for the transcript.
async fn write(dir: &Path, authority: &Authority) -> Result<Vec<(&'static str, String)>, Failure> {
    let name = root()?;
    let generation = authority.cas().into_iter().find(|generation| generation.name == name);
    let certificate = generation.and_then(|generation| generation.certificate);
    let certificate = certificate.ok_or_else(|| Failure::new(Exit::Failed, "the root's certificate is not there"))?;
    let crl = authority.crl(&name.to_string()).await.or_fail("the first CRL is not there")?;
    files::write(&dir.join(CERTIFICATE), authority.roots_pem().as_bytes(), PUBLIC)?;
    files::write(&dir.join(CRL), &crl, PUBLIC)?;
    let log_key = format!("{}\n", authority.log_verifier_key().trim());
    files::write(&dir.join("log.vkey"), log_key.as_bytes(), PUBLIC)?;
    Ok(vec![
        ("subject", certificate.subject.to_string()),
        ("certificate_serial", certificate.serial.clone()),
        ("certificate_sha256", sha256(&certificate.der)),
        ("not_after", certificate.until.to_string()),
        ("crl_number", crl.number.to_string()),
        ("crl_sha256", sha256(&crl)),
        ("crl_next_update", crl.next_update.to_string()),
        ("log_key", authority.log_verifier_key().trim().to_owned()),
    ])
}

/// The generation that a root's ceremony makes.
pub fn root() -> Result<GenerationName, Failure> {
    "root/1".parse().or_fail("the root has no name")
}

/// The generation by which the next ceremonies sign: the one that is named, or the one in force.
pub fn in_force(authority: &Authority, named: Option<&str>) -> Result<GenerationName, Failure> {
    let all = authority.cas();
    let found = match named {
        Some(named) => all.into_iter().find(|generation| generation.name.to_string() == named),
        None => all.into_iter().find(|generation| generation.state == GenerationState::Active),
    };
    found.map(|generation| generation.name).ok_or_else(|| {
        let named = named.map_or("in force".to_owned(), |named| format!("`{}`", crate::output::printable(named)));
        Failure::new(Exit::Refused, format!("there is no root {named} here"))
            .help("root/1 is the first, root/2 the next")
    })
}

/// The actor of the log's entries.
pub fn actor() -> policy::Actor {
    policy::Actor::system(ACTOR)
}

/// How many are the fewest: one person is no quorum.
const QUORUM_MIN: usize = 2;
const DAY_SECS: u64 = 86_400;
/// The offline root's configuration.
pub const CONFIG: &str = "chancery.toml";
const CERTIFICATE: &str = "root-1.pem";
const CRL: &str = "root-1.crl";

/// The transcript of the ceremony that made the root of a folder.
pub fn founding(dir: &Path) -> Result<Transcript, Failure> {
    super::done_before(dir, "root")?.ok_or_else(|| {
        Failure::new(Exit::Refused, format!("no root was made in {}", files::shown(dir)))
            .help("`chancery ceremony root` makes one, and goes on where it was interrupted")
    })
}
