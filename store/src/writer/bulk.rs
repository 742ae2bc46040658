//! For the seeder (feature `testing`): operations in one transaction, by the very path that the writer's thread walks.

use tokio::sync::oneshot;

use super::item::{Item, Reply};
use super::transaction;
use crate::clock::Clock;
use crate::nouns::error::StoreError;
use crate::rows::Op;
use crate::sql::Sql;
use crate::truth::Node;

/// Writes all, or says why not; what is written is believed.
pub(crate) fn write_at_once(
    sql: &mut dyn Sql,
    node: &Node,
    clock: &Clock,
    ops: Vec<Op>,
) -> Result<Vec<Reply>, StoreError> {
    // With an answer, none is taken for a conclusion that was parked and may be there already.
    let items: Vec<Item> = ops.into_iter().map(|op| Item { op, answer: Some(oneshot::channel().0) }).collect();
    let done = transaction::run(sql, node, clock, &items).map_err(|failure| {
        sql.rollback();
        match failure {
            transaction::Failure::Before(error) | transaction::Failure::AtCommit { error, .. } => error.into(),
            transaction::Failure::Held(why) => StoreError::Held(why),
        }
    })?;
    let belief = done.belief;
    node.publish(belief.first, belief.tree, belief.leaves, belief.time)?;
    clock.learn(node);
    done.replies.into_iter().collect()
}
