//! axum-health with three indicators that are up.

use axum::Router;
use axum::routing::get;
use axum_health::indicator::{HealthDetail, HealthIndicator};
use axum_health::service::Health;

struct Up(&'static str);

#[async_trait::async_trait]
impl HealthIndicator for Up {
    fn name(&self) -> String {
        self.0.to_owned()
    }

    async fn details(&self) -> HealthDetail {
        HealthDetail::up()
    }
}

/// Answers at `/health`.
pub(super) fn router() -> Router {
    let indicators = ["one", "two", "three"].into_iter();
    let health = indicators.fold(Health::builder(), |health, name| health.with_indicator(Up(name)));
    Router::new().route("/health", get(axum_health::health_check)).layer(health.build())
}
