//! `chancery status`: is all well? One answer to what somebody asks in the morning, of what the server tells over REST anyway.
//!
//! Each question is asked once and brings one page: the answer costs the same however large the register is. A question that fails
//! is something that needs a hand, and the others are answered all the same.

use clap::Parser;
use policy::{Timestamp, World};
use serde_json::{Value, json};

use crate::Global;
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::output::{self, Paint, field, whole, words};
use crate::parts::moment::Moment;

#[derive(Parser)]
#[command(after_help = "\
Exit codes:
  0 all is well   5 something needs a hand: it is listed with what to do
  4 the server does not answer   3 it does not tell this token

Asked with a token of an auditor, an approver, an operator or an administrator. To others the server does not tell whether all is well.")]
pub struct Args {}

/// What whoever is not told it cannot call well.
const STATUS: &str = "/api/v1/status";
/// What waits for somebody, and nothing of what ever did.
const REQUESTS: &str = "/api/v1/requests?waiting=true";
const PROPOSALS: &str = "/api/v1/revocations?waiting=true";
/// So many rows of what ends next, and of the CAs.
const NEXT: usize = 5;
/// So far ahead is looked for what ends next: a year.
const AHEAD_SECS: u64 = 366 * 86_400;

/// Runs `chancery status`.
pub async fn run(global: &Global) -> Result<(), Failure> {
    let client = global.client()?;
    // Who is not there, or does not talk with this token, is told as by any command.
    client.get_text("/healthz").await?;
    client.get("/api/v1/whoami").await?;
    let told = Told::ask(&client).await?;
    match global.json {
        true => output::json(&told.json(client.base())),
        false => told.print(client.base(), World::real().now()),
    }
    match told.hands.len() {
        0 => Ok(()),
        1 => Err(Failure::new(Exit::Findings, "one thing needs a hand")),
        n => Err(Failure::new(Exit::Findings, format!("{n} things need a hand"))),
    }
}

/// What the server said.
struct Told {
    ready: Value,
    status: Value,
    issuers: Vec<Value>,
    next: Vec<Value>,
    /// Requests and proposals that wait for this person, or for others.
    requests: Vec<Value>,
    proposals: Vec<Value>,
    /// Each thing that needs a hand, and what to do.
    hands: Vec<String>,
}

impl Told {
    /// # Errors
    /// The server does not tell this token how it is: what is not told is not well.
    async fn ask(client: &Client) -> Result<Told, Failure> {
        let mut hands = Vec::new();
        let ready = client.get_any("/readyz").await;
        let ending =
            format!("/api/v1/certificates?expiring_secs={AHEAD_SECS}&kind=certificate&state=issued&limit={NEXT}");
        let ask = [STATUS, "/api/v1/issuers", ending.as_str(), REQUESTS, PROPOSALS];
        let mut answers = Vec::with_capacity(ask.len());
        for path in ask {
            answers.push(match client.get(path).await {
                Ok(answer) => answer,
                Err(failure) if failure.exit() == Exit::Refused && path == STATUS => return Err(failure),
                // Who may not know of one part is not told, and that is no fault of the server's.
                Err(failure) if failure.exit() == Exit::Refused => Value::Null,
                Err(failure) => {
                    let why = failure.to_string().lines().next().unwrap_or_default().replace("chancery: ", "");
                    hands.push(format!("{} is not answered: {why}", path.split('?').next().unwrap_or(path)));
                    Value::Null
                }
            });
        }
        let [status, issuers, next, requests, proposals] = <[Value; 5]>::try_from(answers).unwrap_or_default();
        let items = |answer: &Value| answer["items"].as_array().cloned().unwrap_or_default();
        let waiting = |answer: &Value| {
            items(answer).into_iter().filter(|item| field(item, "state") == "waiting").collect::<Vec<_>>()
        };
        let more = [(&requests, "chancery request list"), (&proposals, "chancery certs proposals")];
        let more: Vec<_> =
            more.into_iter().filter(|(answer, _)| answer["next"].is_string()).map(|(_, all)| all).collect();
        let (requests, proposals) = (waiting(&requests), waiting(&proposals));
        match &ready {
            Ok(ready) => hands.extend(unready(ready)),
            Err(failure) => hands.push(format!("it does not say whether it is ready: {failure}")),
        }
        hands.extend(status["alarms"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
        for request in &requests {
            let (id, by) = (field(request, "id"), field(request, "by"));
            hands.push(format!("{by} asked for a certificate that others approve: chancery request show {id}"));
        }
        for proposal in &proposals {
            let [id, by, count] = ["id", "by", "count"].map(|name| field(proposal, name));
            hands.push(format!(
                "{by} proposed to revoke {count}; another person carries it out: chancery certs confirm {id}"
            ));
        }
        hands.extend(more.into_iter().map(|all| format!("more wait than are shown here: {all}")));
        let (issuers, next) = (items(&issuers), items(&next));
        Ok(Told { ready: ready.unwrap_or_default(), status, issuers, next, requests, proposals, hands })
    }

    fn json(&self, server: &str) -> Value {
        let Told { ready, status, issuers, next, requests, proposals, hands } = self;
        json!({
            "server": server, "well": hands.is_empty(), "needs_a_hand": hands, "ready": ready, "status": status,
            "issuers": issuers, "expiring_next": next, "requests": requests, "proposals": proposals,
        })
    }

    fn print(&self, server: &str, now: Timestamp) {
        let status = &self.status;
        let well = match self.hands.len() {
            0 => "yes".to_owned(),
            n => format!("no: {n} below"),
        };
        let ready = if unready(&self.ready).is_empty() { "yes" } else { "no" };
        let mut facts = vec![("server", server.to_owned()), ("all well", well), ("ready", ready.to_owned())];
        if !status.is_null() {
            let tokens = status["tokens"].as_array().into_iter().flatten();
            let tokens: Vec<_> =
                tokens.map(|token| format!("{} {}", field(token, "name"), field(token, "state"))).collect();
            let store = &status["store"]["certificates"];
            let log = &status["log"];
            facts.extend([
                ("version", field(status, "version")),
                ("tokens", tokens.join(", ")),
                (
                    "certificates",
                    format!(
                        "{} in force, {} ended, {} revoked or on hold",
                        field(store, "issued"),
                        field(store, "expired"),
                        field(store, "revoked")
                    ),
                ),
                ("secrets", secrets(&status["secrets"])),
                ("log", format!("{} entries, root {}", field(log, "size"), field(log, "root"))),
                (
                    "audited",
                    match field(&log["audited"], "all_since") {
                        since if since.is_empty() => "the first round is under way".to_owned(),
                        since => format!("all of it since {since}"),
                    },
                ),
                ("last backup", backed_up(&status["backup"])),
            ]);
        }
        facts.push((
            "waits for others",
            format!("{} requests, {} proposals", self.requests.len(), self.proposals.len()),
        ));
        output::facts(&facts);
        if !self.hands.is_empty() {
            output::line("\nWhat needs a hand:");
            self.hands.iter().for_each(|hand| output::line(format!("  * {}", output::printable(hand))));
        }
        self.print_issuers(now);
        self.print_next(now);
    }

    fn print_issuers(&self, now: Timestamp) {
        let all = self.issuers.iter().flat_map(|issuer| issuer["generations"].as_array().into_iter().flatten());
        let at_work = all.filter(|generation| !["ended", "revoked"].contains(&field(generation, "state").as_str()));
        let rows: Vec<_> = at_work
            .map(|generation| {
                let ends = Moment::of(generation, "not_after");
                let (paint, left) = ends.left(now, Some(Moment::of(generation, "not_before")), true);
                let [name, state, why] = ["name", "state", "why"].map(|part| field(generation, part));
                let paint = if why.is_empty() { paint } else { Paint::Red };
                (paint, vec![name, state, left, ends.day(), why])
            })
            .collect();
        if !rows.is_empty() {
            output::line("");
            let columns = [whole("ISSUER"), whole("STATE"), whole("LEFT"), whole("ENDS"), words("WHY NOT")];
            output::painted(&columns, rows, "no issuer");
        }
    }

    fn print_next(&self, now: Timestamp) {
        output::line("");
        let rows: Vec<_> = self
            .next
            .iter()
            .map(|item| {
                let ends = Moment::of(item, "not_after");
                let (paint, left) = ends.left(now, Some(Moment::of(item, "not_before")), true);
                let names = super::certs::called(item);
                (paint, vec![left, ends.day(), field(item, "renewer"), field(item, "owner"), names])
            })
            .collect();
        let columns = [whole("LEFT"), whole("EXPIRES"), whole("RENEWER"), words("OWNER"), words("EXPIRES NEXT")];
        output::painted(&columns, rows, "no certificate ends within a year");
    }
}

/// How many secrets there are, and how many of them end, have ended or are read by nobody.
fn secrets(counts: &Value) -> String {
    let within: u64 =
        counts["expiring"].as_array().into_iter().flatten().take(3).filter_map(|c| c["count"].as_u64()).sum();
    let [all, expired, unread] = ["all", "expired", "unread"].map(|name| field(counts, name));
    format!("{all} in use, {within} expire within 30 days, {expired} expired, {unread} unread for 90 days")
}

/// The last good backup, and the last drill.
fn backed_up(backup: &Value) -> String {
    let last = match &backup["last"] {
        Value::Null => "none that the log knows of (`chancery backup`)".to_owned(),
        last => format!("{}, {}", field(last, "at"), field(last, "place")),
    };
    let drill = match &backup["last_drill"] {
        Value::Null => "never tried out (`chancery restore --drill`)".to_owned(),
        drill => format!("tried out {}", field(drill, "at")),
    };
    let now = match &backup["under_way"] {
        Value::Null => String::new(),
        now => format!("; one is being made: {} of {} entries", field(now, "done"), field(now, "total")),
    };
    format!("{last}; {drill}{now}")
}

/// The parts that are not ready, each with what it waits for.
fn unready(ready: &Value) -> Vec<String> {
    let why = ready["why"].as_object().into_iter().flatten();
    why.map(|(part, why)| format!("not ready: {part}: {}", why.as_str().unwrap_or_default())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_is_not_ready_is_named_with_its_reason() {
        let ready = json!({"hsm": false, "register": true, "why": {"hsm": "healing"}});
        assert_eq!(unready(&ready), ["not ready: hsm: healing"]);
        assert_eq!(unready(&json!({"hsm": true})), Vec::<String>::new());
    }
}
