//! For tests, benches and measurements (feature `testing`; never in a product): a private PostgreSQL, every statement
//! that was asked, a seeder that fills a register faster than a token signs, and the rows of a register written bare.

mod bare;
mod postgres;
mod rate;
mod seeder;
mod statements;

pub use bare::{BareRegister, BareStep};
pub use postgres::{TestPooler, TestPostgres, is_private};
pub use rate::{median, rate};
pub use seeder::{Made, Seed, Seeder};
pub use statements::{commits, take_statements};
pub(crate) use statements::{note_commit, note_statement};
