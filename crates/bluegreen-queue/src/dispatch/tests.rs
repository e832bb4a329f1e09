use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::*;
use crate::{Envelope, Message};

#[derive(Serialize, Deserialize)]
struct V1 {
    order: String,
}
#[derive(Serialize, Deserialize)]
struct V1Later {
    order: String,
}
#[derive(Serialize, Deserialize)]
struct V2 {
    order: u64,
}
impl Message for V1 {
    const TYPE: &str = "OrderPlaced";
    const VERSION: ContractVersion = ContractVersion::new(1, 0);
}
impl Message for V1Later {
    const TYPE: &str = "OrderPlaced";
    const VERSION: ContractVersion = ContractVersion::new(1, 3);
}
impl Message for V2 {
    const TYPE: &str = "OrderPlaced";
    const VERSION: ContractVersion = ContractVersion::new(2, 0);
}

fn both(policy: UnknownPolicy) -> Dispatch {
    Dispatch::builder()
        .on::<V1, _>(async |_, _| Err("the first".into()))
        .on::<V2, _>(async |_, _| Err("the second".into()))
        .unknown(policy)
        .build()
        .unwrap()
}

async fn answer(dispatch: &Dispatch, kind: &str, version: &str, payload: &str) -> String {
    let version = version.parse().unwrap();
    let envelope = Envelope::from_json(kind, version, payload, UNIX_EPOCH).unwrap();
    match dispatch.handle(Context::new("m", 1, envelope)).await {
        Ok(outcome) => format!("{outcome:?}"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_message_goes_to_the_handler_of_its_major_and_an_unknown_version_is_never_handled_as_v1()
{
    let table = [
        ("OrderPlaced", "1.0", r#"{"order":"a"}"#, "the first"),
        ("OrderPlaced", "1.7", r#"{"order":"a","new":1}"#, "the first"),
        ("OrderPlaced", "2.0", r#"{"order":1}"#, "the second"),
        (
            "OrderPlaced",
            "3.0",
            r#"{"order":"a"}"#,
            r#"Park("OrderPlaced 3.0 is unknown: known are 1.0, 2.0")"#,
        ),
        ("OrderPlaced", "0.1", "{}", r#"Park("OrderPlaced 0.1 is unknown: known are 1.0, 2.0")"#),
        ("orderplaced", "1.0", "{}", r#"Park("the type \"orderplaced\" is unknown")"#),
    ];
    for (kind, version, payload, expected) in table {
        let found = answer(&both(UnknownPolicy::Park), kind, version, payload).await;
        assert_eq!(found, expected, "{kind} {version}");
    }
}

#[tokio::test]
async fn each_policy_does_what_it_says() {
    let fallback = UnknownPolicy::fallback(async |context: Context| {
        Ok(Outcome::Park(context.envelope().version().to_string()))
    });
    let table = [
        (UnknownPolicy::PassToOtherColor, "PassOn"),
        (UnknownPolicy::Park, r#"Park("OrderPlaced 3.0 is unknown: known are 1.0, 2.0")"#),
        (UnknownPolicy::Fail, "OrderPlaced 3.0 is unknown: known are 1.0, 2.0"),
        (fallback, r#"Park("3.0")"#),
    ];
    for (policy, expected) in table {
        assert_eq!(answer(&both(policy), "OrderPlaced", "3.0", "{}").await, expected);
    }
}

#[tokio::test]
async fn a_payload_that_is_not_what_its_version_says_is_poison() {
    let found = answer(&both(UnknownPolicy::Fail), "OrderPlaced", "2.0", r#"{"order":"a"}"#).await;
    assert!(
        found.starts_with("Park(\"the payload is not a OrderPlaced 2.0: invalid type"),
        "{found}"
    );
}

#[test]
fn duplicates_and_a_missing_policy_are_refused_by_name() {
    let twice = Dispatch::builder()
        .on::<V1, _>(async |_, _| Ok(Outcome::Done))
        .on::<V1Later, _>(async |_, _| Ok(Outcome::Done))
        .unknown(UnknownPolicy::Park);
    assert_eq!(
        twice.build().unwrap_err().to_string(),
        "OrderPlaced 1.0 and OrderPlaced 1.3 have a handler or upcaster each: one takes every 1.x"
    );
    assert_eq!(Dispatch::builder().build().unwrap_err(), DispatchError::NoPolicy);
}

#[derive(Serialize, Deserialize)]
struct V3 {
    order: u64,
    currency: String,
}
impl Message for V3 {
    const TYPE: &str = "OrderPlaced";
    const VERSION: ContractVersion = ContractVersion::new(3, 1);
}
/// What orders were called before anybody called them placed.
#[derive(Serialize, Deserialize)]
struct Ordered(String);
impl Message for Ordered {
    const TYPE: &str = "Ordered";
    const VERSION: ContractVersion = ContractVersion::new(1, 0);
}

fn raising() -> DispatchBuilder {
    Dispatch::builder()
        .unknown(UnknownPolicy::Park)
        .upcast(|Ordered(order)| Ok(V1 { order }))
        .upcast(|V1 { order }| Ok(V2 { order: order.parse()? }))
        .upcast(|V2 { order }| Ok(V3 { order, currency: "EUR".to_owned() }))
}

#[tokio::test]
async fn upcasters_form_a_chain_over_versions_and_names() {
    let dispatch = raising()
        .on(async |V3 { order, currency }, context: Context| {
            Ok(Outcome::Park(format!(
                "{order} {currency} sent as {}",
                context.envelope().version()
            )))
        })
        .build()
        .unwrap();
    let table = [
        ("OrderPlaced", "3.0", r#"{"order":7,"currency":"SEK"}"#, r#"Park("7 SEK sent as 3.0")"#),
        ("OrderPlaced", "2.9", r#"{"order":7,"new":1}"#, r#"Park("7 EUR sent as 2.9")"#),
        ("OrderPlaced", "1.0", r#"{"order":"7"}"#, r#"Park("7 EUR sent as 1.0")"#),
        ("Ordered", "1.0", r#""7""#, r#"Park("7 EUR sent as 1.0")"#),
        (
            "Ordered",
            "1.0",
            r#""x""#,
            r#"Park("the OrderPlaced 1.0 cannot be made a OrderPlaced 2.0: invalid digit found in string")"#,
        ),
        (
            "OrderPlaced",
            "4.0",
            "{}",
            r#"Park("OrderPlaced 4.0 is unknown: known are 1.0, 2.0, 3.1")"#,
        ),
    ];
    for (kind, version, payload, expected) in table {
        assert_eq!(answer(&dispatch, kind, version, payload).await, expected, "{kind} {version}");
    }
    for (kind, major) in [("Ordered", 1), ("OrderPlaced", 1), ("OrderPlaced", 2)] {
        assert!(dispatch.reads().reads(kind, ContractVersion::new(major, 0)), "{kind} {major}");
    }
    let poison = answer(&dispatch, "OrderPlaced", "1.0", "[]").await;
    assert!(poison.starts_with("Park(\"the payload is not a OrderPlaced 1.0"), "{poison}");
}

#[test]
fn a_chain_with_a_gap_a_cycle_or_two_ways_is_refused_by_name() {
    let done = async |_: V3, _: Context| Ok(Outcome::Done);
    let error = |builder: DispatchBuilder| builder.build().unwrap_err().to_string();
    let gap = error(
        Dispatch::builder()
            .unknown(UnknownPolicy::Park)
            .upcast(|V1 { order: _ }| Ok(V2 { order: 1 })),
    );
    assert_eq!(
        gap,
        "OrderPlaced 1.0 is made a OrderPlaced 2.0, which has neither a handler nor an upcaster"
    );
    let back = raising().upcast(|V3 { order, .. }| Ok(Ordered(order.to_string())));
    assert!(error(back).ends_with("go round in a circle"));
    let two = raising().on(done).upcast(|V2 { order }| Ok(V3 { order, currency: String::new() }));
    assert_eq!(
        error(two),
        "OrderPlaced 2.0 and OrderPlaced 2.0 have a handler or upcaster each: one takes every 2.x"
    );
    let both = raising().on(done).on(async |_: V1Later, _| Ok(Outcome::Done));
    assert!(error(both).starts_with("OrderPlaced 1.0 and OrderPlaced 1.3 have"));
}

#[test]
fn of_several_faults_the_same_one_is_named_each_time() {
    let named = || raising().build().unwrap_err().to_string();
    let last_step =
        "OrderPlaced 2.0 is made a OrderPlaced 3.1, which has neither a handler nor an upcaster";
    assert!((0..100).all(|_| named() == last_step), "{}", named());
}

#[tokio::test]
async fn no_depth_and_no_number_within_a_payload_makes_a_handler_panic() {
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let table = [
        (format!(r#"{{"order":1,"new":{deep}}}"#), "the second"),
        (format!(r#"{{"order":{deep}}}"#), "Park"),
        (deep.clone(), "Park"),
        (r#"{"order":1,"order":2}"#.to_owned(), "Park"),
        (r#"{"order":18446744073709551616}"#.to_owned(), "Park"),
        (r#"{"order":1e400}"#.to_owned(), "Park"),
        (r#"{"order":-1}"#.to_owned(), "Park"),
        (r#"{"order":1,"new":123456789012345678901234567890.12345678}"#.to_owned(), "the second"),
    ];
    for (payload, expected) in table {
        let found = answer(&both(UnknownPolicy::Fail), "OrderPlaced", "2.0", &payload).await;
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn a_dispatch_says_what_it_reads() {
    let expected = Reads::default()
        .with("OrderPlaced", ContractVersion::new(1, 0))
        .with("OrderPlaced", ContractVersion::new(2, 0));
    assert_eq!(both(UnknownPolicy::Park).reads(), expected);
}
