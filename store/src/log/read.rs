//! Reading the log: tiles, entry bundles, roots of earlier sizes, proofs.

use std::collections::HashMap;

use super::merkle::{Hash, fold_edge, tile_root};
use super::tile::{TILE_HEIGHT, TILE_WIDTH};
use crate::nouns::error::StoreError;
use crate::sql::{Sql, Value};

/// Wider than any entry may be: an entry states its length in two bytes.
const ENTRY_BYTES_MAX: usize = 65_535;

/// A tile of `width` hashes, or nothing where the log does not reach.
pub(crate) fn tile(sql: &mut dyn Sql, level: u8, n: u64, width: u16) -> Result<Option<Vec<u8>>, StoreError> {
    if width == 0 || width > TILE_WIDTH {
        return Ok(None);
    }
    if let Some(mut hashes) = full_tile(sql, level, n)? {
        hashes.truncate(usize::from(width) * 32);
        return Ok(Some(hashes));
    }
    let Some((from, to)) = span(n, width) else { return Ok(None) };
    let range = [Value::Int(from), Value::Int(to)];
    let rows = if level == 0 {
        sql.query("SELECT hash FROM leaf WHERE idx >= $1 AND idx < $2 ORDER BY idx", &range)?
    } else {
        let below = [Value::Int(i64::from(level) - 1), Value::Int(from), Value::Int(to)];
        sql.query("SELECT root FROM tile WHERE level = $1 AND n >= $2 AND n < $3 ORDER BY n", &below)?
    };
    if rows.len() != usize::from(width) {
        return Ok(None);
    }
    let mut hashes = Vec::with_capacity(rows.len() * 32);
    for mut row in rows {
        hashes.extend_from_slice(&row.hash()?);
    }
    Ok(Some(hashes))
}

fn full_tile(sql: &mut dyn Sql, level: u8, n: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let Ok(n) = i64::try_from(n) else { return Ok(None) };
    let key = [Value::Int(level.into()), Value::Int(n)];
    let rows = sql.query("SELECT hashes FROM tile WHERE level = $1 AND n = $2", &key)?;
    let hashes = rows.into_iter().next().map(|mut row| row.blob()).transpose()?;
    match hashes {
        Some(hashes) if hashes.len() != usize::from(TILE_WIDTH) * 32 => {
            Err(StoreError::Corrupt(format!("tile level={level} n={n} is not 256 hashes")))
        }
        hashes => Ok(hashes),
    }
}

/// The bundle of the leaves of a level-0 tile: each with its length in two bytes before it.
pub(crate) fn entries(sql: &mut dyn Sql, n: u64, width: u16) -> Result<Option<Vec<u8>>, StoreError> {
    if width == 0 || width > TILE_WIDTH {
        return Ok(None);
    }
    let Some((from, to)) = span(n, width) else { return Ok(None) };
    let range = [Value::Int(from), Value::Int(to)];
    let rows = sql.query("SELECT bytes FROM leaf WHERE idx >= $1 AND idx < $2 ORDER BY idx", &range)?;
    if rows.len() != usize::from(width) {
        return Ok(None);
    }
    let mut bundle = Vec::new();
    for mut row in rows {
        let leaf = row.blob()?;
        let length = u16::try_from(leaf.len().min(ENTRY_BYTES_MAX + 1));
        let length = length.map_err(|_| StoreError::Corrupt("a leaf is longer than an entry may be".into()))?;
        bundle.extend_from_slice(&length.to_be_bytes());
        bundle.extend_from_slice(&leaf);
    }
    Ok(Some(bundle))
}

/// The first hash of a tile and the one after its last, where such a tile can exist.
fn span(n: u64, width: u16) -> Option<(i64, i64)> {
    let from = i64::try_from(n).ok()?.checked_mul(TILE_WIDTH.into())?;
    Some((from, from.checked_add(width.into())?))
}

/// What answers a tile of so many hashes (level, number, width), or nothing where the log does not reach.
pub(crate) type Tiles<'a> = dyn FnMut(u8, u64, u16) -> Result<Option<Vec<u8>>, StoreError> + 'a;

/// The hashes of the tree, fetched by tile and kept for one question.
pub(crate) struct TileSource<'a> {
    tiles: &'a mut Tiles<'a>,
    size: u64,
    kept: HashMap<(u8, u64), Vec<Hash>>,
}

impl<'a> TileSource<'a> {
    /// The tree as it was at `size`.
    pub fn new(tiles: &'a mut Tiles<'a>, size: u64) -> TileSource<'a> {
        TileSource { tiles, size, kept: HashMap::new() }
    }

    /// The root of the perfect subtree of `2^height` leaves that begins at leaf `start`.
    fn perfect(&mut self, start: u64, height: u32) -> Result<Hash, StoreError> {
        let level = (height / TILE_HEIGHT) as u8;
        let (first, count) = (start >> (TILE_HEIGHT * u32::from(level)), 1_usize << (height % TILE_HEIGHT));
        let (n, at) = (first / u64::from(TILE_WIDTH), (first % u64::from(TILE_WIDTH)) as usize);
        if !self.kept.contains_key(&(level, n)) {
            let there = (self.size >> (TILE_HEIGHT * u32::from(level))) - n * u64::from(TILE_WIDTH);
            let width = there.min(TILE_WIDTH.into()) as u16;
            let bytes = (self.tiles)(level, n, width)?.ok_or_else(|| missing(level, n))?;
            let hashes = bytes.chunks_exact(32).filter_map(|hash| hash.try_into().ok()).collect();
            self.kept.insert((level, n), hashes);
        }
        let hashes = self.kept.get(&(level, n)).and_then(|hashes| hashes.get(at..at + count));
        hashes.map(tile_root).ok_or_else(|| missing(level, n))
    }

    /// RFC 6962 section 2.1: the root over leaves `start..end`, `start` on a boundary of its largest subtree.
    fn subtree(&mut self, start: u64, end: u64) -> Result<Hash, StoreError> {
        let mut edge = Vec::new();
        let mut at = start;
        while at < end {
            let height = (end - at).ilog2();
            edge.push(self.perfect(at, height)?);
            at += 1 << height;
        }
        Ok(fold_edge(&edge))
    }
}

fn missing(level: u8, n: u64) -> StoreError {
    StoreError::Corrupt(format!("the log's tile level={level} n={n} is not there"))
}

/// RFC 6962 section 2.1.1: the audit path of leaf `index` in the tree of `size` leaves, from the leaf up.
pub(crate) fn inclusion_proof(sql: &mut dyn Sql, index: u64, size: u64) -> Result<Vec<Hash>, StoreError> {
    inclusion_proof_by(&mut |level, n, width| tile(sql, level, n, width), index, size)
}

/// The same, of tiles from wherever they are.
pub(crate) fn inclusion_proof_by<'a>(tiles: &'a mut Tiles<'a>, index: u64, size: u64) -> Result<Vec<Hash>, StoreError> {
    let mut source = TileSource::new(tiles, size);
    let (mut start, mut end) = (0, size);
    let mut path = Vec::new();
    while end - start > 1 {
        // k is the largest power of two smaller than n.
        let split = start + (1 << (end - start - 1).ilog2());
        if index < split {
            path.push(source.subtree(split, end)?);
            end = split;
        } else {
            path.push(source.subtree(start, split)?);
            start = split;
        }
    }
    path.reverse();
    Ok(path)
}
