//! Certificates that were issued before, for what is to come after them.

use policy::Name;
use store::{Attested, Credential, Kind};

use crate::craft::office::Office;
use crate::error::CaError;

/// An end-entity certificate of the register.
pub(crate) async fn registered(office: &Office, serial_hex: &str) -> Result<Attested<Credential>, CaError> {
    let missing = || CaError::NotFound(format!("certificate {serial_hex}"));
    let found = office.ledger.credential(serial_hex).await?.ok_or_else(missing)?;
    if found.kind == Kind::Certificate { Ok(found) } else { Err(missing()) }
}

/// The names that a renewal of it has.
pub(crate) fn renewed_names(old: &Attested<Credential>) -> Result<Vec<Name>, CaError> {
    let names = old.names.iter().map(|name| Name::parse(name)).collect::<Result<Vec<_>, _>>();
    names.map_err(|e| CaError::Internal(format!("certificate {}: {e}", old.serial_hex())))
}
