//! `chancery init`: the keys in the HSM, the CAs, the register, the configuration and the first administrator.
//!
//! Interrupted at any point, the same command continues: each step looks first whether it was done.

use std::path::{Path, PathBuf};

use ca::{Authority, CreateConfig, Dn};
use clap::Parser;
use policy::Role;

use super::files::{self, PUBLIC, SECRET};
use crate::Global;
use crate::client::ClientFile;
use crate::config::Config;
use crate::failure::{Exit, Failure, OrFail};
use crate::house;
use crate::output;

/// The first administrator's token is good for this long; make another before it ends (`chancery token create`).
const ADMIN_TOKEN_SECS: u64 = 90 * 86_400;

#[derive(Parser)]
#[command(after_help = "\
Example, with SoftHSM2:
  softhsm2-util --init-token --free --label chancery
  chancery init ./ca --module /usr/lib/softhsm/libsofthsm2.so --token-label chancery --pin-file pin

Writes DIR/chancery.toml, DIR/roots.pem, DIR/admin.token (mode 0600), DIR/client.toml, DIR/policies/, DIR/profiles/.")]
pub struct Args {
    /// Folder of the new authority
    dir: PathBuf,
    /// The PKCS#11 module (.so)
    #[arg(long)]
    module: PathBuf,
    /// The token's label
    #[arg(long)]
    token_label: String,
    /// File with the token's user PIN; without it the server reads the environment variable CHANCERY_PIN
    #[arg(long)]
    pin_file: Option<PathBuf>,
    /// Initialise a new token of that label first, with this file's security officer PIN
    #[arg(long, value_name = "SO_PIN_FILE", requires = "pin_file")]
    create_token: Option<PathBuf>,
    /// What the CAs are named after
    #[arg(long, default_value = "Chancery")]
    organization: String,
    /// The distinguished name above the CAs' common names, instead of O=ORGANIZATION: /DC=com/DC=example/O=Example+OU=PKI,
    /// most general part first, "+" inside a multi-valued part
    #[arg(long, value_name = "DN")]
    subject_base: Option<String>,
    /// sqlite:PATH (relative to DIR) or postgres://...
    #[arg(long, default_value = "sqlite:chancery.db")]
    database: String,
    /// This node's number, 1 to 32000: the beginning of its serial numbers
    #[arg(long, default_value_t = 1)]
    instance: u16,
    /// Where HTTPS listens
    #[arg(long, default_value = "127.0.0.1:8443")]
    https: String,
    /// Where plain HTTP (CRL, AIA) listens
    #[arg(long, default_value = "127.0.0.1:8080")]
    http: String,
    /// Names of the server, for its own certificate; the first is the one in URLs
    #[arg(long = "server-name", default_values = ["localhost", "127.0.0.1"])]
    server_names: Vec<String>,
    /// Let clients on this host prove localhost and names of the hosts file through ACME, with http-01 on port 5002,
    /// and give the owner `default` names to play with. Not for production
    #[arg(long)]
    demo: bool,
}

/// Runs `chancery init`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    files::folder(&args.dir)?;
    let file = args.dir.join("chancery.toml");
    if file.exists() {
        step("configuration", &format!("{} is there already, kept", file.display()));
    } else {
        files::write(&file, configuration(&args)?.as_bytes(), PUBLIC)?;
        step("configuration", &file.display().to_string());
    }
    shipped(&args.dir)?;
    let config = Config::load(&file).or_fail("the configuration is refused")?;
    if let Some(so_pin) = &args.create_token {
        create_token(&args, so_pin)?;
    }
    step("token", &format!("opening {} in {}", args.token_label, args.module.display()));
    let (parts, _closing) = house::parts(&config).await?;
    step("authority", "root and issuing CAs, SSH CAs and log key in the token");
    let base =
        args.subject_base.as_deref().map(|text| Dn::parse(text).or_fail("--subject-base is no name")).transpose()?;
    let authority = Authority::create(parts, CreateConfig { base, ..CreateConfig::new(args.organization.clone()) })
        .await
        .or_fail("cannot create the authority")
        .map_err(|f| f.help("mend the cause and run the same command again; it continues where it stopped"))?;
    authority.checkpoint().await.or_fail("cannot sign the first log head")?;
    authority.refresh_crls().await.or_fail("cannot publish the first CRLs")?;
    let roots = args.dir.join("roots.pem");
    files::write(&roots, authority.roots_pem().as_bytes(), PUBLIC)?;
    step("roots", &roots.display().to_string());
    let log_key = args.dir.join("log.vkey");
    files::write(&log_key, format!("{}\n", authority.log_verifier_key().trim()).as_bytes(), PUBLIC)?;
    step("log key", &log_key.display().to_string());
    administrator(&args.dir, &authority, &config).await?;
    if global.json {
        output::json(&serde_json::json!({"dir": args.dir, "config": file, "roots": roots}));
    } else {
        output::line(format!("ready. start it:  chancery --config {} serve", file.display()));
    }
    Ok(())
}

/// The first administrator's token, unless one was written before.
async fn administrator(dir: &Path, authority: &Authority, config: &Config) -> Result<(), Failure> {
    let path = dir.join("admin.token");
    if path.exists() {
        step("administrator", &format!("{} is there already, kept", path.display()));
        return Ok(());
    }
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
    let client = ClientFile {
        url: Some(config.server.public_https.clone()),
        cacert: Some("roots.pem".into()),
        token_file: Some("admin.token".into()),
    };
    let text = toml::to_string(&client).or_fail("cannot write client.toml")?;
    files::write(&dir.join("client.toml"), text.as_bytes(), PUBLIC)?;
    step("administrator", &format!("{} (90 days; chancery token create makes others)", path.display()));
    Ok(())
}

fn shipped(dir: &Path) -> Result<(), Failure> {
    let policies = policy::Policies::shipped().iter().map(|(name, text)| ("policies", "cedar", name, text));
    let profiles = ca::Profiles::shipped().iter().map(|(name, text)| ("profiles", "toml", name, text));
    for (folder, extension, name, text) in policies.chain(profiles) {
        let folder = dir.join(folder);
        files::folder(&folder)?;
        let stem = name.strip_suffix(&format!(".{extension}")).unwrap_or(name);
        let path = folder.join(format!("{stem}.{extension}"));
        if !path.exists() {
            files::write(&path, text.as_bytes(), PUBLIC)?;
        }
    }
    step("policies", &dir.join("policies").display().to_string());
    step("profiles", &dir.join("profiles").display().to_string());
    Ok(())
}

fn create_token(args: &Args, so_pin: &Path) -> Result<(), Failure> {
    let Some(pin) = &args.pin_file else { return Ok(()) };
    match hsm::init_token(
        &args.module,
        &args.token_label,
        &hsm::PinSource::File(so_pin.to_owned()),
        &hsm::PinSource::File(pin.clone()),
    ) {
        Ok(serial) => step("token", &format!("initialised {}, serial {serial}", args.token_label)),
        Err(hsm::HsmError::TokenExists { .. }) => {
            step("token", &format!("{} is there already, kept", args.token_label))
        }
        Err(error) => {
            return Err(Failure::new(Exit::Failed, "cannot initialise the token")
                .because(&error)
                .help("SoftHSM2 needs a writable token folder: see SOFTHSM2_CONF in `man softhsm2.conf`"));
        }
    }
    Ok(())
}

/// The first configuration. Every value that someone may have to change stands in it, with a word why.
fn configuration(args: &Args) -> Result<String, Failure> {
    let absolute = |path: &Path| std::path::absolute(path).or_fail(format!("{} has no absolute form", path.display()));
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let pin = match &args.pin_file {
        Some(path) => format!("pin_file = {}", quoted(&absolute(path)?.display().to_string())),
        None => "pin_env = \"CHANCERY_PIN\"".to_owned(),
    };
    let names: Vec<String> = args.server_names.iter().map(|n| quoted(n)).collect();
    let host = args.server_names.first().map_or("localhost", String::as_str);
    let port = |address: &str| address.rsplit_once(':').map_or("", |(_, port)| port).to_owned();
    let (acme, owner) = if args.demo { (ACME_DEMO, OWNER_DEMO) } else { (ACME, OWNER) };
    Ok(format!(
        "# Chancery's configuration; docs/CONFIG.md explains every key. Relative paths are relative to this file.\n\n\
         [server]\nhttps = {https}\nhttp = {http}\nnames = [{names}]\n\
         # How clients reach it; certificates carry public_http (CRL, AIA), ACME answers carry public_https.\n\
         public_http = {public_http}\npublic_https = {public_https}\n\n\
         [hsm]\nmodule = {module}\ntoken = {token}\n{pin}\n\n\
         [database]\nurl = {database}\n\n\
         [ca]\ninstance = {instance}   # another number on every node that shares the register\n\n\
         [log]\norigin = {origin}\n\n{acme}\n{owner}",
        https = quoted(&args.https),
        http = quoted(&args.http),
        names = names.join(", "),
        public_http = quoted(&format!("http://{host}:{}", port(&args.http))),
        public_https = quoted(&format!("https://{host}:{}", port(&args.https))),
        module = quoted(&absolute(&args.module)?.display().to_string()),
        token = quoted(&args.token_label),
        database = quoted(&args.database),
        instance = args.instance,
        origin = quoted(&format!("{host}/chancery")),
    ))
}

const ACME: &str = r#"[acme]
# Resolvers that validation asks; empty means this host's own.
resolvers = []
use_hosts_file = false
http01_port = 80
tls_alpn01_port = 443
# Validation never connects to loopback and link-local addresses, unless a network stands here.
allow_networks = []
profile = "tls-server"
owner = "acme"
# What ACME certifies, written as an owner's dns and ip are. Without this line it certifies every name whose control is
# proven, whatever the [[owner]] tables say.
# names = ["*.example.internal", "10.0.0.0/24"]
"#;

const ACME_DEMO: &str = r#"# A demo: names of this host's own hosts file can be proved, on a port that needs no root.
[acme]
resolvers = []
use_hosts_file = true
http01_port = 5002
tls_alpn01_port = 5001
allow_networks = ["127.0.0.0/8", "::1/128"]
profile = "tls-server"
owner = "acme"
# What ACME certifies, written as an owner's dns and ip are. Without this line it certifies every name whose control is
# proven, whatever the [[owner]] tables say.
# names = ["*.example.internal", "10.0.0.0/24"]
"#;

const OWNER: &str = r#"# Which names belong to whom. Nothing else is issued but by ACME (see its names);
# "*.example.internal" means everything below it.
[[owner]]
name = "default"
dns = ["localhost"]
ip = ["127.0.0.1/32"]
principals = []
"#;

const OWNER_DEMO: &str = r#"# Which names belong to whom. Nothing else is issued but by ACME (see its names);
# "*.example.internal" means everything below it.
[[owner]]
name = "default"
dns = ["localhost", "*.localhost", "*.example.internal"]
ip = ["127.0.0.0/8", "::1/128"]
principals = ["*"]
"#;

fn step(what: &str, text: &str) {
    eprintln!("{what:>14}  {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_configuration_is_one_that_loads() {
        for demo in ["--demo", "--organization=Example \"Ltd\""] {
            let args = Args::parse_from([
                "init",
                "d",
                "--module",
                "/m.so",
                "--token-label",
                "a \"b\"",
                "--pin-file",
                "pin",
                demo,
            ]);
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("chancery.toml");
            std::fs::write(&file, configuration(&args).unwrap()).unwrap();
            let config = Config::load(&file).unwrap();
            assert_eq!(config.server.public_https, "https://localhost:8443");
            assert_eq!(config.acme.unwrap().hosts_file.is_some(), demo == "--demo");
        }
    }
}
