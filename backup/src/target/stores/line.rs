//! The line to a store: a request goes out, and its answer is read whole or told why not.
//!
//! Requests are signed in their URLs (SigV4), so that a part is signed without being hashed twice; no URL is shown. Blocks: call it off the
//! async threads, within a runtime.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Certificate, Client, Method, Response, Url};
use tokio::runtime::Handle;

use super::refusal::Refusal;
use super::tries::{Failed, Pauses, Trouble, again};

/// How long a signed URL is good for: a request's tries take less.
pub(super) const SIGNED_FOR: Duration = Duration::from_secs(3_600);
const CONNECT_MAX: Duration = Duration::from_secs(15);
/// All tries of a request; one that carries a part over a slow line has all of it.
const REQUEST_MAX: Duration = Duration::from_secs(900);
/// Of a part: its request, and what is done before and after it.
pub(in crate::target) const PATIENCE: Duration = Duration::from_secs(960);
/// The answer to a request that carries nothing, and the pause between two pieces of what is read.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(60);
/// All tries of what takes something away, which may stay undone.
const REMOVAL_MAX: Duration = Duration::from_secs(60);
/// Of an answer that is read whole: a page of names.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// Who is asked, and how.
#[derive(Clone, Debug)]
pub(super) struct Line {
    http: Client,
    pauses: Pauses,
    /// Somebody answered there once. Before that, what is not heard is more likely named wrongly than away.
    is_known: Arc<AtomicBool>,
}

/// A yes.
pub(super) struct Answer {
    /// Its head.
    pub headers: HeaderMap,
    /// Its body.
    pub body: String,
}

impl Line {
    /// With the roots of a file, or those of this host.
    ///
    /// # Errors
    /// In words: the file is not there, or has no certificates.
    pub fn new(ca_file: Option<&Path>) -> Result<Line, String> {
        // Without a time for whole requests: a download takes as long as it takes, and each other request says its own.
        let mut http = Client::builder()
            .connect_timeout(CONNECT_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("chancery/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = ca_file {
            let pem = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
            let roots = Certificate::from_pem_bundle(&pem).map_err(|e| format!("{}: {e}", path.display()))?;
            http = http.tls_certs_only(roots);
        }
        let http = http.build().map_err(|e| chain(&e))?;
        Ok(Line { http, pauses: Pauses::GROWING, is_known: Arc::default() })
    }

    /// Without pauses, for tests over real sockets.
    #[cfg(test)]
    pub fn at_once(self) -> Line {
        Line { pauses: Pauses::NONE, ..self }
    }

    /// A short answer.
    pub fn ask(&self, method: Method, url: Url, body: Vec<u8>) -> Result<Answer, Failed> {
        self.send((method, url, body), whole)
    }

    /// An answer whose body is still to be read.
    pub fn stream(&self, url: Url) -> Result<Response, Failed> {
        self.send((Method::GET, url, Vec::new()), accepted)
    }

    fn send<T>(
        &self,
        (method, url, body): (Method, Url, Vec<u8>),
        read: impl AsyncFn(Response) -> Result<T, Trouble>,
    ) -> Result<T, Failed> {
        let most = if body.is_empty() { ANSWER_MAX } else { REQUEST_MAX };
        let within = if method == Method::DELETE { REMOVAL_MAX } else { REQUEST_MAX };
        let request = self.http.request(method, url).body(body);
        let ask = async |rest: Duration| {
            let most = most.min(rest);
            let Some(request) = request.try_clone() else {
                return Err(Trouble::Unheard(
                    "the request cannot be made: look at endpoint, bucket and prefix".to_owned(),
                ));
            };
            let answered = async {
                let answer = request.send().await.map_err(|e| Trouble::Unheard(broken(e)))?;
                self.is_known.store(true, Ordering::Relaxed);
                read(answer).await
            };
            match tokio::time::timeout(most, answered).await {
                Ok(answered) => answered,
                Err(_) => Err(Trouble::Unheard(format!("no answer within {} s", most.as_secs()))),
            }
        };
        let passes = |trouble: &Trouble| match trouble {
            Trouble::Refused(refusal) => refusal.passes(),
            Trouble::Unheard(_) => self.is_known.load(Ordering::Relaxed),
        };
        Handle::current().block_on(again(self.pauses, within, ask, passes))
    }
}

/// Why a line broke, without the URL of what was asked: it has a signature in it.
pub(super) fn broken(error: reqwest::Error) -> String {
    chain(&error.without_url())
}

/// A yes, unread.
async fn accepted(answer: Response) -> Result<Response, Trouble> {
    match answer.status().is_success() {
        true => Ok(answer),
        false => match whole(answer).await {
            Err(trouble) => Err(trouble),
            Ok(_) => Err(Trouble::Unheard("the store's answer cannot be read".to_owned())),
        },
    }
}

/// All of an answer, or why it is no yes.
async fn whole(mut answer: Response) -> Result<Answer, Trouble> {
    let (status, headers, mut bytes) = (answer.status(), answer.headers().clone(), Vec::new());
    while let Some(piece) = answer.chunk().await.map_err(|e| Trouble::Unheard(broken(e)))? {
        if bytes.len() + piece.len() <= ANSWER_BYTES_MAX {
            bytes.extend_from_slice(&piece);
        }
    }
    let body = String::from_utf8_lossy(&bytes).into_owned();
    match Refusal::of(status, &headers, &body) {
        Some(refusal) => Err(Trouble::Refused(refusal)),
        None => Ok(Answer { headers, body }),
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
