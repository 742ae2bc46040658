//! What was refused at one place within one window, and the leaves that tell of it.

use std::time::{Duration, Instant};

use policy::{Actor, Name, Owner, Proof};
use store::RefusalEntry;

use crate::refused::place::Place;

/// What was refused at one place since a moment.
pub(super) struct Window {
    since: Instant,
    told: u32,
    /// Whether a leaf says that the rest is counted.
    is_said: bool,
    counted: u64,
    /// Whether it was by several credentials.
    by_several: bool,
    /// Whose leaf was the first: the leaves of him are there before the window is over.
    first: String,
    /// What all certificates of the one who came first have in common.
    in_common: Option<InCommon>,
    /// What was refused last: by it the number is told.
    last: RefusalEntry,
}

/// By what all certificates of a holder are found: of his owner, with one of his names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InCommon {
    /// The owner; none where they are nobody's.
    pub owner: Option<Owner>,
    /// The first of the names that is a DNS name or an address: nothing in it but a star means anything to a shell.
    pub name: Name,
}

/// What becomes of a refusal.
#[derive(Debug)]
pub(crate) enum Noted {
    /// It is a leaf, of those of this place.
    Told(Place, RefusalEntry),
    /// It is the first of those that are counted there, and a leaf that says so.
    Counting(Place, RefusalEntry),
    /// It is counted.
    Counted,
}

/// How many were refused at one place, and counted alone: it is to be a leaf.
#[derive(Clone, Debug)]
pub(crate) struct Sum {
    pub(super) place: Place,
    pub(super) number: u64,
    /// In so many windows.
    pub(super) windows: u64,
    pub(super) by_several: bool,
    pub(super) last: RefusalEntry,
}

impl Window {
    /// One that begins now, with this refusal to come.
    pub(super) fn new(first: &RefusalEntry, in_common: Option<InCommon>, now: Instant) -> Window {
        let (last, first) = (first.clone(), first.actor.id.clone());
        Window { since: now, told: 0, is_said: false, counted: 0, by_several: false, first, in_common, last }
    }

    pub(super) fn note(&mut self, refusal: RefusalEntry, place: Place) -> Noted {
        self.by_several |= refusal.actor.id != self.last.actor.id;
        self.last = refusal.clone();
        if self.told < TOLD_MAX {
            if self.told == 0 {
                // Those before it did not become leaves.
                self.first.clone_from(&refusal.actor.id);
            }
            self.told += 1;
            return Noted::Told(place, refusal);
        }
        if !self.is_said {
            self.is_said = true;
            let missing = counting(&refusal.missing, whose(place, self.by_several));
            return Noted::Counting(place, RefusalEntry { missing, ..refusal });
        }
        self.counted = self.counted.saturating_add(1);
        Noted::Counted
    }

    /// One of them did not become a leaf: it is not among those that are.
    pub(super) fn untold(&mut self) {
        self.told = self.told.saturating_sub(1);
    }

    /// That the rest is counted did not become a leaf: the next refusal says so again.
    pub(super) fn unsaid(&mut self) {
        self.is_said = false;
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= WINDOW
    }

    /// Whether what is refused is counted by now, and no leaf says of what.
    pub(super) fn is_counting(&self, now: Instant) -> bool {
        self.is_said && !self.is_over(now)
    }

    /// How many are in no leaf.
    pub(super) fn counted(&self) -> u64 {
        self.counted
    }

    /// How often it was, with those that are leaves.
    pub(super) fn times(&self) -> u64 {
        self.counted.saturating_add(u64::from(self.told)).saturating_add(u64::from(self.is_said))
    }

    /// Whether it was by several credentials.
    pub(super) fn is_by_several(&self) -> bool {
        self.by_several
    }

    /// Who was refused first, of those of whom there is a leaf.
    pub(super) fn actor(&self) -> &str {
        &self.first
    }

    /// By what all his certificates are found.
    pub(super) fn in_common(&self) -> Option<&InCommon> {
        self.in_common.as_ref()
    }

    /// What is to be told of it; none where nothing was counted.
    pub(super) fn sum(self, place: Place) -> Option<Sum> {
        let Window { counted: number, by_several, last, .. } = self;
        (number > 0).then_some(Sum { place, number, windows: 1, by_several, last })
    }
}

impl InCommon {
    /// Of an actor; none where he shows no certificate, or one without such a name.
    pub(super) fn of(actor: &Actor) -> Option<InCommon> {
        let is_plain = |name: &&Name| match name {
            Name::Dns(_) | Name::Ip(_) => true,
            // Who asked for it chose what stands in it: it is not for a line that somebody pastes.
            Name::Email(_) | Name::Uri(_) | Name::Upn(_) => false,
        };
        let name = match &actor.proof {
            Proof::ClientCertificate { names, .. } => names.iter().find(is_plain)?.clone(),
            Proof::Token { .. } | Proof::AcmeKey { .. } | Proof::System => return None,
        };
        Some(InCommon { owner: actor.owners.first().cloned(), name })
    }
}

impl Sum {
    pub(super) fn add(&mut self, other: Sum) {
        self.number = self.number.saturating_add(other.number);
        self.windows = self.windows.saturating_add(other.windows);
        self.by_several |= other.by_several || other.last.actor.id != self.last.actor.id;
        self.last = other.last;
    }

    /// The leaf that says how many were counted.
    pub(crate) fn leaf(&self) -> RefusalEntry {
        let (number, whose) = (self.number, whose(self.place, self.by_several));
        let minutes = self.windows.saturating_mul(REFUSALS_WINDOW_SECS / 60);
        let of = if self.place.is_shared() { " of several actors" } else { "" };
        let target = format!("{number} more refusals{of}");
        let missing = format!("and {number} more of {whose} within {minutes} minutes, each by policy");
        RefusalEntry { target, missing, rule: None, ..self.last.clone() }
    }
}

/// Whose they are: a leaf has one actor, who was refused last.
fn whose(place: Place, by_several: bool) -> &'static str {
    match place {
        Place::Own(_) if by_several => "this actor, by this certificate and others for the same names,",
        Place::Own(_) => "this actor",
        Place::Kin(_) => "several actors of the same owners, too many to be counted apart, of whom this is the last,",
        Place::Rest => "several actors, too many to be counted apart, of whom this is the last,",
    }
}

fn counting(missing: &str, whose: &str) -> String {
    let minutes = REFUSALS_WINDOW_SECS / 60;
    format!(
        "{missing}; {TOLD_MAX} of {whose} were refused within {minutes} minutes: from here on they are counted, and the number is told"
    )
}

/// So long the refusals of a holder are counted together ...
pub const REFUSALS_WINDOW_SECS: u64 = 3_600;
pub(super) const WINDOW: Duration = Duration::from_secs(REFUSALS_WINDOW_SECS);
/// ... of which so many are leaves of their own: somebody who mistypes never sees the rest.
pub(super) const TOLD_MAX: u32 = 256;
/// From so many on somebody should look: no hand mistypes that often, and a program that does is set up wrongly or is somebody else's.
pub const INSISTENT_FROM: u64 = 1_024;
