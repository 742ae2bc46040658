//! Objects as clients see them (RFC 8555 section 7.1).

use ca::Renewal;
use policy::Timestamp;
use serde_json::{Value, json};

use crate::gate::Urls;
use crate::objects::{Account, Authz, Challenge, Order};

/// RFC 8555 section 7.1.2.
pub fn account(account: &Account, urls: &Urls) -> Value {
    json!({
        "status": account.status.as_str(),
        "contact": account.contact,
        "orders": urls.orders(&account.id),
    })
}

/// RFC 8555 section 7.1.3, with the profile (draft-ietf-acme-profiles).
pub fn order(order: &Order, urls: &Urls, now: Timestamp) -> Value {
    let mut view = json!({
        "status": order.status_at(now).as_str(),
        "expires": order.expires.rfc3339(),
        "identifiers": order.identifiers,
        "profile": order.profile,
        "authorizations": order.authzs.iter().map(|authz| urls.authz(authz)).collect::<Vec<_>>(),
        "finalize": urls.finalize(&order.id),
    });
    if let Some(not_after) = order.not_after {
        put(&mut view, "notAfter", json!(not_after.rfc3339()));
    }
    // RFC 9773 section 5: the server "MUST reflect that field in the response and in subsequent requests for the corresponding Order".
    if let Some(replaces) = &order.replaces {
        put(&mut view, "replaces", json!(replaces.id));
    }
    if let Some(error) = &order.error {
        put(&mut view, "error", json!(error));
    }
    if let Some(serial) = &order.serial {
        put(&mut view, "certificate", json!(urls.certificate(serial)));
    }
    view
}

/// RFC 9773 section 4.2.
pub fn renewal(renewal: &Renewal) -> Value {
    let (start, end) = (renewal.from.rfc3339(), renewal.until.rfc3339());
    let mut view = json!({ "suggestedWindow": { "start": start, "end": end } });
    if let Some(url) = &renewal.url {
        put(&mut view, "explanationURL", json!(url));
    }
    view
}

/// RFC 8555 section 7.1.4.
pub fn authz(authz: &Authz, urls: &Urls, now: Timestamp) -> Value {
    let mut view = json!({
        "identifier": authz.identifier.shown(),
        "status": authz.status_at(now).as_str(),
        "expires": authz.expires.rfc3339(),
        "challenges": authz.shown_challenges().map(|each| challenge(authz, each, urls)).collect::<Vec<_>>(),
    });
    if authz.identifier.is_wildcard() {
        // "This field MUST be present and true for authorizations created as a result of a newOrder request containing a DNS
        // identifier with a value that was a wildcard domain name."
        put(&mut view, "wildcard", json!(true));
    }
    view
}

/// RFC 8555 section 7.1.5 and 8.
pub fn challenge(authz: &Authz, challenge: &Challenge, urls: &Urls) -> Value {
    let mut view = json!({
        "type": challenge.kind.as_str(),
        "url": urls.challenge(&authz.id, challenge.kind),
        "status": challenge.status.as_str(),
        "token": challenge.token,
    });
    if let Some(validated) = challenge.validated {
        put(&mut view, "validated", json!(validated.rfc3339()));
    }
    if let Some(error) = &challenge.error {
        put(&mut view, "error", json!(error));
    }
    view
}

fn put(view: &mut Value, key: &str, value: Value) {
    if let Some(members) = view.as_object_mut() {
        members.insert(key.to_owned(), value);
    }
}
