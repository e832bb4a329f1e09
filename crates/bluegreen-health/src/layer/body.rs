use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body of a [`HealthService`](crate::HealthService)'s response: its own, or that of the
    /// service inside.
    #[derive(Debug)]
    pub struct HealthBody<B> {
        #[pin]
        from: From<B>,
    }
}

pin_project! {
    #[project = FromProjection]
    #[derive(Debug)]
    enum From<B> {
        Health { bytes: Option<Bytes> },
        Inner { #[pin] body: B },
    }
}

impl<B> HealthBody<B> {
    pub(super) fn health(bytes: Bytes) -> Self {
        Self { from: From::Health { bytes: Some(bytes).filter(|bytes| !bytes.is_empty()) } }
    }

    pub(super) const fn inner(body: B) -> Self {
        Self { from: From::Inner { body } }
    }
}

impl<B> Body for HealthBody<B>
where
    B: Body,
    B::Data: std::convert::From<Bytes>,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match self.project().from.project() {
            FromProjection::Health { bytes } => {
                Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes.into()))))
            }
            FromProjection::Inner { body } => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.from {
            From::Health { bytes } => bytes.is_none(),
            From::Inner { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.from {
            From::Health { bytes } => {
                let length = bytes.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
            }
            From::Inner { body } => body.size_hint(),
        }
    }
}
