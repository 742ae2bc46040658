//! Accounts: made, updated, given up, moved to another key (RFC 8555 section 7.3).
//!
//! One key, one account: an `acme-key` record per key is written in the same transaction as the account, so of two requests
//! that race for a key one wins and the other finds the winner's account.

use policy::Name;
use serde::Deserialize;

use crate::gate::{AcmeState, ByAccount, ByKey, require_valid};
use crate::limits::{CONFLICT_RETRIES, CONTACTS_MAX};
use crate::objects::{Account, AccountEvent, AccountStatus, Change, DeskError, KeyHolder, Stored, fresh_id};
use crate::wire::{ErrorKind, Jwk, Jws, Problem, Signer};

/// What a new account takes: itself, and the hold on its key.
const OPENING_RECORDS: usize = 2;

/// The newAccount payload.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewAccount {
    contact: Option<Vec<String>>,
    // Some clients write null where they mean nothing.
    terms_of_service_agreed: Option<bool>,
    only_return_existing: Option<bool>,
}

/// The account update payload.
#[derive(Deserialize)]
struct Update {
    contact: Option<Vec<String>>,
    status: Option<String>,
}

/// The inner payload of a key change.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyChange {
    account: String,
    old_key: serde_json::Value,
}

/// Finds the key's account or makes one; true: it is new.
pub async fn open(state: &AcmeState, by: ByKey) -> Result<(Account, bool), Problem> {
    let asked: NewAccount = by.message.object()?;
    let contact = asked.contact.clone().unwrap_or_default();
    let agreed = asked.terms_of_service_agreed.unwrap_or_default();
    let mut counted = false;
    for _ in 0..CONFLICT_RETRIES {
        let held = state.desk().get::<KeyHolder>(&by.key.thumbprint()).await?;
        if let Some(account) = holder_of(state, held.as_ref()).await? {
            require_valid(&account.object)?;
            return Ok((account.object, false));
        }
        if asked.only_return_existing == Some(true) {
            return Err(Problem::new(ErrorKind::AccountDoesNotExist, "no account has this key"));
        }
        check_contacts(&contact)?;
        check_terms(state, agreed)?;
        if !counted {
            state.quotas().account(by.source, OPENING_RECORDS, state.now())?;
            fit(state, &by.key).await?;
            counted = true;
        }
        let account = Account {
            id: fresh_id(state.world()),
            status: AccountStatus::Valid,
            key: by.key.clone(),
            contact: contact.clone(),
            agreed,
            created: state.now(),
        };
        let changes = vec![Change::create(&account), hold(held.as_ref(), &account.key, Some(&account.id))];
        match state.desk().write(&state.actor(&account), changes).await {
            Ok(()) => return Ok((account, true)),
            Err(DeskError::Moved(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(DeskError::Moved("acme-key".to_owned()).into())
}

/// Shows, updates or deactivates the account; only its own. Of changes made side by side each is made on what the others left.
pub async fn update(state: &AcmeState, id: &str, by: ByAccount) -> Result<Account, Problem> {
    own(&by, id)?;
    if by.message.is_empty() {
        return Ok(by.account.object);
    }
    let asked: Update = by.message.object()?;
    let mut spent = false;
    let mut account = by.account.clone();
    for _ in 0..CONFLICT_RETRIES {
        let Some(after) = updated(&account.object, &asked)? else { return Ok(account.object) };
        if !spent {
            by.spend(state, 1)?;
            spent = true;
        }
        let (actor, changes) = (state.actor(&account.object), vec![account.next(&after)]);
        let written = match after.status {
            AccountStatus::Valid => state.desk().write(&actor, changes).await,
            AccountStatus::Deactivated => state.desk().withdraw(&actor, changes).await,
        };
        match written {
            Ok(()) => return Ok(after),
            Err(DeskError::Moved(_)) => account = as_it_is(state, id).await?,
            Err(error) => return Err(error.into()),
        }
    }
    Err(DeskError::Moved("acme-account".to_owned()).into())
}

/// The account with what is asked for; `None` where that changes nothing, and leaves no version: some clients send the whole
/// object back, "valid" included.
fn updated(before: &Account, asked: &Update) -> Result<Option<Account>, Problem> {
    match (asked.status.as_deref(), &asked.contact) {
        (Some("deactivated"), _) => {
            Ok(Some(Account { status: transition(before, AccountEvent::Deactivate)?, ..before.clone() }))
        }
        (Some("valid") | None, Some(contact)) if *contact != before.contact => {
            check_contacts(contact)?;
            let status = transition(before, AccountEvent::Update)?;
            Ok(Some(Account { status, contact: contact.clone(), ..before.clone() }))
        }
        (Some("valid") | None, _) => Ok(None),
        (Some(other), _) => Err(Problem::malformed(format!("an account cannot be made {other:?} by its holder"))),
    }
}

/// Puts another key in place (RFC 8555 section 7.3.5): the old key signs the outer message, the new one the inner.
pub async fn change_key(state: &AcmeState, by: ByAccount) -> Result<Account, Problem> {
    let inner = Jws::parse(by.message.bytes())?;
    let Signer::Jwk(new) = inner.signer().clone() else {
        return Err(Problem::malformed("the inner JWS must carry the new key in jwk"));
    };
    if inner.url() != by.url {
        return Err(Problem::malformed("the inner JWS must have the same url as the outer one"));
    }
    if inner.nonce().is_some() {
        return Err(Problem::malformed("the inner JWS must not have a nonce"));
    }
    let asked: KeyChange = inner.verify(&new)?.object()?;
    let old = by.account.object.key.clone();
    if asked.account != state.urls().account(&by.account.object.id) {
        return Err(Problem::malformed("the inner JWS names another account"));
    }
    if Jwk::parse(asked.old_key)? != old {
        return Err(Problem::malformed("oldKey is not the key of this account"));
    }
    if new == old {
        return Err(Problem::malformed("the new key is the old key"));
    }
    fit(state, &new).await?;
    let mut spent = false;
    let mut account = by.account.clone();
    for _ in 0..CONFLICT_RETRIES {
        if account.object.key != old {
            return Err(Problem::malformed("another request changed the key of this account").with_status(409));
        }
        let taken = state.desk().get::<KeyHolder>(&new.thumbprint()).await?;
        if let Some(other) = holder_of(state, taken.as_ref()).await? {
            return Err(conflict(state, &other.object));
        }
        let held = state.desk().get::<KeyHolder>(&old.thumbprint()).await?;
        let before = &account.object;
        let after =
            Account { status: transition(before, AccountEvent::ChangeKey)?, key: new.clone(), ..before.clone() };
        let holds = [hold(held.as_ref(), &old, None), hold(taken.as_ref(), &new, Some(&after.id))];
        let changes: Vec<Change> = [account.next(&after)].into_iter().chain(holds).collect();
        if !spent {
            by.spend(state, changes.len())?;
            spent = true;
        }
        match state.desk().write(&state.actor(before), changes).await {
            Ok(()) => return Ok(after),
            Err(DeskError::Moved(_)) => account = as_it_is(state, &after.id).await?,
            Err(error) => return Err(error.into()),
        }
    }
    Err(DeskError::Moved("acme-account".to_owned()).into())
}

/// The account after somebody else changed it, if it still may do anything.
async fn as_it_is(state: &AcmeState, id: &str) -> Result<Stored<Account>, Problem> {
    let account = state.desk().get::<Account>(id).await?.ok_or_else(|| Problem::not_found("account"))?;
    require_valid(&account.object)?;
    Ok(account)
}

/// A key that may hold an account: by the same list as every key that is certified, and not revoked as compromised in whatever
/// dress (RFC 8555 section 6.2: such a request is refused as badPublicKey).
async fn fit(state: &AcmeState, key: &Jwk) -> Result<(), Problem> {
    let refused = |why: &str| Problem::new(ErrorKind::BadPublicKey, format!("the account key is refused: {why}"));
    let hash = ca::check_key(key.spki_der()).await.map_err(|weak| refused(&weak.to_string()))?;
    match state.authority().is_compromised(&hash) {
        true => Err(refused("it was revoked as compromised; make a new key")),
        false => Ok(()),
    }
}

/// Refuses to touch another account's URL.
pub fn own(by: &ByAccount, id: &str) -> Result<(), Problem> {
    match by.account.object.id == id {
        true => Ok(()),
        false => Err(Problem::unauthorized("this is another account")),
    }
}

/// The account that holds a key now. A key whose holder cannot be found is nobody's: the record says so first.
async fn holder_of(state: &AcmeState, held: Option<&Stored<KeyHolder>>) -> Result<Option<Stored<Account>>, Problem> {
    match held.and_then(|held| held.object.account.as_deref()) {
        Some(id) => Ok(state.desk().get::<Account>(id).await?),
        None => Ok(None),
    }
}

fn hold(held: Option<&Stored<KeyHolder>>, key: &Jwk, account: Option<&str>) -> Change {
    let holder = KeyHolder { thumbprint: key.thumbprint(), account: account.map(str::to_owned) };
    match held {
        Some(before) => before.next(&holder),
        None => Change::create(&holder),
    }
}

/// "the server MUST return ... 409 (Conflict) and provide the URL of that account in the Location header field"
fn conflict(state: &AcmeState, other: &Account) -> Problem {
    let mut problem = Problem::malformed("the new key belongs to an account already").with_status(409);
    problem.location = Some(state.urls().account(&other.id));
    problem
}

fn transition(account: &Account, event: AccountEvent) -> Result<AccountStatus, Problem> {
    account.status.on(event).map_err(|refused| Problem::unauthorized(refused.to_string()))
}

fn check_terms(state: &AcmeState, agreed: bool) -> Result<(), Problem> {
    match (&state.config().terms_of_service, agreed) {
        (Some(url), false) => {
            Err(Problem::malformed(format!("an account needs agreement to the terms of service at {url}")))
        }
        (Some(_), true) | (None, _) => Ok(()),
    }
}

/// RFC 8555 section 7.3: mailto with one address and no hfields; other schemes are unsupportedContact.
fn check_contacts(contacts: &[String]) -> Result<(), Problem> {
    if contacts.len() > CONTACTS_MAX {
        return Err(Problem::new(ErrorKind::InvalidContact, format!("an account has at most {CONTACTS_MAX} contacts")));
    }
    contacts.iter().try_for_each(|contact| check_contact(contact))
}

fn check_contact(contact: &str) -> Result<(), Problem> {
    let invalid =
        |why: &str| Problem::new(ErrorKind::InvalidContact, format!("the contact {contact:?} is refused: {why}"));
    let Some(address) = contact.strip_prefix("mailto:") else {
        return Err(Problem::new(ErrorKind::UnsupportedContact, format!("the contact {contact:?} is no mailto URL")));
    };
    if address.contains(['?', '%', ',', '&']) {
        return Err(invalid("one plain address, without header fields or escapes"));
    }
    match Name::parse(&format!("email:{address}")) {
        Ok(_) => Ok(()),
        Err(why) => Err(invalid(why.why())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contacts_are_single_mail_addresses() {
        for good in ["mailto:admin@example.internal", "mailto:a.b+c@example.com"] {
            assert!(check_contact(good).is_ok(), "{good}");
        }
        for bad in [
            "mailto:",
            "mailto:admin",
            "mailto:a@b@example.com",
            "mailto:a@example.com,b@example.com",
            "mailto:a@example.com?subject=x",
            "mailto:a%40example.com",
            "mailto:a@example.com\r\nBcc: b@example.com",
        ] {
            assert_eq!(check_contact(bad).unwrap_err().kind, ErrorKind::InvalidContact, "{bad:?}");
        }
        for other in ["tel:+4912345", "admin@example.com", "MAILTO:a@example.com", ""] {
            assert_eq!(check_contact(other).unwrap_err().kind, ErrorKind::UnsupportedContact, "{other:?}");
        }
        assert!(check_contacts(&vec!["mailto:a@example.com".to_owned(); CONTACTS_MAX + 1]).is_err());
    }
}
