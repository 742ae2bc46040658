//! `chancery mfa`: the second factor beside a token. Enrolled with a device that makes one-time passwords, proved by its codes, replaced
//! with codes from paper, by another administrator, or on the host.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::files::{Outputs, SECRET, Standing};
use crate::client::{Client, percent};
use crate::failure::{Exit, Failure, OrFail};
use crate::output::{self, Listing, field, whole, words};
use crate::parts::moment::Moment;
use crate::parts::pages::Pages;
use crate::parts::word::reason;
use crate::terminal::Terminal;
use crate::{Global, house, second};

#[derive(Parser)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Enrol a device: shows its seed once, asks for the first code, and gives recovery codes for paper
    #[command(after_help = ENROL)]
    Enrol(Codes),
    /// Give the first code of a device that was enrolled without a terminal
    Confirm(Codes),
    /// How the second factor of this token stands
    Status,
    /// New recovery codes for paper; those before count no more
    Codes(Codes),
    /// Take this token's own second factor away, with a code of it
    Remove,
    /// Tokens that live, each with its second factor
    List,
    /// Take another's second factor away, whose device is lost: he enrols anew
    Reset(Whose),
    /// The way back for the last administrator without device and paper: on the host, with the configuration and the HSM's PIN
    #[command(after_help = RESCUE)]
    Rescue(Whose),
}

const EXAMPLES: &str = "\
Examples:
  chancery mfa enrol
  chancery login --mfa
  chancery mfa list

A command that needs it asks for a code at the terminal and goes on. Elsewhere: `chancery login --mfa`, with the code on standard input.";

const ENROL: &str = "\
Examples:
  chancery mfa enrol --out recovery.codes
  chancery mfa enrol --json
  chancery mfa confirm --out recovery.codes < code

Without a terminal the seed is printed alone, and `chancery mfa confirm` takes the first code.";

const RESCUE: &str = "\
Example:
  chancery --config my-ca/chancery.toml mfa rescue 0123456789abcdef \\
    --reason \"telephone and paper are lost\"

The id is the token's, chy_ID_... An entry of the log says who was there and why, and an alarm tells of it for a week.";

#[derive(clap::Args)]
struct Codes {
    /// Write the recovery codes to this file, mode 0600, instead of printing them
    #[arg(long)]
    out: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

#[derive(clap::Args)]
struct Whose {
    /// The token's id
    id: String,
    /// What happened: becomes an entry of the log
    #[arg(long, value_parser = reason)]
    reason: String,
}

/// Runs `chancery mfa`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    match args.what {
        What::Enrol(codes) => enrol(codes, global).await,
        What::Confirm(codes) => confirm(&global.client()?, codes, global).await,
        What::Status => status(global).await,
        What::Codes(codes) => {
            let client = global.client()?;
            let answer = client.post("/api/v1/second-factor/recovery-codes", &json!({})).await?;
            codes.give(answer, global)
        }
        What::Remove => {
            let client = global.client()?;
            client.delete("/api/v1/second-factor").await?;
            client.forget_login();
            done("the second factor is taken away", &json!({ "state": "none" }), global);
            Ok(())
        }
        What::List => list(global).await,
        What::Reset(Whose { id, reason }) => {
            let path = format!("/api/v1/tokens/{}/second-factor/reset", percent(&id));
            global.client()?.post(&path, &json!({ "reason": reason })).await?;
            done(&format!("the second factor of {id} is taken away"), &json!({ "id": id, "state": "none" }), global);
            Ok(())
        }
        What::Rescue(whose) => rescue(&whose, global).await,
    }
}

async fn enrol(codes: Codes, global: &Global) -> Result<(), Failure> {
    let client = global.client()?;
    let answer = client.post("/api/v1/second-factor", &json!({})).await?;
    let terminal = Terminal::open().filter(|_| !global.json);
    if global.json {
        output::json(&answer);
    } else {
        output::facts(&[("secret", spaced(&field(&answer, "secret"))), ("uri", field(&answer, "uri"))]);
    }
    if terminal.is_none() {
        output::notice("it counts once a code of it came back: `chancery mfa confirm`", global.json);
        return Ok(());
    }
    output::say(
        "Give the seed to an app of one-time passwords, by hand or as a square of the uri; then type the code that it shows.",
    );
    confirm(&client, codes, global).await
}

async fn confirm(client: &Client, codes: Codes, global: &Global) -> Result<(), Failure> {
    let code = second::code()?;
    let answer = client.logged_in("/api/v1/second-factor/confirm", &code).await?;
    codes.give(answer, global)
}

impl Codes {
    /// Gives the recovery codes to paper, or to a file.
    fn give(self, mut answer: Value, global: &Global) -> Result<(), Failure> {
        let Some(codes) = answer.as_object_mut().and_then(|answer| answer.remove("codes")) else {
            return Err(Failure::new(Exit::Failed, "the answer has no recovery codes"));
        };
        let mut text = Zeroizing::new(String::new());
        for code in codes.as_array().into_iter().flatten().filter_map(Value::as_str) {
            text.push_str(code);
            text.push('\n');
        }
        match self.out {
            Some(path) => {
                let mut outputs = Outputs::new(self.force);
                let place = outputs.place(&path, SECRET, Standing::Forced)?;
                let kept = place.shown();
                // They count already: where they cannot be kept, there are others.
                place
                    .fill(text.as_bytes())
                    .map_err(|failure| failure.help("they count: `chancery mfa codes` makes others"))?;
                done(&format!("the second factor counts; recovery codes are in {kept}"), &answer, global);
            }
            None if global.json => {
                answer["codes"] = codes;
                output::json(&answer);
            }
            None => {
                output::say(
                    "The second factor counts. Recovery codes, each good once, where the device is not; they are not shown again:",
                );
                output::line(text.trim_end());
            }
        }
        Ok(())
    }
}

async fn status(global: &Global) -> Result<(), Failure> {
    let answer = global.client()?.get("/api/v1/second-factor").await?;
    if global.json {
        output::json(&answer);
        return Ok(());
    }
    let mut facts = output::shown(&answer, &["state", "since", "codes_left"]);
    let secs = |name: &str| answer[name].as_i64();
    facts.push(("demanded", secs("demanded_secs").map_or("no".to_owned(), |secs| format!("at most {secs} s old"))));
    facts.push(("proved", secs("proved_secs_ago").map_or("no".to_owned(), |secs| format!("{secs} s ago"))));
    if let Some(waits) = secs("waits_secs").filter(|waits| *waits > 0) {
        facts.push(("waits", format!("{waits} s, after too many wrong codes")));
    }
    output::facts(&facts);
    Ok(())
}

async fn list(global: &Global) -> Result<(), Failure> {
    let client = global.client()?;
    let columns = [whole("STATE"), whole("SINCE"), whole("CODES"), whole("ID"), words("ACTOR"), words("ROLES")];
    let mut listing = Listing::new(&columns, global.json);
    let row = |token: &Value| {
        let [state, left, id, actor, roles] =
            ["state", "codes_left", "id", "actor", "roles"].map(|name| field(token, name));
        (output::Paint::Plain, vec![state, Moment::of(token, "since").day(), left, id, actor, roles])
    };
    let mut pages = Pages::new(&client, "/api/v1/second-factors", &[], usize::MAX);
    while let Some(page) = pages.next().await? {
        listing.add(&page.items, page.items.iter().map(row).collect());
    }
    pages.end(global.json);
    listing.end("no token");
    Ok(())
}

async fn rescue(whose: &Whose, global: &Global) -> Result<(), Failure> {
    let config = global.config()?;
    let (authority, _closing) = house::authority(&config, house::Way::Beside).await?;
    let taken = api::second::rescue(&authority, &whose.id, &whose.reason).await;
    authority.ledger().clone().close().await;
    taken.or_fail("nothing was taken away")?;
    output::notice(
        "an entry of the log says that you were here and why, and an alarm tells of it for a week",
        global.json,
    );
    let says = format!("the second factor of {} is taken away: `chancery mfa enrol` with that token", whose.id);
    done(&says, &json!({ "id": whose.id, "state": "none" }), global);
    Ok(())
}

fn done(says: &str, answer: &Value, global: &Global) {
    match global.json {
        true => output::json(answer),
        false => output::line(says),
    }
}

/// In groups of four, for who types it.
fn spaced(secret: &str) -> String {
    let letters: Vec<char> = secret.chars().collect();
    letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_shown_in_groups() {
        assert_eq!(spaced("ABCDEFGHIJ"), "ABCD EFGH IJ");
        assert_eq!(spaced(""), "");
    }
}
