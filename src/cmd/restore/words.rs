//! The command that comes next, whole, as a shell reads it.

use std::path::Path;

use super::looked::Looked;

/// The words of this one.
pub struct Words<'a> {
    /// The backup that was read; of a folder or a prefix the one that was taken.
    pub from: &'a str,
    /// The identity file.
    pub identity: &'a Path,
    /// Where the files go.
    pub dir: &'a Path,
    /// The place's own configuration, where one was named.
    pub config: Option<&'a Path>,
}

impl Words<'_> {
    /// The same once more, by somebody who looked at this.
    pub fn accepting(&self, unproved_files: bool, looked: &Looked) -> String {
        let config = self.config.map_or_else(String::new, |file| format!(" --config {}", path(file)));
        let unproved = if unproved_files { " --unproved-files" } else { "" };
        format!("chancery{config} {} --files {}{unproved} --accept-config {looked}", self.restore(), path(self.dir))
    }

    /// The register, once the files are there.
    pub fn next(&self) -> String {
        format!("chancery --config {} {}", path(&self.dir.join("chancery.toml")), self.restore())
    }

    fn restore(&self) -> String {
        format!("restore {} --identity {}", word(self.from), path(self.identity))
    }
}

fn path(path: &Path) -> String {
    word(&path.display().to_string())
}

/// A word of a POSIX shell.
fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=@+,%".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_command_is_whole() {
        let mut words =
            Words { from: "/srv/b.age", identity: Path::new("backup.key"), dir: Path::new("./my ca"), config: None };
        let looked = Looked::at(&[], &["hsm.module = x".to_owned()]);
        let again =
            format!("chancery restore /srv/b.age --identity backup.key --files './my ca' --accept-config {looked}");
        assert_eq!(words.accepting(false, &looked), again);
        words.config = Some(Path::new("/etc/it's.toml"));
        words.dir = Path::new("my-ca");
        let again = format!(
            "chancery --config '/etc/it'\\''s.toml' restore /srv/b.age --identity backup.key --files my-ca --unproved-files \
             --accept-config {looked}"
        );
        assert_eq!(words.accepting(true, &looked), again);
        assert_eq!(words.next(), "chancery --config my-ca/chancery.toml restore /srv/b.age --identity backup.key");
    }
}
