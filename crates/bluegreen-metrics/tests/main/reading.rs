use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use bluegreen_core::{ByColor, Color, Figures, Latencies, Observation, Reading, ServiceKey};
use bluegreen_local::{Calls, Fault, Rule, Service};
use bluegreen_metrics::{Metrics, MetricsConfig, Reader, ReaderConfig, Resolution};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::account::{Account, NAMESPACE, at, seconds};

fn key() -> ServiceKey {
    ServiceKey::new("orders").unwrap()
}

fn reader(account: &Account, config: ReaderConfig) -> Reader {
    Reader::new(account.client(), NAMESPACE, key(), config.with_clock(account.clock)).unwrap()
}

/// One request that takes so long and ends so.
async fn request(metrics: &Metrics, millis: u64, status: StatusCode) {
    let service = service_fn(move |_: Request<Body>| async move {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        Ok::<_, Infallible>(response)
    });
    let service = metrics.http_layer().layer(service);
    drop(service.oneshot(Request::new(Body::empty())).await);
}

/// The instant so many seconds after the start of the account's clock.
fn tokio_instant(account: &Account, after: u64) -> tokio::time::Instant {
    let wait = at(after).duration_since(account.clock.now()).unwrap_or_default();
    tokio::time::Instant::now() + wait
}

fn readings(seen: &ByColor<Vec<Observation>>, color: Color) -> Vec<Reading> {
    seen.get(color).iter().map(|one| one.reading).collect()
}

#[tokio::test(start_paused = true)]
async fn figures_of_both_colors_come_back_as_they_were_published() {
    let account = Account::new();
    let (blue, running_blue) = account.start(Color::Blue, MetricsConfig::default());
    let (green, running_green) = account.start(Color::Green, MetricsConfig::default());
    drop(green.http_layer());
    for _ in 0..8 {
        request(&blue, 100, StatusCode::OK).await;
    }
    request(&blue, 400, StatusCode::BAD_GATEWAY).await;
    tokio::time::sleep(seconds(60)).await;
    request(&green, 50, StatusCode::OK).await;
    tokio::time::sleep(seconds(80)).await;
    let config = ReaderConfig::default().with_slow_bound(Duration::from_millis(250));
    let seen = reader(&account, config).observe(at(0), at(120)).await.unwrap();
    let counted = |requests, errors, millis, slow| {
        Reading::Counted(
            Figures::new(requests, errors, Duration::from_millis(millis)).with_slow(slow),
        )
    };
    assert_eq!(readings(&seen, Color::Blue), [counted(9, 1, 1_200, 1), Reading::NoTraffic]);
    assert_eq!(readings(&seen, Color::Green), [Reading::NoTraffic, counted(1, 0, 50, 0)]);
    assert_eq!(seen.blue[1].start, at(60));
    assert_eq!(seen.blue[1].length, seconds(60));
    running_blue.stop(seconds(5)).await;
    running_green.stop(seconds(5)).await;
}

#[tokio::test(start_paused = true)]
async fn latencies_come_back_between_bounds_and_add_up() {
    let account = Account::new();
    let (blue, running) = account.start(Color::Blue, MetricsConfig::default());
    for millis in [10, 20, 90, 240, 3_000] {
        request(&blue, millis, StatusCode::OK).await;
    }
    tokio::time::sleep(seconds(60)).await;
    for millis in [50, 150] {
        request(&blue, millis, StatusCode::OK).await;
    }
    running.stop(seconds(5)).await;
    let millis = Duration::from_millis;
    let bounds = [millis(100), millis(250), millis(1_000)];
    let config = ReaderConfig::default().with_latency_bounds(bounds);
    let seen = reader(&account, config).observe(at(0), at(120)).await.unwrap();
    let latencies: Vec<_> = seen.blue.iter().filter_map(|one| one.latencies.clone()).collect();
    let of = |counts: [u64; 3], slower| Latencies::new(bounds.into_iter().zip(counts), slower);
    assert_eq!(latencies, [of([3, 1, 0], 1), of([1, 1, 0], 0)]);
    let both = latencies[0].plus(&latencies[1]).unwrap();
    assert_eq!((both.count(), both.quantile(0.5)), (7, Some(millis(100))));
    assert!(seen.green.iter().all(|one| one.latencies.is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_request_at_the_bound_is_within_it_and_slow_begins_at_the_next_edge() {
    let account = Account::new();
    let (blue, running) = account.start(Color::Blue, MetricsConfig::default());
    // Microseconds of the requests of a minute, and how many of them are slow by 250 ms.
    let minutes: [(&[u64], u64); 6] = [
        (&[250_000], 0),
        (&[250_000, 250_990, 250_500], 0),
        (&[251_000], 1),
        (&[251_000, 251_990], 2),
        (&[1_000, 249_000, 250_000, 250_900, 251_000, 9_000_000], 2),
        (&[250_900, 250_900, 250_900, 251_100, 251_100, 251_900, 9_000_000], 4),
    ];
    for (minute, (requests, _)) in minutes.iter().enumerate() {
        tokio::time::sleep_until(tokio_instant(&account, minute as u64 * 60 + 1)).await;
        let layer = blue.http_layer();
        for micros in *requests {
            let service = layer.layer(service_fn(async |_: Request<Body>| {
                // A sleep would be rounded up to a millisecond.
                tokio::time::advance(Duration::from_micros(*micros)).await;
                Ok::<_, Infallible>(Response::new(Body::empty()))
            }));
            drop(service.oneshot(Request::new(Body::empty())).await);
        }
    }
    running.stop(seconds(5)).await;
    let bound = Duration::from_millis(250);
    let config = ReaderConfig::default().with_slow_bound(bound).with_latency_bounds([bound]);
    let seen = reader(&account, config).observe(at(0), at(360)).await.unwrap();
    for ((requests, slow), seen) in minutes.iter().zip(&seen.blue) {
        let all = requests.len() as u64;
        assert_eq!(seen.figures().unwrap().slow, Some(*slow), "{requests:?}");
        assert_eq!(seen.latencies, Some(Latencies::new([(bound, all - slow)], *slow)));
    }
    assert_eq!(seen.blue.len(), 6);
}

#[tokio::test(start_paused = true)]
async fn what_comes_in_pages_reads_as_what_comes_in_one() {
    let account = Account::new();
    let (blue, running_blue) = account.start(Color::Blue, MetricsConfig::default());
    let (green, running_green) = account.start(Color::Green, MetricsConfig::default());
    for minute in 0..20u64 {
        request(&blue, 10 + minute, StatusCode::OK).await;
        if minute % 3 == 0 {
            request(&green, 400, StatusCode::BAD_GATEWAY).await;
        }
        tokio::time::sleep(seconds(60)).await;
    }
    running_blue.stop(seconds(5)).await;
    running_green.stop(seconds(5)).await;
    let millis = Duration::from_millis;
    let config = ReaderConfig::default()
        .with_slow_bound(millis(250))
        .with_latency_bounds([millis(100), millis(250)]);
    let reader = reader(&account, config);
    let whole = reader.observe(at(0), at(1_200)).await.unwrap();
    let reads = || account.world.calls(Service::CloudWatch, "GetMetricData");
    assert_eq!(reads(), 1);
    for page in [1, 7, 50] {
        account.world.cloudwatch_service().limit_pages(page);
        let before = reads();
        assert_eq!(reader.observe(at(0), at(1_200)).await.unwrap(), whole, "{page}");
        assert!(reads() - before > 200 / page as u64, "{page}");
    }
    assert_eq!(whole.blue.len(), 20);
    assert!(whole.blue.iter().all(|one| one.figures().is_some_and(|one| one.requests == 1)));
}

#[tokio::test(start_paused = true)]
async fn a_color_that_reports_later_is_late_and_one_that_never_does_is_absent_once_settled() {
    let account = Account::new();
    let slow = MetricsConfig::default().with_flush_interval(seconds(120));
    let (blue, running_blue) = account.start(Color::Blue, MetricsConfig::default());
    let (green, running_green) = account.start(Color::Green, slow);
    drop((blue.http_layer(), green.http_layer()));
    let reader = reader(&account, ReaderConfig::default());
    // Of one minute, so long after its end.
    let look = async |minute: u64, after: u64| {
        let start = at(minute * 60);
        tokio::time::sleep_until(tokio_instant(&account, minute * 60 + 60 + after)).await;
        let seen = reader.observe(start, start + seconds(60)).await.unwrap();
        (readings(&seen, Color::Blue)[0], readings(&seen, Color::Green)[0])
    };
    use Reading::{Absent, Late, NoTraffic};
    // Neither has sent what it will; then blue has, then both.
    assert_eq!(look(0, 0).await, (Late, Late));
    assert_eq!(look(0, 20).await, (NoTraffic, Late));
    assert_eq!(look(0, 90).await, (NoTraffic, NoTraffic));
    running_green.stop(seconds(5)).await;
    // Green has ended and will never report this one.
    assert_eq!(look(5, 20).await, (NoTraffic, Late));
    assert_eq!(look(5, 179).await, (NoTraffic, Late));
    assert_eq!(look(5, 180).await, (NoTraffic, Absent));
    // What is late is not for ever: with all metrics cut off both are absent in the end.
    account.world.cloudwatch_service().hide_reads(true);
    assert_eq!(look(10, 179).await, (Late, Late));
    assert_eq!(look(10, 180).await, (Absent, Absent));
    running_blue.stop(seconds(5)).await;
}

#[tokio::test(start_paused = true)]
async fn what_cloudwatch_no_longer_keeps_is_an_error_and_not_a_silence() {
    let account = Account::new();
    let (blue, running) = account.start(Color::Blue, MetricsConfig::default());
    request(&blue, 10, StatusCode::OK).await;
    running.stop(seconds(5)).await;
    let reader = reader(&account, ReaderConfig::default());
    let days = |days: u64| seconds(days * 24 * 3600);
    tokio::time::sleep(days(15) - seconds(60)).await;
    let seen = reader.observe(at(0), at(60)).await.unwrap();
    assert_eq!(seen.blue[0].figures().unwrap().requests, 1);
    tokio::time::sleep(seconds(120)).await;
    let before = account.world.calls(Service::CloudWatch, "GetMetricData");
    let error = reader.observe(at(0), at(60)).await.unwrap_err();
    assert!(error.is_beyond_retention() && !error.is_retryable(), "{error}");
    assert_eq!(account.world.calls(Service::CloudWatch, "GetMetricData"), before);
}

#[tokio::test(start_paused = true)]
async fn a_day_in_one_look_goes_beyond_the_points_of_one_page() {
    const MINUTES: u64 = 1_400;
    let account = Account::new();
    let (blue, running_blue) = account.start(Color::Blue, MetricsConfig::default());
    let (green, running_green) = account.start(Color::Green, MetricsConfig::default());
    for _ in 0..MINUTES {
        request(&blue, 100, StatusCode::OK).await;
        request(&green, 200, StatusCode::OK).await;
        tokio::time::sleep(seconds(60) - Duration::from_millis(300)).await;
    }
    running_blue.stop(seconds(5)).await;
    running_green.stop(seconds(5)).await;
    let config = ReaderConfig::default()
        .with_slow_bound(Duration::from_millis(150))
        .with_latency_bounds((1..=40).map(|n| Duration::from_millis(n * 10)));
    let reader = reader(&account, config);
    let seen = reader.observe(at(0), at(MINUTES * 60)).await.unwrap();
    // 1,400 minutes of 45 figures of two colors: 126,000 points of 100,800.
    assert_eq!(account.world.calls(Service::CloudWatch, "GetMetricData"), 2);
    assert!((reader.dollars_per_look() - 0.0009).abs() < 1e-12);
    for (color, slow) in [(Color::Blue, 0), (Color::Green, 1)] {
        let figures: Vec<_> = seen.get(color).iter().filter_map(Observation::figures).collect();
        assert_eq!(figures.len() as u64, MINUTES);
        assert!(figures.iter().all(|one| (one.requests, one.slow) == (1, Some(slow))), "{color}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_of_which_a_page_is_throttled_is_no_look() {
    let account = Account::new();
    let (blue, running) = account.start(Color::Blue, MetricsConfig::default());
    request(&blue, 10, StatusCode::OK).await;
    running.stop(seconds(5)).await;
    let reader = reader(&account, ReaderConfig::default());
    account.world.cloudwatch_service().limit_pages(2);
    let reads = Calls::to(Service::CloudWatch).operation("GetMetricData");
    let throttled = account.world.faults().inject(Rule::new(reads, Fault::Throttle).after(1));
    let error = reader.observe(at(0), at(60)).await.unwrap_err();
    assert!(error.is_throttled() && error.is_retryable(), "{error}");
    drop(throttled);
    let seen = reader.observe(at(0), at(60)).await.unwrap();
    assert_eq!(seen.blue[0].figures().unwrap().requests, 1);
}

#[tokio::test(start_paused = true)]
async fn by_the_second() {
    let account = Account::new();
    let config = MetricsConfig::default()
        .with_resolution(Resolution::Second)
        .with_flush_interval(seconds(1));
    let (blue, running) = account.start(Color::Blue, config);
    tokio::time::sleep(Duration::from_millis(200)).await;
    request(&blue, 10, StatusCode::OK).await;
    tokio::time::sleep(seconds(2)).await;
    let config = ReaderConfig::default().with_resolution(Resolution::Second);
    let seen = reader(&account, config).observe(at(0), at(2)).await.unwrap();
    let counted = Reading::Counted(Figures::new(1, 0, Duration::from_millis(10)));
    assert_eq!(readings(&seen, Color::Blue), [counted, Reading::NoTraffic]);
    assert_eq!(seen.blue[0].length, seconds(1));
    running.stop(seconds(5)).await;
}

#[tokio::test(start_paused = true)]
async fn the_stage_keeps_staging_out_of_productions_figures() {
    let account = Account::new();
    let (blue, running) = account.start(Color::Blue, MetricsConfig::default());
    request(&blue, 10, StatusCode::OK).await;
    running.stop(seconds(5)).await;
    let staging = key().with_stage("staging").unwrap();
    let config = ReaderConfig::default().with_clock(account.clock);
    let reader = Reader::new(account.client(), NAMESPACE, staging, config).unwrap();
    let seen = reader.observe(at(0), at(60)).await.unwrap();
    assert_eq!(readings(&seen, Color::Blue), [Reading::Late]);
}

#[tokio::test(start_paused = true)]
async fn an_error_says_whether_to_ask_again() {
    let account = Account::new();
    let reader = reader(&account, ReaderConfig::default());
    let reads = Calls::to(Service::CloudWatch).operation("GetMetricData");
    for (fault, retryable, throttled) in [
        (Fault::Throttle, true, true),
        (Fault::InternalError, true, false),
        (Fault::Reset, true, false),
        (Fault::AccessDenied, false, false),
    ] {
        let _injected = account.world.faults().inject(Rule::new(reads.clone(), fault));
        let error = reader.observe(at(0), at(60)).await.unwrap_err();
        assert_eq!(error.is_retryable(), retryable, "{fault:?} {error}");
        assert_eq!(error.is_throttled(), throttled, "{fault:?} {error}");
        assert!(std::error::Error::source(&error).is_some(), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_whole_between_the_times_asks_nothing() {
    let account = Account::new();
    let reader = reader(&account, ReaderConfig::default());
    let seen = reader.observe(at(1), at(60)).await.unwrap();
    assert!(seen.blue.is_empty() && seen.green.is_empty());
    assert_eq!(account.world.calls(Service::CloudWatch, "GetMetricData"), 0);
}
