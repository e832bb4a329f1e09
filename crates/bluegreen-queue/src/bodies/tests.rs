use std::time::{Duration, UNIX_EPOCH};

use bluegreen_core::{Color, Revision};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::TraceContext;

const PLAIN: &str =
    r#"{"version":"1.0","type":"Order","payload":{"n":1},"timestamp":"2026-11-22T10:00:00Z"}"#;
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn read(body: &str) -> Result<Envelope, EnvelopeError> {
    Bodies::default().read(body, UNIX_EPOCH)
}

fn told(body: &str) -> String {
    match read(body) {
        Ok(found) => format!("{} {} {}", found.kind(), found.version(), found.payload()),
        Err(error) => error.to_string(),
    }
}

fn cloud_event(more: &str) -> String {
    format!(r#"{{"specversion":"1.0","id":"7","source":"/shop","type":"Order"{more}}}"#)
}

fn notification(message: &str) -> String {
    json!({
        "Type": "Notification", "MessageId": "sns-1", "TopicArn": "arn:aws:sns:eu-west-1:1:t",
        "Message": message, "Timestamp": "2026-11-22T11:00:00.000Z", "SignatureVersion": "1",
    })
    .to_string()
}

fn event(kind: &str, detail: &str) -> String {
    format!(
        r#"{{"version":"0","id":"eb-1","detail-type":"{kind}","source":"shop","account":"1","time":"2026-11-22T12:00:00Z","region":"eu-west-1","resources":[],"detail":{detail}}}"#
    )
}

#[test]
fn a_cloud_event_says_its_version_in_one_of_three_places_or_is_poison() {
    let table = [
        (cloud_event(r#","data":[1],"dataversion":"2.1""#), "Order 2.1 [1]"),
        (cloud_event(r#","data":1e400,"dataschema":"https://s/order/v3""#), "Order 3.0 1e400"),
        (cloud_event(r#","dataschema":"https://s/order/3.1""#), "Order 3.1 null"),
        (cloud_event("").replace("Order", "Order.v2.4"), "Order 2.4 null"),
        (cloud_event(r#","dataversion":"two""#), "the field \"dataversion\" does not fit"),
        (cloud_event(""), "the field \"dataversion\" is missing"),
        (
            cloud_event(r#","dataversion":"1","data_base64":"AA==""#),
            "the field \"data_base64\" does not fit",
        ),
        (cloud_event("").replace("1.0", "2.0"), "the field \"specversion\" does not fit"),
        (r#"{"specversion":"1.0"}"#.to_owned(), "the field \"source\" is missing"),
    ];
    for (body, expected) in table {
        assert_eq!(told(&body), expected, "{body}");
    }
    let lenient = Bodies::default().with_unversioned(ContractVersion::new(1, 0));
    let found = lenient.read(&cloud_event(""), UNIX_EPOCH + Duration::from_secs(5)).unwrap();
    assert_eq!(found.version(), ContractVersion::new(1, 0));
    assert_eq!(found.timestamp(), UNIX_EPOCH + Duration::from_secs(5), "when SQS got it");
}

#[test]
fn a_field_named_specversion_alone_makes_no_cloud_event_of_the_articles_form() {
    let with = |more: &str| format!("{},{more}}}", &PLAIN[..PLAIN.len() - 1]);
    let event = r#""specversion":"1.0","id":"7","source":"/shop","data":2,"dataversion":"2.0""#;
    let table = [
        (with(r#""specversion":"1.0""#), "Order 1.0 {\"n\":1}"),
        (with(r#""specversion":"9","id":"7","source":"/shop""#), "Order 1.0 {\"n\":1}"),
        (with(r#""specversion":"1.0","id":7,"source":"/shop""#), "Order 1.0 {\"n\":1}"),
        (with(r#""specversion":"1.0","id":"7","source":"""#), "Order 1.0 {\"n\":1}"),
        // All that a CloudEvent must have: the rest are its extensions.
        (with(event), "Order 2.0 2"),
        // Meant as one, as it is nothing else: said what it lacks, not guessed.
        (r#"{"specversion":"1.0","type":"Order"}"#.to_owned(), "the field \"source\" is missing"),
        (cloud_event("").replace("1.0", "1.1"), "the field \"specversion\" does not fit"),
    ];
    for (body, expected) in table {
        assert_eq!(told(&body), expected, "{body}");
    }
    let kept = read(&with(r#""specversion":"1.0""#)).unwrap();
    assert_eq!(kept.other("specversion"), Some(r#""1.0""#));
    let almost = read(&with(r#""specversion":"1.0","source":"/shop""#)).unwrap().with_id("7");
    assert_eq!(read(&almost.to_string()).unwrap(), almost);
    let inner = event_of(&with(r#""specversion":"1.0""#));
    assert_eq!(told(&inner), "Order 1.0 {\"n\":1}");
}

fn event_of(detail: &str) -> String {
    event("Other", detail)
}

#[test]
fn what_a_cloud_event_says_beyond_our_fields_is_kept_for_forwarding() {
    let more = format!(
        r#","subject":"s","data":1,"dataversion":"1.0","time":"2026-11-22T10:00:00Z","color":"red","deploymentrevision":"007","traceparent":"{TRACE}","tracestate":"a=b""#
    );
    let found = read(&cloud_event(&more)).unwrap();
    let others = ["source", "subject", "color", "deploymentrevision"].map(|name| found.other(name));
    assert_eq!(others, [r#""/shop""#, r#""s""#, r#""red""#, r#""007""#].map(Some));
    assert_eq!(
        found.trace().map(|trace| (trace.parent(), trace.state())),
        Some((TRACE, Some("a=b")))
    );
    assert_eq!(found.revision(), None);
    assert_eq!(read(&found.to_string()).unwrap(), found);
    let ours = found.with_color(Color::Green).with_revision(Revision::new(7));
    assert_eq!(ours.other("color"), Some(r#""red""#), "an extension of somebody else's");
    assert_eq!(read(&ours.to_string()).unwrap(), ours);
}

#[test]
fn wrappings_of_sns_and_event_bridge_are_looked_through() {
    let table = [
        (notification(PLAIN), "Order 1.0 {\"n\":1}"),
        (event("anything", PLAIN), "Order 1.0 {\"n\":1}"),
        (event("Paid.v2", "[1e400]"), "Paid 2.0 [1e400]"),
        (event("Paid", "{}"), "the field \"version\" is missing"),
        (event("x", &cloud_event(r#","dataversion":"2""#)), "Order 2.0 null"),
        (notification(&event("Paid.v2", "{}")), "Paid 2.0 {}"),
        (notification("not JSON"), "not an object of JSON in which each field appears once"),
        (r#"{"order":7}"#.to_owned(), "the field \"version\" is missing"),
        // Fields of the sender's own that only look like a wrapping.
        (PLAIN.replacen('{', r#"{"TopicArn":"t","Message":"m","#, 1), "Order 1.0 {\"n\":1}"),
        (PLAIN.replacen('{', r#"{"detail-type":"t","detail":1,"#, 1), "Order 1.0 {\"n\":1}"),
    ];
    for (body, expected) in table {
        assert_eq!(told(&body), expected, "{body}");
    }
    assert_eq!(read(&notification(PLAIN)).unwrap().id(), Some("sns-1"));
    let bare = read(&notification(&event("Paid.v2", "1"))).unwrap();
    assert_eq!(bare.id(), Some("eb-1"), "the innermost name counts");
    assert_eq!(bare.timestamp(), read(&event("Paid.v2", "1")).unwrap().timestamp());
}

#[test]
fn wrappings_without_end_are_refused() {
    let deep = (0..10).fold(PLAIN.to_owned(), |inner, _| notification(&inner));
    assert!(told(&deep).starts_with("not an object of JSON"), "{}", told(&deep));
}

#[test]
fn raw_json_is_taken_only_where_a_type_was_named_and_never_instead_of_a_known_form() {
    let bodies = Bodies::default().with_raw("Raw", ContractVersion::new(3, 0));
    let kind = |body: &str| bodies.read(body, UNIX_EPOCH).map(|found| found.kind().to_owned());
    assert_eq!(kind(PLAIN).unwrap(), "Order");
    for raw in [r#"{"order":7}"#, "[1]", "17", "\"text\"", r#"{"type":"Order","version":"1.0"}"#] {
        assert_eq!(kind(raw).unwrap(), "Raw", "{raw}");
    }
    // What calls itself something is that, also when it is broken.
    assert!(kind(r#"{"specversion":"9"}"#).is_err());
    assert!(kind("{not JSON").is_err());
}

#[test]
fn a_field_that_appears_twice_is_never_taken_for_a_raw_payload() {
    let bodies = Bodies::default().with_raw("Raw", ContractVersion::new(3, 0));
    for twice in [
        PLAIN.replacen('{', r#"{"version":"2.0","#, 1),
        PLAIN.replacen('{', r#"{"\u0076ersion":"2.0","#, 1),
        format!(" {}", notification(PLAIN).replacen('{', r#"{"Message":"{}","#, 1)),
        r#"{"order":1,"order":2}"#.to_owned(),
    ] {
        let error = bodies.read(&twice, UNIX_EPOCH).unwrap_err();
        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(why.contains("appears twice"), "{twice}: {why}");
    }
}

#[test]
fn what_is_no_text_of_json_is_poison_and_what_is_odd_json_stays_as_it_was() {
    let with = |payload: &str| PLAIN.replace(r#"{"n":1}"#, payload);
    for poison in [
        format!("\u{feff}{PLAIN}"),
        format!("{PLAIN}\0"),
        format!("{PLAIN}{PLAIN}"),
        with("\"\0\""),
        with("NaN"),
        with("01"),
        with(r#""\x""#),
        PLAIN.replace("Order", r"\ud800"),
        PLAIN.replace("1.0", "4294967295.0"),
        PLAIN.replace("1.0", "65536.0"),
        PLAIN.replace("1.0", "1.65536"),
        PLAIN.replace("\"1.0\"", "1.0"),
        PLAIN.replace("1.0", "+1.0"),
    ] {
        assert!(read(&poison).is_err(), "{poison:?}");
        let raw = Bodies::default().with_raw("Raw", ContractVersion::new(1, 0));
        let found = raw.read(&poison, UNIX_EPOCH).map(|found| found.kind().to_owned());
        assert!(found.as_deref().unwrap_or("poison") != "Order", "{poison:?}");
    }
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    for odd in [
        r#""\ud83e\udd80""#,
        r#""\u0000""#,
        "123456789012345678901234567890.12345678",
        "-0.0",
        "1E+999999",
        r#"{"a":1,"a":2}"#,
        r#"{"":{"\u0061":[]}}"#,
        &deep,
    ] {
        let found = read(&with(odd)).unwrap();
        assert_eq!(found.payload(), odd);
        assert_eq!(read(&found.to_string()).unwrap(), found);
    }
}

#[test]
fn an_envelope_becomes_a_cloud_event_with_an_id_and_a_source() {
    let envelope: Envelope = PLAIN.parse().unwrap();
    let error = envelope.clone().into_cloud_event("/shop").unwrap_err();
    assert_eq!(error.to_string(), "the field \"id\" is missing");
    let envelope = envelope.with_id("1").with_color(Color::Blue);
    assert!(envelope.clone().into_cloud_event("").is_err());
    let event = envelope.into_cloud_event("/shop").unwrap();
    let value: serde_json::Value = serde_json::from_str(&event.to_string()).unwrap();
    assert_eq!(
        value,
        json!({
            "specversion": "1.0", "id": "1", "source": "/shop", "type": "Order",
            "time": "2026-11-22T10:00:00Z", "datacontenttype": "application/json",
            "data": { "n": 1 }, "dataversion": "1.0", "deploymentcolor": "blue",
        })
    );
    assert_eq!(read(&event.to_string()).unwrap(), event);
    let taken = PLAIN.replacen('{', r#"{"id":"1","data":1,"#, 1).parse::<Envelope>().unwrap();
    assert!(taken.into_cloud_event("/shop").is_err(), "its data would be two things");
}

/// Any JSON object whose fields are mostly names that mean something here.
fn objects() -> impl Strategy<Value = String> {
    let names = proptest::sample::select(vec![
        "version",
        "type",
        "payload",
        "timestamp",
        "id",
        "color",
        "revision",
        "specversion",
        "source",
        "data",
        "time",
        "dataversion",
        "dataschema",
        "deploymentcolor",
        "tracestate",
        "deploymentrevision",
        "traceparent",
        "detail",
        "detail-type",
        "TopicArn",
        "Message",
        "x",
    ]);
    let values = prop_oneof![
        Just("\"1.0\"".to_owned()),
        Just("\"Order.v2\"".to_owned()),
        Just("null".to_owned()),
        Just("\"2026-11-22T10:00:00Z\"".to_owned()),
        Just("1e400".to_owned()),
        Just(format!("{TRACE:?}")),
        Just("\"green\"".to_owned()),
        Just("7".to_owned()),
        Just(format!("{PLAIN:?}")),
        Just(PLAIN.to_owned()),
        Just("[{}]".to_owned()),
    ];
    proptest::collection::btree_map(names, values, 0..16).prop_map(|fields| {
        let fields: Vec<_> =
            fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", fields.join(","))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_is_read_is_written_and_read_back_equal(
        body in objects(), raw: bool, unversioned: bool, id in ".*",
    ) {
        let mut bodies = Bodies::default();
        if raw {
            bodies = bodies.with_raw("Raw", ContractVersion::new(1, 0));
        }
        if unversioned {
            bodies = bodies.with_unversioned(ContractVersion::new(1, 0));
        }
        let Ok(found) = bodies.read(&body, UNIX_EPOCH) else { return Ok(()) };
        let again = read(&found.to_string()).unwrap();
        prop_assert_eq!(&again, &found);
        let trace = TraceContext::new(TRACE).unwrap().with_state(id.clone());
        let ours = found.with_id(id).with_color(Color::Blue).with_trace(trace)
            .with_revision(Revision::new(u64::MAX));
        prop_assert_eq!(read(&ours.to_string()).unwrap(), ours.clone());
        if let Ok(event) = ours.into_cloud_event("/shop") {
            prop_assert_eq!(read(&event.to_string()).unwrap(), event);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in ".*", kind in ".*") {
        let bodies = Bodies::default().with_raw("Raw", ContractVersion::new(1, 0));
        drop(bodies.read(&text, UNIX_EPOCH));
        drop(bodies.read(&notification(&text), UNIX_EPOCH));
        drop(bodies.read(&event(&kind, "{}"), UNIX_EPOCH));
    }

    #[test]
    fn what_is_parked_in_a_wrapping_comes_out_as_it_was(body in ".*", reason in ".*") {
        let once = Parked::wrap(&body, &reason, "id", UNIX_EPOCH).unwrap();
        let twice = Parked::wrap(&once, "again", "id2", UNIX_EPOCH).unwrap();
        for text in [once, twice] {
            let parked: Envelope = text.parse().unwrap();
            prop_assert_eq!(Parked::body_of(&parked), Some(body.clone()));
        }
    }
}
