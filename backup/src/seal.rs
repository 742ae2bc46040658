//! Encryption to named recipients: age (C2SP age-encryption.org/v1) with X25519.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::str::FromStr;

use age::stream::{StreamReader, StreamWriter};
use age::x25519::{Identity, Recipient};
use age::{DecryptError, Decryptor, Encryptor};

use crate::error::BackupError;

/// What some editors write at the beginning of a text.
const MARK: char = '\u{feff}';
/// How a file begins that age encrypted, and how it does as text.
const SEALED: &[u8] = b"age-encryption.org/";
const ARMOUR: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
const UNDER_PASSPHRASE: &str = "the identity file is encrypted itself (`age -p`): decrypt it first, into memory (`age -d FILE > \
                                /dev/shm/backup.key`, mode 0600), and take that away afterwards";
/// What else lies in such files, by how its lines begin, and why it is not read.
const OTHERS: [(&str, &str); 4] = [
    (ARMOUR, UNDER_PASSPHRASE),
    (
        "AGE-PLUGIN-",
        "an identity of a plugin of age is not read here: a backup is for keys of `age-keygen` alone (AGE-SECRET-KEY-1...)",
    ),
    (
        "-----BEGIN ",
        "a key of SSH or of TLS is no identity here: bring the file that `age-keygen -o` wrote (AGE-SECRET-KEY-1...)",
    ),
    (
        "age1",
        "a recipient stands where the identity belongs: bring the file that `age-keygen -o` wrote (AGE-SECRET-KEY-1...)",
    ),
];
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
        let lines = lines
            .into_iter()
            .map(|line| line.trim_start_matches(MARK).trim())
            .map(|line| line.split_once(" #").map_or(line, |(recipient, _)| recipient.trim_end()))
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let all: Vec<Recipient> = lines.map(recipient).collect::<Result<_, _>>()?;
        // A list that names one many times is read as a list of one, and another stands in it.
        let mut named = BTreeSet::new();
        if let Some(again) = all.iter().map(ToString::to_string).find(|text| !named.insert(text.clone())) {
            return Err(BackupError::Recipients(format!("{again} is named twice: name each recipient once")));
        }
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
    let is_of_plugin =
        text.strip_prefix("age1").and_then(|rest| rest.rsplit_once('1')).is_some_and(|(name, _)| !name.is_empty());
    if is_of_plugin {
        return Err(says(
            "a recipient of a plugin of age, or of another kind than X25519 (age1NAME1...): backups are for keys that plain \
             `age-keygen` makes",
        ));
    }
    Recipient::from_str(text).map_err(|why| says(&format!("no recipient of age ({why}); it begins with age1")))
}

/// Whoever reads a backup. The keys are wiped when they go.
pub struct Identities(Vec<Identity>);

impl Identities {
    /// Reads the bytes of an identity file.
    pub fn of(bytes: &[u8]) -> Result<Identities, BackupError> {
        if bytes.starts_with(SEALED) {
            return Err(BackupError::Identity(UNDER_PASSPHRASE.to_owned()));
        }
        let text =
            std::str::from_utf8(bytes).map_err(|_| BackupError::Identity("the identity file is no text".to_owned()));
        Identities::parse(text?)
    }

    /// Reads an identity file, as `age-keygen` writes it.
    pub fn parse(text: &str) -> Result<Identities, BackupError> {
        let text = text.trim_start_matches(MARK);
        for (begin, why) in OTHERS {
            if text.lines().any(|line| line.trim_start().starts_with(begin)) {
                return Err(BackupError::Identity(why.to_owned()));
            }
        }
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
        if input.fill_buf().is_ok_and(|begin| begin.starts_with(ARMOUR.as_bytes())) {
            return Err(BackupError::Unreadable(
                "it stands in ASCII armour, which somebody put around it: take the file as it was written".into(),
            ));
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
