//! What points mean. Pure.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use bluegreen_core::{ByColor, Color, Figures, Latencies, Observation, Reading};

/// A figure that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Figure {
    Requests,
    Errors,
    LatencySum,
    LatencyCount,
    Slow,
    /// Requests that took up to the bound of this place.
    Within(usize),
}

impl Figure {
    /// Those that are always asked for.
    pub(super) const ALWAYS: [Self; 4] =
        [Self::Requests, Self::Errors, Self::LatencySum, Self::LatencyCount];
}

/// The points of one color.
#[derive(Clone, Debug, Default)]
pub(super) struct ColorPoints(HashMap<(SystemTime, Figure), f64>);

impl ColorPoints {
    /// Keeps a value. All figures are sums, which grow while they are read: of two the larger is the
    /// newer one.
    pub(super) fn set(&mut self, start: SystemTime, figure: Figure, value: f64) {
        let kept = self.0.entry((start, figure)).or_insert(value);
        *kept = kept.max(value);
    }

    pub(super) fn get(&self, start: SystemTime, figure: Figure) -> Option<f64> {
        self.0.get(&(start, figure)).copied()
    }
}

/// What was looked at.
#[derive(Debug)]
pub(super) struct Look<'a> {
    /// The length of each stretch.
    pub(super) length: Duration,
    /// What ended up to then is not reported any more.
    pub(super) settled: SystemTime,
    /// The bounds of [`Figure::Within`].
    pub(super) bounds: &'a [Duration],
}

/// What both colors did in each of the stretches.
pub(super) fn observations(
    stretches: &[SystemTime],
    look: &Look<'_>,
    points: &ByColor<ColorPoints>,
) -> ByColor<Vec<Observation>> {
    let one = |color: Color, start: &SystemTime| {
        let own = points.get(color);
        let reading = reading(*start, own, *start + look.length <= look.settled);
        let observation = Observation::new(color, *start, look.length, reading);
        match reading {
            Reading::Counted(figures) if !look.bounds.is_empty() => {
                observation.with_latencies(latencies(*start, figures.requests, look.bounds, own))
            }
            _ => observation,
        }
    };
    ByColor::from_fn(|color| stretches.iter().map(|start| one(color, start)).collect())
}

/// What a color's points of one stretch say.
fn reading(start: SystemTime, own: &ColorPoints, is_settled: bool) -> Reading {
    let missing = if is_settled { Reading::Absent } else { Reading::Late };
    // The request count is the sign of life: a process that reports sends one even when it is zero.
    match own.get(start, Figure::Requests).map(whole) {
        Some(0) => Reading::NoTraffic,
        Some(requests) => figures(start, requests, own).map_or(missing, Reading::Counted),
        None => missing,
    }
}

/// The figures of a stretch with requests; nothing while their errors, which are sent even when zero,
/// or their latencies are missing.
fn figures(start: SystemTime, requests: u64, own: &ColorPoints) -> Option<Figures> {
    let timed = own.get(start, Figure::LatencyCount).filter(|timed| *timed > 0.0)?;
    let sum = own.get(start, Figure::LatencySum)?;
    // Counts and latencies of one window may have gone in two calls, one of which is not here yet
    // or is here twice: the latencies then stand for all requests.
    let scale = requests as f64 / timed;
    let latency = Duration::try_from_secs_f64(sum * scale / 1e3).ok()?;
    let errors = own.get(start, Figure::Errors).map(whole)?.min(requests);
    let figures = Figures::new(requests, errors, latency);
    let slow = own.get(start, Figure::Slow);
    Some(match slow {
        Some(slow) => figures.with_slow(whole(slow * scale).min(requests)),
        None => figures,
    })
}

/// The requests of a stretch by the bounds that they stayed within. A bound that nothing is said of
/// is one that no request stayed within.
fn latencies(
    start: SystemTime,
    requests: u64,
    bounds: &[Duration],
    own: &ColorPoints,
) -> Latencies {
    let timed = own.get(start, Figure::LatencyCount).unwrap_or_default();
    let scale = if timed > 0.0 { requests as f64 / timed } else { 1.0 };
    let mut below = 0;
    let counts = bounds.iter().enumerate().map(|(place, bound)| {
        let within = own.get(start, Figure::Within(place)).unwrap_or_default();
        // Rounding must neither go beyond all nor back.
        let within = whole(within * scale).clamp(below, requests.max(below));
        (*bound, within - std::mem::replace(&mut below, within))
    });
    let counts: Vec<_> = counts.collect();
    Latencies::new(counts, requests.saturating_sub(below))
}

/// The nearest whole number, none below zero.
fn whole(value: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rounded and clamped by the cast itself, which saturates"
    )]
    let whole = value.round() as u64;
    whole
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const START: SystemTime = UNIX_EPOCH;

    fn points(figures: &[(Figure, f64)]) -> ColorPoints {
        let mut points = ColorPoints::default();
        figures.iter().for_each(|(figure, value)| points.set(START, *figure, *value));
        points
    }

    fn counted(requests: u64, errors: u64, millis: u64) -> Figures {
        Figures::new(requests, errors, Duration::from_millis(millis))
    }

    #[test]
    fn zero_no_traffic_late_and_absent_are_told_apart() {
        use Figure::{Errors, LatencyCount, LatencySum, Requests, Slow};
        const LATE: (Reading, Reading) = (Reading::Late, Reading::Absent);
        let both = |reading| (reading, reading);
        let busy = |requests, errors, counted, sum| {
            vec![(Requests, requests), (Errors, errors), (LatencyCount, counted), (LatencySum, sum)]
        };
        let with = |mut points: Vec<_>, more| {
            points.push(more);
            points
        };
        let without = |mut points: Vec<(Figure, f64)>, figure| {
            points.retain(|(one, _)| *one != figure);
            points
        };
        // Expected while it may still come, and once it has settled.
        for (case, points, expected) in [
            ("silent", vec![], LATE),
            ("idle", vec![(Requests, 0.0), (Errors, 0.0)], both(Reading::NoTraffic)),
            ("idle, errors missing", vec![(Requests, 0.0)], both(Reading::NoTraffic)),
            (
                "busy with zero errors",
                busy(5.0, 0.0, 5.0, 50.0),
                both(Reading::Counted(counted(5, 0, 50))),
            ),
            (
                "busy with errors and slow ones",
                with(busy(5.0, 2.0, 5.0, 50.0), (Slow, 1.0)),
                both(Reading::Counted(counted(5, 2, 50).with_slow(1))),
            ),
            ("errors without requests", vec![(Errors, 5.0)], LATE),
            ("busy, errors missing", without(busy(5.0, 0.0, 5.0, 50.0), Errors), LATE),
            ("busy, latencies missing", vec![(Requests, 5.0), (Errors, 0.0)], LATE),
            ("busy, their count missing", without(busy(5.0, 0.0, 5.0, 50.0), LatencyCount), LATE),
            ("busy, their sum missing", without(busy(5.0, 0.0, 5.0, 50.0), LatencySum), LATE),
            ("busy, no latency counted", busy(5.0, 0.0, 0.0, 0.0), LATE),
            (
                "half of the latencies",
                with(busy(10.0, 0.0, 5.0, 50.0), (Slow, 1.0)),
                both(Reading::Counted(counted(10, 0, 100).with_slow(2))),
            ),
            (
                "errors counted twice by a resend",
                busy(5.0, 8.0, 5.0, 50.0),
                both(Reading::Counted(counted(5, 5, 50))),
            ),
            ("more time than there is", busy(5.0, 0.0, 5.0, 1e300), LATE),
        ] {
            let points = self::points(&points);
            let found = (reading(START, &points, false), reading(START, &points, true));
            assert_eq!(found, expected, "{case}");
        }
    }

    #[test]
    fn requests_are_counted_by_the_bounds_they_stayed_within() {
        use Figure::{LatencyCount, Within};
        let millis = Duration::from_millis;
        let bounds = [millis(100), millis(250), millis(1_000)];
        let of = |counts: [u64; 3], slower| Latencies::new(bounds.into_iter().zip(counts), slower);
        for (case, points, expected) in [
            (
                "all there",
                points(&[
                    (LatencyCount, 10.0),
                    (Within(0), 5.0),
                    (Within(1), 9.0),
                    (Within(2), 9.0),
                ]),
                of([5, 4, 0], 1),
            ),
            (
                "half of the latencies",
                points(&[
                    (LatencyCount, 5.0),
                    (Within(0), 2.0),
                    (Within(1), 4.0),
                    (Within(2), 5.0),
                ]),
                of([4, 4, 2], 0),
            ),
            ("none within any", points(&[(LatencyCount, 10.0)]), of([0, 0, 0], 10)),
            (
                "counted twice by a resend of some",
                points(&[
                    (LatencyCount, 10.0),
                    (Within(0), 12.0),
                    (Within(1), 9.0),
                    (Within(2), 9.0),
                ]),
                of([10, 0, 0], 0),
            ),
        ] {
            assert_eq!(latencies(START, 10, &bounds, &points), expected, "{case}");
        }
    }

    #[test]
    fn both_colors_have_the_same_stretches_and_each_settles_by_itself() {
        let busy = points(&[
            (Figure::Requests, 1.0),
            (Figure::Errors, 0.0),
            (Figure::LatencyCount, 1.0),
            (Figure::LatencySum, 7.0),
        ]);
        let both = ByColor { blue: busy, green: ColorPoints::default() };
        let minute = Duration::from_secs(60);
        let starts = [START, START + minute];
        for (settled, silent) in [
            (START + minute - Duration::from_nanos(1), [Reading::Late, Reading::Late]),
            (START + minute, [Reading::Absent, Reading::Late]),
            (START + 2 * minute, [Reading::Absent, Reading::Absent]),
        ] {
            let look = Look { length: minute, settled, bounds: &[] };
            let seen = observations(&starts, &look, &both);
            let readings = |color| {
                let seen: &Vec<Observation> = seen.get(color);
                seen.iter().map(|one| (one.start, one.reading)).collect::<Vec<_>>()
            };
            let blue = [Reading::Counted(counted(1, 0, 7)), silent[1]];
            assert_eq!(readings(Color::Blue), [(starts[0], blue[0]), (starts[1], blue[1])]);
            assert_eq!(readings(Color::Green), [(starts[0], silent[0]), (starts[1], silent[1])]);
        }
    }
}
