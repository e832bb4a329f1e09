use std::time::SystemTime;

use super::cbor::Value;
use super::datum::Datum;
use super::fault::Fault;
use super::fields::Fields;
use super::metric::read_namespace;

const METRICS_LIMIT: usize = 1_000;

/// The data of one call: all of them valid, or none is taken.
pub(crate) fn read(input: &Value, now: SystemTime) -> Result<Vec<Datum>, Fault> {
    let fields = Fields::of(input)?;
    let namespace = read_namespace(&fields)?;
    if namespace.starts_with("AWS/") {
        return Err(Fault::invalid("The value AWS/ for parameter Namespace is invalid."));
    }
    if fields.has("EntityMetricData") {
        return Err(Fault::invalid("EntityMetricData is not known to this stand-in."));
    }
    let data = fields.structures("MetricData")?;
    if data.is_empty() {
        return Err(Fault::missing("MetricData"));
    }
    if data.len() > METRICS_LIMIT {
        return Err(Fault::invalid(format!(
            "MetricData has {} elements; at most {METRICS_LIMIT} are allowed.",
            data.len()
        )));
    }
    data.iter().map(|datum| Datum::read(namespace, datum, now)).collect()
}
