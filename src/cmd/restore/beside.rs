//! `chancery restore --files`: the files that lie beside a register, into an empty folder. What decides is written where the log proves it,
//! or where somebody said so after he was shown it.

use std::path::{Path, PathBuf};

use backup::{BackupError, Identities};
use serde_json::json;
use store::{Companion, Contents};

use super::{proved, settings, shown, source, unread};
use crate::cmd::backup::access;
use crate::config::Config;
use crate::failure::{Exit, Failure, OrFail};
use crate::files;
use crate::output;
use crate::parts::bar::Bar;

/// How it is done.
#[derive(Clone, Copy)]
pub struct Way {
    /// Files are written that are not those that the log says were in force.
    pub unproved_files: bool,
    /// Settings are written of which the log is told nothing.
    pub accept_config: bool,
    /// For programs.
    pub json: bool,
}

/// Writes them.
pub async fn run(
    from: String,
    identities: Identities,
    dir: PathBuf,
    config: Option<&Config>,
    way: Way,
) -> Result<(), Failure> {
    files::empty_folder(&dir)?;
    let mut found = looked_through(from, identities, config, way.json).await?;
    let (ours, strange): (Vec<Companion>, Vec<Companion>) =
        std::mem::take(&mut found.companions).into_iter().partition(|file| settings::is_of_a_backup(&file.name));
    found.companions = ours;
    let strange: Vec<String> = strange.into_iter().map(|file| file.name).collect();
    let unproved = proved::unproved(&found, &dir);
    if !unproved.is_empty() && !way.unproved_files {
        return Err(differs(&unproved));
    }
    let settings = settings::not_proved(&found, config.map(|config| config.file.as_path()))?;
    let settings: Vec<String> = settings.into_iter().map(|one| format!("{} = {}", one.name, one.says)).collect();
    if !settings.is_empty() && !way.accept_config {
        return Err(not_looked_at(&settings));
    }
    for name in &strange {
        output::notice(&format!("{name} was left out: no backup of Chancery has it"), way.json);
    }
    for why in &unproved {
        output::notice(&format!("not proved: {why}"), way.json);
    }
    for setting in &settings {
        output::notice(&format!("not proved by the log; look at it before you start: {setting}"), way.json);
    }
    write(&found.companions, &dir)?;
    told(&found, &dir, (&unproved, &settings, &strange), way.json);
    Ok(())
}

async fn looked_through(
    from: String,
    identities: Identities,
    config: Option<&Config>,
    json: bool,
) -> Result<Contents, Failure> {
    let access = access(config);
    let work = move || {
        let mut stream = backup::read(&source(&from, &access, json)?, &identities)?;
        let bar = Bar::new();
        let found = store::look_through(&mut stream, &mut |progress| bar.is_at(progress))?;
        bar.ends();
        Ok::<_, BackupError>(found)
    };
    tokio::task::spawn_blocking(work).await.or_fail("the restore broke off")?.map_err(|error| unread(&error))
}

/// They are not what was in force.
fn differs(unproved: &[String]) -> Failure {
    let says = "the files in this backup are not those that its register says were in force: nothing was written";
    each(says, unproved).help(
        "somebody else may have made this backup, or files were changed since the service read them last: take another backup; or look \
         at each with --unproved-files in a folder of its own, before a service reads them",
    )
}

/// They say what the log is not told, and nobody said that it was looked at.
fn not_looked_at(settings: &[String]) -> Failure {
    let says = "the log does not prove what the backup says here: nothing was written";
    each(says, settings).help(
        "look at each: a module, a program, a target, a recipient, a key or a path of somebody else's is his service. Then give the same \
         command with --accept-config; where this place has a configuration of its own, with --config, and what is the same there is not asked",
    )
}

fn each(says: &str, all: &[String]) -> Failure {
    all.iter().fold(Failure::new(Exit::Refused, says), |failure, one| failure.since(one))
}

fn write(all: &[Companion], dir: &Path) -> Result<(), Failure> {
    for Companion { name, bytes } in all {
        let path = dir.join(name);
        if let Some(folder) = path.parent() {
            files::private_folder(folder)?;
        }
        files::write(&path, bytes, files::SECRET)?;
    }
    Ok(())
}

type NotProved<'a> = (&'a [String], &'a [String], &'a [String]);

fn told(found: &Contents, dir: &Path, (unproved, settings, strange): NotProved<'_>, json: bool) {
    let names: Vec<&str> = found.companions.iter().map(|companion| companion.name.as_str()).collect();
    if json {
        return output::json(&json!({
            "dir": dir, "files": names, "unproved": unproved, "settings_not_proved": settings, "left_out": strange,
            "backup": shown(&found.backed_up),
        }));
    }
    names.iter().for_each(|name| output::line(files::shown(&dir.join(name))));
    output::line(
        "before a service reads them: [hsm], its PIN, and [database] have to be right on this host, and what the log does not prove is what you \
         looked at. Then restore the register",
    );
}
