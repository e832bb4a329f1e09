use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::routing::get as on_get;
use bluegreen_health::{Health, HealthConfig, HealthError, HealthPaths, Probe};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::sync::Notify;
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::scene::{ask, ask_through, get, health, identity, read};

async fn echo(request: Request<String>) -> Result<Response<String>, Infallible> {
    Ok(Response::new(request.uri().path().to_owned()))
}

#[tokio::test]
async fn health_paths_are_answered_and_all_others_pass_through() {
    let mut service = health().layer().layer(service_fn(echo));
    for path in ["/health", "/health/live", "/health/ready", "/health/startup"] {
        let (status, body) = ask_through(&mut service, path).await;
        assert_eq!(status, 200);
        assert!(body.starts_with("{\"status\":\"healthy\",\"environment\":\"blue\""), "{body}");
    }
    for path in ["/", "/healthy", "/health/", "/health/other", "/orders/health"] {
        assert_eq!(ask_through(&mut service, path).await, (200, path.to_owned()));
    }
    // The query is not part of the path.
    assert!(ask_through(&mut service, "/health?full=1").await.1.contains("checks"));
}

#[tokio::test]
async fn head_has_the_same_head_as_get_and_no_body() {
    let request =
        |method| Request::builder().method(method).uri("/health").body(String::new()).unwrap();
    let service = health().service();
    let get = service.clone().oneshot(request(Method::GET)).await.unwrap();
    let head = service.clone().oneshot(request(Method::HEAD)).await.unwrap();
    assert_eq!((get.status(), get.headers()), (head.status(), head.headers()));
    assert_eq!(get.headers()["cache-control"], "no-store");
    assert_eq!(get.headers()["content-type"], "application/json");
    let length: usize = get.headers()["content-length"].to_str().unwrap().parse().unwrap();
    assert_eq!(get.into_body().collect().await.unwrap().to_bytes().len(), length);
    assert!(head.into_body().collect().await.unwrap().to_bytes().is_empty());
}

#[tokio::test]
async fn other_methods_are_told_the_allowed_ones() {
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let request =
            Request::builder().method(&method).uri("/health/live").body(String::new()).unwrap();
        let response = health().service().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(response.headers()["allow"], "GET, HEAD");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["content-length"], "0");
    }
}

/// Counts how many requests are inside at once, and lets each out when told.
#[derive(Clone, Default)]
struct Inside {
    now: Arc<AtomicUsize>,
    gate: Arc<Notify>,
}

impl Inside {
    async fn visit(self) -> Result<Response<String>, Infallible> {
        self.now.fetch_add(1, Ordering::SeqCst);
        self.gate.notified().await;
        self.now.fetch_sub(1, Ordering::SeqCst);
        Ok(Response::new("visited".to_owned()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_service_inside_leaves_health_on_and_keeps_its_back_pressure() {
    let inside = Inside::default();
    let service = ServiceBuilder::new()
        .layer(health().layer())
        .layer(ConcurrencyLimitLayer::new(1))
        .service(service_fn({
            let inside = inside.clone();
            move |_: Request<String>| inside.clone().visit()
        }));
    let visit = |mut service: tower::util::BoxCloneService<_, _, _>| {
        tokio::spawn(async move { ask_through(&mut service, "/orders").await })
    };
    let mut health = service.clone();
    let service = tower::util::BoxCloneService::new(service);
    let visits: Vec<_> = (0..3).map(|_| visit(service.clone())).collect();
    // One that gave up while it waited must not take its permit along.
    let given_up = visit(service.clone());
    tokio::time::sleep(Duration::from_millis(1)).await;
    given_up.abort();
    for left in (0..3).rev() {
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(inside.now.load(Ordering::SeqCst), 1, "{left} wait");
        assert_eq!(ask_through(&mut health, "/health").await.0, 200);
        inside.gate.notify_one();
    }
    for visit in visits {
        assert_eq!(visit.await.unwrap(), (200, "visited".to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn one_handle_may_wait_with_several_requests_at_once() {
    // As over HTTP/2: the permits must go to futures that wait, not to the handle itself.
    let inside = Inside::default();
    let mut service = ServiceBuilder::new()
        .layer(health().layer())
        .layer(ConcurrencyLimitLayer::new(1))
        .service(service_fn({
            let inside = inside.clone();
            move |_: Request<String>| inside.clone().visit()
        }));
    let mut visits = Vec::new();
    for _ in 0..4 {
        let visit = service.ready().await.unwrap().call(get("/orders"));
        visits.push(tokio::spawn(async move { read(visit.await.unwrap()).await.0 }));
        tokio::task::yield_now().await;
    }
    for visit in visits {
        inside.gate.notify_one();
        let answered = tokio::time::timeout(Duration::from_secs(1), visit).await;
        assert_eq!(answered.expect("it waits for a permit that nobody uses").unwrap(), 200);
    }
}

/// A service that is gone.
#[derive(Clone)]
struct Gone;

impl Service<Request<String>> for Gone {
    type Response = Response<String>;
    type Error = &'static str;
    type Future = std::future::Pending<Result<Response<String>, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(Err("the buffer's worker has died"))
    }

    fn call(&mut self, _: Request<String>) -> Self::Future {
        std::future::pending()
    }
}

#[tokio::test]
async fn a_service_inside_that_is_gone_fails_its_own_requests_only() {
    let service = health().layer().layer(Gone);
    let error = service.clone().oneshot(get("/orders")).await.unwrap_err();
    assert_eq!(error, "the buffer's worker has died");
    assert_eq!(service.oneshot(get("/health")).await.unwrap().status(), 200);
}

#[tokio::test]
async fn it_fits_an_axum_router_inside_and_out() {
    let router = || Router::<()>::new().route("/orders", on_get(|| async { "order" }));
    let around = health().layer().layer(router());
    let request = |path: &str| Request::get(path).body(axum::body::Body::empty()).unwrap();
    for path in ["/health", "/orders"] {
        assert_eq!(around.clone().oneshot(request(path)).await.unwrap().status(), 200);
        let within = router().layer(health().layer());
        assert_eq!(within.oneshot(request(path)).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn the_admin_port_knows_its_own_paths_and_no_others() {
    let config = HealthConfig::default().with_paths(HealthPaths::under("/internal/health"));
    let (health, _refresher) = Health::builder(&identity()).config(config).build().unwrap();
    assert_eq!(ask(&health, "/internal/health/ready").await.0, 200);
    assert_eq!(ask(&health, "/health").await.0, 404);
}

#[tokio::test]
async fn a_public_port_may_have_the_short_answers_alone() {
    let probe = Probe::new(|| async { Ok::<_, Infallible>(()) }).tagged("storage");
    let builder = Health::builder(&identity()).probe("db", probe).group("storage", ["storage"]);
    let (health, _refresher) = builder.build().unwrap();
    let mut public = health.layer().without_checks().layer(service_fn(echo));
    for path in ["/health", "/health/storage"] {
        assert_eq!(ask_through(&mut public, path).await, (200, path.to_owned()));
        assert_eq!(ask(&health, path).await.0, 503);
    }
    assert_eq!(ask_through(&mut public, "/health/ready").await.0, 503);
    assert!(ask_through(&mut public, "/health/live").await.1.contains("healthy"));
}

#[tokio::test]
async fn a_body_says_before_it_is_read_how_long_it_is_and_when_it_has_ended() {
    let service = health().layer().layer(service_fn(echo));
    for (path, length) in [("/orders", 7), ("/health/live", 41)] {
        let mut body = service.clone().oneshot(get(path)).await.unwrap().into_body();
        assert_eq!(http_body::Body::size_hint(&body).exact(), Some(length), "{path}");
        assert!(!http_body::Body::is_end_stream(&body));
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().len() as u64, length);
        assert!(http_body::Body::is_end_stream(&body), "{path}");
        assert_eq!(http_body::Body::size_hint(&body).exact(), Some(0), "{path}");
    }
    let head = Request::head("/health/live").body(String::new()).unwrap();
    let body = service.oneshot(head).await.unwrap().into_body();
    assert!(http_body::Body::is_end_stream(&body));
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let build = |config: HealthConfig| Health::builder(&identity()).config(config).build();
    let config = HealthConfig::default;
    let zero = build(config().with_interval(Duration::ZERO)).unwrap_err();
    assert_eq!(
        zero.to_string(),
        "interval of 0ns does not fit: it must be above zero, at most a day"
    );
    let probe = || Probe::new(|| async { Ok::<_, Infallible>(()) });
    let twice = Health::builder(&identity()).probe("db", probe()).probe("db", probe());
    assert_eq!(twice.build().unwrap_err(), HealthError::Name { found: "db".to_owned() });
    for name in ["", "db:x", "d\u{1b}b"] {
        let error = Health::builder(&identity()).probe(name, probe()).build().unwrap_err();
        assert_eq!(error, HealthError::Name { found: name.to_owned() });
    }
    // Two intervals of 5 s and a time-out of 3 s; then again for a quicker probe.
    let stale = |secs: u64, probe: Probe| {
        let config = config().with_staleness(Duration::from_secs(secs));
        Health::builder(&identity()).config(config).probe("db", probe).build().map(|_| ())
    };
    let error = stale(12, probe()).unwrap_err().to_string();
    assert!(error.starts_with("staleness of 12s does not fit"), "{error}");
    assert_eq!(stale(13, probe()), Ok(()));
    assert_eq!(stale(9, probe().with_interval(Duration::from_secs(1))), Ok(()));
    for staleness in [Duration::ZERO, Duration::MAX] {
        let error = build(config().with_staleness(staleness)).unwrap_err().to_string();
        assert!(error.ends_with("it must be above zero, at most a week"), "{error}");
    }
    let hasty = Health::builder(&identity()).probe("db", probe().with_timeout(Duration::ZERO));
    assert_eq!(
        hasty.build().unwrap_err().to_string(),
        "the time-out of probe \"db\", 0ns, must be above zero, at most a day"
    );
    let rare = probe().with_interval(Duration::from_secs(100_000));
    let rare = Health::builder(&identity()).probe("db", rare).build().unwrap_err();
    assert!(matches!(rare, HealthError::Probe { field: "interval", .. }), "{rare}");
    // What is fresh enough for one probe is not for another.
    let slow = probe().with_interval(Duration::from_secs(60));
    let config = config().with_staleness(Duration::from_secs(30));
    let slow = Health::builder(&identity()).config(config).probe("db", slow).build().unwrap_err();
    assert!(matches!(slow, HealthError::Duration { field: "staleness", .. }), "{slow}");
}
