//! What a distribution promises, for any records in any interleaving of threads and windows: each
//! minute that arrives has the count, sum, minimum, maximum and percentiles of what was recorded.
//! A case rules the order of its threads, so what each minute holds is known; `racing` has threads
//! that nobody orders.

use std::sync::mpsc::{Receiver, Sender, channel};

use bluegreen_core::Color;
use bluegreen_metrics::{Distribution, MetricsConfig, Unit};
use proptest::prelude::*;

use crate::account::{Account, seconds};

const THREADS: usize = 4;

/// Threads that record one value each when they are told to, so that a case rules their order.
struct Crew {
    orders: Vec<Sender<f64>>,
    done: Receiver<()>,
}

impl Crew {
    fn new(values: &Distribution) -> Self {
        let (report, done) = channel();
        let orders = (0..THREADS).map(|_| {
            let (order, orders) = channel::<f64>();
            let (values, report) = (values.clone(), report.clone());
            std::thread::spawn(move || {
                for value in orders {
                    values.record(value);
                    report.send(()).unwrap();
                }
            });
            order
        });
        Self { orders: orders.collect(), done }
    }

    fn record(&self, thread: usize, value: f64) {
        self.orders[thread].send(value).unwrap();
        self.done.recv().unwrap();
    }
}

/// The smallest of the sorted records that so many per cent do not exceed.
fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let rank = (sorted.len() as f64 * percent / 100.0).ceil().max(1.0);
    let at = sorted.iter().enumerate().find(|(place, _)| (place + 1) as f64 >= rank);
    at.map_or(f64::NAN, |(_, value)| *value)
}

/// One minute's records: which thread, and which value of four decades.
fn minute() -> impl Strategy<Value = Vec<(usize, f64)>> {
    let decades = (-1.0..3.0f64).prop_map(|exponent| 10f64.powf(exponent));
    let value = prop_oneof![8 => decades, 1 => Just(0.0), 1 => (1..1_000u32).prop_map(f64::from)];
    prop::collection::vec((0..THREADS, value), 1..600)
}

async fn check(minutes: Vec<Vec<(usize, f64)>>) -> Result<(), TestCaseError> {
    let account = Account::new();
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    let crew = Crew::new(&metrics.distribution("d", Unit::Milliseconds).unwrap());
    Account::between_windows().await;
    for minute in &minutes {
        minute.iter().for_each(|(thread, value)| crew.record(*thread, *value));
        tokio::time::sleep(seconds(60)).await;
    }
    running.stop(seconds(5)).await;
    let read = async |stat: &str| account.read("d", stat, 60).await;
    let (counts, sums) = (read("SampleCount").await, read("Sum").await);
    let (mins, maxes) = (read("Minimum").await, read("Maximum").await);
    prop_assert_eq!(counts.len(), minutes.len());
    for (place, minute) in minutes.iter().enumerate() {
        let mut records: Vec<_> = minute.iter().map(|(_, value)| *value).collect();
        records.sort_by(f64::total_cmp);
        let sum: f64 = records.iter().sum();
        prop_assert_eq!(counts[place].1, records.len() as f64);
        prop_assert_eq!(mins[place].1, records[0]);
        prop_assert_eq!(maxes[place].1, records[records.len() - 1]);
        prop_assert!((sums[place].1 - sum).abs() <= 1e-9 * sum, "{} {}", sums[place].1, sum);
        for percent in [1.0, 50.0, 90.0, 99.0, 99.9] {
            let (got, expected) =
                (read(&format!("p{percent}")).await[place].1, percentile(&records, percent));
            prop_assert!((got - expected).abs() <= 0.01 * expected, "p{percent}: {got} {expected}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_records_in_any_interleaving(minutes in prop::collection::vec(minute(), 1..4)) {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(check(minutes))?;
    }
}
