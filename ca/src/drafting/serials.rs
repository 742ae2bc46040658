//! Serial numbers of this node.

use policy::{Instance, Serial, World};

/// Makes serials: the node's own prefix, then time and luck (invariant 9).
#[derive(Clone)]
pub(crate) struct Serials {
    world: World,
    instance: Instance,
}

impl Serials {
    pub(crate) fn new(world: World, instance: Instance) -> Serials {
        Serials { world, instance }
    }

    /// One that was never used.
    pub(crate) fn next(&self) -> Serial {
        Serial::generate(&self.world, self.instance)
    }
}
