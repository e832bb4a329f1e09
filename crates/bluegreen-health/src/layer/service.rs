use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use tower_service::Service;

use super::future::State;
use super::{HealthBody, HealthFuture, Pages, answer};
use crate::Health;

/// Answers the health paths and passes everything else to the service inside.
///
/// It is always ready, so that a service inside that has no room (a concurrency limit, say) does
/// not turn the health answers off. Everything else waits in the response's future until there is
/// room, which keeps the back pressure, but in the callers' responses and not in `poll_ready`: put
/// a `LoadShed` inside, not outside, to shed load.
#[derive(Clone, Debug)]
pub struct HealthService<S> {
    inner: S,
    health: Health,
    pages: Pages,
}

impl<S> HealthService<S> {
    pub(crate) const fn new(inner: S, health: Health, pages: Pages) -> Self {
        Self { inner, health, pages }
    }

    /// The service inside.
    #[must_use]
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service inside, taken out.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, B, R> Service<Request<B>> for HealthService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
{
    type Response = Response<HealthBody<R>>;
    type Error = S::Error;
    type Future = HealthFuture<S, B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let answer = answer::to(self.health.board(), self.pages, &request);
        if let Some(response) = answer {
            return HealthFuture::new(State::Answered { response: Some(response) });
        }
        // Nearly always there is room, and nothing needs to be cloned.
        match self.inner.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => {
                let future = self.inner.call(request);
                HealthFuture::new(State::Called { future })
            }
            Poll::Ready(Err(error)) => HealthFuture::new(State::Broken { error: Some(error) }),
            Poll::Pending => {
                // What has begun to wait must go on waiting: it may stand in a queue for a permit,
                // which nobody would take up if it stayed behind here.
                let fresh = self.inner.clone();
                let inner = std::mem::replace(&mut self.inner, fresh);
                HealthFuture::new(State::Waiting { inner, request: Some(request) })
            }
        }
    }
}
