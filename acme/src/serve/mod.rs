//! The HTTP face: paths, statuses, header fields, and objects as clients see them. Nothing is decided here.

mod views;

mod routes;

pub use routes::router;
