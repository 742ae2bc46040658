//! When API tokens end, of which the last administrator's locks everybody out; and which administrators have no second factor.

use policy::{Role, Timestamp};
use store::{Ledger, StoreError};

use super::factor::{Factor, factors};
use super::token::{KIND, Token};
use crate::observe::Ends;

/// Reads all tokens, since the last administrator's may stand behind any number of others that ended long ago. The caller keeps what it
/// is told for a while. One that somebody altered has its own alarm, and hides no other.
pub(crate) async fn ends(ledger: &Ledger, now: Timestamp) -> Result<Ends, StoreError> {
    let mut ends = Ends::default();
    let factors = factors(ledger).await?;
    for (_, record) in ledger.record_each(KIND).await? {
        let Ok(record) = record else { continue };
        let Ok(token) = Token::from_record(&record) else { continue };
        if token.revoked_at.is_some() || token.expires < now {
            continue;
        }
        ends.first = Some(ends.first.map_or(token.expires, |first| first.min(token.expires)));
        if token.body.roles.contains(&Role::Admin) {
            if !factors.get(&token.id).and_then(Option::as_ref).is_some_and(Factor::is_active) {
                ends.one_factor += 1;
                if ends.named.len() < NAMED_MAX {
                    ends.named.push(format!("{} ({})", token.body.name, token.id));
                }
            }
            ends.last_admin = ends.last_admin.max(Some((token.expires, token.expires.since(record.at))));
        }
    }
    Ok(ends)
}

/// So many are told by name; of the others, how many.
const NAMED_MAX: usize = 5;
