//! Whose refusals are counted together: each holder's apart, while there is room.

use std::collections::HashMap;

use policy::{Holder, Kin};

/// Whose a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// One holder's own.
    Own(Holder),
    /// Of several of one kin, who have their share of the places.
    Kin(Kin),
    /// Of several, when no place is left.
    Rest,
}

impl Place {
    /// Whether what is counted here may be several holders'.
    pub(super) fn is_shared(self) -> bool {
        match self {
            Place::Own(_) => false,
            Place::Kin(_) | Place::Rest => true,
        }
    }

    fn is_of(self, kin: Kin) -> bool {
        match self {
            Place::Own(holder) => holder.kin() == kin,
            Place::Kin(_) | Place::Rest => false,
        }
    }
}

/// Where something is kept of whoever wants this place: there if there is room, else with his kin's, else with everybody's rest.
pub(super) fn place<V>(kept: &HashMap<Place, V>, wanted: Place) -> Place {
    if kept.contains_key(&wanted) {
        return wanted;
    }
    let is_full = kept.len() >= REFUSED_APART_MAX;
    let has_share = |kin: Kin| kept.keys().filter(|place| place.is_of(kin)).count() < REFUSED_APART_OF_KIN_MAX;
    match wanted {
        Place::Own(holder) if is_full || !has_share(holder.kin()) => place(kept, Place::Kin(holder.kin())),
        Place::Kin(_) if is_full => Place::Rest,
        Place::Own(_) | Place::Kin(_) | Place::Rest => wanted,
    }
}

/// Places where refusals are counted at once, and of whom a number is owed: more than a house has who are refused within an hour.
pub const REFUSED_APART_MAX: usize = 4_096;
/// Those of one kin among them, a quarter: whoever may have many names leaves the others theirs.
pub const REFUSED_APART_OF_KIN_MAX: usize = 1_024;
