//! `chancery init`: the keys in the HSM, the CAs, the register, the configuration and the first administrator.
//!
//! Interrupted at any point, the same command continues: each step looks first whether it was done. A mistake in a flag
//! leaves nothing behind: flags are checked, and the token is found or made, before the first file is written; a
//! configuration kept from before that says something else is an error.

mod first_config;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ca::{Authority, Beginning, CreateConfig, Dn};
use clap::{Parser, value_parser};
use policy::{Instance, Name, Role};

use super::files::{self, PUBLIC, SECRET};
use crate::Global;
use crate::client::ClientFile;
use crate::config::Config;
use crate::failure::{Exit, Failure, OrFail};
use crate::house;
use crate::output;
use crate::parts::founding::{self, NewToken};
use first_config::{contradictions, first_config};

/// The first administrator's token is good for this long; make another before it ends (`chancery token create`).
const ADMIN_TOKEN_SECS: u64 = 90 * 86_400;
const WHOLE: &str = "root and issuing CAs, SSH CAs and log key in the token";
const BELOW: &str = "issuing CAs below a root elsewhere, SSH CAs and log key in the token";
/// What `ca` takes: with a CA's role behind it, it has to fit into a common name.
const ORGANIZATION_BYTES_MAX: usize = 48;
/// No PIN is longer.
const PIN_BYTES_MAX: u64 = 4096;

#[derive(Parser)]
#[command(after_help = "\
Example, with SoftHSM2:
  (umask 077; openssl rand -hex 8 > pin; openssl rand -hex 8 > so-pin)
  chancery init ./my-ca --module /usr/lib/softhsm/libsofthsm2.so \\
    --token-label chancery --create-token so-pin --pin-file pin

Writes DIR/chancery.toml, DIR/roots.pem, DIR/admin.token (mode 0600), DIR/client.toml, DIR/policies/, DIR/profiles/.")]
pub struct Args {
    /// Folder of the new authority
    pub dir: PathBuf,
    /// The PKCS#11 module (.so)
    #[arg(long)]
    pub module: PathBuf,
    /// The token's label
    #[arg(long)]
    pub token_label: String,
    /// File with the token's user PIN; without it the server reads the environment variable CHANCERY_PIN
    #[arg(long)]
    pub pin_file: Option<PathBuf>,
    /// Initialise a new token of that label first, with this file's security officer PIN
    #[arg(long, value_name = "SO_PIN_FILE", requires = "pin_file")]
    pub create_token: Option<PathBuf>,
    /// What the CAs are named after
    #[arg(long, default_value = "Chancery")]
    pub organization: String,
    /// The distinguished name above the CAs' common names, instead of O=ORGANIZATION: /DC=com/DC=example/O=Example+OU=PKI,
    /// most general part first, "+" inside a multi-valued part
    #[arg(long, value_name = "DN")]
    pub subject_base: Option<String>,
    /// sqlite:PATH (relative to DIR) or postgres://... [default: sqlite:chancery.db]
    #[arg(long)]
    pub database: Option<String>,
    /// File with the PostgreSQL user's password, for its owner alone; it does not stand in the URL
    #[arg(long, value_name = "FILE", requires = "database")]
    pub database_password_file: Option<PathBuf>,
    /// This node's number, 1 to 32000: the beginning of its serial numbers [default: 1]
    #[arg(long, value_parser = value_parser!(u16).range(1..=i64::from(Instance::MAX)))]
    pub instance: Option<u16>,
    /// Where HTTPS listens [default: 127.0.0.1:8443]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub https: Option<SocketAddr>,
    /// Where plain HTTP (CRL, AIA) listens [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub http: Option<SocketAddr>,
    /// Names of the server, for its own certificate; the first is the one in URLs [default: localhost 127.0.0.1]
    #[arg(long = "server-name")]
    pub server_names: Vec<String>,
    /// Into how many CRLs the revocations of each issuing CA are parted, for ever: a CA of a million certificates has 64
    #[arg(long, value_name = "N", default_value = "1", value_parser = value_parser!(u16).range(1..=256))]
    pub crl_shards: u16,
    /// Each issuing CA has delta CRLs too, for ever: certificates point to them. For clients that read them, such as Windows
    #[arg(long)]
    pub delta_crls: bool,
    /// Make no root here: the issuing CAs wait for certificates of a root whose key is elsewhere (`chancery ceremony`)
    #[arg(long, conflicts_with = "demo")]
    pub offline_root: bool,
    /// Let clients on this host prove localhost and names of the hosts file through ACME, with http-01 on port 5002,
    /// and give the owner `default` names to play with. Not for production
    #[arg(long)]
    pub demo: bool,
}

/// Runs `chancery init`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let steps = Steps { quiet: global.json };
    let create = check(&args)?;
    let file = args.dir.join("chancery.toml");
    let text = first_config(&args)?;
    let fresh = Config::parse(&text, &file).or_usage("these flags make no configuration")?;
    let kept = match file.exists() {
        true => Some(Config::load(&file)?),
        false => None,
    };
    if let Some(kept) = &kept {
        agree(&args, kept, &fresh)?;
    }
    let is_kept = kept.is_some();
    let config = kept.unwrap_or(fresh);
    if let (Some(so_pin), Some(pin)) = (&args.create_token, &args.pin_file) {
        let new = NewToken { module: &args.module, label: &args.token_label, so_pin, pin };
        steps.say("token", &founding::create_token(&new, &config)?);
    }
    steps.say("token", &format!("opening {} in {}", args.token_label, args.module.display()));
    let opened = house::open_token(&config)?;
    if !is_kept {
        no_other_authority(&args, &config, &opened.0).await?;
    }
    // From here on there is something to continue.
    files::folder(&args.dir)?;
    if is_kept {
        steps.say("configuration", &format!("{} is there already, kept", file.display()));
    } else {
        files::write(&file, text.as_bytes(), PUBLIC)?;
        steps.say("configuration", &file.display().to_string());
    }
    founding::shipped(&args.dir)?;
    steps.say("policies", &args.dir.join("policies").display().to_string());
    steps.say("profiles", &args.dir.join("profiles").display().to_string());
    let (parts, _closing) = house::parts(&config, opened, house::Way::Found).await?;
    steps.say("authority", if args.offline_root { BELOW } else { WHOLE });
    let authority = Authority::create(parts, create)
        .await
        .or_fail("cannot create the authority")
        .map_err(|f| f.help("mend the cause and run the same command again; it continues where it stopped"))?;
    authority.checkpoint().await.or_fail("cannot sign the first log head")?;
    authority.refresh_crls().await.or_fail("cannot publish the first CRLs")?;
    let roots = args.dir.join("roots.pem");
    files::write(&roots, authority.roots_pem().as_bytes(), PUBLIC)?;
    steps.say("roots", &roots.display().to_string());
    let log_key = args.dir.join("log.vkey");
    files::write(&log_key, format!("{}\n", authority.log_verifier_key().trim()).as_bytes(), PUBLIC)?;
    steps.say("log key", &log_key.display().to_string());
    administrator(&args.dir, &authority, &config, steps).await?;
    let waits = requests(&args.dir, &authority, steps).await?;
    authority.ledger().clone().close().await;
    if global.json {
        output::json(&serde_json::json!({"dir": args.dir, "config": file, "roots": roots, "requests": waits}));
    } else if !waits.is_empty() {
        let [there, here] = below(&file.display().to_string(), &waits);
        output::line("the requests go to the root, whose ceremony signs them (docs/CEREMONY.md), there:");
        there.iter().for_each(|line| output::line(format!("  {line}")));
        output::line("what it signed comes back with the root's certificate, its CRL and the transcripts, here:");
        here.iter().for_each(|line| output::line(format!("  {line}")));
    } else {
        output::line(format!("ready. start it:  chancery --config {} serve", file.display()));
        if config.demand.is_some() {
            let enrol = format!("chancery --config {} mfa enrol", file.display());
            output::line(format!("then, once, a second factor for its administrator:  {enrol}"));
        }
    }
    Ok(())
}

/// What is typed beside the offline root, and what here once its files are back: for each request that waits. SHA256 is the fingerprint
/// that was read aloud; ceremonies are numbered, and the first one made the root.
pub fn below(config: &str, requests: &[PathBuf]) -> [Vec<String>; 2] {
    let stems: Vec<_> =
        requests.iter().filter_map(|path| path.file_stem()).map(|stem| stem.to_string_lossy().into_owned()).collect();
    let there =
        stems.iter().map(|stem| format!("chancery ceremony intermediate ./root --csr {stem}.csr --out {stem}.pem"));
    let chancery = format!("chancery --config {config}");
    let mut here = vec![
        format!("{chancery} ca import root --here --certificate-only --chain root-1.pem --fingerprint SHA256"),
        format!("{chancery} ca import-crl --here root-1.crl"),
    ];
    for (number, stem) in (FIRST_INTERMEDIATE..).zip(&stems) {
        let Some((issuer, generation)) = stem.rsplit_once('-') else { continue };
        here.push(format!(
            "{chancery} ca adopt {issuer}/{generation} --here --chain {stem}.pem --transcript {number:03}-intermediate.json"
        ));
    }
    here.push(format!("{chancery} serve"));
    [there.collect(), here]
}

/// The number of the ceremony after the root's.
const FIRST_INTERMEDIATE: usize = 2;

/// What can be seen of the flags alone, before anything is made.
fn check(args: &Args) -> Result<CreateConfig, Failure> {
    let refuse = |flag: &str, why: String| Failure::new(Exit::Usage, format!("{flag} is refused: {why}"));
    for name in &args.server_names {
        Name::parse(name).or_usage("--server-name is refused")?;
    }
    let organization = args.organization.trim();
    if organization.is_empty() || organization.len() > ORGANIZATION_BYTES_MAX {
        return Err(refuse("--organization", format!("write 1 to {ORGANIZATION_BYTES_MAX} bytes")));
    }
    if organization.contains(char::is_control) {
        return Err(refuse("--organization", "it holds a control character".to_owned()));
    }
    if args.dir.symlink_metadata().is_ok() && !args.dir.is_dir() {
        return Err(refuse("DIR", format!("{} is there, and no folder", args.dir.display())));
    }
    let base = args.subject_base.as_deref().map(Dn::parse).transpose().or_usage("--subject-base is refused")?;
    if !args.module.is_file() {
        return Err(refuse("--module", format!("{} is no file", args.module.display()))
            .help("name the PKCS#11 module's library, such as /usr/lib/softhsm/libsofthsm2.so"));
    }
    for (flag, pin) in [("--pin-file", &args.pin_file), ("--create-token", &args.create_token)] {
        let Some(path) = pin else { continue };
        if zeroize::Zeroizing::new(files::read(path, PIN_BYTES_MAX)?).trim_ascii().is_empty() {
            return Err(refuse(flag, format!("{} is empty", path.display())));
        }
    }
    let beginning = if args.offline_root { Beginning::BelowElsewhere } else { Beginning::Whole };
    Ok(CreateConfig {
        base,
        beginning,
        shards: args.crl_shards,
        deltas: args.delta_crls,
        ..CreateConfig::new(organization)
    })
}

/// A token that keeps the head of a log belongs to the authority of that log: where its register is not, another would be begun
/// with the same keys. Several nodes share a token only over one database, which a server has.
async fn no_other_authority(args: &Args, config: &Config, pool: &hsm::Pool) -> Result<(), Failure> {
    let store::Database::Sqlite(register) = &config.database else { return Ok(()) };
    // What a token cannot show is no reason to stop: the register is held against it later, where it can.
    let notes = pool.notes(&config.log().origin).await.unwrap_or_default();
    if notes.is_empty() || register.exists() {
        return Ok(());
    }
    let label = &args.token_label;
    let says =
        format!("the token {label} has the keys of an authority whose register is not in {}", args.dir.display());
    Err(Failure::new(Exit::Failed, says).help(format!(
        "for a new authority name a token of its own (another --token-label, with --create-token); for that one its own \
         folder, or put its backup into {}",
        args.dir.display()
    )))
}

/// A configuration that is there already stays as it is; flags that say something else are not passed over.
fn agree(args: &Args, kept: &Config, fresh: &Config) -> Result<(), Failure> {
    let found = contradictions(args, kept, fresh);
    if found.is_empty() {
        return Ok(());
    }
    let file = kept.file.display();
    Err(Failure::new(Exit::Failed, format!("{file} is there already and says something else: {}", found.join("; ")))
        .help(format!("change {file} or the flag, so that they agree")))
}

/// Requests for the CAs whose certificates are signed elsewhere and are not here yet; where they lie.
async fn requests(dir: &Path, authority: &Authority, steps: Steps) -> Result<Vec<PathBuf>, Failure> {
    let mut waits = Vec::new();
    for issuer in authority.issuers().iter().filter(|issuer| issuer.above.as_deref() == Some("elsewhere")) {
        for waiting in issuer.generations.iter().filter(|g| g.key_hash.is_some() && g.certificate.is_none()) {
            let path = dir.join(format!("{}.csr", waiting.key_label));
            if !path.exists() {
                let request = authority.request_issuer(&policy::Actor::system("init"), &waiting.name).await;
                let request = request.or_fail(format!("cannot write a request for {}", waiting.name))?;
                files::write(&path, request.pem.as_bytes(), PUBLIC)?;
                steps.say(
                    "request",
                    &format!("{} for {}; its SHA-256, for the paper that goes with it:", path.display(), waiting.name),
                );
                steps.say("", &request.aloud);
            }
            waits.push(path);
        }
    }
    Ok(waits)
}

/// The first administrator's token and the client's file, unless they were written before.
async fn administrator(dir: &Path, authority: &Authority, config: &Config, steps: Steps) -> Result<(), Failure> {
    let path = dir.join("admin.token");
    if path.exists() {
        steps.say("administrator", &format!("{} is there already, kept", path.display()));
    } else {
        let new = api::tokens::NewToken {
            name: "admin".to_owned(),
            roles: [Role::Admin].into(),
            owners: Default::default(),
            scopes: None,
            expires_secs: ADMIN_TOKEN_SECS,
        };
        let token = api::tokens::create(authority, &policy::Actor::system("init"), new)
            .await
            .or_fail("cannot make the first administrator")?;
        files::write(&path, format!("{}\n", token.token.expose()).as_bytes(), SECRET)?;
        steps.say("administrator", &format!("{} (90 days; chancery token create makes others)", path.display()));
    }
    let remembered = dir.join("client.toml");
    if remembered.exists() {
        return Ok(());
    }
    let client = ClientFile {
        url: Some(config.server.public_https.clone()),
        cacert: Some("roots.pem".into()),
        token_file: Some("admin.token".into()),
    };
    let text = toml::to_string(&client).or_fail("cannot write client.toml")?;
    files::write(&remembered, text.as_bytes(), PUBLIC)
}

/// Says on standard error what is done; with --json only a failure stands there.
#[derive(Clone, Copy)]
struct Steps {
    quiet: bool,
}

impl Steps {
    fn say(self, what: &str, text: &str) {
        if !self.quiet {
            output::say(&format!("{what:>14}  {text}"));
        }
    }
}
