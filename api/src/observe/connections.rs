//! What is counted of connections, for each listener.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

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

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByListener {
    listener: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Ending {
    listener: &'static str,
    outcome: &'static str,
}

/// The counters of one listener.
pub(crate) struct Connections {
    name: &'static str,
    open: Gauge,
    refused: Counter,
    accept_failures: Counter,
    endings: Family<Ending, Counter>,
}

impl Connections {
    pub(super) fn new(
        name: &'static str,
        open: &Family<ByListener, Gauge>,
        endings: &Family<Ending, Counter>,
        refused: &Family<ByListener, Counter>,
        accept_failures: &Counter,
    ) -> Arc<Self> {
        let label = ByListener { listener: name };
        Arc::new(Self {
            name,
            open: open.get_or_create_owned(&label),
            refused: refused.get_or_create_owned(&label),
            accept_failures: accept_failures.clone(),
            endings: endings.clone(),
        })
    }

    /// A connection was let in; it counts as open until the guard goes.
    pub(crate) fn opened(&self) -> Open {
        self.open.inc();
        Open(self.open.clone())
    }

    /// A connection was closed because the bound was reached.
    pub(crate) fn refused(&self) {
        self.refused.inc();
    }

    /// `accept` itself failed.
    pub(crate) fn accept_failed(&self) {
        self.accept_failures.inc();
    }

    /// A connection came to its end.
    pub(crate) fn ended(&self, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Closed => "closed",
            Outcome::HandshakeFailed => "handshake-failed",
            Outcome::HandshakeTimeout => "handshake-timeout",
            Outcome::Silent => "silent",
            Outcome::Idle => "idle",
            Outcome::Stuck => "stuck",
            Outcome::Broken => "broken",
        };
        self.endings.get_or_create(&Ending { listener: self.name, outcome }).inc();
    }
}

/// An open connection in the gauge.
pub(crate) struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
