//! One connection, from its first byte to its end: the handshake, the protocol, the deadlines, the farewell.
//!
//! ALPN picks hyper's http1 or http2 builder; the guessing "auto" builder would wait for ever on a peer that says nothing.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::courtesy::HeardOut;
use super::keeping::Keeping;
use super::peer::Peer;
use super::watch::{UnderWay, Watch};
use crate::limits::Limits;
use crate::observe::Outcome;

/// What an idle connection gets to end politely before it is dropped.
const FAREWELL: Duration = Duration::from_secs(5);
/// Request line and headers of one HTTP/1 request; hyper answers 431 past it.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Concurrent requests on one HTTP/2 connection.
const STREAMS_MAX: u32 = 128;

/// The two signals that end a connection.
#[derive(Clone)]
pub(super) struct Ends {
    /// Finish what you do.
    pub(super) shutdown: CancellationToken,
    /// Stop now.
    pub(super) hurry: CancellationToken,
}

/// What one connection carries along.
pub(super) struct Line {
    pub(super) app: Router,
    pub(super) limits: Limits,
    pub(super) ends: Ends,
}

impl Line {
    /// The handshake within its time, then requests in the protocol that it agreed on.
    pub(super) async fn speak_tls(self, acceptor: TlsAcceptor, stream: TcpStream, from: SocketAddr) -> Outcome {
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

    /// HTTP/1.1, from the first request to the end.
    pub(super) async fn speak_http1<S>(self, stream: S, peer: Peer) -> Outcome
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
