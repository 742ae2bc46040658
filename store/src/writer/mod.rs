//! The one thread that writes: drains a bounded queue, commits many operations in one transaction, then answers all.
//!
//! While a batch is being flushed the next one gathers in the queue; no timer is needed. A batch that fails for one
//! item is split until only that item is told so. Nothing is answered before it is durable.

mod batch;
#[cfg(any(test, feature = "testing"))]
mod bulk;
mod handle;
mod item;
mod keywords;
pub(crate) mod pending;
mod projections;
mod thread;
mod transaction;
mod wards;

#[cfg(any(test, feature = "testing"))]
pub(crate) use bulk::write_at_once;
pub(crate) use handle::WriterHandle;
pub(crate) use item::Reply;
