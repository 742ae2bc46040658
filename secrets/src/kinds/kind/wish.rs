//! What is generated of a kind: a change of the fields that are drawn, which leaves the others alone.

use zeroize::Zeroizing;

use super::spec::Kind;
use crate::kinds::fields::Patch;
use crate::kinds::generate::{ApiKeyPrefix, PasswordError, PasswordWish, api_key, oauth_secret, webhook_secret};
use crate::kinds::jwk::{self, JwtAlgorithm, KeyError};
use crate::kinds::random::{NoRandom, Random};
use crate::kinds::ssh::{self, SshAlgorithm, SshError};
use crate::kinds::totp::{Seed, SeedBytes, Totp, TotpError, TotpHash};
use crate::nouns::FieldName;

/// What is wished for. [`Kind::wish`] has what a kind is given where nobody wishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A password.
    Password(PasswordWish),
    /// An API key that begins so.
    ApiKey(ApiKeyPrefix),
    /// The secret of an OAuth client.
    OauthSecret,
    /// A webhook secret.
    WebhookSecret,
    /// A key that signs JWTs.
    JwtKey(JwtAlgorithm),
    /// An SSH key.
    SshKey {
        /// Of which algorithm.
        algorithm: SshAlgorithm,
        /// What its public line ends with; may be empty.
        comment: String,
    },
    /// A seed of one-time passwords.
    Totp(TotpWish),
}

/// What a seed is to be of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TotpWish {
    /// The hash.
    pub hash: TotpHash,
    /// 6, 7 or 8.
    pub digits: u32,
    /// In seconds.
    pub period: u64,
    /// Who asks for the codes; may be empty.
    pub issuer: String,
    /// For which account; may be empty.
    pub account: String,
}

impl Default for TotpWish {
    fn default() -> Self {
        let (issuer, account) = (String::new(), String::new());
        Self { hash: TotpHash::Sha1, digits: Totp::DIGITS, period: Totp::PERIOD, issuer, account }
    }
}

/// Why nothing is generated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    /// Others issue it.
    #[error("nothing of the kind {0} is generated here: put what its issuer gave")]
    Nothing(Kind),
    /// It is wished of another kind.
    #[error("that is not generated for the kind {0}: wish for what belongs to it, or leave the wish out")]
    NotOfKind(Kind),
    /// A password that cannot be.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// A signing key that cannot be.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// An SSH key that cannot be.
    #[error(transparent)]
    Ssh(#[from] SshError),
    /// A seed that cannot be.
    #[error(transparent)]
    Totp(#[from] TotpError),
    /// The system has no random bytes.
    #[error(transparent)]
    NoRandom(#[from] NoRandom),
}

impl Kind {
    /// What is generated of it where nobody wishes otherwise; none where others issue it.
    pub fn wish(self) -> Option<Wish> {
        match self {
            Kind::DatabasePassword | Kind::ServiceAccount | Kind::Generic => {
                Some(Wish::Password(PasswordWish::default()))
            }
            Kind::DatabaseConnection | Kind::QueueConnection | Kind::CacheConnection => {
                Some(Wish::Password(PasswordWish::default()))
            }
            Kind::ApiKey => Some(Wish::ApiKey(ApiKeyPrefix::default())),
            Kind::OauthClient => Some(Wish::OauthSecret),
            Kind::WebhookSecret => Some(Wish::WebhookSecret),
            Kind::JwtSigningKey => Some(Wish::JwtKey(JwtAlgorithm::default())),
            Kind::SshKey => Some(Wish::SshKey { algorithm: SshAlgorithm::default(), comment: String::new() }),
            Kind::TotpSeed => Some(Wish::Totp(TotpWish::default())),
            Kind::OauthToken | Kind::ObjectStorageConnection | Kind::CertificateBundle | Kind::Note | Kind::File => {
                None
            }
        }
    }

    /// Draws it: what to merge into the fields, whose other fields stay.
    ///
    /// # Errors
    /// [`GenerateError`].
    pub fn generate(self, wish: &Wish, random: &mut dyn Random) -> Result<Patch, GenerateError> {
        let usual = self.wish().ok_or(GenerateError::Nothing(self))?;
        if std::mem::discriminant(&usual) != std::mem::discriminant(wish) {
            return Err(GenerateError::NotOfKind(self));
        }
        match wish {
            Wish::Password(wish) => {
                let field = if self == Kind::Generic { FieldName::VALUE } else { "password" };
                Ok(set(Patch::new(), field, wish.draw(random)?))
            }
            Wish::ApiKey(prefix) => Ok(set(Patch::new(), "key", api_key(prefix, random)?)),
            Wish::OauthSecret => Ok(set(Patch::new(), "client_secret", oauth_secret(random)?)),
            Wish::WebhookSecret => Ok(set(Patch::new(), "secret", webhook_secret(random)?)),
            Wish::JwtKey(algorithm) => {
                let patch = set(Patch::new(), "private_key", bytes(&jwk::draw(*algorithm, random)?));
                Ok(set(patch, "algorithm", bytes(algorithm.as_str())))
            }
            Wish::SshKey { algorithm, comment } => {
                let drawn = ssh::draw(*algorithm, comment, random)?;
                // What the one before lay under, this one does not.
                let patch = Patch::new().remove(name("passphrase"));
                Ok(set(set(patch, "private_key", bytes(&drawn.private)), "public_key", bytes(&drawn.public)))
            }
            Wish::Totp(wish) => {
                let seed = Seed::draw(SeedBytes::of(wish.hash), random)?;
                let totp = Totp::new(seed).with_hash(wish.hash).with_digits(wish.digits)?.with_period(wish.period)?;
                Ok(totp.with_names(&wish.issuer, &wish.account)?.patch())
            }
        }
    }
}

fn set(patch: Patch, field: &'static str, value: Zeroizing<Vec<u8>>) -> Patch {
    patch.set(name(field), value)
}

/// Of a field that a kind has, whose name is one.
fn name(field: &'static str) -> FieldName {
    field.parse().unwrap_or_default()
}

fn bytes(text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.as_bytes().to_vec())
}
