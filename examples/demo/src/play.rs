//! The play itself: a release, a bad release, a crash.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use aws_sdk_sqs::types::QueueAttributeName;
use bluegreen::traffic::Outcome;
use bluegreen::{ByColor, Color, Share, Stop, Stopper};
use bluegreen_local::{Calls, Fault as CallFault, Injected, Rule};
use bluegreen_local::{Service, tcp_fault};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::arguments::{Arguments, Fault};
use crate::ledger::{Ledger, Stores};
use crate::load::{self, Seen};
use crate::progress::Progress;
use crate::shifting::{self, Figures};
use crate::stage::Stage;
use crate::summary::{Act, Summary};
use crate::tasks::{Task, access_key};

/// Tasks of one color.
const TASKS: u32 = 2;
/// How long the starting of tasks and the emptying of queues may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Plays everything and answers what happened.
///
/// # Errors
/// When a part of it could not be played at all.
pub async fn play(arguments: &Arguments, progress: Progress) -> Result<Summary> {
    let logs = match &arguments.logs {
        Some(folder) => folder.clone(),
        None => tempfile::Builder::new().prefix("bluegreen-demo-").tempdir()?.keep(),
    };
    std::fs::create_dir_all(&logs)?;
    let progress = Arc::new(progress);
    progress.note("setting the stage: SQS, DynamoDB, CloudWatch, a load balancer, PostgreSQL");
    let stage = Stage::set(std::path::absolute(logs)?).await?;
    let mut play = Play {
        stage,
        arguments: arguments.clone(),
        progress: Arc::clone(&progress),
        seen: Seen::default(),
        tasks: ByColor::default(),
        started: 0,
        acts: Vec::new(),
    };
    let seen = play.seen.clone();
    let proxy = play.stage.proxy.clone();
    let in_flight = || ByColor::from_fn(|color| proxy.in_flight(color));
    let summary = tokio::select! {
        summary = play.all() => summary?,
        () = progress.follow(&seen, in_flight) => bail!("the picture ended before the play"),
    };
    play.stage.strike().await;
    progress.finish(&serde_json::to_value(&summary)?, &summary.text());
    Ok(summary)
}

struct Play {
    stage: Stage,
    arguments: Arguments,
    progress: Arc<Progress>,
    seen: Seen,
    tasks: ByColor<Vec<Task>>,
    started: u32,
    acts: Vec<Act>,
}

/// Measures the phases of an act.
struct Phases(Vec<(String, f64)>, Instant);

impl Phases {
    fn new() -> Self {
        Self(Vec::new(), Instant::now())
    }

    fn done(&mut self, phase: &str) {
        self.0.push((phase.to_owned(), self.1.elapsed().as_secs_f64()));
        self.1 = Instant::now();
    }
}

impl Play {
    async fn all(&mut self) -> Result<Summary> {
        self.start(Color::Blue, "1").await?;
        self.progress.traffic(Share::ZERO);
        let (stopper, load) = self.begin_load();
        sleep(Duration::from_secs(2)).await;

        let (good, figures) = self.release(Color::Green, "2", Fault::None).await?;
        let mut judged = vec![figures];
        let serving = if good { Color::Green } else { Color::Blue };
        let fault = self.arguments.fault;
        let (good, figures) = self.release(serving.other(), "3", fault).await?;
        judged.push(figures);
        let serving = if good { serving.other() } else { serving };
        self.crash(serving).await?;

        stopper.stop(PATIENCE);
        load.await?;
        std::fs::write(self.stage.logs().join("requests.csv"), self.seen.lines())?;
        let ledger = self.settle_accounts().await?;
        for color in Color::BOTH {
            self.stop_tasks(color).await?;
        }
        Ok(self.summary(ledger, judged))
    }

    fn begin_load(&self) -> (Stopper, JoinHandle<()>) {
        let (stopper, stop) = Stop::new();
        let Arguments { rate, seed, .. } = self.arguments;
        let load = load::run(self.stage.proxy_address, rate, seed, self.seen.clone(), stop);
        self.progress.note(&format!("{rate} orders a second through the proxy"));
        (stopper, tokio::spawn(load))
    }

    /// Acts 1 and 2: a release goes from the serving color to the other one, unless it is bad.
    async fn release(&mut self, to: Color, release: &str, fault: Fault) -> Result<(bool, Figures)> {
        let from = to.other();
        let number = u32::try_from(self.acts.len() + 1)?;
        let title = format!("release {release}, {from} to {to}");
        self.progress.act(number, &title);
        let mut phases = Phases::new();
        let trouble = self.trouble(fault, to, release);
        self.start(to, release).await?;
        phases.done("start");
        let outcome = shifting::shift(&self.stage, &self.progress, to, release).await?;
        phases.done("shift");
        let promoted = matches!(outcome, Outcome::Promoted { .. });
        if matches!(outcome, Outcome::Frozen { .. }) {
            self.progress.note("the operator asks the stable color back");
            drop(trouble);
            shifting::revert(&self.stage, &self.progress, to).await?;
            phases.done("revert");
        }
        let idle = if promoted { from } else { to };
        self.drain(idle).await?;
        phases.done("drain");
        self.stop_tasks(idle).await?;
        self.stage.database_faults.get(to).clear();
        phases.done("stop");
        let figures = shifting::figures(outcome.record(), &self.seen);
        let (outcome, why, kind) = described(&outcome);
        let as_expected = kind == expected(fault);
        self.acts.push(Act { title, outcome, as_expected, why, phases: phases.0 });
        Ok((promoted, figures))
    }

    /// Makes the world as bad as the fault says, until dropped.
    fn trouble(&self, fault: Fault, to: Color, release: &str) -> Trouble {
        let world = &self.stage.world;
        let half = Share::per_mille(500).unwrap_or_default();
        let denied = |calls: Calls| {
            let calls = calls.operation("PutItem");
            let rule = Rule::new(calls, CallFault::AccessDenied).some(half, self.arguments.seed);
            world.faults().inject(rule)
        };
        let dynamodb = Calls::to(Service::DynamoDb);
        let injected = match fault {
            Fault::None => None,
            Fault::Errors => Some(denied(dynamodb.access_key(access_key(to, release)))),
            Fault::BothColors => Some(denied(dynamodb)),
            Fault::Latency => {
                let delay = tcp_fault::Fault::Latency(Duration::from_millis(400));
                self.stage.database_faults.get(to).set(delay);
                None
            }
            Fault::NoMetrics => {
                world.cloudwatch_service().hide_reads(true);
                None
            }
        };
        Trouble { _injected: injected, world: world.clone() }
    }

    /// Act 3: a task is killed while requests are under way in it, and replaced.
    async fn crash(&mut self, serving: Color) -> Result<()> {
        let tasks = self.tasks.get_mut(serving);
        let victim = tasks.pop().context("no task is left to kill")?;
        let title = format!("{} is killed", victim.name);
        self.progress.act(3, &title);
        let mut phases = Phases::new();
        let busy = async {
            while self.stage.proxy.in_flight(serving) == 0 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, busy).await.context("no request ever was under way")?;
        let under_way = self.stage.proxy.in_flight(serving);
        let release = victim.name.split('-').nth(1).unwrap_or_default().to_owned();
        victim.kill().await?;
        self.progress.note(&format!("SIGKILL with {under_way} requests under way on {serving}"));
        phases.done("kill");
        self.start_one(serving, &release).await?;
        phases.done("replace");
        sleep(Duration::from_secs(2)).await;
        self.acts.push(Act {
            title,
            outcome: "replaced".to_owned(),
            as_expected: true,
            why: format!("{under_way} requests were under way on {serving}"),
            phases: phases.0,
        });
        Ok(())
    }

    async fn start(&mut self, color: Color, release: &str) -> Result<()> {
        for _ in 0..TASKS {
            self.launch(color, release)?;
        }
        self.ready(color).await
    }

    async fn start_one(&mut self, color: Color, release: &str) -> Result<()> {
        self.launch(color, release)?;
        self.ready(color).await
    }

    fn launch(&mut self, color: Color, release: &str) -> Result<()> {
        self.started += 1;
        let task = self.stage.surroundings.start(color, release, self.started)?;
        self.progress.note(&format!("task {} starts at {}", task.name, task.address));
        self.tasks.get_mut(color).push(task);
        Ok(())
    }

    /// Waits until every task of `color` is ready for requests.
    async fn ready(&mut self, color: Color) -> Result<()> {
        let addresses: Vec<_> = self.tasks.get(color).iter().map(|task| task.address).collect();
        self.stage.targets(color, &addresses).await?;
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.stage.proxy.check(color).await {
            for task in self.tasks.get_mut(color) {
                if let Some(status) = task.ended() {
                    bail!("task {} ended with {status}: see its log", task.name);
                }
            }
            if Instant::now() > deadline {
                return Err(error).with_context(|| format!("{color} is not ready"));
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Waits until `color` has no request under way and its queue is empty.
    async fn drain(&self, color: Color) -> Result<()> {
        timeout(PATIENCE, self.stage.proxy.drain(color))
            .await
            .context("requests stay under way")??;
        let name = if color == Color::Green { "orders-green" } else { "orders" };
        timeout(PATIENCE, self.empty(name))
            .await
            .with_context(|| format!("{name} stays full"))??;
        self.progress
            .note(&format!("{color} is drained: no request under way, queue {name} empty"));
        Ok(())
    }

    /// Waits until a queue holds nothing, visible, in flight or delayed.
    async fn empty(&self, name: &str) -> Result<()> {
        while self.depth(name).await? > 0 {
            sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    async fn depth(&self, name: &str) -> Result<usize> {
        let counts = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let answer = self
            .stage
            .world
            .sqs_as("operator")
            .get_queue_attributes()
            .queue_url(self.stage.queue(name))
            .set_attribute_names(Some(counts.to_vec()))
            .send()
            .await?;
        let counts = counts.iter().filter_map(|count| answer.attributes()?.get(count));
        Ok(counts.filter_map(|count| count.parse::<usize>().ok()).sum())
    }

    /// SIGTERM to all tasks of a color at once; each has to end in good order.
    async fn stop_tasks(&mut self, color: Color) -> Result<()> {
        let tasks = std::mem::take(self.tasks.get_mut(color));
        if tasks.is_empty() {
            return Ok(());
        }
        self.progress.note(&format!("SIGTERM to {} tasks on {color}", tasks.len()));
        let mut stopping = tokio::task::JoinSet::new();
        for task in tasks {
            stopping.spawn(task.stop());
        }
        while let Some(stopped) = stopping.join_next().await {
            stopped??;
        }
        self.stage.targets(color, &[]).await
    }

    /// Waits until the queues are empty, then counts everything from the outside.
    async fn settle_accounts(&self) -> Result<Ledger> {
        self.progress.note("the load has ended; counting what the stores hold");
        for queue in ["orders", "orders-green"] {
            timeout(PATIENCE, self.empty(queue)).await.context("a queue stays full")??;
        }
        let parked = self.depth("orders-dead").await?;
        let dynamodb = self.stage.world.dynamodb_as("operator");
        let stores = Stores::read(&self.stage.database, &dynamodb, parked).await?;
        Ok(Ledger::balance(&self.seen.accepted(), &stores))
    }

    fn summary(&mut self, ledger: Ledger, judged: Vec<Figures>) -> Summary {
        let failures = self.seen.failures().into_iter();
        Summary {
            fault: format!("{:?}", self.arguments.fault),
            seed: self.arguments.seed,
            acts: std::mem::take(&mut self.acts),
            judged,
            requests_sent: self.seen.counts().0,
            requests_failed: failures.map(|(cause, count)| (cause.to_string(), count)).collect(),
            orders_given_up: self.seen.given_up().len(),
            ledger,
            logs: self.stage.logs().display().to_string(),
        }
    }
}

/// What is wrong with the world, until dropped.
struct Trouble {
    _injected: Option<Injected>,
    world: bluegreen_local::World,
}

impl Drop for Trouble {
    fn drop(&mut self) {
        self.world.cloudwatch_service().hide_reads(false);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Promoted,
    RolledBack,
    Frozen,
    Stopped,
}

/// How a release with such a fault has to end.
const fn expected(fault: Fault) -> Kind {
    match fault {
        Fault::None => Kind::Promoted,
        Fault::Errors | Fault::Latency => Kind::RolledBack,
        Fault::BothColors | Fault::NoMetrics => Kind::Frozen,
    }
}

fn described(outcome: &Outcome) -> (String, String, Kind) {
    let last = || outcome.record().last_verdict().map(ToString::to_string).unwrap_or_default();
    match outcome {
        Outcome::Promoted { .. } => ("promoted".to_owned(), last(), Kind::Promoted),
        Outcome::RolledBack { cause, .. } => {
            ("rolled back".to_owned(), cause.to_string(), Kind::RolledBack)
        }
        Outcome::Frozen { why, share, .. } => {
            let why = format!("{why}; the candidate kept {share} and was not blamed");
            ("frozen".to_owned(), why, Kind::Frozen)
        }
        _ => ("stopped".to_owned(), last(), Kind::Stopped),
    }
}
