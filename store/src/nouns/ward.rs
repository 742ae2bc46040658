//! What the register knows of secrets without opening their records: when they end, who reads them. For eyes, lists and counts; nothing is
//! decided by it.

use policy::Timestamp;

/// A secret that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ward {
    /// Its path and which life of that: `path@life`.
    pub id: String,
    /// Whose it is.
    pub owner: String,
    /// When its current version ends.
    pub ends: Option<Timestamp>,
    /// When it was read last; where it never was, when it was made.
    pub seen: Timestamp,
    /// Since when a version waits as `pending`, where no rotation is at work.
    pub pending: Option<Timestamp>,
    /// Who read it last, and the leaf that says so; none where nobody did.
    pub read: Option<(String, u64)>,
}

impl Ward {
    /// Its path.
    pub fn path(&self) -> &str {
        self.id.rsplit_once('@').map_or(&self.id, |(path, _)| path)
    }
}

/// That somebody read a secret: of the newest hour in which he did, the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The secret's path and life.
    pub id: String,
    /// Who.
    pub reader: String,
    /// The leaf that says so.
    pub leaf: u64,
    /// When.
    pub at: Timestamp,
}

/// By what secrets are sought, and which comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WardBy {
    /// By the end of their current version; those without an end are none of these.
    Ends,
    /// By when they were read last, or made.
    Seen,
    /// By since when a version is pending; the others are none of these.
    Pending,
}

/// Which secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WardFilter {
    /// Of this owner.
    pub owner: Option<String>,
    /// By what.
    pub by: WardBy,
    /// From this moment on.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub before: Timestamp,
    /// Where the last page ended: the moment and the id of its last one.
    pub after: Option<(Timestamp, String)>,
    /// How many, at most 1000.
    pub limit: usize,
}

/// So many are counted one by one; whoever hears this number knows that there are as many at least.
pub const WARDS_COUNTED_MAX: u64 = 10_000;

/// Of a name of a value, `path@life.number`: the path and its life, which readings are counted for. None of other sealed records.
pub(crate) fn of_value(id: &str) -> Option<&str> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (subject, number) = id.rsplit_once('.')?;
    let (path, life) = subject.rsplit_once('@')?;
    (!path.is_empty() && is_number(life) && is_number(number)).then_some(subject)
}

/// Whether an action shows somebody what a secret is: opening it in order to write its next version does not.
pub(crate) fn is_reading(action: &str) -> bool {
    action.starts_with("read-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_of_a_path_and_its_life() {
        for (id, subject) in [
            ("prod/db@1.7", Some("prod/db@1")),
            ("a@b.c/d@12.345", Some("a@b.c/d@12")),
            ("kept@1", None),
            ("head-key", None),
            ("a.b", None),
            ("@1.2", None),
            ("a@.2", None),
            ("a@1.", None),
            ("a@x.1", None),
        ] {
            assert_eq!(of_value(id), subject, "{id}");
        }
        assert!(is_reading("read-secret") && !is_reading("write-secret"));
    }
}
