//! A drill: a backup restored into a scratch place, verified, its files held against its register as `--files` does, opened by the token, and
//! taken away; written down in the live log.
//!
//! The token opens the key of the heads, which is sealed as every secret is, and with it the seal of the head is proved; nothing of anybody
//! is opened, so that a drill is no access.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use backup::{Diary, Drilled, Identities};
use policy::World;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;
use store::{Database, Ledger, LogConfig, Place};

use super::key::{self, LogKey};
use super::{Taken, age, facts, findings, proved, public, put, settings, shown, told, verified};
use crate::cmd::backup::operator;
use crate::config::Config;
use crate::failure::{Exit, Failure, OrFail};
use crate::{house, output};

/// Runs `chancery restore --drill`.
pub async fn run(
    from: String,
    identities: Identities,
    scratch: Option<PathBuf>,
    config: Option<&Config>,
    json: bool,
) -> Result<(), Failure> {
    let scratch = Scratch::make(scratch.unwrap_or_else(std::env::temp_dir))?;
    let database = Database::Sqlite(scratch.0.join("register.db"));
    let place = Place { origin: config.map(|config| config.log_origin.clone()), known: Vec::new() };
    let (mut found, taken) = put((from.clone(), json), identities, database.clone(), place, config).await?;
    found.companions.retain(|file| settings::is_of_a_backup(&file.name));
    let key = key::believed(&found, config.map(|config| config.file.as_path()))?;
    let unproved = proved::unproved(&found, Path::new(""), key.as_ref());
    let left_out = public::left_out(&found.companions);
    let back = found.backed_up;
    // Later than the backup: what this place knows now.
    let known = age::known(config)?;
    let older = age::newer(&known, &back.manifest).map(|kept| kept.size.saturating_sub(back.manifest.size));
    let mut mistaken: Vec<String> = age::renamed(&taken.named, &back.manifest).into_iter().collect();
    let report = verified(database.clone(), &back, config).await?;
    let drilled = Drilled {
        place: from,
        size: back.manifest.size,
        root: back.manifest.root.clone(),
        findings: report.findings_total.saturating_add((unproved.len() + mistaken.len()) as u64),
        opened: false,
    };
    let tried = match config {
        Some(config) => tried(config, database, (back.manifest.origin.as_str(), &taken), drilled).await,
        None => Tried { opened: Err("no --config names a token".to_owned()), behind: None, entry: None },
    };
    mistaken.extend(tried.behind);
    drop(scratch);
    let opened = tried.opened.as_ref().map_or_else(
        |why| format!("not tried: {why}"),
        |found| match found {
            None => "yes: this token opens it".to_owned(),
            Some(why) => format!("no: {why}"),
        },
    );
    if json {
        let is_opened = tried.opened.as_ref().ok().map(Option::is_none);
        output::json(&json!({
            "drill": shown(&back), "findings": findings(&report), "unproved": unproved, "mistaken": mistaken, "older_by": older,
            "key": key.as_ref().map(|key| key.whose.as_str()), "left_out": left_out, "opened": is_opened, "token": opened, "entry": tried.entry,
        }));
    } else {
        let mut facts = facts(&back, "a scratch place, which is gone", &report);
        facts.push(("opened by the token", opened.clone()));
        facts.push(("entry of the log", tried.entry.map_or_else(|| "none".to_owned(), |entry| entry.to_string())));
        facts.push(("files beside it", files(&unproved, key.as_ref())));
        if let Some(older) = older {
            facts.push(("entries of this place's log since", older.to_string()));
        }
        if !left_out.is_empty() {
            facts.push(("left out of it", left_out.join(", ")));
        }
        output::facts(&facts);
        told(&report);
        unproved.iter().for_each(|why| output::line(output::printable(&format!("not proved: {why}"))));
        mistaken.iter().for_each(|why| output::line(output::printable(&format!("not what it is taken for: {why}"))));
    }
    if matches!(tried.opened, Ok(Some(_))) {
        return Err(Failure::new(Exit::Findings, "the token does not open this backup").since(opened).help(
            "a backup opens under the token whose sealing key it stands under (docs/SEALING.md); secrets open by the recovery shares too",
        ));
    }
    match report.findings_total {
        0 if unproved.is_empty() && mistaken.is_empty() => Ok(()),
        0 if unproved.is_empty() => Err(Failure::new(Exit::Findings, "it is not the backup that it is taken for").help(
            "whoever may write into that place put an older one there, or took newer ones away: look who can, take another backup, and look \
             whether it stays",
        )),
        0 => Err(Failure::new(
            Exit::Findings,
            "it is not proved that the files in this backup are those that were in force: `restore --files` would refuse them",
        )
        .help(
            "where files were changed and no service read them: `systemctl reload chancery`, then `chancery backup`, and a drill of that one; where \
             nobody changed any, somebody else may have made this backup",
        )),
        n => Err(Failure::new(Exit::Findings, format!("{n} finding(s): what was backed up is not what was signed"))
            .help("look with `chancery audit verify` at the register itself, and at older backups")),
    }
}

/// What `--files` would say of them, and by whose word.
fn files(unproved: &[String], key: Option<&LogKey>) -> String {
    match (unproved.len(), key) {
        (0, Some(key)) => format!("as they were in force, by {}", key.whose),
        (0, None) => "as they were in force".to_owned(),
        (n, _) => format!("would be refused: {n} part(s) are not proved to be what was in force"),
    }
}

/// What came of the token.
struct Tried {
    /// Not tried, and why; or why it does not open, where it does not.
    opened: Result<Option<String>, String>,
    /// Why it is not the last one that went to its place, by the live log.
    behind: Option<String>,
    /// The entry of the live log.
    entry: Option<u64>,
}

async fn tried(config: &Config, database: Database, (origin, taken): (&str, &Taken), drilled: Drilled) -> Tried {
    let (pool, mint, _closing) = match house::open_token(config) {
        Ok(opened) => opened,
        Err(failure) => return Tried { opened: Err(failure.to_string()), behind: None, entry: None },
    };
    // Nothing is kept of it, in a folder or in the token.
    let log = LogConfig { origin: origin.to_owned(), state: None, instance: None };
    let refused = Ledger::refused_start(database, &pool, log, World::real()).await;
    let opened = refused.unwrap_or_else(|error| Some(error.to_string()));
    let mut drilled = Drilled { opened: opened.is_none(), ..drilled };
    let mut behind = None;
    let live = Ledger::open(config.database.clone(), (&pool, mint), config.log(), World::real()).await;
    let entry = match live {
        Ok(ledger) => {
            let diary = Diary::new(ledger.clone());
            behind = fell_behind(&diary, taken, drilled.size).await;
            drilled.findings = drilled.findings.saturating_add(u64::from(behind.is_some()));
            let noted = diary.note_drill(&drilled, operator()).await;
            drop(diary);
            ledger.close().await;
            noted
                .inspect_err(|error| {
                    output::notice(&format!("no entry of the log says that it was done: {error}"), false)
                })
                .ok()
        }
        // Where the register is lost, which is what it is for.
        Err(error) => {
            output::notice(&format!("no entry of the log says that it was done: {error}"), false);
            None
        }
    };
    Tried { opened: Ok(opened), behind, entry }
}

/// Where the newest of a folder was taken, why it is not the last one that went there. Of one that was named itself somebody knows which it is.
async fn fell_behind(diary: &Diary, taken: &Taken, size: u64) -> Option<String> {
    if !taken.is_newest {
        return None;
    }
    match diary.last().await {
        // One that was written down since may have come after the look.
        Ok(last) => {
            let last = last.filter(|(noted, _)| *noted <= taken.at);
            last.and_then(|(_, last)| age::behind(&taken.named, size, &last))
        }
        Err(error) => Some(format!("the backup: which one was the last the log does not say: {error}")),
    }
}

/// A folder for one drill, for this user alone, which goes with it.
struct Scratch(PathBuf);

impl Scratch {
    fn make(within: PathBuf) -> Result<Scratch, Failure> {
        let mut random = [0; 8];
        SystemRandom::new()
            .fill(&mut random)
            .map_err(|_| Failure::new(Exit::Failed, "the system gives no random bytes"))?;
        let path = within.join(format!("chancery-drill-{}", hex::encode(random)));
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.or_fail(format!("cannot make the scratch place {}", path.display()))
            .map_err(|failure| failure.help("name a folder with room for the register: --scratch DIR"))?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_dir_all(path) {
        output::say(&format!("chancery: the scratch place {} is left behind: {error}", path.display()));
    }
}
