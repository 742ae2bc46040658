//! The same figures as JSON, medians of the rounds.

use serde_json::{Value, json};
use store::testing::median;

use super::super::round::Seen;
use super::super::transit::{ITEMS, Transit};
use super::{CPU_MAX, PAGE_MAX, START_MAX, Table};

impl Table {
    /// What the tables say, for programs: figures, bounds, and whether they hold.
    pub fn json(&self) -> Value {
        let (rounds, read) = (&self.read.rounds, &self.read);
        let mut told = json!({
            "clients": self.clients,
            "rounds": rounds.len(),
            "reading": {
                "static": figures(rounds.iter().map(|round| &round.fixed)),
                "secret": figures(rounds.iter().map(|round| &round.read)),
                "cpu_ratio": at_most(self.cpu_ratio(), CPU_MAX),
                "anew": {
                    "static": figures(rounds.iter().map(|round| &round.anew[0])),
                    "secret": figures(rounds.iter().map(|round| &round.anew[1])),
                    "cpu_ratio": at_most(self.cpu_ratio_anew(), CPU_MAX),
                },
                "answers": read.answers,
                "leaves": read.leaves,
                "holds": read.answers == read.leaves,
            },
        });
        let peer = self.peer.as_ref().map(|program| {
            let seen = || rounds.iter().filter_map(|round| round.peer.as_ref());
            json!({
                "program": program,
                "reading": figures(seen()),
                "cpu_ratio_ours_to_it": self.peer_ratio(),
                "answers": seen().map(|seen| seen.answers).sum::<u64>(),
                "errors": seen().map(|seen| seen.errors).sum::<u64>(),
                "first_error": seen().find_map(|seen| seen.why.as_deref()),
            })
        });
        let many = self.many.as_ref().map(|many| {
            let ratio = |[small, large]: [f64; 2]| json!({ "few": small, "many": large, "ratio": large / small });
            let page = |(what, both): &(&'static str, [f64; 2])| {
                let [small, large] = *both;
                json!({ "what": what, "p95_ms": ratio(*both), "bound": at_most(large / small, PAGE_MAX) })
            };
            let ([few, count], [_, started]) = (self.counts, many.start);
            json!({
                "few": few,
                "many": count,
                "pages": many.pages.iter().map(page).collect::<Vec<Value>>(),
                "start_ms": ratio(many.start),
                "start_bound": at_most(started, START_MAX),
                "resident_mib": ratio(many.resident_mib),
                "database_mib": ratio(many.database_mib),
            })
        });
        let parts = [("peer", peer), ("many", many), ("transit", self.transit.as_ref().map(batches))];
        if let Value::Object(told) = &mut told {
            told.extend(parts.into_iter().filter_map(|(name, part)| Some((name.to_owned(), part?))));
        }
        told
    }
}

fn at_most(value: f64, bound: f64) -> Value {
    json!({ "value": value, "at_most": bound, "holds": value <= bound })
}

fn figures<'a>(rounds: impl Iterator<Item = &'a Seen> + Clone) -> Value {
    let of = |of: fn(&Seen) -> f64| median(rounds.clone().map(of).collect());
    json!({
        "answers_per_second": of(|seen| seen.rate),
        "server_us": of(|seen| seen.server_us),
        "p50_ms": of(|seen| seen.p50_ms),
        "body_bytes": of(|seen| seen.bytes),
    })
}

fn batches(transit: &Transit) -> Value {
    let Transit { rounds, answers, leaves, peer_has_none } = transit;
    let each = ITEMS as f64;
    let alone = median(rounds.iter().map(|round| round.alone_us).collect());
    let items = |seen: &[&Seen]| {
        let of = |of: fn(&Seen) -> f64| median(seen.iter().copied().map(of).collect());
        json!({
            "items_per_second": of(|seen| seen.rate) * each,
            "server_us_of_an_item": of(|seen| seen.server_us) / each,
            "p50_ms_of_a_batch": of(|seen| seen.p50_ms),
        })
    };
    let ours: Vec<&Seen> = rounds.iter().map(|round| &round.ours).collect();
    let theirs: Vec<&Seen> = rounds.iter().filter_map(|round| round.peer.as_ref()).collect();
    let share = rounds.iter().map(|round| round.alone_us * each / round.ours.server_us);
    json!({
        "items_of_a_batch": ITEMS,
        "ring_alone": { "items_per_second": 1e6 / alone, "us_of_an_item": alone },
        "over_rest": items(&ours),
        "of_ring": median(share.collect()),
        "peer": (!theirs.is_empty()).then(|| items(&theirs)),
        "peer_has_none": peer_has_none,
        "answers": answers,
        "leaves": leaves,
        "holds": answers == leaves,
    })
}
