//! The URLs of the configuration: where the service is reached, and where the register is.

use std::path::Path;

pub(super) fn check_url(url: &str, scheme: &str) -> Result<(), String> {
    let host = url.strip_prefix(scheme).ok_or_else(|| format!("{url:?} does not begin with {scheme}"))?;
    if host.is_empty() || host.ends_with('/') || host.contains(char::is_whitespace) {
        return Err(format!("{url:?} is not {scheme}HOST[:PORT][/PATH] without a slash at its end"));
    }
    Ok(())
}

pub(super) fn absolute_database(url: &str, dir: &Path) -> Result<String, String> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(url.to_owned());
    }
    match url.strip_prefix("sqlite:") {
        Some(path) if !path.is_empty() => Ok(format!("sqlite:{}", dir.join(path).display())),
        _ => Err("it begins with neither sqlite: nor postgres://".to_owned()),
    }
}

/// The file becomes a parameter of the URL, as the roots of TLS are.
pub(super) fn with_password_file(url: &str, file: &Path) -> Result<String, String> {
    let path = file.display().to_string();
    if url.starts_with("sqlite:") {
        return Err("a file of this host has no password".to_owned());
    }
    if path.contains(['&', '%', '?', '#', '=']) {
        return Err(format!("{path}: choose a path without & % ? # and ="));
    }
    let joint = if url.contains('?') { '&' } else { '?' };
    Ok(format!("{url}{joint}password_file={path}"))
}
