//! The time, as the ledger has it.

use policy::Timestamp;

use super::base::Ledger;
use crate::clock;
use crate::nouns::error::StoreError;
use crate::nouns::held::Held;
use crate::reader::Lane;

impl Ledger {
    /// The time, if it can be believed; nothing begins that does not ask. What is written is judged again under the head's lock.
    pub async fn time(&self) -> Result<Timestamp, StoreError> {
        self.register().time().await
    }

    /// Why nothing begins, as far as this node knows without asking.
    pub fn time_held(&self) -> Option<Held> {
        self.register().clock().now().err()
    }

    /// The time by which things end, and nothing waits for it: what the clock shows where it is believed; where it is not, the lesser of that
    /// and what contradicts it, but never less than the time in force, nor than the time gone by. For whoever asks whether something has
    /// ended; what is published asks for [`Ledger::cautious_time`].
    pub fn believed_time(&self) -> Timestamp {
        self.register().clock().believed_now()
    }

    /// The time that has surely come, and nothing waits for it: as [`Ledger::believed_time`], but where the log is further than time went by
    /// since this node's clock was believed, no more than that. For what ends for good, like a leased user.
    pub fn certain_time(&self) -> Timestamp {
        self.register().clock().certain_now()
    }

    /// The time, never later than what can be believed: for what tells of revocations, and is published.
    pub fn cautious_time(&self) -> Timestamp {
        self.register().clock().cautious_now()
    }

    /// The greatest time of the log since an operator's last word, as this node last saw it.
    pub fn time_in_force(&self) -> Timestamp {
        self.register().clock().in_force()
    }

    /// The version of the operators' last word about the time, as this node knows it; 0 where nobody ever gave one. After a new one what a
    /// clock wrote that was ahead may be put right.
    pub fn time_word(&self) -> u64 {
        self.record_version(clock::KIND, clock::ID)
    }

    /// From when to when nobody was there: from the newest time of the log as this node found it to when that was.
    pub fn away(&self) -> (Timestamp, Timestamp) {
        self.register().away()
    }

    /// Tells the ledger what a witness's clock shows now.
    pub fn hear_time(&self, witness: &str, shows: Timestamp) {
        self.register().clock().hear(witness, shows);
    }

    /// What the clock of the database's server shows; none where the database is a file of this host.
    pub async fn database_time(&self) -> Result<Option<Timestamp>, StoreError> {
        self.register().ask(Lane::Request, |sql| Ok(sql.server_time()?.map(Timestamp::from_unix))).await
    }
}
