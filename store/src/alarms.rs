//! Which operations have no conclusion, without reading all operations each time.
//!
//! An operation that is concluded or revoked stays so, and a new one has a greater number. So one look need only ask
//! again after those it knew to be open, and after those that came since. Not a record of anything: a restart looks once
//! at all.

use std::collections::BTreeSet;

use crate::credential::{Credential, State};
use crate::error::StoreError;
use crate::queries;
use crate::sql::Sql;

/// An alarm list is for people; what does not fit is in `counts`.
pub(crate) const UNCONCLUDED_MAX: usize = 1_000;

/// What the last look found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Alarms {
    /// Every operation below is settled, but for those in `open`.
    looked_to: u64,
    open: BTreeSet<u64>,
}

impl Alarms {
    /// The open operations now, oldest first, and what to start from next time.
    pub fn look(&self, sql: &mut dyn Sql) -> Result<(Vec<Credential>, Alarms), StoreError> {
        // Before the questions: whatever is appended meanwhile lies at or above it.
        let size = queries::head(sql)?.size;
        let mut found = Vec::new();
        for op in &self.open {
            found.extend(queries::by_operation(sql, *op)?.filter(|there| there.state == State::Intended));
        }
        let room = UNCONCLUDED_MAX.saturating_sub(found.len());
        let newer = queries::open_from(sql, self.looked_to, room)?;
        // A full list ends at its last operation; the next look goes on from there when some of it is settled.
        let looked_to = match newer.last() {
            Some(last) if newer.len() == room => last.operation + 1,
            _ if room == 0 => self.looked_to,
            _ => size,
        };
        found.extend(newer);
        let open = found.iter().map(|credential| credential.operation).collect();
        Ok((found, Alarms { looked_to, open }))
    }
}
