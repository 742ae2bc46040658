//! From the raw tables `[secrets]` and `[[secret]]` to checked ones. A template is read here, so that a mistake in it refuses the plan.

use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use delivery::exchange::BATCH;
use delivery::template::{Piece, TemplateError, has_placeholder, pieces};

use super::certificate::Certificate;
use super::command::Reload;
use super::origin::Server;
use super::parts::{CACHE, command, id, is_name};
use super::place::Place;
use super::raw::{RawSecret, RawSecretFile, RawSecrets, RawServer, RawSignal};
use super::secret::{AtEnd, CachePlace, NEW_FILE, OnChange, Place as FilePlace, SecretFile, Signal};
use super::sources::{home, server};
use super::users::{group_id, user_id};
use crate::error::{PlanError, bounded};

/// What all secrets of a plan have in common.
pub(super) struct Common {
    pub(super) server: Server,
    environment: Option<String>,
    pub(super) poll: Duration,
    max_age_secs: u64,
    cache: CachePlace,
}

/// What all have in common; none where there is nothing that it would be for.
pub(super) fn common(
    root: &Place<'_>,
    raw: Option<RawSecrets>,
    is_used: bool,
    identity: Option<&Certificate>,
    state_dir: &Path,
) -> Result<Option<Common>, PlanError> {
    match (raw, is_used) {
        (Some(_), false) => Err(root
            .at("secrets")
            .refuse("there is no [[secret]] and no [[authorized_keys]] that it is for", "[[secret]]")),
        (None, false) => Ok(None),
        (raw, true) => {
            let home = identity.and_then(home).map(|home| &home.server);
            shared(&root.at("secrets"), raw.unwrap_or_default(), home, state_dir).map(Some)
        }
    }
}

/// All secrets of a plan.
pub(super) fn secrets(
    root: &Place<'_>,
    raw: Vec<RawSecret>,
    common: Option<&Common>,
) -> Result<Vec<SecretFile>, PlanError> {
    if raw.len() > SECRETS_MAX {
        let why = format!("more than {SECRETS_MAX} secrets");
        return Err(root.at("secret").refuse(why, "a second plan with a state_dir of its own"));
    }
    let Some(common) = common else { return Ok(Vec::new()) };
    let each = raw.into_iter().enumerate();
    each.map(|(index, raw)| one(&root.at(&format!("secret[{index}]")), raw, common)).collect()
}

fn shared(at: &Place<'_>, raw: RawSecrets, home: Option<&Server>, state_dir: &Path) -> Result<Common, PlanError> {
    let RawSecrets {
        url,
        ca_file,
        token_file,
        client_cert,
        client_key,
        environment,
        poll_secs,
        max_age_secs,
        cache,
        cache_keys,
    } = raw;
    let asked = RawServer { url, ca_file, token_file, client_cert, client_key };
    let secs = |key: &str, secs: Option<u64>, standard: u64, most: u64| match secs.unwrap_or(standard) {
        secs if secs == 0 || secs > most => {
            Err(at.at(key).refuse(format!("{secs} is not between 1 and {most}"), &format!("{key} = {standard}")))
        }
        secs => Ok(secs),
    };
    Ok(Common {
        server: server(at, asked, home)?,
        environment,
        poll: Duration::from_secs(secs("poll_secs", poll_secs, POLL_SECS, POLL_SECS_MAX)?),
        max_age_secs: secs("max_age_secs", max_age_secs, MAX_AGE_SECS, secrets::CACHE_SECS_MAX)?,
        cache: CachePlace {
            folder: cache.map_or_else(|| state_dir.join(CACHE), |folder| at.path(&folder)),
            keys: cache_keys.map(|folder| at.path(&folder)),
        },
    })
}

fn one(at: &Place<'_>, raw: RawSecret, common: &Common) -> Result<SecretFile, PlanError> {
    // The name is a folder's name in state_dir.
    if !is_name(&raw.name) {
        let why = format!("{:?} is not 1-63 of a-z 0-9 . _ - or is taken", bounded(&raw.name, 80));
        return Err(at.at("name").refuse(why, "name = \"shop-db\""));
    }
    let environment = common.environment.clone();
    let template = template(at, (raw.template, raw.text, raw.reference))?;
    if has_placeholder(&template) && environment.is_none() {
        let why = "{env} in a reference stands for an environment, and none is named";
        return Err(at.refuse(why, "[secrets]\nenvironment = \"prod\""));
    }
    let wrong = |error: TemplateError| at.refuse(error.to_string(), error.help());
    let references: HashSet<_> = pieces(&template, environment.as_deref())
        .map_err(wrong)?
        .iter()
        .filter_map(Piece::reference)
        .cloned()
        .collect();
    // All values of a file are of one moment: what one question takes.
    if references.is_empty() || references.len() > BATCH {
        let why = format!("{} references; 1 to {} stand in one file", references.len(), BATCH);
        return Err(at.refuse(why, "text = \"PASSWORD={{ chy://prod/db#password }}\""));
    }
    let check = command(at, "check", raw.check, ("check_timeout_secs", raw.check_timeout_secs))?;
    if check.as_ref().is_some_and(|check| !check.args.iter().any(|word| word.contains(NEW_FILE))) {
        let why = format!("it is not told which file is the new one: {NEW_FILE} stands for it");
        return Err(at.at("check").refuse(why, "check = [\"/usr/bin/app\", \"--check\", \"{}\"]"));
    }
    let reload = command(at, "reload", raw.reload, ("reload_timeout_secs", raw.reload_timeout_secs))?;
    Ok(SecretFile {
        name: raw.name,
        server: common.server.clone(),
        template,
        environment,
        references,
        file: file(&at.at("file"), raw.file)?,
        check,
        on_change: on_change(at, reload, raw.signal)?,
        at_end: at_end(&at.at("at_end"), raw.at_end.as_deref())?,
        poll: common.poll,
        max_age_secs: common.max_age_secs,
        cache: common.cache.clone(),
    })
}

/// The template's bytes: of a file, as it stands in the plan, or one value alone.
fn template(at: &Place<'_>, said: (Option<PathBuf>, Option<String>, Option<String>)) -> Result<Vec<u8>, PlanError> {
    match said {
        (Some(path), None, None) => {
            let path = at.path(&path);
            read(&path).map_err(|e| {
                at.at("template")
                    .refuse(format!("{} cannot be read: {e}", path.display()), "template = \"app.env.tmpl\"")
            })
        }
        (None, Some(text), None) => Ok(text.into_bytes()),
        (None, None, Some(reference)) => Ok(format!("{{{{ {reference} }}}}").into_bytes()),
        _ => Err(at.refuse(
            "one of template, text and reference says what stands in the file",
            "reference = \"chy://prod/db#password\"",
        )),
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    file.take(TEMPLATE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > TEMPLATE_BYTES_MAX {
        true => Err(std::io::Error::other("it has more than 256 KiB")),
        false => Ok(bytes),
    }
}

fn file(at: &Place<'_>, raw: RawSecretFile) -> Result<FilePlace, PlanError> {
    let path = at.path(&raw.path);
    if path.file_name().is_none() {
        let why = format!("{} names no file", path.display());
        return Err(at.at("path").refuse(why, "path = \"/run/shop/db.env\""));
    }
    Ok(FilePlace {
        path,
        mode: raw.mode.map_or(Ok(FILE_MODE), |text| mode(&at.at("mode"), &text))?,
        uid: id(&at.at("owner"), raw.owner.as_deref(), user_id)?,
        gid: id(&at.at("group"), raw.group.as_deref(), group_id)?,
        on_disk: raw.on_disk.unwrap_or(false),
    })
}

fn mode(at: &Place<'_>, text: &str) -> Result<u32, PlanError> {
    let example = "mode = \"0440\"";
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
    match mode {
        None => Err(at.refuse(format!("{:?} is not an octal mode", bounded(text, 20)), example)),
        Some(mode) if mode & 0o007 != 0 => {
            Err(at.refuse(format!("{text} would give the values to everybody"), example))
        }
        Some(mode) if mode & 0o400 == 0 => Err(at.refuse(format!("{text} would lock the owner out"), example)),
        Some(mode) => Ok(mode),
    }
}

fn on_change(at: &Place<'_>, reload: Option<Reload>, signal: Option<RawSignal>) -> Result<OnChange, PlanError> {
    match (reload, signal) {
        (None, None) => Ok(OnChange::Nothing),
        (Some(reload), None) => Ok(OnChange::Reload(reload)),
        (None, Some(raw)) => {
            let (at, name) = (at.at("signal"), raw.name.trim_start_matches("SIG"));
            let number = SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
            let refuse = || {
                let known: Vec<&str> = SIGNALS.iter().map(|(name, _)| *name).collect();
                let why = format!("{:?} is none of {}", bounded(&raw.name, 20), known.join(", "));
                at.at("name").refuse(why, "name = \"HUP\"")
            };
            let number = number.ok_or_else(refuse)?;
            Ok(OnChange::Signal(Signal { name: name.to_owned(), number, pid_file: at.path(&raw.pid_file) }))
        }
        (Some(_), Some(_)) => {
            let why = "reload and signal exclude each other";
            Err(at.at("signal").refuse(why, "signal = { name = \"HUP\", pid_file = \"/run/app.pid\" }"))
        }
    }
}

fn at_end(at: &Place<'_>, text: Option<&str>) -> Result<AtEnd, PlanError> {
    match text {
        None | Some("remove") => Ok(AtEnd::Remove),
        Some("keep") => Ok(AtEnd::Keep),
        Some(other) => {
            Err(at.refuse(format!("{:?} is neither remove nor keep", bounded(other, 20)), "at_end = \"remove\""))
        }
    }
}

/// Most files of secrets on one host: each is a task.
const SECRETS_MAX: usize = 256;
/// A configuration is some KiB.
const TEMPLATE_BYTES_MAX: u64 = 256 << 10;
/// Whoever runs the agent, and nobody else, unless the plan says so.
const FILE_MODE: u32 = 0o400;
const POLL_SECS: u64 = 60;
const POLL_SECS_MAX: u64 = 86_400;
/// As long as a server lets anything be kept where nobody says.
const MAX_AGE_SECS: u64 = 3_600;
/// What programs take for "read your files again"; those that end one are the reload's business.
const SIGNALS: [(&str, i32); 4] = [("HUP", 1), ("USR1", 10), ("USR2", 12), ("WINCH", 28)];
