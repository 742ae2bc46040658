//! What is made of secrets without showing them: the present code of a seed, the public half of a signing key.

use policy::{Action, Timestamp};
use zeroize::Zeroizing;

use super::base::Vault;
use super::reading::Wanted;
use super::secret::{Secret, Standing};
use crate::error::SecretError;
use crate::kinds::{Kind, Totp};
use crate::nouns::{Label, SecretPath};

/// The present code of a one-time password (RFC 6238).
pub struct Code {
    /// Of which version of the seed.
    pub number: u64,
    /// The digits.
    pub code: Zeroizing<String>,
    /// Until when it is the present one.
    pub until: Timestamp,
    /// The leaf that says that it was given out.
    pub leaf: u64,
}

/// A signing key's secret with this tag is published.
const PUBLISHED: (&str, &str) = ("published", "true");

impl Vault {
    /// The present code of a seed, for whoever may have it. The log says so before it is made.
    ///
    /// # Errors
    /// As [`Vault::read_all`], for the one; [`SecretError::Invalid`]: it is no seed. A clock that is not believed makes no codes.
    pub async fn code(&self, wanted: Wanted) -> Result<Code, SecretError> {
        let Wanted { grant, path, which, .. } = wanted;
        let secret = self.there(&path).await?;
        Vault::is_for(&grant, Action::ReadSecretCode, &path, secret.owner())?;
        if secret.kind() != Kind::TotpSeed {
            let why = format!("the secret {path} is a {}: codes are made of a {}", secret.kind(), Kind::TotpSeed);
            return Err(SecretError::invalid("kind", why));
        }
        let now = self.now().await?;
        let (sealed, fields, leaf) = self.open_one(&grant, (&path, secret.owner()), &which, now).await?;
        let seed = Totp::of_fields(&fields).map_err(|error| SecretError::invalid("secret", error.to_string()))?;
        let at = u64::try_from(now.unix()).unwrap_or_default();
        let left = i64::try_from(seed.seconds_left(at)).unwrap_or_default();
        Ok(Code { number: sealed.number, code: seed.code(at), until: now.plus_secs(left), leaf })
    }

    /// The JWK set of a signing key that its owner published, by the tag `published=true`: of the versions that are current, were before,
    /// and will be, so that tokens verify while a rotation overlaps. None of anything else. It opens nothing: the public half was written
    /// down with its version.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn jwks(&self, path: &SecretPath, now: Timestamp) -> Result<Option<String>, SecretError> {
        let secret = self.look(path).await?.filter(is_published);
        Ok(secret.map(|secret| format!("{{\"keys\":[{}]}}", public_keys(&secret, now).join(","))))
    }
}

fn is_published(secret: &Secret) -> bool {
    let (name, value) = PUBLISHED;
    secret.kind() == Kind::JwtSigningKey
        && !secret.is_gone()
        && secret.deleted().is_none()
        && secret.tags().get(name).is_some_and(|there| there == value)
}

/// Each once, that of the current version first.
fn public_keys(secret: &Secret, now: Timestamp) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for label in [Label::CURRENT, Label::PENDING, Label::PREVIOUS] {
        let version = secret.labels().get(label).and_then(|number| secret.body.version(*number));
        let Some(version) = version else { continue };
        let is_used = match secret.standing_of(version, now) {
            Standing::Enabled | Standing::Early => true,
            Standing::Disabled | Standing::Expired | Standing::Destroyed => false,
        };
        if let Some(key) = version.jwk.as_ref().filter(|key| is_used && !keys.contains(key)) {
            keys.push(key.clone());
        }
    }
    keys
}
