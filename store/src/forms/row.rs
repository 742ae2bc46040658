//! The digest of a row: what its leaf says about every column.
//!
//! SHA-256 over `chancery row 1`, a newline, the table's name, a newline, then each column in the schema's order, without
//! those the leaf states in its own numbers:
//! `00` for NULL; `01` and eight bytes, big-endian, for a number; `02`, eight bytes of length and the bytes for a text;
//! `03`, eight bytes of length and the bytes for a blob of at most 64; `04` and the SHA-256 of the blob for a longer one.

use ring::digest::{Context, SHA256};

use crate::forms::schema::{Table, sha256};
use crate::sql::Value;

/// Blobs above this enter by their own hash, so that what is signed is hashed once for the leaf and the row.
const SHORT_BLOB_MAX: usize = 64;

/// A digest under way.
pub(crate) struct RowDigest(Context);

impl RowDigest {
    pub fn of(table: &Table) -> RowDigest {
        let mut context = Context::new(&SHA256);
        context.update(b"chancery row 1\n");
        context.update(table.name.as_bytes());
        context.update(b"\n");
        RowDigest(context)
    }

    /// The next column.
    pub fn column(&mut self, value: Value<'_>) {
        match value {
            Value::Null => self.0.update(&[0]),
            Value::Int(n) => {
                self.0.update(&[1]);
                self.0.update(&n.to_be_bytes());
            }
            Value::Text(text) => self.sized(2, text.as_bytes()),
            Value::Blob(bytes) if bytes.len() <= SHORT_BLOB_MAX => self.sized(3, bytes),
            Value::Blob(bytes) => self.long_blob(&sha256(bytes)),
        }
    }

    /// The next column, a blob above [`SHORT_BLOB_MAX`] whose hash is known.
    fn long_blob(&mut self, hash: &[u8; 32]) {
        self.0.update(&[4]);
        self.0.update(hash);
    }

    /// The next column, a blob whose hash is known.
    pub fn hashed_blob(&mut self, bytes: &[u8], hash: &[u8; 32]) {
        if bytes.len() <= SHORT_BLOB_MAX { self.sized(3, bytes) } else { self.long_blob(hash) }
    }

    fn sized(&mut self, tag: u8, bytes: &[u8]) {
        self.0.update(&[tag]);
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    pub fn finish(self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(self.0.finish().as_ref());
        hash
    }
}

/// The digest of a row's columns, given without those that the leaf states.
pub(crate) fn row_digest<'a>(table: &Table, columns: impl IntoIterator<Item = Value<'a>>) -> [u8; 32] {
    let mut digest = RowDigest::of(table);
    for column in columns {
        digest.column(column);
    }
    digest.finish()
}
