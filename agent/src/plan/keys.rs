//! From the raw `[[authorized_keys]]` to checked ones.

use super::authorized::AuthorizedKeys;
use super::certificate::Certificate;
use super::hosts::host;
use super::options::{check, closed_up};
use super::parts::{id, is_name};
use super::place::Place;
use super::raw::{RawAuthorizedKeys, RawKeyFile};
use super::secret::Place as FilePlace;
use super::secrets::Common;
use super::users::{group_id, user_id};
use crate::error::{PlanError, bounded};

/// All of a plan.
pub(super) fn authorized_keys(
    root: &Place<'_>,
    raw: Vec<RawAuthorizedKeys>,
    common: Option<&Common>,
    identity: Option<&Certificate>,
) -> Result<Vec<AuthorizedKeys>, PlanError> {
    if raw.len() > FILES_MAX {
        let why = format!("more than {FILES_MAX} files of keys");
        return Err(root.at("authorized_keys").refuse(why, "a second plan with a state_dir of its own"));
    }
    let Some(common) = common else { return Ok(Vec::new()) };
    let each = raw.into_iter().enumerate();
    each.map(|(index, raw)| one(&root.at(&format!("authorized_keys[{index}]")), raw, common, identity)).collect()
}

fn one(
    at: &Place<'_>,
    raw: RawAuthorizedKeys,
    common: &Common,
    identity: Option<&Certificate>,
) -> Result<AuthorizedKeys, PlanError> {
    if !is_name(&raw.name) {
        let why = format!("{:?} is not 1-63 of a-z 0-9 . _ - or is taken", bounded(&raw.name, 80));
        return Err(at.at("name").refuse(why, "name = \"deploy\""));
    }
    let secret = raw.secret.parse().map_err(|error: secrets::NameError| {
        at.at("secret").refuse(format!("{:?}: {error}", bounded(&raw.secret, 80)), "secret = \"prod/hosts/deploy\"")
    })?;
    if let Some(text) = &raw.options {
        options(&at.at("options"), text)?;
    }
    Ok(AuthorizedKeys {
        name: raw.name,
        server: common.server.clone(),
        secret,
        keeps_mode: raw.file.mode.is_none(),
        file: file(&at.at("file"), raw.file)?,
        options: raw.options,
        host: host(&at.at("host"), raw.host.as_deref(), &common.server, identity)?,
        poll: common.poll,
    })
}

/// Refuses what sshd would skip its own line for; what has blanks too many alone is written out without them.
fn options(at: &Place<'_>, text: &str) -> Result<(), PlanError> {
    let example = "options = \"no-agent-forwarding,no-port-forwarding\"";
    if !(1..=OPTIONS_BYTES_MAX).contains(&text.len()) || text.trim() != text || text.contains(char::is_control) {
        let why = format!("1 to {OPTIONS_BYTES_MAX} bytes on one line, as sshd(8) has them");
        return Err(at.refuse(why, example));
    }
    check(text).map_err(|why| {
        let meant = closed_up(text);
        match check(&meant) {
            Ok(()) if !meant.contains('\'') => at.refuse(why, &format!("options = '{meant}'")),
            Ok(()) | Err(_) => at.refuse(why, example),
        }
    })
}

fn file(at: &Place<'_>, raw: RawKeyFile) -> Result<FilePlace, PlanError> {
    let path = at.path(&raw.path);
    if path.file_name().is_none() {
        let why = format!("{} names no file", path.display());
        return Err(at.at("path").refuse(why, "path = \"/etc/ssh/authorized_keys.d/deploy\""));
    }
    let mode = raw.mode.map_or(Ok(FILE_MODE), |text| mode(&at.at("mode"), &text))?;
    let uid = id(&at.at("owner"), raw.owner.as_deref(), user_id)?;
    let gid = id(&at.at("group"), raw.group.as_deref(), group_id)?;
    // Public keys are no secret.
    Ok(FilePlace { path, mode, uid, gid, on_disk: true })
}

fn mode(at: &Place<'_>, text: &str) -> Result<u32, PlanError> {
    let example = "mode = \"0644\"";
    match u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777) {
        None => Err(at.refuse(format!("{:?} is not an octal mode", bounded(text, 20)), example)),
        Some(mode) if is_fit(mode) => Ok(mode),
        Some(mode) if mode & OTHERS_WRITE != 0 => {
            Err(at.refuse(format!("{text} would let others put keys in"), example))
        }
        Some(_) => Err(at.refuse(format!("{text} would lock the owner out"), example)),
    }
}

/// Whether sshd reads a file of this mode: "sshd will not use this file if it is writable by others" (sshd(8), StrictModes).
pub(crate) fn is_fit(mode: u32) -> bool {
    mode & OTHERS_WRITE == 0 && mode & OWNER_READS != 0
}

const OTHERS_WRITE: u32 = 0o022;
const OWNER_READS: u32 = 0o400;

/// Most on one host: each is a task.
const FILES_MAX: usize = 256;
/// sshd reads it as the user who logs in, whoever owns it.
const FILE_MODE: u32 = 0o644;
/// A line of sshd has 8 KiB, and the key stands in it too.
const OPTIONS_BYTES_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Plan;
    use crate::error::PlanError;

    const GOOD: &str = r#"
state_dir = "state"
[secrets]
url = "https://ca:8443"
ca_file = "roots.pem"
token_file = "token"
[[authorized_keys]]
name = "deploy"
secret = "prod/hosts/deploy"
file = { path = "keys/deploy", owner = "0" }
options = "no-pty"
"#;

    fn parse(text: &str) -> Result<Plan, PlanError> {
        Plan::parse(text, Path::new("/etc/chancery/agent.toml"))
    }

    #[test]
    fn a_file_of_keys_is_everybodys_to_read_and_its_owners_to_write() {
        let plan = parse(GOOD).unwrap();
        let file = &plan.keys[0].file;
        assert_eq!(
            (file.path.as_path(), file.mode, file.uid),
            (Path::new("/etc/chancery/keys/deploy"), 0o644, Some(0))
        );
        assert!(plan.keys[0].keeps_mode);
        let said = parse(&GOOD.replace("owner = \"0\"", "mode = \"0600\"")).unwrap();
        assert_eq!((said.keys[0].keeps_mode, said.keys[0].file.mode), (false, 0o600));
        let example = parse(include_str!("../../plan.example.toml")).unwrap();
        assert_eq!(example.keys.iter().map(|keys| keys.name.as_str()).collect::<Vec<_>>(), ["deploy"]);
    }

    #[test]
    fn keys_whose_time_is_past_are_named_and_the_plan_is_good() {
        let plan = parse(&GOOD.replace("no-pty", "expiry-time=\\\"20200101Z\\\"")).unwrap();
        let at = |text: &str| policy::Timestamp::parse_rfc3339(text).unwrap();
        assert_eq!(plan.expired(at("2020-01-01T00:00:00Z")), ["deploy"]);
        assert!(plan.expired(at("2019-12-31T23:59:59Z")).is_empty());
        assert!(parse(GOOD).unwrap().expired(at("2020-01-01T00:00:00Z")).is_empty());
    }

    #[test]
    fn each_mistake_names_its_key_and_the_line_to_write() {
        let second = GOOD.split_once("[[authorized_keys]]").unwrap().1;
        let two = |from: &str, to: &str| format!("[[authorized_keys]]{}", second.replace(from, to));
        for (good, bad, key, write) in [
            ("name = \"deploy\"", "name = \"identity\"".to_owned(), "authorized_keys[0].name", "name ="),
            ("prod/hosts", "prod//hosts".to_owned(), "authorized_keys[0].secret", "secret ="),
            ("owner = \"0\"", "mode = \"0664\"".to_owned(), "authorized_keys[0].file.mode", "0644"),
            ("owner = \"0\"", "mode = \"0044\"".to_owned(), "authorized_keys[0].file.mode", "0644"),
            ("owner = \"0\"", "mode = \"rw\"".to_owned(), "authorized_keys[0].file.mode", "0644"),
            ("keys/deploy", "..".to_owned(), "authorized_keys[0].file.path", "path ="),
            ("no-pty", "a\\nssh-ed25519 AAAA".to_owned(), "authorized_keys[0].options", "options ="),
            ("no-pty", " ".to_owned(), "authorized_keys[0].options", "options ="),
            ("no-pty", "no-ptty".to_owned(), "authorized_keys[0].options", "options ="),
            ("no-pty", "cert-authority".to_owned(), "authorized_keys[0].options", "options ="),
            ("no-pty", "no-pty, no-user-rc".to_owned(), "authorized_keys[0].options", "options = 'no-pty,no-user-rc'"),
            ("no-pty", "no-pty,command=\\\"a\\\" x".to_owned(), "authorized_keys[0].options", "no-agent-forwarding"),
            ("options = \"no-pty\"", two("x", "x"), "authorized_keys.name", "name ="),
            (
                "options = \"no-pty\"",
                two("name = \"deploy\"", "name = \"two\""),
                "authorized_keys \"two\".file",
                "path",
            ),
        ] {
            assert!(GOOD.contains(good), "{good}");
            let error = parse(&GOOD.replace(good, &bad)).expect_err(&bad);
            assert_eq!(error.key, key, "{bad}: {error}");
            assert!(error.write.contains(write), "{bad}: {error}");
        }
        let nobody = GOOD.split("[[authorized_keys]]").next().unwrap();
        assert!(parse(&format!("{nobody}\n[identity]\nurl = \"https://ca:8443\"\nca_file = \"r\"\ntoken_file = \"t\"\nowner = \"web\"\nnames = [\"a.example\"]\n")).is_err());
    }
}
