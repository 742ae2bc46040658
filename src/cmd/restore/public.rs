//! The key of the log and the roots, of which the log is told nothing: what of them a backup says otherwise than this place, or leaves out.

use std::path::Path;

use policy::Timestamp;
use ring::digest::{SHA256, digest};
use store::{COMPANION_BYTES_MAX, Companion};

use super::key;
use crate::failure::Failure;
use crate::files;
use crate::trust::anchors;

/// The files.
pub const FILES: [&str; 2] = [key::FILE, "roots.pem"];
/// A key that is longer is none.
const VERIFIER_BYTES_MAX: usize = 512;

/// What of them is not as it lies beside this place's configuration, and what the backup says; without one, each, whether it is in the backup
/// or not.
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
                format!("(nothing: the backup leaves it out; here it is {})", known_by(name, &here, now))
            }
            (None, None) => "(nothing: the backup leaves it out)".to_owned(),
        };
        all.push((name, says));
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

/// The roots and the log's key by what people compare: the subject of each root and its SHA-256, as `chancery trust show` has them; the key
/// itself, and the SHA-256 of its file.
fn known_by(name: &str, bytes: &[u8], now: Timestamp) -> String {
    let file = format!("SHA-256 of the file {}", hex::encode(digest(&SHA256, bytes)));
    if name == key::FILE {
        return match std::str::from_utf8(bytes) {
            Ok(key) if key.len() <= VERIFIER_BYTES_MAX => format!("{}, {file}", key.trim()),
            Ok(_) | Err(_) => format!("(no key of a log) {file}"),
        };
    }
    match anchors(bytes, now) {
        Ok(roots) => {
            let roots = roots.iter().map(|root| format!("{}, SHA-256 {}", root.subject, root.fingerprint));
            roots.collect::<Vec<_>>().join("; ")
        }
        Err(why) => format!("(not roots alone: {why}) {file}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_and_the_logs_key_are_shown_by_what_people_compare() {
        use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
        let now = Timestamp::from_unix(1_800_000_000);
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Our Root");
        let root = params.self_signed(&KeyPair::generate().expect("a key")).expect("signs");
        let says = known_by("roots.pem", root.pem().as_bytes(), now);
        let hash = crate::trust::Fingerprint::of(root.der()).to_string();
        assert!(says.contains("Our Root") && says.ends_with(&format!("SHA-256 {hash}")), "{says}");
        assert!(known_by("roots.pem", b"x", now).starts_with("(not roots alone: "));
        let says = known_by("log.vkey", b"ca.test/log+01020304+AAAA\n", now);
        let hash = hex::encode(digest(&SHA256, b"ca.test/log+01020304+AAAA\n"));
        assert_eq!(says, format!("ca.test/log+01020304+AAAA, SHA-256 of the file {hash}"));
        assert!(known_by("log.vkey", &[b'x'; 1_000], now).starts_with("(no key of a log)"));
    }

    #[test]
    fn what_a_backup_leaves_out_is_named_unless_this_place_has_none_either() {
        let now = Timestamp::from_unix(1_800_000_000);
        let dir = tempfile::tempdir().expect("a folder");
        let config = dir.path().join("chancery.toml");
        let of = |companions: &[Companion], place: Option<&Path>| {
            let all = differing(companions, place, now).expect("they are read").into_iter();
            all.map(|(name, says)| format!("{name} = {says}")).collect::<Vec<_>>()
        };
        let key = b"ca.test/log+01020304+AAAA\n";
        let with_key = [Companion { name: key::FILE.to_owned(), bytes: key.to_vec() }];
        let left = of(&with_key, None);
        assert!(left[0].starts_with("log.vkey = ca.test/log") && left.len() == 2, "{left:?}");
        assert_eq!(left[1], "roots.pem = (nothing: the backup leaves it out)");
        assert_eq!(left_out(&with_key), ["roots.pem"]);
        // A place that says the same, also in what it has not.
        std::fs::write(dir.path().join(key::FILE), key).expect("a file");
        assert_eq!(of(&with_key, Some(config.as_path())), Vec::<String>::new());
        let left = of(&[], Some(config.as_path()));
        assert!(
            left[0].starts_with("log.vkey = (nothing: the backup leaves it out; here it is ca.test/log"),
            "{left:?}"
        );
        assert_eq!((left.len(), left_out(&[])), (1, FILES.to_vec()));
    }
}
