//! A request body that tells whether it was ever asked for.
//!
//! The HTTP client asks a body for its bytes only once it has a connection and begins to write the
//! request. So a body that nobody asked means that nothing was sent, whatever the error says.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// Whether a request may have been sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent(Arc<AtomicBool>);

impl Sent {
    /// Whether any byte may have left.
    pub(crate) fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The bytes of a request, and whether they were asked for.
pub(crate) struct WatchedBody {
    bytes: Option<Bytes>,
    sent: Sent,
}

impl WatchedBody {
    /// An empty body is never asked, so a request with none counts as sent from the beginning.
    pub(crate) fn new(bytes: Bytes) -> (Self, Sent) {
        let sent = Sent(Arc::new(AtomicBool::new(bytes.is_empty())));
        let bytes = Some(bytes).filter(|bytes| !bytes.is_empty());
        (Self { bytes, sent: sent.clone() }, sent)
    }
}

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.sent.0.store(true, Ordering::Release);
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
