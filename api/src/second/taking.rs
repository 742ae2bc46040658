//! Taking a second factor away: one's own with a code of it, another's as an administrator, the last one's from the host.

use ca::Authority;
use policy::{Action, Actor, Resource, ResourceKind};
use store::{ActorStamp, Ledger, Record};

use super::desk::{active, proved_lately, token};
use crate::app::App;
use crate::auth::{Factor, factor_of};
use crate::problem::{Kind, Problem};

/// So long an alarm tells of one that was taken away on the host: until the others are back from their week-end.
const RESCUE_TOLD_SECS: i64 = 7 * 86_400;

/// Takes the caller's own away: who has its code may.
pub(crate) async fn remove(app: &App, actor: &Actor) -> Result<(), Problem> {
    let token = token(actor)?;
    proved_lately(app, actor)?;
    let (factor, version) = active(app, token).await?;
    take(app.ledger(), actor, (token, &factor, version), (None, Vec::new())).await?;
    app.forget_ends();
    Ok(())
}

/// Takes another's away, for a reason that the log keeps. Its next act has to enrol anew.
pub(crate) async fn reset(app: &App, actor: &Actor, id: &str, reason: &str) -> Result<(), Problem> {
    let _grant = app.authorize(actor, Action::ManageTokens, Resource::plain(ResourceKind::Token)).await?;
    if token(actor).is_ok_and(|own| own == id) {
        let says = "Nobody resets his own: take it away with a code of it, or one from paper, by `chancery mfa remove`; or another \
             administrator resets it.";
        return Err(Problem::new(Kind::Conflict, says));
    }
    let (factor, version) = there(app.ledger(), id).await?;
    take(app.ledger(), actor, (id, &factor, version), (Some(reason.to_owned()), Vec::new())).await?;
    app.forget_ends();
    Ok(())
}

/// Takes the second factor of a token away for whoever holds the host and the HSM's PIN: the last administrator lost the device and the
/// paper. In one transaction with the reason, which the log keeps and an alarm tells of for a week.
///
/// # Errors
/// [`Problem`]: the token has none, or the register does not answer.
pub async fn rescue(authority: &Authority, id: &str, reason: &str) -> Result<(), Problem> {
    let (actor, ledger) = (Actor::system("rescue"), authority.ledger());
    let _grant = authority.authorize(&actor, Action::ManageTokens, Resource::plain(ResourceKind::Token)).await?;
    let (factor, version) = there(ledger, id).await?;
    let word = Record {
        kind: store::RESCUE,
        id: format!("{id}.{version}"),
        owner: None,
        lookup: None,
        expires: Some(authority.world().now().plus_secs(RESCUE_TOLD_SECS)),
        body: serde_json::json!({ "reason": reason, "token": id, "second_factor": "taken away" }),
        actor: ActorStamp::from(&actor),
        expect: Some(0),
    };
    take(ledger, &actor, (id, &factor, version), (Some(reason.to_owned()), vec![word])).await
}

async fn there(ledger: &Ledger, id: &str) -> Result<(Factor, u64), Problem> {
    let (factor, version) = factor_of(ledger, id).await?;
    let none = || Problem::new(Kind::NotFound, format!("The token {id:?} has no second factor."));
    Ok((factor.filter(|factor| factor.state != crate::auth::FactorState::Removed).ok_or_else(none)?, version))
}

/// The seed goes with it, and whatever was proved by it ends.
async fn take(
    ledger: &Ledger,
    actor: &Actor,
    (id, factor, version): (&str, &Factor, u64),
    (reason, beside): (Option<String>, Vec<Record>),
) -> Result<(), Problem> {
    let next = factor.removed(ledger.cautious_time(), reason).record(id, actor, version)?;
    let records = std::iter::once(next).chain(beside).collect();
    ledger.destroy_values(vec![(factor.sealed(id), None)], records, &ActorStamp::from(actor)).await?;
    Ok(())
}
