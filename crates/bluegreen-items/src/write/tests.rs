use std::time::{Duration, UNIX_EPOCH};

use bluegreen_core::ContractVersion;

use super::*;
use crate::{AttributeNames, Schema, Step};

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn attributes<const N: usize>(entries: [(&str, AttributeValue); N]) -> Attributes {
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn key() -> Attributes {
    attributes([("PK", text("a")), ("SK", text("b"))])
}

fn schema(major: u16, minor: u16) -> Schema {
    Schema::new("Order", ContractVersion::new(major, minor))
}

fn stored(extra: Attributes) -> StoredItem {
    let mut item = key();
    item.extend(extra);
    StoredItem::read(item, &AttributeNames::default()).unwrap()
}

fn author(config: &TableConfig) -> Author<'_> {
    let now = UNIX_EPOCH + Duration::from_millis(1_500);
    let target = config.schema.version();
    Author { config, color: Color::Green, now, mark: Mark::new(7), target, is_ignorant: false }
}

/// A view that reads everything back.
fn all(map: &Attributes) -> Option<Attributes> {
    Some(map.clone())
}

fn parts(write: Write) -> Patch {
    match write.content {
        Content::Parts(patch) => patch,
        Content::Whole(_) => panic!("parts were expected"),
    }
}

fn updated(config: &TableConfig, stored: &StoredItem, after: Attributes) -> Patch {
    let before = stored.attributes().clone();
    let after = before.clone().into_iter().chain(after).collect();
    parts(author(config).update(stored, &before, after, &all, Reason::Change).unwrap().unwrap())
}

#[test]
fn an_item_is_created_with_all_of_its_stamps() {
    let config = TableConfig::default().with_schema(schema(2, 0));
    let view = attributes([("total", number(5)), ("Version", number(99)), ("PK", text("a"))]);
    let write = author(&config).create(key(), view).unwrap();
    let mark = Mark::new(7).to_attribute();
    let mut expected = key();
    expected.extend(attributes([
        ("total", number(5)),
        ("Version", number(1)),
        ("SchemaVersion", number(2)),
        ("CreatedAt", text("1970-01-01T00:00:01.5Z")),
        ("ModifiedAt", text("1970-01-01T00:00:01.5Z")),
        ("EnvironmentID", text("green")),
        ("WriteIDs", mark.clone()),
        ("IncarnationID", mark),
    ]));
    assert_eq!(write.content, Content::Whole(expected));
}

#[test]
fn an_update_sends_what_changed_and_its_stamps_only() {
    let item = stored(attributes([
        ("total", number(5)),
        ("unknown", number(6)),
        ("Version", number(4)),
        ("SchemaVersion", number(1)),
        ("CreatedAt", text("long ago")),
        ("IncarnationID", Mark::new(1).to_attribute()),
    ]));
    let config = TableConfig::default();
    let patch = updated(&config, &item, attributes([("total", number(50))]));
    let mut changed: Vec<_> = patch.changed.keys().map(String::as_str).collect();
    changed.sort_unstable();
    assert_eq!(changed, ["EnvironmentID", "ModifiedAt", "Version", "WriteIDs", "total"]);
    assert_eq!(patch.changed["Version"], number(5));
    assert!(patch.removed.is_empty());
}

#[test]
fn the_schema_version_of_an_item_is_raised_and_never_lowered() {
    let config = TableConfig::default().with_schema(schema(1, 2));
    let cases = [
        (None, Some("1.2")),
        (Some("1"), Some("1.2")),
        (Some("1.2"), None),
        (Some("1.3"), None),
        (Some("2"), None),
    ];
    for (found, written) in cases {
        let found_attribute = found.map(|version| ("SchemaVersion".to_owned(), text(version)));
        let item = stored(found_attribute.into_iter().collect());
        let patch = updated(&config, &item, attributes([("total", number(1))]));
        assert_eq!(patch.changed.get("SchemaVersion"), written.map(text).as_ref(), "{found:?}");
    }
}

#[test]
fn the_latest_writes_are_remembered_and_older_ones_forgotten() {
    let config = TableConfig::default().with_remembered_writes(2);
    let marks = |marks: &[u128]| {
        let marks: Vec<_> = marks.iter().copied().map(Mark::new).collect();
        Mark::all_to_attribute(marks.iter())
    };
    for (found, left) in [(vec![], vec![7]), (vec![1], vec![1, 7]), (vec![1, 2, 3], vec![2, 3, 7])]
    {
        let item = stored(attributes([("WriteIDs", marks(&found))]));
        let patch = updated(&config, &item, attributes([("total", number(1))]));
        assert_eq!(patch.changed["WriteIDs"], marks(&left));
    }
}

#[test]
fn a_value_changes_neither_key_nor_stamps() {
    let config = TableConfig::default();
    let item = stored(attributes([("Version", number(4))]));
    let before = item.attributes().clone();
    let with = |name: &str| {
        let mut after = before.clone();
        after.insert(name.to_owned(), text("other"));
        author(&config).update(&item, &before, after, &all, Reason::Change)
    };
    assert!(with("Version").unwrap().is_none(), "nothing is left to write");
    assert_eq!(with("SK").unwrap_err().to_string(), "the value cannot be written at \"SK\"");
    let other = attributes([("PK", text("other"))]);
    assert!(matches!(author(&config).create(key(), other), Err(ItemError::Encode { .. })));
}

#[test]
fn a_step_changes_no_key() {
    let move_key = |item: &mut Attributes| {
        item.insert("SK".to_owned(), text("elsewhere"));
        Ok(())
    };
    let step = Step::new(1, 2, move_key).lossy_down(move_key);
    let schema = Schema::builder("Order", ContractVersion::new(2, 0)).step(step).build().unwrap();
    let config = TableConfig::default().with_schema(schema);
    let lowered = Author { target: ContractVersion::new(1, 0), ..author(&config) };
    let error = lowered.create(key(), Attributes::new()).unwrap_err();
    assert_eq!(error.to_string(), "the value cannot be written at \"SK\"");
    let item = stored(attributes([("SchemaVersion", number(1))]));
    let error = author(&config).migrate(&item).unwrap_err();
    assert_eq!(error.to_string(), "the value cannot be written at \"SK\"");
}

#[test]
fn the_size_is_checked_before_anything_is_sent() {
    let config = TableConfig::default();
    let large = |size: usize| attributes([("text", text(&"x".repeat(size)))]);
    assert!(author(&config).create(key(), large(409_000)).is_ok());
    let error = author(&config).create(key(), large(409_600)).unwrap_err();
    assert!(matches!(error, ItemError::TooLarge { limit: 409_600, .. }), "{error}");

    let item = stored(large(300_000));
    let before = Attributes::new();
    let after = attributes([("more", text(&"x".repeat(200_000)))]);
    let error = author(&config).update(&item, &before, after, &all, Reason::Change).unwrap_err();
    assert!(matches!(error, ItemError::TooLarge { .. }), "what stays counts too: {error}");
}

#[test]
fn a_change_of_too_many_attributes_for_an_expression_goes_whole() {
    let config = TableConfig::default();
    let item = stored(attributes([("unknown", number(1))]));
    let before = item.attributes().clone();
    let many = (0..200).map(|index| (format!("a{index}"), number(index)));
    let after: Attributes = before.clone().into_iter().chain(many).collect();
    let write =
        author(&config).update(&item, &before, after, &all, Reason::Change).unwrap().unwrap();
    let Content::Whole(whole) = write.content else { panic!("the whole item was expected") };
    assert_eq!(whole["unknown"], number(1));
    assert_eq!(whole["Version"], number(1));
    assert_eq!(write.act, Act::Update(Lock { version: None, incarnation: None }));
}

#[test]
fn the_end_of_all_versions_is_an_error() {
    let config = TableConfig::default();
    let item = stored(attributes([("Version", number(u64::MAX))]));
    let before = item.attributes().clone();
    let view = |_: &Attributes| Some(Attributes::new());
    let after = Attributes::new();
    let error = author(&config).update(&item, &before, after, &view, Reason::Change);
    assert!(matches!(error, Err(ItemError::Encode { .. })), "{error:?}");
}

#[test]
fn the_stamps_of_an_item_are_as_large_as_the_readme_says() {
    let config = TableConfig::default();
    let now = UNIX_EPOCH + Duration::from_nanos(1_795_000_000_123_456_789);
    let sizes: Vec<usize> = {
        let first = Author { now, ..author(&config) }.create(key(), Attributes::new()).unwrap();
        let Content::Whole(mut item) = first.content else { panic!("an item was expected") };
        let own = |item: &Attributes| {
            let stamps = item.iter().filter(|(name, _)| config.names.is_stamp(name));
            stamps.map(|(name, value)| size::of_attribute(name, value)).sum()
        };
        let mut sizes = vec![own(&item)];
        for mark in 0..20 {
            let stored = StoredItem::read(item, &config.names).unwrap();
            let author = Author { now, mark: Mark::new(mark), ..author(&config) };
            let write = author.migrate(&stored).unwrap();
            item = write.content.applied_to(stored.into_attributes());
            sizes.push(own(&item));
        }
        sizes
    };
    assert!((165..=185).contains(&sizes[0]), "{sizes:?}");
    for (before, after) in sizes.iter().zip(&sizes[1..9]) {
        assert_eq!(after - before, 12, "{sizes:?}");
    }
    assert!((250..=270).contains(sizes.last().unwrap()), "{sizes:?}");
    let full: BTreeSet<_> = sizes[12..].iter().collect();
    assert_eq!(full.len(), 1, "eight and the latest are remembered: {sizes:?}");
}
