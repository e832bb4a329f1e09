//! What nobody means to do and somebody will: names of any text, a thousand threads, several
//! runtimes, clocks that are decades off, stops without time, an hour without CloudWatch.

use std::convert::Infallible;
use std::sync::Barrier;
use std::time::{Duration, UNIX_EPOCH};

use axum::body::Body;
use axum::http::{Request, Response};
use bluegreen_core::{Clock, Color, Stop};
use bluegreen_local::{Fault, Rule, Service};
use bluegreen_metrics::{Metrics, MetricsConfig, MetricsError, Unit};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::account::{Account, NAMESPACE, Running, at, identity, seconds};

/// Texts that CloudWatch takes, and others.
fn texts() -> Vec<String> {
    let long = "x".repeat(10_240);
    let texts = [
        "",
        " ",
        "\t",
        "a\nb",
        "\0",
        "\u{7f}",
        &long,
        "küche",
        "💥",
        "\u{202e}evil",
        ":x",
        "::",
        "\"\\{}'; --",
        "Environment",
        "_aws",
    ];
    texts.map(str::to_owned).to_vec()
}

#[tokio::test(start_paused = true)]
async fn texts_of_any_kind_are_refused_by_name_or_made_to_fit_and_lose_no_record() {
    let account = Account::new();
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    let texts = texts();
    let mut taken = 0.0;
    for text in &texts {
        for labels in [[("label", text.as_str())], [(text.as_str(), "value")]] {
            match metrics.counter_with("n", Unit::Count, &labels) {
                Ok(counter) => {
                    counter.increment();
                    taken += 1.0;
                }
                Err(MetricsError::Name { found, .. }) => assert_eq!(found, *text),
                Err(error) => panic!("{error}"),
            }
        }
    }
    ::metrics::with_local_recorder(&metrics.recorder(), || {
        for text in &texts {
            ::metrics::counter!("value", "label" => text.clone()).increment(1);
            ::metrics::counter!("label", text.clone() => "value").increment(1);
            ::metrics::counter!(format!("{text}named")).increment(1);
        }
    });
    let by_text = metrics.http_layer().by_route(|request| {
        let text = request.extensions.get::<String>();
        text.map(String::as_str)
    });
    let service = by_text.layer(service_fn(async |_: Request<Body>| {
        Ok::<_, Infallible>(Response::new(Body::empty()))
    }));
    for text in &texts {
        let request = Request::builder().extension(text.clone()).body(Body::empty()).unwrap();
        drop(service.clone().oneshot(request).await.unwrap());
    }
    let stats = running.stop(seconds(5)).await.stats;
    assert_eq!((stats.failed_sends.total(), stats.dropped.total()), (0, 0), "{stats:?}");
    let all = account.world.cloudwatch_service().series(NAMESPACE);
    let sum = |is: &dyn Fn(&str) -> bool| {
        all.iter().filter(|series| is(&series.name)).map(|series| series.sum).sum::<f64>()
    };
    assert_eq!(sum(&|name| name == "n"), taken);
    assert!(taken > 3.0 && taken < 2.0 * texts.len() as f64, "{taken}");
    let texts = texts.len() as f64;
    assert_eq!(sum(&|name| name == "value"), texts);
    assert_eq!(sum(&|name| name == "label"), texts);
    // The longest name is cut before its end.
    assert_eq!(sum(&|name| name.ends_with("named") || name.starts_with("xx")), texts);
    // By route and as a whole.
    assert_eq!(sum(&|name| name == "RequestCount"), 2.0 * texts);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_threads_at_once_lose_nothing() {
    const THREADS: usize = 1_000;
    const EACH: u32 = 1_000;
    let account = Account::new();
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    let (counter, gauge) =
        (metrics.counter("n", Unit::Count).unwrap(), metrics.gauge("g", Unit::Count).unwrap());
    let values = metrics.distribution("d", Unit::None).unwrap();
    let all_here = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                // The thread's number is drawn before, and all of them live.
                counter.add(0);
                all_here.wait();
                for n in 1..=EACH {
                    counter.increment();
                    gauge.add(1.0);
                    values.record(f64::from(n));
                }
            });
        }
    });
    running.stop(seconds(5)).await;
    let records = THREADS as f64 * f64::from(EACH);
    assert_eq!((account.sum("n"), account.sum("g")), (records, records));
    let arrived = &account.series("d")[0];
    assert_eq!(arrived.count, records);
    let expected = records * f64::from(EACH + 1) / 2.0;
    assert!((arrived.sum - expected).abs() <= 1e-9 * expected, "{arrived:?}");
    assert_eq!(account.read("d", "Minimum", 60).await[0].1, 1.0);
    assert_eq!(account.read("d", "Maximum", 60).await[0].1, f64::from(EACH));
}

#[tokio::test(start_paused = true)]
async fn several_runtimes_and_none_record_into_one_publisher() {
    let account = Account::new();
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    let recorder = metrics.recorder();
    let record = || {
        ::metrics::with_local_recorder(&recorder, || {
            ::metrics::counter!("n", "from" => "a macro").increment(1);
            ::metrics::histogram!("d").record(4.0);
        });
    };
    let timer = metrics.timer("t", bluegreen_metrics::TimeUnit::Seconds).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(async { record() });
                drop(runtime);
                // And outside of any.
                record();
                timer.start().stop();
            });
        }
    });
    running.stop(seconds(5)).await;
    assert_eq!(account.sum("n"), 6.0);
    assert_eq!((account.series("d")[0].count, account.series("t")[0].count), (6.0, 3.0));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_decades_off_ends_in_counted_drops_and_not_in_a_loop() {
    const YEAR: Duration = Duration::from_secs(365 * 86_400);
    for (what, start) in [
        ("before 1970", UNIX_EPOCH - 3 * YEAR),
        ("1970", UNIX_EPOCH),
        ("decades back", at(0) - 30 * YEAR),
        ("decades ahead", at(0) + 75 * YEAR),
        ("centuries ahead", at(0) + 9_000 * YEAR),
    ] {
        let account = Account::new();
        let config = MetricsConfig::default().with_clock(Clock::starting_at(start));
        let (metrics, publisher) =
            Metrics::new(account.client(), NAMESPACE, &identity(Color::Blue), config).unwrap();
        let running = Running::new(publisher);
        let counters: Vec<_> =
            (0..10).map(|n| metrics.counter(&format!("n{n}"), Unit::Count).unwrap()).collect();
        for _ in 0..3 {
            counters.iter().for_each(|counter| counter.increment());
            tokio::time::sleep(seconds(60)).await;
        }
        let before = tokio::time::Instant::now();
        let stats = running.stop(seconds(60)).await.stats;
        assert!(before.elapsed() < seconds(60), "{what}: {stats:?}");
        assert_eq!((stats.sent, stats.pending), (0, 0), "{what}: {stats:?}");
        let lost = stats.dropped.invalid + stats.dropped.stale;
        assert!(lost >= 10 && lost == stats.dropped.total(), "{what}: {stats:?}");
        // Each datum alone, and the halves above.
        let calls = account.world.calls(Service::CloudWatch, "PutMetricData");
        assert!(calls < 200, "{what}: {calls} calls");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_without_time_ends_at_once_and_counts_what_is_left() {
    for under_way in [false, true] {
        let account = Account::new();
        account.world.faults().inject(Rule::new(Account::puts(), Fault::Hang)).keep();
        let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
        let counter = metrics.counter("n", Unit::Count).unwrap();
        Account::between_windows().await;
        counter.increment();
        tokio::time::sleep(seconds(if under_way { 75 } else { 5 })).await;
        counter.increment();
        let before = tokio::time::Instant::now();
        let stats = running.stop(Duration::ZERO).await.stats;
        assert!(before.elapsed() < Duration::from_millis(10), "{under_way}");
        // And what there was to tell of the call that was cut off.
        let (left, lost) = (1 + u64::from(under_way), stats.dropped.shutdown);
        assert!(lost >= left && lost == stats.dropped.total(), "{under_way}: {stats:?}");
        assert_eq!((stats.sent, stats.pending), (0, 0), "{under_way}: {stats:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_stop_with_less_time_is_the_one_that_holds() {
    let account = Account::new();
    account.world.faults().inject(Rule::new(Account::puts(), Fault::Throttle)).keep();
    let (metrics, publisher) = account.metrics(Color::Blue, MetricsConfig::default());
    metrics.counter("n", Unit::Count).unwrap().increment();
    let (stopper, stop) = Stop::new();
    let running = tokio::spawn(publisher.run(stop));
    stopper.stop(seconds(600));
    tokio::time::sleep(seconds(2)).await;
    assert!(!running.is_finished());
    let before = tokio::time::Instant::now();
    stopper.stop(seconds(3));
    let Ok(report) = running.await.unwrap();
    assert_eq!(before.elapsed(), seconds(3));
    assert_eq!((report.stats.sent, report.stats.pending), (0, 0));
    assert!(report.stats.dropped.shutdown >= 1, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn an_hour_without_cloudwatch_under_load_stays_within_its_memory_and_keeps_the_newest() {
    const BYTES: usize = 256 * 1024;
    for fault in [Fault::Throttle, Fault::Unavailable, Fault::Hang] {
        let account = Account::new();
        let outage = account.world.faults().inject(Rule::new(Account::puts(), fault));
        let config = MetricsConfig::default().with_max_pending_bytes(BYTES);
        let (metrics, running) = account.start(Color::Blue, config);
        let values: Vec<_> =
            (0..10).map(|n| metrics.distribution(&format!("d{n}"), Unit::None).unwrap()).collect();
        Account::between_windows().await;
        for minute in 0..60 {
            for values in &values {
                // Nine full datums a minute, of 2.5 KiB each.
                (0..1_350).for_each(|n| values.record(1.008f64.powi(n) + f64::from(minute) / 1e3));
            }
            tokio::time::sleep(seconds(60)).await;
            let pending = usize::try_from(metrics.stats().pending).unwrap();
            assert!(pending * 2_500 <= 2 * BYTES, "{fault:?}: {pending} in minute {minute}");
        }
        let lost = metrics.stats().dropped.overflow;
        assert!(lost > 4_000, "{fault:?}: {lost}");
        drop(outage);
        let stats = running.stop(seconds(60)).await.stats;
        assert_eq!(stats.dropped.total(), stats.dropped.overflow, "{fault:?}: {stats:?}");
        let newest = account.read("d9", "SampleCount", 60).await;
        assert_eq!(newest.last().map(|(start, _)| *start), Some(3_540), "{fault:?}");
        assert_eq!(newest.last().map(|(_, count)| *count), Some(1_350.0), "{fault:?}");
        assert!(account.sum("MetricsDropped") > 0.0, "{fault:?}");
    }
}

/// When in the paused time calls are made, in tenths of a second.
async fn moments_of_calls(account: &Account, tenths: u64) -> Vec<u64> {
    let calls = || account.world.calls(Service::CloudWatch, "PutMetricData");
    let (mut moments, mut seen) = (Vec::new(), calls());
    for tenth in 0..tenths {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = calls();
        moments.extend((seen..now).map(|_| tenth));
        seen = now;
    }
    moments
}

#[tokio::test(start_paused = true)]
async fn each_process_of_a_fleet_sends_at_its_own_moment_of_the_minute() {
    const PROCESSES: usize = 6;
    let account = Account::new();
    let mut fleet = Vec::new();
    for n in 0..PROCESSES {
        let mut who = identity(Color::Blue);
        who.instance = format!("host-{n}");
        let config = MetricsConfig::default().with_clock(account.clock);
        let (metrics, publisher) = Metrics::new(account.client(), NAMESPACE, &who, config).unwrap();
        fleet.push((metrics.http_layer(), Running::new(publisher)));
    }
    let moments = moments_of_calls(&account, 3 * 600).await;
    let (first, second) = moments.split_at(PROCESSES);
    // A sixth of the interval after the minute's end, and no two at once.
    assert!(first.iter().all(|tenth| (600..=700).contains(tenth)), "{moments:?}");
    assert!(first.is_sorted_by(|one, next| one < next), "{moments:?}");
    // Each one's moment is the same in every minute.
    let again: Vec<_> = first.iter().map(|tenth| tenth + 600).collect();
    assert_eq!(second, again);
}
