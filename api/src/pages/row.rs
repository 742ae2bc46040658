//! One row of a list: what it is called, whose it is, where it stands, who renews it, and how much of its life is left.

use policy::Timestamp;
use store::{Credential, Kind, Renewer};

use super::words::{Tone, left, moment};
use crate::app::App;
use crate::observe::inventory::{Entry, Standing};
use crate::problem::Problem;
use crate::rest::certificates::fetched;

/// Names shown under the first; the rest is a number.
const NAMES_SHOWN: usize = 3;

/// The values that the template shows.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) more: Option<String>,
    pub(super) link: String,
    pub(super) owner: String,
    pub(super) profile: String,
    pub(super) state: &'static str,
    pub(super) replaced: bool,
    /// Its CA is over, and nothing took its place.
    pub(super) orphaned: bool,
    pub(super) renewer: String,
    /// Where a renewal by the server went.
    pub(super) went: String,
    pub(super) tone: &'static str,
    pub(super) left: String,
    pub(super) at: String,
    pub(super) not_after: String,
    pub(super) life: Option<Life>,
    pub(super) serial: String,
    /// The server's own.
    pub(super) own: bool,
}

/// The rows of a page; of each that the server renewed by itself, whether somebody was given it.
pub(super) async fn rows(app: &App, entries: Vec<Entry>, now: Timestamp) -> Result<Vec<Row>, Problem> {
    let mut rows = Vec::with_capacity(entries.len());
    for entry in entries {
        let went = match fetched::waits(&entry.credential) && !entry.kin.replaced {
            true => fetched::first(app, &entry.credential)
                .await?
                .map_or("nobody fetched it".to_owned(), |first| format!("fetched by {}", first.by)),
            false => String::new(),
        };
        let orphaned = entry.is_orphaned(app.authority(), now);
        let row = Row::of(entry, now);
        let tone = if orphaned { Tone::Gone.class() } else { row.tone };
        rows.push(Row { went, orphaned, tone, ..row });
    }
    Ok(rows)
}

impl Row {
    fn of(Entry { credential, kin }: Entry, now: Timestamp) -> Self {
        let end = credential.validity.map(|validity| validity.not_after());
        let (name, more) = name(&credential);
        let tone = Tone::of(&credential, kin.replaced, now);
        Self {
            name,
            more,
            link: link(&credential),
            state: Standing::of(&credential, now).as_str(),
            replaced: kin.replaced,
            orphaned: false,
            renewer: renewer(&credential, tone),
            tone: tone.class(),
            left: end.map_or_else(|| "never".to_owned(), |end| left(end, now)),
            at: end.map(moment).unwrap_or_default(),
            not_after: end.map(Timestamp::rfc3339).unwrap_or_default(),
            life: Life::of(&credential, now),
            serial: serial(&credential),
            went: String::new(),
            own: store::is_the_server(&credential.actor),
            owner: credential.owner.map(|owner| owner.as_str().to_owned()).unwrap_or_default(),
            profile: credential.profile,
        }
    }
}

/// How much of a life is over, and where in it a new certificate is due; in hundredths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) over: i64,
    pub(super) due: Option<i64>,
}

impl Life {
    pub(super) fn of(credential: &Credential, now: Timestamp) -> Option<Self> {
        let validity = credential.validity?;
        let part = |at: Timestamp| {
            let secs = at.since(validity.not_before()).clamp(0, validity.secs());
            secs.saturating_mul(100) / validity.secs().max(1)
        };
        Some(Self { over: part(now), due: credential.look_at().map(part) })
    }
}

/// Where a credential has its page.
pub(super) fn link(credential: &Credential) -> String {
    match credential.kind {
        // Each issuer counts its own.
        Kind::Crl | Kind::CodeSignature | Kind::CaRequest | Kind::OcspBatch => {
            format!("/operations/{}", credential.operation)
        }
        Kind::CaCertificate | Kind::Certificate | Kind::SshUser | Kind::SshHost => {
            format!("/certificates/{}", credential.serial_hex())
        }
    }
}

/// A serial, or a CRL's number.
fn serial(credential: &Credential) -> String {
    match crl_number(credential) {
        Some(number) => format!("no. {number}"),
        None => credential.serial_hex(),
    }
}

/// The number of a CRL (RFC 5280 section 5.2.3), which is its serial in the register.
fn crl_number(credential: &Credential) -> Option<u64> {
    match credential.kind {
        Kind::Crl => credential.serial.last_chunk().map(|bytes| u64::from_be_bytes(*bytes)),
        Kind::CaCertificate
        | Kind::Certificate
        | Kind::SshUser
        | Kind::SshHost
        | Kind::CodeSignature
        | Kind::CaRequest
        | Kind::OcspBatch => None,
    }
}

/// The first name, and some others to stand below it. What has none is called by what it is.
pub(super) fn name(credential: &Credential) -> (String, Option<String>) {
    let detail = |name: &str| credential.details.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
    match (credential.kind, crl_number(credential)) {
        (Kind::Crl, Some(number)) => return (format!("CRL {number} of {}", credential.issuer), None),
        (Kind::CaCertificate | Kind::CaRequest, _) if !detail("generation").is_empty() => {
            return (format!("CA {}", detail("generation")), Some(credential.subject.clone()));
        }
        // The label that one signs with.
        (Kind::Certificate, _) if !detail("key").is_empty() => {
            return (format!("key {}", detail("key")), Some(credential.subject.clone()));
        }
        (Kind::CodeSignature, _) if !detail("file_name").is_empty() => {
            return (policy::shown(detail("file_name")).into_owned(), Some(format!("sha256:{}", detail("sha256"))));
        }
        _ => {}
    }
    let mut names = credential.names.iter().map(|name| name.strip_prefix("dns:").unwrap_or(name));
    let Some(first) = names.next() else { return (credential.subject.clone(), None) };
    let others: Vec<_> = names.collect();
    let shown = others.iter().take(NAMES_SHOWN).copied().collect::<Vec<_>>().join(", ");
    let more = match others.len() {
        0 => None,
        count if count <= NAMES_SHOWN => Some(shown),
        count => Some(format!("{shown} and {} more", count - NAMES_SHOWN)),
    };
    (first.to_owned(), more)
}

/// Who renews, believed only while the new one comes in time.
pub(super) fn renewer(credential: &Credential, tone: Tone) -> String {
    if credential.kind != Kind::Certificate {
        return String::new();
    }
    let who = match credential.renewer() {
        Renewer::Nobody => return "nobody".to_owned(),
        Renewer::Server => "the server",
        Renewer::Agent => "an agent",
        Renewer::Acme => "an ACME client",
    };
    match tone {
        Tone::Calm | Tone::Quiet => who.to_owned(),
        Tone::Act | Tone::Gone => format!("{who}, overdue"),
    }
}
