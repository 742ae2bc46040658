//! Keys for a store: those of one section of a credentials file, as AWS's tools write it, or those of the environment. Never from a
//! command line.
//!
//! What is wrong with a file is said without a value of it. Threat: the key of one profile with the token of another, which a store
//! refuses at best, and takes for somebody else at worst.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::geteuid;
use rusty_s3::Credentials;
use zeroize::Zeroizing;

use super::access::Access;

/// A credentials file is no longer than this.
const CREDENTIALS_BYTES_MAX: u64 = 64 << 10;
/// Of a file's sections so many are named, where the right one is not there.
const SECTIONS_SHOWN_MAX: usize = 10;
/// An editor's mark of UTF-8.
const MARK: char = '\u{feff}';
const DEFAULT: &str = "default";
const ID: &str = "aws_access_key_id";
const SECRET: &str = "aws_secret_access_key";
const TOKEN: &str = "aws_session_token";

/// From the file, or the environment.
///
/// # Errors
/// In words: there are none, others can read the file, or which of its sections is meant is not clear.
pub(super) fn credentials(access: &Access) -> Result<Credentials, String> {
    let Some(path) = &access.credentials_file else {
        return Credentials::from_env().ok_or_else(|| {
            "no credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or [backup.s3] credentials_file".to_owned()
        });
    };
    let text = read(path).map_err(|why| format!("{}: {why}", path.display()))?;
    chosen(&text, access.profile.as_deref()).map_err(|why| format!("{}: {why}", path.display()))
}

/// The file's text; refuses one that others can read.
fn read(path: &Path) -> Result<Zeroizing<String>, String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    // Asked of the open file, so that what was checked is what is read.
    let found = file.metadata().map_err(|e| e.to_string())?;
    let mode = found.mode() & 0o7777;
    if policy::is_exposed(found.uid(), mode, geteuid().as_raw()) {
        return Err(format!("it has mode {mode:o}, and others can read it: chmod 600 {}", path.display()));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(CREDENTIALS_BYTES_MAX + 1).read_to_string(&mut text).map_err(|e| e.to_string())?;
    match text.len() as u64 > CREDENTIALS_BYTES_MAX {
        true => Err(format!("it is longer than {} KiB, and no credentials file", CREDENTIALS_BYTES_MAX >> 10)),
        false => Ok(text),
    }
}

/// The keys of one section: of the profile that is named, else of `default`, else of the lines before any section.
fn chosen(text: &str, profile: Option<&str>) -> Result<Credentials, String> {
    let lines = lines(text)?;
    let has = |name: Option<&str>| lines.iter().any(|line| line.section == name);
    let section = match profile {
        Some(name) if has(Some(name)) => Some(name),
        Some(_) => return Err(format!("it has no section of the name that AWS_PROFILE says{}", those(&lines))),
        None if has(Some(DEFAULT)) => Some(DEFAULT),
        None if has(None) || lines.is_empty() => None,
        None => return Err(format!("it has no section [{DEFAULT}]: name another by AWS_PROFILE{}", those(&lines))),
    };
    let of = |key: &str| {
        let mut found = lines.iter().filter(|line| line.section == section && line.key.eq_ignore_ascii_case(key));
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => Err(format!("{key} stands twice{}: leave one", within(section))),
            (found, _) => Ok(found.map(|line| line.value).filter(|value| !value.is_empty())),
        }
    };
    match (of(ID)?, of(SECRET)?, of(TOKEN)?) {
        (Some(id), Some(secret), None) => Ok(Credentials::new(id, secret)),
        (Some(id), Some(secret), Some(token)) => Ok(Credentials::new_with_token(id, secret, token)),
        (None, _, _) | (_, None, _) => {
            Err(format!("has no lines `{ID} = ...` and `{SECRET} = ...`{}", within(section)))
        }
    }
}

fn within(section: Option<&str>) -> String {
    section.map_or_else(String::new, |name| format!(" in [{name}]"))
}

/// The names of the sections that there are. What is no name is not shown: who knows what file it is.
fn those(lines: &[Line<'_>]) -> String {
    let is_name =
        |name: &&str| name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-@".contains(&b));
    let mut names: Vec<&str> = lines.iter().filter_map(|line| line.section).filter(is_name).collect();
    names.dedup();
    match names.is_empty() {
        true => String::new(),
        false => {
            format!("; it has {}", names.get(..names.len().min(SECTIONS_SHOWN_MAX)).unwrap_or_default().join(", "))
        }
    }
}

/// A line `key = value`, and the section that it stands in; a section without such a line has one of an empty key.
struct Line<'a> {
    section: Option<&'a str>,
    key: &'a str,
    value: &'a str,
}

/// The lines of all sections. What is neither a section nor `key = value` says nothing of keys, and is passed over.
fn lines(text: &str) -> Result<Vec<Line<'_>>, String> {
    let (mut section, mut found) = (None, Vec::new());
    for (at, line) in text.trim_start_matches(MARK).lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            let (name, _) = rest.split_once(']').ok_or_else(|| format!("line {}: a section is [NAME]", at + 1))?;
            section = Some(called(name));
            found.push(Line { section, key: "", value: "" });
        } else if let Some((key, rest)) = line.split_once('=') {
            found.push(Line { section, key: key.trim(), value: value(rest) });
        }
    }
    Ok(found)
}

/// A section's name: the file of configuration, which some have for both, writes `profile NAME`.
fn called(name: &str) -> &str {
    let name = name.trim();
    let name = name.strip_prefix("profile ").unwrap_or(name).trim();
    name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name)
}

/// A value without its quotes, and without a comment behind it, which begins with a blank and `#` or `;`: no key has a blank.
fn value(text: &str) -> &str {
    let text = text.trim();
    let quoted = ['"', '\''].into_iter().find_map(|quote| {
        let (inside, rest) = text.strip_prefix(quote)?.split_once(quote)?;
        let rest = rest.trim_start();
        (rest.is_empty() || is_comment(rest)).then_some(inside)
    });
    if let Some(inside) = quoted {
        return inside;
    }
    if is_comment(text) {
        return "";
    }
    let begins = |&(at, sign): &(usize, char)| {
        sign.is_whitespace() && text.get(at..).is_some_and(|rest| is_comment(rest.trim_start()))
    };
    let end = text.char_indices().find(begins).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or_default()
}

fn is_comment(text: &str) -> bool {
    text.starts_with(['#', ';'])
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// The key, the secret and the token that are taken.
    fn taken(text: &str, profile: Option<&str>) -> Result<(String, String, Option<String>), String> {
        let found = chosen(text, profile)?;
        Ok((found.key().to_owned(), found.secret().to_owned(), found.token().map(str::to_owned)))
    }

    fn keys(id: &str, secret: &str) -> (String, String, Option<String>) {
        (id.to_owned(), secret.to_owned(), None)
    }

    const TWO: &str = "[old]\naws_access_key_id = OLD\naws_secret_access_key = olds\n\n\
                       [default]\naws_access_key_id = NEW\naws_secret_access_key = news\n\n\
                       [profile assumed]\naws_access_key_id = ASSUMED\naws_secret_access_key = assumeds\naws_session_token = tok\n";

    #[test]
    fn all_keys_are_of_one_section() {
        assert_eq!(taken(TWO, None), Ok(keys("NEW", "news")), "not the first of the file, and no other's token");
        assert_eq!(taken(TWO, Some("old")), Ok(keys("OLD", "olds")));
        let assumed = ("ASSUMED".to_owned(), "assumeds".to_owned(), Some("tok".to_owned()));
        assert_eq!(taken(TWO, Some("assumed")), Ok(assumed));
        let plain = "aws_access_key_id=A\naws_secret_access_key=s\n[x]\naws_session_token=t\n";
        assert_eq!(taken(plain, None), Ok(keys("A", "s")), "lines before any section");
        // Half of a section is not made whole by another.
        let half = "aws_secret_access_key = s\n[default]\naws_access_key_id = A\n[b]\naws_secret_access_key = s\n";
        assert!(taken(half, None).unwrap_err().contains("in [default]"));
    }

    #[test]
    fn a_section_that_is_not_there_is_said_with_those_that_are() {
        let none = taken(TWO, Some("nosuch")).unwrap_err();
        assert!(none.contains("AWS_PROFILE") && none.contains("old, default, assumed"), "{none}");
        let plain = taken("aws_access_key_id = A\naws_secret_access_key = s\n", Some("x")).unwrap_err();
        assert!(plain.contains("AWS_PROFILE"), "{plain}");
        let others = taken("[a]\naws_access_key_id = A\naws_secret_access_key = s\n", None).unwrap_err();
        assert!(others.contains("AWS_PROFILE") && others.ends_with("it has a"), "{others}");
        for (text, says) in [
            ("", "has no lines"),
            ("[default]\n", "has no lines"),
            ("[default]\naws_access_key_id =\naws_secret_access_key = canary\n", "has no lines"),
            ("[default\naws_secret_access_key = canary\n", "line 1"),
            ("aws_access_key_id = A\naws_secret_access_key = canary\naws_secret_access_key = other\n", "stands twice"),
        ] {
            let refused = taken(text, None).unwrap_err();
            assert!(refused.contains(says) && !refused.contains("canary"), "{text}: {refused}");
        }
    }

    #[test]
    fn files_are_taken_as_editors_and_hands_leave_them() {
        for line in
            ["a/b+c=", "\"a/b+c=\"", "'a/b+c='", "a/b+c= # mine", "a/b+c=\t; mine", "\"a/b+c=\"  # mine", "a/b+c=\r"]
        {
            let text = format!(
                "\u{feff}# of the store\r\n[ default ] ; x\r\nAWS_ACCESS_KEY_ID = A # id\r\naws_secret_access_key={line}\n"
            );
            assert_eq!(taken(&text, None), Ok(keys("A", "a/b+c=")), "{line}");
        }
        // A sign that has no blank before it is of the key.
        for (line, is) in [("a#b;c", "a#b;c"), ("\"a b", "\"a b"), ("a'b'", "a'b'")] {
            assert_eq!(value(line), is);
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials");
        std::fs::write(&path, TWO).unwrap();
        let access = Access { credentials_file: Some(path.clone()), ..Access::default() };
        for (mode, is_taken) in [(0o600, true), (0o400, true), (0o640, false), (0o644, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            match credentials(&access) {
                Ok(found) => assert!(is_taken && found.key() == "NEW", "{mode:o}"),
                Err(why) => assert!(!is_taken && why.contains("chmod 600"), "{mode:o}: {why}"),
            }
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "x".repeat(usize::try_from(CREDENTIALS_BYTES_MAX).unwrap() + 1)).unwrap();
        assert!(credentials(&access).unwrap_err().contains("longer"));
    }
}
