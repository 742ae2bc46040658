//! Leased keys that are over: a key that was drawn for a lease opens nothing once its certificate has ended. One of somebody's own may still
//! open other doors, whatever its certificate says.

use policy::Timestamp;
use ssh_key::{Certificate, PrivateKey};

/// Whether a private key was drawn for the lease whose certificate this is, and that has ended.
pub(super) fn is_over(key: &[u8], certificate: &[u8], now: Timestamp) -> bool {
    let key = PrivateKey::from_openssh(key).ok();
    let certificate = std::str::from_utf8(certificate).ok().and_then(|text| Certificate::from_openssh(text).ok());
    let (Some(key), Some(certificate)) = (key, certificate) else { return false };
    // The certificate names its lease, and a drawn key has the beginning of that in its comment.
    let lease = certificate.key_id().rsplit_once(" lease ").and_then(|(_, id)| id.get(..NAMED_CHARS));
    let is_drawn = lease.is_some_and(|id| {
        let word = key.comment().strip_prefix("chy_").and_then(|user| user.strip_suffix(id));
        word.is_some_and(|word| word.ends_with('_'))
    });
    let has_ended = i64::try_from(certificate.valid_before()).is_ok_and(|end| end <= now.unix());
    is_drawn && has_ended && certificate.public_key() == key.public_key().key_data()
}

/// So much of a lease's name is in the name of its user.
const NAMED_CHARS: usize = 20;

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    const LEASE: &str = "0123456789abcdef0123456789abcdef";
    const DRAWN: &str = "chy_deploy_0123456789abcdef0123";

    fn keygen(arguments: &[&str]) {
        let done = Command::new("ssh-keygen").arg("-q").args(arguments).output().expect("ssh-keygen runs");
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn drawn(folder: &Path, name: &str, comment: &str) -> String {
        let path = folder.join(name).to_str().expect("a name").to_owned();
        keygen(&["-t", "ed25519", "-N", "", "-C", comment, "-f", &path]);
        path
    }

    #[test]
    fn a_key_is_over_with_the_certificate_of_its_own_lease_alone() {
        let dir = tempfile::tempdir().unwrap();
        let ca = drawn(dir.path(), "ca", "ca");
        let (leased, own) = (drawn(dir.path(), "leased", DRAWN), drawn(dir.path(), "own", "me@home"));
        let certified = |key: &str, key_id: &str| {
            let public = format!("{key}.pub");
            keygen(&["-s", &ca, "-I", key_id, "-n", "deploy", "-V", "20260101000000Z:20260102000000Z", &public]);
            std::fs::read(format!("{key}-cert.pub")).unwrap()
        };
        let read = |key: &str| std::fs::read(key).unwrap();
        let (before, after) = (Timestamp::from_unix(1_767_311_999), Timestamp::from_unix(1_767_312_000));
        let of_lease = format!("alice lease {LEASE}");
        let certificate = certified(&leased, &of_lease);
        assert!(is_over(&read(&leased), &certificate, after));
        assert!(!is_over(&read(&leased), &certificate, before), "it has not ended");
        // Somebody's own key, leased for or signed, stays: it may be at home elsewhere.
        let of_own = certified(&own, &of_lease);
        assert!(!is_over(&read(&own), &of_own, after) && !is_over(&read(&leased), &of_own, after));
        assert!(!is_over(&read(&leased), &certified(&leased, "alice"), after), "of no lease");
        let other = certified(&leased, "alice lease ffffffffffffffffffffffffffffffff");
        assert!(!is_over(&read(&leased), &other, after), "of another lease");
        for none in [&b""[..], b"\xff", b"ssh-ed25519 AAAA", LEASE.as_bytes()] {
            assert!(!is_over(&read(&leased), none, after) && !is_over(none, &certificate, after));
        }
    }
}
