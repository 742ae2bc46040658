//! The sources of a plan: which server, which roots, and what proves to it who asks.

use std::net::SocketAddr;

use policy::Owner;

use super::certificate::Certificate;
use super::origin::{Acme, Chancery, ClientFiles, ExternalAccount, Http01, Server, Source};
use super::place::Place;
use super::raw::{RawAcme, RawChancery, RawExternalAccount, RawHttp01, RawServer, RawSource};
use crate::error::{PlanError, bounded};

/// Where the agent's own certificate comes from.
pub(super) fn home(identity: &Certificate) -> Option<&Chancery> {
    match &identity.source {
        Source::Chancery(chancery) => Some(chancery),
        Source::Acme(_) => None,
    }
}

/// One certificate's source; what it leaves out comes from `home`.
pub(super) fn source(at: &Place<'_>, raw: RawSource, home: Option<&Chancery>) -> Result<Source, PlanError> {
    match raw {
        RawSource::Chancery(raw) => chancery(at, raw, home).map(Source::Chancery),
        RawSource::Acme(raw) => acme(at, raw).map(Source::Acme),
    }
}

fn chancery(at: &Place<'_>, raw: RawChancery, home: Option<&Chancery>) -> Result<Chancery, PlanError> {
    let RawChancery { url, ca_file, owner: raw_owner, token_file, client_cert, client_key, profile, validity_secs } =
        raw;
    let asked = RawServer { url, ca_file, token_file, client_cert, client_key };
    let server = server(at, asked, home.map(|home| &home.server))?;
    // Whoever asks another server says for whom.
    let home = home.filter(|home| home.server.url == server.url);
    Ok(Chancery {
        server,
        owner: match (raw_owner, home) {
            (Some(text), _) => owner(&at.at("owner"), &text)?,
            (None, Some(home)) => home.owner.clone(),
            (None, None) => return Err(at.at("owner").refuse("missing", "owner = \"web\"")),
        },
        profile: profile.unwrap_or_else(|| "tls-server".to_owned()),
        validity_secs: validity(&at.at("validity_secs"), validity_secs)?,
    })
}

/// A server; what is left out comes from `home`.
pub(super) fn server(at: &Place<'_>, raw: RawServer, home: Option<&Server>) -> Result<Server, PlanError> {
    let missing = |key: &str, why: &str, write: &str| at.at(key).refuse(why, write);
    let address = match &raw.url {
        Some(text) => url(&at.at("url"), text)?.trim_end_matches('/').to_owned(),
        None => home.map(|h| h.url.clone()).ok_or_else(|| {
            let example = "url = \"https://ca.example.internal:8443\"";
            missing("url", "missing, and there is no [identity] to take it from", example)
        })?,
    };
    // The identity is shown only to the server that gave it.
    let home = home.filter(|h| h.url == address);
    let client = match (&raw.client_cert, &raw.client_key) {
        (Some(cert), Some(key)) => Some(ClientFiles { cert: at.path(cert), key: at.path(key) }),
        (None, None) => home.and_then(|h| h.client.clone()),
        (Some(_), None) => {
            return Err(missing("client_key", "client_cert stands alone", "client_key = \"client.key\""));
        }
        (None, Some(_)) => {
            return Err(missing("client_cert", "client_key stands alone", "client_cert = \"client.pem\""));
        }
    };
    if client.is_none() && raw.token_file.is_none() {
        let example = "token_file = \"token\", or an [identity] section for this url";
        return Err(missing("token_file", "nothing proves to this server who asks", example));
    }
    let ca_file = raw.ca_file.map(|p| at.path(&p)).or_else(|| home.map(|h| h.ca_file.clone()));
    Ok(Server {
        url: address,
        ca_file: ca_file
            .ok_or_else(|| missing("ca_file", "the server's roots are missing", "ca_file = \"roots.pem\""))?,
        client,
        token_file: raw.token_file.map(|p| at.path(&p)),
    })
}

fn acme(at: &Place<'_>, raw: RawAcme) -> Result<Acme, PlanError> {
    let ca_file = raw.ca_file.ok_or_else(|| {
        at.at("ca_file").refuse(
            "the CAs that may vouch for the ACME server are missing",
            "ca_file = \"/etc/ssl/certs/ca-certificates.crt\"",
        )
    })?;
    Ok(Acme {
        directory: url(&at.at("directory"), &raw.directory)?,
        ca_file: at.path(&ca_file),
        contact: contacts(&at.at("contact"), raw.contact)?,
        profile: raw.profile,
        external_account: raw.external_account.map(|raw| external(at, raw)),
        http01: http01(&at.at("http01"), raw.http01)?,
    })
}

/// An https URL, as it is written: a slash at the end of an ACME directory's URL matters.
pub(super) fn url(at: &Place<'_>, text: &str) -> Result<String, PlanError> {
    let example = format!("{} = \"https://ca.example.internal:8443\"", at.last());
    let parsed =
        reqwest::Url::parse(text).map_err(|e| at.refuse(format!("{:?}: {e}", bounded(text, 200)), &example))?;
    let bare = parsed.scheme() == "https"
        && parsed.username().is_empty()
        && parsed.password().is_none()
        && parsed.query().is_none()
        && parsed.fragment().is_none();
    if !bare {
        return Err(at.refuse("only https, without user, query or fragment", &example));
    }
    Ok(text.to_owned())
}

pub(super) fn owner(at: &Place<'_>, text: &str) -> Result<String, PlanError> {
    Owner::parse(text).map(|owner| owner.to_string()).map_err(|e| at.refuse(e.to_string(), "owner = \"web\""))
}

pub(super) fn validity(at: &Place<'_>, secs: Option<u64>) -> Result<Option<u64>, PlanError> {
    match secs {
        Some(secs) if secs == 0 || secs > VALIDITY_SECS_MAX => {
            Err(at.refuse(format!("{secs} is not between 1 and {VALIDITY_SECS_MAX}"), "validity_secs = 86400"))
        }
        secs => Ok(secs),
    }
}

fn contacts(at: &Place<'_>, contacts: Vec<String>) -> Result<Vec<String>, PlanError> {
    // RFC 8555 section 7.3: clients should expect "mailto" to work and nothing else.
    match contacts.iter().find(|c| !c.starts_with("mailto:")) {
        Some(text) => Err(at.refuse(
            format!("{:?} is not a mailto: URL", bounded(text, 80)),
            "contact = [\"mailto:ops@example.internal\"]",
        )),
        None => Ok(contacts),
    }
}

fn external(at: &Place<'_>, raw: RawExternalAccount) -> ExternalAccount {
    ExternalAccount { kid: raw.kid, hmac_file: at.path(&raw.hmac_file) }
}

fn http01(at: &Place<'_>, raw: RawHttp01) -> Result<Http01, PlanError> {
    let example = "http01 = { listen = \"0.0.0.0:80\" }";
    match (raw.listen, raw.webroot) {
        (Some(text), None) => text
            .parse::<SocketAddr>()
            .map(Http01::Listen)
            .map_err(|_| at.refuse(format!("{:?} is not address:port", bounded(&text, 80)), example)),
        (None, Some(webroot)) => Ok(Http01::Webroot(at.path(&webroot))),
        (Some(_), Some(_)) => Err(at.refuse("listen and webroot exclude each other", example)),
        (None, None) => Err(at.refuse("neither listen nor webroot", example)),
    }
}

/// Longest validity asked for: ten years. The server's profile has its own, lower bound.
const VALIDITY_SECS_MAX: u64 = 10 * 366 * 86_400;
