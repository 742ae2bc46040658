//! Reading: the threads that answer questions, and the look beyond the log's end as this node knows it.

mod follower;
mod threads;

pub(crate) use follower::Follower;
pub(crate) use threads::{Lane, ReaderHandle};
