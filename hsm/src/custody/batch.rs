//! What is signed: a message, or many of one act with the one digest that covers them all.
//!
//! The exception to one intent per signature: what is refreshed together (the OCSP responses of a moment) is one batch. Its
//! root is the Merkle tree hash of its messages, in their order (RFC 6962 section 2.1); the intent is written with the root and
//! their number, and the token signs these messages, each at most once, and no other.

use std::sync::Arc;

use ring::digest::{Context, SHA256};

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// The bytes themselves.
    Whole(Arc<[u8]>),
    /// A SHA-256 made by the caller (files too large to carry); for algorithms that sign one.
    Sha256([u8; 32]),
    /// Many of one act, each signed whole and once.
    Batch(Batch),
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Message {
        Message::Whole(bytes.into())
    }
}

/// So many messages of a batch, at most: a session signs them one after the other, and a token may take 20 milliseconds for each.
pub const BATCH_MAX: usize = 128;

/// Messages that are signed under one intent. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    messages: Arc<[Message]>,
    root: [u8; 32],
}

impl Batch {
    /// Of these messages, 1 to [`BATCH_MAX`].
    pub fn new(messages: Vec<Vec<u8>>) -> Option<Batch> {
        if messages.is_empty() || messages.len() > BATCH_MAX {
            return None;
        }
        let root = merkle_root(messages.iter().map(Vec::as_slice));
        Some(Batch { messages: messages.into_iter().map(Message::from).collect(), root })
    }

    /// The messages, each signed whole.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// The bytes of each.
    pub fn bytes(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.messages.iter().map(|message| match message {
            Message::Whole(bytes) => bytes.as_ref(),
            // `new` makes no other.
            Message::Sha256(_) | Message::Batch(_) => &[],
        })
    }

    /// The tree hash over them.
    pub fn root(&self) -> &[u8; 32] {
        &self.root
    }

    /// Whether that is so: recomputed from the messages.
    pub(crate) fn holds(&self) -> bool {
        merkle_root(self.bytes()) == self.root
    }
}

/// The Merkle tree hash of a list of entries (RFC 6962 section 2.1).
pub fn merkle_root<'a>(entries: impl ExactSizeIterator<Item = &'a [u8]>) -> [u8; 32] {
    if entries.len() == 0 {
        return hash(&[]);
    }
    // Perfect subtrees, the largest first, each with its number of leaves: two of one size are one of the double.
    let mut edge: Vec<(u64, [u8; 32])> = Vec::new();
    for entry in entries {
        let (mut size, mut right) = (1, hash(&[&[0], entry]));
        while let Some((_, left)) = edge.pop_if(|(there, _)| *there == size) {
            (size, right) = (size * 2, hash(&[&[1], &left, &right]));
        }
        edge.push((size, right));
    }
    let joined = edge.into_iter().map(|(_, node)| node).rev().reduce(|right, left| hash(&[&[1], &left, &right]));
    joined.unwrap_or_else(|| hash(&[]))
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962 section 2.1, as it is written.
    fn by_definition(entries: &[Vec<u8>]) -> [u8; 32] {
        match entries {
            [] => hash(&[]),
            [one] => hash(&[&[0], one]),
            many => {
                let half = many.len().next_power_of_two() / 2;
                let (left, right) = many.split_at(half);
                hash(&[&[1], &by_definition(left), &by_definition(right)])
            }
        }
    }

    #[test]
    fn the_root_is_that_of_the_definition() {
        let entries: Vec<Vec<u8>> = (0..70_u8).map(|n| vec![n; usize::from(n)]).collect();
        for n in 0..entries.len() {
            let some = &entries[..n];
            assert_eq!(merkle_root(some.iter().map(Vec::as_slice)), by_definition(some), "{n}");
        }
    }

    #[test]
    fn a_batch_has_one_message_and_no_more_than_it_may() {
        assert!(Batch::new(Vec::new()).is_none());
        assert!(Batch::new(vec![vec![1]; BATCH_MAX + 1]).is_none());
        let batch = Batch::new(vec![vec![1]; BATCH_MAX]).expect("a batch");
        assert!(batch.holds());
        let another = Batch { root: [7; 32], ..batch };
        assert!(!another.holds());
    }
}
