//! Core's follower on a real store.

use std::fs;
use std::time::Duration;

use bluegreen_core::{
    Clock, Color, FollowConfig, FollowReport, Following, Revision, ServiceIdentity, Source, Stop,
    Stopper, Store, StoreError, settled, update,
};
use bluegreen_state::{FileStore, RememberedFile};
use tokio::task::JoinHandle;

use crate::{first, key, release};

/// Looks often, so that waiting for a change is short; nothing here depends on how short.
const LOOK: Duration = Duration::from_millis(10);

fn follow(
    store: &FileStore,
    memory: &RememberedFile,
    instance: &str,
) -> (Following, Stopper, JoinHandle<Result<FollowReport, StoreError>>) {
    let identity = ServiceIdentity::new(key(), Color::Blue, release("1"), instance);
    let config = FollowConfig::default().with_interval(LOOK);
    let (following, follower) = Following::new(store.clone(), identity, config).unwrap();
    let (stopper, stop) = Stop::new();
    let run = follower.remembering(memory.clone()).run(stop);
    (following, stopper, tokio::spawn(run))
}

#[tokio::test]
async fn two_processes_follow_a_change_and_settle_then_withdraw() {
    let (dir, local) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = FileStore::open(dir.path()).unwrap();
    let memory = RememberedFile::new(local.path(), key());
    update(&store, &key(), |_| Ok(first())).await.unwrap();
    let one = follow(&store, &memory, "one");
    let two = follow(&store, &memory, "two");
    settled_at(&store, 1, &["one", "two"]).await;

    update(&store, &key(), |record| Ok(record.unwrap().begin(Color::Green, release("2"))?))
        .await
        .unwrap();
    settled_at(&store, 2, &["one", "two"]).await;
    for (following, stopper, running) in [one, two] {
        assert_eq!(following.current().unwrap().revision(), Revision::new(2));
        stopper.stop(Duration::from_secs(60));
        running.await.unwrap().unwrap();
    }
    assert_eq!(store.members(&key()).await.unwrap(), []);
}

/// Waits until both have announced themselves and follow the revision.
async fn settled_at(store: &FileStore, revision: u64, instances: &[&str]) {
    loop {
        let revision = Revision::new(revision);
        let settled = settled(store, &key(), revision, LOOK, Clock::system()).await.unwrap();
        if settled.followed == instances {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_process_that_starts_without_its_store_goes_on_from_what_it_remembered() {
    let (dir, local) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = FileStore::open(dir.path().join("store")).unwrap();
    let memory = RememberedFile::new(local.path(), key());
    update(&store, &key(), |_| Ok(first())).await.unwrap();
    let (following, stopper, running) = follow(&store, &memory, "one");
    assert_eq!(following.known().await.revision(), Revision::FIRST);
    stopper.stop(Duration::from_secs(60));
    running.await.unwrap().unwrap();

    fs::remove_dir_all(dir.path().join("store")).unwrap();
    fs::write(dir.path().join("store"), "no folder any more").unwrap();
    let (following, stopper, running) = follow(&store, &memory, "one");
    assert_eq!(following.known().await.revision(), Revision::FIRST);
    assert_eq!(following.source(), Source::Remembered);
    assert_eq!(following.age(), None, "the store has not confirmed it");
    stopper.stop(Duration::from_secs(60));
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_record_of_the_future_freezes_and_the_next_readable_one_thaws() {
    let (dir, local) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = FileStore::open(dir.path()).unwrap();
    let memory = RememberedFile::new(local.path(), key());
    update(&store, &key(), |_| Ok(first())).await.unwrap();
    let (mut following, stopper, running) = follow(&store, &memory, "one");
    following.changed().await;

    let path = dir.path().join("no.stage/orders/deployment.json");
    let next = first().begin(Color::Green, release("2")).unwrap();
    let future = next.to_json().replace("\"shift\"", "\"mirror\"");
    fs::write(&path, &future).unwrap();
    let reason = loop {
        match following.frozen() {
            Some(reason) => break reason,
            None => tokio::task::yield_now().await,
        }
    };
    assert!(reason.contains(path.to_str().unwrap()) && reason.contains("mirror"), "{reason}");
    assert_eq!(following.current().unwrap().revision(), Revision::FIRST);
    assert_eq!(fs::read_to_string(&path).unwrap(), future);

    fs::write(&path, next.to_json()).unwrap();
    assert_eq!(following.changed().await.revision(), Revision::new(2));
    assert_eq!(following.frozen(), None);
    stopper.stop(Duration::from_secs(60));
    running.await.unwrap().unwrap();
}
