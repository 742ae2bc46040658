//! From a URL to a server that is fit for its use: one host after the other.

use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Config, Error, NoTls, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;
use zeroize::Zeroizing;

use super::fault::is_about_password;
use super::line::Line;
use crate::sql::engine::Use;
use crate::sql::error::SqlError;

/// One of several addresses of a name that takes no connection is not to use up the time of the others.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// A peer that went without a word is noticed within half a minute, asked or not; the kernel's own way takes two hours.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(25);
const PORT: u16 = 5432;
/// No password is longer.
const PASSWORD_BYTES_MAX: usize = 4_096;

/// The connection, and whether the URL itself says in which schema the register lies.
pub(super) fn dial(url: &str, usage: Use, limit: Duration) -> Result<(Line, bool), SqlError> {
    let Own { url, roots, password } = Own::take(url);
    let mut config: Config = url.parse().map_err(|e: Error| SqlError::Wrong(format!("database URL: {e}")))?;
    if let Some(file) = &password {
        // At each connection: a password that was changed needs no restart.
        config.password(read_password(Path::new(file))?.as_slice());
    }
    let names_schema = config.get_options().is_some_and(|options| options.contains("search_path"));
    let roots = match (config.get_ssl_mode(), roots) {
        (SslMode::Require, Some(file)) => Some(tls(&file)?),
        (SslMode::Require, None) => {
            return Err(SqlError::Wrong("sslmode=require needs `sslrootcert=FILE` in the URL".into()));
        }
        (_, _) if (0..places(&config)).all(|at| is_local(&config, at)) => None,
        (_, _) => {
            let line = "a register on another host needs `sslmode=require&sslrootcert=FILE` in its URL";
            return Err(SqlError::Wrong(line.into()));
        }
    };
    let mut whys = Vec::new();
    for at in 0..places(&config) {
        let (one, name) = host(&config, at);
        let line = match &roots {
            Some(tls) => Line::dial(&one, tls.clone(), limit),
            None => Line::dial(&one, NoTls, limit),
        };
        match line.and_then(|mut line| is_fit(&mut line, usage).map(|()| line)) {
            Ok(line) => return Ok((line, names_schema)),
            Err(SqlError::Wrong(why)) if is_about_password(&why) => {
                let place = match &password {
                    Some(file) => format!("what was sent is the first line of {file}"),
                    None => "name the file that holds it: `password_file` under [database]".to_owned(),
                };
                return Err(SqlError::Wrong(format!("{why}; {place}")));
            }
            Err(wrong @ (SqlError::Wrong(_) | SqlError::Unfit(_))) => return Err(wrong),
            Err(other) => whys.push(format!("{name}: {other}")),
        }
    }
    Err(SqlError::Away(whys.join("; ")))
}

/// The configuration for one of its hosts, and that host's name: the driver goes on to the next one only from a host that refuses,
/// not from one that does not answer.
fn host(all: &Config, at: usize) -> (Config, String) {
    let mut one = Config::new();
    if let Some(user) = all.get_user() {
        one.user(user);
    }
    if let Some(password) = all.get_password() {
        one.password(password);
    }
    if let Some(database) = all.get_dbname() {
        one.dbname(database);
    }
    if let Some(options) = all.get_options() {
        one.options(options);
    }
    one.ssl_mode(all.get_ssl_mode()).ssl_negotiation(all.get_ssl_negotiation());
    one.channel_binding(all.get_channel_binding()).application_name("chancery");
    one.connect_timeout(CONNECT_MAX).tcp_user_timeout(UNACKNOWLEDGED_MAX);
    one.keepalives_idle(KEEPALIVE_IDLE).keepalives_interval(KEEPALIVE_INTERVAL).keepalives_retries(KEEPALIVE_RETRIES);
    let port = all.get_ports().get(at).or_else(|| all.get_ports().first()).copied().unwrap_or(PORT);
    one.port(port);
    let mut name = String::new();
    if let Some(address) = all.get_hostaddrs().get(at) {
        one.hostaddr(*address);
        name = address.to_string();
    }
    match all.get_hosts().get(at) {
        Some(Host::Tcp(host)) => {
            one.host(host);
            name.clone_from(host);
        }
        Some(Host::Unix(path)) => {
            one.host_path(path);
            name = path.display().to_string();
        }
        None => {}
    }
    (one, format!("{name}:{port}"))
}

/// Whether this server serves: what is written must be taken, what decides must not be read from a copy that is behind, and every
/// text must be held as it is.
fn is_fit(line: &mut Line, usage: Use) -> Result<(), SqlError> {
    let text =
        "SELECT pg_is_in_recovery(), current_setting('transaction_read_only'), current_setting('server_encoding')";
    let found = line.ask(async |client| client.simple_query(text).await)?;
    let row = found.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let cell = |at| row.and_then(|row| row.try_get(at).ok().flatten()).unwrap_or_default();
    let (is_standby, is_read_only, encoding) = (cell(0) == "t", cell(1) == "on", cell(2));
    if encoding != "UTF8" {
        return Err(SqlError::Wrong(format!(
            "the database's encoding is {encoding}, which does not hold every text: make it anew with CREATE DATABASE ... \
             ENCODING 'UTF8' TEMPLATE template0"
        )));
    }
    match usage {
        Use::Write | Use::Read | Use::Backup if is_standby => Err(SqlError::Away("the server is a standby".into())),
        Use::Write if is_read_only => {
            Err(SqlError::Away("the server takes no writes: default_transaction_read_only is on".into()))
        }
        Use::Write | Use::Read | Use::Audit | Use::Backup => Ok(()),
    }
}

/// A URL without the parameters that are ours: the driver does not know them. `sslrootcert` is libpq's name; it leaves TLS to us.
struct Own {
    url: String,
    roots: Option<String>,
    password: Option<String>,
}

impl Own {
    fn take(url: &str) -> Own {
        let Some((base, query)) = url.split_once('?') else {
            return Own { url: url.to_owned(), roots: None, password: None };
        };
        let (mut roots, mut password, mut kept) = (None, None, Vec::new());
        for pair in query.split('&') {
            match pair.split_once('=') {
                Some(("sslrootcert", file)) => roots = Some(file.replace("%2F", "/")),
                Some(("password_file", file)) => password = Some(file.replace("%2F", "/")),
                Some(("sslmode", "verify-full" | "verify-ca")) => kept.push("sslmode=require"),
                _ => kept.push(pair),
            }
        }
        let query = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
        Own { url: format!("{base}{query}"), roots, password }
    }
}

/// The first line of a file that its owner alone can read.
fn read_password(path: &Path) -> Result<Zeroizing<Vec<u8>>, SqlError> {
    let wrong = |why: String| SqlError::Wrong(format!("the database's password file {}: {why}", path.display()));
    let file = File::open(path).map_err(|e| wrong(e.to_string()))?;
    let mode = file.metadata().map_err(|e| wrong(e.to_string()))?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(wrong(format!("mode {mode:o} lets others read it: chmod 600 it")));
    }
    let mut read = Zeroizing::new(Vec::with_capacity(PASSWORD_BYTES_MAX));
    file.take(PASSWORD_BYTES_MAX as u64).read_to_end(&mut read).map_err(|e| wrong(e.to_string()))?;
    let line = read.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
    match line.is_empty() {
        true => Err(wrong("it is empty".into())),
        false => Ok(Zeroizing::new(line.to_vec())),
    }
}

fn places(config: &Config) -> usize {
    config.get_hosts().len().max(config.get_hostaddrs().len())
}

/// Where a connection goes: to the address where there is one, whatever the name beside it, which is then for certificates alone.
fn is_local(config: &Config, at: usize) -> bool {
    match (config.get_hostaddrs().get(at), config.get_hosts().get(at)) {
        (Some(address), _) => address.is_loopback(),
        (None, Some(Host::Unix(_))) => true,
        (None, Some(Host::Tcp(name))) => {
            name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        (None, None) => false,
    }
}

fn tls(root_file: &str) -> Result<MakeRustlsConnect, SqlError> {
    let wrong = |why: String| SqlError::Wrong(format!("sslrootcert {root_file}: {why}"));
    let mut roots = rustls::RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(root_file).map_err(|e| wrong(e.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|e| wrong(e.to_string()))?;
        roots.add(certificate).map_err(|e| wrong(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(wrong("holds no certificate".into()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| wrong(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::postgres::line::DIAL_MAX;

    #[test]
    fn a_register_on_another_host_needs_tls_with_known_roots() {
        for (url, word) in [
            ("postgres://a@db.example/x", "sslmode=require"),
            ("postgres://a@db.example/x?sslmode=prefer", "sslmode=require"),
            ("postgres://a@127.0.0.1,db.example/x", "sslmode=require"),
            // The name is for the certificate; the connection goes to the address.
            ("postgres://a@localhost/x?hostaddr=192.0.2.7", "sslmode=require"),
            ("postgres://a@localhost,localhost/x?hostaddr=127.0.0.1,192.0.2.7", "sslmode=require"),
            ("postgres://a@127.0.0.1/x?sslmode=require", "sslrootcert"),
            ("postgres://a@db.example/x?sslmode=require&sslrootcert=/nowhere.pem", "nowhere"),
        ] {
            match dial(url, Use::Write, DIAL_MAX) {
                Err(SqlError::Wrong(why)) => assert!(why.contains(word), "{url}: {why}"),
                other => panic!("{url}: {:?}", other.err()),
            }
        }
    }

    #[test]
    fn where_a_connection_goes_says_its_address_and_not_its_name() {
        for (url, local) in [
            ("postgres://a@db.example/x?hostaddr=127.0.0.1", true),
            ("postgres://a@localhost/x?hostaddr=192.0.2.7", false),
            ("postgres://a@localhost/x", true),
            ("postgres:///x?host=/run/postgresql", true),
            ("postgres://a@db.example/x", false),
        ] {
            let config: Config = url.parse().unwrap();
            assert_eq!((0..places(&config)).all(|at| is_local(&config, at)), local, "{url}");
        }
    }

    #[test]
    fn a_password_is_the_first_line_of_a_file_of_ones_own() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "s3cret\n").unwrap();
        for (mode, is_read) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read_password(&path).is_ok_and(|read| read.as_slice() == b"s3cret"), is_read, "{mode:o}");
        }
        let Own { url, password, .. } = Own::take("postgres://a@h/x?password_file=/p/q&options=-cx");
        assert_eq!((url.as_str(), password.as_deref()), ("postgres://a@h/x?options=-cx", Some("/p/q")));
    }

    #[test]
    fn a_dead_peer_is_noticed_within_half_a_minute_at_each_host() {
        let config: Config =
            "postgres://a:b@one,two:7/x?keepalives_idle=7200&options=-cx%3Dy&sslmode=require".parse().unwrap();
        for (at, name) in [(0, "one:5432"), (1, "two:7")] {
            let (one, called) = host(&config, at);
            assert_eq!((called.as_str(), one.get_hosts().len()), (name, 1));
            let probes = one.get_keepalives_interval().unwrap() * one.get_keepalives_retries().unwrap();
            assert!(one.get_keepalives() && one.get_keepalives_idle() + probes <= Duration::from_secs(30));
            assert!(*one.get_tcp_user_timeout().unwrap() <= Duration::from_secs(30));
            let said = (one.get_user(), one.get_password(), one.get_dbname(), one.get_options(), one.get_ssl_mode());
            assert_eq!(said, (Some("a"), Some(&b"b"[..]), Some("x"), Some("-cx=y"), SslMode::Require));
        }
    }
}
