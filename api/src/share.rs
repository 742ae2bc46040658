//! What one address may hold of a room's places, and places held for as long as an answer is on its way.
//!
//! A bound on everybody's connections or requests is one stranger's to exhaust; a share per address takes many addresses.
//! An answer is under way until its last byte is sent: a caller that reads slowly holds its place, not just our memory.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

/// The shares of one room. Holds an entry per address that has something now, so never more than the room has places.
pub(crate) struct Shares {
    most: usize,
    held: Mutex<HashMap<IpAddr, usize>>,
}

impl Shares {
    /// So many places per address (IPv6: per /64).
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, held: Mutex::default() })
    }

    /// A place for this address, if it has not all of its share.
    pub(crate) fn take(self: &Arc<Self>, from: IpAddr) -> Option<Share> {
        let from = acme::network(from);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(from).or_insert(0);
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Share { of: Arc::clone(self), from })
    }
}

/// A place, given back by drop.
pub(crate) struct Share {
    of: Arc<Shares>,
    from: IpAddr,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.of.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.from) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held.remove(&self.from);
            }
        }
    }
}

/// A body that keeps something until it is sent or given up.
pub(crate) struct Keeping<T> {
    body: Body,
    _kept: T,
}

impl<T: Send + Unpin + 'static> Keeping<T> {
    /// The body, which now keeps `kept`.
    pub(crate) fn body(body: Body, kept: T) -> Body {
        Body::new(Self { body, _kept: kept })
    }
}

impl<T: Unpin> HttpBody for Keeping<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_and_gives_it_back() {
        let shares = Shares::new(2);
        let (one, other): (IpAddr, IpAddr) = ("192.0.2.1".parse().expect("ip"), "192.0.2.2".parse().expect("ip"));
        let first = shares.take(one).expect("a place");
        let _second = shares.take(one).expect("a place");
        assert!(shares.take(one).is_none());
        assert!(shares.take(other).is_some(), "another address has its own");
        drop(first);
        assert!(shares.take(one).is_some());
        assert_eq!(shares.held.lock().expect("lock").len(), 1, "who holds nothing is not remembered");
    }

    #[test]
    fn a_slash_64_is_one_address() {
        let shares = Shares::new(1);
        let _place = shares.take("2001:db8::1".parse().expect("ip")).expect("a place");
        assert!(shares.take("2001:db8::2".parse().expect("ip")).is_none());
        assert!(shares.take("2001:db8:0:1::1".parse().expect("ip")).is_some());
    }
}
