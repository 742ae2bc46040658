//! A cache: what keeps, gives out, forgets.
//!
//! Writing is four steps, under the lock: the new key stands beside the old one in memory; the new file is whole, beside the old one; it takes
//! the old one's place; the old key goes. A crash between any two leaves a file and its key; what is left of the other opens nothing.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256, digest};
use rustix::process::geteuid;
use rustix::rand::{GetRandomFlags, getrandom};
use secrets::Reference;
use zeroize::Zeroizing;

use super::error::{Absent, Because, CacheError, Doing};
use super::folder::Folder;
use super::journal::{self, JOURNAL_BYTES_MAX, KeptRead};
use super::moment::Moment;
use super::seal::{FILE_BYTES_MAX, ID_BYTES, KEY_BYTES, Whose, id_of, opened, sealed};
use super::shelf::{Entry, Shelf};
use crate::nouns::Values;
use crate::places::in_memory;

/// What one caller fetched of one server, kept.
pub struct Cache {
    /// Where the sealed file lies.
    folder: Folder,
    /// Where its key does.
    keys: Folder,
    whose: Whose,
    /// The sealed file's name.
    file: String,
}

/// What was fetched just now.
pub struct Fresh<'a> {
    /// Which reference.
    pub reference: &'a Reference,
    /// Which version it stands for.
    pub version: u64,
    /// For so many seconds the server lets it be kept; 0: not at all.
    pub lease_secs: u64,
}

/// What the cache gave.
pub struct Taken {
    /// All that were wanted.
    pub values: Values,
    /// Which version each is of.
    pub versions: Vec<(Reference, u64)>,
    /// The age of the oldest, in seconds.
    pub age_secs: u64,
    /// So many seconds are left of the one that ends first.
    pub left_secs: u64,
}

/// What lies in the sealed file.
struct There {
    id: [u8; ID_BYTES],
    /// Its key, as it lies in memory.
    key: Zeroizing<Vec<u8>>,
    plain: Zeroizing<Vec<u8>>,
}

impl Cache {
    /// Opens the cache of one caller at one server, in a folder that is made where it is not there. `keys`: a folder in memory for its key,
    /// or else one in `/dev/shm`. `identity`: a digest of the caller's credential.
    ///
    /// # Errors
    /// [`CacheError::KeysOnDisk`], [`CacheError::Foreign`], [`CacheError::System`].
    pub fn open(
        folder: &Path,
        keys: Option<&Path>,
        origin: &str,
        identity: Zeroizing<[u8; 32]>,
    ) -> Result<Cache, CacheError> {
        let base = keys.map_or_else(|| PathBuf::from(SHARED_MEMORY), Path::to_owned);
        let opened = in_memory(&base).ok_or_else(|| CacheError::KeysOnDisk(base.clone()))?;
        // Another folder than those of programs, which are swept when nobody has them locked.
        let name = format!(".chancery-cache.{}", geteuid().as_raw());
        let keys = Folder::below(&opened, Path::new(&name), base.join(&name))?;
        let named = Zeroizing::new([origin.as_bytes(), b"\n", identity.as_slice()].concat());
        let name = digest(&SHA256, &named)
            .as_ref()
            .iter()
            .take(NAME_BYTES)
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>();
        let whose = Whose { origin: origin.to_owned(), identity };
        Ok(Cache { folder: Folder::open(folder)?, keys, whose, file: format!("{name}.sealed") })
    }

    /// Keeps what was fetched at a moment, the one before it was asked for; what the server does not let be kept goes. Answers what there is
    /// no room for.
    ///
    /// # Errors
    /// [`CacheError::System`], [`CacheError::Foreign`]: what was there before is there still.
    pub fn keep(&self, fresh: &[Fresh<'_>], values: &Values, at: &Moment) -> Result<Vec<Reference>, CacheError> {
        let _lock = self.folder.lock()?;
        let mut shelf = self.shelf()?;
        shelf.prune(at);
        let mut unkept = Vec::new();
        for one in fresh.iter().filter(|one| one.lease_secs == 0) {
            shelf.drop_of(one.reference);
        }
        for Fresh { reference, version, lease_secs } in fresh.iter().filter(|one| one.lease_secs > 0) {
            let Some(value) = values.get(reference) else { continue };
            let value = Zeroizing::new(value.expose().to_vec());
            let entry = Entry {
                reference: (*reference).clone(),
                version: *version,
                at: at.clone(),
                lease_secs: *lease_secs,
                value,
            };
            if !shelf.put(entry) {
                unkept.push((*reference).clone());
            }
        }
        self.write(&shelf)?;
        Ok(unkept)
    }

    /// Gives all of these out, or says what is missing of each. It is in the journal before.
    ///
    /// # Errors
    /// [`CacheError::Missing`], [`CacheError::System`], [`CacheError::Foreign`].
    pub fn take(
        &self,
        wanted: &HashSet<Reference>,
        now: &Moment,
        max_age_secs: Option<u64>,
    ) -> Result<Taken, CacheError> {
        let _lock = self.folder.lock()?;
        let shelf = self.shelf()?;
        let mut taken = Taken { values: Values::default(), versions: Vec::new(), age_secs: 0, left_secs: u64::MAX };
        let (mut missing, mut reads) = (Vec::new(), self.journal()?);
        for reference in wanted {
            let entry = shelf.get(reference).ok_or(Because::NotKept);
            match entry.and_then(|entry| Ok((entry, entry.age(now, max_age_secs)?))) {
                Ok((entry, age_secs)) => {
                    taken.values = std::mem::take(&mut taken.values).with(reference.clone(), entry.value.to_vec());
                    taken.versions.push((reference.clone(), entry.version));
                    taken.age_secs = taken.age_secs.max(age_secs);
                    taken.left_secs = taken.left_secs.min(entry.lease_secs.saturating_sub(age_secs));
                    journal::add(&mut reads, reference, entry.version, now.unix_secs);
                }
                Err(because) => missing.push(Absent { reference: reference.to_string(), because }),
            }
        }
        if !missing.is_empty() {
            missing.sort_by(|one, other| one.reference.cmp(&other.reference));
            return Err(CacheError::Missing(missing));
        }
        self.write_journal(&reads)?;
        Ok(taken)
    }

    /// Does away with what was refused.
    ///
    /// # Errors
    /// As [`Cache::keep`].
    pub fn forget(&self, refused: &[Reference]) -> Result<(), CacheError> {
        let _lock = self.folder.lock()?;
        let mut shelf = self.shelf()?;
        let before = shelf.entries.len();
        refused.iter().for_each(|reference| shelf.drop_of(reference));
        if shelf.entries.len() == before { Ok(()) } else { self.write(&shelf) }
    }

    /// Does away with everything of this caller: his credential itself was refused.
    ///
    /// # Errors
    /// As [`Cache::keep`].
    pub fn forget_all(&self) -> Result<(), CacheError> {
        let _lock = self.folder.lock()?;
        let file = self.folder.read(&self.file, FILE_BYTES_MAX)?;
        if let Some(id) = file.as_ref().and_then(|file| id_of(file)) {
            self.keys.remove(&key_name(&id));
        }
        self.folder.remove(&self.file);
        Ok(())
    }

    /// What was read from here and not told yet.
    ///
    /// # Errors
    /// [`CacheError::System`], [`CacheError::Foreign`].
    pub fn reads(&self) -> Result<Vec<KeptRead>, CacheError> {
        let _lock = self.folder.lock()?;
        self.journal()
    }

    /// These were told. What was read meanwhile stays.
    ///
    /// # Errors
    /// As [`Cache::reads`].
    pub fn told(&self, told: &[KeptRead]) -> Result<(), CacheError> {
        let _lock = self.folder.lock()?;
        let left: Vec<KeptRead> = self.journal()?.into_iter().filter(|read| !told.contains(read)).collect();
        self.write_journal(&left)
    }

    /// What is there; nothing where no key opens it.
    fn shelf(&self) -> Result<Shelf, CacheError> {
        Ok(self.there()?.and_then(|there| Shelf::read(&there.plain)).unwrap_or_default())
    }

    /// The file that is there, where a key opens it.
    fn there(&self) -> Result<Option<There>, CacheError> {
        let Some(file) = self.folder.read(&self.file, FILE_BYTES_MAX)? else { return Ok(None) };
        let Some(id) = id_of(&file) else { return Ok(None) };
        let keys = self.keys.read(&key_name(&id), KEYS_BYTES_MAX)?.unwrap_or_default();
        let opens = |key: &[u8]| Some((Zeroizing::new(key.to_vec()), opened(&file, key, &self.whose)?));
        Ok(keys.chunks_exact(KEY_BYTES).find_map(opens).map(|(key, plain)| There { id, key, plain }))
    }

    fn write(&self, shelf: &Shelf) -> Result<(), CacheError> {
        let (id, old) = match self.there()? {
            Some(there) => (there.id, there.key),
            None => (*random::<ID_BYTES>()?, Zeroizing::default()),
        };
        let (name, key) = (key_name(&id), random::<KEY_BYTES>()?);
        let broken =
            || CacheError::System { doing: "sealing the cache", source: std::io::ErrorKind::InvalidData.into() };
        let file =
            shelf.bytes().and_then(|plain| sealed(&plain, &id, key.as_slice(), &self.whose)).ok_or_else(broken)?;
        self.keys.write(&name, &Zeroizing::new([key.as_slice(), &old].concat()))?;
        self.folder.write(&self.file, &file)?;
        self.keys.write(&name, key.as_slice())
    }

    fn journal(&self) -> Result<Vec<KeptRead>, CacheError> {
        let text = self.keys.read(&self.journal_name(), JOURNAL_BYTES_MAX)?;
        Ok(text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default())
    }

    fn write_journal(&self, reads: &[KeptRead]) -> Result<(), CacheError> {
        if reads.is_empty() {
            self.keys.remove(&self.journal_name());
            return Ok(());
        }
        self.keys
            .write(&self.journal_name(), &serde_json::to_vec(reads).map_err(std::io::Error::from).doing("the journal")?)
    }

    fn journal_name(&self) -> String {
        format!("{}.reads", self.file)
    }
}

/// A digest of the credential by which a caller asks: another caller has another, and nobody has it without the credential.
pub fn identity<'a>(credential: impl IntoIterator<Item = &'a [u8]>) -> Zeroizing<[u8; 32]> {
    let mut of = Context::new(&SHA256);
    of.update(b"chancery caller 1\n");
    credential.into_iter().for_each(|part| of.update(part));
    let mut identity = Zeroizing::new([0; 32]);
    identity.iter_mut().zip(of.finish().as_ref()).for_each(|(to, from)| *to = *from);
    identity
}

fn key_name(id: &[u8; ID_BYTES]) -> String {
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{hex}.key")
}

fn random<const BYTES: usize>() -> Result<Zeroizing<[u8; BYTES]>, CacheError> {
    let mut bytes = Zeroizing::new([0; BYTES]);
    let drawn = getrandom(bytes.as_mut_slice(), GetRandomFlags::empty()).doing("a random key")?;
    let short = || CacheError::System { doing: "a random key", source: std::io::ErrorKind::UnexpectedEof.into() };
    if drawn == BYTES { Ok(bytes) } else { Err(short()) }
}

/// The key of the file, and for a moment the one of the file before.
const KEYS_BYTES_MAX: usize = 2 * KEY_BYTES;
/// Of the digest that a file is called by.
const NAME_BYTES: usize = 16;
const SHARED_MEMORY: &str = "/dev/shm";
