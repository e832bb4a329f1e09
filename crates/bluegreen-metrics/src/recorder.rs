use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use ::metrics::{CounterFn, GaugeFn, HistogramFn, Key, KeyName, Metadata, SharedString};

use crate::counter::CounterCell;
use crate::dimensions::{Labels, adapt_metric};
use crate::distribution::DistributionCell;
use crate::gauge::GaugeCell;
use crate::own_metrics::check_not_reserved;
use crate::registry::Registry;
use crate::series::Cell;
use crate::{MetricsError, Unit};

/// Takes the metrics of the `metrics` facade crate, with which much of the ecosystem and the other
/// crates of this project are instrumented, into CloudWatch. For `metrics::set_global_recorder`.
///
/// Counters, gauges and histograms become [`Counter`](crate::Counter), [`Gauge`](crate::Gauge) and
/// [`Distribution`](crate::Distribution); labels become dimensions. Characters that CloudWatch does
/// not take become `?`, an empty value becomes `none`, and labels named as a fixed dimension are
/// left out. A described unit holds for all labels of its name; CloudWatch has none for
/// nanoseconds, and its kilobytes stand for kibibytes. A counter set to an absolute value sends the
/// growth, the first time from zero; what it was incremented by is a part of that value. Once set, it
/// goes on from where it was also after its series was idle and forgotten, and so does a gauge that is
/// moved, as long as no ten thousand others were since. A metric that cannot be registered is named in
/// the log once and records nothing.
#[derive(Clone, Debug)]
pub struct Recorder {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    registry: Arc<Registry>,
    counters: Known<CounterCell>,
    gauges: Known<GaugeCell>,
    distributions: Known<DistributionCell>,
    failed: RwLock<HashSet<String>>,
}

/// The series of keys seen before, so that a macro without a handle costs one look. They are held
/// weakly, so that an idle one can be forgotten. Folded series are not kept: their number has no
/// bound.
type Known<C> = RwLock<HashMap<Key, Weak<C>>>;

/// Keys that are found again by a look, of each kind.
const MOST_KNOWN: usize = 20_000;
/// The most bytes of name and labels of such a key. Longer ones, of which CloudWatch takes but the
/// beginning, are registered each time.
const LONGEST_KNOWN: usize = 2_048;
/// Metrics that are named in the log as not recorded, as CloudWatch has their names.
const MOST_FAILED: usize = 1_000;

impl Recorder {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        let inner = Inner {
            registry,
            counters: Known::default(),
            gauges: Known::default(),
            distributions: Known::default(),
            failed: RwLock::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    fn describe(&self, key: &KeyName, unit: Option<::metrics::Unit>) {
        if let Some(unit) = unit {
            self.inner.registry.describe(&adapt_metric(key.as_str()), of_facade(unit));
        }
    }

    /// The series of a key; nothing where it cannot be registered.
    fn series<C: Cell>(&self, known: &Known<C>, key: &Key) -> Option<Arc<C>> {
        let seen = known.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        if let Some(cell) = seen.and_then(|cell| cell.upgrade()) {
            return Some(cell);
        }
        match self.register(known, key) {
            Ok(cell) => Some(cell),
            Err(error) => {
                self.tell(&adapt_metric(key.name()), &error);
                None
            }
        }
    }

    fn register<C: Cell>(&self, known: &Known<C>, key: &Key) -> Result<Arc<C>, MetricsError> {
        let name = adapt_metric(key.name());
        check_not_reserved(&name)?;
        let labels = key.labels().map(|label| (label.key(), label.value()));
        let labels = Labels::adapted(&name, labels)?;
        let registered = self.inner.registry.register::<C>(&name, None, labels)?;
        if !registered.folded && length_of(key) <= LONGEST_KNOWN {
            let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
            if known.len() == MOST_KNOWN {
                // Labels that are adapted or left out make many keys of one series, so that even
                // living ones have no bound. Those in use are back after one registration each.
                known.clear();
            } else if known.len() == known.capacity() {
                // Before it grows: what was forgotten meanwhile makes room.
                known.retain(|_, cell| cell.strong_count() > 0);
            }
            known.insert(key.to_retained(), Arc::downgrade(&registered.cell));
        }
        Ok(registered.cell)
    }

    fn tell(&self, name: &str, error: &MetricsError) {
        let failed = &self.inner.failed;
        if failed.read().unwrap_or_else(PoisonError::into_inner).contains(name) {
            return;
        }
        let mut failed = failed.write().unwrap_or_else(PoisonError::into_inner);
        let first = failed.len() < MOST_FAILED && failed.insert(name.to_owned());
        drop(failed);
        // Noted before: who hears it may record the same metric.
        if first {
            tracing::warn!(metric = name, %error, "a metric is not recorded");
        }
    }
}

impl ::metrics::Recorder for Recorder {
    fn describe_counter(&self, key: KeyName, unit: Option<::metrics::Unit>, _: SharedString) {
        self.describe(&key, unit);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<::metrics::Unit>, _: SharedString) {
        self.describe(&key, unit);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<::metrics::Unit>, _: SharedString) {
        self.describe(&key, unit);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> ::metrics::Counter {
        self.series(&self.inner.counters, key)
            .map_or_else(::metrics::Counter::noop, ::metrics::Counter::from_arc)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> ::metrics::Gauge {
        self.series(&self.inner.gauges, key)
            .map_or_else(::metrics::Gauge::noop, ::metrics::Gauge::from_arc)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> ::metrics::Histogram {
        self.series(&self.inner.distributions, key)
            .map_or_else(::metrics::Histogram::noop, ::metrics::Histogram::from_arc)
    }
}

impl CounterFn for CounterCell {
    fn increment(&self, value: u64) {
        self.add(value);
    }

    fn absolute(&self, value: u64) {
        self.reach(value);
    }
}

impl GaugeFn for GaugeCell {
    fn increment(&self, value: f64) {
        self.add(value);
    }

    fn decrement(&self, value: f64) {
        self.add(-value);
    }

    fn set(&self, value: f64) {
        Self::set(self, value);
    }
}

impl HistogramFn for DistributionCell {
    fn record(&self, value: f64) {
        Self::record(self, value, 1);
    }

    fn record_many(&self, value: f64, count: usize) {
        Self::record(self, value, count as u64);
    }
}

fn length_of(key: &Key) -> usize {
    let labels = key.labels().map(|label| label.key().len() + label.value().len());
    key.name().len() + labels.sum::<usize>()
}

fn of_facade(unit: ::metrics::Unit) -> Unit {
    use ::metrics::Unit as Facade;
    match unit {
        Facade::Count => Unit::Count,
        Facade::Percent => Unit::Percent,
        Facade::Seconds => Unit::Seconds,
        Facade::Milliseconds => Unit::Milliseconds,
        Facade::Microseconds => Unit::Microseconds,
        Facade::Nanoseconds => Unit::None,
        Facade::Tebibytes => Unit::Terabytes,
        Facade::Gibibytes => Unit::Gigabytes,
        Facade::Mebibytes => Unit::Megabytes,
        Facade::Kibibytes => Unit::Kilobytes,
        Facade::Bytes => Unit::Bytes,
        Facade::TerabitsPerSecond => Unit::TerabitsPerSecond,
        Facade::GigabitsPerSecond => Unit::GigabitsPerSecond,
        Facade::MegabitsPerSecond => Unit::MegabitsPerSecond,
        Facade::KilobitsPerSecond => Unit::KilobitsPerSecond,
        Facade::BitsPerSecond => Unit::BitsPerSecond,
        Facade::CountPerSecond => Unit::CountPerSecond,
    }
}

#[cfg(test)]
mod tests {
    use ::metrics::Label;

    use super::*;
    use crate::registry::{caps, naming};

    #[test]
    fn keys_without_end_take_bounded_memory_and_the_last_are_known() {
        let registry = Registry::new(naming(&[]), caps(10));
        let recorder = Recorder::new(Arc::new(registry));
        let known = &recorder.inner.counters;
        let len = || known.read().unwrap().len();
        // Left out, as it would hide a dimension of our own: all are one series.
        let key = |n: usize| Key::from_parts("n", vec![Label::new("Service", n.to_string())]);
        for n in 0..3 * MOST_KNOWN {
            recorder.series(known, &key(n)).unwrap().add(1);
            assert!(len() <= MOST_KNOWN);
            assert!(known.read().unwrap().contains_key(&key(n)), "{n}");
        }
        assert_eq!(recorder.series(known, &key(0)).unwrap().total(), 3 * MOST_KNOWN as u64);
    }

    #[test]
    fn keys_and_names_of_any_length_take_bounded_memory() {
        let registry = Registry::new(naming(&[]), caps(10));
        let recorder = Recorder::new(Arc::new(registry));
        let known = &recorder.inner.counters;
        let long = "x".repeat(100_000);
        // One series to CloudWatch, which takes no more than the beginning.
        for n in 0..100 {
            let label = Label::new("path", format!("{long}{n}"));
            recorder.series(known, &Key::from_parts("n", vec![label])).unwrap().add(1);
        }
        let kept = known.read().unwrap();
        let texts = kept.keys().flat_map(Key::labels).map(|label| label.value().len());
        assert!(texts.sum::<usize>() < 100_000);
        drop(kept);
        // Not one of these can be registered.
        let labels: Vec<_> = (0..26).map(|n| Label::new(n.to_string(), "x")).collect();
        for n in 0..100 {
            let key = Key::from_parts(format!("{long}{n}"), labels.clone());
            assert!(recorder.series(known, &key).is_none());
        }
        let failed = recorder.inner.failed.read().unwrap();
        assert!(failed.iter().map(String::len).sum::<usize>() < 100_000);
    }
}
