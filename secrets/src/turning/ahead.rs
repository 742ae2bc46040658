//! After an operator's word: rotations whose times a clock wrote which was ahead.

use policy::Action;

use super::base::Rotations;
use super::place::Warrants;
use super::record::{ROTATION, Turning};
use crate::due;
use crate::error::SecretError;
use crate::page::{all_taken, is_written};

impl Rotations {
    /// Puts right what a clock wrote that was ahead, in all that are set up: once after each operator's word, since such a rotation is found
    /// by what is due only when the time of that clock has come. How many there were. One that was altered, or whose secret was, holds no other
    /// up.
    ///
    /// # Errors
    /// [`SecretError::Store`]: the register is away, or the clock is not believed; what was put right stays so.
    pub async fn put_right(&self, warrants: &impl Warrants) -> Result<u64, SecretError> {
        let (now, mut count, mut after) = (self.seconds().await?, 0, None);
        loop {
            let page = self.vault.ledger().record_page(ROTATION, due::all(after.take(), PAGE_MAX)).await?;
            after = page.last().filter(|_| page.len() == PAGE_MAX).and_then(|last| last.lookup.clone());
            for mut turning in all_taken(page, Turning::of) {
                if !turning.body.rotation.put_right(now) {
                    continue;
                }
                let grant = warrants.warrant(Action::WriteSecret, &turning.path, &turning.owner).await;
                let written = match grant {
                    Ok(grant) => self.write(&grant, &turning).await,
                    Err(refused) => Err(refused),
                };
                count += u64::from(is_written(written)?);
            }
            if after.is_none() {
                return Ok(count);
            }
        }
    }
}

const PAGE_MAX: usize = 1_000;
