//! The values that references stand for, asked of the server many at a time: all of them, or a failure that names each that is missing.

use std::collections::{HashSet, VecDeque};

use delivery::exchange::{Absent, Fetched, NoAnswer, VALUES, asking};
use secrets::Reference;

use crate::client::Client;
use crate::failure::{Exit, Failure};

/// So many are asked for at once: what the server takes (`store::ACCESSED_MAX`).
const BATCH: usize = store::ACCESSED_MAX;
/// So many different ones one command asks for: 16 requests.
const REFERENCES_MAX: usize = 1024;

/// Nothing was fetched.
pub struct Missed {
    /// Why.
    pub failure: Failure,
    /// What the server has refused, or has not any more.
    pub gone: Gone,
}

/// What is not to be had any more, whatever was kept of it.
pub enum Gone {
    /// Nobody said so of anything.
    Nothing,
    /// These.
    These(Vec<Reference>),
    /// The caller himself is refused.
    All,
}

impl From<Failure> for Missed {
    fn from(failure: Failure) -> Self {
        let gone = if failure.exit() == Exit::Refused { Gone::All } else { Gone::Nothing };
        Self { failure, gone }
    }
}

/// Asks for all of them. Those of one batch are of one moment, and those that one rule allows share one entry of the log.
///
/// Those that are optional are left out where they are not to be had. `keep_secs`: for so many seconds they would be kept; the log says until when.
pub async fn fetch(
    client: &Client,
    (references, optional): (&HashSet<Reference>, &HashSet<Reference>),
    keep_secs: u64,
) -> Result<Fetched, Missed> {
    if references.len() > REFERENCES_MAX {
        let says = format!("{} secrets are more than one command asks for: {REFERENCES_MAX}", references.len());
        return Err(Failure::new(Exit::Usage, says).help("name fewer at once").into());
    }
    let mut asked: Vec<(String, &Reference)> = references.iter().map(|one| (one.to_string(), one)).collect();
    // The same question each time, whatever order a set has.
    asked.sort_by(|one, other| one.0.cmp(&other.0));
    let asked: Vec<&Reference> = asked.into_iter().map(|(_, reference)| reference).collect();
    let mut batches: VecDeque<Vec<&Reference>> = asked.chunks(BATCH).map(<[_]>::to_vec).collect();
    let (mut fetched, mut missing, mut gone) = (Fetched::default(), Vec::new(), Vec::new());
    while let Some(batch) = batches.pop_front() {
        let absent = match answered(client, &batch, keep_secs, &mut fetched).await {
            Ok(absent) => absent,
            Err(failure) => return Err(broken_off(failure, &missing, asked.len(), gone)),
        };
        for absent in absent {
            // One answer does not hold all of them.
            let alone = batch.iter().find(|one| absent.is_full() && batch.len() > 1 && ***one == absent.reference);
            if let Some(alone) = alone {
                batches.push_back(vec![*alone]);
                continue;
            }
            let is_final = absent.is_final();
            if is_final {
                gone.push(absent.reference.clone());
            }
            if !(is_final && optional.contains(&absent.reference)) {
                missing.push(absent);
            }
        }
    }
    match missing.is_empty() {
        true => Ok(Fetched { gone, ..fetched }),
        false => Err(Missed { failure: told(&missing, asked.len()), gone: Gone::These(gone) }),
    }
}

/// What did not come of one batch.
async fn answered(
    client: &Client,
    batch: &[&Reference],
    keep_secs: u64,
    fetched: &mut Fetched,
) -> Result<Vec<Absent>, Failure> {
    let answer = client.post_hidden(VALUES, &asking(batch, keep_secs)).await.map_err(Failure::of_a_reading)?;
    fetched.take(batch, &answer).map_err(unknown)
}

/// What the batches before said counts, whatever ended this one: a server that refused something is not away.
fn broken_off(failure: Failure, missing: &[Absent], of: usize, gone: Vec<Reference>) -> Missed {
    if failure.exit() == Exit::Refused {
        return failure.into();
    }
    let failure = if missing.iter().any(Absent::is_final) { told(missing, of) } else { failure };
    Missed { failure, gone: Gone::These(gone) }
}

/// Each that is missing, and why. That one may be had later counts only where all others can be had.
fn told(missing: &[Absent], of: usize) -> Failure {
    let all = |is: fn(&Absent) -> bool| missing.iter().all(is);
    let exit = match (all(Absent::is_later), all(Absent::is_refused)) {
        (true, _) => Exit::Unavailable,
        (false, true) => Exit::Refused,
        (false, false) => Exit::Failed,
    };
    let says = format!("{} of {of} {} cannot be had", missing.len(), if of == 1 { "secret" } else { "secrets" });
    let failure = missing.iter().fold(Failure::new(exit, says), |failure, absent| failure.since(absent.to_string()));
    let is_any_refused = missing.iter().any(Absent::is_refused);
    match (exit, is_any_refused) {
        (Exit::Unavailable, _) => failure.help("ask again in a moment"),
        (_, true) => {
            failure.help("an administrator gives the right: a token with the role secret-reader and their owner")
        }
        (_, false) => failure.help("look what is there: `chancery secret list`"),
    }
}

fn unknown(none: NoAnswer) -> Failure {
    Failure::new(Exit::Failed, none.to_string()).help("is this program as new as the server?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_stays_refused_when_a_later_batch_breaks_off() {
        let refused: Reference = "chy://a/00".parse().unwrap();
        let away = || Failure::new(Exit::Unavailable, "the server is away (503)");
        let absent =
            |status| vec![Absent { reference: refused.clone(), status, lacks_field: false, because: "no".to_owned() }];
        let is_gone = |gone: &Gone| matches!(gone, Gone::These(these) if *these == [refused.clone()]);
        // Refused where it is needed: no cache is asked, and what was kept goes.
        let missed = broken_off(away(), &absent(403), 65, vec![refused.clone()]);
        assert!(missed.failure.exit() == Exit::Refused && is_gone(&missed.gone));
        let missed = broken_off(away(), &absent(410), 65, vec![refused.clone()]);
        assert!(missed.failure.exit() == Exit::Failed && is_gone(&missed.gone));
        // Refused where it is optional: the rest may come from the cache, and this goes.
        let missed = broken_off(away(), &[], 65, vec![refused.clone()]);
        assert!(missed.failure.exit() == Exit::Unavailable && is_gone(&missed.gone));
        // Said to be had later, and then nothing: the server is away.
        let missed = broken_off(away(), &absent(503), 65, Vec::new());
        assert!(missed.failure.exit() == Exit::Unavailable);
        let missed = broken_off(Failure::new(Exit::Refused, "no such token"), &[], 65, Vec::new());
        assert!(matches!(missed.gone, Gone::All));
    }
}
