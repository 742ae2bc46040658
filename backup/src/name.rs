//! Names that we make, and which of them go.
//!
//! `chancery-ca.example-log-20261128T170000Z.age`: the log and the moment. What has another form is somebody else's,
//! and is never pruned.

use std::fmt;

use policy::Timestamp;

const PREFIX: &str = "chancery-";
const SUFFIX: &str = ".age";
/// What a file system takes has 255 bytes; the rest of a name has less than 60.
const LOG_CHARS_MAX: usize = 120;
/// `20261128T170000Z`.
const MOMENT_CHARS: usize = 16;

/// A name of ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    log: String,
    moment: String,
}

impl Name {
    /// For a backup of this log, of now.
    pub fn new(origin: &str, at: Timestamp) -> Name {
        let moment = at.rfc3339().chars().filter(|c| !matches!(c, '-' | ':')).collect();
        Name { log: plain(origin), moment }
    }

    /// Reads one; none where it is not one that was made here.
    pub fn parse(text: &str) -> Option<Name> {
        let inner = text.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
        let (log, moment) = inner.rsplit_once('-')?;
        let fits = moment.len() == MOMENT_CHARS
            && moment.bytes().enumerate().all(|(at, b)| match at {
                8 => b == b'T',
                15 => b == b'Z',
                _ => b.is_ascii_digit(),
            });
        let name = Name { log: log.to_owned(), moment: moment.to_owned() };
        (fits && name.to_string() == text && plain(log) == log).then_some(name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}-{}{SUFFIX}", self.log, self.moment)
    }
}

/// A log's name as a part of a file's name.
fn plain(origin: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
    origin.chars().take(LOG_CHARS_MAX).map(|c| if fits(c) { c } else { '-' }).collect()
}

/// What becomes of the names that lie in a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// These go.
    pub gone: Vec<String>,
    /// These are of later than the one that was just made. Whoever put them there: they count for nothing, and stay.
    pub ahead: Vec<String>,
    /// These were to go, and are there still.
    pub stay: Stay,
}

/// Names that could not be taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stay {
    /// So many, with those that were not tried.
    total: usize,
    /// Why, of the first of them.
    why: Vec<String>,
}

impl Stay {
    /// One more, and why.
    pub(crate) fn note(&mut self, why: impl fmt::Display) {
        self.total += 1;
        if self.why.len() < STAY_SHOWN_MAX {
            self.why.push(why.to_string());
        }
    }

    /// Further ones that were not tried.
    pub(crate) fn untried(&mut self, count: usize) {
        self.total += count;
    }

    /// In one line; none where all went.
    #[must_use]
    pub fn told(&self) -> Option<String> {
        let more = match self.total.saturating_sub(self.why.len()) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        (self.total > 0).then(|| format!("{}{more}", self.why.join("; ")))
    }
}

/// Which of these names go, the oldest first, where so many are kept and `made` is the one that was just made: of its log alone, never
/// itself, and none that another program made. Whoever can only put names there pushes out none by calling them later than now.
pub fn pruned<'a>(names: impl IntoIterator<Item = &'a str>, made: &Name, keep: usize) -> Pruned {
    let ours = names.into_iter().filter_map(Name::parse).filter(|name| name.log == made.log);
    let (ahead, mut known): (Vec<Name>, Vec<Name>) = ours.partition(|name| name.moment > made.moment);
    known.sort_by(|one, two| two.moment.cmp(&one.moment));
    let gone = known.iter().skip(keep.max(1)).filter(|name| *name != made);
    Pruned {
        gone: gone.rev().map(Name::to_string).collect(),
        ahead: ahead.iter().take(AHEAD_SHOWN_MAX).map(Name::to_string).collect(),
        stay: Stay::default(),
    }
}

/// The newest of our names, whatever the log, that is not of later than a moment; and those that are. What has a name is whole: it was given
/// last. Whoever can only put names into a place would have an older register put back by one of the future.
///
/// # Errors
/// In words: nothing is there, or nothing else.
pub(crate) fn newest(names: Vec<String>, now: Timestamp) -> Result<(String, Vec<String>), String> {
    let latest = Name::new("", now.plus_secs(CLOCKS_DIFFER_SECS));
    let ours = names.iter().filter_map(|name| Name::parse(name));
    let (mut ahead, known): (Vec<Name>, Vec<Name>) = ours.partition(|name| name.moment > latest.moment);
    ahead.sort_by(|one, two| two.moment.cmp(&one.moment));
    let ahead: Vec<String> = ahead.iter().take(AHEAD_SHOWN_MAX).map(Name::to_string).collect();
    match known.into_iter().max_by(|one, two| one.moment.cmp(&two.moment)) {
        Some(newest) => Ok((newest.to_string(), ahead)),
        None if ahead.is_empty() => Err("no backup lies there".to_owned()),
        None => Err(format!(
            "what lies there is named as of later than now: {}. Look whether this host's clock is right; to take one all the same, name \
             the file",
            ahead.join(", ")
        )),
    }
}

/// Another host's clock may be ahead of this one's by so much.
const CLOCKS_DIFFER_SECS: i64 = 300;
/// So many names of the future are named.
const AHEAD_SHOWN_MAX: usize = 10;
/// Of so many that could not be taken away it is said why.
const STAY_SHOWN_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn name(at: i64) -> String {
        Name::new("ca.example/log", Timestamp::from_unix(at)).to_string()
    }

    #[test]
    fn a_name_of_ours_is_known_again() {
        let name = name(1_790_000_000);
        assert_eq!(name, "chancery-ca.example-log-20260921T141320Z.age");
        assert_eq!(Name::parse(&name).unwrap().to_string(), name);
    }

    #[test]
    fn retention_takes_the_oldest_of_this_log_and_nothing_of_others() {
        let ours: Vec<String> = (0..5).map(|n| name(1_790_000_000 + n * 86_400)).collect();
        let other = Name::new("other/log", Timestamp::from_unix(1)).to_string();
        let foreign = [
            "chancery-ca.example-log-20200101T000000Z.age.bak",
            "chancery-ca.example-log-20200101T000000.age",
            "chancery-ca.example-log-2020-01-01.age",
            "chancery-ca.example/log-20200101T000000Z.age",
            "chancery-20200101T000000Z.age",
            "chancery-é-ca.example-log-20200101T000000Z.age",
            "notes.txt",
            "chancery.db",
        ];
        let all: Vec<&str> = ours.iter().map(String::as_str).chain([other.as_str()]).chain(foreign).collect();
        let made = Name::parse(&ours[4]).unwrap();
        assert_eq!(pruned(all.iter().copied(), &made, 2).gone, ours[..3], "the oldest first");
        // The last one never goes.
        assert_eq!(pruned(all, &made, 0).gone.len(), 4);
    }

    #[test]
    fn a_name_of_the_future_is_not_the_newest() {
        let now = Timestamp::from_unix(1_790_000_000);
        let taken = |names: &[String]| newest(names.to_vec(), now);
        let (past, soon, future) = (name(1_789_900_000), name(1_790_000_200), name(1_790_090_000));
        assert_eq!(taken(&[past.clone(), future.clone()]), Ok((past.clone(), vec![future.clone()])));
        assert_eq!(taken(&[past, soon.clone(), "notes".to_owned()]), Ok((soon, Vec::new())), "clocks differ a little");
        let refused = taken(std::slice::from_ref(&future)).unwrap_err();
        assert!(refused.contains(&future) && refused.contains("clock"), "{refused}");
        assert_eq!(taken(&["notes".to_owned()]), Err("no backup lies there".to_owned()));
    }

    #[test]
    fn names_of_the_future_push_out_nothing_and_stay() {
        let ours: Vec<String> = (0..3).map(|n| name(1_790_000_000 + n * 86_400)).collect();
        let future: Vec<String> = (1..=2).map(|n| name(4_070_908_800 + n * 86_400)).collect();
        let made = Name::parse(&ours[2]).unwrap();
        let all = || ours.iter().chain(&future).map(String::as_str);
        for keep in [0, 1, 2, 3, 100] {
            let Pruned { gone, ahead, stay } = pruned(all(), &made, keep);
            assert_eq!(stay.told(), None);
            assert_eq!(gone, ours[..3_usize.saturating_sub(keep.max(1))], "{keep}");
            assert_eq!(ahead, future, "{keep}");
        }
    }

    #[test]
    fn what_stays_is_told_together_and_not_for_ever() {
        let mut stay = Stay::default();
        (0..2).for_each(|n| stay.note(format!("b{n}: locked")));
        assert_eq!(stay.told().as_deref(), Some("b0: locked; b1: locked"));
        (2..STAY_SHOWN_MAX + 3).for_each(|n| stay.note(format!("b{n}: locked")));
        stay.untried(4);
        let told = stay.told().unwrap();
        assert!(told.contains("b4: locked") && !told.contains("b5") && told.ends_with("; and 7 more"), "{told}");
    }
}
