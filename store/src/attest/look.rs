//! One look at the register, and as many as it takes.

use crate::nouns::error::StoreError;
use crate::sql::Sql;
use crate::truth::Node;

/// Looks at what others change all the time; then the caller is told to come back.
const LOOKS_MAX: usize = 64;
pub(super) const RETRY_AFTER_SECS: u32 = 1;

/// What one look found.
pub(super) enum Taken<T> {
    /// It is so.
    So(T),
    /// The register is ahead of this node, at this leaf: follow, and look again.
    Newer(u64),
    /// It is not what a node of ours wrote.
    Altered { place: String, says: String },
}

pub(super) fn altered<T>(place: impl Into<String>, says: impl Into<String>) -> Taken<T> {
    Taken::Altered { place: place.into(), says: says.into() }
}

/// Looks until the answer is settled.
pub(super) fn settled<T>(
    node: &Node,
    sql: &mut dyn Sql,
    mut look: impl FnMut(&Node, &mut dyn Sql) -> Result<Taken<T>, StoreError>,
) -> Result<T, StoreError> {
    for _ in 0..LOOKS_MAX {
        match look(node, sql)? {
            Taken::So(found) => return Ok(found),
            Taken::Newer(leaf) => {
                node.follow(sql, false)?;
                if node.head().size <= leaf {
                    return Err(refused(
                        node,
                        "register",
                        &format!("a row is of leaf {leaf}, beyond the end of the log"),
                    ));
                }
            }
            Taken::Altered { place, says } => return Err(refused(node, &place, &says)),
        }
    }
    Err(StoreError::Busy { retry_after_secs: RETRY_AFTER_SECS })
}

pub(super) fn refused(node: &Node, place: &str, says: &str) -> StoreError {
    node.alarm(place, says);
    StoreError::Altered(format!("{place}: {says}"))
}
