//! What of the files beside a register the log is not told, by its name.
//!
//! It decides which modules and programs the service loads and runs, what it dials, to whom it makes backups, and by which key the log is
//! known; whoever knows a recipient can have written it. So each of it is shown, and taken where somebody said so, or where it is what the
//! place's own configuration says.

use std::collections::BTreeMap;
use std::path::Path;

use policy::Timestamp;
use ring::digest::{SHA256, digest};
use store::{COMPANION_BYTES_MAX, Contents};
use toml::{Table, Value};

use super::proved::CONFIG;
use super::public;
use crate::config::InForce;
use crate::failure::Failure;
use crate::files;

/// What the log is told: as `proved` has it.
const TOLD: [&str; 3] = ["login.", "server.limits.", "server.log"];
/// The owners, which the log is told too.
const OWNERS: &str = "owner";
/// What makes the service somebody else's soonest is shown first, after the modules that it loads: where it reads policies and profiles, and as
/// which node, since those of another name or node were not proved; what it runs, what it dials, who reads its backups, by what it is known,
/// where its keys and its register are.
const FIRST: [&str; 11] = [
    "ca.",
    "rotation.exec.",
    "rotation.http.",
    "rotation.",
    "backup.recipients",
    "backup.",
    "roots.pem",
    "log.vkey",
    "hsm.",
    "database.",
    "log.",
];
/// Of a name or a value so many characters are shown, and of the rest its SHA-256. What decides and is longer is for a folder of its own.
const LINE_CHARS_MAX: usize = 600;
/// More blanks than these behind one another are shown as their number.
const BLANKS_SHOWN: usize = 4;
/// The rest of what a backup has.
const FOLDERS: [(&str, &str); 2] = [("policies/", ".cedar"), ("profiles/", ".toml")];

/// One thing that is not proved.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// `rotation.exec.router.command[0]`, or a file's name. Each element of a list is one.
    pub name: String,
    /// What the backup says.
    pub says: String,
    /// Name or value is too long to be shown whole.
    pub is_cut: bool,
}

impl Setting {
    /// Why it is for a folder of its own, where nobody can have looked at all of it.
    pub fn too_long(&self) -> Option<String> {
        self.is_cut.then(|| {
            let name = line(&self.name);
            format!("{name}: more than {LINE_CHARS_MAX} characters, of which a line does not show the end ({CONFIG})")
        })
    }
}

/// Whether a backup of Chancery has files of this name.
pub fn is_of_a_backup(name: &str) -> bool {
    let of_folder = |(folder, extension): (&str, &str)| {
        let rest = name.strip_prefix(folder).and_then(|rest| rest.strip_suffix(extension));
        rest.is_some_and(|rest| !rest.is_empty() && !rest.contains('/'))
    };
    name == CONFIG || public::FILES.contains(&name) || FOLDERS.into_iter().any(of_folder)
}

/// What is not proved, and is not what the place's own configuration, in this file, says too; what weighs most first.
pub fn not_proved(found: &Contents, place: Option<&Path>, now: Timestamp) -> Result<Vec<Setting>, Failure> {
    let there = found.companions.iter().find(|file| file.name == CONFIG);
    let there = there.map(|file| String::from_utf8_lossy(&file.bytes).into_owned()).unwrap_or_default();
    let here = place.map(|file| files::text(file, COMPANION_BYTES_MAX as u64)).transpose()?;
    let mut all = differing(&there, here.as_deref());
    let public = public::differing(&found.companions, place, now)?.into_iter();
    all.extend(public.map(|(name, says)| Setting { name: name.to_owned(), says, is_cut: false }));
    all.sort_by(|one, other| order(&one.name).cmp(&order(&other.name)));
    all.iter_mut().for_each(|setting| setting.says = line(&setting.says));
    Ok(all)
}

/// What a backup says, as one line that ends: whoever wrote it writes no lines of ours between, and pushes none out of sight, with blanks
/// neither.
pub fn line(said: &str) -> String {
    let mut line = String::new();
    let mut chars = said.chars().take(LINE_CHARS_MAX).peekable();
    while let Some(c) = chars.next() {
        let is_blank = |c: &char| c.is_whitespace() && !is_escaped(*c);
        if is_blank(&c) {
            let mut blanks = String::from(c);
            blanks.extend(std::iter::from_fn(|| chars.next_if(is_blank)));
            match blanks.chars().count() {
                0..=BLANKS_SHOWN => line.push_str(&blanks),
                all => line.push_str(&format!(" ({all} blanks) ")),
            }
        } else if is_escaped(c) {
            line.extend(c.escape_unicode());
        } else {
            line.push(c);
        }
    }
    match said.chars().count() {
        0..=LINE_CHARS_MAX => line,
        all => format!("{line}... ({all} characters, SHA-256 {})", hex::encode(digest(&SHA256, said.as_bytes()))),
    }
}

/// What ends a line, or turns it around.
fn is_escaped(c: char) -> bool {
    c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c)
}

/// What weighs most first, and of one list the tenth behind the ninth.
fn order(name: &str) -> (usize, &str, usize) {
    let listed = name.strip_suffix(']').and_then(|name| name.rsplit_once('['));
    let listed = listed.and_then(|(list, at)| Some((list, at.parse::<usize>().ok()?)));
    let (list, at) = listed.unwrap_or((name, 0));
    (rank(name), list, at)
}

fn rank(name: &str) -> usize {
    let is_module = name.starts_with("hsm.") && name.ends_with(".module");
    match is_module {
        true => 0,
        false => 1 + FIRST.iter().position(|first| name.starts_with(first)).unwrap_or(FIRST.len()),
    }
}

/// The settings of one text that are not those of the other, and those that the other alone has: what is left out is a setting too.
fn differing(there: &str, here: Option<&str>) -> Vec<Setting> {
    let is_ours = InForce::parse(there, Path::new(CONFIG)).is_ok();
    let (there, here) = (settings(there), here.map(settings).unwrap_or_default());
    let shown_there = |name: &str, value: &str| match is_ours {
        true => shown(name, value),
        // What stands in a file that is none of ours may be anything.
        false => "(not shown: the file is not understood)".to_owned(),
    };
    let said = there.iter().filter(|(name, value)| here.get(*name) != Some(*value));
    let said = said.map(|(name, value)| {
        let says = shown_there(name, value);
        let is_cut = [name, &says].into_iter().any(|text| text.chars().count() > LINE_CHARS_MAX);
        Setting { name: name.clone(), says, is_cut }
    });
    let left_out = here.iter().filter(|(name, _)| !there.contains_key(*name));
    let left_out = left_out.map(|(name, value)| Setting {
        name: name.clone(),
        says: format!("(nothing; here it is {})", shown(name, value)),
        is_cut: false,
    });
    said.chain(left_out).collect()
}

/// What a configuration says, by whole names, except what the log is told; nothing of what is no TOML.
fn settings(text: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    if let Ok(table) = toml::from_str::<Table>(text) {
        gather("", Value::Table(table), &mut all);
    }
    let is_owner = |name: &str| name.strip_prefix(OWNERS).is_some_and(|rest| rest.is_empty() || rest.starts_with('['));
    let is_told = |name: &str| is_owner(name) || TOLD.iter().any(|told| name.starts_with(told));
    all.retain(|name, _| !is_told(name));
    all
}

fn gather(name: &str, value: Value, all: &mut BTreeMap<String, String>) {
    let table = match value {
        Value::Table(table) => table,
        // Each by itself: what stands behind many others of a list is pushed out of sight by none.
        Value::Array(list) if !list.is_empty() => {
            for (at, value) in list.into_iter().enumerate() {
                gather(&format!("{name}[{at}]"), value, all);
            }
            return;
        }
        value => {
            all.insert(name.to_owned(), value.to_string());
            return;
        }
    };
    for (key, value) in table {
        let is_bare = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        // One that has dots of its own is none of several.
        let key = if is_bare { key } else { format!("{key:?}") };
        let name = if name.is_empty() { key } else { format!("{name}.{key}") };
        gather(&name, value, all);
    }
}

/// A value as it stands: whoever accepts it has seen all of it. The URL of a register alone is without its password, which no configuration
/// may have there; whatever else decides whom it reaches stays.
fn shown(name: &str, value: &str) -> String {
    match (name == REGISTER, value.split_once("://")) {
        (true, Some((scheme, rest))) => format!("{scheme}://{}", without_password(rest)),
        (true | false, _) => value.to_owned(),
    }
}

/// What stands before the first `@` and behind a colon, and the parameter of that name.
fn without_password(url: &str) -> String {
    let (place, query) = url.split_once('?').map_or((url, None), |(place, query)| (place, Some(query)));
    let place = match place.split_once('@').and_then(|(user, host)| Some((user.split_once(':')?.0, host))) {
        Some((user, host)) if !user.contains('/') => format!("{user}:{HIDDEN}@{host}"),
        Some(_) | None => place.to_owned(),
    };
    let Some(query) = query else { return place };
    let hidden = |parameter: &str| match parameter.strip_prefix("password=") {
        Some(password) => format!("password={HIDDEN}{}", if password.ends_with('"') { "\"" } else { "" }),
        None => parameter.to_owned(),
    };
    let parameters: Vec<String> = query.split('&').map(hidden).collect();
    format!("{place}?{}", parameters.join("&"))
}

/// Where the register is.
const REGISTER: &str = "database.url";
const HIDDEN: &str = "***";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_backup_says_is_one_line_that_ends() {
        assert_eq!(line("a\n  because: all is well\u{202e}"), "a\\u{a}  because: all is well\\u{202e}");
        let long = line(&"x".repeat(LINE_CHARS_MAX + 1));
        assert!(long.starts_with("xxx") && long.contains("... (601 characters, SHA-256 "), "{long}");
        assert_eq!(line("module = \"é\""), "module = \"é\"");
        let pushed = format!("a{}\u{2028}b    c", "\u{a0} ".repeat(100));
        assert_eq!(line(&pushed), "a (200 blanks) \\u{2028}b    c");
    }

    const OURS: &str = "[server]\npublic_http = \"http://ca.test:8080\"\npublic_https = \"https://ca.test:8443\"\nlog = \"debug\"\n\
         [server.limits]\nconnections = 7\n[hsm]\nmodule = \"/usr/lib/hsm.so\"\ntoken = \"chancery\"\npin_file = \"pin\"\n\
         [database]\nurl = \"postgres://ca:CANARY@db.test/ca?sslmode=verify-full&password=CANARY\"\n\
         [ca]\ninstance = 1\n[log]\norigin = \"ca.test/log\"\n[login]\nsecond_factor = \"off\"\n\
         [backup]\nto = \"/srv/backup/\"\nrecipients = [\"age1one\"]\n[[owner]]\nname = \"web\"\n";

    fn of(there: &str, here: Option<&str>) -> Vec<(String, String)> {
        differing(there, here).into_iter().map(|setting| (setting.name, setting.says)).collect()
    }

    #[test]
    fn what_the_log_is_not_told_is_named_and_what_it_is_told_is_not() {
        let all = of(OURS, None);
        let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
        for name in [
            "backup.recipients[0]",
            "backup.to",
            "ca.instance",
            "database.url",
            "hsm.module",
            "hsm.pin_file",
            "log.origin",
        ] {
            assert!(names.contains(&name), "{name}: {names:?}");
        }
        assert!(
            !names.iter().any(|name| ["owner", "login", "server.l"].iter().any(|told| name.starts_with(told))),
            "{names:?}"
        );
        let url = all.iter().find(|(name, _)| name == "database.url").expect("the database");
        assert_eq!(url.1, "\"postgres://ca:***@db.test/ca?sslmode=verify-full&password=***\"");
        assert!(all.contains(&("backup.recipients[0]".to_owned(), "\"age1one\"".to_owned())), "{all:?}");
    }

    #[test]
    fn what_the_place_says_too_is_taken_and_each_thing_that_is_other_there_is_named() {
        assert_eq!(of(OURS, Some(OURS)), []);
        let forged = OURS.replace("age1one", "age1two").replace("/usr/lib/hsm.so", "/tmp/x.so")
            + "[rotation.exec.x]\ncommand = [\"/bin/sh\", \"-c\", \"id\"]\nowners = [\"web\"]\n";
        let names =
            |there: &str, here: &str| of(there, Some(here)).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        let changed = [
            "backup.recipients[0]",
            "hsm.module",
            "rotation.exec.x.command[0]",
            "rotation.exec.x.command[1]",
            "rotation.exec.x.command[2]",
            "rotation.exec.x.owners[0]",
        ];
        assert_eq!(names(&forged, OURS), changed);
        // What somebody left out: nothing is dialled but these, here.
        let narrow = format!("{OURS}[rotation]\ntargets = [\"10.1.0.0/16\"]\n");
        assert_eq!(names(OURS, &narrow), ["rotation.targets[0]"]);
        // What the log is told is not asked here: that is proved, or refused.
        assert_eq!(names(&OURS.replace("connections = 7", "connections = 8"), OURS), Vec::<String>::new());
    }

    #[test]
    fn a_list_is_shown_element_by_element_and_what_is_too_long_for_a_line_is_none_to_look_at() {
        let many = format!("recipients = [{}\"age1evil\"]", "\"age1one\", ".repeat(11));
        let forged = OURS.replace("recipients = [\"age1one\"]", &many);
        let mut all = differing(&forged, Some(OURS));
        all.sort_by(|one, other| order(&one.name).cmp(&order(&other.name)));
        let names: Vec<&str> = all.iter().map(|setting| setting.name.as_str()).collect();
        let wants: Vec<String> = (1..12).map(|at| format!("backup.recipients[{at}]")).collect();
        assert_eq!(names, wants, "the first is as it is here");
        assert_eq!(all.last().map(|evil| evil.says.as_str()), Some("\"age1evil\""));
        // Owners are told to the log, in whatever form they stand.
        assert_eq!(of(&format!("{OURS}[[owner]]\nname = \"db\"\n"), Some(OURS)), []);
        for forged in [
            format!(
                "{OURS}[rotation.exec.x]\ncommand = [\"sh\", \"-c\", \"{}id\"]\nowners = [\"web\"]\n",
                "x".repeat(600)
            ),
            format!("{OURS}[rotation.exec.{}]\ncommand = [\"id\"]\nowners = [\"web\"]\n", "x".repeat(600)),
        ] {
            let long: Vec<String> = differing(&forged, Some(OURS)).iter().filter_map(Setting::too_long).collect();
            assert!(long.first().is_some_and(|long| long.contains("more than 600 characters")), "{long:?}");
        }
        assert!(differing(OURS, None).iter().all(|setting| setting.too_long().is_none()));
    }

    #[test]
    fn what_weighs_most_is_shown_first() {
        let mut names = vec![
            "ca.instance",
            "database.url",
            "hsm.pin_file",
            "hsm.tokens.second.module",
            "log.vkey",
            "roots.pem",
            "server.https",
            "backup.to",
            "backup.recipients",
            "rotation.targets",
            "rotation.http.hook.url",
            "rotation.exec.x.command",
            "hsm.module",
        ];
        names.sort_by_key(|name| rank(name));
        let first = [
            "hsm.tokens.second.module",
            "hsm.module",
            "ca.instance",
            "rotation.exec.x.command",
            "rotation.http.hook.url",
            "rotation.targets",
            "backup.recipients",
            "backup.to",
            "roots.pem",
            "log.vkey",
            "hsm.pin_file",
            "database.url",
            "server.https",
        ];
        assert_eq!(names, first);
    }

    #[test]
    fn no_password_is_shown_and_nothing_of_a_file_that_is_not_understood() {
        for (url, says) in [
            (
                "postgres://u:CANARY@h.test:1/p?user=x&password=CANARY",
                "postgres://u:***@h.test:1/p?user=x&password=***",
            ),
            // What decides whom it reaches is hidden by nothing before it, nor by how it is written.
            ("postgres://u:CANARY@evil.test,@h.test/ca", "postgres://u:***@evil.test,@h.test/ca"),
            ("postgres://u@h.test/ca?h%6fst=evil.test&p%6frt=1", "postgres://u@h.test/ca?h%6fst=evil.test&p%6frt=1"),
            ("postgres://h.test/a:b@c", "postgres://h.test/a:b@c"),
            ("/var/lib/ca/ca.db", "/var/lib/ca/ca.db"),
        ] {
            assert_eq!(shown(REGISTER, url), says);
        }
        // Of nothing else is anything hidden: it may be a command.
        for all in ["exec get https://r.test/v1?key=1;id>evil;sh", "a://x:;evil;@y", "https://u:p@h.test/?token=t"] {
            assert_eq!(shown("rotation.exec.x.command[2]", all), all);
        }
        let strange = of("pin = \"CANARY\"\n[hsm]\nmodule = \"/x\"\n", None);
        assert_eq!(strange.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["hsm.module", "pin"]);
        assert!(strange.iter().all(|(_, says)| says.starts_with("(not shown")), "{strange:?}");
    }

    #[test]
    fn a_backup_has_no_files_but_these() {
        for ours in ["chancery.toml", "log.vkey", "roots.pem", "policies/a.cedar", "profiles/tls-server.toml"] {
            assert!(is_of_a_backup(ours), "{ours}");
        }
        for other in [
            "client.toml",
            "pin",
            "admin.token",
            "policies/a.toml",
            "policies/x/a.cedar",
            "policies/.cedar",
            "state/head",
        ] {
            assert!(!is_of_a_backup(other), "{other}");
        }
    }
}
