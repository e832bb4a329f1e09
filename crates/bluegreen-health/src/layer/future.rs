use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::HealthBody;

pin_project! {
    /// The response of a [`HealthService`](crate::HealthService) to be.
    #[must_use = "a future does nothing before it is polled"]
    pub struct HealthFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B, S::Future, S::Error>,
    }
}

pin_project! {
    #[project = StateProjection]
    pub(super) enum State<S, B, F, E> {
        /// A health path.
        Answered { response: Option<Response<Bytes>> },
        /// The service inside has no room yet.
        Waiting { inner: S, request: Option<Request<B>> },
        /// The service inside is gone.
        Broken { error: Option<E> },
        /// The service inside works on it.
        Called { #[pin] future: F },
    }
}

impl<S: Service<Request<B>>, B> HealthFuture<S, B> {
    pub(super) const fn new(state: State<S, B, S::Future, S::Error>) -> Self {
        Self { state }
    }
}

impl<S, B, R> Future for HealthFuture<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Output = Result<Response<HealthBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProjection::Called { future } => {
                    let response = ready!(future.poll(cx))?;
                    return Poll::Ready(Ok(response.map(HealthBody::inner)));
                }
                StateProjection::Answered { response } => {
                    let Some(response) = response.take() else { return Poll::Pending };
                    return Poll::Ready(Ok(response.map(HealthBody::health)));
                }
                StateProjection::Waiting { inner, request } => {
                    ready!(inner.poll_ready(cx))?;
                    let Some(request) = request.take() else { return Poll::Pending };
                    let future = inner.call(request);
                    state.set(State::Called { future });
                }
                StateProjection::Broken { error } => {
                    let Some(error) = error.take() else { return Poll::Pending };
                    return Poll::Ready(Err(error));
                }
            }
        }
    }
}

impl<S: Service<Request<B>>, B> fmt::Debug for HealthFuture<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthFuture").finish_non_exhaustive()
    }
}
