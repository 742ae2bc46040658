//! Which kinds there are: their names, their fields, what may stand in them, and what is generated of each.

mod form;
mod spec;

mod table;

mod certificate;
mod fault;

mod validate;
mod wish;

pub use certificate::{CertificateSource, SourceError};
pub use fault::FieldFault;
pub use form::Form;
pub use spec::{FieldSpec, Kind, KindError, Sight};
pub use wish::{GenerateError, TotpWish, Wish};

#[cfg(test)]
mod tests;
