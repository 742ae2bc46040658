//! Where a record stands in what a node believes of the log.

use ring::digest::{Context, SHA256};

/// A record's place: by it a node knows which version of it is present, without a question to the database. It follows from kind and id,
/// and costs a digest: whoever keeps in memory what he read keeps its place beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecordPlace(pub(crate) [u8; 16]);

impl RecordPlace {
    /// The first half of a SHA-256 over kind and id.
    pub fn of(kind: &str, id: &str) -> RecordPlace {
        let mut context = Context::new(&SHA256);
        context.update(kind.as_bytes());
        context.update(&[0]);
        context.update(id.as_bytes());
        let mut place = [0; 16];
        place.copy_from_slice(context.finish().as_ref().split_at(16).0);
        RecordPlace(place)
    }
}
