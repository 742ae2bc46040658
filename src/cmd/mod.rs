//! One subcommand, one file.

use crate::files;

pub mod agent;
pub mod audit;
pub mod certs;
pub mod clock;
pub mod csr;
pub mod doctor;
pub mod first_config;
pub mod init;
pub mod issue;
pub mod login;
pub mod moment;
pub mod pages;
pub mod paper;
pub mod rebuild;
pub mod reload;
pub mod resume;
pub mod serve;
pub mod sign;
pub mod span;
pub mod ssh;
pub mod token;
pub mod word;
