//! The service over HTTP.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

use crate::orders::{Order, Orders};

pub fn routes(orders: Orders) -> Router {
    let limit = Duration::from_secs(8);
    Router::new()
        .route("/orders", post(place))
        .route("/orders/{id}", get(find))
        .layer(RequestBodyLimitLayer::new(64 * 1024))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, limit))
        .layer(TraceLayer::new_for_http())
        .with_state(orders)
}

async fn place(State(orders): State<Orders>, Json(order): Json<Order>) -> Result<Response, Failed> {
    orders.place(order).await?;
    Ok(StatusCode::CREATED.into_response())
}

async fn find(State(orders): State<Orders>, Path(id): Path<String>) -> Result<Response, Failed> {
    Ok(orders
        .find(&id)
        .await?
        .map_or(StatusCode::NOT_FOUND.into_response(), |order| Json(order).into_response()))
}

/// The cause goes to the log; the client learns that it may send the same order again.
struct Failed(anyhow::Error);

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        tracing::error!("{:#}", self.0);
        (StatusCode::INTERNAL_SERVER_ERROR, "not taken, please send it again\n").into_response()
    }
}
