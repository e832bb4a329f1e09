//! What only the store on DynamoDB promises.

use std::collections::HashMap;
use std::error::Error as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ReturnValue,
    ScalarAttributeType,
};
use bluegreen_core::{
    Change, Clock, Color, Outcome, Revision, Settled, Store, StoreError, WriteId, settled, update,
};
use bluegreen_local::{Calls, Fault, Rule, Service, World};
use bluegreen_state::{AnyStore, DynamoStore};
use proptest::prelude::*;

use crate::contract::{self, member};
use crate::interleaved::no_revision_is_lost_or_reused;
use crate::{first, key, release};

const TABLE: &str = "bluegreen";

async fn store_in(world: &World) -> DynamoStore {
    let store = DynamoStore::new(world.dynamodb(), TABLE);
    store.create_table().await.unwrap();
    store
}

fn updates() -> Calls {
    Calls::to(Service::DynamoDb).operation("UpdateItem")
}

/// Sets one attribute of the deployment's item, as a person in the console would.
async fn set(client: &Client, name: &str, value: AttributeValue) {
    client
        .update_item()
        .table_name(TABLE)
        .key("PK", AttributeValue::S("deployment#orders".to_owned()))
        .key("SK", AttributeValue::S("deployment".to_owned()))
        .update_expression("SET #name = :value")
        .expression_attribute_names("#name", name)
        .expression_attribute_values(":value", value)
        .return_values(ReturnValue::None)
        .send()
        .await
        .unwrap();
}

async fn items(client: &Client) -> Vec<HashMap<String, AttributeValue>> {
    client.scan().table_name(TABLE).send().await.unwrap().items.unwrap()
}

#[tokio::test]
async fn dynamodb_keeps_the_contract() {
    contract::holds(&store_in(&World::new()).await).await;
    let store = store_in(&World::new()).await.with_consistent_reads(true);
    contract::holds(&AnyStore::from(store)).await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(25))]
    #[test]
    fn on_dynamodb_no_revision_is_lost_or_reused(case in (any::<u64>(), 1u64..5, 1usize..7)) {
        no_revision_is_lost_or_reused(|| async { store_in(&World::new()).await }, case);
    }
}

#[tokio::test]
async fn making_the_table_twice_changes_nothing() {
    let world = World::new();
    let store = store_in(&world).await;
    update(&store, &key(), |_| Ok(first())).await.unwrap();
    store.create_table().await.unwrap();
    assert!(store.load(&key()).await.unwrap().is_some());
    let expiry = world.dynamodb().describe_time_to_live().table_name(TABLE).send().await.unwrap();
    let expiry = expiry.time_to_live_description.unwrap();
    assert_eq!(expiry.attribute_name(), Some("ExpiresAt"));
}

#[tokio::test]
async fn a_table_with_other_keys_is_not_taken_for_ours() {
    let client = World::new().dynamodb();
    let attribute = AttributeDefinition::builder()
        .attribute_name("id")
        .attribute_type(ScalarAttributeType::S)
        .build();
    let id = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build();
    client
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute.unwrap())
        .key_schema(id.unwrap())
        .send()
        .await
        .unwrap();
    let error = DynamoStore::new(client, TABLE).create_table().await.unwrap_err();
    assert_eq!(error.to_string(), "the store is misconfigured: table bluegreen is not one of ours");
    assert!(error.source().unwrap().to_string().contains("[\"id\"]"));
}

#[tokio::test]
async fn a_winner_whose_reply_was_lost_and_that_the_sdk_retried_is_told_that_it_won() {
    let world = World::new();
    let store = store_in(&world).await;
    let lost_reply = || world.faults().inject(Rule::new(updates(), Fault::LostReply).first(1));
    for change in [
        Change::new(first(), WriteId::new(1)),
        Change::new(Change::new(first(), WriteId::new(1)).next().taken_over(), WriteId::new(2)),
    ] {
        let (before, fault) = (world.calls_in(&updates()), lost_reply());
        assert_eq!(store.compare_and_set(&change).await.unwrap(), Outcome::Won);
        assert_eq!(fault.count(), 1);
        assert_eq!(world.calls_in(&updates()), before + 2, "the SDK tried again by itself");
        assert_eq!(store.load(&key()).await.unwrap().as_ref(), Some(change.next()));
    }
}

#[tokio::test]
async fn of_two_that_found_the_same_record_one_wins_and_the_other_gets_the_winners() {
    let world = World::new();
    let store = store_in(&world).await;
    update(&store, &key(), |_| Ok(first())).await.unwrap();
    let base = store.load(&key()).await.unwrap().unwrap();
    let slow = Change::new(base.taken_over(), WriteId::new(1));
    let fast = Change::new(base.taken_over(), WriteId::new(2));

    let hold = world.faults().hold(updates(), 1);
    let waiting = tokio::spawn({
        let (store, slow) = (store.clone(), slow.clone());
        async move { store.compare_and_set(&slow).await.unwrap() }
    });
    // The limit only turns a hang into a failure.
    tokio::time::timeout(Duration::from_secs(60), hold.reached()).await.unwrap();
    assert_eq!(store.compare_and_set(&fast).await.unwrap(), Outcome::Won);
    let reads = world.calls(Service::DynamoDb, "GetItem");
    hold.release();
    let lost = Outcome::Lost(Some(Box::new(fast.next().clone())));
    assert_eq!(waiting.await.unwrap(), lost);
    let reads_after = world.calls(Service::DynamoDb, "GetItem");
    assert_eq!(reads_after, reads, "the failed condition brought the record along");
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_refused_with_its_place_and_left_alone() {
    let whole = first().to_json();
    for record in [
        AttributeValue::S(whole[..whole.len() / 2].to_owned()),
        AttributeValue::S(whole.replace("\"format\":1", "\"format\":2")),
        AttributeValue::S(whole.replace("\"only\"", "\"mirror\"")),
        AttributeValue::S(whole.replace("orders", "payments")),
        AttributeValue::N("7".to_owned()),
    ] {
        let world = World::new();
        let (store, client) = (store_in(&world).await, world.dynamodb());
        set(&client, "Record", record.clone()).await;
        set(&client, "Revision", AttributeValue::N("1".to_owned())).await;
        let before = items(&client).await;
        let one = Change::new(first(), WriteId::new(1));
        let two = Change::new(first().taken_over(), WriteId::new(2));
        for refused in [
            store.load(&key()).await.map(drop),
            store.compare_and_set(&one).await.map(drop),
            store.compare_and_set(&two).await.map(drop),
        ] {
            let Err(StoreError::Unreadable { place, .. }) = refused else { panic!("{refused:?}") };
            assert_eq!(place, "table bluegreen, PK \"deployment#orders\", SK \"deployment\"");
        }
        assert_eq!(items(&client).await, before, "{record:?}");
    }
}

#[tokio::test]
async fn a_revision_edited_by_hand_does_not_go_unnoticed() {
    let world = World::new();
    let store = store_in(&world).await;
    update(&store, &key(), |_| Ok(first())).await.unwrap();
    set(&world.dynamodb(), "Revision", AttributeValue::N("5".to_owned())).await;
    assert!(matches!(store.load(&key()).await, Err(StoreError::Unreadable { .. })));
}

#[tokio::test]
async fn people_can_read_the_item_and_what_others_added_to_it_survives() {
    let world = World::new();
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let store = store_in(&world).await.with_clock(Clock::starting_at(now));
    update(&store, &key(), |_| Ok(first())).await.unwrap();
    set(&world.dynamodb(), "Note", AttributeValue::S("ask Ada".to_owned())).await;
    update(&store, &key(), |record| Ok(record.unwrap().begin(Color::Green, release("2"))?))
        .await
        .unwrap();
    let item = items(&world.dynamodb()).await.remove(0);
    assert_eq!(item["Phase"].as_s().unwrap(), "shift to green at 0 %");
    assert_eq!(item["Revision"].as_n().unwrap(), "2");
    assert_eq!(item["Note"].as_s().unwrap(), "ask Ada");
    assert!(item["UpdatedAt"].as_s().unwrap().starts_with("2027-01-15T08:00:0"));
}

#[tokio::test]
async fn a_members_item_expires_an_hour_after_its_announcement_does() {
    let world = World::new();
    let store = store_in(&world).await;
    let member = member("orders-1");
    store.announce(&key(), &member).await.unwrap();
    let item = items(&world.dynamodb()).await.remove(0);
    assert_eq!(item["SK"].as_s().unwrap(), "member#orders-1");
    let expires: u64 = item["ExpiresAt"].as_n().unwrap().parse().unwrap();
    let ends = member.expires().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert_eq!(expires, ends + 3600);
}

#[tokio::test]
async fn more_members_than_one_page_holds_are_all_found() {
    let world = World::new();
    let store = store_in(&world).await;
    // A page ends at 1 MB; twenty names of 60 KB each do not fit into one.
    let mut long = member("x");
    for number in 0..20 {
        long.instance = format!("orders-{number:02}");
        long.reads = bluegreen_core::Reads::default()
            .with("x".repeat(60_000), bluegreen_core::ContractVersion::new(1, 0));
        store.announce(&key(), &long).await.unwrap();
    }
    assert_eq!(store.members(&key()).await.unwrap().len(), 20);
    assert!(world.calls(Service::DynamoDb, "Query") > 1);
}

#[tokio::test]
async fn a_process_a_revision_behind_and_a_dead_one_are_both_seen_by_settled() {
    let world = World::new();
    let store = store_in(&world).await;
    let (clock, two, orders) = (Clock::system(), Revision::new(2), key());
    let dead = member("dead").announced(Some(Revision::FIRST), SystemTime::UNIX_EPOCH);
    let behind = |seen| member("slow").announced(Some(Revision::new(seen)), clock.now());
    store.announce(&key(), &dead).await.unwrap();
    store.announce(&key(), &behind(1)).await.unwrap();
    let waiting = settled(&store, &orders, two, Duration::from_millis(5), clock);
    let follows = async {
        // It has looked, and looked again: a living process that is behind is waited for.
        while world.calls(Service::DynamoDb, "Query") < 2 {
            tokio::task::yield_now().await;
        }
        store.announce(&key(), &behind(2)).await.unwrap();
    };
    let (Settled { followed, expired, .. }, ()) =
        tokio::join!(async { waiting.await.unwrap() }, follows);
    assert_eq!((followed, expired), (vec!["slow".to_owned()], vec!["dead".to_owned()]));
}

#[tokio::test]
async fn an_error_says_whether_waiting_helps() {
    let world = World::new();
    let store = store_in(&world).await;
    for (fault, passes) in [
        (Fault::Throttle, true),
        (Fault::InternalError, true),
        (Fault::Unavailable, true),
        (Fault::Reset, true),
        (Fault::AccessDenied, false),
    ] {
        let fault_in_force = world.faults().inject(Rule::new(Calls::to(Service::DynamoDb), fault));
        let change = Change::new(first(), WriteId::new(1));
        let errors = [
            store.load(&key()).await.unwrap_err(),
            store.compare_and_set(&change).await.unwrap_err(),
            store.announce(&key(), &member("x")).await.unwrap_err(),
            store.withdraw(&key(), "x").await.unwrap_err(),
            store.members(&key()).await.unwrap_err(),
            store.create_table().await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.is_retryable(), passes, "{fault:?}: {error}");
        }
        assert!(fault_in_force.count() >= 6);
    }
    let missing = DynamoStore::new(world.dynamodb(), "missing").load(&key()).await.unwrap_err();
    assert_eq!(missing.to_string(), "the store is misconfigured: there is no table missing");
}
