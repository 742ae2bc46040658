//! The accept loop: from a TCP connection to a request with its peer attached.
//!
//! axum's own `serve` knows no TLS, no deadline and no bound, so this page is ours: bounded connections, a deadline for
//! the handshake, one for the first request after it, one for silence between requests, and a graceful drain. ALPN picks
//! hyper's http1 or http2 builder; the guessing "auto" builder would wait for ever on a peer that says nothing.
//!
//! Never does: read a request's content, decide who the peer is (`auth`), or keep a connection that nobody waits for.
//!
//! Trusted for: attaching to a request the certificate that its own connection proved, and no other. Whoever controls it
//! can act as any client-certificate holder.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use policy::{Share, Shares, network};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use crate::courtesy::HeardOut;
use crate::keeping::Keeping;
use crate::limits::Limits;
use crate::metrics::Connections;
use crate::peer::Peer;

/// The pause after `accept` itself failed (out of file descriptors): without it the loop would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What an idle connection gets to end politely before it is dropped.
const FAREWELL: Duration = Duration::from_secs(5);
/// Request line and headers of one HTTP/1 request; hyper answers 431 past it.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Concurrent requests on one HTTP/2 connection.
const STREAMS_MAX: u32 = 128;

/// One listening socket with what it serves and its bounds.
pub(crate) struct Door {
    /// The bound socket.
    pub(crate) listener: TcpListener,
    /// TLS, or plain HTTP where `None`.
    pub(crate) tls: Option<TlsAcceptor>,
    /// What answers.
    pub(crate) app: Router,
    /// The bounds.
    pub(crate) limits: Limits,
    /// What is counted.
    pub(crate) connections: Arc<Connections>,
}

impl Door {
    /// Accepts until `shutdown`, then lets open connections finish for `limits.drain` and drops the rest.
    pub(crate) async fn serve(self, shutdown: CancellationToken) {
        let slots = Arc::new(Semaphore::new(self.limits.connections));
        let shares = Shares::new(self.limits.connections_per_address);
        let (tracker, hurry) = (TaskTracker::new(), CancellationToken::new());
        let ends = Ends { shutdown, hurry };
        loop {
            let accepted = tokio::select! {
                biased;
                () = ends.shutdown.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, from)) => match (Arc::clone(&slots).try_acquire_owned(), shares.take(network(from.ip()))) {
                    (Ok(slot), Some(share)) => {
                        drop(tracker.spawn(self.connection(stream, from, (slot, share), ends.clone())));
                    }
                    (Err(_), _) | (_, None) => self.connections.refused(),
                },
                Err(error) => {
                    self.connections.accept_failed();
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.listener);
        tracker.close();
        if tokio::time::timeout(self.limits.drain, tracker.wait()).await.is_err() {
            ends.hurry.cancel();
            tracker.wait().await;
        }
    }

    /// The life of one connection, as a future that owns all it needs.
    fn connection(
        &self,
        stream: TcpStream,
        from: SocketAddr,
        place: (OwnedSemaphorePermit, Share<IpAddr>),
        ends: Ends,
    ) -> impl Future<Output = ()> + Send + use<> {
        // A token of its own for each connection: all of them looking at one would fight for its lock on every byte.
        let ends = Ends { shutdown: ends.shutdown.child_token(), hurry: ends.hurry.child_token() };
        let line = Line { app: self.app.clone(), limits: self.limits.clone(), ends };
        let (tls, connections) = (self.tls.clone(), Arc::clone(&self.connections));
        async move {
            let _place = place;
            let _open = connections.opened();
            // One request is one small write: Nagle's delay would only add to it.
            let _ = stream.set_nodelay(true);
            let outcome = match tls {
                None => line.speak_http1(stream, Peer::plain(from)).await,
                Some(acceptor) => line.speak_tls(acceptor, stream, from).await,
            };
            connections.ended(outcome);
        }
    }
}

/// The two signals that end a connection: finish what you do, and stop now.
#[derive(Clone)]
struct Ends {
    shutdown: CancellationToken,
    hurry: CancellationToken,
}

/// How a connection came to its end; counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    /// Closed by either side in the ordinary way.
    Closed,
    /// The TLS handshake failed (a foreign client certificate among the reasons).
    HandshakeFailed,
    /// The TLS handshake did not finish in time.
    HandshakeTimeout,
    /// No first request came in time.
    Silent,
    /// Idle for too long after a request.
    Idle,
    /// Did not take an answer in time.
    Stuck,
    /// Broke the protocol or went away in the middle.
    Broken,
}

/// What one connection carries along.
struct Line {
    app: Router,
    limits: Limits,
    ends: Ends,
}

impl Line {
    async fn speak_tls(self, acceptor: TlsAcceptor, stream: TcpStream, from: SocketAddr) -> Outcome {
        let handshake = tokio::time::timeout(self.limits.handshake, acceptor.accept(stream));
        let stream = tokio::select! {
            biased;
            () = self.ends.shutdown.cancelled() => return Outcome::Closed,
            shaken = handshake => match shaken {
                Err(_elapsed) => return Outcome::HandshakeTimeout,
                Ok(Err(error)) => {
                    tracing::debug!(%from, %error, "TLS handshake failed");
                    return Outcome::HandshakeFailed;
                }
                Ok(Ok(stream)) => stream,
            },
        };
        let (_, session) = stream.get_ref();
        let peer = Peer::over_tls(from, session.peer_certificates());
        match session.alpn_protocol() {
            Some(b"h2") => self.speak_http2(stream, peer).await,
            Some(_) | None => self.speak_http1(stream, peer).await,
        }
    }

    async fn speak_http1<S>(self, stream: S, peer: Peer) -> Outcome
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (watch, service) = self.service(peer);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.idle)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        self.attend(connection, &watch).await
    }

    async fn speak_http2<S>(self, stream: S, peer: Peer) -> Outcome
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (watch, service) = self.service(peer);
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(HEAD_BYTES_MAX as u32)
            .serve_connection(TokioIo::new(stream), service);
        self.attend(connection, &watch).await
    }

    /// The router as a hyper service that attaches the peer and tells the watch when a request begins and ends.
    fn service(&self, peer: Peer) -> (Arc<Watch>, impl HyperService + use<>) {
        let watch = Arc::new(Watch::new());
        let (app, watching) = (self.app.clone(), Arc::clone(&watch));
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let under_way = UnderWay::begin(Arc::clone(&watching));
            let mut request = request.map(|body| Body::new(HeardOut::new(body)));
            request.extensions_mut().insert(peer.clone());
            // Where acme looks: it counts new accounts per address and knows nothing of this room.
            request.extensions_mut().insert(ConnectInfo(peer.address()));
            let answer = app.clone().call(request);
            async move {
                // Under way until the last byte is sent, or the stream is given up.
                answer.await.map(|answer| answer.map(|body| Keeping::body(body, under_way)))
            }
        });
        (watch, service)
    }

    /// Drives a connection to its end and holds its deadlines.
    async fn attend<C: Connection>(&self, connection: C, watch: &Watch) -> Outcome {
        let mut connection = pin!(connection);
        let mut parting: Option<(Outcome, Instant)> = None;
        loop {
            let next = parting.map_or_else(|| watch.deadline(&self.limits), |(_, last)| last);
            tokio::select! {
                biased;
                ended = connection.as_mut() => return match (ended, parting) {
                    (_, Some((outcome, _))) => outcome,
                    (Ok(()), None) => Outcome::Closed,
                    (Err(_cut), None) if watch.requests() == 0 => Outcome::Silent,
                    (Err(cut), None) if cut.is_timeout() => Outcome::Idle,
                    (Err(_cut), None) => Outcome::Broken,
                },
                () = self.ends.hurry.cancelled() => return Outcome::Closed,
                () = self.ends.shutdown.cancelled(), if parting.is_none() => {
                    connection.as_mut().wind_down();
                    parting = Some((Outcome::Closed, Instant::now() + self.limits.drain));
                }
                () = tokio::time::sleep_until(next) => match (parting, watch.requests()) {
                    (Some((outcome, _)), _) => return outcome,
                    (None, 0) => return Outcome::Silent,
                    (None, _) if watch.deadline(&self.limits) > Instant::now() => {}
                    (None, _) if watch.is_busy() => return Outcome::Stuck,
                    (None, _) => {
                        connection.as_mut().wind_down();
                        parting = Some((Outcome::Idle, Instant::now() + FAREWELL));
                    }
                },
            }
        }
    }
}

/// What hyper asks of our service, under one name.
trait HyperService:
    hyper::service::Service<
        hyper::Request<Incoming>,
        Response = hyper::Response<Body>,
        Error = std::convert::Infallible,
        Future: Send + 'static,
    > + Send
    + 'static
{
}

impl<T> HyperService for T where
    T: hyper::service::Service<
            hyper::Request<Incoming>,
            Response = hyper::Response<Body>,
            Error = std::convert::Infallible,
            Future: Send + 'static,
        > + Send
        + 'static
{
}

/// hyper's two connection types, as the one thing that `attend` needs.
trait Connection: Future<Output = hyper::Result<()>> {
    /// No further request after those under way.
    fn wind_down(self: Pin<&mut Self>);
}

impl<S, I> Connection for http1::Connection<TokioIo<I>, S>
where
    S: HyperService,
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    fn wind_down(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<S, I> Connection for http2::Connection<TokioIo<I>, S, TokioExecutor>
where
    S: HyperService,
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    fn wind_down(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// What a connection has done so far, as far as its deadlines care.
struct Watch {
    opened: Instant,
    requests: AtomicU64,
    /// The requests under way, by number, and when each began.
    under_way: Mutex<BTreeMap<u64, Instant>>,
    quiet_since_ms: AtomicU64,
}

impl Watch {
    fn new() -> Self {
        Self {
            opened: Instant::now(),
            requests: AtomicU64::new(0),
            under_way: Mutex::default(),
            quiet_since_ms: AtomicU64::new(0),
        }
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::Acquire)
    }

    /// Whether a request is under way.
    fn is_busy(&self) -> bool {
        self.oldest().is_some()
    }

    /// When the oldest request under way began.
    fn oldest(&self) -> Option<Instant> {
        let under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.first_key_value().map(|(_, began)| *began)
    }

    /// When to look at this connection again; in the past when it was quiet, or stuck, for too long.
    fn deadline(&self, limits: &Limits) -> Instant {
        match (self.requests(), self.oldest()) {
            (0, _) => self.opened + limits.first_request,
            (_, Some(began)) => began + limits.request + limits.answer,
            (_, None) => self.opened + Duration::from_millis(self.quiet_since_ms.load(Ordering::Acquire)) + limits.idle,
        }
    }
}

/// A request under way, ended by drop so that a cancelled stream ends it too.
struct UnderWay {
    watch: Arc<Watch>,
    number: u64,
}

impl UnderWay {
    fn begin(watch: Arc<Watch>) -> Self {
        let number = watch.requests.fetch_add(1, Ordering::AcqRel);
        watch.under_way.lock().unwrap_or_else(PoisonError::into_inner).insert(number, Instant::now());
        Self { watch, number }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let quiet_since = u64::try_from(self.watch.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.watch.quiet_since_ms.store(quiet_since, Ordering::Release);
        self.watch.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::metrics::Metrics;

    /// A body that begins and never ends.
    struct Endless;

    impl hyper::body::Body for Endless {
        type Data = axum::body::Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
            std::task::Poll::Pending
        }
    }

    async fn door(limits: Limits) -> (SocketAddr, Arc<Metrics>, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (address, metrics) = (listener.local_addr().expect("an address"), Arc::new(Metrics::new()));
        let app = Router::new()
            .route("/endless", get(|| async { Body::new(Endless) }))
            .route("/short", get(|| async { "short" }));
        let door = Door { listener, tls: None, app, limits, connections: metrics.http() };
        let stop = CancellationToken::new();
        tokio::spawn(door.serve(stop.clone()));
        (address, metrics, stop)
    }

    async fn ask(address: SocketAddr, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("written");
        stream
    }

    #[tokio::test]
    async fn an_answer_that_is_not_taken_in_time_ends_its_connection() {
        let short = Duration::from_millis(100);
        let limits = Limits { first_request: short, request: short, answer: short, ..Limits::default() };
        let (address, metrics, _stop) = door(limits).await;
        let mut stuck = ask(address, "/endless").await;
        let mut read = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(20), stuck.read_to_end(&mut read)).await.expect("it is ended");
        assert!(read.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&read));
        let counted = metrics.text(&Default::default()).expect("text");
        assert!(counted.lines().any(|line| line.contains("stuck") && line.ends_with(" 1")), "{counted}");
    }

    #[tokio::test]
    async fn an_address_beyond_its_share_of_connections_is_refused_until_it_ends_one() {
        let (address, _metrics, _stop) = door(Limits { connections_per_address: 1, ..Limits::default() }).await;
        let mut held = ask(address, "/short").await;
        let mut answer = [0; 12];
        held.read_exact(&mut answer).await.expect("an answer");
        let mut refused = TcpStream::connect(address).await.expect("a connection");
        let mut read = Vec::new();
        let _ = refused.read_to_end(&mut read).await;
        assert!(read.is_empty());
        drop(held);
        let served = async {
            loop {
                let mut stream = ask(address, "/short").await;
                if stream.read_exact(&mut answer).await.is_ok() {
                    break;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), served).await.expect("the share is given back");
    }
}
