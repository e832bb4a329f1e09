use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A level that goes up and down: connections open, messages waiting.
///
/// Each window is sent the level at its end. Before the first call there is none, and nothing is
/// sent. A level that is not a number, or beyond CloudWatch's ±2³⁶⁰, is refused and counted in
/// [`Stats::refused`](crate::Stats::refused); the gauge then keeps what it had.
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

    /// Raises the level, or lowers it by a negative amount; the first call counts from zero.
    pub fn add(&self, amount: f64) {
        self.cell.add(amount);
    }
}

#[derive(Debug)]
pub(crate) struct GaugeCell {
    /// The bits of the level; those of a NaN before there is one.
    level: AtomicU64,
    refused: Arc<AtomicU64>,
}

impl GaugeCell {
    pub(crate) fn new(refused: Arc<AtomicU64>) -> Self {
        Self { level: AtomicU64::new(f64::NAN.to_bits()), refused }
    }

    pub(crate) fn set(&self, level: f64) {
        if is_allowed(level) {
            self.level.store(level.to_bits(), Ordering::Relaxed);
        } else {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn add(&self, amount: f64) {
        let changed = self.level.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bits| {
            let level = f64::from_bits(bits);
            let sum = if level.is_nan() { amount } else { level + amount };
            is_allowed(sum).then(|| sum.to_bits())
        });
        if changed.is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The level, once there is one.
    pub(crate) fn level(&self) -> Option<f64> {
        let level = f64::from_bits(self.level.load(Ordering::Relaxed));
        (!level.is_nan()).then_some(level)
    }
}

fn is_allowed(level: f64) -> bool {
    level.abs() <= 2f64.powi(360)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_keeps_its_level_over_looks_and_refusals() {
        let refused = Arc::new(AtomicU64::new(0));
        let gauge = Gauge::new(Arc::new(GaugeCell::new(Arc::clone(&refused))));
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
        assert_eq!(refused.load(Ordering::Relaxed), 6);
        gauge.set(-2.5);
        assert_eq!(gauge.cell.level(), Some(-2.5));
    }
}
