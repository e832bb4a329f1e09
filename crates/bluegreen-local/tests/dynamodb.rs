//! The conformance suite for DynamoDB: what this workspace relies on, from AWS's documentation.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, ConditionCheck, Delete, GlobalSecondaryIndex,
    KeySchemaElement, KeyType, KeysAndAttributes, Projection, ProjectionType, Put, PutRequest,
    ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure, ScalarAttributeType,
    TableStatus, TimeToLiveSpecification, TransactWriteItem, Update, WriteRequest,
};

use crate::target::{dynamodb, unique, world};

type Item = HashMap<String, AttributeValue>;

fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn n(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn item(attributes: &[(&str, AttributeValue)]) -> Item {
    attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn attribute(name: &str, kind: ScalarAttributeType) -> AttributeDefinition {
    let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(kind);
    attribute.build().unwrap()
}

fn key(name: &str, kind: KeyType) -> KeySchemaElement {
    KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap()
}

/// A table of its own: partition key `id`, text.
async fn table(client: &Client) -> String {
    let name = unique("table");
    client
        .create_table()
        .table_name(&name)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("id", ScalarAttributeType::S))
        .key_schema(key("id", KeyType::Hash))
        .send()
        .await
        .unwrap();
    name
}

/// The same with a numeric sort key `at`, and the index `by_color` on text.
async fn ranged_table(client: &Client) -> String {
    let name = unique("ranged");
    let by_color = GlobalSecondaryIndex::builder()
        .index_name("by_color")
        .key_schema(key("color", KeyType::Hash))
        .projection(Projection::builder().projection_type(ProjectionType::All).build())
        .build()
        .unwrap();
    client
        .create_table()
        .table_name(&name)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("id", ScalarAttributeType::S))
        .attribute_definitions(attribute("at", ScalarAttributeType::N))
        .attribute_definitions(attribute("color", ScalarAttributeType::S))
        .key_schema(key("id", KeyType::Hash))
        .key_schema(key("at", KeyType::Range))
        .global_secondary_indexes(by_color)
        .send()
        .await
        .unwrap();
    name
}

async fn put(client: &Client, table: &str, attributes: &[(&str, AttributeValue)]) {
    let put = client.put_item().table_name(table).set_item(Some(item(attributes)));
    put.send().await.unwrap();
}

async fn get(client: &Client, table: &str, id: &str) -> Option<Item> {
    let get = client.get_item().table_name(table).key("id", s(id)).consistent_read(true);
    get.send().await.unwrap().item
}

#[tokio::test(start_paused = true)]
async fn dynamodb_a_table_is_created_described_listed_and_deleted() {
    let client = dynamodb();
    let name = table(&client).await;
    let described = client.describe_table().table_name(&name).send().await.unwrap();
    let described = described.table.unwrap();
    assert_eq!(described.table_status, Some(TableStatus::Active));
    assert_eq!(described.key_schema()[0].attribute_name(), "id");
    let again = client
        .create_table()
        .table_name(&name)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("id", ScalarAttributeType::S))
        .key_schema(key("id", KeyType::Hash));
    let error = again.send().await.unwrap_err().into_service_error();
    assert!(error.is_resource_in_use_exception(), "{error:?}");
    let listed = client.list_tables().send().await.unwrap();
    assert!(listed.table_names().contains(&name));
    client.delete_table().table_name(&name).send().await.unwrap();
    let error = client.describe_table().table_name(&name).send().await.unwrap_err();
    assert!(error.into_service_error().is_resource_not_found_exception());
    let error = client.get_item().table_name(&name).key("id", s("a")).send().await.unwrap_err();
    assert!(error.into_service_error().is_resource_not_found_exception());
}

#[tokio::test(start_paused = true)]
async fn dynamodb_values_of_every_type_come_back_as_they_went() {
    let client = dynamodb();
    let name = table(&client).await;
    let blob = aws_sdk_dynamodb::primitives::Blob::new([0, 255]);
    let map = AttributeValue::M(item(&[("deep", AttributeValue::L(vec![n(1), s("two")]))]));
    let attributes = [
        ("id", s("a")),
        ("text", s("日本 🦀")),
        ("empty", s("")),
        ("number", AttributeValue::N("-12345678901234567890.5".to_owned())),
        ("bytes", AttributeValue::B(blob.clone())),
        ("yes", AttributeValue::Bool(true)),
        ("nothing", AttributeValue::Null(true)),
        ("texts", AttributeValue::Ss(vec!["x".to_owned(), "y".to_owned()])),
        ("map", map),
        ("list", AttributeValue::L(vec![AttributeValue::Bool(false), n(7)])),
    ];
    put(&client, &name, &attributes).await;
    let mut found = get(&client, &name, "a").await.unwrap();
    if let Some(AttributeValue::Ss(texts)) = found.get_mut("texts") {
        texts.sort();
    }
    assert_eq!(found, item(&attributes));
}

#[tokio::test(start_paused = true)]
async fn dynamodb_a_failed_condition_is_typed_and_changes_nothing() {
    let client = dynamodb();
    let name = table(&client).await;
    put(&client, &name, &[("id", s("a")), ("version", n(1))]).await;
    let put = client.put_item().table_name(&name).item("id", s("a")).item("version", n(9));
    let error = put.condition_expression("attribute_not_exists(id)").send().await.unwrap_err();
    let error = error.into_service_error();
    assert!(error.is_conditional_check_failed_exception(), "{error:?}");
    assert_eq!(get(&client, &name, "a").await.unwrap()["version"], n(1));
}

#[tokio::test(start_paused = true)]
async fn dynamodb_a_failed_condition_can_return_the_item_that_won() {
    use ReturnValuesOnConditionCheckFailure::AllOld;
    let client = dynamodb();
    let name = table(&client).await;
    let winner = [("id", s("a")), ("version", n(3)), ("color", s("green"))];
    put(&client, &name, &winner).await;

    let put = client.put_item().table_name(&name).item("id", s("a"));
    let put = put.condition_expression("attribute_not_exists(id)");
    let put = put.return_values_on_condition_check_failure(AllOld).send().await.unwrap_err();
    let put = put.into_service_error();
    let PutItemError::ConditionalCheckFailedException(put) = put else { panic!("{put:?}") };
    let put = put.item;

    let update = client.update_item().table_name(&name).key("id", s("a"));
    let update =
        update.update_expression("SET version = :new").condition_expression("version = :old");
    let update = update
        .expression_attribute_values(":new", n(3))
        .expression_attribute_values(":old", n(2))
        .return_values_on_condition_check_failure(AllOld);
    let update = update.send().await.unwrap_err().into_service_error();
    let UpdateItemError::ConditionalCheckFailedException(update) = update else {
        panic!("{update:?}")
    };
    let update = update.item;

    let delete = client.delete_item().table_name(&name).key("id", s("a"));
    let delete = delete.condition_expression("version = :old");
    let delete = delete
        .expression_attribute_values(":old", n(2))
        .return_values_on_condition_check_failure(AllOld);
    let delete = delete.send().await.unwrap_err().into_service_error();
    let DeleteItemError::ConditionalCheckFailedException(delete) = delete else {
        panic!("{delete:?}")
    };
    let delete = delete.item;

    for found in [put, update, delete] {
        assert_eq!(found, Some(item(&winner)));
    }
}

#[tokio::test(start_paused = true)]
async fn dynamodb_conditions_mean_what_they_say() {
    let client = dynamodb();
    let name = table(&client).await;
    let tags = AttributeValue::Ss(vec!["x".to_owned(), "y".to_owned()]);
    put(&client, &name, &[("id", s("a")), ("v", n(10)), ("color", s("green")), ("tags", tags)])
        .await;
    let cases = [
        ("v = :ten", true),
        ("v <> :ten", false),
        ("v < :ten", false),
        ("v <= :ten", true),
        ("v > :nine", true),
        ("v BETWEEN :nine AND :ten", true),
        ("v IN (:nine, :ten)", true),
        ("attribute_exists(color) AND attribute_not_exists(shape)", true),
        ("attribute_type(color, :type)", true),
        ("begins_with(color, :gr)", true),
        ("contains(color, :gr)", true),
        ("contains(tags, :x)", true),
        ("size(color) = :five", true),
        ("NOT v = :ten", false),
        ("v = :nine OR (color = :green AND v = :ten)", true),
        ("missing = :ten", false),
    ];
    let values = [
        (":nine", n(9)),
        (":ten", n(10)),
        (":five", n(5)),
        (":type", s("S")),
        (":gr", s("gr")),
        (":green", s("green")),
        (":x", s("x")),
    ];
    for (condition, holds) in cases {
        let mut update = client.update_item().table_name(&name).key("id", s("a"));
        update = update.update_expression("SET touched = :now").condition_expression(condition);
        update = update.expression_attribute_values(":now", n(1));
        for (value_name, value) in &values {
            // Values that no expression names are refused.
            if condition.split(|c: char| !c.is_alphanumeric() && c != ':').any(|w| w == *value_name)
            {
                update = update.expression_attribute_values(*value_name, value.clone());
            }
        }
        assert_eq!(update.send().await.is_ok(), holds, "{condition}");
    }
}

#[tokio::test(start_paused = true)]
async fn dynamodb_an_update_returns_what_was_asked_for() {
    let client = dynamodb();
    let name = table(&client).await;
    put(&client, &name, &[("id", s("a")), ("v", n(1)), ("color", s("blue"))]).await;
    let update = |returned: ReturnValue| {
        let update = client.update_item().table_name(&name).key("id", s("a"));
        let update = update.update_expression("ADD v :one");
        update.expression_attribute_values(":one", n(1)).return_values(returned).send()
    };
    let attributes =
        async |returned| update(returned).await.unwrap().attributes.unwrap_or_default();
    assert_eq!(attributes(ReturnValue::None).await, Item::new());
    let old = item(&[("id", s("a")), ("v", n(2)), ("color", s("blue"))]);
    assert_eq!(attributes(ReturnValue::AllOld).await, old);
    let new = item(&[("id", s("a")), ("v", n(4)), ("color", s("blue"))]);
    assert_eq!(attributes(ReturnValue::AllNew).await, new);
    assert_eq!(attributes(ReturnValue::UpdatedOld).await, item(&[("v", n(4))]));
    assert_eq!(attributes(ReturnValue::UpdatedNew).await, item(&[("v", n(6))]));
}

#[tokio::test(start_paused = true)]
async fn dynamodb_a_query_orders_numbers_as_numbers_and_pages() {
    let client = dynamodb();
    let name = ranged_table(&client).await;
    for at in [9, 10, -1, 100, 8] {
        put(&client, &name, &[("id", s("a")), ("at", n(at)), ("color", s("blue"))]).await;
    }
    put(&client, &name, &[("id", s("b")), ("at", n(1)), ("color", s("green"))]).await;
    let query = || {
        let query = client.query().table_name(&name).key_condition_expression("id = :id");
        query.expression_attribute_values(":id", s("a"))
    };
    let ats = |items: &[Item]| -> Vec<i64> {
        items.iter().map(|item| item["at"].as_n().unwrap().parse().unwrap()).collect()
    };
    let all = query().send().await.unwrap();
    assert_eq!(ats(all.items()), [-1, 8, 9, 10, 100]);
    let backward = query().scan_index_forward(false).send().await.unwrap();
    assert_eq!(ats(backward.items()), [100, 10, 9, 8, -1]);
    let range = query().key_condition_expression("id = :id AND #at BETWEEN :low AND :high");
    let range = range.expression_attribute_names("#at", "at");
    let range = range.expression_attribute_values(":low", n(9));
    let range = range.expression_attribute_values(":high", n(10)).send().await.unwrap();
    assert_eq!(ats(range.items()), [9, 10]);
    let page = query().limit(2).send().await.unwrap();
    assert_eq!(ats(page.items()), [-1, 8]);
    let rest = query().set_exclusive_start_key(page.last_evaluated_key).send().await.unwrap();
    assert_eq!(ats(rest.items()), [9, 10, 100]);
    let blue = client.query().table_name(&name).index_name("by_color");
    let blue =
        blue.key_condition_expression("color = :c").expression_attribute_values(":c", s("blue"));
    assert_eq!(blue.send().await.unwrap().count(), 5);
}

#[tokio::test(start_paused = true)]
async fn dynamodb_a_page_ends_at_one_mebibyte() {
    let client = dynamodb();
    let name = ranged_table(&client).await;
    let large = "a".repeat(300_000);
    for at in 0..5 {
        put(&client, &name, &[("id", s("a")), ("at", n(at)), ("large", s(&large))]).await;
    }
    let query = client.query().table_name(&name).key_condition_expression("id = :id");
    let page = query.expression_attribute_values(":id", s("a")).send().await.unwrap();
    assert!((3..=4).contains(&page.count()), "{}", page.count());
    assert!(page.last_evaluated_key.is_some());
    let scan = client.scan().table_name(&name).send().await.unwrap();
    assert!(scan.last_evaluated_key.is_some());
    let put = client.put_item().table_name(&name).item("id", s("b")).item("at", n(1));
    let error = put.item("large", s("a".repeat(410_000))).send().await.unwrap_err();
    assert_eq!(error.code(), Some("ValidationException"), "an item ends at 400 KB");
}

#[tokio::test(start_paused = true)]
async fn dynamodb_a_transaction_is_all_or_nothing_and_says_why_not() {
    let client = dynamodb();
    let name = table(&client).await;
    put(&client, &name, &[("id", s("present")), ("version", n(3))]).await;
    let fresh = Put::builder().table_name(&name).item("id", s("fresh")).build().unwrap();
    let check = ConditionCheck::builder()
        .table_name(&name)
        .key("id", s("present"))
        .condition_expression("version = :old")
        .expression_attribute_values(":old", n(2))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .build()
        .unwrap();
    let transaction = client
        .transact_write_items()
        .transact_items(TransactWriteItem::builder().put(fresh.clone()).build())
        .transact_items(TransactWriteItem::builder().condition_check(check).build());
    let error = transaction.send().await.unwrap_err().into_service_error();
    let TransactWriteItemsError::TransactionCanceledException(canceled) = error else {
        panic!("{error:?}")
    };
    let reasons = canceled.cancellation_reasons();
    let codes: Vec<_> = reasons.iter().map(|reason| reason.code().unwrap()).collect();
    assert_eq!(codes, ["None", "ConditionalCheckFailed"]);
    let old = item(&[("id", s("present")), ("version", n(3))]);
    assert_eq!(reasons[1].item(), Some(&old));
    assert_eq!(get(&client, &name, "fresh").await, None);

    let update = Update::builder()
        .table_name(&name)
        .key("id", s("present"))
        .update_expression("ADD version :one")
        .expression_attribute_values(":one", n(1));
    let delete = Delete::builder().table_name(&name).key("id", s("absent")).build().unwrap();
    client
        .transact_write_items()
        .transact_items(TransactWriteItem::builder().put(fresh).build())
        .transact_items(TransactWriteItem::builder().update(update.build().unwrap()).build())
        .transact_items(TransactWriteItem::builder().delete(delete).build())
        .send()
        .await
        .unwrap();
    assert!(get(&client, &name, "fresh").await.is_some());
    assert_eq!(get(&client, &name, "present").await.unwrap()["version"], n(4));
}

#[tokio::test(start_paused = true)]
async fn dynamodb_a_transaction_has_a_hundred_distinct_items_and_four_megabytes_at_most() {
    let client = dynamodb();
    let name = table(&client).await;
    let put = |id: String, large: usize| {
        let put = Put::builder().table_name(&name).item("id", s(id));
        let put = put.item("large", s("a".repeat(large))).build().unwrap();
        TransactWriteItem::builder().put(put).build()
    };
    let transact = async |items: Vec<TransactWriteItem>| {
        let answer = client.transact_write_items().set_transact_items(Some(items)).send().await;
        answer.map(drop).map_err(|error| error.code().map(str::to_owned))
    };
    let refused = Err(Some("ValidationException".to_owned()));
    let puts = |count: usize, large| (0..count).map(|n| put(n.to_string(), large)).collect();
    assert_eq!(transact(puts(100, 1)).await, Ok(()));
    assert_eq!(transact(puts(101, 1)).await, refused);
    assert_eq!(transact(vec![put("a".to_owned(), 1), put("a".to_owned(), 2)]).await, refused);
    assert_eq!(transact(puts(10, 400_000)).await, Ok(()));
    assert_eq!(transact(puts(11, 400_000)).await, refused);

    // Of the items that are there the size counts as well.
    put_large(&client, &name, &["10", "11"]).await;
    let updates = |count: usize| -> Vec<_> {
        let update = |id: usize| {
            let update = Update::builder().table_name(&name).key("id", s(id.to_string()));
            let update = update.update_expression("SET v = :v");
            update.expression_attribute_values(":v", n(1)).build().unwrap()
        };
        (0..count).map(|id| TransactWriteItem::builder().update(update(id)).build()).collect()
    };
    let deletes = |count: usize| -> Vec<_> {
        let delete = |id: usize| {
            Delete::builder().table_name(&name).key("id", s(id.to_string())).build().unwrap()
        };
        (0..count).map(|id| TransactWriteItem::builder().delete(delete(id)).build()).collect()
    };
    assert_eq!(transact(updates(10)).await, Ok(()));
    assert_eq!(transact(updates(12)).await, refused);
    assert_eq!(transact(deletes(12)).await, refused);
    assert_eq!(transact(deletes(10)).await, Ok(()));
}

async fn put_large(client: &Client, table: &str, ids: &[&str]) {
    for id in ids {
        put(client, table, &[("id", s(*id)), ("large", s("a".repeat(400_000)))]).await;
    }
}

/// One term for each is what a condition of many parts comes to.
#[tokio::test(start_paused = true)]
async fn dynamodb_a_condition_may_have_three_hundred_operators_however_it_is_spelled() {
    let client = dynamodb();
    let name = table(&client).await;
    put(&client, &name, &[("id", s("a")), ("v", n(1))]).await;
    // 150 comparisons and what joins them.
    let joined = [" AND ", " OR ", "\nAND\n", "\tor\t"].map(|join| ["v = :v"; 150].join(join));
    let bracketed = ["(v = :v)"; 150].join("AND");
    let denied = format!("{}v = :v{}", "NOT(".repeat(298), ")".repeat(298));
    for condition in joined.into_iter().chain([bracketed, denied]) {
        let update = client.update_item().table_name(&name).key("id", s("a"));
        let update = update.update_expression("SET touched = :v").condition_expression(condition);
        update.expression_attribute_values(":v", n(1)).send().await.unwrap();
    }
    for brackets in [25, 2_000] {
        let (open, close) = ("(".repeat(brackets), ")".repeat(brackets));
        let put = client.put_item().table_name(&name).item("id", s("a"));
        let put = put.condition_expression(format!("{open}v = :v{close}"));
        let put = put.expression_attribute_values(":v", n(1));
        assert_eq!(put.send().await.unwrap_err().code(), Some("ValidationException"));
    }
}

#[tokio::test(start_paused = true)]
async fn dynamodb_a_parallel_scan_goes_through_each_item_once() {
    let client = dynamodb();
    let name = table(&client).await;
    for number in 0..40 {
        put(&client, &name, &[("id", s(format!("i{number}"))), ("large", s("a".repeat(5_000)))])
            .await;
    }
    let mut found = Vec::new();
    for segment in 0..3 {
        let mut start = None;
        loop {
            let scan = client.scan().table_name(&name).segment(segment).total_segments(3).limit(5);
            let scan = scan.return_consumed_capacity(ReturnConsumedCapacity::Total);
            let page = scan.set_exclusive_start_key(start).send().await.unwrap();
            let units = page.consumed_capacity().unwrap().capacity_units().unwrap();
            assert!(units > 0.0 || page.count() == 0, "{units}");
            assert!(page.count() <= 5);
            found.extend(page.items().iter().map(|item| item["id"].as_s().unwrap().clone()));
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
            assert_eq!(start.as_ref().unwrap().len(), 1, "the key and nothing else");
        }
    }
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 40);
}

#[tokio::test(start_paused = true)]
async fn dynamodb_a_write_says_what_it_consumed_when_asked() {
    let client = dynamodb();
    let name = table(&client).await;
    put(&client, &name, &[("id", s("a"))]).await;
    let update = client.update_item().table_name(&name).key("id", s("a"));
    let update = update
        .update_expression("SET note = :note")
        .expression_attribute_values(":note", s("a".repeat(2_500)))
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    let answer = update.send().await.unwrap();
    let units = answer.consumed_capacity().unwrap().capacity_units();
    assert_eq!(units, Some(3.0), "a unit for each begun KB");
}

#[tokio::test(start_paused = true)]
async fn dynamodb_a_batch_of_reads_answers_what_is_there_and_refuses_a_key_twice() {
    let client = dynamodb();
    let name = table(&client).await;
    for id in ["a", "b"] {
        put(&client, &name, &[("id", s(id))]).await;
    }
    let batch = |ids: &[&str]| {
        let keys = ids.iter().map(|id| item(&[("id", s(*id))])).collect();
        let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
        client.batch_get_item().request_items(&name, wanted.build().unwrap()).send()
    };
    let answer = batch(&["a", "b", "c"]).await.unwrap();
    assert_eq!(answer.responses().unwrap()[&name].len(), 2);
    assert!(answer.unprocessed_keys().is_none_or(|left| left.is_empty()));
    let error = batch(&["a", "a"]).await.unwrap_err();
    assert_eq!(error.code(), Some("ValidationException"));
    let many: Vec<_> = (0..101).map(|number| number.to_string()).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    assert_eq!(batch(&many).await.unwrap_err().code(), Some("ValidationException"));
}

#[tokio::test(start_paused = true)]
async fn dynamodb_a_condition_may_ask_for_the_type_of_an_attribute() {
    let client = dynamodb();
    let name = table(&client).await;
    for (label, is_met) in [(n(1), false), (s("1"), false), (s("1.4"), true), (s("10.2"), false)] {
        put(&client, &name, &[("id", s("a")), ("label", label.clone())]).await;
        let update = client.update_item().table_name(&name).key("id", s("a"));
        let answer = update
            .update_expression("SET v = if_not_exists(v, :zero) + :one")
            .condition_expression("attribute_type(label, :text) AND label BETWEEN :from AND :to")
            .expression_attribute_values(":zero", n(0))
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":text", s("S"))
            .expression_attribute_values(":from", s("1."))
            .expression_attribute_values(":to", s("1/"))
            .send()
            .await;
        assert_eq!(answer.is_ok(), is_met, "{label:?} {answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn dynamodb_a_repeated_transaction_token_is_applied_once() {
    let client = dynamodb();
    let name = table(&client).await;
    let token = unique("token");
    let transact = |by: i64| {
        let update = Update::builder()
            .table_name(&name)
            .key("id", s("a"))
            .update_expression("ADD v :by")
            .expression_attribute_values(":by", n(by))
            .build()
            .unwrap();
        let item = TransactWriteItem::builder().update(update).build();
        client.transact_write_items().client_request_token(&token).transact_items(item).send()
    };
    transact(1).await.unwrap();
    transact(1).await.unwrap();
    assert_eq!(get(&client, &name, "a").await.unwrap()["v"], n(1));
    let error = transact(2).await.unwrap_err().into_service_error();
    assert!(error.is_idempotent_parameter_mismatch_exception(), "{error:?}");
}

/// In our own world only: an emulator's clock is not ours to move.
#[tokio::test(start_paused = true)]
async fn a_transaction_token_is_remembered_for_ten_minutes_of_the_worlds_clock() {
    let client = world().dynamodb();
    let name = table(&client).await;
    let add = |token: &str| {
        let update = Update::builder().table_name(&name).key("id", s("a"));
        let update =
            update.update_expression("ADD v :one").expression_attribute_values(":one", n(1));
        let item = TransactWriteItem::builder().update(update.build().unwrap()).build();
        client.transact_write_items().client_request_token(token).transact_items(item).send()
    };
    let token = unique("token");
    for (minutes, applied) in [(0, 1), (9, 1), (2, 2), (9, 2), (2, 3)] {
        tokio::time::advance(Duration::from_secs(minutes * 60)).await;
        add(&token).await.unwrap();
        assert_eq!(get(&client, &name, "a").await.unwrap()["v"], n(applied), "after {minutes}");
    }
    // Tokens that differ at their end only are different also when they were forgotten.
    let long = ["1", "2"].map(|end| "t".repeat(35) + end);
    for applied in [4, 6] {
        for (token, more) in long.iter().zip(0..) {
            add(token).await.unwrap();
            let item = get(&client, &name, "a").await.unwrap();
            assert_eq!(item["v"], n(applied + more), "{token}");
        }
        tokio::time::advance(Duration::from_secs(11 * 60)).await;
    }
    assert!(add(&"t".repeat(37)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn dynamodb_a_batch_has_at_most_25_writes() {
    let client = dynamodb();
    let name = table(&client).await;
    let batch = |count: usize| {
        let requests = (0..count).map(|number| {
            let put = PutRequest::builder().item("id", s(number.to_string())).build().unwrap();
            WriteRequest::builder().put_request(put).build()
        });
        client.batch_write_item().request_items(&name, requests.collect()).send()
    };
    let written = batch(25).await.unwrap();
    assert!(written.unprocessed_items.unwrap_or_default().is_empty());
    let error = batch(26).await.unwrap_err();
    assert_eq!(error.code(), Some("ValidationException"));
    assert_eq!(client.scan().table_name(&name).send().await.unwrap().count(), 25);
}

#[tokio::test(start_paused = true)]
async fn dynamodb_a_time_to_live_can_be_set() {
    let client = dynamodb();
    let name = table(&client).await;
    let expiry = TimeToLiveSpecification::builder().attribute_name("expires").enabled(true);
    let set = client.update_time_to_live().table_name(&name);
    set.time_to_live_specification(expiry.build().unwrap()).send().await.unwrap();
    let described = client.describe_time_to_live().table_name(&name).send().await.unwrap();
    let described = described.time_to_live_description.unwrap();
    assert_eq!(described.attribute_name(), Some("expires"));
}

#[tokio::test(start_paused = true)]
async fn dynamodb_malformed_requests_are_refused() {
    let client = dynamodb();
    let name = table(&client).await;
    let update = |expression: &str| {
        let update = client.update_item().table_name(&name).key("id", s("a"));
        update.update_expression(expression)
    };
    let put = || client.put_item().table_name(&name);
    let errors = [
        put().item("v", n(1)).send().await.unwrap_err().code().map(str::to_owned),
        put().item("id", n(1)).send().await.unwrap_err().code().map(str::to_owned),
        put().item("id", s("")).send().await.unwrap_err().code().map(str::to_owned),
        update("SET v == :v")
            .expression_attribute_values(":v", n(1))
            .send()
            .await
            .unwrap_err()
            .code()
            .map(str::to_owned),
        update("SET v = :missing").send().await.unwrap_err().code().map(str::to_owned),
        update("SET v = :v, v = :v")
            .expression_attribute_values(":v", n(1))
            .send()
            .await
            .unwrap_err()
            .code()
            .map(str::to_owned),
        update("SET id = :v")
            .expression_attribute_values(":v", s("b"))
            .send()
            .await
            .unwrap_err()
            .code()
            .map(str::to_owned),
        update("SET v = :v")
            .expression_attribute_values(":v", n(1))
            .expression_attribute_values(":unused", n(1))
            .send()
            .await
            .unwrap_err()
            .code()
            .map(str::to_owned),
        update("SET name = :v")
            .expression_attribute_values(":v", n(1))
            .send()
            .await
            .unwrap_err()
            .code()
            .map(str::to_owned),
    ];
    for (at, code) in errors.iter().enumerate() {
        assert_eq!(code.as_deref(), Some("ValidationException"), "request {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn dynamodb_an_index_name_has_three_letters_or_more() {
    let client = dynamodb();
    let short = GlobalSecondaryIndex::builder()
        .index_name("by")
        .key_schema(key("id", KeyType::Hash))
        .projection(Projection::builder().projection_type(ProjectionType::All).build())
        .build()
        .unwrap();
    let create = client
        .create_table()
        .table_name(unique("indexed"))
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("id", ScalarAttributeType::S))
        .key_schema(key("id", KeyType::Hash))
        .global_secondary_indexes(short);
    assert_eq!(create.send().await.unwrap_err().code(), Some("ValidationException"));
}

#[tokio::test(start_paused = true)]
async fn dynamodb_no_concurrent_write_is_lost() {
    let client = dynamodb();
    let name = table(&client).await;
    put(&client, &name, &[("id", s("a")), ("sum", n(0))]).await;
    let writers: Vec<_> = (0..100)
        .map(|number| {
            let (client, name) = (client.clone(), name.clone());
            tokio::spawn(async move {
                let add = client.update_item().table_name(&name).key("id", s("a"));
                let add = add.update_expression("ADD #sum :one");
                let add = add.expression_attribute_names("#sum", "sum");
                add.expression_attribute_values(":one", n(1)).send().await.unwrap();
                let first = client.put_item().table_name(&name).item("id", s("first"));
                let first = first.item("winner", n(number));
                first.condition_expression("attribute_not_exists(id)").send().await.is_ok()
            })
        })
        .collect();
    let mut winners = 0;
    for writer in writers {
        winners += usize::from(writer.await.unwrap());
    }
    assert_eq!(winners, 1);
    assert_eq!(get(&client, &name, "a").await.unwrap()["sum"], n(100));
}

#[tokio::test(start_paused = true)]
async fn expired_items_go_when_swept() {
    let world = world();
    let client = world.dynamodb();
    let name = table(&client).await;
    let expiry = TimeToLiveSpecification::builder().attribute_name("expires").enabled(true);
    let set = client.update_time_to_live().table_name(&name);
    set.time_to_live_specification(expiry.build().unwrap()).send().await.unwrap();
    put(&client, &name, &[("id", s("a")), ("expires", n(1_790_000_100))]).await;
    assert_eq!(world.dynamodb_service().sweep_expired(), 0);
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(world.dynamodb_service().sweep_expired(), 1);
    assert_eq!(get(&client, &name, "a").await, None);
}

#[tokio::test(start_paused = true)]
async fn a_write_passes_no_time_under_a_paused_clock() {
    let client = dynamodb();
    if std::env::var_os(crate::target::DYNAMODB_ENDPOINT).is_some() {
        return;
    }
    let name = table(&client).await;
    let started = tokio::time::Instant::now();
    put(&client, &name, &[("id", s("a"))]).await;
    assert_eq!(started.elapsed(), Duration::ZERO);
}
