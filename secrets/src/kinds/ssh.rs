//! SSH keys: the private form of OpenSSH, and the public line that goes into `authorized_keys`.

use ssh_key::private::{EcdsaKeypair, Ed25519Keypair, KeypairData};
use ssh_key::{LineEnding, PrivateKey};
use zeroize::Zeroizing;

use super::jwk::scalar;
use super::random::{NoRandom, Random};

/// Which keys are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SshAlgorithm {
    /// Ed25519, which every OpenSSH of the last ten years has.
    #[default]
    Ed25519,
    /// ECDSA on P-256, where FIPS 140 has the word.
    EcdsaP256,
}

/// Why a text is no SSH key. Nothing of the text is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SshError {
    /// No private key of OpenSSH.
    #[error(
        "it is no private key of OpenSSH (`-----BEGIN OPENSSH PRIVATE KEY-----`): `ssh-keygen -p -f KEY` writes an older one anew in that form"
    )]
    Private,
    /// No public line.
    #[error("it is no public key of OpenSSH: one line, `ssh-ed25519 AAAA... comment`, as in the file KEY.pub")]
    Public,
    /// A public line of somebody's own is longer than any key is.
    #[error("it has more than {OWN_LINE_BYTES_MAX} bytes: no key that is taken here has so many")]
    Long,
    /// The comment is none.
    #[error("a comment is one line of at most {COMMENT_CHARS_MAX} characters")]
    Comment,
    /// The system has no random bytes.
    #[error(transparent)]
    NoRandom(#[from] NoRandom),
}

/// The public line of a private key, which may lie under a passphrase: its public half does not.
///
/// # Errors
/// [`SshError::Private`].
pub fn ssh_public_line(private: &str) -> Result<String, SshError> {
    let key = PrivateKey::from_openssh(private).map_err(|_| SshError::Private)?;
    key.public_key().to_openssh().map_err(|_| SshError::Private)
}

/// The fingerprint of a public line, as `ssh-keygen -l` writes it; none where it is none.
pub fn ssh_fingerprint(public: &str) -> Option<String> {
    let key = ssh_key::PublicKey::from_openssh(public).ok()?;
    Some(key.fingerprint(ssh_key::HashAlg::Sha256).to_string())
}

/// A public line without its comment, which says nothing that a host needs.
pub(crate) fn bare(public: &str) -> Option<String> {
    let mut key = ssh_key::PublicKey::from_openssh(public).ok()?;
    key.set_comment("");
    Some(key.to_openssh().ok()?.trim_end().to_owned())
}

/// Whether a public line is of a private key; what the comments say does not count.
///
/// # Errors
/// [`SshError::Private`], [`SshError::Public`].
pub(super) fn is_of(public: &str, private: &str) -> Result<bool, SshError> {
    let private = PrivateKey::from_openssh(private).map_err(|_| SshError::Private)?;
    let public = ssh_key::PublicKey::from_openssh(public).map_err(|_| SshError::Public)?;
    Ok(private.public_key().key_data() == public.key_data())
}

/// Whether a text is a public line, and one alone: it is shown in listings.
///
/// # Errors
/// [`SshError::Public`].
pub(crate) fn is_public(public: &str) -> Result<(), SshError> {
    let is_line = !public.strip_suffix('\n').unwrap_or(public).contains(char::is_control);
    let read = ssh_key::PublicKey::from_openssh(public).ok().filter(|_| is_line);
    read.map(|_| ()).ok_or(SshError::Public)
}

/// A public line of somebody's own, as it is kept and shown with what is his: one line, with a comment of a few words.
///
/// # Errors
/// [`SshError::Long`], [`SshError::Public`], [`SshError::Comment`].
pub(crate) fn own_line(public: &str) -> Result<String, SshError> {
    if public.len() > OWN_LINE_BYTES_MAX {
        return Err(SshError::Long);
    }
    is_public(public)?;
    let key = ssh_key::PublicKey::from_openssh(public).map_err(|_| SshError::Public)?;
    match key.comment().chars().count() <= COMMENT_CHARS_MAX {
        true => Ok(public.trim().to_owned()),
        false => Err(SshError::Comment),
    }
}

/// A key that was drawn.
pub(crate) struct Drawn {
    pub private: Zeroizing<String>,
    pub public: String,
}

/// Draws a key.
pub(crate) fn draw(algorithm: SshAlgorithm, comment: &str, random: &mut dyn Random) -> Result<Drawn, SshError> {
    if comment.chars().count() > COMMENT_CHARS_MAX || comment.contains(char::is_control) || comment.trim() != comment {
        return Err(SshError::Comment);
    }
    let pair = match algorithm {
        SshAlgorithm::Ed25519 => {
            let mut seed = Zeroizing::new([0; 32]);
            random.fill(seed.as_mut_slice())?;
            KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed))
        }
        SshAlgorithm::EcdsaP256 => {
            let private = scalar(random)?;
            let public = private.public_key().into();
            KeypairData::Ecdsa(EcdsaKeypair::NistP256 { public, private: private.into() })
        }
    };
    let key = PrivateKey::new(pair, comment).map_err(|_| SshError::Private)?;
    let private = key.to_openssh(LineEnding::LF).map_err(|_| SshError::Private)?;
    Ok(Drawn { private, public: key.public_key().to_openssh().map_err(|_| SshError::Private)? })
}

const COMMENT_CHARS_MAX: usize = 256;
/// Of RSA with 16,384 bits, which no CA here certifies, a line has 2,800 characters; as much again for a comment.
const OWN_LINE_BYTES_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use super::super::random::testing::{Seeded, Stuck};
    use super::*;

    const BOTH: [SshAlgorithm; 2] = [SshAlgorithm::Ed25519, SshAlgorithm::EcdsaP256];

    fn keygen(arguments: &[&str]) -> String {
        let done = Command::new("ssh-keygen").args(arguments).output().expect("ssh-keygen runs");
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    #[test]
    fn ssh_keygen_reads_what_is_made_and_finds_the_same_public_line() {
        let dir = tempfile::tempdir().unwrap();
        for algorithm in BOTH {
            let Drawn { private, public } = draw(algorithm, "web@host", &mut Seeded::new(1)).unwrap();
            let path = dir.path().join(format!("{algorithm:?}"));
            std::fs::write(&path, private.as_bytes()).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            assert_eq!(keygen(&["-y", "-f", path.to_str().unwrap()]).trim(), public);
            assert_eq!(ssh_public_line(&private).unwrap(), public);
            assert!(public.ends_with(" web@host") && !public.contains('\n'));
            // A signature of the private half holds under the public one: both are of one key.
            let (message, signature) = (dir.path().join("message"), dir.path().join("message.sig"));
            std::fs::write(&message, "m").unwrap();
            keygen(&["-q", "-Y", "sign", "-n", "test", "-f", path.to_str().unwrap(), message.to_str().unwrap()]);
            let mut check = Command::new("ssh-keygen");
            check.args(["-q", "-Y", "check-novalidate", "-n", "test", "-s", signature.to_str().unwrap()]);
            assert!(check.stdin(std::fs::File::open(&message).unwrap()).status().unwrap().success(), "{algorithm:?}");
            std::fs::remove_file(signature).unwrap();
        }
    }

    #[test]
    fn keys_of_ssh_keygen_are_read_under_a_passphrase_too() {
        let dir = tempfile::tempdir().unwrap();
        for (kind, passphrase) in [("ed25519", ""), ("ed25519", "of a test"), ("ecdsa", "of a test"), ("rsa", "")] {
            let path = dir.path().join(format!("{kind}{}", passphrase.len()));
            keygen(&["-q", "-t", kind, "-N", passphrase, "-C", "c", "-f", path.to_str().unwrap()]);
            let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
            let (private, public) = (read(&path), read(&path.with_extension("pub")));
            assert_eq!(is_of(&public, &private), Ok(true), "{kind}");
            let other = draw(SshAlgorithm::Ed25519, "c", &mut Seeded::new(2)).unwrap();
            assert_eq!(is_of(&other.public, &private), Ok(false));
            assert_eq!(is_of("ssh-ed25519 AAAA", &private), Err(SshError::Public));
        }
        assert_eq!(ssh_public_line("hunter2"), Err(SshError::Private));
    }

    #[test]
    fn a_line_of_ones_own_has_a_comment_of_a_few_words_and_no_control_characters() {
        let key = draw(SshAlgorithm::Ed25519, "", &mut Seeded::new(1)).unwrap().public;
        let with = |comment: &str| own_line(&format!("{} {comment}", key.trim()));
        assert_eq!(with(&"c".repeat(256)).unwrap().len(), key.trim().len() + 257);
        // Characters, not bytes; the end of a line is not kept.
        assert!(with(&"\u{e4}".repeat(256)).is_ok());
        assert_eq!(own_line(&format!("{} alice\n", key.trim())).unwrap(), format!("{} alice", key.trim()));
        for (comment, why) in [
            ("c".repeat(257), SshError::Comment),
            ("\u{e4}".repeat(257), SshError::Comment),
            ("a\u{1b}[2Jb".to_owned(), SshError::Public),
            ("a\tb".to_owned(), SshError::Public),
            ("a\u{9b}b".to_owned(), SshError::Public),
            ("a\nssh-ed25519 AAAA".to_owned(), SshError::Public),
            ("c".repeat(4_096), SshError::Long),
        ] {
            assert_eq!(with(&comment), Err(why), "{comment:?}");
        }
    }

    #[test]
    fn no_key_is_made_of_no_luck_or_of_a_comment_that_is_two_lines() {
        for algorithm in BOTH {
            let refused = |comment: &str, random: &mut dyn Random| draw(algorithm, comment, random).err();
            assert_eq!(refused("", &mut Stuck(None)), Some(SshError::NoRandom(NoRandom)));
            assert_eq!(refused("a\nssh-ed25519 AAAA", &mut Seeded::new(1)), Some(SshError::Comment));
            assert_eq!(refused(&"c".repeat(257), &mut Seeded::new(1)), Some(SshError::Comment));
        }
    }
}
