//! All places of one run, with their values.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rustix::io::FdFlags;
use secrets::Reference;

use super::directory::Directory;
use super::fifo::Fifo;
use super::folder::Folder;
use super::janitor::Janitor;
use super::memory;
use crate::error::DeliveryError;
use crate::nouns::{FileName, Value, Values};
use crate::plan::{CREDENTIALS_DIRECTORY, Place, Plan};

/// What stands for the program while it runs. Gone when this goes: fields are dropped from the top.
pub struct Stand {
    environment: BTreeMap<OsString, OsString>,
    memory: Vec<OwnedFd>,
    input: Option<OwnedFd>,
    fifos: Vec<(Reference, Fifo)>,
    directory: Option<Directory>,
    _fifo_folder: Option<Folder>,
    _janitors: Vec<Janitor>,
}

impl Stand {
    /// Puts every value of the plan in its place.
    ///
    /// # Errors
    /// A value that is missing or does not fit, or the system refuses; nothing is left behind then.
    pub fn build(plan: &Plan, values: &Values, helper: &[OsString]) -> Result<Stand, DeliveryError> {
        let mut stand = Stand {
            environment: plan.environment.clone(),
            memory: Vec::new(),
            input: None,
            fifos: Vec::new(),
            directory: None,
            _fifo_folder: None,
            _janitors: Vec::new(),
        };
        for (name, reference) in plan.referring()? {
            let text = variable(&reference, &name.to_string_lossy(), find(values, &reference)?)?;
            stand.environment.insert(name.to_owned(), text);
        }
        for given in &plan.given {
            let (reference, value) = (&given.reference, find(values, &given.reference)?);
            match &given.place {
                Place::Environment(name) => {
                    stand.environment.insert(name.as_str().into(), variable(reference, name.as_str(), value)?);
                }
                Place::MemoryFile(name) => {
                    let file = memory::sealed(value)?;
                    stand.environment.insert(name.as_str().into(), memory::path(&file).into());
                    stand.memory.push(file);
                }
                Place::StandardInput => stand.input = Some(memory::sealed(value)?),
                Place::Fifo(..) | Place::Directory(_) => {}
            }
        }
        stand.serve_fifos(plan, values, helper)?;
        stand.fill_directory(plan, values, helper)?;
        Ok(stand)
    }

    fn serve_fifos(&mut self, plan: &Plan, values: &Values, helper: &[OsString]) -> Result<(), DeliveryError> {
        let wanted = plan.given.iter().filter_map(|given| match &given.place {
            Place::Fifo(name, reads) => Some((&given.reference, name, *reads)),
            _ => None,
        });
        for (reference, name, reads) in wanted {
            if self._fifo_folder.is_none() {
                let folder = Folder::make(plan.disk, runtime(plan))?;
                self._janitors.push(Janitor::hire(helper, folder.path())?);
                self._fifo_folder = Some(folder);
            }
            let Some(folder) = &self._fifo_folder else { continue };
            let fifo = Fifo::serve(folder.path().join(name.as_str()), find(values, reference)?, reads)?;
            self.environment.insert(name.as_str().into(), fifo.path().into());
            self.fifos.push((reference.clone(), fifo));
        }
        Ok(())
    }

    fn fill_directory(&mut self, plan: &Plan, values: &Values, helper: &[OsString]) -> Result<(), DeliveryError> {
        let files = files(plan, values)?;
        if !files.is_empty() {
            let directory = Directory::make(&files, plan.disk, runtime(plan))?;
            self._janitors.push(Janitor::hire(helper, directory.path())?);
            self.environment.insert(CREDENTIALS_DIRECTORY.into(), directory.path().into());
            self.directory = Some(directory);
        }
        Ok(())
    }

    /// Puts new values where they can follow while the program runs.
    pub fn replace(&mut self, plan: &Plan, values: &Values) -> Result<(), DeliveryError> {
        let files = files(plan, values)?;
        for (reference, _) in &self.fifos {
            find(values, reference)?;
        }
        if let Some(directory) = &mut self.directory {
            directory.replace(&files)?;
        }
        self.fifos.iter().try_for_each(|(reference, fifo)| {
            fifo.replace(find(values, reference)?);
            Ok(())
        })
    }

    /// The program's whole environment.
    pub fn environment(&self) -> &BTreeMap<OsString, OsString> {
        &self.environment
    }

    /// Standard input, where a value stands in it.
    pub fn input(&self) -> Result<Option<OwnedFd>, DeliveryError> {
        self.input.as_ref().map(memory::reader).transpose()
    }

    /// Does something, during which a program that is started inherits the files in memory.
    pub fn inherited<T>(&self, start: impl FnOnce() -> Result<T, DeliveryError>) -> Result<T, DeliveryError> {
        let lent = self.memory.iter().try_for_each(|file| memory::inherit(file, FdFlags::empty()));
        let started = lent.and_then(|()| start());
        self.memory.iter().try_for_each(|file| memory::inherit(file, FdFlags::CLOEXEC))?;
        started
    }
}

fn files<'a>(plan: &'a Plan, values: &'a Values) -> Result<Vec<(&'a FileName, &'a Value)>, DeliveryError> {
    let wanted = plan.given.iter().filter_map(|given| match &given.place {
        Place::Directory(file) => Some((file, &given.reference)),
        _ => None,
    });
    wanted.map(|(file, reference)| Ok((file, find(values, reference)?))).collect()
}

fn find<'a>(values: &'a Values, reference: &Reference) -> Result<&'a Value, DeliveryError> {
    values.get(reference).ok_or_else(|| DeliveryError::Missing(reference.to_string()))
}

/// A value as a variable has it: without NUL, and as long as Linux lets one be (MAX_ARG_STRLEN, name and `=` counted).
fn variable(reference: &Reference, name: &str, value: &Value) -> Result<OsString, DeliveryError> {
    let bytes = value.expose();
    let because = match bytes {
        _ if bytes.contains(&0) => "it has a byte 0; give it as a file",
        _ if bytes.len() + name.len() + 2 > VARIABLE_BYTES_MAX => "it is longer than 128 KiB; give it as a file",
        _ => return Ok(OsString::from_vec(bytes.to_vec())),
    };
    Err(DeliveryError::Unfit { reference: reference.to_string(), place: name.to_owned(), because })
}

fn runtime(plan: &Plan) -> Option<&std::ffi::OsStr> {
    plan.environment.get(std::ffi::OsStr::from_bytes(b"XDG_RUNTIME_DIR")).map(OsString::as_os_str)
}

const VARIABLE_BYTES_MAX: usize = 128 * 1024;
