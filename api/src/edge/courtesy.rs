//! Hears a caller out: a request body that nobody reads to its end is read on for a while and thrown away.
//!
//! An answer that is ready before the body has arrived (401, 403, 413, 415) would otherwise end the stream under a client
//! that is still sending, and over HTTP/2 such a client takes the answer for a broken stream. Bounded in bytes and time, so
//! that a stranger cannot keep us reading.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// How much is read past what the handler wanted.
const DISCARDED_BYTES_MAX: usize = 1 << 20;
/// And for how long.
const DISCARD_TIME_MAX: Duration = Duration::from_secs(2);

/// A request body that is heard out when it is dropped.
pub(crate) struct HeardOut(Option<Incoming>);

impl HeardOut {
    pub(crate) fn new(body: Incoming) -> Self {
        Self(Some(body))
    }
}

impl Body for HeardOut {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.0.as_mut() {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for HeardOut {
    fn drop(&mut self) {
        let Some(body) = self.0.take().filter(|body| !body.is_end_stream()) else { return };
        // Outside a runtime there is no connection either.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(DISCARD_TIME_MAX, discard(body)));
        }
    }
}

async fn discard(mut body: Incoming) {
    let mut seen = 0_usize;
    while let Some(Ok(frame)) = body.frame().await {
        seen = seen.saturating_add(frame.data_ref().map_or(0, Bytes::len));
        if seen > DISCARDED_BYTES_MAX {
            return;
        }
    }
}
