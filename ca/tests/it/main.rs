//! The authority over a real token and a real register, judged by others' programs.

extern crate chancery_ca as ca;

mod house;

mod bundles;
mod code;
mod cps;
mod csr_intake;
mod ends;
mod golden;
mod hierarchy;
mod incidents;
mod issuers;
mod lattice;
mod ocsp;
mod outage;
mod profiles;
mod revocation;
mod ssh;
mod thief;
mod tls;
mod verdicts;
