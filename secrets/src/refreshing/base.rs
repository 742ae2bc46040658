//! What people say of a refresh: set up, asked for now, gone on with, ended.

use policy::{Action, Grant, Owner};
use store::{ListedRecord, Record, RecordFilter};

use super::endpoint::{Endpoint, Endpoints};
use super::record::{Body, REFRESH, Refresh, Way};
use crate::due;
use crate::error::SecretError;
use crate::kinds::Kind;
use crate::nouns::{FieldName, SecretPath};
use crate::page::{all_taken, is_written};
use crate::turning::Warrants;
use crate::vault::{Change, Put, Secret, Vault};

/// Refreshes of the register. Cheap to clone.
#[derive(Clone)]
pub struct Refreshes {
    pub(super) vault: Vault,
    pub(super) node: u16,
}

/// What is said of a refresh when it is set up, or changed.
#[derive(Clone, Debug)]
pub struct RefreshWish {
    /// Where it is asked.
    pub at: Endpoint,
    /// As which client: an `oauth-client`.
    pub client: SecretPath,
    /// By which grant.
    pub way: Way,
    /// So many seconds before its end.
    pub ahead_secs: u64,
}

impl Refreshes {
    /// Of the secrets of this vault, as this node of the register does them.
    pub fn new(vault: Vault, node: u16) -> Refreshes {
        Refreshes { vault, node }
    }

    /// The refresh of a token; none where there is none, or it ended.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn look(&self, path: &SecretPath) -> Result<Option<Refresh>, SecretError> {
        Ok(self.last(path).await?.filter(|refresh| !refresh.body.ended))
    }

    /// Sets one up, or changes one that does not ask at this moment. What it halted at counts no more.
    ///
    /// # Errors
    /// [`SecretError::Invalid`], which says what to change; [`SecretError::Conflict`]: it asks at this moment.
    pub async fn set(
        &self,
        grant: Grant,
        path: &SecretPath,
        wish: RefreshWish,
        endpoints: &impl Endpoints,
    ) -> Result<Refresh, SecretError> {
        let there = self.last(path).await?;
        let RefreshWish { at, client, way, ahead_secs } = wish;
        at.check()?;
        endpoints.fits(&at).map_err(|why| SecretError::invalid("url", why))?;
        if !(AHEAD_SECS_MIN..=AHEAD_SECS_MAX).contains(&ahead_secs) {
            let why = format!("{AHEAD_SECS_MIN} s to {AHEAD_SECS_MAX} s before its end");
            return Err(SecretError::invalid("ahead_secs", why));
        }
        let kind = self.vault.there(&client).await?.kind();
        if kind != Kind::OauthClient {
            return Err(SecretError::invalid("client", format!("{client} is a {kind}, and no oauth-client")));
        }
        // Opened, which the log says: whether there is what it takes, and when it ends.
        let token = self.vault.current(&grant, path).await?;
        if token.kind != Kind::OauthToken {
            return Err(SecretError::invalid("secret", format!("{path} is a {}, and no oauth-token", token.kind)));
        }
        if way == Way::RefreshToken && token.fields.text("refresh_token").is_none_or(str::is_empty) {
            let why = format!("{path} has no refresh_token: write it, or take the way client-credentials");
            return Err(SecretError::invalid("way", why));
        }
        let now = self.seconds().await?;
        if there.as_ref().is_some_and(|there| self.is_asking(there, now)) {
            return Err(under_way(path));
        }
        let (version, refreshed) = there.map_or((0, None), |there| (there.version, there.body.refreshed));
        let client = client.as_str().to_owned();
        let mut body = Body {
            at,
            client,
            way,
            ahead_secs,
            due: now,
            refreshed,
            asking: None,
            tries: 0,
            said: String::new(),
            halted: None,
            ended: false,
        };
        // Without a word about its end it is refreshed at once, and then the server says.
        if let Some(end) =
            token.fields.text("expires_at").and_then(|text| text.parse::<u64>().ok()).filter(|end| *end > now)
        {
            body.holds_until(end, now);
        }
        let refresh = Refresh { path: path.clone(), owner: token.owner, version, body };
        self.write(&grant, &refresh).await?;
        self.there(path).await
    }

    /// Asks for new tokens now; where it halted, somebody has looked, and goes on.
    ///
    /// # Errors
    /// [`SecretError::Conflict`]: it asks at this moment.
    pub async fn ask(&self, grant: Grant, path: &SecretPath) -> Result<Refresh, SecretError> {
        let mut refresh = self.there(path).await?;
        Vault::is_for(&grant, Action::WriteSecret, path, &refresh.owner)?;
        let now = self.seconds().await?;
        if self.is_asking(&refresh, now) {
            return Err(under_way(path));
        }
        refresh.body.goes_on(now);
        self.write(&grant, &refresh).await?;
        self.there(path).await
    }

    /// Writes a version, as [`Vault::put`] does. Where a refresh of it halted and this brings another refresh token, that one is asked with
    /// from now on: the same transaction says so.
    ///
    /// # Errors
    /// As [`Vault::put`].
    pub async fn put(&self, grant: Grant, path: &SecretPath, owner: &Owner, put: Put) -> Result<Secret, SecretError> {
        let is_brought = brings_refresh_token(&put);
        let along = || self.resumed(&grant, (path, owner), is_brought);
        self.vault.put_along(&grant, (path, owner), &put, along).await
    }

    async fn resumed(
        &self,
        grant: &Grant,
        (path, owner): (&SecretPath, &Owner),
        is_brought: bool,
    ) -> Result<Option<Record>, SecretError> {
        let there = if is_brought { self.look(path).await? } else { None };
        let waits = |refresh: &Refresh| {
            refresh.owner == *owner && refresh.body.halted.is_some() && refresh.body.way == Way::RefreshToken
        };
        let Some(mut refresh) = there.filter(waits) else { return Ok(None) };
        refresh.body.goes_on(self.seconds().await?);
        refresh.record(grant).map(Some)
    }

    /// Ends it: the token stays as it is, and nobody refreshes it.
    ///
    /// # Errors
    /// [`SecretError::Conflict`]: it asks at this moment.
    pub async fn end(&self, grant: Grant, path: &SecretPath) -> Result<(), SecretError> {
        let mut refresh = self.there(path).await?;
        Vault::is_for(&grant, Action::WriteSecret, path, &refresh.owner)?;
        if self.is_asking(&refresh, self.seconds().await?) {
            return Err(under_way(path));
        }
        refresh.body.asking = None;
        refresh.body.ended = true;
        self.write(&grant, &refresh).await
    }

    /// Those that are due, the first due first, at most so many; and when the next of the others is.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn due_by(&self, now: u64, limit: usize) -> Result<(Vec<Refresh>, Option<u64>), SecretError> {
        let (mut found, mut next) = (Vec::new(), None);
        for is_troubled in [false, true] {
            let page = self.found(due::by(is_troubled, now, None, limit)).await?;
            found.extend(all_taken(page, Refresh::of));
            let first = self.found(due::next(is_troubled, now)).await?.pop();
            let at = first.and_then(|first| due::time_of(&first.lookup.unwrap_or_default()));
            next = [next, at].into_iter().flatten().min();
        }
        Ok((found, next))
    }

    /// Has asked for at once what a clock wrote down that was ahead: once after each operator's word, since it is found by what is due only
    /// when the time of that clock has come. How many there were.
    ///
    /// # Errors
    /// [`SecretError::Store`]: the register is away, or the clock is not believed; what was put right stays so.
    pub async fn put_right(&self, warrants: &impl Warrants) -> Result<u64, SecretError> {
        let (now, mut count, mut after) = (self.seconds().await?, 0, None);
        loop {
            let page = self.found(due::all(after.take(), PAGE_MAX)).await?;
            after = page.last().filter(|_| page.len() == PAGE_MAX).and_then(|last| last.lookup.clone());
            for mut refresh in all_taken(page, Refresh::of) {
                if refresh.body.asking.is_some() || !refresh.body.put_right(now) {
                    continue;
                }
                let grant = warrants.warrant(Action::WriteSecret, &refresh.path, &refresh.owner).await;
                let written = match grant {
                    Ok(grant) => self.write(&grant, &refresh).await,
                    Err(refused) => Err(refused),
                };
                count += u64::from(is_written(written)?);
            }
            if after.is_none() {
                return Ok(count);
            }
        }
    }

    /// Those that somebody should look at, at most so many.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn troubled(&self, limit: usize) -> Result<Vec<Refresh>, SecretError> {
        Ok(all_taken(self.found(due::troubled(limit)).await?, Refresh::of))
    }

    /// Each for itself: one that somebody altered holds no other refresh up.
    async fn found(&self, filter: RecordFilter) -> Result<Vec<ListedRecord>, SecretError> {
        Ok(self.vault.ledger().record_page(REFRESH, filter).await?)
    }

    /// Whether some node may be at it: this one is known to be by its own tasks, and none of them says a word meanwhile.
    pub(super) fn is_asking(&self, refresh: &Refresh, now: u64) -> bool {
        refresh.body.asking.is_some_and(|asking| asking.held(now).is_some())
    }

    pub(super) async fn write(&self, grant: &Grant, refresh: &Refresh) -> Result<(), SecretError> {
        self.vault.ledger().record(vec![refresh.record(grant)?]).await?;
        Ok(())
    }

    pub(super) async fn there(&self, path: &SecretPath) -> Result<Refresh, SecretError> {
        let none = || SecretError::NotFound(format!("no refresh of {path} is set up"));
        self.look(path).await?.ok_or_else(none)
    }

    pub(super) async fn last(&self, path: &SecretPath) -> Result<Option<Refresh>, SecretError> {
        let record = self.vault.ledger().record_get(REFRESH, path.as_str()).await?;
        record.map(|record| Refresh::of(record.into_inner())).transpose()
    }

    /// The time, in seconds since 1970, if it can be believed.
    pub(super) async fn seconds(&self) -> Result<u64, SecretError> {
        Ok(u64::try_from(self.vault.now().await?.unix()).unwrap_or_default())
    }
}

/// Whether what is current has another refresh token from then on.
fn brings_refresh_token(put: &Put) -> bool {
    let is_it = |name: &FieldName| name.as_str() == "refresh_token";
    let is_set = match &put.change {
        Change::Whole(fields) => fields.names().any(is_it),
        Change::Patch(patch) => patch.iter().any(|(name, value)| value.is_some() && is_it(name)),
    };
    !put.pending && (is_set || put.references.keys().any(is_it))
}

fn under_way(path: &SecretPath) -> SecretError {
    SecretError::Conflict(format!("the secret {path} is being refreshed at this moment: try again in two minutes"))
}

const PAGE_MAX: usize = 1_000;
/// How long before its end a token is refreshed, at least and at most.
const AHEAD_SECS_MIN: u64 = 1;
const AHEAD_SECS_MAX: u64 = 7 * 86_400;
