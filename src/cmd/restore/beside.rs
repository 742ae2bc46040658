//! `chancery restore --files`: the files that lie beside a register, into an empty folder. What decides is written where the log proves it,
//! or where somebody said so after he was shown it.

use std::path::{Path, PathBuf};

use backup::{BackupError, Identities};
use policy::World;
use serde_json::json;
use store::{Companion, Contents, Kept};

use super::key::{self, LogKey, Whose};
use super::looked::Looked;
use super::words::Words;
use super::writing::write;
use super::{age, proved, settings, shown, source, unread};
use crate::cmd::backup::access;
use crate::config::Config;
use crate::failure::{Exit, Failure, OrFail};
use crate::files;
use crate::output;
use crate::parts::bar::Bar;

/// How it is done.
pub struct Way {
    /// Files are written that are not those that the log says were in force.
    pub unproved_files: bool,
    /// Settings are written of which the log is told nothing: those that somebody looked at.
    pub accept_config: Option<Looked>,
    /// For programs.
    pub json: bool,
}

/// Writes them.
pub async fn run(
    from: String,
    (identities, identity): (Identities, &Path),
    dir: PathBuf,
    config: Option<&Config>,
    way: Way,
) -> Result<(), Failure> {
    // What is refused leaves no folder.
    let _folder = files::Folder::take_empty(&dir)?;
    let (mut found, from) = looked_through(from, identities, config, way.json).await?;
    let place = config.map(|config| config.file.as_path());
    let known = age::known(config)?;
    let newer = age::newer(&known, &found.backed_up.manifest);
    let words = Words { from: &from, identity, dir: &dir, config: place };
    let (ours, strange): (Vec<Companion>, Vec<Companion>) =
        std::mem::take(&mut found.companions).into_iter().partition(|file| settings::is_of_a_backup(&file.name));
    found.companions = ours;
    let strange: Vec<String> = strange.into_iter().map(|file| settings::line(&file.name)).collect();
    let key = key::believed(&found, place)?;
    let mut unproved = proved::unproved(&found, &dir, key.as_ref());
    unproved.extend(age::renamed(words.from, &found.backed_up.manifest));
    let settings = settings::not_proved(&found, place, World::real().now())?;
    unproved.extend(settings.iter().filter_map(settings::Setting::too_long));
    if !unproved.is_empty() && !way.unproved_files {
        return Err(differs(&unproved));
    }
    let mut settings: Vec<String> = settings.into_iter().map(|one| asked(&one, key.as_ref())).collect();
    let is_same = settings.is_empty();
    // That word is for eyes, whatever the age; a service reads what was looked at, and that it is not the newest is looked at first.
    match newer.map(|_| age::asked(&found.backed_up.manifest)) {
        Some(age) if way.unproved_files => unproved.push(age),
        Some(age) => settings.insert(0, age),
        None => {}
    }
    let looked = Looked::at(&found.companions, &settings);
    if !settings.is_empty() && way.accept_config.as_ref() != Some(&looked) {
        let again = words.accepting(way.unproved_files, &looked);
        let refused = not_looked_at(&settings, &words, &again, way.accept_config.is_some());
        return Err(match newer {
            Some(kept) => refused.since(more(kept, &found)),
            None => refused,
        });
    }
    if let Some(file) = place {
        output::notice(&compared(file, is_same), way.json);
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
    if let Some(kept) = newer {
        output::notice(&more(kept, &found), way.json);
    }
    write(&found.companions, &dir)?;
    told(&found, &words, (&unproved, &settings, &strange), key.as_ref(), way.json);
    Ok(())
}

/// A setting that somebody has to look at. The backup's own key proves its register, and nothing proves that key.
fn asked(one: &settings::Setting, key: Option<&LogKey>) -> String {
    let is_its_own = one.name == key::FILE && key.is_some_and(|key| matches!(key.whose, Whose::Backup));
    let more = if is_its_own { "; policies, profiles and the rest are proved by this key alone" } else { "" };
    format!("{} = {}{more}", settings::line(&one.name), one.says)
}

/// What is in it, and which one it was.
async fn looked_through(
    from: String,
    identities: Identities,
    config: Option<&Config>,
    json: bool,
) -> Result<(Contents, String), Failure> {
    let access = access(config);
    let work = move || {
        let (source, taken) = source(&from, &access, json)?;
        let mut stream = backup::read(&source, &identities)?;
        let bar = Bar::new();
        let found = store::look_through(&mut stream, &mut |progress| bar.is_at(progress))?;
        bar.ends();
        Ok::<_, BackupError>((found, taken.named))
    };
    tokio::task::spawn_blocking(work).await.or_fail("the restore broke off")?.map_err(|error| unread(&error))
}

/// By how much it is older than this place knows, and from where: not part of what is accepted, as a service that runs makes it more.
fn more(kept: &Kept, found: &Contents) -> String {
    let more = kept.size.saturating_sub(found.backed_up.manifest.size);
    format!("{} knows {more} entries more than the backup has", kept.by)
}

/// They are not what was in force.
fn differs(unproved: &[String]) -> Failure {
    let says = "it is not proved that the files in this backup are those that were in force: nothing was written";
    each(says, unproved).help(
        "somebody else may have made this backup, or files were changed since the service read them last: take another backup (where that \
         service runs still: `systemctl reload chancery`, then `chancery backup`). Where the log has another key now than this place's log.vkey, \
         put that one there, if you know it from elsewhere (/log/key of a service that you trust). Or look at each with --unproved-files in a \
         folder of its own, before a service reads them",
    )
}

/// They say what the log is not told, and nobody said that it was looked at, or something else was.
fn not_looked_at(settings: &[String], words: &Words<'_>, again: &str, is_another: bool) -> Failure {
    let (says, more) = match words.config {
        Some(file) => (format!("nor does {} say the same", files::shown(file)), ""),
        None => (
            "and it was compared with nothing".to_owned(),
            " (where this place has a configuration of its own, name it with --config: what is the same there is not asked)",
        ),
    };
    let another = if is_another { "; what was accepted is not what is here now" } else { "" };
    let says = format!("the log does not prove what the backup says here, {says}{another}: nothing was written");
    each(&says, settings).help(format!(
        "look at each: a module, a program, a target, a recipient, a key or a path of somebody else's is his service; roots and the log's key are \
         known by their SHA-256, the first on its line, from elsewhere{more}; where it is older than this place knows, \
         take a newer one, or be sure that what was changed since is not missed. Then: {again}"
    ))
}

/// With what it was compared, for whoever did not think of it: a configuration may be named by the environment.
fn compared(file: &Path, is_all: bool) -> String {
    let file = files::shown(file);
    match is_all {
        true => format!("what the log does not prove is the same as {file} says: not asked"),
        false => format!("compared with {file}: what is the same there was not asked"),
    }
}

fn each(says: &str, all: &[String]) -> Failure {
    all.iter().fold(Failure::new(Exit::Refused, says), |failure, one| failure.since(one))
}

type NotProved<'a> = (&'a [String], &'a [String], &'a [String]);

fn told(
    found: &Contents,
    words: &Words<'_>,
    (unproved, settings, strange): NotProved<'_>,
    key: Option<&LogKey>,
    json: bool,
) {
    let (dir, next) = (words.dir, words.next());
    let names: Vec<&str> = found.companions.iter().map(|companion| companion.name.as_str()).collect();
    if json {
        return output::json(&json!({
            "dir": dir, "files": names, "unproved": unproved, "settings_not_proved": settings, "left_out": strange,
            "key": key.map(|key| key.whose.as_str()), "next": next, "backup": shown(&found.backed_up),
        }));
    }
    names.iter().for_each(|name| output::line(files::shown(&dir.join(name))));
    output::line(format!("as of {}", age::told(&found.backed_up.manifest)));
    output::line(
        "before a service reads them: [hsm], its PIN, and [database] have to be right on this host, and what the log does not prove is what you \
         looked at. Then restore the register:",
    );
    output::line(output::printable(&format!("  {next}")));
}
