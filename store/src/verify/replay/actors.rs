//! Who acted: what proved it was recorded below the leaf, was that actor's, and had not ended.
//!
//! An act may come after the end of what proved it by [`UNDER_WAY_SECS`]: it was asked for before, and went on by itself.
//! Whether the roles of a token allow the action is the policy's matter, which this room cannot ask.

use std::collections::HashMap;

use policy::Timestamp;
use serde::Deserialize;

use super::line::Line;
use crate::forms::leaf::{Event, Leaf, LeafActor};
use crate::forms::schema::{INTENT, RECORD};
use crate::nouns::entry::{Kind, RELEASED};
use crate::sql::Cell;
use crate::verify::report::Report;
use crate::verify::rows::cell;

/// The longest act that goes on by itself is the finalization of an ACME order (docs/LIMITS.md), 330 s; a request before it
/// may take its time too.
const UNDER_WAY_SECS: i64 = 600;

/// The record kinds by which actors are known.
const TOKEN: &str = "api-token";
const ACCOUNT: &str = "acme-account";
/// The profile of client certificates that log in.
const LOGIN_PROFILE: &str = "tls-client";
/// RFC 8555 section 7.6: whoever holds a certificate's own key may revoke it, without an account.
const CERTIFICATE_KEY: &str = "acme-certificate-key:";

/// From when to when something proves an actor, seconds since 1970.
#[derive(Clone, Copy, Default)]
struct Life {
    from: Option<i64>,
    until: Option<i64>,
    /// Revoked, deactivated, put aside.
    ended: Option<i64>,
}

impl Life {
    fn proves(&self, at: i64) -> Result<(), String> {
        let show = |at: i64| Timestamp::from_unix(at);
        let late = |end: Option<i64>| end.filter(|end| at.saturating_sub(*end) > UNDER_WAY_SECS);
        if let Some(from) = self.from.filter(|from| from.saturating_sub(at) > UNDER_WAY_SECS) {
            return Err(format!("proves nothing before {}", show(from)));
        }
        if let Some(end) = late(self.ended) {
            return Err(format!("ended at {}", show(end)));
        }
        late(self.until).map_or(Ok(()), |end| Err(format!("expired at {}", show(end))))
    }
}

struct Token {
    name: String,
    life: Life,
}

/// What the register says of an API token, as far as it matters here.
#[derive(Deserialize)]
struct TokenBody {
    name: String,
    expires: Timestamp,
    revoked_at: Option<Timestamp>,
}

/// ... and of an ACME account; the thumbprint of its key is the record's second key.
#[derive(Deserialize)]
struct AccountBody {
    status: String,
}

struct AccountKey {
    account: String,
    life: Life,
}

struct Login {
    serial: String,
    concluded: bool,
    life: Life,
}

/// Whoever could act so far.
#[derive(Default)]
pub(super) struct Actors {
    /// None: its row cannot be believed, which was found.
    tokens: HashMap<String, Option<Token>>,
    /// The thumbprint of each account's key.
    accounts: HashMap<String, String>,
    keys: HashMap<String, AccountKey>,
    /// By operation.
    logins: HashMap<u64, Login>,
    by_serial: HashMap<String, u64>,
    /// Something could not be read, so that what is not known may have been recorded.
    unreadable: bool,
}

impl Actors {
    pub fn unreadable(&mut self) {
        self.unreadable = true;
    }

    /// Judges who wrote a leaf.
    pub fn judge(&mut self, line: &Line<'_>, report: &mut Report) {
        let Some(actor) = &line.leaf.actor else { return };
        let opening = self.opens(line);
        if opening.is_some_and(|thumbprint| thumbprint == actor.with && actor.proof == "acme-key") {
            return;
        }
        if let Err(why) = self.proved(actor, line.leaf) {
            report.find("actor", line.place(), format!("`{}` by {} `{}`: {why}", actor.id, actor.proof, actor.with));
        }
    }

    /// A new account proves itself: the key of the account that this leaf records.
    fn opens<'a>(&self, line: &'a Line<'_>) -> Option<&'a str> {
        let id = line.leaf.id.as_deref().filter(|_| line.leaf.event == Event::Record && line.leaf.kind == ACCOUNT)?;
        let actor = line.leaf.actor.as_ref()?;
        if self.accounts.contains_key(id) || actor.id != format!("acme:{id}") {
            return None;
        }
        text(line.row?, "lookup")
    }

    fn proved(&self, actor: &LeafActor, leaf: &Leaf) -> Result<(), String> {
        let at = unix(&leaf.time);
        match actor.proof.as_str() {
            "system" if actor.with.is_empty() => Ok(()),
            "system" => Err("the service itself proves nothing by anything".into()),
            "token" | "token+totp" | "token+recovery-code" => match self.tokens.get(&actor.with) {
                Some(Some(token)) if actor.id == format!("token:{}", token.name) => token.life.proves(at),
                Some(Some(token)) => Err(format!("the token is that of `token:{}`", token.name)),
                Some(None) => Ok(()),
                None => self.unknown("no such token is recorded below it"),
            },
            "acme-key" => match actor.id.strip_prefix(CERTIFICATE_KEY) {
                Some(serial) if leaf.event == Event::Revoke && leaf.serial.as_deref() != Some(serial) => {
                    Err("the key of one certificate revokes another".into())
                }
                Some(_) if matches!(leaf.event, Event::Revoke | Event::Refuse) => Ok(()),
                Some(_) => Err("the key of a certificate can only revoke it".into()),
                None => match self.keys.get(&actor.with) {
                    Some(key) if actor.id == format!("acme:{}", key.account) => key.life.proves(at),
                    Some(key) => Err(format!("the key is that of `acme:{}`", key.account)),
                    None => self.unknown("no account with this key is recorded below it"),
                },
            },
            "client-certificate" if actor.id != format!("cert:{}", actor.with) => {
                Err("the certificate is another's".into())
            }
            "client-certificate" => match self.by_serial.get(&actor.with).and_then(|op| self.logins.get(op)) {
                Some(login) if login.concluded => login.life.proves(at),
                Some(_) => Err("the certificate was not issued below it".into()),
                None => self.unknown("no such login certificate was issued below it"),
            },
            other => Err(format!("`{other}` is no way to prove oneself")),
        }
    }

    fn unknown(&self, says: &str) -> Result<(), String> {
        if self.unreadable { Ok(()) } else { Err(says.to_owned()) }
    }

    /// Takes in what a leaf changes of whoever can act.
    pub fn learn(&mut self, line: &Line<'_>, report: &mut Report) {
        let leaf = line.leaf;
        match leaf.event {
            Event::Record => match (leaf.kind.as_str(), leaf.id.as_deref()) {
                (TOKEN, Some(id)) => self.learn_token(line, id, report),
                (ACCOUNT, Some(id)) => self.learn_account(line, id, report),
                _ => {}
            },
            Event::Intend => self.learn_login(line),
            Event::Conclude => {
                if let Some(login) = self.logins.get_mut(&leaf.op) {
                    login.concluded = true;
                }
            }
            Event::Fail => {
                if let Some(login) = self.logins.remove(&leaf.op) {
                    self.by_serial.remove(&login.serial);
                }
            }
            Event::Revoke => {
                if let Some(login) = self.logins.get_mut(&leaf.op) {
                    let released = leaf.reason == Some(RELEASED.into());
                    login.life.ended = if released { None } else { login.life.ended.or(Some(unix(&leaf.time))) };
                }
            }
            // Whoever was certified elsewhere is nobody here.
            Event::Refuse | Event::Import | Event::Access => {}
        }
    }

    fn learn_token(&mut self, line: &Line<'_>, id: &str, report: &mut Report) {
        let token = line.row.map(body::<TokenBody>).and_then(|body| match body {
            Ok(body) => {
                let ended = body.revoked_at.map(|_| unix(&line.leaf.time));
                let life = Life { from: None, until: Some(body.expires.unix()), ended };
                Some(Token { name: body.name, life })
            }
            Err(why) => {
                report.find("record", format!("record leaf={} column body", line.index), format!("is no token: {why}"));
                None
            }
        });
        // What was revoked stays so: no honest node gives a token back.
        let ended = self.tokens.get(id).and_then(|there| there.as_ref()?.life.ended);
        let token = token.map(|mut token| {
            if ended.is_some() && token.life.ended.is_none() {
                report.find("record", format!("record leaf={}", line.index), "gives back a token that was revoked");
            }
            token.life.ended = ended.or(token.life.ended);
            token
        });
        self.tokens.insert(id.to_owned(), token);
    }

    fn learn_account(&mut self, line: &Line<'_>, id: &str, report: &mut Report) {
        let Some(row) = line.row else { return self.unreadable() };
        let (body, thumbprint) = (body::<AccountBody>(row), text(row, "lookup"));
        let (Ok(body), Some(thumbprint)) = (body, thumbprint) else {
            report.find("record", format!("record leaf={} column body", line.index), "is no ACME account");
            return self.unreadable();
        };
        let now = unix(&line.leaf.time);
        if let Some(before) = self.accounts.insert(id.to_owned(), thumbprint.to_owned())
            && before != thumbprint
            && let Some(key) = self.keys.get_mut(&before).filter(|key| key.account == id)
        {
            key.life.ended.get_or_insert(now);
        }
        let ended = (body.status != "valid").then_some(now);
        let life = Life { ended, ..Life::default() };
        self.keys.insert(thumbprint.to_owned(), AccountKey { account: id.to_owned(), life });
    }

    fn learn_login(&mut self, line: &Line<'_>) {
        let profile = line.leaf.profile.as_ref().map(|profile| profile.name.as_str());
        let Some(serial) = line.leaf.serial.as_ref().filter(|serial| !serial.is_empty()) else { return };
        if profile != Some(LOGIN_PROFILE) || line.leaf.kind != Kind::Certificate.as_str() {
            return;
        }
        let number = |column| match cell(&INTENT, line.row?, column) {
            Some(Cell::Int(at)) => Some(*at),
            _ => None,
        };
        let life = Life { from: number("not_before"), until: number("not_after"), ended: None };
        self.logins.insert(line.index, Login { serial: serial.clone(), concluded: false, life });
        self.by_serial.insert(serial.clone(), line.index);
    }
}

fn body<T: serde::de::DeserializeOwned>(row: &[Cell]) -> Result<T, String> {
    serde_json::from_str(text(row, "body").unwrap_or_default()).map_err(|e| e.to_string())
}

fn text<'a>(row: &'a [Cell], column: &str) -> Option<&'a str> {
    match cell(&RECORD, row, column) {
        Some(Cell::Text(text)) => Some(text),
        _ => None,
    }
}

/// A leaf's time was read once already.
fn unix(time: &str) -> i64 {
    Timestamp::parse_rfc3339(time).map_or(0, Timestamp::unix)
}
