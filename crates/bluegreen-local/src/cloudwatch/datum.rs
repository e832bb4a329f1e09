//! One datum of `PutMetricData`, checked as AWS documents it.

use std::time::{Duration, SystemTime};

use super::fault::Fault;
use super::fields::Fields;
use super::metric::Metric;
use super::samples::Samples;

const VALUES_LIMIT: usize = 150;
const OLDEST: Duration = Duration::from_secs(14 * 24 * 3600);
const NEWEST: Duration = Duration::from_secs(2 * 3600);

const UNITS: [&str; 27] = [
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
    "None",
];

/// What one datum says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Datum {
    pub(crate) metric: Metric,
    pub(crate) timestamp: SystemTime,
    pub(crate) unit: String,
    /// 1 or 60 seconds.
    pub(crate) resolution: u64,
    pub(crate) samples: Samples,
}

impl Datum {
    pub(crate) fn read(
        namespace: &str,
        fields: &Fields<'_>,
        now: SystemTime,
    ) -> Result<Self, Fault> {
        let metric = Metric::read_within(namespace, fields)?;
        metric.check_color()?;
        Ok(Self {
            metric,
            timestamp: read_timestamp(fields, now)?,
            unit: read_unit(fields)?.unwrap_or("None").to_owned(),
            resolution: read_resolution(fields)?,
            samples: read_samples(fields)?,
        })
    }
}

fn read_timestamp(fields: &Fields<'_>, now: SystemTime) -> Result<SystemTime, Fault> {
    let timestamp = fields.time("Timestamp")?.unwrap_or(now);
    let too_old = now.duration_since(timestamp).is_ok_and(|age| age > OLDEST);
    let too_new = timestamp.duration_since(now).is_ok_and(|ahead| ahead > NEWEST);
    if too_old || too_new {
        let path = fields.name("Timestamp");
        let message = format!("{path} must lie within the last two weeks and the next two hours.");
        return Err(Fault::invalid(message));
    }
    Ok(timestamp)
}

pub(crate) fn read_unit<'a>(fields: &Fields<'a>) -> Result<Option<&'a str>, Fault> {
    match fields.text("Unit")? {
        Some(unit) if !UNITS.contains(&unit) => {
            Err(Fault::invalid(format!("{} \"{unit}\" is not a unit.", fields.name("Unit"))))
        }
        unit => Ok(unit),
    }
}

fn read_resolution(fields: &Fields<'_>) -> Result<u64, Fault> {
    match fields.integer("StorageResolution")? {
        Some(1) => Ok(1),
        None | Some(60) => Ok(60),
        Some(other) => Err(Fault::invalid(format!(
            "{} is {other}; allowed are 1 and 60.",
            fields.name("StorageResolution")
        ))),
    }
}

/// Exactly one of `Value`, `Values` and `StatisticValues` carries the samples.
fn read_samples(fields: &Fields<'_>) -> Result<Samples, Fault> {
    let has = |field| fields.has(field);
    if has("Counts") && !has("Values") {
        let path = fields.name("Counts");
        return Err(Fault::combination(format!("{path} stands without Values.")));
    }
    match (has("Value"), has("Values"), has("StatisticValues")) {
        (true, false, false) => read_value(fields),
        (false, true, false) => read_values(fields),
        (false, false, true) => read_set(fields),
        (false, false, false) => Err(Fault::missing(&fields.name("Value"))),
        _ => Err(Fault::combination(format!(
            "{} needs exactly one of Value, Values and StatisticValues.",
            fields.name("MetricName")
        ))),
    }
}

fn read_value(fields: &Fields<'_>) -> Result<Samples, Fault> {
    let value = fields.required_number("Value")?;
    check_number(fields, "Value", value)?;
    Ok(Samples::of_values(vec![(value, 1.0)]))
}

fn read_values(fields: &Fields<'_>) -> Result<Samples, Fault> {
    let values = fields.numbers("Values")?.unwrap_or_default();
    let counts = fields.numbers("Counts")?.unwrap_or_else(|| vec![1.0; values.len()]);
    if values.is_empty() || values.len() > VALUES_LIMIT {
        return Err(Fault::invalid(format!(
            "{} has {} elements; allowed are 1 to {VALUES_LIMIT}.",
            fields.name("Values"),
            values.len()
        )));
    }
    if counts.len() != values.len() {
        let path = fields.name("Counts");
        return Err(Fault::invalid(format!("{path} and Values must be of the same length.")));
    }
    for (value, count) in values.iter().zip(&counts) {
        check_number(fields, "Values", *value)?;
        check_count(fields, "Counts", *count)?;
    }
    Ok(Samples::of_values(values.into_iter().zip(counts).collect()))
}

fn read_set(fields: &Fields<'_>) -> Result<Samples, Fault> {
    let set = fields.required_structure("StatisticValues")?;
    let number = |field| {
        let number = set.required_number(field)?;
        check_number(&set, field, number).map(|()| number)
    };
    let (sum, minimum, maximum) = (number("Sum")?, number("Minimum")?, number("Maximum")?);
    let count = set.required_number("SampleCount")?;
    check_count(&set, "SampleCount", count)?;
    if minimum > maximum {
        let path = set.name("Minimum");
        return Err(Fault::invalid(format!("{path} is greater than Maximum.")));
    }
    Ok(Samples::of_set(count, sum, minimum, maximum))
}

/// AWS takes magnitudes up to 2^360, and neither NaN nor infinity.
fn check_number(fields: &Fields<'_>, field: &str, number: f64) -> Result<(), Fault> {
    if number.abs() <= 2f64.powi(360) {
        Ok(())
    } else {
        let path = fields.name(field);
        Err(Fault::invalid(format!("{path} is {number}; allowed is -2^360 to 2^360.")))
    }
}

fn check_count(fields: &Fields<'_>, field: &str, count: f64) -> Result<(), Fault> {
    check_number(fields, field, count)?;
    if count >= 0.0 {
        Ok(())
    } else {
        Err(Fault::invalid(format!("{} is negative.", fields.name(field))))
    }
}
