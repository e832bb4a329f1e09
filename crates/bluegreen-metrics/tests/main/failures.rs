use std::time::Duration;

use bluegreen_core::{Color, Share};
use bluegreen_local::{Fault, Rule, Service};
use bluegreen_metrics::{DimensionSet, Metrics, MetricsConfig, OnUnknown, Unit};

use crate::account::{Account, NAMESPACE, Running, at, client, identity, seconds};

fn puts(account: &Account) -> u64 {
    account.world.calls(Service::CloudWatch, "PutMetricData")
}

#[tokio::test(start_paused = true)]
async fn throttled_sends_join_the_next_flush_and_the_counts_are_equal() {
    let account = Account::new();
    let fault = Rule::new(Account::puts(), Fault::Throttle).first(2);
    let throttled = account.world.faults().inject(fault);
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    let counter = metrics.counter("n", Unit::Count).unwrap();
    let values = metrics.distribution("d", Unit::Milliseconds).unwrap();
    Account::between_windows().await;
    for minute in 1..=5u32 {
        counter.add(u64::from(minute));
        values.record(f64::from(minute));
        tokio::time::sleep(seconds(60)).await;
    }
    let report = running.stop(seconds(5)).await;
    assert_eq!(throttled.count(), 2);
    let minutes = [(0, 1.0), (60, 2.0), (120, 3.0), (180, 4.0), (240, 5.0)];
    assert_eq!(account.read("n", "Sum", 60).await, minutes);
    assert_eq!(account.read("d", "Sum", 60).await, minutes);
    assert_eq!(report.stats.failed_sends.throttled, 2);
    assert_eq!(report.stats.dropped.total(), 0);
    assert_eq!(account.sum("MetricsFailedSends"), 2.0);
}

#[tokio::test(start_paused = true)]
async fn a_failed_send_is_not_repeated_by_the_sdk() {
    let account = Account::new();
    account.world.faults().inject(Rule::new(Account::puts(), Fault::InternalError).first(1)).keep();
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    metrics.counter("n", Unit::Count).unwrap().increment();
    tokio::time::sleep(seconds(75)).await;
    assert_eq!(puts(&account), 1);
    assert_eq!(metrics.stats().failed_sends.unknown, 1);
    running.stop(seconds(5)).await;
}

#[tokio::test(start_paused = true)]
async fn a_third_of_the_sends_refused_loses_nothing() {
    let account = Account::new();
    let third = Share::percent(33).unwrap();
    for fault in [Fault::Throttle, Fault::AccessDenied] {
        account.world.faults().inject(Rule::new(Account::puts(), fault).some(third, 7)).keep();
    }
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    let counter = metrics.counter("n", Unit::Count).unwrap();
    for _ in 0..100 {
        counter.add(1_000);
        tokio::time::sleep(seconds(60)).await;
    }
    let report = running.stop(seconds(600)).await;
    assert_eq!(account.sum("n"), 100_000.0);
    assert_eq!(report.stats.dropped.total(), 0);
    let failed = report.stats.failed_sends;
    assert!(failed.throttled > 10 && failed.refused > 10, "{failed:?}");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_sent_again_or_dropped_as_set() {
    for (fault, on_unknown, arrived, resent, dropped) in [
        // Not stored, resent: exact.
        (Fault::InternalError, OnUnknown::Resend, 5.0, 1, 0),
        (Fault::Unavailable, OnUnknown::Resend, 5.0, 1, 0),
        (Fault::Reset, OnUnknown::Resend, 5.0, 1, 0),
        (Fault::Hang, OnUnknown::Resend, 5.0, 1, 0),
        // Stored, resent: twice, and known to be.
        (Fault::LostReply, OnUnknown::Resend, 10.0, 1, 0),
        // Not stored, dropped: lost, and known to be.
        (Fault::InternalError, OnUnknown::Drop, 0.0, 0, 1),
        (Fault::Reset, OnUnknown::Drop, 0.0, 0, 1),
        (Fault::Hang, OnUnknown::Drop, 0.0, 0, 1),
        // Stored, dropped: exact.
        (Fault::LostReply, OnUnknown::Drop, 5.0, 0, 1),
    ] {
        let account = Account::new();
        account.world.faults().inject(Rule::new(Account::puts(), fault).first(1)).keep();
        let config = MetricsConfig::default().with_on_unknown(on_unknown);
        let (metrics, running) = account.start(Color::Blue, config);
        metrics.counter("n", Unit::Count).unwrap().add(5);
        tokio::time::sleep(seconds(300)).await;
        let stats = running.stop(seconds(5)).await.stats;
        let case = format!("{fault:?} {on_unknown:?}: {stats:?}");
        assert_eq!(account.sum("n"), arrived, "{case}");
        assert_eq!(stats.failed_sends.unknown, 1, "{case}");
        assert_eq!((stats.resent, stats.dropped.unknown), (resent, dropped), "{case}");
        assert_eq!(account.sum("MetricsResent"), resent as f64, "{case}");
        // In all, and by cause.
        assert_eq!(account.sum("MetricsDropped"), dropped as f64, "{case}");
        let causes: Vec<_> = account
            .series("MetricsDroppedByCause")
            .into_iter()
            .map(|series| (series.dimensions.get("Cause").cloned(), series.sum))
            .collect();
        let told = [(Some("unknown".to_owned()), dropped as f64)];
        assert_eq!(causes, if dropped == 0 { &[][..] } else { &told }, "{case}");
        assert_eq!(account.sum("MetricsFailedSends"), 1.0, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn past_the_bound_the_oldest_go_and_are_counted_and_published() {
    let account = Account::new();
    let outage = account.world.faults().inject(Rule::new(Account::puts(), Fault::Throttle));
    let config = MetricsConfig::default().with_max_pending_bytes(64 * 1024);
    let (metrics, running) = account.start(Color::Blue, config);
    let counters: Vec<_> =
        (0..10).map(|n| metrics.counter(&format!("n{n}"), Unit::Count).unwrap()).collect();
    Account::between_windows().await;
    for _ in 0..100 {
        counters.iter().for_each(|counter| counter.increment());
        tokio::time::sleep(seconds(60)).await;
    }
    drop(outage);
    tokio::time::sleep(seconds(180)).await;
    let stats = metrics.stats();
    assert_eq!(stats.pending, 0);
    let sum: f64 = (0..10).map(|n| account.sum(&format!("n{n}"))).sum();
    let lost = 1_000.0 - sum;
    // Metrics about the metrics wait, and may go, in the same queue.
    assert!(lost > 400.0 && lost <= stats.dropped.overflow as f64, "{lost} {stats:?}");
    assert!(stats.dropped.overflow as f64 - lost < 100.0, "{lost} {stats:?}");
    let told = account.series("MetricsDroppedByCause");
    let causes = told.iter().map(|series| series.dimensions.get("Cause").map(String::as_str));
    assert_eq!(causes.collect::<Vec<_>>(), [Some("overflow")]);
    assert!(account.sum("MetricsDropped") > 0.0, "{told:?}");
    let newest = account.read("n0", "Sum", 60).await;
    assert!(newest.iter().any(|(start, _)| *start == 5_940), "{newest:?}");
    assert!(!newest.iter().any(|(start, _)| *start == 0), "{newest:?}");
    running.stop(seconds(5)).await;
}

/// Each comes, is forgotten, and lives on in its figures.
#[tokio::test(start_paused = true)]
async fn names_of_series_that_are_forgotten_in_an_outage_stay_within_the_bound() {
    let account = Account::new();
    let outage = account.world.faults().inject(Rule::new(Account::puts(), Fault::Throttle));
    let config =
        MetricsConfig::default().with_max_pending_bytes(64 * 1024).with_idle_ttl(seconds(60));
    let (metrics, running) = account.start(Color::Blue, config);
    Account::between_windows().await;
    for n in 0..100 {
        let user = format!("{n:0>1000}");
        metrics.counter_with("n", Unit::Count, &[("user", &user)]).unwrap().increment();
        tokio::time::sleep(seconds(60)).await;
    }
    drop(outage);
    tokio::time::sleep(seconds(75)).await;
    let stats = metrics.stats();
    let arrived = account.series("n");
    // Each takes more than a kilobyte, and beside them wait counts of failures and drops.
    assert!((25..64).contains(&arrived.len()), "{} {stats:?}", arrived.len());
    assert!(stats.dropped.overflow >= 100 - arrived.len() as u64, "{stats:?}");
    assert_eq!((stats.pending, stats.folded), (0, 0), "{stats:?}");
    let newest = arrived.iter().filter_map(|series| series.dimensions.get("user")).max();
    assert!(newest.is_some_and(|user| user.ends_with("99")), "{newest:?}");
    running.stop(seconds(5)).await;
}

#[tokio::test(start_paused = true)]
async fn a_datum_that_cloudwatch_never_takes_does_not_hold_up_the_others() {
    // Two hours and 40 seconds behind us at the flush: the second minute is too far ahead there.
    let account = Account::with_world_at(at(0) - seconds(2 * 3600 + 100));
    let config =
        MetricsConfig::default().with_flush_interval(seconds(120)).with_max_jitter(Duration::ZERO);
    let (metrics, running) = account.start(Color::Blue, config);
    let counters: Vec<_> =
        (0..10).map(|n| metrics.counter(&format!("n{n}"), Unit::Count).unwrap()).collect();
    Account::between_windows().await;
    for _ in 0..2 {
        counters.iter().for_each(|counter| counter.increment());
        tokio::time::sleep(seconds(60)).await;
    }
    // Each half that is refused is a call of its own, and ten a second are allowed.
    tokio::time::sleep(seconds(10)).await;
    let stats = metrics.stats();
    assert_eq!((stats.sent, stats.dropped.invalid, stats.pending), (10, 10, 0), "{stats:?}");
    (0..10).for_each(|n| assert_eq!(account.sum(&format!("n{n}")), 1.0));
    running.stop(seconds(5)).await;
}

#[tokio::test(start_paused = true)]
async fn the_stop_repeats_until_all_is_sent() {
    let account = Account::new();
    account.world.faults().inject(Rule::new(Account::puts(), Fault::Throttle).first(4)).keep();
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    metrics.counter("n", Unit::Count).unwrap().add(9);
    let stats = running.stop(seconds(30)).await.stats;
    assert_eq!(account.sum("n"), 9.0);
    assert_eq!((stats.failed_sends.throttled, stats.dropped.total()), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn the_stop_ends_at_its_deadline_and_counts_what_is_left() {
    for fault in [Fault::Throttle, Fault::Hang] {
        let account = Account::new();
        account.world.faults().inject(Rule::new(Account::puts(), fault)).keep();
        let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
        metrics.counter("n", Unit::Count).unwrap().add(9);
        tokio::time::sleep(seconds(5)).await;
        let before = tokio::time::Instant::now();
        let stats = running.stop(seconds(3)).await.stats;
        assert_eq!(before.elapsed(), seconds(3), "{fault:?}");
        assert_eq!((stats.sent, stats.dropped.shutdown, stats.pending), (0, 1, 0), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_the_deadline_cuts_off_is_counted_too() {
    let account = Account::new();
    account.world.faults().inject(Rule::new(Account::puts(), Fault::Hang)).keep();
    let config = MetricsConfig::default().with_max_jitter(Duration::ZERO);
    let (metrics, running) = account.start(Color::Blue, config);
    let counter = metrics.counter("n", Unit::Count).unwrap();
    Account::between_windows().await;
    counter.increment();
    tokio::time::sleep(seconds(61)).await;
    assert_eq!((puts(&account), metrics.stats().pending), (1, 1), "it is in the call");
    counter.increment();
    let stats = running.stop(seconds(1)).await.stats;
    assert_eq!((stats.sent, stats.dropped.shutdown, stats.pending), (0, 2, 0));
}

/// The first call hangs, begun before the stop or by it; the time-out alone is longer than what a
/// stop has.
#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_at_the_stop_leaves_time_for_all_that_waits_and_for_itself() {
    for under_way in [false, true] {
        for (on_unknown, lost) in [(OnUnknown::Resend, 0), (OnUnknown::Drop, 1_000)] {
            let account = Account::new();
            account.world.faults().inject(Rule::new(Account::puts(), Fault::Hang).first(1)).keep();
            let config = MetricsConfig::default()
                .with_on_unknown(on_unknown)
                .with_max_jitter(Duration::ZERO);
            let (metrics, running) = account.start(Color::Blue, config);
            Account::between_windows().await;
            // Three calls' worth.
            for n in 0..3_000 {
                metrics.counter(&format!("n{n}"), Unit::Count).unwrap().increment();
            }
            let case = format!("{under_way} {on_unknown:?}");
            if under_way {
                tokio::time::sleep(seconds(61)).await;
                assert_eq!((puts(&account), metrics.stats().pending), (1, 3_000), "{case}");
            }
            let before = tokio::time::Instant::now();
            let stats = running.stop(seconds(5)).await.stats;
            assert!(before.elapsed() < seconds(5), "{case}: {stats:?}");
            let all = account.world.cloudwatch_service().series(NAMESPACE);
            let counted = all.iter().filter(|series| series.name.starts_with('n'));
            let sum: f64 = counted.map(|series| series.sum).sum();
            assert_eq!(sum, (3_000 - lost) as f64, "{case}: {stats:?}");
            assert_eq!((stats.dropped.total(), stats.dropped.unknown), (lost, lost), "{case}");
            assert_eq!(stats.failed_sends.unknown, 1, "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_last_sends_have_to_tell_is_published_too() {
    for (fault, times, on_unknown) in [
        (Fault::Throttle, 3, OnUnknown::Resend),
        (Fault::InternalError, 3, OnUnknown::Resend),
        (Fault::LostReply, 1, OnUnknown::Drop),
    ] {
        let account = Account::new();
        account.world.faults().inject(Rule::new(Account::puts(), fault).first(times)).keep();
        let config = MetricsConfig::default().with_on_unknown(on_unknown);
        let (metrics, running) = account.start(Color::Blue, config);
        let level = metrics.gauge("level", Unit::Count).unwrap();
        level.set(4.0);
        metrics.counter("n", Unit::Count).unwrap().add(9);
        let stats = running.stop(seconds(60)).await.stats;
        let case = format!("{fault:?} {on_unknown:?}: {stats:?}");
        let told = |name| account.sum(name);
        assert_eq!(stats.failed_sends.total(), times, "{case}");
        assert_eq!(told("MetricsFailedSends"), times as f64, "{case}");
        assert_eq!(told("MetricsDropped"), stats.dropped.total() as f64, "{case}");
        assert_eq!(told("MetricsResent"), stats.resent as f64, "{case}");
        assert_eq!(told("n"), 9.0, "{case}");
        // A level is told once in a window, whatever is sent after it.
        assert_eq!(account.series("level")[0].count, 1.0, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_cloudwatch_delays_no_window() {
    let account = Account::new();
    let slow = Rule::new(Account::puts(), Fault::Delay(seconds(9)));
    account.world.faults().inject(slow).keep();
    let config = MetricsConfig::default()
        .with_resolution(bluegreen_metrics::Resolution::Second)
        .with_flush_interval(seconds(1));
    let (metrics, running) = account.start(Color::Blue, config);
    let counter = metrics.counter("n", Unit::Count).unwrap();
    Account::between_windows().await;
    for _ in 0..20 {
        counter.increment();
        tokio::time::sleep(seconds(1)).await;
    }
    running.stop(seconds(60)).await;
    let expected: Vec<_> = (0..20).map(|second| (second, 1.0)).collect();
    assert_eq!(account.read("n", "Sum", 1).await, expected);
}

/// A real client and a real port at which nobody listens.
#[tokio::test]
async fn with_cloudwatch_unreachable_recording_goes_on_and_failed_sends_are_counted() {
    let http = aws_smithy_http_client::Builder::new().build_http();
    let (metrics, publisher) =
        Metrics::new(client(http), NAMESPACE, &identity(Color::Blue), MetricsConfig::default())
            .unwrap();
    let counter = metrics.counter("n", Unit::Count).unwrap();
    counter.add(5);
    // Enough for one call on a busy machine.
    let stats = Running::new(publisher).stop(seconds(2)).await.stats;
    assert!(stats.failed_sends.unreachable >= 1, "{stats:?}");
    assert_eq!(stats.failed_sends.unreachable, stats.failed_sends.total(), "{stats:?}");
    assert_eq!((stats.sent, stats.resent), (0, 0));
    assert!(stats.dropped.shutdown >= 1, "{stats:?}");
}

#[tokio::test(start_paused = true)]
async fn without_credentials_nothing_was_sent_and_nothing_is_lost() {
    use aws_sdk_cloudwatch::config::{BehaviorVersion, Config, Region};
    let account = Account::new();
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .http_client(account.world.http_client())
        .build();
    let without = aws_sdk_cloudwatch::Client::from_conf(config);
    let config =
        MetricsConfig::default().with_on_unknown(OnUnknown::Drop).with_clock(account.clock);
    let (metrics, publisher) =
        Metrics::new(without, NAMESPACE, &identity(Color::Blue), config).unwrap();
    let running = Running::new(publisher);
    metrics.counter("n", Unit::Count).unwrap().add(5);
    tokio::time::sleep(seconds(75)).await;
    let stats = metrics.stats();
    assert_eq!((stats.failed_sends.unreachable, stats.pending), (1, 1), "{stats:?}");
    assert_eq!(puts(&account), 0);
    running.stop(Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn drops_are_counted_once_where_totals_over_labels_are_declared() {
    let account = Account::new();
    account.world.faults().inject(Rule::new(Account::puts(), Fault::Hang).first(1)).keep();
    let sets = [DimensionSet::color().with_labels(), DimensionSet::color()];
    let config =
        MetricsConfig::default().with_on_unknown(OnUnknown::Drop).with_dimension_sets(sets);
    let (metrics, running) = account.start(Color::Blue, config);
    metrics.counter("n", Unit::Count).unwrap().add(5);
    tokio::time::sleep(seconds(300)).await;
    let stats = running.stop(seconds(5)).await.stats;
    assert_eq!(account.sum("MetricsDropped"), stats.dropped.total() as f64, "{stats:?}");
}

/// After each class of fault what arrived, what was counted, and what is published agree to the datum.
#[tokio::test(start_paused = true)]
async fn counts_by_cause_are_exact_after_each_class_of_fault() {
    use bluegreen_local::Fault::{
        AccessDenied, Hang, InternalError, LostReply, Reset, Throttle, Unavailable,
    };
    const DATUMS: u64 = 40;
    for (fault, on_unknown, causes, copies) in [
        // Throttled, refused, unknown; and how often each datum of the batch arrives.
        (Throttle, OnUnknown::Resend, (1, 0, 0), 1),
        (AccessDenied, OnUnknown::Resend, (0, 1, 0), 1),
        (InternalError, OnUnknown::Resend, (0, 0, 1), 1),
        (Unavailable, OnUnknown::Resend, (0, 0, 1), 1),
        (Reset, OnUnknown::Resend, (0, 0, 1), 1),
        (Hang, OnUnknown::Resend, (0, 0, 1), 1),
        (LostReply, OnUnknown::Resend, (0, 0, 1), 2),
        (Throttle, OnUnknown::Drop, (1, 0, 0), 1),
        (InternalError, OnUnknown::Drop, (0, 0, 1), 0),
        (Hang, OnUnknown::Drop, (0, 0, 1), 0),
        (LostReply, OnUnknown::Drop, (0, 0, 1), 1),
    ] {
        let account = Account::new();
        account.world.faults().inject(Rule::new(Account::puts(), fault).first(1)).keep();
        let config = MetricsConfig::default().with_on_unknown(on_unknown);
        let (metrics, running) = account.start(Color::Blue, config);
        for n in 0..DATUMS {
            metrics.counter(&format!("n{n}"), Unit::Count).unwrap().increment();
        }
        tokio::time::sleep(seconds(300)).await;
        let stats = running.stop(seconds(30)).await.stats;
        let case = format!("{fault:?} {on_unknown:?}: {stats:?}");
        let failed = stats.failed_sends;
        assert_eq!((failed.throttled, failed.refused, failed.unknown), causes, "{case}");
        assert_eq!(failed.total(), 1, "{case}");
        let arrived: f64 = (0..DATUMS).map(|n| account.sum(&format!("n{n}"))).sum();
        assert_eq!(arrived, (copies * DATUMS) as f64, "{case}");
        let unknown = causes.2 * DATUMS;
        let (resent, dropped) = match on_unknown {
            OnUnknown::Resend => (unknown, 0),
            _ => (0, unknown),
        };
        // The surplus is at most what is known to be sent again, the loss what is known as dropped.
        assert_eq!((stats.resent, stats.dropped.unknown), (resent, dropped), "{case}");
        assert_eq!((stats.dropped.total(), stats.pending), (dropped, 0), "{case}");
        for (name, expected) in [
            ("MetricsFailedSends", 1),
            ("MetricsResent", resent),
            ("MetricsDropped", dropped),
            ("MetricsDroppedByCause", dropped),
        ] {
            assert_eq!(account.sum(name), expected as f64, "{name} {case}");
        }
    }
}

/// The hard end: nothing more is sent, what was in the call is known as pending, and recording goes on.
#[tokio::test(start_paused = true)]
async fn a_publisher_dropped_in_mid_call_harms_nobody() {
    let account = Account::new();
    account.world.faults().inject(Rule::new(Account::puts(), Fault::Hang)).keep();
    let (metrics, publisher) = account.metrics(Color::Blue, MetricsConfig::default());
    let counter = metrics.counter("n", Unit::Count).unwrap();
    counter.increment();
    let run = publisher.run(bluegreen_core::Stop::never());
    assert!(tokio::time::timeout(seconds(75), run).await.is_err());
    assert_eq!((puts(&account), metrics.stats().pending, metrics.stats().sent), (1, 1, 0));
    counter.increment();
    metrics.counter("another", Unit::Count).unwrap().increment();
    tokio::time::sleep(seconds(300)).await;
    assert_eq!(puts(&account), 1);
}
