//! The statistics of a bucket, by the names that requests use.

use super::samples::Samples;

/// One statistic that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stat {
    SampleCount,
    Sum,
    Average,
    Minimum,
    Maximum,
    /// `p99.9`: the smallest value that this share of the samples does not exceed.
    Percentile(f64),
    /// `TC(x:y)`: how many samples lie above x, up to and including y.
    TrimmedCount(Bounds),
    /// `PR(x:y)`: the same as a percentage of all samples.
    PercentileRank(Bounds),
}

/// The samples above the first and up to the second; an absent end is open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bounds {
    above: Option<f64>,
    up_to: Option<f64>,
}

impl Stat {
    /// The five that need no values of single samples.
    pub(crate) fn parse_plain(name: &str) -> Option<Self> {
        match name {
            "SampleCount" => Some(Self::SampleCount),
            "Sum" => Some(Self::Sum),
            "Average" => Some(Self::Average),
            "Minimum" => Some(Self::Minimum),
            "Maximum" => Some(Self::Maximum),
            _ => None,
        }
    }

    /// Those that need the values of single samples.
    pub(crate) fn parse_extended(name: &str) -> Option<Self> {
        if let Some(percent) = name.strip_prefix('p') {
            let percent = parse_number(percent)?;
            return (percent > 0.0 && percent <= 100.0).then_some(Self::Percentile(percent));
        }
        let (function, bounds) = name.strip_suffix(')')?.split_once('(')?;
        match function {
            "TC" => Bounds::parse(bounds).map(Self::TrimmedCount),
            "PR" => Bounds::parse(bounds).map(Self::PercentileRank),
            _ => None,
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::parse_plain(name).or_else(|| Self::parse_extended(name))
    }

    /// The figure, or `None` where the samples do not give it.
    pub(crate) fn of(self, samples: &Samples) -> Option<f64> {
        if samples.count() <= 0.0 {
            return None;
        }
        match self {
            Self::SampleCount => Some(samples.count()),
            Self::Sum => Some(samples.sum()),
            Self::Average => Some(samples.sum() / samples.count()),
            Self::Minimum => samples.minimum(),
            Self::Maximum => samples.maximum(),
            Self::Percentile(percent) => percentile(samples, percent),
            Self::TrimmedCount(bounds) => bounds.count(samples),
            Self::PercentileRank(bounds) => {
                bounds.count(samples).map(|count| 100.0 * count / samples.count())
            }
        }
    }
}

impl Bounds {
    fn parse(text: &str) -> Option<Self> {
        let (above, up_to) = text.split_once(':')?;
        let end = |text: &str| {
            if text.is_empty() { Some(None) } else { parse_number(text).map(Some) }
        };
        let bounds = Self { above: end(above)?, up_to: end(up_to)? };
        match bounds {
            Self { above: None, up_to: None } => None,
            Self { above: Some(above), up_to: Some(up_to) } if above >= up_to => None,
            bounds => Some(bounds),
        }
    }

    fn count(self, samples: &Samples) -> Option<f64> {
        let within = |value: f64| {
            self.above.is_none_or(|above| value > above)
                && self.up_to.is_none_or(|up_to| value <= up_to)
        };
        let values = samples.values()?.iter();
        Some(values.filter(|(value, _)| within(*value)).map(|(_, count)| count).sum())
    }
}

/// Digits with at most one point: neither a sign nor an exponent, `inf` or `nan`.
fn parse_number(text: &str) -> Option<f64> {
    let plain = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    plain.then(|| text.parse().ok()).flatten()
}

/// The nearest rank: a value that did occur. AWS interpolates within its own buckets, in a way it
/// does not document.
fn percentile(samples: &Samples, percent: f64) -> Option<f64> {
    let mut values = samples.values()?.to_vec();
    values.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let rank = samples.count() * percent / 100.0;
    let mut seen = 0.0;
    for (value, count) in &values {
        seen += count;
        // The product above may lie a rounding error over a whole rank.
        if seen + 1e-9 * samples.count() >= rank {
            return Some(*value);
        }
    }
    samples.maximum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(name: &str, samples: &Samples) -> Option<f64> {
        Stat::parse(name).unwrap_or_else(|| panic!("{name} is not read")).of(samples)
    }

    #[test]
    fn every_statistic_of_one_to_a_thousand() {
        let samples = Samples::of_values((1..=1000).map(|n| (f64::from(n), 1.0)).collect());
        for (name, expected) in [
            ("SampleCount", 1000.0),
            ("Sum", 500_500.0),
            ("Average", 500.5),
            ("Minimum", 1.0),
            ("Maximum", 1000.0),
            ("p50", 500.0),
            ("p99", 990.0),
            ("p99.9", 999.0),
            ("p100", 1000.0),
            ("TC(500:)", 500.0),
            ("TC(:500)", 500.0),
            ("TC(10:20)", 10.0),
            ("PR(:300)", 30.0),
            ("PR(900:950)", 5.0),
        ] {
            assert_eq!(stat(name, &samples), Some(expected), "{name}");
        }
    }

    #[test]
    fn counts_weigh_values() {
        let samples = Samples::of_values(vec![(100.0, 1.0), (5.0, 99.0)]);
        assert_eq!(stat("p99", &samples), Some(5.0));
        assert_eq!(stat("p99.5", &samples), Some(100.0));
        assert_eq!(stat("TC(50:)", &samples), Some(1.0));
    }

    #[test]
    fn a_statistic_set_gives_percentiles_only_when_all_its_values_are_alike() {
        let differing = Samples::of_set(4.0, 10.0, 1.0, 5.0);
        assert_eq!(stat("Average", &differing), Some(2.5));
        assert_eq!(stat("p50", &differing), None);
        assert_eq!(stat("TC(1:)", &differing), None);
        let alike = Samples::of_set(4.0, 20.0, 5.0, 5.0);
        assert_eq!(stat("p50", &alike), Some(5.0));
        let mut both = alike;
        both.add(&differing);
        assert_eq!(stat("p50", &both), None);
        assert_eq!(stat("SampleCount", &both), Some(8.0));
    }

    #[test]
    fn negative_values_have_no_percentiles() {
        let samples = Samples::of_values(vec![(-1.0, 1.0), (2.0, 1.0)]);
        assert_eq!(stat("p50", &samples), None);
        assert_eq!(stat("Minimum", &samples), Some(-1.0));
    }

    #[test]
    fn no_samples_give_no_figure() {
        for name in ["Sum", "Average", "p99", "TC(:1)"] {
            assert_eq!(stat(name, &Samples::none()), None);
            assert_eq!(stat(name, &Samples::of_values(vec![(3.0, 0.0)])), None);
        }
    }

    #[test]
    fn other_names_are_not_read() {
        for name in [
            "",
            "sum",
            "p",
            "p0",
            "p101",
            "p-1",
            "pNaN",
            "pinf",
            "p1e1",
            "TC",
            "TC(:)",
            "TC(5:1)",
            "TC(1)",
            "TC(a:b)",
            "TM(10%:90%)",
            "PR(1%:2%)",
            "TC(1:2",
            "WM(1:2)",
        ] {
            assert_eq!(Stat::parse(name), None, "{name}");
        }
    }
}
