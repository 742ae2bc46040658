//! From a socket to a request that a handler may see, and back: bounded connections, the server's own TLS, bounded
//! requests.
//!
//! Never reads what a request says, and decides nothing about who asks: it passes on the certificate that a connection
//! proved.
//!
//! Trusted for: attaching to a request the certificate of its own connection and no other, and answering in time whoever
//! asks. Whoever controls this room can act as any holder of a client certificate.

mod keeping;
mod peer;
mod watch;

mod courtesy;
mod line;
mod listener;
mod logins;
mod tls;

mod guard;

pub(crate) use guard::{Edge, guard, no_such_method, no_such_path};
pub(crate) use listener::Door;
pub(crate) use peer::Peer;
pub(crate) use tls::ServerCertificate;
pub use tls::TlsError;
