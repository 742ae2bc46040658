//! Answers http-01 challenges (RFC 8555 section 8.3): by a small responder of our own, or through a folder that
//! another server already serves.
//!
//! An answer is there only while its order is under way. The token comes from the server and becomes a path: it is
//! taken only in the alphabet the RFC gives it. Whoever reaches the responder learns at most a key authorization,
//! which is public by design.

use std::collections::HashMap;
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::disk::{Disk, Folder, Image, Op, Owner};
use crate::error::AgentError;
use crate::plan::Http01;

/// The running responders, one per address, shared by the certificates that use it.
#[derive(Default)]
pub(crate) struct Answers {
    running: Mutex<HashMap<SocketAddr, Weak<Responder>>>,
}

/// A published answer; withdrawn when dropped.
pub(crate) enum Published {
    Served { token: String, by: Arc<Responder> },
    Written { folder: Folder, token: OsString, disk: Arc<dyn Disk> },
}

impl Answers {
    /// Publishes one answer.
    pub async fn publish(
        &self,
        disk: &Arc<dyn Disk>,
        how: &Http01,
        token: &str,
        answer: &str,
    ) -> Result<Published, AgentError> {
        if !is_token(token) {
            return Err(AgentError::Refused {
                who: "the ACME server".to_owned(),
                why: "its challenge token is not base64url of 1 to 128 characters".to_owned(),
            });
        }
        match how {
            Http01::Webroot(webroot) => write(disk, webroot, token, answer),
            Http01::Listen(address) => {
                let responder = self.responder(*address).await?;
                responder.put(token, answer);
                Ok(Published::Served { token: token.to_owned(), by: responder })
            }
        }
    }

    /// The responder on this address, started if it is not running.
    async fn responder(&self, address: SocketAddr) -> Result<Arc<Responder>, AgentError> {
        let mut running = self.running.lock().await;
        if let Some(responder) = running.get(&address).and_then(Weak::upgrade) {
            return Ok(responder);
        }
        let responder = Responder::start(address).await?;
        running.insert(address, Arc::downgrade(&responder));
        Ok(responder)
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        match self {
            Self::Served { token, by } => by.withdraw(token),
            Self::Written { folder, token, disk } => {
                let at = folder.spot(token);
                if let Err(e) = disk.make(Op::Remove(at)) {
                    tracing::warn!(path = %at.path().display(), error = %e, "a challenge answer stays in the webroot");
                }
            }
        }
    }
}

/// The folders may be a service's: what is written there is public, and no link is followed.
fn write(disk: &Arc<dyn Disk>, webroot: &Path, token: &str, answer: &str) -> Result<Published, AgentError> {
    let failed = |e| AgentError::disk(webroot, "the webroot cannot be used", e);
    let mut folder = Folder::open(webroot, Owner::Any).map_err(failed)?;
    for part in [".well-known", "acme-challenge"] {
        disk.make(Op::MakeDir(folder.spot(OsStr::new(part)), 0o755))?;
        folder = folder.below(OsStr::new(part), Owner::Any).map_err(failed)?;
    }
    let token = OsString::from(token);
    disk.make(Op::Write(folder.spot(&token), &Image::new(answer.as_bytes().to_vec(), 0o644)))?;
    Ok(Published::Written { folder, token, disk: Arc::clone(disk) })
}

/// "Token: ... It MUST NOT contain any characters outside the base64url alphabet" (RFC 8555 section 8.3).
fn is_token(token: &str) -> bool {
    (1..=128).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// A listener that knows a few paths and answers 404 to the rest.
pub(crate) struct Responder {
    answers: Arc<RwLock<HashMap<String, Bytes>>>,
    listening: AbortHandle,
}

impl Responder {
    async fn start(address: SocketAddr) -> Result<Arc<Self>, AgentError> {
        let listener = bind(address).await?;
        let answers = Arc::<RwLock<HashMap<String, Bytes>>>::default();
        let known = Arc::clone(&answers);
        let listening = tokio::spawn(async move {
            let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
            loop {
                let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
                    return;
                };
                match listener.accept().await {
                    Ok((tcp, _)) => {
                        let known = Arc::clone(&known);
                        tokio::spawn(async move {
                            let _permit = permit;
                            serve(tcp, known).await;
                        });
                    }
                    // Out of file descriptors, or a connection that died in the queue.
                    Err(_) => sleep(Duration::from_millis(50)).await,
                }
            }
        });
        Ok(Arc::new(Self { answers, listening: listening.abort_handle() }))
    }

    fn put(&self, token: &str, answer: &str) {
        self.answers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(format!("{PREFIX}{token}"), Bytes::copy_from_slice(answer.as_bytes()));
    }

    fn withdraw(&self, token: &str) {
        self.answers.write().unwrap_or_else(PoisonError::into_inner).remove(&format!("{PREFIX}{token}"));
    }
}

impl Drop for Responder {
    /// The port is free again once no order needs it.
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Binds, and tries again for a moment: the last responder on this address may be just ending.
async fn bind(address: SocketAddr) -> Result<TcpListener, AgentError> {
    let mut tries = 0;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return Ok(listener),
            Err(_) if tries < BIND_TRIES => {
                tries += 1;
                sleep(Duration::from_millis(100)).await;
            }
            Err(e) => {
                return Err(AgentError::Unreachable {
                    who: format!("the http-01 responder on {address}"),
                    why: format!("cannot listen: {e}"),
                });
            }
        }
    }
}

async fn serve(tcp: TcpStream, known: Arc<RwLock<HashMap<String, Bytes>>>) {
    let service = service_fn(move |request| {
        let response = respond(&request, &known);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READ_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(tcp), service);
    // Both ends bounded: a client that reads nothing is left too.
    let _ = tokio::time::timeout(READ_TIMEOUT * 2, connection).await;
}

fn respond(request: &Request<Incoming>, known: &RwLock<HashMap<String, Bytes>>) -> Response<Full<Bytes>> {
    let known = known.read().unwrap_or_else(PoisonError::into_inner);
    let answer = match *request.method() {
        Method::GET | Method::HEAD => known.get(request.uri().path()).cloned(),
        _ => None,
    };
    let status = match answer {
        Some(_) => StatusCode::OK,
        None => StatusCode::NOT_FOUND,
    };
    let mut response = Response::new(Full::new(answer.unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    response
}

/// RFC 8555 section 8.3.
const PREFIX: &str = "/.well-known/acme-challenge/";
/// A validating CA comes from a handful of places at once; strangers wait their turn.
const CONNECTIONS_MAX: usize = 64;
/// A CA that asks sends its request at once.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// Two seconds for the last responder's socket to close.
const BIND_TRIES: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn real() -> Arc<dyn Disk> {
        Arc::new(RealDisk)
    }

    async fn free_address() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    }

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut tcp = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn an_answer_is_there_as_long_as_its_order() {
        let (answers, address) = (Answers::default(), free_address().await);
        let how = Http01::Listen(address);
        let a = answers.publish(&real(), &how, "tokA", "tokA.thumb").await.unwrap();
        let b = answers.publish(&real(), &how, "tokB", "tokB.thumb").await.unwrap();
        let path = "/.well-known/acme-challenge/tokA";
        assert!(get(address, path).await.ends_with("tokA.thumb"));
        drop(a);
        assert!(get(address, path).await.starts_with("HTTP/1.1 404"));
        assert!(get(address, "/.well-known/acme-challenge/tokB").await.ends_with("tokB.thumb"));
        drop(b);
        // The address can be taken again at once.
        let c = answers.publish(&real(), &how, "tokC", "tokC.thumb").await.unwrap();
        assert!(get(address, "/.well-known/acme-challenge/tokC").await.ends_with("tokC.thumb"));
        drop(c);
    }

    #[tokio::test]
    async fn a_webroot_is_left_as_it_was_found() {
        let webroot = tempfile::tempdir().unwrap();
        let how = Http01::Webroot(webroot.path().to_owned());
        let answers = Answers::default();
        let published = answers.publish(&real(), &how, "tok", "tok.thumb").await.unwrap();
        let path = webroot.path().join(".well-known/acme-challenge/tok");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "tok.thumb");
        drop(published);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_token_that_is_a_path_is_refused() {
        let webroot = tempfile::tempdir().unwrap();
        let how = Http01::Webroot(webroot.path().to_owned());
        let answers = Answers::default();
        for token in ["", "../../../etc/cron.d/x", "a/b", "a.b", "a\0b", &"a".repeat(129)] {
            let refused = answers.publish(&real(), &how, token, "x").await;
            assert!(matches!(refused, Err(AgentError::Refused { .. })), "{token:?}");
        }
        assert_eq!(std::fs::read_dir(webroot.path()).unwrap().count(), 0);
    }
}
