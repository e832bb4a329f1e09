//! How often CloudWatch may be called.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Spaces calls out: the account's limit is shared with everybody else in it.
#[derive(Debug)]
pub(crate) struct Budget {
    spacing: Duration,
    next: Mutex<Instant>,
}

impl Budget {
    pub(crate) fn per_second(calls: u32) -> Self {
        let spacing = Duration::from_secs(1) / calls.max(1);
        Self { spacing, next: Mutex::new(Instant::now()) }
    }

    /// Waits for the next call's turn. A dropped future has used its turn up.
    pub(crate) async fn wait(&self) {
        let turn = {
            // An instant is whole whatever panicked beside it.
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = Instant::now().max(*next);
            *next = turn + self.spacing;
            turn
        };
        tokio::time::sleep_until(turn).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn calls_are_spaced_out_and_idle_time_is_not_saved_up() {
        let budget = Budget::per_second(4);
        let start = Instant::now();
        for quarter in 0..4 {
            budget.wait().await;
            assert_eq!(start.elapsed(), Duration::from_millis(250) * quarter);
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        let later = Instant::now();
        budget.wait().await;
        budget.wait().await;
        assert_eq!(later.elapsed(), Duration::from_millis(250));
    }
}
