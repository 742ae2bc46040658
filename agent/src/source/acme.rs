//! A certificate from any ACME server (RFC 8555), by http-01, through instant-acme.
//!
//! instant-acme answers `badNonce` three times per request and drops `Retry-After`; so the HTTP below it is ours
//! (`Wire`: pinned roots, bounds, `Retry-After` kept), and each step here is tried again while the server only
//! complains of the nonce. Anything else ends the attempt: what to do next, and when, is the schedule's business.

use std::ffi::OsStr;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, BodyWrapper, BytesResponse, CertificateIdentifier, ChallengeType,
    Error, ExternalAccountKey, HttpClient, Identifier, NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use policy::{Name, Timestamp, World};
use reqwest::StatusCode;
use reqwest::header::LOCATION;
use serde::Serialize;

use super::http::{client, read_answer, read_secret, retry_after, unreachable};
use super::http01::Published;
use super::reach::Reach;
use super::windows::{ASK_SECS_MAX, Window};
use crate::credential::{Leaf, Request, hex, sha256};
use crate::disk::{Disk, Folder, Op, Owner, read_json, write_json};
use crate::error::{AgentError, bounded};
use crate::plan::{Acme, ExternalAccount};

/// Runs one step again while the server only complains of the nonce.
macro_rules! step {
    ($source:expr, $call:expr) => {{
        let mut tries = 0;
        loop {
            match $call.await {
                Err(e) if tries < NONCE_TRIES && is_bad_nonce(&e) => {
                    tries += 1;
                    tokio::time::sleep(NONCE_PAUSE * tries).await;
                }
                done => break done.map_err(|e| trouble($source, e)),
            }
        }
    }};
}

/// The PEM chain for `request`.
pub(crate) async fn fetch(
    reach: &Reach,
    source: &Acme,
    names: &[Name],
    request: &Request,
    replaces: Option<&Leaf>,
) -> Result<String, AgentError> {
    let account = account(reach, source).await?;
    let identifiers = names.iter().filter_map(identifier).collect::<Vec<_>>();
    if let Some(profile) = &source.profile {
        // "client MUST NOT request a profile name not in the directory": said here in our words.
        if !account.profiles().any(|known| known.name == profile) {
            return Err(refused(source, format!("it offers no profile {profile:?}")));
        }
    }
    let wish = || match &source.profile {
        Some(profile) => NewOrder::new(&identifiers).profile(profile),
        None => NewOrder::new(&identifiers),
    };
    // RFC 9773 section 5: which certificate this one replaces. A server that does not have it so, since it is another's or was
    // replaced before, or knows nothing of it, is asked for one that replaces nothing.
    let ordered = match replaces.and_then(|leaf| CertificateIdentifier::try_from(&leaf.der).ok()) {
        Some(id) => {
            let replacing = wish().replaces(id);
            match step!(source, account.new_order(&replacing)) {
                Err(AgentError::Refused { .. }) => step!(source, account.new_order(&wish())),
                ordered => ordered,
            }
        }
        None => step!(source, account.new_order(&wish())),
    };
    let mut order = match ordered {
        Err(error) if is_unknown_account(&error) => {
            // The server forgot us: forget it too, so that the next attempt makes a new account.
            forget(reach, source)?;
            return Err(error);
        }
        // Somebody gave the account up, which is no reason to make another unasked.
        Err(AgentError::Refused { who, why }) if why.contains(UNAUTHORIZED) => {
            let account = account_path(reach, source);
            let why =
                format!("{why}; where the account was deactivated, remove {}: another is made", account.display());
            return Err(AgentError::Refused { who, why });
        }
        ordered => ordered?,
    };
    let published = answer(reach, source, &mut order).await?;
    let ready = step!(source, order.poll_ready(&POLL));
    match ready {
        Ok(OrderStatus::Ready | OrderStatus::Valid | OrderStatus::Processing) => {}
        Ok(OrderStatus::Invalid | OrderStatus::Pending) => {
            let why = challenge_errors(source, &mut order).await;
            return Err(refused(source, format!("the names were not proven: {why}")));
        }
        Err(AgentError::Refused { who, why }) => {
            let more = challenge_errors(source, &mut order).await;
            let why = bounded(&format!("{why}; {more}"), 900);
            return Err(AgentError::Refused { who, why });
        }
        Err(error) => return Err(error),
    }
    drop(published);
    step!(source, order.finalize_csr(&request.der))?;
    step!(source, order.poll_certificate(&POLL))
}

/// Whether the server wants the certificate renewed by now (RFC 9773); of a server that says nothing of that: no.
pub(crate) async fn is_due(reach: &Reach, source: &Acme, leaf: &Leaf) -> Result<bool, AgentError> {
    let now = reach.world.now();
    if let Some(window) = reach.windows.get(&leaf.fingerprint, now) {
        return Ok(window.has_come(&leaf.fingerprint, now));
    }
    // Nothing is asked in the name of an account that there is not.
    let Some(credentials) = read_json::<AccountCredentials>(&account_path(reach, source))? else { return Ok(false) };
    let Ok(id) = CertificateIdentifier::try_from(&leaf.der) else { return Ok(false) };
    let builder = Account::builder_with_http(Box::new(Wire::new(&reach.world, source)?));
    let account = builder.from_credentials(credentials).await.map_err(|e| trouble(source, e))?;
    let (info, again) = match account.renewal_info(&id).await {
        Ok(told) => told,
        // A server without it, or one that does not know this certificate: by its life alone.
        Err(Error::Unsupported(_) | Error::Api(_)) => return Ok(false),
        Err(error) => return Err(trouble(source, error)),
    };
    let again = i64::try_from(again.as_secs()).unwrap_or(i64::MAX).clamp(ASK_SECS_MIN, ASK_SECS_MAX);
    let window = &info.suggested_window;
    let [from, until] = [window.start, window.end].map(|end| Timestamp::from_unix(end.unix_timestamp()));
    let window = Window { from, until, ask_again: now.plus_secs(again) };
    reach.windows.put(leaf.fingerprint, window, now);
    Ok(window.has_come(&leaf.fingerprint, now))
}

/// Publishes an answer for every name that is not proven yet, and tells the server.
async fn answer(reach: &Reach, source: &Acme, order: &mut Order) -> Result<Vec<Published>, AgentError> {
    // Loaded first: what was loaded stays with the order, so a second try goes on where the first stopped.
    step!(source, load(order))?;
    let mut published = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(next) = authorizations.next().await {
        let mut authorization = next.map_err(|e| trouble(source, e))?;
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            status @ (AuthorizationStatus::Invalid
            | AuthorizationStatus::Revoked
            | AuthorizationStatus::Expired
            | AuthorizationStatus::Deactivated) => {
                let name = authorization.identifier().to_string();
                return Err(refused(source, format!("the authorization of {name} is {status:?}")));
            }
        }
        let name = authorization.identifier().to_string();
        let mut challenge = authorization
            .challenge(ChallengeType::Http01)
            .ok_or_else(|| refused(source, format!("it offers no http-01 for {name}")))?;
        let proof = challenge.key_authorization();
        published.push(reach.answers.publish(&reach.disk, &source.http01, &challenge.token, proof.as_str()).await?);
        step!(source, challenge.set_ready())?;
    }
    Ok(published)
}

async fn load(order: &mut Order) -> Result<(), Error> {
    let mut authorizations = order.authorizations();
    while let Some(next) = authorizations.next().await {
        next?;
    }
    Ok(())
}

/// What the server says of the challenges that failed.
async fn challenge_errors(source: &Acme, order: &mut Order) -> String {
    let mut said = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let name = authorization.identifier().to_string();
        let state: Result<_, AgentError> = authorization.refresh().await.map_err(|e| trouble(source, e));
        let Ok(state) = state else { continue };
        for error in state.challenges.iter().filter_map(|c| c.error.as_ref()) {
            said.push(format!("{name}: {error}"));
        }
    }
    bounded(&said.join("; "), 600)
}

/// The account on this server: the stored one, or a new one, stored (with its key, mode 0600) before it is used.
async fn account(reach: &Reach, source: &Acme) -> Result<Account, AgentError> {
    let _one_at_a_time = reach.accounts.lock().await;
    let path = account_path(reach, source);
    if let Some(credentials) = read_json::<AccountCredentials>(&path)? {
        let builder = Account::builder_with_http(Box::new(Wire::new(&reach.world, source)?));
        return builder.from_credentials(credentials).await.map_err(|e| trouble(source, e));
    }
    let external = source.external_account.as_ref().map(binding).transpose()?;
    let contact: Vec<&str> = source.contact.iter().map(String::as_str).collect();
    let wish = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    // A crash before the next line's end leaves an account nobody uses on the server, and no harm.
    let made = step!(source, async {
        Account::builder_with_http(Box::new(Wire::new(&reach.world, source).map_err(|e| Error::Other(Box::new(e)))?))
            .create(&wish, source.directory.clone(), external.as_ref())
            .await
    });
    let (account, credentials) = made?;
    store(&*reach.disk, &reach.state_dir, &path, &credentials)?;
    tracing::info!(directory = source.directory, account = account.id(), "ACME account made");
    Ok(account)
}

/// The account of another server or another contract is another account.
fn account_path(reach: &Reach, source: &Acme) -> PathBuf {
    let kid = source.external_account.as_ref().map_or("", |e| &e.kid);
    let digest = sha256(format!("{}\n{kid}", source.directory).as_bytes());
    let name: String = hex(&digest).chars().take(16).collect();
    reach.state_dir.join(ACCOUNTS).join(format!("{name}.json"))
}

fn store(disk: &dyn Disk, state_dir: &Path, path: &Path, credentials: &impl Serialize) -> Result<(), AgentError> {
    let state = state(state_dir)?;
    let accounts = disk.make_dir(&state, OsStr::new(ACCOUNTS), 0o700, Owner::Agent)?;
    write_json(disk, &accounts, &path.file_name().unwrap_or_default().to_string_lossy(), credentials)
}

fn state(state_dir: &Path) -> Result<Folder, AgentError> {
    let failed = |e| AgentError::disk(state_dir, "the state folder cannot be used", e);
    Folder::open(state_dir, Owner::Agent).map_err(failed)
}

fn forget(reach: &Reach, source: &Acme) -> Result<(), AgentError> {
    let path = account_path(reach, source);
    let failed = |e| AgentError::disk(&path, "the account cannot be forgotten", e);
    let accounts = state(&reach.state_dir)?.below(OsStr::new(ACCOUNTS), Owner::Agent).map_err(failed)?;
    reach.disk.make(Op::Remove(accounts.spot(path.file_name().unwrap_or_default())))
}

fn binding(external: &ExternalAccount) -> Result<ExternalAccountKey, AgentError> {
    let text = read_secret(&external.hmac_file)?;
    // CAs hand the key out in base64url (RFC 8555 section 7.3.4).
    let key = BASE64_URL_SAFE_NO_PAD
        .decode(text.expose().trim().trim_end_matches('='))
        .map(policy::Secret::new)
        .map_err(|_| AgentError::Content { path: external.hmac_file.clone(), why: "not base64url".to_owned() })?;
    Ok(ExternalAccountKey::new(external.kid.clone(), key.expose()))
}

/// The plan lets only these kinds through.
fn identifier(name: &Name) -> Option<Identifier> {
    match name {
        Name::Dns(dns) => Some(Identifier::Dns(dns.as_str().to_owned())),
        Name::Ip(ip) => Some(Identifier::Ip(*ip)),
        Name::Email(_) | Name::Uri(_) | Name::Upn(_) => None,
    }
}

fn is_bad_nonce(error: &Error) -> bool {
    is_problem(error, "urn:ietf:params:acme:error:badNonce")
}

fn is_problem(error: &Error, kind: &str) -> bool {
    matches!(error, Error::Api(problem) if problem.r#type.as_deref() == Some(kind))
}

fn is_unknown_account(error: &AgentError) -> bool {
    matches!(error, AgentError::Refused { why, .. } if why.contains(UNKNOWN_ACCOUNT))
}

fn refused(source: &Acme, why: String) -> AgentError {
    AgentError::Refused { who: source.directory.clone(), why }
}

/// instant-acme's errors in our words.
fn trouble(source: &Acme, error: Error) -> AgentError {
    let who = source.directory.clone();
    match error {
        Error::Api(problem) => refused(source, bounded(&problem.to_string(), 600)),
        Error::Other(inner) => match inner.downcast::<AgentError>() {
            Ok(ours) => *ours,
            Err(other) => unreachable(&who, &*other),
        },
        Error::Timeout(next) => AgentError::Busy {
            retry_after_secs: next.map_or(0, |at| at.saturating_duration_since(std::time::Instant::now()).as_secs()),
            who,
            why: "the order is not settled yet".to_owned(),
        },
        Error::Unsupported(what) => refused(source, format!("it has no {what}")),
        Error::Json(_) => AgentError::Unreachable {
            who,
            why: "what it answered is no ACME: is this the address of an ACME directory?".to_owned(),
        },
        other => unreachable(&who, &other),
    }
}

/// instant-acme's HTTP, over our client.
struct Wire {
    client: reqwest::Client,
    world: World,
    who: Arc<str>,
}

impl Wire {
    fn new(world: &World, source: &Acme) -> Result<Self, AgentError> {
        Ok(Self {
            client: client(world, &source.ca_file, None)?,
            world: world.clone(),
            who: source.directory.as_str().into(),
        })
    }
}

impl HttpClient for Wire {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let (client, world, who) = (self.client.clone(), self.world.clone(), self.who.clone());
        Box::pin(async move { send(client, &world, &who, request).await.map_err(|e| Error::Other(Box::new(e))) })
    }
}

async fn send(
    client: reqwest::Client,
    world: &World,
    who: &str,
    request: http::Request<BodyWrapper<Bytes>>,
) -> Result<BytesResponse, AgentError> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|e| unreachable(who, &e))?.to_bytes();
    let response = client
        .request(parts.method, parts.uri.to_string())
        .headers(parts.headers)
        .body(body)
        .send()
        .await
        .map_err(|e| unreachable(who, &e.without_url()))?;
    let answer = read_answer(who, response, ANSWER_BYTES_MAX).await?;
    if matches!(answer.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return Err(AgentError::Busy {
            who: who.to_owned(),
            retry_after_secs: retry_after(&answer.headers, world.now()).unwrap_or(0),
            why: bounded(&String::from_utf8_lossy(&answer.body), 300),
        });
    }
    // instant-acme takes whatever comes for JSON, and would tell of its syntax where a proxy or another server answered.
    if answer.status.is_redirection() {
        let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let to = location.map_or_else(String::new, |to| format!(", which leads to {}", bounded(to, 300)));
        let why = format!("it answered {}{to}; no redirect is followed: write where it leads", answer.status);
        return Err(AgentError::Refused { who: who.to_owned(), why });
    }
    let is_refusal = answer.status.is_client_error() || answer.status.is_server_error();
    if is_refusal && serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&answer.body).is_err() {
        let why = format!("it answered {}, and not as ACME does: perhaps a proxy before it", answer.status);
        return Err(AgentError::Unreachable { who: who.to_owned(), why });
    }
    let mut response = http::Response::new(Full::new(Bytes::copy_from_slice(&answer.body)));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    Ok(BytesResponse::from(response))
}

const UNAUTHORIZED: &str = "urn:ietf:params:acme:error:unauthorized";
const UNKNOWN_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";
/// On top of instant-acme's own three.
const NONCE_TRIES: u32 = 4;
/// The accounts' folder in the state folder.
const ACCOUNTS: &str = "acme";
/// A server is asked for renewal information no more often than this, whatever it says, and once a day at least (RFC 9773 section 4.3.1).
const ASK_SECS_MIN: i64 = 60;
/// An order, an account or a chain is some KiB.
const ANSWER_BYTES_MAX: usize = 1 << 20;
const NONCE_PAUSE: Duration = Duration::from_millis(200);
/// How an order is watched: a server that validates over the Internet takes seconds; one that needs more says so.
const POLL: RetryPolicy =
    RetryPolicy::new().initial_delay(Duration::from_millis(250)).backoff(1.6).timeout(Duration::from_secs(120));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{WatchedDisk, folder};

    #[test]
    fn a_power_loss_does_not_take_the_account() {
        let (state_dir, disk) = (folder(), WatchedDisk::default());
        let path = state_dir.path().join("acme/0123456789abcdef.json");
        store(&disk, state_dir.path(), &path, &"the account").unwrap();
        disk.assert_durable();
        assert_eq!(read_json::<String>(&path).unwrap().as_deref(), Some("the account"));
    }
}
