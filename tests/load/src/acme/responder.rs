//! A host that answers every http-01 challenge it was told of (RFC 8555 section 8.3), on this host's loopback addresses.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::error::CompareError;

/// A request for a challenge is far below this.
const REQUEST_BYTES_MAX: usize = 4_096;
const PATH: &str = "/.well-known/acme-challenge/";

/// Cheap to clone; it answers until the program ends.
#[derive(Clone)]
pub(super) struct Responder {
    port: u16,
    /// Token to thumbprint.
    expected: Arc<Mutex<HashMap<String, String>>>,
}

impl Responder {
    pub(super) async fn start() -> Result<Responder, CompareError> {
        let away = |e| CompareError::Io("the http-01 responder".into(), e);
        let first = TcpListener::bind(("127.0.0.1", 0)).await.map_err(away)?;
        let port = first.local_addr().map_err(away)?.port();
        let responder = Responder { port, expected: Arc::default() };
        tokio::spawn(responder.clone().listen(first));
        // A validator tries `::1` first where there is one.
        if let Ok(second) = TcpListener::bind(("::1", port)).await {
            tokio::spawn(responder.clone().listen(second));
        }
        Ok(responder)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Answers for this token from now on.
    pub(super) fn expect(&self, token: &str, thumbprint: &str) {
        self.locked().insert(token.to_owned(), thumbprint.to_owned());
    }

    /// And no more.
    pub(super) fn forget(&self, token: &str) {
        self.locked().remove(token);
    }

    async fn listen(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(self.clone().serve(stream));
        }
    }

    async fn serve(self, mut stream: TcpStream) -> Option<()> {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") && request.len() < REQUEST_BYTES_MAX {
            if stream.read_buf(&mut request).await.ok()? == 0 {
                return None;
            }
        }
        let line = request.split(|byte| *byte == b'\r').next()?;
        let token = std::str::from_utf8(line).ok()?.strip_prefix("GET ")?.strip_prefix(PATH)?;
        let token = token.split(' ').next()?;
        let body = self.locked().get(token).map(|thumbprint| format!("{token}.{thumbprint}"));
        let (status, body) = body.map_or(("404 Not Found", String::new()), |body| ("200 OK", body));
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
        stream.write_all(answer.as_bytes()).await.ok()?;
        stream.shutdown().await.ok()
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
