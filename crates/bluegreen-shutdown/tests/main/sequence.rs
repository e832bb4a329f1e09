//! The whole way down, at the times that ECS and the load balancer give.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bluegreen_core::Stop;
use bluegreen_shutdown::{Level, LevelEnd, Lifecycle, LifecycleConfig, Outcome, ShutdownReport};
use proptest::prelude::*;
use tokio::time::Instant;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// ECS's default: 30 s.
fn ecs_default() -> LifecycleConfig {
    LifecycleConfig::default()
}

/// A `stopTimeout` of 60 s, of which 45 s are for the drain, and a deregistration delay of 30 s.
fn sixty_forty_five_thirty() -> LifecycleConfig {
    LifecycleConfig::default()
        .with_stop_timeout(secs(60))
        .with_deregistration_delay(secs(30))
        .with_drain_delay(secs(10))
        .with_requests(secs(34))
}

type Log = Arc<Mutex<Vec<(Level, Duration)>>>;

/// Runs one driver at each level; answers the report, the moments at which they were asked to
/// stop, and the whole time.
async fn play<F>(
    config: LifecycleConfig,
    end: impl Fn(Stop) -> F + Copy + Send + 'static,
) -> (ShutdownReport, Vec<(Level, Duration)>, Duration)
where
    F: Future<Output = ()> + Send,
{
    let mut lifecycle = Lifecycle::new(config).unwrap();
    let (log, begun) = (Log::default(), Instant::now());
    for level in Level::ALL {
        let log = Arc::clone(&log);
        lifecycle.spawn(level, level.as_str(), move |stop| async move {
            stop.requested().await;
            log.lock().unwrap().push((level, begun.elapsed()));
            end(stop).await;
            Ok::<_, std::io::Error>(())
        });
    }
    lifecycle.trigger().shut_down();
    let report = lifecycle.run().await;
    let asked = log.lock().unwrap().clone();
    (report, asked, begun.elapsed())
}

/// When each level is asked if all before it take their whole time.
fn expected(config: &LifecycleConfig) -> Vec<(Level, Duration)> {
    let mut begin = Duration::ZERO;
    let mut all = Vec::new();
    for level in Level::ALL {
        // Consumers stop receiving with the signal.
        all.push((level, if level == Level::Consumers { Duration::ZERO } else { begin }));
        begin = config.until_end_of(level);
    }
    all.sort_by_key(|(level, at)| (*at, *level));
    all
}

#[tokio::test(start_paused = true)]
async fn drivers_that_never_end_are_cut_level_by_level_within_the_stop_timeout() {
    for config in [ecs_default(), sixty_forty_five_thirty()] {
        assert_eq!(config.warnings(), []);
        let (report, mut asked, took) = play(config, |_| std::future::pending()).await;
        asked.sort_by_key(|(level, at)| (*at, *level));
        assert_eq!(asked, expected(&config));
        assert!(took <= config.stop_timeout, "{report}");
        assert_eq!(took, config.until_end_of(Level::Metrics));
        let names: Vec<_> = Level::ALL.iter().map(|level| level.as_str()).collect();
        assert_eq!(report.abandoned, names);
        for (level, left) in Level::ALL.into_iter().zip(&report.levels) {
            let expected = (level, config.budget(level), LevelEnd::DeadlinePassed);
            assert_eq!((left.level, left.took, left.end), expected);
        }
        assert_eq!(report.outcome(), Outcome::Abandoned);
    }
}

#[tokio::test(start_paused = true)]
async fn drivers_that_use_up_the_time_they_are_told_all_finish() {
    for config in [ecs_default(), sixty_forty_five_thirty()] {
        let (report, asked, took) = play(config, |stop| async move { stop.expired().await }).await;
        assert_eq!(asked.len(), Level::ALL.len());
        assert_eq!(report.outcome(), Outcome::Complete, "{report}");
        assert!(took <= config.until_end_of(Level::Metrics), "{report}");
        // 100 ms less than its budget each, but for the drain delay, which is waited out.
        assert_eq!(took, config.until_end_of(Level::Metrics) - Duration::from_millis(6 * 100));
        assert_eq!(report.finished.len(), Level::ALL.len());
    }
}

#[tokio::test(start_paused = true)]
async fn drivers_that_end_at_once_leave_the_drain_delay_alone() {
    for config in [ecs_default(), sixty_forty_five_thirty()] {
        let (report, asked, took) = play(config, |_| std::future::ready(())).await;
        assert_eq!(took, config.drain_delay);
        let below: Vec<_> =
            asked.iter().filter(|(_, at)| !at.is_zero()).map(|(level, _)| *level).collect();
        let order =
            [Level::Listener, Level::Requests, Level::Producers, Level::Support, Level::Metrics];
        assert_eq!(below, order);
        let consumers = report.finished.iter().find(|driver| driver.level == Level::Consumers);
        assert_eq!(consumers.unwrap().took, Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn consumers_in_a_poll_that_cannot_be_broken_off_keep_their_budget_after_it() {
    let config = ecs_default().with_longest_poll(secs(20)).with_stop_timeout(secs(31));
    assert_eq!(config.warnings(), []);
    let mut lifecycle = Lifecycle::new(config).unwrap();
    lifecycle.spawn(Level::Consumers, "orders", |stop| async move {
        stop.requested().await;
        tokio::time::sleep(secs(20)).await;
        stop.expired().await;
        Ok::<_, std::io::Error>(())
    });
    lifecycle.spawn(Level::Metrics, "deaf", |_| std::future::pending::<Result<(), String>>());
    lifecycle.trigger().shut_down();
    let begun = Instant::now();
    let report = lifecycle.run().await;
    // The requests ended sooner; the poll still counts from the signal.
    assert_eq!(report.finished[0].took, secs(25) - Duration::from_millis(100));
    assert_eq!(begun.elapsed(), secs(25 + 3) - Duration::from_millis(100));
    assert!(begun.elapsed() <= config.until_end_of(Level::Metrics));
}

/// Milliseconds of a budget, and of the time that the driver of its level takes.
fn any_level() -> impl Strategy<Value = (u64, u64)> {
    (1_u64..20_000, 0_u64..40_000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_drivers_take_no_level_exceeds_its_time_and_all_are_accounted_for(
        levels in prop::array::uniform7(any_level()),
        poll in 0_u64..60_000,
    ) {
        let budget = |level: Level| Duration::from_millis(levels[level as usize].0);
        let config = LifecycleConfig::default()
            .with_drain_delay(budget(Level::Readiness))
            .with_listener(budget(Level::Listener))
            .with_requests(budget(Level::Requests))
            .with_consumers(budget(Level::Consumers))
            .with_longest_poll(Duration::from_millis(poll))
            .with_producers(budget(Level::Producers))
            .with_support(budget(Level::Support))
            .with_metrics(budget(Level::Metrics));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        let (report, begun, ended) = runtime.unwrap().block_on(async {
            let mut lifecycle = Lifecycle::new(config).unwrap();
            for level in Level::ALL {
                let takes = Duration::from_millis(levels[level as usize].1);
                lifecycle.spawn(level, level.as_str(), move |stop| async move {
                    stop.requested().await;
                    tokio::time::sleep(takes).await;
                    Ok::<_, std::io::Error>(())
                });
            }
            lifecycle.trigger().shut_down();
            let begun = Instant::now();
            (lifecycle.run().await, begun, Instant::now())
        });
        // The paused clock moves in whole milliseconds.
        let rounding = Duration::from_millis(7);
        prop_assert!(ended - begun <= config.until_end_of(Level::Metrics) + rounding, "{report}");
        prop_assert_eq!(report.finished.len() + report.abandoned.len(), Level::ALL.len());
        for level in &report.levels {
            let late = level.took.saturating_sub(config.budget(level.level));
            let poll = if level.level == Level::Consumers { config.longest_poll } else { Duration::ZERO };
            prop_assert!(late <= poll + rounding, "{report}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn budgets_beyond_all_measure_are_as_good_as_no_limit() {
    let config = ecs_default().with_stop_timeout(Duration::MAX).with_requests(Duration::MAX);
    let (report, _, took) = play(config, |_| std::future::ready(())).await;
    assert_eq!((report.outcome(), took), (Outcome::Complete, config.drain_delay));
}
