//! `chancery report`: what an access review and an auditor ask of the secrets, with the controls that each part answers.
//!
//! Put together of pages: secrets and tokens as the server reports them, and the log's entries of the time that is asked for. What memory
//! grows with is actors, of which at most [`ACTORS_MAX`] are told apart.

mod controls;
mod csv;
mod html;
mod log;
mod shape;

use std::io::IsTerminal;

use clap::{Parser, ValueEnum};
use policy::Timestamp;
use serde_json::Value;

use self::controls::PARTS;
use self::log::Acts;
pub use self::log::first_since;
use self::shape::{Paper, Section};
use crate::Global;
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::output::{self, field};
use crate::parts::pages::Pages;
use crate::parts::span::{Span, span};

#[derive(Parser)]
#[command(after_help = "\
Examples:
  chancery report --since 90d > report.json
  chancery report --since 30d --format csv > report.csv
  chancery report --since 365d --format html > report.html

Asked with a token of an auditor or an administrator. The HTML page needs nothing beside it and prints as it is.")]
pub struct Args {
    /// The time that the report is of
    #[arg(long, value_name = "SPAN", default_value = "90d", value_parser = span)]
    since: Span,
    /// In which form
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Rows: section, subject and what is said of it
    Csv,
    /// One object
    Json,
    /// One page, to print
    Html,
}

/// Actors that are told apart; of the others there is a number.
const ACTORS_MAX: usize = 10_000;
/// What the server reports at once.
const PAGE: usize = 100;

/// Runs `chancery report`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    if global.json && args.format != Format::Json {
        return Err(
            Failure::new(Exit::Usage, "--json and another --format are two reports").help("leave one of them out")
        );
    }
    let client = global.client()?;
    let head = Head::ask(&client, args.since).await?;
    let mut paper: Box<dyn Paper> = match args.format {
        Format::Csv => Box::new(csv::Csv),
        Format::Json => Box::new(shape::Json::default()),
        Format::Html => Box::new(html::Html),
    };
    let progress = Progress::new();
    paper.begin(&head);
    let mut totals = Totals::default();
    secrets(&client, (args.since, head.now), paper.as_mut(), &mut totals, &progress).await?;
    tokens(&client, paper.as_mut(), &mut totals, &progress).await?;
    let acts = Acts::read(&client, head.since, head.size, &progress).await?;
    paper.section(Section::Proofs);
    acts.proofs().iter().for_each(|row| paper.row(Section::Proofs, row));
    paper.section(Section::Refusals);
    acts.refusals().iter().for_each(|row| paper.row(Section::Refusals, row));
    paper.section(Section::Totals);
    totals.rows(&acts).iter().for_each(|row| paper.row(Section::Totals, row));
    paper.section(Section::Controls);
    for part in PARTS {
        let row = [part.what, part.answers, part.iso, part.soc, part.pci].map(str::to_owned);
        paper.row(Section::Controls, &row);
    }
    paper.end();
    progress.over();
    Ok(())
}

/// Of what the report is.
pub struct Head {
    pub server: String,
    /// By the server's clock, as all that it is asked.
    pub now: Timestamp,
    pub since: Timestamp,
    /// The log, and how many entries it had.
    pub origin: String,
    pub size: u64,
    pub root: String,
}

impl Head {
    async fn ask(client: &Client, since: Span) -> Result<Head, Failure> {
        let (status, now) = client.get_dated("/api/v1/status").await?;
        let log = &status["log"];
        Ok(Head {
            server: client.base().to_owned(),
            now,
            since: since.before(now),
            origin: field(log, "origin"),
            size: log["size"].as_u64().unwrap_or_default(),
            root: field(log, "root"),
        })
    }
}

/// How many there are of each sort.
#[derive(Default)]
struct Totals {
    secrets: u64,
    unowned: u64,
    unused: u64,
    expired: u64,
    overdue: u64,
    /// Without an end and without a rotation.
    ageless: u64,
    readers_left_out: bool,
    tokens_left_out: bool,
    /// Rows that are not what the log says.
    altered: u64,
}

impl Totals {
    fn add(&mut self, item: &Value, now: &str) {
        self.secrets += 1;
        self.unowned += u64::from(item["owned"] == Value::Bool(false));
        self.unused += u64::from(item["readers"].as_array().is_none_or(Vec::is_empty));
        let expires = item["expires"].as_str();
        // RFC 3339 in UTC, of one length: as texts they are in the order of time.
        self.expired += u64::from(expires.is_some_and(|ends| ends < now));
        self.overdue += u64::from(!item["overdue_secs"].is_null());
        self.ageless += u64::from(expires.is_none() && item["period_secs"].is_null());
        self.readers_left_out |= item["more_readers"] == Value::Bool(true);
    }

    fn rows(&self, acts: &Acts) -> Vec<Vec<String>> {
        let counts = [
            ("secrets in use", self.secrets),
            ("whose owner the configuration does not have", self.unowned),
            ("that nobody read in this time", self.unused),
            ("whose current version expired", self.expired),
            ("older than their rotation allows", self.overdue),
            ("without an end and without a rotation", self.ageless),
            ("entries of the log in this time", acts.entries),
            ("readings of secrets in this time", acts.readings),
            ("refusals in this time", acts.refused),
            ("actors beyond those that are named", acts.unnamed),
        ];
        let mut rows: Vec<Vec<String>> =
            counts.into_iter().map(|(what, count)| vec![what.to_owned(), count.to_string()]).collect();
        let says = [
            (self.readers_left_out, "secrets with more readers than are named: the log has all of them"),
            (self.tokens_left_out, "tokens beyond those that were held against the secrets"),
        ];
        let altered = "rows altered in the register and left out: `chancery audit verify` names them";
        rows.extend((self.altered > 0).then(|| vec![altered.to_owned(), self.altered.to_string()]));
        rows.extend(says.iter().filter(|(is, _)| *is).map(|(_, what)| vec![(*what).to_owned(), "some".to_owned()]));
        rows
    }
}

async fn secrets(
    client: &Client,
    (since, now): (Span, Timestamp),
    paper: &mut dyn Paper,
    totals: &mut Totals,
    progress: &Progress,
) -> Result<(), Failure> {
    paper.section(Section::Secrets);
    let now = now.rfc3339();
    let mut cursor: Option<String> = None;
    loop {
        let after = cursor.as_deref().map(|after| format!("&cursor={}", crate::client::percent(after)));
        let url =
            format!("/api/v1/report/secrets?since_secs={}&limit={PAGE}{}", since.secs(), after.unwrap_or_default());
        let page = client.get(&url).await?;
        totals.tokens_left_out |= page["tokens_left_out"] == Value::Bool(true);
        totals.altered = totals.altered.saturating_add(page["altered"].as_u64().unwrap_or(0));
        for item in page["items"].as_array().into_iter().flatten() {
            totals.add(item, &now);
            paper.row(Section::Secrets, &shape::secret(item));
        }
        progress.says(&format!("{} secrets", totals.secrets));
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() || output::is_refused() {
            return Ok(());
        }
    }
}

async fn tokens(
    client: &Client,
    paper: &mut dyn Paper,
    totals: &mut Totals,
    progress: &Progress,
) -> Result<(), Failure> {
    paper.section(Section::Tokens);
    let mut told = 0;
    let mut cursor: Option<String> = None;
    loop {
        let after = cursor.as_deref().map(|after| format!("&cursor={}", crate::client::percent(after)));
        let page = client.get(&format!("/api/v1/report/tokens?limit={PAGE}{}", after.unwrap_or_default())).await?;
        totals.altered = totals.altered.saturating_add(page["altered"].as_u64().unwrap_or(0));
        for item in page["items"].as_array().into_iter().flatten() {
            told += 1;
            paper.row(Section::Tokens, &shape::token(item));
        }
        progress.says(&format!("{told} tokens"));
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() || output::is_refused() {
            return Ok(());
        }
    }
}

/// How far it is, where somebody looks.
pub struct Progress(Option<indicatif::ProgressBar>);

impl Progress {
    fn new() -> Progress {
        Progress(std::io::stderr().is_terminal().then(indicatif::ProgressBar::new_spinner))
    }

    pub fn says(&self, text: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(text.to_owned());
            bar.tick();
        }
    }

    fn over(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// The pages of a list that the log's entries come in.
pub(super) fn entries<'a>(client: &'a Client, query: &'a [(&'a str, String)]) -> Pages<'a> {
    Pages::new(client, "/api/v1/audit", query, usize::MAX)
}
