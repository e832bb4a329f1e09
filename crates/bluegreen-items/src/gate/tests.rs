use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use bluegreen_core::{
    Change, Deployment, FollowConfig, MemoryStore, Outcome, Reads, RosterConfig, ServiceIdentity,
    ServiceKey, Share, Stop, Store, StoreError, update,
};
use tokio::time::timeout;

use super::*;
use crate::Step;

fn key() -> ServiceKey {
    ServiceKey::new("orders").unwrap()
}

fn release(name: &str) -> Release {
    Release::new(name).unwrap()
}

fn v(major: u16) -> ContractVersion {
    ContractVersion::new(major, 0)
}

fn member(color: Color, of: &str, majors: &[u16]) -> Member {
    let identity = ServiceIdentity::new(key(), color, release(of), format!("{color}-{of}"));
    let reads = majors.iter().fold(Reads::default(), |reads, &major| {
        reads.with("items/Order", ContractVersion::new(major, 3))
    });
    Member::new(&identity, reads, Duration::from_secs(15))
}

/// Version 3, with steps down to 2 and to 1.
fn schema() -> Schema {
    let step = |from| Step::new(from, from + 1, |_| Ok(())).lossy_down(|_| Ok(()));
    Schema::builder("Order", v(3)).step(step(1)).step(step(2)).build().unwrap()
}

/// Release 1 on blue, release 2 on green, all of the work on green.
fn shifted() -> Deployment {
    let first = Deployment::first(key(), Color::Blue, release("1"));
    first.begin(Color::Green, release("2")).unwrap().shift(Share::FULL).unwrap()
}

fn gate(deployment: Deployment, living: &[Member], departed: &[Member]) -> WriteGate {
    let mut members = Members::living(living.to_vec());
    members.departed = departed.to_vec();
    WriteGate::new(Following::fixed(deployment), Roster::fixed(members))
}

fn held_by(written: &WrittenSchema) -> Option<&str> {
    match written.held_by.as_ref()? {
        HeldBy::Unknown => Some("unknown"),
        HeldBy::Stale { .. } => Some("stale"),
        HeldBy::Color(color) => Some(color.as_str()),
        HeldBy::Member { instance, .. } => Some(instance),
    }
}

type Case<'a> = (&'a str, &'a Deployment, &'a [Member], &'a [Member], u16, Option<&'a str>);

#[test]
fn the_highest_version_is_written_that_everybody_understands() {
    let green = || member(Color::Green, "2", &[1, 2, 3]);
    let blue = |majors: &[u16]| member(Color::Blue, "1", majors);
    let (shift, only) = (shifted(), shifted().commit().unwrap());
    // the deployment, who lives, who lived, the version written, who holds it back
    let cases: [Case<'_>; 9] = [
        ("all read it", &shift, &[green(), blue(&[2, 3])], &[], 3, None),
        ("blue reads 2", &shift, &[green(), blue(&[1, 2])], &[], 2, Some("blue-1")),
        ("blue reads 1", &shift, &[green(), blue(&[1])], &[], 1, Some("blue-1")),
        ("blue may return", &shift, &[green()], &[blue(&[2])], 2, Some("blue-1")),
        ("nobody knows blue", &shift, &[green()], &[], 1, Some("blue")),
        ("blue is committed away", &only, &[green()], &[blue(&[1])], 3, None),
        ("and still lives", &only, &[green(), blue(&[1])], &[], 1, Some("blue-1")),
        ("blue says nothing", &shift, &[green(), blue(&[])], &[], 1, Some("blue-1")),
        ("blue is ahead", &shift, &[green(), blue(&[4])], &[], 3, None),
    ];
    for (name, deployment, living, departed, version, holder) in cases {
        let written = gate(deployment.clone(), living, departed).decide(&schema()).unwrap();
        assert_eq!((written.version, held_by(&written)), (v(version), holder), "{name}");
    }
}

#[test]
fn nothing_is_written_that_a_living_process_cannot_read() {
    let living = [member(Color::Green, "2", &[1, 2, 3]), member(Color::Blue, "1", &[0])];
    let held = gate(shifted(), &living, &[]).decide(&schema()).unwrap_err();
    assert_eq!(held.to_string(), "blue-1 of blue, release 1");
}

#[test]
fn a_process_of_another_job_can_be_left_out() {
    let living = [member(Color::Green, "2", &[1, 2, 3]), member(Color::Blue, "1", &[])];
    let gate = gate(shifted(), &living, &[]).with_unannounced(Unannounced::ReadsNothing);
    assert_eq!(gate.decide(&schema()).unwrap().version, v(3));
}

#[tokio::test]
async fn while_nobody_is_known_the_lowest_version_is_written() {
    let store = MemoryStore::new();
    let (roster, _lookout) = Roster::new(store, key(), Default::default()).unwrap();
    let gate = WriteGate::new(Following::fixed(shifted()), roster);
    let written = gate.decide(&schema()).unwrap();
    assert_eq!((written.version, held_by(&written)), (v(1), Some("unknown")));
    let without_steps = gate.decide(&Schema::new("Order", v(3))).unwrap();
    assert_eq!(without_steps, WrittenSchema { version: v(3), held_by: None });
}

/// A store whose answers can be switched off.
#[derive(Default)]
struct Flaky {
    store: MemoryStore,
    is_away: AtomicBool,
}

impl Flaky {
    fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Relaxed);
    }

    fn answers(&self) -> Result<(), StoreError> {
        let source = "the store is away".into();
        if self.is_away.load(Relaxed) { Err(StoreError::Unavailable { source }) } else { Ok(()) }
    }
}

impl Store for Flaky {
    async fn load(&self, service: &ServiceKey) -> Result<Option<Deployment>, StoreError> {
        self.answers()?;
        self.store.load(service).await
    }

    async fn compare_and_set(&self, change: &Change) -> Result<Outcome, StoreError> {
        self.answers()?;
        self.store.compare_and_set(change).await
    }

    async fn announce(&self, service: &ServiceKey, member: &Member) -> Result<(), StoreError> {
        self.answers()?;
        self.store.announce(service, member).await
    }

    async fn withdraw(&self, service: &ServiceKey, instance: &str) -> Result<(), StoreError> {
        self.answers()?;
        self.store.withdraw(service, instance).await
    }

    async fn members(&self, service: &ServiceKey) -> Result<Vec<Member>, StoreError> {
        self.answers()?;
        self.store.members(service).await
    }
}

/// A committed green that follows a store and announces itself there, and its gate.
async fn following(store: &Arc<Flaky>) -> WriteGate {
    let written = |known: Option<&Deployment>| {
        known.cloned().unwrap_or_else(|| Deployment::first(key(), Color::Green, release("2")))
    };
    update(&**store, &key(), |known| Ok(written(known))).await.unwrap();
    let who = ServiceIdentity::new(key(), Color::Green, release("2"), "green");
    let config = FollowConfig::default().with_reads(schema().reads());
    let (following, follower) = Following::new(Arc::clone(store), who, config).unwrap();
    let (roster, lookout) = Roster::new(Arc::clone(store), key(), RosterConfig::default()).unwrap();
    let gate = WriteGate::new(following, roster);
    assert!(timeout(HOUR, gate.ready()).await.is_err(), "nobody has looked");
    tokio::spawn(follower.run(Stop::never()));
    assert!(timeout(HOUR, gate.ready()).await.is_err(), "the members were not seen");
    tokio::spawn(lookout.run(Stop::never()));
    gate
}

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test(start_paused = true)]
async fn it_is_ready_once_the_deployment_and_the_members_were_seen() {
    let store = Arc::new(Flaky::default());
    let gate = following(&store).await;
    timeout(HOUR, gate.ready()).await.unwrap();
    assert_eq!(gate.decide(&schema()).unwrap().held_by, None);
    timeout(HOUR, gate.ready()).await.expect("it stays so");
}

#[tokio::test(start_paused = true)]
async fn what_the_store_has_not_confirmed_for_a_members_lifetime_is_stale_until_it_answers() {
    let store = Arc::new(Flaky::default());
    let gate = following(&store).await;
    gate.ready().await;
    let written = || {
        let written = gate.decide(&schema()).unwrap();
        (written.version.major(), held_by(&written).map(str::to_owned))
    };
    for _ in 0..2 {
        sleep(Duration::from_secs(10)).await;
        assert_eq!(written(), (3, None));
        store.set_away(true);
        sleep(Duration::from_secs(12)).await;
        assert_eq!(written(), (3, None), "not longer than a process lives");
        sleep(Duration::from_secs(6)).await;
        assert_eq!(written(), (1, Some("stale".to_owned())));
        store.set_away(false);
    }
    sleep(Duration::from_secs(10)).await;
    let closes = async {
        sleep(Duration::from_secs(1)).await;
        store.set_away(true);
        gate.closes(&schema()).await
    };
    assert!(timeout(HOUR, closes).await.unwrap().is_ignorance(), "without any change");
}
