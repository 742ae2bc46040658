//! Every bound of the edge, with its name and its reason.
//!
//! Full is answered (429 or 503 with `Retry-After`, or a closed socket where no HTTP was spoken yet); nothing here ever
//! makes a queue longer. Answers the threats "a stranger holds our sockets" and "a caller makes us allocate".

use std::time::Duration;

/// The largest request body that carries a bare CSR (`application/pkcs10`): the CA refuses larger ones anyway.
pub const CSR_BYTES_MAX: usize = 16 * 1024;
/// The largest JSON body: a CSR as PEM, a hundred names, and room.
pub const JSON_BYTES_MAX: usize = 64 * 1024;
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
    /// Requests being worked on at the same time; the next one is answered 503.
    pub requests: usize,
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
    /// For connections to finish after the shutdown signal.
    pub drain: Duration,
    /// Failed authentications that one address may make in a row before it is answered 429.
    pub failures: u32,
    /// How long a looked-up API token is believed before it is read again: the delay with which a revocation made on
    /// *another* node arrives. One made on this node counts at once.
    pub token_memory: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1_024,
            requests: 512,
            handshake: Duration::from_secs(10),
            first_request: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            body: Duration::from_secs(10),
            request: Duration::from_secs(30),
            drain: Duration::from_secs(10),
            failures: 20,
            token_memory: Duration::from_secs(2),
        }
    }
}
