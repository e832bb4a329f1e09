//! What the checks report through the `metrics` facade.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bluegreen_health::Health;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

use crate::scene::{identity, run, secs, switched};

/// A recorder that keeps the last value of each gauge, the sum of each counter and the number of
/// values of each histogram.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<BTreeMap<String, f64>>>);

struct Series {
    kept: Kept,
    name: String,
}

impl Kept {
    fn series(&self, key: &Key) -> Arc<Series> {
        let labels = key.labels().map(|label| format!(" {}={}", label.key(), label.value()));
        let name = format!("{}{}", key.name(), labels.collect::<String>());
        Arc::new(Series { kept: self.clone(), name })
    }

    fn get(&self, name: &str) -> Option<f64> {
        self.0.lock().unwrap().get(name).copied()
    }
}

impl Series {
    fn change(&self, change: impl FnOnce(f64) -> f64) {
        let mut kept = self.kept.0.lock().unwrap();
        let value = kept.entry(self.name.clone()).or_default();
        *value = change(*value);
    }
}

impl CounterFn for Series {
    fn increment(&self, value: u64) {
        self.change(|sum| sum + value as f64);
    }

    fn absolute(&self, _: u64) {}
}

impl GaugeFn for Series {
    fn increment(&self, _: f64) {}

    fn decrement(&self, _: f64) {}

    fn set(&self, value: f64) {
        self.change(|_| value);
    }
}

impl HistogramFn for Series {
    fn record(&self, _: f64) {
        self.change(|count| count + 1.0);
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.series(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.series(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.series(key))
    }
}

// One thread: the recorder is that thread's.
#[tokio::test(start_paused = true)]
async fn every_run_and_every_state_is_measured() {
    let kept = Kept::default();
    let _here = metrics::set_default_local_recorder(&kept);
    let (probe, good) = switched();
    let (_health, _task) = run(Health::builder(&identity()).probe("db", probe));
    tokio::time::sleep(secs(1)).await;
    assert_eq!(kept.get("bluegreen_health_status"), Some(0.0));
    assert_eq!(kept.get("bluegreen_health_check_status check=db"), Some(0.0));
    assert_eq!(kept.get("bluegreen_health_check_seconds check=db"), Some(1.0));
    let failures = "bluegreen_health_check_failures check=db class=failed";
    assert_eq!(kept.get(failures), Some(1.0));
    good.set(true);
    tokio::time::sleep(secs(6)).await;
    assert_eq!(kept.get("bluegreen_health_status"), Some(1.0));
    good.set(false);
    tokio::time::sleep(secs(5)).await;
    assert_eq!(kept.get("bluegreen_health_check_status check=db"), Some(0.5));
    assert_eq!(kept.get(failures), Some(2.0));
    assert_eq!(kept.get("bluegreen_health_check_seconds check=db"), Some(3.0));
}
