//! The authority over a real token and a real register, judged by others' programs.

extern crate chancery_ca as ca;

mod house;

mod approvals;
mod bundles;
mod code;
mod constrained;
mod cps;
mod csr_intake;
mod deltas;
mod drills;
mod ends;
mod golden;
mod hierarchy;
mod import;
mod incidents;
mod issuers;
mod key_proof;
mod lattice;
mod ocsp;
mod outage;
mod profiles;
mod revocation;
mod seals;
mod ssh;
mod thief;
mod tls;
mod tokens;
mod verdicts;
