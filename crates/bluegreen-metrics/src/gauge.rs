use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::amount::{Amount, Taken};
use crate::counter::CounterCell;
use crate::own_metrics::OVERFLOW_GAUGE;
use crate::series::Cell;

/// A level that goes up and down: connections open, messages waiting.
///
/// Each window is sent the level at its end. Before the first call there is none, and nothing is
/// sent; nor is it once nobody holds the gauge and the last call is longer ago than
/// [`idle_ttl`](crate::MetricsConfig::idle_ttl). A level that is not a number, or beyond CloudWatch's ±2³⁶⁰, is refused and counted in
/// [`Stats::refused`](crate::Stats::refused); the gauge then keeps what it had. One within ±2⁻³⁶⁰ is
/// zero.
///
/// Setting is one atomic store, adding a compare-and-set that is repeated only when two threads
/// meet. Clones share the level.
#[derive(Clone, Debug)]
#[must_use = "a gauge has no level until it is set"]
pub struct Gauge {
    cell: Arc<GaugeCell>,
}

impl Gauge {
    pub(crate) fn new(cell: Arc<GaugeCell>) -> Self {
        Self { cell }
    }

    /// Sets the level.
    pub fn set(&self, level: f64) {
        self.cell.set(level);
    }

    /// Raises the level, or lowers it by a negative amount. The first call counts from zero, or from
    /// where a series of that name and labels was when it was forgotten.
    pub fn add(&self, amount: f64) {
        self.cell.add(amount);
    }
}

#[derive(Debug)]
pub(crate) struct GaugeCell {
    /// The bits of the level; those of a NaN before there is one.
    level: AtomicU64,
    /// Where the first addition starts from.
    from: f64,
    /// Whether a call came since the last look.
    touched: AtomicBool,
    refused: Arc<CounterCell>,
}

impl GaugeCell {
    pub(crate) fn set(&self, level: f64) {
        if let Some(level) = allowed(level) {
            self.level.store(level.to_bits(), Ordering::Relaxed);
            self.touched.store(true, Ordering::Release);
        } else {
            self.refused.added.add(1);
        }
    }

    pub(crate) fn add(&self, amount: f64) {
        let changed = self.level.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bits| {
            let level = f64::from_bits(bits);
            let sum = amount + if level.is_nan() { self.from } else { level };
            allowed(sum).map(f64::to_bits)
        });
        match changed {
            Ok(_) => self.touched.store(true, Ordering::Release),
            Err(_) => self.refused.added.add(1),
        }
    }

    /// The level, once there is one.
    fn level(&self) -> Option<f64> {
        let level = f64::from_bits(self.level.load(Ordering::Relaxed));
        (!level.is_nan()).then_some(level)
    }
}

impl Cell for GaugeCell {
    const KIND: &'static str = "a gauge";
    const OVERFLOW: &'static str = OVERFLOW_GAUGE;
    type Reading = ();

    fn make(refused: &Arc<CounterCell>) -> Self {
        Self {
            level: AtomicU64::new(f64::NAN.to_bits()),
            from: 0.0,
            touched: AtomicBool::new(false),
            refused: Arc::clone(refused),
        }
    }

    /// Without a level: there is none to send before the next call.
    fn resume(refused: &Arc<CounterCell>, left: u64) -> Self {
        Self { from: f64::from_bits(left), ..Self::make(refused) }
    }

    fn left(&self) -> Option<u64> {
        let level = self.level().unwrap_or(self.from);
        (level != 0.0).then(|| level.to_bits())
    }

    fn take(&self, (): &mut ()) -> Taken {
        // The level second: a call in between is seen now and looked at again.
        let touched = self.touched.swap(false, Ordering::Acquire);
        match self.level().map(|level| Amount::Levels(vec![level])) {
            None => Taken::Nothing,
            Some(level) if touched => Taken::New(level),
            Some(level) => Taken::Standing(level),
        }
    }
}

/// The level as CloudWatch takes it: what is too small is zero, and zero has no sign, or one datum
/// would have it twice.
fn allowed(level: f64) -> Option<f64> {
    let size = level.abs();
    if size < 2f64.powi(-360) { Some(0.0) } else { (size <= 2f64.powi(360)).then_some(level) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_keeps_its_level_over_looks_and_refusals() {
        let refused = Arc::new(CounterCell::default());
        let gauge = Gauge::new(Arc::new(GaugeCell::make(&refused)));
        assert_eq!(gauge.cell.level(), None);
        gauge.add(10.0);
        assert_eq!(gauge.cell.level(), Some(10.0));
        gauge.add(1.0);
        gauge.add(-3.0);
        assert_eq!(gauge.cell.level(), Some(8.0));
        for level in [f64::NAN, f64::INFINITY, f64::MAX] {
            gauge.set(level);
            gauge.add(level);
        }
        assert_eq!(gauge.cell.level(), Some(8.0));
        assert_eq!(refused.total(), 6);
        gauge.set(-2.5);
        assert_eq!(gauge.cell.level(), Some(-2.5));
    }

    #[test]
    fn what_is_too_small_for_cloudwatch_is_zero_and_zero_has_no_sign() {
        let gauge = GaugeCell::make(&Arc::default());
        for small in [-0.0, f64::MIN_POSITIVE, -f64::MIN_POSITIVE, 5e-324, 2f64.powi(-361)] {
            gauge.set(small);
            assert_eq!(gauge.level().map(f64::to_bits), Some(0), "{small:e}");
            gauge.add(small);
            assert_eq!(gauge.level().map(f64::to_bits), Some(0), "{small:e}");
        }
        for kept in [2f64.powi(-360), -2f64.powi(360)] {
            gauge.set(kept);
            assert_eq!(gauge.level(), Some(kept));
        }
    }

    #[test]
    fn a_look_tells_a_level_that_was_set_from_one_that_stands() {
        let gauge = GaugeCell::make(&Arc::default());
        assert_eq!(gauge.take(&mut ()), Taken::Nothing);
        gauge.set(4.0);
        let level = || Amount::Levels(vec![4.0]);
        assert_eq!(gauge.take(&mut ()), Taken::New(level()));
        assert_eq!(gauge.take(&mut ()), Taken::Standing(level()));
        gauge.set(4.0);
        assert_eq!(gauge.take(&mut ()), Taken::New(level()));
        gauge.add(0.0);
        assert_eq!(gauge.take(&mut ()), Taken::New(level()));
        gauge.set(f64::NAN);
        assert_eq!(gauge.take(&mut ()), Taken::Standing(level()));
    }
}
