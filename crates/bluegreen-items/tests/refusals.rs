//! What each answer of the service becomes.

use bluegreen_core::Color;
use bluegreen_items::{ItemError, Table, Versioned};

use crate::canned::{client, error};
use crate::shop::{OrderV1, config, identity, key};

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
        let error = table([(status, &body)]).create(key(), OrderV1::of(1)).await.unwrap_err();
        assert_eq!(class(&error), expected, "{code}: {error:?}");
        assert_eq!(error.is_retryable(), ["throttled", "unavailable"].contains(&expected));
        if let ItemError::Misconfigured { reason, .. } = error {
            assert_eq!(reason, code);
        }
    }
    let error = table([]).create(key(), OrderV1::of(1)).await.unwrap_err();
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
