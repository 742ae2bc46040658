//! The command line's side of the REST API: where the server is, who is asking, and what its problems mean to a shell.
//!
//! Never does: take a token from the command line (others on the host can read it), or send a token that a client file
//! remembers to another server than the one it is remembered for. Trusts the roots it was given and no others; where it
//! was given none, the system's.

use std::error::Error;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use policy::{Secret, Timestamp, World};
use reqwest::header::{DATE, HeaderMap};
use reqwest::{Method, Response, StatusCode, Url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure, OrFail};
use crate::files;
use crate::second::{self, Kept};
use crate::written::written;

/// The server answers within its own deadlines; this bounds a dead network.
const TIMEOUT: Duration = Duration::from_secs(60);
/// A host that does not answer at all is away: who has a cache does not wait for a minute.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// No answer the command line asks for is longer.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Roots, chains, keys: a bundle of many is a few hundred KiB.
const PEM_BYTES_MAX: u64 = 4 << 20;
/// Three lines.
const CLIENT_FILE_BYTES_MAX: u64 = 64 << 10;
/// A server's configuration, of which the URL is read; the server itself reads no longer one.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// A token is under 100 bytes; a file longer than this is none.
pub const TOKEN_BYTES_MAX: u64 = 4096;
/// What some editors write before a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Where the server is and how to speak to it, as flags of every client command.
#[derive(clap::Args, Clone, Debug)]
pub struct Connection {
    /// Where the server is (or CHANCERY_URL)
    #[arg(
        long,
        value_name = "https://HOST:PORT",
        env = "CHANCERY_URL",
        global = true,
        hide_env = true,
        help_heading = "Connection"
    )]
    pub url: Option<String>,
    /// PEM file with the roots that the server's certificate must lead to, instead of the system's (or CHANCERY_CACERT)
    #[arg(
        long,
        value_name = "FILE",
        hide_env = true,
        env = "CHANCERY_CACERT",
        global = true,
        help_heading = "Connection"
    )]
    pub cacert: Option<PathBuf>,
    /// File that holds the API token, mode 0600 (or set CHANCERY_TOKEN; a token never stands on a command line)
    #[arg(
        long,
        value_name = "FILE",
        hide_env = true,
        env = "CHANCERY_TOKEN_FILE",
        global = true,
        help_heading = "Connection"
    )]
    pub token_file: Option<PathBuf>,
    /// Client certificate chain (PEM), instead of a token
    #[arg(long, value_name = "FILE", requires = "client_key", global = true, help_heading = "Connection")]
    pub client_cert: Option<PathBuf>,
    /// The client certificate's private key (PEM)
    #[arg(long, value_name = "FILE", requires = "client_cert", global = true, help_heading = "Connection")]
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
        let base = variable("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".config")))?;
        Some(base.join("chancery").join("client.toml"))
    }

    /// The file beside the configuration, or else the user's own, with where it was found; or else what the configuration itself says. After
    /// a restore there is no other: a client.toml is in no backup.
    fn find(config: Option<&Path>) -> Result<Option<(PathBuf, Self)>, Failure> {
        let beside = config.and_then(Path::parent).map(|dir| dir.join("client.toml"));
        let found = beside.into_iter().chain(Self::default_path()).find(|path| path.is_file());
        match found {
            Some(path) => Self::load(&path).map(|file| Some((path, file))),
            None => Ok(config.and_then(|config| Some((config.to_owned(), Self::of_server(config)?)))),
        }
    }

    /// Where the server of a configuration is, with the roots beside it; none where that says nothing, or may not be read by who asks. It
    /// names no token.
    fn of_server(config: &Path) -> Option<Self> {
        let text = config.is_file().then(|| files::text(config, CONFIG_BYTES_MAX).ok()).flatten()?;
        let said: toml::Table = toml::from_str(&text).ok()?;
        let url = said.get("server")?.get("public_https")?.as_str()?.to_owned();
        let roots = config.with_file_name("roots.pem");
        Some(Self { url: Some(url), cacert: roots.is_file().then_some(roots), token_file: None })
    }

    fn read(path: &Path) -> Result<Self, Failure> {
        let text = files::text(path, CLIENT_FILE_BYTES_MAX)?;
        toml::from_str(&text).map_err(|error| {
            let (line, why) = written(&text, &error);
            Failure::new(Exit::Failed, format!("{} is not a client file", path.display()))
                .since(format!("{line}: {why}"))
        })
    }

    /// What stands in a client file, as it stands there; none where there is no file.
    pub fn at(path: &Path) -> Result<Option<Self>, Failure> {
        path.is_file().then(|| Self::read(path)).transpose()
    }

    fn load(path: &Path) -> Result<Self, Failure> {
        let file = Self::read(path)?;
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
    /// The login of a second factor that goes with the token.
    login: Mutex<Option<Secret<String>>>,
    /// The key of a client certificate, where that is who asks.
    key: Option<Zeroizing<Vec<u8>>>,
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
            let failure = Failure::new(Exit::Failed, "no server is named");
            match config {
                Some(config) => failure
                    .since(format!("there is no client.toml beside {}", files::shown(config)))
                    .since("nor can server.public_https be read there")
                    .help("pass --url https://HOST:PORT and --cacert FILE, or look whether --config (CHANCERY_CONFIG) names the right file"),
                None => failure.help(
                    "pass --config DIR/chancery.toml (or CHANCERY_CONFIG) on the server's host; elsewhere --url, CHANCERY_URL, or `chancery \
                     login` once",
                ),
            }
        })?;
        if !base.starts_with("https://") {
            return Err(Failure::new(Exit::Usage, format!("{base} is not an https:// URL"))
                .help("tokens travel under TLS only; use the server's https address"));
        }
        // The server's own configuration has no token.
        let bare = remembered.as_ref().filter(|(path, _)| config == Some(path.as_path()));
        let bare =
            bare.map(|(path, _)| format!("there is no client.toml beside {} that names one", files::shown(path)));
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
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("chancery/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = roots {
            http = http.tls_certs_only(roots_of(&path)?);
        }
        let mut own_key = None;
        let token = match (&connection.client_cert, &connection.client_key) {
            (Some(cert), Some(key)) => {
                let mut pem = Zeroizing::new(files::read(cert, PEM_BYTES_MAX)?);
                pem.push(b'\n');
                let key_pem = own_key.insert(Zeroizing::new(files::read(key, PEM_BYTES_MAX)?));
                pem.extend_from_slice(key_pem);
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
        let login = token.as_ref().and_then(|token| Kept::of(token.expose())?.read());
        let no_token = elsewhere.or(bare).filter(|_| token.is_none() && connection.client_cert.is_none());
        let (base, login) = (base.trim_end_matches('/').to_owned(), Mutex::new(login));
        Ok(Self { http, base, token, login, key: own_key, no_token, no_roots })
    }

    /// A digest of the credential by which it asks: another caller has another, and nobody has it without the credential.
    pub fn identity(&self) -> Zeroizing<[u8; 32]> {
        let token = self.token.as_ref().map(|token| token.expose().as_bytes());
        let key = self.key.as_ref().map(|key| key.as_slice());
        delivery::cache::identity(token.into_iter().chain(key))
    }

    /// The server's URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// GET of a JSON resource under the server's URL.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        json(self.send(Method::GET, path, None).await?).await
    }

    /// GET of a JSON resource, and the server's time: whatever this host's clock shows, what lies so far back lies so far back there. Where
    /// something on the way took the answer's date out, it is this host's.
    pub async fn get_dated(&self, path: &str) -> Result<(Value, Timestamp), Failure> {
        let response = self.send(Method::GET, path, None).await?;
        let now = date_of(response.headers()).unwrap_or_else(|| World::real().now());
        Ok((json(response).await?, now))
    }

    /// GET of a JSON resource that says more by its body than by its status: `/readyz` answers 503 with what it waits for.
    pub async fn get_any(&self, path: &str) -> Result<Value, Failure> {
        json(self.sent(Method::GET, path, None).await?).await
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

    /// PUT of a JSON body, answered with JSON.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        json(self.send(Method::PUT, path, Some(body)).await?).await
    }

    /// PATCH of a JSON body, answered with JSON.
    pub async fn patch(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        json(self.send(Method::PATCH, path, Some(body)).await?).await
    }

    /// POST of a JSON body, answered with what is wiped when it goes.
    pub async fn post_hidden(&self, path: &str, body: &Value) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let response = self.send(Method::POST, path, Some(body)).await?;
        // Room for all of it at once: a vector that grows leaves copies of what it held.
        let said = response.content_length().and_then(|bytes| usize::try_from(bytes).ok());
        let mut bytes = Zeroizing::new(Vec::with_capacity(said.unwrap_or_default().min(ANSWER_BYTES_MAX)));
        gather(response, &mut bytes).await?;
        Ok(bytes)
    }

    /// DELETE of a resource.
    pub async fn delete(&self, path: &str) -> Result<(), Failure> {
        self.send(Method::DELETE, path, None).await.map(drop)
    }

    /// DELETE of a resource that may say what is left of it.
    pub async fn delete_told(&self, path: &str) -> Result<Option<Value>, Failure> {
        let response = self.send(Method::DELETE, path, None).await?;
        match response.status() == StatusCode::NO_CONTENT {
            true => Ok(None),
            false => json(response).await.map(Some),
        }
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Response, Failure> {
        let response = self.sent(method.clone(), path, body).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let failure = problem(response).await;
        if !failure.is_of_kind(second::PROBLEM) || failure.field() == Some(second::CODE) {
            return Err(failure);
        }
        // What was refused was not done: with the second factor it is asked again.
        let Some(code) = second::asked() else { return Err(failure) };
        self.prove(&code?).await?;
        let response = self.sent(method, path, body).await?;
        match response.status().is_success() {
            true => Ok(response),
            false => Err(problem(response).await),
        }
    }

    /// Proves the second factor by a code; from then on its login goes with the token, of later commands too.
    pub async fn prove(&self, code: &str) -> Result<Value, Failure> {
        self.logged_in("/api/v1/second-factor/prove", code).await
    }

    /// Posts a code and keeps the login that the answer has; the answer without it.
    pub async fn logged_in(&self, path: &str, code: &str) -> Result<Value, Failure> {
        let response = self.sent(Method::POST, path, Some(&serde_json::json!({ "code": code }))).await?;
        if !response.status().is_success() {
            return Err(problem(response).await);
        }
        let mut answer = json(response).await?;
        let login = answer.as_object_mut().and_then(|answer| answer.remove("login"));
        let login = login.as_ref().and_then(Value::as_str).map(|login| Secret::new(login.to_owned()));
        let login = login.ok_or_else(|| Failure::new(Exit::Failed, "the answer has no login"))?;
        if let Some(kept) = self.token.as_ref().and_then(|token| Kept::of(token.expose())) {
            kept.write(login.expose())?;
        }
        *self.login.lock().unwrap_or_else(PoisonError::into_inner) = Some(login);
        Ok(answer)
    }

    /// Nothing of a second factor is kept here any more.
    pub fn forget_login(&self) {
        if let Some(kept) = self.token.as_ref().and_then(|token| Kept::of(token.expose())) {
            kept.forget();
        }
        *self.login.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn sent(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Response, Failure> {
        // Outside /api everything is public, and needs no token.
        if let Some(why) = self.no_token.as_ref().filter(|_| path.starts_with("/api/")) {
            return Err(Failure::new(Exit::Failed, format!("there is no token for {}; {why}", self.base))
                .help(
                    "pass --token-file FILE, and --cacert FILE unless the system's roots lead to this server; after a restore those of the day \
                     of the backup are good still, and where all are lost, `chancery token rescue` on the server's host makes one",
                ));
        }
        let url = format!("{}{path}", self.base);
        let mut request = self.http.request(method, &url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
            if let Some(login) = &*self.login.lock().unwrap_or_else(PoisonError::into_inner) {
                request = request.header(second::HEADER, login.expose());
            }
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await.map_err(|error| unreached(&error, &self.base, self.no_roots.as_deref()))
    }
}

/// Which file has the roots of this authority: `--cacert`, or what the client file names.
pub fn own_roots_file(connection: &Connection, config: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
    match &connection.cacert {
        Some(path) => Ok(Some(path.clone())),
        None => Ok(ClientFile::find(config)?.and_then(|(_, file)| file.cacert)),
    }
}

/// The roots of this authority as far as they are known here, and which file has them.
pub fn own_roots(
    connection: &Connection,
    config: Option<&Path>,
) -> Result<Option<(String, Vec<CertificateDer<'static>>)>, Failure> {
    let Some(path) = own_roots_file(connection, config)? else { return Ok(None) };
    let pem = files::read(&path, PEM_BYTES_MAX)?;
    let roots = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>();
    let roots = roots.or_fail(format!("{} holds no certificates", files::shown(&path)))?;
    Ok(Some((files::shown(&path), roots)))
}

/// An environment variable; an empty one is none.
pub fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Roots that a certificate may lead to: a file that holds none, or one that is none, would refuse every server.
fn roots_of(path: &Path) -> Result<Vec<reqwest::Certificate>, Failure> {
    let pem = files::read(path, PEM_BYTES_MAX)?;
    let says =
        || Failure::new(Exit::Failed, format!("{} holds no certificate that can be trusted", files::shown(path)));
    let help = "--cacert is the PEM file with the server's roots, such as roots.pem beside its configuration";
    let mut store = rustls::RootCertStore::empty();
    for der in CertificateDer::pem_slice_iter(&pem) {
        let added = der.map_err(|error| says().because(&error).help(help))?;
        store.add(added).map_err(|error| says().because(&error).help(help))?;
    }
    match store.is_empty() {
        true => Err(says().help(help)),
        false => reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| says().because(&error).help(help)),
    }
}

/// Why nothing came back: what waiting does not mend is no "try later".
fn unreached(error: &reqwest::Error, base: &str, no_roots: Option<&str>) -> Failure {
    // What lies below the words of the two libraries around it.
    let below = error.source().and_then(Error::source).unwrap_or(error);
    let failed = |exit| Failure::new(exit, format!("cannot reach {base}")).because(below);
    let mut next = Some(error as &(dyn Error + 'static));
    while let Some(cause) = next {
        next = cause.source();
        if let Some(tls) = of_tls(cause) {
            return failed(Exit::Failed).help(judged(tls, no_roots));
        }
        let said = cause.to_string();
        // The resolver's own words; only a name server that is away may come back.
        if said.contains("failed to lookup address") && !said.contains("Temporary failure") {
            return failed(Exit::Failed).help("check the host's name in --url, CHANCERY_URL or client.toml");
        }
    }
    failed(Exit::Unavailable).help(
        "start `chancery serve` there, or name where it runs; its plain address says at /readyz what it waits for",
    )
}

/// An error of TLS, which the errors of I/O around it do not show as their source.
fn of_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut error = error;
    loop {
        if let Some(tls) = error.downcast_ref() {
            return Some(tls);
        }
        error = error.downcast_ref::<io::Error>()?.get_ref()?;
    }
}

/// What to do about a server that TLS does not come to terms with.
fn judged(error: &rustls::Error, no_roots: Option<&str>) -> String {
    use rustls::CertificateError as Bad;
    match (error, no_roots) {
        (rustls::Error::InvalidMessage(_), _) => {
            "this port speaks no TLS: name the https port, 8443 where nothing else is configured".to_owned()
        }
        (rustls::Error::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }), _) => {
            "name the server as its certificate does; `[server] names` in its configuration lists more".to_owned()
        }
        (rustls::Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }), _) => {
            "set this host's clock right, or look why the server does not renew its certificate".to_owned()
        }
        (_, Some(why)) => format!("pass --cacert FILE; {why}, so the system's roots were asked"),
        (_, None) => "pass --cacert with the roots.pem of this server".to_owned(),
    }
}

/// Whether two URLs name the same server: scheme, host and port.
pub fn same_origin(one: Option<&str>, other: &str) -> bool {
    let origin = |url: &str| Url::parse(url).ok().map(|url| url.origin()).filter(|origin| origin.is_tuple());
    one.and_then(origin).is_some_and(|one| origin(other) == Some(one))
}

fn token(flag: Option<PathBuf>, file: Option<PathBuf>) -> Result<Option<Secret<String>>, Failure> {
    if let Some(path) = flag {
        return read_token(&path).map(Some);
    }
    if let Some(token) = variable("CHANCERY_TOKEN") {
        return as_token(token.to_str(), "CHANCERY_TOKEN").map(Some);
    }
    file.map(|path| read_token(&path)).transpose()
}

fn read_token(path: &Path) -> Result<Secret<String>, Failure> {
    let bytes = files::secret(path, TOKEN_BYTES_MAX)?;
    as_token(std::str::from_utf8(&bytes).ok(), &files::shown(path))
}

/// What can be a token: one that cannot stand in a header would be told as a server that cannot be reached.
fn as_token(text: Option<&str>, of: &str) -> Result<Secret<String>, Failure> {
    let token = text.map(|text| text.trim_start_matches(BYTE_ORDER_MARK).trim());
    match token.filter(|token| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())) {
        Some(token) => Ok(Secret::new(token.to_owned())),
        None => Err(Failure::new(Exit::Failed, format!("{of} holds no token"))
            .help("it is chy_ and what follows, on one line, and nothing else")),
    }
}

async fn bounded(response: Response) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    gather(response, &mut bytes).await?;
    Ok(bytes)
}

async fn gather(mut response: Response, bytes: &mut Vec<u8>) -> Result<(), Failure> {
    while let Some(chunk) = response.chunk().await.or_exit(Exit::Unavailable, "the answer broke off")? {
        if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Failure::new(Exit::Failed, "the answer is longer than any answer of Chancery"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(())
}

async fn json(response: Response) -> Result<Value, Failure> {
    let bytes = bounded(response).await?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&bytes).map_err(|_| {
        Failure::new(Exit::Failed, "the answer is not JSON")
            .help("name a Chancery server: something else answers there")
    })
}

/// When an answer was made, as it says (RFC 9110 section 6.6.1).
fn date_of(headers: &HeaderMap) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    let secs = date.duration_since(UNIX_EPOCH).ok()?.as_secs();
    i64::try_from(secs).ok().map(Timestamp::from_unix)
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
        // What would be signed breaks a rule: the lint that refuses is named.
        422 if text("type").ends_with(":lint") => Exit::Refused,
        429 | 502..=504 => Exit::Unavailable,
        _ => Exit::Failed,
    };
    let title = if title.is_empty() { "the server refused".to_owned() } else { title };
    let mut said = format!("{title} ({})", status.as_u16());
    if !detail.is_empty() {
        said = format!("{said}: {detail}");
    }
    let mut failure = Failure::new(exit, said).of_kind(text("type")).of_status(status.as_u16());
    if let Some(field) = problem.get("field").and_then(Value::as_str) {
        failure = failure.of_field(field);
    }
    match (missing.is_empty(), wait, status.as_u16()) {
        (_, _, 401) if text("type") == second::PROBLEM => failure.help(
            "`chancery login --mfa` asks for a code and goes on for a while; without a second factor yet: `chancery mfa enrol`",
        ),
        (_, _, 401) => failure.help(
            "pass another token: --token-file FILE, CHANCERY_TOKEN, or `chancery login`; an administrator makes one with \
             `chancery token create`",
        ),
        (false, _, _) => {
            let failure = if detail.contains(&missing) { failure } else { failure.since(format!("missing: {missing}")) };
            failure.help(
                "an administrator gives it: a role by another token (`chancery token create`), a name in [[owner]] of \
                 chancery.toml, or a rule in policies/",
            )
        }
        (true, Some(seconds), _) => failure.help(format!("ask again in {seconds} s")),
        (true, None, _) => failure,
    }
}

/// Text as a part of a URL.
pub fn percent(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(b).to_string(),
            _ => format!("%{b:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_an_answer_is_its_date() {
        let of = |date: &str| date_of(&HeaderMap::from_iter([(DATE, date.parse().unwrap())]));
        assert_eq!(of("Fri, 15 Jan 2027 08:00:00 GMT"), Some(Timestamp::from_unix(1_800_000_000)));
        assert_eq!((of("yesterday"), date_of(&HeaderMap::new())), (None, None));
    }

    #[test]
    fn a_configuration_without_a_client_file_says_where_its_server_is() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("chancery.toml");
        assert!(ClientFile::of_server(&config).is_none(), "there is none");
        for nothing in ["", "no toml", "server = 1", "[server]\nhttps = \"127.0.0.1:1\""] {
            std::fs::write(&config, nothing).unwrap();
            assert!(ClientFile::of_server(&config).is_none(), "{nothing}");
        }
        std::fs::write(&config, "[server]\npublic_https = \"https://ca.test:8443\"\n[hsm]\npin = \"x\"\n").unwrap();
        let file = ClientFile::of_server(&config).unwrap();
        assert_eq!((file.url.as_deref(), file.cacert, file.token_file), (Some("https://ca.test:8443"), None, None));
        let roots = dir.path().join("roots.pem");
        std::fs::write(&roots, "").unwrap();
        assert_eq!(ClientFile::of_server(&config).unwrap().cacert, Some(roots));
    }

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
