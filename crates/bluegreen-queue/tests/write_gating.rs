//! Which version a producer writes while processes come and go, and the store with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bluegreen_core::{
    Change, ContractVersion, Deployment, FollowConfig, Following, Member, MemoryStore, Outcome,
    Reads, Release, Roster, RosterConfig, ServiceIdentity, ServiceKey, Share, Stop, Store,
    StoreError, update,
};
use bluegreen_queue::{Message, WriteGate};

use crate::shop::{Blue, Green, Order, Shop, key, seconds};

/// A store that may be away.
struct Absent {
    store: MemoryStore,
    is_away: AtomicBool,
}

impl Absent {
    fn ask(&self) -> Result<&MemoryStore, StoreError> {
        match self.is_away.load(Ordering::SeqCst) {
            true => Err(StoreError::Unavailable { source: "it is away".into() }),
            false => Ok(&self.store),
        }
    }
}

impl Store for Absent {
    async fn load(&self, service: &ServiceKey) -> Result<Option<Deployment>, StoreError> {
        self.ask()?.load(service).await
    }
    async fn compare_and_set(&self, change: &Change) -> Result<Outcome, StoreError> {
        self.ask()?.compare_and_set(change).await
    }
    async fn announce(&self, service: &ServiceKey, member: &Member) -> Result<(), StoreError> {
        self.ask()?.announce(service, member).await
    }
    async fn withdraw(&self, service: &ServiceKey, instance: &str) -> Result<(), StoreError> {
        self.ask()?.withdraw(service, instance).await
    }
    async fn members(&self, service: &ServiceKey) -> Result<Vec<Member>, StoreError> {
        self.ask()?.members(service).await
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Newer {
    order: String,
    currency: String,
}

impl Message for Newer {
    const TYPE: &str = "OrderPlaced";
    const VERSION: ContractVersion = ContractVersion::new(2, 0);
}

/// A process of green: its gate, and what it knows of the deployment.
struct Process {
    gate: WriteGate,
    following: Following,
}

impl Process {
    fn start(shop: &Shop, store: &Arc<Absent>, name: &str, assume: Option<Deployment>) -> Self {
        let me = ServiceIdentity::new(key(), Green, Release::new("2").unwrap(), name);
        let reads = Reads::default().with("OrderPlaced", Order::VERSION);
        let reads = reads.with("OrderPlaced", Newer::VERSION);
        let mut config = FollowConfig::default().with_reads(reads).with_clock(shop.world.clock());
        config.assume = assume;
        let (following, follower) = Following::new(Arc::clone(store), me, config).unwrap();
        let config = RosterConfig::default().with_clock(shop.world.clock());
        let (roster, lookout) = Roster::new(Arc::clone(store), key(), config).unwrap();
        tokio::spawn(follower.run(Stop::never()));
        tokio::spawn(lookout.run(Stop::never()));
        let sample = Newer { order: "a".to_owned(), currency: "EUR".to_owned() };
        let down = |new: Newer| Ok(Order { order: new.order });
        let gate = WriteGate::builder(roster).newest::<Newer>();
        let gate = gate.step_down(&sample, &["currency"], down).build().unwrap();
        Self { gate, following }
    }

    fn writes(&self) -> String {
        let known = self.following.current();
        self.gate.version("OrderPlaced", known.as_deref()).unwrap().to_string()
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_written_follows_who_lives_and_freezes_while_the_store_is_away() {
    let shop = Shop::open().await;
    let store = Arc::new(Absent { store: MemoryStore::new(), is_away: AtomicBool::new(false) });
    let release = |name| Release::new(name).unwrap();
    let change = async |change: &dyn Fn(Option<&Deployment>) -> Deployment| {
        update(&store, &key(), |now| Ok(change(now))).await.unwrap();
        seconds(10).await;
    };
    let blue = ServiceIdentity::new(key(), Blue, release("1"), "blue-1");
    let reads = Reads::default().with("OrderPlaced", Order::VERSION);
    let blue = Member::new(&blue, reads, Duration::from_secs(100_000));
    store.announce(&key(), &blue.clone().announced(None, shop.world.clock().now())).await.unwrap();
    let green = Process::start(&shop, &store, "green-1", None);
    change(&|_| Deployment::first(key(), Blue, release("1"))).await;
    change(&|now| now.unwrap().begin(Green, release("2")).unwrap()).await;
    change(&|now| now.unwrap().shift(Share::FULL).unwrap()).await;
    assert_eq!(green.writes(), "1.0", "blue lives");
    store.withdraw(&key(), "blue-1").await.unwrap();
    seconds(10).await;
    assert_eq!(green.writes(), "1.0", "blue is gone, but may be asked back");
    change(&|now| now.unwrap().commit().unwrap()).await;
    assert_eq!(green.writes(), "2.0", "blue cannot come back unannounced");

    store.is_away.store(true, Ordering::SeqCst);
    seconds(3 * 60 * 60).await;
    assert_eq!(green.writes(), "2.0", "nobody can have come");
    // It starts amid the outage, and remembers the deployment.
    let restarted =
        Process::start(&shop, &store, "green-2", green.following.current().as_deref().cloned());
    seconds(60).await;
    assert!(restarted.following.current().is_some());
    assert_eq!(restarted.writes(), "1.0", "it has never seen who lives");
    store.is_away.store(false, Ordering::SeqCst);
    seconds(10).await;
    assert_eq!((green.writes(), restarted.writes()), ("2.0".to_owned(), "2.0".to_owned()));

    // A rollback: the old color is begun and its first process starts, in one moment.
    store.announce(&key(), &blue.announced(None, shop.world.clock().now())).await.unwrap();
    change(&|now| now.unwrap().begin(Blue, release("1")).unwrap()).await;
    assert_eq!((green.writes(), restarted.writes()), ("1.0".to_owned(), "1.0".to_owned()));
}
