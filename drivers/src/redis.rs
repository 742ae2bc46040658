//! Redis: users of its ACL (Redis 6 and later).
//!
//! A user may have several passwords at once, so an overlap needs no second user: `#digest` adds one, `!digest` takes it away. The server
//! keeps the SHA-256 of a password and takes it in its place; so the password itself is sent by whoever logs in, and by nobody else.
//!
//! A Redis server copies its users to no other: each server of a cluster, and each replica, is a target of its own.

use policy::Secret;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisError, Value};
use ring::digest::{SHA256, digest};
use secrets::rotation::Others;

use crate::deadline::{asked, before};
use crate::driver::{Driver, Dynamic, Fault, Lease, Login, named, sane};
use crate::host::Host;

/// Where a server writes its users, so that they are there after its next start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// In its ACL file (`aclfile`), by ACL SAVE.
    AclFile,
    /// In its configuration, by CONFIG REWRITE.
    Configuration,
    /// Nowhere: somebody else sees to it.
    Nowhere,
}

/// A Redis server.
#[derive(Clone, Debug)]
pub struct Redis {
    host: Host,
    saved: Saved,
}

impl Redis {
    /// Of a server, and where it writes its users.
    pub fn new(host: Host, saved: Saved) -> Redis {
        Redis { host, saved }
    }

    async fn session(&self, login: Login<'_>) -> Result<MultiplexedConnection, Fault> {
        sane(login, NAME_BYTES_MAX)?;
        let stream = self.host.dial_through().await?;
        // Nothing is said before the login, which is our own: the library's says less of what was wrong.
        let quiet = RedisConnectionInfo::default().set_skip_set_lib_name();
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (mut session, driver) =
            MultiplexedConnection::new_with_config(&quiet, stream, config).await.map_err(Fault::away)?;
        tokio::spawn(driver);
        let mut auth = redis::cmd("AUTH");
        auth.arg(login.user).arg(login.secret.expose());
        let answer: Result<Value, RedisError> = auth.query_async(&mut session).await;
        answer.map_err(not_let_in)?;
        Ok(session)
    }

    /// Does something as the administrator, and has it written down. A server that would not write it is found out before.
    async fn act(&self, admin: Login<'_>, user: &str, is_there: bool, rules: &[String]) -> Result<(), Fault> {
        let mut session = before(self.session(admin)).await?;
        // SETUSER makes whoever it does not find: a name that is written wrong would be a new user.
        match before(ask(&mut session, &["ACL", "GETUSER", user])).await? {
            Value::Nil if is_there => return Err(Fault::refused(format!("there is no user {user}"))),
            Value::Nil => {}
            _ if !is_there => return Err(Fault::refused(format!("there is a user {user} already"))),
            _ => {}
        }
        before(self.save(&mut session)).await?;
        let words: Vec<&str> = ["ACL", "SETUSER", user].into_iter().chain(rules.iter().map(String::as_str)).collect();
        asked(ask(&mut session, &words)).await?;
        asked(self.save(&mut session)).await.map_err(not_saved)
    }

    async fn save(&self, session: &mut MultiplexedConnection) -> Result<(), Fault> {
        match self.saved {
            Saved::AclFile => ask(session, &["ACL", "SAVE"]).await.map(drop).map_err(without_acl_file),
            Saved::Configuration => ask(session, &["CONFIG", "REWRITE"]).await.map(drop),
            Saved::Nowhere => Ok(()),
        }
    }
}

impl Driver for Redis {
    async fn set(&self, admin: Login<'_>, to: Login<'_>, others: Others) -> Result<(), Fault> {
        sane(to, NAME_BYTES_MAX)?;
        let add = format!("#{}", sha256(to.secret));
        let rules = match others {
            Others::Kept => vec![add],
            Others::Replaced => vec!["resetpass".to_owned(), add],
        };
        self.act(admin, to.user, true, &rules).await
    }

    async fn test(&self, login: Login<'_>) -> Result<(), Fault> {
        before(self.session(login)).await.map(drop)
    }

    async fn retire(&self, admin: Login<'_>, gone: Login<'_>, others: Others) -> Result<(), Fault> {
        sane(gone, NAME_BYTES_MAX)?;
        match others {
            Others::Replaced => self.act(admin, gone.user, true, &["resetpass".to_owned()]).await,
            Others::Kept => {
                // Added and taken away in one command: what is not there cannot be taken away.
                let digest = sha256(gone.secret);
                self.act(admin, gone.user, true, &[format!("#{digest}"), format!("!{digest}")]).await
            }
        }
    }
}

impl Dynamic for Redis {
    async fn create(&self, admin: Login<'_>, lease: Lease<'_>) -> Result<(), Fault> {
        sane(lease.login, NAME_BYTES_MAX)?;
        let mut session = before(self.session(admin)).await?;
        let rights = rights_of(&before(ask(&mut session, &["ACL", "LIST"])).await?, lease.like)?;
        let who = ["reset".to_owned(), "on".to_owned(), format!("#{}", sha256(lease.login.secret))];
        let rules: Vec<String> = who.into_iter().chain(rights).collect();
        self.act(admin, lease.login.user, false, &rules).await
    }

    /// A server ends nobody by itself: whoever holds the lease revokes at its end. So there is nothing to change.
    async fn renew(&self, admin: Login<'_>, lease: Lease<'_>) -> Result<(), Fault> {
        let mut session = before(self.session(admin)).await?;
        match before(ask(&mut session, &["ACL", "GETUSER", lease.login.user])).await? {
            Value::Nil => Err(Fault::refused(format!("there is no user {}", lease.login.user))),
            _ => Ok(()),
        }
    }

    async fn revoke(&self, admin: Login<'_>, lease: Lease<'_>) -> Result<(), Fault> {
        named(lease.login.user, NAME_BYTES_MAX)?;
        let mut session = before(self.session(admin)).await?;
        before(self.save(&mut session)).await?;
        // It ends his connections too, and says how many users there were.
        asked(ask(&mut session, &["ACL", "DELUSER", lease.login.user])).await?;
        asked(self.save(&mut session)).await.map_err(not_saved)
    }
}

async fn ask(session: &mut MultiplexedConnection, words: &[&str]) -> Result<Value, Fault> {
    let mut command = redis::Cmd::new();
    command.arg(words);
    command.query_async(session).await.map_err(|error| not_done(&error))
}

/// What a user may do, as ACL LIST writes it (`user NAME on #digest ~keys &channels +commands (selectors)`), without who he is.
fn rights_of(list: &Value, user: &str) -> Result<Vec<String>, Fault> {
    let lines: Vec<String> = redis::from_redis_value_ref(list).map_err(Fault::away)?;
    let begin = format!("user {user} ");
    let Some(line) = lines.iter().find_map(|line| line.strip_prefix(&begin)) else {
        return Err(Fault::refused(format!("there is no user {user} whose rights could be given")));
    };
    let (mut rights, mut selector) = (Vec::new(), String::new());
    for word in line.split(' ') {
        let is_within = !selector.is_empty();
        if is_within || word.starts_with('(') {
            selector = if is_within { format!("{selector} {word}") } else { word.to_owned() };
            if word.ends_with(')') {
                rights.push(std::mem::take(&mut selector));
            }
        } else if !["on", "off", "nopass", ""].contains(&word) && !word.starts_with('#') {
            rights.push(word.to_owned());
        }
    }
    Ok(rights)
}

fn sha256(secret: &Secret<String>) -> String {
    hex::encode(digest(&SHA256, secret.expose().as_bytes()))
}

/// WRONGPASS alone is about who logs in.
fn not_let_in(error: RedisError) -> Fault {
    match error.code() {
        Some("WRONGPASS") => Fault::refused("the server does not take this name with this password"),
        // Its words repeat what AUTH was sent, and end within a long password: the code alone says as much.
        Some(code) => Fault::away(format!(
            "the server answered AUTH with {code}: where that is ERR, AUTH has another name there, or the server is older than Redis 6"
        )),
        None => Fault::away(&error),
    }
}

/// What the server answered did not happen.
fn not_done(error: &RedisError) -> Fault {
    const LATER: [&str; 7] = ["LOADING", "BUSY", "MASTERDOWN", "READONLY", "CLUSTERDOWN", "TRYAGAIN", "OOM"];
    match error.code() {
        Some(code) if LATER.contains(&code) => Fault::away(error),
        Some(_) => Fault::refused(error),
        None => Fault::unknown(error),
    }
}

/// A server without an ACL file has its users in memory, or in a configuration that it does not write by itself: what is set there is gone
/// after its next start, and whoever reads the secret is not let in. So nothing is set.
fn without_acl_file(fault: Fault) -> Fault {
    match fault {
        Fault::Refused(said) if said.contains(NO_ACL_FILE) => Fault::refused(
            "this Redis has no ACL file: what is set would be lost at its next start, so nothing was. Start it with `aclfile \
             /path/users.acl` (its `user` lines go there), then resume",
        ),
        other => other,
    }
}

/// It is so now, and may not be after a start of the server.
fn not_saved(fault: Fault) -> Fault {
    Fault::unknown(format!("done, and not written down by the server: {fault}"))
}

/// What every version of the server says to ACL SAVE then.
const NO_ACL_FILE: &str = "not configured to use an ACL file";
/// Ours: a server has no bound but memory.
const NAME_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rights_of_a_user_are_read_without_who_he_is() {
        let line = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let digest = "a".repeat(64);
        let list = Value::Array(vec![
            line("user default on nopass ~* &* +@all"),
            line(&format!(
                "user app off #{digest} #{digest} sanitize-payload ~app:* resetchannels -@all +get (~x:* -@all +set) (%R~y +get)"
            )),
        ]);
        let rights = rights_of(&list, "app").unwrap();
        let expected =
            ["sanitize-payload", "~app:*", "resetchannels", "-@all", "+get", "(~x:* -@all +set)", "(%R~y +get)"];
        assert_eq!(rights, expected);
        assert!(rights_of(&list, "ap").is_err() && rights_of(&list, "user").is_err());
    }
}
