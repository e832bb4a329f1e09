use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Beyond any process's life, and within what every system's clock can say.
const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);

/// The request to stop, and the moment by which to be done.
///
/// A driver's `run` takes one, works until [`requested`](Self::requested) resolves, finishes what
/// its documentation names before the deadline, and returns. Cloning is cheap; all clones see the
/// same request. Cancel safe throughout: a dropped future loses nothing.
#[derive(Clone, Debug)]
pub struct Stop {
    // `None`: never.
    request: Option<Request>,
}

#[derive(Clone, Debug)]
struct Request {
    /// Whether there is a deadline, for those who ask at every turn: a channel has a lock.
    made: Arc<AtomicBool>,
    deadline: watch::Receiver<Option<Instant>>,
}

/// The side that requests. Dropped without a request it means *never*, as nobody is left to ask.
#[derive(Debug)]
#[must_use = "without a request nothing stops"]
pub struct Stopper {
    made: Arc<AtomicBool>,
    deadline: watch::Sender<Option<Instant>>,
}

impl Stop {
    /// A request yet to be made, and the side that makes it.
    pub fn new() -> (Stopper, Self) {
        let stopper = Stopper { made: Arc::default(), deadline: watch::channel(None).0 };
        let stop = stopper.subscribe();
        (stopper, stop)
    }

    /// A request that is never made.
    #[must_use]
    pub const fn never() -> Self {
        Self { request: None }
    }

    /// Whether to stop: one atomic load.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.request.as_ref().is_some_and(|request| request.made.load(Ordering::Acquire))
    }

    /// The moment by which to be done, once requested.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.request.as_ref().and_then(|request| *request.deadline.borrow())
    }

    /// The time left until the deadline, once requested; zero after it.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        self.deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Waits for the request; answers the deadline. A later request may still bring it nearer, as
    /// [`expired`](Self::expired) notices.
    pub async fn requested(&self) -> Instant {
        self.request_with(|_| true).await
    }

    /// Waits for the deadline itself: the moment to abandon what is not done.
    pub async fn expired(&self) {
        let mut deadline = self.requested().await;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => return,
                nearer = self.request_with(|requested| requested < deadline) => deadline = nearer,
            }
        }
    }

    async fn request_with(&self, fits: impl Fn(Instant) -> bool) -> Instant {
        if let Some(request) = &self.request {
            let mut deadline = request.deadline.clone();
            if let Ok(deadline) = deadline.wait_for(|deadline| deadline.is_some_and(&fits)).await
                && let Some(deadline) = *deadline
            {
                return deadline;
            }
        }
        std::future::pending().await
    }
}

impl Stopper {
    /// Requests the stop, to be done `within` that time. The first request counts; a later one can
    /// only bring the deadline nearer. More than 30 years are as good as no limit.
    pub fn stop(&self, within: Duration) {
        let deadline = Instant::now() + within.min(FAR);
        self.deadline.send_if_modified(|request| {
            let sooner = request.is_none_or(|present| deadline < present);
            if sooner {
                *request = Some(deadline);
                // Inside, so that nobody whom the channel wakes finds the flag still down.
                self.made.store(true, Ordering::Release);
            }
            sooner
        });
    }

    /// A further receiving side.
    #[must_use]
    pub fn subscribe(&self) -> Stop {
        let (made, deadline) = (Arc::clone(&self.made), self.deadline.subscribe());
        Stop { request: Some(Request { made, deadline }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_clones_see_the_request_and_its_deadline() {
        let (stopper, stop) = Stop::new();
        let clone = stop.clone();
        assert!(!stop.is_requested());
        stopper.stop(Duration::from_secs(5));
        assert_eq!(clone.requested().await, stop.deadline().unwrap());
        assert_eq!(clone.time_left(), Some(Duration::from_secs(5)));
        let before = Instant::now();
        clone.expired().await;
        assert_eq!(before.elapsed(), Duration::from_secs(5));
        assert_eq!(clone.time_left(), Some(Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_request_never_moves_the_deadline_away() {
        let (stopper, stop) = Stop::new();
        stopper.stop(Duration::from_secs(5));
        stopper.stop(Duration::from_secs(50));
        assert_eq!(stop.time_left(), Some(Duration::from_secs(5)));
        stopper.stop(Duration::from_secs(1));
        assert_eq!(stop.time_left(), Some(Duration::from_secs(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_the_deadline_notices_that_it_was_brought_nearer() {
        let (stopper, stop) = Stop::new();
        stopper.stop(Duration::from_secs(50));
        let before = Instant::now();
        let waiting = tokio::spawn(async move { stop.expired().await });
        tokio::task::yield_now().await;
        stopper.stop(Duration::from_secs(1));
        waiting.await.unwrap();
        assert_eq!(before.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_is_woken_by_the_request_sees_that_it_is_made() {
        for _ in 0..1_000 {
            let (stopper, stop) = Stop::new();
            let woken = tokio::spawn(async move {
                stop.requested().await;
                stop.is_requested()
            });
            tokio::task::yield_now().await;
            stopper.stop(Duration::from_secs(1));
            assert!(woken.await.unwrap());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_there_is_a_deadline_beyond_any_life() {
        let (stopper, stop) = Stop::new();
        stopper.stop(Duration::MAX);
        assert!(stop.time_left().unwrap() > Duration::from_secs(365 * 86_400));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_outlives_who_made_it() {
        let (stopper, stop) = Stop::new();
        stopper.stop(Duration::from_secs(1));
        drop(stopper);
        stop.expired().await;
        assert_eq!(stop.time_left(), Some(Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_left_to_ask_means_never() {
        let (stopper, stop) = Stop::new();
        drop(stopper);
        for stop in [stop, Stop::never()] {
            assert!(!stop.is_requested());
            let waited = tokio::time::timeout(Duration::from_secs(3600), stop.requested()).await;
            assert!(waited.is_err());
        }
    }
}
