//! For tests, benches and measurements (feature `testing`; never in a product): a private PostgreSQL, every statement
//! that was asked, and a seeder that fills a register faster than a token signs.

mod postgres;
mod seeder;
mod statements;

pub use postgres::{TestPostgres, is_private};
pub use seeder::{Made, Seed, Seeder};
pub(crate) use statements::note_statement;
pub use statements::take_statements;
