//! State and queue together: what went to the candidate's queue before a rollback is handled.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use anyhow::Result;
use bluegreen::queue::{
    Consumer, ConsumerConfig, Dispatch, Message, Outcome, Producer, ProducerConfig, Queues,
    Subscription, UnknownPolicy,
};
use bluegreen::{
    ByColor, Clock, Color, ContractVersion, Deployment, FollowConfig, Following, MemoryStore,
    Release, Roster, RosterConfig, ServiceIdentity, ServiceKey, Share, Stop, UpdateError, update,
};
use bluegreen_local::World;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Placed {
    order: u32,
}

impl Message for Placed {
    const TYPE: &str = "Placed";
    const VERSION: ContractVersion = ContractVersion::new(1, 0);
}

/// One step of a deployment.
type Change = dyn Fn(&Deployment) -> Result<Deployment, UpdateError>;

/// Which color handled which order, and how often.
type Handled = Arc<Mutex<BTreeMap<u32, Vec<Color>>>>;

#[tokio::test(start_paused = true)]
async fn a_rollback_leaves_no_message_behind_and_none_is_handled_twice() -> Result<()> {
    let world = World::builder().clock(Clock::starting_at(SystemTime::UNIX_EPOCH + DAY)).build();
    let mut urls = Vec::new();
    for name in ["placed", "placed-green", "placed-dead"] {
        let made = world.sqs().create_queue().queue_name(name).send().await?;
        urls.push(made.queue_url().unwrap_or_default().to_owned());
    }
    let queues = Queues::Separate(ByColor { blue: urls[0].clone(), green: urls[1].clone() });

    let (service, store) = (ServiceKey::new("shop")?, Arc::new(MemoryStore::new()));
    let first = Deployment::first(service.clone(), Color::Blue, Release::new("1")?);
    update(&store, &service, |_| Ok(first.clone())).await?;
    let (handled, (stopper, stop)) = (Handled::default(), Stop::new());
    let mut producers = Vec::new();
    for color in Color::BOTH {
        let me = ServiceIdentity::new(service.clone(), color, Release::new("1")?, color.as_str());
        let config = FollowConfig::default().with_seed(7);
        let (following, follower) = Following::new(Arc::clone(&store), me, config)?;
        tokio::spawn(follower.run(stop.clone()));
        following.known().await;
        let config = ProducerConfig::default();
        let sqs = world.sqs();
        producers.push(Producer::new(sqs, queues.clone(), following.clone(), color, config)?);
        let own = Subscription::own(&queues, color, &urls[2]);
        let config = RosterConfig::default().with_clock(world.clock());
        let (roster, lookout) = Roster::new(Arc::clone(&store), service.clone(), config)?;
        tokio::spawn(lookout.run(stop.clone()));
        let adopted = Subscription::adopted(&queues, color, &urls[2], roster);
        for queue in [Some(own), adopted].into_iter().flatten() {
            let handled = Arc::clone(&handled);
            let dispatch = Dispatch::builder()
                .on(move |placed: Placed, _| {
                    handled.lock().unwrap().entry(placed.order).or_default().push(color);
                    async { Ok(Outcome::Done) }
                })
                .unknown(UnknownPolicy::PassToOtherColor)
                .build()?;
            let config = ConsumerConfig::default();
            let (_, consumer) =
                Consumer::new(world.sqs(), queue, following.clone(), dispatch, config)?;
            tokio::spawn(consumer.run(stop.clone()));
        }
    }

    // Half of the traffic goes to green, then all of it back to blue, under load.
    let mut order = 0;
    let changes: [&Change; 4] = [
        &|now| Ok(now.begin(Color::Green, Release::new("2").map_err(refused)?)?),
        &|now| Ok(now.shift(Share::percent(50).map_err(refused)?)?),
        &|now| Ok(now.shift(Share::ZERO)?),
        &|now| Ok(now.abandon()?),
    ];
    for change in changes {
        update(&store, &service, |now| change(now.ok_or(UpdateError::NoRecord)?)).await?;
        for _ in 0..100 {
            // Sent from both sides and in the middle of the change: some follow it already.
            for producer in &producers {
                producer.send(&Placed { order }, &order.to_string()).await?;
                order += 1;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    tokio::time::sleep(Duration::from_secs(120)).await;

    let handled = std::mem::take(&mut *handled.lock().unwrap());
    let missing: Vec<_> = (0..order).filter(|order| !handled.contains_key(order)).collect();
    assert_eq!(missing, Vec::<u32>::new(), "stranded");
    let twice: Vec<_> = handled.iter().filter(|(_, by)| by.len() > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert!(handled.values().any(|by| by == &[Color::Green]), "green never had a share");
    stopper.stop(Duration::from_secs(5));
    Ok(())
}

const DAY: Duration = Duration::from_secs(86_400);

fn refused(error: impl std::fmt::Display) -> UpdateError {
    UpdateError::Refused(error.to_string())
}
