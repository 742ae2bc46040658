//! The log for whoever verifies it: heads, tiles, entries, proofs, an export.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use hsm::Key;

use super::base::Ledger;
use crate::export::{self, Exported};
use crate::log::{self, Head, TILE_WIDTH};
use crate::nouns::error::StoreError;
use crate::queries;
use crate::reader::Lane;
use crate::register::SignedHead;
use crate::sql::Sql;
use crate::truth::{self, TileAt};

/// No log is ever this long; a larger number is a mistake of the caller's.
const PROOF_SIZE_MAX: u64 = 1 << 62;

impl Ledger {
    /// The log's head as this node knows it.
    pub fn head(&self) -> Head {
        self.register().node.head()
    }

    /// The newest head that this node signed or saw signed since it started, without a question to the database.
    pub fn signed_head(&self) -> Option<SignedHead> {
        self.register().signed().clone()
    }

    /// The newest checkpoint, a signed note: the one in memory; before there is one, the register's.
    pub async fn checkpoint(&self) -> Result<Option<String>, StoreError> {
        match self.signed_head() {
            Some(head) => Ok(Some(head.note.as_ref().to_owned())),
            None => self.register().ask(Lane::Request, |sql| Ok(queries::checkpoint(sql)?.map(|(_, note)| note))).await,
        }
    }

    /// A tile of hashes, `width` of them (256 is a full tile); none where the log does not reach. From memory where it is
    /// unfinished or was read lately; else the database's, if the tree in memory proves it. What lies just beyond the end is looked for
    /// once: another node may have signed it.
    pub async fn tile(&self, level: u8, n: u64, width: u16) -> Result<Option<Bytes>, StoreError> {
        if !(1..=TILE_WIDTH).contains(&width) {
            return Ok(None);
        }
        let node = Arc::clone(&self.register().node);
        let mut at = truth::tile_at(&node, level, n, width);
        if matches!(at, TileAt::Nowhere)
            && let Some(leaves) = log::leaves_under(level, n, width)
            && self.register().follow_for(leaves).await?
        {
            at = truth::tile_at(&node, level, n, width);
        }
        match at {
            TileAt::Memory(bytes) => Ok(Some(bytes)),
            TileAt::Nowhere => Ok(None),
            TileAt::Database => {
                self.register().ask(Lane::Request, move |sql| truth::tile(&node, sql, level, n, width)).await.map(Some)
            }
        }
    }

    /// A bundle of leaves, `width` of them (256 is a full one); none where the log does not reach.
    pub async fn entries(&self, n: u64, width: u16) -> Result<Option<Vec<u8>>, StoreError> {
        self.register().ask(Lane::Request, move |sql| log::entries(sql, n, width)).await
    }

    /// Leaves with their indexes, at most 1000 from the range's start.
    pub async fn leaves(&self, range: Range<u64>) -> Result<Vec<(u64, String)>, StoreError> {
        self.register().ask(Lane::Request, move |sql| queries::leaves(sql, range.start, range.end)).await
    }

    /// How many leaves the register has, whatever this node knows of it: while it is held, what there is to read.
    pub async fn size_there(&self) -> Result<u64, StoreError> {
        self.register().ask(Lane::Request, |sql| Ok(queries::head(sql)?.size)).await
    }

    /// RFC 6962 audit path of a leaf in the tree of `size` leaves; none where `index < size <= head` does not hold.
    pub async fn inclusion_proof(&self, index: u64, size: u64) -> Result<Option<Vec<[u8; 32]>>, StoreError> {
        if index >= size || size > PROOF_SIZE_MAX {
            return Ok(None);
        }
        let proof = move |sql: &mut dyn Sql| {
            if size > queries::head(sql)?.size {
                return Ok(None);
            }
            log::inclusion_proof(sql, index, size).map(Some)
        };
        self.register().ask(Lane::Request, proof).await
    }

    /// Writes the log and its rows, up to the newest checkpoint, into a new folder that [`verify`](fn@crate::verify) reads
    /// without a database. LEAF.md has its layout.
    pub async fn export(&self, dir: &Path) -> Result<Exported, StoreError> {
        let dir = dir.to_owned();
        self.register().ask(Lane::Report, move |sql| export::export(sql, &dir)).await
    }

    /// The C2SP verifier key string of the log key.
    pub fn verifier_key(&self, log_key: &Key) -> Result<String, StoreError> {
        log::verifier_key(self.origin(), log_key.algorithm(), log_key.spki_der())
    }
}
