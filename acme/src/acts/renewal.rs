//! Renewal information (RFC 9773): when a client should renew, and which certificate an order replaces.
//!
//! Anybody may ask, unsigned: who names a certificate has it. The answer comes from memory but for the first question about one, and
//! says nothing that the certificate, its CRL or an operator's word to all did not say.

use std::sync::Arc;

use ca::{Renewal, Renewing};
use policy::Name;
use store::{Attested, Credential, State};
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, TbsCertificate};

use super::proven::has_proven_all;
use crate::gate::{AcmeState, ByAccount, Known, actor_id};
use crate::limits::RETRY_AFTER_LOOKUP_SECS;
use crate::objects::{Change, Identifier, Kept, Order, OrderStatus, Replacement, store_problem};
use crate::wire::{CertId, ErrorKind, Problem};

/// When the certificate that is named so should be renewed.
pub async fn info(state: &AcmeState, named: &str) -> Result<Renewal, Problem> {
    let id = CertId::parse(named)?;
    let unknown = || Problem::not_found("certificate issued here");
    let known = match state.renewals().get(&id.serial) {
        Some(known) => known,
        None => {
            let _place = state
                .renewals()
                .look()
                .ok_or_else(|| Problem::unavailable("many certificates are asked about", RETRY_AFTER_LOOKUP_SECS))?;
            let found = state.authority().ledger().credential(&id.serial_hex()).await;
            let found = found.map_err(|error| store_problem(&error))?.ok_or_else(unknown)?;
            let known = Arc::new(known(&found).ok_or_else(unknown)?);
            state.renewals().put(&known);
            known
        }
    };
    match known.key_identifier == id.key_identifier {
        true => Ok(state.authority().renewal(&known.renewing)),
        false => Err(unknown()),
    }
}

/// What an order's `replaces` comes to: the change that says so in the register, and which certificate it is.
pub async fn replaced(
    state: &AcmeState,
    by: &ByAccount,
    named: &str,
    order: &str,
    identifiers: impl Iterator<Item = &Identifier>,
) -> Result<(Change, String), Problem> {
    let account = &by.account.object;
    let refused = |why: &str| Problem::malformed(format!("replaces: {why}"));
    let id = CertId::parse(named)?;
    let serial = id.serial_hex();
    let found = state.authority().ledger().credential(&serial).await.map_err(|error| store_problem(&error))?;
    let found =
        found.filter(|credential| known(credential).is_some_and(|known| known.key_identifier == id.key_identifier));
    let old = found.ok_or_else(|| refused("no such certificate was issued here"))?;
    // RFC 9773 section 5: "the identified certificate and the newOrder request correspond to the same ACME Account, that they share
    // at least one identifier, and that the identified certificate has not already been marked as replaced".
    let is_own = old.actor.id == actor_id(&account.id);
    let is_of_acme = old.owner.as_ref() == Some(&state.config().owner);
    if !is_of_acme || !(is_own || has_proven_all(state, account, &old).await?) {
        return Err(Problem::unauthorized(
            "replaces: the certificate is not this account's, nor has it proven all of its names",
        ));
    }
    let names: Vec<Name> = old.names.iter().filter_map(|name| Name::parse(name).ok()).collect();
    if !identifiers.map(Identifier::name).any(|name| names.contains(&name)) {
        return Err(refused("the order has no name in common with the certificate"));
    }
    let already = || Problem::new(ErrorKind::AlreadyReplaced, "the certificate is replaced already, or about to be");
    if state.authority().ledger().renewed(&old).is_some() {
        return Err(already());
    }
    let replacement = Replacement { serial: serial.clone(), order: order.to_owned() };
    let change = match state.desk().get::<Replacement>(replacement.id()).await? {
        None => Change::create(&replacement),
        Some(before) => {
            let other = state.desk().get::<Order>(&before.object.order).await?;
            match other.is_none_or(|other| other.object.status_at(state.now()) == OrderStatus::Invalid) {
                true => before.next(&replacement),
                false => return Err(already()),
            }
        }
    };
    Ok((change, serial))
}

/// Of a signed certificate of an end entity, what its renewal needs.
fn known(credential: &Attested<Credential>) -> Option<Known> {
    if !matches!(credential.state, State::Issued | State::Revoked) || credential.signature.is_none() {
        return None;
    }
    let (_, tbs) = TbsCertificate::from_der(&credential.tbs).ok()?;
    let key_identifier = tbs.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(aki) => aki.key_identifier.as_ref().map(|id| id.0.to_vec()),
        _ => None,
    })?;
    Some(Known { renewing: Renewing::of(credential)?, key_identifier })
}
