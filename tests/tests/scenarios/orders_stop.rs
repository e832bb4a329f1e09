//! SIGTERM under load: nobody notices.

use std::time::Duration;

use anyhow::{Context, Result};
use bluegreen::{Color, Stop};
use demo::load::{self, Seen};
use demo::stage::Stage;

use crate::client::{PATIENCE, eventually};
use crate::orders_flow::log;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_takes_sigterm_under_load_with_zero_failed_requests() -> Result<()> {
    let logs = tempfile::tempdir()?;
    let stage = Stage::set(logs.path().to_owned()).await?;
    let one = stage.surroundings.start(Color::Blue, "1", 1)?;
    let two = stage.surroundings.start(Color::Blue, "1", 2)?;
    stage.targets(Color::Blue, &[one.address, two.address]).await?;
    eventually("both tasks are ready", || async { stage.proxy.check(Color::Blue).await.ok() })
        .await?;

    let (stopper, stop) = Stop::new();
    let seen = Seen::default();
    let load = tokio::spawn(load::run(stage.proxy_address, 40, 7, seen.clone(), stop));
    eventually("the load flows", || async { (seen.counts().0 > 40).then_some(()) }).await?;
    let name = one.name.clone();
    one.stop().await.with_context(|| log(&stage, &name))?;
    let (at_stop, _) = seen.counts();
    eventually("the load goes on", || async { (seen.counts().0 > at_stop + 40).then_some(()) })
        .await?;
    stopper.stop(PATIENCE);
    load.await?;

    assert_eq!(seen.failures(), [].into(), "{}", log(&stage, &name));
    assert!(log(&stage, &name).contains("shutdown complete"), "{}", log(&stage, &name));
    two.stop().await?;
    tokio::time::timeout(Duration::from_secs(30), stage.strike()).await?;
    Ok(())
}
