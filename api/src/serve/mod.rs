//! The whole put together: both listeners, their routes, and what goes on by itself.

mod ahead;
mod backups;
mod leases;
mod recovery;
mod refreshes;
mod rotations;
mod routes;
mod tasks;
mod transit;

mod server;

pub use server::{ApiError, Bound, ServeConfig, serve};
