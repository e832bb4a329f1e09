//! Consumers as real processes, killed and stopped by the hundred under load, while their calls
//! fail: nothing may be lost, and what is handled twice must be explained.

mod faults;
mod life;
mod load;
mod verdict;
mod word;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use aws_sdk_sqs::types::QueueAttributeName;
use bluegreen::Stop;
use bluegreen_local::World;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

pub use faults::Struck;
pub use verdict::{Unexplained, Verdict};
pub use worker::work;

use faults::Faults;
use life::{Age, Death, Life, Place};
use load::Load;

const QUEUE: &str = "orders";
const DEAD: &str = "orders-dead";

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Soak {
    /// The program that works as a consumer when it is given the argument `worker`.
    pub program: PathBuf,
    /// How many consumers are killed.
    pub kills: u32,
    /// How many are told to stop.
    pub stops: u32,
    /// How many live at once.
    pub parallel: u32,
    /// Chooses how old each grows, which calls fail, and the order of all.
    pub seed: u64,
    /// Whether progress is told on stderr.
    pub tells: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was lost, and why what was handled twice was.
    pub verdict: Verdict,
    /// The faults that struck.
    pub struck: Struck,
    /// How long it took.
    pub took: Duration,
}

impl Soak {
    /// Runs it.
    ///
    /// # Errors
    /// When a consumer cannot be started, ends by itself, or does not stop when it is told to.
    pub async fn run(&self) -> Result<Outcome> {
        let began = Instant::now();
        let world = World::new();
        let sqs = world.sqs_as("operator");
        for name in [QUEUE, DEAD] {
            let create = sqs.create_queue().queue_name(name);
            create.attributes(QueueAttributeName::VisibilityTimeout, "2").send().await?;
        }
        world.sqs_service().keep_journal(QUEUE);
        let served = world.serve("127.0.0.1:0").await?;
        let place = Place::new(self.program.clone(), served.endpoint_url());
        let (stopper, stop) = Stop::new();
        let mut drivers = JoinSet::new();
        drivers.spawn(served.run(stop));

        let faults = Faults::inject(&world, self.seed);
        let load = Load::start(world.sqs_as("producer"), place.url(QUEUE));
        let mut lives = self.live(&place).await?;
        let sent = load.stop().await?;
        let struck = faults.end();

        let last = Life::begin(&place, "last", Death::Stop).await?;
        load::emptied(&sqs, &place.url(QUEUE)).await?;
        lives.push(last.end().await?);
        let parked = load::depth(&sqs, &place.url(DEAD)).await?;
        let journal = world.sqs_service().journal(QUEUE);
        stopper.stop(Duration::ZERO);
        drivers.join_all().await;
        let verdict = Verdict::of(&sent, parked, &lives, &journal);
        Ok(Outcome { verdict, struck, took: began.elapsed() })
    }

    /// Lets all consumers live and die, some beside each other.
    async fn live(&self, place: &Place) -> Result<Vec<life::Lived>> {
        let mut random = fastrand::Rng::with_seed(self.seed);
        let kills = std::iter::repeat_n(Death::Kill, self.kills.try_into()?);
        let mut deaths: Vec<_> =
            kills.chain(std::iter::repeat_n(Death::Stop, self.stops.try_into()?)).collect();
        random.shuffle(&mut deaths);
        let all = deaths.len();
        let plan = deaths.into_iter().enumerate().map(|(number, death)| {
            // Most die young, some before they have done anything; some live long enough for
            // heartbeats.
            let long = random.u8(..10) == 0;
            let then = if long { random.u64(1_000..4_000) } else { random.u64(..60) };
            let age = Age { messages: random.usize(..80), then: Duration::from_millis(then) };
            (number, death, age)
        });
        let plan = Arc::new(Mutex::new(plan.collect::<Vec<_>>().into_iter()));
        let mut keepers = JoinSet::new();
        for _ in 0..self.parallel {
            let (plan, place, tells) = (Arc::clone(&plan), place.clone(), self.tells);
            keepers.spawn(async move {
                let mut lived = Vec::new();
                loop {
                    let Some((number, death, age)) = plan.lock().await.next() else {
                        return Ok::<_, anyhow::Error>(lived);
                    };
                    let name = format!("worker-{number}");
                    let mut life = Life::begin(&place, &name, death).await?;
                    life.live(age).await.with_context(|| name.clone())?;
                    lived.push(life.end().await.with_context(|| name)?);
                    if tells && (number + 1) % 50 == 0 {
                        eprintln!("soak: {} of {all} consumers have lived", number + 1);
                    }
                }
            });
        }
        let mut lives = Vec::with_capacity(all);
        while let Some(lived) = keepers.join_next().await {
            lives.extend(lived??);
        }
        Ok(lives)
    }
}
