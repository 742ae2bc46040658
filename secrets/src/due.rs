//! When something is to be done next with a record, as the second key by which it is found: who works follows what is due, and looks at
//! nothing else.
//!
//! `a` or `b`, twenty digits and the record's name: `a` stands for what somebody should look at. Letters and digits stand in one order in
//! every database.

use store::RecordFilter;

/// The second key of a record; without a time it is never due.
pub(crate) fn key(is_troubled: bool, due: Option<u64>, name: &str) -> String {
    format!("{}{:020} {name}", class(is_troubled), due.unwrap_or(u64::MAX))
}

/// Those of one class that are due by a time, beginning after a key; the first due first.
pub(crate) fn by(is_troubled: bool, now: u64, after: Option<String>, limit: usize) -> RecordFilter {
    let class = class(is_troubled);
    let above = after.unwrap_or_else(|| class.to_string());
    RecordFilter {
        between: Some((above, format!("{class}{:020}", now.saturating_add(1)))),
        limit,
        ..RecordFilter::default()
    }
}

/// The first of one class that is due after a time.
pub(crate) fn next(is_troubled: bool, now: u64) -> RecordFilter {
    let class = class(is_troubled);
    let (above, below) = (format!("{class}{:020}", now.saturating_add(1)), format!("{class}{:020}", u64::MAX));
    RecordFilter { between: Some((above, below)), limit: 1, ..RecordFilter::default() }
}

/// Those that somebody should look at.
pub(crate) fn troubled(limit: usize) -> RecordFilter {
    let (above, below) = (class(true).to_string(), class(false).to_string());
    RecordFilter { between: Some((above, below)), limit, ..RecordFilter::default() }
}

/// All that stand, beginning after a key.
pub(crate) fn all(after: Option<String>, limit: usize) -> RecordFilter {
    let (above, below) = (after.unwrap_or_else(|| class(true).to_string()), "c".to_owned());
    RecordFilter { between: Some((above, below)), limit, ..RecordFilter::default() }
}

/// The time in a key.
pub(crate) fn time_of(key: &str) -> Option<u64> {
    key.get(1..21).and_then(|digits| digits.parse().ok()).filter(|time| *time != u64::MAX)
}

fn class(is_troubled: bool) -> char {
    if is_troubled { 'a' } else { 'b' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_stands_between_the_two_and_nothing_else_does() {
        let is_in = |filter: &RecordFilter, key: &str| {
            let (above, below) = filter.between.as_ref().unwrap();
            above.as_str() < key && key < below.as_str()
        };
        for troubled in [false, true] {
            let due = by(troubled, 1_000, None, 10);
            for (at, is_due) in
                [(Some(0), true), (Some(999), true), (Some(1_000), true), (Some(1_001), false), (None, false)]
            {
                let key = key(troubled, at, "prod/db");
                assert_eq!(is_in(&due, &key), is_due, "{at:?}");
                assert_eq!(is_in(&next(troubled, 1_000), &key), at == Some(1_001), "{at:?}");
                assert_eq!(is_in(&super::troubled(10), &key), troubled);
                assert!(is_in(&all(None, 10), &key) && !is_in(&by(!troubled, 1_000, None, 10), &key));
                assert_eq!(time_of(&key), at);
            }
        }
        // A page goes on behind the last of the one before.
        let last = key(false, Some(7), "prod/a");
        assert!(!is_in(&by(false, 1_000, Some(last.clone()), 10), &last));
        assert!(is_in(&by(false, 1_000, Some(last), 10), &key(false, Some(7), "prod/b")));
    }
}
