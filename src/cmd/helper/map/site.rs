//! Where a git server is, and a registry.

use super::host::{Host, Scheme};

/// A git server: scheme, host and port, and the first levels of a path where some are said.
#[derive(Debug)]
pub struct Site {
    scheme: Scheme,
    host: Host,
    path: Vec<String>,
}

impl Site {
    /// Reads `https://HOST[:PORT][/LEVEL...]`.
    pub fn read(url: &str) -> Result<Site, String> {
        let (scheme, rest) = url.split_once("://").ok_or("a url is https://HOST, with a path where one is meant")?;
        let scheme = Scheme::named(scheme).ok_or("a url is https://HOST, with a path where one is meant")?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = Host::read(host, scheme)?;
        if scheme == Scheme::Http && !host.is_here() {
            return Err("a password does not travel in clear: say https://".to_owned());
        }
        let path = levels(path).ok_or("its path has levels, and none of them is empty, `.` or `..`")?;
        Ok(Site { scheme, host, path })
    }

    /// How much of what is asked for this names: none where it is another's; more where it names more of the path.
    pub fn names(&self, scheme: &str, host: &str, path: Option<&str>) -> Option<usize> {
        let scheme = Scheme::named(scheme).filter(|scheme| *scheme == self.scheme)?;
        Host::read(host, scheme).ok().filter(|host| *host == self.host)?;
        if self.path.is_empty() {
            return Some(0);
        }
        let asked = levels(path?)?;
        asked.starts_with(&self.path).then_some(self.path.len())
    }
}

/// A path's levels; none where one of them leads elsewhere.
fn levels(path: &str) -> Option<Vec<String>> {
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Some(Vec::new());
    }
    let is_level = |level: &str| !matches!(level, "" | "." | "..") && !level.contains(['%', '\\', '?', '#']);
    path.split('/').map(|level| is_level(level).then(|| level.to_owned())).collect()
}

/// A registry of images, by the text under which docker asks for it.
#[derive(Debug, PartialEq, Eq)]
pub struct Registry(String);

impl Registry {
    /// Reads `HOST[:PORT]`, also with `https://` before it, and Docker Hub's own text.
    pub fn read(text: &str) -> Result<Registry, String> {
        let text = text.trim_end_matches('\n');
        let text = text.strip_prefix("https://").unwrap_or(text);
        if matches!(text.trim_end_matches('/'), HUB | "docker.io") {
            return Ok(Registry(HUB.to_owned()));
        }
        let host = Host::read(text.strip_suffix('/').unwrap_or(text), Scheme::Https)?;
        Ok(Registry(host.text().to_owned()))
    }

    /// As docker says it.
    pub fn text(&self) -> String {
        if self.0 == HUB { format!("https://{HUB}/") } else { self.0.clone() }
    }
}

/// Docker Hub, as docker has asked for it since its first version.
const HUB: &str = "index.docker.io/v1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_names_what_is_its_own() {
        let names = |url: &str, scheme: &str, host: &str, path: Option<&str>| {
            Site::read(url).unwrap().names(scheme, host, path)
        };
        let whole = "https://git.example";
        assert_eq!(names(whole, "https", "git.example", None), Some(0));
        assert_eq!(names(whole, "https", "GIT.example:443", Some("a/b.git")), Some(0));
        for (scheme, host) in [
            ("http", "git.example"),
            ("ssh", "git.example"),
            ("", "git.example"),
            ("https", ""),
            ("https", "git.example:8443"),
            ("https", "git.example.evil.test"),
            ("https", "evilgit.example"),
            ("https", "git.example\r"),
            ("https", "git.example."),
        ] {
            assert_eq!(names(whole, scheme, host, None), None, "{scheme} {host:?}");
        }
        let team = "https://git.example/team";
        assert_eq!(names(team, "https", "git.example", Some("team/app.git")), Some(1));
        for path in [None, Some(""), Some("teams/app.git"), Some("team/../other"), Some("./team/a"), Some("team%2f..")]
        {
            assert_eq!(names(team, "https", "git.example", path), None, "{path:?}");
        }
        for bad in [
            "git.example",
            "ssh://git.example",
            "http://git.example",
            "https://u@git.example",
            "https://",
            "https://a/../b",
        ] {
            assert!(Site::read(bad).is_err(), "{bad}");
        }
        assert!(Site::read("http://127.0.0.1:8080/").is_ok());
    }

    #[test]
    fn a_registry_is_asked_for_in_several_ways() {
        let read = |text: &str| Registry::read(text).map(|registry| registry.text());
        for (text, registry) in [
            ("Registry.example:5000", "registry.example:5000"),
            ("https://registry.example/", "registry.example"),
            ("https://registry.example\n", "registry.example"),
            ("https://index.docker.io/v1/", "https://index.docker.io/v1/"),
            ("docker.io", "https://index.docker.io/v1/"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(registry), "{text}");
        }
        for bad in [
            "",
            "http://registry.example",
            "registry.example/other",
            "a\nb",
            "registry.example\r",
            "u@registry.example",
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
