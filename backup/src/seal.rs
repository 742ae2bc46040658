//! Encryption to named recipients: age (C2SP age-encryption.org/v1) with X25519.

use std::io::{BufRead, BufReader, Read, Write};
use std::str::FromStr;

use age::stream::{StreamReader, StreamWriter};
use age::x25519::{Identity, Recipient};
use age::{DecryptError, Decryptor, Encryptor};

use crate::error::BackupError;

/// So many may read one backup.
pub const RECIPIENTS_MAX: usize = 32;
/// What is decrypted at a time: a chunk of age's.
const BUFFER_BYTES: usize = 64 << 10;

/// Who may read a backup.
#[derive(Clone)]
pub struct Recipients(Vec<Recipient>);

impl std::fmt::Debug for Recipients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.texts()).finish()
    }
}

impl Recipients {
    /// Reads recipients, `age1...` each. A line of a file may be empty or a comment (`#`).
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Recipients, BackupError> {
        let lines = lines.into_iter().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let all: Vec<Recipient> = lines.map(recipient).collect::<Result<_, _>>()?;
        match all.len() {
            0 => Err(BackupError::Recipients(
                "a backup is encrypted to somebody: make a key with `age-keygen -o backup.key`, keep it elsewhere, and name its \
                 public half (age1...)"
                    .into(),
            )),
            1..=RECIPIENTS_MAX => Ok(Recipients(all)),
            _ => Err(BackupError::Recipients(format!("a backup has at most {RECIPIENTS_MAX} recipients"))),
        }
    }

    /// As they are written.
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }

    /// A writer whose every byte goes encrypted to `out`. What was not finished cannot be decrypted.
    pub(crate) fn seal<W: Write>(&self, out: W) -> Result<StreamWriter<W>, BackupError> {
        let all = self.0.iter().map(|recipient| recipient as &dyn age::Recipient);
        let encryptor = Encryptor::with_recipients(all).map_err(|e| BackupError::Recipients(e.to_string()))?;
        encryptor.wrap_output(out).map_err(|e| BackupError::at("the backup", e))
    }
}

fn recipient(text: &str) -> Result<Recipient, BackupError> {
    let says = |why: &str| BackupError::Recipients(format!("{text}: {why}"));
    if text.starts_with("AGE-SECRET-KEY-") {
        // Not repeated: it would stand in a log.
        return Err(BackupError::Recipients(
            "a secret key stands where a recipient belongs: write its public half (`age-keygen -y FILE`), and make another key, \
             since this one was shown"
                .into(),
        ));
    }
    if text.starts_with("ssh-") {
        return Err(says("SSH keys are no recipients here: make a key with `age-keygen`"));
    }
    Recipient::from_str(text).map_err(|why| says(&format!("no recipient of age ({why}); it begins with age1")))
}

/// Whoever reads a backup. The keys are wiped when they go.
pub struct Identities(Vec<Identity>);

impl Identities {
    /// Reads an identity file, as `age-keygen` writes it.
    pub fn parse(text: &str) -> Result<Identities, BackupError> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        // What is wrong with a line is not said by the line: it may be a key.
        let all: Result<Vec<Identity>, _> = lines.map(Identity::from_str).collect();
        match all {
            Ok(all) if !all.is_empty() => Ok(Identities(all)),
            Ok(_) | Err(_) => Err(BackupError::Identity(
                "the identity file has a line that is no secret key of age (AGE-SECRET-KEY-1...), or none at all"
                    .into(),
            )),
        }
    }

    /// A reader of what is in `input`, decrypted and authenticated piece by piece.
    pub(crate) fn open<R: Read>(&self, input: R) -> Result<BufReader<StreamReader<BufReader<R>>>, BackupError> {
        let mut input = BufReader::with_capacity(BUFFER_BYTES, input);
        if input.fill_buf().is_ok_and(<[u8]>::is_empty) {
            return Err(BackupError::Unreadable("it is empty".into()));
        }
        let decryptor = Decryptor::new_buffered(input).map_err(|error| told(&error))?;
        let all = self.0.iter().map(|identity| identity as &dyn age::Identity);
        let opened = decryptor.decrypt(all).map_err(|error| told(&error))?;
        Ok(BufReader::with_capacity(BUFFER_BYTES, opened))
    }
}

fn told(error: &DecryptError) -> BackupError {
    match error {
        DecryptError::NoMatchingKeys => BackupError::NotForUs,
        other => BackupError::Unreadable(other.to_string()),
    }
}
