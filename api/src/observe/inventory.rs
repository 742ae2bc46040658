//! Lists of certificates, for the API and the dashboard.
//!
//! The register also holds CRLs and code signatures; a list that names no kind leaves them out, since nobody waits for
//! their expiry.

use policy::{Actor, Grant, Owner, Role};
use store::{Credential, Filter, Ledger, Page, StoreError};

/// A page of what the filter asks for. The grant is the reason why it may be read.
pub(crate) async fn page(_grant: &Grant, filter: Filter, ledger: &Ledger) -> Result<Page<Credential>, StoreError> {
    let certificates = filter.kind.is_none();
    ledger.list(Filter { certificates, ..filter }).await
}

/// The owner that an actor means who can see one only. Whoever has a wider role means all of them.
pub(crate) fn only_owner(actor: &Actor) -> Option<Owner> {
    let is_narrow = |role: &Role| match role {
        Role::Issuer | Role::SshUser | Role::CodeSigner | Role::Agent | Role::AcmeClient => true,
        Role::Admin | Role::Operator | Role::Approver | Role::Auditor | Role::System => false,
    };
    let mut owners = actor.owners.iter();
    match (owners.next(), owners.next()) {
        (Some(owner), None) if actor.roles.iter().all(is_narrow) => Some(owner.clone()),
        _ => None,
    }
}
