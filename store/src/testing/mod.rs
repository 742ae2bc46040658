//! For tests, benches and measurements (feature `testing`; never in a product): a private PostgreSQL, and a seeder that fills a
//! register faster than a token signs.

mod postgres;
mod seeder;

pub use postgres::{TestPostgres, is_private};
pub use seeder::{Made, Seed, Seeder};
