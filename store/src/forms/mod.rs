//! How the register is written down: its tables as data, the leaves and digests of their rows, and what follows from rows.

pub(crate) mod keys;
pub(crate) mod keyword;
pub(crate) mod leaf;
pub(crate) mod lines;
pub(crate) mod object;
pub(crate) mod projection;
pub(crate) mod row;
pub(crate) mod schema;
pub(crate) mod texts;
pub(crate) mod ward;
