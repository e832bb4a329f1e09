//! The decision about a candidate, from figures alone. Pure.
//!
//! In this order:
//! 1. Is the candidate bad, by what is counted so far? Harm is acted on even while other figures
//!    are missing.
//! 2. If so: does the stable color suffer the same? Then the candidate is not blamed; but a latency
//!    that both suffer from is no excuse for errors of its own beyond the absolute limit.
//! 3. If not: is enough known to say that it is good? What is unknown never counts as good.

use std::time::Duration;

use bluegreen_core::{ByColor, Color, Observation, Reading};

use crate::{Breach, ConfigError, Evidence, Missing, Tally, Verdict};

/// The limits that a candidate must keep. The defaults are the articles'.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Thresholds {
    /// The highest rate of failed requests, 0 to 1. Default: 0.05.
    pub max_error_rate: f64,
    /// The highest mean latency. Default: 1 s.
    pub max_latency: Duration,
    /// By how much the error rate may be above the stable color's, 0 to 1. Default: 0.01, one
    /// percentage point.
    pub max_error_delta: f64,
    /// By how much the mean latency may be above the stable color's. Default: 50 ms.
    pub max_latency_delta: Duration,
    /// How many requests a color must have had for its figures to say anything. Default: 50.
    pub min_requests: u64,
    /// How many errors there must be before their rate is held against the candidate: one of 50
    /// requests is 2 %, and chance. Default: 3.
    pub min_errors: u64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            max_error_rate: 0.05,
            max_latency: Duration::from_secs(1),
            max_error_delta: 0.01,
            max_latency_delta: Duration::from_millis(50),
            min_requests: 50,
            min_errors: 3,
        }
    }
}

macro_rules! with {
    ($($(#[$doc:meta])* $name:ident $field:ident: $type:ty;)*) => {
        impl Thresholds {
            $($(#[$doc])*
            #[must_use]
            pub const fn $name(mut self, $field: $type) -> Self {
                self.$field = $field;
                self
            })*
        }
    };
}

with! {
    /// The same with another [`max_error_rate`](Self::max_error_rate).
    with_max_error_rate max_error_rate: f64;
    /// The same with another [`max_latency`](Self::max_latency).
    with_max_latency max_latency: Duration;
    /// The same with another [`max_error_delta`](Self::max_error_delta).
    with_max_error_delta max_error_delta: f64;
    /// The same with another [`max_latency_delta`](Self::max_latency_delta).
    with_max_latency_delta max_latency_delta: Duration;
    /// The same with another [`min_requests`](Self::min_requests).
    with_min_requests min_requests: u64;
    /// The same with another [`min_errors`](Self::min_errors).
    with_min_errors min_errors: u64;
}

impl Thresholds {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let rates =
            [("max_error_rate", self.max_error_rate), ("max_error_delta", self.max_error_delta)];
        for (field, rate) in rates {
            if !(0.0..=1.0).contains(&rate) {
                return Err(ConfigError { field, found: rate.to_string(), bound: "from 0 to 1" });
            }
        }
        if self.min_requests == 0 {
            let (field, bound) = ("min_requests", "above zero: no data is no pass");
            return Err(ConfigError { field, found: "0".to_owned(), bound });
        }
        Ok(())
    }
}

/// What the candidate is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the stable color has requests or has not")]
pub enum Baseline {
    /// The stable color's figures of the same window.
    Live,
    /// The stable color's figures of the step before: at the full share it has no requests any
    /// more, and an outage of something that both depend on cannot be told from a bad candidate.
    Earlier(Tally),
    /// Nothing: only the absolute limits hold.
    Nothing,
}

/// Judges a candidate by what was seen of both colors, oldest first, since its step began.
#[must_use]
pub fn judge(
    thresholds: &Thresholds,
    candidate: Color,
    observations: &ByColor<Vec<Observation>>,
    baseline: Baseline,
) -> Verdict {
    let seen = observations.get(candidate);
    let stable_seen = observations.get(candidate.other());
    let stable = match baseline {
        Baseline::Live => Tally::of(stable_seen),
        Baseline::Earlier(tally) => tally,
        Baseline::Nothing => Tally::default(),
    };
    let stable_is_earlier = matches!(baseline, Baseline::Earlier(_));
    let evidence = Evidence { stable, candidate: Tally::of(seen), stable_is_earlier };
    if let Some(verdict) = bad(thresholds, evidence) {
        return verdict;
    }
    let live = matches!(baseline, Baseline::Live);
    let unknown = not_known(seen).or_else(|| not_known(stable_seen).filter(|_| live));
    let unknown = unknown.or_else(|| too_few(thresholds, &evidence.candidate));
    match unknown.or_else(|| dried_up(thresholds, seen, live.then_some(stable_seen))) {
        Some(why) => Verdict::NoEvidence { why, evidence },
        None => Verdict::Healthy { evidence },
    }
}

/// What a color has broken, and whether it shares that with the other one.
struct Findings {
    breaches: Vec<Breach>,
    shared: bool,
    /// Errors beyond the absolute limit that the stable color does not have.
    own_errors: bool,
}

fn bad(thresholds: &Thresholds, evidence: Evidence) -> Option<Verdict> {
    if evidence.candidate.requests < thresholds.min_requests {
        return None;
    }
    let (candidate, stable) = (&evidence.candidate, &evidence.stable);
    let stable = (stable.requests >= thresholds.min_requests).then_some(stable);
    let mut found = Findings { breaches: Vec::new(), shared: false, own_errors: false };
    errors(thresholds, candidate, stable, &mut found);
    latency(thresholds, candidate, stable, &mut found);
    let Findings { breaches, shared, own_errors } = found;
    if breaches.is_empty() {
        return None;
    }
    // The figures of an earlier step cannot excuse what is bad now.
    Some(if shared && !own_errors && !evidence.stable_is_earlier {
        Verdict::BothUnhealthy { breaches, evidence }
    } else {
        Verdict::Unhealthy { breaches, evidence }
    })
}

fn errors(limits: &Thresholds, candidate: &Tally, stable: Option<&Tally>, found: &mut Findings) {
    let Some(rate) = candidate.error_rate() else { return };
    if candidate.errors < limits.min_errors {
        return;
    }
    let stable = stable.and_then(Tally::error_rate);
    let limit = limits.max_error_rate;
    let absolute = (rate > limit).then_some(Breach::ErrorRate { found: rate, limit });
    let limit = limits.max_error_delta;
    let relative = stable
        .filter(|stable| rate - stable > limit)
        .map(|stable| Breach::ErrorRateOverStable { found: rate, stable, limit });
    let stable_is_bad = stable.is_some_and(|stable| stable > limits.max_error_rate);
    let beyond = absolute.is_some();
    found.own_errors = !found.add(absolute, relative, stable.is_some(), stable_is_bad) && beyond;
}

fn latency(limits: &Thresholds, candidate: &Tally, stable: Option<&Tally>, found: &mut Findings) {
    let mean = |tally: &Tally| tally.mean_latency().map(|mean| mean.as_secs_f64() * 1e3);
    let Some(found_ms) = mean(candidate) else { return };
    let stable = stable.and_then(mean);
    let max_ms = limits.max_latency.as_secs_f64() * 1e3;
    let absolute = (found_ms > max_ms).then_some(Breach::Latency { found_ms, limit_ms: max_ms });
    let limit_ms = limits.max_latency_delta.as_secs_f64() * 1e3;
    let relative = stable
        .filter(|stable_ms| found_ms - stable_ms > limit_ms)
        .map(|stable_ms| Breach::LatencyOverStable { found_ms, stable_ms, limit_ms });
    let stable_is_bad = stable.is_some_and(|stable_ms| stable_ms > max_ms);
    found.add(absolute, relative, stable.is_some(), stable_is_bad);
}

impl Findings {
    /// A breach is shared where the stable color is as bad: beyond the absolute limit too, or so
    /// near to the candidate that only the limit between them makes a difference. Answers whether.
    fn add(
        &mut self,
        absolute: Option<Breach>,
        relative: Option<Breach>,
        comparable: bool,
        stable_is_bad: bool,
    ) -> bool {
        let as_bad = comparable && absolute.is_some() && relative.is_none();
        let breached = absolute.is_some() || relative.is_some();
        let shared = breached && (as_bad || stable_is_bad);
        self.shared |= shared;
        self.breaches.extend(absolute);
        self.breaches.extend(relative);
        shared
    }
}

/// What is missing of a color whose newest period, or more than a quarter of all, is not known.
fn not_known(seen: &[Observation]) -> Option<Missing> {
    let tally = Tally::of(seen);
    let newest_missing = match seen.last().map(|newest| &newest.reading) {
        Some(Reading::Counted(_) | Reading::NoTraffic) => false,
        Some(Reading::Late | Reading::Absent) | None => true,
    };
    if !newest_missing && tally.missing().saturating_mul(4) <= tally.periods() {
        return None;
    }
    Some(if tally.absent > 0 { Missing::Absent } else { Missing::Late })
}

fn too_few(thresholds: &Thresholds, candidate: &Tally) -> Option<Missing> {
    if candidate.requests >= thresholds.min_requests {
        return None;
    }
    Some(if candidate.requests == 0 { Missing::NoTraffic } else { Missing::TooFew })
}

/// Whether requests came and come no more: the newest periods are quiet, though not the stable
/// color's where that has a share, and would have had enough requests to judge by.
fn dried_up(
    thresholds: &Thresholds,
    seen: &[Observation],
    stable: Option<&[Observation]>,
) -> Option<Missing> {
    let is_quiet = |seen: &&Observation| seen.reading == Reading::NoTraffic;
    let quiet = seen.iter().rev().take_while(is_quiet).count();
    let missed = stable.map_or(quiet, |stable| {
        stable.iter().rev().take(quiet).filter(|stable| !is_quiet(stable)).count()
    });
    let candidate = Tally::of(seen);
    let requests = candidate.requests.saturating_mul(u64::try_from(missed).unwrap_or(u64::MAX));
    let requests = requests.checked_div(u64::from(candidate.counted)).unwrap_or(0);
    (requests > thresholds.min_requests).then_some(Missing::NoTraffic)
}

#[cfg(test)]
mod tests;
