//! The policy for retries around calls of the SDK's real client.

use std::time::Duration;

use aws_sdk_dynamodb::config::Config;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use bluegreen_core::Stop;
use bluegreen_items::{GaveUp, RetryCounts, RetryPolicy};
use bluegreen_local::{Fault, Rule};

use crate::shop::{TABLE, calls, count, open};

type Counted = fn(&RetryCounts) -> u64;

#[tokio::test(start_paused = true)]
async fn any_call_of_the_sdk_is_repeated_by_the_policy_and_by_nobody_else() {
    let world = open().await;
    let client = world.dynamodb();
    let once = || Config::builder().retry_config(RetryConfig::disabled());
    let describe =
        || client.describe_table().table_name(TABLE).customize().config_override(once()).send();
    let cases: [(Fault, Counted); 4] = [
        (Fault::Throttle, |counts| counts.throttling),
        (Fault::InternalError, |counts| counts.server_error),
        (Fault::Unavailable, |counts| counts.server_error),
        (Fault::Reset, |counts| counts.transient),
    ];
    for (fault, counted) in cases {
        let policy = RetryPolicy::default();
        let before = count(&world, &["DescribeTable"])[0];
        let _struck = world.faults().inject(Rule::new(calls("DescribeTable"), fault).first(5));
        policy.run(&Stop::never(), describe).await.unwrap();
        assert_eq!(count(&world, &["DescribeTable"])[0] - before, 6, "{fault:?}");
        assert_eq!(counted(&policy.counts()), 5, "{fault:?}: {:?}", policy.counts());
    }
    let _denied = world.faults().inject(Rule::new(calls("DescribeTable"), Fault::AccessDenied));
    let failed = RetryPolicy::default().run(&Stop::never(), describe).await.unwrap_err();
    assert_eq!((failed.gave_up, failed.tries), (GaveUp::Permanent, 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_answers_ends_with_the_stop() {
    let world = open().await;
    let client = world.dynamodb();
    let _hanging = world.faults().inject(Rule::new(calls("DescribeTable"), Fault::Hang));
    let (stopper, stop) = Stop::new();
    stopper.stop(Duration::from_secs(3));
    let call = || client.describe_table().table_name(TABLE).send();
    let failed = RetryPolicy::default().run(&stop, call).await.unwrap_err();
    assert_eq!((failed.gave_up, failed.tries), (GaveUp::Stopped, 1));
}
