//! A session, logged in: which mechanisms its token has, and the handles it has looked up.
//!
//! A refused PIN is never tried again.

mod desk;
mod mechanisms;

pub(crate) use desk::{Desk, Era};
pub(crate) use mechanisms::{PSS_MECHANISMS, x509_form};
