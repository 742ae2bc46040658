//! Buckets of S3-compatible stores: an upload in parts, of which nothing is there before the last step.
//!
//! Requests are signed in their URLs (SigV4), so that a part is signed without being hashed twice. Blocks: call it off the async threads,
//! within a runtime.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Certificate, Client, Method, Response, StatusCode, Url};
use rusty_s3::actions::{
    AbortMultipartUpload, CompleteMultipartUpload, CompleteMultipartUploadResponse, CreateMultipartUpload,
    ListObjectsV2, S3Action, UploadPart,
};
use rusty_s3::{Credentials, UrlStyle};
use tokio::runtime::Handle;
use zeroize::Zeroizing;

use crate::error::BackupError;

/// A part; a store takes ten thousand of them, and none but the last below 5 MiB.
const PART_BYTES: usize = 16 << 20;
const PARTS_MAX: u16 = 10_000;
/// How long a signed URL is good for: a part's way through a slow line.
const SIGNED_FOR: Duration = Duration::from_secs(3_600);
const CONNECT_MAX: Duration = Duration::from_secs(15);
/// A request that carries a part.
const REQUEST_MAX: Duration = Duration::from_secs(900);
/// Of a part: its request, and what is done before and after it.
pub(super) const PATIENCE: Duration = Duration::from_secs(960);
/// Between two pieces of what is read.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Of an answer that is read whole: a page of names.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// A page has a thousand names.
const PAGES_MAX: usize = 1_000;
const CREDENTIALS_BYTES_MAX: u64 = 64 << 10;

/// How stores are reached, beside the bucket's own name.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// `https://s3.example.net`; none: Amazon's of the region.
    pub endpoint: Option<String>,
    /// `eu-central-1`; none: `us-east-1`.
    pub region: Option<String>,
    /// A file with `aws_access_key_id` and `aws_secret_access_key`; none: the environment has them.
    pub credentials_file: Option<PathBuf>,
    /// The roots of the endpoint's certificate, PEM; none: those of this host.
    pub ca_file: Option<PathBuf>,
}

impl Access {
    /// What the environment says, by the names that other programs know: AWS_ENDPOINT_URL, AWS_REGION,
    /// AWS_SHARED_CREDENTIALS_FILE, AWS_CA_BUNDLE. What a configuration says has the last word.
    #[must_use]
    pub fn or_environment(self) -> Access {
        let of = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Access {
            endpoint: self.endpoint.or_else(|| of("AWS_ENDPOINT_URL_S3")).or_else(|| of("AWS_ENDPOINT_URL")),
            region: self.region.or_else(|| of("AWS_REGION")).or_else(|| of("AWS_DEFAULT_REGION")),
            credentials_file: self.credentials_file.or_else(|| of("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from)),
            ca_file: self.ca_file.or_else(|| of("AWS_CA_BUNDLE").map(PathBuf::from)),
        }
    }
}

/// A bucket, and a prefix in it.
#[derive(Clone)]
pub struct Bucket {
    bucket: rusty_s3::Bucket,
    credentials: Credentials,
    /// Empty, or with a slash at its end.
    prefix: String,
    http: Client,
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket.name(), self.prefix.trim_end_matches('/'))
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Bucket {
    /// Of `BUCKET/PREFIX`.
    pub(super) fn new(text: &str, access: &Access) -> Result<Bucket, BackupError> {
        let (name, prefix) = text.split_once('/').unwrap_or((text, ""));
        let at = |why: String| BackupError::at(format!("s3://{text}"), why);
        if name.is_empty() {
            return Err(at("name a bucket: s3://BUCKET/PREFIX".into()));
        }
        let region = access.region.clone().unwrap_or_else(|| "us-east-1".to_owned());
        let endpoint = access.endpoint.clone().unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
        let url: Url =
            endpoint.parse().map_err(|_| at(format!("{endpoint} is no endpoint: https://s3.example.net")))?;
        if url.scheme() != "https" && !is_of_this_host(&url) {
            return Err(at(format!("{endpoint}: another host is spoken to under TLS alone (https://)")));
        }
        let bucket =
            rusty_s3::Bucket::new(url, UrlStyle::Path, name.to_owned(), region).map_err(|why| at(why.to_string()))?;
        let prefix = match prefix.trim_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        let credentials = credentials(access).map_err(at)?;
        let http = client(access.ca_file.as_deref()).map_err(at)?;
        Ok(Bucket { bucket, credentials, prefix, http })
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Begins an upload, where nothing of this name is.
    pub(super) fn upload(&self, name: &str) -> Result<Upload, BackupError> {
        let key = self.key(name);
        if self.length(&key)?.is_some() {
            return Err(BackupError::Exists(format!("s3://{}/{key}", self.bucket.name())));
        }
        let url = CreateMultipartUpload::new(&self.bucket, Some(&self.credentials), &key).sign(SIGNED_FOR);
        let answer = self.text(Method::POST, url, Vec::new())?;
        let begun = CreateMultipartUpload::parse_response(&answer)
            .map_err(|e| BackupError::at(self, format!("the store's answer cannot be read: {e}")))?;
        let id = begun.upload_id().to_owned();
        Ok(Upload { bucket: self.clone(), key, id, part: Vec::new(), sent: Vec::new(), is_done: false })
    }

    /// How long an object is; none where there is none.
    fn length(&self, key: &str) -> Result<Option<u64>, BackupError> {
        let url = self.bucket.head_object(Some(&self.credentials), key).sign(SIGNED_FOR);
        let answer = self.send(Method::HEAD, url, Vec::new())?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => {
                let length = answer.headers().get("content-length").and_then(|value| value.to_str().ok()?.parse().ok());
                Ok(Some(length.unwrap_or(0)))
            }
            status => Err(self.refused(status, "")),
        }
    }

    /// The names below the prefix.
    pub(super) fn names(&self) -> Result<Vec<String>, BackupError> {
        let (mut names, mut token) = (Vec::new(), None::<String>);
        for _ in 0..PAGES_MAX {
            let mut list = ListObjectsV2::new(&self.bucket, Some(&self.credentials));
            list.with_prefix(self.prefix.as_str());
            if let Some(token) = &token {
                list.with_continuation_token(token.as_str());
            }
            let answer = self.text(Method::GET, list.sign(SIGNED_FOR), Vec::new())?;
            let page = ListObjectsV2::parse_response(&answer)
                .map_err(|e| BackupError::at(self, format!("the store's list cannot be read: {e}")))?;
            names.extend(
                page.contents.iter().filter_map(|object| Some(object.key.strip_prefix(&self.prefix)?.to_owned())),
            );
            token = page.next_continuation_token;
            if token.is_none() {
                break;
            }
        }
        Ok(names)
    }

    pub(super) fn remove(&self, name: &str) -> Result<(), BackupError> {
        let key = self.key(name);
        let url = self.bucket.delete_object(Some(&self.credentials), &key).sign(SIGNED_FOR);
        self.text(Method::DELETE, url, Vec::new()).map(drop)
    }

    pub(super) fn download(&self, name: &str) -> Result<Box<dyn Read + Send>, BackupError> {
        let key = self.key(name);
        let url = self.bucket.get_object(Some(&self.credentials), &key).sign(SIGNED_FOR);
        let answer = self.send(Method::GET, url, Vec::new())?;
        match answer.status() {
            status if status.is_success() => Ok(Box::new(Download { answer, piece: Vec::new(), at: 0 })),
            StatusCode::NOT_FOUND => Err(BackupError::at(format!("s3://{}/{key}", self.bucket.name()), "is not there")),
            status => Err(self.refused(status, "")),
        }
    }

    fn send(&self, method: Method, url: Url, body: Vec<u8>) -> Result<Response, BackupError> {
        let request = self.http.request(method, url).body(body);
        // The URL of what failed has a signature in it.
        Handle::current().block_on(request.send()).map_err(|e| BackupError::at(self, chain(&e.without_url())))
    }

    /// A short answer, of a request that was taken.
    fn text(&self, method: Method, url: Url, body: Vec<u8>) -> Result<String, BackupError> {
        let mut answer = self.send(method, url, body)?;
        let (status, mut bytes) = (answer.status(), Vec::new());
        let read = Handle::current().block_on(async {
            while let Some(piece) = answer.chunk().await? {
                if bytes.len() + piece.len() <= ANSWER_BYTES_MAX {
                    bytes.extend_from_slice(&piece);
                }
            }
            Ok::<_, reqwest::Error>(())
        });
        read.map_err(|e| BackupError::at(self, chain(&e.without_url())))?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if status.is_success() { Ok(text) } else { Err(self.refused(status, &text)) }
    }

    fn refused(&self, status: StatusCode, body: &str) -> BackupError {
        let code = body.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code);
        let code = code.filter(|code| code.bytes().all(|b| b.is_ascii_alphanumeric())).unwrap_or("no reason given");
        BackupError::at(self, format!("the store refuses: {status}, {code}"))
    }
}

/// An upload under way. Given up, it is taken back.
pub(crate) struct Upload {
    bucket: Bucket,
    key: String,
    id: String,
    part: Vec<u8>,
    /// The tags of the parts that are there.
    sent: Vec<String>,
    is_done: bool,
}

impl Upload {
    fn send_part(&mut self) -> Result<(), BackupError> {
        let number = u16::try_from(self.sent.len() + 1).ok().filter(|number| *number <= PARTS_MAX);
        let number = number.ok_or_else(|| BackupError::at(&self.bucket, "the backup is longer than a store takes"))?;
        let bytes = std::mem::take(&mut self.part);
        let bucket = &self.bucket;
        let url =
            UploadPart::new(&bucket.bucket, Some(&bucket.credentials), &self.key, number, &self.id).sign(SIGNED_FOR);
        let answer = bucket.send(Method::PUT, url, bytes)?;
        if !answer.status().is_success() {
            return Err(bucket.refused(answer.status(), ""));
        }
        let tag = answer.headers().get("etag").and_then(|tag| tag.to_str().ok());
        self.sent.push(tag.ok_or_else(|| BackupError::at(bucket, "the store gives a part no tag"))?.to_owned());
        Ok(())
    }

    /// The last step: from here on it has its name.
    pub(super) fn publish(mut self, bytes: u64) -> Result<String, BackupError> {
        if !self.part.is_empty() {
            self.send_part()?;
        }
        let bucket = self.bucket.clone();
        let tags = self.sent.iter().map(String::as_str);
        let action = CompleteMultipartUpload::new(&bucket.bucket, Some(&bucket.credentials), &self.key, &self.id, tags);
        let url = action.sign(SIGNED_FOR);
        let answer = bucket.text(Method::POST, url, action.body().into_bytes())?;
        // A store answers 200 before it knows, and may say in the body that it failed.
        CompleteMultipartUploadResponse::parse(&answer)
            .map_err(|_| BackupError::at(&bucket, "the store did not put the parts together"))?;
        self.is_done = true;
        match bucket.length(&self.key)? {
            Some(length) if length == bytes => Ok(format!("s3://{}/{}", bucket.bucket.name(), self.key)),
            found => Err(BackupError::at(
                &bucket,
                format!("{bytes} bytes were sent, and the store has {}: do not rely on it", found.unwrap_or(0)),
            )),
        }
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PART_BYTES - self.part.len();
        let now = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.part.extend_from_slice(now);
        if self.part.len() >= PART_BYTES {
            self.send_part().map_err(io::Error::other)?;
        }
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.is_done {
            let bucket = &self.bucket;
            let action = AbortMultipartUpload::new(&bucket.bucket, Some(&bucket.credentials), &self.key, &self.id);
            if let Err(error) = bucket.text(Method::DELETE, action.sign(SIGNED_FOR), Vec::new()) {
                tracing::warn!(%error, "parts of a backup that broke off are left in the store; its own rule for such has to end them");
            }
        }
    }
}

struct Download {
    answer: Response,
    piece: Vec<u8>,
    at: usize,
}

impl Read for Download {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.piece.len() {
            match Handle::current().block_on(self.answer.chunk()) {
                Ok(Some(piece)) => (self.piece, self.at) = (piece.to_vec(), 0),
                Ok(None) => return Ok(0),
                Err(error) => return Err(io::Error::other(chain(&error.without_url()))),
            }
        }
        let there = self.piece.get(self.at..).unwrap_or_default();
        let count = there.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..count), there.get(..count)) {
            to.copy_from_slice(from);
        }
        self.at += count;
        Ok(count)
    }
}

fn is_of_this_host(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn client(ca_file: Option<&Path>) -> Result<Client, String> {
    let mut http = Client::builder()
        .connect_timeout(CONNECT_MAX)
        .timeout(REQUEST_MAX)
        .read_timeout(PAUSE_MAX)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("chancery/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = ca_file {
        let pem = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let roots = Certificate::from_pem_bundle(&pem).map_err(|e| format!("{}: {e}", path.display()))?;
        http = http.tls_certs_only(roots);
    }
    http.build().map_err(|e| chain(&e))
}

/// From the file, or the environment; never from a command line.
fn credentials(access: &Access) -> Result<Credentials, String> {
    let Some(path) = &access.credentials_file else {
        return Credentials::from_env().ok_or_else(|| {
            "no credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or [backup.s3] credentials_file".to_owned()
        });
    };
    let at = |why: &str| format!("{}: {why}", path.display());
    let file = std::fs::File::open(path).map_err(|e| at(&e.to_string()))?;
    let mut text = Zeroizing::new(String::new());
    file.take(CREDENTIALS_BYTES_MAX).read_to_string(&mut text).map_err(|e| at(&e.to_string()))?;
    let of = |key: &str| {
        let lines = text.lines().filter_map(|line| line.split_once('='));
        lines.map(|(name, value)| (name.trim(), value.trim())).find(|(name, _)| *name == key).map(|(_, value)| value)
    };
    match (of("aws_access_key_id"), of("aws_secret_access_key"), of("aws_session_token")) {
        (Some(id), Some(secret), None) => Ok(Credentials::new(id, secret)),
        (Some(id), Some(secret), Some(token)) => Ok(Credentials::new_with_token(id, secret, token)),
        (None, _, _) | (_, None, _) => {
            Err(at("has no lines `aws_access_key_id = ...` and `aws_secret_access_key = ...`"))
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let (mut says, mut next) = (error.to_string(), error.source());
    while let Some(error) = next {
        let more = error.to_string();
        if !says.contains(&more) {
            says = format!("{says}: {more}");
        }
        next = error.source();
    }
    says
}
