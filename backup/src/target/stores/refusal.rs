//! Why a store refuses: what it says in the body of its answer, and what to do about it.
//!
//! What a store says is shown by its code and, where that says too little, in its own sentence: printable, short, and never with a part
//! of a signed URL.

use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// Of a store's own sentence so much is shown.
const MESSAGE_CHARS_MAX: usize = 300;
/// Codes that say: ask again, whatever the status is.
const PASSING: [&str; 6] =
    ["InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable", "SlowDown", "ThrottlingException"];
/// The statuses of servers that no repetition changes: a method or a protocol that is not spoken, and a disk that is full.
const LASTING: [StatusCode; 3] =
    [StatusCode::NOT_IMPLEMENTED, StatusCode::HTTP_VERSION_NOT_SUPPORTED, StatusCode::INSUFFICIENT_STORAGE];

/// An answer that is no yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    /// `AccessDenied`; none where no body said one.
    code: Option<String>,
    /// The store's own sentence.
    message: Option<String>,
    /// Where the bucket is, if it is elsewhere.
    region: Option<String>,
    after: Option<Duration>,
}

impl Refusal {
    /// Of an answer's head and body; none where it says yes. A store answers 200 before it knows, and may say in the body that it failed
    /// (`CompleteMultipartUpload`).
    pub fn of(status: StatusCode, headers: &HeaderMap, body: &str) -> Option<Refusal> {
        if status.is_success() && !is_error(body) {
            return None;
        }
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let region = header("x-amz-bucket-region").or_else(|| tag(body, "Region"));
        let after = header(RETRY_AFTER.as_str()).and_then(|secs| secs.parse().ok()).map(Duration::from_secs);
        Some(Refusal {
            status,
            code: tag(body, "Code").filter(is_word).map(str::to_owned),
            message: tag(body, "Message").and_then(plain),
            region: region.filter(is_word).map(str::to_owned),
            after,
        })
    }

    /// Whether another answer may come in a moment.
    pub fn passes(&self) -> bool {
        let by_status = self.status.is_server_error() && !LASTING.contains(&self.status);
        by_status || self.status == StatusCode::TOO_MANY_REQUESTS || PASSING.iter().any(|code| self.is(code))
    }

    /// How long the store wants to be left alone.
    pub fn after(&self) -> Option<Duration> {
        self.after
    }

    /// Whether it is of this code.
    pub fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// Whether there is no such thing.
    pub fn is_not_there(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }

    /// Whether it says no reason, as no answer to HEAD does.
    pub fn is_silent(&self) -> bool {
        self.code.is_none()
    }

    /// What to do about it, where the code says enough.
    fn remedy(&self) -> Option<&'static str> {
        let said = self.message.as_deref().unwrap_or_default();
        // How those stores say it that hold the time of a signed URL for a right that ended.
        if ["has expired", "not yet valid", "not valid yet"].iter().any(|words| said.contains(words))
            && self.is("AccessDenied")
        {
            return Some(CLOCK);
        }
        Some(match self.code.as_deref()? {
            "RequestTimeTooSkewed" | "RequestExpired" | "RequestNotReadyYet" => CLOCK,
            "SignatureDoesNotMatch" => {
                "the secret access key is not the one of this access key id; look for a blank or a sign that lacks"
            }
            "InvalidAccessKeyId" => "the store does not know this access key id",
            "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" => {
                "the session token has ended, or is not of this access key: bring new credentials"
            }
            "PermanentRedirect"
            | "TemporaryRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException" => {
                "the bucket is of another region or endpoint: set [backup.s3] region and endpoint, or AWS_REGION and AWS_ENDPOINT_URL"
            }
            "NoSuchBucket" => "the bucket is not there: make it first, or look whether name and endpoint are right",
            _ => return None,
        })
    }
}

const CLOCK: &str = "this host's clock is not the store's: set this host's clock right";

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store refuses: {}, {}", self.status, self.code.as_deref().unwrap_or("no reason given"))?;
        if let Some(says) = self.remedy().or(self.message.as_deref()) {
            write!(f, ": {says}")?;
        }
        // Of a bucket that is here no store says where it is by its errors.
        match (&self.region, self.status.is_redirection() || self.status == StatusCode::BAD_REQUEST) {
            (Some(region), true) => write!(f, " (the store says that its region is {region})"),
            (Some(_), false) | (None, _) => Ok(()),
        }
    }
}

/// Whether the root of an answer is `Error`.
fn is_error(body: &str) -> bool {
    let text = body.trim_start_matches('\u{feff}').trim_start();
    let root = match text.strip_prefix("<?") {
        Some(rest) => rest.split_once("?>").map_or("", |(_, rest)| rest.trim_start()),
        None => text,
    };
    root.strip_prefix("<Error").is_some_and(|rest| rest.starts_with(|c: char| c == '>' || c.is_ascii_whitespace()))
}

fn tag<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(inside, _)| inside)
}

/// A sentence that may be shown.
fn plain(text: &str) -> Option<String> {
    let marks = [("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
    let text = marks.iter().fold(text.to_owned(), |text, (mark, sign)| text.replace(mark, sign));
    let shown: String = text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(MESSAGE_CHARS_MAX).collect();
    let shown = shown.trim().trim_end_matches('.');
    (!shown.is_empty() && !text.to_ascii_lowercase().contains("x-amz-")).then(|| shown.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(code: &str, message: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>\
             <Region>eu-north-1</Region></Error>"
        )
    }

    fn of(status: u16, body: &str) -> Option<Refusal> {
        Refusal::of(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body)
    }

    #[test]
    fn a_refusal_says_why_and_what_to_do() {
        for (status, code, message, says) in [
            (403, "RequestTimeTooSkewed", "The difference between ...", "this host's clock"),
            (403, "AccessDenied", "Request has expired", "this host's clock"),
            (403, "SignatureDoesNotMatch", "The request signature ...", "secret access key"),
            (403, "InvalidAccessKeyId", "The AWS Access Key Id ...", "does not know this access key id"),
            (400, "ExpiredToken", "The provided token has expired.", "session token"),
            (301, "PermanentRedirect", "The bucket ...", "region is eu-north-1"),
            (404, "NoSuchBucket", "x", "the bucket is not there"),
            (
                403,
                "AccessDenied",
                "x is not to do &quot;s3:PutObject&quot;.\u{1b}[2J",
                "x is not to do \"s3:PutObject\".[2J",
            ),
        ] {
            let refused = of(status, &body(code, message)).unwrap().to_string();
            assert!(refused.contains(code) && refused.contains(says), "{says}: {refused}");
            assert!(!refused.contains('\u{1b}'), "{refused}");
        }
        assert_eq!(of(403, "").unwrap().to_string(), "the store refuses: 403 Forbidden, no reason given");
        let long = of(403, &body("AccessDenied", &"long ".repeat(1_000))).unwrap().to_string();
        assert!(long.len() < MESSAGE_CHARS_MAX + 100, "{long}");
        for hostile in ["<b>", "../x y", ""] {
            assert!(of(403, &body(hostile, "x")).unwrap().is_silent(), "{hostile}");
        }
        let url = of(403, &body("AccessDenied", "of /bk/x?X-Amz-Signature=canary")).unwrap().to_string();
        assert!(!url.contains("canary"), "{url}");
    }

    #[test]
    fn what_passes_is_told_from_what_stays() {
        for (status, code, passes) in [
            (500, "InternalError", true),
            (503, "SlowDown", true),
            (502, "", true),
            (429, "", true),
            (400, "RequestTimeout", true),
            (200, "InternalError", true),
            (200, "AccessDenied", false),
            (403, "AccessDenied", false),
            (404, "NoSuchUpload", false),
            (501, "NotImplemented", false),
            (507, "XMinioStorageFull", false),
        ] {
            assert_eq!(of(status, &body(code, "x")).unwrap().passes(), passes, "{status} {code}");
        }
        for yes in ["", "<Errors/>", "<?xml version=\"1.0\"?><ListBucketResult><Error>x</Error></ListBucketResult>"] {
            assert_eq!(of(200, yes), None, "{yes}");
        }
        assert!(of(200, " \n<?xml version=\"1.0\"?> \n<Error>\n<Code>X</Code></Error>").is_some());
    }
}
