//! A leaf, proved by the tree in memory: the path from its bytes up the stored tiles to hashes that this node holds itself.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;

use super::node::Node;
use crate::forms::leaf::Leaf;
use crate::log::{Hash, TILE_WIDTH, Tree, leaf_hash, partial_width, tile_root};
use crate::nouns::error::StoreError;
use crate::sql::{Sql, Value};

/// Levels of a log of any length.
const LEVELS: u8 = 8;

/// The leaf of this index, or what is wrong with the register's.
pub(crate) fn leaf(node: &Node, sql: &mut dyn Sql, index: u64) -> Result<Result<Leaf, String>, StoreError> {
    let rows = sql.query("SELECT bytes FROM leaf WHERE idx = $1", &[Value::index(index)])?;
    let Some(mut row) = rows.into_iter().next() else { return Ok(Err(format!("leaf {index} is missing"))) };
    let Ok(bytes) = row.blob() else { return Ok(Err(format!("leaf {index} is no text"))) };
    let proved = match proved_hash(node, sql, 0, index)? {
        Ok(hash) => hash,
        Err(why) => return Ok(Err(why)),
    };
    if leaf_hash(&bytes) != proved {
        return Ok(Err(format!("leaf {index} is not the one in the log")));
    }
    Ok(Leaf::parse(&bytes).map_err(|why| format!("leaf {index}: {why}")))
}

/// The hash at a place of the tree, or what is wrong with the tiles that lead there.
pub(crate) fn proved_hash(
    node: &Node,
    sql: &mut dyn Sql,
    level: u8,
    index: u64,
) -> Result<Result<Hash, String>, StoreError> {
    match node.unfinished(level, index) {
        Ok(Some(hash)) => return Ok(Ok(hash)),
        Ok(None) => {}
        Err(why) => return Ok(Err(why)),
    }
    let (n, at) = (index / u64::from(TILE_WIDTH), (index % u64::from(TILE_WIDTH)) as usize);
    let tile = proved_tile(node, sql, level, n)?;
    Ok(tile.and_then(|tile| tile.get(at).copied().ok_or_else(|| place(level, n))))
}

/// The root over the first `size` leaves of this node's tree, or what is wrong with the tiles that lead there.
pub(crate) fn root_at(node: &Node, sql: &mut dyn Sql, size: u64) -> Result<Result<Hash, String>, StoreError> {
    let mut partial = Vec::with_capacity(usize::from(LEVELS));
    for level in 0..LEVELS {
        let width = u64::from(partial_width(size, level));
        let end = size.checked_shr(8 * u32::from(level)).unwrap_or(0);
        let mut hashes = Vec::new();
        for index in end - width..end {
            match proved_hash(node, sql, level, index)? {
                Ok(hash) => hashes.push(hash),
                Err(why) => return Ok(Err(why)),
            }
        }
        partial.push(hashes);
    }
    Ok(Tree::from_partial(size, partial).map(|tree| tree.root()).map_err(|error| error.to_string()))
}

/// A finished tile.
fn proved_tile(node: &Node, sql: &mut dyn Sql, level: u8, n: u64) -> Result<Result<Arc<[Hash]>, String>, StoreError> {
    if let Some(tile) = kept(node, level, n) {
        return Ok(Ok(tile));
    }
    let there = place(level, n);
    if level + 1 >= LEVELS {
        return Ok(Err(format!("{there} is beyond any log")));
    }
    let Some(hashes) = read_tile(sql, level, n)? else { return Ok(Err(format!("{there} is missing"))) };
    Ok(match proved_hash(node, sql, level + 1, n)? {
        Ok(root) if root == tile_root(&hashes) => Ok(keep(node, level, n, hashes)),
        Ok(_) => Err(format!("{there} is not the one in the log")),
        Err(why) => Err(why),
    })
}

fn place(level: u8, n: u64) -> String {
    format!("tile level={level} n={n}")
}

/// Where a tile that the public asks for is.
pub(crate) enum TileAt {
    /// Part of the tree in memory, or kept since it was proved.
    Memory(Bytes),
    /// Finished, and in the database.
    Database,
    /// Beyond the end of the log.
    Nowhere,
}

/// Looks for the first `width` hashes of a tile without a question to the database.
pub(crate) fn tile_at(node: &Node, level: u8, n: u64, width: u16) -> TileAt {
    let Some(first) = n.checked_mul(TILE_WIDTH.into()) else { return TileAt::Nowhere };
    let mut bytes = Vec::with_capacity(usize::from(width.min(TILE_WIDTH)) * 32);
    for index in first..first.saturating_add(width.into()) {
        match node.unfinished(level, index) {
            Ok(Some(hash)) => bytes.extend_from_slice(&hash),
            // It is finished, or was while we looked.
            Ok(None) => {
                return kept(node, level, n).map_or(TileAt::Database, |tile| TileAt::Memory(shared(tile, width)));
            }
            Err(_beyond) => return TileAt::Nowhere,
        }
    }
    TileAt::Memory(bytes.into())
}

/// The first `width` hashes of a finished tile, proved by the tree in memory.
pub(crate) fn tile(node: &Node, sql: &mut dyn Sql, level: u8, n: u64, width: u16) -> Result<Bytes, StoreError> {
    match proved_tile(node, sql, level, n)? {
        Ok(tile) => Ok(shared(tile, width)),
        Err(why) => {
            node.alarm("log", &why);
            Err(StoreError::Altered(why))
        }
    }
}

/// A tile that is kept, as bytes, without a copy.
fn shared(tile: Arc<[Hash]>, width: u16) -> Bytes {
    struct Held(Arc<[Hash]>);
    impl AsRef<[u8]> for Held {
        fn as_ref(&self) -> &[u8] {
            self.0.as_flattened()
        }
    }
    let bytes = Bytes::from_owner(Held(tile));
    bytes.slice(..bytes.len().min(usize::from(width) * 32))
}

fn read_tile(sql: &mut dyn Sql, level: u8, n: u64) -> Result<Option<Vec<Hash>>, StoreError> {
    let rows =
        sql.query("SELECT hashes FROM tile WHERE level = $1 AND n = $2", &[Value::Int(level.into()), Value::index(n)])?;
    let Some(mut row) = rows.into_iter().next() else { return Ok(None) };
    let bytes = row.blob()?;
    let hashes: Vec<Hash> = bytes.chunks_exact(32).filter_map(|hash| hash.try_into().ok()).collect();
    Ok(Some(hashes).filter(|hashes| hashes.len() == usize::from(TILE_WIDTH)))
}

fn kept(node: &Node, level: u8, n: u64) -> Option<Arc<[Hash]>> {
    node.tiles.lock().unwrap_or_else(PoisonError::into_inner).get(level, n)
}

fn keep(node: &Node, level: u8, n: u64, hashes: Vec<Hash>) -> Arc<[Hash]> {
    let tile: Arc<[Hash]> = hashes.into();
    node.tiles.lock().unwrap_or_else(PoisonError::into_inner).put(level, n, Arc::clone(&tile));
    tile
}
