//! A bucket, and a prefix in it: what lies there, what is read of it, what is taken away.

use std::fmt;
use std::io::Read;

use reqwest::{Method, Url};
use rusty_s3::actions::{CreateMultipartUpload, ListObjectsV2, S3Action};
use rusty_s3::{Credentials, UrlStyle};

use super::access::Access;
use super::credentials::credentials;
use super::download::Download;
use super::line::{Line, SIGNED_FOR};
use super::tries::Failed;
use crate::error::BackupError;

/// A page has a thousand names.
const PAGES_MAX: usize = 1_000;

/// A bucket, and a prefix in it.
#[derive(Clone)]
pub struct Bucket {
    /// The bucket alone.
    pub(super) store: rusty_s3::Bucket,
    pub(super) credentials: Credentials,
    /// Empty, or with a slash at its end.
    prefix: String,
    pub(super) line: Line,
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place(self.prefix.trim_end_matches('/')))
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Bucket {
    /// Of `BUCKET/PREFIX`.
    pub(in crate::target) fn new(text: &str, access: &Access) -> Result<Bucket, BackupError> {
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
        let store =
            rusty_s3::Bucket::new(url, UrlStyle::Path, name.to_owned(), region).map_err(|why| at(why.to_string()))?;
        let credentials = credentials(access).map_err(at)?;
        let line = Line::new(access.ca_file.as_deref()).map_err(at)?;
        Ok(Bucket { store, credentials, prefix: folder(prefix), line })
    }

    /// Without pauses between its tries.
    #[cfg(test)]
    pub(in crate::target) fn at_once(self) -> Bucket {
        Bucket { line: self.line.at_once(), ..self }
    }

    /// What is below this name; of no name the same place.
    pub(in crate::target) fn below(&self, name: &str) -> Bucket {
        Bucket { prefix: folder(&self.key(name)), ..self.clone() }
    }

    /// The key of a name below the prefix.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// A key as people write it.
    pub(super) fn place(&self, key: &str) -> String {
        let slash = if key.is_empty() { "" } else { "/" };
        format!("s3://{}{slash}{key}", self.store.name())
    }

    /// Whether there is an object of this name.
    pub(in crate::target) fn has(&self, name: &str) -> Result<bool, BackupError> {
        self.length(&self.key(name)).map(|length| length.is_some())
    }

    /// Begins an upload of a key; answers its number.
    pub(super) fn begin(&self, key: &str) -> Result<String, BackupError> {
        let url = CreateMultipartUpload::new(&self.store, Some(&self.credentials), key).sign(SIGNED_FOR);
        // One whose answer was lost has no part, and is ended by the store's own rule for such.
        let answer = self.line.ask(Method::POST, url, Vec::new()).map_err(|failed| told(self, &failed))?;
        let begun = CreateMultipartUpload::parse_response(&answer.body)
            .map_err(|e| BackupError::at(self, format!("the store's answer cannot be read: {e}")))?;
        Ok(begun.upload_id().to_owned())
    }

    /// How long an object is; none where there is none.
    pub(super) fn length(&self, key: &str) -> Result<Option<u64>, BackupError> {
        let url = self.store.head_object(Some(&self.credentials), key).sign(SIGNED_FOR);
        match self.line.ask(Method::HEAD, url, Vec::new()) {
            Ok(answer) => {
                let length = answer.headers.get("content-length").and_then(|value| value.to_str().ok()?.parse().ok());
                Ok(Some(length.unwrap_or(0)))
            }
            Err(failed) if failed.refusal().is_some_and(|refusal| refusal.is_not_there()) => Ok(None),
            Err(failed) => Err(told(self, &self.reason(failed))),
        }
    }

    /// Why HEAD was refused: its answer has no body that could say it, and that of a list does.
    fn reason(&self, failed: Failed) -> Failed {
        if failed.is_away() || failed.refusal().is_none_or(|refusal| !refusal.is_silent()) {
            return failed;
        }
        let mut list = ListObjectsV2::new(&self.store, Some(&self.credentials));
        list.with_prefix(self.prefix.as_str());
        list.with_max_keys(1);
        match self.line.ask(Method::GET, list.sign(SIGNED_FOR), Vec::new()) {
            Err(said) if said.refusal().is_some() => said,
            Ok(_) | Err(_) => failed,
        }
    }

    /// The names below the prefix.
    pub(in crate::target) fn names(&self) -> Result<Vec<String>, BackupError> {
        let (mut names, mut token) = (Vec::new(), None::<String>);
        for _ in 0..PAGES_MAX {
            let mut list = ListObjectsV2::new(&self.store, Some(&self.credentials));
            list.with_prefix(self.prefix.as_str());
            if let Some(token) = &token {
                list.with_continuation_token(token.as_str());
            }
            let answer = self.line.ask(Method::GET, list.sign(SIGNED_FOR), Vec::new());
            let answer = answer.map_err(|failed| told(self, &failed))?;
            let page = ListObjectsV2::parse_response(&answer.body)
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

    /// Takes an object away. One that is not there is: whose answer was lost is asked for again.
    pub(in crate::target) fn remove(&self, name: &str) -> Result<(), BackupError> {
        let key = self.key(name);
        let url = self.store.delete_object(Some(&self.credentials), &key).sign(SIGNED_FOR);
        match self.line.ask(Method::DELETE, url, Vec::new()) {
            Ok(_) => Ok(()),
            Err(failed) if failed.refusal().is_some_and(|refusal| refusal.is_not_there()) => Ok(()),
            Err(failed) => Err(told(self.place(&key), &failed)),
        }
    }

    /// An object, to be read.
    pub(in crate::target) fn download(&self, name: &str) -> Result<Box<dyn Read + Send>, BackupError> {
        let key = self.key(name);
        let url = self.store.get_object(Some(&self.credentials), &key).sign(SIGNED_FOR);
        let is_gone = |failed: &Failed| {
            failed.refusal().is_some_and(|refusal| refusal.is_not_there() && !refusal.is("NoSuchBucket"))
        };
        match self.line.stream(url) {
            Ok(answer) => Ok(Box::new(Download::new(answer))),
            Err(failed) if is_gone(&failed) => Err(BackupError::at(self.place(&key), "is not there")),
            Err(failed) => Err(told(self.place(&key), &failed)),
        }
    }
}

/// What was asked in vain, of a place.
pub(super) fn told(place: impl fmt::Display, failed: &Failed) -> BackupError {
    match failed.is_away() {
        true => BackupError::Away { place: place.to_string(), why: failed.to_string() },
        false => BackupError::at(place, failed),
    }
}

/// A prefix with a slash at its end; an empty one is none.
fn folder(text: &str) -> String {
    match text.trim_matches('/') {
        "" => String::new(),
        text => format!("{text}/"),
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

#[cfg(test)]
mod tests {
    use super::super::script::{Says, Script, aside};
    use super::*;

    fn bucket(script: &Script) -> Bucket {
        Bucket::new("bk/ca", &script.access).unwrap().at_once()
    }

    fn refused(status: u16, code: &str) -> Says {
        Says::This(status, "", format!("<Error><Code>{code}</Code></Error>"))
    }

    fn silent(status: u16) -> Says {
        Says::This(status, "", String::new())
    }

    const HEAD: &str = "HEAD /bk/ca/x  0";

    #[test]
    fn why_a_store_refuses_a_head_is_asked_once_by_what_has_a_body() {
        aside(|| {
            for (status, code, says) in [
                (403, "RequestTimeTooSkewed", "this host's clock"),
                (403, "SignatureDoesNotMatch", "secret access key"),
                (403, "InvalidAccessKeyId", "access key id"),
                (400, "ExpiredToken", "session token"),
                (301, "PermanentRedirect", "another region"),
            ] {
                let script = Script::new(vec![silent(status), refused(status, code)]);
                let said = bucket(&script).has("x").unwrap_err().to_string();
                assert!(said.contains(code) && said.contains(says) && !said.contains("canary"), "{said}");
                let list = "GET /bk encoding-type=url&list-type=2&max-keys=1&prefix=ca%2F 0";
                let asked = script.asked();
                assert_eq!(asked.first().map(String::as_str), Some(HEAD));
                assert_eq!(asked.get(1).map(|list| list.replace("/bk/", "/bk")).as_deref(), Some(list));
            }
            // Whoever may list, and not look at this object, is told what was said of that.
            let list = "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"></ListBucketResult>";
            let script = Script::new(vec![silent(403), Says::This(200, "", list.to_owned())]);
            let said = bucket(&script).has("x").unwrap_err().to_string();
            assert_eq!(said, "s3://bk/ca: the store refuses: 403 Forbidden, no reason given");
        });
    }

    #[test]
    fn a_refusal_of_a_download_has_its_reason() {
        aside(|| {
            let script = Script::new(vec![refused(403, "InvalidAccessKeyId"), refused(404, "NoSuchKey")]);
            let bucket = bucket(&script);
            let said = |bucket: &Bucket| bucket.download("x").err().unwrap().to_string();
            assert!(said(&bucket).contains("does not know this access key id"));
            assert_eq!(said(&bucket), "s3://bk/ca/x: is not there");
        });
    }

    #[test]
    fn a_store_that_is_busy_is_asked_again_and_one_that_refuses_is_not() {
        aside(|| {
            let there = || Says::This(200, "content-length: 7\r\n", String::new());
            let script = Script::new(vec![silent(503), silent(500), Says::Cut, silent(429), there()]);
            assert_eq!(bucket(&script).length("ca/x").unwrap(), Some(7));
            assert_eq!(script.asked(), [HEAD; 5]);
            let script = Script::new((0..6).map(|_| silent(503)).collect());
            let away = bucket(&script).has("x").unwrap_err();
            assert!(matches!(&away, BackupError::Away { .. }) && away.to_string().contains("5 times"), "{away}");
            assert_eq!(script.asked().len(), 5);
            let script = Script::new(vec![refused(403, "AccessDenied"), there()]);
            assert!(matches!(bucket(&script).download("x").err(), Some(BackupError::Place { .. })));
            assert_eq!(script.asked().len(), 1);
        });
    }

    #[test]
    fn where_nobody_ever_answered_that_is_told_at_once() {
        aside(|| {
            let script = Script::new(vec![Says::Cut, silent(404)]);
            let away = bucket(&script).has("x").unwrap_err();
            assert!(matches!(&away, BackupError::Away { .. }) && !away.to_string().contains("times"), "{away}");
            assert_eq!(script.asked().len(), 1);
        });
    }

    #[test]
    fn what_is_taken_away_twice_is_gone() {
        aside(|| {
            let script = Script::new(vec![silent(503), refused(404, "NoSuchKey"), refused(403, "AccessDenied")]);
            let bucket = bucket(&script);
            bucket.remove("x").unwrap();
            let locked = bucket.remove("x").unwrap_err().to_string();
            assert!(locked.starts_with("s3://bk/ca/x: the store refuses"), "{locked}");
        });
    }

    #[test]
    fn a_place_is_shown_as_it_is_written() {
        let script = Script::new(Vec::new());
        let shown = |text: &str| Bucket::new(text, &script.access).unwrap().to_string();
        assert_eq!([shown("bk"), shown("bk/"), shown("bk/ca//")], ["s3://bk", "s3://bk", "s3://bk/ca"]);
        let bucket = Bucket::new("bk", &script.access).unwrap();
        assert_eq!([bucket.below("ca"), bucket.below("")].map(|bucket| bucket.to_string()), ["s3://bk/ca", "s3://bk"]);
    }
}
