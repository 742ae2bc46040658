//! OpenLDAP, and what else speaks LDAP (RFC 4511) with passwords that are modified as RFC 3062 says.
//!
//! A user is an entry, by its distinguished name. The password goes to the server as it is, in the extended operation that asks it to
//! keep a password by its own rules and digests (RFC 3062 section 2); so the line is TLS, from its first byte (`ldaps`) or by StartTLS
//! before anything is said (RFC 4513 section 3.1), or leads within this host. An entry has one password; overlaps are made with two.

use std::future::Future;
use std::sync::Arc;

use ldap3::exop::PasswordModify;
use ldap3::{Ldap as Session, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, Mod, Scope, StdStream};
use policy::Secret;
use secrets::rotation::Others;

use crate::deadline::{asked, before};
use crate::driver::{Driver, Fault, Login, sane};
use crate::host::Host;

/// When TLS begins, where the line is TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begins {
    /// With the first byte.
    AtOnce,
    /// When the server is asked for it (StartTLS), before anything else.
    Asked,
}

/// A server of a directory.
#[derive(Clone, Debug)]
pub struct Ldap {
    host: Host,
    begins: Begins,
}

/// A login that a task of its own holds.
struct Held {
    user: String,
    secret: Secret<String>,
}

/// What a task does as the administrator.
enum Act {
    Set(Held),
    Clear(String),
}

impl Ldap {
    /// Of a server, and when its TLS begins.
    pub fn new(host: Host, begins: Begins) -> Ldap {
        Ldap { host, begins }
    }

    /// A session of this login.
    async fn session(&self, login: &Held) -> Result<Session, Fault> {
        let stream = self.host.dial().await?.into_std().map_err(Fault::away)?;
        let settings = LdapConnSettings::new().set_std_stream(StdStream::Tcp(stream));
        let (settings, scheme) = match (self.host.config(), self.begins) {
            (None, _) => (settings, "ldap"),
            (Some(tls), Begins::AtOnce) => (settings.set_config(Arc::clone(tls)), "ldaps"),
            (Some(tls), Begins::Asked) => (settings.set_config(Arc::clone(tls)).set_starttls(true), "ldap"),
        };
        let name = self.host.name();
        let authority = if name.contains(':') { format!("[{name}]") } else { name.to_owned() };
        let url = format!("{scheme}://{authority}:{}", self.host.port());
        // A certificate that is not believed, and a server that has no TLS, say nothing of the password.
        let (connection, mut session) =
            LdapConnAsync::with_settings(settings, &url).await.map_err(|error| Fault::away(words(&error)))?;
        tokio::spawn(connection.drive());
        let answer = session.simple_bind(&login.user, login.secret.expose()).await;
        not_let_in(&answer.map_err(|error| Fault::away(words(&error)))?)?;
        Ok(session)
    }

    async fn act(self, admin: Held, act: Act) -> Result<(), Fault> {
        let mut session = before(self.session(&admin)).await?;
        let answer = asked(async {
            let answer = match &act {
                Act::Set(to) => {
                    let modify =
                        PasswordModify { user_id: Some(&to.user), old_pass: None, new_pass: Some(to.secret.expose()) };
                    let answer = session.extended(modify).await.map(|answer| answer.1);
                    if answer.as_ref().is_ok_and(|answer| answer.rc == SUCCESS) {
                        // Nobody is there who would change it once more. Where there is no such policy, there is nothing to take away:
                        // whether it did is what the test tells.
                        let gone = Mod::Replace(RESET, std::collections::HashSet::new());
                        let _ = session.modify(&to.user, vec![gone]).await;
                    }
                    answer
                }
                // All values go; who had none has none.
                Act::Clear(user) => {
                    let nothing = Mod::Replace(PASSWORD, std::collections::HashSet::new());
                    session.modify(user, vec![nothing]).await
                }
            };
            answer.map_err(|error| Fault::unknown(words(&error)))
        });
        not_done(&answer.await?)
    }
}

impl Driver for Ldap {
    async fn set(&self, admin: Login<'_>, to: Login<'_>, others: Others) -> Result<(), Fault> {
        one_password(others)?;
        let (admin, to) = (held(admin)?, held(to)?);
        contained(self.clone().act(admin, Act::Set(to))).await
    }

    async fn test(&self, login: Login<'_>) -> Result<(), Fault> {
        let (driver, login) = (self.clone(), held(login)?);
        contained(async move {
            let mut session = before(driver.session(&login)).await?;
            let answer = asked(async {
                let own = session.search(&login.user, Scope::Base, "(objectClass=*)", vec!["1.1"]).await;
                Ok(own.map_err(|error| Fault::away(words(&error)))?.1)
            });
            unrestricted(&answer.await?)
        })
        .await
    }

    async fn retire(&self, admin: Login<'_>, gone: Login<'_>, others: Others) -> Result<(), Fault> {
        one_password(others)?;
        let (admin, gone) = (held(admin)?, held(gone)?);
        contained(self.clone().act(admin, Act::Clear(gone.user))).await
    }
}

/// In a task of its own: the library gives up with a panic on some answers that are none, and nothing is known then.
async fn contained(work: impl Future<Output = Result<(), Fault>> + Send + 'static) -> Result<(), Fault> {
    let done = tokio::spawn(work).await;
    done.unwrap_or_else(|_| Err(Fault::unknown("the server answered something that is no LDAP")))
}

/// An empty name is nobody's, and an empty password is let in as nobody (RFC 4513 section 5.1.2): [`sane`] has neither.
fn held(login: Login<'_>) -> Result<Held, Fault> {
    sane(login, NAME_BYTES_MAX)?;
    Ok(Held { user: login.user.to_owned(), secret: Secret::new(login.secret.expose().clone()) })
}

fn one_password(others: Others) -> Result<(), Fault> {
    match others {
        Others::Replaced => Ok(()),
        Others::Kept => Err(Fault::refused("an entry of a directory has one password here: take a pair of entries")),
    }
}

/// Of a bind: invalidCredentials alone is about who logs in.
fn not_let_in(answer: &LdapResult) -> Result<(), Fault> {
    match answer.rc {
        SUCCESS => Ok(()),
        INVALID_CREDENTIALS => Err(Fault::refused("the server does not take this name with this password")),
        _ => Err(Fault::away(said(answer))),
    }
}

/// Of a harmless question after the bind: a policy of passwords may let somebody in for no more than to change his, and says so. Who may
/// not look at his own entry is let in all the same.
fn unrestricted(answer: &LdapResult) -> Result<(), Fault> {
    match answer.rc {
        RESTRICTED if answer.text.contains("restricted") => Err(Fault::refused(
            "the server lets it in for nothing but to change its password (pwdReset): take `pwdMustChange` from its policy",
        )),
        rc if LATER.contains(&rc) => Err(Fault::away(said(answer))),
        _ => Ok(()),
    }
}

/// What the server answered did not happen.
fn not_done(answer: &LdapResult) -> Result<(), Fault> {
    match answer.rc {
        SUCCESS => Ok(()),
        rc if LATER.contains(&rc) => Err(Fault::away(said(answer))),
        _ => Err(Fault::refused(said(answer))),
    }
}

fn said(answer: &LdapResult) -> String {
    format!("result code {}: {}", answer.rc, answer.text)
}

fn words(error: &LdapError) -> String {
    error.to_string()
}

const PASSWORD: &str = "userPassword";
/// That a password is to be changed before anything else (draft-behera-ldap-password-policy section 5.3.7).
const RESET: &str = "pwdReset";
/// Result codes of RFC 4511, appendix A.
const SUCCESS: u32 = 0;
const INVALID_CREDENTIALS: u32 = 49;
/// insufficientAccessRights.
const RESTRICTED: u32 = 50;
/// timeLimitExceeded, adminLimitExceeded, busy, unavailable.
const LATER: [u32; 4] = [3, 11, 51, 52];
/// A name is a path through the directory; as long as a rotation's users may be.
const NAME_BYTES_MAX: usize = secrets::rotation::USER_BYTES_MAX;
