//! The files beside a register, held against what the register in the same backup says was in force.
//!
//! Encryption to recipients proves nothing of who wrote a backup, and a policy of it decides from the next start on. So what decides is
//! written where its hash is the one that the log has: policies, owners, profiles, limits, what administrators prove. The register is proved
//! by itself, at its start; here it counts as far as a head of it reaches that the log's key signed (`key`), since whoever knows a recipient
//! makes a register that agrees with his files. `[hsm]`, `[database]` and whatever else the log is not told of are shown to somebody first
//! (`settings`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use ca::{Amendment, Profiles};
use policy::Policies;
use serde_json::Value;
use store::Contents;

use super::key::LogKey;
use crate::config::InForce;

/// What of the files that decide is not proved to have been in force, a sentence each; none where all of it is. First, where it is so: that
/// the key does not prove the register, and so nothing is. `dir`: where they are to lie.
pub fn unproved(found: &Contents, dir: &Path, key: Option<&LogKey>) -> Vec<String> {
    let (later, mut all) = match later(found, key) {
        Ok(later) => (later, Vec::new()),
        Err(why) => (BTreeSet::new(), vec![why]),
    };
    match in_files(found, dir) {
        Ok((here, instance)) => {
            let differ = differences(&here, &found.settings, &later, instance).into_iter();
            all.extend(differ.map(|(part, why)| format!("{part}: {why} ({})", files_of(&part, why, found, instance))));
        }
        Err(why) => all.push(why),
    }
    all
}

/// Of which records the register's word does not count, by this key; or why it counts of none.
fn later<'a>(found: &'a Contents, key: Option<&LogKey>) -> Result<BTreeSet<&'a str>, String> {
    let none = || {
        "the register: nothing proves it, neither this place nor the backup has the key of its log (log.vkey)"
            .to_owned()
    };
    let key = key.ok_or_else(none)?;
    found.proved_by(&key.text).map_err(|why| format!("the register: {} does not prove it: {why}", key.whose))
}

/// Why a part is not proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// Something else was in force.
    Another,
    /// The log says nothing of it.
    Untold,
    /// It was in force, and the files do not have it.
    LeftOut,
    /// What the log says of it is covered by no signed head.
    Later,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::Another => "it is another than was in force",
            Why::Untold => "the log does not say that it was in force",
            Why::LeftOut => "it was in force, and is not here",
            Why::Later => "what the log says of it came after its last signed head",
        })
    }
}

/// In which files a part stands; of other policies those that the text in force does not have.
fn files_of(part: &str, why: Why, found: &Contents, instance: u16) -> String {
    match part {
        "policies" if why == Why::Later => "policies/".to_owned(),
        "policies" => {
            let body = found.settings.get(&Amendment::record_id(part, instance));
            let files = found.companions.iter().filter_map(|file| {
                let name = file.name.strip_prefix("policies/")?.strip_suffix(".cedar")?;
                Some((name, std::str::from_utf8(&file.bytes).ok()?))
            });
            policies_of(files, body.and_then(|body| body["text"].as_str()))
        }
        "owners" => format!("[[owner]] of {CONFIG}"),
        "limits" => format!("[server.limits] and [acme] of {CONFIG}"),
        "log level" => format!("[server] log of {CONFIG}"),
        "login" => format!("[login] of {CONFIG}"),
        other => match other.strip_prefix("profile ") {
            Some(name) => format!("profiles/{name}.toml"),
            None => CONFIG.to_owned(),
        },
    }
}

/// The files of policies that a text does not have as they are; a text is each file below a line with its name.
fn policies_of<'a>(files: impl Iterator<Item = (&'a str, &'a str)>, in_force: Option<&str>) -> String {
    let Some(in_force) = in_force else { return "policies/".to_owned() };
    let is_other = |(name, text): &(&str, &str)| !in_force.contains(&format!("// {name}\n{}\n", text.trim_end()));
    let other: Vec<String> = files.filter(is_other).map(|(name, _)| format!("policies/{name}.cedar")).collect();
    match other.is_empty() {
        // Each is there: what lacks was in force.
        true => "something that was in force is left out of policies/".to_owned(),
        false => other.join(", "),
    }
}

/// The hash of each part, as the log would be told it by a start with these files; and of which node.
fn in_files(found: &Contents, dir: &Path) -> Result<(BTreeMap<String, String>, u16), String> {
    let texts = |folder: &str, extension: &str| {
        let named = found.companions.iter().filter_map(|file| {
            let name = file.name.strip_prefix(folder)?.strip_suffix(extension)?;
            Some(text(&file.bytes, &file.name).map(|text| (name.to_owned(), text)))
        });
        named.collect::<Result<Vec<_>, String>>()
    };
    let config = found.companions.iter().find(|file| file.name == CONFIG);
    let config = config.ok_or_else(|| format!("{CONFIG}: it is not in the backup"))?;
    let InForce { instance, owners, demand, settings } =
        InForce::parse(&text(&config.bytes, CONFIG)?, &dir.join(CONFIG)).map_err(|error| error.to_string())?;
    let policies =
        Policies::load(&texts("policies/", ".cedar")?, owners).map_err(|error| format!("policies: {error}"))?;
    let policies = match demand {
        Some(demand) => policies.demanding(demand),
        None => policies,
    };
    let profiles = Profiles::load(&texts("profiles/", ".toml")?).map_err(|error| format!("profiles: {error}"))?;
    let here = Amendment { policies, profiles, settings }.hashes().map_err(|error| error.to_string())?;
    Ok((here, instance))
}

fn text(bytes: &[u8], name: &str) -> Result<String, String> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| format!("{name}: it is not text"))
}

/// What is not proved, part by part, and why: of what is here, and of what was in force and is not. `later`: the records of which the
/// register's word does not count.
fn differences(
    here: &BTreeMap<String, String>,
    said: &BTreeMap<String, Value>,
    later: &BTreeSet<&str>,
    instance: u16,
) -> Vec<(String, Why)> {
    let mut differ = Vec::new();
    for (part, hash) in here {
        let id = Amendment::record_id(part, instance);
        match said.get(&id).and_then(|body| body["hash"].as_str()) {
            Some(there) if there != hash => differ.push((part.clone(), Why::Another)),
            Some(_) if later.contains(id.as_str()) => differ.push((part.clone(), Why::Later)),
            Some(_) => {}
            None => differ.push((part.clone(), Why::Untold)),
        }
    }
    let own = Amendment::record_id("", instance);
    let of_this_node = said.iter().filter_map(|(id, body)| Some((id, id.strip_suffix(&own)?, body)));
    for (id, part, body) in of_this_node.filter(|(_, part, _)| !here.contains_key(*part)) {
        // What went out of force stands there without a hash; what is no object is not what its entry of the log stands for.
        if !body.is_object() || body["hash"].is_string() {
            differ.push((part.to_owned(), Why::LeftOut));
        } else if later.contains(id.as_str()) {
            differ.push((part.to_owned(), Why::Later));
        }
    }
    differ
}

/// The configuration, as a backup calls it.
pub const CONFIG: &str = "chancery.toml";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    type Change = fn(&mut BTreeMap<String, Value>);

    #[test]
    fn what_was_in_force_is_proved_and_nothing_else_is() {
        let hash = |text: &str| (text.to_owned(), format!("hash of {text}"));
        let here: BTreeMap<String, String> = ["owners", "policies", "profile web"].map(hash).into();
        let said = |part: &str| (format!("{part}@3"), json!({ "part": part, "hash": format!("hash of {part}") }));
        let mut log: BTreeMap<String, Value> = ["owners", "policies", "profile web"].map(said).into();
        log.insert("profile old@3".to_owned(), json!({ "part": "profile old", "hash": null }));
        log.insert("profile db@4".to_owned(), json!({ "part": "profile db", "hash": "another node's" }));
        let covered = BTreeSet::new();
        assert!(differences(&here, &log, &covered, 3).is_empty());
        let told = |change: Change| {
            let mut log = log.clone();
            change(&mut log);
            let told = differences(&here, &log, &covered, 3).into_iter();
            told.map(|(part, why)| format!("{part}: {why}")).collect::<Vec<_>>()
        };
        let another = told(|log| drop(log.insert("policies@3".to_owned(), json!({ "hash": "of something else" }))));
        assert_eq!(another, ["policies: it is another than was in force"]);
        let gone: [Change; 2] =
            [|log| drop(log.remove("policies@3")), |log| drop(log.insert("policies@3".to_owned(), Value::Null))];
        for change in gone {
            assert_eq!(told(change), ["policies: the log does not say that it was in force"]);
        }
        let missing = told(|log| drop(log.insert("profile ssh@3".to_owned(), json!({ "hash": "x" }))));
        assert_eq!(missing, ["profile ssh: it was in force, and is not here"]);
        assert_eq!(differences(&here, &log, &covered, 9).len(), 3, "of a node that never began nothing is said");
        // What no signed head covers: that something is in force, and that something is no more.
        let later = BTreeSet::from(["policies@3", "profile old@3", "profile db@4"]);
        let told = differences(&here, &log, &later, 3);
        assert_eq!(told, [("policies".to_owned(), Why::Later), ("profile old".to_owned(), Why::Later)]);
    }

    #[test]
    fn the_policies_that_are_others_are_named_by_their_files() {
        let in_force = "// admin\npermit (a);\n// auditor\npermit (b);\n";
        let named = |files: &[(&'static str, &'static str)]| policies_of(files.iter().copied(), Some(in_force));
        assert_eq!(named(&[("admin", "permit (a);\n\n"), ("auditor", "permit (c);\n")]), "policies/auditor.cedar");
        assert_eq!(
            named(&[("admin", "permit (x);"), ("auditor", "permit (b);"), ("more", "permit (b);")]),
            "policies/admin.cedar, policies/more.cedar"
        );
        assert!(named(&[("admin", "permit (a);")]).contains("left out of policies/"));
        assert_eq!(policies_of([("admin", "x")].into_iter(), None), "policies/");
    }
}
