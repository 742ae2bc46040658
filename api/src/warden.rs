//! Who asks policy for what the service does with secrets by itself, in the name of a task.

use ca::CaError;
use policy::{Action, Actor, Grant, Owner, Resource};
use secrets::{SecretError, SecretPath, Warrants};

use crate::app::App;
use crate::problem::chain;

/// Asks policy in the name of one task.
pub(crate) struct Warden {
    app: App,
    task: &'static str,
}

impl Warden {
    /// Of rotations.
    pub(crate) fn rotation(app: &App) -> Warden {
        Warden { app: app.clone(), task: "rotation" }
    }

    /// Of leases.
    pub(crate) fn lease(app: &App) -> Warden {
        Warden { app: app.clone(), task: "lease" }
    }
}

impl Warrants for Warden {
    async fn warrant(&self, action: Action, path: &SecretPath, owner: &Owner) -> Result<Grant, SecretError> {
        let on = Resource::secret(Some(owner.clone()), path.as_str());
        let granted = self.app.authority().authorize(&Actor::system(self.task), action, on).await;
        granted.map_err(|error: CaError| SecretError::Conflict(chain(&error)))
    }
}
