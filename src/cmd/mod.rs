//! One subcommand, one file.

use crate::files;

pub mod agent;
pub mod audit;
pub mod backup;
pub mod ca;
pub mod ceremony;
pub mod certs;
pub mod check;
pub mod clock;
pub mod deliver;
pub mod doctor;
pub mod drill;
pub mod helper;
pub mod init;
pub mod inspect;
pub mod issue;
pub mod lint;
pub mod login;
pub mod mfa;
pub mod owner;
pub mod paper;
pub mod profile;
pub mod recovery;
pub mod report;
pub mod request;
pub mod restore;
pub mod secret;
pub mod serve;
pub mod sign;
pub mod ssh;
pub mod status;
pub mod token;
pub mod transit;
pub mod trust;
