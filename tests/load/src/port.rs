//! Ports for servers that a test or a benchmark starts.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};

/// Below the ports that systems give to outgoing connections (32768 on Linux): one of those may take a port between our look
/// and the server's start, or while the server is down for a moment.
const FIRST: u16 = 10_000;
const COUNT: u16 = 20_000;

/// Names of sockets that stand for ports: whoever holds one was given the port, from whichever process it is asked. They have no files
/// and end with their process.
static HELD: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());

/// A port of 127.0.0.1 that is free now, and is given to no other caller of this host as long as this process lives: a server that is
/// configured for it may start much later.
///
/// # Panics
/// If none is left.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    // Processes begin at different places, so that they seldom ask for the same.
    let start = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap_or(0);
    for _ in 0..COUNT {
        let given = GIVEN.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (start + given) % COUNT;
        let Some(held) = hold(port) else { continue };
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            HELD.lock().unwrap_or_else(PoisonError::into_inner).push(held);
            return port;
        }
    }
    panic!("no port from {FIRST} on is free");
}

fn hold(port: u16) -> Option<UnixListener> {
    let name = SocketAddr::from_abstract_name(format!("chancery-test-port-{port}")).ok()?;
    UnixListener::bind_addr(&name).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let ports: BTreeSet<u16> = (0..200).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 200);
        assert!(ports.iter().all(|port| (FIRST..FIRST + COUNT).contains(port)));
        assert!(ports.iter().all(|port| hold(*port).is_none()), "another process would be given one too");
    }
}
