//! Which fields each kind has.

use super::form::Form;
use super::spec::{FieldSpec, Kind};
use crate::kinds::jwk::JwtAlgorithm;
use crate::kinds::totp::{Totp, TotpHash};

impl Kind {
    /// Its fields, in the order in which a form asks for them. [`Kind::Generic`] has none of its own and takes any.
    pub fn fields(self) -> &'static [FieldSpec] {
        match self {
            Kind::DatabasePassword => DATABASE_PASSWORD,
            Kind::ServiceAccount => SERVICE_ACCOUNT,
            Kind::ApiKey => API_KEY,
            Kind::OauthClient => OAUTH_CLIENT,
            Kind::OauthToken => OAUTH_TOKEN,
            Kind::JwtSigningKey => JWT_SIGNING_KEY,
            Kind::WebhookSecret => WEBHOOK_SECRET,
            Kind::DatabaseConnection => DATABASE_CONNECTION,
            Kind::QueueConnection => QUEUE_CONNECTION,
            Kind::CacheConnection => CACHE_CONNECTION,
            Kind::ObjectStorageConnection => OBJECT_STORAGE_CONNECTION,
            Kind::SshKey => SSH_KEY,
            Kind::CertificateBundle => CERTIFICATE_BUNDLE,
            Kind::TotpSeed => TOTP_SEED,
            Kind::Note => NOTE,
            Kind::File => FILE,
            Kind::Generic => &[],
        }
    }
}

const fn secret(name: &'static str, form: Form, help: &'static str) -> FieldSpec {
    FieldSpec::secret(name, form, help)
}

const fn shown(name: &'static str, form: Form, help: &'static str) -> FieldSpec {
    FieldSpec::shown(name, form, help)
}

const USERNAME: FieldSpec = shown("username", Form::Line, "who logs in");
const PASSWORD: FieldSpec = secret("password", Form::Password, "with what");
const HOST: FieldSpec = shown("host", Form::Line, "the server's name or address, without port");
const PORT: FieldSpec = shown("port", Form::Number(1, 65535), "its port, where it is not the usual one");
const DATABASE: FieldSpec = shown("database", Form::Line, "which of its databases");
// Readers take passwords of key files here (sslpassword): they are not listed.
const OPTIONS: FieldSpec = secret("options", Form::Options, "what else the driver is told: name=value, one on a line");
const URL: FieldSpec = shown("url", Form::Url, "where it is used");
const SCOPES: FieldSpec = shown("scopes", Form::Line, "what it is good for, with blanks between");

const DATABASE_PASSWORD: &[FieldSpec] = &[
    USERNAME.required(),
    PASSWORD.required(),
    shown("engine", Form::Line, "which database it is: postgresql, mysql, ..."),
    HOST,
    PORT,
    DATABASE,
];
const SERVICE_ACCOUNT: &[FieldSpec] = &[
    USERNAME.required(),
    PASSWORD,
    secret(
        "key",
        Form::Text,
        "its key, or the file of a key as its issuer gave it; a password or a key has to be there",
    ),
    shown("domain", Form::Line, "the domain, realm or project that it is of"),
    URL,
];
const API_KEY: &[FieldSpec] = &[
    secret("key", Form::Token, "the key").required(),
    shown("id", Form::Line, "how its issuer calls it"),
    URL,
    SCOPES,
];
const OAUTH_CLIENT: &[FieldSpec] = &[
    shown("client_id", Form::Line, "how the authorization server calls the client").required(),
    secret("client_secret", Form::Token, "with what it proves itself").required(),
    shown("token_url", Form::Url, "where it gets tokens"),
    shown("authorization_url", Form::Url, "where it sends people"),
    SCOPES,
];
const OAUTH_TOKEN: &[FieldSpec] = &[
    secret("access_token", Form::Token, "the token that is shown to the API").required(),
    secret("refresh_token", Form::Token, "the token that a new one is got with"),
    shown("token_type", Form::Line, "Bearer, nearly everywhere"),
    shown("expires_at", Form::Number(0, UNIX_SECONDS_MAX), "when the access token ends, in seconds since 1970"),
    shown("client", Form::Reference, "the oauth-client that refreshes it, chy://PATH"),
    SCOPES,
];
const JWT_SIGNING_KEY: &[FieldSpec] = &[
    secret("private_key", Form::SigningKey, "the key, in PKCS#8 PEM").required(),
    shown("algorithm", Form::Choice(JwtAlgorithm::NAMES), "what it signs with").required(),
];
const WEBHOOK_SECRET: &[FieldSpec] = &[
    secret("secret", Form::Token, "what the calls are signed with").required(),
    shown("url", Form::Url, "where they go"),
];
const DATABASE_CONNECTION: &[FieldSpec] = &[
    shown("engine", Form::Choice(&["postgresql", "mysql", "mssql", "mongodb", "mongodb+srv"]), "which database it is")
        .required(),
    HOST.required(),
    PORT,
    USERNAME,
    PASSWORD,
    DATABASE,
    OPTIONS,
];
const QUEUE_CONNECTION: &[FieldSpec] = &[
    shown("engine", Form::Choice(&["amqp", "amqps"]), "amqps is over TLS").required(),
    HOST.required(),
    PORT,
    USERNAME,
    PASSWORD,
    shown("database", Form::LineOrNothing, "the virtual host; the usual one where it is left out"),
    OPTIONS,
];
const CACHE_CONNECTION: &[FieldSpec] = &[
    shown("engine", Form::Choice(&["redis", "rediss"]), "rediss is over TLS").required(),
    HOST.required(),
    PORT,
    USERNAME,
    PASSWORD,
    shown("database", Form::Number(0, 65535), "the number of the database"),
    OPTIONS,
];
const OBJECT_STORAGE_CONNECTION: &[FieldSpec] = &[
    shown("access_key_id", Form::Token, "which key").required(),
    secret("secret_access_key", Form::Token, "the key").required(),
    secret("session_token", Form::Token, "what comes with a key that ends by itself"),
    shown("region", Form::Token, "eu-central-1 or the like"),
    shown("endpoint", Form::Url, "where it is no store of AWS"),
    shown("bucket", Form::Token, "which bucket"),
];
const SSH_KEY: &[FieldSpec] = &[
    secret("private_key", Form::SshPrivate, "the key, in OpenSSH's own form").required(),
    shown("public_key", Form::SshPublic, "its public line").required(),
    secret("passphrase", Form::Password, "what the private key lies under, where it does"),
    shown("username", Form::Line, "who logs in with it"),
];
const CERTIFICATE_BUNDLE: &[FieldSpec] = &[
    shown("certificate", Form::Certificate, "the certificate in PEM, or where it is").required(),
    secret("private_key", Form::PrivateKeyPem, "its key, in PEM"),
    shown("chain", Form::CertificatesPem, "the certificates above it, in PEM"),
];
const TOTP_SEED: &[FieldSpec] = &[
    secret("secret", Form::Base32, "the seed, in base32").required(),
    shown("issuer", Form::Line, "who asks for the codes"),
    shown("account", Form::Line, "for which account"),
    shown("algorithm", Form::Choice(TotpHash::NAMES), "SHA1 where it is left out"),
    shown("digits", Form::Number(6, 8), "6 where it is left out"),
    shown("period", Form::Number(Totp::PERIOD_MIN, Totp::PERIOD_MAX), "in seconds, 30 where it is left out"),
];
const NOTE: &[FieldSpec] = &[secret("text", Form::Text, "the note").required()];
const FILE: &[FieldSpec] = &[
    secret("content", Form::Bytes, "what is in it").required(),
    shown("file_name", Form::FileName, "how it is called where it is put"),
    shown("media_type", Form::Line, "what it is: application/pkcs12"),
];

/// The last second of the year 9999.
const UNIX_SECONDS_MAX: u64 = 253_402_300_799;
