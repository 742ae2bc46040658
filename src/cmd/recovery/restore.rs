//! `chancery recovery restore`: a register whose token is lost comes back under another, by the shares of its recovery key.
//!
//! On the host, beside no service. In this order, and each step looks whether it was done, so that whatever breaks off, the same command
//! goes on:
//!
//! 1. The shares open the key of the register's heads; with it the register opens, and all of it is attested. A crash before the end of this
//!    changed nothing.
//! 2. The new token's sealing key is in force, the lost keys are called lost, and a new key signs the log. A crash after it: the token opens
//!    the register by itself, and the shares are asked for once more.
//! 3. Everything that was sealed is sealed under the new token, one key after another.
//! 4. Issuers whose keys are lost have successors; the log's head is signed, and the CRLs.
//! 5. The lost sealing keys end, once nothing stands under them.
//!
//! Trusted for: that the shares' key is in this process's memory alone, and that nothing is called lost while the old token opens the register.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ca::{Authority, Replaced, SealsAsTheyStand};
use clap::Parser;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use policy::{Action, Actor, Grant, Resource, ResourceKind, World};
use secrets::{LostRegister, Vault, Walked};
use serde_json::{Value, json};
use store::{ActorStamp, Ledger, StoreError};

use super::{public, shares};
use crate::Global;
use crate::config::Config;
use crate::failure::{Exit, Failure, OrFail};
use crate::files::{self, PUBLIC};
use crate::house::{self, OpenToken};
use crate::output;
use crate::parts::founding;

#[derive(Parser)]
pub struct Args {
    /// Initialise the token of [hsm] first, with this file's security officer PIN; one that is there already is kept
    #[arg(long, value_name = "SO_PIN_FILE")]
    create_token: Option<PathBuf>,
    /// Show what is typed
    #[arg(long)]
    show: bool,
    /// Once the register is open: bring back what is wrapped to this older generation of the recovery key, by its papers
    #[arg(long, value_name = "GENERATION")]
    of: Option<u16>,
}

/// What `--help` says after the flags.
pub const HELP: &str = "\
Example, on the host, with the service stopped and [hsm] naming a new token:
  chancery --config my-ca/chancery.toml recovery restore \\
    --create-token so-pin
  chancery --config my-ca/chancery.toml serve
  chancery recovery ceremony --online

The holders type their shares one after another; two are never enough where three are needed. Broken off anywhere, the same command goes on. \
What the lost token signed stays as it is: its CAs get successors with new keys, whose root (roots.pem) and log key (log.vkey) have to reach \
everybody anew. docs/RECOVERY.md is the page to have at hand.";

/// Runs `chancery recovery restore`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let config = global.config()?;
    let steps = Steps { quiet: global.json };
    if let Some(so_pin) = &args.create_token {
        steps.say("token", &founding::create_first_token(&config, so_pin)?);
    }
    let opened = house::open_token(&config)?;
    all_well(&opened.0)?;
    let Begun { parts, seal, private, _closing } = begun(&config, opened, &args, steps).await?;
    let actor = Actor::system(ACTOR);
    let ledger = parts.ledger.clone();
    let authority = Authority::open_after_loss(parts, seal, &actor).await;
    let authority = authority.or_fail("the lost keys cannot be followed by others").map_err(again)?;
    steps.say("sealing key", &format!("seal/{seal} is in force; what no token has is called lost"));
    let grant = authority.authorize(&actor, Action::ManageAuthority, Resource::plain(ResourceKind::Authority)).await;
    let grant = grant.or_fail("the policies do not let the host bring back its own register")?;
    let vault = Vault::new(ledger.clone(), Duration::ZERO);
    let walked = match private {
        None if lost_sealed(&authority) == 0 => Walked::default(),
        private => {
            let private = match private {
                Some(private) if args.of.is_none_or(|of| of == private.key().generation()) => private,
                _ => shares::gathered(&*known(&vault, args.of).await?, args.show)?,
            };
            walk(&vault, &grant, &private, steps).await?
        }
    };
    steps.say("secrets", &format!("{} keys were sealed under seal/{seal}, {} before", walked.done, walked.before));
    let replaced = authority.replace_lost(&actor).await.or_fail("the issuers have no successors").map_err(again)?;
    for made in &replaced.made {
        steps.say("issuer", &format!("{made} issues"));
    }
    authority.checkpoint().await.or_fail("cannot sign the log's head").map_err(again)?;
    authority.refresh_crls().await.or_fail("cannot publish the CRLs").map_err(again)?;
    let written = published(&config, &authority)?;
    // The last step: while one of them is lost and has not ended, the same command goes on.
    authority.tend_seals().await.or_fail("the lost sealing keys do not end").map_err(again)?;
    let left = lost_sealed(&authority);
    authority.ledger().clone().close().await;
    told(&config, (&walked, left, &replaced, &written), global)
}

/// A register that is open over the new token.
struct Begun {
    parts: ca::Parts,
    /// The generation of the sealing key that the new token has.
    seal: u32,
    /// The shares' key, where it was asked for already.
    private: Option<secrets::recovery::RecoveryPrivate>,
    _closing: house::Closing,
}

/// Opens it: by the shares, or, where somebody came before, by the new token itself.
async fn begun(config: &Config, opened: OpenToken, args: &Args, steps: Steps) -> Result<Begun, Failure> {
    let (database, log) = (config.database.clone(), config.log());
    let stands = SealsAsTheyStand::of(database.clone()).await.or_fail("the register does not show its sealing keys")?;
    let opens =
        Ledger::opens_under(database.clone(), &opened.0, &log.origin).await.or_fail("cannot read the register")?;
    if let Some(seal) = opens {
        if stands.newest >= seal && !stands.is_lost {
            return Err(Failure::new(Exit::Refused, "nothing is lost: the token opens this register by itself")
                .help(format!(
                    "start it: chancery --config {} serve; an issuer whose key is lost has a successor by `chancery ca rotate NAME --on-host`",
                    config.file.display()
                )));
        }
        steps.say("register", "the new token opens it: the restoring that was begun goes on");
        let (parts, _closing) = house::parts(config, opened, house::Way::Beside).await?;
        return Ok(Begun { parts, seal, private: None, _closing });
    }
    let lost = LostRegister::of(database.clone(), &log.origin).await.or_fail("nothing can be brought back")?;
    steps.say("recovery key", &public::line(lost.key()));
    let rules = (house::policies(config)?, house::profiles(config)?);
    let private = shares::gathered(lost.key(), args.show)?;
    let head_key = lost.open(&private).map_err(|error| {
        Failure::new(Exit::Refused, "the shares do not open the key of the register's heads")
            .because(&error)
            .help("somebody exchanged it in this register: find another backup")
    })?;
    let (pool, mint, _closing) = opened;
    let seal = unused(&pool, stands.next).await?;
    let (world, stamp) = (World::real(), ActorStamp::from(&Actor::system(ACTOR)));
    let brought = (head_key.to_seal(), seal, &stamp);
    let ledger = Ledger::recover(database, (&pool, mint), log, world.clone(), brought).await;
    let ledger = ledger.map_err(|error| match &error {
        StoreError::Held(_) => house::unopened(config, &error).help(format!(
            "where this backup is older than what this node knew: bring a newer one, or move {} away, and what came after the backup is lost",
            config.log_state.display()
        )),
        _ => house::unopened(config, &error),
    })?;
    steps.say("register", &format!("open, and attested: {} entries of its log", ledger.head().size));
    let parts = house::furnished(config, rules, (ledger, pool, world)).await;
    Ok(Begun { parts, seal, private: Some(private), _closing })
}

/// A token that does not answer may have what would be called lost.
fn all_well(pool: &hsm::Pool) -> Result<(), Failure> {
    match pool.tokens().iter().find(|token| token.health() != hsm::Health::Ready) {
        None => Ok(()),
        Some(token) => Err(Failure::new(Exit::Unavailable, format!("the token `{}` does not answer", token.name()))
            .help("bring it back; or, where it is lost too, take it out of [hsm.tokens]")),
    }
}

/// A generation for which the token has no key: one that broke off may have made one, and nobody knows who else did.
async fn unused(pool: &hsm::Pool, from: u32) -> Result<u32, Failure> {
    for seal in (from..).take(UNUSED_MAX) {
        match pool.has_sealing(None, &format!("seal-{seal}")).await {
            Ok(false) => return Ok(seal),
            Ok(true) | Err(hsm::HsmError::Unfit { .. }) => {}
            Err(error) => return Err(Failure::new(Exit::Unavailable, "the token does not answer").because(&error)),
        }
    }
    Err(Failure::new(Exit::Failed, "the token has too many sealing keys of ours already").help("use a fresh token"))
}

/// The recovery key whose papers are asked for, as the register has it.
async fn known(vault: &Vault, of: Option<u16>) -> Result<Box<secrets::recovery::RecoveryKey>, Failure> {
    let found = match of {
        Some(generation) => vault.recovery_key_of(generation).await,
        None => vault.recovery_key().await.map(|key| key.map(|key| (*key).clone())),
    };
    let found = found.or_fail("the register does not show its recovery key")?;
    let none = || Failure::new(Exit::Failed, "there is no such recovery key in this register");
    Ok(Box::new(found.ok_or_else(none)?))
}

/// Everything that the shares open is sealed under the new token.
async fn walk(
    vault: &Vault,
    grant: &Grant,
    private: &secrets::recovery::RecoveryPrivate,
    steps: Steps,
) -> Result<Walked, Failure> {
    let line = steps.bar();
    let watched = async {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        loop {
            ticks.tick().await;
            if let Some((looked, of)) = vault.walked_so_far() {
                line.set_length(of);
                line.set_position(looked);
            }
        }
    };
    let walked = tokio::select! {
        walked = vault.restore_all(grant, private) => walked,
        never = watched => never,
    };
    line.finish_and_clear();
    walked.or_fail("not everything is sealed under the new token yet").map_err(again)
}

/// How many stand under sealing keys that are lost.
fn lost_sealed(authority: &Authority) -> u64 {
    let seal = authority.ledger().seal_in_force();
    authority.ledger().standing().iter().filter(|(number, _)| Some(**number) != seal).map(|(_, count)| count).sum()
}

/// The new root and the new log key, where `init` wrote those before.
fn published(config: &Config, authority: &Authority) -> Result<Vec<PathBuf>, Failure> {
    let dir = config.file.parent().unwrap_or(Path::new("."));
    let key = format!("{}\n", authority.log_verifier_key().trim());
    let all = [("roots.pem", authority.roots_pem()), ("log.vkey", key)];
    all.into_iter()
        .map(|(name, text)| {
            let path = dir.join(name);
            files::write(&path, text.as_bytes(), PUBLIC)?;
            Ok(path)
        })
        .collect()
}

type Outcome<'a> = (&'a Walked, u64, &'a Replaced, &'a [PathBuf]);

fn told(config: &Config, (walked, left, replaced, written): Outcome<'_>, global: &Global) -> Result<(), Failure> {
    let names = |all: &[ca::GenerationName]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    if global.json {
        let which: Vec<Value> = walked.which.iter().map(|one| json!({ "id": one.id, "why": one.why })).collect();
        let without: Vec<Value> =
            replaced.left.iter().map(|(name, why)| json!({ "issuer": name, "why": why })).collect();
        output::json(&json!({
            "sealed": walked.done, "sealed_before": walked.before, "left": left, "which": which, "written": written,
            "issuers": names(&replaced.made), "waiting": names(&replaced.waits), "without_successor": without,
        }));
    } else {
        for one in &walked.which {
            output::line(format!("left: {}: {}", one.id, one.why));
        }
        for next in &replaced.waits {
            output::line(format!(
                "{next} waits for its certificate from elsewhere: `chancery ca request {next} --out FILE`, `chancery ca adopt {next} --here --chain \
                 FILE`, and `chancery ca activate {next}`"
            ));
        }
        for (name, why) in &replaced.left {
            output::line(format!("{name} has no successor: {why}; `chancery ca rotate {name}`"));
        }
        let places: Vec<_> = written.iter().map(|path| path.display().to_string()).collect();
        output::line(format!("written anew, for everybody who trusts this service: {}", places.join(", ")));
        output::line(format!("start it:  chancery --config {} serve", config.file.display()));
        output::line(
            "then hold a new ceremony, since this recovery key has been in a machine:  chancery recovery ceremony --online",
        );
    }
    match left == 0 && replaced.left.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(Exit::Findings, format!("{left} sealed keys did not come back")).help(
            "what is wrapped to an older recovery key comes by its papers and `--of GENERATION`; the rest is lost with the token",
        )),
    }
}

fn again(failure: Failure) -> Failure {
    failure.help("what was done is kept: mend the cause and give the same command again")
}

/// Says on standard error what is done; with --json only a failure stands there.
#[derive(Clone, Copy)]
struct Steps {
    quiet: bool,
}

impl Steps {
    fn say(self, what: &str, text: &str) {
        if !self.quiet {
            output::say(&format!("{what:>14}  {text}"));
        }
    }

    fn bar(self) -> ProgressBar {
        if self.quiet {
            return ProgressBar::hidden();
        }
        let line = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{pos} of {len} keys, {elapsed}, {eta} left") {
            line.set_style(style);
        }
        line
    }
}

/// Who acts: whoever has the host and the token's PIN, as `chancery ca rotate --on-host` does.
const ACTOR: &str = "rescue";
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// So many restorings that broke off at one moment are room enough.
const UNUSED_MAX: usize = 32;
