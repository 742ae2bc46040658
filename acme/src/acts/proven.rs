//! Whether an account has proven what a certificate says.

use policy::Name;
use store::{Attested, Credential};

use crate::gate::AcmeState;
use crate::limits::AUTHZ_LOOKBACK;
use crate::objects::{Account, Authz, Identifier};
use crate::wire::Problem;

/// Whether the account holds a valid authorization for every name of the certificate.
pub async fn has_proven_all(
    state: &AcmeState,
    account: &Account,
    credential: &Attested<Credential>,
) -> Result<bool, Problem> {
    let now = state.now();
    for text in &credential.names {
        let identifier = match Name::parse(text) {
            Ok(Name::Dns(name)) => Identifier::Dns(name),
            Ok(Name::Ip(ip)) => Identifier::Ip(ip),
            Ok(Name::Email(_) | Name::Uri(_) | Name::Upn(_)) | Err(_) => return Ok(false),
        };
        let lookup = Authz::lookup_of(&account.id, &identifier);
        let found = state.desk().find::<Authz>(lookup, None, AUTHZ_LOOKBACK).await?;
        if !found.iter().any(|authz| authz.object.proves(&identifier, &account.id, now)) {
            return Ok(false);
        }
    }
    Ok(!credential.names.is_empty())
}
