//! The command line's side of the REST API: where the server is, who is asking, and what its problems mean to a shell.
//!
//! Never does: take a token from the command line (others on the host can read it), or send a token that a client file
//! remembers to another server than the one it is remembered for. Trusts the roots it was given and no others; where it
//! was given none, the system's.

use std::path::{Path, PathBuf};
use std::time::Duration;

use policy::Secret;
use reqwest::{Method, Response, Url};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cmd::files;
use crate::failure::{Exit, Failure, OrFail};

/// The server answers within its own deadlines; this bounds a dead network.
const TIMEOUT: Duration = Duration::from_secs(60);
/// No answer the command line asks for is longer.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A token is under 100 bytes; a file longer than this is none.
pub const TOKEN_BYTES_MAX: u64 = 4096;

/// Where the server is and how to speak to it, as flags of every client command.
#[derive(clap::Args, Clone, Debug)]
pub struct Connection {
    /// Where the server is
    #[arg(
        long,
        value_name = "https://HOST:PORT",
        env = "CHANCERY_URL",
        global = true,
        hide_env_values = true,
        help_heading = "Connection"
    )]
    pub url: Option<String>,
    /// PEM file with the roots that the server's certificate must lead to, instead of the system's
    #[arg(long, env = "CHANCERY_CACERT", global = true, help_heading = "Connection")]
    pub cacert: Option<PathBuf>,
    /// File that holds the API token, mode 0600 (or set CHANCERY_TOKEN; a token never stands on a command line)
    #[arg(long, env = "CHANCERY_TOKEN_FILE", global = true, help_heading = "Connection")]
    pub token_file: Option<PathBuf>,
    /// Client certificate chain (PEM), instead of a token
    #[arg(long, requires = "client_key", global = true, help_heading = "Connection")]
    pub client_cert: Option<PathBuf>,
    /// The client certificate's private key (PEM)
    #[arg(long, requires = "client_cert", global = true, help_heading = "Connection")]
    pub client_key: Option<PathBuf>,
}

/// The file that `chancery init` and `chancery login` write: how to reach a server without flags.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ClientFile {
    /// The server's URL.
    pub url: Option<String>,
    /// Roots, relative to the file.
    pub cacert: Option<PathBuf>,
    /// The token's file, relative to the file.
    pub token_file: Option<PathBuf>,
}

impl ClientFile {
    /// `$XDG_CONFIG_HOME/chancery/client.toml`, by default under `~/.config`.
    pub fn default_path() -> Option<PathBuf> {
        let base = std::env::var_os("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")))?;
        Some(base.join("chancery").join("client.toml"))
    }

    /// The file beside the configuration, or else the user's own, with where it was found.
    fn find(config: Option<&Path>) -> Result<Option<(PathBuf, Self)>, Failure> {
        let beside = config.and_then(Path::parent).map(|dir| dir.join("client.toml"));
        let found = beside.into_iter().chain(Self::default_path()).find(|path| path.is_file());
        found.map(|path| Self::load(&path).map(|file| (path, file))).transpose()
    }

    fn load(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).or_fail(format!("cannot read {}", path.display()))?;
        let file: Self = toml::from_str(&text).or_fail(format!("{} is not a client file", path.display()))?;
        let dir = path.parent().unwrap_or(Path::new("."));
        Ok(Self {
            url: file.url,
            cacert: file.cacert.map(|p| dir.join(p)),
            token_file: file.token_file.map(|p| dir.join(p)),
        })
    }
}

/// A client of one server.
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<Secret<String>>,
    /// Says why nothing of the client file is used here, where something is missing for that reason.
    no_token: Option<String>,
    no_roots: Option<String>,
}

impl Client {
    /// Finds the server: flags and environment first, then `client.toml` beside the configuration, then the user's own.
    /// What that file remembers beside the URL is for that server alone.
    pub fn connect(connection: &Connection, config: Option<&Path>) -> Result<Self, Failure> {
        let remembered = ClientFile::find(config)?;
        let url_of_file = remembered.as_ref().and_then(|(_, file)| file.url.clone());
        let base = connection.url.clone().or(url_of_file).ok_or_else(|| {
            Failure::new(Exit::Failed, "no server is named")
                .help("set CHANCERY_URL, pass --url, or run `chancery login` once")
        })?;
        if !base.starts_with("https://") {
            return Err(Failure::new(Exit::Failed, format!("{base} is not an https:// URL"))
                .help("tokens travel under TLS only; use the server's https address"));
        }
        let (file, elsewhere) = match remembered {
            Some((_, file)) if same_origin(file.url.as_deref(), &base) => (file, None),
            Some((path, file)) => {
                let of = file.url.as_deref().unwrap_or("no server");
                (ClientFile::default(), Some(format!("{} is for {of}", path.display())))
            }
            None => (ClientFile::default(), None),
        };
        let roots = connection.cacert.clone().or(file.cacert);
        let no_roots = elsewhere.clone().filter(|_| roots.is_none());
        let mut http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("chancery/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = roots {
            let pem = std::fs::read(&path).or_fail(format!("cannot read the roots {}", path.display()))?;
            let roots = reqwest::Certificate::from_pem_bundle(&pem)
                .or_fail(format!("{} holds no PEM certificate", path.display()))?;
            http = http.tls_certs_only(roots);
        }
        let token = match (&connection.client_cert, &connection.client_key) {
            (Some(cert), Some(key)) => {
                let mut pem = std::fs::read(cert).or_fail(format!("cannot read {}", cert.display()))?;
                pem.push(b'\n');
                pem.extend(std::fs::read(key).or_fail(format!("cannot read {}", key.display()))?);
                let identity = reqwest::Identity::from_pem(&pem).or_fail(format!(
                    "{} and {} are no certificate and key",
                    cert.display(),
                    key.display()
                ))?;
                http = http.identity(identity);
                None
            }
            _ => token(connection.token_file.clone(), file.token_file)?,
        };
        let http = http.build().or_fail("cannot set up TLS")?;
        let no_token = elsewhere.filter(|_| token.is_none() && connection.client_cert.is_none());
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), token, no_token, no_roots })
    }

    /// The server's URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// GET of a JSON resource under the server's URL.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        json(self.send(Method::GET, path, None).await?).await
    }

    /// GET of anything else, as text.
    pub async fn get_text(&self, path: &str) -> Result<String, Failure> {
        let bytes = self.get_bytes(path).await?;
        String::from_utf8(bytes).or_fail(format!("{path} is not text"))
    }

    /// GET of bytes.
    pub async fn get_bytes(&self, path: &str) -> Result<Vec<u8>, Failure> {
        bounded(self.send(Method::GET, path, None).await?).await
    }

    /// POST of a JSON body, answered with JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        json(self.send(Method::POST, path, Some(body)).await?).await
    }

    /// DELETE of a resource.
    pub async fn delete(&self, path: &str) -> Result<(), Failure> {
        self.send(Method::DELETE, path, None).await.map(drop)
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Response, Failure> {
        // Outside /api everything is public, and needs no token.
        if let Some(why) = self.no_token.as_ref().filter(|_| path.starts_with("/api/")) {
            return Err(Failure::new(Exit::Failed, format!("there is no token for {}; {why}", self.base))
                .help("pass --token-file FILE, and --cacert FILE unless the system's roots lead to this server"));
        }
        let url = format!("{}{path}", self.base);
        let mut request = self.http.request(method, &url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response =
            request.send().await.or_exit(Exit::Unavailable, format!("cannot reach {}", self.base)).map_err(|f| {
                match &self.no_roots {
                    Some(why) => f.help(format!("pass --cacert FILE; {why}, so the system's roots were asked")),
                    None => f.help(
                        "is `chancery serve` running there, and does --cacert hold its root? Its plain address says at /readyz what \
                         it waits for",
                    ),
                }
            })?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(problem(response).await)
    }
}

/// Whether two URLs name the same server: scheme, host and port.
fn same_origin(one: Option<&str>, other: &str) -> bool {
    let origin = |url: &str| Url::parse(url).ok().map(|url| url.origin()).filter(|origin| origin.is_tuple());
    one.and_then(origin).is_some_and(|one| origin(other) == Some(one))
}

fn token(flag: Option<PathBuf>, file: Option<PathBuf>) -> Result<Option<Secret<String>>, Failure> {
    if let Some(path) = flag {
        return read_token(&path).map(Some);
    }
    if let Ok(token) = std::env::var("CHANCERY_TOKEN") {
        return Ok(Some(Secret::new(token.trim().to_owned())));
    }
    file.map(|path| read_token(&path)).transpose()
}

fn read_token(path: &Path) -> Result<Secret<String>, Failure> {
    let bytes = files::secret(path, TOKEN_BYTES_MAX)?;
    let text = std::str::from_utf8(&bytes).or_fail(format!("{} holds no token", path.display()))?;
    Ok(Secret::new(text.trim().to_owned()))
}

async fn bounded(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.or_exit(Exit::Unavailable, "the answer broke off")? {
        if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Failure::new(Exit::Failed, "the answer is longer than any answer of Chancery"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

async fn json(response: Response) -> Result<Value, Failure> {
    let bytes = bounded(response).await?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&bytes).or_fail("the answer is not JSON; is this a Chancery server?")
}

/// An RFC 9457 problem as a failure of the command.
async fn problem(response: Response) -> Failure {
    let status = response.status();
    let wait = response.headers().get("retry-after").and_then(|v| v.to_str().ok()).map(str::to_owned);
    let problem: Value = json(response).await.unwrap_or(Value::Null);
    let text = |name: &str| problem.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (title, detail, missing) = (text("title"), text("detail"), text("missing"));
    let exit = match status.as_u16() {
        401 | 403 => Exit::Refused,
        429 | 502..=504 => Exit::Unavailable,
        _ => Exit::Failed,
    };
    let title = if title.is_empty() { "the server refused".to_owned() } else { title };
    let mut said = format!("{title} ({})", status.as_u16());
    if !detail.is_empty() {
        said = format!("{said}: {detail}");
    }
    let failure = Failure::new(exit, crate::output::printable(&said));
    match (missing.is_empty(), wait) {
        (false, _) => failure.help(format!("missing: {}", crate::output::printable(&missing))),
        (true, Some(seconds)) => failure.help(format!("again in {} s", crate::output::printable(&seconds))),
        (true, None) => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_its_scheme_host_and_port() {
        for (same, one, other) in [
            (true, "https://ca.test", "https://CA.test:443/"),
            (true, "https://ca.test:8443", "https://ca.test:8443/base"),
            (false, "https://ca.test:8443", "https://ca.test"),
            (false, "https://ca.test", "https://ca.test.evil.test"),
            (false, "https://ca.test", "https://ca.test@evil.test"),
            (false, "https://ca.test", "http://ca.test"),
            (false, "not a url", "not a url"),
        ] {
            assert_eq!(same_origin(Some(one), other), same, "{one} {other}");
        }
        assert!(!same_origin(None, "https://ca.test"));
    }
}
