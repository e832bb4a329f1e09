use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::http::Response;
use pin_project_lite::pin_project;

use super::ResponseBody;
use super::timing::Timing;

pin_project! {
    /// The future of a [`RequestMetrics`](super::RequestMetrics).
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        timing: Option<Timing>,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn new(inner: F, timing: Timing) -> Self {
        Self { inner, timing: Some(timing) }
    }
}

impl<F, Body, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = Result<Response<ResponseBody<Body>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(Timing::during(this.timing, || this.inner.poll(cx)));
        let mut timing = this.timing.take();
        let failed = match &result {
            Ok(response) => response.status().is_server_error(),
            Err(_) => true,
        };
        if failed && let Some(timing) = &mut timing {
            timing.fail();
        }
        Poll::Ready(result.map(|response| response.map(|body| ResponseBody::new(body, timing))))
    }
}
