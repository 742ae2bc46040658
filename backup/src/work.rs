//! The work itself: one backup from the register to its name, what is kept of those before, and one read back.

use std::cell::OnceCell;
use std::io::{self, BufRead, Write};
use std::rc::Rc;

use policy::Timestamp;
use ring::digest::{Context, SHA256};
use store::{About, BackedUp, Companion, Database, HeldLog, Progress, back_up};

use crate::beside::Beside;
use crate::error::BackupError;
use crate::name::{Name, Pruned, pruned};
use crate::seal::{Identities, Recipients};
use crate::target::{Draft, Source, Steady, Target};

/// What a service does by itself.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where they go.
    pub target: Target,
    /// Who can read them.
    pub recipients: Recipients,
    /// So often.
    pub every_secs: u64,
    /// So many stay.
    pub keep: usize,
    /// The register.
    pub database: Database,
    /// What goes with it.
    pub beside: Beside,
}

/// One backup to be made.
pub struct Job<'a> {
    /// The register.
    pub database: &'a Database,
    /// The log's name.
    pub origin: &'a str,
    /// The version of the program.
    pub program: &'a str,
    /// Now.
    pub now: Timestamp,
    /// The files that go with it.
    pub companions: &'a [Companion],
    /// Who can read it.
    pub recipients: &'a Recipients,
}

/// One that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// Where it lies: the whole name.
    pub place: String,
    /// Bytes of the file.
    pub bytes: u64,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// What is in it.
    pub backed_up: BackedUp,
}

/// Makes a backup. It has its name once it is whole, on disk, and its leaves amount to the head that it says; whatever breaks off
/// before leaves nothing under that name: a place that takes nothing more too, and a register whose log grows too long meanwhile. `each`
/// hears how far it is. Blocks: call it off the async threads.
pub fn make(job: &Job<'_>, target: &Target, each: &mut dyn FnMut(Progress)) -> Result<Made, BackupError> {
    let name = Name::new(job.origin, job.now);
    let draft = target.begin(&name)?;
    let broke = Broke::default();
    written(job, target, (draft, broke.clone()), each).map_err(|error| broke.told(target, error))
}

fn written(
    job: &Job<'_>,
    target: &Target,
    (draft, broke): (Draft, Broke),
    each: &mut dyn FnMut(Progress),
) -> Result<Made, BackupError> {
    let about = About { program: job.program.to_owned(), taken: job.now.rfc3339(), origin: job.origin.to_owned() };
    let (held, patience) = (HeldLog::of(job.database), draft.patience());
    let goes_on = move || held.check().map_err(|why| io::Error::new(io::ErrorKind::TimedOut, why));
    let draft = Steady::begin(draft, patience, Box::new(goes_on)).map_err(|e| BackupError::at(target, e))?;
    let mut sealed = job.recipients.seal(Hashed { draft, broke, digest: Context::new(&SHA256), bytes: 0 })?;
    let backed_up = back_up(job.database, &about, job.companions, &mut sealed, each)?;
    let Hashed { draft, digest, bytes, .. } = sealed.finish().map_err(|e| BackupError::of(target, &e))?;
    // All of it is taken, or what kept it is told.
    let draft = draft.back().map_err(|e| BackupError::of(target, &e))?;
    let place = draft.publish(bytes)?;
    Ok(Made { place, bytes, sha256: hex::encode(digest.finish()), backed_up })
}

/// Takes away the oldest of this log beyond `keep`, once one was made at `at`; answers their names, and of what could not be taken away why:
/// one that is locked keeps no other. What has no name of ours stays, and so do those of later.
pub fn prune(target: &Target, (origin, at): (&str, Timestamp), keep: usize) -> Result<Pruned, BackupError> {
    let names = target.names()?;
    let mut pruned = pruned(names.iter().map(String::as_str), &Name::new(origin, at), keep);
    let mut old = std::mem::take(&mut pruned.gone).into_iter();
    while let Some(name) = old.next() {
        match target.remove(&name) {
            Ok(()) => pruned.gone.push(name),
            // Of the next the store says no more.
            Err(away @ BackupError::Away { .. }) => {
                pruned.stay.note(away);
                pruned.stay.untried(old.len());
                break;
            }
            Err(error) => pruned.stay.note(error),
        }
    }
    Ok(pruned)
}

/// A backup, opened: a stream for [`store::restore`] or [`store::look_through`].
pub fn read(source: &Source, identities: &Identities) -> Result<impl BufRead + use<>, BackupError> {
    identities.open(source.open()?)
}

/// What is written, hashed and counted.
struct Hashed {
    draft: Steady<Draft>,
    broke: Broke,
    digest: Context,
    bytes: u64,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.draft.write(bytes).inspect_err(|error| self.broke.note(error))?;
        self.digest.update(bytes.get(..written).unwrap_or_default());
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.draft.flush().inspect_err(|error| self.broke.note(error))
    }
}

/// What the place itself said when it took no more. What stands between says it in other words, or leaves out what it was.
#[derive(Clone, Default)]
struct Broke(Rc<OnceCell<io::Error>>);

impl Broke {
    fn note(&self, error: &io::Error) {
        if error.kind() != io::ErrorKind::Interrupted {
            // The first is the one that the others follow from.
            let _ = self.0.set(
                error
                    .raw_os_error()
                    .map_or_else(|| io::Error::new(error.kind(), error.to_string()), io::Error::from_raw_os_error),
            );
        }
    }

    fn told(&self, target: &Target, error: BackupError) -> BackupError {
        self.0.get().map_or(error, |said| BackupError::of(target, said))
    }
}
