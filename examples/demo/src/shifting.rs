//! One shift, with everything it asks of the world, and what it decided on.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use bluegreen::metrics::{Reader, ReaderConfig, Resolution};
use bluegreen::traffic::alb::AlbWeights;
use bluegreen::traffic::{
    DecisionRecord, Event, Outcome, Plan, Shift, ShiftConfig, SourceError, Sources, Step,
    Thresholds, Verdict,
};
use bluegreen::{ByColor, Color, Release, Share, Stop};
use serde::Serialize;

use crate::load::{Attempt, Cause, Seen};
use crate::progress::Progress;
use crate::stage::Stage;

/// A shift with this play's sources. A macro, as the type of a closure has no name to return.
macro_rules! prepared {
    ($stage:ident, $progress:ident, $to:ident) => {{
        let cloudwatch = $stage.world.cloudwatch_as("operator");
        let fine = ReaderConfig::default()
            .with_resolution(Resolution::Second)
            .with_settle(Duration::from_secs(5));
        let reader = Reader::new(cloudwatch, "Orders", $stage.service.clone(), fine)?;
        let (proxy, progress) = ($stage.proxy.clone(), Arc::clone($progress));
        let (listener, groups) = ($stage.listener.clone(), $stage.target_groups.clone());
        let sources = Sources {
            observe: move |start, end| {
                let reader = reader.clone();
                async move {
                    let observed = reader.observe(start, end).await;
                    observed.map_err(|error| SourceError::passing("CloudWatch", error))
                }
            },
            weights: AlbWeights::listener($stage.world.elbv2_as("operator"), listener, groups),
            candidate_health: move |color| {
                let proxy = proxy.clone();
                async move { proxy.check(color).await.map_err(|error| error.to_string()) }
            },
            notify: move |event: &Event| tell(&progress, $to, event),
        };
        let (store, service) = ($stage.store.clone(), $stage.service.clone());
        Shift::new(store, service, plan(), thresholds(), sources)?.with_config(config())?
    }};
}

/// Some of the articles' steps, for seconds instead of minutes. Their first, 10 %, would give the
/// judge two requests a second to go by.
const STEPS: [u8; 3] = [25, 50, 100];
const DWELL: Duration = Duration::from_secs(4);

/// Moves traffic to `release` on `to`, step by step, and tells about it.
///
/// # Errors
/// When the shift cannot be begun or its end cannot be written.
pub async fn shift(
    stage: &Stage,
    progress: &Arc<Progress>,
    to: Color,
    release: &str,
) -> Result<Outcome> {
    let shift = prepared!(stage, progress, to);
    let outcome = shift.run(to, Release::new(release)?, Stop::never()).await?;
    let path = stage.logs().join(format!("decision-release-{release}.json"));
    std::fs::write(path, outcome.record().to_json()).context("writing the decision record")?;
    Ok(outcome)
}

/// Asks the stable color back, as an operator does with a frozen shift.
///
/// # Errors
/// When its end cannot be written.
pub async fn revert(stage: &Stage, progress: &Arc<Progress>, to: Color) -> Result<Outcome> {
    Ok(prepared!(stage, progress, to).revert(Stop::never()).await?)
}

fn plan() -> Plan {
    let shares = STEPS.into_iter().filter_map(|percent| Share::percent(percent).ok());
    Plan::default()
        .with_steps(shares.map(|share| Step::new(share, DWELL)))
        .with_interval(Duration::from_secs(1))
}

/// The articles' limits, but for three: a step here sees tens of requests, not thousands, and two
/// cores shared by a whole cloud, and by whatever else the machine does, make latencies grow and
/// differ by hundreds of milliseconds for no fault of a release. The slow release is slower by more
/// than two seconds.
fn thresholds() -> Thresholds {
    Thresholds::default()
        .with_min_requests(8)
        .with_max_latency(Duration::from_secs(4))
        .with_max_latency_delta(Duration::from_millis(1_200))
}

fn config() -> ShiftConfig {
    ShiftConfig::default()
        .with_period(Duration::from_secs(1))
        .with_settle_lag(Duration::from_secs(3))
        .with_patience(Duration::from_secs(10))
        .with_freeze_limit(Duration::from_secs(8))
}

fn tell(progress: &Progress, to: Color, event: &Event) {
    if let Event::Shifted { share } = event {
        progress.traffic(if to == Color::Green { *share } else { share.rest() });
    }
    // The looks are the record's; what they led to is news.
    if !matches!(event, Event::Looked { verdict: Verdict::Healthy { .. }, .. }) {
        progress.note(&event.to_string());
    }
}

/// A busy task collects a second's records so many milliseconds after its end at the latest; what is
/// recorded until then counts as of that second.
const LATE: u128 = 1_000;

/// What the judge counted in a decision beside what the clients saw in the same windows.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Requests and errors by the metrics, blue and green.
    pub judged: ByColor<(u64, u64)>,
    /// Requests and errors by the clients, blue and green.
    pub clients: ByColor<(u64, u64)>,
    /// Those that the service answered and that surely ended in one window: metrics cannot miss
    /// them. On the server a request ends somewhere between its beginning and its end as the client
    /// sees them.
    pub at_least: ByColor<(u64, u64)>,
    /// Those that may have ended in one window: metrics cannot know of more.
    pub at_most: ByColor<(u64, u64)>,
}

/// Holds a decision's figures against the clients', over the decision's own windows.
#[must_use]
pub fn figures(record: &DecisionRecord, seen: &Seen) -> Figures {
    let windows = record.steps.iter().filter_map(|step| step.figures()).map(|(window, _)| window);
    let windows: Vec<_> = windows.map(|w| u128::from(w.start_ms)..u128::from(w.end_ms)).collect();
    let attempts = seen.attempts();
    let count = |counts: fn(&Attempt, &Range<u128>) -> bool| {
        ByColor::from_fn(|color| {
            let counted = attempts.iter().filter(|attempt| {
                attempt.color == Some(color) && windows.iter().any(|window| counts(attempt, window))
            });
            counted.fold((0, 0), |(requests, errors), attempt| {
                let failed = matches!(attempt.outcome, Err(Cause::Status(500..)));
                (requests + 1, errors + u64::from(failed))
            })
        })
    };
    Figures {
        judged: record.total().map(|_, tally| (tally.requests, tally.errors)),
        clients: count(|attempt, window| window.contains(&millis(attempt.ended))),
        at_least: count(|attempt, window| {
            let by_proxy = matches!(attempt.outcome, Err(Cause::Status(502..=504)));
            let begins_within = window.start + LATE <= millis(attempt.began);
            !by_proxy && begins_within && millis(attempt.ended) < window.end
        }),
        at_most: count(|attempt, window| {
            window.start <= millis(attempt.ended) && millis(attempt.began) < window.end + LATE
        }),
    }
}

fn millis(time: SystemTime) -> u128 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
}
