use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::timing::Timing;

pin_project! {
    /// A response's body, the end of which is the end of the request.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        inner: B,
        timing: Option<Timing>,
    }
}

impl<B> ResponseBody<B> {
    pub(super) fn new(inner: B, timing: Option<Timing>) -> Self {
        Self { inner, timing }
    }
}

impl<B: Body> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        let frame = ready!(Timing::during(this.timing, || this.inner.as_mut().poll_frame(cx)));
        if let (Some(Err(_)), Some(timing)) = (&frame, this.timing.as_mut()) {
            timing.fail();
        }
        // Servers do not ask again after a frame that they know to be the last.
        let ended = !matches!(frame, Some(Ok(_))) || this.inner.is_end_stream();
        if ended {
            drop(this.timing.take());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
