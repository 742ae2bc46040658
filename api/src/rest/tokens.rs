//! API tokens: made, listed, revoked. Shown once, stored as a hash, expiring, scoped.
//!
//! A token is a record of kind `api-token`, so that each of its versions has its leaf in the log. Nobody can make a token
//! that may do more than its maker: roles, owners and scopes of the new one are within those of the old one, except that an
//! unscoped administrator may hand out anything but the service's own roles.

use std::collections::BTreeSet;

use axum::extract::State as Shared;
use axum::response::Response;
use ca::Authority;
use http::StatusCode;
use policy::{Action, Actor, Owner, Resource, ResourceKind, Role, Secret, Timestamp};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use store::{ActorStamp, Record, RecordFilter, StoreError};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::auth::{KIND, PREFIX, Token, TokenBody, draw};
use crate::intake::{Caller, Json, Params, Segment, json, page_rows};
use crate::problem::{Kind, Problem};

/// The shortest life of a token.
const LIFE_SECS_MIN: u64 = 60;
/// The longest life: a little over a year, so that each is looked at once a year.
pub const LIFE_SECS_MAX: u64 = 400 * 86_400;
/// A token of the way back: long enough to make another with it.
const RESCUE_SECS: u64 = 86_400;
/// So long an alarm tells of it: until the others are back from their week-end.
const RESCUE_TOLD_SECS: i64 = 7 * 86_400;
/// A label for people; also the actor's name in the log.
const NAME_CHARS_MAX: usize = 63;

/// What a new token is to be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// A name for people, `[a-z0-9][a-z0-9._-]{0,62}`; the log knows the token's acts as `token:NAME`.
    pub name: String,
    /// What it may be.
    #[schema(value_type = Vec<String>, example = json!(["issuer"]))]
    pub roles: BTreeSet<Role>,
    /// The owners it belongs to.
    #[serde(default)]
    #[schema(value_type = Vec<String>, example = json!(["web"]))]
    pub owners: BTreeSet<Owner>,
    /// The only actions it may do; absent: all that its roles may.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, example = json!(["issue-certificate"]))]
    pub scopes: Option<BTreeSet<Action>>,
    /// Its life in seconds, a minute to 400 days.
    #[schema(minimum = 60, maximum = 34_560_000, example = 86_400)]
    pub expires_secs: u64,
}

/// A new token with the secret that is shown once.
pub struct ShownToken {
    /// The whole text, `chy_ID_SECRET`. Nobody can show it again.
    pub token: Secret<String>,
    /// What the register knows of it.
    pub info: TokenInfo,
}

/// A token as anyone may know it: everything but the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TokenInfo {
    /// The public half.
    pub id: String,
    /// The name for people.
    pub name: String,
    /// What it may be.
    #[schema(value_type = Vec<String>)]
    pub roles: BTreeSet<Role>,
    /// The owners it belongs to.
    #[schema(value_type = Vec<String>)]
    pub owners: BTreeSet<Owner>,
    /// The only actions it may do; null: all that its roles may.
    #[schema(value_type = Option<Vec<String>>)]
    pub scopes: Option<BTreeSet<Action>>,
    /// When it lapses.
    #[schema(value_type = String, format = DateTime)]
    pub expires: Timestamp,
    /// When it was revoked, if it was.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
    /// Who made it.
    pub created_by: String,
    /// `active`, `expired`, `revoked`.
    pub state: &'static str,
}

impl TokenInfo {
    fn of(token: Token, now: Timestamp) -> Self {
        Self::new(token.id, token.body, now)
    }

    fn new(id: String, body: TokenBody, now: Timestamp) -> Self {
        let TokenBody { name, roles, owners, scopes, sha256: _, expires, created_by, revoked_at } = body;
        let state = match revoked_at {
            Some(_) => "revoked",
            None if expires <= now => "expired",
            None => "active",
        };
        Self { id, name, roles, owners, scopes, expires, revoked_at, created_by, state }
    }
}

/// Makes a token. `chancery init` calls it as `system:init` for the administrator's first one.
pub async fn create(authority: &Authority, actor: &Actor, new: NewToken) -> Result<ShownToken, Problem> {
    let _grant = authority.authorize(actor, Action::ManageTokens, Resource::plain(ResourceKind::Token)).await?;
    check_shape(&new)?;
    check_owners(authority, &new)?;
    check_reach(actor, &new)?;
    let (shown, record) = make(authority, actor, new)?;
    authority.ledger().record(vec![record]).await?;
    Ok(shown)
}

/// Makes an administrator's token for whoever holds the host and the HSM's PIN, in one transaction with the reason, which the
/// log keeps and an alarm tells of for a week.
pub async fn rescue(authority: &Authority, reason: &str) -> Result<ShownToken, Problem> {
    let actor = Actor::system("rescue");
    let _grant = authority.authorize(&actor, Action::ManageTokens, Resource::plain(ResourceKind::Token)).await?;
    let new = NewToken {
        name: "rescue".to_owned(),
        roles: [Role::Admin].into(),
        owners: BTreeSet::new(),
        scopes: None,
        expires_secs: RESCUE_SECS,
    };
    let (shown, token) = make(authority, &actor, new)?;
    let word = Record {
        kind: store::RESCUE,
        id: shown.info.id.clone(),
        owner: None,
        lookup: None,
        expires: Some(authority.world().now().plus_secs(RESCUE_TOLD_SECS)),
        body: serde_json::json!({ "reason": reason, "token": shown.info.id }),
        actor: ActorStamp::from(&actor),
        expect: Some(0),
    };
    authority.ledger().record(vec![token, word]).await?;
    Ok(shown)
}

/// A rescue's token that nobody received is nobody's: it is revoked.
pub async fn take_back(authority: &Authority, shown: &ShownToken) -> Result<(), Problem> {
    let (actor, id) = (Actor::system("rescue"), &shown.info.id);
    let _grant = authority.authorize(&actor, Action::ManageTokens, Resource::plain(ResourceKind::Token)).await?;
    let stored = authority.ledger().record_get(KIND, id).await?.ok_or_else(|| not_found(id))?;
    let token = Token::from_record(&stored).map_err(StoreError::Corrupt)?;
    let body = TokenBody { revoked_at: Some(authority.ledger().believed_time()), ..token.body };
    authority.ledger().withdraw(vec![record(id, &body, &actor, stored.version)?]).await?;
    Ok(())
}

fn make(authority: &Authority, actor: &Actor, new: NewToken) -> Result<(ShownToken, Record), Problem> {
    let (id, secret) = draw(authority.world());
    let life_secs = i64::try_from(new.expires_secs).unwrap_or(i64::MAX);
    let expires = authority.world().now().plus_secs(life_secs);
    let body = TokenBody {
        name: new.name,
        roles: new.roles,
        owners: new.owners,
        scopes: new.scopes,
        sha256: hex::encode(digest(&SHA256, secret.expose().as_bytes())),
        expires,
        created_by: actor.id.clone(),
        revoked_at: None,
    };
    let record = record(&id, &body, actor, 0)?;
    let token = Secret::new(format!("{PREFIX}{id}_{}", secret.expose()));
    Ok((ShownToken { token, info: TokenInfo::new(id, body, authority.world().now()) }, record))
}

/// Revokes a token, once. The last one that may make others, only where it is said that nobody shall.
async fn revoke(app: &App, actor: &Actor, id: &str, lock_out: bool) -> Result<(), Problem> {
    let _grant = app.authorize(actor, Action::ManageTokens, Resource::plain(ResourceKind::Token)).await?;
    for _ in 0..REVOKE_TRIES {
        match revoke_once(app, actor, id, lock_out).await {
            // Another administrator's token went away in the same moment: who is left is looked at again.
            Err(Revoking::Store(StoreError::Conflict(_))) => {}
            done => return done.map_err(Problem::from),
        }
    }
    Err(Problem::new(Kind::Conflict, "Tokens are being revoked at this moment: look, and say it again."))
}

/// Why a token was not revoked.
enum Revoking {
    Store(StoreError),
    Refused(Problem),
}

impl From<StoreError> for Revoking {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Revoking> for Problem {
    fn from(why: Revoking) -> Self {
        match why {
            Revoking::Store(error) => error.into(),
            Revoking::Refused(problem) => problem,
        }
    }
}

async fn revoke_once(app: &App, actor: &Actor, id: &str, lock_out: bool) -> Result<(), Revoking> {
    let ledger = app.ledger();
    // Before anything is looked at: whoever revokes an administrator's token meanwhile makes it another.
    let seen = ledger.record_version(LEFT, LEFT_ID);
    let stored = ledger.record_get(KIND, id).await?.ok_or_else(|| Revoking::Refused(not_found(id)))?;
    let token = Token::from_record(&stored).map_err(StoreError::Corrupt)?;
    let refuse = |says| Err(Revoking::Refused(Problem::new(Kind::Conflict, says)));
    if token.revoked_at.is_some() {
        return refuse("The token has been revoked before.");
    }
    let now = ledger.believed_time();
    let mut records = Vec::new();
    if !lock_out && administers(&token, now) {
        let Some(other) = other_administers(app, id, now).await? else {
            return Err(Revoking::Refused(Problem::new(Kind::Conflict, LAST).about("lock_out")));
        };
        records.push(Record {
            kind: LEFT,
            id: LEFT_ID.to_owned(),
            owner: None,
            lookup: None,
            expires: None,
            body: serde_json::json!({ "revoked": id, "left": other }),
            actor: ActorStamp::from(actor),
            expect: Some(seen),
        });
    }
    let body = TokenBody { revoked_at: Some(now), ..token.body };
    records.push(record(id, &body, actor, stored.version).map_err(Revoking::Refused)?);
    ledger.withdraw(records).await?;
    Ok(())
}

/// The record of who is left: of two administrators whose tokens are revoked at once, on one node or on two, one is told.
const LEFT: &str = "administrators";
const LEFT_ID: &str = "left";
const REVOKE_TRIES: usize = 4;

/// What is said to whoever would lock himself out.
const LAST: &str = "It is the last token that may make others: with it nobody administers this authority any more. Make another \
     one first, or say ?lock_out=true where that is meant; the way back is `chancery token rescue` on the host.";

/// Whether it may make tokens, now.
fn administers(token: &Token, now: Timestamp) -> bool {
    let TokenBody { roles, scopes, revoked_at, expires, .. } = &token.body;
    let may = scopes.as_ref().is_none_or(|scopes| scopes.contains(&Action::ManageTokens));
    roles.contains(&Role::Admin) && may && revoked_at.is_none() && *expires > now
}

/// All tokens; none for one that somebody altered.
async fn each(app: &App) -> Result<Vec<Option<Token>>, StoreError> {
    let stored = app.ledger().record_each(KIND).await?;
    let read = |(_, record): (String, Result<_, StoreError>)| Token::from_record(&record.ok()?).ok();
    Ok(stored.into_iter().map(read).collect())
}

/// Another token that may. One that was altered lets nobody in.
async fn other_administers(app: &App, id: &str, now: Timestamp) -> Result<Option<String>, StoreError> {
    let mut tokens = each(app).await?.into_iter().flatten();
    Ok(tokens.find(|token| token.id != id && administers(token, now)).map(|token| token.id))
}

/// Whether somebody else administers too, by a token that lives. One that was altered may be such a one: whoever writes into the rows
/// makes nobody the only administrator.
pub(crate) async fn another_administers(app: &App, actor: &Actor) -> Result<bool, StoreError> {
    let (tokens, now) = (each(app).await?, app.ledger().believed_time());
    // As the actor is called that a token speaks for.
    let is_anothers = |token: &Token| format!("token:{}", token.body.name) != actor.id;
    Ok(tokens.iter().any(|token| token.as_ref().is_none_or(|token| administers(token, now) && is_anothers(token))))
}

fn not_found(id: &str) -> Problem {
    Problem::new(Kind::NotFound, format!("There is no token with the id {id:?}."))
}

fn record(id: &str, body: &TokenBody, actor: &Actor, expect: u64) -> Result<Record, Problem> {
    Ok(Record {
        kind: KIND,
        id: id.to_owned(),
        owner: None,
        lookup: Some(id.to_owned()),
        expires: Some(body.expires),
        body: serde_json::to_value(body).map_err(|error| Problem::internal(&error))?,
        actor: ActorStamp::from(actor),
        expect: Some(expect),
    })
}

/// An owner that nobody declared has no names: a token for it could do nothing, and is a slip of the pen.
fn check_owners(authority: &Authority, new: &NewToken) -> Result<(), Problem> {
    let policies = authority.policies();
    let known: Vec<&str> = policies.owners().iter().map(|rules| rules.name.as_str()).collect();
    match new.owners.iter().find(|owner| !known.contains(&owner.as_str())) {
        Some(owner) => Err(Problem::field("owners", format!("The configuration has no owner `{owner}`."))),
        None => Ok(()),
    }
}

fn check_shape(new: &NewToken) -> Result<(), Problem> {
    let first_fits = new.name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit());
    let rest_fits = new.name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'));
    if !first_fits || !rest_fits || new.name.len() > NAME_CHARS_MAX {
        return Err(Problem::field("name", "A token's name is [a-z0-9][a-z0-9._-]{0,62}."));
    }
    if new.roles.is_empty() {
        return Err(Problem::field("roles", "A token without a role could do nothing."));
    }
    if new.roles.contains(&Role::System) || new.roles.contains(&Role::AcmeClient) {
        return Err(Problem::field("roles", "system and acme-client are the service's own roles."));
    }
    if new.scopes.as_ref().is_some_and(BTreeSet::is_empty) {
        return Err(Problem::field("scopes", "A token without a scope could do nothing; leave `scopes` out instead."));
    }
    if !(LIFE_SECS_MIN..=LIFE_SECS_MAX).contains(&new.expires_secs) {
        return Err(Problem::field(
            "expires_secs",
            format!("A token lives {LIFE_SECS_MIN} to {LIFE_SECS_MAX} seconds."),
        ));
    }
    Ok(())
}

/// No more than its maker may.
fn check_reach(maker: &Actor, new: &NewToken) -> Result<(), Problem> {
    if let Some(own) = &maker.scopes
        && !new.scopes.as_ref().is_some_and(|scopes| scopes.is_subset(own))
    {
        return Err(Problem::field("scopes", "A scoped token makes only tokens whose scopes are among its own."));
    }
    if maker.roles.contains(&Role::Admin) || maker.roles.contains(&Role::System) {
        return Ok(());
    }
    if !new.roles.is_subset(&maker.roles) {
        return Err(Problem::field("roles", "A token has no role that its maker lacks."));
    }
    if !new.owners.is_subset(&maker.owners) {
        return Err(Problem::field("owners", "A token has no owner that its maker lacks."));
    }
    Ok(())
}

/// A created token, the only answer that ever shows one.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedToken<'a> {
    /// The whole token, `chy_ID_SECRET`. It is not shown again.
    token: &'a str,
    #[serde(flatten)]
    info: &'a TokenInfo,
}

/// Tokens without their secrets.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenList {
    items: Vec<TokenInfo>,
    /// The cursor of the next page, where there is one.
    next: Option<String>,
    /// So many rows of this page that are not what the log says: they speak for nobody, and the status names them.
    #[serde(skip_serializing_if = "Option::is_none")]
    altered: Option<u64>,
    /// That the register is held, and what is listed may not be what the log says; absent when all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<&'static str>,
}

/// Which page of the tokens.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenParams {
    /// Rows of a page, 1 to 1000; absent: 100.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Makes a token.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens", operation_id = "createToken", request_body = NewToken,
    responses((status = 201, description = "The token, shown once", body = CreatedToken<'_>)))]
pub(crate) async fn post(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Json(new): Json<NewToken>,
) -> Result<Response, Problem> {
    let shown = create(app.authority(), &actor, new).await?;
    Ok(json(StatusCode::CREATED, &CreatedToken { token: shown.token.expose(), info: &shown.info }))
}

/// Lists tokens by id, without their secrets.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens", operation_id = "listTokens", params(TokenParams),
    responses((status = 200, description = "A page", body = TokenList)))]
pub(crate) async fn list(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Params(params): Params<TokenParams>,
) -> Result<Response, Problem> {
    let _grant = app.authorize(&actor, Action::ManageTokens, Resource::plain(ResourceKind::Token)).await?;
    let limit = page_rows(params.limit)?;
    let filter = RecordFilter { limit, after: params.cursor, ..RecordFilter::default() };
    let page = app.ledger().record_page(KIND, filter).await?;
    let next = page.get(limit - 1).map(|last| last.id.clone());
    let now = app.world().now();
    // One that somebody altered speaks for nobody, and takes no other off the list.
    let believed = page.iter().filter_map(|listed| listed.record.as_ref().ok());
    let info = |stored| Token::from_record(stored).map(|token| TokenInfo::of(token, now));
    let items: Result<Vec<_>, _> = believed.map(info).collect();
    let items = items.map_err(StoreError::Corrupt)?;
    let altered = u64::try_from(page.len().saturating_sub(items.len())).ok().filter(|count| *count > 0);
    Ok(json(StatusCode::OK, &TokenList { items, next, altered, held: app.lookout().held() }))
}

/// How a token is revoked.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevokeParams {
    /// Said of the last token that may make others; else that is refused.
    #[serde(default)]
    lock_out: bool,
}

/// Revokes a token.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "tokens", operation_id = "revokeToken",
    params(("id" = String, Path, description = "The token's id, 16 hex digits"), RevokeParams),
    responses((status = 204, description = "Revoked"), (status = 404, description = "No such token"),
        (status = 409, description = "Revoked before, or the last administrator's")))]
pub(crate) async fn delete(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(id): Segment,
    Params(params): Params<RevokeParams>,
) -> Result<StatusCode, Problem> {
    revoke(&app, &actor, &id, params.lock_out).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(roles: &[Role]) -> NewToken {
        NewToken {
            name: "ci".into(),
            roles: roles.iter().copied().collect(),
            owners: BTreeSet::new(),
            scopes: None,
            expires_secs: 3_600,
        }
    }

    #[test]
    fn a_token_cannot_be_made_to_reach_further_than_its_maker() {
        let mut operator = Actor::system("test");
        operator.roles = BTreeSet::from([Role::Operator]);
        assert!(check_reach(&operator, &new(&[Role::Admin])).is_err());
        assert!(check_reach(&operator, &new(&[Role::Operator])).is_ok());
        let mut scoped = operator.clone();
        scoped.roles = BTreeSet::from([Role::Admin]);
        scoped.scopes = Some(BTreeSet::from([Action::ManageTokens]));
        assert!(check_reach(&scoped, &new(&[Role::Auditor])).is_err(), "unscoped from scoped");
        let narrower = NewToken { scopes: Some(BTreeSet::from([Action::ManageTokens])), ..new(&[Role::Auditor]) };
        assert!(check_reach(&scoped, &narrower).is_ok());
    }

    #[test]
    fn a_wrong_shape_names_its_field() {
        let cases = [
            (NewToken { name: "Big".into(), ..new(&[Role::Issuer]) }, "name"),
            (NewToken { name: String::new(), ..new(&[Role::Issuer]) }, "name"),
            (new(&[]), "roles"),
            (new(&[Role::System]), "roles"),
            (NewToken { expires_secs: 59, ..new(&[Role::Issuer]) }, "expires_secs"),
            (NewToken { expires_secs: u64::MAX, ..new(&[Role::Issuer]) }, "expires_secs"),
            (NewToken { scopes: Some(BTreeSet::new()), ..new(&[Role::Issuer]) }, "scopes"),
        ];
        for (wrong, field) in cases {
            let problem = check_shape(&wrong).expect_err(field);
            assert!(format!("{problem:?}").contains(&format!("field: Some(\"{field}\")")), "{problem:?}");
        }
    }
}
