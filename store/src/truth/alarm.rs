//! What a node found that must not be: kept in memory for people, said in the log once.

use std::collections::VecDeque;

use policy::Timestamp;

/// Alarms kept; a database that is altered all over needs no longer list.
pub(super) const ALARMS_MAX: usize = 100;

/// Something in the register is not what this node knows to be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// When it was noticed first.
    pub at: Timestamp,
    /// Which row, for people: `record kind=api-token id=admin`.
    pub place: String,
    /// What is wrong with it.
    pub says: String,
    /// How often it was met since.
    pub times: u64,
}

/// How the register is, as this node knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Integrity {
    /// Why nothing is written any more: the log is not an extension of the tree in memory. An operator's business.
    pub held: Option<String>,
    /// What was found, newest last.
    pub alarms: Vec<Alarm>,
    /// How many were found, those that fell out of the list too.
    pub alarms_total: u64,
}

#[derive(Debug, Default)]
pub(super) struct Alarms {
    list: VecDeque<Alarm>,
    total: u64,
}

impl Alarms {
    pub fn raise(&mut self, at: Timestamp, place: String, says: String) {
        self.total += 1;
        if let Some(known) = self.list.iter_mut().find(|known| known.place == place && known.says == says) {
            known.times += 1;
            return;
        }
        tracing::error!(%place, %says, "the register holds what no node of ours wrote");
        self.list.push_back(Alarm { at, place, says, times: 1 });
        if self.list.len() > ALARMS_MAX {
            self.list.pop_front();
        }
    }

    pub fn list(&self) -> (Vec<Alarm>, u64) {
        (self.list.iter().cloned().collect(), self.total)
    }
}
