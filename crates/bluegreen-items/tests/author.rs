//! A service as its author would write it from the documentation alone.

use bluegreen_core::{Color, ContractVersion, Stop};
use bluegreen_items::{
    Backfill, BackfillConfig, Ending, ItemError, Key, Schema, Step, Table, Transaction,
    TransactionError, Update, typed,
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
