//! `chancery recovery ceremony`: a recovery key is made, and each of its shares goes onto one holder's paper.
//!
//! On the machine of an offline root's ceremony, or on an operator's own; never on the server's: what opens everything without the token
//! is in this process's memory until the last share is confirmed, and nowhere else. Of it all there comes out the public half alone, as a
//! file or straight to the register. Nothing is kept of a ceremony that breaks off.

use std::io::{self, BufRead, IsTerminal, Read};
use std::path::PathBuf;

use clap::Parser;
use ring::rand::SystemRandom;
use secrets::recovery::{Plan, RecoveryKey, Split};
use serde_json::{Value, json};

use super::{public, shares, standing};
use crate::Global;
use crate::cmd::ceremony::answers::Answers;
use crate::cmd::ceremony::machine;
use crate::cmd::ceremony::script::{Script, Wants};
use crate::cmd::ceremony::telling::Telling;
use crate::cmd::files::{Outputs, PUBLIC, Place, Standing};
use crate::failure::{Exit, Failure, OrFail};
use crate::output;

#[derive(Parser)]
pub struct Args {
    /// How many holders there are: 2 to 16
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u8).range(2..=16))]
    shares: u8,
    /// How many of them are needed: at least 2
    #[arg(long, value_name = "M", default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=16))]
    needed: u8,
    /// On a machine without a network: the first key of the register whose log has this name
    #[arg(long, value_name = "NAME", conflicts_with = "after", required_unless_present_any = ["after", "online"])]
    log: Option<String>,
    /// On a machine without a network: the key that follows the one in this file
    #[arg(long, value_name = "FILE")]
    after: Option<PathBuf>,
    /// On an operator's machine: for the register of the server, which gets the public half at the end
    #[arg(long, conflicts_with_all = ["log", "after"])]
    online: bool,
    /// Write the public half to this file
    #[arg(long, value_name = "FILE", required_unless_present_any = ["online", "rehearse"])]
    out: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
    /// Take the answers from this file, a line `step: answer` each: for rehearsals and tests. Shares are typed all the same
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// Do all of it with a key that is thrown away
    #[arg(long)]
    rehearse: bool,
}

/// What `--help` says after the flags.
pub const HELP: &str = "\
Examples, on a machine without a network, and then at the register:
  chancery recovery ceremony --log ca.example.internal/log \\
    --shares 5 --needed 3 --out recovery-1.json
  chancery recovery take recovery-1.json
The next one, years later, on that machine:
  chancery recovery ceremony --after recovery-1.json --out recovery-2.json
On an operator's machine, where that is good enough:
  chancery recovery ceremony --online

Each share is shown to its holder alone, written down by hand, and typed back. Broken off, nothing is kept: begin again, and burn the papers. `chancery recovery show` says what the log is called.";

/// Runs `chancery recovery ceremony`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::new(Exit::Usage, "a share is shown on a terminal and typed back at it")
            .help("give the command at a terminal: no pipe and no file has a share in it"));
    }
    let telling = if global.json { Telling::Json } else { Telling::Text };
    let plan = plan(&args, global).await?;
    let mut outputs = Outputs::new(args.force);
    let place = args.out.as_deref().filter(|_| !args.rehearse);
    let place = place.map(|path| outputs.place(path, PUBLIC, Standing::Forced)).transpose()?;
    let answers = Answers::open(args.answers.as_deref(), telling)?;
    let mut script = Script::unkept("recovery", (answers, args.rehearse, telling));
    let key = held(&mut script, plan).map_err(|failure| {
        failure.help("nothing of this ceremony is kept: begin again, and burn the papers that were written")
    })?;
    if args.rehearse {
        script.say("It was a rehearsal: the key is gone, and the papers open nothing.");
        return Ok(());
    }
    end(&args, (&script, &key, place), global).await
}

/// For which register, and which of its keys.
async fn plan(args: &Args, global: &Global) -> Result<Plan, Failure> {
    let (m, n) = (args.needed, args.shares);
    let plan = match (&args.log, &args.after) {
        (Some(log), _) => Plan::first(log, m, n),
        (None, Some(file)) => public::of_file(file)?.successor(m, n),
        (None, None) => {
            let there = global.client()?.get(super::PLACE).await?;
            match there["key"].is_object() {
                true => public::read(&there["key"])?.successor(m, n),
                false => Plan::first(&output::field(&there, "log"), m, n),
            }
        }
    };
    plan.or_usage("no such ceremony can be held")
}

/// The steps.
fn held(script: &mut Script, plan: Plan) -> Result<RecoveryKey, Failure> {
    machine::apart(script)?;
    let mut split = Split::make(plan, &SystemRandom::new()).or_fail("no key is made")?;
    let says = vec![public::planned(&split), "The key is made, and its shares were joined once.".to_owned()];
    script.step("plan", says, "These are the numbers that were agreed on, and that is the register", Wants::Yes)?;
    for number in 1..=split.shares() {
        let says = vec!["Everybody else turns away.".to_owned()];
        script.step(&format!("holder-{number}"), says, "The holder sits here alone, with pen and paper", Wants::Yes)?;
        share(script, &mut split, number)?;
    }
    let key = split.release().map_err(|_| Failure::new(Exit::Failed, "not every share was confirmed"))?;
    machine::fingerprint(script, "the recovery key", &hex::encode(key.fingerprint()))?;
    Ok(key)
}

/// One share: shown, written down, and typed back from the paper.
fn share(script: &Script, split: &mut Split, number: u8) -> Result<(), Failure> {
    let shown = |script: &Script, split: &Split| {
        script.say(&public::heading(split, number));
        let share = split.show(number).or_fail("there is no such share")?;
        public::groups(&share).iter().for_each(|line| script.say(&format!("   {}", line.as_str())));
        script.say("Write it down as it stands, and press Enter: it is cleared then.");
        enter()?;
        script.say(CLEAR);
        Ok::<_, Failure>(())
    };
    shown(script, split)?;
    loop {
        script.say(&format!("Type share {number} from the paper (or `show`, to see it again):"));
        let typed = shares::typed("", true)?;
        let typed =
            typed.ok_or_else(|| Failure::new(Exit::Unavailable, format!("share {number} was not confirmed")))?;
        if typed.trim().eq_ignore_ascii_case("show") {
            shown(script, split)?;
            continue;
        }
        let confirmed = split.confirm(number, &typed);
        script.say(CLEAR);
        match confirmed {
            Ok(_) => {
                script.say(&format!("Share {number} is on paper as it was made."));
                return Ok(());
            }
            Err(why) => script.say(&format!("Not the share that was shown: {why}.")),
        }
    }
}

fn enter() -> Result<(), Failure> {
    let mut line = String::new();
    match io::stdin().lock().take(ENTER_BYTES_MAX).read_line(&mut line).or_fail("the terminal cannot be read")? {
        0 => Err(Failure::new(Exit::Unavailable, "the ceremony was broken off")),
        _ => Ok(()),
    }
}

/// The public half goes where it is to go.
async fn end(
    args: &Args,
    (script, key, place): (&Script, &RecoveryKey, Option<Place>),
    global: &Global,
) -> Result<(), Failure> {
    let written = public::written(key);
    if let (Some(place), Some(path)) = (place, &args.out) {
        let mut text = serde_json::to_string_pretty(&written).or_fail("the key cannot be written")?;
        text.push('\n');
        place.fill(text.as_bytes())?;
        script.say(&format!("The public half: {}", crate::files::shown(path)));
    }
    let mut answer = Value::Null;
    if args.online {
        let taken = async { global.client()?.post(super::PLACE, &json!({ "key": written["key"] })).await };
        answer = taken.await.map_err(|failure| {
            // Nothing in it is secret, and without it the papers would be worth nothing.
            script.say(&written.to_string());
            failure
                .help("the papers are good: keep the line above in a file, and `chancery recovery take FILE` brings it")
        })?;
        if answer["waits"].is_object() {
            // Nothing in it is secret: it is the file that the other one brings.
            script.say(&written.to_string());
            script.say(&format!("The line above is the file. {}.", standing::waiting(&answer["waits"])));
        } else {
            script.say("The register has it. What is sealed there is wrapped to it now: `chancery recovery wrap` shows how far it is.");
        }
    } else {
        script.say("To be carried to the register: that file, for `chancery recovery take FILE`.");
    }
    if global.json {
        output::json(&json!({ "public": written, "register": answer }));
    }
    Ok(())
}

/// What is on the screen goes, and what was scrolled away.
const CLEAR: &str = "\x1b[2J\x1b[3J\x1b[H";
const ENTER_BYTES_MAX: u64 = 4_096;
