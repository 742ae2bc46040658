//! A small HTTPS server: one function from request to answer, told who the client proved to be.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A request read to its end.
pub struct Asked {
    pub method: String,
    pub path: String,
    pub host: String,
    pub authorization: Option<String>,
    pub accept_encoding: Option<String>,
    pub client: Option<CertificateDer<'static>>,
    pub body: Bytes,
}

pub type Answer = Response<Full<Bytes>>;

/// A running server; ends when dropped.
pub struct Server {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub async fn serve<F, R>(config: Arc<ServerConfig>, handle: F) -> Server
where
    F: Fn(Asked) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Answer> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let (acceptor, handle) = (TlsAcceptor::from(config.clone()), handle.clone());
            tokio::spawn(async move {
                let Ok(tls) = acceptor.accept(tcp).await else { return };
                let shown = tls.get_ref().1.peer_certificates();
                let client = shown.and_then(|chain| chain.first().cloned());
                let service = service_fn(move |request| {
                    let (handle, client) = (handle.clone(), client.clone());
                    async move { Ok::<_, Infallible>(handle(read(request, client).await).await) }
                });
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(tls), service).await;
            });
        }
    });
    Server { address, task }
}

async fn read(request: Request<Incoming>, client: Option<CertificateDer<'static>>) -> Asked {
    let (parts, body) = request.into_parts();
    let header = |name: &str| parts.headers.get(name).map(|v| v.to_str().unwrap().to_owned());
    Asked {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        host: header("host").unwrap_or_default(),
        authorization: header("authorization"),
        accept_encoding: header("accept-encoding"),
        client,
        body: body.collect().await.unwrap().to_bytes(),
    }
}

pub fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    answer.body(Full::new(body.into())).unwrap()
}
