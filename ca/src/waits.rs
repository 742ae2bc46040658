//! What waits for somebody until it expires: records of a kind, found by when that is.
//!
//! A record stays for ever, and one for which nobody came is never written again. So what waits is not what nobody did: it is looked
//! for in the two spans, each as long as the longest wait, in which it expires, and costs the same whatever expired before.

use policy::Timestamp;
use store::{Attested, Ledger, RecordFilter, StoreError, StoredRecord};

use crate::listed::Listed;

/// The second key of what waits until then, of a kind that waits for so long at most.
pub(crate) fn until(expires: Timestamp, longest_secs: i64) -> String {
    span(expires.unix().div_euclid(longest_secs))
}

/// The second keys of all that may wait now.
pub(crate) fn from(now: Timestamp, longest_secs: i64) -> Vec<Option<String>> {
    let first = now.unix().div_euclid(longest_secs);
    [first, first + 1].map(|number| Some(span(number))).into()
}

fn span(number: i64) -> String {
    format!("waits/{number}")
}

/// A page of a kind, of what has one of these second keys, by id.
pub(crate) async fn page(
    ledger: &Ledger,
    kind: &str,
    (lookups, after): (Vec<Option<String>>, Option<String>),
    most: usize,
) -> Result<Listed<Attested<StoredRecord>>, StoreError> {
    let mut page = Vec::new();
    for lookup in lookups {
        let asked = RecordFilter { lookup, after: after.clone(), limit: most, ..RecordFilter::default() };
        page.extend(ledger.record_page(kind, asked).await?);
    }
    page.sort_by(|one, other| one.id.cmp(&other.id));
    page.truncate(most);
    Ok(Listed::of(page, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_waits_is_looked_for_from_its_first_moment_to_its_last() {
        const LONGEST: i64 = 3_600;
        for begins in (1_790_000_000..1_790_008_000).step_by(7) {
            let key = Some(until(Timestamp::from_unix(begins + LONGEST), LONGEST));
            for now in [begins, begins + 1, begins + LONGEST / 2, begins + LONGEST] {
                assert!(from(Timestamp::from_unix(now), LONGEST).contains(&key), "{begins} {now}");
            }
            assert!(!from(Timestamp::from_unix(begins + 2 * LONGEST + 1), LONGEST).contains(&key), "{begins}");
        }
    }
}
