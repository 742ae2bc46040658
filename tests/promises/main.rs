//! The promises of docs/PROMISES.md, shown by the built binary with real clients: certbot, lego, sshd, openssl ...
//!
//! Each module is one promise; `house`, `dns`, `postgres`, `sshd` and `judges` are what they share.

mod dns;
mod held;
mod house;
mod judges;
mod postgres;
mod sshd;

mod acme_clients;
mod agent;
mod agent_secrets;
mod audit;
mod backup;
mod bad_input;
mod behaviour;
mod cache;
mod ceremony;
mod changes;
mod cli;
mod code;
mod containers;
mod crash;
mod database_thief;
mod delivery;
mod deltas;
mod editing;
mod environments;
mod hands;
mod helpers;
mod import;
mod inspect;
mod issuers;
mod leases;
mod lint;
mod mfa;
mod ocsp;
mod ocsp_proof;
mod openapi;
mod pages;
mod profiles;
mod quickstart;
mod recovery;
mod refreshing;
mod rotation;
mod seals;
mod secrets;
mod ssh;
mod ssh_leases;
mod ssh_rotation;
mod stopping;
mod time;
mod token_loss;
mod tokens;
mod transit;
mod trust;
