//! A plan from its file: the one way to a [`Plan`].

use std::path::Path;

use policy::Timestamp;

use super::certificate::Plan;
use super::{check, options};
use crate::error::{AgentError, PlanError};

impl Plan {
    /// Reads and checks a plan file.
    pub fn load(path: &Path) -> Result<Self, AgentError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| AgentError::disk(path, "the plan cannot be read", source))?;
        Ok(Self::parse(&text, path)?)
    }

    /// Checks the text of a plan that stands in `file`.
    pub fn parse(text: &str, file: &Path) -> Result<Self, PlanError> {
        check::parse(text, file)
    }

    /// Which files of public keys have lines by which sshd lets nobody in at this moment: their `expiry-time` is past. Such a plan is good, since what
    /// ends was to end, and is none to begin with.
    pub fn expired(&self, now: Timestamp) -> Vec<&str> {
        let is_past = |text: &String| options::ends(text).is_some_and(|ends| ends <= now);
        let expired = self.keys.iter().filter(|keys| keys.options.as_ref().is_some_and(is_past));
        expired.map(|keys| keys.name.as_str()).collect()
    }
}
