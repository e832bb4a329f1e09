//! How a process follows its deployment over a store that fails, on tokio's paused clock.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected ends there")]

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bluegreen_core::{
    Change, Clock, Color, Deployment, FollowConfig, FollowReport, Following, Member, MemoryStore,
    Outcome, Phase, Release, Remember, Revision, ServiceIdentity, ServiceKey, Share, Source, Stop,
    Stopper, Store, StoreError, settled, update,
};
use proptest::prelude::*;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

const INTERVAL: Duration = Duration::from_secs(2);
const TTL: Duration = Duration::from_secs(15);
const LONG: Duration = Duration::from_secs(3600);

/// What one process gets from the store that all share.
#[derive(Clone, Debug, Default)]
enum Weather {
    #[default]
    Fine,
    /// Every call fails.
    Down,
    /// No call ever answers.
    Hangs,
    /// An announcement arrives after a second, whether or not its caller still waits.
    Slow,
    /// Reads bring this, whatever was written since.
    Stale(Deployment),
    /// Reads find this text.
    Text(String),
    /// Each read brings one of the past records, by chance.
    AnyOfThePast(fastrand::Rng),
}

#[derive(Debug, Default)]
struct View {
    store: Arc<MemoryStore>,
    past: Arc<Mutex<Vec<Deployment>>>,
    weather: Mutex<Weather>,
    looks: Mutex<Vec<Instant>>,
    announced: Mutex<Vec<Instant>>,
    /// The handle of the process that announces itself here.
    handle: Mutex<Option<Following>>,
}

impl View {
    /// The same store from another process.
    fn beside(&self) -> Arc<Self> {
        Arc::new(Self {
            store: Arc::clone(&self.store),
            past: Arc::clone(&self.past),
            ..Self::default()
        })
    }

    fn set(&self, weather: Weather) {
        *self.weather.lock().unwrap() = weather;
    }

    /// Makes the next revision.
    async fn change(&self) -> Deployment {
        let next = update(&self.store, &key(), |record| Ok(record.map_or_else(first, next_of)))
            .await
            .unwrap();
        self.past.lock().unwrap().push(next.clone());
        next
    }

    async fn pass<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let weather = self.weather.lock().unwrap().clone();
        match weather {
            Weather::Down => Err(StoreError::Unavailable { source: "it is down".into() }),
            Weather::Hangs => std::future::pending().await,
            _ => work.await,
        }
    }
}

impl Store for View {
    async fn load(&self, service: &ServiceKey) -> Result<Option<Deployment>, StoreError> {
        self.looks.lock().unwrap().push(Instant::now());
        let found = self.pass(self.store.load(service)).await?;
        match &mut *self.weather.lock().unwrap() {
            Weather::Stale(record) => Ok(Some(record.clone())),
            Weather::Text(text) => Deployment::from_json(text)
                .map(Some)
                .map_err(|source| StoreError::Unreadable { place: "here".to_owned(), source }),
            Weather::AnyOfThePast(chance) => {
                let past = self.past.lock().unwrap();
                Ok(past.get(chance.usize(0..past.len().max(1))).cloned())
            }
            Weather::Fine | Weather::Slow | Weather::Down | Weather::Hangs => Ok(found),
        }
    }

    async fn compare_and_set(&self, change: &Change) -> Result<Outcome, StoreError> {
        self.pass(self.store.compare_and_set(change)).await
    }

    async fn announce(&self, service: &ServiceKey, member: &Member) -> Result<(), StoreError> {
        self.announced.lock().unwrap().push(Instant::now());
        if let Some(handle) = &*self.handle.lock().unwrap() {
            let known = handle.current();
            assert!(member.seen <= known.as_ref().map(|known| known.revision()));
            assert_eq!(handle.phase(), known.map(|known| known.phase()));
        }
        if matches!(*self.weather.lock().unwrap(), Weather::Slow) {
            let (store, service, member) = (self.store.clone(), service.clone(), member.clone());
            let arriving = async move {
                sleep(Duration::from_secs(1)).await;
                store.announce(&service, &member).await
            };
            return tokio::spawn(arriving).await.unwrap();
        }
        self.pass(self.store.announce(service, member)).await
    }

    async fn withdraw(&self, service: &ServiceKey, instance: &str) -> Result<(), StoreError> {
        self.pass(self.store.withdraw(service, instance)).await
    }

    async fn members(&self, service: &ServiceKey) -> Result<Vec<Member>, StoreError> {
        self.pass(self.store.members(service)).await
    }
}

/// A memory that outlives the follower.
#[derive(Clone, Debug, Default)]
struct Notebook(Arc<Mutex<Option<Deployment>>>);

impl Remember for Notebook {
    async fn recall(&self) -> Option<Deployment> {
        self.0.lock().unwrap().clone()
    }

    async fn keep(&self, deployment: &Deployment) {
        *self.0.lock().unwrap() = Some(deployment.clone());
    }
}

fn key() -> ServiceKey {
    ServiceKey::new("orders").unwrap()
}

fn first() -> Deployment {
    Deployment::first(key(), Color::Blue, Release::new("1").unwrap())
}

/// A revision that differs in phase from the one before.
fn next_of(current: &Deployment) -> Deployment {
    let share = Share::per_mille(u16::try_from(current.revision().get() % 1000).unwrap()).unwrap();
    current
        .shift(share)
        .or_else(|_| current.begin(Color::Green, Release::new("2").unwrap()))
        .unwrap()
}

struct Process {
    following: Following,
    stopper: Stopper,
    running: JoinHandle<Result<FollowReport, StoreError>>,
}

fn config() -> FollowConfig {
    let clock = Clock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    FollowConfig::default()
        .with_interval(INTERVAL)
        .with_member_ttl(TTL)
        .with_clock(clock)
        .with_seed(7)
}

fn start(view: &Arc<View>, instance: &str) -> Process {
    start_with(view, instance, config(), Notebook::default())
}

fn start_with(view: &Arc<View>, instance: &str, config: FollowConfig, notes: Notebook) -> Process {
    let identity = ServiceIdentity::new(key(), Color::Blue, Release::new("1").unwrap(), instance);
    let (following, follower) = Following::new(Arc::clone(view), identity, config).unwrap();
    let (stopper, stop) = Stop::new();
    let running = tokio::spawn(follower.remembering(notes).run(stop));
    Process { following, stopper, running }
}

/// Lets the process look several times.
async fn looks_pass() {
    sleep(INTERVAL * 4).await;
}

#[tokio::test(start_paused = true)]
async fn it_wakes_on_a_change_and_on_nothing_else() {
    let view = Arc::<View>::default();
    view.change().await;
    let mut following = start(&view, "one").following;
    assert_eq!(following.changed().await.revision(), Revision::FIRST);
    let old = following.current().unwrap();
    for weather in [
        Weather::Fine,
        Weather::Down,
        Weather::Hangs,
        Weather::Stale((*old).clone()),
        Weather::Text("{".to_owned()),
        Weather::Fine,
    ] {
        view.set(weather.clone());
        let woken = timeout(LONG, following.changed()).await;
        assert!(woken.is_err(), "woken by {weather:?}");
    }
    let before = Instant::now();
    view.change().await;
    assert_eq!(following.changed().await.revision(), Revision::new(2));
    assert!(before.elapsed() <= INTERVAL, "seen at the next look: {:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn every_handle_wakes_and_finds_the_phase_there() {
    let view = Arc::<View>::default();
    view.change().await;
    let process = start(&view, "one");
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let mut following = process.following.clone();
            tokio::spawn(async move {
                let deployment = following.changed().await;
                assert_eq!(following.phase(), Some(deployment.phase()));
            })
        })
        .collect();
    for handle in waiting {
        handle.await.unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn whatever_stale_reads_come_a_revision_never_goes_back(seed: u64) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let view = Arc::<View>::default();
            view.set(Weather::AnyOfThePast(fastrand::Rng::with_seed(seed)));
            let mut following = start(&view, "one").following;
            let mut latest = Revision::default();
            for _ in 0..20 {
                view.change().await;
                if let Ok(deployment) = timeout(INTERVAL * 2, following.changed()).await {
                    assert!(deployment.revision() > latest);
                    latest = deployment.revision();
                }
                assert_eq!(following.current().map(|known| known.revision()).unwrap_or_default(), latest);
            }
            assert!(latest > Revision::FIRST);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn it_says_its_age_which_neither_outage_nor_stale_reads_renew() {
    let view = Arc::<View>::default();
    view.change().await;
    let process = start(&view, "one");
    let following = process.following;
    let old = following.known().await;
    for _ in 0..50 {
        sleep(INTERVAL).await;
        assert!(following.age().unwrap() <= INTERVAL, "{:?}", following.age());
    }
    view.change().await;
    looks_pass().await;
    for weather in [Weather::Down, Weather::Hangs, Weather::Stale((*old).clone())] {
        view.set(Weather::Fine);
        looks_pass().await;
        view.set(weather.clone());
        sleep(LONG).await;
        let age = following.age().unwrap();
        assert!(age >= LONG && age <= LONG + INTERVAL, "{weather:?}: {age:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_leaves_the_last_known_and_ends_by_itself() {
    let view = Arc::<View>::default();
    view.change().await;
    let second = view.change().await;
    let mut following = start(&view, "one").following;
    following.changed().await;
    for weather in [Weather::Down, Weather::Hangs] {
        view.set(weather);
        sleep(LONG).await;
        assert_eq!(*following.current().unwrap(), second);
        assert_eq!(following.phase(), Some(second.phase()));
        assert_eq!(following.weight(Color::Blue), Share::FULL);
        assert_eq!(following.source(), Source::Store);
    }
    view.set(Weather::Fine);
    view.change().await;
    assert_eq!(following.changed().await.revision(), Revision::new(3));
}

#[tokio::test(start_paused = true)]
async fn started_without_the_store_nothing_is_known_until_it_answers() {
    let view = Arc::<View>::default();
    view.set(Weather::Down);
    let following = start(&view, "one").following;
    assert!(timeout(LONG, following.known()).await.is_err());
    assert_eq!((following.source(), following.age()), (Source::Unknown, None));
    assert_eq!((following.phase(), following.role(Color::Blue)), (None, None));
    for color in Color::BOTH {
        assert_eq!(following.weight(color), Share::ZERO, "nobody may work on a guess");
    }
    view.set(Weather::Fine);
    view.change().await;
    assert_eq!(following.known().await.revision(), Revision::FIRST);
    assert_eq!(following.source(), Source::Store);
}

#[tokio::test(start_paused = true)]
async fn started_without_the_store_it_goes_on_from_what_it_remembered() {
    let (view, notes) = (Arc::<View>::default(), Notebook::default());
    view.change().await;
    let second = view.change().await;
    let earlier = start_with(&view, "one", config(), notes.clone());
    earlier.following.known().await;
    looks_pass().await;
    earlier.running.abort();

    view.set(Weather::Down);
    let mut following = start_with(&view, "one", config(), notes).following;
    let remembered = timeout(LONG, following.changed()).await.expect("it remembers");
    assert_eq!(*remembered, second);
    assert_eq!((following.source(), following.age()), (Source::Remembered, None));
    view.set(Weather::Fine);
    assert!(timeout(LONG, following.changed()).await.is_err(), "confirmed, not changed");
    assert_eq!(following.source(), Source::Store);
    view.change().await;
    assert_eq!(following.changed().await.revision(), Revision::new(3));
}

#[tokio::test(start_paused = true)]
async fn what_is_assumed_serves_until_the_store_answers_and_is_announced_as_nothing_seen() {
    let view = Arc::<View>::default();
    view.set(Weather::Down);
    let assumed = next_of(&next_of(&first()));
    let assume = config().with_assume(assumed.clone());
    let mut following = start_with(&view, "one", assume, Notebook::default()).following;
    assert_eq!(following.source(), Source::Assumed, "at once, before it runs");
    assert_eq!(following.phase(), Some(assumed.phase()));
    looks_pass().await;
    view.set(Weather::Fine);
    looks_pass().await;
    let members = view.store.members(&key()).await.unwrap();
    assert_eq!(members[0].seen, None, "there is no such revision to have seen");

    following.changed().await;
    view.change().await;
    let deployment = timeout(LONG, following.changed()).await.expect("any record is newer");
    assert_eq!((deployment.revision(), following.source()), (Revision::FIRST, Source::Store));
    assert_eq!(following.phase(), Some(Phase::Only(Color::Blue)));
}

#[tokio::test(start_paused = true)]
async fn a_phase_of_the_future_freezes_and_the_next_readable_record_thaws() {
    let view = Arc::<View>::default();
    let known = view.change().await;
    let mut following = start(&view, "one").following;
    following.changed().await;
    let future = known.taken_over().to_json().replace("\"only\"", "\"mirror\"");
    view.set(Weather::Text(future));
    assert!(timeout(LONG, following.changed()).await.is_err());
    let reason = following.frozen().unwrap();
    assert!(reason.contains("here") && reason.contains("mirror"), "{reason}");
    assert_eq!(*following.current().unwrap(), known);
    assert!(following.age().unwrap() >= LONG, "a record that cannot be read confirms nothing");

    view.set(Weather::Fine);
    looks_pass().await;
    assert_eq!(following.frozen(), None, "the same record, readable again");
    view.set(Weather::Text("{}".to_owned()));
    looks_pass().await;
    assert!(following.frozen().is_some());
    view.set(Weather::Fine);
    view.change().await;
    assert_eq!(following.changed().await.revision(), Revision::new(2));
    assert_eq!(following.frozen(), None);
}

#[tokio::test(start_paused = true)]
async fn a_handle_whose_follower_ended_waits_and_never_spins() {
    let view = Arc::<View>::default();
    let record = view.change().await;
    let process = start(&view, "one");
    let mut following = process.following;
    following.changed().await;
    process.running.abort();
    assert!(process.running.await.unwrap_err().is_cancelled());
    view.change().await;
    // Under the paused clock the time passes only while every task sleeps.
    assert!(timeout(LONG, following.changed()).await.is_err());
    assert_eq!(*following.current().unwrap(), record);

    let (unknown, follower) = Following::new(
        Arc::clone(&view),
        ServiceIdentity::new(key(), Color::Blue, Release::new("1").unwrap(), "two"),
        config(),
    )
    .unwrap();
    drop(follower);
    assert!(timeout(LONG, unknown.known()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn asked_to_stop_it_withdraws_and_reports() {
    let view = Arc::<View>::default();
    view.change().await;
    let Process { following, stopper, running } = start(&view, "one");
    following.known().await;
    looks_pass().await;
    assert_eq!(view.store.members(&key()).await.unwrap().len(), 1);
    view.set(Weather::Down);
    looks_pass().await;
    view.set(Weather::Fine);
    let before = Instant::now();
    stopper.stop(Duration::from_secs(5));
    let report = running.await.unwrap().unwrap();
    assert_eq!(before.elapsed(), Duration::ZERO, "it does not wait for the next look");
    assert_eq!(view.store.members(&key()).await.unwrap(), []);
    assert_eq!(report.changes, 1);
    assert_eq!(report.looks, u64::try_from(view.looks.lock().unwrap().len()).unwrap());
    assert!(report.failed > 0 && report.failed < report.looks);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_does_not_keep_it_beyond_the_deadline() {
    let view = Arc::<View>::default();
    view.change().await;
    let Process { following, stopper, running } = start(&view, "one");
    following.known().await;
    sleep(Duration::from_millis(10)).await;
    view.set(Weather::Hangs);
    let before = Instant::now();
    stopper.stop(Duration::from_secs(5));
    running.await.unwrap().unwrap();
    assert_eq!(before.elapsed(), Duration::from_secs(3), "one call's time, below the deadline");
}

#[tokio::test(start_paused = true)]
async fn looks_are_jittered_between_half_the_interval_and_the_whole() {
    let view = Arc::<View>::default();
    view.change().await;
    let process = start(&view, "one");
    sleep(LONG).await;
    process.running.abort();
    let looks = view.looks.lock().unwrap();
    let gaps: Vec<_> = looks.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // Tokio's timer rounds up to a millisecond.
    let bounds = INTERVAL / 2..=INTERVAL + Duration::from_millis(1);
    assert!(gaps.iter().all(|gap| bounds.contains(gap)), "{gaps:?}");
    let different: HashSet<_> = gaps.iter().collect();
    assert!(different.len() > gaps.len() / 3, "drawn anew each time");
}

#[tokio::test(start_paused = true)]
async fn a_living_process_never_looks_dead_and_tells_at_once_what_it_follows() {
    let view = Arc::<View>::default();
    view.change().await;
    let clock = config().clock;
    let mut process = start_with(&view, "one", config().with_clock(clock), Notebook::default());
    process.following.changed().await;
    for round in 0..200u64 {
        sleep(Duration::from_millis(731)).await;
        let members = view.store.members(&key()).await.unwrap();
        assert!(members[0].is_living(clock.now()), "round {round}");
        assert!(members[0].expires() > clock.now() + TTL / 3, "two more announcements may fail");
    }
    // Often enough that an announcement which is due anyway is no excuse.
    for _ in 0..10 {
        let revision = view.change().await.revision();
        process.following.changed().await;
        tokio::task::yield_now().await;
        assert_eq!(view.store.members(&key()).await.unwrap()[0].seen, Some(revision));
    }
}

#[tokio::test(start_paused = true)]
async fn settled_waits_for_a_process_a_revision_behind_and_sees_one_that_died() {
    let view = Arc::<View>::default();
    let old = view.change().await;
    let (behind, dying) = (view.beside(), view.beside());
    let clock = config().clock;
    let processes = [start(&view, "up to date"), start(&behind, "behind"), start(&dying, "dead")];
    looks_pass().await;
    assert_eq!(view.store.members(&key()).await.unwrap().len(), 3);
    behind.set(Weather::Stale(old));
    processes[2].running.abort();
    let second = view.change().await.revision();

    let store = Arc::clone(&view);
    let settling = tokio::spawn(async move {
        settled(&store, &key(), second, Duration::from_millis(500), clock).await.unwrap()
    });
    sleep(TTL * 4).await;
    assert!(!settling.is_finished(), "the dead one is over, the living one is behind");
    behind.set(Weather::Fine);
    let settled = settling.await.unwrap();
    assert_eq!(settled.followed, ["behind", "up to date"]);
    assert_eq!(settled.expired, ["dead"]);
    assert_eq!(processes[1].following.current().unwrap().revision(), second);
}

#[tokio::test(start_paused = true)]
async fn settled_outwaits_an_outage_of_the_store() {
    let view = Arc::<View>::default();
    view.change().await;
    let other = view.beside();
    let process = start(&other, "one");
    process.following.known().await;
    looks_pass().await;
    view.set(Weather::Down);
    let store = Arc::clone(&view);
    let settling = tokio::spawn(async move {
        settled(&store, &key(), Revision::FIRST, INTERVAL, config().clock).await.unwrap()
    });
    sleep(LONG).await;
    assert!(!settling.is_finished());
    view.set(Weather::Fine);
    assert_eq!(settling.await.unwrap().followed, ["one"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_under_way_does_not_keep_it_beyond_the_deadline_of_a_stop() {
    // Two calls of three seconds: the announcement under way, and the withdrawal.
    for (within, at_most) in [(1, 1), (3600, 6)] {
        let view = Arc::<View>::default();
        view.set(Weather::Hangs);
        for waited in [0, 3100, 7000] {
            let Process { stopper, running, .. } = start(&view, "one");
            sleep(Duration::from_millis(waited)).await;
            let before = Instant::now();
            stopper.stop(Duration::from_secs(within));
            running.await.unwrap().unwrap();
            let took = before.elapsed();
            assert!(took <= Duration::from_secs(at_most), "after {waited}: {took:?}");
        }
    }
}

/// A memory on a disk that has stopped answering.
#[derive(Clone, Copy, Debug)]
struct StuckDisk;

impl Remember for StuckDisk {
    async fn recall(&self) -> Option<Deployment> {
        std::future::pending().await
    }

    async fn keep(&self, _: &Deployment) {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_memory_that_hangs_keeps_it_neither_from_following_nor_from_stopping() {
    let view = Arc::<View>::default();
    let identity = ServiceIdentity::new(key(), Color::Blue, Release::new("1").unwrap(), "one");
    let (mut following, follower) = Following::new(Arc::clone(&view), identity, config()).unwrap();
    let (stopper, stop) = Stop::new();
    let running = tokio::spawn(follower.remembering(StuckDisk).run(stop));
    for number in 1..4 {
        view.change().await;
        let followed = timeout(LONG, following.changed()).await.expect("follows");
        assert_eq!(followed.revision(), Revision::new(number));
    }
    stopper.stop(Duration::from_secs(1));
    timeout(Duration::from_secs(1), running).await.expect("stops").unwrap().unwrap();
}

/// A memory that takes its time.
#[derive(Clone, Debug, Default)]
struct SlowDisk(Notebook);

impl Remember for SlowDisk {
    async fn recall(&self) -> Option<Deployment> {
        self.0.recall().await
    }

    async fn keep(&self, deployment: &Deployment) {
        sleep(Duration::from_millis(100)).await;
        self.0.keep(deployment).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_process_has_followed_is_remembered_though_it_stops_at_once() {
    let (view, disk) = (Arc::<View>::default(), SlowDisk::default());
    view.change().await;
    let identity = ServiceIdentity::new(key(), Color::Blue, Release::new("1").unwrap(), "one");
    let (mut following, follower) = Following::new(Arc::clone(&view), identity, config()).unwrap();
    let (stopper, stop) = Stop::new();
    let running = tokio::spawn(follower.remembering(disk.clone()).run(stop));
    assert_eq!(following.changed().await.revision(), Revision::FIRST);
    stopper.stop(Duration::from_secs(1));
    running.await.unwrap().unwrap();
    assert_eq!(disk.recall().await.map(|kept| kept.revision()), Some(Revision::FIRST));
}

#[tokio::test(start_paused = true)]
async fn a_process_that_starts_is_a_member_before_it_looks() {
    let view = Arc::<View>::default();
    view.change().await;
    // Else a change between its look and its announcement would settle without it.
    view.set(Weather::Hangs);
    let process = start(&view, "one");
    tokio::task::yield_now().await;
    assert_eq!(view.announced.lock().unwrap().len(), 1);
    assert_eq!(view.looks.lock().unwrap().len(), 0);
    process.running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_revision_is_announced_only_once_the_handle_follows_it() {
    let view = Arc::<View>::default();
    view.change().await;
    let Process { following, .. } = start(&view, "one");
    *view.handle.lock().unwrap() = Some(following.clone());
    for _ in 0..5 {
        looks_pass().await;
        let revision = view.change().await.revision();
        looks_pass().await;
        assert_eq!(view.store.members(&key()).await.unwrap()[0].seen, Some(revision));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_only_remembered_is_not_announced_as_seen() {
    let view = Arc::<View>::default();
    view.change().await;
    let second = view.change().await;
    let notes = Notebook(Arc::new(Mutex::new(Some(second))));
    view.set(Weather::Text("{}".to_owned()));
    let process = start_with(&view, "one", config(), notes);
    looks_pass().await;
    assert_eq!(process.following.source(), Source::Remembered);
    let seen = async || view.store.members(&key()).await.unwrap()[0].seen;
    assert_eq!(seen().await, None, "the store may have been set up anew since");
    view.set(Weather::Fine);
    looks_pass().await;
    assert_eq!(seen().await, Some(Revision::new(2)));
}

#[tokio::test(start_paused = true)]
async fn a_store_set_up_anew_is_told_from_a_stale_read_and_not_announced_as_seen() {
    let view = Arc::<View>::default();
    view.change().await;
    let third = {
        view.change().await;
        view.change().await
    };
    let mut following = start(&view, "one").following;
    following.changed().await;
    looks_pass().await;
    view.set(Weather::Stale(first()));
    sleep(Duration::from_secs(30)).await;
    assert_eq!(following.frozen(), None, "it may be a stale read");
    let seen = async || view.store.members(&key()).await.unwrap()[0].seen;
    assert_eq!(seen().await, Some(third.revision()));

    assert!(timeout(LONG, following.changed()).await.is_err(), "it never goes back");
    let reason = following.frozen().unwrap();
    assert!(reason.contains("revision 3") && reason.contains("anew"), "{reason}");
    assert_eq!(*following.current().unwrap(), third);
    assert_eq!(seen().await, None, "settled must wait for it");

    view.set(Weather::Fine);
    looks_pass().await;
    assert_eq!((following.frozen(), seen().await), (None, Some(third.revision())));
    view.set(Weather::Stale(first()));
    sleep(Duration::from_secs(30)).await;
    assert_eq!(following.frozen(), None, "the time counts from the last good look");
}

#[tokio::test(start_paused = true)]
async fn another_record_under_the_same_revision_is_followed_and_not_taken_for_the_known_one() {
    let view = Arc::<View>::default();
    view.change().await;
    let mut following = start(&view, "one").following;
    following.changed().await;
    let other = Deployment::first(key(), Color::Green, Release::new("9").unwrap());
    view.set(Weather::Stale(other.clone()));
    let followed = timeout(LONG, following.changed()).await.expect("it is another record");
    assert_eq!((&*followed, following.phase()), (&other, Some(other.phase())));
    assert!(timeout(LONG, following.changed()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_belongs_to_another_service_is_neither_assumed_nor_remembered() {
    let view = Arc::<View>::default();
    view.set(Weather::Down);
    let staging = key().with_stage("staging").unwrap();
    let other = Deployment::first(staging, Color::Green, Release::new("9").unwrap());
    let identity = ServiceIdentity::new(key(), Color::Blue, Release::new("1").unwrap(), "one");
    let assume = config().with_assume(other.clone());
    let error = Following::new(Arc::clone(&view), identity, assume).unwrap_err().to_string();
    assert!(error.contains("assume") && error.contains("staging/orders"), "{error}");

    let notes = Notebook(Arc::new(Mutex::new(Some(other))));
    let following = start_with(&view, "one", config(), notes).following;
    looks_pass().await;
    assert_eq!(following.source(), Source::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_process_announces_itself_three_times_in_each_lifetime() {
    for ttl in [INTERVAL * 3, TTL] {
        let view = Arc::<View>::default();
        view.change().await;
        let config = config().with_member_ttl(ttl);
        let process = start_with(&view, "one", config, Notebook::default());
        sleep(LONG).await;
        process.running.abort();
        let announced = view.announced.lock().unwrap();
        let longest = announced.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(longest <= ttl / 3 + Duration::from_millis(1), "{ttl:?}: {longest:?}");
        let calls = u128::try_from(announced.len()).unwrap();
        assert!(calls < LONG.as_millis() / (ttl / 6).as_millis(), "{ttl:?}: not at every look");
    }
}

#[test]
fn a_time_beyond_measure_is_refused_not_a_panic() {
    let identity = ServiceIdentity::new(key(), Color::Blue, Release::new("1").unwrap(), "one");
    let config = FollowConfig::default().with_interval(Duration::MAX);
    let error = Following::new(MemoryStore::new(), identity, config).unwrap_err();
    assert!(error.to_string().contains("member_ttl of 15s"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_fixed_handle_tells_its_deployment_like_any_other() {
    let mut following = Following::fixed(first());
    let told = timeout(LONG, following.changed()).await.expect("it was not seen yet");
    assert_eq!(*told, first());
    assert!(timeout(LONG, following.changed()).await.is_err(), "once");
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_store_makes_nobody_dead() {
    // The first is watched through the outage, of the second only its end is seen.
    for outage in [TTL * 2, LONG] {
        for begun_before in [true, false] {
            let view = Arc::<View>::default();
            let old = view.change().await;
            let other = view.beside();
            let clock = config().clock;
            let config = config().with_clock(clock);
            let process = start_with(&other, "behind", config, Notebook::default());
            process.following.known().await;
            looks_pass().await;
            other.set(Weather::Down);
            if !begun_before {
                view.set(Weather::Down);
            }
            // Written in spite of the outage, to have a process behind.
            let second =
                update(&view.store, &key(), |now| Ok(next_of(now.unwrap()))).await.unwrap();
            let store = Arc::clone(&view);
            let settling = tokio::spawn(async move {
                settled(&store, &key(), second.revision(), INTERVAL / 20, clock).await.unwrap()
            });
            sleep(INTERVAL).await;
            view.set(Weather::Down);
            sleep(outage).await;
            view.set(Weather::Fine);
            sleep(INTERVAL / 2).await;
            assert!(!settling.is_finished(), "{outage:?}: a living process was taken for dead");
            // It comes back with what it knew, then follows.
            other.set(Weather::Stale(old));
            sleep(INTERVAL * 4).await;
            assert!(!settling.is_finished(), "{outage:?}");
            other.set(Weather::Fine);
            assert_eq!(settling.await.unwrap().followed, ["behind"]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_announcement_under_way_does_not_arrive_after_the_withdrawal() {
    let view = Arc::<View>::default();
    view.change().await;
    view.set(Weather::Slow);
    let Process { stopper, running, .. } = start(&view, "one");
    sleep(Duration::from_millis(500)).await;
    stopper.stop(Duration::from_secs(10));
    running.await.unwrap().unwrap();
    sleep(INTERVAL).await;
    assert_eq!(view.store.members(&key()).await.unwrap(), [], "nobody would follow as this one");
}
