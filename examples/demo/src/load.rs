//! A steady load of orders, and what became of every one of them, as a client sees it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bluegreen::{Clock, Color, Stop};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a client sends an order, with the same id, before it gives up.
const TRIES: u32 = 4;
/// So many orders are under way at most: a machine that is too slow for the rate gets fewer of them,
/// not ever more at a time.
const AT_ONCE: usize = 50;

/// One request and its end.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// When it was about to be sent.
    pub began: SystemTime,
    /// When its answer, or its failure, had arrived.
    pub ended: SystemTime,
    /// The color that answered, where the proxy said.
    pub color: Option<Color>,
    /// Accepted, or why not.
    pub outcome: Result<(), Cause>,
}

/// Why a request failed, as the client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Answered with this status.
    Status(u16),
    /// The connection broke, or none could be made.
    Connection,
    /// No answer in time.
    Timeout,
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Connection => f.write_str("connection broken"),
            Self::Timeout => write!(f, "no answer in {PATIENCE:?}"),
        }
    }
}

/// What the load has seen so far; shared with whoever wants to know.
#[derive(Clone, Debug, Default)]
pub struct Seen(Arc<Mutex<Log>>);

#[derive(Debug, Default)]
struct Log {
    attempts: Vec<Attempt>,
    accepted: Vec<String>,
    given_up: Vec<String>,
}

impl Seen {
    fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every request so far.
    #[must_use]
    pub fn attempts(&self) -> Vec<Attempt> {
        self.log().attempts.clone()
    }

    /// The ids of the orders that were accepted.
    #[must_use]
    pub fn accepted(&self) -> Vec<String> {
        self.log().accepted.clone()
    }

    /// The ids of the orders that were given up after several tries.
    #[must_use]
    pub fn given_up(&self) -> Vec<String> {
        self.log().given_up.clone()
    }

    /// Every request so far as text: when it ended in milliseconds since 1970, color, outcome.
    #[must_use]
    pub fn lines(&self) -> String {
        let mut lines = String::from("ended_ms,color,outcome\n");
        for Attempt { ended, color, outcome, .. } in &self.log().attempts {
            let ended = ended.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
            let color = color.map_or("", Color::as_str);
            let outcome =
                outcome.map_or_else(|cause| cause.to_string(), |()| "accepted".to_owned());
            lines.push_str(&format!("{ended},{color},{outcome}\n"));
        }
        lines
    }

    /// Requests sent and failed so far.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        let log = self.log();
        let failed = log.attempts.iter().filter(|attempt| attempt.outcome.is_err()).count();
        (log.attempts.len() as u64, failed as u64)
    }

    /// Failed requests by cause.
    #[must_use]
    pub fn failures(&self) -> BTreeMap<Cause, u64> {
        let mut causes = BTreeMap::new();
        for attempt in &self.log().attempts {
            if let Err(cause) = attempt.outcome {
                *causes.entry(cause).or_default() += 1;
            }
        }
        causes
    }
}

/// Sends `rate` orders a second to `proxy` until asked to stop, then waits for those under way. With
/// 50 under way the next one waits for one of them.
pub async fn run(proxy: SocketAddr, rate: u32, seed: u64, seen: Seen, stop: Stop) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let mut tick = interval(Duration::from_secs(1) / rate.max(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut orders = JoinSet::new();
    let mut random = fastrand::Rng::with_seed(seed);
    for number in 0.. {
        let next = async {
            tick.tick().await;
            if orders.len() >= AT_ONCE {
                orders.join_next().await;
            }
        };
        tokio::select! {
            () = next => {}
            _ = stop.requested() => break,
        }
        let id = format!("{seed:04x}-{number:06}");
        let body = serde_json::json!({
            "id": id, "customer": format!("c{}", random.u16(..500)),
            "amount_cents": random.u32(100..100_000),
        });
        let body = Bytes::from(body.to_string());
        orders.spawn(order(client.clone(), proxy, id, body, seen.clone()));
        while orders.try_join_next().is_some() {}
    }
    while orders.join_next().await.is_some() {}
}

type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// One customer: sends the order again with the same id until it is accepted.
async fn order(client: HttpClient, proxy: SocketAddr, id: String, body: Bytes, seen: Seen) {
    for number in 0..TRIES {
        let attempt = send(&client, proxy, body.clone()).await;
        let accepted = attempt.outcome.is_ok();
        seen.log().attempts.push(attempt);
        if accepted {
            seen.log().accepted.push(id);
            return;
        }
        tokio::time::sleep(Duration::from_millis(200) * 2u32.pow(number)).await;
    }
    seen.log().given_up.push(id);
}

async fn send(client: &HttpClient, proxy: SocketAddr, body: Bytes) -> Attempt {
    let began = Clock::system().now();
    let request = Request::post(format!("http://{proxy}/orders"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body));
    let (mut color, mut outcome) = (None, Err(Cause::Connection));
    if let Ok(request) = request {
        let answer = async {
            let response = client.request(request).await.ok()?;
            let color = response.headers().get("x-bluegreen-color");
            let color = color.and_then(|value| value.to_str().ok()?.parse().ok());
            let status = response.status();
            response.into_body().collect().await.ok()?;
            Some((color, status))
        };
        (color, outcome) = match timeout(PATIENCE, answer).await {
            Ok(Some((color, StatusCode::OK | StatusCode::CREATED))) => (color, Ok(())),
            Ok(Some((color, status))) => (color, Err(Cause::Status(status.as_u16()))),
            Ok(None) => (None, Err(Cause::Connection)),
            Err(_) => (None, Err(Cause::Timeout)),
        };
    }
    Attempt { began, ended: Clock::system().now(), color, outcome }
}
