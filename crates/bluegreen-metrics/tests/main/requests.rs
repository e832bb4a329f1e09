use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use axum::routing::get;
use bluegreen_core::Color;
use bluegreen_metrics::{Metrics, MetricsConfig};
use http_body_util::BodyExt as _;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};

use crate::account::{Account, seconds};

fn router() -> Router {
    let slowly = |text: &'static str, then: Result<Bytes, &'static str>| async move {
        let first = futures_util::stream::once(async move { Ok(Bytes::from(text)) });
        let second = futures_util::stream::once(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            then
        });
        Body::from_stream(futures_util::StreamExt::chain(first, second))
    };
    Router::new()
        .route("/fine", get(async || "fine"))
        .route("/missing", get(async || StatusCode::NOT_FOUND))
        .route("/broken", get(async || StatusCode::INTERNAL_SERVER_ERROR))
        .route("/panic", get(async || -> &'static str { panic!("a handler's own fault") }))
        .route("/never", get(async || std::future::pending::<&'static str>().await))
        .route("/long", get(move || slowly("a", Ok(Bytes::from("b")))))
        .route("/torn", get(move || slowly("a", Err("torn"))))
}

fn request(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

/// What a request left behind: count, errors, latency's count and sum, in flight.
async fn figures<F: Future<Output = ()>>(
    drive: impl FnOnce(Metrics) -> F,
) -> (f64, f64, f64, f64, f64) {
    let account = Account::new();
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    drive(metrics).await;
    running.stop(seconds(5)).await;
    let latency = account.series("RequestLatency");
    let (count, sum) = latency.first().map_or((0.0, 0.0), |latency| (latency.count, latency.sum));
    (account.sum("RequestCount"), account.sum("ErrorCount"), count, sum, account.sum("InFlight"))
}

#[tokio::test(start_paused = true)]
async fn a_request_counts_with_its_outcome_and_the_time_until_its_body_ended() {
    for (path, errors, millis) in [
        ("/fine", 0.0, 0.0),
        ("/missing", 0.0, 0.0),
        ("/broken", 1.0, 0.0),
        ("/long", 0.0, 100.0),
        ("/torn", 1.0, 100.0),
    ] {
        let seen = figures(|metrics| async move {
            let service = metrics.http_layer().layer(router());
            let response = service.oneshot(request(path)).await.unwrap();
            drop(response.into_body().collect().await);
        });
        assert_eq!(seen.await, (1.0, errors, 1.0, millis, 0.0), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_dropped_half_way_ends_its_request_without_an_error() {
    let seen = figures(|metrics| async move {
        let service = metrics.http_layer().layer(router());
        let mut response = service.oneshot(request("/long")).await.unwrap();
        assert_eq!(response.frame().await.unwrap().unwrap().into_data().unwrap(), "a");
        tokio::time::sleep(Duration::from_millis(30)).await;
    });
    assert_eq!(seen.await, (1.0, 0.0, 1.0, 30.0, 0.0));
}

#[tokio::test(start_paused = true)]
async fn a_request_abandoned_before_its_answer_counts_with_the_time_until_then() {
    let seen = figures(|metrics| async move {
        let service = metrics.http_layer().layer(router());
        let answer = service.oneshot(request("/never"));
        assert!(tokio::time::timeout(Duration::from_millis(50), answer).await.is_err());
    });
    assert_eq!(seen.await, (1.0, 0.0, 1.0, 50.0, 0.0));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_an_error() {
    let seen = figures(|metrics| async move {
        let service = metrics.http_layer().layer(router());
        let answer = tokio::spawn(service.oneshot(request("/panic")));
        assert!(answer.await.unwrap_err().is_panic());
    });
    assert_eq!(seen.await, (1.0, 1.0, 1.0, 0.0, 0.0));
}

/// As tower-http's `CatchPanic` does, outside of which the client sees a 500.
#[tokio::test(start_paused = true)]
async fn a_panic_that_a_layer_outside_catches_is_an_error() {
    let seen = figures(|metrics| async move {
        let service = metrics.http_layer().layer(router());
        let mut answer = Box::pin(service.oneshot(request("/panic")));
        let caught = std::future::poll_fn(|cx| {
            let poll = AssertUnwindSafe(|| answer.as_mut().poll(cx).map(drop));
            Poll::Ready(catch_unwind(poll).is_err())
        });
        assert!(caught.await);
        drop(answer);
    });
    assert_eq!(seen.await, (1.0, 1.0, 1.0, 0.0, 0.0));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_service_is_an_error() {
    let seen = figures(|metrics| async move {
        let failing =
            service_fn(|_: Request<Body>| async { Err::<http::Response<Body>, _>("refused") });
        let mut service = metrics.http_layer().layer(failing);
        service.ready().await.unwrap().call(request("/")).await.unwrap_err();
    });
    assert_eq!(seen.await, (1.0, 1.0, 1.0, 0.0, 0.0));
}

#[tokio::test(start_paused = true)]
async fn requests_that_are_still_worked_on_are_in_flight_and_not_counted() {
    let seen = figures(|metrics| async move {
        let hold = service_fn(|_: Request<Body>| {
            std::future::pending::<Result<http::Response<Body>, Infallible>>()
        });
        let service = metrics.http_layer().layer(hold);
        for _ in 0..3 {
            drop(tokio::spawn(service.clone().oneshot(request("/"))));
        }
        tokio::time::sleep(seconds(1)).await;
    });
    assert_eq!(seen.await, (0.0, 0.0, 0.0, 0.0, 3.0));
}

#[tokio::test(start_paused = true)]
async fn count_errors_and_latencies_add_up_in_every_window() {
    let account = Account::new();
    let config = MetricsConfig::default();
    let (metrics, running) = account.start(Color::Blue, config);
    let service = metrics.http_layer().layer(router());
    for n in 0..300 {
        let path = if n % 3 == 0 { "/torn" } else { "/long" };
        let response = service.clone().oneshot(request(path)).await.unwrap();
        drop(response.into_body().collect().await);
        tokio::time::sleep(Duration::from_millis(900)).await;
    }
    running.stop(seconds(5)).await;
    let count = account.read("RequestCount", "Sum", 60).await;
    assert_eq!(count, account.read("RequestLatency", "SampleCount", 60).await);
    assert_eq!(count.iter().map(|(_, count)| count).sum::<f64>(), 300.0);
    let errors = account.read("ErrorCount", "Sum", 60).await;
    assert_eq!(errors.iter().map(|(_, count)| count).sum::<f64>(), 100.0);
}

#[tokio::test(start_paused = true)]
async fn routes_are_told_apart_by_their_pattern_and_add_up_to_the_color() {
    let account = Account::new();
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    let by_pattern = metrics.http_layer().by_route(|request| {
        let matched = request.extensions.get::<axum::extract::MatchedPath>();
        matched.map(axum::extract::MatchedPath::as_str)
    });
    let service = Router::new()
        .route("/orders/{id}", get(async || "an order"))
        .route("/broken", get(async || StatusCode::INTERNAL_SERVER_ERROR))
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(by_pattern);
    for path in ["/orders/1", "/orders/2", "/broken", "/nothing", "/nowhere"] {
        let response = service.clone().oneshot(request(path)).await.unwrap();
        drop(response.into_body().collect().await);
    }
    running.stop(seconds(5)).await;
    let by_route = |name| {
        let all = account.series(name).into_iter();
        let route = |series: &bluegreen_local::cloudwatch::Series| {
            series.dimensions.get("Route").cloned().unwrap_or_default()
        };
        all.map(|series| (route(&series), series.sum)).collect::<Vec<_>>()
    };
    let counts = [("", 5.0), ("/broken", 1.0), ("/orders/{id}", 2.0), ("unmatched", 2.0)];
    let errors = [("", 1.0), ("/broken", 1.0), ("/orders/{id}", 0.0), ("unmatched", 0.0)];
    let expected = |figures: [(&str, f64); 4]| figures.map(|(route, sum)| (route.to_owned(), sum));
    let sorted = |name| {
        let mut figures = by_route(name);
        figures.sort_by(|(one, _), (other, _)| one.cmp(other));
        figures
    };
    assert_eq!(sorted("RequestCount"), expected(counts));
    assert_eq!(sorted("ErrorCount"), expected(errors));
    assert_eq!(account.series("RequestLatency").len(), 4);
}

#[tokio::test(start_paused = true)]
async fn paths_taken_for_routes_are_folded_beyond_the_cap() {
    let account = Account::new();
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    let service =
        metrics.http_layer().by_route(|request| Some(request.uri.path())).layer(service_fn(
            |_: Request<Body>| async { Ok::<_, Infallible>(http::Response::new(Body::empty())) },
        ));
    for n in 0..20_000 {
        drop(service.clone().oneshot(request(&format!("/orders/{n}"))).await.unwrap());
    }
    let report = running.stop(seconds(5)).await;
    let series = account.series("RequestCount");
    // The hundred of the cap, the one they overflow into, and the color as a whole.
    assert_eq!(series.len(), 102);
    assert_eq!(series.iter().map(|series| series.sum).sum::<f64>(), 40_000.0);
    assert_eq!(report.stats.folded, 19_900);
    assert_eq!(account.sum("MetricsFolded"), 19_900.0);
}

#[tokio::test(start_paused = true)]
async fn layers_inside_of_one_another_record_a_request_each() {
    let seen = figures(|metrics| async move {
        let inner = metrics.http_layer().layer(router());
        let response = metrics.http_layer().layer(inner).oneshot(request("/long")).await.unwrap();
        drop(response.into_body().collect().await);
    });
    assert_eq!(seen.await, (2.0, 0.0, 2.0, 200.0, 0.0));
}

#[tokio::test(start_paused = true)]
async fn an_upgraded_connection_counts_until_its_answer_was_sent() {
    let seen = figures(|metrics| async move {
        let upgrading = service_fn(|_: Request<Body>| async {
            tokio::time::sleep(Duration::from_millis(40)).await;
            let answer = http::Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
            Ok::<_, Infallible>(answer.body(Body::empty()).unwrap())
        });
        let response = metrics.http_layer().layer(upgrading).oneshot(request("/")).await.unwrap();
        // A server drops the body once it has the head out, and the connection goes on.
        drop(response);
        tokio::time::sleep(seconds(1)).await;
    });
    assert_eq!(seen.await, (1.0, 0.0, 1.0, 40.0, 0.0));
}

/// A body that breaks where a server polls it.
struct Panicking;

impl http_body::Body for Panicking {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        panic!("a body's own fault")
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_body_or_of_the_call_itself_is_an_error_once() {
    let seen = figures(|metrics| async move {
        let service = service_fn(|_: Request<Body>| async {
            Ok::<_, Infallible>(http::Response::new(Panicking))
        });
        let response = metrics.http_layer().layer(service).oneshot(request("/")).await.unwrap();
        let body = tokio::spawn(response.into_body().collect());
        assert!(body.await.unwrap_err().is_panic());
    });
    assert_eq!(seen.await, (1.0, 1.0, 1.0, 0.0, 0.0));
    let seen = figures(|metrics| async move {
        type Answer = std::future::Ready<Result<http::Response<Body>, Infallible>>;
        let service = service_fn(|_: Request<Body>| -> Answer { panic!("before any future") });
        let mut service = metrics.http_layer().layer(service);
        let call = AssertUnwindSafe(|| drop(service.call(request("/"))));
        assert!(catch_unwind(call).is_err());
    });
    assert_eq!(seen.await, (1.0, 1.0, 1.0, 0.0, 0.0));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_never_polled_ends_its_request_when_it_is_dropped() {
    let seen = figures(|metrics| async move {
        let service = metrics.http_layer().layer(router());
        let response = service.oneshot(request("/long")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(response);
    });
    assert_eq!(seen.await, (1.0, 0.0, 1.0, 20.0, 0.0));
}

/// A real server, which sends no body to HEAD, and an interim answer before it reads one.
#[tokio::test]
async fn a_real_servers_head_and_interim_answers_are_one_request_each() {
    use std::io::{Read as _, Write as _};
    let account = Account::new();
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    let length = async |body: Bytes| body.len().to_string();
    let routes = router().route("/length", axum::routing::post(length));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = routes.layer(metrics.http_layer());
    let server = tokio::spawn(axum::serve(listener, routes).into_future());
    let answers = tokio::task::spawn_blocking(move || {
        [
            "HEAD /fine HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            "HEAD /long HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            "GET /long HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            "POST /length HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\nconnection: close\r\n\
             content-length: 3\r\n\r\nabc",
        ]
        .map(|request| {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        })
    });
    let answers = answers.await.unwrap();
    assert!(answers[3].starts_with("HTTP/1.1 100 Continue"), "{}", answers[3]);
    assert!(answers.iter().all(|answer| answer.contains("HTTP/1.1 200 OK")), "{answers:?}");
    server.abort();
    running.stop(seconds(5)).await;
    let sums = ["RequestCount", "ErrorCount", "InFlight"].map(|name| account.sum(name));
    assert_eq!(sums, [4.0, 0.0, 0.0]);
    assert_eq!(account.series("RequestLatency")[0].count, 4.0);
}
