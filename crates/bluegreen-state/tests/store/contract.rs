//! What every store promises, each promise by itself.

use std::time::{Duration, SystemTime};

use bluegreen_core::{
    Change, Color, ContractVersion, Deployment, Member, MemoryStore, Outcome, Reads, Revision,
    ServiceIdentity, ServiceKey, Store, StoreError, WriteId, update,
};
use bluegreen_state::{AnyStore, FileStore};

use crate::{first, key, release};

pub(crate) fn member(instance: &str) -> Member {
    member_at(instance, SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000))
}

/// A process that has announced itself once, then.
pub(crate) fn member_at(instance: &str, wall: SystemTime) -> Member {
    let identity = ServiceIdentity::new(key(), Color::Green, release("2"), instance);
    let reads = Reads::default().with("OrderPlaced", ContractVersion::new(2, 0));
    Member::new(&identity, reads, Duration::from_secs(15)).announced(None, wall)
}

async fn a_change_counts_once_and_the_loser_gets_the_record(store: &impl Store) {
    assert_eq!(store.load(&key()).await.unwrap(), None);
    let one = Change::new(first(), WriteId::new(1));
    let too_early = Change::new(one.next().taken_over(), WriteId::new(2));
    assert_eq!(store.compare_and_set(&too_early).await.unwrap(), Outcome::Lost(None));
    assert_eq!(store.compare_and_set(&one).await.unwrap(), Outcome::Won);
    assert_eq!(store.load(&key()).await.unwrap().as_ref(), Some(one.next()));

    let two = Change::new(one.next().taken_over(), WriteId::new(3));
    let rival = Change::new(one.next().taken_over(), WriteId::new(4));
    assert_eq!(store.compare_and_set(&two).await.unwrap(), Outcome::Won);
    assert_eq!(store.compare_and_set(&two).await.unwrap(), Outcome::Won, "tried again");
    assert_eq!(store.compare_and_set(&one).await.unwrap(), Outcome::Won, "others wrote since");
    let lost = Outcome::Lost(Some(Box::new(two.next().clone())));
    assert_eq!(store.compare_and_set(&rival).await.unwrap(), lost);
    let other_first = Change::new(first(), WriteId::new(5));
    assert_eq!(store.compare_and_set(&other_first).await.unwrap(), lost);
    assert_eq!(store.load(&key()).await.unwrap().as_ref(), Some(two.next()));
}

async fn an_earlier_epoch_is_refused(store: &impl Store) {
    let record = store.load(&key()).await.unwrap().unwrap();
    let next = record.taken_over();
    let mut value: serde_json::Value = serde_json::from_str(&next.to_json()).unwrap();
    value["epoch"] = serde_json::json!(0);
    let stale = Deployment::from_json(&value.to_string()).unwrap();
    let outcome = store.compare_and_set(&Change::new(stale, WriteId::new(6))).await.unwrap();
    assert!(matches!(outcome, Outcome::Lost(Some(current)) if *current == record));
}

async fn a_change_long_past_is_unknown_and_never_applied(store: &impl Store) {
    let record = store.load(&key()).await.unwrap().unwrap();
    let forgotten = Change::new(record.taken_over(), WriteId::new(7));
    for _ in 0..20 {
        update(store, &key(), |current| Ok(current.unwrap().taken_over())).await.unwrap();
    }
    let before = store.load(&key()).await.unwrap();
    let outcome = store.compare_and_set(&forgotten).await;
    assert!(matches!(outcome, Err(StoreError::OutcomeUnknown { .. })), "{outcome:?}");
    assert_eq!(store.load(&key()).await.unwrap(), before);
}

async fn fields_of_a_newer_version_survive(store: &impl Store) {
    let record = store.load(&key()).await.unwrap().unwrap().taken_over();
    let mut value: serde_json::Value = serde_json::from_str(&record.to_json()).unwrap();
    value["mood"] = serde_json::json!("calm");
    let newer = Deployment::from_json(&value.to_string()).unwrap();
    let change = Change::new(newer, WriteId::new(8));
    assert_eq!(store.compare_and_set(&change).await.unwrap(), Outcome::Won);
    let after = update(store, &key(), |current| Ok(current.unwrap().taken_over())).await.unwrap();
    assert!(after.to_json().contains(r#""mood":"calm""#));
    assert_eq!(store.load(&key()).await.unwrap(), Some(after));
}

async fn stages_never_mix(store: &impl Store) {
    let staging = key().with_stage("staging").unwrap();
    let orders = store.load(&key()).await.unwrap();
    assert_eq!(store.load(&staging).await.unwrap(), None);
    let other = Deployment::first(staging.clone(), Color::Green, release("9"));
    let change = Change::new(other, WriteId::new(9));
    assert_eq!(store.compare_and_set(&change).await.unwrap(), Outcome::Won);
    store.announce(&staging, &member("only-in-staging")).await.unwrap();
    assert_eq!(store.load(&key()).await.unwrap(), orders);
    assert_eq!(store.members(&key()).await.unwrap(), []);
    assert_eq!(store.members(&staging).await.unwrap().len(), 1);
}

async fn a_member_is_kept_replaced_and_withdrawn(store: &impl Store) {
    let odd = ["orders-1", "../../up", "", "Ä/ö #1", "ORDERS-1", ".hidden", "deployment"];
    for instance in odd {
        store.announce(&key(), &member(instance)).await.unwrap();
    }
    let again = member("orders-1").announced(Some(Revision::FIRST), SystemTime::UNIX_EPOCH);
    store.announce(&key(), &again).await.unwrap();

    let mut found = store.members(&key()).await.unwrap();
    assert_eq!(found.len(), odd.len());
    assert!(found.contains(&again), "replaced whole, what it reads included");
    found.retain(|member| member.instance != "orders-1");
    assert!(found.iter().all(|found| *found == member(&found.instance)));

    for instance in odd {
        store.withdraw(&key(), instance).await.unwrap();
        store.withdraw(&key(), instance).await.unwrap();
    }
    assert_eq!(store.members(&key()).await.unwrap(), []);
    let unheard_of = ServiceKey::new("unheard-of").unwrap();
    store.withdraw(&unheard_of, "x").await.unwrap();
    assert_eq!(store.members(&unheard_of).await.unwrap(), []);
}

pub(crate) async fn holds(store: &impl Store) {
    a_change_counts_once_and_the_loser_gets_the_record(store).await;
    an_earlier_epoch_is_refused(store).await;
    a_change_long_past_is_unknown_and_never_applied(store).await;
    fields_of_a_newer_version_survive(store).await;
    a_member_is_kept_replaced_and_withdrawn(store).await;
    stages_never_mix(store).await;
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    holds(&MemoryStore::new()).await;
    holds(&AnyStore::from(MemoryStore::new())).await;
}

#[tokio::test]
async fn files_keep_the_contract() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    holds(&FileStore::open(dir.path()).unwrap()).await;
    holds(&AnyStore::from(FileStore::open(other.path().join("made/on/the/way")).unwrap())).await;
}
