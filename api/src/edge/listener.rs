//! The accept loop: from a TCP connection to a request with its peer attached.
//!
//! axum's own `serve` knows no TLS, no deadline and no bound, so this page is ours: bounded connections, a deadline for
//! the handshake, one for the first request after it, one for silence between requests (all three in `line`), and a graceful
//! drain.
//!
//! Never does: read a request's content, decide who the peer is (`auth`), or keep a connection that nobody waits for.
//!
//! Trusted for: attaching to a request the certificate that its own connection proved, and no other. Whoever controls it
//! can act as any client-certificate holder.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::line::{Ends, Line};
use super::peer::Peer;
use crate::limits::{Limits, Place, Room};
use crate::observe::Connections;

/// The pause after `accept` itself failed (out of file descriptors): without it the loop would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// One listening socket with what it serves and its bounds.
pub(crate) struct Door {
    /// The bound socket.
    pub(crate) listener: TcpListener,
    /// TLS, or plain HTTP where `None`.
    pub(crate) tls: Option<TlsAcceptor>,
    /// What answers.
    pub(crate) app: Router,
    /// Its deadlines.
    pub(crate) limits: Limits,
    /// Its places.
    pub(crate) room: Room,
    /// What is counted.
    pub(crate) connections: Arc<Connections>,
}

impl Door {
    /// Accepts until `shutdown`, then lets open connections finish for `limits.drain` and drops the rest.
    pub(crate) async fn serve(self, shutdown: CancellationToken) {
        let (tracker, hurry) = (TaskTracker::new(), CancellationToken::new());
        let ends = Ends { shutdown, hurry };
        loop {
            let accepted = tokio::select! {
                biased;
                () = ends.shutdown.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, from)) => match self.room.take(Some(from.ip())) {
                    Some(place) => drop(tracker.spawn(self.connection(stream, from, place, ends.clone()))),
                    None => self.connections.refused(),
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
        place: Place,
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

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use axum::body::Body;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::observe::Metrics;

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
        let room = Room::new(limits.connections, limits.connections_per_address);
        let door = Door { listener, tls: None, app, limits, room, connections: metrics.http() };
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
        let counted = metrics.text(&Default::default(), &Default::default()).expect("text");
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
