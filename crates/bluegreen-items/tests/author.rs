//! A service as its author would write it from the documentation alone.

use std::sync::Arc;
use std::time::Duration;

use bluegreen_core::{
    Color, ContractVersion, Deployment, FollowConfig, Following, MemoryStore, Release, Roster,
    RosterConfig, ServiceIdentity, Share, Stop, update,
};
use bluegreen_items::{
    Backfill, BackfillConfig, Ending, ItemError, Key, Schema, Step, Table, Transaction,
    TransactionError, Update, WriteGate, typed,
};
use serde::{Deserialize, Serialize};

use crate::shop::{TABLE, config, identity, open};

#[derive(Serialize, Deserialize)]
struct CartV1 {
    cents: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Cart {
    price: Price,
    note: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Price {
    cents: u64,
}

#[derive(Serialize, Deserialize)]
struct Account {
    cents: i64,
}

fn carts() -> Schema {
    let up = |old: CartV1| Cart { price: Price { cents: old.cents }, note: None };
    let down = |new: Cart| CartV1 { cents: new.price.cents };
    let step = Step::new(1, 2, typed(up)).lossy_down(typed(down));
    Schema::builder("Cart", ContractVersion::new(2, 0)).step(step).build().unwrap()
}

async fn pay(carts: &Table, accounts: &Table, key: &Key) -> Result<bool, TransactionError> {
    let account = Key::new("ACCOUNT#1").with_sk("META");
    let Some(mut cart) = carts.get::<Cart>(key).await? else { return Ok(false) };
    let cents = i64::try_from(cart.value().price.cents).unwrap();
    cart.value_mut().note = Some("paid".to_owned());
    let take = Update::new().add("cents", -cents).if_at_least("cents", cents);
    let mut payment = Transaction::new();
    payment.save(carts, &mut cart).await?;
    payment.update(accounts, &account, &take)?;
    match payment.commit().await {
        Ok(()) => Ok(true),
        Err(TransactionError::Refused { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_reads_changes_pays_and_migrates() {
    let world = open().await;
    let old = Schema::new("Cart", ContractVersion::new(1, 0));
    let me = identity(Color::Green);
    let accounts = Table::new(world.dynamodb(), TABLE, &me, config()).unwrap();
    let carts = accounts.with_schema(carts()).unwrap();
    let before = accounts.with_schema(old).unwrap();
    let key = |number: u32| Key::new(format!("CART#{number}")).with_sk("META");
    for number in 1..=3 {
        before.create(key(number), CartV1 { cents: 100 }).await.unwrap();
    }
    let account = Key::new("ACCOUNT#1").with_sk("META");
    accounts.create(account.clone(), Account { cents: 150 }).await.unwrap();

    let cart = carts.modify(&key(1), |cart: &mut Cart| cart.price.cents += 1).await.unwrap();
    assert_eq!((cart.value().price.cents, cart.version()), (101, Some(2)));
    assert!(pay(&carts, &accounts, &key(1)).await.unwrap());
    assert!(!pay(&carts, &accounts, &key(2)).await.unwrap(), "49 are left");
    assert!(!pay(&carts, &accounts, &key(9)).await.unwrap(), "there is none");
    let missing = carts.modify(&key(9), |cart: &mut Cart| cart.note = None).await;
    assert!(matches!(missing, Err(ItemError::Gone)));

    let is_cart = |item: &bluegreen_items::Attributes| {
        item.get("PK").and_then(|key| key.as_s().ok()).is_some_and(|key| key.starts_with("CART#"))
    };
    let only_carts = BackfillConfig::default().with_only(is_cart);
    let (_handle, backfill) = Backfill::<Cart>::new(&carts, only_carts).unwrap();
    let report = backfill.run(Stop::never()).await.unwrap();
    assert_eq!((report.ending, report.progress.migrated), (Ending::Finished, 2));
    let all = carts.get_many::<Cart>(&[key(1), key(2), key(3)]).await.unwrap();
    let versions = all.iter().flatten().map(|cart| cart.schema_version().unwrap().major());
    assert_eq!(versions.collect::<Vec<_>>(), [2, 2, 2]);
    assert_eq!(accounts.get::<Account>(&account).await.unwrap().unwrap().value().cents, 49);
}

/// The README's example, with the old release beside it.
#[tokio::test(start_paused = true)]
async fn a_release_wired_as_the_readme_shows_is_read_by_the_old_one_and_migrates_at_its_end() {
    let (world, store) = (open().await, Arc::new(MemoryStore::new()));
    let who = |color: Color, release: &str| {
        let (key, release) = (identity(color).key, Release::new(release).unwrap());
        ServiceIdentity::new(key, color, release, format!("{color}-1"))
    };
    let (blue, me) = (who(Color::Blue, "1"), who(Color::Green, "2"));
    let change = async |next: fn(&Deployment) -> Deployment| {
        let first = Deployment::first(me.key.clone(), Color::Blue, Release::new("1").unwrap());
        update(&*store, &me.key, |now| Ok(now.map_or(first.clone(), next))).await.unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
    };
    change(Deployment::clone).await;
    let old = Schema::new("Cart", ContractVersion::new(1, 0));
    let follow = FollowConfig::default().with_reads(old.reads());
    let (_following, follower) = Following::new(Arc::clone(&store), blue.clone(), follow).unwrap();
    let (stopper, stop) = Stop::new();
    let following_on_blue = tokio::spawn(follower.run(stop));
    let before = config().with_schema(old);
    let before = Table::new(world.dynamodb(), TABLE, &blue, before).unwrap();
    let key = |number: u32| Key::new(format!("CART#{number}")).with_sk("META");
    for number in 1..=3 {
        before.create(key(number), CartV1 { cents: 100 }).await.unwrap();
    }

    let schema = carts();
    let follow = FollowConfig::default().with_reads(schema.reads());
    let (following, follower) = Following::new(Arc::clone(&store), me.clone(), follow).unwrap();
    let (roster, lookout) =
        Roster::new(Arc::clone(&store), me.key.clone(), RosterConfig::default()).unwrap();
    tokio::spawn(follower.run(Stop::never()));
    tokio::spawn(lookout.run(Stop::never()));
    let gate = WriteGate::new(following, roster);
    gate.ready().await;
    let config = config().with_schema(schema).with_gate(gate);
    let carts = Table::new(world.dynamodb(), TABLE, &me, config).unwrap();

    change(|now| now.begin(Color::Green, Release::new("2").unwrap()).unwrap()).await;
    change(|now| now.shift(Share::FULL).unwrap()).await;
    carts.modify(&key(1), |cart: &mut Cart| cart.price.cents += 1).await.unwrap();
    let read = before.get::<CartV1>(&key(1)).await.unwrap().unwrap();
    assert_eq!(read.value().cents, 101, "the old release reads on");
    stopper.stop(Duration::from_secs(5));
    following_on_blue.await.unwrap().unwrap();
    change(|now| now.commit().unwrap()).await;
    let cart = carts.modify(&key(1), |cart: &mut Cart| cart.price.cents += 1).await.unwrap();
    assert_eq!(cart.schema_version(), Some(ContractVersion::new(2, 0)));

    let checkpoint = Key::new("BACKFILL").with_sk("Cart 2.0");
    let config = BackfillConfig::default().with_checkpoint(carts.clone(), checkpoint);
    let (_progress, backfill) = Backfill::<Cart>::new(&carts, config).unwrap();
    let report = backfill.run(Stop::never()).await.unwrap();
    assert_eq!((report.ending, report.progress.migrated), (Ending::Finished, 2), "{report:?}");
}
