//! The configuration that `chancery init` writes, and whether one that was there before says what its flags say.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use super::Args;
use crate::config::Config;
use crate::failure::{Failure, OrFail};

const DATABASE: &str = "sqlite:chancery.db";
const HTTPS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8443);
const HTTP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
const SERVER_NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// What a kept configuration says otherwise than the flags that were given, a sentence each. `fresh` is what these
/// flags would have made.
pub fn contradictions(args: &Args, kept: &Config, fresh: &Config) -> Vec<String> {
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or(path.to_owned()).display().to_string();
    // A token that the file names by its URI is recognised by more than a label: left to the file.
    let label = |config: &Config| config.hsm.label().unwrap_or(&args.token_label).to_owned();
    let demo = |config: &Config| config.acme.as_ref().is_some_and(|acme| acme.hosts_file.is_some()).to_string();
    let rows = [
        ("--module", true, "hsm.module", real(&kept.hsm.module), real(&fresh.hsm.module)),
        ("--token-label", true, "hsm.token", label(kept), label(fresh)),
        ("--pin-file", args.pin_file.is_some(), "the PIN's source", kept.hsm.pin_source(), fresh.hsm.pin_source()),
        ("--database", args.database.is_some(), "database.url", kept.database_url.clone(), fresh.database_url.clone()),
        ("--instance", args.instance.is_some(), "ca.instance", number(kept), number(fresh)),
        (
            "--https",
            args.https.is_some(),
            "server.https",
            kept.server.https.to_string(),
            fresh.server.https.to_string(),
        ),
        ("--http", args.http.is_some(), "server.http", kept.server.http.to_string(), fresh.server.http.to_string()),
        (
            "--server-name",
            !args.server_names.is_empty(),
            "server.names",
            kept.server.names.join(" "),
            fresh.server.names.join(" "),
        ),
        ("--demo", args.demo, "acme.use_hosts_file", demo(kept), demo(fresh)),
    ];
    let differs = rows.into_iter().filter(|(_, given, _, kept, fresh)| *given && kept != fresh);
    differs.map(|(flag, _, key, kept, fresh)| format!("{key} is {kept}, {flag} says {fresh}")).collect()
}

fn number(config: &Config) -> String {
    config.instance.get().to_string()
}

/// The first configuration. Every value that someone may have to change stands in it, with a word why.
pub fn first_config(args: &Args) -> Result<String, Failure> {
    let absolute = |path: &Path| std::path::absolute(path).or_fail(format!("{} has no absolute form", path.display()));
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let pin = match &args.pin_file {
        Some(path) => format!("pin_file = {}", quoted(&absolute(path)?.display().to_string())),
        None => "pin_env = \"CHANCERY_PIN\"".to_owned(),
    };
    let password = match &args.database_password_file {
        Some(path) => format!("password_file = {}\n", quoted(&absolute(path)?.display().to_string())),
        None => String::new(),
    };
    let given: Vec<&str> = args.server_names.iter().map(String::as_str).collect();
    let names = if given.is_empty() { SERVER_NAMES.to_vec() } else { given };
    let host = names.first().copied().unwrap_or("localhost");
    let (https, http) = (args.https.unwrap_or(HTTPS), args.http.unwrap_or(HTTP));
    let (login, acme, owner) = if args.demo { (LOGIN_DEMO, ACME_DEMO, OWNER_DEMO) } else { (LOGIN, ACME, OWNER) };
    Ok(format!(
        "# Chancery's configuration; docs/CONFIG.md explains every key. Relative paths are relative to this file.\n\n\
         [server]\nhttps = {https}\nhttp = {http}\nnames = [{names}]\n\
         # How clients reach it; certificates carry public_http (CRL, AIA), ACME answers carry public_https.\n\
         public_http = {public_http}\npublic_https = {public_https}\n\n\
         [hsm]\nmodule = {module}\ntoken = {token}\n{pin}\n\n\
         [database]\nurl = {database}\n{password}\n\
         [ca]\ninstance = {instance}   # another number on every node that shares the register\n\n\
         [log]\norigin = {origin}\n\n{login}{acme}{ACME_CERTIFIES}\n{owner}",
        https = quoted(&https.to_string()),
        http = quoted(&http.to_string()),
        names = names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", "),
        public_http = quoted(&format!("http://{host}:{}", http.port())),
        public_https = quoted(&format!("https://{host}:{}", https.port())),
        module = quoted(&absolute(&args.module)?.display().to_string()),
        token = quoted(&args.token_label),
        database = quoted(args.database.as_deref().unwrap_or(DATABASE)),
        password = password,
        instance = args.instance.unwrap_or(1),
        origin = quoted(&format!("{host}/chancery")),
    ))
}

const LOGIN: &str = r#"[login]
# Administrators prove a second factor before they make, change, show or destroy anything: `chancery mfa enrol`, once, and
# `chancery login --mfa`. "off" leaves them their token alone.
second_factor = "administrators"
second_factor_secs = 900   # how old it may be

"#;

const LOGIN_DEMO: &str = r#"# A demo: the administrator's token alone is enough. Where anything is at stake: "administrators".
[login]
second_factor = "off"

"#;

const ACME: &str = r#"[acme]
# Resolvers that validation asks; empty means this host's own.
resolvers = []
use_hosts_file = false
http01_port = 80
tls_alpn01_port = 443
# Validation never connects to loopback and link-local addresses, unless a network stands here.
allow_networks = []
"#;

const ACME_DEMO: &str = r#"# A demo: a rotation is seen to its end within seconds. Applications that keep what they read need the default, a minute, or more.
[rotation]
shortest_overlap_secs = 1

# A demo: names of this host's own hosts file can be proved, on a port that needs no root.
[acme]
resolvers = []
use_hosts_file = true
http01_port = 5002
tls_alpn01_port = 5001
allow_networks = ["127.0.0.0/8", "::1/128"]
"#;

/// The end of either.
const ACME_CERTIFIES: &str = r#"profile = "tls-server"
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn args(more: &[&str]) -> Args {
        let all = ["init", "d", "--module", "/m.so", "--token-label", "a \"b\"", "--pin-file", "pin"];
        Args::parse_from([&all[..], more].concat())
    }

    fn config(more: &[&str]) -> Config {
        Config::parse(&first_config(&args(more)).unwrap(), Path::new("/ca/chancery.toml")).unwrap()
    }

    #[test]
    fn the_first_configuration_is_one_that_loads() {
        for demo in ["--demo", "--organization=Example \"Ltd\""] {
            let config = config(&[demo]);
            assert_eq!(config.server.public_https, "https://localhost:8443");
            assert_eq!(config.demand.is_none(), demo == "--demo");
            assert_eq!(config.acme.unwrap().hosts_file.is_some(), demo == "--demo");
        }
    }

    #[test]
    fn a_flag_that_was_given_contradicts_a_kept_configuration_by_name() {
        for (flag, key, value) in [
            ("--database", "database.url", "postgres://me@db/other"),
            ("--instance", "ca.instance", "2"),
            ("--https", "server.https", "127.0.0.1:9443"),
            ("--http", "server.http", "[::1]:8080"),
            ("--server-name", "server.names", "ca.test"),
        ] {
            let given = &[flag, value];
            let said = contradictions(&args(given), &config(&[]), &config(given)).join("; ");
            assert!(said.contains(flag) && said.contains(key), "{flag}: {said}");
            assert!(contradictions(&args(given), &config(given), &config(given)).is_empty());
            assert!(
                contradictions(&args(&[]), &config(given), &config(&[])).is_empty(),
                "a default contradicts nothing"
            );
        }
        assert_eq!(contradictions(&args(&["--demo"]), &config(&[]), &config(&["--demo"])).len(), 1);
        for (from, to, key) in [("/m.so", "/n.so", "hsm.module"), ("a ", "c ", "hsm.token"), ("pin\"", "nip\"", "PIN")]
        {
            let text = first_config(&args(&[])).unwrap().replace(from, to);
            let kept = Config::parse(&text, Path::new("/ca/chancery.toml")).unwrap();
            let said = contradictions(&args(&[]), &kept, &config(&[])).join("; ");
            assert!(said.contains(key), "{key}: {said}");
        }
    }
}
