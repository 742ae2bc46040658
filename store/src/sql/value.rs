//! What goes in and comes out: parameters, and rows that are taken apart.

use crate::nouns::error::StoreError;

/// A parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Blob(&'a [u8]),
}

impl Value<'_> {
    /// An index: they stay far below 2^63, at 30,000 a second for ten million years.
    pub(crate) fn index(n: u64) -> Value<'static> {
        Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
    }
}

/// A column of a row that was read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl Cell {
    pub(crate) fn as_value(&self) -> Value<'_> {
        match self {
            Cell::Null => Value::Null,
            Cell::Int(n) => Value::Int(*n),
            Cell::Text(s) => Value::Text(s),
            Cell::Blob(b) => Value::Blob(b),
        }
    }
}

/// A row that was read, taken apart from left to right.
#[derive(Debug)]
pub(crate) struct Row(std::vec::IntoIter<Cell>);

impl Row {
    pub(crate) fn new(cells: Vec<Cell>) -> Row {
        Row(cells.into_iter())
    }
    pub(crate) fn cells(self) -> Vec<Cell> {
        self.0.collect()
    }
    fn next(&mut self) -> Result<Cell, StoreError> {
        self.0.next().ok_or_else(|| StoreError::Corrupt("a row has too few columns".into()))
    }
    pub(crate) fn int(&mut self) -> Result<i64, StoreError> {
        self.opt_int()?.ok_or_else(|| StoreError::Corrupt("NULL where a number belongs".into()))
    }
    pub(crate) fn opt_int(&mut self) -> Result<Option<i64>, StoreError> {
        match self.next()? {
            Cell::Int(n) => Ok(Some(n)),
            Cell::Null => Ok(None),
            Cell::Text(_) | Cell::Blob(_) => Err(StoreError::Corrupt("not a number where one belongs".into())),
        }
    }
    /// A number that is never negative: an index, a size, an operation.
    pub(crate) fn index(&mut self) -> Result<u64, StoreError> {
        let n = self.int()?;
        u64::try_from(n).map_err(|_| StoreError::Corrupt(format!("negative number {n} where an index belongs")))
    }
    pub(crate) fn text(&mut self) -> Result<String, StoreError> {
        self.opt_text()?.ok_or_else(|| StoreError::Corrupt("NULL where a text belongs".into()))
    }
    pub(crate) fn opt_text(&mut self) -> Result<Option<String>, StoreError> {
        match self.next()? {
            Cell::Text(s) => Ok(Some(s)),
            Cell::Null => Ok(None),
            Cell::Int(_) | Cell::Blob(_) => Err(StoreError::Corrupt("not a text where one belongs".into())),
        }
    }
    pub(crate) fn blob(&mut self) -> Result<Vec<u8>, StoreError> {
        self.opt_blob()?.ok_or_else(|| StoreError::Corrupt("NULL where bytes belong".into()))
    }
    pub(crate) fn opt_blob(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        match self.next()? {
            Cell::Blob(b) => Ok(Some(b)),
            Cell::Null => Ok(None),
            Cell::Int(_) | Cell::Text(_) => Err(StoreError::Corrupt("not bytes where they belong".into())),
        }
    }
    pub(crate) fn hash(&mut self) -> Result<[u8; 32], StoreError> {
        let bytes = self.blob()?;
        bytes.try_into().map_err(|_| StoreError::Corrupt("a hash is not 32 bytes".into()))
    }
}
