use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct V1 {
    name: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct V2 {
    first: String,
    last: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct V3 {
    first: String,
    last: String,
    title: String,
}

fn v(major: u16) -> ContractVersion {
    ContractVersion::new(major, 0)
}

fn split(old: V1) -> V2 {
    match old.name.split_once(' ') {
        Some((first, last)) => V2 { first: first.to_owned(), last: last.to_owned() },
        None => V2 { first: String::new(), last: old.name },
    }
}

fn join(new: V2) -> V1 {
    let V2 { first, last } = new;
    V1 { name: [first, last].join(" ") }
}

fn ada() -> V2 {
    V2 { first: "Ada".to_owned(), last: "Lovelace".to_owned() }
}

fn one_two() -> Step {
    Step::new(1, 2, typed(split)).down(typed(join)).example(&ada())
}

fn two_three() -> Step {
    let up = |old: V2| V3 { first: old.first, last: old.last, title: "Dr".to_owned() };
    Step::new(2, 3, typed(up)).lossy_down(typed(|new: V3| V2 { first: new.first, last: new.last }))
}

fn bare(from: u16, to: u16) -> Step {
    Step::new(from, to, |_| Ok(())).without_down()
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn map<const N: usize>(entries: [(&str, AttributeValue); N]) -> Attributes {
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[test]
fn a_chain_with_a_gap_a_fork_or_a_way_down_untold_is_refused_when_built() {
    let loses = |new: V2| V1 { name: new.last };
    let step = |from, to| Step::new(from, to, |_: &mut Attributes| Ok(()));
    let cases: [(&[Step], &str); 11] = [
        (&[bare(2, 2)], "the step from version 2 to 2 does not lead up"),
        (&[bare(3, 1)], "the step from version 3 to 1 does not lead up"),
        (&[bare(1, 2), bare(1, 3)], "two steps begin at version 1"),
        (&[bare(1, 2)], "a step leads to version 2, and the next is 3"),
        (&[bare(0, 1), bare(2, 3)], "a step leads to version 1, and the next is 2"),
        (&[bare(1, 2), bare(2, 3), bare(3, 4)], "a step leads to version 4, and the next is 3"),
        (
            &[step(2, 3)],
            "the step down from version 3 to 2 is missing: declare it, or that there is none",
        ),
        (
            &[step(2, 3).down(|_| Ok(()))],
            "the step down from version 3 to 2 has no example to check that it loses nothing",
        ),
        (
            &[Step::new(2, 3, typed(split)).down(typed(loses)).example(&ada())],
            "the step down from version 3 to 2 loses \"first\" of an example without saying so",
        ),
        (&[one_two(), bare(2, 3)], "the step down from version 2 to 1 cannot be reached"),
        (
            &[step(2, 3).lossy_down(|_| Err("no".into())).example(&ada())],
            "an example of the step between version 3 and 2 cannot be converted",
        ),
    ];
    for (steps, expected) in cases {
        let builder = Schema::builder("Order", v(3));
        let built = steps.iter().cloned().fold(builder, SchemaBuilder::step).build();
        assert_eq!(built.unwrap_err().to_string(), expected);
    }
    assert!(matches!(Schema::builder("", v(1)).build(), Err(SchemaError::Unnamed)));
    let unlabeled = Schema::builder("Order", v(3)).unlabeled(7).build();
    assert!(matches!(unlabeled, Err(SchemaError::UnknownUnlabeled { major: 7 })));
}

#[test]
fn a_schema_knows_what_it_reads_and_what_it_can_write() {
    // In any order.
    let schema = Schema::builder("Order", v(3)).step(two_three()).step(one_two()).build().unwrap();
    for major in 0..5 {
        let reads = schema.reads().reads("items/Order", v(major));
        assert_eq!(reads, (1..=3).contains(&major), "{major}");
    }
    assert_eq!(schema.writable().collect::<Vec<_>>(), [v(3), v(2), v(1)]);
    let retired =
        Schema::builder("Order", v(3)).step(bare(1, 2)).step(two_three()).build().unwrap();
    assert_eq!(retired.writable().collect::<Vec<_>>(), [v(3), v(2)]);
    assert_eq!(retired.oldest(), v(1));
    assert_eq!(retired.version_of(None), v(1), "an item without a label is of the oldest version");
    assert_eq!(retired.version_of(Some(v(2))), v(2));
}

#[test]
fn an_item_goes_up_and_down_the_chain_and_what_no_type_knows_goes_along() {
    let schema = Schema::builder("Order", v(3)).step(one_two()).step(two_three()).build().unwrap();
    let unknown = AttributeValue::Ns(vec!["1".to_owned()]);
    let old = map([("name", text("Ada Lovelace")), ("unknown", unknown.clone())]);
    let mut item = old.clone();
    schema.lift(&mut item, 1).unwrap();
    let expected = [
        ("first", text("Ada")),
        ("last", text("Lovelace")),
        ("title", text("Dr")),
        ("unknown", unknown),
    ];
    assert_eq!(item, map(expected));
    schema.lower(&mut item, 1).unwrap();
    assert_eq!(item, old);
    let error = schema.lift(&mut item, 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the item has schema version 0.0, this release reads from 1.0 on"
    );
}

#[test]
fn an_item_that_would_lose_something_by_a_lossless_step_is_refused() {
    let schema = Schema::builder("Order", v(2)).step(one_two()).build().unwrap();
    // No example had a blank in the first name.
    let mut item = map([("first", text("Ada King")), ("last", text("Lovelace"))]);
    let error = schema.lower(&mut item, 1).unwrap_err();
    assert!(matches!(error, ItemError::Lossy { from: 2, to: 1, .. }), "{error}");
}
