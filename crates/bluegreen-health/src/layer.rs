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
}

impl HealthLayer {
    pub(crate) const fn new(health: Health) -> Self {
        Self { health }
    }
}

impl<S> Layer<S> for HealthLayer {
    type Service = HealthService<S>;

    fn layer(&self, inner: S) -> HealthService<S> {
        HealthService::new(inner, self.health.clone())
    }
}
