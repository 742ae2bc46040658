//! From the raw plan to the checked one: one function per part, each refusal with the line to write instead.

use std::collections::BTreeSet;
use std::path::Path;

use policy::Name;
use rustls::pki_types::ServerName;

use super::authorized::AuthorizedKeys;
use super::certificate::{Certificate, Check, Files, IDENTITY, Plan};
use super::keys::authorized_keys;
use super::origin::{Chancery, ClientFiles, Server, Source};
use super::parts::{command, id, is_name, timeout};
use super::place::Place;
use super::raw::{RawCertificate, RawCheck, RawFiles, RawIdentity, RawPlan};
use super::schedule::Cadence;
use super::secret::SecretFile;
use super::secrets::{common, secrets};
use super::sources::{home, owner, source, url, validity};
use super::users::{group_id, user_id};
use crate::credential::KeyKind;
use crate::error::{PlanError, bounded};

/// Parses and checks the text of a plan.
pub(super) fn parse(text: &str, file: &Path) -> Result<Plan, PlanError> {
    let root = Place::root(file);
    if text.len() > PLAN_BYTES_MAX {
        return Err(root.refuse("the plan is larger than 1 MiB", "a smaller plan"));
    }
    let raw: RawPlan = toml::from_str(text).map_err(|e| root.syntax(text, &e))?;
    let at = |key: &str| root.at(key);

    if raw.certificate.is_empty() && raw.identity.is_none() && raw.secret.is_empty() && raw.authorized_keys.is_empty() {
        return Err(at("certificate").refuse("the plan keeps nothing", "[[certificate]] or [[secret]]"));
    }
    if raw.certificate.len() > CERTIFICATES_MAX {
        return Err(at("certificate").refuse(
            format!("more than {CERTIFICATES_MAX} certificates"),
            "a second plan with a state_dir of its own",
        ));
    }
    let state_dir = at("state_dir").path(&raw.state_dir);
    let identity = raw.identity.map(|raw| identity(&at("identity"), raw, &state_dir)).transpose()?;
    let mut certificates = Vec::new();
    for (index, raw) in raw.certificate.into_iter().enumerate() {
        let place = at(&format!("certificate[{index}]"));
        certificates.push(certificate(&place, raw, identity.as_ref())?);
    }
    let is_used = !raw.secret.is_empty() || !raw.authorized_keys.is_empty();
    let common = common(&root, raw.secrets, is_used, identity.as_ref(), &state_dir)?;
    let secrets = secrets(&root, raw.secret, common.as_ref())?;
    let keys = authorized_keys(&root, raw.authorized_keys, common.as_ref(), identity.as_ref())?;
    certificates.splice(0..0, identity);
    distinct(&root, &certificates, (&secrets, &keys))?;
    Ok(Plan { state_dir, certificates, secrets, keys })
}

/// The agent's own certificate: kept like any other, in the state folder, proven by itself once it is there.
fn identity(at: &Place<'_>, raw: RawIdentity, state_dir: &Path) -> Result<Certificate, PlanError> {
    let folder = state_dir.join(IDENTITY);
    let client = ClientFiles { cert: folder.join("cert.pem"), key: folder.join("key.pem") };
    Ok(Certificate {
        name: IDENTITY.to_owned(),
        names: names(&at.at("names"), &raw.names)?,
        source: Source::Chancery(Chancery {
            server: Server {
                url: url(&at.at("url"), &raw.url)?.trim_end_matches('/').to_owned(),
                ca_file: at.path(&raw.ca_file),
                client: Some(client.clone()),
                token_file: Some(at.path(&raw.token_file)),
            },
            owner: owner(&at.at("owner"), &raw.owner)?,
            profile: raw.profile.unwrap_or_else(|| "tls-client".to_owned()),
            validity_secs: validity(&at.at("validity_secs"), raw.validity_secs)?,
        }),
        files: Files {
            key: client.key,
            cert: None,
            chain: None,
            fullchain: Some(client.cert),
            mode: Some(0o600),
            uid: None,
            gid: None,
        },
        key: key_kind(&at.at("key"), raw.key.as_deref())?,
        reuse_key: false,
        reload: None,
        check: None,
        cadence: cadence(at, raw.renew_at, raw.jitter)?,
    })
}

fn certificate(at: &Place<'_>, raw: RawCertificate, identity: Option<&Certificate>) -> Result<Certificate, PlanError> {
    // The name is a folder's name in state_dir.
    if !is_name(&raw.name) {
        return Err(at.at("name").refuse(
            format!("{:?} is not 1-63 of a-z 0-9 . _ - or is taken", bounded(&raw.name, 80)),
            "name = \"web\"",
        ));
    }
    let names = names(&at.at("names"), &raw.names)?;
    let source = source(&at.at("source"), raw.source, identity.and_then(home))?;
    if let (Source::Acme(_), Some(name)) = (&source, names.iter().find(|n| !provable(n))) {
        // RFC 8555 section 8.3: http-01 cannot prove a wildcard.
        return Err(at
            .at("names")
            .refuse(format!("{name} cannot be proven by http-01"), "names = [\"www.example.internal\"]"));
    }
    Ok(Certificate {
        name: raw.name,
        names,
        source,
        files: files(&at.at("files"), raw.files)?,
        key: key_kind(&at.at("key"), raw.key.as_deref())?,
        reuse_key: raw.reuse_key.unwrap_or(false),
        reload: command(at, "reload", raw.reload, ("reload_timeout_secs", raw.reload_timeout_secs))?,
        check: raw.check.map(|c| check(&at.at("check"), c)).transpose()?,
        cadence: cadence(at, raw.renew_at, raw.jitter)?,
    })
}

fn provable(name: &Name) -> bool {
    match name {
        Name::Dns(name) => !name.is_wildcard(),
        Name::Ip(_) => true,
        Name::Email(_) | Name::Uri(_) | Name::Upn(_) => false,
    }
}

fn names(at: &Place<'_>, raw: &[String]) -> Result<Vec<Name>, PlanError> {
    let example = "names = [\"www.example.internal\"]";
    if raw.is_empty() || raw.len() > policy::MAX_NAMES {
        return Err(at.refuse(format!("{} names; 1 to 100 fit", raw.len()), example));
    }
    let mut names = Vec::new();
    for text in raw {
        let name = Name::parse(text).map_err(|e| at.refuse(format!("{:?}: {e}", bounded(text, 80)), example))?;
        match &name {
            Name::Dns(_) | Name::Ip(_) => names.push(name),
            Name::Email(_) | Name::Uri(_) | Name::Upn(_) => {
                return Err(at.refuse(format!("{name} is not a host's name"), example));
            }
        }
    }
    Ok(names)
}

fn files(at: &Place<'_>, raw: RawFiles) -> Result<Files, PlanError> {
    if raw.cert.is_none() && raw.fullchain.is_none() {
        return Err(at.refuse(
            "neither cert nor fullchain: the certificate goes nowhere",
            "files = { key = \"web.key\", fullchain = \"web.pem\" }",
        ));
    }
    let files = Files {
        key: at.path(&raw.key),
        cert: raw.cert.map(|p| at.path(&p)),
        chain: raw.chain.map(|p| at.path(&p)),
        fullchain: raw.fullchain.map(|p| at.path(&p)),
        mode: raw.mode.map(|m| mode(&at.at("mode"), &m)).transpose()?,
        uid: id(&at.at("owner"), raw.owner.as_deref(), user_id)?,
        gid: id(&at.at("group"), raw.group.as_deref(), group_id)?,
    };
    if let Some(path) = files.paths().find(|p| p.file_name().is_none()) {
        let why = format!("{} names no file", path.display());
        return Err(at.refuse(why, "key = \"web.key\""));
    }
    Ok(files)
}

fn mode(at: &Place<'_>, text: &str) -> Result<u32, PlanError> {
    let example = "mode = \"0640\"";
    let mode = u32::from_str_radix(text, 8)
        .ok()
        .filter(|m| *m <= 0o777)
        .ok_or_else(|| at.refuse(format!("{:?} is not an octal mode", bounded(text, 20)), example))?;
    if mode & 0o007 != 0 {
        return Err(at.refuse(format!("{text} would give the key to everybody"), example));
    }
    if mode & 0o600 != 0o600 {
        return Err(at.refuse(format!("{text} would lock the owner out"), example));
    }
    Ok(mode)
}

fn key_kind(at: &Place<'_>, text: Option<&str>) -> Result<KeyKind, PlanError> {
    let Some(text) = text else {
        return Ok(KeyKind::P256);
    };
    KeyKind::parse(text)
        .ok_or_else(|| at.refuse(format!("{:?} is not p256, p384 or ed25519", bounded(text, 80)), "key = \"p256\""))
}

fn check(at: &Place<'_>, raw: RawCheck) -> Result<Check, PlanError> {
    let example = "check = { connect = \"127.0.0.1:443\", server_name = \"www.example.internal\" }";
    let host = match raw.connect.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => host,
        Some(_) | None => {
            let text = bounded(&raw.connect, 80);
            return Err(at.at("connect").refuse(format!("{text:?} is not host:port"), example));
        }
    };
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = raw.server_name.unwrap_or(host);
    let server_name = ServerName::try_from(name.clone()).map_err(|_| {
        let name = bounded(&name, 80);
        at.at("server_name").refuse(format!("{name:?} is not a name"), example)
    })?;
    Ok(Check {
        connect: raw.connect,
        server_name,
        timeout: timeout(&at.at("timeout_secs"), raw.timeout_secs.unwrap_or(10))?,
    })
}

fn cadence(at: &Place<'_>, renew_at: Option<f64>, jitter: Option<f64>) -> Result<Cadence, PlanError> {
    let standard = Cadence::default();
    Cadence::new(renew_at.unwrap_or(standard.renew_at), jitter.unwrap_or(standard.jitter))
        .map_err(|why| at.at("renew_at").refuse(why, "renew_at = 0.66"))
}

/// No two certificates or secrets may share a name or a file: each is kept by itself.
fn distinct(
    root: &Place<'_>,
    certificates: &[Certificate],
    (secrets, keys): (&[SecretFile], &[AuthorizedKeys]),
) -> Result<(), PlanError> {
    let mut names = BTreeSet::new();
    let mut paths = BTreeSet::new();
    for certificate in certificates {
        if !names.insert(&certificate.name) {
            let why = format!("{:?} stands there twice", certificate.name);
            return Err(root.at("certificate.name").refuse(why, "name = \"web-2\""));
        }
        if let Some(path) = certificate.files.paths().find(|p| !paths.insert(p.to_path_buf())) {
            let why = format!("{} is written twice", path.display());
            return Err(root.at(&format!("certificate {:?}.files", certificate.name)).refuse(why, "a path of its own"));
        }
    }
    for secret in secrets {
        if !names.insert(&secret.name) {
            let why = format!("{:?} stands there twice", secret.name);
            return Err(root.at("secret.name").refuse(why, "name = \"shop-db\""));
        }
        if !paths.insert(secret.file.path.clone()) {
            let why = format!("{} is written twice", secret.file.path.display());
            return Err(root.at(&format!("secret {:?}.file", secret.name)).refuse(why, "a path of its own"));
        }
    }
    for file in keys {
        if !names.insert(&file.name) {
            let why = format!("{:?} stands there twice", file.name);
            return Err(root.at("authorized_keys.name").refuse(why, "name = \"deploy\""));
        }
        if !paths.insert(file.file.path.clone()) {
            let why = format!("{} is written twice", file.file.path.display());
            return Err(root.at(&format!("authorized_keys {:?}.file", file.name)).refuse(why, "a path of its own"));
        }
    }
    Ok(())
}

/// Longest plan read: far above 256 certificates with 100 names each would be a mistake.
const PLAN_BYTES_MAX: usize = 1 << 20;
/// Most certificates on one host: each is a task, and a host with more wants a second agent.
const CERTIFICATES_MAX: usize = 256;
