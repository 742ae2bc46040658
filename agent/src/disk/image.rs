//! One file as a value: its content, its mode and its owner.
//!
//! Holds private keys: contents are wiped when dropped and never printed.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine};
use policy::Secret;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A file's content and who may read it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Image {
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    content: Secret<Vec<u8>>,
    pub mode: u32,
    /// `None`: left open; a new file is whoever's who runs the agent.
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

impl Image {
    pub fn new(content: Vec<u8>, mode: u32) -> Self {
        Self { content: Secret::new(content), mode, uid: None, gid: None }
    }

    /// The same, for this owner and group.
    pub fn of(self, uid: Option<u32>, gid: Option<u32>) -> Self {
        Self { uid, gid, ..self }
    }

    pub fn content(&self) -> &[u8] {
        self.content.expose()
    }

    /// One that was found on the disk.
    pub(super) fn found(content: Secret<Vec<u8>>, mode: u32, uid: u32, gid: u32) -> Self {
        Self { content, mode, uid: Some(uid), gid: Some(gid) }
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
