//! Releases of the order service under load, forward, back and rolled back, with a queue for each
//! color and with one for both: every order that was accepted is accounted for.

use std::time::Duration;

use anyhow::{Context as _, Result};
use aws_sdk_sqs::types::QueueAttributeName;
use bluegreen::{Clock, Color, Deployment, Release, Share, Stop, UpdateError, settled, update};
use demo::ledger::{Ledger, Stores};
use demo::load::{self, Seen};
use demo::stage::Stage;
use demo::tasks::Task;

use crate::client::{PATIENCE, eventually};
use crate::orders_flow::{log, ready_task};

/// Orders a second.
const RATE: u32 = 20;
/// How often is looked whether all tasks follow.
const LOOK: Duration = Duration::from_millis(100);
/// So many orders are accepted between two changes.
const BETWEEN: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_queue_for_each_color_every_order_of_all_releases_is_accounted_for() -> Result<()> {
    play("separate").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_one_queue_for_both_colors_every_order_of_all_releases_is_accounted_for() -> Result<()>
{
    play("shared").await
}

async fn play(queue_mode: &str) -> Result<()> {
    let logs = tempfile::tempdir()?;
    let mut stage = Stage::set(logs.path().to_owned()).await?;
    stage.surroundings.variables.push(("QUEUE_MODE".to_owned(), queue_mode.to_owned()));
    let first = served_task(&stage, Color::Blue, "1").await?;
    let (stopper, stop) = Stop::new();
    let seen = Seen::default();
    let load = tokio::spawn(load::run(stage.proxy_address, RATE, 7, seen.clone(), stop));
    let play = Play { stage: &stage, seen: &seen };
    play.more_orders().await?;

    // Release 2 writes a message that release 1 does not read, and is taken back halfway.
    let second = served_task(&stage, Color::Green, "2").await?;
    play.change(|now| Ok(now.begin(Color::Green, release("2")?)?)).await?;
    play.change(|now| Ok(now.shift(share(50)?)?)).await?;
    // A share of a shared queue is an upper bound: a few orders may all have gone to blue.
    play.handled("green 2 1.0").await?;
    play.change(|now| Ok(now.shift(Share::ZERO)?)).await?;
    play.change(|now| Ok(now.abandon()?)).await?;
    play.end(second).await?;
    // Forward, from blue to green: release 3 is like release 2.
    let third = play.release(Color::Green, "3").await?;
    play.handled("green 3 1.0").await?;
    play.end(first).await?;
    // And back, from green to blue.
    let fourth = play.release(Color::Blue, "4").await?;
    play.handled("blue 4 2.0").await?;
    play.end(third).await?;

    stopper.stop(PATIENCE);
    load.await?;
    let balance = play.all_handled().await?;
    assert_eq!((balance.lost.as_slice(), balance.parked), (&[][..], 0));
    assert_eq!(balance.handled_twice, [].into());
    assert_eq!(seen.given_up(), Vec::<String>::new());
    let told = play.told().await?;
    // Every release has handled orders, and version 2 was written where both sides read it.
    for expected in ["blue 1 1.0", "green 2 1.0", "green 3 1.0", "blue 4 2.0"] {
        assert!(told.iter().any(|found| found == expected), "no {expected:?} in {told:?}");
    }
    // Nobody is left of release 1 when its version is no longer written, and none met version 2.
    assert!(!told.iter().any(|found| found == "blue 1 2.0"), "{told:?}");
    play.end(fourth).await?;
    stage.strike().await;
    Ok(())
}

/// A task that is ready, and that the proxy knows to be.
async fn served_task(stage: &Stage, color: Color, release: &str) -> Result<Task> {
    let task = ready_task(stage, color, release).await?;
    eventually("the proxy sees it", || async { stage.proxy.check(color).await.ok() })
        .await
        .with_context(|| log(stage, &task.name))?;
    Ok(task)
}

struct Play<'a> {
    stage: &'a Stage,
    seen: &'a Seen,
}

impl Play<'_> {
    /// A whole release of a color that runs no task: half of the share, then all, then for good.
    async fn release(&self, color: Color, name: &str) -> Result<Task> {
        let task = served_task(self.stage, color, name).await?;
        self.change(|now| Ok(now.begin(color, release(name)?)?)).await?;
        self.change(|now| Ok(now.shift(share(50)?)?)).await?;
        self.change(|now| Ok(now.shift(share(100)?)?)).await?;
        self.change(|now| Ok(now.commit()?)).await?;
        Ok(task)
    }

    /// Changes the deployment under load, and waits until every task follows.
    async fn change(
        &self,
        change: impl Fn(&Deployment) -> Result<Deployment, UpdateError> + Send + Sync,
    ) -> Result<()> {
        let Stage { store, service, .. } = self.stage;
        let made = update(store, service, |now| change(now.ok_or(UpdateError::NoRecord)?)).await?;
        let all = settled(store, service, made.revision(), LOOK, Clock::system());
        tokio::time::timeout(PATIENCE, all).await??;
        self.more_orders().await
    }

    async fn more_orders(&self) -> Result<()> {
        let before = self.seen.accepted().len();
        eventually("the load flows", || async {
            (self.seen.accepted().len() >= before + BETWEEN).then_some(())
        })
        .await
    }

    /// Who has handled which version so far: color, release, version.
    async fn told(&self) -> Result<Vec<String>> {
        let told = "SELECT DISTINCT color || ' ' || release || ' ' || version FROM handled_orders";
        let rows = self.stage.database.query(told, &[]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Waits until somebody has, under load.
    async fn handled(&self, expected: &str) -> Result<()> {
        eventually(expected, || async {
            self.told().await.ok()?.iter().any(|found| found == expected).then_some(())
        })
        .await
    }

    /// SIGTERM for a task that serves nothing any more.
    async fn end(&self, task: Task) -> Result<()> {
        let name = task.name.clone();
        task.stop().await.with_context(|| log(self.stage, &name))
    }

    /// Waits until all that was accepted is handled, and the queues are empty.
    async fn all_handled(&self) -> Result<Ledger> {
        let accepted = self.seen.accepted();
        let balance = async || {
            let parked = usize::try_from(self.depth("orders-dead").await?)?;
            let dynamodb = self.stage.world.dynamodb_as("observer");
            let stores = Stores::read(&self.stage.database, &dynamodb, parked).await?;
            Ok::<_, anyhow::Error>(Ledger::balance(&accepted, &stores))
        };
        eventually("every accepted order is handled", || async {
            let left = self.depth("orders").await.ok()? + self.depth("orders-green").await.ok()?;
            balance().await.ok().filter(|ledger| left == 0 && ledger.lost.is_empty())
        })
        .await
        .with_context(|| format!("{} accepted", accepted.len()))
    }

    /// How many messages a queue has, hidden ones included.
    async fn depth(&self, queue: &str) -> Result<u64> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let call = self.stage.world.sqs_as("observer").get_queue_attributes();
        let call = call.queue_url(self.stage.queue(queue));
        let found = call.set_attribute_names(Some(names.to_vec())).send().await?;
        let found = found.attributes.context("no counts")?;
        let number = |name| -> Result<u64> { Ok(found.get(&name).context("no count")?.parse()?) };
        let [visible, hidden] = names.map(number);
        Ok(visible? + hidden?)
    }
}

fn release(name: &str) -> Result<Release, UpdateError> {
    Release::new(name).map_err(|error| UpdateError::Refused(error.to_string()))
}

fn share(percent: u8) -> Result<Share, UpdateError> {
    Share::percent(percent).map_err(|error| UpdateError::Refused(error.to_string()))
}
