//! Secrets: what they are called, which kinds there are, and the envelope in which each of their versions lies.
//!
//! A secret stands at a [`SecretPath`] and has versions, each a set of named fields. Which version is meant says a [`Label`] that moves,
//! or its number that does not; a [`Reference`] (`chy://path#field@label`) names one field of one version and may be committed, since it
//! is none of the value. A version's bytes lie in an envelope under a key of their own ([`Dek`]), which lies under the sealing key of
//! the token. A [`rotation`] is how a credential is exchanged at the place where it is used, and [`Rotations`] are those of the register.
//!
//! The [`Vault`] keeps them in the register: it writes down each access, durably, before it opens anything.
//!
//! Beside that, each key is wrapped to the register's recovery key, whose private half a few people hold in shares ([`recovery`]): so a
//! lost token loses no secret.
//!
//! What a version holds are [`Fields`], in one form of bytes, which a [`Patch`] changes field by field. A [`Kind`] says which fields there
//! are, whether they are right, and draws what nobody should think up. What is made of fields without showing them is made here: codes of a
//! seed ([`Totp`]), the public half of a signing key ([`Jwk`]), a connection string for whoever reads it ([`Parts`]).
//!
//! Keys that others compute with and never hold are [`transit`]; those of the register are the [`keyring`].
//!
//! Whoever takes a value out of words looks for each of its [`forms`].
//!
//! Trusted for: that what was opened is what was sealed for that name, version and owner in that register, and that no key seals twice.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod at_once;
mod due;
mod envelope;
mod error;
pub mod forms;
mod hosting;
pub mod keyring;
mod kinds;
mod leasing;
mod nouns;
mod page;
pub mod recovery;
mod refreshing;
pub mod rotation;
pub mod transit;
mod turning;
mod vault;

pub use envelope::{Context, Dek, ENVELOPE_OVERHEAD, Forged, VALUE_BYTES_MAX};
pub use error::SecretError;
pub use hosting::{
    FINGERPRINTS_MAX, HostKey, HostKeys, HostReport, KeysInForce, REPORT_AGAIN_SECS, REPORT_SILENT_SECS, REPORTS_MAX,
};
pub use kinds::{
    ApiKeyPrefix, CertificateSource, FieldFault, FieldSpec, Fields, FieldsError, Form, GenerateError, Jwk,
    JwtAlgorithm, KeyError, Kind, KindError, NoRandom, Part, PartFault, Parts, PasswordError, PasswordWish, Patch,
    PrefixError, Random, S3Access, Seed, SeedBytes, Sight, SourceError, SshAlgorithm, SshError, Target, Totp,
    TotpError, TotpHash, TotpWish, Wish, api_key_prefix, jwks, ssh_fingerprint, ssh_public_line,
};
pub use leasing::{
    Document, ENDS_TRIED_MAX, Hired, Hirer, LEASE_SECS_MAX, LEASE_SECS_MIN, LEASES_OF_OWNER_MAX, LEASES_OF_ROLE_MAX,
    Lease, LeaseRole, LeaseWish, Leased, Leases, RENEWALS_MAX, Renewed, RoleWish, Stage as LeaseStage, Tenancy, Terms,
};
pub use nouns::{FieldName, Label, NameError, Reference, SecretPath, Which};
pub use page::{Page, of_one};
pub use refreshing::{
    Asked, ClientLogin, Endpoint, Endpoints, Halt, Refresh, RefreshWish, Refreshes, Tokens, URL_BYTES_MAX, Way,
};
pub use turning::{
    At, Due, Errand, Leaked, Line, Login, Overdue, Pinned, Place, Product, REASON_CHARS_MAX, ROOTS_BYTES_MAX,
    Rotations, Targets, Turn, Turning, TurningWish, WINDOWS_MAX, Warrants, is_reason,
};
pub use vault::{
    Brought, CACHE_SECS_MAX, Change, Changed, Code, ENDS_MAX, Hand, Happened, KeptRead, KeyWaits, LEFT_SHOWN_MAX,
    LastRead, Lease as CacheLease, Left, Listed, LostRegister, Naming, Opened, PENDING_SECS, Put, RETENTION_DAYS_MAX,
    RETENTION_DAYS_MIN, Recovery, Search, Secret, Standing, TAKEN_SHOWN_MAX, Tally, UNREAD_DAYS, Vault, Version,
    Walked, Wanted, Wrapping,
};
