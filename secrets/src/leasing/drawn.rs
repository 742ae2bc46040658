//! With what a user logs in: drawn, or his own; and how it is kept until he is shown it.

use policy::Secret;
use store::{Accessed, ActorStamp, NewValue};

use super::records::Lease;
use crate::envelope::{Context, seal};
use crate::error::SecretError;
use crate::kinds::{Fields, PasswordWish, SshAlgorithm, SshKeyPair, own_ssh_line};
use crate::nouns::FieldName;
use crate::turning::{Login, Product};
use crate::vault::{Vault, value_id};

/// With what somebody logs in, as it was drawn or is his own.
pub(super) struct Credential {
    pub login: Login,
    /// Of SSH.
    pub public_key: Option<String>,
}

/// Draws it, where he has none of his own.
pub(super) fn credential(product: Product, user: String, own: Option<String>) -> Result<Credential, SecretError> {
    let random = &mut ring::rand::SystemRandom::new();
    let unfit = |error: crate::kinds::SshError| SecretError::invalid("public_key", error.to_string());
    let login = |user, secret| Login { user, secret: Secret::new(secret) };
    match (product, own) {
        (Product::Ssh, Some(own)) => {
            let own = own_ssh_line(&own).map_err(unfit)?;
            Ok(Credential { login: login(user, String::new()), public_key: Some(own) })
        }
        (Product::Ssh, None) => {
            let SshKeyPair { mut private, public } =
                crate::kinds::draw_ssh(SshAlgorithm::default(), &user, random).map_err(unfit)?;
            Ok(Credential { login: login(user, std::mem::take(&mut *private)), public_key: Some(public) })
        }
        (_, Some(_)) => Err(SecretError::invalid("public_key", format!("{product} has passwords: one is drawn"))),
        (_, None) => {
            let drawn = PasswordWish::default().draw(random).map_err(|_| SecretError::NoRandom)?;
            let password = String::from_utf8_lossy(&drawn).into_owned();
            Ok(Credential { login: login(user, password), public_key: None })
        }
    }
}

/// Seals the password and writes it down with the lease, in one transaction.
pub(super) async fn keep(
    vault: &Vault,
    lease: &Lease,
    login: &Login,
    actor: ActorStamp,
) -> Result<Accessed, SecretError> {
    let path = Lease::value_path(&lease.id);
    let origin = vault.ledger().origin();
    let context = Context { origin, path: &path, life: 1, version: 1, owner: lease.owner.as_str() };
    let mut fields = Fields::new();
    let too_much = |error: crate::kinds::FieldsError| SecretError::invalid("lease", error.to_string());
    fields.set("username".parse::<FieldName>()?, login.user.as_bytes().to_vec()).map_err(too_much)?;
    let name = if lease.body.public_key.is_some() { "private_key" } else { "password" };
    // Whose key is his own has nothing that is kept here.
    if !login.secret.expose().is_empty() {
        fields.set(name.parse::<FieldName>()?, login.secret.expose().as_bytes().to_vec()).map_err(too_much)?;
    }
    let (dek, envelope) = seal(&fields.encode(), &context, vault.random())?;
    let value = NewValue {
        id: value_id(&path, 1, 1),
        owner: Some(lease.owner.as_str().to_owned()),
        key: dek.to_seal(),
        wrapped: vault.wrapped(&dek, &context).await?,
        envelope: envelope.0,
        instead_of: Vec::new(),
    };
    let versions = vault.ledger().keep_value(value, vec![lease.record(actor.clone())?], actor).await?;
    let none = || SecretError::Conflict("the lease was not written: try again".to_owned());
    Ok(Accessed { id: value_id(&path, 1, 1), version: versions.last().copied().ok_or_else(none)? })
}
