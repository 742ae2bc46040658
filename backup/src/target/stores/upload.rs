//! An upload in parts, of which nothing is there before the last step.
//!
//! Each request of it may be done twice: a part that comes again takes the place of the first, and where the last step was done and its
//! answer lost, the object says so.

use std::io::{self, Write};

use reqwest::Method;
use rusty_s3::actions::{
    AbortMultipartUpload, CompleteMultipartUpload, CompleteMultipartUploadResponse, S3Action, UploadPart,
};

use super::bucket::{Bucket, told};
use super::line::SIGNED_FOR;
use super::tries::Failed;
use crate::error::BackupError;

/// A part; a store takes ten thousand of them, and none but the last below 5 MiB.
const PART_BYTES: usize = 16 << 20;
const PARTS_MAX: u16 = 10_000;

/// An upload under way. Given up, it is taken back. Blocks: call it off the async threads, within a runtime.
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
    /// Begins one, where nothing of this name is.
    pub(in crate::target) fn begin(bucket: &Bucket, name: &str) -> Result<Upload, BackupError> {
        let key = bucket.key(name);
        if bucket.length(&key)?.is_some() {
            return Err(BackupError::Exists(bucket.place(&key)));
        }
        let id = bucket.begin(&key)?;
        Ok(Upload { bucket: bucket.clone(), key, id, part: Vec::new(), sent: Vec::new(), is_done: false })
    }

    fn send_part(&mut self) -> Result<(), BackupError> {
        let number = u16::try_from(self.sent.len() + 1).ok().filter(|number| *number <= PARTS_MAX);
        let number = number.ok_or_else(|| BackupError::at(&self.bucket, "the backup is longer than a store takes"))?;
        let bytes = std::mem::take(&mut self.part);
        let bucket = &self.bucket;
        let url =
            UploadPart::new(&bucket.store, Some(&bucket.credentials), &self.key, number, &self.id).sign(SIGNED_FOR);
        let answer = bucket.line.ask(Method::PUT, url, bytes).map_err(|failed| told(bucket, &failed))?;
        let tag = answer.headers.get("etag").and_then(|tag| tag.to_str().ok());
        self.sent.push(tag.ok_or_else(|| BackupError::at(bucket, "the store gives a part no tag"))?.to_owned());
        Ok(())
    }

    /// The last step: from here on it has its name.
    pub(in crate::target) fn publish(mut self, bytes: u64) -> Result<String, BackupError> {
        if !self.part.is_empty() {
            self.send_part()?;
        }
        let bucket = self.bucket.clone();
        let tags = self.sent.iter().map(String::as_str);
        let action = CompleteMultipartUpload::new(&bucket.store, Some(&bucket.credentials), &self.key, &self.id, tags);
        let url = action.sign(SIGNED_FOR);
        match bucket.line.ask(Method::POST, url, action.body().into_bytes()) {
            Ok(answer) => {
                CompleteMultipartUploadResponse::parse(&answer.body)
                    .map_err(|_| BackupError::at(&bucket, "the store did not put the parts together"))?;
                self.is_done = true;
            }
            // Nothing had this name before, and nobody else knows this upload.
            Err(failed) if may_be_done(&failed) => match bucket.length(&self.key) {
                Ok(there) if there == Some(bytes) => self.is_done = true,
                Ok(_) => return Err(told(&bucket, &failed)),
                Err(_) => {
                    let why = format!("{failed}; whether it was put together is not known: look whether it lies there");
                    return Err(BackupError::Away { place: bucket.place(&self.key), why });
                }
            },
            Err(failed) => return Err(told(&bucket, &failed)),
        }
        match bucket.length(&self.key)? {
            Some(length) if length == bytes => Ok(bucket.place(&self.key)),
            found => Err(BackupError::at(
                &bucket,
                format!("{bytes} bytes were sent, and the store has {}: do not rely on it", found.unwrap_or(0)),
            )),
        }
    }
}

/// Whether the parts may have been put together although no yes came: the answer was lost, and asked again, the store knows no such upload.
fn may_be_done(failed: &Failed) -> bool {
    failed.is_away() || failed.refusal().is_some_and(|refusal| refusal.is("NoSuchUpload"))
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PART_BYTES - self.part.len();
        let now = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.part.extend_from_slice(now);
        if self.part.len() >= PART_BYTES {
            self.send_part().map_err(BackupError::into_io)?;
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
            let action = AbortMultipartUpload::new(&bucket.store, Some(&bucket.credentials), &self.key, &self.id);
            if let Err(error) = bucket.line.ask(Method::DELETE, action.sign(SIGNED_FOR), Vec::new()) {
                tracing::warn!(%error, "parts of a backup that broke off are left in the store; its own rule for such has to end them");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::{Says, Script, aside};
    use super::*;

    const NS: &str = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

    fn this(status: u16, head: &'static str, body: &str) -> Says {
        Says::This(status, head, body.to_owned())
    }

    fn refused(status: u16, code: &str) -> Says {
        this(status, "", &format!("<Error><Code>{code}</Code></Error>"))
    }

    /// Nothing is there, and an upload of this number.
    fn begun() -> Vec<Says> {
        let result = "InitiateMultipartUploadResult";
        let body = format!("<{result} {NS}><Bucket>bk</Bucket><Key>ca/x</Key><UploadId>7</UploadId></{result}>");
        vec![this(404, "", ""), this(200, "", &body)]
    }

    fn together() -> Says {
        let result = "CompleteMultipartUploadResult";
        this(200, "", &format!("<?xml version=\"1.0\"?>\n  <{result} {NS}><ETag>\"all\"</ETag></{result}>"))
    }

    const TAG: &str = "etag: \"one\"\r\n";

    fn upload(script: &Script) -> Upload {
        let bucket = Bucket::new("bk/ca", &script.access).unwrap().at_once();
        Upload::begin(&bucket, "x").unwrap()
    }

    /// What was asked, by its method alone.
    fn methods(script: &Script) -> Vec<String> {
        script.asked().iter().filter_map(|asked| Some(asked.split_once(' ')?.0.to_owned())).collect()
    }

    #[test]
    fn a_backup_goes_over_a_line_that_breaks_to_a_store_that_is_busy() {
        aside(|| {
            let mut answers = begun();
            answers.insert(1, refused(503, "SlowDown"));
            answers.extend([Says::Cut, refused(500, "InternalError"), this(200, TAG, "")]);
            // A store says 200 before it knows.
            answers.extend([refused(200, "InternalError"), together(), this(200, "content-length: 3\r\n", "")]);
            let script = Script::new(answers);
            let mut upload = upload(&script);
            upload.write_all(b"abc").unwrap();
            assert_eq!(upload.publish(3).unwrap(), "s3://bk/ca/x");
            let all = ["HEAD", "POST", "POST", "PUT", "PUT", "PUT", "POST", "POST", "HEAD"];
            assert_eq!(methods(&script), all);
            let parts: Vec<String> = script.asked().into_iter().filter(|asked| asked.starts_with("PUT")).collect();
            assert!(parts.iter().all(|part| part.contains("partNumber=1") && part.ends_with(" 3")), "{parts:?}");
        });
    }

    #[test]
    fn what_was_put_together_while_its_answer_was_lost_is_there() {
        aside(|| {
            let there = || this(200, "content-length: 3\r\n", "");
            let mut answers = begun();
            answers.extend([this(200, TAG, ""), Says::Cut, refused(404, "NoSuchUpload"), there(), there()]);
            let script = Script::new(answers);
            let mut upload = upload(&script);
            upload.write_all(b"abc").unwrap();
            assert_eq!(upload.publish(3).unwrap(), "s3://bk/ca/x");
            assert!(!methods(&script).contains(&"DELETE".to_owned()), "it is not taken back");
        });
    }

    #[test]
    fn what_nobody_can_say_of_the_last_step_is_not_known() {
        aside(|| {
            let mut answers = begun();
            answers.extend([
                this(200, TAG, ""),
                Says::Cut,
                refused(404, "NoSuchUpload"),
                this(403, "", ""),
                refused(403, "y"),
            ]);
            let script = Script::new(answers);
            let mut upload = upload(&script);
            upload.write_all(b"abc").unwrap();
            let said = upload.publish(3).unwrap_err();
            assert!(
                matches!(&said, BackupError::Away { place, why } if place == "s3://bk/ca/x" && why.contains("not known")),
                "{said}"
            );
        });
    }

    #[test]
    fn an_upload_that_the_store_knows_no_more_is_no_backup() {
        aside(|| {
            let mut answers = begun();
            answers.extend([this(200, TAG, ""), refused(404, "NoSuchUpload"), this(404, "", ""), this(204, "", "")]);
            let script = Script::new(answers);
            let mut upload = upload(&script);
            upload.write_all(b"abc").unwrap();
            let said = upload.publish(3).unwrap_err().to_string();
            assert!(said.contains("NoSuchUpload"), "{said}");
        });
    }

    #[test]
    fn a_part_that_is_refused_is_told_with_its_reason_and_without_the_place() {
        aside(|| {
            let mut answers = begun();
            answers.extend([refused(403, "AccessDenied"), this(204, "", "")]);
            let script = Script::new(answers);
            let mut upload = upload(&script);
            let said = upload.write_all(&vec![0; PART_BYTES]).unwrap_err();
            assert_eq!(said.to_string(), "the store refuses: 403 Forbidden, AccessDenied");
            drop(upload);
            assert_eq!(methods(&script), ["HEAD", "POST", "PUT", "DELETE"], "and the parts are taken back");
        });
    }
}
