//! The whole put together: both listeners, their routes, and what goes on by itself.

mod backups;
mod rotations;
mod routes;
mod tasks;

mod server;

pub use server::{ApiError, Bound, ServeConfig, serve};
