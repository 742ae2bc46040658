//! Every bound of the edge, with its name and its reason.
//!
//! Full is answered (429 or 503 with `Retry-After`, or a closed socket where no HTTP was spoken yet); nothing here ever
//! makes a queue longer. Answers the threats "a stranger holds our sockets" and "a caller makes us allocate".

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use policy::{Share, Shares, network};

/// The largest request body that carries a bare CSR (`application/pkcs10`): the CA refuses larger ones anyway.
pub const CSR_BYTES_MAX: usize = 16 * 1024;
/// The largest JSON body: a CSR as PEM, a hundred names, and room.
pub const JSON_BYTES_MAX: usize = 64 * 1024;
/// The largest JSON body of an import: 128 certificates of usual size, or a few large ones.
pub const IMPORT_BYTES_MAX: usize = 1024 * 1024;
/// The largest JSON body that holds the fields of a secret: a mebibyte as base64, and room.
pub const SECRET_BYTES_MAX: usize = 1536 * 1024;
/// Values of one answer together, before they are written as JSON. Whoever asks for more is told to ask for less at once.
pub const SECRET_ANSWER_BYTES_MAX: usize = 4 << 20;
/// The largest JSON body of a transit batch: a mebibyte as base64, a thousand items of a kibibyte, and room.
pub const TRANSIT_BYTES_MAX: usize = 2 * 1024 * 1024;
/// The most rows that one page of a list holds.
pub const PAGE_ROWS_MAX: u32 = 1_000;
/// The rows of a page when the caller names no number.
pub const PAGE_ROWS_DEFAULT: u32 = 100;
/// What a caller is told to wait when we are momentarily full.
pub const RETRY_AFTER_SECS: u32 = 1;

/// The bounds that a deployment (or a test) may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections per listener; the next one is closed at once and counted.
    pub connections: usize,
    /// And of one address (IPv6: of one /64) on a listener: a quarter, so that no single stranger takes them all.
    pub connections_per_address: usize,
    /// Requests under way at the same time, until their answers are sent; the next one is answered 503.
    pub requests: usize,
    /// And of one address.
    pub requests_per_address: usize,
    /// From TCP accept to the end of the TLS handshake.
    pub handshake: Duration,
    /// From the handshake to the end of the first request's head. hyper has no such deadline before it knows the protocol.
    pub first_request: Duration,
    /// How long a kept-alive connection may say nothing.
    pub idle: Duration,
    /// For reading one request's body.
    pub body: Duration,
    /// For answering one request, body included. Issuance goes on in its own task when this runs out.
    pub request: Duration,
    /// For sending an answer, after the time for making it; a connection that takes longer is cut. A CRL of 16 MiB passes
    /// with 1.2 Mbit/s.
    pub answer: Duration,
    /// For connections to finish after the shutdown signal. What comes after it (the last head, the threads of the register) has
    /// bounds of its own, four seconds in all: the process ends within ten.
    pub drain: Duration,
    /// Tokens that one address may guess wrong in a minute before further wrong ones are answered 429.
    pub failures: u32,
    /// How long a caller who was looked up (API token, client certificate) is believed before its rows are read again: a row that
    /// was altered beside the service counts for that long. A revocation counts as soon as this node knows of it.
    pub caller_memory: Duration,
    /// How long the key of a secret's version is kept once the token unsealed it; zero: the token is asked for each reading. What is
    /// read is logged all the same.
    pub key_memory: Duration,
    /// For how long a reader may keep secrets in a sealed cache of his; zero: not at all. A secret of its own may say less.
    pub cache: Duration,
}

/// The places of both listeners, which may be changed while they are in use.
#[derive(Clone, Debug)]
pub struct Bounds {
    limits: Limits,
    https: Listener,
    http: Listener,
}

/// The places of one listener.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    pub(crate) connections: Room,
    pub(crate) requests: Room,
}

/// Places, and each address's share of them.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    all: Arc<Shares<()>>,
    of_one: Arc<Shares<IpAddr>>,
}

/// A place that somebody has until it is dropped.
pub(crate) struct Place {
    _all: Share<()>,
    _of_one: Option<Share<IpAddr>>,
}

impl Room {
    pub(crate) fn new(all: usize, of_one: usize) -> Self {
        Self { all: Shares::new(all), of_one: Shares::new(of_one) }
    }

    /// A place for somebody there, where there is one.
    pub(crate) fn take(&self, from: Option<IpAddr>) -> Option<Place> {
        let of_one = match from {
            Some(address) => Some(self.of_one.take(network(address))?),
            None => None,
        };
        Some(Place { _all: self.all.take(())?, _of_one: of_one })
    }

    fn set(&self, all: usize, of_one: usize) {
        self.all.set(all);
        self.of_one.set(of_one);
    }
}

impl Listener {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            connections: Room::new(limits.connections, limits.connections_per_address),
            requests: Room::new(limits.requests, limits.requests_per_address),
        }
    }

    fn set(&self, limits: &Limits) {
        self.connections.set(limits.connections, limits.connections_per_address);
        self.requests.set(limits.requests, limits.requests_per_address);
    }
}

impl Bounds {
    /// Of these limits.
    pub fn new(limits: Limits) -> Self {
        Self { https: Listener::new(&limits), http: Listener::new(&limits), limits }
    }

    /// From now on so many connections and requests, of all and of one address. The deadlines stay.
    pub fn set(&self, limits: &Limits) {
        self.https.set(limits);
        self.http.set(limits);
    }

    /// The deadlines, and the numbers of the start.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn https(&self) -> &Listener {
        &self.https
    }

    pub(crate) fn http(&self) -> &Listener {
        &self.http
    }
}

impl Limits {
    /// The same where the process may open so many files. Two listeners fill with whoever comes; the register, the token's module and
    /// the checks of hosts must not be what is left out.
    #[must_use]
    pub fn within(&self, files: usize) -> Self {
        let connections = self.connections.min((files - FILES_APART.min(files / 2)) / 2).max(1);
        // An address keeps its share of them.
        let of_one = self.connections_per_address.saturating_mul(connections) / self.connections.max(1);
        Self { connections, connections_per_address: of_one.max(1), ..self.clone() }
    }
}

/// Files that no connection may take: a server at rest has 30, SoftHSM opens each of its objects, and 64 hosts may be checked at once.
const FILES_APART: usize = 256;

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1_024,
            connections_per_address: 256,
            requests: 512,
            requests_per_address: 128,
            handshake: Duration::from_secs(10),
            first_request: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            body: Duration::from_secs(10),
            request: Duration::from_secs(30),
            answer: Duration::from_secs(120),
            drain: Duration::from_secs(5),
            failures: 20,
            caller_memory: Duration::from_secs(2),
            key_memory: Duration::from_secs(300),
            cache: Duration::from_secs(3_600),
        }
    }
}
