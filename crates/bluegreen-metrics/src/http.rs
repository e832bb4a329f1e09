//! The figures of HTTP requests, as a tower layer.
//!
//! ```
//! # async fn example(
//! #     metrics: &bluegreen_metrics::Metrics,
//! #     service: impl tower_service::Service<http::Request<()>> + Clone,
//! # ) {
//! use tower_layer::Layer as _;
//!
//! let measured = metrics.http_layer().layer(service);
//! # drop(measured);
//! # }
//! ```

mod body;
mod future;
mod layer;
mod timing;

pub use body::ResponseBody;
pub use future::ResponseFuture;
pub use layer::{RequestMetrics, RequestMetricsLayer};
