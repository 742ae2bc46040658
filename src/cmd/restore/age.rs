//! Which backup of its log one is: held against the heads that this place keeps, against its own name, and against the last one that the log
//! has.
//!
//! The signed head in a backup proves whose history it is, and not that it is the newest. Whoever may write into the place where backups lie
//! needs no key to copy an older one over a newer one's name, or to take the newer ones away: an owner that was withdrawn and a policy that was
//! narrowed would come back with it, each of them proved. So what this place knows of a longer log is said before its files are written.
//!
//! Trusted for: what is here knows of. On a host that knows nothing of the log somebody has to know how old its newest backup is.

use std::path::Path;

use backup::{Last, Name};
use policy::Timestamp;
use store::{Kept, Manifest};

use super::settings::line;
use crate::config::Config;
use crate::failure::{Failure, OrFail};

/// The heads that the node of this configuration keeps; none where none is named.
pub fn known(config: Option<&Config>) -> Result<Vec<Kept>, Failure> {
    let known = config.map(|config| Kept::in_folder(&config.log_state)).transpose();
    Ok(known.or_fail("what this node kept cannot be read")?.unwrap_or_default())
}

/// The head of a longer log than the backup's that this place keeps; of several the longest.
pub fn newer<'a>(known: &'a [Kept], manifest: &Manifest) -> Option<&'a Kept> {
    known.iter().filter(|kept| kept.size > manifest.size).max_by_key(|kept| kept.size)
}

/// What is looked at where this place knows a longer log. Nothing of what it knows itself, which grows until the next command.
pub fn asked(manifest: &Manifest) -> String {
    format!(
        "age = {}; this place knows a longer log: what was changed since (policies, owners, [login]) is not in it",
        told(manifest)
    )
}

/// How old it is.
pub fn told(manifest: &Manifest) -> String {
    format!("{} entries of the log, taken {}", manifest.size, line(&manifest.taken))
}

/// Why it is not the backup that its name says, where that is one that `chancery backup` gives; `named`: where it lies.
pub fn renamed(named: &str, manifest: &Manifest) -> Option<String> {
    let name = Name::parse(named.rsplit('/').next().unwrap_or(named))?;
    let own = Timestamp::parse_rfc3339(&manifest.taken).ok().map(|at| Name::new(&manifest.origin, at));
    let is_own = own.as_ref() == Some(&name);
    (!is_own).then(|| {
        format!(
            "the backup: it lies there as {name}, and is one of {}, taken {}: somebody put it under another's name",
            line(&manifest.origin),
            line(&manifest.taken)
        )
    })
}

/// Why the newest of a folder is not the last one that went there, by the log; `named`: where it lies.
pub fn behind(named: &str, size: u64, last: &Last) -> Option<String> {
    let is_older = last.size > size && folder(named).is_some() && folder(named) == folder(&last.place);
    is_older.then(|| {
        format!(
            "the backup: the log has a later one, of {} entries, taken {}, as {}: it is not there any more, or another lies under its name",
            last.size, last.taken, last.place
        )
    })
}

/// The folder or the prefix that something lies in.
fn folder(named: &str) -> Option<String> {
    let (folder, _) = named.rsplit_once('/')?;
    let found = Path::new(folder).canonicalize().ok().map(|path| path.display().to_string());
    Some(found.unwrap_or_else(|| folder.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(taken: &str) -> Manifest {
        Manifest {
            chancery_backup: 1,
            program: "0.1.0".to_owned(),
            taken: taken.to_owned(),
            origin: "ca.example/log".to_owned(),
            size: 97,
            root: String::new(),
            checkpoint: None,
            engine: "sqlite".to_owned(),
            schema: Vec::new(),
        }
    }

    #[test]
    fn a_backup_under_anothers_name_is_told_by_when_it_was_taken() {
        let own = manifest("2026-09-21T14:13:20Z");
        let name = "chancery-ca.example-log-20260921T141320Z.age";
        for named in [name.to_owned(), format!("/srv/backup/{name}"), format!("s3://vault/{name}"), "b.age".to_owned()]
        {
            assert_eq!(renamed(&named, &own), None, "{named}");
        }
        let newer = format!("/srv/{}", name.replace("141320", "151320"));
        let said = renamed(&newer, &own).expect("it is said");
        assert!(said.contains("20260921T151320Z") && said.contains("taken 2026-09-21T14:13:20Z"), "{said}");
        assert!(renamed(&format!("/srv/{}", name.replace("example", "other")), &own).is_some(), "another log's");
        assert!(renamed(name, &manifest("yesterday\n")).is_some_and(|said| !said.contains('\n')));
    }

    #[test]
    fn the_newest_that_lies_there_is_held_against_the_last_one_that_went_there() {
        let last = Last {
            place: "s3://vault/ca/chancery-ca.example-log-20260921T151320Z.age".to_owned(),
            bytes: 1,
            sha256: String::new(),
            size: 101,
            root: String::new(),
            taken: "2026-09-21T15:13:20Z".to_owned(),
            recipients: Vec::new(),
        };
        let told = behind("s3://vault/ca/chancery-ca.example-log-20260921T141320Z.age", 97, &last);
        assert!(told.is_some_and(|told| told.contains("101 entries") && told.contains("15:13:20Z")));
        assert_eq!(behind(&last.place, 101, &last), None, "it is that one");
        assert_eq!(behind("s3://vault/other/x.age", 97, &last), None, "the last one went elsewhere");
        assert_eq!(behind("x.age", 97, &last), None);
    }

    #[test]
    fn what_is_looked_at_is_the_backups_alone() {
        let asked = asked(&manifest("2026-09-21T14:13:20Z"));
        assert!(asked.starts_with("age = 97 entries of the log, taken 2026-09-21T14:13:20Z;"), "{asked}");
    }
}
