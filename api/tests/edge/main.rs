//! The edge over real sockets: an in-process server with a real authority (SoftHSM and SQLite) and real clients.

extern crate chancery_api as api;

mod house;

mod bundles;
mod changes;
mod connections;
mod identity;
mod intake;
mod inventory;
mod issuance;
mod matrix;
mod pages;
mod public;
mod references;
mod rotations;
mod secrets;
mod ssh_leases;
mod transit;
