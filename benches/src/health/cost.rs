//! What a request costs: CPU time as the median over rounds, allocations exactly.

use std::convert::Infallible;
use std::hint::black_box;

use allocation_counter::measure;
use axum::body::Body;
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::runtime::Runtime;
use tower::{Service, ServiceExt};

use crate::cpu;

/// Requests of one round.
const REQUESTS: u32 = 5_000;

#[derive(Default)]
pub(super) struct Cost {
    rounds: Vec<f64>,
    /// The fewest of any round: a table that grew once is not the request's.
    allocations: Option<f64>,
}

impl Cost {
    /// One more round. Rounds of what is compared take turns, so that a machine that drifts hits
    /// both.
    pub(super) fn add<S, B>(&mut self, runtime: &Runtime, service: &S, path: &str)
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone,
        B: http_body::Body,
    {
        let start = cpu::nanoseconds();
        for _ in 0..REQUESTS {
            runtime.block_on(call(service, path));
        }
        self.rounds.push((cpu::nanoseconds() - start) / f64::from(REQUESTS));
        let counted = measure(|| runtime.block_on(call(service, path)));
        #[expect(clippy::cast_precision_loss, reason = "tens of allocations")]
        let allocations = counted.count_total as f64;
        self.allocations =
            Some(self.allocations.map_or(allocations, |least| least.min(allocations)));
    }

    pub(super) fn nanoseconds(&self) -> f64 {
        cpu::median(self.rounds.clone())
    }

    pub(super) fn allocations(&self) -> f64 {
        self.allocations.unwrap_or(f64::NAN)
    }

    /// How this compares with another, round by round.
    pub(super) fn ratio_to(&self, other: &Self) -> f64 {
        cpu::median(self.rounds.iter().zip(&other.rounds).map(|(own, other)| own / other).collect())
    }
}

/// A request built, answered and read.
async fn call<S, B>(service: &S, path: &str)
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone,
    B: http_body::Body,
{
    let Ok(request) = Request::get(path).body(Body::empty()) else { return };
    let Ok(response) = service.clone().oneshot(request).await;
    black_box(response.into_body().collect().await.ok());
}
