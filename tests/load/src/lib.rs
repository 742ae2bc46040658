//! A load client: keep-alive HTTPS clients that issue certificates as fast as they are answered.
//!
//! Prints what nobody in this field prints: throughput with the audit log on, p50, p99, and every error. It belongs to
//! no room of the house and knows the server by its REST API alone; but `seed`, which fills a register faster than a token
//! signs, through the store's own code. `compare` measures a server over a small register and a large one, in one run;
//! `drill` times a mass replacement; `crl` its CRLs beside the signature and the disk alone, `ocsp` its OCSP from memory beside a
//! static body, `secrets` readings of secrets beside a static body and a peer's, batches of transit beside the cipher alone, and many secrets
//! beside few, `acme` whole ACME orders over an empty register and over one with many.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod acme;
mod client;
pub mod compare;
mod cpu;
pub mod crl;
mod door;
pub mod drill;
mod error;
mod fleet;
mod house;
mod memory;
pub mod ocsp;
mod port;
mod report;
mod rest;
pub mod secrets;
pub mod seed;

pub use client::{Load, LoadError, run};
pub use cpu::cpu_time;
pub use error::CompareError;
pub use fleet::{Host, fleet, host_name};
pub use memory::resident_kib;
pub use port::free_port;
pub use report::Report;
