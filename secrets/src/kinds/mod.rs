//! Kinds of secrets: which fields each has, what may stand in them, and what is generated of it.

mod percent;
mod random;

mod fields;

mod armour;
mod connection;
mod generate;
mod jwk;
mod ssh;
mod totp;

mod kind;

pub(crate) use armour::tidy;
pub use connection::{Part, PartFault, Parts, S3Access, Target};
pub use fields::{Fields, FieldsError, Patch};
pub use generate::{ApiKeyPrefix, PasswordError, PasswordWish, PrefixError, api_key_prefix};
pub use jwk::{Jwk, JwtAlgorithm, KeyError, jwks};
pub use kind::{
    CertificateSource, FieldFault, FieldSpec, Form, GenerateError, Kind, KindError, Sight, SourceError, TotpWish, Wish,
};
pub use random::{NoRandom, Random};
pub(crate) use ssh::{Drawn as SshKeyPair, bare as bare_ssh_line, draw as draw_ssh, own_line as own_ssh_line};
pub use ssh::{SshAlgorithm, SshError, ssh_fingerprint, ssh_public_line};
pub use totp::{Seed, SeedBytes, Totp, TotpError, TotpHash};
