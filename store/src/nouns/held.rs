//! Why a clock is not believed: what an error says of it. Who judges is `clock`.

use policy::Timestamp;

/// Why a clock is not believed, and so nothing begins.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.says())]
pub struct Held {
    /// What the clock shows.
    pub shows: Timestamp,
    /// What it should show by the one who contradicts it.
    pub expected: Timestamp,
    /// Who that is.
    pub by: Witness,
}

/// Who contradicts a clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Witness {
    /// The log: a leaf is newer than what the clock shows.
    Log,
    /// The clock itself: it went further than time went by.
    Run,
    /// The database's clock, or a peer: by name.
    Other(String),
}

impl Held {
    fn says(&self) -> String {
        let Held { shows, expected, by } = self;
        match by {
            Witness::Log => format!(
                "the clock shows {shows}, but the log already holds {expected}; look with `chancery clock show` and set the clock \
                 right, or where the log's time is the wrong one say so with `chancery clock accept --reason TEXT`"
            ),
            Witness::Run => format!(
                "the clock shows {shows}, but by the time gone by it is {expected}; look with `chancery clock show` and set the \
                 clock right, or where it is right say so with `chancery clock accept --reason TEXT`"
            ),
            Witness::Other(name) => {
                format!(
                    "the clock shows {shows}, but {name} shows {expected}; look with `chancery clock show` and set right the one \
                     that is wrong"
                )
            }
        }
    }

    /// The later of two times that might both be right is never written, and never published.
    pub(crate) fn cautious(&self) -> Timestamp {
        self.shows.min(self.expected)
    }
}
