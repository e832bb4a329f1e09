//! Whether a dashboard's body is one that CloudWatch draws: its grid, its widgets' properties, its
//! annotations. Of widgets that are no graphs only the place is looked at.
//!
//! Stricter than AWS in one point: a widget that reaches beyond the grid's right edge is refused,
//! where AWS moves it to a place of its own choice.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::stat::Stat;

const MOST_WIDGETS: usize = 500;
const MOST_METRICS: usize = 500;
const MOST_METRICS_OF_ALL: usize = 2_500;
const COLUMNS: u64 = 24;
const MOST_ROWS: u64 = 1_000;
const TYPES: [&str; 7] = ["alarm", "chart", "custom", "explorer", "log", "metric", "text"];
const VIEWS: [&str; 6] = ["bar", "gauge", "pie", "singleValue", "table", "timeSeries"];

type Object = Map<String, Value>;

/// Checks a body; the error says where and what.
pub(crate) fn check(body: &str) -> Result<(), String> {
    let body =
        serde_json::from_str(body).map_err(|error| format!("the body is no JSON: {error}"))?;
    let body = object(&body, "/")?;
    let widgets =
        body.get("widgets").and_then(Value::as_array).ok_or("/widgets must be an array")?;
    if widgets.len() > MOST_WIDGETS {
        return Err(format!("/widgets has {} elements of {MOST_WIDGETS}", widgets.len()));
    }
    let metrics = |widget: &Value| {
        widget.pointer("/properties/metrics").and_then(Value::as_array).map_or(0, Vec::len)
    };
    let metrics: usize = widgets.iter().map(metrics).sum();
    if metrics > MOST_METRICS_OF_ALL {
        return Err(format!("/widgets has {metrics} metrics of {MOST_METRICS_OF_ALL} in all"));
    }
    for (number, widget) in widgets.iter().enumerate() {
        let path = format!("/widgets/{number}");
        check_widget(object(widget, &path)?, &path)?;
    }
    Ok(())
}

fn check_widget(widget: &Object, path: &str) -> Result<(), String> {
    let kind = text(widget, "type", path)?;
    if !TYPES.contains(&kind) {
        return Err(format!("{path}/type is {kind:?}, none of {TYPES:?}"));
    }
    if widget.contains_key("x") != widget.contains_key("y") {
        return Err(format!("{path} has one of x and y without the other"));
    }
    let x = whole(widget, "x", path, 0..=COLUMNS - 1)?.unwrap_or(0);
    whole(widget, "y", path, 0..=u64::from(u32::MAX))?;
    let width = whole(widget, "width", path, 1..=COLUMNS)?.unwrap_or(6);
    whole(widget, "height", path, 1..=MOST_ROWS)?;
    if x + width > COLUMNS {
        return Err(format!("{path} ends at column {} of {COLUMNS}", x + width));
    }
    let path = format!("{path}/properties");
    let properties = widget.get("properties").ok_or_else(|| format!("{path} is missing"))?;
    let properties = object(properties, &path)?;
    match kind {
        "metric" => check_graph(properties, &path),
        "text" => text(properties, "markdown", &path).map(|_| ()),
        _ => Ok(()),
    }
}

fn check_graph(graph: &Object, path: &str) -> Result<(), String> {
    text(graph, "region", path)?;
    if let Some(view) = graph.get("view").and_then(Value::as_str)
        && !VIEWS.contains(&view)
    {
        return Err(format!("{path}/view is {view:?}, none of {VIEWS:?}"));
    }
    check_stat_and_period(graph, path)?;
    let metrics = graph.get("metrics").and_then(Value::as_array);
    let annotated = graph.get("annotations");
    match metrics {
        None if annotated.is_none() => return Err(format!("{path} has nothing to draw")),
        Some(metrics) if metrics.len() > MOST_METRICS => {
            return Err(format!("{path}/metrics has {} elements of {MOST_METRICS}", metrics.len()));
        }
        _ => {}
    }
    for (number, metric) in metrics.into_iter().flatten().enumerate() {
        check_metric(metric, &format!("{path}/metrics/{number}"))?;
    }
    annotated
        .map_or(Ok(()), |annotated| check_annotations(annotated, &format!("{path}/annotations")))
}

/// `[namespace, name, dimension, value, …, {options}]`, or `[{expression}]`.
fn check_metric(metric: &Value, path: &str) -> Result<(), String> {
    let row = metric.as_array().ok_or_else(|| format!("{path} must be an array"))?;
    let (names, options) = match row.split_last() {
        Some((options @ Value::Object(_), names)) => (names, Some(options)),
        _ => (row.as_slice(), None),
    };
    if !names.iter().all(Value::is_string) {
        return Err(format!("{path} must be made of text, and options at its end"));
    }
    let expression = options.and_then(|options| options.get("expression"));
    match (names.len(), expression) {
        (0, Some(Value::String(_))) => {}
        (0, _) => return Err(format!("{path} is neither a metric nor an expression")),
        (count, None) if count >= 2 && count.is_multiple_of(2) => {}
        (_, Some(_)) => return Err(format!("{path} is a metric and an expression at once")),
        (count, None) => {
            return Err(format!(
                "{path} has {count} names: namespace, metric and pairs are needed"
            ));
        }
    }
    options.map_or(Ok(()), |options| check_stat_and_period(object(options, path)?, path))
}

fn check_stat_and_period(of: &Object, path: &str) -> Result<(), String> {
    if let Some(stat) = of.get("stat") {
        let known = stat.as_str().is_some_and(|stat| Stat::parse(stat).is_some());
        if !known {
            return Err(format!("{path}/stat is {stat}, which is no statistic"));
        }
    }
    match of.get("period").map(Value::as_u64) {
        None | Some(Some(1 | 5 | 10 | 20 | 30)) => Ok(()),
        Some(Some(period)) if period > 0 && period.is_multiple_of(60) => Ok(()),
        Some(_) => {
            Err(format!("{path}/period is neither of 1, 5, 10, 20, 30 nor a minute's multiple"))
        }
    }
}

fn check_annotations(annotations: &Value, path: &str) -> Result<(), String> {
    let annotations = object(annotations, path)?;
    let of = |kind: &str| annotations.get(kind).and_then(Value::as_array).into_iter().flatten();
    for (number, line) in of("vertical").enumerate() {
        let path = format!("{path}/vertical/{number}");
        // A band is two lines.
        for line in line.as_array().map_or(std::slice::from_ref(line), Vec::as_slice) {
            let time = text(object(line, &path)?, "value", &path)?;
            if time.parse::<Timestamp>().is_err() {
                return Err(format!("{path}/value is {time:?}, which is no time of ISO 8601"));
            }
        }
    }
    for (number, line) in of("horizontal").enumerate() {
        let path = format!("{path}/horizontal/{number}");
        if !object(line, &path)?.get("value").is_some_and(Value::is_number) {
            return Err(format!("{path}/value must be a number"));
        }
    }
    Ok(())
}

fn object<'a>(value: &'a Value, path: &str) -> Result<&'a Object, String> {
    value.as_object().ok_or_else(|| format!("{path} must be an object"))
}

fn text<'a>(of: &'a Object, field: &str, path: &str) -> Result<&'a str, String> {
    of.get(field).and_then(Value::as_str).ok_or_else(|| format!("{path}/{field} must be text"))
}

fn whole(
    of: &Object,
    field: &str,
    path: &str,
    allowed: std::ops::RangeInclusive<u64>,
) -> Result<Option<u64>, String> {
    let Some(value) = of.get(field) else { return Ok(None) };
    let fits = value.as_u64().filter(|value| allowed.contains(value));
    let (least, most) = (allowed.start(), allowed.end());
    fits.map(Some).ok_or_else(|| format!("{path}/{field} is {value}, not from {least} to {most}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn widget(change: impl FnOnce(&mut Value)) -> Result<(), String> {
        let mut widget = json!({
            "type": "metric", "x": 12, "y": 3, "width": 12, "height": 6,
            "properties": {
                "region": "us-east-1", "view": "timeSeries", "stat": "p99", "period": 60,
                "metrics": [
                    ["Shop", "RequestLatency", "Environment", "blue", { "stat": "Average" }],
                    [{ "expression": "100 * e / r", "label": "errors" }],
                ],
                "annotations": {
                    "vertical": [{ "value": "2026-11-25T18:00:00Z", "label": "10 %" }],
                    "horizontal": [{ "value": 5, "label": "limit" }],
                },
            },
        });
        change(&mut widget);
        check(&json!({ "widgets": [widget] }).to_string())
    }

    #[test]
    fn what_cloudwatch_draws_passes() {
        assert_eq!(widget(|_| ()), Ok(()));
        assert_eq!(check(r#"{"widgets":[]}"#), Ok(()));
        let band =
            json!([{ "value": "2026-11-25T18:00:00Z" }, { "value": "2026-11-25T19:00:00Z" }]);
        assert_eq!(widget(|w| w["properties"]["annotations"]["vertical"][0] = band), Ok(()));
        assert_eq!(
            widget(|w| *w = json!({ "type": "text", "properties": { "markdown": "x" } })),
            Ok(())
        );
    }

    #[test]
    fn what_does_not_fit_the_grid_or_cannot_be_drawn_is_named() {
        for (path, value, named) in [
            ("/x", json!(24), "/widgets/0/x is 24, not from 0 to 23"),
            ("/x", json!(13), "/widgets/0 ends at column 25 of 24"),
            ("/x", json!(1.5), "/widgets/0/x is 1.5, not from 0 to 23"),
            ("/y", json!(-1), "/widgets/0/y is -1, not from 0 to 4294967295"),
            ("/width", json!(0), "/widgets/0/width is 0, not from 1 to 24"),
            ("/height", json!(1_001), "/widgets/0/height is 1001, not from 1 to 1000"),
            ("/type", json!("graph"), "/widgets/0/type is \"graph\""),
            ("/properties/region", json!(null), "/widgets/0/properties/region must be text"),
            ("/properties/view", json!("3d"), "/widgets/0/properties/view is \"3d\""),
            ("/properties/stat", json!("Mode"), "/widgets/0/properties/stat is \"Mode\""),
            ("/properties/period", json!(7), "/widgets/0/properties/period is neither"),
            (
                "/properties/metrics/0",
                json!(["Shop"]),
                "/widgets/0/properties/metrics/0 has 1 names",
            ),
            (
                "/properties/metrics/0",
                json!(["Shop", "m", "d"]),
                "/widgets/0/properties/metrics/0 has 3",
            ),
            ("/properties/metrics/1", json!([{}]), "/widgets/0/properties/metrics/1 is neither"),
            (
                "/properties/annotations/vertical/0/value",
                json!("yesterday"),
                "/widgets/0/properties/annotations/vertical/0/value is \"yesterday\"",
            ),
            (
                "/properties/annotations/horizontal/0/value",
                json!("5"),
                "/widgets/0/properties/annotations/horizontal/0/value must be a number",
            ),
        ] {
            let error = widget(|w| *w.pointer_mut(path).unwrap() = value).unwrap_err();
            assert!(error.starts_with(named), "{error}");
        }
        let error = check(&json!({ "widgets": vec![json!({}); 501] }).to_string()).unwrap_err();
        assert_eq!(error, "/widgets has 501 elements of 500");
        let full = json!({ "properties": { "metrics": vec![json!(["Shop", "m"]); 500] } });
        let error = check(&json!({ "widgets": vec![full; 6] }).to_string()).unwrap_err();
        assert_eq!(error, "/widgets has 3000 metrics of 2500 in all");
        assert!(check("{}").unwrap_err().starts_with("/widgets must be"));
        assert!(check("[]").unwrap_err().starts_with("/ must be an object"));
    }
}
