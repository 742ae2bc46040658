//! What ends the service's work when nobody looks: CRLs that run out or lack a revocation, a head that is not signed, CAs and the
//! administrators' tokens at their end. As figures for a scrape, and as sentences.

use std::time::Duration;

use ca::{Authority, GenerationState};
use policy::Timestamp;
use store::Ledger;

const DAY: i64 = 86_400;
/// A CRL holds for seven days and is made anew each day: this much left is six days in which it was not.
const CRL_LEFT_MIN: i64 = DAY;
/// A revocation is published within seconds.
const UNCOVERED_MAX: i64 = 120;
/// A head is signed within a second of its move.
const UNSIGNED_MAX: i64 = 120;
/// When the end of a CA is told of: replacing one takes its time, and what it issues may not outlive it.
const CA_STEPS: [(i64, &str); 3] = [(30 * DAY, "now"), (90 * DAY, "soon"), (365 * DAY, "this year")];
/// The last administrator's token: whoever is on leave comes back in time. One that was made for less has a third of its life.
const TOKEN_LEFT_MIN: i64 = 14 * DAY;

/// The figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Vitals {
    pub(crate) crls: Vec<CrlVital>,
    pub(crate) checkpoint: Option<Timestamp>,
    /// Leaves that no signed head covers, and since when there is the newest head.
    pub(crate) unsigned: u64,
    pub(crate) cas: Vec<(String, Timestamp)>,
    /// Sealed records under each generation of the sealing key.
    pub(crate) sealed: Vec<(String, u64)>,
    pub(crate) tokens: Ends,
}

/// An issuer's newest CRL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CrlVital {
    pub(crate) issuer: String,
    pub(crate) this_update: Timestamp,
    pub(crate) next_update: Timestamp,
    /// Revocations that it does not have.
    pub(crate) uncovered: u64,
    /// A CA elsewhere made it.
    pub(crate) brought: bool,
    /// Its entries, and its length in bytes.
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    /// How long this node took to make it; none where another did.
    pub(crate) took: Option<Duration>,
}

/// When API tokens end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ends {
    /// The first of all.
    pub(crate) first: Option<Timestamp>,
    /// The last administrator's, and of how many seconds its life is.
    pub(crate) last_admin: Option<(Timestamp, i64)>,
    /// How many administrators' tokens have no second factor, and the first of them by name and id.
    pub(crate) one_factor: usize,
    pub(crate) named: Vec<String>,
}

impl Vitals {
    /// From memory, but for the tokens, which are given.
    pub(crate) async fn of(authority: &Authority, ledger: &Ledger, tokens: Ends) -> Self {
        let (mut crls, mut cas, now) = (Vec::new(), Vec::new(), ledger.cautious_time());
        for generation in authority.cas() {
            let (name, until) = (generation.name.to_string(), generation.certificate.as_ref().map(|c| c.until));
            // What has ended has no next CRL, and no successor to wait for.
            if until.is_none_or(|until| until < now) {
                continue;
            }
            for series in authority.crl_series(&generation.name) {
                let revoked = ledger.revocations_in(&series, 0..0).covers.revocations();
                if let Ok(crl) = authority.crl(&series).await {
                    crls.push(CrlVital {
                        this_update: crl.this_update,
                        next_update: crl.next_update,
                        uncovered: revoked.saturating_sub(crl.told().unwrap_or(revoked)),
                        issuer: series,
                        brought: generation.elsewhere,
                        entries: crl.listed(),
                        bytes: crl.der.len() as u64,
                        took: crl.took(),
                    });
                }
            }
            let issues = matches!(generation.state, GenerationState::Active | GenerationState::Pending);
            cas.extend(until.filter(|_| issues && !generation.elsewhere).map(|until| (name, until)));
        }
        let seals = authority.issuers().into_iter().flat_map(|issuer| issuer.generations);
        let sealed = seals.filter_map(|seal| Some((seal.name.to_string(), seal.sealed?))).collect();
        let signed = ledger.signed_head();
        let unsigned = ledger.head().size.saturating_sub(signed.as_ref().map_or(0, |head| head.size));
        Self { crls, checkpoint: signed.map(|head| head.since), unsigned, cas, sealed, tokens }
    }

    /// What somebody should look at, in sentences.
    pub(crate) fn alarms(&self, now: Timestamp) -> Vec<String> {
        let mut alarms = Vec::new();
        // One that is brought is asked for long before, in other words.
        let own = self.crls.iter().filter(|crl| !crl.brought);
        for CrlVital { issuer, this_update, next_update, uncovered, .. } in own {
            let left = next_update.since(now);
            if left <= 0 {
                alarms.push(format!(
                    "The CRL of `{issuer}` ended at {next_update}: who checks revocation refuses its certificates. The log of the service \
                     says why no newer one is made."
                ));
            } else if left < CRL_LEFT_MIN {
                alarms.push(format!("The CRL of `{issuer}` ends at {next_update}, and no newer one is made: the log of the service says why."));
            }
            if now.elapsed_since(*this_update).is_none() {
                alarms.push(format!(
                    "The CRL of `{issuer}` begins at {this_update}, which is later than now: who checks revocation refuses its certificates \
                     until then. The clock that it was made by was ahead, or this one is behind: once the clock is believed (`chancery clock \
                     accept`) another is made at once; where none is, the log of the service says why."
                ));
            }
            if *uncovered > 0 && now.is_due(*this_update, UNCOVERED_MAX + 1) {
                alarms.push(format!(
                    "{uncovered} revocations of `{issuer}` are in no CRL; its newest is of {this_update}. The log of the service says why."
                ));
            }
        }
        let is_late = |since: &Timestamp| self.unsigned > 0 && now.is_due(*since, UNSIGNED_MAX + 1);
        if let Some(since) = self.checkpoint.filter(is_late) {
            alarms.push(format!(
                "{} entries of the log are under no signed head; the newest is of {since}.",
                self.unsigned
            ));
        }
        for (label, until) in &self.cas {
            let left = until.since(now);
            // What has ended is told of as that.
            if let Some((_, when)) = CA_STEPS.iter().find(|(step, _)| (1..*step).contains(&left)) {
                alarms.push(format!(
                    "CA `{label}` ends at {until}, in {} days: make its successor {when}, by `chancery ca rotate {}`, or `chancery ca renew {label}` \
                     with the same key. Nothing that it issues outlives it.",
                    left / DAY,
                    label.split('/').next().unwrap_or(label)
                ));
            }
        }
        let is_near = |(until, life): &(Timestamp, i64)| until.since(now) < TOKEN_LEFT_MIN.min(life / 3);
        if let Some((until, _)) = self.tokens.last_admin.filter(is_near) {
            alarms.push(format!(
                "The last administrator's token ends at {until}: make another with `chancery token create --role admin`."
            ));
        }
        alarms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn well() -> Vitals {
        let crl = CrlVital {
            brought: false,
            issuer: "tls".into(),
            this_update: NOW.plus_secs(-600),
            next_update: NOW.plus_secs(6 * DAY),
            uncovered: 0,
            entries: 0,
            bytes: 400,
            took: None,
        };
        Vitals {
            crls: vec![crl],
            checkpoint: Some(NOW.plus_secs(-600)),
            unsigned: 0,
            sealed: Vec::new(),
            cas: vec![("tls".into(), NOW.plus_secs(500 * DAY))],
            tokens: Ends {
                first: Some(NOW.plus_secs(DAY)),
                last_admin: Some((NOW.plus_secs(20 * DAY), 90 * DAY)),
                ..Ends::default()
            },
        }
    }

    #[test]
    fn what_is_well_is_not_told_of_and_each_thing_that_is_not_is() {
        assert_eq!(well().alarms(NOW), Vec::<String>::new());
        let told = |change: fn(&mut Vitals), word: &str| {
            let mut vitals = well();
            change(&mut vitals);
            let alarms = vitals.alarms(NOW);
            assert!(alarms.len() == 1 && alarms[0].contains(word), "{word}: {alarms:?}");
        };
        told(|v| v.crls[0].next_update = NOW.plus_secs(DAY - 1), "no newer one is made");
        told(|v| v.crls[0].next_update = NOW, "refuses its certificates");
        told(|v| v.crls[0].this_update = NOW.plus_secs(3 * DAY), "later than now");
        told(|v| v.crls[0].uncovered = 2, "2 revocations of `tls` are in no CRL");
        told(|v| v.unsigned = 7, "7 entries of the log are under no signed head");
        told(|v| (v.unsigned, v.checkpoint) = (7, Some(NOW.plus_secs(3 * DAY))), "under no signed head");
        told(|v| v.cas[0].1 = NOW.plus_secs(364 * DAY), "in 364 days: make its successor this year");
        told(|v| v.cas[0].1 = NOW.plus_secs(89 * DAY), "successor soon");
        told(|v| v.cas[0].1 = NOW.plus_secs(29 * DAY), "successor now");
        told(|v| v.tokens.last_admin = Some((NOW.plus_secs(13 * DAY), 90 * DAY)), "token create --role admin");
        let mut short = well();
        short.tokens.last_admin = Some((NOW.plus_secs(3_000), 3_600));
        assert!(short.alarms(NOW).is_empty(), "it was made for an hour");
    }

    #[test]
    fn a_revocation_of_this_moment_is_no_alarm() {
        let mut vitals = well();
        (vitals.crls[0].uncovered, vitals.crls[0].this_update) = (1, NOW.plus_secs(-UNCOVERED_MAX));
        (vitals.unsigned, vitals.checkpoint) = (3, Some(NOW.plus_secs(-UNSIGNED_MAX)));
        assert!(vitals.alarms(NOW).is_empty());
    }
}
