//! One graph with the lines of both colors.

use bluegreen_core::{ByColor, Color, ServiceKey};
use serde_json::{Value, json};

use super::Statistic;
use crate::Resolution;
use crate::dimensions::{Dimension, ENVIRONMENT, SERVICE, STAGE, fixed};
use crate::own_metrics::ERROR_EVENTS;
use crate::requests::{ERROR_COUNT, IN_FLIGHT, REQUEST_COUNT, REQUEST_LATENCY};

/// How our own metrics are published.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own<'a> {
    pub(super) namespace: &'a str,
    pub(super) key: &'a ServiceKey,
    pub(super) resolution: Resolution,
}

#[derive(Clone, Debug)]
pub(super) struct Graph {
    pub(super) title: String,
    pub(super) source: Source,
    pub(super) limit: Option<f64>,
}

/// Where a graph's lines come from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// Of minutes with requests; the others are gaps.
    ErrorRate,
    /// The mean of a window's requests in flight, over all processes.
    InFlight,
    /// Median and 99th percentile.
    Latency,
    ErrorEvents,
    Own {
        name: String,
        statistic: Statistic,
    },
    Aws {
        namespace: &'static str,
        metric: &'static str,
        statistic: Statistic,
        dimensions: ByColor<Vec<Dimension>>,
    },
}

impl Source {
    pub(super) fn requests() -> Self {
        Self::Own { name: REQUEST_COUNT.to_owned(), statistic: Statistic::Sum }
    }
}

impl Graph {
    pub(super) fn of(title: &str, source: Source) -> Self {
        Self { title: title.to_owned(), source, limit: None }
    }

    pub(super) fn with_limit(mut self, limit: Option<f64>) -> Self {
        self.limit = limit;
        self
    }

    /// The rows of the widget's `metrics`.
    pub(super) fn lines(&self, own: &Own<'_>) -> Vec<Value> {
        let mut lines: Vec<Value> = Vec::new();
        for color in Color::BOTH {
            for line in self.of_color(own, color) {
                // What both colors share is one line.
                if !lines.iter().any(|known| same_metric(known, &line)) {
                    lines.push(line);
                }
            }
        }
        lines
    }

    fn of_color(&self, of: &Own<'_>, color: Color) -> Vec<Value> {
        let Own { namespace, key, resolution } = *of;
        let own = |name: &str, options: Value| row(namespace, name, &fixed(key, color), options);
        let label = color.as_str();
        match &self.source {
            Source::ErrorRate => {
                let (errors, requests) = (format!("{color}_errors"), format!("{color}_requests"));
                let hidden = |id: &str| json!({ "id": id, "stat": "Sum", "visible": false });
                // Without requests there is no rate: a gap, and neither a division by zero nor a zero.
                let rate = format!("IF({requests} > 0, 100 * {errors} / {requests})");
                vec![
                    own(ERROR_COUNT, hidden(&errors)),
                    own(REQUEST_COUNT, hidden(&requests)),
                    json!([{ "expression": rate, "label": label, "color": shade(color) }]),
                ]
            }
            Source::InFlight => {
                let samples = format!("{color}_in_flight");
                let hidden = json!({ "id": samples, "stat": "Sum", "visible": false });
                // Each process sends one a window: of those that a period adds up, the mean.
                let window = resolution.window().as_secs();
                let mean = format!("{samples} / (PERIOD({samples}) / {window})");
                vec![
                    own(IN_FLIGHT, hidden),
                    json!([{ "expression": mean, "label": label, "color": shade(color) }]),
                ]
            }
            Source::Latency => {
                let line = |stat: &str, shade: &str| {
                    let label = format!("{label} {stat}");
                    own(REQUEST_LATENCY, json!({ "stat": stat, "label": label, "color": shade }))
                };
                vec![line("p50", pale(color)), line("p99", shade(color))]
            }
            Source::ErrorEvents => {
                let search = search(namespace, key, color);
                vec![json!([{ "expression": search, "label": label, "color": shade(color) }])]
            }
            Source::Own { name, statistic } => {
                let stat = statistic.to_string();
                vec![own(name, json!({ "stat": stat, "label": label, "color": shade(color) }))]
            }
            Source::Aws { namespace, metric, statistic, dimensions } => {
                let stat = statistic.to_string();
                let options = json!({ "stat": stat, "label": label, "color": shade(color) });
                vec![row(namespace, metric, dimensions.get(color), options)]
            }
        }
    }
}

/// `[namespace, name, dimension, value, …, {options}]`
fn row(namespace: &str, name: &str, dimensions: &[Dimension], options: Value) -> Value {
    let mut row = vec![json!(namespace), json!(name)];
    for (name, value) in dimensions {
        row.extend([json!(name), json!(value)]);
    }
    row.push(options);
    Value::Array(row)
}

/// Whether two rows are of one metric and statistic.
fn same_metric(one: &Value, other: &Value) -> bool {
    let parts = |row: &Value| -> Option<(Vec<Value>, Option<Value>)> {
        let (options, names) = row.as_array()?.split_last()?;
        (!names.is_empty()).then(|| (names.to_vec(), options.get("stat").cloned()))
    };
    parts(one).is_some_and(|one| Some(one) == parts(other))
}

/// The sum over all targets, of which nobody knows the names beforehand.
fn search(namespace: &str, key: &ServiceKey, color: Color) -> String {
    let names = if key.stage().is_some() {
        [ENVIRONMENT, SERVICE, STAGE].as_slice()
    } else {
        &[ENVIRONMENT, SERVICE]
    };
    let schema = names.join(",");
    let dimensions = fixed(key, color);
    let dimensions: Vec<_> =
        dimensions.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    let dimensions = dimensions.join(" ");
    format!(
        "SUM(SEARCH('{{\"{namespace}\",{schema},Target}} MetricName=\"{ERROR_EVENTS}\" \
         {dimensions}', 'Sum', 60))"
    )
}

const fn shade(color: Color) -> &'static str {
    match color {
        Color::Blue => "#1f77b4",
        Color::Green => "#2ca02c",
    }
}

const fn pale(color: Color) -> &'static str {
    match color {
        Color::Blue => "#aec7e8",
        Color::Green => "#98df8a",
    }
}
