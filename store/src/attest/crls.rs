//! CRLs, whose bytes lie beside their intents.

use hsm::Algorithm;

use super::attested::Attested;
use super::credentials::credential;
use super::look::refused;
use crate::forms::object::{self, ObjectDigest};
use crate::nouns::credential::Crl;
use crate::nouns::error::StoreError;
use crate::queries;
use crate::sql::Sql;
use crate::truth::Node;

/// A signed CRL with its bytes; none where there is no such CRL, or where a newer one has taken its place.
pub(crate) fn crl(node: &Node, sql: &mut dyn Sql, operation: u64) -> Result<Option<Attested<Crl>>, StoreError> {
    let Some(Attested(credential)) = credential(node, sql, operation)? else { return Ok(None) };
    let Ok(issued) = credential.signed() else { return Ok(None) };
    let mut tbs = Vec::new();
    match object_says(node, sql, operation, (issued.algorithm, &issued.tbs), &mut |chunk| tbs.extend_from_slice(chunk))?
    {
        None => Ok(Some(Attested(Crl::new(issued, tbs.into())))),
        Some(_) if !node.fold(|fold, _| fold.keeps(operation)) => Ok(None),
        Some(says) => Err(refused(node, &object::place(operation), says)),
    }
}

/// What is wrong with the bytes of a CRL that the register should keep; they are handed over a chunk at a time. What is not
/// there any more because a newer CRL was signed is wrong here too: the fold tells, which has followed by then.
pub(crate) fn object_says(
    node: &Node,
    sql: &mut dyn Sql,
    operation: u64,
    (algorithm, digest): (Algorithm, &[u8]),
    each: &mut dyn FnMut(&[u8]),
) -> Result<Option<&'static str>, StoreError> {
    let mut read = ObjectDigest::of(algorithm);
    let chunks = queries::object(sql, operation, &mut |chunk| {
        read.update(chunk);
        each(chunk);
    })?;
    if read.is(digest) {
        return Ok(None);
    }
    node.follow(sql, false)?;
    Ok(Some(if chunks == 0 { "its bytes were deleted" } else { "its bytes are not those of its intent's digest" }))
}
