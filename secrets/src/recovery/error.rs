//! What can be wrong with a share, a ceremony, and what was wrapped. No message has a character of a share in it: where there is one to
//! be named, it is its place.

use super::share::SetId;

/// A plan that cannot be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// One person alone would open everything, or more are needed than there are.
    #[error(
        "{threshold} of {shares} cannot be shared: of 2 to 16 shares, at least 2 have to be needed, and no more than there are"
    )]
    Numbers {
        /// How many are to be needed.
        threshold: u8,
        /// How many there are to be.
        shares: u8,
    },
    /// The log's name is empty, or too long to stand in a recovery key.
    #[error("the log's name has to have 1 to 255 bytes")]
    Origin,
    /// Every generation there can be has been.
    #[error("there is no generation of the recovery key after this one")]
    Generations,
}

/// A share that could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// The system gave no random bytes.
    #[error("the system has no random bytes: nothing was made; begin again")]
    NoRandom,
    /// What was made was joined at once, and was not what had been shared.
    #[error(
        "the shares that were made do not give the key again: this machine calculates wrongly; begin again on another"
    )]
    Unsound,
}

/// A share that is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// It does not begin as a share does.
    #[error("this is no share: a share begins with CHY1")]
    Foreign,
    /// A character is none of the alphabet.
    #[error(
        "character {place} of group {group} is none that a share is written with: b, i, o and 1 do not occur in it"
    )]
    Character {
        /// Which group, from 1, after `CHY1`.
        group: usize,
        /// Which of its characters, from 1.
        place: usize,
    },
    /// A character is missing, or there is one too many.
    #[error("a share has {wanted} characters with its CHY1, and this has {found}: compare group by group")]
    Length {
        /// How many there are (one too many is as far as is counted).
        found: usize,
        /// How many there have to be.
        wanted: usize,
    },
    /// The checksum is another. The groups that are most likely wrong, where one character is or two are.
    #[error("a character is wrong{}: compare with the paper, and type it again", in_groups(.groups))]
    Mistyped {
        /// Which groups, from 1, after `CHY1`; none where too much is wrong to tell.
        groups: Vec<usize>,
    },
    /// A form that this program does not know.
    #[error("this share was written by a newer program: use that")]
    Newer,
    /// The checksum is right and the numbers are none that a plan can have: no program of ours wrote it.
    #[error("this share was never made by a ceremony: its numbers contradict each other")]
    Impossible,
    /// It is of another set: of another ceremony, or another register.
    #[error("share {number} is of the set {found}, generation {generation}; what is asked for is the set {wanted}")]
    OtherSet {
        /// The share's number.
        number: u8,
        /// The generation it says.
        generation: u16,
        /// The set it is of.
        found: SetId,
        /// The set of the register's key.
        wanted: SetId,
    },
    /// Somebody else's share.
    #[error("this is share {found}, and share {wanted} is asked for")]
    OtherNumber {
        /// The number of the share that was typed.
        found: u8,
        /// The one that was asked for.
        wanted: u8,
    },
    /// There is no share of that number.
    #[error("there is no share {number}: they are numbered from 1 to {shares}")]
    NoSuch {
        /// The number.
        number: u8,
        /// How many there are.
        shares: u8,
    },
    /// It is not what was made for that number: the register's commitment is another.
    #[error("share {number} is not the one that the ceremony made: it was altered, or the register's commitment was")]
    Wrong {
        /// The share's number.
        number: u8,
    },
    /// It was taken before.
    #[error("share {number} was taken already: another one is needed")]
    Twice {
        /// The share's number.
        number: u8,
    },
    /// Its holder has confirmed it: it is not shown again.
    #[error("share {number} was confirmed: it is not here any more")]
    Gone {
        /// The share's number.
        number: u8,
    },
}

/// Shares that do not give the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// More are needed.
    #[error("{missing} more of the shares are needed")]
    TooFew {
        /// How many.
        missing: u8,
    },
    /// Each is the one that the register says, and they are not of one secret.
    #[error(
        "the shares {} do not lie on one polynomial with those before them: the ceremony was not made by this program, \
         or the register's commitments are forged", listed(.numbers)
    )]
    Inconsistent {
        /// Those that disagree with the first ones; any of all may be wrong.
        numbers: Vec<u8>,
    },
    /// They give a key, and it is not the register's.
    #[error(
        "the shares give another key than the register's: the ceremony was not made by this program, or the register's key is forged"
    )]
    OtherKey,
}

/// Bytes that are no recovery key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no recovery key that this program knows")]
pub struct UnreadableKey;

/// A data key that was not wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrapError {
    /// The key is another register's.
    #[error("the recovery key is of another register")]
    Elsewhere,
    /// It was to be wrapped anew to a key that is not newer.
    #[error(
        "what is wrapped to generation {from} of the recovery key is wrapped anew to a later one, and {to} is none"
    )]
    NotNewer {
        /// The generation that opens.
        from: u16,
        /// The one that was asked for.
        to: u16,
    },
    /// What was wrapped before is forged.
    #[error(transparent)]
    Forged(#[from] crate::envelope::Forged),
    /// The system gave no random bytes.
    #[error("the system has no random bytes: nothing was wrapped")]
    NoRandom,
}

fn in_groups(groups: &[usize]) -> String {
    match groups {
        [] => String::new(),
        [one] => format!(", most likely in group {one}"),
        several => format!(", most likely in the groups {}", listed(several)),
    }
}

fn listed<N: ToString>(numbers: &[N]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
