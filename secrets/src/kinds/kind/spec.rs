//! The kinds by name, and what is said of a field.

use std::fmt;
use std::str::FromStr;

use super::form::Form;

/// A kind of secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A user of a database and his password.
    DatabasePassword,
    /// An account that a program logs in with.
    ServiceAccount,
    /// A key of an API.
    ApiKey,
    /// A client of an authorization server.
    OauthClient,
    /// What an authorization server gave.
    OauthToken,
    /// A key that signs JWTs; its public half is published.
    JwtSigningKey,
    /// What webhooks are signed with.
    WebhookSecret,
    /// A connection to a database, in parts.
    DatabaseConnection,
    /// A connection to a queue, in parts.
    QueueConnection,
    /// A connection to a cache, in parts.
    CacheConnection,
    /// Access to an object store.
    ObjectStorageConnection,
    /// An SSH key.
    SshKey,
    /// A certificate, its chain and its key.
    CertificateBundle,
    /// A seed of one-time passwords: codes are given, and it stays.
    TotpSeed,
    /// A text.
    Note,
    /// A file.
    File,
    /// Any fields.
    Generic,
}

/// A word that is no kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such kind of secret: it is one of {}; generic takes any fields", Kind::ALL.map(Kind::as_str).join(", "))]
pub struct KindError;

impl Kind {
    /// All, in the order in which they are listed.
    pub const ALL: [Kind; 17] = [
        Kind::DatabasePassword,
        Kind::ServiceAccount,
        Kind::ApiKey,
        Kind::OauthClient,
        Kind::OauthToken,
        Kind::JwtSigningKey,
        Kind::WebhookSecret,
        Kind::DatabaseConnection,
        Kind::QueueConnection,
        Kind::CacheConnection,
        Kind::ObjectStorageConnection,
        Kind::SshKey,
        Kind::CertificateBundle,
        Kind::TotpSeed,
        Kind::Note,
        Kind::File,
        Kind::Generic,
    ];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::DatabasePassword => "database-password",
            Kind::ServiceAccount => "service-account",
            Kind::ApiKey => "api-key",
            Kind::OauthClient => "oauth-client",
            Kind::OauthToken => "oauth-token",
            Kind::JwtSigningKey => "jwt-signing-key",
            Kind::WebhookSecret => "webhook-secret",
            Kind::DatabaseConnection => "database-connection",
            Kind::QueueConnection => "queue-connection",
            Kind::CacheConnection => "cache-connection",
            Kind::ObjectStorageConnection => "object-storage-connection",
            Kind::SshKey => "ssh-key",
            Kind::CertificateBundle => "certificate-bundle",
            Kind::TotpSeed => "totp-seed",
            Kind::Note => "note",
            Kind::File => "file",
            Kind::Generic => "generic",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = KindError;

    fn from_str(text: &str) -> Result<Self, KindError> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(KindError)
    }
}

/// Who sees a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Nobody, but by opening the version.
    Secret,
    /// It may stand in listings, to those who may list: a user's name, a host, a port.
    Shown,
}

/// A field of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldSpec {
    /// Its name, a [`FieldName`](crate::nouns::FieldName).
    pub name: &'static str,
    /// Whether a secret of the kind has to have it.
    pub required: bool,
    /// Who sees it.
    pub sight: Sight,
    /// What may stand in it.
    pub form: Form,
    /// What it is, in a line.
    pub help: &'static str,
}

impl FieldSpec {
    /// One that nobody sees.
    pub(super) const fn secret(name: &'static str, form: Form, help: &'static str) -> Self {
        Self { name, required: false, sight: Sight::Secret, form, help }
    }

    /// One that may be listed.
    pub(super) const fn shown(name: &'static str, form: Form, help: &'static str) -> Self {
        Self { name, required: false, sight: Sight::Shown, form, help }
    }

    /// That has to be there.
    pub(super) const fn required(self) -> Self {
        Self { required: true, ..self }
    }
}
