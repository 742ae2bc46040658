//! What several commands have in common: what people write, and how it is shown to them.

pub mod bar;
pub mod changes;
pub mod csr;
pub mod founding;
pub mod moment;
pub mod pages;
pub mod span;
pub mod word;
