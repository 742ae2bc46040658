//! The files of one certificate, as one value: a `FileSet` is what stood, or shall stand, at the configured paths.
//!
//! Holds private keys: contents are wiped when dropped and never printed.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine};
use policy::Secret;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::AgentError;
use crate::material::{Bundle, Leaf, key_matches};
use crate::plan::{Certificate, Files};

/// What stands, or shall stand, at every configured path of one certificate.
#[derive(Debug, Serialize, Deserialize, PartialEq)]
pub(crate) struct FileSet {
    /// The certificate's name in the plan.
    pub name: String,
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

/// A file's content and who may read it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Image {
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    content: Secret<Vec<u8>>,
    pub mode: u32,
    /// `None`: whoever runs the agent.
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

impl Image {
    pub fn new(content: Vec<u8>, mode: u32) -> Self {
        Self { content: Secret::new(content), mode, uid: None, gid: None }
    }

    pub fn content(&self) -> &[u8] {
        self.content.expose()
    }

    /// Follows links; `None` where nothing is.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        let metadata = match fs::metadata(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        if !metadata.is_file() || metadata.len() > FILE_BYTES_MAX {
            return Err(io::Error::other("not a file of at most 1 MiB"));
        }
        Ok(Some(Self {
            content: Secret::new(fs::read(path)?),
            mode: metadata.mode() & 0o7777,
            uid: Some(metadata.uid()),
            gid: Some(metadata.gid()),
        }))
    }
}

impl PartialEq for Image {
    /// An owner that was left open equals any.
    fn eq(&self, other: &Self) -> bool {
        let open = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
        self.content == other.content
            && self.mode == other.mode
            && open(self.uid, other.uid)
            && open(self.gid, other.gid)
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.content().len();
        write!(f, "Image({length} bytes, {:04o})", self.mode)
    }
}

impl FileSet {
    /// What the plan wants on disk for `bundle`.
    pub fn wanted(plan: &Certificate, bundle: &Bundle) -> Self {
        let files = &plan.files;
        let image = |content: Vec<u8>, standard: u32| Image {
            content: Secret::new(content),
            mode: files.mode.unwrap_or(standard),
            uid: files.uid,
            gid: files.gid,
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
        Self { name: plan.name.clone(), targets }
    }

    /// What stands at `paths` now.
    pub fn read<'a>(name: &str, paths: impl Iterator<Item = &'a Path>) -> Result<Self, AgentError> {
        let targets = paths
            .map(|path| {
                let image = Image::read(path).map_err(|e| AgentError::disk(path, "the file cannot be read", e))?;
                Ok(Target { path: path.to_owned(), image })
            })
            .collect::<Result<_, AgentError>>()?;
        Ok(Self { name: name.to_owned(), targets })
    }

    /// The leaf at the configured paths, where key and certificate are both there and belong together.
    pub fn pair(&self, files: &Files) -> Option<Leaf> {
        let leaf = Leaf::first_of(self.content(files.leaf()?)?).ok()?;
        let key = std::str::from_utf8(self.content(&files.key)?).ok()?;
        let whole = files.paths().all(|path| self.content(path).is_some());
        // `cert` and `fullchain` must speak of the same leaf.
        let same = [&files.cert, &files.fullchain].into_iter().flatten().all(|path| {
            self.content(path)
                .and_then(|pem| Leaf::first_of(pem).ok())
                .is_some_and(|other| other.fingerprint == leaf.fingerprint)
        });
        (whole && same && key_matches(key, &leaf)).then_some(leaf)
    }

    fn content(&self, path: &Path) -> Option<&[u8]> {
        let target = self.targets.iter().find(|t| t.path == path)?;
        target.image.as_ref().map(Image::content)
    }
}

fn to_base64<S: Serializer>(content: &Secret<Vec<u8>>, to: S) -> Result<S::Ok, S::Error> {
    // The text is a secret too.
    let text = Secret::new(BASE64_STANDARD.encode(content.expose()));
    to.serialize_str(text.expose())
}

fn from_base64<'de, D: Deserializer<'de>>(from: D) -> Result<Secret<Vec<u8>>, D::Error> {
    let text = Secret::new(String::deserialize(from)?);
    let content = BASE64_STANDARD.decode(text.expose()).map_err(serde::de::Error::custom)?;
    Ok(Secret::new(content))
}

/// Keys are for their owner alone unless the plan says who else.
const KEY_MODE: u32 = 0o600;
/// Certificates are public.
const CERT_MODE: u32 = 0o644;
/// Largest file taken over: a key or a chain is a few KiB.
const FILE_BYTES_MAX: u64 = 1 << 20;
