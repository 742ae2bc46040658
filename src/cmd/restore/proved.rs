//! The files beside a register, held against what the register in the same backup says was in force.
//!
//! Encryption to recipients proves nothing of who wrote a backup, and a policy of it decides from the next start on. So what decides is
//! written where its hash is the one that the log has: policies, owners, profiles, limits, what administrators prove. The register is proved
//! by itself, at its start; `[hsm]`, `[database]` and whatever else the log is not told of are shown to somebody first (`settings`).

use std::collections::BTreeMap;
use std::path::Path;

use ca::{Amendment, Profiles};
use policy::Policies;
use serde_json::Value;
use store::Contents;

use crate::config::InForce;

/// What of the files that decide is not what was in force, a sentence each; none where all of it is. `dir`: where they are to lie.
pub fn unproved(found: &Contents, dir: &Path) -> Vec<String> {
    match in_files(found, dir) {
        Ok((here, instance)) => differences(&here, &found.settings, instance)
            .into_iter()
            .map(|(part, why)| format!("{part}: {why} ({})", files_of(&part, found, instance)))
            .collect(),
        Err(why) => vec![why],
    }
}

/// In which files a part stands; of the policies those that the text in force does not have.
fn files_of(part: &str, found: &Contents, instance: u16) -> String {
    match part {
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

/// What differs, part by part, and how: of what is here, and of what was in force and is not.
fn differences(
    here: &BTreeMap<String, String>,
    said: &BTreeMap<String, Value>,
    instance: u16,
) -> Vec<(String, &'static str)> {
    let mut differ = Vec::new();
    for (part, hash) in here {
        let there = said.get(&Amendment::record_id(part, instance)).and_then(|body| body["hash"].as_str());
        match there {
            Some(there) if there == hash => {}
            Some(_) => differ.push((part.clone(), "it is another than was in force")),
            None => differ.push((part.clone(), "the log does not say that it was in force")),
        }
    }
    let own = Amendment::record_id("", instance);
    let of_this_node = said.iter().filter_map(|(id, body)| Some((id.strip_suffix(&own)?, body)));
    for (part, body) in of_this_node.filter(|(part, _)| !here.contains_key(*part)) {
        // What went out of force stands there without a hash; what is no object is not what its entry of the log stands for.
        if !body.is_object() || body["hash"].is_string() {
            differ.push((part.to_owned(), "it was in force, and is not here"));
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
        assert!(differences(&here, &log, 3).is_empty());
        let told = |change: Change| {
            let mut log = log.clone();
            change(&mut log);
            let told = differences(&here, &log, 3).into_iter();
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
        assert_eq!(differences(&here, &log, 9).len(), 3, "of a node that never began nothing is said");
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
