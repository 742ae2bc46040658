//! The key of the log and the roots, of which the log is told nothing: what of them a backup says otherwise than this place, or leaves out.

use std::path::Path;

use policy::Timestamp;
use ring::digest::{SHA256, digest};
use store::{COMPANION_BYTES_MAX, Companion};

use super::key;
use crate::failure::Failure;
use crate::files;
use crate::trust::{Anchor, anchors};

/// The files.
pub const FILES: [&str; 2] = [key::FILE, "roots.pem"];
/// A key that is longer is none.
const VERIFIER_BYTES_MAX: usize = 512;
/// So much of a subject is shown: whoever made the root chose it, and a name has 64 characters at most (X.520, ub-common-name).
const SUBJECT_CHARS_MAX: usize = 120;

/// What of them is not as it lies beside this place's configuration, and what the backup says, each root by itself; without one, each, whether
/// it is in the backup or not.
pub fn differing(
    companions: &[Companion],
    place: Option<&Path>,
    now: Timestamp,
) -> Result<Vec<(&'static str, String)>, Failure> {
    let mut all = Vec::new();
    for name in FILES {
        let there = companions.iter().find(|file| file.name == name).map(|file| file.bytes.as_slice());
        let here = place.map(|config| lying(&key::beside(config, name))).transpose()?;
        if here.as_ref().is_some_and(|here| here.as_deref() == there) {
            continue;
        }
        let says = match (there, here.flatten()) {
            (Some(bytes), _) => known_by(name, bytes, now),
            (None, Some(here)) => {
                let here = known_by(name, &here, now).into_iter();
                here.map(|here| format!("(nothing: the backup leaves it out; here it is {here})")).collect()
            }
            (None, None) => vec!["(nothing: the backup leaves it out)".to_owned()],
        };
        all.extend(says.into_iter().map(|says| (name, says)));
    }
    Ok(all)
}

/// Which of them a backup leaves out.
pub fn left_out(companions: &[Companion]) -> Vec<&'static str> {
    FILES.into_iter().filter(|name| companions.iter().all(|file| file.name != *name)).collect()
}

/// What is in a file; none where it is not there.
fn lying(file: &Path) -> Result<Option<Vec<u8>>, Failure> {
    file.exists().then(|| files::read(file, COMPANION_BYTES_MAX as u64)).transpose()
}

/// The roots and the log's key by what people compare, and that first: the SHA-256 of each root, as `chancery trust show` has it, or of the
/// key's file. What whoever made the backup chose stands behind it, in quotes or read as what it is, and is cut by itself: it pushes nothing
/// out of sight, and stands where no digest does.
fn known_by(name: &str, bytes: &[u8], now: Timestamp) -> Vec<String> {
    let file = format!("SHA-256 of the file {}", hex::encode(digest(&SHA256, bytes)));
    if name == key::FILE {
        let key = std::str::from_utf8(bytes).map(str::trim).ok();
        let key = key.filter(|key| key.len() <= VERIFIER_BYTES_MAX && store::check_verifier_key(key).is_ok());
        return vec![format!("{file}, {}", key.unwrap_or("(no key of a log)"))];
    }
    match anchors(bytes, now) {
        Ok(roots) => {
            let shown = |root: &Anchor| format!("SHA-256 {}, subject {}", root.fingerprint, subject(&root.subject));
            roots.iter().map(shown).collect()
        }
        Err(why) => vec![format!("{file} (not roots alone: {why})")],
    }
}

/// A subject in quotes, of which none within ends it.
fn subject(text: &str) -> String {
    let shown: String = text.chars().take(SUBJECT_CHARS_MAX).collect();
    match text.chars().count() {
        0..=SUBJECT_CHARS_MAX => format!("{shown:?}"),
        all => format!("{shown:?}... ({all} characters)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the documentation of Go's golang.org/x/mod/sumdb/note.
    const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n";

    fn now() -> Timestamp {
        Timestamp::from_unix(1_800_000_000)
    }

    /// A root under this name, as PEM, and its SHA-256.
    fn root(name: &str) -> (String, String) {
        use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let root = params.self_signed(&KeyPair::generate().expect("a key")).expect("signs");
        (root.pem(), crate::trust::Fingerprint::of(root.der()).to_string())
    }

    #[test]
    fn each_root_is_a_line_of_its_own_and_its_sha256_stands_first() {
        let (first, second) = (root("Our Root"), root("Another Root"));
        let says = known_by("roots.pem", format!("{}{}", first.0, second.0).as_bytes(), now());
        assert_eq!(says.len(), 2, "{says:?}");
        for (line, (hash, name)) in says.iter().zip([(first.1, "Our Root"), (second.1, "Another Root")]) {
            let ours = line.strip_prefix(&format!("SHA-256 {hash}, subject "));
            assert!(ours.is_some_and(|subject| subject.contains(name)), "{line}");
        }
        let says = known_by("roots.pem", b"x", now());
        assert!(says[0].starts_with("SHA-256 of the file ") && says[0].contains("(not roots alone: "), "{says:?}");
    }

    #[test]
    fn a_subject_that_says_anothers_sha256_stands_behind_the_roots_own_and_is_cut() {
        let genuine = root("Our Root").1;
        let forged = root(&format!("x\", SHA-256 {genuine}{}", " .".repeat(300)));
        let says = known_by("roots.pem", forged.0.as_bytes(), now());
        let line = says[0].strip_prefix(&format!("SHA-256 {}, subject \"", forged.1)).expect("its own stands first");
        let (subject, _) = line.split_once("\"... (").expect("it is cut");
        let ends = subject.match_indices('"').find(|(at, _)| !subject[..*at].ends_with('\\'));
        assert_eq!(ends, None, "no quote of his ends it: {line}");
        assert!(line.chars().count() < SUBJECT_CHARS_MAX + 40 && line.ends_with(" characters)"), "{line}");
        assert_eq!(super::super::settings::line(&says[0]), says[0], "nothing of it is cut once more");
    }

    #[test]
    fn what_is_no_key_of_a_log_is_not_shown_as_one() {
        let hash = |bytes: &[u8]| hex::encode(digest(&SHA256, bytes));
        let says = known_by("log.vkey", KEY.as_bytes(), now());
        assert_eq!(says, [format!("SHA-256 of the file {}, {}", hash(KEY.as_bytes()), KEY.trim())]);
        let another = format!("{}, SHA-256 of the file {}", KEY.trim(), hash(KEY.as_bytes()));
        let flipped = KEY.replace("c74f20a3", "c74f20a2");
        for bad in [another.as_bytes(), flipped.as_bytes(), b"ca.test/log+01020304+AAAA\n", &[b'x'; 1_000], b"\xff"] {
            let says = known_by("log.vkey", bad, now());
            assert_eq!(says, [format!("SHA-256 of the file {}, (no key of a log)", hash(bad))]);
        }
    }

    #[test]
    fn what_a_backup_leaves_out_is_named_unless_this_place_has_none_either() {
        let dir = tempfile::tempdir().expect("a folder");
        let config = dir.path().join("chancery.toml");
        let of = |companions: &[Companion], place: Option<&Path>| {
            let all = differing(companions, place, now()).expect("they are read").into_iter();
            all.map(|(name, says)| format!("{name} = {says}")).collect::<Vec<_>>()
        };
        let key = KEY.as_bytes();
        let with_key = [Companion { name: key::FILE.to_owned(), bytes: key.to_vec() }];
        let left = of(&with_key, None);
        assert!(left[0].starts_with("log.vkey = SHA-256 of the file ") && left.len() == 2, "{left:?}");
        assert_eq!(left[1], "roots.pem = (nothing: the backup leaves it out)");
        assert_eq!(left_out(&with_key), ["roots.pem"]);
        // A place that says the same, also in what it has not.
        std::fs::write(dir.path().join(key::FILE), key).expect("a file");
        assert_eq!(of(&with_key, Some(config.as_path())), Vec::<String>::new());
        let left = of(&[], Some(config.as_path()));
        let says = "log.vkey = (nothing: the backup leaves it out; here it is SHA-256 of the file ";
        assert!(left[0].starts_with(says), "{left:?}");
        assert_eq!((left.len(), left_out(&[])), (1, FILES.to_vec()));
    }
}
