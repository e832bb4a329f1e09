mod answer;
mod body;
mod future;
mod nowhere;
mod service;

use tower_layer::Layer;

pub use body::HealthBody;
pub use future::HealthFuture;
pub use nowhere::Nowhere;
pub use service::HealthService;

use crate::Health;

/// Puts a [`HealthService`] around a service.
#[derive(Clone, Debug)]
pub struct HealthLayer {
    health: Health,
    pages: Pages,
}

/// Which pages are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pages {
    All,
    /// Those that name no check.
    Short,
}

impl HealthLayer {
    pub(crate) const fn new(health: Health) -> Self {
        Self { health, pages: Pages::All }
    }

    /// The same for a port that the public reaches: the pages that name the checks, `/health` and
    /// those of groups, go to the service inside like any other path. Serve them on a port of their
    /// own, by [`Health::service`].
    #[must_use]
    pub const fn without_checks(mut self) -> Self {
        self.pages = Pages::Short;
        self
    }
}

impl<S> Layer<S> for HealthLayer {
    type Service = HealthService<S>;

    fn layer(&self, inner: S) -> HealthService<S> {
        HealthService::new(inner, self.health.clone(), self.pages)
    }
}
