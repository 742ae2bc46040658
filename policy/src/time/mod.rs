//! Times, spans, and the world that tells them.

mod renewal;
mod span;
mod stamp;
mod validity;
mod world;

pub use span::span_secs;
pub use stamp::Timestamp;
pub use validity::Validity;
pub use world::World;
