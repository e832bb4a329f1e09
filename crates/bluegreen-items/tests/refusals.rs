//! What each answer of the service becomes.

use bluegreen_core::Color;
use bluegreen_items::{ItemError, Table, Versioned};
use serde::{Deserialize, Serialize};

use crate::canned::{client, error};
use crate::shop::{OrderV1, attributes, blue, config, count, identity, key, m, n, open, s};

fn table<const N: usize>(answers: [(u16, &str); N]) -> Table {
    Table::new(client(answers), "orders", &identity(Color::Blue), config()).unwrap()
}

fn class(error: &ItemError) -> &'static str {
    match error {
        ItemError::Throttled { .. } => "throttled",
        ItemError::Unavailable { .. } => "unavailable",
        ItemError::Misconfigured { .. } => "misconfigured",
        ItemError::Refused { .. } => "refused",
        ItemError::TooLarge { .. } => "too large",
        _ => "other",
    }
}

#[tokio::test(start_paused = true)]
async fn every_failure_is_sorted_by_what_can_be_done_about_it() {
    let cases = [
        (400, "ProvisionedThroughputExceededException", "throttled"),
        (400, "ThrottlingException", "throttled"),
        (400, "RequestLimitExceeded", "throttled"),
        (429, "TooManyRequests", "throttled"),
        (408, "RequestTimeout", "unavailable"),
        (400, "TransactionConflictException", "unavailable"),
        (500, "InternalServerError", "unavailable"),
        (503, "ServiceUnavailable", "unavailable"),
        (400, "ResourceNotFoundException", "misconfigured"),
        (400, "AccessDeniedException", "misconfigured"),
        (400, "ExpiredTokenException", "misconfigured"),
        (400, "ValidationException", "refused"),
        (400, "ItemCollectionSizeLimitExceededException", "refused"),
    ];
    for (status, code, expected) in cases {
        let body = error(code, "no");
        let mut item = Versioned::new(key(), OrderV1::of(1));
        let error = table([(status, &body)]).save(&mut item).await.unwrap_err();
        assert_eq!(class(&error), expected, "{code}: {error:?}");
        assert_eq!(error.is_retryable(), ["throttled", "unavailable"].contains(&expected));
        if let ItemError::Misconfigured { reason, .. } = error {
            assert_eq!(reason, code);
        }
    }
    let mut item = Versioned::new(key(), OrderV1::of(1));
    let error = table([]).save(&mut item).await.unwrap_err();
    assert_eq!(class(&error), "unavailable", "no answer at all");
}

#[tokio::test(start_paused = true)]
async fn an_item_that_only_the_service_finds_too_large_is_too_large() {
    let body = error("ValidationException", "Item size has exceeded the maximum allowed size");
    let error = table([(400, &body)]).create(key(), OrderV1::of(1)).await.unwrap_err();
    assert_eq!(class(&error), "too large");
}

#[tokio::test(start_paused = true)]
async fn an_item_that_the_service_refuses_says_why_and_a_wrong_table_is_no_fault_of_the_item() {
    let mismatch = "One or more parameter values were invalid: Type mismatch for Index Key region";
    let body = error("ValidationException", mismatch);
    let refused = table([(400, &body)]).create(key(), OrderV1::of(1)).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("the table refuses the item: {mismatch}"));
    assert!(!refused.is_retryable());
    for message in [
        "One or more parameter values were invalid: Missing the key id in the item",
        "The provided key element does not match the schema",
    ] {
        let body = error("ValidationException", message);
        let error = table([(400, &body)]).create(key(), OrderV1::of(1)).await.unwrap_err();
        assert_eq!(class(&error), "misconfigured", "{error:?}");
    }
}

const STORED: &str = r#"{"Item":{"PK":{"S":"ORDER#17"},"SK":{"S":"META"},"Version":{"N":"3"},
    "Data":{"M":{"total":{"N":"7"}}}}}"#;

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_name_the_current_item_is_asked_for_it() {
    let refusal = error("ConditionalCheckFailedException", "The conditional request failed");
    let table =
        table([(200, STORED), (400, &refusal), (200, STORED), (400, &refusal), (200, "{}")]);
    let mut item: Versioned<OrderV1> = table.get(&key()).await.unwrap().unwrap();
    item.value_mut().data.total = 8;
    let error = table.save(&mut item).await.unwrap_err();
    assert_eq!(error.current().unwrap().version(), Some(3));
    assert!(matches!(error, ItemError::Conflict { .. }));
    let error = table.save(&mut item).await.unwrap_err();
    assert!(matches!(error, ItemError::Gone), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_kind_of_attribute_from_the_future_is_an_error_and_no_panic() {
    let stored = r#"{"Item":{"PK":{"S":"a"},"SK":{"S":"b"},"vector":{"VEC":"1"}}}"#;
    let answer = table([(200, stored)]).get::<OrderV1>(&key()).await;
    assert!(answer.is_err(), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_time_out_between_the_service_and_us_leaves_the_write_in_doubt() {
    let timeout = error("RequestTimeout", "no whole request came");
    let refusal = error("ConditionalCheckFailedException", "no");
    let table = table([(200, STORED), (408, &timeout), (400, &refusal), (200, STORED)]);
    let mut item: Versioned<OrderV1> = table.get(&key()).await.unwrap().unwrap();
    item.value_mut().data.total = 8;
    assert!(table.save(&mut item).await.unwrap_err().is_retryable());
    let error = table.save(&mut item).await.unwrap_err();
    assert!(matches!(error, ItemError::OutcomeUnknown), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_only_ever_turned_away_is_planned_anew() {
    let throttled = error("ThrottlingException", "slow down");
    let refusal = error("ConditionalCheckFailedException", "no");
    let table = table([
        (200, STORED),
        (400, &throttled),
        (400, &throttled),
        (400, &refusal),
        (200, STORED),
    ]);
    let mut item: Versioned<OrderV1> = table.get(&key()).await.unwrap().unwrap();
    item.value_mut().data.total = 8;
    for _ in 0..2 {
        assert!(table.save(&mut item).await.unwrap_err().is_retryable());
    }
    let error = table.save(&mut item).await.unwrap_err();
    assert!(matches!(error, ItemError::Conflict { .. }), "its outcome is not in doubt: {error}");
}

/// What is wrong with a value, where, before anything is sent.
async fn refused<T: Serialize + serde::de::DeserializeOwned>(value: T) -> (String, String) {
    let world = open().await;
    let error = blue(&world).create(key(), value).await.map(drop).unwrap_err();
    assert_eq!(count(&world, &["PutItem"]), [0]);
    let ItemError::Encode { path, source } = error else { panic!("{error:?}") };
    (path, source.to_string())
}

#[tokio::test(start_paused = true)]
async fn numbers_that_the_service_does_not_take_are_refused_by_path_and_value_and_not_sent() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Measured {
        points: Vec<Point>,
    }
    #[derive(Debug, Serialize, Deserialize)]
    struct Point {
        degrees: f64,
    }
    let point = |degrees| Measured { points: vec![Point { degrees }] };
    let (path, why) = refused(point(f64::NAN)).await;
    assert_eq!((&*path, &*why), ("points[0].degrees", "NaN is no number"));
    assert_eq!(refused(point(f64::INFINITY)).await.0, "points[0].degrees");
    assert!(refused(point(1e200)).await.1.contains("is not of 1E-130 to 9.99E+125"));

    let world = open().await;
    let table = blue(&world);
    let mut item = table.create(key(), point(1.5)).await.unwrap();
    item.value_mut().points[0].degrees = f64::NAN;
    assert!(matches!(table.save(&mut item).await, Err(ItemError::Encode { .. })));
    let update = bluegreen_items::Update::new().set("points[0].degrees", &f64::NAN);
    let error = table.update(&key(), update).await.unwrap_err();
    assert_eq!(error.to_string(), "the value cannot be written at \"points[0].degrees\"");
    let update = bluegreen_items::Update::new().add("n", 1).if_equal("x", &f64::INFINITY);
    assert!(matches!(table.update(&key(), update).await, Err(ItemError::Encode { .. })));
    assert_eq!(count(&world, &["PutItem", "UpdateItem", "TransactWriteItems"]), [1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn the_service_agrees_with_what_is_refused_and_with_the_last_that_is_not() {
    use aws_sdk_dynamodb::types::AttributeValue;
    let nested = |levels: usize| (1..levels).fold(n(1), |value, _| m([("b", value)]));
    let number = |text: &str| AttributeValue::N(text.to_owned());
    let nines = |count: usize| number(&"9".repeat(count));
    let cases = [
        (nested(32), true),
        (nested(33), false),
        (nines(38), true),
        (nines(39), false),
        (number("1E125"), true),
        (number("1E126"), false),
        (number("1E-130"), true),
        (number("1E-131"), false),
        (number("NaN"), false),
        (AttributeValue::Ss(Vec::new()), false),
        (AttributeValue::Ss(vec!["x".to_owned(), "x".to_owned()]), false),
    ];
    for (value, fits) in cases {
        let world = open().await;
        let put = world.dynamodb().put_item().table_name("orders");
        let item = attributes([("PK", s("a")), ("SK", s("b")), ("value", value.clone())]);
        let answer = put.set_item(Some(item)).send().await;
        assert_eq!(answer.is_ok(), fits, "{value:?} {answer:?}");
    }
}

/// Each of these writes what it cannot read.
mod unreadable {
    use super::{Deserialize, Serialize};

    const fn is_zero(number: &u32) -> bool {
        *number == 0
    }

    #[derive(Debug, Serialize, Deserialize)]
    pub(super) struct Skips {
        #[serde(skip_serializing_if = "is_zero")]
        pub(super) count: u32,
    }

    #[derive(Debug, Serialize, Deserialize)]
    pub(super) struct Nested {
        pub(super) inner: Vec<Skips>,
    }

    #[derive(Debug, Serialize, Deserialize)]
    pub(super) struct Flat {
        #[serde(flatten)]
        pub(super) inner: Skips,
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    pub(super) enum Tagged {
        Some(Skips),
    }

    #[derive(Debug, Serialize, Deserialize)]
    pub(super) struct Variants {
        pub(super) state: State,
    }

    #[derive(Debug, Serialize, Deserialize)]
    pub(super) enum State {
        #[serde(rename(serialize = "opened", deserialize = "Open"))]
        Open,
        Counted(Skips),
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Denies {
        pub(super) count: u32,
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_whose_type_cannot_read_what_it_writes_is_refused_by_name_and_not_sent() {
    use unreadable::{Denies, Flat, Nested, Skips, State, Tagged, Variants};
    let skips = |count| Skips { count };
    let missing = "it could not be read again: missing field `count`";
    assert_eq!(refused(skips(0)).await, (String::new(), missing.to_owned()));
    let nested = refused(Nested { inner: vec![skips(1), skips(0)] }).await;
    assert_eq!(nested, ("inner[1]".to_owned(), missing.to_owned()));
    assert_eq!(refused(Flat { inner: skips(0) }).await.1, missing);
    assert_eq!(refused(Tagged::Some(skips(0))).await.1, missing);
    let counted = refused(Variants { state: State::Counted(skips(0)) }).await;
    assert!(counted.0.starts_with("state") && counted.1 == missing, "{counted:?}");
    assert!(refused(Variants { state: State::Open }).await.1.contains("unknown variant `opened`"));
    assert!(refused(Denies { count: 1 }).await.1.contains("unknown field"));

    let world = open().await;
    let table = blue(&world);
    let mut item = table.create(key(), Nested { inner: vec![skips(1)] }).await.unwrap();
    item.value_mut().inner[0].count = 0;
    let error = table.save(&mut item).await.unwrap_err();
    assert_eq!(error.to_string(), "the value cannot be written at \"inner[0]\"");
    assert_eq!(count(&world, &["PutItem", "UpdateItem"]), [1, 0]);
}
