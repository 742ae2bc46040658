//! The clients: each has one connection, takes the next host's request and asks again as soon as it is answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;

use crate::door::Door;
use crate::fleet::{Host, fleet};
use crate::memory::resident_kib;
use crate::report::Report;

/// What to do.
#[derive(Clone, Debug)]
pub struct Load {
    /// `HOST:PORT` of the server's HTTPS.
    pub address: String,
    /// The name in its certificate.
    pub server_name: String,
    /// Roots, PEM.
    pub roots_pem: Vec<u8>,
    /// An API token that may issue.
    pub token: String,
    /// The owner that the certificates are filed under.
    pub owner: String,
    /// The domain below which the hosts are.
    pub domain: String,
    /// How many hosts ask, one after the other and then again.
    pub hosts: u32,
    /// Keep-alive clients.
    pub clients: usize,
    /// How many certificates in all.
    pub count: u64,
    /// And no longer than this.
    pub most: Duration,
    /// The server's process, where its memory is to be watched.
    pub pid: Option<u32>,
}

/// Why a run could not begin.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The roots are not PEM certificates.
    #[error("roots: {0}")]
    Roots(String),
    /// The name is none.
    #[error("server name: {0}")]
    Name(String),
    /// A key or request could not be made.
    #[error("request: {0}")]
    Request(#[from] rcgen::Error),
}

/// Runs the load to its end.
pub async fn run(load: &Load) -> Result<Report, LoadError> {
    let door = Door::new(&load.address, &load.server_name, &load.roots_pem)?;
    let requests = Arc::new(requests(load)?);

    let (left, began) = (Arc::new(AtomicU64::new(load.count)), Instant::now());
    let memory = load.pid.map(|pid| tokio::spawn(watch(pid, left.clone(), load.count, began + load.most)));
    let mut clients = Vec::new();
    for _ in 0..load.clients {
        let client = Client {
            door: door.clone(),
            requests: requests.clone(),
            token: load.token.clone(),
            left: left.clone(),
            end: began + load.most,
        };
        clients.push(tokio::spawn(client.run()));
    }
    let mut report = Report::default();
    for client in clients {
        let (latencies, errors) = client.await.unwrap_or_default();
        report.latencies_us.extend(latencies);
        for (what, count) in errors {
            *report.errors.entry(what).or_default() += count;
        }
    }
    report.took = began.elapsed();
    report.issued = report.latencies_us.len() as u64;
    report.latencies_us.sort_unstable();
    if let Some(memory) = memory {
        report.resident_kib = memory.await.unwrap_or_default();
    }
    Ok(report)
}

/// The body of each host's request.
fn requests(load: &Load) -> Result<Vec<Bytes>, LoadError> {
    let body = |host: Host| {
        let body = serde_json::json!({"profile": "tls-server", "owner": load.owner, "csr": host.csr.pem()?});
        Ok(Bytes::from(body.to_string()))
    };
    fleet(&load.domain, load.hosts.max(1))?.into_iter().map(body).collect()
}

/// The server's memory at the beginning, at half and at the end.
async fn watch(pid: u32, left: Arc<AtomicU64>, count: u64, end: Instant) -> Vec<u64> {
    let mut seen: Vec<u64> = resident_kib(pid).into_iter().collect();
    for mark in [count / 2, 0] {
        while left.load(Ordering::Relaxed) > mark && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        seen.extend(resident_kib(pid));
    }
    seen
}

struct Client {
    door: Door,
    requests: Arc<Vec<Bytes>>,
    token: String,
    left: Arc<AtomicU64>,
    end: Instant,
}

impl Client {
    async fn run(self) -> (Vec<u32>, BTreeMap<String, u64>) {
        let (mut latencies, mut errors) = (Vec::new(), BTreeMap::new());
        let mut connection = None;
        while Instant::now() < self.end
            && let Some(request) = self.take()
        {
            let began = Instant::now();
            match self.issue(&mut connection, request).await {
                Ok(StatusCode::CREATED) => latencies.push(began.elapsed().as_micros().min(u128::from(u32::MAX)) as u32),
                Ok(status) => *errors.entry(format!("status {}", status.as_u16())).or_default() += 1,
                Err(what) => {
                    connection = None;
                    *errors.entry(what).or_default() += 1;
                }
            }
        }
        (latencies, errors)
    }

    /// The next host's request, while there is one to be made.
    fn take(&self) -> Option<Bytes> {
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).ok()?;
        self.requests.get((left % self.requests.len() as u64) as usize).cloned()
    }

    async fn issue(
        &self,
        connection: &mut Option<SendRequest<Full<Bytes>>>,
        request: Bytes,
    ) -> Result<StatusCode, String> {
        let sender = match connection {
            Some(sender) => sender,
            None => connection.insert(self.door.connect().await?),
        };
        sender.ready().await.map_err(|_| "connection closed".to_owned())?;
        let request = Request::post("/api/v1/certificates")
            .header("host", self.door.address())
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .body(Full::new(request))
            .map_err(|e| e.to_string())?;
        let answer = sender.send_request(request).await.map_err(|_| "connection broke".to_owned())?;
        let status = answer.status();
        // Read to its end: a client that does not is not a client.
        answer.into_body().collect().await.map_err(|_| "answer broke off".to_owned())?;
        Ok(status)
    }
}
