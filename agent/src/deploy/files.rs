//! The files of one certificate, as one value: a `FileSet` is what stood, or shall stand, at the configured paths.
//!
//! Holds private keys: contents are wiped when dropped and never printed.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::switch::look;
use crate::credential::{Bundle, Leaf, key_matches};
use crate::disk::Image;
use crate::error::AgentError;
use crate::plan::{Certificate, Files};

/// What stands, or shall stand, at every configured path of one certificate.
#[derive(Debug, Serialize, Deserialize, PartialEq)]
pub(crate) struct FileSet {
    /// The certificate's name in the plan.
    pub name: String,
    /// Whom the plan names as the owner of the files, and so of their folders.
    pub owner: Option<u32>,
    /// Every configured path, each once.
    pub targets: Vec<Target>,
}

/// One path and what is there.
#[derive(Debug, Serialize, Deserialize, PartialEq)]
pub(crate) struct Target {
    /// Where.
    pub path: PathBuf,
    /// `None`: nothing is there.
    pub image: Option<Image>,
}

impl FileSet {
    /// What the plan wants on disk for `bundle`.
    pub fn wanted(plan: &Certificate, bundle: &Bundle) -> Self {
        let files = &plan.files;
        let image = |content: Vec<u8>, standard: u32| {
            Image::new(content, files.mode.unwrap_or(standard)).of(files.uid, files.gid)
        };
        let target = |path: &Path, image: Image| Target { path: path.to_owned(), image: Some(image) };
        let mut targets = vec![target(&files.key, image(bundle.key_pem().as_bytes().to_vec(), KEY_MODE))];
        for (path, text) in [
            (&files.cert, bundle.cert_pem()),
            (&files.chain, bundle.chain_pem()),
            (&files.fullchain, bundle.fullchain_pem()),
        ] {
            targets.extend(path.iter().map(|path| target(path, image(text.clone().into_bytes(), CERT_MODE))));
        }
        Self { name: plan.name.clone(), owner: files.uid, targets }
    }

    /// What stands at `paths` now.
    pub fn read<'a>(name: &str, owner: Option<u32>, paths: impl Iterator<Item = &'a Path>) -> Result<Self, AgentError> {
        let targets = paths
            .map(|path| {
                let image = look(name, path).map_err(|e| AgentError::disk(path, "the file cannot be read", e))?;
                Ok(Target { path: path.to_owned(), image })
            })
            .collect::<Result<_, AgentError>>()?;
        Ok(Self { name: name.to_owned(), owner, targets })
    }

    /// The leaf at the configured paths, where key and certificate are both there and belong together.
    pub fn pair(&self, files: &Files) -> Option<Leaf> {
        let leaf = Leaf::first_of(self.content(files.leaf()?)?).ok()?;
        let key = self.key(files)?;
        let whole = files.paths().all(|path| self.content(path).is_some());
        // `cert` and `fullchain` must speak of the same leaf.
        let same = [&files.cert, &files.fullchain].into_iter().flatten().all(|path| {
            self.content(path)
                .and_then(|pem| Leaf::first_of(pem).ok())
                .is_some_and(|other| other.fingerprint == leaf.fingerprint)
        });
        (whole && same && key_matches(key, &leaf)).then_some(leaf)
    }

    /// The private key, PEM.
    pub fn key(&self, files: &Files) -> Option<&str> {
        std::str::from_utf8(self.content(&files.key)?).ok()
    }

    /// The leaf and what stands above it, PEM, from whichever files there are.
    pub fn chain(&self, files: &Files) -> Vec<u8> {
        let paths = match &files.fullchain {
            Some(whole) => vec![whole],
            None => [&files.cert, &files.chain].into_iter().flatten().collect(),
        };
        let mut pem = Vec::new();
        for content in paths.into_iter().filter_map(|path| self.content(path)) {
            pem.extend_from_slice(content);
            pem.push(b'\n');
        }
        pem
    }

    fn content(&self, path: &Path) -> Option<&[u8]> {
        let target = self.targets.iter().find(|t| t.path == path)?;
        target.image.as_ref().map(Image::content)
    }
}

/// Keys are for their owner alone unless the plan says who else.
const KEY_MODE: u32 = 0o600;
/// Certificates are public.
const CERT_MODE: u32 = 0o644;
