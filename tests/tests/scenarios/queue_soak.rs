//! Consumers as real processes, killed and stopped under load while their calls fail: the smaller
//! cut of `cargo xtask soak queue`.

use anyhow::Result;
use bluegreen_local::Fault;
use bluegreen_tests::soak::Soak;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_that_are_killed_or_stopped_lose_nothing_and_repeat_only_what_is_explained()
-> Result<()> {
    let program = env!("CARGO_BIN_EXE_queue-soak").into();
    let soak = Soak { program, kills: 20, stops: 20, parallel: 4, seed: 7, tells: false };
    let outcome = soak.run().await?;
    let verdict = &outcome.verdict;
    assert!(verdict.holds(), "{verdict}\n{}", outcome.struck);
    assert_eq!(verdict.deaths, [20, 21], "the last one empties the queue");
    assert!(verdict.sent > 100 && verdict.died > 0, "{verdict}");
    assert!(outcome.struck.by(Fault::PartialFailure) > 0, "{}", outcome.struck);
    Ok(())
}
