//! Plain HTTP clients: keep-alive, one connection each, every answer read to its end.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::net::TcpSocket;

use super::Wish;

/// One connection, from one address.
pub(super) struct Way {
    to: String,
    from: Option<IpAddr>,
    sender: Option<SendRequest<Full<Bytes>>>,
}

/// An answer of 200.
pub(super) struct Answer {
    pub(super) body: Bytes,
}

impl Way {
    pub(super) fn new(to: &str, from: Option<IpAddr>) -> Way {
        Way { to: to.to_owned(), from, sender: None }
    }

    pub(super) async fn get(&mut self, path: &str) -> Result<Answer, String> {
        let sender = match &mut self.sender {
            Some(sender) => sender,
            empty => empty.insert(connect(&self.to, self.from).await?),
        };
        sender.ready().await.map_err(|e| e.to_string())?;
        let request = Request::get(path).header("host", &self.to).body(Full::new(Bytes::new()));
        let answer = sender.send_request(request.map_err(|e| e.to_string())?).await.map_err(|e| e.to_string())?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|e| e.to_string())?.to_bytes();
        match status {
            StatusCode::OK => Ok(Answer { body }),
            other => Err(format!("{path} was answered {other}")),
        }
    }
}

async fn connect(to: &str, from: Option<IpAddr>) -> Result<SendRequest<Full<Bytes>>, String> {
    let address: SocketAddr = to.parse().map_err(|_| format!("{to} is no address"))?;
    let socket = TcpSocket::new_v4().map_err(|e| e.to_string())?;
    if let Some(from) = from {
        socket.bind(SocketAddr::new(from, 0)).map_err(|e| e.to_string())?;
    }
    let tcp = socket.connect(address).await.map_err(|e| e.to_string())?;
    tcp.set_nodelay(true).map_err(|e| e.to_string())?;
    let (sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(tcp)).await.map_err(|e| e.to_string())?;
    tokio::spawn(connection);
    Ok(sender)
}

/// A response that says when to ask again is five bytes.
const REFUSAL_BYTES: usize = 5;
/// So many addresses of this host ask for the first time, each with so many connections.
const ADDRESSES: u8 = 16;
const CONNECTIONS: usize = 4;

/// Asks for each once; answers how long it took.
pub(super) async fn first(to: &str, paths: &[String], tries: usize) -> Result<Duration, String> {
    let (next, paths) = (Arc::new(AtomicUsize::new(0)), Arc::new(paths.to_vec()));
    let began = Instant::now();
    let mut clients = Vec::new();
    for address in 0..ADDRESSES {
        for _ in 0..CONNECTIONS {
            let mut way = Way::new(to, Some(IpAddr::from([127, 0, 1, address + 1])));
            let (next, paths) = (next.clone(), paths.clone());
            clients.push(tokio::spawn(async move {
                while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut left = tries;
                    while way.get(path).await?.body.len() <= REFUSAL_BYTES {
                        left = left.checked_sub(1).ok_or("a response was never made")?;
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
                Ok::<_, String>(())
            }));
        }
    }
    for client in clients {
        client.await.map_err(|e| e.to_string())??;
    }
    Ok(began.elapsed())
}

/// What a round came to.
pub(super) struct Asked {
    pub(super) answers: u64,
    pub(super) bytes: u64,
    pub(super) took: Duration,
}

/// As many as are answered in a round.
pub(super) async fn round(to: &str, paths: &Arc<Vec<String>>, wish: &Wish) -> Result<Asked, String> {
    let (next, began) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let end = began + wish.round;
    let clients: Vec<_> = (0..wish.clients)
        .map(|_| {
            let (mut way, next, paths) = (Way::new(to, None), next.clone(), paths.clone());
            tokio::spawn(async move {
                let (mut answers, mut bytes) = (0, 0);
                while Instant::now() < end {
                    let at = next.fetch_add(1, Ordering::Relaxed) % paths.len();
                    let answer = way.get(&paths[at]).await?;
                    if answer.body.len() <= REFUSAL_BYTES {
                        return Err(format!("{} was refused", paths[at]));
                    }
                    answers += 1;
                    bytes += answer.body.len() as u64;
                }
                Ok::<_, String>((answers, bytes))
            })
        })
        .collect();
    let mut asked = Asked { answers: 0, bytes: 0, took: Duration::ZERO };
    for client in clients {
        let (answers, bytes) = client.await.map_err(|e| e.to_string())??;
        asked.answers += answers;
        asked.bytes += bytes;
    }
    asked.took = began.elapsed();
    Ok(asked)
}
