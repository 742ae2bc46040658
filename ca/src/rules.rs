//! The rules in force: policies and profiles. They are exchanged under running requests, each as a whole; a request that is under way
//! ends by those it began with.

use std::sync::Arc;

use arc_swap::ArcSwap;
use policy::Policies;

use crate::profiles::{Profile, Profiles};

/// What decides and what bounds. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Rules(Arc<Inner>);

struct Inner {
    policies: ArcSwap<Policies>,
    profiles: ArcSwap<Profiles>,
}

impl Rules {
    pub(crate) fn new(policies: Arc<Policies>, profiles: Profiles) -> Rules {
        let profiles = ArcSwap::from_pointee(profiles);
        Rules(Arc::new(Inner { policies: ArcSwap::new(policies), profiles }))
    }

    /// Who may do what, now.
    pub(crate) fn policies(&self) -> Arc<Policies> {
        self.0.policies.load_full()
    }

    /// What may be made, now.
    pub(crate) fn profiles(&self) -> Arc<Profiles> {
        self.0.profiles.load_full()
    }

    /// One of the profiles.
    pub(crate) fn profile(&self, name: &str) -> Option<Arc<Profile>> {
        self.0.profiles.load().shared(name)
    }

    /// From now on these.
    pub(crate) fn exchange(&self, policies: Policies, profiles: Profiles) {
        self.0.policies.store(Arc::new(policies));
        self.0.profiles.store(Arc::new(profiles));
    }
}
