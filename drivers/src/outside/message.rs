//! What a program or a hook is told, and what it answers.
//!
//! Told: `{"version":1,"operation":"prod/db:812","step":"set","path":"prod/db","user":"app","secret":"...","others":"replaced",
//! "admin":{"user":"...","secret":"..."}}`. `step` is `set`, `test` or `retire`; `others` says of a set or a retirement whether other
//! secrets of the user stay (`kept`) or go; `admin` is there where the rotation has one. `operation` names what was intended in the log:
//! what comes twice under one name is done once.
//!
//! Answered: `{"outcome":"done"}`, or `refused`, `away`, `unknown`, with what there is to say in `said`.

use std::time::Duration;

use secrets::rotation::Others;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::driver::{Fault, Login, sane};

/// What is asked, beside who and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Asked {
    Set,
    Test,
    Retire,
}

/// Which secret this is about, and what was intended.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub path: String,
    pub operation: String,
}

#[derive(Serialize)]
struct Message<'a> {
    version: u8,
    operation: &'a str,
    step: Asked,
    path: &'a str,
    user: &'a str,
    secret: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    others: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    admin: Option<Admin<'a>>,
}

#[derive(Serialize)]
struct Admin<'a> {
    user: &'a str,
    secret: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    outcome: Said,
    #[serde(default)]
    said: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Said {
    Done,
    Refused,
    Away,
    Unknown,
}

/// One line of JSON. It is wiped; it never grows, so that nothing of it is left behind.
pub(super) fn message(
    about: &About,
    asked: Asked,
    admin: Option<Login<'_>>,
    login: Login<'_>,
    others: Option<Others>,
) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let message = Message {
        version: 1,
        operation: &about.operation,
        step: asked,
        path: &about.path,
        user: login.user,
        secret: login.secret.expose(),
        others: others.map(|others| match others {
            Others::Kept => "kept",
            Others::Replaced => "replaced",
        }),
        admin: admin
            .filter(|admin| !admin.user.is_empty())
            .map(|admin| Admin { user: admin.user, secret: admin.secret.expose() }),
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(MESSAGE_BYTES_MAX));
    serde_json::to_writer(&mut *bytes, &message).map_err(Fault::away)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// What came of it, by an answer. What is none leaves it unknown.
pub(super) fn answered(bytes: &[u8]) -> Result<(), Fault> {
    let Answer { outcome, said } = serde_json::from_slice(bytes)
        .map_err(|_| Fault::unknown("the answer is not {\"outcome\":\"done\"}, or refused, away, unknown"))?;
    match outcome {
        Said::Done => Ok(()),
        Said::Refused => Err(Fault::refused(said)),
        Said::Away => Err(Fault::away(said)),
        Said::Unknown => Err(Fault::unknown(said)),
    }
}

/// Of an administrator, where there is one.
pub(super) fn sane_admin(admin: Option<Login<'_>>) -> Result<(), Fault> {
    match admin.filter(|admin| !admin.user.is_empty()) {
        Some(admin) => sane(admin, secrets::rotation::USER_BYTES_MAX),
        None => Ok(()),
    }
}

/// Nothing is changed by a login: whatever went wrong, nothing happened.
pub(super) fn of(asked: Asked, done: Result<(), Fault>) -> Result<(), Fault> {
    match asked {
        Asked::Test => done.map_err(Fault::before_acting),
        Asked::Set | Asked::Retire => done,
    }
}

/// More than two names and two secrets take, each of its characters written as six.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// The longest answer of a program or a hook.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// The longest time that either may have: another node takes a step up after two minutes.
pub const TIME_MAX: Duration = Duration::from_secs(60);
