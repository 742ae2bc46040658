//! What every fetch needs of the agent it is made by.

use std::path::Path;
use std::sync::Arc;

use policy::World;
use tokio::sync::Mutex;

use super::http01::Answers;
use super::windows::Windows;
use crate::disk::Disk;

/// What every fetch needs.
pub(crate) struct Reach {
    pub world: World,
    pub disk: Arc<dyn Disk>,
    pub state_dir: Arc<Path>,
    /// The running http-01 responders, shared by address.
    pub answers: Answers,
    /// What ACME servers said of when certificates are to be renewed, by fingerprint: asked again when they said.
    pub windows: Windows,
    /// ACME accounts are made one at a time, so that two certificates of one directory share theirs.
    pub accounts: Mutex<()>,
}
