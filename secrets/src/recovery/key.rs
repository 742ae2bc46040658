//! The public half of the recovery key, and what stands beside it in the register: for whom it is, how its shares are, and by what each of
//! them is told from every other.

use std::fmt;

use ring::digest::{SHA256, digest};

use super::error::{PlanError, ShareError, UnreadableKey};
use super::plan::Plan;
use super::share::{COMMITMENT_BYTES, Commitment, SET_BYTES, SetId, Share};
use super::suite::{PUBLIC_BYTES, Public, SUITE};
use super::text;

/// A register's recovery key: its public half.
///
/// It comes from a ceremony ([`Split`](super::Split)) or out of the register. Nothing in it is secret; it is to be taken as attested alone,
/// since a thief's key in its place would have what is wrapped from then on.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryKey {
    pub(super) plan: Plan,
    pub(super) public: Public,
    pub(super) set: SetId,
    /// One for each share, the first one's first.
    commitments: Vec<Commitment>,
}

impl RecoveryKey {
    /// A key, before there are shares of it.
    pub(super) fn unshared(plan: Plan, public: Public) -> RecoveryKey {
        let set = set_of(&plan, &public);
        RecoveryKey { plan, public, set, commitments: Vec::new() }
    }

    /// The same, with its shares.
    pub(super) fn shared(self, shares: &[Share]) -> RecoveryKey {
        RecoveryKey { commitments: shares.iter().map(Share::commitment).collect(), ..self }
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        &self.plan.origin
    }

    /// Which of the register's recovery keys, from 1.
    pub fn generation(&self) -> u16 {
        self.plan.generation
    }

    /// How many shares open.
    pub fn threshold(&self) -> u8 {
        self.plan.threshold
    }

    /// How many shares there are.
    pub fn shares(&self) -> u8 {
        self.plan.shares
    }

    /// Which set its shares are of.
    pub fn set(&self) -> SetId {
        self.set
    }

    /// SHA-256 of [`to_bytes`](Self::to_bytes): what is read aloud at the ceremony, and compared later.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, &self.to_bytes()).as_ref());
        fingerprint
    }

    /// The plan of the key after this one.
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn successor(&self, threshold: u8, shares: u8) -> Result<Plan, PlanError> {
        Plan::of(&self.plan.origin, self.plan.generation.saturating_add(1), threshold, shares)
    }

    /// Whether what somebody typed is a good share of this key, and which. Needs no other share: so a holder proves his at any time.
    ///
    /// # Errors
    /// [`ShareError`].
    pub fn verify(&self, typed: &str) -> Result<u8, ShareError> {
        let share = text::read(typed)?;
        self.check(&share).map(|()| share.number)
    }

    /// Whether a share is the one that was made for its number.
    pub(super) fn check(&self, share: &Share) -> Result<(), ShareError> {
        let Share { number, generation, set, .. } = *share;
        if set != self.set {
            return Err(ShareError::OtherSet { number, generation, found: set, wanted: self.set });
        }
        match self.commitments.get(usize::from(number).wrapping_sub(1)) {
            None => Err(ShareError::NoSuch { number, shares: self.plan.shares }),
            Some(commitment) if *commitment != share.commitment() => Err(ShareError::Wrong { number }),
            Some(_) => Ok(()),
        }
    }

    /// What stands in the register: one form for each key.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Plan { origin, generation, threshold, shares } = &self.plan;
        // The plan has bounded the origin.
        let length = u8::try_from(origin.len()).unwrap_or(u8::MAX);
        let mut bytes =
            [FORM, &[SUITE], &generation.to_be_bytes(), &[*threshold, *shares, length], origin.as_bytes()].concat();
        bytes.extend_from_slice(&self.public.to_bytes());
        bytes.extend(self.commitments.iter().flatten());
        bytes
    }

    /// Out of the register.
    ///
    /// # Errors
    /// [`UnreadableKey`].
    pub fn from_bytes(bytes: &[u8]) -> Result<RecoveryKey, UnreadableKey> {
        read(bytes).ok_or(UnreadableKey)
    }
}

fn read(bytes: &[u8]) -> Option<RecoveryKey> {
    let (&[suite, high, low, threshold, shares, length], rest) = bytes.strip_prefix(FORM)?.split_first_chunk()?;
    let (origin, rest) = rest.split_at_checked(length.into())?;
    let (public, commitments) = rest.split_at_checked(PUBLIC_BYTES)?;
    let origin = str::from_utf8(origin).ok()?;
    let plan = Plan::of(origin, u16::from_be_bytes([high, low]), threshold, shares).ok()?;
    let public = Public::from_bytes(public)?;
    let (commitments, rest) = commitments.as_chunks::<COMMITMENT_BYTES>();
    let is_whole = suite == SUITE && rest.is_empty() && commitments.len() == usize::from(shares);
    let commitments = commitments.to_vec();
    is_whole.then(|| RecoveryKey { set: set_of(&plan, &public), plan, public, commitments })
}

/// The set follows from all that a key is but its shares: nobody chooses it.
fn set_of(Plan { origin, generation, threshold, shares }: &Plan, public: &Public) -> SetId {
    let head = format!("chancery recovery set 1\n{generation}\n{threshold}\n{shares}\n{}:{origin}\n", origin.len());
    let hash = digest(&SHA256, &[head.as_bytes(), &public.to_bytes()].concat());
    let mut set = [0; SET_BYTES];
    set.iter_mut().zip(hash.as_ref()).for_each(|(byte, hashed)| *byte = *hashed);
    SetId(set)
}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { origin, generation, threshold, shares } = &self.plan;
        write!(f, "RecoveryKey({origin}, generation {generation}, {threshold} of {shares}, {:?})", self.set)
    }
}

const FORM: &[u8] = b"chancery recovery key 1\n";

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
