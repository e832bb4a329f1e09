//! How fast capacity may be consumed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Capacity units that are consumed at a rate, each paid for after it is known what it was.
#[derive(Debug)]
pub(crate) struct Capacity {
    rate: Option<f64>,
    account: Mutex<Account>,
    /// Thousandths of units.
    spent: AtomicU64,
    /// Whoever waits, waits in line.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Account {
    balance: f64,
    at: Instant,
}

/// What a call is taken to consume until it says so.
const ADVANCE: f64 = 1.0;

/// No call consumes more: a page of a scan is 1 MB, and a transaction 4 MB.
const MOST_UNITS: f64 = 1e6;

/// The account is looked at again after this.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

impl Capacity {
    /// So many units a second; without a limit only counted.
    pub(crate) fn new(rate: Option<f64>) -> Self {
        let account = Account { balance: ADVANCE, at: Instant::now() };
        let (account, turn) = (Mutex::new(account), tokio::sync::Mutex::default());
        Self { rate, account, spent: AtomicU64::new(0), turn }
    }

    /// Waits until a call may be made.
    pub(crate) async fn wait(&self) {
        let Some(rate) = self.rate else { return };
        let _turn = self.turn.lock().await;
        loop {
            let missing = {
                let mut account = self.account();
                account.grow(rate, Instant::now());
                if account.balance >= ADVANCE {
                    account.balance -= ADVANCE;
                    return;
                }
                ADVANCE - account.balance
            };
            // A nanosecond more, so that rounding leads to no second wait for nothing.
            let time = Duration::try_from_secs_f64(missing / rate).unwrap_or(LONGEST_WAIT);
            sleep(time.min(LONGEST_WAIT) + Duration::from_nanos(1)).await;
        }
    }

    /// Takes note of what the call consumed.
    pub(crate) fn spend(&self, units: f64) {
        // A service that answers no number is taken to mean what was taken in advance.
        let units = if units.is_finite() { units.clamp(0.0, MOST_UNITS) } else { ADVANCE };
        if self.rate.is_some() {
            self.account().balance -= units - ADVANCE;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a call consumes some thousand units at most, and no negative ones"
        )]
        let thousandths = (units * 1e3) as u64;
        self.spent.fetch_add(thousandths, Ordering::Relaxed);
    }

    /// The units consumed so far.
    pub(crate) fn spent(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "exact up to some trillion units")]
        let thousandths = self.spent.load(Ordering::Relaxed) as f64;
        thousandths / 1e3
    }

    // Nobody panics while holding the lock, so a poisoned one is whole.
    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    /// A second's worth may be saved up, no more.
    fn grow(&mut self, rate: f64, now: Instant) {
        let since = now.duration_since(self.at).as_secs_f64();
        self.balance = (self.balance + rate * since).min(rate.max(ADVANCE));
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn seconds_for(rate: f64, calls: &[f64]) -> f64 {
        let start = Instant::now();
        let capacity = Capacity::new(Some(rate));
        for units in calls {
            capacity.wait().await;
            capacity.spend(*units);
        }
        capacity.wait().await;
        assert!((capacity.spent() - calls.iter().sum::<f64>()).abs() < 1e-6);
        start.elapsed().as_secs_f64()
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_consumed_is_paid_before_the_next_call() {
        for (rate, calls, expected) in [
            (10.0, vec![1.0; 100], 10.0),
            (10.0, vec![0.5; 100], 5.0),
            (10.0, vec![128.0, 1.0], 12.9),
            (0.1, vec![1.0], 10.0),
        ] {
            let seconds = seconds_for(rate, &calls).await;
            // Tokio's clock counts whole milliseconds.
            let rounding = 0.001 * calls.len() as f64 + 0.01;
            assert!((seconds - expected).abs() <= rounding, "{rate} {seconds} {expected}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_hour_saves_up_a_second_only() {
        let capacity = Capacity::new(Some(10.0));
        tokio::time::advance(Duration::from_secs(3_600)).await;
        let start = Instant::now();
        for _ in 0..20 {
            capacity.wait().await;
            capacity.spend(1.0);
        }
        assert!(start.elapsed() >= Duration::from_millis(900), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_number_of_units_neither_panics_nor_stops_it() {
        let capacity = Capacity::new(Some(10.0));
        for units in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -5.0, f64::MAX] {
            capacity.wait().await;
            capacity.spend(units);
        }
        let start = Instant::now();
        capacity.wait().await;
        let seconds = start.elapsed().as_secs_f64();
        assert!((MOST_UNITS / 20.0..MOST_UNITS / 5.0).contains(&seconds), "{seconds}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_nobody_waits() {
        let capacity = Capacity::new(None);
        let start = Instant::now();
        for _ in 0..1_000 {
            capacity.wait().await;
            capacity.spend(40.0);
        }
        assert_eq!((start.elapsed(), capacity.spent()), (Duration::ZERO, 40_000.0));
    }
}
