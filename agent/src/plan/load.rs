//! A plan from its file: the one way to a [`Plan`].

use std::path::Path;

use super::certificate::Plan;
use super::check;
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
}
