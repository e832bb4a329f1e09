use std::cell::Cell;

use super::*;

#[derive(Debug, thiserror::Error)]
#[error("{0:?}")]
struct Passing(Option<RetryClass>, Option<Duration>);

impl Classify for Passing {
    fn retry_class(&self) -> Option<RetryClass> {
        self.0
    }

    fn retry_after(&self) -> Option<Duration> {
        self.1
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn policy() -> RetryPolicy {
    let backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(500)).unwrap();
    RetryPolicy::default().with_backoff(backoff)
}

fn throttled() -> Passing {
    Passing(Some(RetryClass::Throttling), None)
}

#[tokio::test(start_paused = true)]
async fn a_call_is_repeated_until_it_succeeds_and_counted_by_its_class() {
    let policy = policy();
    let classes = [
        RetryClass::Throttling,
        RetryClass::Throttling,
        RetryClass::Conflict,
        RetryClass::ServerError,
        RetryClass::Transient,
    ];
    let tries = Cell::new(0);
    let call = || {
        let answer =
            classes.get(tries.get()).map_or(Ok(7), |class| Err(Passing(Some(*class), None)));
        tries.set(tries.get() + 1);
        async { answer }
    };
    assert_eq!(policy.clone().run(&Stop::never(), call).await.unwrap(), 7);
    let expected = RetryCounts {
        throttling: 2,
        conflict: 1,
        server_error: 1,
        transient: 1,
        ..RetryCounts::default()
    };
    assert_eq!(policy.counts(), expected);
}

#[tokio::test(start_paused = true)]
async fn it_gives_up_for_a_reason_and_says_which() {
    let (stopper, stopping) = Stop::new();
    stopper.stop(SECOND);
    let never = Stop::never();
    let permanent = || async { Err::<(), _>(Passing(None, None)) };
    let passing = || async { Err::<(), _>(throttled()) };
    let asks_for_long = || async { Err::<(), _>(Passing(throttled().0, Some(60 * SECOND))) };
    let failed = policy().run(&never, permanent).await.unwrap_err();
    assert_eq!((failed.gave_up, failed.tries), (GaveUp::Permanent, 1));
    let failed = policy().with_tries(4).run(&never, passing).await.unwrap_err();
    assert_eq!((failed.gave_up, failed.tries), (GaveUp::Tries, 4));
    assert!(failed.error.is_some());
    let failed = policy().with_tries(0).run(&never, passing).await.unwrap_err();
    assert_eq!((failed.gave_up, failed.tries), (GaveUp::Tries, 1));
    let failed = policy().with_budget(30 * SECOND).run(&never, asks_for_long).await.unwrap_err();
    assert_eq!((failed.gave_up, failed.tries), (GaveUp::Budget, 1));
    let failed = policy().run(&stopping, passing).await.unwrap_err();
    assert_eq!((failed.gave_up, failed.tries), (GaveUp::Stopped, 1));
    assert_eq!(failed.to_string(), "the call was given up because the process stops (try 1)");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_is_cut_off_at_the_deadline_of_the_budget_or_of_the_stop() {
    let hanging = std::future::pending::<Result<(), Passing>>;
    let start = Instant::now();
    let failed = policy().with_budget(3 * SECOND).run(&Stop::never(), hanging).await.unwrap_err();
    assert_eq!((failed.gave_up, start.elapsed()), (GaveUp::Budget, 3 * SECOND));
    assert!(failed.error.is_none());

    let (stopper, stop) = Stop::new();
    stopper.stop(SECOND);
    let start = Instant::now();
    let failed = policy().run(&stop, hanging).await.unwrap_err();
    assert_eq!((failed.gave_up, start.elapsed()), (GaveUp::Stopped, SECOND));
}

#[tokio::test(start_paused = true)]
async fn pauses_have_full_jitter_a_cap_and_wait_at_least_as_long_as_asked() {
    let pauses = async |asked: Option<Duration>, tries: u32| {
        let (mut pauses, last) = (Vec::new(), Cell::new(Instant::now()));
        let call = || {
            pauses.push(last.replace(Instant::now()).elapsed());
            async move { Err::<(), _>(Passing(throttled().0, asked)) }
        };
        let policy = policy().with_tries(tries).with_budget(3_600 * SECOND);
        assert!(policy.run(&Stop::never(), call).await.is_err());
        pauses.split_off(1)
    };
    let free = pauses(None, 400).await;
    // Tokio's clock counts whole milliseconds.
    let cap = Duration::from_millis(501);
    assert!(free.iter().all(|pause| *pause <= cap), "the shift does not overflow, nor the cap");
    let late = &free[10..];
    let short = late.iter().filter(|pause| **pause < cap / 4).count();
    let long = late.iter().filter(|pause| **pause > cap * 3 / 4).count();
    assert!(short > 40 && long > 40, "a quarter of them each: {short} {long}");
    assert!(pauses(Some(2 * SECOND), 5).await.iter().all(|pause| *pause >= 2 * SECOND));
}
